/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lock/registry.h"
#include "scratch.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))
#define S NSEC_PER_SEC

static char scratch[64];
static struct self self;
static struct err e;
static const struct call call = { { NSEC_FOREVER }, -1 };

/* Open a lock below the scratch directory and close it again. */
static enum rc open_at(const char *scheme, const char *below,
		       struct lock_wish wish)
{
	struct location location;
	struct lock *lock = NULL;
	char text[256];
	enum rc rc;

	(void)snprintf(text, sizeof(text), "%s%s%s", scheme, scratch, below);
	ck_assert_int_eq(location_parse(&location, text, &e), RC_OK);
	wish.location = &location;
	wish.self = &self;
	wish.command = "true";
	rc = lock_open(&lock, &wish, &call, &e);
	if (rc == RC_OK)
		lock_close(lock);
	else
		ck_assert_ptr_null(lock);
	location_release(&location);
	return rc;
}

static void setup(void)
{
	self_fill(&self);
}

struct wished {
	const char *scheme, *below;
	struct lock_wish wish;
	enum rc rc;
	const char *says; /* all of these words, apart by '|'; NULL: nothing */
};

#define N .name = "default"
#define GIVEN(text) .name = (text), .name_given = true
#define LONG "0123456789012345678901234567890123456789012345678901234567890123"

static const struct wished wisheds[] = {
	{ "", "", { N }, RC_OK, NULL },
	{ "lease:", "", { N }, RC_OK, NULL },
	{ "file://", "", { N }, RC_OK, NULL },
	{ "flock:", "/x", { N }, RC_OK, NULL },
	/* schemes */
	{ "gopher:", "", { N }, RC_UNSUPPORTED, "\"gopher:\"|lease|flock|./" },
	{ "gopher://h", "", { N }, RC_UNSUPPORTED, "unknown scheme" },
	{ "host:", "", { N }, RC_UNSUPPORTED, "\"host:\"|another host" },
	/* names */
	{ "", "", { GIVEN("a.b_c-D9") }, RC_OK, NULL },
	{ "", "", { GIVEN("...") }, RC_OK, NULL },
	{ "", "", { GIVEN(LONG) }, RC_OK, NULL },
	{ "", "", { GIVEN(LONG "x") }, RC_MALFORMED, "--name|64" },
	{ "", "", { GIVEN("") }, RC_MALFORMED, "--name|empty" },
	{ "", "", { GIVEN(".") }, RC_MALFORMED, "--name|\".\"" },
	{ "", "", { GIVEN("..") }, RC_MALFORMED, "--name|\"..\"" },
	{ "", "", { GIVEN("a/b") }, RC_MALFORMED, "--name|a/b|letters" },
	{ "", "", { GIVEN("../x") }, RC_MALFORMED, "--name" },
	{ "", "", { GIVEN("a b") }, RC_MALFORMED, "--name" },
	{ "", "", { GIVEN("a\n") }, RC_MALFORMED, "--name" },
	{ "", "", { GIVEN("\xc3\xbc") }, RC_MALFORMED, "--name" },
	{ "flock:", "/x", { GIVEN("default") }, RC_UNSUPPORTED, "--name|flock" },
	{ "flock:",
	  "/x",
	  { GIVEN("x"), .listing = true },
	  RC_UNSUPPORTED,
	  "--name|flock" },
	/* ttl */
	{ "", "", { N, .ttl = 2 * S }, RC_OK, NULL },
	{ "", "", { N, .ttl = 86400 * S }, RC_OK, NULL },
	{ "", "", { N, .ttl = 2 * S - 1 }, RC_MALFORMED, "--ttl|2s|1d" },
	{ "", "", { N, .ttl = 1 }, RC_MALFORMED, "--ttl" },
	{ "", "", { N, .ttl = 86400 * S + 1 }, RC_MALFORMED, "--ttl|2s" },
	{ "", "", { N, .ttl = 1, .listing = true }, RC_OK, NULL },
	{ "flock:", "/x", { N, .ttl = 60 * S }, RC_UNSUPPORTED, "--ttl|flock" },
	{ "flock:", "/x", { N, .ttl = 60 * S, .listing = true }, RC_OK, NULL },
	/* modes */
	{ "", "", { N, .mode = LOCK_SHARED }, RC_OK, NULL },
	{ "flock:", "/x", { N, .mode = LOCK_SHARED }, RC_OK, NULL },
	/* places */
	{ "", "/missing", { N }, RC_ABSENT, "/missing|below a directory" },
	{ "", "/file", { N }, RC_UNSUPPORTED, "/file|not a directory|flock:" },
};

