/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/borg2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* Names that vanish while they are loaded, one after the other. */
#define VANISHED_MAX 200

/* What cannot be read may be half written; asked again for so long. */
#define UNREADABLE_PATIENCE NSEC_PER_SEC
#define UNREADABLE_PAUSE (20 * NSEC_PER_MSEC)

/* Each is read and judged. A repository has as many as it has users. */
#define OBJECTS_MAX 10000

/* --- reading what is there --- */

void borg2_objects_release(struct borg2_objects *all)
{
	free(all->at);
	*all = (struct borg2_objects){ 0 };
}

static enum rc objects_room(struct borg2_objects *all, size_t count,
			    struct err *e)
{
	struct borg2_object *more;

	if (count <= all->room)
		return RC_OK;
	more = reallocarray(all->at, count, sizeof(*more));
	if (!more)
		return err_set(e, RC_RETRY, "no memory to list locks");
	all->at = more;
	all->room = count;
	return RC_OK;
}

void borg2_full_name(char *out, size_t size, const char *name)
{
	(void)snprintf(out, size, LOCKS "%.*s", BORG2_NAME_ROOM - 1, name);
}

/* The folder seen from outside, listed once when it is first needed. */
struct outside {
	struct borg_entries entries; /* sorted by name */
	bool listed;
};

static int by_name(const void *a, const void *b)
{
	const struct borg_entry *one = a, *two = b;

	return strcmp(one->name, two->name);
}

/* What cannot be opened or is no object at all: when it was made. RC_EXISTS:
 * it is a directory, in which no borg looks; RC_ABSENT: it is gone. */
static enum rc look_from_outside(struct borg2_lock *l, struct borg2_object *o,
				 struct outside *outside,
				 const struct call *call, struct err *e)
{
	struct borg_entries *all = &outside->entries;
	struct borg_entry wanted = { 0 };
	const struct borg_entry *found = NULL;

	if (!outside->listed) {
		enum rc rc = borg_entries_list(all, l->store, LOCKS, call, e);

		if (rc != RC_OK)
			return rc;
		outside->listed = true;
		if (all->count > 0)
			qsort(all->at, all->count, sizeof(*all->at), by_name);
	}
	text_copy(wanted.name, sizeof(wanted.name), o->name);
	if (all->count > 0)
		found = bsearch(&wanted, all->at, all->count, sizeof(*all->at),
				by_name);
	if (!found)
		return RC_ABSENT;
	o->tag = found->tag;
	return found->directory ? RC_EXISTS : RC_OK;
}

/* RC_ABSENT: it vanished; RC_EXISTS: not an object. */
static enum rc load(struct borg2_lock *l, const char *name,
		    struct borg2_object *o, struct outside *outside,
		    const struct call *call, struct err *e)
{
	char full[BORG2_NAME_ROOM + sizeof(LOCKS)];
	struct buf text;
	enum rc rc;

	*o = (struct borg2_object){ 0 };
	text_copy(o->name, sizeof(o->name), name);
	borg2_full_name(full, sizeof(full), name);
	buf_init(&text, BORG2_OBJECT_MAX);
	rc = l->store->ops->get(l->store, full, &text, &o->tag, call, e);
	if (rc == RC_OK) {
		rc = borg2_parse(&o->record, buf_text(&text), text.len, e);
		o->readable = rc == RC_OK;
		rc = rc == RC_MALFORMED ? RC_OK : rc;
	} else if (rc == RC_MALFORMED || rc == RC_DENIED) {
		struct err ignored;

		rc = look_from_outside(l, o, outside, call, &ignored);
	}
	buf_release(&text);
	if (!o->readable)
		text_copy(o->why, sizeof(o->why), e->text);
	return rc;
}

/* RC_ABSENT: one vanished, so that this is no picture of anything. */
static enum rc load_all(struct borg2_lock *l, const struct borg_entries *names,
			struct borg2_objects *all, const struct call *call,
			struct err *e)
{
	struct outside outside = { 0 };
	enum rc rc = objects_room(all, names->count, e);

	all->count = 0;
	for (size_t i = 0; rc == RC_OK && i < names->count; i++) {
		if (!borg2_name_is_valid(names->at[i].name))
			continue;
		rc = load(l, names->at[i].name, &all->at[all->count], &outside,
			  call, e);
		if (rc == RC_OK)
			all->count++;
		else if (rc == RC_EXISTS)
			rc = RC_OK;
	}
	borg_entries_release(&outside.entries);
	liveness_inside_forget(&l->inside);
	return rc;
}

