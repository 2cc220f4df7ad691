/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/borg1.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/text.h"

/* borg 1.0 and 1.1 make the directory first and its file then: an empty one
 * this young may be a lock that comes to be. */
#define EMPTY_GRACE (5 * NSEC_PER_SEC)

/* Others write the roster in place, so it may be seen half written: asked
 * again for so long, and in vain where it has not changed for as long. */
#define MUDDLE_PATIENCE (1 * NSEC_PER_SEC)
#define MUDDLE_PAUSE (20 * NSEC_PER_MSEC)

/* Of a roster with more entries nobody is judged, since each takes some work;
 * a real one has a handful. */
#define ROSTER_JUDGED_MAX 1000

/* Stale ones in the way, or somebody quicker; then it is left for later. */
#define TAKE_TRIES 8

/* --- describing --- */

void borg1_info_begin(struct lock_info *info, enum lock_mode mode)
{
	*info = (struct lock_info){ .mode = mode, .state = LOCK_HELD };
	text_copy(info->protocol, sizeof(info->protocol), "borg1");
}

static bool is_own(const struct borg1_lock *l, const struct borg_owner *owner)
{
	return borg_owner_same(owner, &l->own);
}

void borg1_info_judge(const struct borg1_lock *l, struct lock_info *info,
		      const struct borg_owner *owner, struct wall made, bool ours)
{
	borg_info_owner(info, owner);
	if (ours) {
		info->alive = LOCK_ALIVE_YES;
		text_copy(info->user, sizeof(info->user), l->user);
		return;
	}
	info->alive = borg_host_alive(&l->host, owner, made, info->detail,
				      sizeof(info->detail));
	if (info->alive == LOCK_ALIVE_NO)
		info->state = LOCK_STALE;
}

enum rc borg1_file_id(struct lock_info *info, const struct borg_entry *f,
		      struct err *e)
{
	char text[BORG1_NAME_MAX + 80];

	/* Tells a lock from the next one of the same process. */
	(void)snprintf(text, sizeof(text), "file/%s/%" PRIu64 "/%" PRId64,
		       f->name, f->tag.inode, f->tag.time.ns);
	return borg_id(info->id, sizeof(info->id), text, e);
}

static enum rc entry_id(struct lock_info *info, const struct borg_owner *owner,
			enum lock_mode mode, struct err *e)
{
	char text[BORG_HOST_ID_MAX + 80];

	(void)snprintf(text, sizeof(text), "entry/%s/%s/%" PRId64 "/%" PRIu64,
		       lock_mode_word(mode), owner->host, owner->pid,
		       owner->thread);
	return borg_id(info->id, sizeof(info->id), text, e);
}

enum rc borg1_describe_file(const struct borg1_lock *l,
			    const struct borg_entry *f, struct lock_info *info,
			    struct err *e)
{
	struct borg_owner owner;

	borg1_info_begin(info, LOCK_EXCLUSIVE);
	info->since = f->tag.time;
	if (!borg1_name_parse(&owner, f->name)) {
		info->state = LOCK_UNREADABLE;
		(void)snprintf(info->detail, sizeof(info->detail),
			       "malformed name \"%.80s\": every borg waits for "
			       "it until it is removed",
			       f->name);
	} else {
		borg1_info_judge(l, info, &owner, f->tag.time,
				 l->entered && is_own(l, &owner));
	}
	return borg1_file_id(info, f, e);
}

enum rc borg1_describe_entry(const struct borg1_lock *l,
			     const struct borg_owner *owner,
			     enum lock_mode mode, struct wall written,
			     struct lock_info *info, struct err *e)
{
	borg1_info_begin(info, mode);
	borg1_info_judge(l, info, owner, written,
			 l->enlisted && is_own(l, owner));
	return entry_id(info, owner, mode, e);
}

void borg1_whose(char *out, size_t size, const struct lock_info *holder)
{
	if (holder->state == LOCK_UNREADABLE || holder->host[0] == '\0')
		(void)snprintf(out, size, EXCLUSIVE " is taken: %.80s",
			       holder->detail);
	else
		(void)snprintf(out, size, EXCLUSIVE " is held by %.28s, pid %d",
			       holder->host, (int)holder->pid);
}

enum rc borg1_entry_id(const struct borg1_lock *l, struct lock_info *info,
		       struct err *e)
{
	return entry_id(info, &l->own, l->mode, e);
}

