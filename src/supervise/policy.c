/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/policy.h"

#include <assert.h>
#include <signal.h>

/* One try to acquire may take so long; a hanging one counts as failing. */
static const nsec try_leash = 30 * NSEC_PER_SEC;
/* Failing in a row is borne so long, or until --wait is over. */
static const nsec try_patience = 120 * NSEC_PER_SEC;
/* The first answer may take so long, however short --wait is. */
static const nsec first_answer = 10 * NSEC_PER_SEC;
/* With --nonblock, lost races and other short failures are tried again. */
enum { NONBLOCK_TRIES = 3 };
/* A protocol's wait is looked after this often at least. */
static const nsec wait_patience = 300 * NSEC_PER_SEC;
/* One that ends to tell for whom gets so long to do so. */
static const nsec wait_ends = 500 * NSEC_PER_MSEC;
/* Tries paced by us: from, to. */
static const nsec pace_first = 100 * NSEC_PER_MSEC;
static const nsec pace_last = 5 * NSEC_PER_SEC;
/* Answers may come in a row as fast as a protocol's wait wakes us, up to so
 * many; in the long run one in pace_first is enough of them. */
enum { BURST = 20 };

/* A refresh of a lock without end, and of one with a very long term. */
static const nsec refresh_leash = 30 * NSEC_PER_SEC;
/* Between two refreshes, whatever hints come in. */
static const nsec refresh_gap = 10 * NSEC_PER_MSEC;
/* After its leash a job is called silent. */
static const nsec silence = 1 * NSEC_PER_SEC;
/* The timer late by more (or by a tenth of the term): we slept. */
static const nsec slept_most = 2 * NSEC_PER_SEC;

/* Zombies, pipes and helpers get so long to end behind the command. */
static const nsec settle_time = 1 * NSEC_PER_SEC;
/* SIGKILL again for what was forked meanwhile; for what cannot be killed. */
static const nsec kill_again = 50 * NSEC_PER_MSEC;
static const nsec stuck_again = 1 * NSEC_PER_SEC;

/* Removing a lock that was held, or what a failed try may have left. */
static const nsec release_patience = 60 * NSEC_PER_SEC;
static const nsec withdraw_patience = 5 * NSEC_PER_SEC;
static const nsec hanging_patience = 3 * NSEC_PER_SEC;
static const nsec release_leash = 15 * NSEC_PER_SEC;
/* After this it is told that we are still at it. */
static const nsec release_slow = 2 * NSEC_PER_SEC;
/* The user asked twice. */
static const nsec hurried_patience = 1 * NSEC_PER_SEC;
/* The front waits this much longer than we do. */
static const nsec front_patience = 5 * NSEC_PER_SEC;

static nsec shorter(nsec a, nsec b)
{
	return a < b ? a : b;
}

static bool finite(nsec span)
{
	return span < NSEC_FOREVER;
}

/* xorshift: spreading retries needs no better one. */
static nsec jittered(struct policy *p, nsec span, nsec part)
{
	uint64_t x = p->config.seed | 1;
	nsec most = span / part;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	p->config.seed = x;
	return most > 0 ? span - (nsec)(x % (uint64_t)most) : span;
}

/* first, doubled with every failure, not over last. */
static nsec backoff_after(struct policy *p, unsigned failures, nsec first,
			  nsec last)
{
	nsec span = first;

	for (unsigned i = 1; i < failures && span < last; i++)
		span *= 2;
	return jittered(p, shorter(span, last), 4);
}

static nsec backoff(struct policy *p, nsec first, nsec last)
{
	return backoff_after(p, p->failures, first, last);
}

void policy_init(struct policy *p, const struct policy_config *config)
{
	*p = (struct policy){ .config = *config,
			      .phase = PHASE_TRYING,
			      .wait_until = BOOT_NEVER,
			      .tell_at = BOOT_NEVER,
			      .step_at = BOOT_NEVER,
			      .patience = BOOT_NEVER,
			      .starve_until = BOOT_NEVER,
			      .valid_until = BOOT_NEVER,
			      .kill_at = BOOT_NEVER,
			      .term_at = BOOT_NEVER,
			      .refresh_at = BOOT_NEVER,
			      .settle_until = BOOT_NEVER,
			      .kill_time = BOOT_NEVER,
			      .wake = BOOT_NEVER };
}

