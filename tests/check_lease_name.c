/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lock/lease_name.h"
#include "lock/lease_view.h"

#define UUID_A "0a000000-0000-4000-8000-00000000000a"
#define UUID_B "0b000000-0000-4000-8000-00000000000b"
#define UUID_C "0c000000-0000-4000-8000-00000000000c"

static const struct {
	const char *text;
	struct lease_name name;
} spelt[] = {
	{ "x.00000000000000000007.0000300000." UUID_A ".k",
	  { .kind = LEASE_CLAIM,
	    .mode = LOCK_EXCLUSIVE,
	    .kernel = true,
	    .ttl_ms = 300000,
	    .number = 7,
	    .uuid = UUID_A } },
	{ "s.00000000000000000012.0000002000." UUID_B,
	  { .kind = LEASE_CLAIM,
	    .mode = LOCK_SHARED,
	    .ttl_ms = 2000,
	    .number = 12,
	    .uuid = UUID_B } },
	{ "q.00000000000000000003.s." UUID_A,
	  { .kind = LEASE_PLACE, .mode = LOCK_SHARED, .number = 3, .uuid = UUID_A } },
	{ "q.09223372036854775807.x." UUID_A,
	  { .kind = LEASE_PLACE,
	    .mode = LOCK_EXCLUSIVE,
	    .number = LEASE_NUMBER_MAX,
	    .uuid = UUID_A } },
	{ "t." UUID_C, { .kind = LEASE_TEMPORARY, .uuid = UUID_C } },
	{ "z.00000000000000000041." UUID_B,
	  { .kind = LEASE_TOMBSTONE, .number = 41, .uuid = UUID_B } },
};

START_TEST(a_name_means_what_it_says)
{
	const struct lease_name *wanted = &spelt[_i].name;
	struct lease_name name;

	ck_assert(lease_name_parse(&name, spelt[_i].text));
	ck_assert_int_eq(name.kind, wanted->kind);
	ck_assert_int_eq(name.mode, wanted->mode);
	ck_assert_int_eq(name.kernel, wanted->kernel);
	ck_assert_uint_eq(name.ttl_ms, wanted->ttl_ms);
	ck_assert_uint_eq(name.number, wanted->number);
	ck_assert_str_eq(name.uuid, wanted->uuid);
}
END_TEST

START_TEST(a_name_is_written_as_it_was_read)
{
	char out[LEASE_NAME_SIZE];

	lease_name_format(out, &spelt[_i].name);
	ck_assert_str_eq(out, spelt[_i].text);
}
END_TEST

static const char *const foreign[] = {
	"",
	".",
	"x",
	"x.",
	"README",
	"y.00000000000000000007.0000300000." UUID_A,
	/* too few digits, too many, a sign, a number over the limit */
	"x.7.300000." UUID_A,
	"x.0000000000000000007.0000300000." UUID_A,
	"x.000000000000000000007.0000300000." UUID_A,
	"x.-0000000000000000007.0000300000." UUID_A,
	"x.09223372036854775808.0000300000." UUID_A,
	"x.99999999999999999999.0000300000." UUID_A,
	"x.00000000000000000007.9999999999." UUID_A,
	/* a UUID with capitals, cut, without dashes, with more behind */
	"x.00000000000000000007.0000300000.0A000000-0000-4000-8000-00000000000A",
	"x.00000000000000000007.0000300000.0a000000-0000-4000-8000-00000000000",
	"x.00000000000000000007.0000300000.0a000000000040008000-00000000000a0000",
	"x.00000000000000000007.0000300000." UUID_A ".",
	"x.00000000000000000007.0000300000." UUID_A ".kk",
	"x.00000000000000000007.0000300000." UUID_A ".K",
	"q.00000000000000000003.e." UUID_A,
	"q.00000000000000000003.x." UUID_A ".k",
	"q.00000000000000000003." UUID_A,
	"t." UUID_A ".k",
	"t.",
	"z.00000000000000000041." UUID_A ".x",
	"z." UUID_A,
};

START_TEST(what_is_not_spelt_exactly_so_is_none_of_ours)
{
	struct lease_name name;

	ck_assert_msg(!lease_name_parse(&name, foreign[_i]), "%s", foreign[_i]);
}
END_TEST

