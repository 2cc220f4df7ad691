/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/subcommand.h"
#include "lock/lock.h"
#include "supervise/supervise.h"

#define S NSEC_PER_SEC
#define WITH &subcommand_with_lock
#define LIST &subcommand_list_locks
#define UNLOCK &subcommand_unlock

static struct options o;
static struct err e;

/* Parse a line of words; quoting there is none. The words stay. */
static enum rc parse(const struct subcommand *command, const char *line)
{
	static char copy[512];
	static char *words[64];
	size_t count = 0;
	char *rest = copy, *word;

	(void)snprintf(copy, sizeof(copy), "%s %s", command->name, line);
	while ((word = strsep(&rest, " ")) != NULL) {
		if (*word)
			words[count++] = word;
	}
	words[count] = NULL;
	e.text[0] = '\0';
	return options_parse(&o, command, words, &e);
}

#define ok(command, line)                                                      \
	ck_assert_msg(parse(command, line) == RC_OK, "%s", e.text)

static void setup(void)
{
	(void)unsetenv("REPOLOCK_REPOSITORY");
	(void)unsetenv("REPOLOCK_NAME");
	(void)unsetenv("REPOLOCK_WAIT");
	(void)unsetenv("REPOLOCK_TTL");
	(void)unsetenv("REPOLOCK_EVENTS");
}

START_TEST(what_is_not_given_is_as_the_manual_says)
{
	ok(WITH, "-r /x true");
	ck_assert_str_eq(o.repo, "/x");
	ck_assert_str_eq(o.name, "default");
	ck_assert_int_eq(o.mode, LOCK_EXCLUSIVE);
	ck_assert_int_eq(o.wait, NSEC_FOREVER);
	ck_assert_int_eq(o.ttl, 0);
	ck_assert_int_eq(o.max_hold, NSEC_FOREVER);
	ck_assert_int_eq(o.kill_after, 10 * S);
	ck_assert_int_eq(o.on_lost, ON_LOST_TERM);
	ck_assert_int_eq(o.descendants, DESCENDANTS_KILL);
	ck_assert_int_eq(o.break_stale, LOCK_BREAK_SAFE);
	ck_assert_int_eq(o.exits.busy, 123);
	ck_assert_int_eq(o.exits.lost, 122);
	ck_assert_int_eq(o.operand_count, 1);
	ck_assert_str_eq(o.operands[0], "true");
}
END_TEST

/* The same wish, spelled in every way. */
static const char *const spellings[] = {
	"-r /x -w 90 -s true",
	"-r/x -w90 -s true",
	"-sr /x -w 1m30s -- true",
	"-sw90 -r /x true",
	"--repo=/x --wait=90s --shared true",
	"--repo /x --wait 1.5m --shared -- true",
};

START_TEST(an_option_may_be_spelled_in_every_usual_way)
{
	ok(WITH, spellings[_i]);
	ck_assert_str_eq(o.repo, "/x");
	ck_assert_int_eq(o.wait, 90 * S);
	ck_assert_int_eq(o.mode, LOCK_SHARED);
	ck_assert_str_eq(o.operands[0], "true");
	ck_assert_int_eq(o.operand_count, 1);
}
END_TEST

START_TEST(the_first_word_that_is_no_option_begins_the_command)
{
	ok(WITH, "-r /x restic -r /y --shared -w 5");
	ck_assert_int_eq(o.mode, LOCK_EXCLUSIVE);
	ck_assert_int_eq(o.wait, NSEC_FOREVER);
	ck_assert_int_eq(o.operand_count, 6);
	ck_assert_str_eq(o.operands[5], "5");
}
END_TEST

START_TEST(behind_two_dashes_everything_is_the_command)
{
	ok(WITH, "-r /x -- --shared -- -x");
	ck_assert_int_eq(o.mode, LOCK_EXCLUSIVE);
	ck_assert_int_eq(o.operand_count, 3);
	ck_assert_str_eq(o.operands[0], "--shared");
}
END_TEST

START_TEST(a_single_dash_is_a_command)
{
	ok(WITH, "-r /x -");
	ck_assert_str_eq(o.operands[0], "-");
}
END_TEST

START_TEST(the_last_of_two_equal_options_counts)
{
	ok(WITH, "-r /x -r /y -w 1 -w 2 true");
	ck_assert_str_eq(o.repo, "/y");
	ck_assert_int_eq(o.wait, 2 * S);
}
END_TEST

