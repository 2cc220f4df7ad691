/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "util/text.h"

#define S NSEC_PER_SEC
#define NOW (1800000000 * S)

static struct lock_info one, two;
static const struct lock_info *locks[] = { &one, &two };
static struct table_look look;
static struct buf out;
static struct err e;

static struct lock_info lease(const char *id)
{
	struct lock_info info = {
		.protocol = "lease",
		.name = "default",
		.mode = LOCK_EXCLUSIVE,
		.state = LOCK_HELD,
		.alive = LOCK_ALIVE_YES,
		.user = "root",
		.host = "atlas",
		.pid = 4711,
		.command = "restic",
		.fence = 12,
		.since = { NOW - 3600 * S },
		.refreshed = { NOW - 5 * S },
		.expires = { NOW + 295 * S },
	};

	(void)text_copy(info.id, sizeof(info.id), id);
	return info;
}

static void setup(void)
{
	one = lease("3f2a91bc-0000");
	two = lease("77777777-0000");
	look = (struct table_look){ .now = { NOW } };
	buf_init(&out, 1 << 20);
}

static void teardown(void)
{
	buf_release(&out);
}

static const char *table(size_t count)
{
	buf_reset(&out);
	ck_assert_int_eq(table_show(&out, locks, count, &look, &e), RC_OK);
	return buf_text(&out);
}

static bool has(const char *text)
{
	return strstr(buf_text(&out), text) != NULL;
}

START_TEST(a_held_lease_is_a_line_with_every_column)
{
	ck_assert_str_eq(table(1),
			 "ID        MODE       STATE  HOLDER       PID    AGE"
			 "  REFRESHED   EXPIRES  COMMAND\n"
			 "3f2a91bc  exclusive  held   root@atlas  4711  1h00m"
			 "         5s  in 4m55s  restic\n");
}
END_TEST

START_TEST(what_is_not_known_is_a_dash)
{
	one = (struct lock_info){ .protocol = "flock",
				  .id = "x",
				  .state = LOCK_UNREADABLE };
	ck_assert_str_eq(table(1),
			 "ID  MODE  STATE       HOLDER  PID  AGE  REFRESHED  "
			 "EXPIRES  COMMAND\n"
			 "x   -     unreadable  -         -    -          -  "
			 "      -  -\n");
}
END_TEST

START_TEST(no_locks_are_no_text)
{
	ck_assert_str_eq(table(0), "");
}
END_TEST

START_TEST(a_name_is_shown_only_where_there_are_names)
{
	table(2);
	ck_assert(!has("NAME"));
	(void)text_copy(two.name, sizeof(two.name), "copies");
	table(2);
	ck_assert(has("NAME") && has("copies") && has("default"));
}
END_TEST

START_TEST(the_kind_is_shown_only_where_there_are_two)
{
	table(2);
	ck_assert(!has("KIND"));
	(void)text_copy(two.protocol, sizeof(two.protocol), "restic");
	table(2);
	ck_assert(has("KIND") && has("lease") && has("restic"));
}
END_TEST

START_TEST(ids_are_shown_as_long_as_it_takes_to_tell_them_apart)
{
	(void)text_copy(two.id, sizeof(two.id), "3f2a91bc-0001");
	ck_assert_uint_eq(table_id_length(locks, 2), 13);
	table(2);
	ck_assert(has("3f2a91bc-0000 ") && has("3f2a91bc-0001 "));
	(void)text_copy(two.id, sizeof(two.id), "4");
	ck_assert_uint_eq(table_id_length(locks, 2), 8);
}
END_TEST

START_TEST(foreign_text_cannot_move_the_cursor)
{
	(void)text_copy(one.command, sizeof(one.command), "\033[2Jx\n");
	(void)text_copy(one.user, sizeof(one.user), "\xff\a");
	(void)text_copy(one.reason, sizeof(one.reason), "a\rb");
	(void)text_copy(one.id, sizeof(one.id), "\x1b]0;");
	table(1);
	for (const char *c = buf_text(&out); *c; c++)
		ck_assert(*c == '\n' || (*c >= ' ' && *c < 127));
	ck_assert(has("\\x1b[2Jx\\x0a"));
	ck_assert(has("\\xff\\x07@atlas"));
	ck_assert(has("reason: a\\x0db"));
}
END_TEST

static size_t longest_line(const char *text)
{
	size_t longest = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");

		longest = len > longest ? len : longest;
		text += len + (text[len] == '\n');
	}
	return longest;
}