START_TEST(names_sort_as_their_numbers_do)
{
	struct lease_name low = spelt[0].name, high = spelt[0].name;
	char a[LEASE_NAME_SIZE], b[LEASE_NAME_SIZE];

	low.number = 99;
	high.number = 100;
	lease_name_format(a, &low);
	lease_name_format(b, &high);
	ck_assert_int_lt(strcmp(a, b), 0);
	ck_assert_int_lt(lease_name_order(&low, &high), 0);
}
END_TEST

START_TEST(tombstones_sort_behind_claims)
{
	char claim[LEASE_NAME_SIZE], tombstone[LEASE_NAME_SIZE];

	lease_name_format(claim, &spelt[0].name);
	lease_name_format(tombstone, &spelt[5].name);
	ck_assert_int_lt(strcmp(claim, tombstone), 0);
}
END_TEST

START_TEST(a_uuid_is_random_and_parses)
{
	struct lease_name name = { .kind = LEASE_TEMPORARY }, again;
	char first[LEASE_UUID_SIZE], out[LEASE_NAME_SIZE];

	uuid_make(first);
	uuid_make(name.uuid);
	ck_assert_str_ne(first, name.uuid);
	lease_name_format(out, &name);
	ck_assert(lease_name_parse(&again, out));
	ck_assert_int_eq(name.uuid[14], '4');
}
END_TEST

/* --- views --- */

static struct lease_view view;

static void begin(void)
{
	lease_view_init(&view);
}

static void end(void)
{
	lease_view_release(&view);
}

static void add(enum lease_kind kind, enum lock_mode mode, uint64_t number,
		const char *uuid)
{
	struct lease_name name = { .kind = kind, .mode = mode, .number = number };
	char text[LEASE_NAME_SIZE];

	memcpy(name.uuid, uuid, sizeof(name.uuid));
	lease_name_format(text, &name);
	lease_view_add(&view, text);
}

START_TEST(the_top_fence_counts_tombstones_and_not_tickets)
{
	add(LEASE_CLAIM, LOCK_SHARED, 3, UUID_A);
	add(LEASE_TOMBSTONE, LOCK_SHARED, 5, UUID_B);
	add(LEASE_PLACE, LOCK_SHARED, 9, UUID_C);
	ck_assert_uint_eq(view.top_fence, 5);
	ck_assert_uint_eq(view.top_ticket, 9);
}
END_TEST

START_TEST(a_claim_with_a_tombstone_is_void)
{
	add(LEASE_CLAIM, LOCK_EXCLUSIVE, 3, UUID_A);
	add(LEASE_CLAIM, LOCK_EXCLUSIVE, 4, UUID_B);
	add(LEASE_TOMBSTONE, LOCK_EXCLUSIVE, 3, UUID_A);
	ck_assert(lease_view_void(&view, UUID_A));
	ck_assert(!lease_view_void(&view, UUID_B));
}
END_TEST

START_TEST(a_foreign_name_is_no_part_of_a_view)
{
	lease_view_add(&view, "README");
	lease_view_add(&view, "x.1.1.1");
	ck_assert_uint_eq(view.count, 0);
	ck_assert_uint_eq(view.top_fence, 0);
}
END_TEST

START_TEST(p3_2_the_greatest_number_counts_for_nothing)
{
	struct lease_name mine = { .kind = LEASE_CLAIM, .number = 4 };

	add(LEASE_CLAIM, LOCK_EXCLUSIVE, LEASE_NUMBER_MAX, UUID_A);
	add(LEASE_TOMBSTONE, LOCK_EXCLUSIVE, LEASE_NUMBER_MAX, UUID_B);
	add(LEASE_PLACE, LOCK_EXCLUSIVE, LEASE_NUMBER_MAX, UUID_C);
	ck_assert_uint_eq(view.count, 3);
	ck_assert_uint_eq(view.top_fence, 0);
	ck_assert_uint_eq(view.top_ticket, 0);
	ck_assert(!lease_view_surpassed(&view, &mine));
	/* The claim is one for all that, and the tombstone makes void. */
	ck_assert_ptr_nonnull(lease_view_find(&view, LEASE_CLAIM, UUID_A));
	ck_assert(lease_view_void(&view, UUID_B));
	add(LEASE_TOMBSTONE, LOCK_EXCLUSIVE, 4, UUID_B);
	ck_assert_uint_eq(view.top_fence, 4);
	ck_assert(lease_view_surpassed(&view, &mine));
}
END_TEST

