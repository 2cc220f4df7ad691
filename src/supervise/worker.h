/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one thread that may block in lock I/O, and its mailbox: one job at a
 * time, in and out by value. It never prints, never touches the command,
 * never ends the program; the keeper ends by _exit, so a worker that hangs
 * for ever holds nothing up.
 *
 * All functions are for the keeper's main thread.
 */
#ifndef SUPERVISE_WORKER_H
#define SUPERVISE_WORKER_H

#include <pthread.h>

#include "supervise/policy.h"

struct work {
	enum job job;
	struct boot give_up;
	nsec patience; /* of a wait */
	nsec leash;    /* of the try that follows a wait at once */
};

struct answer {
	enum job job;
	enum rc rc;
	struct boot begun; /* before the call was entered */
	struct lock_term term;
	struct lock_info mine;   /* acquire: RC_OK */
	struct lock_info holder; /* acquire: RC_BUSY */
	struct err err;
};

/*
 * Do it in the calling thread. A wait that came back with RC_OK goes on to
 * acquire, so that a hand-over costs no turn of the keeper's loop.
 */
void work_perform(struct lock *lock, const struct work *work, int cancel_fd,
		  struct answer *answer);

struct worker {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t posted;
	struct lock *lock;
	int ready_fd;  /* readable: take the answer */
	int cancel_fd; /* readable: the job should come back */
	bool started;
	/* Main thread only: between post and take, watch and watched. */
	bool busy, watching;
	bool cancelled;
	/* Below: under mutex. */
	bool has_work, has_answer;
	bool wants_watch, has_watch;
	struct work work;
	struct answer answer;
	int loss_fd;
};

/* RC_RETRY: no thread or descriptor to be had now. */
enum rc worker_start(struct worker *w, struct lock *lock, struct err *e);

/* Only while it is not busy. */
void worker_post(struct worker *w, const struct work *work);

/*
 * Ask the running job to come back: its cancel_fd becomes readable, and a
 * system call that blocks is interrupted (EINTR). One that is about to be
 * entered misses the latter: call again a little later.
 */
void worker_cancel(struct worker *w);

/* After ready_fd became readable: empty it, then take what is there. */
void worker_look(struct worker *w);
bool worker_take(struct worker *w, struct answer *answer);

/*
 * Ask the lock for its loss_fd, between two jobs; it touches the store, so it
 * may block as well. worker_watched gives it, once; -1: none.
 */
void worker_watch(struct worker *w);
bool worker_watched(struct worker *w, int *loss_fd);

#endif