START_TEST(a_wide_table_is_cut_to_the_terminal)
{
	memset(one.command, 'c', 60);
	memset(one.host, 'h', 200);
	ck_assert_uint_gt(longest_line(table(1)), 250);
	look.width = 100;
	ck_assert_uint_eq(longest_line(table(1)), 100);
	ck_assert(has("ccccccccc~"));
	ck_assert(has("root@h"));
	/* However narrow it is, nothing is left out altogether. */
	look.width = 20;
	table(1);
	ck_assert(has("root@hhhh~") && has("ccccccccc~") && has("4711"));
}
END_TEST

START_TEST(cutting_never_splits_a_character)
{
	uint32_t code;

	for (size_t i = 0; i < 20; i++)
		memcpy(one.command + 2 * i, "\xc3\xa4", 2);
	look.width = 85;
	for (const char *c = table(1); *c;) {
		size_t len = utf8_next(c, &code);

		ck_assert_uint_gt(len, 0);
		c += len;
	}
	ck_assert(has("\xc3\xa4~"));
}
END_TEST

START_TEST(colours_come_only_when_asked_for)
{
	table(1);
	ck_assert(!has("\033"));
	look.colour = true;
	table(1);
	ck_assert(has("\033[32mheld\033[0m"));
}
END_TEST

START_TEST(what_fits_no_column_stands_below)
{
	one.state = LOCK_STALE;
	(void)text_copy(one.detail, sizeof(one.detail), "its process is gone");
	(void)text_copy(one.reason, sizeof(one.reason), "nightly");
	one.skew = 300 * S;
	one.sure_in = 180 * S;
	table(1);
	ck_assert(has("3f2a91bc: reason: nightly\n"));
	ck_assert(has("3f2a91bc: its process is gone\n"));
	ck_assert(has("3f2a91bc: the holder's clock is 5m00s ahead\n"));
	ck_assert(has("3f2a91bc: whether it is stale will be known in 3m00s"));
}
END_TEST

START_TEST(a_clock_a_little_wrong_is_not_told)
{
	one.skew = 59 * S;
	table(1);
	ck_assert(!has("clock"));
	one.skew = -61 * S;
	table(1);
	ck_assert(has("1m01s behind"));
}
END_TEST

START_TEST(times_to_come_are_no_negative_ages)
{
	one.since.ns = NOW + 60 * S;
	one.expires.ns = NOW - 10 * S;
	table(1);
	ck_assert(!has("-"));
	ck_assert(has("  0s  "));
	ck_assert(has("10s ago"));
}
END_TEST

START_TEST(json_says_all_that_is_known)
{
	one.state = LOCK_STALE;
	one.alive = LOCK_ALIVE_NO;
	one.skew = -1500 * NSEC_PER_MSEC;
	(void)text_copy(one.detail, sizeof(one.detail), "gone");
	ck_assert_int_eq(
		table_json(&out, "/srv/\"repo", locks, 1, true, look.now, &e),
		RC_OK);
	ck_assert_str_eq(
		buf_text(&out),
		"{\"version\":1,\"location\":\"/srv/\\\"repo\","
		"\"time\":\"2027-01-15T08:00:00.000Z\",\"complete\":true,"
		"\"locks\":[{\"protocol\":\"lease\",\"id\":\"3f2a91bc-0000\","
		"\"name\":\"default\",\"mode\":\"exclusive\","
		"\"state\":\"stale\",\"alive\":false,\"user\":\"root\","
		"\"host\":\"atlas\",\"pid\":4711,\"command\":\"restic\","
		"\"reason\":null,\"fence\":12,"
		"\"since\":\"2027-01-15T07:00:00.000Z\","
		"\"refreshed\":\"2027-01-15T07:59:55.000Z\","
		"\"expires\":\"2027-01-15T08:04:55.000Z\","
		"\"skew\":-1.5,\"sure_in\":0,\"detail\":\"gone\"}]}\n");
}
END_TEST

START_TEST(json_says_null_for_what_is_not_known)
{
	one = (struct lock_info){ .protocol = "restic", .id = "ab" };
	ck_assert_int_eq(table_json(&out, "x", locks, 1, false, look.now, &e),
			 RC_OK);
	ck_assert(has("\"complete\":false"));
	ck_assert(has("\"alive\":null,\"user\":null,\"host\":null,"
		      "\"pid\":null,\"command\":null,\"reason\":null,"
		      "\"fence\":null,\"since\":null,\"refreshed\":null,"
		      "\"expires\":null"));
	buf_reset(&out);
	ck_assert_int_eq(table_json(&out, "x", NULL, 0, true, look.now, &e),
			 RC_OK);
	ck_assert(has("\"locks\":[]}"));
}
END_TEST

