/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/borg1.h"

#include <stdio.h>
#include <string.h>

#include "util/text.h"

/* How long a removal waits for its turn at the roster. */
#define REMOVE_PATIENCE (2 * NSEC_PER_SEC)

enum found_kind {
	FOUND_FILE,    /* in lock.exclusive */
	FOUND_EMPTY,   /* lock.exclusive without a file */
	FOUND_ROSTER,  /* lock.roster that cannot be read */
	FOUND_ENTRY,   /* in lock.roster */
	FOUND_PRIVATE, /* lock.exclusive.*.tmp: somebody waits, or waited */
};

struct found {
	enum found_kind kind;
	const char *name; /* of the file or directory; lent */
	struct borg_owner owner;
	struct lock_info info;
};

/* False ends the survey. */
typedef bool found_seen(void *context, const struct found *found);

struct survey {
	struct borg1_lock *l;
	found_seen *seen;
	void *context;
	const struct call *call;
	bool ended;
	struct borg_entries top, files;
};

static void tell_found(struct survey *s, const struct found *found)
{
	if (!s->ended)
		s->ended = !s->seen(s->context, found);
}

static enum rc survey_files(struct survey *s, struct err *e)
{
	enum rc rc = borg1_list_exclusive(s->l, &s->files, s->call, e);

	for (size_t i = 0; rc == RC_OK && i < s->files.count; i++) {
		struct found f = { .kind = FOUND_FILE,
				   .name = s->files.at[i].name };

		(void)borg1_name_parse(&f.owner, f.name);
		rc = borg1_describe_file(s->l, &s->files.at[i], &f.info, e);
		if (rc == RC_OK)
			tell_found(s, &f);
	}
	return rc;
}

static bool has_file(const struct survey *s, const struct borg_owner *owner)
{
	struct borg_owner other;

	for (size_t i = 0; i < s->files.count; i++) {
		if (borg1_name_parse(&other, s->files.at[i].name) &&
		    borg_owner_same(&other, owner))
			return true;
	}
	return false;
}

/* The entry of an exclusive lock is that lock, told already; one without its
 * file was left by a crash, unless a moment later it is gone. */
static bool is_left_behind(struct survey *s, const struct borg_owner *owner)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	struct err why;
	bool still;

	if (has_file(s, owner))
		return false;
	still = borg1_roster_load(s->l, &r, &tag, s->call, &why) == RC_OK &&
		borg_roster_has(&r, LOCK_EXCLUSIVE, owner) &&
		borg1_list_exclusive(s->l, &s->files, s->call, &why) == RC_OK &&
		!has_file(s, owner);
	borg_roster_release(&r);
	return still;
}

static enum rc survey_entries(struct survey *s, const struct borg_roster *r,
			      enum lock_mode mode, const struct store_tag *tag,
			      struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < borg_roster_count(r, mode); i++) {
		struct found f = { .kind = FOUND_ENTRY, .name = ROSTER };

		borg_roster_at(r, mode, i, &f.owner);
		if (mode == LOCK_EXCLUSIVE && !is_left_behind(s, &f.owner))
			continue;
		rc = borg1_describe_entry(s->l, &f.owner, mode, tag->time,
					  &f.info, e);
		if (mode == LOCK_EXCLUSIVE)
			text_copy(f.info.detail, sizeof(f.info.detail),
				  "an entry of " ROSTER
				  " without its file in " EXCLUSIVE
				  "; blocks nobody");
		if (rc == RC_OK)
			tell_found(s, &f);
	}
	return rc;
}

static enum rc survey_roster(struct survey *s, struct err *e)
{
	struct found f = { .kind = FOUND_ROSTER, .name = ROSTER };
	struct borg_roster r = { 0 };
	struct store_tag tag;
	enum rc rc = borg1_roster_load(s->l, &r, &tag, s->call, e);

	if (rc == RC_MALFORMED) {
		struct err why = *e;

		rc = borg1_describe_muddle(&f.info, &tag, &why, e);
		if (rc == RC_OK)
			tell_found(s, &f);
		return rc;
	}
	if (rc == RC_OK)
		rc = survey_entries(s, &r, LOCK_SHARED, &tag, e);
	if (rc == RC_OK)
		rc = survey_entries(s, &r, LOCK_EXCLUSIVE, &tag, e);
	borg_roster_release(&r);
	return rc;
}

/* borg keeps its private directory while it waits. */
static enum rc survey_private(struct survey *s, const struct borg_entry *dir,
			      struct err *e)
{
	struct found f = { .kind = FOUND_PRIVATE, .name = dir->name };
	struct borg_entries files = { 0 };
	char prefix[BORG1_NAME_MAX + 2];
	enum rc rc;

