/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the lease share: the state of one lock, and the parts
 * that acquire, list and remove are made of. Nothing outside lock/lease*.c
 * includes this.
 */
#ifndef LOCK_LEASE_H
#define LOCK_LEASE_H

#include "lock/lease_looks.h"
#include "lock/lease_name.h"
#include "lock/lease_record.h"
#include "lock/lease_view.h"
#include "lock/lock.h"
#include "store/store.h"
#include "util/buf.h"

extern const struct lock_ops lock_lease;

/* The lease on a store of the caller's, whatever the location says; lock_close
 * closes the store. How open and the tests make one. */
enum rc lease_open_on(struct lock **lock, struct store *store,
		      const struct lock_wish *wish, struct err *e);

#define LEASE_TTL_MAX (24 * 3600 * NSEC_PER_SEC)

enum { LEASE_PREFIX_SIZE = 80, LEASE_PATH_SIZE = 160 };

/* How sure is it that an object of ours is in the store? */
enum lease_there {
	LEASE_GONE,    /* it is not, and what we sent cannot arrive any more */
	LEASE_MAYBE,   /* sent, no answer; or not deleted for certain */
	LEASE_WRITTEN, /* put and answered */
	LEASE_ENTERED, /* a claim that is held */
	LEASE_LEAVING, /* a claim whose release was sent */
	LEASE_TAKEN    /* a claim that was held, and was taken from us */
};

/* An object of ours. */
struct lease_own {
	enum lease_there there;
	struct lease_name name;
	/* Its description, where the store has any, so that no other object
	 * is ever written in its place; -1: none. Bears its kernel lock. */
	int fd;
	struct store_tag tag; /* of the last write, where there is no fd */
};

/* What wait is to watch. */
struct lease_ahead {
	bool known;
	struct lease_name name;
	bool kernel;       /* its end is seen at once: a lock was seen taken */
	bool woke;         /* it changed while it was waited for */
	bool went;         /* it was seen to be gone */
	unsigned rechecks; /* tests of its kernel lock since it changed */
	nsec sure_in;      /* when it may be proved stale; 0: no such time */
	nsec interval;     /* of polling */
};

/* What is remembered of a place ahead. */
struct lease_waiter {
	char uuid[LEASE_UUID_SIZE];
	bool passed;          /* counts as absent */
	bool listed;          /* in the last listing */
	struct boot free_at;  /* its lock was first seen free; 0: it was not */
	struct boot still_at; /* since when nothing held is in its way */
};

/* The queue as this waiter sees it. */
struct lease_queue {
	struct lease_waiter *waiters; /* sorted by uuid */
	size_t count;
	char first[LEASE_UUID_SIZE]; /* the first place, while nothing held
	                                keeps it from acting; "": no such */
	struct boot first_since;
	struct boot stalled;  /* since when nobody acts; 0: somebody does */
	struct boot judge_at; /* when more can be decided; 0: no such time */
	struct boot beat;     /* when our own place was last put */
};

struct lease {
	struct lock base; /* first: lease_of() depends on it */
	struct store *store;
	struct lock_wish wish;
	nsec ttl;
	char prefix[LEASE_PREFIX_SIZE]; /* ".repolock/NAME/" */

	struct lease_own claim;
	struct lease_own place;
	struct boot renewed; /* when the request was sent that last put or
	                        renewed the claim */
	struct wall since;
	uint64_t counter;
	bool no_kernel;  /* this store has no kernel locks for us */
	bool loss_asked; /* loss_fd watches the claim */
	int loss_fd;     /* of epoll, for the two that follow; -1: not asked */
	int alarm_fd;    /* where the claim cannot be watched, or is gone */

	struct lease_view view;
	char listed[LEASE_PREFIX_SIZE]; /* whose view is it? "": none */
	struct buf record;
	struct lease_looks looks;
	struct lease_ahead ahead;
	struct lease_queue queue;
	char warning[160];
	/* The next fence, where the last listing showed that only `ahead` is
	 * between us and the lock; 0: list first. */
	uint64_t next_fence;

	/* Every UUID that was ever put as a claim or place and is no longer
	 * ours: seen again, it is a late write. */
	char (*used)[LEASE_UUID_SIZE];
	size_t used_count;
};

struct lease *lease_of(struct lock *lock);

/* --- lease.c: objects of ours --- */

void lease_path(const struct lease *l, const struct lease_name *name,
		char out[LEASE_PATH_SIZE]);

/* List into l->view. A late write of our own is deleted and not shown. */
enum rc lease_look(struct lease *l, const struct call *call, struct err *e);

/* Is l->view the last listing of this very prefix? */
bool lease_was_listed(const struct lease *l);

/* Put an object of ours under a fresh UUID, with a kernel lock where there
 * are any. RC_UNKNOWN: own->there says so. */
