/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock of borg 1.1 to 1.4.
 *
 * lock.exclusive is a directory with one empty file, whose name tells the
 * owner: whoever renames a directory of his own to that name has it. It is
 * held for as long as an exclusive lock, and for a moment whenever somebody
 * edits lock.roster, the list of shared holders. A shared lock is nothing but
 * an entry in there. Nothing expires: a lock ends when it is removed.
 *
 * An exclusive lock cannot keep lock.exclusive while it waits for shared
 * holders, as they need it to take themselves off the roster. So it looks
 * into the roster first, and only takes lock.exclusive when that is free.
 */
#include "lock/borg.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/text.h"

#define EXCLUSIVE "lock.exclusive"
#define ROSTER "lock.roster"
#define PRIVATE_SUFFIX ".tmp"

/* borg 1.0 and 1.1 make the directory first and its file then: an empty one
 * this young may be a lock that comes to be. */
#define EMPTY_GRACE (5 * NSEC_PER_SEC)

/* Others write the roster in place, so it may be seen half written. */
#define MUDDLE_TRIES 4
#define MUDDLE_PAUSE (20 * NSEC_PER_MSEC)
/* borg believes such a roster to be empty, so that somebody may come in. */
#define MUDDLE_GRACE (5 * NSEC_PER_SEC)

/* Stale ones in the way, or somebody quicker; then it is left for later. */
#define TAKE_TRIES 8

/* How often a holder and a waiter look where they are woken by changes (dead
 * processes change nothing), and where they are not. */
#define LOOK_WATCHING (5 * NSEC_PER_SEC)
#define LOOK_REMOTE (10 * NSEC_PER_SEC)
#define LOOK_BLIND (500 * NSEC_PER_MSEC)
#define WAIT_WATCHING NSEC_PER_SEC
#define WAIT_BLIND (200 * NSEC_PER_MSEC)
#define WAIT_MUDDLE (100 * NSEC_PER_MSEC)

/* How long a release waits for its turn at the roster, at most. */
#define RELEASE_PATIENCE (20 * NSEC_PER_SEC)
#define REMOVE_PATIENCE (2 * NSEC_PER_SEC)

/* A name for temporary files that nobody takes for a lock. */
const struct store_manners borg1_manners = { .temporary = "%s.%s.tmp" };

enum obstacle { NO_OBSTACLE, OBSTACLE_FILE, OBSTACLE_ROSTER, OBSTACLE_OTHER };

struct borg1_lock {
	struct lock base; /* first: borg1_of depends on it */
	struct store *store;
	struct borg_host host;
	struct borg_owner own;
	char own_file[BORG1_NAME_MAX + 1];
	char user[64];
	enum lock_mode mode;
	enum lock_break clear;

	char private_dir[64]; /* ours, to become lock.exclusive; "" : none */
	struct store_tag own_tag;  /* of our file in it: the store's now */
	bool entered;              /* lock.exclusive is, or may be, ours */
	bool enlisted;             /* the roster has, or may have, our entry */
	bool held;                 /* acquire said so */
	bool leaving;              /* what is gone may be so by our own doing */
	struct boot muddled_since; /* roster unreadable while we hold; 0: no */

	/* What acquire met last, for wait. */
	enum obstacle obstacle;
	char obstacle_file[BORG1_NAME_MAX + 1];
	struct store_tag obstacle_tag;
	struct store_tag empty; /* an empty lock.exclusive, seen first at */
	struct boot empty_since;

	bool watching;
	int alarm_fd; /* -1, or readable: gone before it was watched */
};

static struct borg1_lock *borg1_of(struct lock *lock);

/* --- describing --- */

static void info_begin(struct lock_info *info, enum lock_mode mode)
{
	*info = (struct lock_info){ .mode = mode, .state = LOCK_HELD };
	text_copy(info->protocol, sizeof(info->protocol), "borg1");
}

static bool is_own(const struct borg1_lock *l, const struct borg_owner *owner)
{
	return borg_owner_same(owner, &l->own);
}

static void info_judge(const struct borg1_lock *l, struct lock_info *info,
		       const struct borg_owner *owner, struct wall made,
		       bool ours)
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

