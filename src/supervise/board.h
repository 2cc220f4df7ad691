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

#include "supervise/supervise.h"
#include "supervise/witness.h"

struct board {
	/* By the keeper. */
	_Atomic int64_t guard; /* struct boot: past it the front ends it all */
	_Atomic bool went;     /* the command may run */
	_Atomic bool ended;    /* the command, though not all it started */
	_Atomic bool settled;  /* nothing of it runs any more; outcome holds */
	_Atomic bool absorbed; /* in a release: the keeper's loop stands */
	_Atomic bool done;     /* nothing is left to do */
	_Atomic bool lost;     /* the lock was lost, or ran out */
	struct outcome outcome;
	char id[64 + 72];    /* "REPOLOCK_HELD_ID=..." */
	char fence[64 + 24]; /* likewise; "" is left out */

	/* By the gate: why it could not execute the command. */
	_Atomic int exec_errno;

	/* By the front: when it last got each signal (struct boot). */
	_Atomic int64_t got[WITNESS_SIGNALS];

	/* By the witness: how often it got each. */
	_Atomic unsigned saw[WITNESS_SIGNALS];
};

/* What goes over the socket between front and keeper, one packet each. */
enum message_kind {
	MESSAGE_HELD = 'H',    /* to the front: pid of the command; with
	                          descriptors: its pidfd, kernel lock */
	MESSAGE_GUARD = 'G',   /* to the front: board.guard came nearer */
	MESSAGE_STOPPED = 'S', /* to the front: by which signal */
	MESSAGE_DONE = 'D',    /* to the front */
	MESSAGE_SIGNAL = 'W',  /* to the keeper: end, or withdraw, by it */
	MESSAGE_RELAY = 'R'    /* to the keeper: one for the command alone */
};

struct message {
	enum message_kind kind;
	int value;
	bool fds[2]; /* which of the two are there */
};

#endif
