/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a lease is won, and waited for.
 *
 * Safety is in one rule: a claim is held only after a listing that was asked
 * for after the claim had been put, and that shows nothing in the way. Of two
 * that hold, each would have put its claim before its listing and neither
 * listing would show the other; one of the listings came last. All else here
 * is about who goes first, tokens that only grow, and leaving nothing behind.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lock/lease.h"
#include "util/text.h"

/* How long, and how often at least, a claim that is making sure looks again
 * while others that may be doing the same are in its way. */
#define LOOK_WAITING (60 * NSEC_PER_MSEC)
#define LOOK_NONBLOCK NSEC_PER_SEC
enum { LOOKS_LEAST = 5 };

/* Rounds of a try that come to nothing: so many at once, then with pauses, and
 * no more than takes about two seconds with these. */
enum { ROUNDS_FREE = 20, ROUNDS_MOST = 60 };

/* So many claims are judged at one look. More are the work of somebody who
 * wants to keep us busy, or of a fault: those beyond count as live. */
enum { JUDGED_MOST = 256 };

/* Between looks, and after a withdrawal, doubling. */
#define PAUSE_FIRST NSEC_PER_MSEC
#define PAUSE_MOST (64 * NSEC_PER_MSEC)

/* A kernel lock ends a little after the close that wakes its watchers. */
static const nsec rechecks[] = { 1 * NSEC_PER_MSEC, 5 * NSEC_PER_MSEC,
				 25 * NSEC_PER_MSEC };
enum { RECHECKS = sizeof(rechecks) / sizeof(rechecks[0]) };

#define POLL_FIRST (50 * NSEC_PER_MSEC)
#define POLL_MOST (5 * NSEC_PER_SEC)
/* Whether the first in the queue acts when its turn comes is looked at by the
 * second: its owner may be stopped, which no watch tells. */
#define FIRST_LOOK (5 * NSEC_PER_SEC)
/* A watch that sees everything is still looked behind now and then. */
#define WATCH_MOST (60 * NSEC_PER_SEC)

/* --- what is in the way --- */

struct standing {
	const struct lease_name *exclusive; /* a live claim, in the way */
	const struct lease_name *shared;    /* likewise */
	bool outranked;                     /* by a live exclusive claim */
	bool undecided;     /* live claims conflict with each other */
	unsigned conflicts; /* claims in the way by name, live or not */
	unsigned judged;
	unsigned unjudged; /* taken for live, there are too many */
	struct lease_verdict exclusive_verdict;
	struct lease_verdict shared_verdict;
};

static bool claim_counts(const struct lease *l, const struct lease_name *name)
{
	return name->kind == LEASE_CLAIM &&
	       strcmp(name->uuid, l->claim.name.uuid) != 0 &&
	       !lease_view_void(&l->view, name->uuid);
}

static bool judged_live(struct lease *l, struct lease_name *name,
			struct lease_verdict *v, struct standing *s,
			const struct call *call)
{
	if (l->wish.clear == LOCK_BREAK_NONE) {
		*v = (struct lease_verdict){ .fate = LEASE_LIVE };
		return true;
	}
	if (s->judged == JUDGED_MOST) {
		s->unjudged++;
		*v = (struct lease_verdict){ .fate = LEASE_LIVE };
		return true;
	}
	s->judged++;
	lease_judge(l, name, v, call);
	name->stale = v->fate == LEASE_STALE;
	/* A listing may come from a cache (sshfs: 20 s); opening does not. */
	name->gone = v->fate == LEASE_VANISHED;
	return v->fate == LEASE_LIVE;
}

static void weigh_exclusive(struct lease *l, struct lease_name *name,
			    struct standing *s, const struct call *call)
{
	struct lease_verdict v;

	s->conflicts++;
	if (!judged_live(l, name, &v, s, call))
		return;
	s->undecided = s->undecided || s->exclusive;
	s->outranked = s->outranked || l->claim.there == LEASE_GONE ||
		       lease_outranks(name, &l->claim.name);
	if (s->unjudged > 0 && s->exclusive)
		return; /* the one that is named was looked at */
	s->exclusive = name;
	s->exclusive_verdict = v;
}