enum rc borg1_describe_muddle(struct lock_info *info, const struct store_tag *tag,
			      const struct err *why, struct err *e)
{
	struct borg_entry f = { .name = ROSTER, .tag = *tag };

	borg1_info_begin(info, LOCK_SHARED);
	info->state = LOCK_UNREADABLE;
	info->since = tag->time;
	text_copy(info->detail, sizeof(info->detail), why->text);
	return borg1_file_id(info, &f, e);
}

/* --- the roster --- */

enum rc borg1_roster_read(struct borg1_lock *l, struct borg_roster *r,
			  struct store_tag *tag, const struct call *call,
			  struct err *e)
{
	struct buf text;
	enum rc rc;

	*tag = (struct store_tag){ 0 };
	buf_init(&text, ROSTER_SIZE_MAX);
	rc = l->store->ops->get(l->store, ROSTER, &text, tag, call, e);
	liveness_inside_forget(&l->inside);
	if (rc == RC_OK)
		rc = borg_roster_parse(r, buf_text(&text), text.len, e);
	else if (rc == RC_ABSENT)
		rc = borg_roster_init(r, e);
	buf_release(&text);
	return rc;
}

enum rc borg1_roster_load(struct borg1_lock *l, struct borg_roster *r,
			  struct store_tag *tag, const struct call *call,
			  struct err *e)
{
	struct boot until = boot_add(boot_now(), MUDDLE_PATIENCE);
	struct err ignored;
	enum rc rc;

	do
		rc = borg1_roster_read(l, r, tag, call, e);
	while (rc == RC_MALFORMED && borg_changed_lately(tag) &&
	       !boot_reached(boot_now(), until) &&
	       call_pause(call, MUDDLE_PAUSE, &ignored) == RC_OK);
	return rc;
}

enum rc borg1_roster_survey(struct borg1_lock *l, struct borg_roster *r,
			    struct store_tag *tag, const struct call *call,
			    struct err *e)
{
	enum rc rc = borg1_roster_load(l, r, tag, call, e);
	size_t count;

	if (rc != RC_OK)
		return rc;
	count = borg_roster_count(r, LOCK_SHARED) +
		borg_roster_count(r, LOCK_EXCLUSIVE);
	if (count <= ROSTER_JUDGED_MAX)
		return RC_OK;
	return err_set(e, RC_MALFORMED,
		       ROSTER " has %zu entries, and more than %d are not "
			      "judged; where no borg runs: borg break-lock",
		       count, ROSTER_JUDGED_MAX);
}

bool borg1_is_edited(struct borg1_lock *l, const struct call *call)
{
	struct borg_entries files = { 0 };
	struct lock_info info;
	struct err why;
	bool edited = borg1_list_exclusive(l, &files, call, &why) != RC_OK;

	for (size_t i = 0; !edited && i < files.count; i++)
		edited = borg1_describe_file(l, &files.at[i], &info, &why) !=
				 RC_OK ||
			 info.state != LOCK_STALE;
	borg_entries_release(&files);
	return edited;
}

/* A full disk may have no block for a new file, while taking an entry off
 * needs none. */
static enum rc roster_shrink(struct borg1_lock *l, const struct buf *text,
			     const struct store_tag *old,
			     const struct call *call, struct err *e)
{
	if ((e->sys != ENOSPC && e->sys != EDQUOT) || text->len > old->size)
		return RC_RETRY;
	return l->store->ops->renew(l->store, ROSTER, old, buf_text(text),
				    text->len, NULL, call, e);
}

enum rc borg1_roster_save(struct borg1_lock *l, const struct borg_roster *r,
			  const struct store_tag *old, const struct call *call,
			  struct err *e)
{
	struct buf text;
	enum rc rc;

	if (borg_roster_is_empty(r)) {
		rc = l->store->ops->del(l->store, ROSTER, call, e);
		return rc == RC_ABSENT ? RC_OK : rc;
	}
	buf_init(&text, ROSTER_SIZE_MAX);
	rc = borg_roster_text(r, &text, e);
	if (rc == RC_OK)
		rc = l->store->ops->put(l->store, ROSTER, buf_text(&text),
					text.len, STORE_PUT_ALWAYS, NULL, NULL,
					call, e);
	if (rc == RC_RETRY)
		rc = roster_shrink(l, &text, old, call, e);
	buf_release(&text);
	return rc;
}