static bool holds(const struct policy *p)
{
	switch (p->phase) {
	case PHASE_HOLDING:
	case PHASE_DOUBTING:
	case PHASE_SETTLING:
	case PHASE_STOPPING:
		return true;
	case PHASE_TRYING:
	case PHASE_PAUSING:
	case PHASE_HANDING:
	case PHASE_RELEASING:
	case PHASE_DONE:
		return false;
	}
	return false;
}

/* --- terms ------------------------------------------------------------- */

static struct boot term_end(const struct policy *p, struct boot begun,
			    const struct lock_term *term)
{
	nsec grace;

	if (!finite(term->valid))
		return BOOT_NEVER;
	grace = shorter(p->config.grace, term->valid / 4);
	return boot_add(begun, term->valid - term->margin - grace);
}

static void take_term(struct policy *p, struct boot begun,
		      const struct lock_term *term)
{
	p->begun = begun;
	p->term = *term;
	p->valid_until = boot_add(begun, term->valid);
	p->kill_at = boot_add(p->valid_until, -term->margin);
	p->term_at = term_end(p, begun, term);
	p->refresh_at = boot_add(begun, finite(term->refresh_in)
						? jittered(p, term->refresh_in, 10)
						: NSEC_FOREVER);
}

static nsec leash_of_refresh(const struct policy *p)
{
	if (!finite(p->term.valid))
		return refresh_leash;
	return shorter(p->term.valid / 6, refresh_leash);
}

static void retry_refresh(struct policy *p, struct boot now)
{
	nsec first = NSEC_PER_SEC, last = 60 * NSEC_PER_SEC;

	if (finite(p->term.valid)) {
		first = shorter(first, p->term.valid / 60);
		/* So there is always one more try well before term_at. */
		last = p->term.valid / 12;
	}
	p->failures++;
	p->refresh_at = boot_add(now, backoff(p, first, last));
}

bool policy_may_go(const struct policy *p, struct boot now)
{
	return p->phase == PHASE_HANDING && !boot_reached(now, p->term_at);
}

nsec policy_left(const struct policy *p, struct boot now)
{
	struct boot end = holds(p) ? p->term_at : p->wait_until;
	nsec left;

	if (end.ns >= NSEC_FOREVER || (!holds(p) && p->config.wait == 0))
		return NSEC_FOREVER;
	left = boot_until(now, end);
	return left > 0 ? left : 0;
}

/* --- ways to the end --------------------------------------------------- */

static void finish(struct policy *p)
{
	p->phase = PHASE_DONE;
}

static void release(struct policy *p, struct boot now, nsec patience)
{
	p->phase = PHASE_RELEASING;
	p->failures = 0;
	p->next_try = now;
	p->patience = boot_add(now, patience);
	p->tell_slow_at = boot_add(now, release_slow);
}

/* Before "go": remove what the tries may have left, and end. */
static void withdraw(struct policy *p, enum verdict verdict, struct boot now,
		     struct step *s)
{
	p->verdict = verdict;
	p->again = false;
	s->drop = true;
	if (p->traces || p->running != JOB_NONE)
		release(p, now, withdraw_patience);
	else
		finish(p);
}

/* Everything below us has ended. */
static void all_ended(struct policy *p, struct boot now)
{
	/* A job that did not obey its leash will hardly come back soon. */
	bool hanging = p->running != JOB_NONE && p->cancelled;

	p->stuck = false;
	release(p, now,
		hanging                ? hanging_patience
		: p->loss == LOSS_TOLD ? withdraw_patience
				       : release_patience);
}

static void kill_all(struct policy *p, struct boot now, struct step *s)
{
	s->kill = SIGKILL;
	if (!p->killed)
		s->say |= SAY_SIGNALLED;
	p->killed = true;
	p->kill_time = boot_add(now, kill_again);
}

/* End all that runs: SIGTERM now, SIGKILL later. */
static void stop(struct policy *p, struct boot now, nsec grace, struct step *s)
{
	p->phase = PHASE_STOPPING;
	p->settle_until = BOOT_NEVER;
	p->kill_time = boot_add(now, grace);
	if (grace <= 0) {
		kill_all(p, now, s);
		return;
	}
	s->kill = SIGTERM;
	s->say |= SAY_SIGNALLED;
}

