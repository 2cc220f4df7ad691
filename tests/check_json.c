/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "util/json.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static struct err e;
static struct buf b;
static struct json_out j;

static void setup(void)
{
	buf_init(&b, 65536);
	json_out_begin(&j, &b);
}

static void teardown(void)
{
	buf_release(&b);
}

START_TEST(a_document_is_written)
{
	json_out_object(&j, NULL);
	json_out_string(&j, "text", "plain");
	json_out_number(&j, "low", INT64_MIN);
	json_out_number(&j, "high", INT64_MAX);
	json_out_bool(&j, "yes", true);
	json_out_bool(&j, "no", false);
	json_out_null(&j, "none");
	json_out_string(&j, "no text", NULL);
	json_out_array(&j, "list");
	json_out_number(&j, NULL, 1);
	json_out_object(&j, NULL);
	json_out_end(&j, '}');
	json_out_array(&j, NULL);
	json_out_end(&j, ']');
	json_out_string(&j, NULL, "");
	json_out_end(&j, ']');
	json_out_time(&j, "when", (struct wall){ 1500 * NSEC_PER_MSEC });
	json_out_time(&j, "never", (struct wall){ 0 });
	json_out_end(&j, '}');
	ck_assert_int_eq(j.rc, RC_OK);
	ck_assert_str_eq(buf_text(&b),
			 "{\"text\":\"plain\",\"low\":-9223372036854775808,"
			 "\"high\":9223372036854775807,\"yes\":true,\"no\":false,"
			 "\"none\":null,\"no text\":null,\"list\":[1,{},[],\"\"],"
			 "\"when\":\"1970-01-01T00:00:01.500Z\",\"never\":null}");
}
END_TEST

struct seconds {
	nsec span;
	const char *text;
};

static const struct seconds spans[] = {
	{ 0, "0" },
	{ 1, "0.000000001" },
	{ NSEC_PER_SEC, "1" },
	{ 10 * NSEC_PER_SEC, "10" },
	{ 1500 * NSEC_PER_MSEC, "1.5" },
	{ -250 * NSEC_PER_MSEC, "-0.25" },
	{ -100 * NSEC_PER_SEC, "-100" },
	{ INT64_MIN, "-9223372036.854775808" },
	{ NSEC_FOREVER, "null" },
};

START_TEST(a_span_is_written_in_seconds)
{
	json_out_seconds(&j, NULL, spans[_i].span);
	ck_assert_str_eq(buf_text(&b), spans[_i].text);
}
END_TEST

START_TEST(any_bytes_become_json_that_another_reads)
{
	char text[256];
	json_t *top;
	size_t len = 0;

	for (int c = 1; c < 256; c++)
		text[len++] = (char)c;
	text[len] = '\0';
	json_out_array(&j, NULL);
	json_out_string(&j, NULL, text);
	json_out_string(&j, NULL, "\xe2\x82\xac \xf0\x9f\x98\x80");
	json_out_string(&j, NULL, "\xed\xa0\x80");
	json_out_end(&j, ']');
	ck_assert_int_eq(j.rc, RC_OK);
	top = json_loadb(b.data, b.len, 0, NULL);
	ck_assert_ptr_nonnull(top);
	/* What is ASCII comes back; each byte that is no UTF-8 is U+FFFD. */
	ck_assert_int_eq(
		strncmp(json_string_value(json_array_get(top, 0)), text, 127), 0);
	ck_assert_uint_eq(json_string_length(json_array_get(top, 0)),
			  127 + 128 * 3);
	ck_assert_str_eq(json_string_value(json_array_get(top, 1)),
			 "\xe2\x82\xac \xf0\x9f\x98\x80");
	ck_assert_str_eq(json_string_value(json_array_get(top, 2)),
			 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	json_decref(top);
}
END_TEST

static const struct {
	const char *in, *out;
} unseen[] = {
	{ "a\x7f", "a\\u007f" },
	{ "\xc2\x80 \xc2\x9bm", "\\u0080 \\u009bm" },
	{ "\xc2\x9f\xc2\xa0", "\\u009f\xc2\xa0" }, /* U+00A0 is a space */
	{ "\xd8\x9c", "\\u061c" },
	{ "\xe2\x80\x8e\xe2\x80\x8f", "\\u200e\\u200f" },
	{ "\xe2\x80\xaa-\xe2\x80\xae", "\\u202a-\\u202e" },
	{ "\xe2\x81\xa6-\xe2\x81\xa9", "\\u2066-\\u2069" },
	{ "\xf3\xa0\x81\x81", "\\udb40\\udc41" }, /* a tag: U+E0041 */
	{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x92",
	  "\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x92" },
};

START_TEST(p7_9_what_is_not_to_be_seen_is_escaped)
{
	char wanted[80];

	json_out_string(&j, NULL, unseen[_i].in);
	ck_assert_int_eq(j.rc, RC_OK);
	(void)snprintf(wanted, sizeof(wanted), "\"%s\"", unseen[_i].out);
	ck_assert_str_eq(buf_text(&b), wanted);
}
END_TEST

START_TEST(a_key_is_escaped_as_well)
{
	json_out_object(&j, NULL);
	json_out_number(&j, "a\"b\n", 1);
	json_out_end(&j, '}');
	ck_assert_str_eq(buf_text(&b), "{\"a\\\"b\\n\":1}");
}
END_TEST

START_TEST(the_first_failure_is_kept)
{
	struct buf small;

	buf_init(&small, 4);
	json_out_begin(&j, &small);
	json_out_string(&j, NULL, "abcdef");
	ck_assert_int_eq(j.rc, RC_MALFORMED);
	json_out_number(&j, NULL, 1);
	ck_assert_int_eq(j.rc, RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(j.err.text, "4 bytes"));
	buf_release(&small);
}
END_TEST

/* --- in --- */

static struct json_doc *parse(const char *text)
{
	struct json_doc *doc = NULL;
	enum rc rc = json_parse(&doc, text, strlen(text), &e);

	ck_assert_msg(rc == RC_OK, "%s", e.text);
	return doc;
}

START_TEST(members_are_found_by_name_and_type)
{
	struct json_doc *doc = parse("{\"s\":\"text\",\"n\":-7,\"b\":true,"
				     "\"r\":1.5,\"z\":null,"
				     "\"o\":{\"p\":{\"q\":\"deep\"}}}");
	const char *text = NULL;
	int64_t number = 0;
	bool flag = false;

	ck_assert(json_get_string(doc, "s", &text));
	ck_assert_str_eq(text, "text");
	ck_assert(json_get_number(doc, "n", &number));
	ck_assert_int_eq(number, -7);
	ck_assert(json_get_bool(doc, "b", &flag));
	ck_assert(flag);
	ck_assert(json_get_string(doc, "o.p.q", &text));
	ck_assert_str_eq(text, "deep");
	ck_assert(!json_get_string(doc, "n", &text));
	ck_assert(!json_get_string(doc, "z", &text));
	ck_assert(!json_get_string(doc, "x", &text));
	ck_assert(!json_get_string(doc, "o", &text));
	ck_assert(!json_get_string(doc, "s.t", &text));
	ck_assert(!json_get_string(doc, "o.p.x", &text));
	ck_assert(!json_get_number(doc, "s", &number));
	ck_assert(!json_get_number(doc, "r", &number));
	ck_assert(!json_get_bool(doc, "n", &flag));
	ck_assert_str_eq(text, "deep");
	json_close(doc);
	json_close(NULL);
}
END_TEST

static const char *const no_objects[] = {
	"",
	"[]",
	"1",
	"\"text\"",
	"null",
	"{",
	"{}x",
	"{\"a\":1,}",
	"{\"a\":1 \"b\":2}",
	"{\"a\":1,\"a\":2}",
	"{\"a\":\"\\u0000\"}",
	"{\"a\":\"\xff\"}",
	"{\"a\":99999999999999999999}",
	"{'a':1}",
	"{\"a\":NaN}",
	"{\"a\":\"\\",
	"{\"a\":\"",
};

START_TEST(what_is_no_object_is_refused)
{
	struct json_doc *doc = NULL;

	ck_assert_int_eq(
		json_parse(&doc, no_objects[_i], strlen(no_objects[_i]), &e),
		RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "JSON"));
	ck_assert_ptr_null(doc);
}
END_TEST

