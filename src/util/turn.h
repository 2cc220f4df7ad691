/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for a kernel lock, flock(2), in the calling thread and on a leash.
 *
 * The kernel wakes waiters one by one and at once, after a release as after
 * a death, and has no limit such as inotify's on how many may wait. What it
 * lacks is a way out: a small second thread holds the leash meanwhile and
 * interrupts the call. On the way from a release to the caller there is no
 * other thread.
 *
 * The signal for it is SIGRTMIN + 2, which nothing else in the process may
 * use. One thread at a time for one struct turn.
 */
#ifndef UTIL_TURN_H
#define UTIL_TURN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "util/call.h"

struct turn {
	pthread_t leash;
	pthread_t waiter;
	bool running;      /* the leash's thread is to be joined */
	int ended_fd;      /* readable: the leash may go; -1: none yet */
	atomic_bool ended; /* the waiter waits no more */
	struct call call;
	nsec span;
};

void turn_init(struct turn *turn);
void turn_release(struct turn *turn); /* not while one waits */

/*
 * Take the lock of an open file: operation is LOCK_SH or LOCK_EX. RC_OK: had;
 * RC_BUSY: not within span; as call_check; RC_UNSUPPORTED: there can be no
 * second thread, or such a lock.
 */
enum rc turn_take(struct turn *turn, int fd, int operation, nsec span,
		  const struct call *call, struct err *e);

#endif