static enum rc list_names(struct borg2_lock *l, struct borg_entries *names,
			  const struct call *call, struct err *e)
{
	enum rc rc = borg_entries_names(names, l->store, LOCKS, call, e);

	if (rc != RC_OK || names->count <= OBJECTS_MAX)
		return rc;
	return err_set(e, RC_MALFORMED,
		       "%.100s has %zu files in locks/, and more than %d are "
		       "not judged; where no borg runs: borg break-lock",
		       l->store->shown, names->count, OBJECTS_MAX);
}

static bool may_be_half_written(const struct borg2_objects *all)
{
	for (size_t i = 0; i < all->count; i++) {
		if (!all->at[i].readable && borg_changed_lately(&all->at[i].tag))
			return true;
	}
	return false;
}

enum rc borg2_objects_list(struct borg2_lock *l, struct borg2_objects *all,
			   const struct call *call, struct err *e)
{
	struct boot until = boot_add(boot_now(), UNREADABLE_PATIENCE);
	struct borg_entries names = { 0 };
	struct err ignored;
	int vanished = 0;
	enum rc rc;

	for (;;) {
		rc = list_names(l, &names, call, e);
		if (rc == RC_OK)
			rc = load_all(l, &names, all, call, e);
		if (rc == RC_ABSENT && ++vanished < VANISHED_MAX)
			continue;
		if (rc != RC_OK || !may_be_half_written(all) ||
		    boot_reached(boot_now(), until) ||
		    call_pause(call, UNREADABLE_PAUSE, &ignored) != RC_OK)
			break;
	}
	borg_entries_release(&names);
	if (rc == RC_ABSENT)
		return err_set(e, RC_RETRY,
			       "locks change faster than they can be read");
	return rc;
}

/* --- judging --- */

bool borg2_is_own(const struct borg2_lock *l, const char *name)
{
	if (strcmp(name, l->current.name) == 0 ||
	    strcmp(name, l->former.name) == 0)
		return true;
	for (size_t i = 0; i < BORG2_STRAYS_MAX; i++) {
		if (strcmp(name, l->strays[i]) == 0)
			return true;
	}
	return false;
}

void borg2_read_clock(struct borg2_lock *l, struct wall store)
{
	l->clock = (struct borg2_reading){ .store = store, .at = boot_now() };
}

/* False: nobody knows. On a local file system it is our own clock. */
static bool store_now(const struct borg2_lock *l, struct wall *now)
{
	struct boot boot = boot_now();

	if (l->store->lag == 0) {
		*now = wall_now();
		return true;
	}
	if (l->clock.at.ns == 0)
		return false;
	now->ns = l->clock.store.ns + boot_until(l->clock.at, boot);
	return true;
}

/* By the store's clock it was written more than half an hour ago. */
static bool store_says_old(const struct borg2_lock *l, const struct store_tag *tag)
{
	struct wall now;

	return store_now(l, &now) && now.ns > tag->time.ns + BORG2_STALE;
}

/* borg believes the clock of the writer; up to beta 22 that one alone. */
static bool is_aged(const struct borg2_lock *l, const struct borg2_object *o)
{
	return wall_now().ns > o->record.time.ns + BORG2_STALE &&
	       store_says_old(l, &o->tag);
}

static void describe_age(const struct borg2_lock *l,
			 const struct borg2_object *o, struct lock_info *info)
{
	info->since = o->record.time;
	info->refreshed = o->record.time;
	info->expires.ns = o->record.time.ns + BORG2_STALE;
	info->skew = o->record.time.ns - o->tag.time.ns;
	/* What it takes to write an object is no difference of clocks. */
	if (info->skew < NSEC_PER_SEC && info->skew > -NSEC_PER_SEC)
		info->skew = 0;
	if (info->state != LOCK_HELD || info->alive == LOCK_ALIVE_YES)
		return;
	if (is_aged(l, o)) {
		info->state = LOCK_STALE;
		text_copy(info->detail, sizeof(info->detail),
			  "not refreshed for more than 30 minutes");
	} else if (wall_now().ns > info->expires.ns) {
		text_copy(info->detail, sizeof(info->detail),
			  "old by its holder's clock, but not by that of the "
			  "repository's file system");
	}
}

enum rc borg2_object_id(char *id, size_t size, const struct borg2_object *o,
			struct err *e)
{
	return text_copy(id, size, o->name) ? RC_OK
					    : borg_id(id, size, o->name, e);
}

