/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "borg_fixture.h"
#include "util/text.h"

static struct lock *lock;

static enum rc open_at(const char *at)
{
	return try_open(&lock, (struct want){ .at = at });
}

static const char *with_repo(const char *format)
{
	static char text[256];

	(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)strcspn(format, "@"),
		       format, repo, format + strcspn(format, "@") + 1);
	return text;
}

static void assert_protocol(const char *name)
{
	ck_assert_str_eq(lock->ops->name, name);
	lock_close(lock);
}

START_TEST(borg_1_and_borg_2_are_told_apart)
{
	repo_make1();
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_OK);
	assert_protocol("borg1");
	repo_remove();
	repo_make2();
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_OK);
	assert_protocol("borg2");
	repo_write("config/version", "3");
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_OK);
	assert_protocol("borg2");
}
END_TEST

START_TEST(the_version_of_beta_repositories_is_borg_1s_lock)
{
	repo_make1();
	repo_write("config", "[repository]\r\nid=1\r\nversion=2\r\n");
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_OK);
	assert_protocol("borg1");
}
END_TEST

START_TEST(a_bare_location_takes_the_environments)
{
	repo_make1();
	(void)setenv("BORG_REPO", repo, 1);
	ck_assert_int_eq(open_at("borg:"), RC_OK);
	lock_close(lock);
	(void)setenv("BORG_REPO", with_repo("file://@"), 1);
	ck_assert_int_eq(open_at("borg:"), RC_OK);
	lock_close(lock);
	(void)unsetenv("BORG_REPO");
	ck_assert_int_eq(open_at("borg:"), RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "BORG_REPO"));
}
END_TEST

START_TEST(a_file_url_is_taken_as_it_is_or_decoded)
{
	char path[128];

	repo_make1();
	ck_assert_int_eq(open_at(with_repo("borg:file://@")), RC_OK);
	lock_close(lock);
	(void)snprintf(path, sizeof(path), "%s/a b", repo);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	repo_write("a b/config", "[repository]\nversion = 1\n");
	ck_assert_int_eq(open_at(with_repo("borg:file://@/a%20b")), RC_OK);
	lock_close(lock);
	(void)snprintf(path, sizeof(path), "%s/a%%20b", repo);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(open_at(with_repo("borg:file://@/a%20b")),
			 RC_UNSUPPORTED);
	/* a plain path is never decoded */
	ck_assert_int_eq(open_at(with_repo("borg:@/a%20b%20")), RC_ABSENT);
}
END_TEST

static const struct {
	const char *at, *says;
} refused[] = {
	{ "borg:ssh://user@host/srv/repo", "local path" },
	{ "borg:user@host:/srv/repo", "another host" },
	{ "borg:host:repo", "another host" },
	{ "borg:sftp://host/srv/repo", "local path" },
	{ "borg:rest://host/srv/repo", "local path" },
	{ "borg:https://host/srv/repo", "local path" },
	{ "borg:s3:https://host/bucket/path", "local path" },
	{ "borg:rclone:remote:path", "local path" },
	{ "borg:/srv/repo::archive", "names an archive" },
};

START_TEST(what_is_not_a_local_repository_is_refused_with_the_way_out)
{
	enum rc rc = open_at(refused[_i].at);

	ck_assert(rc == RC_UNSUPPORTED || rc == RC_MALFORMED);
	ck_assert_msg(strstr(e.text, refused[_i].says), "%s", e.text);
}
END_TEST

START_TEST(a_directory_that_is_no_borg_repository_is_named)
{
	repo_make();
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.text, "is not a borg repository"));
	repo_write("config", "\x01\x02sealed");
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.text, "restic:"));
	ck_assert_str_eq(repo_names(""), "config");
	ck_assert_int_eq(open_at(with_repo("borg:@/missing")), RC_ABSENT);
	ck_assert_int_eq(open_at(with_repo("borg:@/config")), RC_UNSUPPORTED);
}
END_TEST

static const char *const versions[] = { "0", "3", "12", "1x", "" };

START_TEST(an_unknown_version_is_named)
{
	char text[64];

	repo_make1();
	(void)snprintf(text, sizeof(text), "[repository]\nversion = %s\n",
		       versions[_i]);
	repo_write("config", text);
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_UNSUPPORTED);
	(void)snprintf(text, sizeof(text), "of version %s;", versions[_i]);
	if (versions[_i][strspn(versions[_i], "0123456789")] != '\0' ||
	    versions[_i][0] == '\0')
		text_copy(text, sizeof(text), "of a version that is no number");
	ck_assert_ptr_nonnull(strstr(e.text, text));
	repo_remove();
	repo_make2();
	repo_write("config/version", "5\n");
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.text, "of version 5;"));
	repo_delete("config/version");
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_UNSUPPORTED);
}
END_TEST

/* A file that only root may read, moved to where a version is looked for. */
START_TEST(p7_9_an_unknown_version_quotes_nothing_of_the_file)
{
	repo_make2();
	repo_write("config/version", "root:secret:19000\n");
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_UNSUPPORTED);
	ck_assert_ptr_null(strstr(e.text, "secret"));
	repo_write("config/version", "1234567\n");
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_UNSUPPORTED);
	ck_assert_ptr_null(strstr(e.text, "123456"));
	/* What people need is said. */
	repo_write("config/version", "12345\n");
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.text, "12345"));
}
END_TEST

START_TEST(only_the_version_of_the_repository_counts)
{
	repo_make1();
	repo_write("config", "[other]\nversion = 9\n[repository]\n"
			     "version_of_x = 7\nversion = 1\n"
			     "[more]\nversion = 8\n");
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_OK);
	lock_close(lock);
}
END_TEST

START_TEST(a_host_id_that_borg_1_cannot_write_is_refused)
{
	repo_make1();
	(void)setenv("BORG_HOST_ID", "a/b", 1);
	ck_assert_int_eq(open_at(with_repo("borg:@")), RC_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.text, "BORG_HOST_ID"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("borg_open");
	TCase *t = tcase_create("open");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(t, NULL, repo_remove);
	tcase_add_test(t, borg_1_and_borg_2_are_told_apart);
	tcase_add_test(t, the_version_of_beta_repositories_is_borg_1s_lock);
	tcase_add_test(t, a_bare_location_takes_the_environments);
	tcase_add_test(t, a_file_url_is_taken_as_it_is_or_decoded);
	tcase_add_loop_test(
		t, what_is_not_a_local_repository_is_refused_with_the_way_out,
		0, (int)(sizeof(refused) / sizeof(refused[0])));
	tcase_add_test(t, a_directory_that_is_no_borg_repository_is_named);
	tcase_add_loop_test(t, an_unknown_version_is_named, 0,
			    (int)(sizeof(versions) / sizeof(versions[0])));
	tcase_add_test(t, p7_9_an_unknown_version_quotes_nothing_of_the_file);
	tcase_add_test(t, only_the_version_of_the_repository_counts);
	tcase_add_test(t, a_host_id_that_borg_1_cannot_write_is_refused);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
