/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/turn.h"

/* Long enough that only a hang ends it. */
#define SOON (20 * NSEC_PER_SEC)

static char path[64];
static int mine, other;
static struct turn turn;
static struct err e;
static struct call call = { { NSEC_FOREVER }, -1 };

static void begin(void)
{
	(void)snprintf(path, sizeof(path), "/tmp/check_turn.XXXXXX");
	mine = mkstemp(path);
	other = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(mine, 0);
	ck_assert_int_ge(other, 0);
	turn_init(&turn);
}

static void end(void)
{
	turn_release(&turn);
	(void)close(mine);
	(void)close(other);
	(void)unlink(path);
}

START_TEST(a_free_lock_is_had)
{
	ck_assert_int_eq(turn_take(&turn, mine, LOCK_EX, SOON, &call, &e), RC_OK);
	ck_assert_int_lt(flock(other, LOCK_SH | LOCK_NB), 0);
}
END_TEST

START_TEST(a_lock_that_stays_taken_is_busy_after_the_span)
{
	struct boot begun = boot_now();

	ck_assert_int_eq(flock(other, LOCK_EX), 0);
	ck_assert_int_eq(
		turn_take(&turn, mine, LOCK_SH, 30 * NSEC_PER_MSEC, &call, &e),
		RC_BUSY);
	ck_assert_int_ge(boot_until(begun, boot_now()), 30 * NSEC_PER_MSEC);
	ck_assert_int_lt(boot_until(begun, boot_now()), SOON);
}
END_TEST

START_TEST(pulling_the_leash_ends_the_waiting)
{
	struct call pulled = { BOOT_NEVER, -1 };
	int ends[2];

	ck_assert_int_eq(flock(other, LOCK_EX), 0);
	ck_assert_int_eq(pipe(ends), 0);
	pulled.cancel_fd = ends[0];
	if (fork() == 0) {
		(void)call_pause(&call, 30 * NSEC_PER_MSEC, &e);
		_exit(write(ends[1], "", 1) == 1 ? 0 : 1);
	}
	ck_assert_int_eq(turn_take(&turn, mine, LOCK_SH, SOON, &pulled, &e),
			 RC_CANCELLED);
	(void)wait(NULL);
	(void)close(ends[0]);
	(void)close(ends[1]);
}
END_TEST

START_TEST(the_end_of_time_ends_the_waiting)
{
	struct call brief = { boot_add(boot_now(), 20 * NSEC_PER_MSEC), -1 };

	ck_assert_int_eq(flock(other, LOCK_EX), 0);
	ck_assert_int_eq(turn_take(&turn, mine, LOCK_SH, SOON, &brief, &e),
			 RC_RETRY);
}
END_TEST

/* A process that takes the lock and, after a while, dies or lets go. */
static pid_t start_owner(bool dies)
{
	int ends[2];
	pid_t owner;
	char c;

	ck_assert_int_eq(pipe(ends), 0);
	owner = fork();
	ck_assert_int_ge(owner, 0);
	if (owner == 0) {
		int fd = open(path, O_RDWR);

		if (flock(fd, LOCK_EX) < 0 || write(ends[1], "", 1) != 1)
			_exit(1);
		(void)call_pause(&call, 20 * NSEC_PER_MSEC, &e);
		if (dies)
			(void)kill(getpid(), SIGKILL);
		(void)flock(fd, LOCK_UN);
		for (;;)
			(void)pause();
	}
	ck_assert_int_eq(read(ends[0], &c, 1), 1);
	(void)close(ends[0]);
	(void)close(ends[1]);
	return owner;
}

START_TEST(the_owners_end_or_release_wakes)
{
	pid_t owner = start_owner(_i == 0);

	ck_assert_int_eq(turn_take(&turn, mine, LOCK_SH, SOON, &call, &e), RC_OK);
	(void)kill(owner, SIGKILL);
	(void)waitpid(owner, NULL, 0);
}
END_TEST

START_TEST(it_can_be_used_again_and_again)
{
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(flock(other, LOCK_EX), 0);
		ck_assert_int_eq(turn_take(&turn, mine, LOCK_SH, NSEC_PER_MSEC,
					   &call, &e),
				 RC_BUSY);
		ck_assert_int_eq(flock(other, LOCK_UN), 0);
		ck_assert_int_eq(
			turn_take(&turn, mine, LOCK_SH, SOON, &call, &e), RC_OK);
		ck_assert_int_eq(flock(mine, LOCK_UN), 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("turn");
	TCase *t = tcase_create("turn");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, a_free_lock_is_had);
	tcase_add_test(t, a_lock_that_stays_taken_is_busy_after_the_span);
	tcase_add_test(t, pulling_the_leash_ends_the_waiting);
	tcase_add_test(t, the_end_of_time_ends_the_waiting);
	tcase_add_loop_test(t, the_owners_end_or_release_wakes, 0, 2);
	tcase_add_test(t, it_can_be_used_again_and_again);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