static bool may_clear(const struct borg1_lock *l, const struct lock_info *info)
{
	return info->state == LOCK_STALE && l->clear != LOCK_BREAK_NONE;
}

enum rc borg1_roster_prune(const struct borg1_lock *l, struct borg_roster *r,
			   enum lock_mode mode, const struct store_tag *tag,
			   struct err *e)
{
	struct borg_owner owner;
	struct lock_info info;
	enum rc rc = RC_OK;

	for (size_t i = borg_roster_count(r, mode); rc == RC_OK && i-- > 0;) {
		borg_roster_at(r, mode, i, &owner);
		rc = borg1_describe_entry(l, &owner, mode, tag->time, &info, e);
		if (rc == RC_OK && may_clear(l, &info))
			borg_roster_drop_at(r, mode, i);
	}
	return rc;
}

enum rc borg1_find_reader(struct borg1_lock *l, const struct borg_roster *r,
			  const struct store_tag *tag, struct lock_info *holder,
			  struct err *e)
{
	struct borg_owner owner;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < borg_roster_count(r, LOCK_SHARED); i++) {
		borg_roster_at(r, LOCK_SHARED, i, &owner);
		rc = borg1_describe_entry(l, &owner, LOCK_SHARED, tag->time,
					  holder, e);
		if (rc != RC_OK)
			return rc;
		if (may_clear(l, holder))
			continue;
		l->obstacle = OBSTACLE_ROSTER;
		l->obstacle_tag = *tag;
		return err_set(e, RC_BUSY, "the repository is being read");
	}
	return RC_OK;
}

enum rc borg1_respect_muddle(struct borg1_lock *l, enum rc rc,
			     const struct store_tag *tag,
			     struct lock_info *holder, struct err *e)
{
	struct err why = *e;

	if (rc != RC_MALFORMED)
		return rc;
	rc = borg1_describe_muddle(holder, tag, &why, e);
	if (rc != RC_OK)
		return rc;
	l->obstacle = OBSTACLE_ROSTER;
	l->obstacle_tag = *tag;
	return err_set(e, RC_BUSY, "%.200s", why.text);
}

/* --- lock.exclusive --- */

enum rc borg1_list_exclusive(struct borg1_lock *l, struct borg_entries *files,
			     const struct call *call, struct err *e)
{
	enum rc rc = borg_entries_list(files, l->store, EXCLUSIVE "/", call, e);

	liveness_inside_forget(&l->inside);
	return rc;
}

enum rc borg1_del_below(struct borg1_lock *l, const char *dir, const char *file,
			const struct call *call, struct err *e)
{
	char name[BORG1_NAME_MAX + 80];

	(void)snprintf(name, sizeof(name), "%.64s/%s", dir, file);
	return l->store->ops->del(l->store, name, call, e);
}

void borg1_tidy_exclusive(struct borg1_lock *l, const struct call *call)
{
	struct err ignored;

	(void)borg1_del_below(l, EXCLUSIVE, "", call, &ignored);
}

/* RC_BUSY: one of the files in lock.exclusive must be waited for. */
static enum rc find_owner(struct borg1_lock *l, const struct borg_entries *files,
			  struct lock_info *holder, struct err *e)
{
	for (size_t i = 0; i < files->count; i++) {
		enum rc rc = borg1_describe_file(l, &files->at[i], holder, e);

		if (rc != RC_OK)
			return rc;
		if (may_clear(l, holder))
			continue;
		l->obstacle = OBSTACLE_FILE;
		text_copy(l->obstacle_file, sizeof(l->obstacle_file),
			  files->at[i].name);
		return err_set(e, RC_BUSY, "the repository is locked");
	}
	return RC_OK;
}

/* RC_OK: nobody is in lock.exclusive, any more; RC_BUSY: *holder is. */
static enum rc clear_way(struct borg1_lock *l, struct lock_info *holder,
			 const struct call *call, struct err *e)
{
	struct borg_entries files = { 0 };
	enum rc rc = borg1_list_exclusive(l, &files, call, e);

	if (rc == RC_OK)
		rc = find_owner(l, &files, holder, e);
	for (size_t i = 0; rc == RC_OK && i < files.count; i++) {
		rc = borg1_del_below(l, EXCLUSIVE, files.at[i].name, call, e);
		if (rc == RC_ABSENT) /* somebody else cleared it */
			rc = RC_OK;
	}
	if (rc == RC_OK && files.count > 0)
		borg1_tidy_exclusive(l, call);
	borg_entries_release(&files);
	return rc;
}

