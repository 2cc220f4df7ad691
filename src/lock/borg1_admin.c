/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/borg1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* How long a removal waits for its turn at the roster. */
#define REMOVE_PATIENCE (2 * NSEC_PER_SEC)

/* A survey that met what may just be being made is made again for so long. */
#define SETTLE_PATIENCE NSEC_PER_SEC
#define SETTLE_PAUSE (20 * NSEC_PER_MSEC)
/* Removing many, one after the other, looks no more often than this. */
#define SURVEY_GOOD_FOR NSEC_PER_SEC

enum found_kind {
	FOUND_FILE,    /* in lock.exclusive */
	FOUND_EMPTY,   /* lock.exclusive without a file */
	FOUND_ROSTER,  /* lock.roster that cannot be read */
	FOUND_ENTRY,   /* in lock.roster */
	FOUND_PRIVATE, /* lock.exclusive.*.tmp: somebody waits, or waited */
	FOUND_REST     /* there is more, which was not looked at */
};

struct found {
	enum found_kind kind;
	char name[BORG1_NAME_MAX + 1]; /* of the file or directory */
	struct borg_owner owner;
	struct lock_info info;
	bool gone; /* by our own doing */
};

/* More are not judged, nor shown: there is work and memory in each. */
enum { FOUND_MAX = 2000 };

struct borg1_survey {
	struct found *at;
	size_t count, room;
	bool more;      /* than FOUND_MAX */
	bool unsettled; /* there is what may just be being made */
	struct boot made;
	struct borg_entries top, files;
};

static void survey_clear(struct borg1_survey *s)
{
	s->count = 0;
	s->more = s->unsettled = false;
	s->made = (struct boot){ 0 };
}

void borg1_survey_free(struct borg1_survey *s)
{
	if (!s)
		return;
	borg_entries_release(&s->files);
	borg_entries_release(&s->top);
	free(s->at);
	free(s);
}

static enum rc survey_of(struct borg1_lock *l, struct borg1_survey **s,
			 struct err *e)
{
	if (!l->survey)
		l->survey = calloc(1, sizeof(*l->survey));
	*s = l->survey;
	return *s ? RC_OK : err_set(e, RC_RETRY, "no memory to list locks");
}

/* Room for one more; NULL: there is to be none, or rc. */
static struct found *found_add(struct borg1_survey *s, enum found_kind kind,
			       const char *name, enum rc *rc, struct err *e)
{
	size_t room = s->room ? 2 * s->room : 16;
	struct found *f;

	if (s->count >= FOUND_MAX && kind != FOUND_REST) {
		s->more = true;
		return NULL;
	}
	if (s->count == s->room) {
		struct found *more = reallocarray(s->at, room, sizeof(*more));

		if (!more) {
			*rc = err_set(e, RC_RETRY, "no memory to list locks");
			return NULL;
		}
		s->at = more;
		s->room = room;
	}
	f = &s->at[s->count++];
	*f = (struct found){ .kind = kind };
	text_copy(f->name, sizeof(f->name), name);
	return f;
}

static enum rc survey_files(struct borg1_lock *l, struct borg1_survey *s,
			    const struct call *call, struct err *e)
{
	enum rc rc = borg1_list_exclusive(l, &s->files, call, e);

	for (size_t i = 0; rc == RC_OK && i < s->files.count; i++) {
		const struct borg_entry *file = &s->files.at[i];
		struct found *f = found_add(s, FOUND_FILE, file->name, &rc, e);

		if (!f)
			break;
		(void)borg1_name_parse(&f->owner, f->name);
		rc = borg1_describe_file(l, file, &f->info, e);
	}
	return rc;
}

static bool has_file(const struct borg1_survey *s, const struct borg_owner *owner)
{
	char name[BORG1_NAME_MAX + 1];
	struct err ignored;

	if (borg1_name_format(name, owner, &ignored) != RC_OK)
		return false;
	for (size_t i = 0; i < s->files.count; i++) {
		if (strcmp(name, s->files.at[i].name) == 0)
			return true;
	}
	return false;
}

static enum rc survey_shared(struct borg1_lock *l, struct borg1_survey *s,
			     const struct borg_roster *r,
			     const struct store_tag *tag, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < borg_roster_count(r, LOCK_SHARED);
	     i++) {
		struct found *f = found_add(s, FOUND_ENTRY, ROSTER, &rc, e);

		if (!f)
			break;
		borg_roster_at(r, LOCK_SHARED, i, &f->owner);
		rc = borg1_describe_entry(l, &f->owner, LOCK_SHARED, tag->time,
					  &f->info, e);
	}
	return rc;
}

/* The entry of an exclusive lock is that lock, found already; one without its
 * file was left by a crash, unless it is being made or removed. */
