/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/progress.h"
#include "cli/table.h"
#include "util/json.h"
#include "util/text.h"

#define S NSEC_PER_SEC
#define NOW (1800000000 * S)

static struct options o;
static struct progress p;
static struct lock_info holder;
static struct outcome outcome;
static struct err e;
static int said, recorded; /* reading ends */
static char heard[65536];

/* stderr into a pipe, and what is given as --events. */
static void setup(void)
{
	static char events[16];
	int err[2], ev[2];

	ck_assert_int_eq(pipe(err), 0);
	ck_assert_int_eq(pipe(ev), 0);
	ck_assert_int_eq(dup2(err[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(err[1]);
	said = err[0];
	recorded = ev[0];
	(void)fcntl(said, F_SETFL, O_NONBLOCK);
	(void)fcntl(recorded, F_SETFL, O_NONBLOCK);
	(void)snprintf(events, sizeof(events), "fd:%d", ev[1]);
	o = (struct options){ .mode = LOCK_EXCLUSIVE, .events = events };
	exit_choose_usual(&o.exits);
	ck_assert_int_eq(progress_open(&p, &o, &e), RC_OK);
	p.location = "/srv/repo";
	holder = (struct lock_info){ .protocol = "lease",
				     .id = "3f2a91bc",
				     .user = "root",
				     .host = "atlas",
				     .pid = 4711,
				     .command = "restic",
				     .since = { NOW - 60 * S },
				     .refreshed = { NOW - 5 * S } };
	outcome = (struct outcome){ .how = OUTCOME_EXITED };
}

static const char *hear(int fd)
{
	ssize_t len = read(fd, heard, sizeof(heard) - 1);

	heard[len > 0 ? len : 0] = '\0';
	return heard;
}

static void tell(enum notice_kind kind, const char *text)
{
	progress_tell(
		&p, &(struct notice){
			    .kind = kind,
			    .when = { NOW },
			    .text = text,
			    .pid = 99,
			    .signal = SIGTERM,
			    .left = 30 * S,
			    .lock = kind == NOTICE_WAITING ? &holder : NULL,
			    .outcome = kind == NOTICE_ENDED ? &outcome : NULL });
}

static void wait_for(nsec waited)
{
	progress_tell(&p, &(struct notice){ .kind = NOTICE_WAITING,
					    .when = { NOW },
					    .waited = waited,
					    .left = NSEC_FOREVER,
					    .lock = &holder });
}

static void count_describing(void *describer, struct lock_info *info)
{
	++*(int *)describer;
	(void)text_copy(info->user, sizeof(info->user), "alice");
}

/* --- waiting -------------------------------------------------------------- */

START_TEST(waiting_says_for_what_who_since_when_and_how_long)
{
	wait_for(5 * S);
	ck_assert_str_eq(hear(said),
			 "repolock: waiting 5s for the exclusive lock on "
			 "/srv/repo: held by root@atlas (pid 4711, restic) "
			 "since 2027-01-15T07:59:00Z (1m00s ago), refreshed "
			 "5s ago\n");
}
END_TEST

START_TEST(waiting_says_how_long_at_most)
{
	char text[512];

	progress_waiting(text, sizeof(text), &p,
			 &(struct notice){ .kind = NOTICE_WAITING,
					   .when = { NOW },
					   .waited = 12 * S,
					   .left = 48 * S });
	ck_assert_str_eq(text, "waiting 12s, at most 48s more, for the "
			       "exclusive lock on /srv/repo");
}
END_TEST

static struct lock_info longest(enum lock_state state)
{
	struct lock_info lock = { .state = state,
				  .pid = 2147483647,
				  .since = { NOW - 3600 * S },
				  .refreshed = { NOW - 3600 * S },
				  .sure_in = 3600 * S };

	memset(lock.id, '\033', sizeof(lock.id) - 1);
	memset(lock.user, '\033', sizeof(lock.user) - 1);
	memset(lock.host, '\033', sizeof(lock.host) - 1);
	memset(lock.command, '\033', sizeof(lock.command) - 1);
	memset(lock.reason, '\033', sizeof(lock.reason) - 1);
	memset(lock.detail, '\033', sizeof(lock.detail) - 1);
	return lock;
}

START_TEST(p3_1_the_longest_fields_of_all_leave_the_rest_of_the_sentence)
{
	static char place[PATH_MAX];
	struct lock_info lock = longest((enum lock_state)_i);
	struct notice n = { .kind = NOTICE_WAITING,
			    .when = { NOW },
			    .waited = 3599 * S,
			    .left = 3599 * S,
			    .lock = &lock };
	char text[1024];

	memset(place, '\033', sizeof(place) - 1);
	place[0] = '/';
	p.location = place;
	for (size_t size = 1; size <= sizeof(text); size++) {
		memset(text, '!', sizeof(text));
		progress_waiting(text, size, &p, &n);
		ck_assert_uint_lt(strlen(text), size);
	}
	ck_assert(strstr(text, " for the exclusive lock on /\\x1b") != NULL);
	ck_assert(strstr(text, "refreshed 1h00m ago") != NULL);
	if (lock.state == LOCK_UNREADABLE)
		ck_assert(strstr(text, "unlock -r LOCATION --force") != NULL);
	else
		ck_assert(strstr(text, ", \"\\x1b") != NULL);
	ck_assert(strstr(text, "will be known in 1h00m") != NULL);
	progress_tell(&p, &n);
	(void)hear(recorded);
	ck_assert_str_eq(heard + strlen(heard) - 2, "}\n");
	ck_assert(strchr(heard, '\033') == NULL);
	outcome = (struct outcome){ .how = OUTCOME_BUSY, .holder = lock };
	tell(NOTICE_ENDED, NULL);
	(void)hear(said);
	ck_assert(strstr(heard, "repolock: no exclusive lock on /\\x1b") != NULL);
	ck_assert(strchr(heard, '\033') == NULL);
}
END_TEST

START_TEST(one_that_cannot_be_read_is_told_with_the_way_out)
{
	struct lock_info lock = { .state = LOCK_UNREADABLE,
				  .id = "0123456789abcdef",
				  .detail = "no \033 JSON" };
	char text[512];

	progress_waiting(text, sizeof(text), &p,
			 &(struct notice){ .kind = NOTICE_WAITING,
					   .when = { NOW },
					   .waited = 5 * S,
					   .left = NSEC_FOREVER,
					   .lock = &lock });
	ck_assert_str_eq(text,
			 "waiting 5s for the exclusive lock on /srv/repo: a "
			 "lock that cannot be read (no \\x1b JSON); if nobody "
			 "holds it: repolock unlock -r /srv/repo --force "
			 "01234567");
}
END_TEST

/* As if told every second for three hours and a half. */
START_TEST(a_log_hears_of_waiting_after_5_s_5_min_and_then_hourly)
{
	static const char *const steps[] = { "waiting 5s ", "waiting 5m00s ",
					     "waiting 1h00m ", "waiting 2h00m ",
					     "waiting 3h00m " };
	size_t step = 0;

	o.events = NULL;
	for (nsec waited = 0; waited < 12600 * S; waited += S) {
		wait_for(waited);
		if (!*hear(said))
			continue;
		ck_assert_uint_lt(step, 5);
		ck_assert_ptr_nonnull(strstr(heard, steps[step++]));
	}
	ck_assert_uint_eq(step, 5);
}
END_TEST

START_TEST(a_short_wait_is_not_worth_a_line)
{
	wait_for(0);
	wait_for(3 * S);
	ck_assert_str_eq(hear(said), "");
}
END_TEST

START_TEST(progress_always_says_it_at_once_and_never_not_at_all)
{
	o.progress = PROGRESS_ALWAYS;
	ck_assert_int_eq(progress_open(&p, &o, &e), RC_OK);
	p.location = "/srv/repo";
	wait_for(0);
	ck_assert_ptr_nonnull(strstr(hear(said), "waiting 0s"));
	o.progress = PROGRESS_NEVER;
	wait_for(6 * S);
	ck_assert_str_eq(hear(said), "");
}
END_TEST

START_TEST(quiet_does_not_speak_of_waiting)
{
	o.loudness = -1;
	wait_for(6 * S);
	ck_assert_str_eq(hear(said), "");
	o.loudness = 0;
	wait_for(6 * S);
	ck_assert_str_ne(hear(said), "");
}
END_TEST

START_TEST(events_tell_each_holder_once_and_then_at_the_steps)
{
	for (nsec waited = 0; waited < 4 * S; waited += S)
		wait_for(waited);
	hear(recorded);
	ck_assert_ptr_nonnull(strstr(heard, "\"waited\":0,"));
	ck_assert_ptr_null(strstr(heard, "\"waited\":1,"));
	(void)text_copy(holder.id, sizeof(holder.id), "other");
	wait_for(4 * S);
	ck_assert_ptr_nonnull(strstr(hear(recorded), "\"waited\":4,"));
	wait_for(5 * S);
	ck_assert_ptr_nonnull(strstr(hear(recorded), "\"waited\":5,"));
}
END_TEST

/* --- messages --------------------------------------------------------------- */

START_TEST(success_is_silent_and_v_is_not)
{
	tell(NOTICE_ACQUIRED, NULL);
	tell(NOTICE_STARTED, NULL);
	tell(NOTICE_REFRESHED, NULL);
	tell(NOTICE_RELEASED, NULL);
	tell(NOTICE_ENDED, NULL);
	ck_assert_str_eq(hear(said), "");
	o.loudness = 2;
	tell(NOTICE_ACQUIRED, NULL);
	tell(NOTICE_STARTED, NULL);
	tell(NOTICE_REFRESHED, NULL);
	tell(NOTICE_RELEASED, NULL);
	hear(said);
	ck_assert_ptr_nonnull(strstr(heard, "repolock: acquired the "
					    "exclusive lock on /srv/repo"));
	ck_assert_ptr_nonnull(strstr(heard, "started COMMAND as process 99"));
	ck_assert_ptr_nonnull(strstr(heard, "refreshed"));
	ck_assert_ptr_nonnull(strstr(heard, "released"));
}
END_TEST

static void acquired(nsec skew, const char *detail)
{
	struct lock_info mine = { .protocol = "restic", .skew = skew };

	(void)text_copy(mine.detail, sizeof(mine.detail), detail);
	progress_tell(&p, &(struct notice){ .kind = NOTICE_ACQUIRED,
					    .when = { NOW },
					    .lock = &mine });
}

START_TEST(clocks_that_disagree_are_warned_of)
{
	acquired(60 * S, "");
	acquired(-60 * S, "");
	ck_assert_str_eq(hear(said), "");
	acquired(3600 * S, "");
	ck_assert_ptr_nonnull(strstr(hear(said), "warning: this machine's "
						 "clock is 1h00m ahead of "
						 "that of /srv/repo"));
	acquired(-3600 * S, "");
	ck_assert_ptr_nonnull(strstr(hear(said), "1h00m behind that of"));
	o.loudness = -2;
	acquired(3600 * S, "");
	ck_assert_str_eq(hear(said), "");
}
END_TEST

START_TEST(what_was_cleared_is_told_with_v)
{
	acquired(0, "cleared a stale lock");
	ck_assert_str_eq(hear(said), "");
	o.loudness = 1;
	acquired(0, "cleared a stale lock");
	ck_assert_ptr_nonnull(strstr(hear(said), "repolock: cleared a stale "
						 "lock\n"));
}
END_TEST

START_TEST(trouble_is_always_told)
{
	o.loudness = -1;
	tell(NOTICE_IN_DOUBT, "timed out");
	ck_assert_str_eq(hear(said),
			 "repolock: warning: the lock on /srv/repo could not "
			 "be refreshed: timed out; it counts as lost in 30s\n");
	tell(NOTICE_LOST, "the claim is gone");
	ck_assert_str_eq(hear(said), "repolock: lost the lock on /srv/repo: "
				     "the claim is gone\n");
	tell(NOTICE_CANNOT_KILL, "ping");
	ck_assert_ptr_nonnull(strstr(hear(said), "process 99 (ping)"));
	tell(NOTICE_DESCENDANT, "sleep");
	ck_assert_ptr_nonnull(strstr(hear(said), "process 99 (sleep)"));
	tell(NOTICE_WARNING, "clock");
	ck_assert_str_eq(hear(said), "repolock: warning: clock\n");
	o.loudness = -2;
	tell(NOTICE_WARNING, "clock");
	ck_assert_str_eq(hear(said), "");
}
END_TEST

START_TEST(foreign_text_is_shown_escaped_on_one_line)
{
	tell(NOTICE_LOST, "a\nb\033[1m");
	ck_assert_ptr_nonnull(strstr(hear(said), ": a\\x0ab\\x1b[1m\n"));
}
END_TEST

START_TEST(failing_is_told_with_its_sentence)
{
	outcome.how = OUTCOME_FAILED;
	(void)err_set(&outcome.err, RC_FAILED, "/srv/repo: no such directory");
	tell(NOTICE_ENDED, NULL);
	ck_assert_str_eq(hear(said), "repolock: /srv/repo: no such "
				     "directory\n");
}
END_TEST

/* --- events ------------------------------------------------------------------- */

static struct json_doc *last_event(void)
{
	struct json_doc *doc = NULL;
	char *line;

	hear(recorded);
	line = strrchr(heard, '\n');
	ck_assert_ptr_nonnull(line);
	*line = '\0';
	line = strrchr(heard, '\n') ? strrchr(heard, '\n') + 1 : heard;
	ck_assert_msg(json_parse(&doc, line, strlen(line), &e) == RC_OK,
		      "%s: %s", e.text, line);
	return doc;
}

static void has_text(const struct json_doc *doc, const char *path,
		     const char *value)
{
	const char *found = "(nothing)";

	(void)json_get_string(doc, path, &found);
	ck_assert_str_eq(found, value);
}

static void has_number(const struct json_doc *doc, const char *path, int64_t value)
{
	int64_t found = -1;

	(void)json_get_number(doc, path, &found);
	ck_assert_int_eq(found, value);
}

struct kind_word {
	enum notice_kind kind;
	const char *word;
};

static const struct kind_word kinds[] = {
	{ NOTICE_WAITING, "waiting" },
	{ NOTICE_ACQUIRED, "acquired" },
	{ NOTICE_STARTED, "started" },
	{ NOTICE_REFRESHED, "refreshed" },
	{ NOTICE_IN_DOUBT, "in-doubt" },
	{ NOTICE_LOST, "lost" },
	{ NOTICE_SIGNALLED, "signalled" },
	{ NOTICE_DESCENDANT, "descendant" },
	{ NOTICE_CANNOT_KILL, "cannot-kill" },
	{ NOTICE_RELEASED, "released" },
	{ NOTICE_WARNING, "warning" },
	{ NOTICE_ENDED, "ended" },
};

START_TEST(every_notice_is_one_line_of_json)
{
	struct json_doc *doc;

	tell(kinds[_i].kind, "\"quoted\"\n\xff");
	doc = last_event();
	has_text(doc, "event", kinds[_i].word);
	has_text(doc, "location", "/srv/repo");
	has_text(doc, "time", "2027-01-15T08:00:00.000Z");
	has_number(doc, "version", 1);
	has_text(doc, "text", "\"quoted\"\n\xef\xbf\xbd");
	json_close(doc);
}
END_TEST

START_TEST(a_waiting_event_describes_the_holder)
{
	struct json_doc *doc;

	wait_for(0);
	doc = last_event();
	has_text(doc, "holder.host", "atlas");
	has_text(doc, "holder.command", "restic");
	has_number(doc, "holder.pid", 4711);
	json_close(doc);
}
END_TEST

struct end {
	enum outcome_how how;
	int status;
	const char *word;
	int64_t exit_code;
};

static const struct end ends[] = {
	{ OUTCOME_EXITED, 122, "exited", 122 },
	{ OUTCOME_SIGNALLED, SIGKILL, "signalled", 137 },
	{ OUTCOME_LOST, 0, "lost", 72 },
	{ OUTCOME_BUSY, 0, "busy", 73 },
	{ OUTCOME_MAX_HOLD, 0, "max-hold", 124 },
	{ OUTCOME_FAILED, 0, "failed", 125 },
	{ OUTCOME_CANNOT_EXEC, 0, "cannot-execute", 126 },
	{ OUTCOME_NOT_FOUND, 0, "not-found", 127 },
	{ OUTCOME_INTERRUPTED, SIGINT, "interrupted", 130 },
};

START_TEST(the_last_event_tells_outcome_and_status_apart)
{
	const struct end *end = &ends[_i];
	struct json_doc *doc;

	o.exits = (struct exit_choice){ .busy = 73, .lost = 72 };
	outcome.how = end->how;
	outcome.status = end->status;
	progress_ended(&p, &outcome);
	doc = last_event();
	has_text(doc, "event", "ended");
	has_text(doc, "outcome", end->word);
	has_number(doc, "exit_code", end->exit_code);
	has_number(doc, "status", end->how == OUTCOME_EXITED ? end->status : -1);
	if (end->status == SIGINT)
		has_text(doc, "signal", "SIGINT");
	json_close(doc);
}
END_TEST

START_TEST(a_lock_that_was_not_had_is_told_with_its_holder)
{
	struct json_doc *doc;

	o.wait = 90 * S;
	outcome.how = OUTCOME_BUSY;
	outcome.holder = holder;
	outcome.holder.since.ns = outcome.holder.refreshed.ns = 0;
	progress_ended(&p, &outcome);
	ck_assert_str_eq(hear(said),
			 "repolock: no exclusive lock on /srv/repo within "
			 "1m30s: held by root@atlas (pid 4711, restic)\n");
	doc = last_event();
	has_text(doc, "holder.id", "3f2a91bc");
	json_close(doc);
}
END_TEST

START_TEST(a_holder_is_described_only_when_somebody_is_told)
{
	int asked = 0;
	struct notice n = { .kind = NOTICE_WAITING,
			    .when = { NOW },
			    .lock = &holder,
			    .describe = count_describing,
			    .describer = &asked };

	progress_tell(&p, &n); /* the first one is an event */
	ck_assert_int_eq(asked, 1);
	n.waited = 1 * S;
	progress_tell(&p, &n);
	ck_assert_int_eq(asked, 1);
	n.waited = 5 * S;
	progress_tell(&p, &n);
	ck_assert_int_eq(asked, 2);
	ck_assert_ptr_nonnull(strstr(hear(said), "alice@atlas"));
}
END_TEST

struct bad {
	const char *where, *said;
};

static const struct bad bads[] = {
	{ "fd:", "no descriptor number" },
	{ "fd:x", "no descriptor number" },
	{ "fd:-1", "no descriptor number" },
	{ "fd:999", "descriptor 999 is not open" },
	{ "", "the name is empty" },
	{ "/nowhere/events", "/nowhere/events" },
	{ "/", "Is a directory" },
};

START_TEST(events_that_cannot_be_written_are_refused)
{
	o.events = bads[_i].where;
	ck_assert_int_ne(progress_open(&p, &o, &e), RC_OK);
	ck_assert_ptr_nonnull(strstr(e.text, "--events"));
	ck_assert_msg(strstr(e.text, bads[_i].said), "%s", e.text);
}
END_TEST

START_TEST(events_on_a_reading_end_are_refused)
{
	char where[16];

	(void)snprintf(where, sizeof(where), "fd:%d", recorded);
	o.events = where;
	ck_assert_int_eq(progress_open(&p, &o, &e), RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "not open for writing"));
}
END_TEST

START_TEST(events_are_appended_to_a_file)
{
	char name[] = "/tmp/check_progress.XXXXXX", line[4096];
	int fd = mkstemp(name), lines = 0;
	FILE *file;

	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	o.events = name;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(progress_open(&p, &o, &e), RC_OK);
		tell(NOTICE_RELEASED, NULL);
	}
	file = fopen(name, "r");
	while (fgets(line, sizeof(line), file))
		lines++;
	(void)fclose(file);
	(void)unlink(name);
	ck_assert_int_eq(lines, 2);
}
END_TEST

/* --- never held up ---------------------------------------------------------------- */

/* Each writes a thousand lines to somebody who does not read. Blocking would
 * run into the test's time limit. */
static void speak_to_nobody(void)
{
	for (int i = 0; i < 1000; i++)
		tell(NOTICE_LOST, "words words words words words words words "
				  "words words words words words words words");
}

START_TEST(a_full_pipe_holds_nobody_up)
{
	struct boot begun = boot_now();

	speak_to_nobody();
	ck_assert_int_lt(boot_until(begun, boot_now()), 5 * S);
	/* What did fit is there, and once it is read words go out again. */
	ck_assert_ptr_nonnull(strstr(hear(said), "lost the lock"));
	while (*hear(said))
		;
	tell(NOTICE_LOST, "again");
	ck_assert_ptr_nonnull(strstr(hear(said), "again"));
}
END_TEST

START_TEST(a_full_socket_holds_nobody_up)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
	speak_to_nobody();
	ck_assert_int_gt(read(pair[0], heard, sizeof(heard)), 1000);
}
END_TEST

