/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lock/borg.h"
#include "util/hash.h"
#include "util/text.h"

static struct err e;

static struct borg_owner owner(const char *host, int64_t pid, uint64_t thread)
{
	struct borg_owner o = { .pid = pid, .thread = thread };

	text_copy(o.host, sizeof(o.host), host);
	return o;
}

/* --- borg 1 names --- */

static const struct {
	const char *name, *host;
	int64_t pid;
	uint64_t thread;
} names[] = {
	{ "vm@3281355014145.7615-0", "vm@3281355014145", 7615, 0 },
	{ "a.b-c.d@1.1-ff", "a.b-c.d@1", 1, 255 },
	{ "x.y.z.12-7f0a", "x.y.z", 12, 0x7f0a },
};

START_TEST(a_name_is_split_at_its_last_dash_and_dot)
{
	struct borg_owner o;

	ck_assert(borg1_name_parse(&o, names[_i].name));
	ck_assert_str_eq(o.host, names[_i].host);
	ck_assert_int_eq(o.pid, names[_i].pid);
	ck_assert_uint_eq(o.thread, names[_i].thread);
}
END_TEST

START_TEST(a_name_is_written_as_it_was_read)
{
	char out[BORG1_NAME_MAX + 1];
	struct borg_owner o;

	ck_assert(borg1_name_parse(&o, names[_i].name));
	ck_assert_int_eq(borg1_name_format(out, &o, &e), RC_OK);
	ck_assert_str_eq(out, names[_i].name);
}
END_TEST

static const char *const malformed_names[] = {
	"",
	"x",
	".nfs0000123",
	"vm@1.12",
	"vm@1.-0",
	"vm@1.1-",
	"vm@1.x-0",
	"vm@1.1-g",
	"vm@1-1-0",
	"vm@1.1_0-0",
	"vm@1.+1-0",
	"vm@1. 1-0",
	"vm@1.99999999999999999999-0",
	"vm@1.1-0x1",
	"vm@1.1-0\n",
};

START_TEST(a_name_of_another_form_is_malformed)
{
	struct borg_owner o;

	ck_assert(!borg1_name_parse(&o, malformed_names[_i]));
}
END_TEST

START_TEST(a_host_id_with_a_slash_makes_no_file_name)
{
	struct borg_owner o = owner("a/b", 1, 0);
	char out[BORG1_NAME_MAX + 1];

	ck_assert_int_eq(borg1_name_format(out, &o, &e), RC_UNSUPPORTED);
}
END_TEST

/* --- the roster --- */

static struct borg_roster roster_of(const char *text)
{
	struct borg_roster r;

	ck_assert_int_eq(borg_roster_parse(&r, text, strlen(text), &e), RC_OK);
	return r;
}

static void assert_text(const struct borg_roster *r, const char *want)
{
	struct buf b;

	buf_init(&b, 65536);
	ck_assert_int_eq(borg_roster_text(r, &b, &e), RC_OK);
	ck_assert_str_eq(buf_text(&b), want);
	buf_release(&b);
}

START_TEST(a_first_entry_looks_as_borg_writes_it)
{
	struct borg_owner o = owner("vm@3281355014145", 29712, 0);
	struct borg_roster r;

	ck_assert_int_eq(borg_roster_init(&r, &e), RC_OK);
	ck_assert_int_eq(borg_roster_add(&r, LOCK_SHARED, &o, &e), RC_OK);
	assert_text(&r, "{\"shared\": [[\"vm@3281355014145\", 29712, 0]]}");
	borg_roster_release(&r);
	ck_assert_int_eq(borg_roster_init(&r, &e), RC_OK);
	ck_assert_int_eq(borg_roster_add(&r, LOCK_EXCLUSIVE, &o, &e), RC_OK);
	assert_text(&r, "{\"exclusive\": [[\"vm@3281355014145\", 29712, 0]]}");
	borg_roster_release(&r);
}
END_TEST