START_TEST(a_holder_is_told_in_as_many_words_as_are_known)
{
	char text[256];

	ck_assert_str_eq(table_holder(text, sizeof(text), &one),
			 "root@atlas (pid 4711, restic)");
	(void)text_copy(one.reason, sizeof(one.reason), "nightly");
	ck_assert_str_eq(table_holder(text, sizeof(text), &one),
			 "root@atlas (pid 4711, restic, \"nightly\")");
	one.pid = 0;
	one.command[0] = '\0';
	ck_assert_str_eq(table_holder(text, sizeof(text), &one),
			 "root@atlas (\"nightly\")");
	one.reason[0] = '\0';
	ck_assert_str_eq(table_holder(text, sizeof(text), &one), "root@atlas");
	one.user[0] = '\0';
	ck_assert_str_eq(table_holder(text, sizeof(text), &one), "atlas");
	one.host[0] = '\0';
	ck_assert_str_eq(table_holder(text, sizeof(text), &one),
			 "somebody unknown");
}
END_TEST

/* Every field at its greatest length, of one byte each. */
static struct lock_info longest(char byte)
{
	struct lock_info info = lease("");

	memset(info.id, byte, sizeof(info.id) - 1);
	memset(info.name, byte, sizeof(info.name) - 1);
	memset(info.user, byte, sizeof(info.user) - 1);
	memset(info.host, byte, sizeof(info.host) - 1);
	memset(info.command, byte, sizeof(info.command) - 1);
	memset(info.reason, byte, sizeof(info.reason) - 1);
	memset(info.detail, byte, sizeof(info.detail) - 1);
	memset(info.protocol, byte, sizeof(info.protocol) - 1);
	info.pid = 2147483647;
	info.sure_in = 3600 * S;
	info.skew = 7200 * S;
	return info;
}

/* A letter, one that becomes an escape, a byte that is no UTF-8, a quote. */
static const char hostile[] = { 'x', '\033', '\377', '"' };

START_TEST(p3_1_the_longest_fields_of_all_are_shown_in_every_way)
{
	char text[TABLE_HOLDER_SIZE];

	one = two = longest(hostile[_i]);
	ck_assert_ptr_eq(table_holder(text, sizeof(text), &one), text);
	ck_assert(strstr(text, "(pid 2147483647, ") != NULL);
	ck_assert_str_eq(text + strlen(text) - 2, "\")");
	for (size_t i = 0; text[i]; i++)
		ck_assert_int_ge(text[i], ' ');
	for (size_t size = 1; size <= sizeof(text); size++) {
		memset(text, '!', sizeof(text));
		(void)table_holder(text, size, &one);
		ck_assert_uint_lt(strlen(text), size);
	}
	look.width = 80;
	(void)table(2);
	ck_assert(!has("\033"));
	look.width = 0;
	(void)table(2);
	ck_assert(!has("\033"));
	ck_assert(!has("\377"));
	buf_reset(&out);
	ck_assert_int_eq(table_json(&out, "/srv", locks, 2, true,
				    (struct wall){ NOW }, &e),
			 RC_OK);
	ck_assert(!has("\033"));
	ck_assert(!has("\377"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("table");
	TCase *c = tcase_create("table");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	suite_add_tcase(suite, c);
	tcase_add_test(c, a_held_lease_is_a_line_with_every_column);
	tcase_add_test(c, what_is_not_known_is_a_dash);
	tcase_add_loop_test(c,
			    p3_1_the_longest_fields_of_all_are_shown_in_every_way,
			    0, sizeof(hostile));
	tcase_add_test(c, no_locks_are_no_text);
	tcase_add_test(c, a_name_is_shown_only_where_there_are_names);
	tcase_add_test(c, the_kind_is_shown_only_where_there_are_two);
	tcase_add_test(c, ids_are_shown_as_long_as_it_takes_to_tell_them_apart);
	tcase_add_test(c, foreign_text_cannot_move_the_cursor);
	tcase_add_test(c, a_wide_table_is_cut_to_the_terminal);
	tcase_add_test(c, cutting_never_splits_a_character);
	tcase_add_test(c, colours_come_only_when_asked_for);
	tcase_add_test(c, what_fits_no_column_stands_below);
	tcase_add_test(c, a_clock_a_little_wrong_is_not_told);
	tcase_add_test(c, times_to_come_are_no_negative_ages);
	tcase_add_test(c, json_says_all_that_is_known);
	tcase_add_test(c, json_says_null_for_what_is_not_known);
	tcase_add_test(c, a_holder_is_told_in_as_many_words_as_are_known);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