START_TEST(loudness_adds_up)
{
	ok(WITH, "-r /x -vv true");
	ck_assert_int_eq(o.loudness, 2);
	ok(WITH, "-r /x -q --quiet true");
	ck_assert_int_eq(o.loudness, -2);
}
END_TEST

START_TEST(words_choose_in_the_order_of_their_enums)
{
	ok(WITH, "-r /x --on-lost kill --descendants wait "
		 "--break-stale all --progress never true");
	ck_assert_int_eq(o.on_lost, ON_LOST_KILL);
	ck_assert_int_eq(o.descendants, DESCENDANTS_WAIT);
	ck_assert_int_eq(o.break_stale, LOCK_BREAK_ALL);
	ck_assert_int_eq(o.progress, PROGRESS_NEVER);
	ok(WITH, "-r /x --on-lost term --descendants leave "
		 "--break-stale none --progress always true");
	ck_assert_int_eq(o.on_lost, ON_LOST_TERM);
	ck_assert_int_eq(o.descendants, DESCENDANTS_LEAVE);
	ck_assert_int_eq(o.break_stale, LOCK_BREAK_NONE);
	ck_assert_int_eq(o.progress, PROGRESS_ALWAYS);
}
END_TEST

START_TEST(waiting_may_be_forever_and_none)
{
	ok(WITH, "-r /x -w forever true");
	ck_assert_int_eq(o.wait, NSEC_FOREVER);
	ok(WITH, "-r /x -w 0 true");
	ck_assert_int_eq(o.wait, 0);
	ok(WITH, "-r /x -n true");
	ck_assert_int_eq(o.wait, 0);
}
END_TEST

START_TEST(help_is_given_whatever_else_is_wrong)
{
	ok(WITH, "--help --nonsense");
	ck_assert(o.help);
	ok(LIST, "--version");
	ck_assert(o.version);
}
END_TEST

struct wrong {
	const struct subcommand *command;
	const char *line;
	const char *said; /* both the argument and what is right */
};

static const struct wrong wrongs[] = {
	{ WITH, "-r /x --foo true", "unknown option --foo" },
	{ WITH, "-r /x --tll 5 true", "did you mean --ttl?" },
	{ WITH, "-r /x --excl true", "did you mean --exclusive?" },
	{ WITH, "-r /x --wiat 5 true", "did you mean --wait?" },
	{ WITH, "-r /x -Z true", "unknown option -Z" },
	{ WITH, "-r /x -nZ true", "unknown option -Z" },
	{ WITH, "-r", "-r needs a value: -r LOCATION" },
	{ WITH, "--repo", "--repo needs a value: --repo LOCATION" },
	{ WITH, "-r -n true", "-n is an option; write --repo=-n" },
	{ WITH, "-r /x --ttl --shared true", "--shared is an option" },
	{ WITH, "-r /x --shared=yes true", "--shared takes no value" },
	{ WITH, "true", "no location: give -r LOCATION or set" },
	{ WITH, "--repo= true", "the location of -r is empty" },
	{ WITH, "-r /x", "no COMMAND" },
	{ WITH, "-r /x --", "no COMMAND" },
	{ WITH, "-r /x -c true more", "'more' follows it" },
	{ WITH, "-r /x --command= ", "the line of -c is empty" },
	{ WITH, "-r /x -x -s true", "--exclusive and --shared contradict" },
	{ WITH, "-r /x -sx true", "--shared and --exclusive contradict" },
	{ WITH, "-r /x -n -w 5 true", "--nonblock and --wait contradict" },
	{ WITH, "-r /x -q -v true", "--quiet and --verbose contradict" },
	{ WITH, "-r /x -w soon true", "-w: duration \"soon\"" },
	{ WITH, "-r /x --wait= true", "--wait: empty duration" },
	{ WITH, "-r /x -w -5 true", "negative" },
	{ WITH, "-r /x -w 99999999999999999999 true", "too long" },
	{ WITH, "-r /x --ttl 0 true", "--ttl: 0 is not more than 0" },
	{ WITH, "-r /x --max-hold 0s true", "--max-hold: 0s is not more" },
	{ WITH, "-r /x --max-hold forever true", "--max-hold: duration" },
	{ WITH, "-r /x --kill-after 25h true", "25h is not at most 24h" },
	{ WITH, "-r /x -E 256 true", "-E: '256' is no number from 0 to 255" },
	{ WITH, "-r /x -E -1 true", "is no number" },
	{ WITH, "-r /x -E 1x true", "is no number" },
	{ WITH, "-r /x -E 99999999999999999999 true", "is no number" },
	{ WITH, "-r /x --lost-exit-code 0 true", "from 1 to 255" },
	{ WITH, "-r /x --on-lost hope true", "'hope' is none of term|kill" },
	{ WITH, "-r /x --name a/b true", "--name: 'a/b' is no name" },
	{ WITH, "-r /x --name .. true", "--name: '..' is no name" },
	{ WITH, "-r /x --name= true", "--name is empty" },
	{ WITH,
	  "-r /x --name "
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
	  "true",
	  "longer than 64" },
	{ WITH, "-r /x --json true",
	  "--json is an option of 'repolock list-locks'" },
	{ WITH, "-r /x -y true", "--yes is an option of 'repolock unlock'" },
	{ LIST, "-r /x -n", "--nonblock is an option of 'repolock with-lock'" },
	{ LIST, "/x", "given as -r /x" },
	{ LIST, "-r /x --interval 5", "nothing without --watch" },
	{ LIST, "-r /x --watch --interval 1ms", "from 100ms to 24h" },
	{ LIST, "-r /x --watch --exit-code", "contradict" },
	{ UNLOCK, "-r /x --force", "--force needs an ID, or --all" },
	{ UNLOCK, "abc -r /x", "options go before the IDs, and -r" },
	{ UNLOCK, "-r /x --all abc", "--all and ID 'abc' contradict" },
};

