/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock of borg 2 in three files: borg2.c is its life, borg2_look.c reads
 * and judges what is in locks/, borg2_admin.c lists and removes.
 */
#ifndef LOCK_BORG2_H
#define LOCK_BORG2_H

#include "lock/borg.h"

#define LOCKS "locks/"

/* borg 2's own: after so long without a new object others clear it away. */
#define BORG2_STALE (30 * 60 * NSEC_PER_SEC)
/* An object is some 130 bytes; whatever is beyond this is none. */
#define BORG2_OBJECT_MAX ((size_t)64 << 10)

enum { BORG2_NAME_ROOM = 96, BORG2_STRAYS_MAX = 8 };

struct borg2_object {
	char name[BORG2_NAME_ROOM];
	struct store_tag tag;
	bool readable;
	struct borg2_record record; /* where readable */
	char why[120];              /* where not */
	bool outdated; /* the same holder has a newer one; borg2_admin.c */
};

struct borg2_objects {
	struct borg2_object *at;
	size_t count, room;
};

/* One that we wrote. */
struct borg2_own_object {
	char name[BORG2_NAME_ROOM]; /* "": none */
	struct boot sent;           /* just before it was written */
	struct wall time;           /* what it says */
};

/* What the store's clock showed once. */
struct borg2_reading {
	struct wall store;
	struct boot at; /* 0: never read */
};

struct borg2_lock {
	struct lock base; /* first: borg2_of depends on it */
	struct store *store;
	struct borg_host host;
	struct borg_owner own;
	char user[64];
	enum lock_mode mode;
	enum lock_break clear;
	bool wait;
	struct borg2_pace pace;
	struct borg2_reading clock;

	struct borg2_own_object current;
	struct borg2_own_object former; /* still there beside current */
	struct boot former_until;       /* to be deleted then */
	/* Written or not, nobody knows: to be deleted. */
	char strays[BORG2_STRAYS_MAX][BORG2_NAME_ROOM];
	bool held;
	bool leaving; /* a release was tried: what is gone may be its doing */

	char obstacle[BORG2_NAME_ROOM]; /* what acquire met last; "": none */
	bool backed_off;
	bool watching;
	int alarm_fd; /* -1, or readable: gone before it was watched */

	struct liveness_inside inside; /* host.inside */
	struct borg2_objects survey;   /* the administrator's last, */
	struct boot surveyed;          /* made then; 0: never */
};

/* What is in the way of our lock. */
struct borg2_view {
	bool own;    /* our current object is listed */
	bool lowest; /* its name is below those of all other exclusive ones */
	bool exclusive; /* somebody else's is there, or what may be one */
	bool shared;
	struct lock_info holder; /* one of those, an exclusive one first */
};

/*
 * Everything in locks/. What cannot be read and is young may
 * be half written: asked again for a while. Somebody who writes a new object and deletes the old
 * one between our listing and our loading would be missed: listed again,
 * until all that was listed could be loaded.
 */
enum rc borg2_objects_list(struct borg2_lock *l, struct borg2_objects *all,
			   const struct call *call, struct err *e);
void borg2_objects_release(struct borg2_objects *all);

/* Is this name that of an object we wrote, or may have written? */
bool borg2_is_own(const struct borg2_lock *l, const char *name);
/* Its name, or what stands for one that is too long. */
enum rc borg2_object_id(char *id, size_t size, const struct borg2_object *o,
			struct err *e);
/* What is known of one, and whether it is stale. */
enum rc borg2_describe(const struct borg2_lock *l, const struct borg2_object *o,
		       struct lock_info *info, struct err *e);
/* List, judge, clear away what is stale and may be cleared, and see what is
 * in the way. */
enum rc borg2_look(struct borg2_lock *l, struct borg2_view *v,
		   const struct call *call, struct err *e);

/* The store's clock was seen to show this now. */
void borg2_read_clock(struct borg2_lock *l, struct wall store);
/* Would it help to know what the store's clock shows? */
bool borg2_wants_clock(const struct borg2_lock *l,
		       const struct borg2_objects *all);
/* Write a file that borg 2 does not see, just to learn its time. */
void borg2_ask_clock(struct borg2_lock *l, const struct call *call);

/* "locks/NAME" */
void borg2_full_name(char *out, size_t size, const char *name);
enum rc borg2_del_object(struct borg2_lock *l, const char *name,
			 const struct call *call, struct err *e);

/* --- the administrator's part --- */

enum rc borg2_list(struct lock *lock, lock_seen *seen, void *context,
		   const struct call *call, struct err *e);
enum rc borg2_remove(struct lock *lock, const struct lock_remove *what,
		     struct lock_info *info, const struct call *call,
		     struct err *e);

struct borg2_lock *borg2_of(struct lock *lock);

#endif