static nsec grace_of(const struct policy *p)
{
	if (!finite(p->term.valid))
		return p->config.grace;
	return shorter(p->config.grace, p->term.valid / 4);
}

static void lose(struct policy *p, enum loss loss, struct boot now,
		 struct step *s)
{
	bool first = p->loss == LOSS_NONE;
	nsec grace = shorter(grace_of(p), boot_until(now, p->kill_at));

	if (p->config.on_lost == ON_LOST_KILL)
		grace = 0;

	p->verdict = VERDICT_LOST;
	p->loss = loss;
	if (loss == LOSS_TOLD)
		p->refresh_at = BOOT_NEVER;
	if (first)
		s->say |= SAY_LOST;
	if (p->phase != PHASE_STOPPING) {
		stop(p, now, grace, s);
		return;
	}
	/* The ending under way is made no slower, maybe faster. */
	p->kill_time = boot_min(p->kill_time, boot_add(now, grace));
}

/* --- time -------------------------------------------------------------- */

static bool slept(const struct policy *p, struct boot now)
{
	nsec slack = slept_most;

	if (finite(p->term.valid))
		slack = shorter(slack, p->term.valid / 10);
	return boot_reached(now, boot_add(p->wake, slack));
}

static void doubt(struct policy *p, struct boot now, struct step *s)
{
	p->phase = PHASE_DOUBTING;
	p->woke = now;
	p->refresh_at = now;
	p->failures = 0;
	s->freeze = true;
	s->say |= SAY_SLEPT;
}

/* The lock's end, before anything else is looked at. */
static void check_validity(struct policy *p, struct boot now, struct step *s)
{
	bool late = slept(p, now);

	if (!holds(p) || p->loss != LOSS_NONE)
		return;
	if (boot_reached(now, p->term_at))
		lose(p, late ? LOSS_SLEPT : LOSS_EXPIRED, now, s);
	else if (late && p->phase == PHASE_HOLDING &&
		 boot_reached(now, p->refresh_at))
		doubt(p, now, s);
}

static void check_max_hold(struct policy *p, struct boot now, struct step *s)
{
	if (p->phase != PHASE_HOLDING && p->phase != PHASE_DOUBTING)
		return;
	if (!boot_reached(now, boot_add(p->held_since, p->config.max_hold)))
		return;
	p->verdict = VERDICT_MAX_HOLD;
	s->say |= SAY_MAX_HOLD;
	stop(p, now, p->config.grace, s);
}

static void check_settled(struct policy *p, struct boot now, struct step *s)
{
	if (p->phase != PHASE_SETTLING || !boot_reached(now, p->settle_until))
		return;
	p->settle_until = BOOT_NEVER;
	s->say |= SAY_LINGERING;
	switch (p->config.descendants) {
	case DESCENDANTS_WAIT:
		break;
	case DESCENDANTS_KILL:
		stop(p, now, p->config.grace, s);
		break;
	case DESCENDANTS_LEAVE:
		all_ended(p, now);
		break;
	}
}

static void check_kill(struct policy *p, struct boot now, struct step *s)
{
	if (p->phase == PHASE_STOPPING && s->kill == 0 &&
	    boot_reached(now, p->kill_time))
		kill_all(p, now, s);
}

static bool answered(const struct policy *p)
{
	return p->busy || p->failed_tries > 0;
}

/* Until when we go on asking. */
static struct boot try_end(const struct policy *p)
{
	struct boot first;

	if (answered(p) && p->config.wait > 0)
		return p->wait_until;
	first = boot_add(p->started,
			 p->config.wait > 0 ? first_answer : try_patience);
	return p->wait_until.ns > first.ns ? p->wait_until : first;
}

static bool trying(const struct policy *p)
{
	return p->phase == PHASE_TRYING || p->phase == PHASE_PAUSING ||
	       (p->phase == PHASE_RELEASING && p->again);
}

/* The worker has been asked for the lock, and hangs. */
static struct boot silent_at(const struct policy *p)
{
	if (p->phase != PHASE_TRYING || p->running != JOB_ACQUIRE)
		return BOOT_NEVER;
	return boot_add(p->leash, try_patience - try_leash);
}

