/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock of borg 2: an object for each holder below locks/, named by its
 * own digest. Who wants the lock writes an object, then lists: it is held if
 * nobody else's conflicting object is there.
 *
 * An object is good for half an hour and never rewritten: a holder writes a
 * new one and deletes the old. Whoever lists before the first and loads after
 * the second finds neither. So here both stand for a while (nobody can miss
 * both), and a name that vanishes between listing and loading makes us list
 * again (we cannot miss another's).
 *
 * An exclusive lock places its object first and then waits for the shared
 * holders: newcomers see it and stay out.
 */
#include "lock/borg.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/hash.h"
#include "util/text.h"

#define LOCKS "locks/"

/* borg 2's own: after so long without a new object others clear it away. */
#define STALE (30 * 60 * NSEC_PER_SEC)
/* borg renews at half of that, but there are clocks that differ by minutes;
 * the overlap is more than a list and all its loads take. */
const struct borg2_pace borg2_pace = { .renew = 5 * 60 * NSEC_PER_SEC,
				       .overlap = 8 * NSEC_PER_SEC };
/* How often a holder looks; LOOK_BLIND where it is not woken by changes. */
#define LOOK (60 * NSEC_PER_SEC)
#define LOOK_BLIND (500 * NSEC_PER_MSEC)
/* Of two who place exclusive objects at once the lower name keeps its own,
 * but no longer than this: the other may have the lock already. */
#define CONTEND NSEC_PER_SEC
#define CONTEND_PAUSE (20 * NSEC_PER_MSEC)

#define WAIT_WATCHING NSEC_PER_SEC
#define WAIT_BLIND (200 * NSEC_PER_MSEC)
#define BACKED_OFF_LOW (20 * NSEC_PER_MSEC)
#define BACKED_OFF_HIGH (300 * NSEC_PER_MSEC)

/* Names that vanish while they are loaded, one after the other. */
#define VANISHED_MAX 200
/* An object is some 130 bytes; whatever is beyond this is none. */
#define OBJECT_MAX ((size_t)64 << 10)
/* A difference of clocks that people should hear of. */
#define SKEW_TOLD (60 * NSEC_PER_SEC)

/* borgstore makes objects durable no more than anything else, but one that a
 * power cut left empty stops every borg 2, break-lock included. */
const struct store_manners borg2_manners = { .durable = true,
					     .temporary = "%s.%s.tmp" };

enum { NAME_ROOM = 96, STRAYS_MAX = 8 };

struct object {
	char name[NAME_ROOM];
	struct store_tag tag;
	bool readable;
	struct borg2_record record; /* where readable */
	char why[120];              /* where not */
};

struct objects {
	struct object *at;
	size_t count, room;
};

/* One that we wrote. */
struct own_object {
	char name[NAME_ROOM]; /* "": none */
	struct boot sent;     /* just before it was written */
	struct wall time;     /* what it says */
};

/* What the store's clock showed once. */
struct reading {
	struct wall store;
	struct boot at; /* 0: never read */
};

struct borg2_lock {
	struct lock base; /* first: borg2_of depends on it */
	struct store *store;
	struct borg_host host;
	struct borg_owner own;
	char user[64];
	enum lock_mode mode;
	enum lock_break clear;
	bool wait;
	struct borg2_pace pace;
	struct reading clock;

	struct own_object current;
	struct own_object former; /* still there beside current */
	struct boot former_until; /* to be deleted then */
	/* Written or not, nobody knows: to be deleted. */
	char strays[STRAYS_MAX][NAME_ROOM];
	bool held;
	bool leaving; /* a release was tried: what is gone may be its doing */

	char obstacle[NAME_ROOM]; /* what acquire met last; "": none */
	bool backed_off;
	bool watching;
	int alarm_fd; /* -1, or readable: gone before it was watched */
};

static struct borg2_lock *borg2_of(struct lock *lock);

/* --- reading what is there --- */

static void objects_release(struct objects *all)
{
	free(all->at);
	*all = (struct objects){ 0 };
}

static enum rc objects_room(struct objects *all, size_t count, struct err *e)
{
	struct object *more;

	if (count <= all->room)
		return RC_OK;
	more = reallocarray(all->at, count, sizeof(*more));
	if (!more)
		return err_set(e, RC_RETRY, "no memory to list locks");
	all->at = more;
	all->room = count;
	return RC_OK;
}

static void full_name(char *out, size_t size, const char *name)
{
	(void)snprintf(out, size, LOCKS "%.*s", NAME_ROOM - 1, name);
}

/* What cannot be opened or is no object at all: when it was made. RC_EXISTS:
 * it is a directory, in which no borg looks; RC_ABSENT: it is gone. */
static enum rc look_from_outside(struct borg2_lock *l, struct object *o,
				 const struct call *call, struct err *e)
{
	struct borg_entries entries = { 0 };
	enum rc rc = borg_entries_list(&entries, l->store, LOCKS, call, e);

	if (rc == RC_OK)
		rc = RC_ABSENT;
	for (size_t i = 0; rc == RC_ABSENT && i < entries.count; i++) {
		if (strcmp(entries.at[i].name, o->name) != 0)
			continue;
		o->tag = entries.at[i].tag;
		rc = entries.at[i].directory ? RC_EXISTS : RC_OK;
	}
	borg_entries_release(&entries);
	return rc;
}

/* RC_ABSENT: it vanished; RC_EXISTS: not an object. */
static enum rc load(struct borg2_lock *l, const char *name, struct object *o,
		    const struct call *call, struct err *e)
{
	char full[NAME_ROOM + sizeof(LOCKS)];
	struct buf text;
	enum rc rc;

	*o = (struct object){ 0 };
	text_copy(o->name, sizeof(o->name), name);
	full_name(full, sizeof(full), name);
	buf_init(&text, OBJECT_MAX);
	rc = l->store->ops->get(l->store, full, &text, &o->tag, call, e);
	if (rc == RC_OK) {
		rc = borg2_parse(&o->record, buf_text(&text), text.len, e);
		o->readable = rc == RC_OK;
		rc = rc == RC_MALFORMED ? RC_OK : rc;
	} else if (rc == RC_MALFORMED || rc == RC_DENIED) {
		struct err ignored;

		rc = look_from_outside(l, o, call, &ignored);
	}
	buf_release(&text);
	if (!o->readable)
		text_copy(o->why, sizeof(o->why), e->text);
	return rc;
}

/* RC_ABSENT: one vanished, so that this is no picture of anything. */
static enum rc load_all(struct borg2_lock *l, const struct borg_entries *names,
			struct objects *all, const struct call *call,
			struct err *e)
{
	enum rc rc = objects_room(all, names->count, e);

	all->count = 0;
	for (size_t i = 0; rc == RC_OK && i < names->count; i++) {
		if (!borg2_name_is_valid(names->at[i].name))
			continue;
		rc = load(l, names->at[i].name, &all->at[all->count], call, e);
		if (rc == RC_OK)
			all->count++;
		else if (rc == RC_EXISTS)
			rc = RC_OK;
	}
	return rc;
}

/*
 * Everything in locks/. Somebody who writes a new object and deletes the old
 * one between our listing and our loading would be missed: list again, until
 * all that was listed could be loaded.
 */
static enum rc objects_list(struct borg2_lock *l, struct objects *all,
			    const struct call *call, struct err *e)
{
	struct borg_entries names = { 0 };
	enum rc rc = RC_ABSENT;

	for (int i = 0; rc == RC_ABSENT && i < VANISHED_MAX; i++) {
		rc = borg_entries_names(&names, l->store, LOCKS, call, e);
		if (rc == RC_OK)
			rc = load_all(l, &names, all, call, e);
	}
	borg_entries_release(&names);
	if (rc == RC_ABSENT)
		return err_set(e, RC_RETRY,
			       "locks change faster than they can be read");
	return rc;
}

/* --- judging --- */

static bool is_own(const struct borg2_lock *l, const char *name)
{
	if (strcmp(name, l->current.name) == 0 ||
	    strcmp(name, l->former.name) == 0)
		return true;
	for (size_t i = 0; i < STRAYS_MAX; i++) {
		if (strcmp(name, l->strays[i]) == 0)
			return true;
	}
	return false;
}

static void read_clock(struct borg2_lock *l, struct wall store)
{
	l->clock = (struct reading){ .store = store, .at = boot_now() };
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

	return store_now(l, &now) && now.ns > tag->time.ns + STALE;
}

/* borg believes the clock of the writer; up to beta 22 that one alone. */
static bool is_aged(const struct borg2_lock *l, const struct object *o)
{
	return wall_now().ns > o->record.time.ns + STALE &&
	       store_says_old(l, &o->tag);
}

static void describe_age(const struct borg2_lock *l, const struct object *o,
			 struct lock_info *info)
{
	info->since = o->record.time;
	info->refreshed = o->record.time;
	info->expires.ns = o->record.time.ns + STALE;
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

static enum rc describe(const struct borg2_lock *l, const struct object *o,
			struct lock_info *info, struct err *e)
{
	*info = (struct lock_info){ .state = LOCK_HELD };
	text_copy(info->protocol, sizeof(info->protocol), "borg2");
	if (!text_copy(info->id, sizeof(info->id), o->name) &&
	    borg_id(info->id, sizeof(info->id), o->name, e) != RC_OK)
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
	if (is_own(l, o->name)) {
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

struct view {
	bool own;    /* our current object is listed */
	bool lowest; /* its name is below those of all other exclusive ones */
	bool exclusive; /* somebody else's is there, or what may be one */
	bool shared;
	struct lock_info holder; /* one of those, an exclusive one first */
};

static enum rc del_object(struct borg2_lock *l, const char *name,
			  const struct call *call, struct err *e)
{
	char full[NAME_ROOM + sizeof(LOCKS)];

	full_name(full, sizeof(full), name);
	return l->store->ops->del(l->store, full, call, e);
}

static void see_in_the_way(struct borg2_lock *l, struct view *v,
			   const struct object *o, const struct lock_info *info)
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

static enum rc see(struct borg2_lock *l, struct view *v, const struct object *o,
		   const struct call *call, struct err *e)
{
	struct lock_info info;
	enum rc rc;

	if (is_own(l, o->name)) {
		v->own = v->own || strcmp(o->name, l->current.name) == 0;
		return RC_OK;
	}
	rc = describe(l, o, &info, e);
	if (rc != RC_OK)
		return rc;
	/* No holder leaves an object as it is for that long, so whatever this
	 * was, it keeps nobody out; but nobody may say that it is garbage. */
	if (info.state == LOCK_UNREADABLE && store_says_old(l, &o->tag))
		return RC_OK;
	if (may_clear(l, &info)) {
		rc = del_object(l, o->name, call, e);
		if (rc == RC_OK || rc == RC_ABSENT)
			return RC_OK;
		if (rc != RC_DENIED)
			return rc;
	}
	see_in_the_way(l, v, o, &info);
	return RC_OK;
}

/* Would it help to know what the store's clock shows? */
static bool wants_clock(const struct borg2_lock *l, const struct objects *all)
{
	struct wall now;

	if (store_now(l, &now))
		return false;
	for (size_t i = 0; i < all->count; i++) {
		const struct object *o = &all->at[i];

		if (!o->readable || wall_now().ns > o->record.time.ns + STALE)
			return true;
	}
	return false;
}

/* A file that borg 2 does not see, just to learn its time. */
static void ask_clock(struct borg2_lock *l, const struct call *call)
{
	char uuid[UUID_TEXT_SIZE], name[sizeof(LOCKS) + UUID_TEXT_SIZE + 4];
	struct store_tag tag;
	struct err why;

	uuid_make(uuid);
	(void)snprintf(name, sizeof(name), LOCKS "%s.tmp", uuid);
	if (l->store->ops->put(l->store, name, "", 0, STORE_PUT_IF_ABSENT, NULL,
			       &tag, call, &why) == RC_OK)
		read_clock(l, tag.time);
	(void)l->store->ops->del(l->store, name, call, &why);
}

static enum rc look(struct borg2_lock *l, struct view *v,
		    const struct call *call, struct err *e)
{
	struct objects all = { 0 };
	enum rc rc = objects_list(l, &all, call, e);

	*v = (struct view){ .lowest = true };
	l->obstacle[0] = '\0';
	if (rc == RC_OK && wants_clock(l, &all))
		ask_clock(l, call);
	for (size_t i = 0; rc == RC_OK && i < all.count; i++)
		rc = see(l, v, &all.at[i], call, e);
	objects_release(&all);
	return rc;
}

/* --- our own objects --- */

static char *stray_slot(struct borg2_lock *l)
{
	for (size_t i = 0; i < STRAYS_MAX; i++) {
		if (l->strays[i][0] == '\0')
			return l->strays[i];
	}
	return NULL;
}

/* Delete *name and forget it. RC_OK also if it was not there. */
static enum rc sweep_one(struct borg2_lock *l, char *name,
			 const struct call *call, struct err *e)
{
	enum rc rc = name[0] == '\0' ? RC_ABSENT : del_object(l, name, call, e);

	if (rc != RC_OK && rc != RC_ABSENT)
		return rc;
	name[0] = '\0';
	return RC_OK;
}

static enum rc sweep_strays(struct borg2_lock *l, const struct call *call,
			    struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < STRAYS_MAX; i++)
		rc = sweep_one(l, l->strays[i], call, e);
	return rc;
}

static enum rc compose(struct borg2_lock *l, struct own_object *o,
		       struct buf *text, struct err *e)
{
	struct borg2_record record = { .owner = l->own,
				       .exclusive = l->mode == LOCK_EXCLUSIVE };
	uint8_t digest[SHA256_SIZE];
	enum rc rc;

	record.time.ns = wall_now().ns / NSEC_PER_MSEC * NSEC_PER_MSEC;
	o->time = record.time;
	rc = borg2_format(&record, text, e);
	if (rc == RC_OK)
		rc = hash_sha256(digest, buf_text(text), text->len, e);
	if (rc == RC_OK)
		hex_encode(o->name, digest, sizeof(digest));
	return rc;
}

/* RC_EXISTS: one of the same millisecond, which is not to be shared. */
static enum rc place_once(struct borg2_lock *l, struct own_object *o,
			  const struct call *call, struct err *e)
{
	char full[NAME_ROOM + sizeof(LOCKS)], *slot = stray_slot(l);
	struct store_tag tag;
	struct buf text;
	enum rc rc;

	if (!slot)
		return err_set(e, RC_RETRY, "too many objects are in doubt");
	buf_init(&text, OBJECT_MAX);
	rc = compose(l, o, &text, e);
	if (rc == RC_OK) {
		full_name(full, sizeof(full), o->name);
		text_copy(slot, NAME_ROOM, o->name);
		o->sent = boot_now();
		rc = l->store->ops->put(l->store, full, buf_text(&text),
					text.len, STORE_PUT_IF_ABSENT, NULL,
					&tag, call, e);
	}
	if (rc == RC_OK)
		read_clock(l, tag.time);
	/* Whether it is there is certain in these two cases only. */
	if (rc == RC_OK || rc == RC_EXISTS)
		slot[0] = '\0';
	buf_release(&text);
	return rc;
}

static enum rc place(struct borg2_lock *l, struct own_object *o,
		     const struct call *call, struct err *e)
{
	struct own_object placed = { 0 };
	enum rc rc = sweep_strays(l, call, e);

	if (rc == RC_OK)
		rc = RC_EXISTS;
	for (int i = 0; rc == RC_EXISTS && i < 10; i++) {
		struct err why;

		rc = place_once(l, &placed, call, e);
		if (rc == RC_EXISTS &&
		    call_pause(call, 2 * NSEC_PER_MSEC, &why) != RC_OK)
			break;
	}
	if (rc == RC_OK)
		*o = placed;
	return rc == RC_EXISTS ? RC_RETRY : rc;
}

/* RC_LOST: it is gone. Presence is all that is asked. */
static enum rc check_present(struct borg2_lock *l, const char *name,
			     const struct call *call, struct err *e)
{
	char full[NAME_ROOM + sizeof(LOCKS)];
	struct store_tag tag;
	struct buf text;
	enum rc rc;

	full_name(full, sizeof(full), name);
	buf_init(&text, OBJECT_MAX);
	rc = l->store->ops->get(l->store, full, &text, &tag, call, e);
	buf_release(&text);
	if (rc == RC_ABSENT)
		return err_set(e, RC_LOST,
			       "locks/%.12s... was removed by somebody", name);
	return rc;
}

/* Delete the former object. It not being there means that somebody judged us
 * dead, before or after the new one was there. */
static enum rc drop_former(struct borg2_lock *l, const struct call *call,
			   struct err *e)
{
	enum rc rc = del_object(l, l->former.name, call, e);

	if (rc == RC_OK)
		l->former.name[0] = '\0';
	if (rc == RC_ABSENT)
		return err_set(e, RC_LOST,
			       "locks/%.12s... was removed by somebody",
			       l->former.name);
	return rc;
}

/* A new object beside the old one. */
static enum rc rotate(struct borg2_lock *l, const struct call *call,
		      struct err *e)
{
	struct own_object fresh;
	enum rc rc = check_present(l, l->current.name, call, e);

	if (rc == RC_OK)
		rc = place(l, &fresh, call, e);
	if (rc != RC_OK)
		return rc;
	l->former = l->current;
	l->current = fresh;
	l->former_until = boot_add(boot_now(), l->pace.overlap);
	/* It may have taken long, and the old one have been cleared away and
	 * the lock given to another before the new one came. */
	return check_present(l, l->former.name, call, e);
}

/* Others go by the wall clock, which may have been set. */
static bool is_due(const struct borg2_lock *l)
{
	nsec by_wall = wall_now().ns - l->current.time.ns;

	return boot_until(l->current.sent, boot_now()) >= l->pace.renew ||
	       by_wall >= l->pace.renew || by_wall < -SKEW_TOLD;
}

/* RC_OK: what is ours is there and young; RC_LOST. */
static enum rc keep_fresh(struct borg2_lock *l, const struct call *call,
			  struct err *e)
{
	enum rc rc = check_present(l, l->current.name, call, e);

	if (rc != RC_OK)
		return rc;
	if (l->former.name[0] != '\0')
		return boot_reached(boot_now(), l->former_until)
			       ? drop_former(l, call, e)
			       : RC_OK;
	return is_due(l) ? rotate(l, call, e) : RC_OK;
}

/* A loss is final: take away what is still there of us. */
static void withdraw(struct borg2_lock *l, const struct call *call)
{
	struct err why;

	(void)sweep_one(l, l->former.name, call, &why);
	(void)sweep_one(l, l->current.name, call, &why);
	(void)sweep_strays(l, call, &why);
}

static struct lock_term term_from(const struct borg2_lock *l,
				  struct boot entered, nsec next)
{
	nsec age = boot_until(l->current.sent, entered);
	struct lock_term term = { .valid = STALE, .refresh_in = next };
	nsec due = l->pace.renew - age;

	if (age > 0)
		term.valid = age < STALE ? STALE - age : 0;
	if (l->former.name[0] != '\0')
		due = boot_until(boot_now(), l->former_until);
	if (due < term.refresh_in)
		term.refresh_in = due > NSEC_PER_SEC ? due : NSEC_PER_SEC;
	term.margin = lock_margin(term.valid);
	return term;
}

/* --- acquire --- */

static enum rc busy(const struct view *v, struct lock_info *holder, struct err *e)
{
	*holder = v->holder;
	return err_set(e, RC_BUSY, "the repository is locked");
}

static enum rc back_off(struct borg2_lock *l, const struct view *v,
			struct lock_info *holder, const struct call *call,
			struct err *e)
{
	withdraw(l, call);
	l->backed_off = true;
	return busy(v, holder, e);
}

static bool in_the_way(const struct borg2_lock *l, const struct view *v)
{
	/* Who waits places its object and lets the shared holders go on. */
	return v->exclusive ||
	       (v->shared && l->mode == LOCK_EXCLUSIVE && !l->wait);
}

/* Our object is placed. RC_OK: held; RC_BUSY: it drains, or was withdrawn. */
static enum rc decide(struct borg2_lock *l, struct lock_info *holder,
		      const struct call *call, struct err *e)
{
	for (;;) {
		struct view v;
		enum rc rc = look(l, &v, call, e);

		if (rc != RC_OK)
			return rc;
		if (!v.own) {
			withdraw(l, call);
			return err_set(e, RC_RETRY,
				       "our object was removed by somebody");
		}
		if (v.exclusive && l->mode == LOCK_EXCLUSIVE && v.lowest &&
		    boot_until(l->current.sent, boot_now()) < CONTEND) {
			rc = call_pause(call, CONTEND_PAUSE, e);
			if (rc == RC_OK)
				continue;
			return rc;
		}
		if (in_the_way(l, &v))
			return back_off(l, &v, holder, call, e);
		if (v.shared && l->mode == LOCK_EXCLUSIVE)
			return busy(&v, holder, e);
		return RC_OK;
	}
}

static enum rc describe_mine(const struct borg2_lock *l, struct lock_info *mine,
			     struct err *e)
{
	struct object o = {
		.readable = true,
		.record = { .owner = l->own,
			    .exclusive = l->mode == LOCK_EXCLUSIVE,
			    .time = l->current.time },
		.tag.time.ns = l->clock.store.ns -
			       boot_until(l->current.sent, l->clock.at),
	};

	text_copy(o.name, sizeof(o.name), l->current.name);
	return describe(l, &o, mine, e);
}

/* Others will judge our objects by what they say. */
static void warn_of_clocks(struct borg2_lock *l, const struct lock_info *mine)
{
	if (mine->skew > SKEW_TOLD || mine->skew < -SKEW_TOLD)
		l->base.warning =
			"this host's clock and that of the repository's file "
			"system differ by more than a minute; others may take "
			"this lock for stale too early or too late";
}

static enum rc acquire_steps(struct borg2_lock *l, struct lock_info *holder,
			     const struct call *call, struct err *e)
{
	enum rc rc = RC_OK;

	if (l->current.name[0] != '\0') {
		/* It drains since an earlier try. */
		rc = keep_fresh(l, call, e);
		if (rc == RC_LOST) {
			withdraw(l, call);
			return RC_RETRY;
		}
	} else {
		struct view v;

		rc = look(l, &v, call, e);
		if (rc == RC_OK && in_the_way(l, &v))
			return busy(&v, holder, e);
		if (rc == RC_OK)
			rc = place(l, &l->current, call, e);
	}
	return rc == RC_OK ? decide(l, holder, call, e) : rc;
}

/* RC_RETRY promises that nothing stays behind. */
static enum rc give_way(struct borg2_lock *l, const struct call *call,
			struct err *e)
{
	struct err why = *e;

	withdraw(l, call);
	*e = why;
	return l->current.name[0] == '\0' ? RC_RETRY : RC_UNKNOWN;
}

static enum rc borg2_acquire(struct lock *lock, struct lock_term *term,
			     struct lock_info *mine, struct lock_info *holder,
			     const struct call *call, struct err *e)
{
	struct borg2_lock *l = borg2_of(lock);
	struct boot entered = boot_now();
	enum rc rc;

	l->backed_off = false;
	l->leaving = false;
	rc = acquire_steps(l, holder, call, e);
	if (rc == RC_OK)
		rc = describe_mine(l, mine, e);
	if (rc == RC_RETRY)
		return give_way(l, call, e);
	if (rc != RC_OK)
		return rc;
	l->held = true;
	warn_of_clocks(l, mine);
	/* The next ones come more slowly, if loss_fd is there by then. */
	*term = term_from(l, entered, NSEC_PER_SEC);
	return RC_OK;
}

/* --- wait --- */

static void unwatch(struct borg2_lock *l)
{
	if (l->watching)
		l->store->ops->unwatch(l->store);
	l->watching = false;
}

static enum rc watch(struct borg2_lock *l, const char *name, int *fd,
		     struct err *e)
{
	char full[NAME_ROOM + sizeof(LOCKS)];
	enum rc rc;

	if (!l->store->ops->watch || name[0] == '\0')
		return RC_UNSUPPORTED;
	full_name(full, sizeof(full), name);
	rc = l->store->ops->watch(l->store, full, fd, e);
	if (rc == RC_OK)
		l->watching = true;
	return rc;
}

static enum rc borg2_wait(struct lock *lock, nsec patience,
			  const struct call *call, struct err *e)
{
	struct borg2_lock *l = borg2_of(lock);
	struct err why;
	nsec span;
	int fd = -1;
	enum rc rc;

	unwatch(l);
	/* Who was in each other's way must not meet again. */
	if (l->backed_off) {
		rc = call_pause(call,
				random_span(BACKED_OFF_LOW, BACKED_OFF_HIGH), e);
		if (rc != RC_OK)
			return rc;
	}
	rc = watch(l, l->obstacle, &fd, &why);
	if (rc == RC_ABSENT)
		return RC_OK;
	span = rc == RC_OK && l->store->lag == 0 ? WAIT_WATCHING : WAIT_BLIND;
	span = random_span(span / 2, span);
	rc = call_wait(call, rc == RC_OK ? fd : -1,
		       span < patience ? span : patience, e);
	return rc == RC_ABSENT ? RC_OK : rc;
}

/* --- refresh --- */

static enum rc borg2_refresh(struct lock *lock, struct lock_term *term,
			     const struct call *call, struct err *e)
{
	struct borg2_lock *l = borg2_of(lock);
	struct boot entered = boot_now();
	nsec next = LOOK_BLIND;
	struct err why;
	enum rc rc;
	int fd;

	rc = keep_fresh(l, call, e);
	if (l->watching && rc == RC_OK) {
		/* What went between that look and this watch is told here. */
		unwatch(l);
		rc = watch(l, l->current.name, &fd, &why) == RC_ABSENT ? RC_LOST
								       : RC_OK;
		if (rc == RC_LOST)
			*e = why;
	}
	if (l->watching || l->store->lag > 0)
		next = LOOK;
	if (rc == RC_OK)
		*term = term_from(l, entered, next);
	return rc;
}

static int borg2_loss_fd(struct lock *lock)
{
	struct borg2_lock *l = borg2_of(lock);
	struct err why;
	int fd = -1;
	enum rc rc;

	unwatch(l);
	rc = watch(l, l->current.name, &fd, &why);
	if (rc == RC_OK)
		return fd;
	if (rc != RC_ABSENT)
		return -1;
	if (l->alarm_fd < 0)
		l->alarm_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	return l->alarm_fd;
}

/* --- release --- */

static enum rc borg2_release(struct lock *lock, const struct call *call,
			     struct err *e)
{
	struct borg2_lock *l = borg2_of(lock);
	bool had = l->current.name[0] != '\0', lost = false;
	enum rc rc = RC_OK;

	unwatch(l);
	if (had) {
		rc = del_object(l, l->current.name, call, e);
		lost = rc == RC_ABSENT && l->held && !l->leaving;
		if (rc == RC_OK || rc == RC_ABSENT) {
			l->current.name[0] = '\0';
			rc = RC_OK;
		}
		l->leaving = true;
	}
	if (rc == RC_OK)
		rc = sweep_one(l, l->former.name, call, e);
	if (rc == RC_OK)
		rc = sweep_strays(l, call, e);
	if (rc != RC_OK)
		return rc;
	l->held = false;
	return lost ? err_set(e, RC_LOST, "it had been removed by somebody")
		    : RC_OK;
}

/* --- list and remove --- */

static bool is_same_lock(const struct object *a, const struct object *b)
{
	return a->readable && b->readable &&
	       a->record.exclusive == b->record.exclusive &&
	       borg_owner_same(&a->record.owner, &b->record.owner);
}

/* A holder has two for a while when it refreshes; the newest speaks. */
static bool is_outdated(const struct objects *all, const struct object *o)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct object *other = &all->at[i];
		nsec later = other->record.time.ns - o->record.time.ns;

		if (is_same_lock(o, other) &&
		    (later > 0 || (later == 0 && other > o)))
			return true;
	}
	return false;
}

static enum rc borg2_list(struct lock *lock, lock_seen *seen, void *context,
			  const struct call *call, struct err *e)
{
	struct borg2_lock *l = borg2_of(lock);
	struct objects all = { 0 };
	enum rc rc = objects_list(l, &all, call, e);

	for (size_t i = 0; rc == RC_OK && i < all.count; i++) {
		struct lock_info info;

		if (is_outdated(&all, &all.at[i]))
			continue;
		rc = describe(l, &all.at[i], &info, e);
		if (rc == RC_OK && !seen(context, &info))
			break;
	}
	objects_release(&all);
	return rc;
}

/* RC_ABSENT: no such lock, any more. */
static enum rc find_id(const struct borg2_lock *l, const struct objects *all,
		       const char *id, const struct object **o,
		       struct lock_info *info, struct err *e)
{
	for (size_t i = 0; i < all->count; i++) {
		enum rc rc;

		if (is_outdated(all, &all->at[i]))
			continue;
		rc = describe(l, &all->at[i], info, e);
		if (rc != RC_OK)
			return rc;
		if (strcmp(info->id, id) != 0)
			continue;
		*o = &all->at[i];
		return RC_OK;
	}
	return err_set(e, RC_ABSENT, "there is no lock %.72s", id);
}

/* All objects of that lock, the newest first: who sees it go looks no more. */
static enum rc remove_lock(struct borg2_lock *l, const struct objects *all,
			   const struct object *o, const struct call *call,
			   struct err *e)
{
	enum rc rc = del_object(l, o->name, call, e);

	for (size_t i = 0; rc == RC_OK && i < all->count; i++) {
		const struct object *other = &all->at[i];

		if (other == o || !is_same_lock(other, o))
			continue;
		rc = del_object(l, other->name, call, e);
		rc = rc == RC_ABSENT ? RC_OK : rc;
	}
	return rc;
}

static enum rc borg2_remove(struct lock *lock, const struct lock_remove *what,
			    struct lock_info *info, const struct call *call,
			    struct err *e)
{
	struct borg2_lock *l = borg2_of(lock);
	const struct object *o = NULL;
	struct objects all = { 0 };
	enum rc rc = objects_list(l, &all, call, e);

	if (rc == RC_OK && !what->dry_run && wants_clock(l, &all))
		ask_clock(l, call);
	if (rc == RC_OK)
		rc = find_id(l, &all, what->id, &o, info, e);
	if (rc == RC_OK && !what->force && info->state != LOCK_STALE)
		rc = borg_spared(info, e);
	if (rc == RC_OK && !what->dry_run)
		rc = remove_lock(l, &all, o, call, e);
	objects_release(&all);
	return rc;
}

/* --- the table --- */

static void borg2_close(struct lock *lock)
{
	struct borg2_lock *l = borg2_of(lock);

	unwatch(l);
	if (l->alarm_fd >= 0)
		close(l->alarm_fd);
	store_close(l->store);
	free(l);
}

static const struct lock_ops lock_borg2 = {
	.name = "borg2",
	.summary = "the native lock of a borg 2 repository",
	.shared = true,
	.named = false,
	.ttl_default = STALE,
	.ttl_min = STALE,
	.ttl_max = STALE,
	.close = borg2_close,
	.acquire = borg2_acquire,
	.wait = borg2_wait,
	.refresh = borg2_refresh,
	.release = borg2_release,
	.loss_fd = borg2_loss_fd,
	.list = borg2_list,
	.remove = borg2_remove,
};

static struct borg2_lock *borg2_of(struct lock *lock)
{
	assert(lock->ops == &lock_borg2);
	return (struct borg2_lock *)lock;
}

enum rc borg2_open(struct lock **lock, const struct lock_wish *wish,
		   struct store *store, const struct borg_host *host,
		   const struct borg2_pace *pace, struct err *e)
{
	struct borg2_lock *l = calloc(1, sizeof(*l));

	enum rc rc = RC_OK;

	if (!l)
		rc = err_set(e, RC_RETRY, "no memory for a lock");
	else if (!(store->ops->can & STORE_CAN_LIST_CONSISTENT))
		rc = err_set(e, RC_UNSUPPORTED,
			     "%.120s does not list what was just written",
			     store->shown);
	if (rc != RC_OK) {
		store_close(store);
		free(l);
		return rc;
	}
	l->base.ops = &lock_borg2;
	l->base.warning = borg_host_warning(host);
	l->store = store;
	l->host = *host;
	l->pace = *pace;
	l->mode = wish->mode;
	l->clear = wish->clear;
	l->wait = wish->wait;
	l->alarm_fd = -1;
	borg_host_own(host, &l->own);
	text_copy(l->user, sizeof(l->user), wish->self->user);
	*lock = &l->base;
	return RC_OK;
}