/* One shared claim that is seen to live is as good as many, and judging costs.
 * Those that have to be watched are watched all at once. */
static void weigh_shared(struct lease *l, struct lease_name *name,
			 struct standing *s, const struct call *call)
{
	struct lease_verdict v;

	s->conflicts += l->wish.mode == LOCK_EXCLUSIVE;
	if ((s->shared && s->shared_verdict.alive == LOCK_ALIVE_YES) ||
	    !judged_live(l, name, &v, s, call))
		return;
	if (s->unjudged > 0 && s->shared)
		return;
	s->shared = name;
	s->shared_verdict = v;
	s->undecided = s->undecided || s->exclusive;
}

static void weigh(struct lease *l, struct standing *s, const struct call *call)
{
	struct lease_view *view = &l->view;

	*s = (struct standing){ 0 };
	for (size_t i = 0; i < view->count; i++)
		if (view->names[i].mode == LOCK_EXCLUSIVE &&
		    claim_counts(l, &view->names[i]))
			weigh_exclusive(l, &view->names[i], s, call);
	if (l->wish.mode == LOCK_SHARED && !s->exclusive)
		return;
	for (size_t i = 0; i < view->count; i++)
		if (view->names[i].mode == LOCK_SHARED &&
		    claim_counts(l, &view->names[i]))
			weigh_shared(l, &view->names[i], s, call);
}

static const struct lease_name *in_the_way(const struct lease *l,
					   const struct standing *s)
{
	if (s->exclusive)
		return s->exclusive;
	return l->wish.mode == LOCK_EXCLUSIVE ? s->shared : NULL;
}

static enum lease_held what_is_held(const struct standing *s)
{
	if (s->exclusive)
		return LEASE_HELD_EXCLUSIVE;
	return s->shared ? LEASE_HELD_SHARED : LEASE_HELD_NOT;
}

/* --- one try --- */

enum step {
	STEP_LIST,   /* is it worth claiming? */
	STEP_CLAIM,  /* put a claim */
	STEP_DECIDE, /* nothing in its way: held */
	STEP_BUSY,
	STEP_HELD
};

struct attempt {
	const struct call *call;
	struct err *e;
	struct boot entered;
	struct boot doubt; /* since when others are undecided; 0: not */
	unsigned looks;    /* made in doubt */
	unsigned rounds;
	nsec rest;   /* between rounds; 0: none yet */
	bool unseen; /* our claim was put, and is not listed */
	nsec pause;
	uint64_t fence;    /* for the next claim */
	struct standing s; /* points into the view of the last listing */
	const struct lease_name *place_ahead;
};

/* Look again in a moment, or give up. True: again. */
static bool doubt(const struct lease *l, struct attempt *a, enum rc *rc)
{
	nsec limit = l->wish.wait ? LOOK_WAITING : LOOK_NONBLOCK;
	struct boot now = boot_now();

	if (a->doubt.ns == 0) {
		a->doubt = now;
		a->pause = PAUSE_FIRST;
	}
	a->looks++;
	if (boot_until(a->doubt, now) >= limit && a->looks > LOOKS_LEAST)
		return false;
	*rc = call_pause(a->call, random_span(a->pause / 2, a->pause), a->e);
	if (a->pause < PAUSE_MOST)
		a->pause *= 2;
	return true;
}

static enum rc withdraw(struct lease *l, struct attempt *a, enum step then,
			enum step *step)
{
	*step = then;
	return lease_withdraw(l, &l->claim, a->call, a->e);
}

/* Somebody is in the way: take a place behind, or say so. */
static enum rc step_behind(struct lease *l, struct attempt *a, enum step *step)
{
	enum rc rc = RC_OK;

