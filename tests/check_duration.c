/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <string.h>

#include "util/duration.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))
#define S NSEC_PER_SEC

static struct err e;

struct good {
	const char *text;
	nsec span;
};

static const struct good goods[] = {
	{ "0", 0 },
	{ "90", 90 * S },
	{ "90s", 90 * S },
	{ "1.5m", 90 * S },
	{ "2h", 7200 * S },
	{ "1d", 86400 * S },
	{ "1h30m", 5400 * S },
	{ "1d2h3m4s5ms", 93784 * S + 5 * NSEC_PER_MSEC },
	{ "250ms", 250 * NSEC_PER_MSEC },
	{ "0.25", 250 * NSEC_PER_MSEC },
	{ "0.000000001s", 1 },
	{ "1.000000001s", S + 1 },
	{ "0.0000000001s", 0 },
	{ "0.5ms", 500 * NSEC_PER_USEC },
	{ "1.999999999d", 172799 * S + 999913600 },
	{ "007", 7 * S },
	{ "0s", 0 },
	{ "1m0s", 60 * S },
	{ "20000d", 20000 * 86400 * S },
};

START_TEST(a_duration_is_understood)
{
	nsec span = -1;
	enum rc rc = duration_parse(&span, goods[_i].text, &e);

	ck_assert_msg(rc == RC_OK, "%s: %s", goods[_i].text, e.text);
	ck_assert_msg(span == goods[_i].span, "%s: %lld", goods[_i].text,
		      (long long)span);
}
END_TEST

struct bad {
	const char *text;
	const char *says;
};

static const struct bad bads[] = {
	{ "", "empty" },
	{ "-1", "negative" },
	{ "-", "negative" },
	{ "+1", "not a number" },
	{ " 1", "not a number" },
	{ "s", "not a number" },
	{ "forever", "not a number" },
	{ ".5", "not a number" },
	{ "1.", "not a number" },
	{ "1.s", "not a number" },
	{ "1..5s", "not a number" },
	{ "1.5.5s", "unit" },
	{ "1x", "unit" },
	{ "1 s", "unit" },
	{ "1s ", "unit" },
	{ "1S", "unit" },
	{ "1h30", "unit" },
	{ "1e3", "unit" },
	{ "0x10", "unit" },
	{ "1m1h", "order" },
	{ "1s1s", "order" },
	{ "1ms1s", "order" },
	{ "30000d", "too long" },
	{ "999999999999999999999", "too long" },
	{ "9223372036854775807", "too long" },
	{ "9223372036854775807d", "too long" },
	{ "20000d20000000h", "too long" },
	{ "99999999999999999999999999999999999999999999999999999d", "too" },
};

START_TEST(what_is_no_duration_is_refused_with_the_reason)
{
	nsec span = -1;

	ck_assert_int_eq(duration_parse(&span, bads[_i].text, &e), RC_MALFORMED);
	ck_assert_msg(strstr(e.text, bads[_i].says), "%s: %s", bads[_i].text,
		      e.text);
	ck_assert_int_eq(span, -1);
}
END_TEST

struct shown {
	nsec span;
	const char *text;
};

static const struct shown showns[] = {
	{ 0, "0s" },
	{ 999, "0s" },
	{ NSEC_PER_MSEC, "1ms" },
	{ 250 * NSEC_PER_MSEC, "250ms" },
	{ S - 1, "999ms" },
	{ S, "1s" },
	{ 45 * S + S / 2, "45s" },
	{ 60 * S - 1, "59s" },
	{ 60 * S, "1m00s" },
	{ 312 * S, "5m12s" },
	{ 3600 * S - 1, "59m59s" },
	{ 11040 * S, "3h04m" },
	{ 86400 * S, "1d00h" },
	{ 2 * 86400 * S + 3 * 3600 * S, "2d03h" },
	{ -45 * S, "-45s" },
	{ -90 * S, "-1m30s" },
	{ -1, "0s" },
	{ INT64_MIN, "-26687d23h" },
	{ NSEC_FOREVER, "forever" },
	{ INT64_MAX, "forever" },
};

START_TEST(a_duration_is_shown_with_two_units_at_most)
{
	char text[32];

	duration_show(text, sizeof(text), showns[_i].span);
	ck_assert_str_eq(text, showns[_i].text);
}
END_TEST

START_TEST(a_shown_duration_is_cut_to_its_room)
{
	char text[4];

	duration_show(text, sizeof(text), 312 * S);
	ck_assert_str_eq(text, "5m1");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("duration");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, all);
	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, a_duration_is_understood, 0, COUNT(goods));
	tcase_add_loop_test(all, what_is_no_duration_is_refused_with_the_reason,
			    0, COUNT(bads));
	tcase_add_loop_test(all, a_duration_is_shown_with_two_units_at_most, 0,
			    COUNT(showns));
	tcase_add_test(all, a_shown_duration_is_cut_to_its_room);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
