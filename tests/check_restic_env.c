/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lock/restic_env.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct err e;
static struct buf out;
static char path[] = "/tmp/check_restic_env.XXXXXX";
static const struct call unlimited = { { NSEC_FOREVER }, -1 };

static void setup(void)
{
	int fd = mkstemp(path);

	ck_assert(fd >= 0);
	close(fd);
	buf_init(&out, RESTIC_TEXT_MAX);
	unsetenv("RESTIC_REPOSITORY");
	unsetenv("RESTIC_REPOSITORY_FILE");
	unsetenv("RESTIC_PASSWORD");
	unsetenv("RESTIC_PASSWORD_FILE");
	unsetenv("RESTIC_PASSWORD_COMMAND");
}

static void teardown(void)
{
	buf_release(&out);
	unlink(path);
	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
}

static void fill_file(const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	ck_assert(f && fwrite(text, 1, len, f) == len && fclose(f) == 0);
}

static enum rc password(void)
{
	buf_reset(&out);
	return restic_password(&out, false, NULL, &unlimited, &e);
}

/* --- where --- */

static const struct {
	const char *rest;
	enum rc rc;
	const char *path;
} places[] = {
	{ "/srv/repo", RC_OK, "/srv/repo" },
	{ "repo", RC_OK, "repo" },
	{ "/srv/a:b", RC_OK, "/srv/a:b" },
	{ "../a:b", RC_OK, "../a:b" },
	{ "local:/srv/repo", RC_OK, "/srv/repo" },
	{ "local:a:b", RC_OK, "a:b" },
	{ "local:", RC_MALFORMED, NULL },
	{ "locals:x", RC_MALFORMED, NULL },
	{ "a:b", RC_MALFORMED, NULL },
	{ "./a:b", RC_MALFORMED, NULL },
	{ "~/repo", RC_OK, "~/repo" },
	{ "sftp:u@h:/srv", RC_UNSUPPORTED, NULL },
	{ "sftp://u@h/srv", RC_UNSUPPORTED, NULL },
	{ "rest:https://h/", RC_UNSUPPORTED, NULL },
	{ "s3:https://h/b", RC_UNSUPPORTED, NULL },
	{ "b2:b:p", RC_UNSUPPORTED, NULL },
	{ "azure:c:p", RC_UNSUPPORTED, NULL },
	{ "gs:b:p", RC_UNSUPPORTED, NULL },
	{ "swift:c:/p", RC_UNSUPPORTED, NULL },
	{ "rclone:b2:x", RC_UNSUPPORTED, NULL },
	{ "s3", RC_OK, "s3" },
};

START_TEST(a_place_is_spelled_as_restic_spells_it)
{
	ck_assert_int_eq(restic_place(&out, places[_i].rest, &e), places[_i].rc);
	ck_assert_str_eq(buf_text(&out), places[_i].path ? places[_i].path : "");
}
END_TEST

START_TEST(what_cannot_be_locked_yet_is_told_with_what_can)
{
	ck_assert_int_eq(restic_place(&out, "rest:http://h/", &e),
			 RC_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.text, "rest:"));
	ck_assert_ptr_nonnull(strstr(e.text, "restic:PATH"));
}
END_TEST

START_TEST(nothing_said_is_what_the_environment_says)
{
	ck_assert_int_eq(restic_place(&out, "", &e), RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "RESTIC_REPOSITORY"));
	setenv("RESTIC_REPOSITORY", "local:/a", 1);
	ck_assert_int_eq(restic_place(&out, "", &e), RC_OK);
	ck_assert_str_eq(out.data, "/a");
}
END_TEST

START_TEST(a_repository_file_is_trimmed)
{
	fill_file(" /srv/my repo \r\n", 16);
	setenv("RESTIC_REPOSITORY_FILE", path, 1);
	ck_assert_int_eq(restic_place(&out, "", &e), RC_OK);
	ck_assert_str_eq(out.data, "/srv/my repo");
	buf_reset(&out);
	fill_file("\n", 1);
	ck_assert_int_eq(restic_place(&out, "", &e), RC_MALFORMED);
	setenv("RESTIC_REPOSITORY_FILE", "/nowhere/at/all", 1);
	ck_assert_int_eq(restic_place(&out, "", &e), RC_ABSENT);
}
END_TEST

