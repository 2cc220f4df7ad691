/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/reaper.h"

#include <errno.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* None of ours, lest the keeper's end be hidden from the front by a copy of
 * its socket; nor of the caller's. */
static void close_all_but(int kept)
{
	long most = sysconf(_SC_OPEN_MAX);

	if (kept > 0)
		(void)syscall(SYS_close_range, 0, kept - 1, 0);
	if (syscall(SYS_close_range, kept + 1, UINT_MAX, 0) == 0)
		return;
	for (int fd = 0; fd < most; fd++)
		if (fd != kept)
			(void)close(fd);
}

static _Noreturn void reap(int sock, pid_t keeper)
{
	siginfo_t info;

	close_all_but(sock);
	(void)setsid();
	(void)send(sock, &keeper, sizeof(keeper), MSG_NOSIGNAL);
	while (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | __WALL) == 0) {
		if (info.si_pid == keeper)
			(void)send(sock, "k", 1, MSG_NOSIGNAL);
		(void)waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | __WALL);
	}
	_exit(0);
}

/* In the reaper. Returns in the keeper. */
static void split(int sock)
{
	pid_t keeper;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		_exit(1);
	keeper = fork();
	if (keeper < 0)
		_exit(1);
	if (keeper > 0)
		reap(sock, keeper);
}

/* In the front. */
static enum rc meet_keeper(struct reaper *r, pid_t *keeper, struct err *e)
{
	ssize_t n;

	do
		n = read(r->sock, keeper, sizeof(*keeper));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(*keeper))
		return RC_OK;
	while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
		;
	return err_set(e, RC_FAILED, "the keeper could not be forked");
}

enum rc reaper_fork(struct reaper *r, pid_t *keeper, struct err *e)
{
	int socks[2];
	enum rc rc = RC_OK;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) < 0)
		return err_sys(e, RC_FAILED, errno, "socket pair");
	r->sock = socks[0];
	r->pid = fork();
	if (r->pid < 0)
		rc = err_sys(e, RC_FAILED, errno, "fork");
	if (r->pid == 0)
		split(socks[1]);
	(void)close(socks[1]);
	*keeper = 0;
	if (r->pid > 0)
		rc = meet_keeper(r, keeper, e);
	return rc;
}
