/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One lock of one protocol at one place.
 *
 * Calling sequence: lock_open (checks the wishes, opens the store, creates
 * nothing in the location) - then either acquire/wait until RC_OK, refresh
 * as often as the term says, release - or list, remove - then lock_close.
 *
 * A protocol never sees a deadline: it returns a *term*, spans counted from
 * the moment the call was entered. The caller stamps that moment before the
 * call, and adds (supervise/policy.c). So no protocol touches the deadline
 * clock, and a slow answer can only make a term shorter.
 *
 * Threads: one at a time for one struct lock, any thread (opened by one, used
 * by the worker from then on). Every operation may block.
 */
#ifndef LOCK_LOCK_H
#define LOCK_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/call.h"
#include "util/location.h"
#include "util/program.h"
#include "util/self.h"

enum lock_mode { LOCK_EXCLUSIVE, LOCK_SHARED };

enum lock_state {
	LOCK_HELD,
	LOCK_WAITING,   /* a place in a queue, or draining */
	LOCK_STALE,     /* proved so, by the protocol's rule made stricter */
	LOCK_UNREADABLE /* respected, whatever it is */
};

/* What is known of the process that holds a lock. */
enum lock_alive {
	LOCK_ALIVE_UNKNOWN, /* not for us to say: other host, other namespace */
	LOCK_ALIVE_YES,
	LOCK_ALIVE_NO /* proved gone on this very host */
};

/* What is cleared of stale locks while acquiring. */
enum lock_break { LOCK_BREAK_SAFE, LOCK_BREAK_ALL, LOCK_BREAK_NONE };

/* How long an acquire or refresh is good for, from when it was entered. */
struct lock_term {
	nsec valid;      /* others are kept out so long; NSEC_FOREVER: they are
	                    kept out until the lock is removed */
	nsec refresh_in; /* refresh after so long; NSEC_FOREVER: never */
	nsec margin;     /* taken off `valid` for clock rates and killing */
};

/* Where a holder's pid is counted. The same number is another process in
 * another pid namespace, as that of a container, and on another host. */
enum lock_pid {
	LOCK_PID_UNTOLD, /* the format does not tell */
	LOCK_PID_HERE,   /* this boot of this host, our pid namespace */
	LOCK_PID_ELSEWHERE
};

/* One lock, by value. Strings are as found: foreign input, to be shown only
 * through text_printable. Empty or 0: unknown. */
struct lock_info {
	char protocol[12]; /* "lease", "flock", "restic", "borg1", "borg2" */
	char id[72];       /* what `unlock` takes a prefix of */
	char token[40];    /* stays while held, where a refresh changes the id;
	                      "" where the id itself stays */
	char name[68];     /* --name of a lease */
	enum lock_mode mode;
	enum lock_state state;
	enum lock_alive alive;
	char user[64];
	char host[256];
	pid_t pid;
	bool kernel; /* it has a kernel lock: see owner */
	pid_t owner; /* whom the kernel names for that, if the wish was
	                   `owners`; 0: none that can be seen from here */
	enum lock_pid counted; /* where pid is */
	char command[64];      /* its name only, never arguments */
	char reason[160];
	uint64_t fence;
	struct wall since;     /* acquired, by the holder's clock */
	struct wall refreshed; /* by the holder's or the store's clock */
	struct wall expires;   /* likewise; 0: never, or not known */
	nsec skew;    /* holder's clock minus the store's; 0: unknown or none */
	nsec sure_in; /* when it will be known whether it is stale; 0: no such */
	unsigned unjudged; /* more in the way than can be looked at */
	char detail[160]; /* why stale or unreadable, or other word for people */
};

/* What the user wants. All pointers are lent until lock_close. */
struct lock_wish {
	const struct location *location;
	const char *name; /* --name, "default" unless given */
	bool name_given;  /* an error for protocols without names */
	enum lock_mode mode;
	nsec ttl;  /* 0: the protocol's default */
	bool wait; /* false (-n): never queue, may overtake */
	enum lock_break clear;
	bool listing;        /* for list and remove only: shared/exclusive,
	                             ttl and the like do not matter */
	bool owners;         /* for list: ask the kernel who has its locks */
	const char *reason;  /* may be NULL */
	const char *command; /* basename of COMMAND; NULL when listing */
	const struct self *self;
	bool no_password; /* --insecure-no-password (restic) */
	/* Ask on the terminal for a secret; false: no terminal, or given up.
	 * NULL: never ask. Called from lock_open only. */
	bool (*ask)(const char *prompt, char *answer, size_t size);
	/* Told around what may take a person's time other than ask: a program
	 * that gives the secret. May be NULL; from lock_open only. */
	void (*aside)(bool begins);
	/* How to start such a program. NULL: as a child of ours. */
	program_start_fn *start;
};

struct lock_remove {
	const char *id;   /* exactly this one, as list told it */
	const char *name; /* the name list told with it; NULL: not known */
	bool force;       /* also one that is not proved stale */
	bool dry_run;     /* judge only */
};