START_TEST(what_is_wrong_is_named_with_what_is_right)
{
	const struct wrong *w = &wrongs[_i];

	ck_assert_msg(parse(w->command, w->line) == RC_MALFORMED,
		      "'%s' was taken", w->line);
	ck_assert_msg(strstr(e.text, w->said), "'%s' said: %s", w->line, e.text);
}
END_TEST

/* The other side of the table above: near misses that are right. */
START_TEST(what_is_right_is_taken)
{
	ok(UNLOCK, "-r /x --force abc");
	ok(UNLOCK, "-r /x --force --all --yes");
	ok(UNLOCK, "-r /x --all");
	ok(UNLOCK, "-r /x --dry-run abc def");
	ck_assert_int_eq(o.operand_count, 2);
	ok(LIST, "-r /x --watch --interval 100ms");
	ok(WITH, "-r /x -E 0 --lost-exit-code 255 --kill-after 24h true");
	ok(WITH, "-r /x --repo=-n true");
	ck_assert_str_eq(o.repo, "-n");
	ok(WITH, "-r /x -c true");
	ck_assert_str_eq(o.shell_line, "true");
}
END_TEST

START_TEST(the_environment_fills_in_what_was_not_given)
{
	(void)setenv("REPOLOCK_REPOSITORY", "/env", 1);
	(void)setenv("REPOLOCK_NAME", "other", 1);
	(void)setenv("REPOLOCK_WAIT", "7", 1);
	(void)setenv("REPOLOCK_TTL", "1m", 1);
	(void)setenv("REPOLOCK_EVENTS", "fd:3", 1);
	ok(WITH, "true");
	ck_assert_str_eq(o.repo, "/env");
	ck_assert(!o.repo_given);
	ck_assert_str_eq(o.repo_from, "REPOLOCK_REPOSITORY");
	ck_assert_str_eq(o.name, "other");
	ck_assert(!o.name_given);
	ck_assert_int_eq(o.wait, 7 * S);
	ck_assert_int_eq(o.ttl, 60 * S);
	ck_assert(!o.ttl_given);
	ck_assert_str_eq(o.events, "fd:3");
}
END_TEST

START_TEST(an_option_wins_over_the_environment)
{
	(void)setenv("REPOLOCK_REPOSITORY", "/env", 1);
	(void)setenv("REPOLOCK_NAME", "not/looked/at", 1);
	(void)setenv("REPOLOCK_WAIT", "not looked at", 1);
	(void)setenv("REPOLOCK_TTL", "1m", 1);
	ok(WITH, "-r /x --name mine -n --ttl 2m true");
	ck_assert_str_eq(o.repo, "/x");
	ck_assert(o.repo_given);
	ck_assert_str_eq(o.name, "mine");
	ck_assert(o.name_given);
	ck_assert_int_eq(o.wait, 0); /* -n and REPOLOCK_WAIT are no conflict */
	ck_assert_int_eq(o.ttl, 120 * S);
}
END_TEST

