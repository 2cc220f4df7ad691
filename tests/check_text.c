/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/text.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

START_TEST(a_copy_is_cut_to_its_room)
{
	char out[4];

	ck_assert(text_copy(out, sizeof(out), "abc"));
	ck_assert_str_eq(out, "abc");
	ck_assert(!text_copy(out, sizeof(out), "abcd"));
	ck_assert_str_eq(out, "abc");
	ck_assert(text_copy(out, sizeof(out), ""));
	ck_assert_str_eq(out, "");
	ck_assert(!text_copy(out, 1, "a"));
	ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(hex_goes_there_and_back)
{
	static const unsigned char bytes[] = { 0x00, 0x1f, 0xa0, 0xff };
	unsigned char back[4];
	char hex[9];

	hex_encode(hex, bytes, 4);
	ck_assert_str_eq(hex, "001fa0ff");
	ck_assert(hex_decode(back, 4, hex));
	ck_assert_mem_eq(back, bytes, 4);
	ck_assert(hex_decode(back, 4, "001FA0FF"));
	ck_assert_mem_eq(back, bytes, 4);
	ck_assert(hex_decode(back, 0, ""));
}
END_TEST

static const char *const no_hex[] = {
	"",         "00112",     "0011223",  "001122334", "0011223g",
	" 0112233", "00112233 ", "0x112233", "-0112233",
};

START_TEST(what_is_no_hex_is_refused)
{
	unsigned char back[4];

	ck_assert(!hex_decode(back, 4, no_hex[_i]));
}
END_TEST

START_TEST(a_uuid_is_random_and_of_version_4)
{
	char a[UUID_TEXT_SIZE], b[UUID_TEXT_SIZE];

	for (int i = 0; i < 100; i++) {
		uuid_make(a);
		uuid_make(b);
		ck_assert_uint_eq(strlen(a), 36);
		ck_assert_uint_eq(strspn(a, "0123456789abcdef-"), 36);
		ck_assert_int_eq(a[8], '-');
		ck_assert_int_eq(a[13], '-');
		ck_assert_int_eq(a[18], '-');
		ck_assert_int_eq(a[23], '-');
		ck_assert_int_eq(a[14], '4');
		ck_assert_ptr_nonnull(strchr("89ab", a[19]));
		ck_assert_str_ne(a, b);
	}
}
END_TEST

START_TEST(a_random_span_stays_in_its_bounds_and_reaches_them)
{
	bool low = false, high = false;

	for (int i = 0; i < 1000; i++) {
		nsec span = random_span(-2, 2);

		ck_assert_int_ge(span, -2);
		ck_assert_int_le(span, 2);
		low = low || span == -2;
		high = high || span == 2;
	}
	ck_assert(low && high);
	ck_assert_int_eq(random_span(7, 7), 7);
	ck_assert_int_eq(random_span(7, 3), 7);
}
END_TEST

/* --- wall-clock text --- */

struct moment {
	int64_t s;
	int64_t ns;
	const char *text; /* with milliseconds */
};

static const struct moment moments[] = {
	{ 0, 0, "1970-01-01T00:00:00.000Z" },
	{ 951782399, 999999999, "2000-02-28T23:59:59.999Z" },
	{ 951782400, 0, "2000-02-29T00:00:00.000Z" },
	{ 951868800, 0, "2000-03-01T00:00:00.000Z" },
	{ 1704067199, 1000000, "2023-12-31T23:59:59.001Z" },
	{ 1704067200, 0, "2024-01-01T00:00:00.000Z" },
	{ 4107542400, 0, "2100-03-01T00:00:00.000Z" },
	{ -1, 0, "1969-12-31T23:59:59.000Z" },
	{ -1, 999000000, "1969-12-31T23:59:59.999Z" },
	{ -2208988800, 0, "1900-01-01T00:00:00.000Z" },
};

START_TEST(a_moment_is_shown_and_read_back)
{
	const struct moment *m = &moments[_i];
	struct wall t = { m->s * NSEC_PER_SEC + m->ns }, back;
	char text[32], brief[32];

	wall_show_msec(text, sizeof(text), t);
	ck_assert_str_eq(text, m->text);
	wall_show(brief, sizeof(brief), t);
	ck_assert_uint_eq(strlen(brief), 20);
	ck_assert_int_eq(strncmp(brief, m->text, 19), 0);
	ck_assert(wall_parse(&back, text));
	ck_assert_int_eq(back.ns, m->s * NSEC_PER_SEC + m->ns / NSEC_PER_MSEC *
								NSEC_PER_MSEC);
}
END_TEST

START_TEST(every_day_of_two_centuries_is_as_the_c_library_has_it)
{
	for (int64_t s = -3155673600; s < 4102444800; s += 86400 - 7) {
		time_t time = (time_t)s;
		char ours[32], theirs[32];
		struct tm tm;

		(void)gmtime_r(&time, &tm);
		(void)strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%SZ", &tm);
		wall_show(ours, sizeof(ours), (struct wall){ s * NSEC_PER_SEC });
		ck_assert_str_eq(ours, theirs);
	}
}
END_TEST

struct parsed {
	const char *text;
	int64_t s;
	int64_t ns;
};

static const struct parsed parseds[] = {
	{ "1970-01-01T00:00:00Z", 0, 0 },
	{ "1970-01-01T01:00:00+01:00", 0, 0 },
	{ "1969-12-31T18:30:00-05:30", 0, 0 },
	{ "2024-02-29T12:34:56.123456789Z", 1709210096, 123456789 },
	{ "2024-02-29T12:34:56.1Z", 1709210096, 100000000 },
	{ "2024-02-29T12:34:56.000001+00:00", 1709210096, 1000 },
	{ "2016-12-31T23:59:60Z", 1483228800, 0 },
	{ "2024-01-01T00:00:00-23:59", 1704153540, 0 },
};

START_TEST(a_zone_and_a_fraction_are_understood)
{
	struct wall t;

	ck_assert(wall_parse(&t, parseds[_i].text));
	ck_assert_int_eq(t.ns, parseds[_i].s * NSEC_PER_SEC + parseds[_i].ns);
}
END_TEST

static const char *const no_moments[] = {
	"",
	"2024-01-01",
	"2024-01-01T00:00:00",
	"2024-01-01 00:00:00Z",
	"2024-01-01T00:00Z",
	"2024-01-01T00:00:00z",
	"2024-01-01T00:00:00ZZ",
	"2024-01-01T00:00:00Z ",
	"2024-01-01T00:00:00.Z",
	"2024-01-01T00:00:00.1234567890Z",
	"2024-01-01T00:00:00+1:00",
	"2024-01-01T00:00:00+0100",
	"2024-01-01T00:00:00+24:00",
	"2024-01-01T00:00:00+01:60",
	"2024-01-01T00:00:00+01:00x",
	"2024-01-01T24:00:00Z",
	"2024-01-01T00:60:00Z",
	"2024-01-01T00:00:61Z",
	"2024-00-01T00:00:00Z",
	"2024-13-01T00:00:00Z",
	"2024-01-00T00:00:00Z",
	"2024-01-32T00:00:00Z",
	"2024-04-31T00:00:00Z",
	"2023-02-29T00:00:00Z",
	"1900-02-29T00:00:00Z",
	"0001-01-01T00:00:00Z",
	"9999-01-01T00:00:00Z",
	"+2024-01-01T00:00:00Z",
	"-024-01-01T00:00:00Z",
};

START_TEST(what_is_no_moment_is_refused)
{
	struct wall t = { 42 };

	ck_assert_msg(!wall_parse(&t, no_moments[_i]), "%s", no_moments[_i]);
}
END_TEST

/* --- foreign text --- */

struct printed {
	const char *in, *out;
};

static const struct printed printeds[] = {
	{ "plain text", "plain text" },
	{ "", "" },
	{ "f\xc3\xbc"
	  "r \xe2\x82\xac \xf0\x9f\x98\x80",
	  "f\xc3\xbc"
	  "r \xe2\x82\xac \xf0\x9f\x98\x80" },
	{ "\033[31mred", "\\x1b[31mred" },
	{ "a\nb\tc\rd", "a\\x0ab\\x09c\\x0dd" },
	{ "\x7f", "\\x7f" },
	{ "\xc2\x9b"
	  "2J",
	  "\\xc2\\x9b"
	  "2J" }, /* CSI in one character */
	{ "\xff\xfe", "\\xff\\xfe" },
	{ "\xc3", "\\xc3" },
	{ "\xc3(", "\\xc3(" },
	{ "\xc0\xaf", "\\xc0\\xaf" },                   /* overlong */
	{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },          /* overlong */
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },          /* surrogate */
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* too great */
	{ "\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80" },
	{ "a\xe2\x80\xaetxt", "a\\xe2\\x80\\xaetxt" }, /* right to left */
	{ "a\xe2\x80\xa8"
	  "b",
	  "a\\xe2\\x80\\xa8"
	  "b" }, /* line separator */
};

