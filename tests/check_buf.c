/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/buf.h"

static struct err e;

START_TEST(an_empty_buffer_is_an_empty_string)
{
	struct buf b;

	buf_init(&b, 10);
	ck_assert_str_eq(buf_text(&b), "");
	ck_assert_int_eq(buf_add(&b, NULL, 0, &e), RC_OK);
	ck_assert_str_eq(buf_text(&b), "");
	buf_release(&b);
	buf_release(&b);
}
END_TEST

START_TEST(what_is_added_stands_in_order_and_ends_with_nul)
{
	struct buf b;

	buf_init(&b, 100000);
	for (int i = 0; i < 5000; i++)
		ck_assert_int_eq(buf_printf(&b, &e, "%04d,", i), RC_OK);
	ck_assert_uint_eq(b.len, 25000);
	ck_assert_int_eq(b.data[b.len], '\0');
	ck_assert_int_eq(strncmp(b.data, "0000,0001,", 10), 0);
	ck_assert_str_eq(b.data + b.len - 10, "4998,4999,");
	ck_assert_int_eq(buf_add(&b, "a\0b", 3, &e), RC_OK);
	ck_assert_mem_eq(b.data + 25000, "a\0b", 4);
	buf_reset(&b);
	ck_assert_str_eq(buf_text(&b), "");
	ck_assert_uint_eq(b.len, 0);
	buf_release(&b);
}
END_TEST

START_TEST(the_ceiling_is_kept_and_what_was_there_stays)
{
	struct buf b;

	buf_init(&b, 5);
	ck_assert_int_eq(buf_add(&b, "12345", 5, &e), RC_OK);
	ck_assert_int_eq(buf_add(&b, "6", 1, &e), RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "5 bytes"));
	ck_assert_int_eq(buf_printf(&b, &e, "%d", 6), RC_MALFORMED);
	ck_assert_int_eq(buf_add(&b, "x", SIZE_MAX, &e), RC_MALFORMED);
	ck_assert_str_eq(buf_text(&b), "12345");
	buf_release(&b);
	ck_assert_uint_eq(b.ceiling, 5);
	ck_assert_int_eq(buf_add(&b, "abc", 3, &e), RC_OK);
	ck_assert_str_eq(buf_text(&b), "abc");
	buf_release(&b);
}
END_TEST

/* Bytes that come through a pipe; all of them fit into it. */
static enum rc read_bytes(struct buf *b, size_t count)
{
	static const char bytes[4096];
	enum rc rc;
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(write(p[1], bytes, count), (ssize_t)count);
	(void)close(p[1]);
	rc = buf_read_fd(b, p[0], &e);
	(void)close(p[0]);
	return rc;
}

START_TEST(a_descriptor_is_read_to_its_end)
{
	struct buf b;

	buf_init(&b, 1000);
	ck_assert_int_eq(read_bytes(&b, 999), RC_OK);
	ck_assert_uint_eq(b.len, 999);
	ck_assert_int_eq(read_bytes(&b, 1), RC_OK); /* adds */
	ck_assert_uint_eq(b.len, 1000);
	ck_assert_int_eq(read_bytes(&b, 0), RC_OK);
	ck_assert_int_eq(read_bytes(&b, 1), RC_MALFORMED);
	ck_assert_uint_eq(b.len, 1000);
	buf_release(&b);
	ck_assert_int_eq(read_bytes(&b, 4096), RC_MALFORMED);
	buf_release(&b);
}
END_TEST

START_TEST(a_descriptor_that_cannot_be_read_is_told)
{
	struct buf b;
	int dir = open("/", O_RDONLY | O_DIRECTORY);

	buf_init(&b, 1000);
	ck_assert_int_eq(buf_read_fd(&b, dir, &e), RC_FAILED);
	ck_assert_ptr_nonnull(strstr(e.text, "directory"));
	buf_release(&b);
	(void)close(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buf");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, all);
	tcase_set_timeout(all, 60);
	tcase_add_test(all, an_empty_buffer_is_an_empty_string);
	tcase_add_test(all, what_is_added_stands_in_order_and_ends_with_nul);
	tcase_add_test(all, the_ceiling_is_kept_and_what_was_there_stays);
	tcase_add_test(all, a_descriptor_is_read_to_its_end);
	tcase_add_test(all, a_descriptor_that_cannot_be_read_is_told);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
