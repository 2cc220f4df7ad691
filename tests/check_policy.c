/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every event in every phase, at chosen instants. No processes, no clock.
 *
 * The usual lock: valid 300 s, refreshed after 100 s (less jitter), margin
 * 15 s, grace 10 s. So, counted from when the acquire was begun, the command
 * is asked to end at 275 s and killed at 285 s.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>

#include "supervise/policy.h"

#define S NSEC_PER_SEC

static const struct lock_term usual = { 300 * S, 100 * S, 15 * S };
static const struct lock_term endless = { NSEC_FOREVER, NSEC_FOREVER, 0 };
static const struct lock_term watched = { NSEC_FOREVER, 60 * S, 0 };
static const struct lock_term shortest = { 2 * S, 2 * S / 3, S / 2 };

/* Tests read as sentences in absolute time: begin() is at 1000 s. */
static const nsec start = 1000 * S;

static struct policy_config config;
static struct policy p;
static struct step s;
static nsec clock_at;

static void send(struct event event)
{
	s = policy_step(&p, &event, (struct boot){ start + clock_at });
}

static void happens(enum event_kind kind)
{
	send((struct event){ .kind = kind });
}

/* Let the timer fire at its time, as often as it asks for it. */
static void tick(nsec at)
{
	while (p.phase != PHASE_DONE && p.wake.ns <= start + at) {
		if (p.wake.ns > start + clock_at)
			clock_at = p.wake.ns - start;
		happens(EVENT_TIME);
		if (s.job != JOB_NONE || s.kill != 0 || s.say != 0 ||
		    s.cancel || s.drop)
			return;
	}
	clock_at = at;
	if (p.phase != PHASE_DONE)
		happens(EVENT_TIME);
}

/* As tick, but the keeper did not run in between. */
static void sleep_until(nsec at)
{
	clock_at = at;
	happens(EVENT_TIME);
}

static void answer_begun(enum job job, enum rc rc, struct lock_term term,
			 nsec begun)
{
	send((struct event){ .kind = EVENT_REPLY,
			     .job = job,
			     .rc = rc,
			     .term = term,
			     .begun = { start + begun } });
}

static void answer(enum job job, enum rc rc)
{
	answer_begun(job, rc, usual, clock_at);
}

static void killed(int sig, enum tree_left left)
{
	send((struct event){ .kind = EVENT_COUNTED, .signal = sig, .left = left });
}

static void is_signalled(int sig)
{
	send((struct event){ .kind = EVENT_SIGNAL, .signal = sig });
}

static void set_up(void)
{
	clock_at = 0;
	config = (struct policy_config){ .wait = NSEC_FOREVER,
					 .max_hold = NSEC_FOREVER,
					 .grace = 10 * S,
					 .descendants = DESCENDANTS_KILL,
					 .seed = 42 };
}

static void begin(void)
{
	policy_init(&p, &config);
	happens(EVENT_START);
}

static void hold_for(struct lock_term term)
{
	begin();
	answer_begun(JOB_ACQUIRE, RC_OK, term, 0);
	ck_assert(s.hand_over);
	send((struct event){ .kind = EVENT_HANDED, .shared = true });
	ck_assert(s.go);
	ck_assert_int_eq(p.phase, PHASE_HOLDING);
}

static void hold(void)
{
	hold_for(usual);
}

/* Holding, at the time of the first refresh, which is under way. */
static void refreshing(void)
{
	hold();
	tick(100 * S);
	ck_assert_int_eq(s.job, JOB_REFRESH);
}

/* --- trying ------------------------------------------------------------ */

START_TEST(the_first_thing_is_a_try_to_acquire)
{
	begin();
	ck_assert_int_eq(s.job, JOB_ACQUIRE);
	ck_assert(!s.go);
	ck_assert_int_eq(s.guard.ns, NSEC_FOREVER);
}
END_TEST

START_TEST(the_front_shares_the_lock_before_go_is_said)
{
	begin();
	answer(JOB_ACQUIRE, RC_OK);
	ck_assert(s.hand_over);
	ck_assert(!s.go);
	ck_assert_int_lt(s.guard.ns, start + 300 * S);
	ck_assert_int_gt(s.guard.ns, start + 285 * S);
	send((struct event){ .kind = EVENT_HANDED, .shared = true });
	ck_assert(s.go);
	ck_assert(s.say & SAY_ACQUIRED);
}
END_TEST

START_TEST(a_front_that_cannot_share_the_lock_ends_it)
{
	begin();
	answer(JOB_ACQUIRE, RC_OK);
	send((struct event){ .kind = EVENT_HANDED, .shared = false });
	ck_assert(!s.go);
	ck_assert(s.drop);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_OK);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_FAILED);
}
END_TEST

START_TEST(a_late_yes_to_acquire_is_released_and_tried_again)
{
	begin();
	clock_at = 275 * S;
	answer_begun(JOB_ACQUIRE, RC_OK, usual, 0);
	ck_assert(!s.hand_over);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_OK);
	tick(276 * S);
	ck_assert_int_eq(s.job, JOB_ACQUIRE);
}
END_TEST

START_TEST(a_yes_just_in_time_counts)
{
	begin();
	clock_at = 275 * S - 1;
	answer_begun(JOB_ACQUIRE, RC_OK, usual, 0);
	ck_assert(s.hand_over);
}
END_TEST

START_TEST(the_second_look_before_go_is_a_look_at_the_clock)
{
	begin();
	answer(JOB_ACQUIRE, RC_OK);
	clock_at = 275 * S;
	send((struct event){ .kind = EVENT_HANDED, .shared = true });
	ck_assert(!s.go);
	ck_assert_int_eq(s.job, JOB_RELEASE);
}
END_TEST

START_TEST(busy_waits_and_says_for_whom)
{
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	ck_assert_int_eq(s.job, JOB_WAIT);
	ck_assert(s.say & SAY_WAITING);
	ck_assert_int_eq(p.phase, PHASE_PAUSING);
}
END_TEST

START_TEST(the_same_holder_is_told_once_another_again)
{
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	clock_at = S;
	answer(JOB_ACQUIRE, RC_BUSY); /* a wait that went on to acquire */
	ck_assert(!(s.say & SAY_WAITING));
	send((struct event){ .kind = EVENT_REPLY,
			     .job = JOB_ACQUIRE,
			     .rc = RC_BUSY,
			     .other_holder = true });
	ck_assert(s.say & SAY_WAITING);
}
END_TEST

START_TEST(waiting_is_told_at_5s_5min_and_every_hour)
{
	static const nsec told[] = { 5, 300, 3600, 7200, 10800 };

	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	for (size_t i = 0; i < 5; i++) {
		tick(told[i] * S - 1);
		ck_assert_int_eq(s.say, 0);
		tick(told[i] * S);
		ck_assert_int_eq(s.say, SAY_WAITING);
	}
}
END_TEST

START_TEST(waiting_is_told_as_often_as_a_terminal_wants)
{
	config.tell_every = S;
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	for (nsec at = S; at <= 20 * S; at += S) {
		tick(at);
		ck_assert_int_eq(s.say, SAY_WAITING);
	}
}
END_TEST

START_TEST(a_wait_ends_in_time_to_ask_for_the_holder)
{
	static const nsec told[] = { 5, 300, 3600, 7200 };

	config.asks_holder = true;
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(s.job, JOB_WAIT);
		/* Longer ones go on after a look. */
		while (clock_at + s.patience < told[i] * S) {
			clock_at += s.patience;
			answer(JOB_ACQUIRE, RC_BUSY);
			ck_assert_int_eq(s.say, 0);
			ck_assert_int_eq(s.job, JOB_WAIT);
		}
		ck_assert_int_eq(clock_at + s.patience, told[i] * S);
		/* The timer is there first: nothing can be asked yet. */
		tick(told[i] * S);
		ck_assert_int_eq(s.say, 0);
		answer(JOB_ACQUIRE, RC_BUSY);
		ck_assert_int_eq(s.say, SAY_WAITING);
	}
}
END_TEST

START_TEST(a_wait_that_does_not_end_is_told_without_asking)
{
	config.asks_holder = true;
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	tick(5 * S + S / 2 - 1);
	ck_assert_int_eq(s.say, 0);
	tick(5 * S + S / 2);
	ck_assert_int_eq(s.say, SAY_WAITING);
}
END_TEST