START_TEST(a_host_id_is_written_in_ascii_as_python_does)
{
	struct borg_owner o = owner("\xc3\xa9\"\\\n\x7f\xf0\x9f\x98\x80/", 1, 0);
	struct borg_roster r, again;

	ck_assert_int_eq(borg_roster_init(&r, &e), RC_OK);
	ck_assert_int_eq(borg_roster_add(&r, LOCK_SHARED, &o, &e), RC_OK);
	assert_text(&r, "{\"shared\": [[\"\\u00e9\\\"\\\\\\n\\u007f\\ud83d"
			"\\ude00/\", 1, 0]]}");
	again = roster_of("{\"shared\": [[\"\\u00e9\\\"\\\\\\n\\u007f\\ud83d"
			  "\\ude00/\", 1, 0]]}");
	ck_assert(borg_roster_has(&again, LOCK_SHARED, &o));
	borg_roster_release(&r);
	borg_roster_release(&again);
}
END_TEST

START_TEST(unknown_members_are_kept_in_their_place)
{
	struct borg_owner o = owner("h", 2, 0);
	struct borg_roster r = roster_of(
		"{\"new\":{\"a\":[1,2.0,null,true,\"\\u00e4\"]},"
		"\"shared\":[[\"g\",1,0]],\"z\":false}");

	ck_assert_int_eq(borg_roster_add(&r, LOCK_SHARED, &o, &e), RC_OK);
	ck_assert(borg_roster_drop(&r, LOCK_SHARED,
				   &(struct borg_owner){ "g", 1, 0 }));
	assert_text(&r, "{\"new\": {\"a\": [1, 2.0, null, true, \"\\u00e4\"]}, "
			"\"shared\": [[\"h\", 2, 0]], \"z\": false}");
	borg_roster_release(&r);
}
END_TEST

START_TEST(an_entry_is_there_once_and_goes_altogether)
{
	struct borg_owner o = owner("h", 2, 0), other = owner("h", 3, 0);
	struct borg_roster r = roster_of(
		"{\"shared\": [[\"h\", 2, 0], [\"h\", 2, 0]]}");

	ck_assert_int_eq(borg_roster_add(&r, LOCK_SHARED, &o, &e), RC_OK);
	ck_assert_uint_eq(borg_roster_count(&r, LOCK_SHARED), 2);
	ck_assert(!borg_roster_drop(&r, LOCK_SHARED, &other));
	ck_assert(!borg_roster_drop(&r, LOCK_EXCLUSIVE, &o));
	ck_assert(!borg_roster_is_empty(&r));
	ck_assert(borg_roster_drop(&r, LOCK_SHARED, &o));
	ck_assert(borg_roster_is_empty(&r));
	assert_text(&r, "{\"shared\": []}");
	borg_roster_release(&r);
}
END_TEST

static const char *const bad_rosters[] = {
	"",
	"{",
	"[]",
	"null",
	"\"x\"",
	"{\"shared\": 1}",
	"{\"shared\": {}}",
	"{\"shared\": [1]}",
	"{\"shared\": [[]]}",
	"{\"shared\": [[\"h\", 1]]}",
	"{\"shared\": [[\"h\", 1, 0, 5]]}",
	"{\"shared\": [[\"h\", \"1\", 0]]}",
	"{\"shared\": [[1, 1, 0]]}",
	"{\"exclusive\": [[\"h\", 1, null]]}",
	"{\"shared\": []} x",
	"{\"shared\": [[\"h\", 1, 0]",
	"{\"shared\": null}",
};

START_TEST(a_roster_that_some_borg_forgets_or_trips_over_is_malformed)
{
	struct borg_roster r = { 0 };

	ck_assert_int_eq(borg_roster_parse(&r, bad_rosters[_i],
					   strlen(bad_rosters[_i]), &e),
			 RC_MALFORMED);
	ck_assert_ptr_null(r.top);
}
END_TEST

/* --- borg 2 --- */