START_TEST(p3_2_what_is_no_file_is_found_by_no_question)
{
	const char *claim = "x.00000000000000000004.0000300000." UUID_A;
	struct lease_name mine = { .kind = LEASE_CLAIM, .number = 1 };

	lease_view_add_foreign(&view, claim, true);
	lease_view_add_foreign(&view, "q.00000000000000000004.x." UUID_B, true);
	lease_view_add_foreign(&view, "z.00000000000000000004." UUID_C, false);
	ck_assert_uint_eq(view.count, 3);
	ck_assert(view.names[0].directory && !view.names[2].directory);
	ck_assert_uint_eq(view.top_fence, 0);
	ck_assert_uint_eq(view.top_ticket, 0);
	ck_assert_ptr_null(lease_view_find(&view, LEASE_CLAIM, UUID_A));
	ck_assert(!lease_view_void(&view, UUID_C));
	ck_assert(!lease_view_surpassed(&view, &mine));
	ck_assert_ptr_null(lease_view_ahead(&view, NULL, LOCK_EXCLUSIVE));
	ck_assert_ptr_null(lease_view_first(&view));
	lease_view_add(&view, claim);
	ck_assert_ptr_nonnull(lease_view_find(&view, LEASE_CLAIM, UUID_A));
}
END_TEST

START_TEST(p5_1_a_place_that_is_passed_over_is_absent)
{
	add(LEASE_PLACE, LOCK_EXCLUSIVE, 1, UUID_A);
	add(LEASE_PLACE, LOCK_EXCLUSIVE, 2, UUID_B);
	view.names[1].passed = true;
	ck_assert_uint_eq(lease_view_ahead(&view, NULL, LOCK_SHARED)->number, 1);
	ck_assert_uint_eq(lease_view_first(&view)->number, 1);
	view.names[0].passed = true;
	ck_assert_ptr_null(lease_view_ahead(&view, NULL, LOCK_SHARED));
	ck_assert_ptr_null(lease_view_first(&view));
	/* Its ticket is taken all the same. */
	ck_assert_uint_eq(view.top_ticket, 2);
}
END_TEST

START_TEST(a_view_grows_beyond_the_few)
{
	for (uint64_t i = 1; i <= 1000; i++)
		add(LEASE_PLACE, LOCK_EXCLUSIVE, i, UUID_A);
	ck_assert_uint_eq(view.count, 1000);
	ck_assert_uint_eq(view.names[999].number, 1000);
	ck_assert_uint_eq(view.top_ticket, 1000);
}
END_TEST

START_TEST(the_nearest_conflicting_place_is_ahead)
{
	struct lease_name mine = { .kind = LEASE_PLACE,
				   .number = 4,
				   .mode = LOCK_SHARED,
				   .uuid = UUID_B };

	add(LEASE_PLACE, LOCK_EXCLUSIVE, 1, UUID_A);
	add(LEASE_PLACE, LOCK_EXCLUSIVE, 2, UUID_A);
	add(LEASE_PLACE, LOCK_SHARED, 3, UUID_A);
	add(LEASE_PLACE, LOCK_SHARED, 4, UUID_B);
	add(LEASE_PLACE, LOCK_EXCLUSIVE, 5, UUID_C);
	ck_assert_uint_eq(lease_view_ahead(&view, &mine, LOCK_SHARED)->number, 2);
	ck_assert_uint_eq(lease_view_ahead(&view, &mine, LOCK_EXCLUSIVE)->number,
			  3);
}
END_TEST

START_TEST(who_has_no_place_is_behind_all)
{
	add(LEASE_PLACE, LOCK_EXCLUSIVE, 7, UUID_A);
	ck_assert_uint_eq(lease_view_ahead(&view, NULL, LOCK_SHARED)->number, 7);
}
END_TEST

START_TEST(the_first_is_behind_nobody)
{
	struct lease_name mine = { .kind = LEASE_PLACE,
				   .number = 7,
				   .mode = LOCK_EXCLUSIVE,
				   .uuid = UUID_A };

	add(LEASE_PLACE, LOCK_EXCLUSIVE, 7, UUID_A);
	add(LEASE_PLACE, LOCK_EXCLUSIVE, 7, UUID_B);
	ck_assert_ptr_null(lease_view_ahead(&view, &mine, LOCK_EXCLUSIVE));
	memcpy(mine.uuid, UUID_B, sizeof(UUID_B));
	ck_assert_str_eq(lease_view_ahead(&view, &mine, LOCK_EXCLUSIVE)->uuid,
			 UUID_A);
}
END_TEST

