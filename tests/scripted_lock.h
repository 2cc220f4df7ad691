/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock that answers as a test has written down, for testing those who use
 * locks. What happened to it is counted in memory that survives fork, since
 * the keeper is a process of its own.
 *
 *	static const struct scripted_step steps[] = {
 *		{ .op = SCRIPTED_REFRESH, .rc = RC_LOST },
 *	};
 *	scripted_begin(steps, 1);
 *	plan.open = scripted_open;
 *
 * Each call takes the first step of its operation that was not yet taken;
 * where there is none, it answers RC_OK with the usual term.
 */
#ifndef SCRIPTED_LOCK_H
#define SCRIPTED_LOCK_H

#include <stdatomic.h>
#include <stddef.h>

#include "lock/lock.h"

enum scripted_op {
	SCRIPTED_ACQUIRE,
	SCRIPTED_WAIT,
	SCRIPTED_REFRESH,
	SCRIPTED_RELEASE,
	SCRIPTED_OPS
};

enum scripted_how {
	SCRIPTED_PROMPT,
	SCRIPTED_OBEDIENT, /* takes `delay`, unless the leash ends it */
	SCRIPTED_DEAF,     /* takes `delay`, whatever the leash says */
	SCRIPTED_BLOCKING  /* blocks until a signal ends the system call */
};

struct scripted_step {
	enum scripted_op op;
	enum rc rc;
	enum scripted_how how;
	nsec delay;
	struct lock_term term; /* all 0: the usual */
	const char *text;      /* of the error */
	bool repeat;           /* from now on always */
};

/* Shared between processes. */
struct scripted_record {
	_Atomic int calls[SCRIPTED_OPS];
	_Atomic int inside; /* calls that run just now */
	_Atomic int crowds; /* times that there were two of them: none wanted */
	_Atomic int held;   /* since acquire and until release said RC_OK */
	_Atomic int64_t last_begun[SCRIPTED_OPS]; /* struct boot */
	_Atomic int taken[32];
};

struct scripted_setting {
	struct lock_term usual;
	bool no_wait;  /* ops->wait is NULL */
	int loss_fd;   /* -1: none */
	int kernel_fd; /* -1: none */
	enum rc open;  /* what opening says */
};

extern struct scripted_record *scripted;
extern struct scripted_setting scripted_setting;

/* Steps are lent until the next one. The term is 300 s unless changed. */
void scripted_begin(const struct scripted_step *steps, size_t n);

enum rc scripted_open(struct lock **lock, const struct lock_wish *wish,
		      const struct call *call, struct err *e);

#endif