START_TEST(a_location_that_does_not_answer_is_told_as_waiting)
{
	begin();
	tick(5 * S);
	ck_assert_int_eq(s.say, SAY_WAITING);
}
END_TEST

START_TEST(a_wait_that_went_on_to_acquire_starts_the_command)
{
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	clock_at = 50 * S;
	answer(JOB_ACQUIRE, RC_OK);
	ck_assert(s.hand_over);
}
END_TEST

START_TEST(a_wait_without_result_tries_again)
{
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	clock_at = 50 * S;
	answer(JOB_WAIT, RC_ABSENT);
	ck_assert_int_eq(s.job, JOB_ACQUIRE);
}
END_TEST

START_TEST(a_wait_that_fails_at_once_is_no_busy_loop)
{
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	answer(JOB_WAIT, RC_FAILED);
	ck_assert_int_eq(s.job, JOB_NONE);
	ck_assert_int_gt(s.wake.ns, start);
	tick(S);
	ck_assert_int_eq(s.job, JOB_ACQUIRE);
}
END_TEST

/* A system that may start no thread says so at once, each time. */
START_TEST(p3_3_a_wait_that_fails_is_paced_ever_more_slowly)
{
	static const enum rc rcs[] = { RC_RETRY, RC_FAILED, RC_UNKNOWN };
	unsigned tries = 0;

	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	while (clock_at < 60 * S) {
		nsec before = clock_at;

		ck_assert_int_eq(s.job, JOB_WAIT);
		answer(JOB_WAIT, rcs[_i]);
		ck_assert_int_eq(s.job, JOB_NONE);
		while (s.job == JOB_NONE)
			tick(clock_at + S / 100);
		ck_assert_int_eq(s.job, JOB_ACQUIRE);
		ck_assert_int_ge(clock_at - before, S / 20);
		ck_assert_int_le(clock_at - before, 6 * S);
		tries++;
		answer(JOB_ACQUIRE, RC_BUSY);
	}
	ck_assert_uint_lt(tries, 30);
	/* One that lasted was in order: the next failure is the first. */
	clock_at += 100 * S;
	answer(JOB_ACQUIRE, RC_BUSY);
	answer(JOB_WAIT, rcs[_i]);
	ck_assert_int_lt(p.next_try.ns - start - clock_at, S / 5);
}
END_TEST

static void fail_to_wait(bool starved)
{
	send((struct event){ .kind = EVENT_REPLY,
			     .job = JOB_WAIT,
			     .rc = RC_RETRY,
			     .starved = starved });
}

START_TEST(p3_3_waiting_without_memory_ends_with_the_reason)
{
	bool worked = false;
	nsec since = 0;

	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	while (p.phase != PHASE_DONE && p.phase != PHASE_RELEASING) {
		ck_assert_int_lt(clock_at, 400 * S);
		if (clock_at > 100 * S && !worked) {
			answer(JOB_WAIT, RC_ABSENT); /* it may pass */
			worked = true;
			since = clock_at;
		} else {
			fail_to_wait(true);
		}
		while (s.job == JOB_NONE && p.phase == PHASE_TRYING)
			tick(clock_at + S / 100);
		if (s.job == JOB_ACQUIRE)
			answer(JOB_ACQUIRE, RC_BUSY);
	}
	ck_assert_int_eq(p.verdict, VERDICT_FAILED);
	ck_assert_int_ge(clock_at - since, 120 * S);
	ck_assert_int_le(clock_at - since, 140 * S);
}
END_TEST

START_TEST(p3_3_waiting_without_a_thread_goes_on)
{
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	while (clock_at < 1000 * S) {
		fail_to_wait(false);
		while (s.job == JOB_NONE)
			tick(clock_at + S / 100);
		answer(JOB_ACQUIRE, RC_BUSY);
	}
	ck_assert_int_eq(s.job, JOB_WAIT);
}
END_TEST

/* Whatever the protocol's wait is worth: at first each try comes at once, for
 * the hand-over, but not without end. */
START_TEST(p3_3_a_wait_that_ends_at_once_is_paced_in_the_long_run)
{
	unsigned answers = 0, at_once = 0;

	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	while (clock_at < 100 * S) {
		if (s.job == JOB_NONE) {
			tick(clock_at + S / 1000);
			continue;
		}
		clock_at += S / 10000;
		/* Both ways of a wait to end. */
		answer(_i == 1 && s.job == JOB_WAIT ? JOB_WAIT : JOB_ACQUIRE,
		       _i == 1 && s.job == JOB_WAIT ? RC_ABSENT : RC_BUSY);
		answers++;
		if (clock_at < S / 100)
			at_once++;
	}
	ck_assert_uint_ge(at_once, 20);
	ck_assert_uint_ge(answers, 1000);
	ck_assert_uint_le(answers, 2 * (20 + 1000 + 10));
}
END_TEST

START_TEST(a_protocol_that_cannot_wait_is_paced_ever_more_slowly)
{
	nsec last = 0;

	config.paced = true;
	begin();
	for (int i = 0; i < 12; i++) {
		answer(JOB_ACQUIRE, RC_BUSY);
		ck_assert_int_eq(s.job, JOB_NONE);
		while (s.job == JOB_NONE)
			tick(last + 6 * S);
		ck_assert_int_eq(s.job, JOB_ACQUIRE);
		ck_assert_int_le(clock_at - last, 5 * S);
		last = clock_at;
	}
}
END_TEST

START_TEST(nonblock_takes_one_busy_for_an_answer)
{
	config.wait = 0;
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_OK);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_BUSY);
}
END_TEST

START_TEST(wait_ends_when_its_time_is_over)
{
	config.wait = 30 * S;
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	ck_assert_int_eq(s.give_up.ns, start + 30 * S);
	tick(5 * S);
	tick(30 * S);
	ck_assert(s.cancel);
	ck_assert(s.drop);
	answer(JOB_WAIT, RC_CANCELLED);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_OK);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_BUSY);
}
END_TEST

START_TEST(a_yes_in_the_last_moment_of_wait_counts)
{
	config.wait = 30 * S;
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	clock_at = 30 * S;
	answer_begun(JOB_ACQUIRE, RC_OK, usual, 29 * S);
	ck_assert(s.hand_over);
}
END_TEST

START_TEST(however_short_wait_is_the_first_answer_is_awaited)
{
	config.wait = 1;
	begin();
	clock_at = S;
	answer_begun(JOB_ACQUIRE, RC_OK, usual, 0);
	ck_assert(s.hand_over);
}
END_TEST

START_TEST(no_answer_at_all_is_no_busy)
{
	config.wait = S;
	begin();
	tick(5 * S);
	tick(10 * S);
	ck_assert(s.cancel);
	answer(JOB_ACQUIRE, RC_CANCELLED);
	answer(JOB_RELEASE, RC_OK);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_SILENT);
}
END_TEST

START_TEST(a_try_that_hangs_for_ever_is_given_up)
{
	config.wait = 0;
	begin();
	while (!s.drop)
		tick(clock_at + 10 * S);
	ck_assert_int_le(clock_at, 125 * S);
	while (!s.end)
		tick(clock_at + S);
	ck_assert_int_eq(p.verdict, VERDICT_SILENT);
	ck_assert(s.say & SAY_RELEASE_FAILED);
}
END_TEST

START_TEST(a_try_that_may_work_later_is_repeated_without_release)
{
	begin();
	answer(JOB_ACQUIRE, RC_RETRY);
	ck_assert(s.say & SAY_TRY_FAILED);
	ck_assert_int_eq(s.job, JOB_NONE);
	tick(S);
	ck_assert_int_eq(s.job, JOB_ACQUIRE);
	answer(JOB_ACQUIRE, RC_RETRY);
	ck_assert(!(s.say & SAY_TRY_FAILED));
}
END_TEST

START_TEST(failing_on_and_on_is_given_up)
{
	begin();
	while (!s.end) {
		ck_assert_int_lt(clock_at, 140 * S);
		if (s.job == JOB_ACQUIRE)
			answer(JOB_ACQUIRE, RC_RETRY);
		else
			tick(clock_at + 5 * S);
	}
	ck_assert_int_eq(p.verdict, VERDICT_FAILED);
}
END_TEST

