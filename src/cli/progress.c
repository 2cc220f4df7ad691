/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/events.h"
#include "cli/held.h"
#include "cli/table.h"
#include "util/duration.h"
#include "util/self.h"
#include "util/text.h"

/* A waiting that is over so soon is not worth a line in cron's mail. */
#define FIRST_STEP (5 * NSEC_PER_SEC)
#define SECOND_STEP (300 * NSEC_PER_SEC)
#define HOUR (3600 * NSEC_PER_SEC)
/* A timer may come a little early against the clock that we are told. */
#define SLACK (200 * NSEC_PER_MSEC)

/* A record holds a location of PATH_MAX bytes and a lock, all escaped. */
enum { EVENT_CEILING = 64 << 10, LINE = 1024 };

/* Of a sentence, so that what comes after them is not lost. */
enum { MOST_OF_LOCATION = 200, MOST_OF_DETAIL = 320 };

#define CLEAR "\r\033[K"

/* --- --events ----------------------------------------------------------------- */

static bool is_terminal(int fd)
{
	const char *term;

	if (isatty(fd) != 1)
		return false;
	term = getenv("TERM");
	return term && *term && strcmp(term, "dumb") != 0;
}

enum rc progress_open(struct progress *p, const struct options *o, struct err *e)
{
	int fd = -1;

	*p = (struct progress){ .o = o,
				.told.next = FIRST_STEP,
				.front = getpid() };
	outlet_init(&p->events, -1);
	p->line = o->progress != PROGRESS_NEVER && o->loudness >= 0 &&
		  is_terminal(STDERR_FILENO);
	if (o->progress == PROGRESS_ALWAYS)
		p->told.next = 0;
	if (o->events) {
		enum rc rc = events_open(&fd, o->events, e);

		if (rc != RC_OK)
			return rc;
		outlet_init(&p->events, fd);
	}
	return RC_OK;
}

static const char *event_word(enum notice_kind kind)
{
	switch (kind) {
	case NOTICE_WAITING:
		return "waiting";
	case NOTICE_ACQUIRED:
		return "acquired";
	case NOTICE_STARTED:
		return "started";
	case NOTICE_REFRESHED:
		return "refreshed";
	case NOTICE_IN_DOUBT:
		return "in-doubt";
	case NOTICE_LOST:
		return "lost";
	case NOTICE_SIGNALLED:
		return "signalled";
	case NOTICE_DESCENDANT:
		return "descendant";
	case NOTICE_CANNOT_KILL:
		return "cannot-kill";
	case NOTICE_RELEASED:
		return "released";
	case NOTICE_WARNING:
		return "warning";
	case NOTICE_ENDED:
		return "ended";
	}
	return "";
}

static void json_signal(struct json_out *j, int number)
{
	const char *name = sigabbrev_np(number);
	char word[32];
	struct text t = text_begin(word, sizeof(word));

	text_addf(&t, "SIG%s", name ? name : "?");
	json_out_string(j, "signal", number > 0 && name ? word : NULL);
}

static void json_outcome(struct json_out *j, const struct progress *p,
			 const struct outcome *outcome)
{
	bool by_signal = outcome->how == OUTCOME_SIGNALLED ||
			 outcome->how == OUTCOME_INTERRUPTED;

	json_out_string(j, "outcome", exit_outcome_word(outcome));
	if (outcome->how == OUTCOME_EXITED)
		json_out_number(j, "status", outcome->status);
	else
		json_out_null(j, "status");
	json_signal(j, by_signal ? outcome->status : 0);
	json_out_number(j, "exit_code", exit_code(outcome, &p->o->exits));
	if (outcome->how != OUTCOME_EXITED && !by_signal && outcome->err.text[0])
		json_out_string(j, "text", outcome->err.text);
	if (outcome->how == OUTCOME_BUSY && outcome->holder.id[0])
		table_json_lock(j, "holder", &outcome->holder);
}