static const struct {
	struct lease_name a, b;
} ranks[] = {
	{ { .mode = LOCK_EXCLUSIVE, .number = 1, .uuid = UUID_B },
	  { .mode = LOCK_SHARED, .number = 9, .uuid = UUID_A } },
	{ { .mode = LOCK_EXCLUSIVE, .number = 2, .uuid = UUID_B },
	  { .mode = LOCK_EXCLUSIVE, .number = 1, .uuid = UUID_A } },
	{ { .mode = LOCK_EXCLUSIVE, .number = 2, .uuid = UUID_A },
	  { .mode = LOCK_EXCLUSIVE, .number = 2, .uuid = UUID_B } },
};

START_TEST(of_two_claims_exactly_one_outranks)
{
	ck_assert(lease_outranks(&ranks[_i].a, &ranks[_i].b));
	ck_assert(!lease_outranks(&ranks[_i].b, &ranks[_i].a));
}
END_TEST

START_TEST(a_tombstone_not_below_surpasses)
{
	struct lease_name mine = { .kind = LEASE_CLAIM,
				   .number = 5,
				   .mode = LOCK_SHARED,
				   .uuid = UUID_A };

	add(LEASE_CLAIM, LOCK_SHARED, 5, UUID_A);
	add(LEASE_CLAIM, LOCK_SHARED, 8, UUID_B);
	add(LEASE_CLAIM, LOCK_EXCLUSIVE, 5, UUID_B);
	add(LEASE_TOMBSTONE, LOCK_SHARED, 4, UUID_C);
	ck_assert(!lease_view_surpassed(&view, &mine));
	add(LEASE_TOMBSTONE, LOCK_SHARED, 5, UUID_C);
	ck_assert(lease_view_surpassed(&view, &mine));
}
END_TEST

START_TEST(a_higher_exclusive_claim_surpasses)
{
	struct lease_name mine = { .kind = LEASE_CLAIM,
				   .number = 5,
				   .mode = LOCK_SHARED,
				   .uuid = UUID_A };

	add(LEASE_CLAIM, LOCK_EXCLUSIVE, 6, UUID_B);
	ck_assert(lease_view_surpassed(&view, &mine));
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *s = suite_create("lease_name");
	TCase *names = tcase_create("names");
	TCase *views = tcase_create("views");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(names, a_name_means_what_it_says, 0, COUNT(spelt));
	tcase_add_loop_test(names, a_name_is_written_as_it_was_read, 0,
			    COUNT(spelt));
	tcase_add_loop_test(names, what_is_not_spelt_exactly_so_is_none_of_ours,
			    0, COUNT(foreign));
	tcase_add_test(names, names_sort_as_their_numbers_do);
	tcase_add_test(names, tombstones_sort_behind_claims);
	tcase_add_test(names, a_uuid_is_random_and_parses);
	suite_add_tcase(s, names);

	tcase_add_checked_fixture(views, begin, end);
	tcase_add_test(views, the_top_fence_counts_tombstones_and_not_tickets);
	tcase_add_test(views, a_claim_with_a_tombstone_is_void);
	tcase_add_test(views, a_foreign_name_is_no_part_of_a_view);
	tcase_add_test(views, a_view_grows_beyond_the_few);
	tcase_add_test(views, the_nearest_conflicting_place_is_ahead);
	tcase_add_test(views, who_has_no_place_is_behind_all);
	tcase_add_test(views, the_first_is_behind_nobody);
	tcase_add_test(views, p3_2_the_greatest_number_counts_for_nothing);
	tcase_add_test(views, p3_2_what_is_no_file_is_found_by_no_question);
	tcase_add_test(views, p5_1_a_place_that_is_passed_over_is_absent);
	tcase_add_loop_test(views, of_two_claims_exactly_one_outranks, 0,
			    COUNT(ranks));
	tcase_add_test(views, a_tombstone_not_below_surpasses);
	tcase_add_test(views, a_higher_exclusive_claim_surpasses);
	suite_add_tcase(s, views);

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