static enum verdict verdict_of_tries(const struct policy *p)
{
	if (p->busy)
		return VERDICT_BUSY;
	return p->failed_tries > 0 ? VERDICT_FAILED : VERDICT_SILENT;
}

static void check_wait(struct policy *p, struct boot now, struct step *s)
{
	if (!trying(p))
		return;
	if (boot_reached(now, try_end(p)))
		withdraw(p, verdict_of_tries(p), now, s);
	else if (boot_reached(now, silent_at(p)))
		withdraw(p, VERDICT_SILENT, now, s);
}

static void next_telling(struct policy *p, struct boot now)
{
	static const nsec steps[] = { 5 * NSEC_PER_SEC, 300 * NSEC_PER_SEC };
	nsec at;

	do {
		at = p->told < 2 ? steps[p->told]
				 : (nsec)(p->told - 1) * 3600 * NSEC_PER_SEC;
		p->step_at = boot_add(p->started, at);
		if (boot_reached(now, p->step_at))
			p->told++;
	} while (boot_reached(now, p->step_at));
	p->tell_at = p->step_at;
	if (p->config.tell_every > 0)
		p->tell_at = boot_min(p->tell_at,
				      boot_add(now, p->config.tell_every));
}

/* The wait ends at that very instant, and then the holder can be asked for. */
static struct boot telling_at(const struct policy *p)
{
	if (!p->config.asks_holder || p->running != JOB_WAIT ||
	    p->tell_at.ns != p->step_at.ns)
		return p->tell_at;
	return boot_add(p->tell_at, wait_ends);
}

static void check_telling(struct policy *p, struct boot now, struct step *s)
{
	if (!trying(p) || !boot_reached(now, telling_at(p)))
		return;
	s->say |= SAY_WAITING;
	next_telling(p, now);
}

static bool may_tell_silence(const struct policy *p)
{
	return holds(p) && p->running == JOB_REFRESH && !p->silence_told &&
	       p->loss == LOSS_NONE;
}

/* A refresh that hangs: nothing more can be asked, but it can be told. */
static void check_silence(struct policy *p, struct boot now, struct step *s)
{
	if (!may_tell_silence(p) ||
	    !boot_reached(now, boot_add(p->leash, silence)))
		return;
	p->silence_told = true;
	s->say |= SAY_SILENT;
}

static void check_release(struct policy *p, struct boot now, struct step *s)
{
	if (p->phase == PHASE_RELEASING && !p->again &&
	    boot_reached(now, p->tell_slow_at)) {
		p->tell_slow_at = BOOT_NEVER;
		s->say |= SAY_RELEASE_SLOW;
	}
	if (p->phase != PHASE_RELEASING || !boot_reached(now, p->patience))
		return;
	s->say |= SAY_RELEASE_FAILED;
	if (p->again)
		p->verdict = VERDICT_FAILED;
	finish(p);
}

/* --- events ------------------------------------------------------------ */

static void on_start(struct policy *p, struct boot now)
{
	p->started = now;
	p->next_try = now;
	p->wait_until = boot_add(now, p->config.wait);
	next_telling(p, now);
}

/* A try failed in a way that may pass. */
static void try_again(struct policy *p, struct boot now, struct step *s)
{
	if (p->failed_tries == 0) {
		p->fail_until = boot_add(now, try_patience);
		s->say |= SAY_TRY_FAILED;
	}
	p->failed_tries++;
	if (boot_reached(now, p->fail_until) ||
	    (p->config.wait == 0 && p->failed_tries >= NONBLOCK_TRIES)) {
		withdraw(p, VERDICT_FAILED, now, s);
		return;
	}
	p->failures++;
	p->phase = PHASE_TRYING;
	p->next_try = boot_add(now, backoff(p, pace_first, pace_last));
}

/* The same, but something of ours is or may be there: remove it before. */
static void clean_and_try_again(struct policy *p, struct boot now, struct step *s)
{
	try_again(p, now, s);
	if (p->phase != PHASE_TRYING)
		return;
	release(p, now, withdraw_patience);
	p->again = true;
}

/* How long to rest before the next try, so that what a protocol's wait is
 * worth does not matter. */
static nsec in_excess(struct policy *p, struct boot now)
{
	nsec excess;

	if (boot_reached(now, p->paid_until))
		p->paid_until = now;
	p->paid_until = boot_add(p->paid_until, pace_first);
	excess = boot_until(now, p->paid_until) - BURST * pace_first;
	return excess > 0 ? excess : 0;
}