static void says_all(const char *words)
{
	while (words && *words) {
		char word[64];
		size_t len = strcspn(words, "|");

		memcpy(word, words, len);
		word[len] = '\0';
		ck_assert_msg(strstr(e.text, word), "no %s in: %s", word, e.text);
		words += words[len] ? len + 1 : len;
	}
}

START_TEST(a_wish_is_met_or_the_reason_said)
{
	const struct wished *w = &wisheds[_i];
	enum rc rc;

	e.text[0] = '\0';
	rc = open_at(w->scheme, w->below, w->wish);
	ck_assert_msg(rc == w->rc, "%s%s: %s %s", w->scheme, w->below,
		      rc_name(rc), e.text);
	says_all(w->says);
}
END_TEST

START_TEST(opening_makes_nothing)
{
	char path[128];

	ck_assert_int_eq(open_at("flock:", "/new", (struct lock_wish){ N }),
			 RC_OK);
	(void)snprintf(path, sizeof(path), "%s/new", scratch);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(open_at("", "", (struct lock_wish){ N }), RC_OK);
	(void)snprintf(path, sizeof(path), "%s/.repolock", scratch);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(every_scheme_of_the_registry_is_found_with_an_example)
{
	int count = 0;

	for (const struct lock_scheme *s = lock_schemes; s->scheme; s++) {
		ck_assert_ptr_eq(lock_scheme_find(s->scheme), s);
		ck_assert_int_eq(
			strncmp(s->example, s->scheme, strlen(s->scheme)), 0);
		count++;
	}
	ck_assert_int_ge(count, 4);
	ck_assert_ptr_null(lock_scheme_find("gopher"));
	ck_assert_ptr_null(lock_scheme_find("leas"));
}
END_TEST

struct margin {
	nsec valid, margin;
};

static const struct margin margins[] = {
	{ 2 * S, S / 2 },    { 4 * S, S },
	{ 10 * S, S },       { 20 * S, S },
	{ 300 * S, 15 * S }, { 86400 * S, 4320 * S },
	{ NSEC_FOREVER, 0 }, { 0, 0 },
};

START_TEST(a_margin_is_a_second_or_a_twentieth_but_never_over_a_quarter)
{
	ck_assert_int_eq(lock_margin(margins[_i].valid), margins[_i].margin);
}
END_TEST

START_TEST(modes_and_states_have_their_words)
{
	ck_assert_str_eq(lock_mode_word(LOCK_EXCLUSIVE), "exclusive");
	ck_assert_str_eq(lock_mode_word(LOCK_SHARED), "shared");
	ck_assert_str_eq(lock_state_word(LOCK_HELD), "held");
	ck_assert_str_eq(lock_state_word(LOCK_WAITING), "waiting");
	ck_assert_str_eq(lock_state_word(LOCK_STALE), "stale");
	ck_assert_str_eq(lock_state_word(LOCK_UNREADABLE), "unreadable");
	lock_close(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lock");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	char path[128];
	int failed;

	scratch_make(scratch, sizeof(scratch), "/tmp");
	(void)snprintf(path, sizeof(path), "%s/file", scratch);
	scratch_write(path, "");
	suite_add_tcase(suite, all);
	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, setup, NULL);
	tcase_add_loop_test(all, a_wish_is_met_or_the_reason_said, 0,
			    COUNT(wisheds));
	tcase_add_test(all, opening_makes_nothing);
	tcase_add_test(all,
		       every_scheme_of_the_registry_is_found_with_an_example);
	tcase_add_loop_test(
		all, a_margin_is_a_second_or_a_twentieth_but_never_over_a_quarter,
		0, COUNT(margins));
	tcase_add_test(all, modes_and_states_have_their_words);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	scratch_remove(scratch);
	return failed != 0;
}
