/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lock/liveness.h"

static struct self self;
static pid_t child = -1;

static void end(void)
{
	if (child > 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
	}
	child = -1;
}

static void begin(void)
{
	self_fill(&self);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		for (;;)
			(void)pause();
	}
}

static struct liveness_place here(void)
{
	return (struct liveness_place){ .boot_id = self.boot_id,
					.pid_ns = self.pid_ns,
					.time_ns = self.time_ns };
}

START_TEST(a_running_process_is_alive)
{
	struct process p = { .pid = child, .start = process_start(child) };

	ck_assert_uint_ne(p.start, 0);
	ck_assert_int_eq(liveness_of_pid(&p), LOCK_ALIVE_YES);
}
END_TEST

START_TEST(a_process_whose_start_is_not_told_is_alive)
{
	struct process p = { .pid = child };

	ck_assert_int_eq(liveness_of_pid(&p), LOCK_ALIVE_YES);
}
END_TEST

START_TEST(an_ended_process_is_dead)
{
	struct process p = { .pid = child, .start = process_start(child) };

	end();
	ck_assert_int_eq(liveness_of_pid(&p), LOCK_ALIVE_NO);
}
END_TEST

/* Its parent, which is this process, never asks for it. */
START_TEST(a_zombie_is_dead)
{
	struct process p = { .pid = child, .start = process_start(child) };
	siginfo_t info;

	(void)kill(child, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	ck_assert_int_eq(kill(child, 0), 0);
	ck_assert_int_eq(liveness_of_pid(&p), LOCK_ALIVE_NO);
	p.start = 0;
	ck_assert_int_eq(liveness_of_pid(&p), LOCK_ALIVE_NO);
}
END_TEST

static void *stay(void *unused)
{
	(void)unused;
	for (;;)
		(void)pause();
	return NULL;
}

/* It is shown as a zombie as well. */
START_TEST(a_process_whose_first_thread_has_ended_is_alive)
{
	pid_t pid = fork();
	struct process p = { .pid = pid };
	char path[64], line[256] = "";

	if (pid == 0) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, stay, NULL) == 0)
			pthread_exit(NULL);
		_exit(1);
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	for (int i = 0; i < 1000 && !strstr(line, ") Z "); i++) {
		FILE *f = fopen(path, "r");

		ck_assert_ptr_nonnull(f);
		ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
		(void)fclose(f);
		(void)usleep(5000);
	}
	ck_assert_ptr_nonnull(strstr(line, ") Z "));
	ck_assert_int_eq(liveness_of_pid(&p), LOCK_ALIVE_YES);
	(void)kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/* What unshare(1) without --mount-proc makes. 2: no such namespaces here. */
static int in_a_namespace_below(int (*act)(void))
{
	pid_t outer = fork(), inner;
	int status;

	ck_assert_int_ge(outer, 0);
	if (outer == 0) {
		if (unshare(CLONE_NEWPID) < 0)
			_exit(2);
		inner = fork();
		if (inner == 0)
			_exit(act());
		if (inner < 0 || waitpid(inner, &status, 0) != inner ||
		    !WIFEXITED(status))
			_exit(3);
		_exit(WEXITSTATUS(status));
	}
	ck_assert_int_eq(waitpid(outer, &status, 0), outer);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Pid 1 is the first in there; to /proc it is the first of the machine. */
static int judge_by_foreign_proc(void)
{
	const struct process child_of_it = { .pid = fork() };
	struct process p = { .pid = 1, .start = 1 };
	struct self inner;

	if (child_of_it.pid == 0)
		for (;;)
			(void)pause();
	self_fill(&inner);
	if (inner.front.pid != 1 || inner.front.start < self.front.start)
		return 4; /* a start that is not its own */
	if (process_start(child_of_it.pid) != 0 ||
	    process_parent(child_of_it.pid) != 0)
		return 5;
	p.pid = child_of_it.pid;
	if (liveness_of_pid(&p) != LOCK_ALIVE_YES)
		return 6;
	if (!liveness_in_container(p.pid))
		return 7;
	(void)kill(p.pid, SIGKILL);
	(void)waitpid(p.pid, NULL, 0);
	return liveness_of_pid(&p) == LOCK_ALIVE_NO ? 0 : 8;
}

START_TEST(a_proc_of_another_pid_namespace_is_not_believed)
{
	int told = in_a_namespace_below(judge_by_foreign_proc);

	if (told == 2)
		return; /* not allowed to us here */
	ck_assert_int_eq(told, 0);
}
END_TEST

START_TEST(a_reused_pid_is_dead)
{
	struct process p = { .pid = child, .start = process_start(child) + 1 };

	ck_assert_int_eq(liveness_of_pid(&p), LOCK_ALIVE_NO);
}
END_TEST

START_TEST(a_process_of_another_user_is_alive)
{
	struct process init = { .pid = 1 };
	int status;
	pid_t asker = fork();

	ck_assert_int_ge(asker, 0);
	if (asker == 0) {
		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(99);
		_exit((int)liveness_of_pid(&init));
	}
	ck_assert_int_eq(waitpid(asker, &status, 0), asker);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), LOCK_ALIVE_YES);
}
END_TEST

