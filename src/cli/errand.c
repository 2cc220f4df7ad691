/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/errand.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/say.h"
#include "util/clock.h"

/* A store that answers at all does so sooner. */
static const nsec patience = 3 * NSEC_PER_SEC;
/* A child that is asking a person gets so long to put the echo of the
 * terminal back before it is killed. */
static const nsec asking_patience = 1 * NSEC_PER_SEC;

static const int obeyed[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
enum { OBEYED = sizeof(obeyed) / sizeof(obeyed[0]) };

/* What both see. */
struct shared {
	_Atomic int64_t busy_since; /* of CLOCK_BOOTTIME; 0: not with a store */
	atomic_bool elsewhere;
};

static struct shared *shared;

/* --- in the child ---------------------------------------------------------- */

void errand_aside(bool begins)
{
	if (shared)
		atomic_store(&shared->busy_since, begins ? 0 : boot_now().ns);
}

_Noreturn void errand_elsewhere(void)
{
	assert(shared);
	atomic_store(&shared->elsewhere, true);
	_exit(0);
}

static _Noreturn void be_child(const struct errand *errand, pid_t parent,
			       const sigset_t *mask)
{
	int status;

	/* Should the parent be killed, nobody waits for us any more. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(exit_failed());
	(void)pthread_sigmask(SIG_SETMASK, mask, NULL);
	errand_aside(false);
	status = errand->work(errand->context);
	exit(status); /* NOLINT(concurrency-mt-unsafe): there is one thread */
}

/* --- in the parent --------------------------------------------------------- */

/* Those that we act on: not what the caller has us ignore. */
static void signals_of(sigset_t *set)
{
	struct sigaction now;

	(void)sigemptyset(set);
	(void)sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < OBEYED; i++) {
		if (sigaction(obeyed[i], NULL, &now) == 0 &&
		    now.sa_handler != SIG_IGN)
			(void)sigaddset(set, obeyed[i]);
	}
}

/* The next of these signals; 0: none came in that time. */
static int wait_for_signal(const sigset_t *set, nsec span)
{
	const struct timespec t = { .tv_sec = span / NSEC_PER_SEC,
				    .tv_nsec = span % NSEC_PER_SEC };
	int number = sigtimedwait(set, NULL, &t);

	return number > 0 ? number : 0;
}

static bool has_ended(pid_t child, int *status)
{
	return waitpid(child, status, WNOHANG) == child;
}

/* Report once for each time that the child is with a store too long. Returns
 * when to look again. */
static nsec report_silence(const struct errand *errand, int64_t *reported)
{
	int64_t since = atomic_load(&shared->busy_since);
	nsec spent = since ? boot_now().ns - since : 0;

	if (since == 0 || since == *reported)
		return patience;
	if (spent < patience)
		return patience - spent;
	*reported = since;
	if (!errand->quiet)
		say("waiting for %.400s, which has not answered for %d s",
		    errand->place, (int)(patience / NSEC_PER_SEC));
	return patience;
}

/*
 * We were asked to end. The child has the terminal without echo only while it
 * asks, and then it obeys; else it may hang, and is left to the kernel.
 */
static void abandon(pid_t child, int number)
{
	struct boot until = boot_add(boot_now(), asking_patience);
	sigset_t only;
	int status;

	(void)kill(child, number);
	(void)sigemptyset(&only);
	(void)sigaddset(&only, SIGCHLD);
	while (atomic_load(&shared->busy_since) == 0 &&
	       !has_ended(child, &status) && !boot_reached(boot_now(), until))
		(void)wait_for_signal(&only, boot_until(boot_now(), until));
	(void)kill(child, SIGKILL);
	exit_by(number);
}

/* As if we had done the work. */
static int pass_on(const struct errand *errand, int status)
{
	int number;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	number = WTERMSIG(status);
	if (number == SIGPIPE)
		exit_by(number);
	for (size_t i = 0; i < OBEYED; i++) {
		if (number == obeyed[i])
			exit_by(number);
	}
	say("the process that worked on %.400s was killed by SIG%s",
	    errand->place, sigabbrev_np(number) ? sigabbrev_np(number) : "?");
	return exit_failed();
}

static int be_parent(const struct errand *errand, pid_t child, const sigset_t *set)
{
	int64_t reported = 0;
	nsec span = patience;
	int status = 0;

	while (!has_ended(child, &status)) {
		int number = wait_for_signal(set, span);

		if (number > 0 && number != SIGCHLD)
			abandon(child, number);
		span = report_silence(errand, &reported);
	}
	return status;
}

int errand_run(const struct errand *errand, bool *elsewhere)
{
	pid_t parent = getpid(), child;
	sigset_t set, before;
	int status;

	*elsewhere = false;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		struct err e;

		(void)err_sys(&e, RC_FAILED, errno, "memory to share");
		say_err(&e);
		return exit_failed();
	}
	/* A caller that ignores it would have us never know of an end. */
	(void)signal(SIGCHLD, SIG_DFL);
	signals_of(&set);
	(void)pthread_sigmask(SIG_BLOCK, &set, &before);
	(void)fflush(NULL);
	child = fork();
	if (child == 0)
		be_child(errand, parent, &before);
	if (child < 0) {
		struct err e;

		(void)err_sys(&e, RC_FAILED, errno, "a process");
		say_err(&e);
		return exit_failed();
	}
	status = be_parent(errand, child, &set);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	*elsewhere = atomic_load(&shared->elsewhere);
	(void)munmap(shared, sizeof(*shared));
	return *elsewhere ? 0 : pass_on(errand, status);
}
