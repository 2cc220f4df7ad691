/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue: who goes first. It is for fairness alone. Safety never depends
 * on it, so progress must not either: a place whose owner is dead, or does
 * not act when its turn comes, is passed over, which means that it counts as
 * absent for this waiter from then on. It is deleted as well where that is
 * permitted (in a sticky directory only its owner may); an owner that lives
 * after all finds its place gone, and takes a new one.
 *
 * Each waiter looks at the one directly ahead. Only if that one is not seen
 * to live does it judge the others ahead, all in one pass, up to the first
 * one that lives: that one looks after those ahead of it.
 */
#include <stdlib.h>
#include <string.h>

#include "lock/lease.h"

/* A place whose owner seems dead is looked at twice, that far apart. */
#define PLACE_LOOKS_APART (2 * NSEC_PER_SEC)
/* A place that has nothing in its way for so long does not act. */
#define PLACE_IDLE (15 * NSEC_PER_SEC)
/* Nor does one that is not the first, though its lock is taken: it may itself
 * be waiting until those ahead of it count as idle. */
#define PLACE_IDLE_BEHIND (60 * NSEC_PER_SEC)
/* Whoever cannot see our lock must see us act within PLACE_IDLE, and looks
 * every few seconds. */
#define BEAT_EVERY (4 * NSEC_PER_SEC)
/* So many places are judged in one pass; the next pass takes the next ones. */
enum { JUDGED_MOST = 1000 };

/* --- what is remembered of places --- */