START_TEST(unknown_on_and_on_is_given_up_as_well)
{
	begin();
	while (!s.end) {
		ck_assert_int_lt(clock_at, 140 * S);
		if (s.job == JOB_ACQUIRE)
			answer(JOB_ACQUIRE, RC_UNKNOWN);
		else if (s.job == JOB_RELEASE)
			answer(JOB_RELEASE, RC_OK);
		else
			tick(clock_at + 5 * S);
	}
	ck_assert_int_eq(p.verdict, VERDICT_FAILED);
}
END_TEST

START_TEST(nonblock_tries_three_times_when_it_fails)
{
	int tries = 0;

	config.wait = 0;
	begin();
	while (!s.end) {
		if (s.job == JOB_ACQUIRE) {
			tries++;
			answer(JOB_ACQUIRE, RC_RETRY);
		} else {
			tick(clock_at + S);
		}
	}
	ck_assert_int_eq(tries, 3);
	ck_assert_int_eq(p.verdict, VERDICT_FAILED);
	ck_assert_int_lt(clock_at, 2 * S);
}
END_TEST

START_TEST(unknown_is_released_before_it_is_tried_again)
{
	begin();
	answer(JOB_ACQUIRE, RC_UNKNOWN);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_UNKNOWN);
	tick(S);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_OK);
	tick(5 * S);
	ck_assert_int_eq(s.job, JOB_ACQUIRE);
}
END_TEST

static const enum rc final[] = { RC_DENIED, RC_MALFORMED, RC_UNSUPPORTED,
				 RC_FAILED, RC_ABSENT,    RC_EXISTS };

START_TEST(what_can_never_work_ends_at_once_and_leaves_nothing)
{
	begin();
	answer(JOB_ACQUIRE, final[_i]);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, final[_i] == RC_ABSENT ? RC_ABSENT : RC_DENIED);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_FAILED);
	ck_assert(!(s.say & SAY_RELEASE_FAILED));
}
END_TEST

START_TEST(a_gate_that_dies_while_waiting_withdraws)
{
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	happens(EVENT_COMMAND_ENDED);
	ck_assert(s.cancel);
	answer(JOB_WAIT, RC_CANCELLED);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_OK);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_FAILED);
}
END_TEST

/* --- signals and the front, before "go" -------------------------------- */

START_TEST(a_signal_while_trying_withdraws)
{
	begin();
	is_signalled(SIGINT);
	ck_assert(s.cancel);
	ck_assert(s.drop);
	ck_assert_int_eq(s.job, JOB_NONE); /* one job at a time */
	answer(JOB_ACQUIRE, RC_CANCELLED);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_OK);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_INTERRUPTED);
	ck_assert_int_eq(p.signal, SIGINT);
}
END_TEST

START_TEST(a_yes_behind_a_signal_is_released)
{
	begin();
	is_signalled(SIGTERM);
	answer(JOB_ACQUIRE, RC_OK);
	ck_assert(!s.hand_over);
	ck_assert_int_eq(s.job, JOB_RELEASE);
}
END_TEST

START_TEST(a_signal_while_pausing_withdraws)
{
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	is_signalled(SIGHUP);
	ck_assert(s.cancel);
	answer(JOB_WAIT, RC_OK);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_OK);
	ck_assert_int_eq(p.signal, SIGHUP);
}
END_TEST

START_TEST(a_signal_between_tries_needs_no_release_when_nothing_is_left)
{
	begin();
	answer(JOB_ACQUIRE, RC_RETRY);
	is_signalled(SIGINT);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_INTERRUPTED);
}
END_TEST

START_TEST(a_signal_during_the_release_between_two_tries_ends)
{
	begin();
	answer(JOB_ACQUIRE, RC_UNKNOWN);
	is_signalled(SIGINT);
	ck_assert(!s.cancel); /* it is what is wanted anyway */
	answer(JOB_RELEASE, RC_OK);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_INTERRUPTED);
}
END_TEST

START_TEST(a_front_that_goes_while_waiting_withdraws)
{
	begin();
	answer(JOB_ACQUIRE, RC_BUSY);
	happens(EVENT_FRONT_GONE);
	ck_assert(s.cancel);
	answer(JOB_WAIT, RC_CANCELLED);
	ck_assert_int_eq(s.job, JOB_RELEASE);
}
END_TEST

START_TEST(a_withdrawal_that_hangs_is_given_up_and_told)
{
	begin();
	is_signalled(SIGINT);
	tick(5 * S);
	while (!s.end)
		tick(clock_at + S);
	ck_assert_int_le(clock_at, 6 * S);
	ck_assert(s.say & SAY_RELEASE_FAILED);
	ck_assert_int_eq(p.verdict, VERDICT_INTERRUPTED);
}
END_TEST

/* --- holding ----------------------------------------------------------- */

START_TEST(the_lock_is_refreshed_after_a_third_with_a_little_jitter)
{
	hold();
	tick(90 * S - 1);
	ck_assert_int_eq(s.job, JOB_NONE);
	tick(100 * S);
	ck_assert_int_eq(s.job, JOB_REFRESH);
	ck_assert_int_eq(s.give_up.ns, start + clock_at + 30 * S);
}
END_TEST

START_TEST(jitter_differs_from_one_holder_to_the_next)
{
	struct boot first;

	hold();
	first = p.refresh_at;
	config.seed = 1000;
	hold();
	ck_assert_int_ne(p.refresh_at.ns, first.ns);
}
END_TEST

START_TEST(a_refresh_counts_from_before_it_was_sent)
{
	nsec begun;

	refreshing();
	begun = clock_at;
	clock_at += 20 * S;
	answer_begun(JOB_REFRESH, RC_OK, usual, begun);
	ck_assert(s.say & SAY_REFRESHED);
	ck_assert_int_eq(p.valid_until.ns, start + begun + 300 * S);
	ck_assert_int_eq(p.kill_at.ns, start + begun + 285 * S);
	ck_assert_int_eq(p.term_at.ns, start + begun + 275 * S);
	ck_assert_int_lt(s.guard.ns, p.valid_until.ns);
	ck_assert_int_gt(s.guard.ns, p.kill_at.ns);
}
END_TEST

START_TEST(a_failed_refresh_is_told_and_tried_again)
{
	refreshing();
	answer(JOB_REFRESH, RC_RETRY);
	ck_assert(s.say & SAY_IN_DOUBT);
	ck_assert_int_eq(s.kill, 0);
	ck_assert_int_eq(p.valid_until.ns, start + 300 * S);
	tick(clock_at + 2 * S);
	ck_assert_int_eq(s.job, JOB_REFRESH);
}
END_TEST

static void fail_refreshes(enum rc rc)
{
	while (s.kill == 0) {
		ck_assert_int_le(clock_at, 276 * S);
		if (s.job == JOB_REFRESH)
			answer(JOB_REFRESH, rc);
		else
			tick(275 * S);
	}
}

START_TEST(failing_refreshes_end_it_at_term_at)
{
	static const enum rc all[] = { RC_RETRY,  RC_UNKNOWN,   RC_FAILED,
				       RC_DENIED, RC_MALFORMED, RC_CANCELLED,
				       RC_BUSY,   RC_ABSENT };

	refreshing();
	fail_refreshes(all[_i]);
	ck_assert_int_eq(s.kill, SIGTERM);
	ck_assert_int_eq(clock_at, 275 * S);
	ck_assert(s.say & SAY_LOST);
	ck_assert_int_eq(p.loss, LOSS_EXPIRED);
	killed(SIGTERM, TREE_LEFT_SOME);
	while (s.kill == 0)
		if (s.job == JOB_REFRESH)
			answer(JOB_REFRESH, RC_RETRY);
		else
			tick(285 * S);
	ck_assert_int_eq(s.kill, SIGKILL);
	ck_assert_int_eq(clock_at, 285 * S);
}
END_TEST

START_TEST(retries_back_off_but_try_once_more_in_good_time)
{
	nsec last = 0;

	refreshing();
	while (s.kill == 0) {
		if (s.job == JOB_REFRESH) {
			last = clock_at;
			answer(JOB_REFRESH, RC_RETRY);
		} else {
			tick(275 * S);
		}
	}
	ck_assert_int_gt(last, 275 * S - 2 * 30 * S - S);
}
END_TEST

