/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker and its mailbox, with real threads; run under TSan as well.
 */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "scripted_lock.h"
#include "supervise/worker.h"

static struct worker worker;
static struct lock *lock;

static void start(const struct scripted_step *steps, size_t n)
{
	struct err e;
	sigset_t all;

	scripted_begin(steps, n);
	ck_assert_int_eq(scripted_open(&lock, NULL, NULL, &e), RC_OK);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, NULL);
	worker = (struct worker){ .ready_fd = -1, .cancel_fd = -1 };
	ck_assert_int_eq(worker_start(&worker, lock, &e), RC_OK);
}

static void post(enum job job)
{
	struct work work = { .job = job,
			     .give_up = BOOT_NEVER,
			     .patience = NSEC_PER_SEC,
			     .leash = 30 * NSEC_PER_SEC };

	worker_post(&worker, &work);
}

static void receive(struct answer *answer)
{
	struct pollfd ready = { .fd = worker.ready_fd, .events = POLLIN };

	ck_assert_int_eq(poll(&ready, 1, 10000), 1);
	worker_look(&worker);
	ck_assert(worker_take(&worker, answer));
}

START_TEST(a_job_goes_in_and_its_answer_comes_out)
{
	struct boot before = boot_now();
	struct answer answer;

	start(NULL, 0);
	post(JOB_ACQUIRE);
	receive(&answer);
	ck_assert_int_eq(answer.job, JOB_ACQUIRE);
	ck_assert_int_eq(answer.rc, RC_OK);
	ck_assert_str_eq(answer.mine.id, "mine");
	ck_assert_int_eq(answer.term.valid, 300 * NSEC_PER_SEC);
	ck_assert_int_ge(answer.begun.ns, before.ns);
	ck_assert_int_le(answer.begun.ns, boot_now().ns);
}
END_TEST

START_TEST(begun_is_before_the_call_however_long_it_takes)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_REFRESH,
		  .how = SCRIPTED_DEAF,
		  .delay = 50 * NSEC_PER_MSEC },
	};
	struct answer answer;

	start(steps, 1);
	post(JOB_REFRESH);
	receive(&answer);
	ck_assert_int_ge(boot_until(answer.begun, boot_now()),
			 50 * NSEC_PER_MSEC);
	ck_assert_int_le(answer.begun.ns,
			 atomic_load(&scripted->last_begun[SCRIPTED_REFRESH]));
}
END_TEST

START_TEST(an_error_keeps_its_sentence)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_REFRESH, .rc = RC_LOST, .text = "taken" },
	};
	struct answer answer;

	start(steps, 1);
	post(JOB_REFRESH);
	receive(&answer);
	ck_assert_int_eq(answer.rc, RC_LOST);
	ck_assert_str_eq(answer.err.text, "taken");
	post(JOB_REFRESH);
	receive(&answer);
	ck_assert_int_eq(answer.rc, RC_OK);
	ck_assert_str_eq(answer.err.text, "");
}
END_TEST

START_TEST(a_wait_that_is_over_goes_on_to_acquire)
{
	struct answer answer;

	start(NULL, 0);
	post(JOB_WAIT);
	receive(&answer);
	ck_assert_int_eq(answer.job, JOB_ACQUIRE);
	ck_assert_int_eq(atomic_load(&scripted->calls[SCRIPTED_WAIT]), 1);
	ck_assert_int_eq(atomic_load(&scripted->calls[SCRIPTED_ACQUIRE]), 1);
}
END_TEST

START_TEST(a_wait_without_result_does_not)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_WAIT, .rc = RC_ABSENT },
	};
	struct answer answer;

	start(steps, 1);
	post(JOB_WAIT);
	receive(&answer);
	ck_assert_int_eq(answer.job, JOB_WAIT);
	ck_assert_int_eq(answer.rc, RC_ABSENT);
	ck_assert_int_eq(atomic_load(&scripted->calls[SCRIPTED_ACQUIRE]), 0);
}
END_TEST

START_TEST(cancelling_ends_a_job_that_polls)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_WAIT,
		  .how = SCRIPTED_OBEDIENT,
		  .delay = 1000 * NSEC_PER_SEC },
	};
	struct answer answer;

	start(steps, 1);
	post(JOB_WAIT);
	worker_cancel(&worker);
	receive(&answer);
	ck_assert_int_eq(answer.rc, RC_CANCELLED);
}
END_TEST