/* Where the uuid is, or belongs: the table is sorted by it. */
static size_t find_index(const struct lease_queue *q, const char *uuid)
{
	size_t low = 0, high = q->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(q->waiters[middle].uuid, uuid) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct lease_waiter *find_waiter(const struct lease_queue *q,
					const char *uuid)
{
	size_t i = find_index(q, uuid);

	return i < q->count && strcmp(q->waiters[i].uuid, uuid) == 0
		       ? &q->waiters[i]
		       : NULL;
}

/* What is remembered of a place, from now on. NULL: no memory. */
static struct lease_waiter *waiter_of(struct lease_queue *q, const char *uuid)
{
	struct lease_waiter *known = find_waiter(q, uuid), *more;
	size_t i;

	if (known)
		return known;
	more = realloc(q->waiters, (q->count + 1) * sizeof(*more));
	if (!more)
		return NULL;
	q->waiters = more;
	i = find_index(q, uuid);
	memmove(more + i + 1, more + i, (q->count - i) * sizeof(*more));
	q->count++;
	more[i] = (struct lease_waiter){ .listed = true };
	memcpy(more[i].uuid, uuid, sizeof(more[i].uuid));
	return &more[i];
}

void lease_queue_reset(struct lease_queue *q)
{
	free(q->waiters);
	*q = (struct lease_queue){ 0 };
}

void lease_queue_mark(struct lease *l)
{
	struct lease_queue *q = &l->queue;
	size_t kept = 0;

	if (q->count == 0)
		return;
	for (size_t i = 0; i < q->count; i++)
		q->waiters[i].listed = false;
	for (size_t i = 0; i < l->view.count; i++) {
		struct lease_name *name = &l->view.names[i];
		struct lease_waiter *w;

		if (name->kind != LEASE_PLACE)
			continue;
		w = find_waiter(q, name->uuid);
		if (!w)
			continue;
		name->passed = w->passed;
		w->listed = true;
	}
	for (size_t i = 0; i < q->count; i++)
		if (q->waiters[i].listed)
			q->waiters[kept++] = q->waiters[i];
	q->count = kept;
}

/* --- our own place --- */

static const struct lease_name *listed_place(const struct lease *l)
{
	if (l->place.there == LEASE_GONE)
		return NULL;
	return lease_view_find(&l->view, LEASE_PLACE, l->place.name.uuid);
}

void lease_queue_notice_lost(struct lease *l)
{
	if (l->place.there == LEASE_WRITTEN && !listed_place(l))
		lease_forget_own(&l->place);
}

const struct lease_name *lease_queue_ahead(const struct lease *l)
{
	return lease_view_ahead(&l->view, listed_place(l), l->wish.mode);
}

bool lease_queue_head(const struct lease *l)
{
	return listed_place(l) && !lease_queue_ahead(l);
}

enum rc lease_queue_enter(struct lease *l, const struct call *call, struct err *e)
{
	l->place.name = (struct lease_name){
		.kind = LEASE_PLACE,
		.mode = l->wish.mode,
		.number = l->view.top_ticket + 1,
	};
	l->queue.beat = boot_now();
	return lease_put_own(l, &l->place, call, e);
}

/* Known since the last put. */
static bool bears_kernel_lock(const struct lease *l)
{
	return l->store->ops->put_locked && !l->no_kernel;
}

/*
 * Those who cannot see our kernel lock see by a new place of the same ticket
 * that we live. (Renewing the old one would be one request, but would write
 * to whatever bears its name by then.)
 */
void lease_queue_beat(struct lease *l, const struct call *call)
{
	struct lease_queue *q = &l->queue;
	struct lease_own fresh = { .fd = -1 };
	struct boot now = boot_now();
	struct err kept;

	if (q->stalled.ns == 0 || l->place.there != LEASE_WRITTEN ||
	    bears_kernel_lock(l) || boot_until(q->beat, now) < BEAT_EVERY)
		return;
	q->beat = now;
	fresh.name = l->place.name;
	/* One that comes later, or the old one if it stays, is a late write:
	 * the next listing deletes it. */
	if (lease_put_own(l, &fresh, call, &kept) != RC_OK)
		return;
	(void)lease_withdraw(l, &l->place, call, &kept);
	lease_forget_own(&l->place);
	l->place = fresh;
}

/* --- those ahead --- */

static bool same_object(const struct lease_name *a, const struct lease_name *b)
{
	return a->kind == b->kind && strcmp(a->uuid, b->uuid) == 0;
}

bool lease_set_ahead(struct lease *l, const struct lease_name *name)
{
	if (l->ahead.known && same_object(&l->ahead.name, name))
		return false;
	l->ahead = (struct lease_ahead){ .known = true, .name = *name };
	return true;
}

/* Nothing held keeps a place from acting, if it has no conflict with it. */
static bool in_its_way(enum lease_held held, const struct lease_name *place)
{
	return held == LEASE_HELD_EXCLUSIVE ||
	       (held == LEASE_HELD_SHARED && place->mode == LOCK_EXCLUSIVE);
}

static void look_by(struct lease_queue *q, struct boot then)
{
	if (q->judge_at.ns == 0 || then.ns < q->judge_at.ns)
		q->judge_at = then;
}

static void pass_over(struct lease *l, struct lease_name *place,
		      struct lease_waiter *w, const struct call *call)
{
	struct lease_queue *q = &l->queue;
	struct err kept;

	w->passed = true;
	place->passed = true;
	if (strcmp(q->first, place->uuid) == 0)
		q->first[0] = '\0';
	(void)lease_delete(l, place, call, &kept);
}

/*
 * Since when has nothing held kept the first in the queue from acting? Whoever
 * is behind asks this: those between may be dead as well. True: for so long
 * that it was passed over.
 */
static bool pass_idle_first(struct lease *l, enum lease_held held,
			    struct boot now, const struct call *call)
{
	struct lease_name *first = lease_view_first(&l->view);
	struct lease_queue *q = &l->queue;
	struct lease_waiter *w;

	if (!first || first == listed_place(l) || in_its_way(held, first)) {
		q->first[0] = '\0';
		q->stalled.ns = 0;
		return false;
	}
	if (strcmp(q->first, first->uuid) != 0) {
		/* Another one, by no doing of ours: somebody acts. */
		if (q->first[0] != '\0' || q->stalled.ns == 0)
			q->stalled = now;
		memcpy(q->first, first->uuid, sizeof(q->first));
		q->first_since = now;
	}
	if (boot_until(q->first_since, now) < PLACE_IDLE)
		return false;
	w = waiter_of(q, first->uuid);
	if (w)
		pass_over(l, first, w, call);
	return w != NULL;
}

/* Whose lock cannot be seen: have both of its processes ended, here? */
static bool owners_are_gone(struct lease *l, const struct lease_name *place,
			    const struct call *call)
{
	struct lease_record record;
	struct lock_info unshown;
	struct lease_verdict v;
	struct err unread;

	if (lease_read_record(l, place, &record, &unshown, call, &unread) != RC_OK)
		return false;
	lease_judge_place(l, place, &record, &v, call);
	return v.fate != LEASE_LIVE;
}

enum sight {
	SIGHT_LIVES, /* its lock is taken */
	SIGHT_DOUBT, /* its lock is free, but that was seen just now only */
	SIGHT_BLIND, /* its lock cannot be seen */
	SIGHT_DEAD
};

static enum sight look_at(struct lease *l, const struct lease_name *place,
			  struct lease_waiter *w, struct boot now,
			  const struct call *call)
{
	bool vanished;

	switch (lease_probe(l, place, &vanished, call)) {
	case STORE_PROBE_TAKEN:
		w->free_at.ns = 0;
		return SIGHT_LIVES;
	case STORE_PROBE_FREE:
		if (w->free_at.ns == 0)
			w->free_at = now;
		if (boot_until(w->free_at, now) >= PLACE_LOOKS_APART)
			return SIGHT_DEAD;
		look_by(&l->queue,
			boot_add(w->free_at,
				 PLACE_LOOKS_APART +
					 random_span(0, NSEC_PER_SEC)));
		return SIGHT_DOUBT;
	case STORE_PROBE_BLIND:
		break;
	}
	return vanished || owners_are_gone(l, place, call) ? SIGHT_DEAD
							   : SIGHT_BLIND;
}

/* Has nothing held been in its way for so long that it does not act? */
static bool is_idle(struct lease_queue *q, struct lease_waiter *w,
		    bool hindered, nsec limit, struct boot now)
{
	if (q->stalled.ns == 0 || hindered) {
		w->still_at.ns = 0;
		return false;
	}
	if (w->still_at.ns < q->stalled.ns)
		w->still_at = now;
	look_by(q, boot_add(w->still_at, limit));
	return boot_until(w->still_at, now) >= limit;
}

/* One pass over those ahead. */
struct pass {
	enum lease_held held;
	struct boot now;
	bool beyond; /* past those that live, too: nobody acts */
	bool passed; /* somebody was passed over */
};

/* False: it lives, and looks after those ahead of it. */
static bool judge_one(struct lease *l, struct lease_name *place, struct pass *p,
		      const struct call *call)
{
	struct lease_waiter *w = waiter_of(&l->queue, place->uuid);
	bool hindered = in_its_way(p->held, place);
	bool pass = false, lives = false;

	if (!w)
		return false;
	switch (look_at(l, place, w, p->now, call)) {
	case SIGHT_LIVES:
		lives = true;
		pass = p->beyond && is_idle(&l->queue, w, hindered,
					    PLACE_IDLE_BEHIND, p->now);
		break;
	case SIGHT_DOUBT:
		break;
	case SIGHT_BLIND:
		pass = is_idle(&l->queue, w, hindered, PLACE_IDLE, p->now);
		break;
	case SIGHT_DEAD:
		pass = true;
		break;
	}
	if (same_object(&l->ahead.name, place))
		l->ahead.kernel = lives;
	if (pass) {
		pass_over(l, place, w, call);
		p->passed = true;
	}
	return !lives || p->beyond;
}

struct ahead {
	struct lease_name *name; /* of the view */
};

static int nearest_first(const void *left, const void *right)
{
	const struct ahead *a = left, *b = right;

	return lease_name_order(b->name, a->name);
}

/* All that are ahead and conflict, the nearest first. */
static size_t collect_ahead(struct lease *l, struct ahead *ahead)
{
	const struct lease_name *mine = listed_place(l);
	size_t count = 0;

	for (size_t i = 0; i < l->view.count; i++) {
		struct lease_name *name = &l->view.names[i];

		if (lease_is_ahead(name, mine, l->wish.mode))
			ahead[count++].name = name;
	}
	qsort(ahead, count, sizeof(*ahead), nearest_first);
	return count;
}

static void judge_all(struct lease *l, struct pass *p, const struct call *call)
{
	struct ahead *ahead = malloc(l->view.count * sizeof(*ahead));
	size_t count;

	if (!ahead)
		return;
	count = collect_ahead(l, ahead);
	for (size_t i = 0; i < count && i < JUDGED_MOST; i++)
		if (!judge_one(l, ahead[i].name, p, call))
			break;
	free(ahead);
}

bool lease_queue_look(struct lease *l, enum lease_held held,
		      const struct call *call)
{
	struct pass p = { .held = held, .now = boot_now() };
	struct lease_queue *q = &l->queue;
	const struct lease_name *ahead;
	bool fresh;

	q->judge_at.ns = 0;
	p.passed = pass_idle_first(l, held, p.now, call);
	ahead = lease_queue_ahead(l);
	if (!ahead)
		return p.passed;
	fresh = lease_set_ahead(l, ahead);
	p.beyond = q->stalled.ns != 0 &&
		   boot_until(q->stalled, p.now) >= PLACE_IDLE;
	if (fresh || l->ahead.woke || !l->ahead.kernel || p.beyond)
		judge_all(l, &p, call);
	/* Behind a living one its owner looks after those further ahead. */
	if (q->first[0] != '\0' &&
	    (!l->ahead.kernel || strcmp(q->first, ahead->uuid) == 0))
		look_by(q, boot_add(q->first_since, PLACE_IDLE));
	return p.passed;
}

bool lease_queue_behind_first(const struct lease *l)
{
	const struct lease_name *first = lease_view_first(&l->view);

	return l->ahead.known && first &&
	       strcmp(first->uuid, l->ahead.name.uuid) == 0;
}
