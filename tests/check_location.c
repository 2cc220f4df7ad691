/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <string.h>

#include "util/location.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static struct err e;

struct good {
	const char *text, *scheme, *rest, *shown;
};

static const struct good goods[] = {
	{ "/srv/repo", "", "/srv/repo", "/srv/repo" },
	{ ".", "", ".", "." },
	{ "./a:b", "", "./a:b", "./a:b" },
	{ "../x", "", "../x", "../x" },
	{ "/a:/b", "", "/a:/b", "/a:/b" },
	{ "repo", "", "repo", "repo" },
	{ "some dir/x:y", "", "some dir/x:y", "some dir/x:y" },
	{ "a@b", "", "a@b", "a@b" },
	{ "lease:/srv", "lease", "/srv", "lease:/srv" },
	{ "lease:", "lease", "", "lease:" },
	{ "flock:a:b", "flock", "a:b", "flock:a:b" },
	{ "file:///srv/x", "file", "///srv/x", "file:///srv/x" },
	{ "dav+https://h/p", "dav+https", "//h/p", "dav+https://h/p" },
	{ "restic:sftp:user@host:/srv", "restic", "sftp:user@host:/srv",
	  "restic:sftp:user@host:/srv" },
	/* passwords */
	{ "redis://user:secret@h:6379/0", "redis", "//user:secret@h:6379/0",
	  "redis://user:***@h:6379/0" },
	{ "redis://:secret@h", "redis", "//:secret@h", "redis://:***@h" },
	{ "redis://:s@h1,redis://:t@h2", "redis", "//:s@h1,redis://:t@h2",
	  "redis://:***@h1,redis://:***@h2" },
	{ "restic:rest:https://u:p@h/r", "restic", "rest:https://u:p@h/r",
	  "restic:rest:https://u:***@h/r" },
	{ "etcd://u:p@ss@h", "etcd", "//u:p@ss@h", "etcd://u:***@h" },
	{ "etcd://u:p/ss@h", "etcd", "//u:p/ss@h", "etcd://u:***@h" },
	{ "etcd://u:1/2@h", "etcd", "//u:1/2@h", "etcd://u:1/2@h" },
	{ "etcd://u:p?x#y@h/d", "etcd", "//u:p?x#y@h/d", "etcd://u:***@h/d" },
	{ "redis://:@h", "redis", "//:@h", "redis://:***@h" },
	/* what looks like one and is none */
	{ "redis://h:6379/0", "redis", "//h:6379/0", "redis://h:6379/0" },
	{ "s3:https://h:9000/b/a@b", "s3", "https://h:9000/b/a@b",
	  "s3:https://h:9000/b/a@b" },
	{ "redis://[::1]:6379/a@b", "redis", "//[::1]:6379/a@b",
	  "redis://[::1]:6379/a@b" },
	{ "redis://user@h", "redis", "//user@h", "redis://user@h" },
	{ "x://", "x", "//", "x://" },
};

START_TEST(a_location_is_split_and_its_password_hidden)
{
	const struct good *g = &goods[_i];
	struct location l;
	enum rc rc = location_parse(&l, g->text, &e);

	ck_assert_msg(rc == RC_OK, "%s: %s", g->text, e.text);
	ck_assert_str_eq(l.text, g->text);
	ck_assert_str_eq(l.scheme, g->scheme);
	ck_assert_str_eq(l.rest, g->rest);
	ck_assert_str_eq(l.shown, g->shown);
	location_release(&l);
	ck_assert_ptr_null(l.text);
	location_release(&l);
}
END_TEST

struct bad {
	const char *text, *says;
};

static const struct bad bads[] = {
	{ "", "empty" },
	{ "C:\\backup", "Windows" },
	{ "c:\\backup", "Windows" },
	{ "user@host:/srv", "mount it or run repolock there" },
	{ "user@host:srv", "mount it or run repolock there" },
	{ "user@[::1]:srv", "mount it or run repolock there" },
	{ "Host:/srv", "mount it or run repolock there" },
	{ "HOST:x", "./" },
	{ "10.0.0.1:/srv", "mount it or run repolock there" },
	{ "under_score:/srv", "mount it or run repolock there" },
};

START_TEST(what_is_no_location_is_refused_with_what_was_meant)
{
	struct location l = { 0 };

	ck_assert_int_eq(location_parse(&l, bads[_i].text, &e), RC_MALFORMED);
	ck_assert_msg(strstr(e.text, bads[_i].says), "%s", e.text);
	ck_assert_ptr_null(l.text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("location");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, all);
	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, a_location_is_split_and_its_password_hidden, 0,
			    COUNT(goods));
	tcase_add_loop_test(all,
			    what_is_no_location_is_refused_with_what_was_meant,
			    0, COUNT(bads));
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