#define OBJECT                                                                 \
	"{\"exclusive\": true, \"hostid\": \"vm@3281355014145\", "             \
	"\"processid\": 14617, \"threadid\": 0, \"time\": "                    \
	"\"2026-11-21T07:15:27.381+00:00\"}"

START_TEST(an_object_is_read_and_written_byte_for_byte)
{
	struct borg2_record r;
	struct buf b;

	ck_assert_int_eq(borg2_parse(&r, OBJECT, strlen(OBJECT), &e), RC_OK);
	ck_assert_str_eq(r.owner.host, "vm@3281355014145");
	ck_assert_int_eq(r.owner.pid, 14617);
	ck_assert(r.exclusive);
	ck_assert_int_eq(r.time.ns, INT64_C(1795245327381) * NSEC_PER_MSEC);
	r.time.ns += 999999; /* cut, not rounded */
	buf_init(&b, 1024);
	ck_assert_int_eq(borg2_format(&r, &b, &e), RC_OK);
	ck_assert_str_eq(buf_text(&b), OBJECT);
	buf_release(&b);
}
END_TEST

static const char *const good_objects[] = {
	"{\"time\":\"2026-11-21T07:15:27Z\",\"more\":[],\"exclusive\":false,"
	"\"hostid\":\"h\",\"processid\":1,\"threadid\":7}",
	"{\"exclusive\":false,\"hostid\":\"\",\"processid\":-1,\"threadid\":0,"
	"\"time\":\"2026-11-21T09:15:27.123456+02:00\"}",
};

START_TEST(other_orders_members_and_forms_of_time_are_read)
{
	struct borg2_record r;
	const char *text = good_objects[_i];

	ck_assert_int_eq(borg2_parse(&r, text, strlen(text), &e), RC_OK);
	ck_assert(!r.exclusive);
	ck_assert_int_eq(r.time.ns / NSEC_PER_SEC, 1795245327);
}
END_TEST

static const char *const bad_objects[] = {
	"",
	"{}",
	"[]",
	"{\"exclusive\": true",
	"{\"exclusive\":1,\"hostid\":\"h\",\"processid\":1,\"threadid\":0,"
	"\"time\":\"2026-11-21T07:15:27Z\"}",
	"{\"exclusive\":true,\"hostid\":2,\"processid\":1,\"threadid\":0,"
	"\"time\":\"2026-11-21T07:15:27Z\"}",
	"{\"exclusive\":true,\"hostid\":\"h\",\"processid\":\"1\","
	"\"threadid\":0,\"time\":\"2026-11-21T07:15:27Z\"}",
	"{\"exclusive\":true,\"hostid\":\"h\",\"processid\":1,\"threadid\":0}",
	"{\"exclusive\":true,\"hostid\":\"h\",\"processid\":1,\"threadid\":0,"
	"\"time\":\"2026-11-21T07:15:27\"}",
	"{\"exclusive\":true,\"hostid\":\"h\",\"processid\":1,\"threadid\":0,"
	"\"time\":1795245327}",
};

START_TEST(an_object_that_borg_cannot_read_is_malformed)
{
	struct borg2_record r;

	ck_assert_int_eq(
		borg2_parse(&r, bad_objects[_i], strlen(bad_objects[_i]), &e),
		RC_MALFORMED);
}
END_TEST

START_TEST(a_huge_host_id_is_malformed_not_cut)
{
	char text[1024], big[600];
	struct borg2_record r;

	memset(big, 'h', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	(void)snprintf(text, sizeof(text),
		       "{\"exclusive\":true,\"hostid\":\"%s\",\"processid\":1,"
		       "\"threadid\":0,\"time\":\"2026-11-21T07:15:27Z\"}",
		       big);
	ck_assert_int_eq(borg2_parse(&r, text, strlen(text), &e), RC_MALFORMED);
}
END_TEST

START_TEST(names_that_borgstore_does_not_see_are_not_valid)
{
	static const char *const bad[] = { "",      "A",     "a b",
					   "a\\b",  "x.tmp", "x.hid",
					   "x.del", "..",    "\xc3\xa9" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!borg2_name_is_valid(bad[i]), "%s", bad[i]);
	ck_assert(borg2_name_is_valid("foo"));
	ck_assert(borg2_name_is_valid("0123456789abcdef"));
}
END_TEST

START_TEST(a_digest_is_sha256)
{
	uint8_t digest[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];

	ck_assert_int_eq(hash_sha256(digest, "abc", 3, &e), RC_OK);
	hex_encode(hex, digest, sizeof(digest));
	ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223"
			      "b00361a396177a9cb410ff61f20015ad");
}
END_TEST

