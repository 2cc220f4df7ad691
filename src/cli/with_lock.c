/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/guide.h"
#include "cli/held.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "cli/subcommand.h"
#include "util/log.h"
#include "util/text.h"

enum { PATH_ROOM = 4096 };

#define SHELL "/bin/sh"

/* Everything of one call; lives until the process ends. */
struct call_of {
	struct options options;
	struct location location;
	struct progress progress;
	struct self self;
	struct plan plan;
	char *shell[4]; /* sh -c LINE */
	char path[PATH_ROOM];
};

/* --- COMMAND ------------------------------------------------------------------------- */

static bool can_execute(const char *path, int *why)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		*why = errno;
		return false;
	}
	if (S_ISDIR(st.st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS)) {
		*why = S_ISDIR(st.st_mode) ? EISDIR : errno;
		return false;
	}
	return true;
}

/* As execvp looks: the first that can be executed, and a file that is there
 * but cannot be is remembered for the message. */
static bool search_path(char *path, size_t size, const char *word, int *why)
{
	const char *dirs = getenv("PATH");
	int worst = ENOENT;

	if (!dirs)
		dirs = "/bin:/usr/bin";
	for (;;) {
		size_t len = strcspn(dirs, ":");
		int fits = snprintf(path, size, "%.*s%s%s", (int)len, dirs,
				    len > 0 ? "/" : "./", word);

		if (fits > 0 && (size_t)fits < size) {
			if (can_execute(path, why))
				return true;
			if (*why != ENOENT && *why != ENOTDIR)
				worst = *why;
		}
		if (dirs[len] == '\0')
			break;
		dirs += len + 1;
	}
	*why = worst;
	return false;
}

/* Said before a lock is asked for: nobody should wait for hours to be told of
 * a typing error. */
static bool find_command(struct call_of *c, struct outcome *outcome)
{
	const char *word = c->options.shell_line ? SHELL : c->plan.argv[0];
	bool found;
	int why = 0;

	if (strchr(word, '/')) {
		found = text_copy(c->path, sizeof(c->path), word) &&
			can_execute(word, &why);
	} else {
		found = search_path(c->path, sizeof(c->path), word, &why);
	}
	c->plan.path = c->path;
	if (found)
		return true;
	if (why == ENOENT || why == ENOTDIR) {
		outcome->how = OUTCOME_NOT_FOUND;
		(void)err_set(&outcome->err, RC_ABSENT,
			      strchr(word, '/')
				      ? "COMMAND %.150s: no such file"
				      : "COMMAND %.150s was not found on PATH",
			      word);
	} else {
		outcome->how = OUTCOME_CANNOT_EXEC;
		(void)err_sys(&outcome->err, RC_FAILED, why,
			      "COMMAND %.150s cannot be executed", word);
	}
	return false;
}

static const char *command_name(const struct call_of *c)
{
	const char *slash = strrchr(c->plan.argv[0], '/');

	return slash && slash[1] ? slash + 1 : c->plan.argv[0];
}

static void plan_command(struct call_of *c)
{
	static char sh[] = "sh", dash_c[] = "-c";
	const struct options *o = &c->options;

	c->plan.argv = o->operands;
	if (!o->shell_line)
		return;
	c->shell[0] = sh;
	c->shell[1] = dash_c;
	/* Only lent, and argv's words are writable all the same. */
	c->shell[2] = (char *)(uintptr_t)o->shell_line;
	c->plan.argv = c->shell;
}

/* --- nested calls --------------------------------------------------------------------- */

/* An ancestor holds it already: nothing to take, nothing to guard. */
static bool run_under_own(const struct call_of *c, struct outcome *outcome)
{
	(void)execvp(c->path, c->plan.argv); /* for its scripts without #! */
	outcome->how = OUTCOME_CANNOT_EXEC;
	(void)err_sys(&outcome->err, RC_FAILED, errno,
		      "COMMAND %.150s cannot be executed", c->path);
	return false;
}