static void on_busy(struct policy *p, const struct event *event,
		    struct boot now, struct step *s)
{
	bool first = !p->busy;

	p->busy = true;
	p->failed_tries = 0;
	if (p->config.wait == 0) {
		withdraw(p, VERDICT_BUSY, now, s);
		return;
	}
	if (first || event->other_holder)
		s->say |= SAY_WAITING;
	if (p->config.paced) {
		p->failures++;
		p->phase = PHASE_TRYING;
		p->next_try = boot_add(now, backoff(p, pace_first, pace_last));
		return;
	}
	p->failures = 0;
	p->phase = PHASE_PAUSING;
	p->next_try = boot_add(now, in_excess(p, now));
	/* A wait that lets us go at once would have us ask without end. */
	if (!boot_reached(now, p->next_try))
		p->phase = PHASE_TRYING;
}

static void on_acquired(struct policy *p, const struct event *event,
			struct boot now, struct step *s)
{
	/* A late yes is no yes. */
	if (boot_reached(now, term_end(p, event->begun, &event->term))) {
		clean_and_try_again(p, now, s);
		return;
	}
	take_term(p, event->begun, &event->term);
	p->failures = 0;
	p->phase = PHASE_HANDING;
	s->hand_over = true;
}

static void on_acquire(struct policy *p, const struct event *event,
		       struct boot now, struct step *s)
{
	if (p->phase != PHASE_TRYING && p->phase != PHASE_PAUSING)
		return; /* withdrawn meanwhile: the release cleans up */
	switch (event->rc) {
	case RC_OK:
		on_acquired(p, event, now, s);
		return;
	case RC_BUSY:
		on_busy(p, event, now, s);
		return;
	case RC_RETRY:
		p->traces = p->traces_before;
		try_again(p, now, s);
		return;
	case RC_CANCELLED:
		try_again(p, now, s);
		return;
	case RC_UNKNOWN:
	case RC_LOST:
		clean_and_try_again(p, now, s);
		return;
	case RC_ABSENT:
	case RC_EXISTS:
	case RC_DENIED:
	case RC_MALFORMED:
	case RC_UNSUPPORTED:
	case RC_FAILED:
		withdraw(p, VERDICT_FAILED, now, s);
		return;
	}
}

static void wait_worked(struct policy *p)
{
	p->failed_waits = 0;
	p->starve_until = BOOT_NEVER;
}

/* A lock that is free could not be taken either: do not wait for ever. */
static bool starved_too_long(struct policy *p, struct boot now)
{
	p->starve_until = boot_min(p->starve_until, boot_add(now, try_patience));
	return boot_reached(now, p->starve_until);
}

/* Whatever the wait came back with, the next try tells what is the matter. One
 * that cannot even begin is no reason to give up, but we pace the tries. */
static void on_waited(struct policy *p, const struct event *event,
		      struct boot now, struct step *s)
{
	if (p->phase != PHASE_PAUSING)
		return;
	p->phase = PHASE_TRYING;
	p->next_try = now;
	if (event->rc == RC_OK || event->rc == RC_ABSENT) {
		wait_worked(p);
		return;
	}
	if (event->starved && starved_too_long(p, now)) {
		withdraw(p, VERDICT_FAILED, now, s);
		return;
	}
	p->failed_waits++;
	p->next_try = boot_add(
		now, backoff_after(p, p->failed_waits, pace_first, pace_last));
}

static void settle(struct policy *p, struct boot now)
{
	p->phase = PHASE_SETTLING;
	p->settle_until = boot_add(now, settle_time);
}

static void end_doubt(struct policy *p, struct boot now, struct step *s)
{
	s->thaw = true;
	p->phase = PHASE_HOLDING;
	if (p->command_ended)
		settle(p, now);
}

static void believe(struct policy *p, const struct event *event,
		    struct boot now, struct step *s)
{
	if (boot_reached(now, term_end(p, event->begun, &event->term))) {
		retry_refresh(p, now);
		return;
	}
	take_term(p, event->begun, &event->term);
	p->failures = 0;
	s->say |= SAY_REFRESHED;
	if (p->phase != PHASE_DOUBTING)
		return;
	if (p->woke.ns > event->begun.ns) {
		/* Asked before we slept: it says nothing about now. */
		p->refresh_at = now;
		return;
	}
	end_doubt(p, now, s);
}