static void private_name(char *out, size_t size)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	unsigned char random[8];
	char word[sizeof(random) + 1] = "";

	random_bytes(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		word[i] = letters[random[i] % (sizeof(letters) - 1)];
	(void)snprintf(out, size, EXCLUSIVE ".%s" PRIVATE_SUFFIX, word);
}

void borg1_private_remove(struct borg1_lock *l, const struct call *call)
{
	struct err ignored;

	if (l->private_dir[0] == '\0')
		return;
	(void)borg1_del_below(l, l->private_dir, l->own_file, call, &ignored);
	if (borg1_del_below(l, l->private_dir, "", call, &ignored) != RC_RETRY)
		l->private_dir[0] = '\0';
}

static enum rc private_make(struct borg1_lock *l, const struct call *call,
			    struct err *e)
{
	char name[BORG1_NAME_MAX + 80];
	enum rc rc;

	if (l->private_dir[0] != '\0')
		return RC_OK;
	private_name(l->private_dir, sizeof(l->private_dir));
	(void)snprintf(name, sizeof(name), "%s/", l->private_dir);
	rc = l->store->ops->put(l->store, name, NULL, 0, STORE_PUT_IF_ABSENT,
				NULL, NULL, call, e);
	if (rc != RC_OK)
		return rc;
	(void)snprintf(name, sizeof(name), "%s/%s", l->private_dir, l->own_file);
	return l->store->ops->put(l->store, name, "", 0, STORE_PUT_IF_ABSENT,
				  NULL, &l->own_tag, call, e);
}

enum rc borg1_leave(struct borg1_lock *l, const struct call *call, struct err *e)
{
	bool tried = l->leaving;
	enum rc rc;

	l->leaving = true;
	rc = borg1_del_below(l, EXCLUSIVE, l->own_file, call, e);
	if (rc != RC_OK && rc != RC_ABSENT)
		return rc;
	l->entered = false;
	l->leaving = false;
	borg1_tidy_exclusive(l, call);
	if (rc == RC_ABSENT && !tried)
		return err_set(e, RC_LOST,
			       EXCLUSIVE "/%.120s was removed by somebody",
			       l->own_file);
	return RC_OK;
}

/*
 * The rename must have left us alone in there; some file systems merge the
 * two directories instead of refusing.
 */
static enum rc verify_alone(struct borg1_lock *l, struct lock_info *holder,
			    const struct call *call, struct err *e)
{
	struct borg_entries files = { 0 };
	bool own = false;
	struct err why;
	enum rc rc = borg1_list_exclusive(l, &files, call, e);

	for (size_t i = 0; rc == RC_OK && i < files.count; i++) {
		if (strcmp(files.at[i].name, l->own_file) == 0) {
			own = true;
			continue;
		}
		rc = borg1_describe_file(l, &files.at[i], holder, e);
		l->obstacle = OBSTACLE_OTHER;
		if (rc == RC_OK)
			rc = err_set(e, RC_BUSY, "somebody else is in there");
	}
	borg_entries_release(&files);
	if (rc == RC_OK && !own)
		rc = err_set(e, RC_RETRY, EXCLUSIVE " was removed by somebody");
	if (rc == RC_BUSY || rc == RC_RETRY)
		(void)borg1_leave(l, call, &why);
	return rc;
}

/* The tag of lock.exclusive itself. RC_ABSENT: there is none. */
static enum rc exclusive_tag(struct borg1_lock *l, struct store_tag *tag,
			     const struct call *call, struct err *e)
{
	struct borg_entries top = { 0 };
	enum rc rc = borg_entries_list(&top, l->store, "", call, e);

	if (rc == RC_OK)
		rc = RC_ABSENT;
	for (size_t i = 0; rc == RC_ABSENT && i < top.count; i++) {
		if (strcmp(top.at[i].name, EXCLUSIVE) != 0)
			continue;
		*tag = top.at[i].tag;
		rc = RC_OK;
	}
	borg_entries_release(&top);
	return rc;
}

/* Was it empty for so long that nobody can be about to go in? By the store's
 * clock, whose now is when we made our own file, or by watching. */