START_TEST(cancelling_again_and_again_ends_a_job_that_blocks)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_WAIT, .how = SCRIPTED_BLOCKING },
	};
	struct pollfd ready;
	struct answer answer;

	start(steps, 1);
	post(JOB_WAIT);
	ready = (struct pollfd){ .fd = worker.ready_fd, .events = POLLIN };
	for (int i = 0; i < 1000; i++) {
		worker_cancel(&worker);
		if (poll(&ready, 1, 10) == 1)
			break;
	}
	worker_look(&worker);
	ck_assert(worker_take(&worker, &answer));
	ck_assert_int_eq(answer.rc, RC_CANCELLED);
}
END_TEST

START_TEST(a_cancelled_job_does_not_cancel_the_next)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_WAIT,
		  .how = SCRIPTED_OBEDIENT,
		  .delay = 1000 * NSEC_PER_SEC },
		{ .op = SCRIPTED_RELEASE,
		  .how = SCRIPTED_OBEDIENT,
		  .delay = 20 * NSEC_PER_MSEC },
	};
	struct answer answer;

	start(steps, 2);
	post(JOB_WAIT);
	worker_cancel(&worker);
	worker_cancel(&worker);
	receive(&answer);
	post(JOB_RELEASE);
	receive(&answer);
	ck_assert_int_eq(answer.rc, RC_OK);
}
END_TEST

START_TEST(nothing_is_taken_while_the_job_runs)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_REFRESH,
		  .how = SCRIPTED_DEAF,
		  .delay = 100 * NSEC_PER_MSEC },
	};
	struct answer answer;

	start(steps, 1);
	ck_assert(!worker_take(&worker, &answer));
	post(JOB_REFRESH);
	ck_assert(!worker_take(&worker, &answer));
	receive(&answer);
	ck_assert(!worker_take(&worker, &answer));
}
END_TEST

START_TEST(many_jobs_in_a_row_never_meet)
{
	static const enum job jobs[] = { JOB_ACQUIRE, JOB_REFRESH, JOB_WAIT,
					 JOB_RELEASE };
	struct answer answer;

	start(NULL, 0);
	for (int i = 0; i < 2000; i++) {
		post(jobs[i % 4]);
		if (i % 3 == 0)
			worker_cancel(&worker);
		receive(&answer);
	}
	ck_assert_int_eq(atomic_load(&scripted->crowds), 0);
}
END_TEST

START_TEST(the_watch_comes_between_jobs)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_REFRESH,
		  .how = SCRIPTED_DEAF,
		  .delay = 20 * NSEC_PER_MSEC },
	};
	struct pollfd ready;
	struct answer answer;
	int fd = -2;

	start(steps, 1);
	scripted_setting.loss_fd = 77;
	ck_assert(!worker_watched(&worker, &fd));
	post(JOB_REFRESH);
	worker_watch(&worker);
	while (worker.busy || fd == -2) {
		ready = (struct pollfd){ .fd = worker.ready_fd, .events = POLLIN };
		ck_assert_int_eq(poll(&ready, 1, 10000), 1);
		worker_look(&worker);
		(void)worker_take(&worker, &answer);
		(void)worker_watched(&worker, &fd);
	}
	ck_assert_int_eq(fd, 77);
	ck_assert_int_eq(answer.rc, RC_OK);
}
END_TEST

START_TEST(a_job_can_be_done_in_place)
{
	struct work work = { .job = JOB_ACQUIRE, .give_up = BOOT_NEVER };
	struct answer answer;
	struct err e;

	scripted_begin(NULL, 0);
	ck_assert_int_eq(scripted_open(&lock, NULL, NULL, &e), RC_OK);
	work_perform(lock, &work, -1, &answer);
	ck_assert_int_eq(answer.rc, RC_OK);
	ck_assert_int_eq(answer.job, JOB_ACQUIRE);
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("worker");
	TCase *t = tcase_create("mailbox");

	suite_add_tcase(all, t);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_job_goes_in_and_its_answer_comes_out);
	tcase_add_test(t, begun_is_before_the_call_however_long_it_takes);
	tcase_add_test(t, an_error_keeps_its_sentence);
	tcase_add_test(t, a_wait_that_is_over_goes_on_to_acquire);
	tcase_add_test(t, a_wait_without_result_does_not);
	tcase_add_test(t, cancelling_ends_a_job_that_polls);
	tcase_add_test(t, cancelling_again_and_again_ends_a_job_that_blocks);
	tcase_add_test(t, a_cancelled_job_does_not_cancel_the_next);
	tcase_add_test(t, nothing_is_taken_while_the_job_runs);
	tcase_add_test(t, many_jobs_in_a_row_never_meet);
	tcase_add_test(t, the_watch_comes_between_jobs);
	tcase_add_test(t, a_job_can_be_done_in_place);
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