enum rc borg2_describe(const struct borg2_lock *l, const struct borg2_object *o,
		       struct lock_info *info, struct err *e)
{
	*info = (struct lock_info){ .state = LOCK_HELD };
	text_copy(info->protocol, sizeof(info->protocol), "borg2");
	if (borg2_object_id(info->id, sizeof(info->id), o, e) != RC_OK)
		return RC_FAILED;
	if (!o->readable) {
		info->state = LOCK_UNREADABLE;
		info->since = o->tag.time;
		(void)snprintf(info->detail, sizeof(info->detail),
			       "%.110s; every borg 2 stops at it", o->why);
		return RC_OK;
	}
	info->mode = o->record.exclusive ? LOCK_EXCLUSIVE : LOCK_SHARED;
	borg_info_owner(info, &o->record.owner);
	if (borg2_is_own(l, o->name)) {
		info->alive = LOCK_ALIVE_YES;
		text_copy(info->user, sizeof(info->user), l->user);
	} else {
		info->alive = borg_host_alive(&l->host, &o->record.owner,
					      o->tag.time, info->detail,
					      sizeof(info->detail));
	}
	if (info->alive == LOCK_ALIVE_NO)
		info->state = LOCK_STALE;
	describe_age(l, o, info);
	return RC_OK;
}

/* Stale enough to be cleared away by who wants the lock? */
static bool may_clear(const struct borg2_lock *l, const struct lock_info *info)
{
	if (info->state != LOCK_STALE)
		return false;
	switch (l->clear) {
	case LOCK_BREAK_SAFE:
		return info->alive == LOCK_ALIVE_NO;
	case LOCK_BREAK_ALL:
		return true;
	case LOCK_BREAK_NONE:
		break;
	}
	return false;
}

/* --- looking for what is in the way --- */

enum rc borg2_del_object(struct borg2_lock *l, const char *name,
			 const struct call *call, struct err *e)
{
	char full[BORG2_NAME_ROOM + sizeof(LOCKS)];

	borg2_full_name(full, sizeof(full), name);
	return l->store->ops->del(l->store, full, call, e);
}

static void see_in_the_way(struct borg2_lock *l, struct borg2_view *v,
			   const struct borg2_object *o,
			   const struct lock_info *info)
{
	bool exclusive = !o->readable || o->record.exclusive;

	if (!v->exclusive && (exclusive || !v->shared)) {
		v->holder = *info;
		text_copy(l->obstacle, sizeof(l->obstacle), o->name);
	}
	if (!exclusive) {
		v->shared = true;
		return;
	}
	v->exclusive = true;
	if (!o->readable || strcmp(o->name, l->current.name) < 0)
		v->lowest = false;
}

static enum rc see(struct borg2_lock *l, struct borg2_view *v,
		   const struct borg2_object *o, const struct call *call,
		   struct err *e)
{
	struct lock_info info;
	enum rc rc;

	if (borg2_is_own(l, o->name)) {
		v->own = v->own || strcmp(o->name, l->current.name) == 0;
		return RC_OK;
	}
	rc = borg2_describe(l, o, &info, e);
	if (rc != RC_OK)
		return rc;
	/* No holder leaves an object as it is for that long, so whatever this
	 * was, it keeps nobody out; but nobody may say that it is garbage. */
	if (info.state == LOCK_UNREADABLE && store_says_old(l, &o->tag))
		return RC_OK;
	if (may_clear(l, &info)) {
		rc = borg2_del_object(l, o->name, call, e);
		if (rc == RC_OK || rc == RC_ABSENT)
			return RC_OK;
		if (rc != RC_DENIED)
			return rc;
	}
	see_in_the_way(l, v, o, &info);
	return RC_OK;
}

bool borg2_wants_clock(const struct borg2_lock *l, const struct borg2_objects *all)
{
	struct wall now;

	if (store_now(l, &now))
		return false;
	for (size_t i = 0; i < all->count; i++) {
		const struct borg2_object *o = &all->at[i];

		if (!o->readable ||
		    wall_now().ns > o->record.time.ns + BORG2_STALE)
			return true;
	}
	return false;
}

void borg2_ask_clock(struct borg2_lock *l, const struct call *call)
{
	char uuid[UUID_TEXT_SIZE], name[sizeof(LOCKS) + UUID_TEXT_SIZE + 4];
	struct store_tag tag;
	struct err why;

	uuid_make(uuid);
	(void)snprintf(name, sizeof(name), LOCKS "%s.tmp", uuid);
	if (l->store->ops->put(l->store, name, "", 0, STORE_PUT_IF_ABSENT, NULL,
			       &tag, call, &why) == RC_OK)
		borg2_read_clock(l, tag.time);
	(void)l->store->ops->del(l->store, name, call, &why);
}

enum rc borg2_look(struct borg2_lock *l, struct borg2_view *v,
		   const struct call *call, struct err *e)
{
	struct borg2_objects all = { 0 };
	enum rc rc = borg2_objects_list(l, &all, call, e);

	*v = (struct borg2_view){ .lowest = true };
	l->obstacle[0] = '\0';
	if (rc == RC_OK && borg2_wants_clock(l, &all))
		borg2_ask_clock(l, call);
	for (size_t i = 0; rc == RC_OK && i < all.count; i++)
		rc = see(l, v, &all.at[i], call, e);
	borg2_objects_release(&all);
	return rc;
}
