/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/third.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise/memory.h"
#include "supervise/tree.h"

/* One round of killing. */
static const nsec tree_patience = 500 * NSEC_PER_MSEC;
/* What has not died then will not soon (uninterruptible sleep). */
static const nsec kill_patience = 10 * NSEC_PER_SEC;
/* A deadline that has passed while COMMAND does not run yet, or any more. */
static const nsec look_again = 200 * NSEC_PER_MSEC;
/* What could not be looked at, or signalled, is not asked for in a loop. */
enum { BETWEEN_ROUNDS_MS = 5 };
/* For a keeper to die, and for a front to end by itself. */
enum { KEEPER_DIES_MS = 1000, FRONT_ENDS_MS = 3000 };

struct peer {
	struct process id;
	int fd; /* its pidfd; -1: it is gone */
};

struct third {
	const struct plan *plan;
	struct board *board;
	struct peer front, keeper;
	struct peer heir; /* who gets what a dead keeper leaves: front, reaper */
	struct process self;
	int timer;
};

static int pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void send_signal(const struct peer *peer, int sig)
{
	if (peer->fd >= 0)
		(void)syscall(SYS_pidfd_send_signal, peer->fd, sig, NULL, 0);
}

/* True: it is gone. */
static bool await_end(struct peer *peer, int msec)
{
	struct pollfd end = { .fd = peer->fd, .events = POLLIN };

	if (peer->fd >= 0 && poll(&end, 1, msec) > 0) {
		(void)close(peer->fd);
		peer->fd = -1;
	}
	return peer->fd < 0;
}

/* --- the end ----------------------------------------------------------- */

/* One round, below one of the two. True: as it seems, nobody is left there.
 * The keeper is older than this process, as a set has it. */
static bool kill_below(struct third *t, struct peer *peer)
{
	struct tree_set apart = { .few = { t->keeper.id, t->self }, .len = 2 };
	struct tree tree = { .root = peer->id.pid, .apart = &apart };
	struct tree_count count;

	if (await_end(peer, 0))
		return true;
	if (peer == &t->keeper)
		tree.apart = NULL;
	return tree_kill(&tree, tree_patience, NULL, NULL, &count) == RC_OK &&
	       count.left == TREE_LEFT_NONE;
}

/* What is handed up by a keeper that dies is found below its heir. */
static void kill_all(struct third *t)
{
	struct boot end = boot_add(boot_now(), kill_patience);

	for (;;) {
		bool none = kill_below(t, &t->keeper);

		if (kill_below(t, &t->heir) && none)
			return;
		if (boot_reached(boot_now(), end))
			return;
		(void)poll(NULL, 0, BETWEEN_ROUNDS_MS);
	}
}

static void tell(const struct third *t)
{
	struct notice lost = { .kind = NOTICE_LOST,
			       .when = wall_now(),
			       .text = "neither front nor keeper renewed it, "
				       "or ended COMMAND, in time" };
	struct notice killed = { .kind = NOTICE_SIGNALLED,
				 .when = wall_now(),
				 .signal = SIGKILL };

	if (atomic_exchange(&t->board->lost_told, true))
		return;
	t->plan->tell(t->plan->context, &lost);
	t->plan->tell(t->plan->context, &killed);
}

static void end_it_all(struct third *t)
{
	kill_all(t);
	send_signal(&t->keeper, SIGKILL);
	(void)await_end(&t->keeper, KEEPER_DIES_MS);
	kill_all(t);
	/* One that was only stopped reports the loss by itself, and ends us. */
	send_signal(&t->front, SIGCONT);
	if (!await_end(&t->front, FRONT_ENDS_MS))
		send_signal(&t->front, SIGKILL);
	tell(t);
}

/* --- until then -------------------------------------------------------- */

static void arm(const struct third *t, struct boot wake)
{
	struct itimerspec when = { 0 };

	if (wake.ns < NSEC_FOREVER) {
		when.it_value.tv_sec = wake.ns / NSEC_PER_SEC;
		when.it_value.tv_nsec = wake.ns % NSEC_PER_SEC + 1;
	}
	(void)timerfd_settime(t->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static struct boot deadline(const struct third *t)
{
	return (struct boot){ atomic_load(&t->board->guard) };
}

/* Something may run that the deadline is for. */
static bool guards(const struct third *t)
{
	return atomic_load(&t->board->went) && !atomic_load(&t->board->settled);
}

static void run(struct third *t)
{
	while (!await_end(&t->front, 0) || !await_end(&t->keeper, 0)) {
		struct pollfd fds[] = { { .fd = t->timer, .events = POLLIN },
					{ .fd = t->front.fd, .events = POLLIN },
					{ .fd = t->keeper.fd, .events = POLLIN } };
		struct boot wake = deadline(t);

		if (boot_reached(boot_now(), wake) && guards(t)) {
			end_it_all(t);
			return;
		}
		/* Once it is settled, their end is all that is waited for. */
		if (atomic_load(&t->board->settled))
			wake = BOOT_NEVER;
		else if (boot_reached(boot_now(), wake))
			wake = boot_add(boot_now(), look_again);
		arm(t, wake);
		(void)poll(fds, 3, -1);
	}
}

static _Noreturn void child(struct third *t, const struct third_start *start)
{
	t->self.pid = getpid();
	t->self.start = process_start(t->self.pid);
	(void)setsid();
	(void)prctl(PR_SET_NAME, "repolock-guard", 0, 0, 0);
	for (size_t i = 0; i < start->closes; i++)
		if (start->close[i] >= 0)
			(void)close(start->close[i]);
	t->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->timer >= 0) {
		memory_stay();
		run(t);
	}
	_exit(0);
}

static struct peer peer_of(pid_t pid)
{
	return (struct peer){ { .pid = pid, .start = process_start(pid) },
			      pidfd_of(pid) };
}

static void close_peer(const struct peer *peer)
{
	if (peer->fd >= 0)
		(void)close(peer->fd);
}

static bool is_known(const struct peer *peer)
{
	return peer->fd >= 0 && peer->id.start != 0;
}

pid_t third_start(const struct third_start *start)
{
	struct third t = {
		.plan = start->plan,
		.board = start->board,
		.front = peer_of(getpid()),
		.keeper = peer_of(start->keeper),
		.heir = peer_of(start->reaper ? start->reaper : getpid()),
	};
	pid_t pid = -1;

	if (is_known(&t.front) && is_known(&t.keeper) && is_known(&t.heir))
		pid = fork();
	if (pid == 0)
		child(&t, start);
	close_peer(&t.front);
	close_peer(&t.keeper);
	close_peer(&t.heir);
	return pid > 0 ? pid : 0;
}

void third_stop(pid_t pid)
{
	if (pid == 0)
		return;
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