static enum rc survey_left_behind(struct borg1_lock *l, struct borg1_survey *s,
				  const struct borg_roster *r,
				  const struct store_tag *tag, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0;
	     rc == RC_OK && i < borg_roster_count(r, LOCK_EXCLUSIVE); i++) {
		struct borg_owner owner;
		struct found *f;

		borg_roster_at(r, LOCK_EXCLUSIVE, i, &owner);
		if (has_file(s, &owner))
			continue;
		s->unsettled = s->unsettled || borg_changed_lately(tag);
		f = found_add(s, FOUND_ENTRY, ROSTER, &rc, e);
		if (!f)
			break;
		f->owner = owner;
		rc = borg1_describe_entry(l, &owner, LOCK_EXCLUSIVE, tag->time,
					  &f->info, e);
		text_copy(f->info.detail, sizeof(f->info.detail),
			  "an entry of " ROSTER
			  " without its file in " EXCLUSIVE "; blocks nobody");
	}
	return rc;
}

static enum rc survey_roster(struct borg1_lock *l, struct borg1_survey *s,
			     const struct call *call, struct err *e)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	enum rc rc = borg1_roster_survey(l, &r, &tag, call, e);

	if (rc == RC_OK)
		rc = survey_shared(l, s, &r, &tag, e);
	if (rc == RC_OK)
		rc = survey_left_behind(l, s, &r, &tag, e);
	else if (rc == RC_MALFORMED) {
		struct err why = *e;
		struct found *f;

		rc = RC_OK;
		f = found_add(s, FOUND_ROSTER, ROSTER, &rc, e);
		if (f)
			rc = borg1_describe_muddle(&f->info, &tag, &why, e);
	}
	borg_roster_release(&r);
	return rc;
}

/* borg keeps its private directory while it waits. */
static enum rc survey_private(struct borg1_lock *l, struct borg1_survey *s,
			      const struct borg_entry *dir,
			      const struct call *call, struct err *e)
{
	struct borg_entries files = { 0 };
	char prefix[BORG1_NAME_MAX + 2];
	enum rc rc = RC_OK;
	struct found *f = found_add(s, FOUND_PRIVATE, dir->name, &rc, e);

	if (!f)
		return rc;
	borg1_info_begin(&f->info, LOCK_EXCLUSIVE);
	(void)snprintf(prefix, sizeof(prefix), "%s/", dir->name);
	rc = borg_entries_list(&files, l->store, prefix, call, e);
	liveness_inside_forget(&l->inside);
	if (rc == RC_OK && files.count == 1 &&
	    borg1_name_parse(&f->owner, files.at[0].name)) {
		borg1_info_judge(l, &f->info, &f->owner, files.at[0].tag.time,
				 false);
		if (f->info.state == LOCK_HELD)
			f->info.state = LOCK_WAITING;
	} else {
		/* Without a file yet, or moved away since it was listed. */
		s->unsettled = s->unsettled || borg_changed_lately(&dir->tag);
		f->info.state = LOCK_UNREADABLE;
	}
	if (f->info.detail[0] == '\0')
		(void)snprintf(f->info.detail, sizeof(f->info.detail),
			       "%.80s: somebody waits, or a crash left it",
			       dir->name);
	borg_entries_release(&files);
	f->info.since = dir->tag.time;
	return rc == RC_OK ? borg1_file_id(&f->info, dir, e) : rc;
}

static bool is_private(const struct borg_entry *f)
{
	size_t prefix = strlen(EXCLUSIVE "."), suffix = strlen(PRIVATE_SUFFIX);
	size_t len = strlen(f->name);

	return f->directory && len > prefix + suffix &&
	       strncmp(f->name, EXCLUSIVE ".", prefix) == 0 &&
	       strcmp(f->name + len - suffix, PRIVATE_SUFFIX) == 0;
}

static enum rc survey_empty(struct borg1_survey *s,
			    const struct borg_entry *dir, struct err *e)
{
	enum rc rc = RC_OK;
	struct found *f = found_add(s, FOUND_EMPTY, EXCLUSIVE, &rc, e);

	if (!f)
		return rc;
	s->unsettled = s->unsettled || borg_changed_lately(&dir->tag);
	borg1_info_begin(&f->info, LOCK_EXCLUSIVE);
	f->info.since = dir->tag.time;
	f->info.state = LOCK_UNREADABLE;
	text_copy(f->info.detail, sizeof(f->info.detail),
		  EXCLUSIVE " without a file in it; blocks nobody for long");
	return borg1_file_id(&f->info, dir, e);
}