START_TEST(a_refresh_that_hangs_is_told_and_cut_by_the_same_deadlines)
{
	nsec begun;

	refreshing();
	begun = clock_at;
	tick(begun + 30 * S);
	ck_assert(s.cancel);
	tick(begun + 31 * S);
	ck_assert(s.say & SAY_SILENT);
	tick(200 * S);
	ck_assert_int_eq(s.say, 0);
	ck_assert_int_eq(s.job, JOB_NONE);
	tick(275 * S);
	ck_assert_int_eq(s.kill, SIGTERM);
	tick(285 * S);
	ck_assert_int_eq(s.kill, SIGKILL);
}
END_TEST

START_TEST(a_late_yes_to_refresh_is_no_yes)
{
	nsec begun;

	refreshing();
	begun = clock_at;
	tick(begun + 30 * S);
	tick(begun + 31 * S);
	clock_at = 275 * S;
	answer_begun(JOB_REFRESH, RC_OK, usual, begun);
	ck_assert_int_eq(s.kill, SIGTERM);
	ck_assert_int_eq(p.loss, LOSS_EXPIRED);
	tick(285 * S);
	ck_assert_int_eq(s.kill, SIGKILL);
}
END_TEST

START_TEST(a_yes_whose_term_is_over_already_is_none)
{
	refreshing();
	clock_at = 200 * S;
	answer_begun(JOB_REFRESH, RC_OK, shortest, 100 * S);
	ck_assert(!(s.say & SAY_REFRESHED));
	ck_assert_int_eq(p.valid_until.ns, start + 300 * S);
}
END_TEST

START_TEST(lost_sends_sigterm_at_once_and_sigkill_after_grace)
{
	nsec at;

	refreshing();
	at = clock_at;
	answer(JOB_REFRESH, RC_LOST);
	ck_assert_int_eq(s.kill, SIGTERM);
	ck_assert(s.say & SAY_LOST);
	killed(SIGTERM, TREE_LEFT_SOME);
	tick(at + 10 * S - 1);
	ck_assert_int_eq(s.kill, 0);
	tick(at + 10 * S);
	ck_assert_int_eq(s.kill, SIGKILL);
}
END_TEST

START_TEST(lost_with_on_lost_kill_skips_the_grace)
{
	config.on_lost = ON_LOST_KILL;
	refreshing();
	answer(JOB_REFRESH, RC_LOST);
	ck_assert_int_eq(s.kill, SIGKILL);
}
END_TEST

START_TEST(grace_after_a_loss_ends_at_kill_at)
{
	refreshing();
	tick(clock_at + 30 * S);
	clock_at = 274 * S;
	answer_begun(JOB_REFRESH, RC_LOST, usual, 100 * S);
	ck_assert_int_eq(s.kill, SIGTERM);
	killed(SIGTERM, TREE_LEFT_SOME);
	config.grace = 60 * S;
	tick(284 * S);
	ck_assert_int_eq(s.kill, SIGKILL);
}
END_TEST

START_TEST(a_grace_longer_than_a_quarter_of_the_term_is_cut)
{
	config.grace = 1000 * S;
	hold();
	ck_assert_int_eq(p.term_at.ns, start + (285 - 75) * S);
}
END_TEST

START_TEST(a_lost_lock_is_not_refreshed_but_its_traces_are_removed)
{
	refreshing();
	answer(JOB_REFRESH, RC_LOST);
	killed(SIGTERM, TREE_LEFT_SOME);
	tick(clock_at + 5 * S);
	ck_assert_int_eq(s.job, JOB_NONE);
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_LOST);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_LOST);
}
END_TEST

START_TEST(a_hint_leads_to_a_refresh_at_once)
{
	hold();
	clock_at = S;
	happens(EVENT_HINT);
	ck_assert_int_eq(s.job, JOB_REFRESH);
}
END_TEST

START_TEST(hints_cannot_make_a_busy_loop)
{
	int refreshes = 0;

	hold();
	for (clock_at = S; clock_at < 2 * S; clock_at += S / 1000) {
		happens(EVENT_HINT);
		if (s.job == JOB_REFRESH) {
			refreshes++;
			answer(JOB_REFRESH, RC_OK);
		}
	}
	ck_assert_int_le(refreshes, 101);
}
END_TEST

START_TEST(a_hint_does_not_hurry_a_failing_refresh)
{
	refreshing();
	answer(JOB_REFRESH, RC_RETRY);
	happens(EVENT_HINT);
	ck_assert_int_eq(s.job, JOB_NONE);
}
END_TEST

START_TEST(max_hold_ends_it_and_goes_on_refreshing)
{
	config.max_hold = 95 * S;
	hold();
	tick(90 * S);
	if (s.job == JOB_REFRESH)
		answer(JOB_REFRESH, RC_OK);
	tick(95 * S);
	if (s.kill == 0)
		tick(95 * S);
	ck_assert_int_eq(s.kill, SIGTERM);
	ck_assert(s.say & SAY_MAX_HOLD);
	killed(SIGTERM, TREE_LEFT_SOME);
	while (s.kill == 0) {
		if (s.job == JOB_REFRESH)
			answer(JOB_REFRESH, RC_OK);
		else
			tick(105 * S);
	}
	ck_assert_int_eq(s.kill, SIGKILL);
	ck_assert_int_eq(clock_at, 105 * S);
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	answer(p.running, RC_OK);
	if (!s.end)
		answer(JOB_RELEASE, RC_OK);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_MAX_HOLD);
}
END_TEST

START_TEST(a_loss_while_max_hold_ends_it_is_a_loss)
{
	config.max_hold = 95 * S;
	config.grace = 1000 * S;
	hold();
	while (s.kill == 0)
		tick(95 * S);
	killed(SIGTERM, TREE_LEFT_SOME);
	clock_at = 96 * S;
	if (s.job == JOB_NONE) {
		tick(100 * S);
	}
	answer(JOB_REFRESH, RC_LOST);
	ck_assert_int_eq(p.verdict, VERDICT_LOST);
	ck_assert(s.say & SAY_LOST);
}
END_TEST

START_TEST(p1_4_a_front_that_goes_kills_at_once_and_keeps_the_lock_till_then)
{
	hold();
	happens(EVENT_FRONT_GONE);
	ck_assert_int_eq(s.kill, SIGKILL);
	ck_assert(s.say & SAY_FRONT_GONE);
	ck_assert(s.say & SAY_SIGNALLED);
	killed(SIGKILL, TREE_LEFT_SOME);
	ck_assert_int_eq(s.job, JOB_NONE);
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	ck_assert_int_eq(s.job, JOB_RELEASE);
}
END_TEST

static void stopping_for_max_hold(void)
{
	config.max_hold = 50 * S;
	hold();
	tick(50 * S);
}

static void stopping_for_a_loss(void)
{
	refreshing();
	answer(JOB_REFRESH, RC_LOST);
}

static void stopping_descendants(void)
{
	hold();
	happens(EVENT_COMMAND_ENDED);
	tick(S);
}

static void (*const stopping[])(void) = { stopping_for_max_hold,
					  stopping_for_a_loss,
					  stopping_descendants };

START_TEST(p1_4_a_front_that_goes_cuts_a_grace_under_way)
{
	stopping[_i]();
	ck_assert_int_eq(s.kill, SIGTERM);
	killed(SIGTERM, TREE_LEFT_SOME);
	happens(EVENT_FRONT_GONE);
	ck_assert_int_eq(s.kill, SIGKILL);
}
END_TEST

START_TEST(p1_4_a_front_that_goes_kills_what_is_waited_for)
{
	config.descendants = DESCENDANTS_WAIT;
	hold();
	happens(EVENT_COMMAND_ENDED);
	tick(S);
	ck_assert_int_eq(s.kill, 0);
	happens(EVENT_FRONT_GONE);
	ck_assert_int_eq(s.kill, SIGKILL);
}
END_TEST

START_TEST(a_signal_to_the_keeper_is_for_the_command)
{
	hold();
	is_signalled(SIGTERM);
	ck_assert_int_eq(s.relay, SIGTERM);
	ck_assert_int_eq(s.kill, 0);
	ck_assert_int_eq(p.phase, PHASE_HOLDING);
}
END_TEST

/* --- locks without end ------------------------------------------------- */