START_TEST(the_callers_descriptor_stays_a_blocking_one)
{
	tell(NOTICE_LOST, "x");
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(a_reader_that_went_away_ends_nobody)
{
	(void)close(said);
	(void)close(recorded);
	tell(NOTICE_LOST, "nobody is there"); /* SIGPIPE would end the test */
	tell(NOTICE_WARNING, "nobody is there");
}
END_TEST

START_TEST(a_pending_sigpipe_of_somebody_else_stays_pending)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGPIPE);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)raise(SIGPIPE);
	(void)close(said);
	tell(NOTICE_LOST, "nobody is there");
	(void)sigpending(&set);
	ck_assert_int_eq(sigismember(&set, SIGPIPE), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("progress");
	TCase *c = tcase_create("progress");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(c, setup, NULL);
	suite_add_tcase(suite, c);
	tcase_add_test(c, waiting_says_for_what_who_since_when_and_how_long);
	tcase_add_test(c, waiting_says_how_long_at_most);
	tcase_add_loop_test(
		c, p3_1_the_longest_fields_of_all_leave_the_rest_of_the_sentence,
		0, LOCK_UNREADABLE + 1);
	tcase_add_test(c, one_that_cannot_be_read_is_told_with_the_way_out);
	tcase_add_test(c, a_log_hears_of_waiting_after_5_s_5_min_and_then_hourly);
	tcase_add_test(c, a_short_wait_is_not_worth_a_line);
	tcase_add_test(c, progress_always_says_it_at_once_and_never_not_at_all);
	tcase_add_test(c, quiet_does_not_speak_of_waiting);
	tcase_add_test(c, events_tell_each_holder_once_and_then_at_the_steps);
	tcase_add_test(c, success_is_silent_and_v_is_not);
	tcase_add_test(c, clocks_that_disagree_are_warned_of);
	tcase_add_test(c, what_was_cleared_is_told_with_v);
	tcase_add_test(c, trouble_is_always_told);
	tcase_add_test(c, foreign_text_is_shown_escaped_on_one_line);
	tcase_add_test(c, failing_is_told_with_its_sentence);
	tcase_add_loop_test(c, every_notice_is_one_line_of_json, 0,
			    sizeof(kinds) / sizeof(kinds[0]));
	tcase_add_test(c, a_waiting_event_describes_the_holder);
	tcase_add_loop_test(c, the_last_event_tells_outcome_and_status_apart, 0,
			    sizeof(ends) / sizeof(ends[0]));
	tcase_add_test(c, a_lock_that_was_not_had_is_told_with_its_holder);
	tcase_add_test(c, a_holder_is_described_only_when_somebody_is_told);
	tcase_add_loop_test(c, events_that_cannot_be_written_are_refused, 0,
			    sizeof(bads) / sizeof(bads[0]));
	tcase_add_test(c, events_on_a_reading_end_are_refused);
	tcase_add_test(c, events_are_appended_to_a_file);
	tcase_add_test(c, a_full_pipe_holds_nobody_up);
	tcase_add_test(c, a_full_socket_holds_nobody_up);
	tcase_add_test(c, the_callers_descriptor_stays_a_blocking_one);
	tcase_add_test(c, a_reader_that_went_away_ends_nobody);
	tcase_add_test(c, a_pending_sigpipe_of_somebody_else_stays_pending);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