START_TEST(two_repositories_in_the_environment_are_one_too_many)
{
	setenv("RESTIC_REPOSITORY", "/a", 1);
	setenv("RESTIC_REPOSITORY_FILE", path, 1);
	ck_assert_int_eq(restic_place(&out, "", &e), RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "only one"));
	/* Said outright, they do not matter. */
	ck_assert_int_eq(restic_place(&out, "/b", &e), RC_OK);
	ck_assert_str_eq(out.data, "/b");
}
END_TEST

/* --- splitting --- */

static const struct {
	const char *line;
	const char *words[5]; /* none: refused */
} lines[] = {
	{ "a", { "a" } },
	{ "  a \t b\n", { "a", "b" } },
	{ "pass show 'my backup'", { "pass", "show", "my backup" } },
	{ "a \"b c\" d", { "a", "b c", "d" } },
	{ "a 'b \"c\" d'", { "a", "b \"c\" d" } },
	{ "a\"b\"c", { "a", "b", "c" } }, /* a quote ends a word */
	{ "a \"\" b", { "a", "b" } },
	{ "a\\b", { "a", "b" } },
	{ "a \\\"b", { "a", "\"b" } },
	{ "a 'b\\'c'", { "a", "b\\'c" } },
	{ "a 'b\\c'", { "a", "b\\c" } },
	{ "a $HOME `b` * ;", { "a", "$HOME", "`b`", "*", ";" } },
	{ "", { NULL } },
	{ " \\ ", { NULL } },
	{ "''", { NULL } },
	{ "a 'b", { NULL } },
	{ "a \"b", { NULL } },
	{ "a 'b\\'", { NULL } },
};

START_TEST(a_command_is_split_without_a_shell)
{
	char **words = NULL;
	enum rc rc = restic_split(&words, lines[_i].line, &e);

	if (!lines[_i].words[0]) {
		ck_assert_int_eq(rc, RC_MALFORMED);
		return;
	}
	ck_assert_int_eq(rc, RC_OK);
	for (size_t i = 0; i < 5; i++) {
		ck_assert_pstr_eq(words[i], lines[_i].words[i]);
		if (!words[i])
			break;
	}
	free(words);
}
END_TEST

/* --- the password --- */

START_TEST(a_password_in_the_environment_is_taken_verbatim)
{
	setenv("RESTIC_PASSWORD", " a b \n", 1);
	ck_assert_int_eq(password(), RC_OK);
	ck_assert_str_eq(out.data, " a b \n");
}
END_TEST

static const struct {
	const char *bytes;
	size_t len;
	const char *password;
} files[] = {
	{ "secret\n", 7, "secret" },
	{ "\t two words \r\n\n", 14, "two words" },
	{ "\xc2\xa0nbsp\xe3\x80\x80", 9, "nbsp" },
	{ "\xef\xbb\xbfgeheim\n", 10, "geheim" },
	{ "\xff\xfeg\0\xe4\0\n\0", 8, "g\xc3\xa4" },
	{ "\xfe\xff\0g\0\xe4\0\n", 8, "g\xc3\xa4" },
	{ "\xfe\xff\xd8\x3d\xde\x00\0x", 8, "\xf0\x9f\x98\x80x" },
	{ "\xfe\xff\xd8\x3d\0x", 6, "\xef\xbf\xbdx" },
};

START_TEST(a_password_file_is_read_as_restic_reads_it)
{
	fill_file(files[_i].bytes, files[_i].len);
	setenv("RESTIC_PASSWORD_FILE", path, 1);
	setenv("RESTIC_PASSWORD", "unused", 1);
	ck_assert_int_eq(password(), RC_OK);
	ck_assert_str_eq(buf_text(&out), files[_i].password);
}
END_TEST

START_TEST(a_command_gives_the_password)
{
	setenv("RESTIC_PASSWORD_COMMAND", "sh -c 'echo \"  ge heim\"; cat'", 1);
	setenv("RESTIC_PASSWORD", "unused", 1);
	ck_assert_int_eq(password(), RC_OK);
	ck_assert_str_eq(out.data, "ge heim");
}
END_TEST

