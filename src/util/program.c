/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- starting ---------------------------------------------------------- */

int program_spawn(pid_t *pid, char *const argv[], int out)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, all;
	int sys;

	if (posix_spawn_file_actions_init(&files) != 0)
		return ENOMEM;
	if (posix_spawnattr_init(&how) != 0) {
		(void)posix_spawn_file_actions_destroy(&files);
		return ENOMEM;
	}
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	sys = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY,
					       0);
	if (!sys)
		sys = posix_spawn_file_actions_adddup2(&files, out, 1);
	if (!sys)
		sys = posix_spawnattr_setsigmask(&how, &none);
	if (!sys)
		sys = posix_spawnattr_setsigdefault(&how, &all);
	if (!sys)
		sys = posix_spawnattr_setflags(
			&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (!sys)
		sys = posix_spawnp(pid, argv[0], &files, &how, argv, environ);
	(void)posix_spawnattr_destroy(&how);
	(void)posix_spawn_file_actions_destroy(&files);
	return sys;
}

enum rc program_start(struct program *p, char *const argv[], struct err *e)
{
	int ends[2], sys;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, rc_of_errno(errno), errno, "a pipe");
	*p = (struct program){ .out = ends[0], .end = -1, .name = argv[0] };
	sys = program_spawn(&p->pid, argv, ends[1]);
	close(ends[1]);
	if (sys) {
		close(ends[0]);
		return err_sys(e, RC_DENIED, sys, "%.100s", argv[0]);
	}
	p->end = (int)syscall(SYS_pidfd_open, p->pid, 0);
	return RC_OK;
}

/* --- its end ----------------------------------------------------------- */

static bool has_ended(const struct program *p)
{
	struct pollfd end = { .fd = p->end, .events = POLLIN };

	return p->end >= 0 && poll(&end, 1, 0) == 1;
}

/* RC_ABSENT: nothing is there now. */
static enum rc read_part(struct buf *out, int fd, bool *all, struct err *e)
{
	char part[512];
	ssize_t n = read(fd, part, sizeof(part));
	enum rc rc = RC_OK;

	if (n < 0 && errno == EAGAIN)
		rc = RC_ABSENT;
	else if (n < 0 && errno != EINTR)
		rc = err_sys(e, RC_FAILED, errno, "its output");
	else if (n > 0)
		rc = buf_add(out, part, (size_t)n, e);
	*all = n == 0;
	explicit_bzero(part, sizeof(part));
	return rc;
}

/* What it leaves running may keep the pipe open. */
static enum rc read_output(const struct program *p, struct buf *out,
			   const struct call *call, struct err *e)
{
	int fds[] = { p->out, p->end };
	bool all = false;

	(void)fcntl(p->out, F_SETFL, O_NONBLOCK);
	while (!all) {
		enum rc rc = call_wait_any(call, fds, 2, NSEC_FOREVER, e);
		/* Before the reading, so that nothing is missed. */
		bool ended = has_ended(p);

		if (!rc)
			rc = read_part(out, p->out, &all, e);
		if (rc == RC_ABSENT && ended)
			break;
		if (rc && rc != RC_ABSENT)
			return rc;
	}
	return RC_OK;
}

static enum rc wait_for(const struct program *p, int *status,
			const struct call *call, struct err *e)
{
	struct program_word word;
	enum rc rc = RC_OK;

	if (p->end >= 0)
		rc = call_wait(call, p->end, NSEC_FOREVER, e);
	if (rc)
		return rc;
	if (p->pid == 0) {
		if (read(p->end, &word, sizeof(word)) != sizeof(word))
			return err_set(e, RC_DENIED,
				       "%.60s: what runs it for us was killed",
				       p->name);
		*status = word.status;
		return word.sys ? err_sys(e, RC_DENIED, word.sys, "%.100s",
					  p->name)
				: RC_OK;
	}
	while (waitpid(p->pid, status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, RC_DENIED, errno, "how %.60s exited",
				       p->name);
	return RC_OK;
}

static enum rc judge(const struct program *p, int status, struct err *e)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return RC_OK;
	if (WIFSIGNALED(status))
		return err_set(e, RC_DENIED, "%.60s died by signal %d", p->name,
			       WTERMSIG(status));
	return err_set(e, RC_DENIED, "%.60s ended with status %d", p->name,
		       WEXITSTATUS(status));
}

enum rc program_finish(struct program *p, struct buf *out,
		       const struct call *call, struct err *e)
{
	enum rc rc = read_output(p, out, call, e);
	int status = 0;

	if (!rc)
		rc = wait_for(p, &status, call, e);
	if (!rc)
		rc = judge(p, status, e);
	else if (p->pid > 0 && kill(p->pid, SIGKILL) == 0)
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
	/* Who runs it for us kills it when this one hangs up. */
	close(p->out);
	if (p->end >= 0)
		close(p->end);
	return rc;
}
