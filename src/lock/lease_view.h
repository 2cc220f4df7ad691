/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One listing of a lease, parsed, and the questions that are asked of it.
 * Pure. A view is a moment that has passed: what it shows may be gone.
 */
#ifndef LOCK_LEASE_VIEW_H
#define LOCK_LEASE_VIEW_H

#include "lock/lease_name.h"

enum { LEASE_VIEW_FEW = 12 };

struct lease_view {
	struct lease_name *names; /* few, or malloc'ed when there are more */
	size_t count;
	size_t room;
	bool overflow;       /* memory ran out: the view is not to be used */
	uint64_t top_fence;  /* highest on anything that bears one; 0: none */
	uint64_t top_ticket; /* highest of the places; 0: none */
	struct lease_name few[LEASE_VIEW_FEW]; /* uncontended: no malloc */
};

void lease_view_init(struct lease_view *view);
void lease_view_release(struct lease_view *view);
void lease_view_reset(struct lease_view *view); /* empty, memory kept */

/* Names that are none of ours are skipped. */
void lease_view_add(struct lease_view *view, const char *text);

/* A name of ours that bears no file: shown to people, and never found by what
 * is asked below. */
void lease_view_add_foreign(struct lease_view *view, const char *text,
			    bool directory);

/* NULL: not in the listing. */
const struct lease_name *lease_view_find(const struct lease_view *view,
					 enum lease_kind kind, const char *uuid);

/* Is the claim void, since it bears a tombstone? */
bool lease_view_void(const struct lease_view *view, const char *uuid);

/*
 * Where a claim stands among the claims that conflict with it. Of several
 * that are making sure at once exactly one keeps its claim: an exclusive one
 * before shared ones, the highest fence of those (a lower one has to come
 * back with a higher one anyway), the lowest uuid of equal ones.
 */
bool lease_outranks(const struct lease_name *a, const struct lease_name *b);

/*
 * Must a claim come back with a higher fence? An exclusive claim has one
 * above it, or something that may have been held has one that is not below
 * it: a tombstone, or a claim proved stale. Equal fences of live claims are
 * told apart by lease_outranks: the one that withdraws has held nothing, so
 * the token is given out once.
 */
bool lease_view_surpassed(const struct lease_view *view,
			  const struct lease_name *mine);

/* Is this a place ahead of mine that conflicts with my mode, and is not passed
 * over? Where I have none yet (mine NULL) all are ahead. */
bool lease_is_ahead(const struct lease_name *name,
		    const struct lease_name *mine, enum lock_mode mode);

/*
 * The nearest place ahead of mine that conflicts with my mode; of all places
 * where I have none yet (mine NULL). NULL: I am at the head of the queue.
 */
const struct lease_name *lease_view_ahead(const struct lease_view *view,
					  const struct lease_name *mine,
					  enum lock_mode mode);

/* The first place of the queue that is not passed over. NULL: there is none. */
struct lease_name *lease_view_first(const struct lease_view *view);

#endif