START_TEST(foreign_text_is_made_fit_for_a_terminal)
{
	char out[128];

	ck_assert_ptr_eq(text_printable(out, sizeof(out), printeds[_i].in), out);
	ck_assert_str_eq(out, printeds[_i].out);
}
END_TEST

START_TEST(foreign_text_is_cut_between_characters)
{
	char out[16];

	for (size_t size = 1; size <= sizeof(out); size++) {
		memset(out, '!', sizeof(out));
		(void)text_printable(out, size, "\xe2\x82\xac\033\xc3\xbc");
		ck_assert_str_eq(out, size < 4    ? ""
				      : size < 8  ? "\xe2\x82\xac"
				      : size < 10 ? "\xe2\x82\xac\\x1b"
						  : "\xe2\x82\xac\\x1b\xc3\xbc");
	}
}
END_TEST

/* --- strings built in a fixed room --- */

START_TEST(p3_1_pieces_are_added_as_long_as_they_fit)
{
	char out[64];
	struct text t = text_begin(out, sizeof(out));

	ck_assert_str_eq(out, "");
	text_add(&t, "one");
	text_addf(&t, ", %d", 2);
	text_add(&t, ", ");
	text_add_printable(&t, "\033[31mthree");
	ck_assert_str_eq(out, "one, 2, \\x1b[31mthree");
	ck_assert_uint_eq(t.len, strlen(out));
	ck_assert(!t.cut);
}
END_TEST