static void on_refresh(struct policy *p, const struct event *event,
		       struct boot now, struct step *s)
{
	if (!holds(p) || p->loss == LOSS_TOLD)
		return;
	if (event->rc == RC_LOST) {
		lose(p, LOSS_TOLD, now, s);
		return;
	}
	if (p->loss != LOSS_NONE) {
		/* Too late to be believed; but what cannot be killed is
		 * protected as long as the store goes along. */
		p->refresh_at = boot_add(
			now, shorter(p->term.refresh_in, p->term.valid / 3));
		return;
	}
	if (event->rc == RC_OK) {
		believe(p, event, now, s);
		return;
	}
	s->say |= SAY_IN_DOUBT;
	retry_refresh(p, now);
	/* Nothing ends the doubt about a lock without end: let it run on. */
	if (p->phase == PHASE_DOUBTING && !finite(p->term.valid))
		end_doubt(p, now, s);
}

static void released(struct policy *p, enum rc rc, struct boot now,
		     struct step *s)
{
	bool held = p->held_since.ns > 0;

	if (p->again) {
		p->again = false;
		p->traces = false;
		p->phase = PHASE_TRYING;
		p->next_try = boot_add(now, backoff(p, pace_first, pace_last));
		return;
	}
	if (rc == RC_LOST && held && p->loss == LOSS_NONE) {
		p->verdict = VERDICT_LOST;
		p->loss = LOSS_TOLD;
		s->say |= SAY_LOST;
	}
	if (rc == RC_OK && held)
		s->say |= SAY_RELEASED;
	finish(p);
}

static void on_release(struct policy *p, const struct event *event,
		       struct boot now, struct step *s)
{
	if (p->phase != PHASE_RELEASING)
		return;
	switch (event->rc) {
	case RC_OK:
	case RC_LOST:
	case RC_ABSENT:
		released(p, event->rc, now, s);
		return;
	case RC_RETRY:
	case RC_UNKNOWN:
	case RC_CANCELLED:
	case RC_BUSY:
	case RC_EXISTS:
		p->failures++;
		p->next_try = boot_add(now, backoff(p, pace_first, pace_last));
		return;
	case RC_DENIED:
	case RC_MALFORMED:
	case RC_UNSUPPORTED:
	case RC_FAILED:
		/* What could not even be asked for left nothing behind. */
		if (p->held_since.ns > 0 || p->again)
			s->say |= SAY_RELEASE_FAILED;
		if (p->again)
			p->verdict = VERDICT_FAILED;
		finish(p);
		return;
	}
}

static void on_reply(struct policy *p, const struct event *event,
		     struct boot now, struct step *s)
{
	if (p->running == JOB_WAIT && event->job == JOB_ACQUIRE)
		wait_worked(p);
	p->running = JOB_NONE;
	p->cancelled = false;
	p->silence_told = false;
	switch (event->job) {
	case JOB_NONE:
		return;
	case JOB_ACQUIRE:
		on_acquire(p, event, now, s);
		return;
	case JOB_WAIT:
		on_waited(p, event, now, s);
		return;
	case JOB_REFRESH:
		on_refresh(p, event, now, s);
		return;
	case JOB_RELEASE:
		on_release(p, event, now, s);
		return;
	}
}

static void on_handed(struct policy *p, const struct event *event,
		      struct boot now, struct step *s)
{
	if (p->phase != PHASE_HANDING)
		return;
	if (!event->shared) {
		withdraw(p, VERDICT_FAILED, now, s);
		return;
	}
	if (!policy_may_go(p, now)) {
		clean_and_try_again(p, now, s);
		return;
	}
	p->phase = PHASE_HOLDING;
	p->held_since = now;
	s->go = true;
	s->say |= SAY_ACQUIRED;
}