enum rc lease_put_own(struct lease *l, struct lease_own *own,
		      const struct call *call, struct err *e);

/* Take back what was never held: delete it. */
enum rc lease_withdraw(struct lease *l, struct lease_own *own,
		       const struct call *call, struct err *e);

/* It is not in the store any more. */
void lease_forget_own(struct lease_own *own);

/* Renew the claim in place; RC_ABSENT: it is gone. */
enum rc lease_renew_claim(struct lease *l, const struct call *call,
			  struct err *e);

/* What is promised by the last renewal, counted from `entered`. */
void lease_fill_term(const struct lease *l, struct boot entered,
		     struct lock_term *term);

/* Delete an object; one that is not there is deleted. */
enum rc lease_delete(struct lease *l, const struct lease_name *name,
		     const struct call *call, struct err *e);

/*
 * The rule of release and breaking: a tombstone first, then the claim goes.
 * RC_ABSENT: there was no such claim, or its tombstone is there already.
 */
enum rc lease_bury(struct lease *l, const struct lease_name *claim,
		   const struct call *call, struct err *e);

/* --- lease_judge.c: who is stale, and how it is proved --- */

enum lease_fate {
	LEASE_LIVE,
	LEASE_STALE,
	LEASE_VANISHED /* gone since it was listed */
};

struct lease_verdict {
	enum lease_fate fate;
	enum lock_alive alive;
	bool kernel;   /* its kernel lock was seen taken */
	nsec sure_in;  /* 0: no such time */
	char why[160]; /* the proof */
};

/* Never fails: what cannot be proved is live. */
void lease_judge(struct lease *l, const struct lease_name *claim,
		 struct lease_verdict *verdict, const struct call *call);

/* A place has no TTL to be watched for, and no ".k": stale is proved by the
 * end of its processes alone. record NULL: it could not be read. */
void lease_judge_place(struct lease *l, const struct lease_name *place,
		       const struct lease_record *record,
		       struct lease_verdict *verdict, const struct call *call);

/* For how long an object has been watched and did not change. */
nsec lease_unchanged(struct lease *l, const struct lease_name *name,
		     const struct call *call);

/* Is the kernel lock of one of our objects seen free? */
enum store_probe lease_probe(struct lease *l, const struct lease_name *name,
			     bool *vanished, const struct call *call);

/* --- lease_queue.c: who goes first --- */

/* What is held that this waiter sees, beside its own claim. */
enum lease_held { LEASE_HELD_NOT, LEASE_HELD_SHARED, LEASE_HELD_EXCLUSIVE };

void lease_queue_reset(struct lease_queue *queue);

/* Mark the places of l->view that are passed over; forget those that went. */
void lease_queue_mark(struct lease *l);

/* A place of ours that is not listed was taken for that of a dead one. */
void lease_queue_notice_lost(struct lease *l);

/* Take a place behind all that are listed. */
enum rc lease_queue_enter(struct lease *l, const struct call *call,
			  struct err *e);

/* Show that we live, where nobody acts and our lock cannot be seen. Before a
 * listing: our place has another UUID from then on. */
void lease_queue_beat(struct lease *l, const struct call *call);

/* The one to wait for; NULL: none. And: is that so, and we have a place? */
const struct lease_name *lease_queue_ahead(const struct lease *l);
bool lease_queue_head(const struct lease *l);

/* Look after those ahead. True: some were passed over; list again. */
bool lease_queue_look(struct lease *l, enum lease_held held,
		      const struct call *call);

/* Nobody but the first in the queue is between us and the holders. */
bool lease_queue_behind_first(const struct lease *l);

/* Wait for this one. What is known of it is kept while it is the same one;
 * true: it is another. */
bool lease_set_ahead(struct lease *l, const struct lease_name *name);

/* --- lease_acquire.c --- */

enum rc lease_acquire(struct lock *lock, struct lock_term *term,
		      struct lock_info *mine, struct lock_info *holder,
		      const struct call *call, struct err *e);
enum rc lease_wait(struct lock *lock, nsec patience, const struct call *call,
		   struct err *e);

/* --- lease_admin.c --- */

/* What the name tells of a claim or place. */
void lease_tell(const struct lease *l, const struct lease_name *name,
		struct lock_info *info);

/* What an object's body says, which *info is told as well. */
enum rc lease_read_record(struct lease *l, const struct lease_name *name,
			  struct lease_record *record, struct lock_info *info,
			  const struct call *call, struct err *e);

enum rc lease_describe(struct lock *lock, struct lock_info *info,
		       const struct call *call, struct err *e);
enum rc lease_list(struct lock *lock, lock_seen *seen, void *context,
		   const struct call *call, struct err *e);
enum rc lease_remove(struct lock *lock, const struct lock_remove *what,
		     struct lock_info *info, const struct call *call,
		     struct err *e);

#endif