	*step = STEP_BUSY;
	if (!l->wish.wait) {
		/* Holders do not conflict with each other: one of these may
		 * yet go, and all may. */
		if ((a->s.undecided || a->doubt.ns != 0) && doubt(l, a, &rc))
			*step = STEP_LIST;
		return rc;
	}
	if (l->place.there != LEASE_GONE)
		return RC_OK;
	/* And look again: who came at the same time may stand before us. */
	*step = STEP_LIST;
	return lease_queue_enter(l, a->call, a->e);
}

static enum rc on_list(struct lease *l, struct attempt *a, enum step *step)
{
	enum rc rc;

	lease_queue_beat(l, a->call);
	rc = lease_look(l, a->call, a->e);
	if (rc != RC_OK)
		return rc;
	lease_queue_notice_lost(l);
	weigh(l, &a->s, a->call);
	if (l->place.there != LEASE_GONE &&
	    lease_queue_look(l, what_is_held(&a->s), a->call))
		return RC_OK;
	a->place_ahead = l->wish.wait ? lease_queue_ahead(l) : NULL;
	a->fence = l->view.top_fence + 1;
	*step = STEP_CLAIM;
	if (!a->place_ahead && !in_the_way(l, &a->s))
		return RC_OK;
	/* Shared holders are drained by a claim of the head of the queue. */
	if (!a->place_ahead && !a->s.exclusive && lease_queue_head(l))
		return RC_OK;
	return step_behind(l, a, step);
}

static enum rc on_claim(struct lease *l, struct attempt *a, enum step *step)
{
	enum rc rc;

	l->claim.name = (struct lease_name){
		.kind = LEASE_CLAIM,
		.mode = l->wish.mode,
		.ttl_ms = (uint32_t)(l->ttl / NSEC_PER_MSEC),
		.number = a->fence,
	};
	l->since = wall_now();
	l->renewed = boot_now();
	*step = STEP_DECIDE;
	rc = lease_put_own(l, &l->claim, a->call, a->e);
	/* The listing will tell whether it is there. A claim that says it has
	 * a kernel lock and has none would be broken at once, though. */
	if (rc == RC_UNKNOWN && !l->claim.name.kernel)
		return RC_OK;
	return rc;
}

/* Does mine keep its claim while it looks again? The others do not. */
static enum rc on_conflict(struct lease *l, struct attempt *a, enum step *step)
{
	bool drains = !a->s.exclusive && l->wish.wait && lease_queue_head(l);
	enum rc rc = RC_OK;

	if (drains) {
		*step = STEP_BUSY;
		return RC_OK;
	}
	if (a->s.exclusive && a->s.outranked) {
		rc = withdraw(l, a, l->wish.wait ? STEP_LIST : STEP_BUSY, step);
		if (rc == RC_OK && !l->wish.wait && doubt(l, a, &rc))
			*step = STEP_LIST;
		return rc;
	}
	if (doubt(l, a, &rc))
		return rc; /* decide again */
	return withdraw(l, a, l->wish.wait ? STEP_LIST : STEP_BUSY, step);
}

static bool too_late(const struct lease *l)
{
	nsec spent = boot_until(l->renewed, boot_now());

	return spent >= l->ttl - lock_margin(l->ttl);
}

static enum rc on_decide(struct lease *l, struct attempt *a, enum step *step)
{
	const struct lease_name *mine = &l->claim.name;
	enum rc rc = lease_look(l, a->call, a->e);

	a->place_ahead = NULL; /* it was in the listing before this one */
	if (rc != RC_OK)
		return rc;
	if (too_late(l))
		return err_set(a->e, RC_RETRY,
			       "%.120s answered too late to be believed",
			       l->store->shown);
	a->unseen = !lease_view_find(&l->view, LEASE_CLAIM, mine->uuid);
	if (a->unseen || lease_view_void(&l->view, mine->uuid))
		return withdraw(l, a, STEP_LIST, step);
	weigh(l, &a->s, a->call);
	if (lease_view_surpassed(&l->view, mine))
		return withdraw(l, a, STEP_LIST, step);
	if (in_the_way(l, &a->s))
		return on_conflict(l, a, step);
	*step = STEP_HELD;
	return RC_OK;
}

/* --- the end of a try --- */