START_TEST(a_host_is_shown_without_its_node)
{
	struct borg_owner o = owner("srv.example@3281355014145", 5, 0);
	struct lock_info info = { 0 };

	borg_info_owner(&info, &o);
	ck_assert_str_eq(info.host, "srv.example");
	ck_assert_int_eq(info.pid, 5);
	o = owner("container@home", INT64_C(1) << 40, 0);
	borg_info_owner(&info, &o);
	ck_assert_str_eq(info.host, "container@home");
	ck_assert_int_eq(info.pid, 0);
}
END_TEST

START_TEST(p7_9_an_error_about_a_roster_quotes_nothing_of_it)
{
	static const char text[] = "{\n\n\"shared\": root:secret:19000}";
	struct borg_roster r;

	ck_assert_int_eq(borg_roster_parse(&r, text, strlen(text), &e),
			 RC_MALFORMED);
	ck_assert_ptr_null(strstr(e.text, "root"));
	ck_assert_ptr_null(strstr(e.text, "secret"));
	ck_assert_ptr_nonnull(strstr(e.text, "line 3"));
}
END_TEST

/* By recursion, a thread's small stack would not hold it. */
START_TEST(p7_7_a_roster_is_not_followed_into_any_depth)
{
	struct borg_roster r;
	char text[4096];

	memset(text, '[', sizeof(text));
	memcpy(text, "{\"x\":", 5);
	ck_assert_int_eq(borg_roster_parse(&r, text, sizeof(text), &e),
			 RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "nested more than 32 deep"));
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *suite = suite_create("borg_format");
	TCase *one = tcase_create("borg 1"), *two = tcase_create("borg 2");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, one);
	suite_add_tcase(suite, two);
	tcase_add_loop_test(one, a_name_is_split_at_its_last_dash_and_dot, 0,
			    COUNT(names));
	tcase_add_loop_test(one, a_name_is_written_as_it_was_read, 0,
			    COUNT(names));
	tcase_add_loop_test(one, a_name_of_another_form_is_malformed, 0,
			    COUNT(malformed_names));
	tcase_add_test(one, a_host_id_with_a_slash_makes_no_file_name);
	tcase_add_test(one, a_first_entry_looks_as_borg_writes_it);
	tcase_add_test(one, a_host_id_is_written_in_ascii_as_python_does);
	tcase_add_test(one, unknown_members_are_kept_in_their_place);
	tcase_add_test(one, an_entry_is_there_once_and_goes_altogether);
	tcase_add_loop_test(
		one, a_roster_that_some_borg_forgets_or_trips_over_is_malformed,
		0, COUNT(bad_rosters));
	tcase_add_test(one, p7_9_an_error_about_a_roster_quotes_nothing_of_it);
	tcase_add_test(one, p7_7_a_roster_is_not_followed_into_any_depth);
	tcase_add_test(two, an_object_is_read_and_written_byte_for_byte);
	tcase_add_loop_test(two, other_orders_members_and_forms_of_time_are_read,
			    0, COUNT(good_objects));
	tcase_add_loop_test(two, an_object_that_borg_cannot_read_is_malformed,
			    0, COUNT(bad_objects));
	tcase_add_test(two, a_huge_host_id_is_malformed_not_cut);
	tcase_add_test(two, names_that_borgstore_does_not_see_are_not_valid);
	tcase_add_test(two, a_digest_is_sha256);
	tcase_add_test(two, a_host_is_shown_without_its_node);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
