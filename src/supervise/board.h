/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One page that front, keeper and the command's gate share: what the keeper
 * posts and the front must be able to read when the keeper is dead, stopped
 * or hanging. Posting costs no system call and wakes nobody.
 *
 * Every member is written by one side only. Plain members are written before
 * the atomic one that says that they are there.
 */
#ifndef SUPERVISE_BOARD_H
#define SUPERVISE_BOARD_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

#include "supervise/supervise.h"
#include "supervise/witness.h"

struct board {
	/* By the keeper. */
	_Atomic int64_t guard;  /* struct boot: past it the front ends it all */
	_Atomic bool went;      /* the command may run */
	_Atomic bool ended;     /* the command, though not all it started */
	_Atomic bool settled;   /* nothing of it runs any more; outcome holds */
	_Atomic bool absorbed;  /* in a release: the keeper's loop stands */
	_Atomic bool done;      /* nothing is left to do */
	_Atomic bool lost;      /* the lock was lost, or ran out */
	_Atomic bool lost_told; /* and its line was printed */
	_Atomic bool stuck;     /* with `done`: its end may take for ever */
	_Atomic int stopped; /* COMMAND, by this signal; the front takes it */
	struct outcome outcome;
	char id[64 + 72];    /* "REPOLOCK_HELD_ID=..." */
	char fence[64 + 24]; /* likewise; "" is left out */

	/* When it last got each signal (struct boot): in a group of its own, it
	 * gets what was sent to every process. */
	_Atomic int64_t kept[WITNESS_SIGNALS];

	/* By the gate: why it could not execute the command. */
	_Atomic int exec_errno;

	/* By the front: when it last got each signal (struct boot). */
	_Atomic int64_t got[WITNESS_SIGNALS];
	/* By the front, one bit for each signal; the keeper takes them. */
	_Atomic uint64_t asked;            /* end, or withdraw, by it */
	_Atomic uint64_t relayed;          /* for the command alone */
	_Atomic uint64_t relayed_to_group; /* for the one that it leads */

	/* Each side's, set by who wakes it, cleared by it before it looks. */
	_Atomic bool front_woken, keeper_woken;

	/* By the witness: how often it got each. */
	_Atomic unsigned saw[WITNESS_SIGNALS];
};

/*
 * What goes over the socket between front and keeper, one packet each. Who
 * reads may be stopped, and who sends must not wait for that: everything is
 * said on the board, where it cannot get lost, and a packet only wakes. Of
 * those one at a time is in the queue, so there is room for the lock.
 */
enum message_kind {
	MESSAGE_HELD = 'H', /* to the front: pid of the command; with
	                       descriptors: its pidfd, kernel lock */
	MESSAGE_LOOK = 'L'  /* look at the board */
};

struct message {
	enum message_kind kind;
	int value;
	bool fds[2]; /* which of the two are there */
};

/* Wake the other side, never waiting for it. */
static inline void board_wake(_Atomic bool *woken, int sock)
{
	struct message message = { .kind = MESSAGE_LOOK };

	if (!atomic_exchange(woken, true) &&
	    send(sock, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		atomic_store(woken, false);
}

/* Signals in a set, as a bit each. */
static inline uint64_t board_bit(int sig)
{
	return (uint64_t)1 << (sig - 1);
}

#endif