/* See lock_ops.loss_fd: a loss is noticed within 100 ms nevertheless. */
#define LOCK_LOSS_AFTER (50 * NSEC_PER_MSEC)

struct lock;
typedef bool lock_seen(void *context, const struct lock_info *info);

struct lock_ops {
	const char *name;    /* the protocol's word */
	const char *summary; /* one line for `--help` and errors */
	bool shared;         /* has a shared mode */
	bool named;          /* --name means something */
	nsec ttl_default, ttl_min, ttl_max; /* equal: fixed, --ttl is an error */

	enum rc (*open)(struct lock **lock, const struct lock_wish *wish,
			const struct call *call, struct err *e);
	void (*close)(struct lock *lock); /* wipes secrets; no store traffic */

	/*
	 * One try. RC_OK: *term holds, *mine describes the lock.
	 * RC_BUSY: *holder is one of those in the way; what may stay behind is
	 * a place in a queue or a claim that drains, which the next acquire
	 * goes on with and release removes. RC_RETRY: nothing stays behind.
	 * Any other: likewise call release before giving up.
	 * An RC_OK that comes later than term.valid - term.margin after the
	 * call was entered is none: the caller releases.
	 */
	enum rc (*acquire)(struct lock *lock, struct lock_term *term,
			   struct lock_info *mine, struct lock_info *holder,
			   const struct call *call, struct err *e);
	/* After RC_BUSY: block until another try may succeed or `patience` is
	 * over. NULL: the caller paces the tries by itself. */
	enum rc (*wait)(struct lock *lock, nsec patience,
			const struct call *call, struct err *e);
	/* RC_OK with a new term, or RC_LOST, which is final, or anything else,
	 * which leaves the old term standing. */
	enum rc (*refresh)(struct lock *lock, struct lock_term *term,
			   const struct call *call, struct err *e);
	/* Remove every trace of ours, whatever acquire and refresh came back
	 * with; repeatable until RC_OK. RC_LOST: it had been taken from us. */
	enum rc (*release)(struct lock *lock, const struct call *call,
			   struct err *e);

	/* Optional. After acquire: a descriptor that becomes readable when the
	 * lock may have been lost, lent until close; the caller then calls
	 * refresh at once (which empties it). -1: none. Ask for it when the
	 * command has run for LOCK_LOSS_AFTER, not before: it costs some 16 ms
	 * to be closed again, which a short command need not pay. If the lock
	 * went before it was asked for, it is readable from the start. */
	int (*loss_fd)(struct lock *lock);
	/* Optional. After acquire: the open description whose kernel lock the
	 * front must share, so that it ends only when both are done with it;
	 * lent until close. -1: none. */
	int (*kernel_lock_fd)(struct lock *lock);

	/* Optional. Fill in what acquire's RC_BUSY left empty of its holder
	 * because it must be read and parsed: user, host, pid, command, reason,
	 * since. Call it only when somebody will be told. RC_ABSENT: gone. */
	enum rc (*describe)(struct lock *lock, struct lock_info *info,
			    const struct call *call, struct err *e);

	/* Optional. Whether open may call wish->start. */
	bool (*starts_programs)(const struct lock_wish *wish);

	/* Changes nothing. Order: holders first, then waiting. */
	enum rc (*list)(struct lock *lock, lock_seen *seen, void *context,
			const struct call *call, struct err *e);
	/* Remove somebody's lock: exactly the one judged. RC_OK: gone (or
	 * would be); RC_BUSY: alive, stays, e says why; RC_ABSENT: no such. */
	enum rc (*remove)(struct lock *lock, const struct lock_remove *what,
			  struct lock_info *info, const struct call *call,
			  struct err *e);
};

struct lock {
	const struct lock_ops *ops; /* first member of every protocol's struct */
	/* After acquire: what the user should hear although the lock is held,
	 * as of clocks that differ; lent until close. NULL: nothing. */
	const char *warning;
	/* After acquire: a file system of this very host is all that is behind
	 * it, so that loss_fd is had without waiting for anybody. */
	bool at_hand;
};

/*
 * Find the protocol for the location's scheme, check the wishes against what
 * it can (unknown scheme, --name or --ttl or shared where they mean nothing,
 * TTL out of bounds: RC_UNSUPPORTED or RC_MALFORMED with the sentence), open
 * it. Nothing is created in the location; what is missing is named.
 * *lock is the caller's, to be closed by lock_close.
 */
enum rc lock_open(struct lock **lock, const struct lock_wish *wish,
		  const struct call *call, struct err *e);
void lock_close(struct lock *lock); /* accepts NULL */

/* Whether lock_open may start a program, by wish->start. Looks at no store. */
bool lock_starts_programs(const struct lock_wish *wish);

/* The margin of a term, as safety.md has it: max(1 s, valid / 20), never more
 * than valid / 4. For protocols to fill lock_term.margin with. */
nsec lock_margin(nsec valid);

/* For sentences: "exclusive", "shared"; "held", "waiting", ... */
const char *lock_mode_word(enum lock_mode mode);
const char *lock_state_word(enum lock_state state);

#endif
