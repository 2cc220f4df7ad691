/* SPDX-License-Identifier: BSD-2-Clause */
/* A restic repository with thousands of locks in it, or with half of one. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lock/restic.h"
#include "restic_lab.h"
#include "util/text.h"

static struct lab lab;
static struct err e;
static const struct call unlimited = { { NSEC_FOREVER }, -1 };

enum { MANY = 2000, DEAD = 5000000 /* above what the kernel gives */ };

struct all_listed {
	struct lock_info infos[MANY];
	int count;
};

static struct all_listed all;

static bool keep(void *context, const struct lock_info *info)
{
	(void)context;
	ck_assert_int_lt(all.count, MANY);
	all.infos[all.count++] = *info;
	return true;
}

static void list(struct lock *lock)
{
	all.count = 0;
	ck_assert_int_eq(lock->ops->list(lock, keep, NULL, &unlimited, &e),
			 RC_OK);
}

static void setup(void)
{
	lab_open(&lab, 2);
}

static void teardown(void)
{
	lab_close(&lab);
}

/* restic's own, of processes of this host that are gone. */
static void put_dead(int count, struct wall made)
{
	struct restic_record r = { .time = made, .exclusive = false };
	char id[65];

	text_copy(r.host, sizeof(r.host), lab.self.host);
	for (int i = 0; i < count; i++) {
		r.pid = DEAD + i;
		lab_put_record(&lab, &r, id);
	}
}

/* Each takes a thousandth of a second at most, where looking at all for each
 * took minutes. */
START_TEST(p7_7_thousands_of_dead_locks_are_listed_and_removed)
{
	struct lock *lock = lab_lock(&lab, LOCK_SHARED, false);
	struct lock_info info;

	put_dead(MANY, wall_now());
	list(lock);
	ck_assert_int_eq(all.count, MANY);
	for (int i = 0; i < MANY; i++) {
		struct lock_remove what = { .id = all.infos[i].id };
		enum rc rc;

		ck_assert_int_eq(all.infos[i].state, LOCK_STALE);
		rc = lock->ops->remove(lock, &what, &info, &unlimited, &e);
		ck_assert_msg(rc == RC_OK, "%s", e.text);
	}
	ck_assert_int_eq(lab_count_all(&lab), 0);
	lock_close(lock);
}
END_TEST

START_TEST(p7_7_thousands_of_dead_locks_are_cleared_by_an_acquire)
{
	struct lock *lock = lab_lock(&lab, LOCK_EXCLUSIVE, false);
	struct lock_info mine, holder;
	struct lock_term term;
	enum rc rc;

	put_dead(MANY, wall_now());
	rc = lock->ops->acquire(lock, &term, &mine, &holder, &unlimited, &e);
	ck_assert_msg(rc == RC_OK, "%s", e.text);
	ck_assert_int_eq(lab_count_all(&lab), 1);
	ck_assert_int_eq(lock->ops->release(lock, &unlimited, &e), RC_OK);
	lock_close(lock);
}
END_TEST

/* Many files of the same holder, as an interrupted restic in a container may
 * leave them: the newest speaks, and they go together. */
START_TEST(p7_7_of_a_thousand_files_of_a_holder_the_newest_is_listed)
{
	struct restic_record r = { .time = wall_now(), .pid = 1 };
	struct lock *lock = lab_lock(&lab, LOCK_SHARED, false);
	struct lock_remove what = { .force = true };
	struct lock_info info;
	char id[65], newest[65];

	text_copy(r.host, sizeof(r.host), "elsewhere");
	lab_put_record(&lab, &r, newest);
	for (int i = 1; i < 1000; i++) {
		r.time.ns -= NSEC_PER_SEC;
		lab_put_record(&lab, &r, id);
	}
	list(lock);
	ck_assert_int_eq(all.count, 1);
	ck_assert_str_eq(all.infos[0].id, newest);
	what.id = newest;
	ck_assert_int_eq(lock->ops->remove(lock, &what, &info, &unlimited, &e),
			 RC_OK);
	ck_assert_int_eq(lab_count_all(&lab), 0);
	lock_close(lock);
}
END_TEST

START_TEST(p7_7_more_files_than_can_be_judged_are_one_sentence)
{
	struct lock *lock = lab_lock(&lab, LOCK_EXCLUSIVE, false);
	struct lock_info mine, holder;
	struct lock_term term;
	char id[65];

	for (int i = 0; i < 10001; i++) {
		(void)snprintf(id, sizeof(id), "%064x", i);
		lab_put_bytes(&lab, id, "", 0);
	}
	ck_assert_int_eq(lock->ops->list(lock, keep, NULL, &unlimited, &e),
			 RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "more than 10000 files in locks/"));
	ck_assert_ptr_nonnull(strstr(e.text, "restic unlock --remove-all"));
	ck_assert_int_eq(
		lock->ops->acquire(lock, &term, &mine, &holder, &unlimited, &e),
		RC_MALFORMED);
	lock_close(lock);
	lab_empty(&lab);
}
END_TEST

/* The file of a record, of which so much is there before the rest comes. */
static enum lock_state seen_while_written(struct lock *lock, size_t first)
{
	struct restic_record r = { .time = wall_now(), .pid = 7 };
	char id[65], path[160], bytes[4096];
	size_t len;
	pid_t child;
	FILE *f;

	text_copy(r.host, sizeof(r.host), "elsewhere");
	lab_put_record(&lab, &r, id);
	(void)snprintf(path, sizeof(path), "%s/locks/%s", lab.path, id);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	len = fread(bytes, 1, sizeof(bytes), f);
	(void)fclose(f);
	ck_assert_uint_gt(len, first);
	lab_put_bytes(&lab, id, bytes, first);
	child = fork();
	if (child == 0) {
		(void)usleep(100 * 1000);
		lab_put_bytes(&lab, id, bytes, len);
		_exit(0);
	}
	list(lock);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(all.count, 1);
	lab_empty(&lab);
	return all.infos[0].state;
}

START_TEST(p6_a_half_written_lock_is_asked_again)
{
	struct lock *lock = lab_lock(&lab, LOCK_SHARED, false);
	enum lock_state state = LOCK_UNREADABLE;

	/* A busy machine may keep the child from its turn for too long. */
	for (int i = 0; state == LOCK_UNREADABLE && i < 20; i++)
		state = seen_while_written(lock, _i ? 50 : 0);
	ck_assert_int_eq(state, LOCK_HELD);
	/* One that stays so is shown as what it is. */
	lab_put_bytes(&lab,
		      "00000000000000000000000000000000"
		      "00000000000000000000000000000000",
		      "half", _i ? 4 : 0);
	list(lock);
	ck_assert_int_eq(all.infos[0].state, LOCK_UNREADABLE);
	lock_close(lock);
	lab_empty(&lab);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("restic_many");
	TCase *many = tcase_create("many");
	SRunner *runner;
	int failed;

	lab_build();
	tcase_add_checked_fixture(many, setup, teardown);
	tcase_set_timeout(many, 120);
	tcase_add_test(many, p7_7_thousands_of_dead_locks_are_listed_and_removed);
	tcase_add_test(many,
		       p7_7_thousands_of_dead_locks_are_cleared_by_an_acquire);
	tcase_add_test(
		many, p7_7_of_a_thousand_files_of_a_holder_the_newest_is_listed);
	tcase_add_test(many, p7_7_more_files_than_can_be_judged_are_one_sentence);
	tcase_add_loop_test(many, p6_a_half_written_lock_is_asked_again, 0, 2);
	suite_add_tcase(suite, many);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	lab_raze();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