START_TEST(an_endless_lock_never_expires)
{
	hold_for(endless);
	ck_assert_int_eq(s.wake.ns, NSEC_FOREVER);
	ck_assert_int_eq(s.guard.ns, NSEC_FOREVER);
	sleep_until(1000000 * S);
	ck_assert_int_eq(s.kill, 0);
	ck_assert(!s.freeze);
	ck_assert_int_eq(s.job, JOB_NONE);
}
END_TEST

START_TEST(an_endless_lock_that_is_watched_can_be_lost)
{
	hold_for(watched);
	tick(60 * S);
	ck_assert_int_eq(s.job, JOB_REFRESH);
	answer(JOB_REFRESH, RC_LOST);
	ck_assert_int_eq(s.kill, SIGTERM);
}
END_TEST

START_TEST(an_endless_lock_survives_any_number_of_failures)
{
	hold_for(watched);
	for (int i = 0; i < 1000; i++) {
		tick(clock_at + 100 * S);
		ck_assert_int_eq(s.kill, 0);
		if (s.job == JOB_REFRESH)
			answer_begun(JOB_REFRESH, RC_RETRY, watched, clock_at);
	}
}
END_TEST

START_TEST(after_a_sleep_an_endless_lock_is_verified_but_doubt_does_not_stay)
{
	hold_for(watched);
	sleep_until(3600 * S);
	ck_assert(s.freeze);
	ck_assert_int_eq(s.job, JOB_REFRESH);
	answer_begun(JOB_REFRESH, RC_RETRY, watched, clock_at);
	ck_assert(s.thaw);
	ck_assert_int_eq(p.phase, PHASE_HOLDING);
}
END_TEST

/* --- sleep ------------------------------------------------------------- */

START_TEST(waking_after_kill_at_kills_without_grace)
{
	hold();
	sleep_until(285 * S);
	ck_assert_int_eq(s.kill, SIGKILL);
	ck_assert_int_eq(p.loss, LOSS_SLEPT);
	ck_assert_int_eq(p.verdict, VERDICT_LOST);
}
END_TEST

START_TEST(waking_with_any_event_after_kill_at_kills)
{
	hold();
	clock_at = 3600 * S;
	happens((enum event_kind)_i);
	ck_assert_int_eq(s.kill, SIGKILL);
}
END_TEST

START_TEST(waking_between_term_at_and_kill_at_ends_it_by_kill_at)
{
	hold();
	sleep_until(280 * S);
	ck_assert_int_eq(s.kill, SIGTERM);
	killed(SIGTERM, TREE_LEFT_SOME);
	while (s.kill == 0)
		tick(285 * S);
	ck_assert_int_eq(clock_at, 285 * S);
	ck_assert_int_eq(s.kill, SIGKILL);
}
END_TEST

START_TEST(waking_after_the_refresh_time_stops_all_and_verifies)
{
	hold();
	sleep_until(150 * S);
	ck_assert(s.freeze);
	ck_assert(s.say & SAY_SLEPT);
	ck_assert_int_eq(s.job, JOB_REFRESH);
	ck_assert_int_eq(p.phase, PHASE_DOUBTING);
	answer(JOB_REFRESH, RC_OK);
	ck_assert(s.thaw);
	ck_assert_int_eq(p.phase, PHASE_HOLDING);
}
END_TEST

START_TEST(waking_before_the_refresh_time_changes_nothing)
{
	hold();
	sleep_until(80 * S);
	ck_assert(!s.freeze);
	ck_assert_int_eq(p.phase, PHASE_HOLDING);
}
END_TEST

START_TEST(a_timer_a_little_late_is_no_sleep)
{
	hold();
	sleep_until(p.wake.ns - start + S);
	ck_assert(!s.freeze);
	ck_assert_int_eq(s.job, JOB_REFRESH);
}
END_TEST

START_TEST(doubt_ends_in_a_kill_when_the_lock_was_lost)
{
	hold();
	sleep_until(150 * S);
	answer(JOB_REFRESH, RC_LOST);
	ck_assert_int_eq(s.kill, SIGTERM);
	ck_assert(!s.thaw); /* whoever sends SIGTERM sends SIGCONT */
}
END_TEST

START_TEST(doubt_lasts_while_the_store_fails)
{
	hold();
	sleep_until(150 * S);
	answer(JOB_REFRESH, RC_RETRY);
	ck_assert(!s.thaw);
	ck_assert_int_eq(p.phase, PHASE_DOUBTING);
	fail_refreshes(RC_RETRY);
	ck_assert_int_eq(s.kill, SIGTERM);
	ck_assert_int_eq(clock_at, 275 * S);
}
END_TEST

START_TEST(an_answer_asked_for_before_the_sleep_does_not_end_the_doubt)
{
	nsec begun;

	refreshing();
	begun = clock_at;
	sleep_until(200 * S);
	ck_assert(s.freeze || s.cancel);
	happens(EVENT_TIME);
	if (p.phase == PHASE_HOLDING)
		return; /* the refresh was under way: nothing was due */
	answer_begun(JOB_REFRESH, RC_OK, usual, begun);
	ck_assert(!s.thaw);
	ck_assert_int_eq(s.job, JOB_REFRESH);
	answer(JOB_REFRESH, RC_OK);
	ck_assert(s.thaw);
}
END_TEST

START_TEST(a_command_that_ends_in_doubt_leaves_the_rest_in_doubt)
{
	hold();
	sleep_until(150 * S);
	happens(EVENT_COMMAND_ENDED);
	ck_assert(!s.thaw);
	answer(JOB_REFRESH, RC_OK);
	ck_assert(s.thaw);
	ck_assert_int_eq(p.phase, PHASE_SETTLING);
}
END_TEST

START_TEST(the_shortest_ttl_notices_a_short_sleep)
{
	hold_for(shortest);
	sleep_until(S - S / 100);
	ck_assert(s.freeze);
}
END_TEST

/* --- the end ----------------------------------------------------------- */

START_TEST(a_command_that_leaves_nothing_is_released_at_once)
{
	hold();
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_OK);
	ck_assert(s.end);
	ck_assert(s.say & SAY_RELEASED);
	ck_assert_int_eq(p.verdict, VERDICT_COMMAND);
}
END_TEST

START_TEST(no_refresh_and_release_at_once)
{
	refreshing();
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	ck_assert_int_eq(s.job, JOB_NONE);
	ck_assert(s.cancel);
	answer(JOB_REFRESH, RC_CANCELLED);
	ck_assert_int_eq(s.job, JOB_RELEASE);
}
END_TEST

START_TEST(a_refresh_that_hangs_at_the_end_is_given_up_and_told)
{
	refreshing();
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	while (!s.end)
		tick(clock_at + S);
	ck_assert(s.say & SAY_RELEASE_FAILED);
	ck_assert_int_eq(p.verdict, VERDICT_COMMAND);
}
END_TEST

START_TEST(a_refresh_that_tells_of_a_loss_behind_the_command_is_told)
{
	refreshing();
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	answer(JOB_REFRESH, RC_LOST);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_LOST);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_LOST);
}
END_TEST

START_TEST(a_release_that_finds_the_lock_taken_is_a_loss)
{
	hold();
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	answer(JOB_RELEASE, RC_LOST);
	ck_assert(s.end);
	ck_assert(s.say & SAY_LOST);
	ck_assert_int_eq(p.verdict, VERDICT_LOST);
}
END_TEST

START_TEST(a_release_is_repeated_until_it_works)
{
	hold();
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(s.job, JOB_RELEASE);
		answer(JOB_RELEASE, i % 2 ? RC_RETRY : RC_UNKNOWN);
		tick(clock_at + 5 * S);
	}
	answer(JOB_RELEASE, RC_OK);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_COMMAND);
}
END_TEST

START_TEST(a_release_that_never_works_is_given_up_and_told)
{
	hold();
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	while (!s.end)
		if (s.job == JOB_RELEASE)
			answer(JOB_RELEASE, RC_RETRY);
		else
			tick(clock_at + 10 * S);
	ck_assert_int_ge(clock_at, 60 * S);
	ck_assert(s.say & SAY_RELEASE_FAILED);
	ck_assert_int_eq(p.verdict, VERDICT_COMMAND);
}
END_TEST

START_TEST(a_release_that_is_denied_is_told_at_once)
{
	hold();
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	answer(JOB_RELEASE, RC_DENIED);
	ck_assert(s.end);
	ck_assert(s.say & SAY_RELEASE_FAILED);
}
END_TEST