static void on_signal(struct policy *p, const struct event *event,
		      struct boot now, struct step *s)
{
	if (trying(p) || p->phase == PHASE_HANDING) {
		p->signal = event->signal;
		withdraw(p, VERDICT_INTERRUPTED, now, s);
	} else if (p->phase == PHASE_RELEASING) {
		p->patience = boot_min(p->patience,
				       boot_add(now, hurried_patience));
	} else if (p->phase == PHASE_SETTLING && !finite(p->settle_until.ns)) {
		/* Waiting for descendants; one that came with the command's
		 * own end, as Ctrl-C does, was not meant for them. */
		s->say |= SAY_LINGERING;
		stop(p, now, p->config.grace, s);
	} else if (holds(p) && !p->command_ended) {
		s->relay = event->signal;
	}
}

/*
 * Nobody would end the command now if the keeper were killed as well, and what
 * it started would run on without the lock: so no grace is left to anybody,
 * whatever was under way.
 */
static void on_front_gone(struct policy *p, struct boot now, struct step *s)
{
	if (trying(p) || p->phase == PHASE_HANDING) {
		withdraw(p, VERDICT_INTERRUPTED, now, s);
	} else if (holds(p)) {
		s->say |= SAY_FRONT_GONE;
		stop(p, now, 0, s);
	}
}

static void on_hint(struct policy *p, struct boot now)
{
	if (!holds(p) || p->loss == LOSS_TOLD || p->failures > 0)
		return;
	p->refresh_at = boot_min(p->refresh_at, boot_add(p->begun, refresh_gap));
	if (p->refresh_at.ns < now.ns)
		p->refresh_at = now;
}

static void on_command_ended(struct policy *p, struct boot now, struct step *s)
{
	p->command_ended = true;
	if (trying(p) || p->phase == PHASE_HANDING) {
		withdraw(p, VERDICT_FAILED, now, s);
	} else if (p->phase == PHASE_HOLDING) {
		settle(p, now);
	}
}

static void on_bare(struct policy *p, struct boot now)
{
	if (p->command_ended && holds(p))
		all_ended(p, now);
}

static void on_counted(struct policy *p, const struct event *event,
		       struct boot now)
{
	/* Who was seen when SIGTERM was sent is not all that is there. */
	if (p->phase != PHASE_STOPPING || event->signal != SIGKILL)
		return;
	p->stuck = event->left == TREE_LEFT_DENIED;
	if (event->left == TREE_LEFT_NONE && p->command_ended)
		all_ended(p, now);
	else if (!p->stuck)
		return;
	else if (p->loss == LOSS_TOLD)
		all_ended(p, now); /* nothing is left to protect it with */
	else
		p->kill_time = boot_add(now, stuck_again);
}

static void on_event(struct policy *p, const struct event *event,
		     struct boot now, struct step *s)
{
	switch (event->kind) {
	case EVENT_START:
		on_start(p, now);
		return;
	case EVENT_TIME:
		return;
	case EVENT_REPLY:
		on_reply(p, event, now, s);
		return;
	case EVENT_HANDED:
		on_handed(p, event, now, s);
		return;
	case EVENT_SIGNAL:
		on_signal(p, event, now, s);
		return;
	case EVENT_FRONT_GONE:
		on_front_gone(p, now, s);
		return;
	case EVENT_HINT:
		on_hint(p, now);
		return;
	case EVENT_COMMAND_ENDED:
		on_command_ended(p, now, s);
		return;
	case EVENT_COUNTED:
		on_counted(p, event, now);
		return;
	case EVENT_BARE:
		on_bare(p, now);
		return;
	}
}

/* --- the worker's next job --------------------------------------------- */

static void post(struct policy *p, enum job job, struct boot give_up,
		 struct step *s)
{
	if (job == JOB_ACQUIRE || job == JOB_WAIT) {
		p->traces_before = p->traces;
		p->traces = true;
	}
	p->running = job;
	p->leash = give_up;
	s->job = job;
	s->give_up = give_up;
}

static void cancel(struct policy *p, struct step *s)
{
	if (p->running == JOB_NONE || p->cancelled)
		return;
	p->cancelled = true;
	s->cancel = true;
}

/* Whether the job that runs is of no use any more. */
static bool unwanted(const struct policy *p, struct boot now)
{
	if (boot_reached(now, p->leash))
		return true;
	return p->phase == PHASE_RELEASING && p->running != JOB_RELEASE;
}