static const pid_t groups[] = { 0, -1, -77 };

START_TEST(no_pid_is_not_for_us_to_say)
{
	struct process p = { .pid = groups[_i] };

	ck_assert_int_eq(liveness_of_pid(&p), LOCK_ALIVE_UNKNOWN);
}
END_TEST

START_TEST(a_process_of_this_boot_and_namespaces_is_judged)
{
	struct liveness_place place = here();
	struct process p = { .pid = child, .start = process_start(child) };

	if (self.time_ns == 0)
		place.time_ns = self.time_ns = 1; /* a kernel without them */
	ck_assert_int_eq(liveness_of(&self, &place, &p), LOCK_ALIVE_YES);
	end();
	ck_assert_int_eq(liveness_of(&self, &place, &p), LOCK_ALIVE_NO);
}
END_TEST

/* The dead pid of somewhere else proves nothing. */
START_TEST(another_boot_or_namespace_is_not_for_us_to_say)
{
	struct process p = { .pid = child, .start = process_start(child) };
	struct liveness_place place = here();

	end();
	switch (_i) {
	case 0:
		place.boot_id = "00000000-0000-4000-8000-000000000000";
		break;
	case 1:
		place.boot_id = "";
		break;
	case 2:
		place.boot_id = NULL;
		break;
	case 3:
		place.pid_ns++;
		break;
	case 4:
		place.pid_ns = 0;
		break;
	case 5:
		place.time_ns++;
		break;
	case 6:
		place.time_ns = self.time_ns = 0;
		break;
	case 7:
		place.boot_id = self.boot_id;
		self.boot_id[0] = '\0';
		break;
	}
	ck_assert_int_eq(liveness_of(&self, &place, &p), LOCK_ALIVE_UNKNOWN);
}
END_TEST

START_TEST(the_initial_pid_namespace_is_told_from_others)
{
	ck_assert_int_eq(liveness_initial_pid_ns(), self.pid_ns == 0xEFFFFFFCu);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("liveness");
	TCase *t = tcase_create("liveness");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, a_running_process_is_alive);
	tcase_add_test(t, a_process_whose_start_is_not_told_is_alive);
	tcase_add_test(t, an_ended_process_is_dead);
	tcase_add_test(t, a_zombie_is_dead);
	tcase_add_test(t, a_process_whose_first_thread_has_ended_is_alive);
	tcase_add_test(t, a_proc_of_another_pid_namespace_is_not_believed);
	tcase_add_test(t, a_reused_pid_is_dead);
	tcase_add_test(t, a_process_of_another_user_is_alive);
	tcase_add_loop_test(t, no_pid_is_not_for_us_to_say, 0, 3);
	tcase_add_test(t, a_process_of_this_boot_and_namespaces_is_judged);
	tcase_add_loop_test(t, another_boot_or_namespace_is_not_for_us_to_say,
			    0, 8);
	tcase_add_test(t, the_initial_pid_namespace_is_told_from_others);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
