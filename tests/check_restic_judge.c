/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container.h"
#include "lock/liveness.h"
#include "lock/restic_judge.h"
#include "util/text.h"

#define MINUTE (60 * NSEC_PER_SEC)

static struct self self;
static struct restic_record r; /* as restic makes it, of this process, now */
static struct restic_verdict v;
static struct wall now;
static pid_t child;

static void setup(void)
{
	self_fill(&self);
	now = wall_now();
	r = (struct restic_record){ .time = now, .pid = getpid() };
	text_copy(r.host, sizeof(r.host), self.host);
	child = 0;
}

static void teardown(void)
{
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
}

static void judge(nsec age, nsec stored_age)
{
	r.time.ns = now.ns - age;
	restic_judge(&v, &r, (struct wall){ now.ns - stored_age }, now, &self,
		     NULL);
}

static void child_called(const char *name)
{
	int ends[2];
	char c;

	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_NAME, name);
		if (write(ends[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ends[0], &c, 1), 1);
	close(ends[0]);
	close(ends[1]);
}

static void dead_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	r.pid = pid;
}

/* A record of ours: it tells exactly who the processes are. */
static void make_ours(void)
{
	text_copy(r.token, sizeof(r.token), "token");
	text_copy(r.boot_id, sizeof(r.boot_id), self.boot_id);
	r.pid_ns = self.pid_ns;
	r.time_ns = self.time_ns;
	r.start = process_start((pid_t)r.pid);
	r.front = r.pid;
	r.front_start = r.start;
}

START_TEST(a_process_that_lives_keeps_its_lock_however_old)
{
	judge(0, 0);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_YES);
	ck_assert_int_eq(v.stale, RESTIC_LIVES);
	/* It must have started before, or it would be another one. */
	child_called("restic");
	r.pid = child;
	judge(48 * 60 * MINUTE, 48 * 60 * MINUTE);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_YES);
	ck_assert_int_eq(v.stale, RESTIC_LIVES);
}
END_TEST

START_TEST(a_process_that_may_not_be_signalled_lives)
{
	r.pid = 1;
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	judge(0, 0);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_YES);
	ck_assert_int_eq(v.stale, RESTIC_LIVES);
}
END_TEST

START_TEST(a_process_that_is_gone_leaves_a_stale_lock_at_once)
{
	dead_child();
	judge(0, 0);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_NO);
	ck_assert_int_eq(v.stale, RESTIC_GONE);
	ck_assert_ptr_nonnull(strstr(v.why, "gone"));
	ck_assert(restic_may_clear(v.stale, LOCK_BREAK_SAFE));
	ck_assert(restic_may_clear(v.stale, LOCK_BREAK_ALL));
	ck_assert(!restic_may_clear(v.stale, LOCK_BREAK_NONE));
}
END_TEST

/* It has the host's name, and process ids of its own. */
START_TEST(a_pid_that_lives_in_a_container_is_not_called_gone)
{
	pid_t outer;
	int64_t pid = container_start(&outer);

	if (pid != 0) {
		r.pid = pid;
		judge(0, 0);
		ck_assert_int_eq(v.alive, LOCK_ALIVE_UNKNOWN);
		ck_assert_int_eq(v.stale, RESTIC_LIVES);
	}
	kill(outer, SIGKILL);
	ck_assert_int_eq(waitpid(outer, NULL, 0), outer);
	/* What is within ends a moment later than what is around it. */
	for (int i = 0; pid != 0 && i < 500 && v.stale != RESTIC_GONE; i++) {
		usleep(10000);
		judge(0, 0);
	}
	ck_assert(pid == 0 || v.stale == RESTIC_GONE);
}
END_TEST

START_TEST(a_process_that_nobody_reaps_is_gone)
{
	siginfo_t info;

	child_called("restic");
	r.pid = child;
	kill(child, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	judge(0, 0);
	ck_assert_int_eq(v.stale, RESTIC_GONE);
}
END_TEST

START_TEST(a_pid_of_another_host_says_nothing)
{
	dead_child();
	text_copy(r.host, sizeof(r.host), "another");
	judge(0, 0);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_UNKNOWN);
	ck_assert_int_eq(v.stale, RESTIC_LIVES);
}
END_TEST

START_TEST(a_host_without_a_name_is_nobody)
{
	static const char *const names[] = { "", "localhost",
					     "localhost.localdomain" };

	dead_child();
	text_copy(r.host, sizeof(r.host), names[_i]);
	text_copy(self.host, sizeof(self.host), names[_i]);
	judge(0, 0);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_UNKNOWN);
	ck_assert_int_eq(v.stale, RESTIC_LIVES);
}
END_TEST

static const int64_t no_pids[] = { 0, -1, INT64_MIN, INT64_MAX, (int64_t)1 << 32 };