static void schedule(struct policy *p, struct boot now, struct step *s)
{
	if (p->running != JOB_NONE) {
		if (unwanted(p, now))
			cancel(p, s);
		return;
	}
	switch (p->phase) {
	case PHASE_TRYING:
		if (boot_reached(now, p->next_try))
			post(p, JOB_ACQUIRE,
			     boot_min(boot_add(now, try_leash), try_end(p)), s);
		return;
	case PHASE_PAUSING:
		s->patience = wait_patience;
		if (p->config.asks_holder)
			s->patience = shorter(wait_patience,
					      boot_until(now, p->step_at));
		s->leash = try_leash;
		post(p, JOB_WAIT, p->wait_until, s);
		return;
	case PHASE_HOLDING:
	case PHASE_DOUBTING:
	case PHASE_SETTLING:
	case PHASE_STOPPING:
		if (boot_reached(now, p->refresh_at))
			post(p, JOB_REFRESH, boot_add(now, leash_of_refresh(p)),
			     s);
		return;
	case PHASE_RELEASING:
		if (boot_reached(now, p->next_try))
			post(p, JOB_RELEASE,
			     boot_min(boot_add(now, release_leash), p->patience),
			     s);
		return;
	case PHASE_HANDING:
	case PHASE_DONE:
		return;
	}
}

/* --- when to look again ------------------------------------------------ */

static struct boot guard_of(const struct policy *p)
{
	if (p->phase == PHASE_RELEASING)
		return boot_add(p->patience, front_patience);
	if ((!holds(p) && p->phase != PHASE_HANDING) || p->stuck)
		return BOOT_NEVER;
	return boot_add(p->valid_until, -p->term.margin / 2);
}

static struct boot wake_of_job(const struct policy *p)
{
	if (p->running == JOB_NONE)
		return BOOT_NEVER;
	if (!p->cancelled)
		return p->leash;
	if (may_tell_silence(p))
		return boot_add(p->leash, silence);
	return BOOT_NEVER;
}

static struct boot wake_while_trying(const struct policy *p)
{
	struct boot wake = boot_min(telling_at(p), try_end(p));

	wake = boot_min(wake, silent_at(p));
	if (p->running == JOB_NONE)
		wake = boot_min(wake, p->next_try);
	if (p->phase == PHASE_RELEASING)
		wake = boot_min(wake, p->patience);
	return wake;
}

static struct boot wake_while_holding(const struct policy *p)
{
	struct boot wake = boot_min(p->settle_until, p->kill_time);

	if (p->loss == LOSS_NONE)
		wake = boot_min(wake, p->term_at);
	if (p->phase == PHASE_HOLDING || p->phase == PHASE_DOUBTING)
		wake = boot_min(wake,
				boot_add(p->held_since, p->config.max_hold));
	if (p->running == JOB_NONE)
		wake = boot_min(wake, p->refresh_at);
	return wake;
}

static struct boot wake_of(const struct policy *p)
{
	struct boot wake = wake_of_job(p);

	switch (p->phase) {
	case PHASE_TRYING:
	case PHASE_PAUSING:
		return boot_min(wake, wake_while_trying(p));
	case PHASE_HOLDING:
	case PHASE_DOUBTING:
	case PHASE_SETTLING:
	case PHASE_STOPPING:
		return boot_min(wake, wake_while_holding(p));
	case PHASE_RELEASING:
		if (p->again)
			return boot_min(wake, wake_while_trying(p));
		wake = boot_min(wake, p->tell_slow_at);
		if (p->running == JOB_NONE)
			wake = boot_min(wake, p->next_try);
		return boot_min(wake, p->patience);
	case PHASE_HANDING:
	case PHASE_DONE:
		return wake;
	}
	return wake;
}

struct step policy_step(struct policy *p, const struct event *event,
			struct boot now)
{
	struct step s = { 0 };

	assert(p->phase != PHASE_DONE);
	check_validity(p, now, &s);
	on_event(p, event, now, &s);
	check_settled(p, now, &s);
	check_max_hold(p, now, &s);
	check_kill(p, now, &s);
	check_silence(p, now, &s);
	check_release(p, now, &s);
	check_wait(p, now, &s);
	check_telling(p, now, &s);
	schedule(p, now, &s);
	p->wake = wake_of(p);
	s.wake = p->wake;
	s.guard = guard_of(p);
	s.end = p->phase == PHASE_DONE;
	return s;
}
