/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/errand.h"
#include "cli/say.h"
#include "cli/subcommand.h"
#include "cli/survey.h"
#include "cli/table.h"
#include "util/log.h"
#include "util/text.h"

enum { OUTPUT_CEILING = 256 << 20, LOCATION_SHOWN = 1024 };

static struct table_look look_now(void)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	struct table_look look = { .now = wall_now() };
	struct winsize size;

	if (isatty(STDOUT_FILENO) != 1)
		return look;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		look.width = size.ws_col;
	look.colour = (!no_color || !*no_color) && term && *term &&
		      strcmp(term, "dumb") != 0;
	return look;
}

static enum rc render(struct buf *out, const struct survey *s,
		      const struct options *o, struct err *e)
{
	struct table_look look = look_now();
	char location[4 * LOCATION_SHOWN];

	if (o->json)
		return table_json(out, s->location.shown, s->infos, s->count,
				  s->complete, look.now, e);
	(void)text_printable(location, sizeof(location), s->location.shown);
	/* Redrawn in place on a terminal; elsewhere one after the other. */
	if (o->watch && look.width > 0 &&
	    buf_printf(out, e, "\033[H\033[J%s, every %.1f s\n\n", location,
		       (double)o->interval / (double)NSEC_PER_SEC) != RC_OK)
		return RC_FAILED;
	if (s->count == 0 && look.width > 0)
		return buf_printf(out, e, "no locks on %s\n", location);
	return table_show(out, s->infos, s->count, &look, e);
}

static enum rc print(const struct buf *out, struct err *e)
{
	const char *data = buf_text(out);
	size_t left = out->len;

	while (left > 0) {
		ssize_t put = write(STDOUT_FILENO, data, left);

		if (put < 0)
			return err_set(e, RC_FAILED,
				       "the list could not be written");
		data += put;
		left -= (size_t)put;
	}
	return RC_OK;
}

static enum rc show_once(struct survey *s, const struct options *o, struct err *e)
{
	struct buf out;
	enum rc rc = survey_look(s, e);

	if (rc != RC_OK)
		return rc;
	buf_init(&out, OUTPUT_CEILING);
	rc = render(&out, s, o, e);
	errand_aside(true); /* whoever reads it */
	if (rc == RC_OK)
		rc = print(&out, e);
	buf_release(&out);
	return rc;
}

/* A store that cannot be reached for a while does not end the watching. */
static enum rc watch(struct survey *s, const struct options *o, struct err *e)
{
	for (;;) {
		enum rc rc = show_once(s, o, e);

		if (rc == RC_RETRY || rc == RC_UNKNOWN)
			say_err(e);
		else if (rc != RC_OK)
			return rc;
		errand_aside(true);
		(void)call_pause(&CALL_UNLIMITED, o->interval, e);
		errand_aside(false);
	}
}

static int exit_for(const struct survey *s, const struct options *o)
{
	bool exclusive = false, shared = false;

	if (!s->complete)
		return exit_failed();
	if (!o->exit_code)
		return 0;
	for (size_t i = 0; i < s->count; i++) {
		const struct lock_info *lock = s->infos[i];

		if (lock->state == LOCK_WAITING || lock->state == LOCK_STALE)
			continue;
		if (lock->state == LOCK_UNREADABLE || lock->mode == LOCK_EXCLUSIVE)
			exclusive = true;
		else
			shared = true;
	}
	return exit_listed(exclusive, shared);
}

/* In the child. */
static int list(void *context)
{
	struct survey *s = context;
	const struct options *o = s->o;
	struct err e;
	enum rc rc = survey_open(s, &e);
	int status;

	if (rc == RC_OK)
		rc = o->watch ? watch(s, o, &e) : show_once(s, o, &e);
	if (rc == RC_OK && !s->complete)
		say("%s; the leases alone are at lease:%s", s->why.text,
		    s->location.shown);
	if (rc != RC_OK)
		say_err(&e);
	status = rc == RC_OK ? exit_for(s, o) : exit_failed();
	survey_close(s);
	return status;
}

static int run(const struct subcommand *self, char **argv, char **words)
{
	struct options o;
	struct survey s;
	struct err e;
	enum rc rc = options_parse(&o, self, words, &e);
	int status;

	if (rc != RC_OK) {
		say_usage(self->name, &e);
		return exit_failed();
	}
	if (o.help || o.version)
		return options_answer(&o, self);
	if (o.loudness > 1)
		log_enable_debug();
	rc = survey_begin(&s, &o, argv, &e);
	if (rc != RC_OK)
		say_err(&e);
	status = rc == RC_OK ? survey_errand(&s, argv, list, &s) : exit_failed();
	survey_close(&s);
	return status;
}

const struct subcommand subcommand_list_locks = {
	.name = "list-locks",
	.summary = "List who holds, and who waits for, the locks of a "
		   "repository.",
	.usage = "[-r LOCATION] [OPTIONS]",
	.exits = exit_lines_list_locks,
	.owner = OPTION_LIST_LOCKS,
	.run = run,
};