static const struct {
	const char *command;
	const char *says;
} failing[] = {
	{ "sh -c 'echo secret; exit 3'", "status 3" },
	{ "sh -c 'echo secret; kill -9 $$'", "signal 9" },
	{ "/nowhere/at/all", "/nowhere/at/all" },
	{ "sh -c 'yes | head -c 100000'", "more than" },
	{ "echo 'x", "not closed" },
	{ "true", "empty password" },
};

START_TEST(a_command_that_fails_gives_none)
{
	setenv("RESTIC_PASSWORD_COMMAND", failing[_i].command, 1);
	ck_assert_int_ne(password(), RC_OK);
	ck_assert_int_ne(password(), RC_ABSENT);
	ck_assert_msg(strstr(e.text, failing[_i].says), "%s", e.text);
	ck_assert_ptr_nonnull(strstr(e.text, "RESTIC_PASSWORD_COMMAND"));
}
END_TEST

START_TEST(a_command_that_hangs_is_ended_with_the_leash)
{
	struct call call = { boot_add(boot_now(), 300 * NSEC_PER_MSEC), -1 };
	struct boot begun = boot_now();

	setenv("RESTIC_PASSWORD_COMMAND", "sleep 25", 1);
	ck_assert_int_eq(restic_password(&out, false, NULL, &call, &e), RC_RETRY);
	ck_assert_int_lt(boot_until(begun, boot_now()), 20 * NSEC_PER_SEC);
}
END_TEST

START_TEST(command_and_file_exclude_each_other)
{
	setenv("RESTIC_PASSWORD_COMMAND", "echo a", 1);
	setenv("RESTIC_PASSWORD_FILE", path, 1);
	ck_assert_int_eq(password(), RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "only one"));
}
END_TEST

START_TEST(no_password_at_all_is_to_be_asked_for)
{
	ck_assert_int_eq(password(), RC_ABSENT);
	setenv("RESTIC_PASSWORD", "", 1);
	ck_assert_int_eq(password(), RC_ABSENT);
	ck_assert_ptr_nonnull(strstr(e.text, "RESTIC_PASSWORD_FILE"));
}
END_TEST

START_TEST(an_empty_password_is_refused_unless_wanted)
{
	setenv("RESTIC_PASSWORD_FILE", path, 1);
	ck_assert_int_eq(password(), RC_DENIED);
	ck_assert_ptr_nonnull(strstr(e.text, "--insecure-no-password"));
	ck_assert_int_eq(restic_password(&out, true, NULL, &unlimited, &e),
			 RC_MALFORMED);
	unsetenv("RESTIC_PASSWORD_FILE");
	ck_assert_int_eq(restic_password(&out, true, NULL, &unlimited, &e),
			 RC_OK);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("restic_env");
	TCase *t = tcase_create("env");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, a_place_is_spelled_as_restic_spells_it, 0,
			    COUNT(places));
	tcase_add_test(t, what_cannot_be_locked_yet_is_told_with_what_can);
	tcase_add_test(t, nothing_said_is_what_the_environment_says);
	tcase_add_test(t, a_repository_file_is_trimmed);
	tcase_add_test(t, two_repositories_in_the_environment_are_one_too_many);
	tcase_add_loop_test(t, a_command_is_split_without_a_shell, 0,
			    COUNT(lines));
	tcase_add_test(t, a_password_in_the_environment_is_taken_verbatim);
	tcase_add_loop_test(t, a_password_file_is_read_as_restic_reads_it, 0,
			    COUNT(files));
	tcase_add_test(t, a_command_gives_the_password);
	tcase_add_loop_test(t, a_command_that_fails_gives_none, 0,
			    COUNT(failing));
	tcase_add_test(t, a_command_that_hangs_is_ended_with_the_leash);
	tcase_add_test(t, command_and_file_exclude_each_other);
	tcase_add_test(t, no_password_at_all_is_to_be_asked_for);
	tcase_add_test(t, an_empty_password_is_refused_unless_wanted);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