static enum rc file_id(struct lock_info *info, const struct borg_entry *f,
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

/* A file in lock.exclusive. */
static enum rc describe_file(const struct borg1_lock *l,
			     const struct borg_entry *f, struct lock_info *info,
			     struct err *e)
{
	struct borg_owner owner;

	info_begin(info, LOCK_EXCLUSIVE);
	info->since = f->tag.time;
	if (!borg1_name_parse(&owner, f->name)) {
		info->state = LOCK_UNREADABLE;
		(void)snprintf(info->detail, sizeof(info->detail),
			       "malformed name \"%.80s\": every borg waits for "
			       "it until it is removed",
			       f->name);
	} else {
		info_judge(l, info, &owner, f->tag.time,
			   l->entered && is_own(l, &owner));
	}
	return file_id(info, f, e);
}

static enum rc describe_entry(const struct borg1_lock *l,
			      const struct borg_owner *owner,
			      enum lock_mode mode, struct wall written,
			      struct lock_info *info, struct err *e)
{
	info_begin(info, mode);
	info_judge(l, info, owner, written, l->enlisted && is_own(l, owner));
	return entry_id(info, owner, mode, e);
}

static enum rc describe_muddle(struct lock_info *info,
			       const struct store_tag *tag,
			       const struct err *why, struct err *e)
{
	struct borg_entry f = { .name = ROSTER, .tag = *tag };

	info_begin(info, LOCK_SHARED);
	info->state = LOCK_UNREADABLE;
	info->since = tag->time;
	text_copy(info->detail, sizeof(info->detail), why->text);
	return file_id(info, &f, e);
}

/* --- the roster --- */

static enum rc roster_read(struct borg1_lock *l, struct borg_roster *r,
			   struct store_tag *tag, const struct call *call,
			   struct err *e)
{
	struct buf text;
	enum rc rc;

	*tag = (struct store_tag){ 0 };
	buf_init(&text, 1 << 20);
	rc = l->store->ops->get(l->store, ROSTER, &text, tag, call, e);
	if (rc == RC_OK)
		rc = borg_roster_parse(r, buf_text(&text), text.len, e);
	else if (rc == RC_ABSENT)
		rc = borg_roster_init(r, e);
	buf_release(&text);
	return rc;
}

/*
 * RC_OK: *r is the caller's. RC_MALFORMED: it stays unreadable, also when
 * looked at repeatedly, so that it is not just being written.
 */
static enum rc roster_load(struct borg1_lock *l, struct borg_roster *r,
			   struct store_tag *tag, const struct call *call,
			   struct err *e)
{
	enum rc rc = RC_MALFORMED;

	for (int i = 0; i < MUDDLE_TRIES; i++) {
		struct err ignored;

		rc = roster_read(l, r, tag, call, e);
		if (rc != RC_MALFORMED ||
		    call_pause(call, MUDDLE_PAUSE, &ignored) != RC_OK)
			break;
	}
	return rc;
}

/* A full disk may have no block for a new file, while taking an entry off
 * needs none. */
static enum rc roster_shrink(struct borg1_lock *l, const struct buf *text,
			     const struct store_tag *old,
			     const struct call *call, struct err *e)
{
	if ((e->sys != ENOSPC && e->sys != EDQUOT) || text->len > old->size)
		return RC_RETRY;
	return l->store->ops->renew(l->store, ROSTER, buf_text(text), text->len,
				    NULL, call, e);
}

/*
 * Only with lock.exclusive in hand. Whole, by a file renamed to its place:
 * borg's own way, truncate and write, may lose all entries on a full disk.
 * old: what was loaded.
 */
static enum rc roster_save(struct borg1_lock *l, const struct borg_roster *r,
			   const struct store_tag *old, const struct call *call,
			   struct err *e)
{
	struct buf text;
	enum rc rc;

	if (borg_roster_is_empty(r)) {
		rc = l->store->ops->del(l->store, ROSTER, call, e);
		return rc == RC_ABSENT ? RC_OK : rc;
	}
	buf_init(&text, 1 << 20);
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

/* Take those off the list that are proved dead. */
static enum rc roster_prune(const struct borg1_lock *l, struct borg_roster *r,
			    enum lock_mode mode, const struct store_tag *tag,
			    struct err *e)
{
	struct borg_owner owner;
	struct lock_info info;
	enum rc rc = RC_OK;

	for (size_t i = borg_roster_count(r, mode); rc == RC_OK && i-- > 0;) {
		borg_roster_at(r, mode, i, &owner);
		rc = describe_entry(l, &owner, mode, tag->time, &info, e);
		/* Taking several equal ones off may leave fewer than i. */
		if (rc == RC_OK && may_clear(l, &info) &&
		    borg_roster_drop(r, mode, &owner) &&
		    i > borg_roster_count(r, mode))
			i = borg_roster_count(r, mode);
	}
	return rc;
}

/* RC_BUSY: *holder is a shared one that must be waited for. */
static enum rc find_reader(struct borg1_lock *l, const struct borg_roster *r,
			   const struct store_tag *tag,
			   struct lock_info *holder, struct err *e)
{
	struct borg_owner owner;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < borg_roster_count(r, LOCK_SHARED); i++) {
		borg_roster_at(r, LOCK_SHARED, i, &owner);
		rc = describe_entry(l, &owner, LOCK_SHARED, tag->time, holder, e);
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

/* The rc of roster_load as acquire must see it: what cannot be read may hold
 * entries of the living, although borg would overwrite it. */
static enum rc respect_muddle(struct borg1_lock *l, enum rc rc,
			      const struct store_tag *tag,
			      struct lock_info *holder, struct err *e)
{
	struct err why = *e;

	if (rc != RC_MALFORMED)
		return rc;
	rc = describe_muddle(holder, tag, &why, e);
	if (rc != RC_OK)
		return rc;
	l->obstacle = OBSTACLE_ROSTER;
	l->obstacle_tag = *tag;
	return err_set(e, RC_BUSY, "%.200s", why.text);
}

/* --- lock.exclusive --- */

static enum rc list_exclusive(struct borg1_lock *l, struct borg_entries *files,
			      const struct call *call, struct err *e)
{
	return borg_entries_list(files, l->store, EXCLUSIVE "/", call, e);
}

static enum rc del_below(struct borg1_lock *l, const char *dir, const char *file,
			 const struct call *call, struct err *e)
{
	char name[BORG1_NAME_MAX + 80];

	(void)snprintf(name, sizeof(name), "%.64s/%s", dir, file);
	return l->store->ops->del(l->store, name, call, e);
}

/* Remove the directory unless somebody is in it, which borg permits too. */
static void tidy_exclusive(struct borg1_lock *l, const struct call *call)
{
	struct err ignored;

	(void)del_below(l, EXCLUSIVE, "", call, &ignored);
}

/* RC_BUSY: one of the files in lock.exclusive must be waited for. */
static enum rc find_owner(struct borg1_lock *l, const struct borg_entries *files,
			  struct lock_info *holder, struct err *e)
{
	for (size_t i = 0; i < files->count; i++) {
		enum rc rc = describe_file(l, &files->at[i], holder, e);

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
	enum rc rc = list_exclusive(l, &files, call, e);

	if (rc == RC_OK)
		rc = find_owner(l, &files, holder, e);
	for (size_t i = 0; rc == RC_OK && i < files.count; i++) {
		rc = del_below(l, EXCLUSIVE, files.at[i].name, call, e);
		if (rc == RC_ABSENT) /* somebody else cleared it */
			rc = RC_OK;
	}
	if (rc == RC_OK && files.count > 0)
		tidy_exclusive(l, call);
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

static void private_remove(struct borg1_lock *l, const struct call *call)
{
	struct err ignored;

	if (l->private_dir[0] == '\0')
		return;
	(void)del_below(l, l->private_dir, l->own_file, call, &ignored);
	if (del_below(l, l->private_dir, "", call, &ignored) != RC_RETRY)
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

/* Leave lock.exclusive. RC_LOST: we were no longer in it. */
static enum rc leave(struct borg1_lock *l, const struct call *call, struct err *e)
{
	bool tried = l->leaving;
	enum rc rc;

	l->leaving = true;
	rc = del_below(l, EXCLUSIVE, l->own_file, call, e);
	if (rc != RC_OK && rc != RC_ABSENT)
		return rc;
	l->entered = false;
	l->leaving = false;
	tidy_exclusive(l, call);
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
	enum rc rc = list_exclusive(l, &files, call, e);

	for (size_t i = 0; rc == RC_OK && i < files.count; i++) {
		if (strcmp(files.at[i].name, l->own_file) == 0) {
			own = true;
			continue;
		}
		rc = describe_file(l, &files.at[i], holder, e);
		l->obstacle = OBSTACLE_OTHER;
		if (rc == RC_OK)
			rc = err_set(e, RC_BUSY, "somebody else is in there");
	}
	borg_entries_release(&files);
	if (rc == RC_OK && !own)
		rc = err_set(e, RC_RETRY, EXCLUSIVE " was removed by somebody");
	if (rc == RC_BUSY || rc == RC_RETRY)
		(void)leave(l, call, &why);
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
	enum rc rc = list_exclusive(l, &files, call, e);

	empty = rc == RC_OK && files.count == 0;
	borg_entries_release(&files);
	if (!empty)
		return rc;
	rc = exclusive_tag(l, &tag, call, e);
	if (rc != RC_OK)
		return rc == RC_ABSENT ? RC_OK : rc;
	if (empty_is_old(l, &tag)) {
		tidy_exclusive(l, call);
		return RC_OK;
	}
	info_begin(holder, LOCK_EXCLUSIVE);
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

/*
 * One try for lock.exclusive. RC_OK: it is ours; RC_BUSY: *holder has it, and
 * nothing of ours stays behind.
 */
static enum rc take(struct borg1_lock *l, struct lock_info *holder,
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
	private_remove(l, call);
	if (rc == RC_EXISTS)
		return err_set(e, RC_RETRY, EXCLUSIVE " changes too quickly");
	return rc;
}

/* take, again and again; for edits that must not fail for a mere collision. */
static enum rc take_patiently(struct borg1_lock *l, nsec patience,
			      const struct call *call, struct err *e)
{
	struct boot until = boot_add(boot_now(), patience);
	nsec pause = 5 * NSEC_PER_MSEC;
	struct lock_info holder;

	for (;;) {
		enum rc rc = take(l, &holder, call, e);
		struct err why;

		if ((rc != RC_BUSY && rc != RC_RETRY) ||
		    boot_reached(boot_now(), until))
			return rc;
		if (call_pause(call, random_span(pause / 2, pause), &why) != RC_OK)
			return rc;
		if (pause < 100 * NSEC_PER_MSEC)
			pause *= 2;
	}
}

/* --- acquire --- */

/* Add our entry. With lock.exclusive in hand. */
static enum rc enlist(struct borg1_lock *l, struct borg_roster *r,
		      const struct store_tag *tag, const struct call *call,
		      struct err *e)
{
	enum rc rc = roster_prune(l, r, LOCK_SHARED, tag, e);

	if (rc == RC_OK)
		rc = roster_prune(l, r, LOCK_EXCLUSIVE, tag, e);
	if (rc == RC_OK)
		rc = borg_roster_add(r, l->mode, &l->own, e);
	if (rc != RC_OK)
		return rc;
	l->enlisted = true;
	return roster_save(l, r, tag, call, e);
}

/* Load, look for readers if we want to be alone, and add ourselves. */
static enum rc enlist_if_free(struct borg1_lock *l, struct lock_info *holder,
			      const struct call *call, struct err *e)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	enum rc rc = roster_load(l, &r, &tag, call, e);

	rc = respect_muddle(l, rc, &tag, holder, e);
	if (rc == RC_OK && l->mode == LOCK_EXCLUSIVE)
		rc = find_reader(l, &r, &tag, holder, e);
	if (rc == RC_OK)
		rc = enlist(l, &r, &tag, call, e);
	borg_roster_release(&r);
	return rc;
}

/* Without lock.exclusive, so that readers can go while we look. */
static enum rc look_for_readers(struct borg1_lock *l, struct lock_info *holder,
				const struct call *call, struct err *e)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	enum rc rc = roster_load(l, &r, &tag, call, e);

	rc = respect_muddle(l, rc, &tag, holder, e);
	if (rc == RC_OK)
		rc = find_reader(l, &r, &tag, holder, e);
	borg_roster_release(&r);
	return rc;
}

static enum rc describe_mine(struct borg1_lock *l, struct lock_info *mine,
			     struct err *e)
{
	struct borg_entry f = { .tag = l->own_tag };
	enum rc rc;

	if (l->mode == LOCK_SHARED) {
		rc = describe_entry(l, &l->own, LOCK_SHARED, l->own_tag.time,
				    mine, e);
		mine->since = l->own_tag.time;
		return rc;
	}
	text_copy(f.name, sizeof(f.name), l->own_file);
	return describe_file(l, &f, mine, e);
}

static enum rc borg1_release(struct lock *lock, const struct call *call,
			     struct err *e);

static enum rc borg1_acquire(struct lock *lock, struct lock_term *term,
			     struct lock_info *mine, struct lock_info *holder,
			     const struct call *call, struct err *e)
{
	struct borg1_lock *l = borg1_of(lock);
	struct err why;
	enum rc rc = RC_OK;

	l->obstacle = NO_OBSTACLE;
	if (l->mode == LOCK_EXCLUSIVE)
		rc = look_for_readers(l, holder, call, e);
	if (rc == RC_OK)
		rc = take(l, holder, call, e);
	if (rc != RC_OK)
		return rc;
	rc = enlist_if_free(l, holder, call, e);
	if (rc == RC_OK && l->mode == LOCK_SHARED)
		rc = leave(l, call, e);
	if (rc == RC_OK)
		rc = describe_mine(l, mine, e);
	if (rc == RC_LOST) /* while we edited: our entry may not be sound */
		rc = RC_RETRY;
	if (rc != RC_OK) {
		(void)borg1_release(lock, call, &why);
		return rc;
	}
	l->held = true;
	l->muddled_since = (struct boot){ 0 };
	/* The next ones come more slowly, if loss_fd is there by then. */
	*term = (struct lock_term){ .valid = NSEC_FOREVER,
				    .refresh_in = NSEC_PER_SEC };
	return RC_OK;
}

/* --- wait --- */

static void unwatch(struct borg1_lock *l)
{
	if (l->watching)
		l->store->ops->unwatch(l->store);
	l->watching = false;
}

/* RC_OK: *fd tells of changes; RC_ABSENT: there is nothing; else: blind. */
static enum rc watch(struct borg1_lock *l, const char *name, int *fd,
		     struct err *e)
{
	enum rc rc;

	if (!l->store->ops->watch)
		return RC_UNSUPPORTED;
	rc = l->store->ops->watch(l->store, name, fd, e);
	if (rc == RC_OK)
		l->watching = true;
	return rc;
}

/* RC_ABSENT: it is not what acquire saw, any more. */
static enum rc watch_roster(struct borg1_lock *l, int *fd,
			    const struct call *call, struct err *e)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	enum rc rc = watch(l, ROSTER, fd, e);

	if (rc != RC_OK)
		return rc;
	rc = roster_read(l, &r, &tag, call, e);
	borg_roster_release(&r);
	if (rc != RC_OK && rc != RC_MALFORMED)
		return rc;
	return store_tag_same(&tag, &l->obstacle_tag) ? RC_OK : RC_ABSENT;
}

static enum rc watch_obstacle(struct borg1_lock *l, int *fd,
			      const struct call *call, struct err *e)
{
	char name[BORG1_NAME_MAX + 80];

	switch (l->obstacle) {
	case OBSTACLE_FILE:
		(void)snprintf(name, sizeof(name), EXCLUSIVE "/%s",
			       l->obstacle_file);
		return watch(l, name, fd, e);
	case OBSTACLE_ROSTER:
		return watch_roster(l, fd, call, e);
	case NO_OBSTACLE:
	case OBSTACLE_OTHER:
		break;
	}
	return RC_UNSUPPORTED;
}

static enum rc borg1_wait(struct lock *lock, nsec patience,
			  const struct call *call, struct err *e)
{
	struct borg1_lock *l = borg1_of(lock);
	struct err why;
	int fd = -1;
	nsec span;
	enum rc rc;

	unwatch(l);
	rc = watch_obstacle(l, &fd, call, &why);
	if (rc == RC_ABSENT)
		return RC_OK;
	span = rc == RC_OK && l->store->lag == 0 ? WAIT_WATCHING : WAIT_BLIND;
	/* Who was in each other's way must not meet again. */
	span = random_span(span / 2, span);
	rc = call_wait(call, rc == RC_OK ? fd : -1,
		       span < patience ? span : patience, e);
	return rc == RC_ABSENT ? RC_OK : rc;
}

/* --- refresh, which is to look whether it is still there --- */

/* Our file must be in lock.exclusive, and nobody else's. */
static enum rc look_exclusive(struct borg1_lock *l, const struct call *call,
			      struct err *e)
{
	struct borg_entries files = { 0 };
	struct borg_owner other;
	bool own = false;
	enum rc rc = list_exclusive(l, &files, call, e);

	for (size_t i = 0; rc == RC_OK && i < files.count; i++) {
		if (strcmp(files.at[i].name, l->own_file) == 0)
			own = true;
		else if (borg1_name_parse(&other, files.at[i].name))
			rc = err_set(e, RC_LOST,
				     EXCLUSIVE "/%.120s stands beside our own: "
					       "somebody else believes to have "
					       "the lock",
				     files.at[i].name);
	}
	borg_entries_release(&files);
	if (rc == RC_OK && !own)
		rc = err_set(e, RC_LOST,
			     EXCLUSIVE "/%.120s was removed by somebody "
				       "(borg break-lock?)",
			     l->own_file);
	return rc;
}

/* borg takes an unreadable roster for an empty one: nobody is kept out. */
static enum rc muddled(struct borg1_lock *l, struct err *e)
{
	struct boot now = boot_now();

	if (l->muddled_since.ns == 0)
		l->muddled_since = now;
	if (boot_until(l->muddled_since, now) < MUDDLE_GRACE)
		return err_context(e, RC_RETRY, "looking again");
	return err_context(e, RC_LOST, "borg takes it for empty");
}

static enum rc look_shared(struct borg1_lock *l, const struct call *call,
			   struct err *e)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	enum rc rc = roster_load(l, &r, &tag, call, e);

	if (rc == RC_MALFORMED)
		return muddled(l, e);
	if (rc != RC_OK)
		return rc;
	l->muddled_since = (struct boot){ 0 };
	if (!borg_roster_has(&r, LOCK_SHARED, &l->own))
		rc = err_set(e, RC_LOST,
			     "our entry was removed from " ROSTER
			     " by somebody (borg break-lock?)");
	borg_roster_release(&r);
	return rc;
}

static enum rc look(struct borg1_lock *l, const struct call *call, struct err *e)
{
	return l->mode == LOCK_SHARED ? look_shared(l, call, e)
				      : look_exclusive(l, call, e);
}

/* The watch first, the look then: nothing falls between. */
static enum rc rewatch(struct borg1_lock *l, int *fd, struct err *e)
{
	char name[BORG1_NAME_MAX + 80] = ROSTER;

	unwatch(l);
	if (l->mode == LOCK_EXCLUSIVE)
		(void)snprintf(name, sizeof(name), EXCLUSIVE "/%s", l->own_file);
	return watch(l, name, fd, e);
}

static enum rc borg1_refresh(struct lock *lock, struct lock_term *term,
			     const struct call *call, struct err *e)
{
	struct borg1_lock *l = borg1_of(lock);
	struct err why;
	nsec next = LOOK_BLIND;
	enum rc rc;
	int fd;

	if (l->watching) {
		(void)rewatch(l, &fd, &why);
		if (l->watching)
			next = LOOK_WATCHING;
	}
	if (l->store->lag > 0)
		next = LOOK_REMOTE;
	rc = look(l, call, e);
	if (rc == RC_OK)
		*term = (struct lock_term){ .valid = NSEC_FOREVER,
					    .refresh_in = next };
	return rc;
}

static int borg1_loss_fd(struct lock *lock)
{
	struct borg1_lock *l = borg1_of(lock);
	struct call call = { boot_add(boot_now(), NSEC_PER_SEC), -1 };
	struct err why;
	int fd = -1;
	enum rc rc = rewatch(l, &fd, &why);

	if (rc == RC_OK && look(l, &call, &why) != RC_LOST)
		return fd;
	if (rc != RC_OK && rc != RC_ABSENT)
		return -1;
	if (l->alarm_fd < 0)
		l->alarm_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	return l->alarm_fd;
}

/* --- release --- */

/* Take our entry off the roster. With lock.exclusive in hand. RC_LOST: it was
 * not there; RC_MALFORMED: nobody can tell. */
static enum rc delist(struct borg1_lock *l, const struct borg_owner *owner,
		      enum lock_mode mode, const struct call *call, struct err *e)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	enum rc rc = roster_load(l, &r, &tag, call, e);

	if (rc != RC_OK)
		return rc;
	if (borg_roster_drop(&r, mode, owner))
		rc = roster_save(l, &r, &tag, call, e);
	else
		rc = err_set(e, RC_LOST, "it was not in " ROSTER);
	borg_roster_release(&r);
	return rc;
}

/* Is our entry in there? Without lock.exclusive. */
static enum rc look_enlisted(struct borg1_lock *l, bool *is,
			     const struct call *call, struct err *e)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	enum rc rc = roster_load(l, &r, &tag, call, e);

	if (rc != RC_OK && rc != RC_MALFORMED)
		return rc;
	*is = rc == RC_OK && borg_roster_has(&r, l->mode, &l->own);
	borg_roster_release(&r);
	return RC_OK;
}

/* Make `entered` certain. What was left without our being told is tidied up
 * as if we had. */
static enum rc look_entered(struct borg1_lock *l, const struct call *call,
			    struct err *e)
{
	struct borg_entries files = { 0 };
	bool own = false;
	enum rc rc = list_exclusive(l, &files, call, e);

	for (size_t i = 0; i < files.count; i++)
		own = own || strcmp(files.at[i].name, l->own_file) == 0;
	borg_entries_release(&files);
	if (rc != RC_OK)
		return rc;
	l->entered = own;
	if (!own && l->leaving)
		tidy_exclusive(l, call);
	return RC_OK;
}

/* Our entry is in the roster. Only who has lock.exclusive may take it off. */
static enum rc release_entry(struct borg1_lock *l, const struct call *call,
			     struct err *e)
{
	enum rc rc = RC_OK;

	if (!l->entered)
		rc = take_patiently(l,
				    l->mode == LOCK_SHARED ? RELEASE_PATIENCE : 0,
				    call, e);
	/* One of an exclusive lock that was broken blocks nobody: it need not
	 * be taken off while others are in there. */
	if (rc == RC_BUSY && l->mode == LOCK_EXCLUSIVE)
		return RC_OK;
	if (rc == RC_BUSY)
		return err_set(e, RC_RETRY,
			       EXCLUSIVE " is taken, so that our entry cannot "
					 "be removed from " ROSTER);
	if (rc == RC_OK)
		rc = delist(l, &l->own, l->mode, call, e);
	return rc == RC_LOST || rc == RC_MALFORMED ? RC_OK : rc;
}

static enum rc borg1_release(struct lock *lock, const struct call *call,
			     struct err *e)
{
	struct borg1_lock *l = borg1_of(lock);
	bool is = false, lost;
	struct err why;
	enum rc rc = RC_OK;

	unwatch(l);
	private_remove(l, call);
	if (l->entered)
		rc = look_entered(l, call, e);
	if (rc == RC_OK && l->enlisted)
		rc = look_enlisted(l, &is, call, e);
	if (rc != RC_OK)
		return rc;
	lost = l->held && !l->leaving &&
	       !(l->mode == LOCK_SHARED ? is : l->entered);
	l->leaving = true;
	if (is)
		rc = release_entry(l, call, e);
	if (rc == RC_OK)
		l->enlisted = false;
	/* Whatever became of the entry: nobody is to wait for us now. */
	if (l->entered && leave(l, call, &why) != RC_OK && l->entered) {
		*e = why;
		return RC_RETRY;
	}
	if (rc != RC_OK)
		return rc;
	l->held = l->leaving = false;
	return lost ? err_set(e, RC_LOST, "it had been removed by somebody")
		    : RC_OK;
}

/* --- list and remove --- */

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
	enum rc rc = list_exclusive(s->l, &s->files, s->call, e);

	for (size_t i = 0; rc == RC_OK && i < s->files.count; i++) {
		struct found f = { .kind = FOUND_FILE,
				   .name = s->files.at[i].name };

		(void)borg1_name_parse(&f.owner, f.name);
		rc = describe_file(s->l, &s->files.at[i], &f.info, e);
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
	still = roster_load(s->l, &r, &tag, s->call, &why) == RC_OK &&
		borg_roster_has(&r, LOCK_EXCLUSIVE, owner) &&
		list_exclusive(s->l, &s->files, s->call, &why) == RC_OK &&
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
		rc = describe_entry(s->l, &f.owner, mode, tag->time, &f.info, e);
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
	enum rc rc = roster_load(s->l, &r, &tag, s->call, e);

	if (rc == RC_MALFORMED) {
		struct err why = *e;

		rc = describe_muddle(&f.info, &tag, &why, e);
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

	info_begin(&f.info, LOCK_EXCLUSIVE);
	(void)snprintf(prefix, sizeof(prefix), "%s/", dir->name);
	rc = borg_entries_list(&files, s->l->store, prefix, s->call, e);
	if (rc == RC_OK && files.count == 1 &&
	    borg1_name_parse(&f.owner, files.at[0].name)) {
		info_judge(s->l, &f.info, &f.owner, files.at[0].tag.time, false);
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
		rc = file_id(&f.info, dir, e);
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

	info_begin(&f.info, LOCK_EXCLUSIVE);
	f.info.since = dir->tag.time;
	f.info.state = LOCK_UNREADABLE;
	text_copy(f.info.detail, sizeof(f.info.detail),
		  EXCLUSIVE " without a file in it; blocks nobody for long");
	if (file_id(&f.info, dir, e) != RC_OK)
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

static enum rc borg1_list(struct lock *lock, lock_seen *seen, void *context,
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

/* An entry of anybody's, with lock.exclusive taken for it. */
static enum rc remove_entry(struct borg1_lock *l, const struct borg_owner *owner,
			    enum lock_mode mode, nsec patience,
			    const struct call *call, struct err *e)
{
	struct err why;
	enum rc rc = take_patiently(l, patience, call, e);

	if (rc == RC_BUSY || rc == RC_RETRY)
		return err_set(e, RC_BUSY,
			       EXCLUSIVE " is taken, and " ROSTER
					 " must not be changed until it is free");
	if (rc != RC_OK)
		return rc;
	rc = delist(l, owner, mode, call, e);
	(void)leave(l, call, &why);
	return rc == RC_LOST ? RC_ABSENT : rc;
}

static enum rc remove_file(struct borg1_lock *l, const struct found *f,
			   const struct call *call, struct err *e)
{
	struct err why;
	enum rc rc = del_below(l, EXCLUSIVE, f->name, call, e);

	if (rc != RC_OK)
		return rc;
	tidy_exclusive(l, call);
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
		rc = del_below(l, f->name, files.at[i].name, call, e);
		rc = rc == RC_ABSENT ? RC_OK : rc;
	}
	borg_entries_release(&files);
	return rc != RC_OK ? rc : del_below(l, f->name, "", call, e);
}

/* Taken for it like any edit, so that no writer is in the middle of one. */
static enum rc remove_muddle(struct borg1_lock *l, const struct call *call,
			     struct err *e)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	struct err why;
	enum rc rc = take_patiently(l, REMOVE_PATIENCE, call, e);

	if (rc != RC_OK)
		return rc == RC_RETRY ? RC_BUSY : rc;
	rc = roster_load(l, &r, &tag, call, e);
	if (rc == RC_MALFORMED)
		rc = l->store->ops->del(l->store, ROSTER, call, e);
	else if (rc == RC_OK)
		rc = err_set(e, RC_ABSENT, ROSTER " can be read again");
	borg_roster_release(&r);
	(void)leave(l, call, &why);
	return rc;
}

static enum rc remove_found(struct borg1_lock *l, const struct found *f,
			    const struct call *call, struct err *e)
{
	switch (f->kind) {
	case FOUND_FILE:
		return remove_file(l, f, call, e);
	case FOUND_EMPTY:
		return del_below(l, EXCLUSIVE, "", call, e);
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

static enum rc borg1_remove(struct lock *lock, const struct lock_remove *what,
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

/* --- the table --- */

static void borg1_close(struct lock *lock)
{
	struct borg1_lock *l = borg1_of(lock);

	unwatch(l);
	if (l->alarm_fd >= 0)
		close(l->alarm_fd);
	store_close(l->store);
	free(l);
}

static const struct lock_ops lock_borg1 = {
	.name = "borg1",
	.summary = "the native lock of a borg 1 repository",
	.shared = true,
	.named = false,
	.ttl_default = NSEC_FOREVER,
	.ttl_min = NSEC_FOREVER,
	.ttl_max = NSEC_FOREVER,
	.close = borg1_close,
	.acquire = borg1_acquire,
	.wait = borg1_wait,
	.refresh = borg1_refresh,
	.release = borg1_release,
	.loss_fd = borg1_loss_fd,
	.list = borg1_list,
	.remove = borg1_remove,
};

static struct borg1_lock *borg1_of(struct lock *lock)
{
	assert(lock->ops == &lock_borg1);
	return (struct borg1_lock *)lock;
}

enum rc borg1_open(struct lock **lock, const struct lock_wish *wish,
		   struct store *store, const struct borg_host *host,
		   struct err *e)
{
	struct borg1_lock *l = calloc(1, sizeof(*l));
	enum rc rc;

	if (!l) {
		store_close(store);
		return err_set(e, RC_RETRY, "no memory for a lock");
	}
	*l = (struct borg1_lock){
		.base.ops = &lock_borg1,
		.store = store,
		.host = *host,
		.mode = wish->mode,
		.clear = wish->clear,
		.alarm_fd = -1,
	};
	borg_host_own(host, &l->own);
	text_copy(l->user, sizeof(l->user), wish->self->user);
	rc = borg1_name_format(l->own_file, &l->own, e);
	if (rc == RC_OK && !store->ops->move)
		rc = err_set(e, RC_UNSUPPORTED,
			     "%.120s: no directory can be renamed there",
			     store->shown);
	if (rc != RC_OK) {
		borg1_close(&l->base);
		return rc;
	}
	*lock = &l->base;
	return RC_OK;
}