/* Whatever the piece and the room: never beyond, the cut is marked, and no
 * later piece comes after it. */
static void fill(struct text *t, int how, const char *piece)
{
	switch (how) {
	case 0:
		text_add(t, piece);
		break;
	case 1:
		text_addf(t, "%s", piece);
		break;
	case 2:
		text_add_printable(t, piece);
		break;
	default:
		text_add_part(t, piece, 4096);
		break;
	}
}

START_TEST(p3_1_what_does_not_fit_is_cut_and_marked)
{
	static const char piece[] = "abc\xc3\xbc\xe2\x82\xac"
				    "defghijklmnop";
	char room[64];

	for (size_t size = 1; size <= 40; size++) {
		struct text t;
		uint32_t code;

		memset(room, '!', sizeof(room));
		t = text_begin(room + 8, size);
		fill(&t, _i, piece);
		fill(&t, _i, piece);
		ck_assert_uint_lt(t.len, size);
		ck_assert_uint_eq(t.len, strlen(room + 8));
		ck_assert_int_eq(room[7], '!');
		for (size_t i = 8 + size; i < sizeof(room); i++)
			ck_assert_int_eq(room[i], '!');
		ck_assert(t.cut);
		if (size > 3)
			ck_assert_str_eq(room + 8 + t.len - 3, "...");
		for (const char *at = room + 8; *at;) {
			size_t step = utf8_next(at, &code);

			ck_assert_uint_gt(step, 0);
			at += step;
		}
		fill(&t, _i, "more");
		ck_assert(strstr(room + 8, "more") == NULL);
	}
}
END_TEST

START_TEST(p3_1_a_part_leaves_room_for_what_comes_after_it)
{
	char out[32];
	struct text t = text_begin(out, sizeof(out));

	text_add_part(&t, "\xc3\xbc\xc3\xbc\xc3\xbc", 6);
	text_add(&t, "|");
	text_add_part(&t, "\xc3\xbc\xc3\xbc\xc3\xbc", 5);
	text_add(&t, "|");
	text_add_part(&t, "ab\033", 5);
	text_add(&t, "|end");
	ck_assert_str_eq(out, "\xc3\xbc\xc3\xbc\xc3\xbc|"
			      "\xc3\xbc\xc3\xbc~|ab~|end");
	ck_assert(!t.cut);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, all);
	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, what_is_no_hex_is_refused, 0, COUNT(no_hex));
	tcase_add_loop_test(all, a_moment_is_shown_and_read_back, 0,
			    COUNT(moments));
	tcase_add_loop_test(all, a_zone_and_a_fraction_are_understood, 0,
			    COUNT(parseds));
	tcase_add_loop_test(all, what_is_no_moment_is_refused, 0,
			    COUNT(no_moments));
	tcase_add_loop_test(all, foreign_text_is_made_fit_for_a_terminal, 0,
			    COUNT(printeds));
	tcase_add_test(all, p3_1_pieces_are_added_as_long_as_they_fit);
	tcase_add_loop_test(all, p3_1_what_does_not_fit_is_cut_and_marked, 0, 4);
	tcase_add_test(all, p3_1_a_part_leaves_room_for_what_comes_after_it);
	tcase_add_test(all, a_copy_is_cut_to_its_room);
	tcase_add_test(all, hex_goes_there_and_back);
	tcase_add_test(all, a_uuid_is_random_and_of_version_4);
	tcase_add_test(all, a_random_span_stays_in_its_bounds_and_reaches_them);
	tcase_add_test(all,
		       every_day_of_two_centuries_is_as_the_c_library_has_it);
	tcase_add_test(all, foreign_text_is_cut_between_characters);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
