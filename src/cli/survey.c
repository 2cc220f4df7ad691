/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/errand.h"
#include "cli/place.h"
#include "lock/registry.h"

/* A listing of more is not one that a person or a program could use. */
enum { FIRST_ROOM = 16, MOST = 100000 };

static bool is_named(const struct location *location)
{
	const struct lock_scheme *s = lock_scheme_find(location->scheme);

	return s && s->ops && s->ops->named;
}

static bool ask(const char *prompt, char *answer, size_t size)
{
	bool answered;

	errand_aside(true);
	answered = ask_secret(prompt, answer, size);
	errand_aside(false);
	return answered;
}

static enum rc open_one(struct survey *s, const struct location *location,
			struct err *e)
{
	struct lock_wish wish = place_wish(location, s->o, &s->self);
	enum rc rc;

	wish.ask = ask;
	wish.aside = errand_aside;
	wish.listing = true;
	/* Of several leases all are meant, unless one was chosen. */
	wish.name_given = wish.name_given ||
			  (s->o->name_chosen && is_named(location));
	rc = lock_open(&s->locks[s->lock_count], &wish, &CALL_UNLIMITED, e);
	if (rc == RC_OK)
		s->lock_count++;
	return rc;
}

/* The repository's own locks. What goes wrong with them does not hide the
 * leases: it is kept, and told at the end. */
static enum rc open_native(struct survey *s, enum place_kind kind, struct err *e)
{
	const char *word = place_word(kind);
	const struct lock_scheme *scheme = lock_scheme_find(word);
	char *text = NULL;
	enum rc rc;

	if (!scheme)
		return RC_OK;
	if (kind == PLACE_RESTIC && !place_keys_are_ours(&s->location))
		return err_set(e, RC_DENIED,
			       "its restic locks are not shown: others may have "
			       "put its keys there, and no password is tried "
			       "on those unasked; to see them: -r restic:%.110s",
			       s->location.shown);
	if (!scheme->ops && !s->no_native)
		errand_elsewhere();
	if (!scheme->ops)
		return err_context(e, RC_UNSUPPORTED, "the %s locks in %s",
				   word, s->location.shown);
	if (asprintf(&text, "%s:%s", word, s->location.rest) < 0)
		return err_sys(e, RC_RETRY, ENOMEM, "the location");
	rc = location_parse(&s->native, text, e);
	if (rc == RC_OK)
		rc = open_one(s, &s->native, e);
	free(text);
	return rc;
}

enum rc survey_begin(struct survey *s, const struct options *o, char **argv,
		     struct err *e)
{
	enum rc rc;

	*s = (struct survey){ .o = o, .complete = true };
	rc = place_parse(&s->location, o, e);
	return rc == RC_OK ? place_settle(&s->location, o, argv, e) : rc;
}

int survey_errand(struct survey *s, char **argv, int (*work)(void *context),
		  void *context)
{
	const struct errand errand = { .place = s->location.shown,
				       .quiet = s->o->loudness < 0,
				       .work = work,
				       .context = context };
	bool elsewhere;
	int status;

	for (;;) {
		status = errand_run(&errand, &elsewhere);
		if (!elsewhere)
			return status;
		(void)place_exec_native(argv, &s->why);
		/* Without it there is less to be seen. */
		s->no_native = true;
	}
}

enum rc survey_open(struct survey *s, struct err *e)
{
	enum place_kind kind;

	self_fill(&s->self);
	/* A name is that of a lease; the others have none. */
	kind = s->o->name_chosen ? PLACE_PLAIN : place_look(&s->location);
	if (kind != PLACE_PLAIN && open_native(s, kind, &s->why) != RC_OK)
		s->complete = false;
	return open_one(s, &s->location, e);
}

static bool make_room(struct survey *s)
{
	size_t room = s->room ? 2 * s->room : FIRST_ROOM;
	struct survey_found *more;

	if (s->count < s->room)
		return true;
	if (room > MOST)
		return false;
	more = realloc(s->found, room * sizeof(*more));
	if (!more)
		return false;
	s->found = more;
	s->room = room;
	return true;
}

struct looking {
	struct survey *survey;
	struct lock *lock;
	bool full;
};

static bool look_at(void *context, const struct lock_info *info)
{
	struct looking *l = context;
	struct survey *s = l->survey;

	if (!make_room(s)) {
		l->full = true;
		return false;
	}
	s->found[s->count++] = (struct survey_found){ .info = *info,
						      .lock = l->lock };
	return true;
}

static int holders_first(const void *a, const void *b)
{
	const struct survey_found *one = a, *two = b;
	bool one_waits = one->info.state == LOCK_WAITING;
	bool two_waits = two->info.state == LOCK_WAITING;

	return one_waits - two_waits;
}

static enum rc index_infos(struct survey *s, struct err *e)
{
	free(s->infos);
	s->infos = calloc(s->count + 1, sizeof(const struct lock_info *));
	if (!s->infos)
		return err_sys(e, RC_RETRY, ENOMEM, "the list of locks");
	for (size_t i = 0; i < s->count; i++)
		s->infos[i] = &s->found[i].info;
	return RC_OK;
}

enum rc survey_look(struct survey *s, struct err *e)
{
	enum rc rc = RC_OK;

	s->count = 0;
	/* The last opened is the location's own protocol: shown first. */
	for (size_t i = s->lock_count; i > 0 && rc == RC_OK; i--) {
		struct looking l = { .survey = s, .lock = s->locks[i - 1] };

		rc = l.lock->ops->list(l.lock, look_at, &l, &CALL_UNLIMITED, e);
		if (l.full)
			rc = err_set(e, RC_FAILED,
				     "%.120s: more locks than can be listed",
				     s->location.shown);
	}
	if (rc != RC_OK)
		return rc;
	if (s->count > 1 && s->lock_count > 1)
		qsort(s->found, s->count, sizeof(s->found[0]), holders_first);
	return index_infos(s, e);
}

void survey_close(struct survey *s)
{
	for (size_t i = 0; i < s->lock_count; i++)
		lock_close(s->locks[i]);
	location_release(&s->location);
	location_release(&s->native);
	free(s->found);
	free(s->infos);
}