START_TEST(a_signal_while_releasing_hurries)
{
	hold();
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	is_signalled(SIGINT);
	while (!s.end)
		tick(clock_at + S);
	ck_assert_int_le(clock_at, 2 * S);
	ck_assert_int_eq(p.verdict, VERDICT_COMMAND);
}
END_TEST

START_TEST(the_front_outlasts_a_release)
{
	hold();
	happens(EVENT_COMMAND_ENDED);
	happens(EVENT_BARE);
	ck_assert_int_gt(s.guard.ns, p.patience.ns);
}
END_TEST

START_TEST(descendants_get_a_second_to_settle)
{
	hold();
	happens(EVENT_COMMAND_ENDED);
	tick(S - 1);
	ck_assert_int_eq(s.kill, 0);
	ck_assert_int_eq(p.phase, PHASE_SETTLING);
	happens(EVENT_BARE);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	ck_assert_int_eq(s.say, 0);
}
END_TEST

START_TEST(descendants_are_named_asked_and_killed)
{
	hold();
	happens(EVENT_COMMAND_ENDED);
	tick(S);
	ck_assert_int_eq(s.kill, SIGTERM);
	ck_assert(s.say & SAY_LINGERING);
	killed(SIGTERM, TREE_LEFT_SOME);
	tick(11 * S);
	ck_assert_int_eq(s.kill, SIGKILL);
	killed(SIGKILL, TREE_LEFT_NONE);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_OK);
	ck_assert_int_eq(p.verdict, VERDICT_COMMAND);
}
END_TEST

START_TEST(descendants_are_waited_for_and_the_lock_kept)
{
	config.descendants = DESCENDANTS_WAIT;
	hold();
	happens(EVENT_COMMAND_ENDED);
	tick(S);
	ck_assert(s.say & SAY_LINGERING);
	ck_assert_int_eq(s.kill, 0);
	tick(100 * S);
	ck_assert_int_eq(s.job, JOB_REFRESH);
	answer(JOB_REFRESH, RC_OK);
	happens(EVENT_BARE);
	ck_assert_int_eq(s.job, JOB_RELEASE);
}
END_TEST

START_TEST(descendants_waited_for_are_killed_when_the_lock_is_lost)
{
	config.descendants = DESCENDANTS_WAIT;
	hold();
	happens(EVENT_COMMAND_ENDED);
	tick(S);
	tick(100 * S);
	answer(JOB_REFRESH, RC_LOST);
	ck_assert_int_eq(s.kill, SIGTERM);
	happens(EVENT_BARE);
	answer(JOB_RELEASE, RC_OK);
	ck_assert_int_eq(p.verdict, VERDICT_LOST);
}
END_TEST

/* What SIGTERM found may be less than what is there, or more. */
START_TEST(p1_1_what_is_seen_at_sigterm_proves_nothing)
{
	static const enum tree_left lefts[] = { TREE_LEFT_SOME, TREE_LEFT_DENIED,
						TREE_LEFT_NONE };

	hold();
	happens(EVENT_COMMAND_ENDED);
	tick(S);
	ck_assert_int_eq(s.kill, SIGTERM);
	killed(SIGTERM, lefts[_i]);
	ck_assert_int_eq(p.phase, PHASE_STOPPING);
	ck_assert_int_eq(s.job, JOB_NONE);
	ck_assert_int_lt(s.guard.ns, NSEC_FOREVER);
	tick(11 * S);
	ck_assert_int_eq(s.kill, SIGKILL);
	killed(SIGKILL, lefts[_i]);
	ck_assert(lefts[_i] == TREE_LEFT_NONE ? s.job == JOB_RELEASE
					      : s.job == JOB_NONE);
}
END_TEST

START_TEST(p1_1_no_child_at_all_ends_the_grace_of_sigterm)
{
	hold();
	happens(EVENT_COMMAND_ENDED);
	tick(S);
	killed(SIGTERM, TREE_LEFT_SOME);
	tick(2 * S);
	ck_assert_int_eq(s.job, JOB_NONE);
	happens(EVENT_BARE);
	ck_assert_int_eq(s.job, JOB_RELEASE);
}
END_TEST

START_TEST(a_signal_ends_the_descendants_waited_for)
{
	config.descendants = DESCENDANTS_WAIT;
	hold();
	happens(EVENT_COMMAND_ENDED);
	is_signalled(SIGINT); /* the command's own Ctrl-C */
	ck_assert_int_eq(s.kill, 0);
	tick(S);
	ck_assert_int_eq(s.kill, 0);
	is_signalled(SIGTERM);
	ck_assert_int_eq(s.kill, SIGTERM);
	ck_assert(s.say & SAY_LINGERING);
	killed(SIGTERM, TREE_LEFT_SOME);
	tick(11 * S);
	ck_assert_int_eq(s.kill, SIGKILL);
	killed(SIGKILL, TREE_LEFT_NONE);
	answer(JOB_RELEASE, RC_OK);
	ck_assert_int_eq(p.verdict, VERDICT_COMMAND);
}
END_TEST

START_TEST(descendants_are_left_with_a_warning)
{
	config.descendants = DESCENDANTS_LEAVE;
	hold();
	happens(EVENT_COMMAND_ENDED);
	tick(S);
	ck_assert(s.say & SAY_LINGERING);
	ck_assert_int_eq(s.kill, 0);
	ck_assert_int_eq(s.job, JOB_RELEASE);
}
END_TEST

START_TEST(the_lock_is_not_released_before_the_command_itself_ended)
{
	hold();
	happens(EVENT_BARE);
	ck_assert_int_eq(s.job, JOB_NONE);
	ck_assert_int_eq(p.phase, PHASE_HOLDING);
}
END_TEST

START_TEST(killing_goes_on_until_none_is_left)
{
	hold();
	sleep_until(285 * S);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(s.kill, SIGKILL);
		ck_assert(i == 0 || !(s.say & SAY_SIGNALLED));
		killed(SIGKILL, TREE_LEFT_SOME);
		ck_assert_int_eq(s.kill, 0);
		ck_assert_int_gt(s.wake.ns, start + clock_at);
		do
			tick(clock_at + S / 10);
		while (s.kill == 0);
	}
	happens(EVENT_COMMAND_ENDED);
	killed(SIGKILL, TREE_LEFT_NONE);
	ck_assert_int_eq(p.phase, PHASE_RELEASING);
}
END_TEST

START_TEST(what_may_not_be_killed_keeps_the_lock_and_its_refreshes)
{
	hold();
	happens(EVENT_COMMAND_ENDED);
	tick(S);
	killed(SIGTERM, TREE_LEFT_DENIED);
	tick(11 * S);
	ck_assert_int_eq(s.kill, SIGKILL);
	killed(SIGKILL, TREE_LEFT_DENIED);
	ck_assert_int_eq(p.phase, PHASE_STOPPING);
	ck_assert_int_eq(s.guard.ns, NSEC_FOREVER);
	while (s.job == JOB_NONE) {
		ck_assert_int_lt(clock_at, 101 * S);
		if (s.kill != 0)
			killed(SIGKILL, TREE_LEFT_DENIED);
		tick(clock_at + S);
	}
	ck_assert_int_eq(s.job, JOB_REFRESH);
	answer(JOB_REFRESH, RC_OK);
	happens(EVENT_BARE);
	ck_assert_int_eq(s.job, JOB_RELEASE);
}
END_TEST

START_TEST(what_may_not_be_killed_is_protected_even_by_late_answers)
{
	nsec begun;

	hold();
	happens(EVENT_COMMAND_ENDED);
	sleep_until(285 * S);
	begun = clock_at;
	killed(SIGKILL, TREE_LEFT_DENIED);
	answer(JOB_REFRESH, RC_OK);
	ck_assert_int_eq(p.loss, LOSS_SLEPT);
	while (s.job != JOB_REFRESH) {
		ck_assert_int_lt(clock_at, begun + 101 * S);
		if (s.kill != 0)
			killed(SIGKILL, TREE_LEFT_DENIED);
		tick(clock_at + S);
	}
}
END_TEST