	borg1_info_begin(&f.info, LOCK_EXCLUSIVE);
	(void)snprintf(prefix, sizeof(prefix), "%s/", dir->name);
	rc = borg_entries_list(&files, s->l->store, prefix, s->call, e);
	if (rc == RC_OK && files.count == 1 &&
	    borg1_name_parse(&f.owner, files.at[0].name)) {
		borg1_info_judge(s->l, &f.info, &f.owner, files.at[0].tag.time,
				 false);
		if (f.info.state == LOCK_HELD)
			f.info.state = LOCK_WAITING;
	} else {
		f.info.state = LOCK_UNREADABLE;
	}
	if (f.info.detail[0] == '\0')
		(void)snprintf(f.info.detail, sizeof(f.info.detail),
			       "%.80s: somebody waits, or a crash left it",
			       dir->name);
	borg_entries_release(&files);
	f.info.since = dir->tag.time;
	if (rc == RC_OK)
		rc = borg1_file_id(&f.info, dir, e);
	if (rc == RC_OK)
		tell_found(s, &f);
	return rc;
}

static bool is_private(const struct borg_entry *f)
{
	size_t prefix = strlen(EXCLUSIVE "."), suffix = strlen(PRIVATE_SUFFIX);
	size_t len = strlen(f->name);

	return f->directory && len > prefix + suffix &&
	       strncmp(f->name, EXCLUSIVE ".", prefix) == 0 &&
	       strcmp(f->name + len - suffix, PRIVATE_SUFFIX) == 0;
}

static enum rc survey_empty(struct survey *s, const struct borg_entry *dir,
			    struct err *e)
{
	struct found f = { .kind = FOUND_EMPTY, .name = EXCLUSIVE };

	borg1_info_begin(&f.info, LOCK_EXCLUSIVE);
	f.info.since = dir->tag.time;
	f.info.state = LOCK_UNREADABLE;
	text_copy(f.info.detail, sizeof(f.info.detail),
		  EXCLUSIVE " without a file in it; blocks nobody for long");
	if (borg1_file_id(&f.info, dir, e) != RC_OK)
		return RC_FAILED;
	tell_found(s, &f);
	return RC_OK;
}

static enum rc survey_top(struct survey *s, struct err *e)
{
	enum rc rc = borg_entries_list(&s->top, s->l->store, "", s->call, e);

	for (size_t i = 0; rc == RC_OK && i < s->top.count; i++) {
		const struct borg_entry *f = &s->top.at[i];

		if (s->files.count == 0 && f->directory &&
		    strcmp(f->name, EXCLUSIVE) == 0)
			rc = survey_empty(s, f, e);
		else if (is_private(f))
			rc = survey_private(s, f, e);
	}
	return rc;
}

static enum rc survey(struct borg1_lock *l, found_seen *seen, void *context,
		      const struct call *call, struct err *e)
{
	struct survey s = { .l = l, .seen = seen, .context = context, .call = call };
	enum rc rc = survey_files(&s, e);

	if (rc == RC_OK)
		rc = survey_roster(&s, e);
	if (rc == RC_OK)
		rc = survey_top(&s, e);
	borg_entries_release(&s.files);
	borg_entries_release(&s.top);
	return rc;
}

struct listing {
	lock_seen *seen;
	void *context;
};

static bool list_found(void *context, const struct found *found)
{
	struct listing *to = context;

	return to->seen(to->context, &found->info);
}

enum rc borg1_list(struct lock *lock, lock_seen *seen, void *context,
		   const struct call *call, struct err *e)
{
	struct listing to = { .seen = seen, .context = context };

	return survey(borg1_of(lock), list_found, &to, call, e);
}

struct search {
	const char *id;
	struct found found;
	char name[BORG1_NAME_MAX + 1];
	bool any;
};

static bool search_found(void *context, const struct found *found)
{
	struct search *s = context;

	if (strcmp(found->info.id, s->id) != 0)
		return true;
	s->found = *found;
	text_copy(s->name, sizeof(s->name), found->name);
	s->found.name = s->name;
	s->any = true;
	return false;
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

static enum rc remove_file(struct borg1_lock *l, const struct found *f,
			   const struct call *call, struct err *e)
{
	struct err why;
	enum rc rc = borg1_del_below(l, EXCLUSIVE, f->name, call, e);

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
	rc = borg1_roster_load(l, &r, &tag, call, e);
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
	}
	return RC_ABSENT;
}

enum rc borg1_remove(struct lock *lock, const struct lock_remove *what,
		     struct lock_info *info, const struct call *call,
		     struct err *e)
{
	struct borg1_lock *l = borg1_of(lock);
	struct search s = { .id = what->id };
	enum rc rc = survey(l, search_found, &s, call, e);

	if (rc != RC_OK)
		return rc;
	if (!s.any)
		return err_set(e, RC_ABSENT, "there is no lock %.72s", what->id);
	*info = s.found.info;
	if (!what->force && info->state != LOCK_STALE)
		return borg_spared(info, e);
	return what->dry_run ? RC_OK : remove_found(l, &s.found, call, e);
}