/* Only now, being the holder: what was proved stale is in nobody's way but
 * that of those who cannot prove it. */
static void break_stale(struct lease *l, const struct call *call)
{
	struct err kept;
	enum rc rc;

	for (size_t i = 0; i < l->view.count; i++) {
		const struct lease_name *name = &l->view.names[i];

		if (!name->stale)
			continue;
		rc = lease_bury(l, name, call, &kept);
		/* While it stays, its proof is not to be had anew each time. */
		if (rc == RC_OK || rc == RC_ABSENT)
			lease_looks_forget(&l->looks, name->uuid);
		else
			(void)snprintf(l->warning, sizeof(l->warning),
				       "the stale lock %.8s stays: %.100s",
				       name->uuid, kept.text);
	}
}

static void tell_mine(const struct lease *l, struct lock_info *mine)
{
	const struct lock_wish *w = &l->wish;

	lease_tell(l, &l->claim.name, mine);
	mine->alive = LOCK_ALIVE_YES;
	mine->pid = w->self->front.pid;
	mine->since = l->since;
	(void)text_copy(mine->host, sizeof(mine->host), w->self->host);
	(void)text_copy(mine->user, sizeof(mine->user), w->self->user);
	if (w->command)
		(void)text_copy(mine->command, sizeof(mine->command), w->command);
	if (w->reason)
		(void)text_copy(mine->reason, sizeof(mine->reason), w->reason);
}

static void enter(struct lease *l, const struct attempt *a,
		  struct lock_term *term, struct lock_info *mine)
{
	struct err kept;

	l->claim.there = LEASE_ENTERED;
	l->ahead = (struct lease_ahead){ 0 };
	tell_mine(l, mine);
	/* Release tries again, should this fail. */
	(void)lease_withdraw(l, &l->place, a->call, &kept);
	l->warning[0] = '\0';
	break_stale(l, a->call);
	l->base.at_hand = l->claim.name.kernel;
	l->base.warning = l->warning[0] != '\0' ? l->warning
						: store_warning(l->store);
	lease_fill_term(l, a->entered, term);
}

/* Choose what to wait for, and whom to name. */
static enum rc busy(struct lease *l, const struct attempt *a,
		    struct lock_info *holder)
{
	const struct lease_name *claim = in_the_way(l, &a->s);
	const struct lease_verdict *v = a->s.exclusive ? &a->s.exclusive_verdict
						       : &a->s.shared_verdict;
	const struct lease_name *shown = claim ? claim : a->place_ahead;

	assert(shown);
	lease_tell(l, shown, holder);
	if (claim) {
		holder->alive = v->alive;
		holder->sure_in = v->sure_in;
		holder->unjudged = a->s.unjudged;
	}
	if (a->place_ahead) {
		(void)lease_set_ahead(l, a->place_ahead);
	} else {
		(void)lease_set_ahead(l, claim);
		l->ahead.kernel = v->kernel;
		l->ahead.sure_in = v->sure_in;
		/* When that one goes the way is free, and the next fence is
		 * known: no need to look before claiming. */
		if (a->s.conflicts == 1 && l->claim.there == LEASE_GONE &&
		    lease_queue_head(l))
			l->next_fence = a->fence;
	}
	return err_set(a->e, RC_BUSY, "%.120s is locked by another",
		       l->store->shown);
}

/* Where a try begins: what an earlier one left is taken up, or away. */
static enum rc begin(struct lease *l, struct attempt *a, enum step *step)
{
	bool sure = l->ahead.went && l->next_fence != 0;
	enum rc rc;

	if (l->claim.there > LEASE_WRITTEN)
		return err_set(a->e, RC_FAILED, "the lock was not released");
	*step = sure ? STEP_CLAIM : STEP_LIST;
	a->fence = l->next_fence;
	l->next_fence = 0;
	l->ahead.went = false;
	if (l->claim.there == LEASE_WRITTEN) {
		/* It drains: kept fresh, it goes on where it was. */
		*step = STEP_DECIDE;
		rc = lease_renew_claim(l, a->call, a->e);
		if (rc != RC_ABSENT)
			return rc;
		lease_forget_own(&l->claim);
		*step = STEP_LIST;
	}
	rc = lease_withdraw(l, &l->claim, a->call, a->e);
	if (rc == RC_OK && l->place.there == LEASE_MAYBE)
		rc = lease_withdraw(l, &l->place, a->call, a->e);
	return rc;
}

