/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/turn.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

/* One that is about to enter the call is interrupted once it is in it. */
enum { KICK_AGAIN_MSEC = 1 };

enum { LEASH_STACK = 64 * 1024 };

static int kick_signal(void)
{
	return SIGRTMIN + 2;
}

static void kicked(int sig)
{
	(void)sig; /* being there is enough: the system call ends */
}

void turn_init(struct turn *turn)
{
	*turn = (struct turn){ .ended_fd = -1 };
}

static void join(struct turn *turn)
{
	eventfd_t count;

	if (!turn->running)
		return;
	(void)eventfd_write(turn->ended_fd, 1);
	(void)pthread_join(turn->leash, NULL);
	(void)eventfd_read(turn->ended_fd, &count);
	turn->running = false;
}

void turn_release(struct turn *turn)
{
	join(turn);
	if (turn->ended_fd >= 0)
		(void)close(turn->ended_fd);
	turn_init(turn);
}

static void *hold_leash(void *context)
{
	struct turn *turn = context;
	struct pollfd ended = { .fd = turn->ended_fd, .events = POLLIN };
	struct err unsaid;

	/* Pulled, or nothing to do any more. */
	(void)call_wait(&turn->call, turn->ended_fd, turn->span, &unsaid);
	while (!atomic_load(&turn->ended)) {
		(void)pthread_kill(turn->waiter, kick_signal());
		(void)poll(&ended, 1, KICK_AGAIN_MSEC);
	}
	return NULL;
}

/* No signal but those for the whole process' other threads. */
static int create_leash(struct turn *turn)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int failed;

	failed = pthread_attr_init(&attr);
	if (failed != 0)
		return failed;
	(void)pthread_attr_setstacksize(&attr, LEASH_STACK);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&turn->leash, &attr, hold_leash, turn);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return failed;
}

static enum rc start_leash(struct turn *turn, const struct call *call,
			   nsec span, struct err *e)
{
	/* Without SA_RESTART, which would go back into the call. */
	const struct sigaction kick = { .sa_handler = kicked };
	int failed = 0;

	join(turn);
	if (turn->ended_fd < 0)
		turn->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	atomic_store(&turn->ended, false);
	turn->waiter = pthread_self();
	turn->call = *call;
	turn->span = span;
	if (turn->ended_fd < 0 || sigaction(kick_signal(), &kick, NULL) < 0)
		failed = errno;
	else
		failed = create_leash(turn);
	turn->running = failed == 0;
	return failed == 0 ? RC_OK
			   : err_sys(e, RC_UNSUPPORTED, failed,
				     "a thread to wait with");
}

static enum rc take(int fd, int operation, struct boot until,
		    const struct call *call, struct err *e)
{
	for (;;) {
		enum rc rc = call_check(call, e);

		if (rc != RC_OK)
			return rc;
		if (boot_reached(boot_now(), until))
			return err_set(e, RC_BUSY, "locked all the time");
		if (flock(fd, operation) == 0)
			return RC_OK;
		if (errno != EINTR)
			return err_sys(e, RC_UNSUPPORTED, errno, "flock");
	}
}

enum rc turn_take(struct turn *turn, int fd, int operation, nsec span,
		  const struct call *call, struct err *e)
{
	struct boot until = boot_add(boot_now(), span);
	sigset_t kick, before;
	enum rc rc;

	rc = start_leash(turn, call, span, e);
	if (rc != RC_OK)
		return rc;
	(void)sigemptyset(&kick);
	(void)sigaddset(&kick, kick_signal());
	(void)pthread_sigmask(SIG_UNBLOCK, &kick, &before);
	rc = take(fd, operation, until, call, e);
	atomic_store(&turn->ended, true);
	/* Whoever got the lock is in a hurry: the leash is not even woken, and
	 * joined later. */
	if (rc != RC_OK)
		join(turn);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}
