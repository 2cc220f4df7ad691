/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One command under one lock: what with_lock.c calls. Starts front, keeper
 * and command in the right order (safety.md, "Three processes"), and returns
 * in the front when everything has ended.
 */
#ifndef SUPERVISE_SUPERVISE_H
#define SUPERVISE_SUPERVISE_H

#include "lock/lock.h"

enum supervise_descendants {
	DESCENDANTS_WAIT,
	DESCENDANTS_KILL,
	DESCENDANTS_LEAVE
};

enum supervise_on_lost { ON_LOST_TERM, ON_LOST_KILL };

/* What is told while it goes on; each in the process where it is known. */
enum notice_kind {
	NOTICE_WAITING,     /* holder, waited so far; first one at once, later
	                       ones at `told` steps or when the holder changed */
	NOTICE_ACQUIRED,    /* mine, waited */
	NOTICE_STARTED,     /* pid of COMMAND */
	NOTICE_REFRESHED,   /* term again */
	NOTICE_IN_DOUBT,    /* a refresh failed: text why, left until term_at */
	NOTICE_LOST,        /* text why */
	NOTICE_SIGNALLED,   /* the command's processes were sent `signal` */
	NOTICE_DESCENDANT,  /* pid, text = its name: still runs / was ended */
	NOTICE_CANNOT_KILL, /* pid, text: may not be signalled */
	NOTICE_RELEASED,
	NOTICE_WARNING, /* text */
	NOTICE_ENDED    /* outcome: the last one, always told */
};

enum outcome_how {
	OUTCOME_EXITED,      /* status: COMMAND's own */
	OUTCOME_SIGNALLED,   /* status: the signal COMMAND died by */
	OUTCOME_LOST,        /* the lock was lost; COMMAND was ended */
	OUTCOME_BUSY,        /* the lock was not had in time */
	OUTCOME_MAX_HOLD,    /* --max-hold was over; COMMAND was ended */
	OUTCOME_FAILED,      /* repolock failed; text says why */
	OUTCOME_CANNOT_EXEC, /* 126 */
	OUTCOME_NOT_FOUND,   /* 127 */
	OUTCOME_INTERRUPTED  /* status: a signal that came while waiting */
};

struct outcome {
	enum outcome_how how;
	int status;
	struct err err; /* for FAILED, CANNOT_EXEC, NOT_FOUND, LOST, BUSY */
	struct lock_info holder; /* for BUSY: who was in the way; its id is
	                            empty where that is not known */
};

struct notice {
	enum notice_kind kind;
	struct wall when;
	const struct lock_info *lock; /* holder or mine; NULL where none */
	nsec waited;                  /* for WAITING and ACQUIRED */
	nsec left;                    /* for IN_DOUBT: until it counts as lost;
	                                 for WAITING: of --wait, or FOREVER */
	pid_t pid;
	int signal;
	const char *text;              /* may be NULL */
	const struct outcome *outcome; /* for ENDED */
	/* For WAITING: fill in what must be read and parsed of the holder.
	 * Costs a little, so call it only when somebody will be told. NULL:
	 * there is nothing more to be known. */
	void (*describe)(void *describer, struct lock_info *holder);
	void *describer;
};

struct plan {
	struct lock_wish wish;
	char *const *argv; /* COMMAND with its arguments */
	const char *path;  /* what to execute for argv[0], found on PATH */
	nsec wait;         /* NSEC_FOREVER; 0: do not wait */
	nsec max_hold;     /* NSEC_FOREVER: never */
	nsec grace;        /* between SIGTERM and SIGKILL */
	enum supervise_on_lost on_lost;
	enum supervise_descendants descendants;
	bool quiet_wait; /* no WAITING notices are wanted */
	/* 0: WAITING is told at once, when the holder changed, and at 5 s,
	 * 5 min, then hourly. Else also this often, for a line on a terminal
	 * that keeps up to date. */
	nsec tell_every;
	/* Environment of COMMAND beyond ours is set by supervise: the
	 * REPOLOCK_HELD_* variables of cli.md. */

	/* How long opening the lock may take, beside what people take to
	 * answer; 0: as long as --wait, from 30 s to two minutes. */
	nsec open_patience;

	/* In place of lock_open, in the keeper; NULL: lock_open. */
	enum rc (*open)(struct lock **lock, const struct lock_wish *wish,
			const struct call *call, struct err *e);

	/*
	 * Called in the keeper, and for ENDED and what the guard sees in the
	 * front. Must not block for long and must not fail; may write to
	 * stderr and to the --events descriptor. A kill is never later than
	 * the notice about it.
	 */
	void (*tell)(void *context, const struct notice *notice);
	void *context;
};

/*
 * Descriptors 0 to 2 must be open: main() fills what the caller left closed
 * with /dev/null and marks it close-on-exec, so that COMMAND, and whatever
 * else we execute, gets it closed again. Leave that mark alone.
 *
 * Run it. Returns once, in the front, after everything was settled and
 * released. Call it from a process with one thread. Signal dispositions and
 * mask of the caller are what COMMAND gets. On return all signals stay blocked:
 * the outcome was reported, and one that comes now must not make that untrue.
 * The caller exits, or dies by the outcome's signal alone.
 */
void supervise(const struct plan *plan, struct outcome *outcome);

#endif