/* Nobody is known to hold it, and yet it could not be had. */
static enum rc unsettled(struct lease *l, const struct attempt *a,
			 struct lock_info *holder)
{
	*holder = (struct lock_info){ .mode = LOCK_EXCLUSIVE, .state = LOCK_HELD };
	(void)text_copy(holder->protocol, sizeof(holder->protocol), "lease");
	(void)text_copy(holder->name, sizeof(holder->name), l->wish.name);
	(void)text_copy(holder->detail, sizeof(holder->detail),
			a->unseen ? "nobody is known to: the directory is listed "
				    "from a cache, without what was just put "
				    "there; mount it without one (sshfs: -o "
				    "dir_cache=no)"
				  : "too many come and go at once");
	l->ahead = (struct lease_ahead){ 0 };
	return err_set(a->e, RC_BUSY, "%.80s: %.160s", l->store->shown,
		       holder->detail);
}

/* Whatever makes rounds go without end, they are to cost little. */
static enum rc rest(struct attempt *a)
{
	if (a->rounds <= ROUNDS_FREE)
		return RC_OK;
	a->rest = a->rest == 0           ? PAUSE_FIRST
		  : a->rest < PAUSE_MOST ? 2 * a->rest
					 : a->rest;
	return call_pause(a->call, random_span(a->rest / 2, a->rest), a->e);
}

static enum rc one_step(struct lease *l, struct attempt *a, enum step *step)
{
	switch (*step) {
	case STEP_LIST:
		return on_list(l, a, step);
	case STEP_CLAIM:
		return on_claim(l, a, step);
	case STEP_DECIDE:
		return on_decide(l, a, step);
	case STEP_HELD:
	case STEP_BUSY:
		break;
	}
	return RC_OK;
}

static enum rc try_once(struct lease *l, struct attempt *a, enum step *step,
			struct lock_info *holder)
{
	enum rc rc = begin(l, a, step);

	while (rc == RC_OK && *step != STEP_HELD && *step != STEP_BUSY) {
		if (++a->rounds > ROUNDS_MOST)
			return unsettled(l, a, holder);
		rc = rest(a);
		if (rc == RC_OK)
			rc = one_step(l, a, step);
	}
	return rc;
}

enum rc lease_acquire(struct lock *lock, struct lock_term *term,
		      struct lock_info *mine, struct lock_info *holder,
		      const struct call *call, struct err *e)
{
	struct lease *l = lease_of(lock);
	struct attempt a = { .call = call, .e = e, .entered = boot_now() };
	struct err unsaid;
	enum step step = STEP_LIST;
	enum rc rc;

	rc = store_may_lock(l->store, e);
	if (rc != RC_OK)
		return rc;
	rc = try_once(l, &a, &step, holder);
	if (rc != RC_OK) {
		/* What cannot be taken back now is by the next try, or by
		 * release. */
		(void)lease_withdraw(l, &l->claim, call, &unsaid);
		return rc;
	}
	if (step == STEP_BUSY)
		return busy(l, &a, holder);
	enter(l, &a, term, mine);
	return RC_OK;
}

/* --- waiting --- */

static nsec shorter(nsec a, nsec b)
{
	return a < b ? a : b;
}

static nsec poll_next(struct lease_ahead *a)
{
	a->interval = a->interval ? a->interval + a->interval / 2 : POLL_FIRST;
	a->interval = shorter(a->interval, POLL_MOST);
	return random_span(a->interval - a->interval / 4,
			   a->interval + a->interval / 4);
}

/* After a change of what is still there, which may be a death. */
static nsec recheck_next(struct lease_ahead *a)
{
	if (!a->woke || !a->kernel)
		return NSEC_FOREVER;
	if (a->rechecks < RECHECKS)
		return rechecks[a->rechecks++];
	a->woke = false;
	a->rechecks = 0;
	return NSEC_FOREVER;
}