static void json_members(struct json_out *j, const struct progress *p,
			 const struct notice *n)
{
	switch (n->kind) {
	case NOTICE_WAITING:
		json_out_seconds(j, "waited", n->waited);
		json_out_seconds(j, "left", n->left);
		break;
	case NOTICE_ACQUIRED:
		json_out_seconds(j, "waited", n->waited);
		break;
	case NOTICE_IN_DOUBT:
		json_out_seconds(j, "left", n->left);
		break;
	case NOTICE_SIGNALLED:
		json_signal(j, n->signal);
		break;
	case NOTICE_STARTED:
	case NOTICE_DESCENDANT:
	case NOTICE_CANNOT_KILL:
		json_out_number(j, "pid", n->pid);
		break;
	case NOTICE_ENDED:
		json_outcome(j, p, n->outcome);
		break;
	case NOTICE_REFRESHED:
	case NOTICE_LOST:
	case NOTICE_RELEASED:
	case NOTICE_WARNING:
		break;
	}
	if (n->text)
		json_out_string(j, "text", n->text);
	if (n->lock)
		table_json_lock(j, n->kind == NOTICE_WAITING ? "holder" : "lock",
				n->lock);
}

static void record(struct progress *p, const struct notice *n)
{
	struct json_out j;
	struct buf line;
	struct err e;

	if (p->events.fd < 0)
		return;
	buf_init(&line, EVENT_CEILING);
	json_out_begin(&j, &line);
	json_out_object(&j, NULL);
	json_out_number(&j, "version", SCHEMA_VERSION);
	json_out_time(&j, "time", n->when.ns ? n->when : wall_now());
	json_out_string(&j, "event", event_word(n->kind));
	json_out_string(&j, "location", p->location);
	json_members(&j, p, n);
	json_out_end(&j, '}');
	if (j.rc == RC_OK && buf_add(&line, "\n", 1, &e) == RC_OK)
		(void)outlet_write(&p->events, line.data, line.len);
	buf_release(&line);
}

/* --- lines --------------------------------------------------------------------- */

/* A message; the waiting line makes room for it. */
__attribute__((format(printf, 2, 3))) static void tell(struct progress *p,
						       const char *format, ...)
{
	char text[LINE];
	va_list args;

	if (p->shown)
		(void)outlet_write(say_stderr(), CLEAR, strlen(CLEAR));
	p->shown = false;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	say("%s", text);
}

static size_t terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 20)
		return 80;
	return size.ws_col;
}

/* Cut to width characters, never within one. */
static void cut_to(char *text, size_t width)
{
	uint32_t code;

	for (; *text && width > 0; width--) {
		size_t len = utf8_next(text, &code);

		text += len ? len : 1;
	}
	*text = '\0';
}

/* The whole line in one write, without moving to the next: in the last column
 * some terminals wrap, so it stays free. */
static void show_line(struct progress *p, const char *text)
{
	char line[2 * LINE];
	struct text t = text_begin(line, sizeof(line));

	text_add(&t, CLEAR);
	text_add(&t, "repolock: ");
	text_add_printable(&t, text);
	cut_to(line + strlen(CLEAR), terminal_width() - 1);
	(void)outlet_write(say_stderr(), line, strlen(line));
	p->shown = true;
}

static void clear_line(struct progress *p)
{
	if (!p->shown)
		return;
	(void)outlet_write(say_stderr(), CLEAR, strlen(CLEAR));
	p->shown = false;
}

/* --- waiting --------------------------------------------------------------------- */

/* " since 2026-11-24T22:50:01Z (3m02s ago), refreshed 5s ago" */
static void add_times(struct text *t, const struct lock_info *lock,
		      struct wall now)
{
	char when[40], ago[32];