static enum rc survey_top(struct borg1_lock *l, struct borg1_survey *s,
			  const struct call *call, struct err *e)
{
	enum rc rc = borg_entries_list(&s->top, l->store, "", call, e);

	for (size_t i = 0; rc == RC_OK && !s->more && i < s->top.count; i++) {
		const struct borg_entry *f = &s->top.at[i];

		if (s->files.count == 0 && f->directory &&
		    strcmp(f->name, EXCLUSIVE) == 0)
			rc = survey_empty(s, f, e);
		else if (is_private(f))
			rc = survey_private(l, s, f, call, e);
	}
	return rc;
}

/* What was left out is not to be taken for absent. */
static enum rc survey_rest(struct borg1_survey *s, struct err *e)
{
	struct borg_entry none = { .name = "" };
	enum rc rc = RC_OK;
	struct found *f = found_add(s, FOUND_REST, "", &rc, e);

	if (!f)
		return rc;
	borg1_info_begin(&f->info, LOCK_EXCLUSIVE);
	f->info.state = LOCK_UNREADABLE;
	(void)snprintf(f->info.detail, sizeof(f->info.detail),
		       "there are more, of which only the first %d were looked "
		       "at; unlock, then look again",
		       FOUND_MAX);
	return borg1_file_id(&f->info, &none, e);
}

static enum rc survey_once(struct borg1_lock *l, struct borg1_survey *s,
			   const struct call *call, struct err *e)
{
	enum rc rc;

	survey_clear(s);
	rc = survey_files(l, s, call, e);
	if (rc == RC_OK)
		rc = survey_roster(l, s, call, e);
	if (rc == RC_OK)
		rc = survey_top(l, s, call, e);
	if (rc == RC_OK && s->more)
		rc = survey_rest(s, e);
	return rc;
}

/* *made is the lock's own. */
static enum rc survey(struct borg1_lock *l, struct borg1_survey **made,
		      const struct call *call, struct err *e)
{
	struct boot until = boot_add(boot_now(), SETTLE_PATIENCE);
	struct borg1_survey *s = NULL;
	struct err ignored;
	enum rc rc = survey_of(l, &s, e);

	if (rc != RC_OK)
		return rc;
	do
		rc = survey_once(l, s, call, e);
	while (rc == RC_OK && s->unsettled && !boot_reached(boot_now(), until) &&
	       call_pause(call, SETTLE_PAUSE, &ignored) == RC_OK);
	if (rc != RC_OK) {
		survey_clear(s);
		return rc;
	}
	s->made = boot_now();
	*made = s;
	return RC_OK;
}

enum rc borg1_list(struct lock *lock, lock_seen *seen, void *context,
		   const struct call *call, struct err *e)
{
	struct borg1_survey *s = NULL;
	enum rc rc = survey(borg1_of(lock), &s, call, e);

	for (size_t i = 0; rc == RC_OK && i < s->count; i++) {
		if (!seen(context, &s->at[i].info))
			break;
	}
	return rc;
}

/* RC_ABSENT: no such lock, any more. */
static enum rc find_id(struct borg1_lock *l, const char *id, struct found **f,
		       const struct call *call, struct err *e)
{
	struct borg1_survey *s = l->survey;

	if (!s || s->made.ns == 0 ||
	    boot_until(s->made, boot_now()) > SURVEY_GOOD_FOR) {
		enum rc rc = survey(l, &s, call, e);

		if (rc != RC_OK)
			return rc;
	}
	for (size_t i = 0; i < s->count; i++) {
		*f = &s->at[i];
		if (!(*f)->gone && strcmp((*f)->info.id, id) == 0)
			return RC_OK;
	}
	return err_set(e, RC_ABSENT, "there is no lock %.72s", id);
}

/* lock.exclusive, without which the roster must not be changed. */
static enum rc take_for_edit(struct borg1_lock *l, nsec patience,
			     const struct call *call, struct err *e)
{
	enum rc rc = borg1_take_patiently(l, patience, call, e);
	struct err why = *e;

	if (rc != RC_BUSY && rc != RC_RETRY)
		return rc;
	return err_set(e, RC_BUSY,
		       "%.120s, and " ROSTER
		       " must not be changed until it is free",
		       why.text);
}

/* An entry of anybody's, with lock.exclusive taken for it. */
static enum rc remove_entry(struct borg1_lock *l, const struct borg_owner *owner,
			    enum lock_mode mode, nsec patience,
			    const struct call *call, struct err *e)
{
	struct err why;
	enum rc rc = take_for_edit(l, patience, call, e);

	if (rc != RC_OK)
		return rc;
	rc = borg1_delist(l, owner, mode, call, e);
	(void)borg1_leave(l, call, &why);
	return rc == RC_LOST ? RC_ABSENT : rc;
}

