/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK = 8192 };

/* TSan takes a clone for a fork, and would lose its way in shared memory. */
#if defined(__SANITIZE_THREAD__)
#define SHARE_MEMORY 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHARE_MEMORY 0
#endif
#endif
#ifndef SHARE_MEMORY
#define SHARE_MEMORY CLONE_VM
#endif

static struct {
	_Alignas(16) char stack[STACK];
	_Atomic unsigned *saw;
	unsigned known[WITNESS_SIGNALS]; /* of these */
	pid_t pid;
	pid_t front;
} witness;

/*
 * It shares memory and thread-local storage with the front, so it must do
 * nothing but this: no call that can fail and set errno once it counts. Made
 * through syscall(), which no sanitizer intercepts.
 */
__attribute__((no_sanitize("address", "thread", "undefined"))) static int
count(void *arg)
{
	uint64_t all = ~(uint64_t)0;

	(void)arg;
	(void)syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (syscall(SYS_getppid) != witness.front)
		(void)syscall(SYS_exit, 0);
	for (;;) {
		long sig = syscall(SYS_rt_sigtimedwait, &all, NULL, NULL,
				   sizeof(all));

		if (sig > 0 && sig < WITNESS_SIGNALS)
			(void)atomic_fetch_add(&witness.saw[sig], 1);
	}
	return 0;
}

bool witness_start(_Atomic unsigned saw[WITNESS_SIGNALS])
{
	witness.saw = saw;
	witness.front = getpid();
	witness.pid = clone(count, witness.stack + STACK,
			    SHARE_MEMORY | SIGCHLD, NULL);
	if (witness.pid < 0)
		witness.pid = 0;
	return witness.pid > 0;
}

pid_t witness_pid(void)
{
	return witness.pid;
}

void witness_ended(void)
{
	witness.pid = 0;
}

static void status_path(char out[40], pid_t pid)
{
	char digits[12];
	size_t n = 0;
	char *to = stpcpy(out, "/proc/");

	do
		digits[n++] = (char)('0' + pid % 10);
	while ((pid /= 10) > 0);
	while (n > 0)
		*to++ = digits[--n];
	(void)stpcpy(to, "/status");
}

static uint64_t mask_in(const char *status, const char *field)
{
	const char *p = strstr(status, field);
	uint64_t mask = 0;

	if (!p)
		return 0;
	for (p += strlen(field); *p == '\t' || *p == ' '; p++)
		;
	for (; (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f'); p++)
		mask = mask << 4 |
		       (uint64_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
	return mask;
}

uint64_t witness_mask(pid_t pid, const char *field)
{
	char path[40], status[2048];
	ssize_t n;
	int fd;

	status_path(path, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, status, sizeof(status) - 1);
	(void)close(fd);
	if (n <= 0)
		return 0;
	status[n] = '\0';
	return mask_in(status, field);
}

bool witness_pending(pid_t pid, int sig)
{
	return ((witness_mask(pid, "\nSigPnd:") | witness_mask(pid, "\nShdPnd:")) >>
		(sig - 1)) &
	       1;
}

enum witness_word witness_ask(int sig)
{
	bool waits;
	unsigned saw;

	if (witness.pid == 0)
		return WITNESS_GONE;
	waits = witness_pending(witness.pid, sig);
	saw = atomic_load(&witness.saw[sig]);
	if (saw != witness.known[sig]) {
		witness.known[sig] = saw;
		return WITNESS_SAW;
	}
	return waits ? WITNESS_SEES : WITNESS_SAW_NONE;
}

void witness_dismiss(void)
{
	if (witness.pid != 0)
		(void)kill(witness.pid, SIGKILL);
}

void witness_stop(void)
{
	if (witness.pid == 0)
		return;
	witness_dismiss();
	while (waitpid(witness.pid, NULL, 0) < 0 && errno == EINTR)
		;
	witness.pid = 0;
}