/* {"a":{"a":...{}...}}, `depth` objects in all */
static void nest(int depth)
{
	for (int i = 1; i < depth; i++)
		ck_assert_int_eq(buf_add(&b, "{\"[\":", 5, &e), RC_OK);
	for (int i = 0; i < depth; i++)
		ck_assert_int_eq(buf_add(&b, i ? "}" : "{}", i ? 1 : 2, &e),
				 RC_OK);
}

START_TEST(depth_has_its_limit)
{
	struct json_doc *doc = NULL;

	nest(JSON_DEPTH_MAX);
	ck_assert_int_eq(json_parse(&doc, b.data, b.len, &e), RC_OK);
	json_close(doc);
	buf_reset(&b);
	nest(JSON_DEPTH_MAX + 1);
	ck_assert_int_eq(json_parse(&doc, b.data, b.len, &e), RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "deep"));
}
END_TEST

/* What is read may be root's, moved to where a record is looked for. */
START_TEST(p7_9_an_error_gives_the_line_and_no_byte_of_the_text)
{
	static const char text[] = "{\n\"a\": root:secret:19000\n}";
	struct json_doc *doc = NULL;

	ck_assert_int_eq(json_parse(&doc, text, strlen(text), &e), RC_MALFORMED);
	ck_assert_ptr_null(strstr(e.text, "root"));
	ck_assert_ptr_null(strstr(e.text, "secret"));
	ck_assert_ptr_nonnull(strstr(e.text, "line 2"));
}
END_TEST

START_TEST(size_has_its_limit)
{
	struct json_doc *doc = NULL;

	ck_assert_int_eq(json_parse(&doc, "{}", JSON_SIZE_MAX + 1, &e),
			 RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "bytes"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, all);
	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_loop_test(all, a_span_is_written_in_seconds, 0, COUNT(spans));
	tcase_add_loop_test(all, what_is_no_object_is_refused, 0,
			    COUNT(no_objects));
	tcase_add_test(all, a_document_is_written);
	tcase_add_test(all, any_bytes_become_json_that_another_reads);
	tcase_add_loop_test(all, p7_9_what_is_not_to_be_seen_is_escaped, 0,
			    sizeof(unseen) / sizeof(unseen[0]));
	tcase_add_test(all, a_key_is_escaped_as_well);
	tcase_add_test(all, the_first_failure_is_kept);
	tcase_add_test(all, members_are_found_by_name_and_type);
	tcase_add_test(all, depth_has_its_limit);
	tcase_add_test(all, p7_9_an_error_gives_the_line_and_no_byte_of_the_text);
	tcase_add_test(all, size_has_its_limit);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
