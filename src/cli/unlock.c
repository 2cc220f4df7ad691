/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/errand.h"
#include "cli/say.h"
#include "cli/subcommand.h"
#include "cli/survey.h"
#include "cli/table.h"
#include "util/log.h"
#include "util/text.h"

/* A line: a holder, an id, and a sentence with many escapes. */
enum { PHRASE = 2048, MOST_OF_WHY = 600 };

/* One run of unlock. */
struct breaking {
	const struct options *o;
	struct survey survey;
	size_t id_length;
	bool stays; /* one that was named or asked for is still there */
	bool failed;
};

/* --- which --------------------------------------------------------------------------- */

static bool has_prefix(const struct lock_info *info, const char *prefix)
{
	return strncmp(info->id, prefix, strlen(prefix)) == 0;
}

/* The ids that begin so, for the sentence about too many of them. */
static void name_several(char *out, size_t size, const struct survey *s,
			 const char *prefix)
{
	struct text t = text_begin(out, size);

	for (size_t i = 0; i < s->count; i++) {
		if (has_prefix(s->infos[i], prefix))
			text_addf(&t, "%s%.20s", t.len > 0 ? ", " : "",
				  s->infos[i]->id);
	}
}

/* Every ID must name one lock before anything is removed. */
static enum rc check_ids(const struct breaking *b, struct err *e)
{
	const struct survey *s = &b->survey;
	char several[120];

	for (char **id = b->o->operands; *id; id++) {
		size_t matches = 0;

		for (size_t i = 0; i < s->count; i++) {
			/* A whole id is meant even where it begins another. */
			if (strcmp(s->infos[i]->id, *id) == 0) {
				matches = 1;
				break;
			}
			matches += has_prefix(s->infos[i], *id);
		}
		if (matches == 0)
			return err_set(e, RC_ABSENT,
				       "no lock on %.100s has an ID that "
				       "begins with '%.40s'",
				       s->location.shown, *id);
		if (matches > 1) {
			name_several(several, sizeof(several), s, *id);
			return err_set(e, RC_MALFORMED,
				       "'%.40s' begins several IDs: %s; give "
				       "more of the one that is meant",
				       *id, several);
		}
	}
	return RC_OK;
}

static bool is_exactly_one(const struct survey *s, const char *id)
{
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->infos[i]->id, id) == 0)
			return true;
	}
	return false;
}

static bool is_chosen(const struct breaking *b, const struct lock_info *info)
{
	if (b->o->operand_count == 0)
		return true;
	for (char **id = b->o->operands; *id; id++) {
		if (is_exactly_one(&b->survey, *id) ? strcmp(info->id, *id) == 0
						    : has_prefix(info, *id))
			return true;
	}
	return false;
}

/* --- what is said ----------------------------------------------------------------------- */

/* "exclusive lease lock 3f2a91bc of root@host (pid 12, restic)" */
static void describe(struct text *t, const struct breaking *b,
		     const struct lock_info *info)
{
	char holder[TABLE_HOLDER_SIZE], id[sizeof(info->id)];
	struct text cut = text_begin(id, sizeof(id));

	text_addf(&cut, "%.*s", (int)b->id_length, info->id);
	text_addf(t, "%s %s lock ",
		  info->state == LOCK_WAITING ? "waiting"
					      : lock_mode_word(info->mode),
		  info->protocol);
	text_add_printable(t, id);
	text_addf(t, " of %s", table_holder(holder, sizeof(holder), info));
}

static void report(const struct breaking *b, const struct lock_info *info,
		   const char *done, const char *why)
{
	char line[PHRASE];
	struct text t = text_begin(line, sizeof(line));

	text_addf(&t, "%s ", done);
	describe(&t, b, info);
	if (*why) {
		text_add(&t, ": ");
		text_add_printable(&t, why);
	}
	(void)puts(line);
	(void)fflush(stdout);
}

static void report_gone(const struct breaking *b, const struct lock_info *info,
			bool forced)
{
	report(b, info, b->o->dry_run ? "would break" : "broke",
	       forced && !info->detail[0] ? "forced" : info->detail);
}

/* --- breaking ------------------------------------------------------------------------------ */