	if (lock->since.ns != 0) {
		wall_show(when, sizeof(when), lock->since);
		text_addf(t, " since %s (%s ago)", when,
			  table_ago(ago, sizeof(ago), lock->since, now));
	}
	if (lock->refreshed.ns != 0)
		text_addf(t, ", refreshed %s ago",
			  table_ago(ago, sizeof(ago), lock->refreshed, now));
}

/* What the one ahead of us does. */
static const char *ahead(const struct lock_info *lock)
{
	switch (lock->state) {
	case LOCK_HELD:
		return lock->mode == LOCK_SHARED ? "shared by" : "held by";
	case LOCK_WAITING:
		return "behind";
	case LOCK_STALE:
		return "stale, of";
	case LOCK_UNREADABLE:
		return "unreadable, of";
	}
	return "held by";
}

/* A location as it can be given again; one that is too long for a line is not
 * shown in part, as if that were the whole. */
static const char *for_command(const struct progress *p)
{
	return strlen(p->location) <= MOST_OF_LOCATION ? p->location : "LOCATION";
}

/* Nobody can be named: what is known, and what may be done. */
static void add_unreadable(struct text *t, const struct progress *p,
			   const struct lock_info *lock, struct wall now)
{
	text_add(t, ": a lock that cannot be read");
	if (lock->detail[0]) {
		text_add(t, " (");
		text_add_part(t, lock->detail, MOST_OF_DETAIL);
		text_add(t, ")");
	}
	add_times(t, lock, now);
	text_addf(t, "; if nobody holds it: repolock unlock -r %s --force %.8s",
		  for_command(p), lock->id);
}

/* ": held by root@atlas (pid 4711, restic) since ..." */
static void add_holder(struct text *t, const struct progress *p,
		       const struct lock_info *lock, struct wall now)
{
	char holder[TABLE_HOLDER_SIZE], span[32];

	if (lock->state == LOCK_UNREADABLE && lock->id[0]) {
		add_unreadable(t, p, lock, now);
	} else {
		text_addf(t, ": %s %s", ahead(lock),
			  table_holder(holder, sizeof(holder), lock));
		add_times(t, lock, now);
	}
	/* What with_lock.c refuses, where the environment was cleaned. */
	if (held_by_ancestor(lock))
		text_add(t, "; this call is a part of that and waits for itself");
	if (lock->unjudged > 0) {
		text_addf(t,
			  "; %u more were not looked at; if nobody holds them: "
			  "repolock unlock -r ",
			  lock->unjudged);
		text_add_part(t, p->location, MOST_OF_LOCATION);
		text_add(t, " --force --all");
	}
	if (lock->sure_in <= 0)
		return;
	duration_show(span, sizeof(span), lock->sure_in);
	text_addf(t, "; whether it is stale will be known in %s", span);
}

void progress_waiting(char *out, size_t size, const struct progress *p,
		      const struct notice *n)
{
	struct text t = text_begin(out, size);
	char waited[32], left[32];

	duration_show(waited, sizeof(waited), n->waited);
	text_addf(&t, "waiting %s", waited);
	if (n->left < NSEC_FOREVER) {
		duration_show(left, sizeof(left), n->left);
		text_addf(&t, ", at most %s more,", left);
	}
	text_addf(&t, " for the %s lock on ",
		  lock_mode_word(p->o->mode == LOCK_SHARED ? LOCK_SHARED
							   : LOCK_EXCLUSIVE));
	text_add_part(&t, p->location, MOST_OF_LOCATION);
	if (n->lock)
		add_holder(&t, p, n->lock, n->when.ns ? n->when : wall_now());
}

/* Is it time again, or something new? */
static bool step_reached(struct progress_steps *s, nsec waited)
{
	if (waited + SLACK < s->next)
		return false;
	if (waited + SLACK < FIRST_STEP)
		s->next = FIRST_STEP;
	else if (waited + SLACK < SECOND_STEP)
		s->next = SECOND_STEP;
	else
		s->next = waited + SLACK - (waited + SLACK) % HOUR + HOUR;
	return true;
}