/* When to look again, whatever the watch says. */
static nsec next_look(struct lease *l, bool watched)
{
	struct lease_ahead *a = &l->ahead;
	struct boot now = boot_now();
	nsec span = shorter(WATCH_MOST, recheck_next(a));

	if (l->claim.there == LEASE_WRITTEN)
		span = shorter(span, boot_until(now, l->renewed) + l->ttl / 3);
	if (l->queue.judge_at.ns != 0)
		span = shorter(span, boot_until(now, l->queue.judge_at));
	if (lease_queue_behind_first(l))
		span = shorter(span, FIRST_LOOK);
	if (a->sure_in != 0)
		span = shorter(span, a->sure_in);
	/* Only whoever has a kernel lock here is surely seen to go. */
	if (!a->kernel || !watched)
		span = shorter(span, poll_next(a));
	return span > 0 ? span : 0;
}

/* Begin to watch the one object ahead, where that can be. RC_ABSENT: gone. */
static enum rc watch_ahead(struct lease *l, int *fd)
{
	char path[LEASE_PATH_SIZE];
	struct err unwatched;
	enum rc rc;

	*fd = -1;
	if (!l->store->ops->watch)
		return RC_UNSUPPORTED;
	lease_path(l, &l->ahead.name, path);
	l->store->ops->unwatch(l->store);
	rc = l->store->ops->watch(l->store, path, fd, &unwatched);
	if (rc != RC_OK)
		*fd = -1;
	return rc;
}

/* It has changed: is it gone, or was it renewed, or has its owner died? */
static void ask_ahead(struct lease *l)
{
	int fd;

	l->ahead.went = watch_ahead(l, &fd) == RC_ABSENT;
	l->ahead.woke = !l->ahead.went;
}

/* Its owner may have died between our last look and the watch, which told
 * nobody. */
static bool died_unwatched(struct lease *l, const struct call *call)
{
	bool vanished;

	if (!l->ahead.kernel ||
	    (lease_probe(l, &l->ahead.name, &vanished, call) != STORE_PROBE_FREE &&
	     !vanished))
		return false;
	l->ahead.woke = true;
	return true;
}

/* In the kernel's own queue for its lock. RC_UNSUPPORTED: not that way. */
static enum rc await_ahead(struct lease *l, nsec patience,
			   const struct call *call, struct err *e)
{
	char path[LEASE_PATH_SIZE];
	enum rc rc;
	bool gone;

	if (!l->ahead.kernel || !l->store->ops->await)
		return RC_UNSUPPORTED;
	lease_path(l, &l->ahead.name, path);
	rc = l->store->ops->await(l->store, path,
				  shorter(patience, next_look(l, true)), &gone,
				  call, e);
	if (rc == RC_BUSY)
		return RC_OK;
	if (rc == RC_OK) {
		l->ahead.went = gone;
		l->ahead.woke = !gone;
		return RC_OK;
	}
	return call_check(call, e) == RC_OK ? RC_UNSUPPORTED : rc;
}

enum rc lease_wait(struct lock *lock, nsec patience, const struct call *call,
		   struct err *e)
{
	struct lease *l = lease_of(lock);
	enum rc rc;
	int fd;

	if (!l->ahead.known)
		return call_pause(call, shorter(patience, POLL_FIRST), e);
	rc = await_ahead(l, patience, call, e);
	if (rc != RC_UNSUPPORTED)
		return rc;
	rc = watch_ahead(l, &fd);
	if (rc == RC_ABSENT) {
		l->ahead.went = true;
		return RC_OK;
	}
	if (rc == RC_OK && died_unwatched(l, call))
		return RC_OK;
	rc = call_wait(call, fd, shorter(patience, next_look(l, rc == RC_OK)), e);
	if (rc == RC_OK)
		ask_ahead(l);
	return rc == RC_ABSENT ? RC_OK : rc;
}