START_TEST(what_may_not_be_killed_does_not_hold_up_the_news_of_a_loss)
{
	refreshing();
	happens(EVENT_COMMAND_ENDED);
	answer(JOB_REFRESH, RC_LOST);
	killed(SIGTERM, TREE_LEFT_DENIED);
	tick(clock_at + 10 * S);
	ck_assert_int_eq(s.kill, SIGKILL);
	killed(SIGKILL, TREE_LEFT_DENIED);
	ck_assert_int_eq(s.job, JOB_RELEASE);
	answer(JOB_RELEASE, RC_LOST);
	ck_assert(s.end);
	ck_assert_int_eq(p.verdict, VERDICT_LOST);
}
END_TEST

START_TEST(left_is_what_is_left_until_term_at)
{
	hold();
	ck_assert_int_eq(policy_left(&p, (struct boot){ start + 200 * S }),
			 75 * S);
	ck_assert_int_eq(policy_left(&p, (struct boot){ start + 400 * S }), 0);
	hold_for(endless);
	ck_assert_int_eq(policy_left(&p, (struct boot){ start }), NSEC_FOREVER);
	config.wait = 30 * S;
	begin();
	ck_assert_int_eq(policy_left(&p, (struct boot){ start + 10 * S }),
			 20 * S);
}
END_TEST

/* --- anything, in any order -------------------------------------------- */

static nsec random_below(unsigned *seed, nsec end)
{
	return (nsec)((double)rand_r(seed) / RAND_MAX * (double)end);
}

static struct event random_event(unsigned *seed)
{
	static const enum rc rcs[] = { RC_OK,     RC_OK,      RC_OK,
				       RC_OK,     RC_BUSY,    RC_BUSY,
				       RC_LOST,   RC_RETRY,   RC_RETRY,
				       RC_RETRY,  RC_UNKNOWN, RC_UNKNOWN,
				       RC_FAILED, RC_DENIED,  RC_CANCELLED,
				       RC_ABSENT };
	static const struct lock_term *terms[] = { &usual, &endless, &watched,
						   &shortest };
	struct event event = {
		.kind = (enum event_kind)(1 + rand_r(seed) % EVENT_BARE),
		.signal = SIGTERM,
		.shared = rand_r(seed) % 8 != 0,
		.left = (enum tree_left)(rand_r(seed) % 3),
	};

	if (event.kind == EVENT_COUNTED)
		event.signal = rand_r(seed) % 2 ? SIGTERM : SIGKILL;
	if (event.kind == EVENT_REPLY) {
		event.job = p.running;
		if (p.running == JOB_WAIT && rand_r(seed) % 2)
			event.job = JOB_ACQUIRE;
		event.rc = rcs[rand_r(seed) % 16];
		event.term = *terms[rand_r(seed) % 4];
		event.begun.ns = start + clock_at -
				 random_below(seed, 400 * S) / 50;
	}
	return event;
}

static void check_step(const struct policy *before, struct event event)
{
	bool held = before->phase == PHASE_HOLDING ||
		    before->phase == PHASE_DOUBTING ||
		    before->phase == PHASE_SETTLING;
	nsec now = start + clock_at;

	/* One job at a time. */
	if (s.job != JOB_NONE)
		ck_assert(before->running == JOB_NONE ||
			  event.kind == EVENT_REPLY);
	/* Go only with a lock that is shared and good. */
	if (s.go) {
		ck_assert_int_eq(event.kind, EVENT_HANDED);
		ck_assert_int_lt(now, before->term_at.ns);
	}
	/* Nothing lives past kill_at, and is asked to end at term_at. */
	if (held && now >= before->kill_at.ns && !s.end &&
	    p.phase != PHASE_RELEASING)
		ck_assert_int_eq(s.kill, SIGKILL);
	else if (held && now >= before->term_at.ns && !s.end &&
		 p.phase != PHASE_RELEASING)
		ck_assert_int_ne(s.kill, 0);
	/* A loss is not forgotten. */
	if (before->loss != LOSS_NONE)
		ck_assert_int_eq(p.verdict, VERDICT_LOST);
	/* Never released while something may run that can be killed. */
	if (s.job == JOB_RELEASE && before->phase == PHASE_HOLDING)
		ck_assert(p.command_ended);
	/* A late yes moves nothing. */
	if (event.kind == EVENT_REPLY && event.job == JOB_REFRESH && held &&
	    now >= before->term_at.ns)
		ck_assert_int_eq(p.valid_until.ns, before->valid_until.ns);
	/* The front is never later than validity. */
	if (held && !s.end && !p.stuck && p.phase != PHASE_RELEASING)
		ck_assert(s.guard.ns <= p.valid_until.ns);
	/* Either something was done, or there is a time to wait for. */
	if (!s.end && s.wake.ns <= now) {
		struct policy copy = p;
		struct event time = { .kind = EVENT_TIME };
		struct step next = { 0 };

		for (int i = 0; i < 4 && !next.end; i++) {
			next = policy_step(&copy, &time, (struct boot){ now });
			if (next.wake.ns > now)
				break;
		}
		ck_assert_msg(next.end || next.wake.ns > now,
			      "busy loop in phase %d", (int)p.phase);
	}
}

static void random_life(unsigned seed)
{
	config.wait = seed % 3 == 0 ? 0 : random_below(&seed, 300 * S);
	config.max_hold = seed % 2 ? NSEC_FOREVER : 200 * S;
	config.paced = rand_r(&seed) % 2;
	config.on_lost = rand_r(&seed) % 2 ? ON_LOST_TERM : ON_LOST_KILL;
	config.descendants = (enum supervise_descendants)(rand_r(&seed) % 3);
	config.seed = seed;
	clock_at = 0;
	begin();
	for (int i = 0; i < 200 && !s.end; i++) {
		struct policy before = p;
		struct event event = random_event(&seed);

		if (s.hand_over)
			event.kind = EVENT_HANDED;
		else if (event.kind == EVENT_HANDED ||
			 (event.kind == EVENT_REPLY && p.running == JOB_NONE))
			event.kind = EVENT_TIME;
		/* Most lives should be long enough to meet everything. */
		if ((event.kind == EVENT_COMMAND_ENDED ||
		     event.kind == EVENT_FRONT_GONE ||
		     event.kind == EVENT_SIGNAL) &&
		    rand_r(&seed) % 32 != 0)
			event.kind = EVENT_TIME;
		if (event.kind == EVENT_TIME && p.wake.ns < NSEC_FOREVER &&
		    p.wake.ns > start + clock_at && rand_r(&seed) % 4 != 0)
			clock_at = p.wake.ns - start;
		else if (rand_r(&seed) % 16 == 0)
			clock_at += random_below(&seed, 400 * S);
		else
			clock_at += random_below(&seed, S);
		send(event);
		check_step(&before, event);
	}
}