/* The same process may have given its lock up, and have another under the
 * same name. RC_ABSENT: it has, or none. */
static enum rc is_that_file(struct borg1_lock *l, const struct found *f,
			    const struct call *call, struct err *e)
{
	char name[sizeof(EXCLUSIVE "/") + BORG1_NAME_MAX];
	struct borg_entry now = { 0 };
	struct lock_info info;
	struct buf text;
	enum rc rc;

	(void)snprintf(name, sizeof(name), EXCLUSIVE "/%s", f->name);
	text_copy(now.name, sizeof(now.name), f->name);
	buf_init(&text, ROSTER_SIZE_MAX);
	rc = l->store->ops->get(l->store, name, &text, &now.tag, call, e);
	buf_release(&text);
	/* What can have no tag was no lock of borg's to begin with. */
	if (rc == RC_MALFORMED || rc == RC_DENIED)
		return RC_OK;
	if (rc == RC_OK)
		rc = borg1_file_id(&info, &now, e);
	if (rc == RC_OK && strcmp(info.id, f->info.id) != 0)
		rc = err_set(e, RC_ABSENT, "there is no lock %.72s", f->info.id);
	return rc;
}

static enum rc remove_file(struct borg1_lock *l, const struct found *f,
			   const struct call *call, struct err *e)
{
	struct err why;
	enum rc rc = is_that_file(l, f, call, e);

	if (rc == RC_OK)
		rc = borg1_del_below(l, EXCLUSIVE, f->name, call, e);
	if (rc != RC_OK)
		return rc;
	borg1_tidy_exclusive(l, call);
	/* What it wrote into the roster would only be litter. */
	if (f->info.state != LOCK_UNREADABLE)
		(void)remove_entry(l, &f->owner, LOCK_EXCLUSIVE, 0, call, &why);
	return RC_OK;
}

static enum rc remove_private(struct borg1_lock *l, const struct found *f,
			      const struct call *call, struct err *e)
{
	struct borg_entries files = { 0 };
	char prefix[BORG1_NAME_MAX + 2];
	enum rc rc;

	(void)snprintf(prefix, sizeof(prefix), "%s/", f->name);
	rc = borg_entries_list(&files, l->store, prefix, call, e);
	for (size_t i = 0; rc == RC_OK && i < files.count; i++) {
		rc = borg1_del_below(l, f->name, files.at[i].name, call, e);
		rc = rc == RC_ABSENT ? RC_OK : rc;
	}
	borg_entries_release(&files);
	return rc != RC_OK ? rc : borg1_del_below(l, f->name, "", call, e);
}

/* Taken for it like any edit, so that no writer is in the middle of one. */
static enum rc remove_muddle(struct borg1_lock *l, const struct call *call,
			     struct err *e)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	struct err why;
	enum rc rc = take_for_edit(l, REMOVE_PATIENCE, call, e);

	if (rc != RC_OK)
		return rc;
	rc = borg1_roster_survey(l, &r, &tag, call, e);
	if (rc == RC_MALFORMED)
		rc = l->store->ops->del(l->store, ROSTER, call, e);
	else if (rc == RC_OK)
		rc = err_set(e, RC_ABSENT, ROSTER " can be read again");
	borg_roster_release(&r);
	(void)borg1_leave(l, call, &why);
	return rc;
}

static enum rc remove_found(struct borg1_lock *l, const struct found *f,
			    const struct call *call, struct err *e)
{
	switch (f->kind) {
	case FOUND_FILE:
		return remove_file(l, f, call, e);
	case FOUND_EMPTY:
		return borg1_del_below(l, EXCLUSIVE, "", call, e);
	case FOUND_ROSTER:
		return remove_muddle(l, call, e);
	case FOUND_ENTRY:
		return remove_entry(l, &f->owner, f->info.mode, REMOVE_PATIENCE,
				    call, e);
	case FOUND_PRIVATE:
		return remove_private(l, f, call, e);
	case FOUND_REST:
		return err_set(e, RC_BUSY, "%.150s", f->info.detail);
	}
	return RC_ABSENT;
}

enum rc borg1_remove(struct lock *lock, const struct lock_remove *what,
		     struct lock_info *info, const struct call *call,
		     struct err *e)
{
	struct borg1_lock *l = borg1_of(lock);
	struct found *f = NULL;
	enum rc rc = find_id(l, what->id, &f, call, e);

	if (rc != RC_OK)
		return rc;
	*info = f->info;
	if (!what->force && info->state != LOCK_STALE)
		return borg_spared(info, e);
	if (what->dry_run)
		return RC_OK;
	rc = remove_found(l, f, call, e);
	f->gone = rc == RC_OK || rc == RC_ABSENT;
	return rc;
}