static bool holder_changed(struct progress_steps *s, const struct lock_info *lock)
{
	if (!lock || strcmp(s->about, lock->id) == 0)
		return false;
	(void)text_copy(s->about, sizeof(s->about), lock->id);
	return true;
}

static bool worth_recording(struct progress *p, const struct notice *n)
{
	bool changed;

	if (p->events.fd < 0)
		return false;
	changed = holder_changed(&p->recorded, n->lock);
	return step_reached(&p->recorded, n->waited) || changed;
}

/* On a terminal that is ours to write on: put aside by Ctrl-Z or bg, we would
 * overwrite the shell's prompt. */
static bool has_line(const struct progress *p)
{
	return p->line && !process_is_in_background(p->front);
}

static bool worth_telling(struct progress *p, const struct notice *n)
{
	if (p->o->loudness < 0 || p->o->progress == PROGRESS_NEVER)
		return false;
	if (has_line(p))
		return true;
	p->shown = false; /* whatever was shown, the shell has gone on */
	return step_reached(&p->told, n->waited) && !process_is_stopped(p->front);
}

static void on_waiting(struct progress *p, const struct notice *notice)
{
	bool to_record = worth_recording(p, notice);
	bool to_tell = worth_telling(p, notice);
	struct notice n = *notice;
	struct lock_info holder;
	char text[LINE];

	if (!to_record && !to_tell)
		return;
	if (n.lock && n.describe) {
		holder = *n.lock;
		n.describe(n.describer, &holder);
		n.lock = &holder;
	}
	if (to_record)
		record(p, &n);
	if (!to_tell)
		return;
	progress_waiting(text, sizeof(text), p, &n);
	if (has_line(p))
		show_line(p, text);
	else
		say("%s", text);
}

/* --- the rest ---------------------------------------------------------------------- */

static const char *signal_word(int number)
{
	const char *name = sigabbrev_np(number);

	return name ? name : "?";
}

/* Formats that are judged by age need clocks that agree. */
static void warn_of_skew(struct progress *p, nsec skew)
{
	char span[32];

	if ((skew <= SKEW_TOLD && skew >= -SKEW_TOLD) || p->o->loudness < -1)
		return;
	duration_show(span, sizeof(span), skew < 0 ? -skew : skew);
	tell(p,
	     "warning: this machine's clock is %s %s that of %.160s, so others "
	     "may take the lock for stale; set it right",
	     span, skew < 0 ? "behind" : "ahead of", p->location);
}

static void on_acquired(struct progress *p, const struct notice *n)
{
	char waited[32], detail[sizeof(n->lock->detail)];

	p->shown = p->shown && has_line(p);
	clear_line(p);
	if (n->lock)
		warn_of_skew(p, n->lock->skew);
	if (p->o->loudness < 1)
		return;
	if (n->lock && n->lock->detail[0])
		tell(p, "%s",
		     text_printable(detail, sizeof(detail), n->lock->detail));
	duration_show(waited, sizeof(waited), n->waited);
	tell(p, "acquired the %s lock on %.200s after %s",
	     lock_mode_word(n->lock ? n->lock->mode : (enum lock_mode)p->o->mode),
	     p->location, waited);
}

static void on_in_doubt(struct progress *p, const struct notice *n)
{
	char left[32];

	duration_show(left, sizeof(left), n->left);
	tell(p,
	     "warning: the lock on %.200s could not be refreshed: %s; it "
	     "counts as lost in %s",
	     p->location, n->text ? n->text : "no answer", left);
}

static void on_descendant(struct progress *p, const struct notice *n)
{
	static const char *const what[] = {
		[DESCENDANTS_WAIT] = "holding on to the lock until it ends",
		[DESCENDANTS_KILL] = "ending it",
		[DESCENDANTS_LEAVE] = "leaving it alone and releasing the lock",
	};

	tell(p, "COMMAND has ended, but process %jd (%s) still runs: %s",
	     (intmax_t)n->pid, n->text ? n->text : "?", what[p->o->descendants]);
}