static bool empty_is_old(struct borg1_lock *l, const struct store_tag *tag)
{
	struct boot now = boot_now();

	if (l->own_tag.time.ns - tag->time.ns >= EMPTY_GRACE)
		return true;
	if (!store_tag_same(tag, &l->empty)) {
		l->empty = *tag;
		l->empty_since = now;
	}
	return boot_until(l->empty_since, now) >= EMPTY_GRACE;
}

/* After a rename was refused. RC_OK: try again; RC_BUSY: it is empty and too
 * young to be cleared away. */
static enum rc refused(struct borg1_lock *l, struct lock_info *holder,
		       const struct call *call, struct err *e)
{
	struct borg_entries files = { 0 };
	struct store_tag tag;
	bool empty;
	enum rc rc = borg1_list_exclusive(l, &files, call, e);

	empty = rc == RC_OK && files.count == 0;
	borg_entries_release(&files);
	if (!empty)
		return rc;
	rc = exclusive_tag(l, &tag, call, e);
	if (rc != RC_OK)
		return rc == RC_ABSENT ? RC_OK : rc;
	if (empty_is_old(l, &tag)) {
		borg1_tidy_exclusive(l, call);
		return RC_OK;
	}
	borg1_info_begin(holder, LOCK_EXCLUSIVE);
	holder->since = tag.time;
	text_copy(holder->detail, sizeof(holder->detail),
		  EXCLUSIVE " is there but empty: somebody may be about to "
			    "lock");
	l->obstacle = OBSTACLE_OTHER;
	return err_set(e, RC_BUSY, "%s", holder->detail);
}

/* Once: make our directory, rename it. RC_EXISTS: refused. */
static enum rc enter(struct borg1_lock *l, const struct call *call, struct err *e)
{
	enum rc rc = private_make(l, call, e);

	if (rc != RC_OK)
		return rc == RC_EXISTS ? RC_RETRY : rc;
	l->entered = true; /* unless we are told that it did not happen */
	rc = l->store->ops->move(l->store, l->private_dir, EXCLUSIVE, call, e);
	if (rc == RC_OK)
		l->private_dir[0] = '\0';
	else if (rc != RC_UNKNOWN)
		l->entered = false;
	return rc;
}

enum rc borg1_take(struct borg1_lock *l, struct lock_info *holder,
		   const struct call *call, struct err *e)
{
	enum rc rc = RC_EXISTS;

	for (int i = 0; rc == RC_EXISTS && i < TAKE_TRIES; i++) {
		rc = clear_way(l, holder, call, e);
		if (rc != RC_OK)
			break;
		rc = enter(l, call, e);
		if (rc != RC_EXISTS)
			break;
		rc = refused(l, holder, call, e);
		if (rc == RC_OK)
			rc = RC_EXISTS;
	}
	if (rc == RC_OK)
		return verify_alone(l, holder, call, e);
	borg1_private_remove(l, call);
	if (rc == RC_EXISTS)
		return err_set(e, RC_RETRY, EXCLUSIVE " changes too quickly");
	return rc;
}

enum rc borg1_take_patiently(struct borg1_lock *l, nsec patience,
			     const struct call *call, struct err *e)
{
	struct boot until = boot_add(boot_now(), patience);
	nsec pause = 5 * NSEC_PER_MSEC;

	for (;;) {
		struct lock_info holder = { 0 };
		enum rc rc = borg1_take(l, &holder, call, e);
		struct err why;
		char whose[120];

		if (rc == RC_BUSY) {
			borg1_whose(whose, sizeof(whose), &holder);
			(void)err_set(e, rc, "%s", whose);
		}

		if ((rc != RC_BUSY && rc != RC_RETRY) ||
		    boot_reached(boot_now(), until))
			return rc;
		if (call_pause(call, random_span(pause / 2, pause), &why) != RC_OK)
			return rc;
		if (pause < 100 * NSEC_PER_MSEC)
			pause *= 2;
	}
}

enum rc borg1_delist(struct borg1_lock *l, const struct borg_owner *owner,
		     enum lock_mode mode, const struct call *call, struct err *e)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	enum rc rc = borg1_roster_load(l, &r, &tag, call, e);

	if (rc != RC_OK)
		return rc;
	if (borg_roster_drop(&r, mode, owner))
		rc = borg1_roster_save(l, &r, &tag, call, e);
	else
		rc = err_set(e, RC_LOST, "it was not in " ROSTER);
	borg_roster_release(&r);
	return rc;
}