static enum rc remove_one(const struct survey_found *found,
			  struct lock_info *info, bool force, bool dry_run,
			  struct err *e)
{
	const char *name = found->info.name;
	struct lock_remove what = { .id = found->info.id,
				    .name = *name ? name : NULL,
				    .force = force,
				    .dry_run = dry_run };

	*info = found->info;
	return found->lock->ops->remove(found->lock, &what, info,
					&CALL_UNLIMITED, e);
}

static bool agreed(const struct breaking *b, const struct lock_info *info,
		   const char *why)
{
	char question[PHRASE];
	struct text t = text_begin(question, sizeof(question));
	bool yes;

	if (b->o->yes || b->o->dry_run || !ask_possible())
		return true;
	text_add(&t, "repolock: ");
	describe(&t, b, info);
	text_add(&t, ": ");
	text_add_part(&t, why, MOST_OF_WHY);
	text_add(&t, ". Break it?");
	errand_aside(true);
	yes = ask_yes(question);
	errand_aside(false);
	return yes;
}

static void settle(struct breaking *b, const struct survey_found *found)
{
	const struct options *o = b->o;
	struct lock_info info;
	struct err e = { 0 };
	bool forced = false;
	enum rc rc;

	/* Judged first, so that only live ones are asked about. */
	rc = remove_one(found, &info, false, o->force || o->dry_run, &e);
	if (rc == RC_BUSY && o->force) {
		if (!agreed(b, &info, e.text)) {
			report(b, &found->info, "kept", "not agreed to");
			b->stays = true;
			return;
		}
		forced = true;
	}
	if (o->force && (rc == RC_OK || rc == RC_BUSY))
		rc = remove_one(found, &info, forced, o->dry_run, &e);
	switch (rc) {
	case RC_OK:
		report_gone(b, &info, forced);
		break;
	case RC_ABSENT: /* gone in between: what was asked for */
		if (o->loudness > 0)
			report(b, &found->info, "gone already:", "");
		break;
	case RC_BUSY:
		report(b, &found->info, "kept", e.text);
		b->stays = b->stays || o->operand_count > 0 || o->all;
		break;
	case RC_LOST:
	case RC_EXISTS:
	case RC_UNKNOWN:
	case RC_RETRY:
	case RC_CANCELLED:
	case RC_DENIED:
	case RC_MALFORMED:
	case RC_UNSUPPORTED:
	case RC_FAILED:
		say_err(&e);
		b->failed = true;
		break;
	}
}

static enum rc break_all(struct breaking *b, struct err *e)
{
	struct survey *s = &b->survey;
	enum rc rc = survey_look(s, e);

	if (rc == RC_OK)
		rc = check_ids(b, e);
	if (rc != RC_OK)
		return rc;
	b->id_length = table_id_length(s->infos, s->count);
	for (size_t i = 0; i < s->count; i++) {
		if (is_chosen(b, s->infos[i]))
			settle(b, &s->found[i]);
	}
	return RC_OK;
}

/* In the child. */
static int unlock(void *context)
{
	struct breaking *b = context;
	struct survey *s = &b->survey;
	struct err e;
	enum rc rc = survey_open(s, &e);

	if (rc == RC_OK)
		rc = break_all(b, &e);
	if (rc == RC_OK && !s->complete)
		say("%s; the leases alone are at lease:%s", s->why.text,
		    s->location.shown);
	if (rc != RC_OK)
		say_err(&e);
	if (rc != RC_OK || !s->complete)
		b->failed = true;
	survey_close(s);
	return b->failed ? exit_failed() : exit_unlocked(b->stays);
}

static int run(const struct subcommand *self, char **argv, char **words)
{
	struct options o;
	struct breaking b = { .o = &o };
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
	rc = survey_begin(&b.survey, &o, argv, &e);
	if (rc != RC_OK)
		say_err(&e);
	status = rc == RC_OK ? survey_errand(&b.survey, argv, unlock, &b)
			     : exit_failed();
	survey_close(&b.survey);
	return status;
}

const struct subcommand subcommand_unlock = {
	.name = "unlock",
	.summary = "Break stale locks of a repository, or those that are "
		   "named.",
	.usage = "[-r LOCATION] [OPTIONS] [ID...]",
	.notes = "Without ID: every lock that is proved stale. ID: what "
		 "list-locks shows, or a\nunique beginning of it.\n",
	.exits = exit_lines_unlock,
	.owner = OPTION_UNLOCK,
	.run = run,
};