static void tell_busy(struct progress *p, const struct outcome *outcome)
{
	char text[LINE], wait[32];
	struct text t = text_begin(text, sizeof(text));

	if (!outcome->holder.id[0]) {
		tell(p, "%s", outcome->err.text);
		return;
	}
	text_addf(&t, "no %s lock on ",
		  lock_mode_word((enum lock_mode)p->o->mode));
	text_add_part(&t, p->location, MOST_OF_LOCATION);
	if (p->o->wait > 0) {
		duration_show(wait, sizeof(wait), p->o->wait);
		text_addf(&t, " within %s", wait);
	}
	add_holder(&t, p, &outcome->holder, wall_now());
	tell(p, "%s", text);
}

/* May it have ended with the waiting line still standing? */
static bool ended_waiting(enum outcome_how how)
{
	return how == OUTCOME_BUSY || how == OUTCOME_INTERRUPTED ||
	       how == OUTCOME_FAILED;
}

static void on_ended(struct progress *p, const struct outcome *outcome)
{
	const char *why = outcome->err.text;

	switch (outcome->how) {
	case OUTCOME_FAILED:
	case OUTCOME_CANNOT_EXEC:
	case OUTCOME_NOT_FOUND:
		tell(p, "%s", why);
		break;
	case OUTCOME_BUSY:
		if (p->o->loudness >= 0)
			tell_busy(p, outcome);
		break;
	case OUTCOME_EXITED:
	case OUTCOME_SIGNALLED:
	case OUTCOME_MAX_HOLD: /* these were told when they happened */
	case OUTCOME_LOST:
	case OUTCOME_INTERRUPTED:
		break;
	}
}

void progress_tell(void *context, const struct notice *n)
{
	struct progress *p = context;
	int loudness = p->o->loudness;
	const char *text = n->text ? n->text : "";

	if (n->kind == NOTICE_WAITING) {
		on_waiting(p, n);
		return;
	}
	record(p, n);
	switch (n->kind) {
	case NOTICE_WAITING:
		break;
	case NOTICE_ACQUIRED:
		on_acquired(p, n);
		break;
	case NOTICE_STARTED:
		if (loudness > 0)
			tell(p, "started COMMAND as process %jd",
			     (intmax_t)n->pid);
		break;
	case NOTICE_REFRESHED:
		if (loudness > 1)
			tell(p, "refreshed the lock on %.200s", p->location);
		break;
	case NOTICE_IN_DOUBT:
		on_in_doubt(p, n);
		break;
	case NOTICE_LOST:
		tell(p, "lost the lock on %.200s: %s", p->location, text);
		break;
	case NOTICE_SIGNALLED:
		if (loudness >= 0)
			tell(p, "sent SIG%s to what COMMAND runs",
			     signal_word(n->signal));
		break;
	case NOTICE_DESCENDANT:
		on_descendant(p, n);
		break;
	case NOTICE_CANNOT_KILL:
		tell(p,
		     "process %jd (%s) may not be signalled by us and "
		     "still runs",
		     (intmax_t)n->pid, text);
		break;
	case NOTICE_RELEASED:
		if (loudness > 0)
			tell(p, "released the lock on %.200s", p->location);
		break;
	case NOTICE_WARNING:
		if (loudness > -2)
			tell(p, "warning: %s", text);
		break;
	case NOTICE_ENDED:
		/* The front does not know whether the keeper's line stands. */
		p->shown = p->shown ||
			   (has_line(p) && ended_waiting(n->outcome->how));
		clear_line(p);
		on_ended(p, n->outcome);
		break;
	}
}

void progress_ended(struct progress *p, const struct outcome *outcome)
{
	p->line = false;
	progress_tell(p, &(struct notice){ .kind = NOTICE_ENDED,
					   .when = wall_now(),
					   .outcome = outcome });
}