static bool check_nested(const struct call_of *c, struct outcome *outcome)
{
	const struct options *o = &c->options;
	const char *shown = c->location.shown;
	struct lock_info own;

	if (!held_find(&own, &c->plan.wish))
		return true;
	outcome->how = OUTCOME_FAILED;
	if (o->mode == LOCK_EXCLUSIVE && own.mode == LOCK_SHARED) {
		(void)err_set(&outcome->err, RC_BUSY,
			      "%.100s is held shared by process %jd, which "
			      "this call is a part of: the exclusive lock "
			      "could never be had",
			      shown, (intmax_t)own.pid);
		return false;
	}
	if (!o->reentrant) {
		(void)err_set(&outcome->err, RC_BUSY,
			      "%.100s is held already by process %jd, which "
			      "this call is a part of; --reentrant runs "
			      "COMMAND under that lock",
			      shown, (intmax_t)own.pid);
		return false;
	}
	return run_under_own(c, outcome);
}

/* --- the plan --------------------------------------------------------------------------- */

/* The one call of this process. */
static struct call_of the_call;

/* In the keeper: what looks at the location may hang, and the front must not. */
static enum rc open_lock(struct lock **lock, const struct lock_wish *wish,
			 const struct call *call, struct err *e)
{
	const struct call_of *c = &the_call;
	enum rc rc = guide_check(&c->location, &c->options, c->plan.argv, e);

	if (rc != RC_OK)
		return rc;
	guide_hint(&c->location, &c->options);
	return lock_open(lock, wish, call, e);
}

static void plan_lock(struct call_of *c)
{
	const struct options *o = &c->options;
	struct plan *plan = &c->plan;

	self_fill(&c->self);
	plan->wish = place_wish(&c->location, o, &c->self);
	plan->wish.command = command_name(c);
	plan->wait = o->wait;
	plan->max_hold = o->max_hold;
	plan->grace = o->kill_after;
	plan->on_lost = (enum supervise_on_lost)o->on_lost;
	plan->descendants = (enum supervise_descendants)o->descendants;
	plan->quiet_wait = !o->events &&
			   (o->loudness < 0 || o->progress == PROGRESS_NEVER);
	plan->tell_every = c->progress.line ? NSEC_PER_SEC : 0;
	plan->open = open_lock;
	plan->tell = progress_tell;
	plan->context = &c->progress;
}

static bool prepare(struct call_of *c, char **argv, struct outcome *outcome)
{
	enum rc rc;

	outcome->how = OUTCOME_FAILED;
	rc = place_parse(&c->location, &c->options, &outcome->err);
	if (rc != RC_OK)
		return false;
	c->progress.location = c->location.shown;
	plan_command(c);
	rc = place_settle(&c->location, &c->options, argv, &outcome->err);
	if (c->options.loudness > 1)
		log_enable_debug();
	if (rc != RC_OK || !find_command(c, outcome))
		return false;
	plan_lock(c);
	return check_nested(c, outcome);
}

static int run(const struct subcommand *self, char **argv, char **words)
{
	struct call_of *c = &the_call;
	struct outcome outcome = { .how = OUTCOME_FAILED };
	enum rc rc = options_parse(&c->options, self, words, &outcome.err);

	if (rc != RC_OK) {
		say_usage(self->name, &outcome.err);
		return exit_failed();
	}
	if (c->options.help || c->options.version)
		return options_answer(&c->options, self);
	rc = progress_open(&c->progress, &c->options, &outcome.err);
	if (rc != RC_OK) {
		say_usage(self->name, &outcome.err);
		return exit_failed();
	}
	if (prepare(c, argv, &outcome)) {
		supervise(&c->plan, &outcome);
	} else {
		exit_decided();
		progress_ended(&c->progress, &outcome);
	}
	exit_as(&outcome, &c->options.exits);
}

const struct subcommand subcommand_with_lock = {
	.name = "with-lock",
	.summary = "Run COMMAND while a lock on a repository is held.",
	.usage = "[-r LOCATION] [OPTIONS] [--] COMMAND [ARG...]",
	.notes = "DURATION: 90, 90s, 1.5m, 2h, 1d, 1h30m; a bare number is "
		 "seconds.\n",
	.exits = exit_lines_with_lock,
	.owner = OPTION_WITH_LOCK,
	.run = run,
};