START_TEST(whatever_happens_the_rules_hold)
{
	for (unsigned i = 0; i < 2000; i++)
		random_life((unsigned)_i * 2000 + i + 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("policy");
	TCase *trying = tcase_create("trying");
	TCase *holding = tcase_create("holding");
	TCase *ending = tcase_create("ending");

	tcase_add_checked_fixture(trying, set_up, NULL);
	tcase_add_checked_fixture(holding, set_up, NULL);
	tcase_add_checked_fixture(ending, set_up, NULL);
	suite_add_tcase(all, trying);
	suite_add_tcase(all, holding);
	suite_add_tcase(all, ending);

	tcase_add_test(trying, the_first_thing_is_a_try_to_acquire);
	tcase_add_test(trying, the_front_shares_the_lock_before_go_is_said);
	tcase_add_test(trying, a_front_that_cannot_share_the_lock_ends_it);
	tcase_add_test(trying, a_late_yes_to_acquire_is_released_and_tried_again);
	tcase_add_test(trying, a_yes_just_in_time_counts);
	tcase_add_test(trying, the_second_look_before_go_is_a_look_at_the_clock);
	tcase_add_test(trying, busy_waits_and_says_for_whom);
	tcase_add_test(trying, the_same_holder_is_told_once_another_again);
	tcase_add_test(trying, waiting_is_told_at_5s_5min_and_every_hour);
	tcase_add_test(trying, waiting_is_told_as_often_as_a_terminal_wants);
	tcase_add_test(trying, a_wait_ends_in_time_to_ask_for_the_holder);
	tcase_add_test(trying, a_wait_that_does_not_end_is_told_without_asking);
	tcase_add_test(trying,
		       a_location_that_does_not_answer_is_told_as_waiting);
	tcase_add_test(trying, a_wait_that_went_on_to_acquire_starts_the_command);
	tcase_add_test(trying, a_wait_without_result_tries_again);
	tcase_add_test(trying, a_wait_that_fails_at_once_is_no_busy_loop);
	tcase_add_loop_test(
		trying, p3_3_a_wait_that_fails_is_paced_ever_more_slowly, 0, 3);
	tcase_add_test(trying, p3_3_waiting_without_memory_ends_with_the_reason);
	tcase_add_test(trying, p3_3_waiting_without_a_thread_goes_on);
	tcase_add_loop_test(
		trying, p3_3_a_wait_that_ends_at_once_is_paced_in_the_long_run,
		0, 2);
	tcase_add_test(trying,
		       a_protocol_that_cannot_wait_is_paced_ever_more_slowly);
	tcase_add_test(trying, nonblock_takes_one_busy_for_an_answer);
	tcase_add_test(trying, wait_ends_when_its_time_is_over);
	tcase_add_test(trying, a_yes_in_the_last_moment_of_wait_counts);
	tcase_add_test(trying, however_short_wait_is_the_first_answer_is_awaited);
	tcase_add_test(trying, no_answer_at_all_is_no_busy);
	tcase_add_test(trying, a_try_that_hangs_for_ever_is_given_up);
	tcase_add_test(trying,
		       a_try_that_may_work_later_is_repeated_without_release);
	tcase_add_test(trying, failing_on_and_on_is_given_up);
	tcase_add_test(trying, unknown_on_and_on_is_given_up_as_well);
	tcase_add_test(trying, nonblock_tries_three_times_when_it_fails);
	tcase_add_test(trying, unknown_is_released_before_it_is_tried_again);
	tcase_add_loop_test(trying,
			    what_can_never_work_ends_at_once_and_leaves_nothing,
			    0, sizeof(final) / sizeof(final[0]));
	tcase_add_test(trying, a_gate_that_dies_while_waiting_withdraws);
	tcase_add_test(trying, a_signal_while_trying_withdraws);
	tcase_add_test(trying, a_yes_behind_a_signal_is_released);
	tcase_add_test(trying, a_signal_while_pausing_withdraws);
	tcase_add_test(
		trying,
		a_signal_between_tries_needs_no_release_when_nothing_is_left);
	tcase_add_test(trying,
		       a_signal_during_the_release_between_two_tries_ends);
	tcase_add_test(trying, a_front_that_goes_while_waiting_withdraws);
	tcase_add_test(trying, a_withdrawal_that_hangs_is_given_up_and_told);
	tcase_add_test(holding,
		       the_lock_is_refreshed_after_a_third_with_a_little_jitter);
	tcase_add_test(holding, jitter_differs_from_one_holder_to_the_next);
	tcase_add_test(holding, a_refresh_counts_from_before_it_was_sent);
	tcase_add_test(holding, a_failed_refresh_is_told_and_tried_again);
	tcase_add_loop_test(holding, failing_refreshes_end_it_at_term_at, 0, 8);
	tcase_add_test(holding, retries_back_off_but_try_once_more_in_good_time);
	tcase_add_test(holding,
		       a_refresh_that_hangs_is_told_and_cut_by_the_same_deadlines);
	tcase_add_test(holding, a_late_yes_to_refresh_is_no_yes);
	tcase_add_test(holding, a_yes_whose_term_is_over_already_is_none);
	tcase_add_test(holding,
		       lost_sends_sigterm_at_once_and_sigkill_after_grace);
	tcase_add_test(holding, lost_with_on_lost_kill_skips_the_grace);
	tcase_add_test(holding, grace_after_a_loss_ends_at_kill_at);
	tcase_add_test(holding, a_grace_longer_than_a_quarter_of_the_term_is_cut);
	tcase_add_test(holding,
		       a_lost_lock_is_not_refreshed_but_its_traces_are_removed);
	tcase_add_test(holding, a_hint_leads_to_a_refresh_at_once);
	tcase_add_test(holding, hints_cannot_make_a_busy_loop);
	tcase_add_test(holding, a_hint_does_not_hurry_a_failing_refresh);
	tcase_add_test(holding, max_hold_ends_it_and_goes_on_refreshing);
	tcase_add_test(holding, a_loss_while_max_hold_ends_it_is_a_loss);
	tcase_add_test(
		holding,
		p1_4_a_front_that_goes_kills_at_once_and_keeps_the_lock_till_then);
	tcase_add_loop_test(holding,
			    p1_4_a_front_that_goes_cuts_a_grace_under_way, 0,
			    sizeof(stopping) / sizeof(stopping[0]));
	tcase_add_test(holding, p1_4_a_front_that_goes_kills_what_is_waited_for);
	tcase_add_test(holding, a_signal_to_the_keeper_is_for_the_command);
	tcase_add_test(holding, an_endless_lock_never_expires);
	tcase_add_test(holding, an_endless_lock_that_is_watched_can_be_lost);
	tcase_add_test(holding, an_endless_lock_survives_any_number_of_failures);
	tcase_add_test(
		holding,
		after_a_sleep_an_endless_lock_is_verified_but_doubt_does_not_stay);
	tcase_add_test(holding, waking_after_kill_at_kills_without_grace);
	tcase_add_loop_test(holding, waking_with_any_event_after_kill_at_kills,
			    EVENT_TIME, EVENT_BARE + 1);
	tcase_add_test(holding,
		       waking_between_term_at_and_kill_at_ends_it_by_kill_at);
	tcase_add_test(holding,
		       waking_after_the_refresh_time_stops_all_and_verifies);
	tcase_add_test(holding, waking_before_the_refresh_time_changes_nothing);
	tcase_add_test(holding, a_timer_a_little_late_is_no_sleep);
	tcase_add_test(holding, doubt_ends_in_a_kill_when_the_lock_was_lost);
	tcase_add_test(holding, doubt_lasts_while_the_store_fails);
	tcase_add_test(
		holding,
		an_answer_asked_for_before_the_sleep_does_not_end_the_doubt);
	tcase_add_test(holding,
		       a_command_that_ends_in_doubt_leaves_the_rest_in_doubt);
	tcase_add_test(holding, the_shortest_ttl_notices_a_short_sleep);
	tcase_add_test(ending, a_command_that_leaves_nothing_is_released_at_once);
	tcase_add_test(ending, no_refresh_and_release_at_once);
	tcase_add_test(ending,
		       a_refresh_that_hangs_at_the_end_is_given_up_and_told);
	tcase_add_test(ending,
		       a_refresh_that_tells_of_a_loss_behind_the_command_is_told);
	tcase_add_test(ending, a_release_that_finds_the_lock_taken_is_a_loss);
	tcase_add_test(ending, a_release_is_repeated_until_it_works);
	tcase_add_test(ending, a_release_that_never_works_is_given_up_and_told);
	tcase_add_test(ending, a_release_that_is_denied_is_told_at_once);
	tcase_add_test(ending, a_signal_while_releasing_hurries);
	tcase_add_test(ending, the_front_outlasts_a_release);
	tcase_add_test(ending, descendants_get_a_second_to_settle);
	tcase_add_test(ending, descendants_are_named_asked_and_killed);
	tcase_add_test(ending, descendants_are_waited_for_and_the_lock_kept);
	tcase_add_test(ending,
		       descendants_waited_for_are_killed_when_the_lock_is_lost);
	tcase_add_loop_test(ending, p1_1_what_is_seen_at_sigterm_proves_nothing,
			    0, 3);
	tcase_add_test(ending, p1_1_no_child_at_all_ends_the_grace_of_sigterm);
	tcase_add_test(ending, a_signal_ends_the_descendants_waited_for);
	tcase_add_test(ending, descendants_are_left_with_a_warning);
	tcase_add_test(ending,
		       the_lock_is_not_released_before_the_command_itself_ended);
	tcase_add_test(ending, killing_goes_on_until_none_is_left);
	tcase_add_test(ending,
		       what_may_not_be_killed_keeps_the_lock_and_its_refreshes);
	tcase_add_test(ending,
		       what_may_not_be_killed_is_protected_even_by_late_answers);
	tcase_add_test(ending,
		       what_may_not_be_killed_does_not_hold_up_the_news_of_a_loss);
	tcase_add_test(ending, left_is_what_is_left_until_term_at);
	tcase_add_loop_test(ending, whatever_happens_the_rules_hold, 0, 10);
	return all;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
