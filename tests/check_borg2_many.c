/* SPDX-License-Identifier: BSD-2-Clause */
/* borg 2's locks/ with thousands of objects in it, or with half of one. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "borg_fixture.h"
#include "faulty.h"
#include "lock/borg2.h"
#include "util/text.h"

static struct store *store;

/* A lock whose store fails by script, and counts. */
static struct lock *open_counted(struct want want)
{
	struct lock_wish wish = { .mode = want.mode, .wait = !want.hasty };
	struct borg_host host;
	struct self self;
	struct lock *l = NULL;

	self_fill(&self);
	wish.self = &self;
	ck_assert_int_eq(borg_host_fill(&host, &self, &e), RC_OK);
	host.sees_all = true;
	ck_assert_int_eq(
		store_open(&store, "", repo, &borg2_manners, &patient, &e),
		RC_OK);
	store = faulty_open(store);
	ck_assert_int_eq(borg2_open(&l, &wish, store, &host, &borg2_pace, &e),
			 RC_OK);
	faulty_script(store, (struct fault[]){ { 0 } });
	return l;
}

static void plant(const char *name, pid_t pid)
{
	struct borg2_record r = { .exclusive = false,
				  .owner = { .host = "here@1", .pid = pid } };
	char full[80];
	struct buf b;

	r.time = wall_now();
	buf_init(&b, 4096);
	ck_assert_int_eq(borg2_format(&r, &b, &e), RC_OK);
	(void)snprintf(full, sizeof(full), "locks/%s", name);
	repo_write(full, buf_text(&b));
	buf_release(&b);
}

enum { MANY = 3000, DEAD = 5000000 /* above what the kernel gives */ };

struct all_listed {
	char ids[MANY][72];
	int count;
};

static bool keep_id(void *context, const struct lock_info *info)
{
	struct all_listed *all = context;

	ck_assert_int_lt(all->count, MANY);
	ck_assert_int_eq(info->state, LOCK_STALE);
	text_copy(all->ids[all->count++], 72, info->id);
	return true;
}

START_TEST(p7_7_thousands_of_dead_objects_are_read_once)
{
	static struct all_listed all;
	struct lock *l = open_counted((struct want){ .listing = true });
	struct lock_info info;
	char name[32];

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "object%d", i);
		plant(name, DEAD + i);
	}
	ck_assert_int_eq(l->ops->list(l, keep_id, &all, &patient, &e), RC_OK);
	ck_assert_int_eq(all.count, MANY);
	ck_assert_int_eq(faulty_count(store, FAULTY_GET), MANY);
	for (int i = 0; i < all.count; i++) {
		struct lock_remove what = { .id = all.ids[i] };

		/* Not a second has passed, however slow this machine is. */
		borg2_of(l)->surveyed = boot_now();
		ck_assert_int_eq(l->ops->remove(l, &what, &info, &patient, &e),
				 RC_OK);
	}
	ck_assert_int_eq(faulty_count(store, FAULTY_GET), MANY);
	ck_assert_str_eq(repo_names("locks"), "");
	lock_close(l);
}
END_TEST

START_TEST(p7_7_what_is_no_object_is_looked_at_in_one_listing)
{
	struct lock *l = open_counted((struct want){ .mode = LOCK_EXCLUSIVE });
	char path[128];

	for (int i = 0; i < 500; i++) {
		(void)snprintf(path, sizeof(path), "%s/locks/d%d", repo, i);
		ck_assert_int_eq(mkdir(path, 0700), 0);
	}
	ck_assert_int_eq(acquire(l), RC_OK);
	/* Before and after it was placed: names, and what they are. */
	ck_assert_int_le(faulty_count(store, FAULTY_LIST), 4);
	done(l);
}
END_TEST

START_TEST(p7_7_more_objects_than_can_be_judged_are_one_sentence)
{
	struct lock *l = open_counted((struct want){ .mode = LOCK_EXCLUSIVE });
	char name[32];

	for (int i = 0; i < 10001; i++) {
		(void)snprintf(name, sizeof(name), "locks/o%d", i);
		repo_write(name, "");
	}
	ck_assert_int_eq(acquire(l), RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "10001 files in locks/"));
	ck_assert_ptr_nonnull(strstr(e.text, "borg break-lock"));
	ck_assert_int_eq(faulty_count(store, FAULTY_GET), 0);
	done(l);
}
END_TEST

static void write_the_rest(void *unused)
{
	(void)unused;
	plant("half", getppid());
}

static void remove_it(void *unused)
{
	(void)unused;
	repo_delete("locks/half");
}

START_TEST(p6_a_half_written_object_is_asked_again)
{
	struct lock *l = open_counted((struct want){ .listing = true });
	const struct fault script[] = { { FAULTY_GET, .nth = 3,
					  .how = FAULT_BEFORE,
					  .meanwhile = write_the_rest },
					{ 0 } };
	int count = 0;

	repo_write("locks/half", "{\"exclusive\": tr");
	faulty_script(store, script);
	ck_assert_int_eq(l->ops->list(l, keep_in_listed, &count, &patient, &e),
			 RC_OK);
	ck_assert_int_eq(count, 1);
	ck_assert_int_eq(listed[0].state, LOCK_HELD);
	/* One that stays so is shown as what it is. */
	repo_write("locks/half", "{\"exclusive\": tr");
	faulty_heal(store);
	count = 0;
	ck_assert_int_eq(l->ops->list(l, keep_in_listed, &count, &patient, &e),
			 RC_OK);
	ck_assert_int_eq(listed[0].state, LOCK_UNREADABLE);
	done(l);
}
END_TEST

START_TEST(p6_who_does_not_wait_asks_a_half_written_object_again)
{
	struct want want = { .mode = LOCK_SHARED, .hasty = true };
	struct lock *l = open_counted(want);
	const struct fault script[] = { { FAULTY_GET, .nth = 3,
					  .how = FAULT_BEFORE,
					  .meanwhile = remove_it },
					{ 0 } };

	repo_write("locks/half", "{\"exclusive\": tr");
	faulty_script(store, script);
	ck_assert_int_eq(acquire(l), RC_OK);
	done(l);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("borg2_many");
	TCase *many = tcase_create("many");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(many, repo_make2, repo_remove);
	tcase_set_timeout(many, 120);
	tcase_add_test(many, p7_7_thousands_of_dead_objects_are_read_once);
	tcase_add_test(many, p7_7_what_is_no_object_is_looked_at_in_one_listing);
	tcase_add_test(many,
		       p7_7_more_objects_than_can_be_judged_are_one_sentence);
	tcase_add_test(many, p6_a_half_written_object_is_asked_again);
	tcase_add_test(many,
		       p6_who_does_not_wait_asks_a_half_written_object_again);
	suite_add_tcase(suite, many);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