START_TEST(what_is_no_pid_is_not_asked_about)
{
	r.pid = no_pids[_i];
	judge(0, 0);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_UNKNOWN);
}
END_TEST

START_TEST(a_younger_process_with_that_pid_is_another_one)
{
	child_called("sleeper");
	r.pid = child;
	judge(MINUTE, MINUTE);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_NO);
	ck_assert_int_eq(v.stale, RESTIC_REUSED);
	ck_assert(!restic_may_clear(v.stale, LOCK_BREAK_SAFE));
	ck_assert(restic_may_clear(v.stale, LOCK_BREAK_ALL));
	/* The clock was stepped: the store's own does not agree. */
	judge(MINUTE, 0);
	ck_assert_int_eq(v.stale, RESTIC_LIVES);
}
END_TEST

START_TEST(a_younger_process_that_is_called_restic_is_believed)
{
	child_called("restic_0.17.3_l");
	r.pid = child;
	judge(MINUTE, MINUTE);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_YES);
	ck_assert_int_eq(v.stale, RESTIC_LIVES);
}
END_TEST

static const struct {
	nsec age, stored;
	enum restic_stale stale;
} ages[] = {
	{ 29 * MINUTE, 29 * MINUTE, RESTIC_LIVES },
	{ 31 * MINUTE, 31 * MINUTE, RESTIC_OLD },
	{ 31 * MINUTE, 29 * MINUTE, RESTIC_LIVES }, /* its clock is behind */
	{ 29 * MINUTE, 31 * MINUTE, RESTIC_LIVES },
	{ -60 * MINUTE, 60 * MINUTE, RESTIC_LIVES }, /* from the future */
	{ 60 * MINUTE, -60 * MINUTE, RESTIC_LIVES },
};

START_TEST(age_counts_when_both_clocks_agree)
{
	text_copy(r.host, sizeof(r.host), "another");
	judge(ages[_i].age, ages[_i].stored);
	ck_assert_int_eq(v.stale, ages[_i].stale);
	ck_assert_int_eq(v.why[0] != '\0', ages[_i].stale == RESTIC_OLD);
	ck_assert(!restic_may_clear(v.stale, LOCK_BREAK_SAFE));
	ck_assert_int_eq(restic_may_clear(v.stale, LOCK_BREAK_ALL),
			 ages[_i].stale == RESTIC_OLD);
}
END_TEST

START_TEST(a_lock_of_ours_is_judged_by_start_times)
{
	make_ours();
	judge(0, 0);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_YES);
	r.start++;
	judge(0, 0);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_YES); /* the front lives */
	r.front_start++;
	judge(0, 0);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_NO);
	ck_assert_int_eq(v.stale, RESTIC_GONE);
}
END_TEST

START_TEST(a_lock_of_ours_is_held_until_keeper_and_front_are_gone)
{
	child_called("front");
	make_ours();
	dead_child();
	r.start = 1;
	r.front = child;
	r.front_start = process_start(child);
	judge(0, 0);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_YES);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	child = 0;
	judge(0, 0);
	ck_assert_int_eq(v.stale, RESTIC_GONE);
}
END_TEST

START_TEST(a_lock_of_ours_from_another_pid_namespace_is_not_ours_to_judge)
{
	make_ours();
	dead_child();
	r.pid_ns++;
	judge(0, 0);
	ck_assert_int_eq(v.alive, LOCK_ALIVE_UNKNOWN);
	ck_assert_int_eq(v.stale, RESTIC_LIVES);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("restic_judge");
	TCase *t = tcase_create("judge");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_pid_of_another_host_says_nothing);
	tcase_add_loop_test(t, a_host_without_a_name_is_nobody, 0, 3);
	tcase_add_loop_test(t, what_is_no_pid_is_not_asked_about, 0, 5);
	tcase_add_loop_test(t, age_counts_when_both_clocks_agree, 0, 6);
	tcase_add_test(t, a_lock_of_ours_is_judged_by_start_times);
	tcase_add_test(t, a_lock_of_ours_is_held_until_keeper_and_front_are_gone);
	/* Of restic's own locks a pid means something only where all processes
	 * of the host are seen. */
	if (liveness_initial_pid_ns()) {
		tcase_add_test(t,
			       a_process_that_lives_keeps_its_lock_however_old);
		tcase_add_test(t, a_process_that_may_not_be_signalled_lives);
		tcase_add_test(
			t, a_process_that_is_gone_leaves_a_stale_lock_at_once);
		tcase_add_test(
			t, a_pid_that_lives_in_a_container_is_not_called_gone);
		tcase_add_test(t, a_process_that_nobody_reaps_is_gone);
		tcase_add_test(t, a_younger_process_with_that_pid_is_another_one);
		tcase_add_test(
			t, a_younger_process_that_is_called_restic_is_believed);
	}
	tcase_add_test(
		t,
		a_lock_of_ours_from_another_pid_namespace_is_not_ours_to_judge);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