START_TEST(an_empty_variable_counts_as_none)
{
	(void)setenv("REPOLOCK_WAIT", "", 1);
	(void)setenv("REPOLOCK_NAME", "", 1);
	ok(WITH, "-r /x true");
	ck_assert_int_eq(o.wait, NSEC_FOREVER);
	ck_assert_str_eq(o.name, "default");
}
END_TEST

START_TEST(a_wrong_variable_is_named)
{
	(void)setenv("REPOLOCK_WAIT", "soon", 1);
	ck_assert_int_eq(parse(WITH, "-r /x true"), RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "REPOLOCK_WAIT: "));
	(void)unsetenv("REPOLOCK_WAIT");
	(void)setenv("REPOLOCK_NAME", "a/b", 1);
	ck_assert_int_eq(parse(WITH, "-r /x true"), RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "REPOLOCK_NAME: 'a/b'"));
}
END_TEST

START_TEST(force_yes_all_and_reentrant_never_come_from_the_environment)
{
	(void)setenv("REPOLOCK_FORCE", "1", 1);
	(void)setenv("REPOLOCK_YES", "1", 1);
	(void)setenv("REPOLOCK_ALL", "1", 1);
	(void)setenv("REPOLOCK_REENTRANT", "1", 1);
	ok(UNLOCK, "-r /x");
	ck_assert(!o.force && !o.yes && !o.all);
	ok(WITH, "-r /x true");
	ck_assert(!o.reentrant);
	/* Given as options they are there. */
	ok(UNLOCK, "-r /x --force --yes --all");
	ck_assert(o.force && o.yes && o.all);
	ok(WITH, "-r /x --reentrant true");
	ck_assert(o.reentrant);
}
END_TEST

START_TEST(help_fits_eighty_columns)
{
	static const struct subcommand *const all[] = { WITH, LIST, UNLOCK };
	char line[512];
	int lines = 0;
	FILE *out = tmpfile();

	options_help(all[_i], out);
	rewind(out);
	for (; fgets(line, sizeof(line), out); lines++) {
		size_t len = strcspn(line, "\n");

		ck_assert_msg(len < 80, "%s", line);
		ck_assert_msg(len == 0 || line[len - 1] != ' ', "%s", line);
	}
	ck_assert_int_gt(lines, 10);
	(void)fclose(out);
}
END_TEST

START_TEST(only_near_words_are_guessed)
{
	static const char *const words[] = { "wait", "all", "exclusive" };

	ck_assert_str_eq(options_nearest("wiat", words, 3), "wait");
	ck_assert_str_eq(options_nearest("exc", words, 3), "exclusive");
	ck_assert_str_eq(options_nearest("exklusive", words, 3), "exclusive");
	ck_assert_ptr_null(options_nearest("banana", words, 3));
	ck_assert_ptr_null(options_nearest("", words, 3));
	ck_assert_ptr_null(options_nearest(
		"a-word-that-is-longer-than-any-option-will-ever-be", words, 3));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *c = tcase_create("options");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(c, setup, NULL);
	suite_add_tcase(suite, c);
	tcase_add_test(c, what_is_not_given_is_as_the_manual_says);
	tcase_add_loop_test(c, an_option_may_be_spelled_in_every_usual_way, 0,
			    sizeof(spellings) / sizeof(spellings[0]));
	tcase_add_test(c, the_first_word_that_is_no_option_begins_the_command);
	tcase_add_test(c, behind_two_dashes_everything_is_the_command);
	tcase_add_test(c, a_single_dash_is_a_command);
	tcase_add_test(c, the_last_of_two_equal_options_counts);
	tcase_add_test(c, loudness_adds_up);
	tcase_add_test(c, words_choose_in_the_order_of_their_enums);
	tcase_add_test(c, waiting_may_be_forever_and_none);
	tcase_add_test(c, help_is_given_whatever_else_is_wrong);
	tcase_add_loop_test(c, what_is_wrong_is_named_with_what_is_right, 0,
			    sizeof(wrongs) / sizeof(wrongs[0]));
	tcase_add_test(c, what_is_right_is_taken);
	tcase_add_test(c, the_environment_fills_in_what_was_not_given);
	tcase_add_test(c, an_option_wins_over_the_environment);
	tcase_add_test(c, an_empty_variable_counts_as_none);
	tcase_add_test(c, a_wrong_variable_is_named);
	tcase_add_test(
		c, force_yes_all_and_reentrant_never_come_from_the_environment);
	tcase_add_loop_test(c, help_fits_eighty_columns, 0, 3);
	tcase_add_test(c, only_near_words_are_guessed);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
