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
#include "lock/borg1.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/text.h"

/* borg takes an unreadable roster for an empty one, so that somebody may come
 * in; counted while nobody is there who may be writing it. */
#define MUDDLE_GRACE (5 * NSEC_PER_SEC)

/* How often a holder and a waiter look where they are woken by changes (dead
 * processes change nothing), and where they are not. */
#define LOOK_WATCHING (5 * NSEC_PER_SEC)
#define LOOK_REMOTE (10 * NSEC_PER_SEC)
#define LOOK_BLIND (500 * NSEC_PER_MSEC)
#define WAIT_WATCHING NSEC_PER_SEC
#define WAIT_BLIND (200 * NSEC_PER_MSEC)

/* Who edits the roster has lock.exclusive for a moment only. One who does not
 * wait must not take that for a lock that is held: it looks at one that is
 * this young until it is not, or so long. */
#define EDIT_AGE (2 * NSEC_PER_SEC)
#define EDIT_PATIENCE (1 * NSEC_PER_SEC)
#define EDIT_PAUSE (10 * NSEC_PER_MSEC)

/* How long a release tries to take our entry off the roster: in all, and in
 * one call, so that what it waits for is reported meanwhile. While our entry
 * is there no borg keeps lock.exclusive for longer than an edit takes. */
#define RELEASE_PATIENCE (10 * NSEC_PER_SEC)
#define RELEASE_ONCE (1500 * NSEC_PER_MSEC)

/* A name for temporary files that nobody takes for a lock. */
const struct store_manners borg1_manners = { .temporary = "%s.%s.tmp" };

/* --- acquire --- */

/* Add our entry. With lock.exclusive in hand. */
static enum rc enlist(struct borg1_lock *l, struct borg_roster *r,
		      const struct store_tag *tag, const struct call *call,
		      struct err *e)
{
	enum rc rc = borg1_roster_prune(l, r, LOCK_SHARED, tag, e);

	if (rc == RC_OK)
		rc = borg1_roster_prune(l, r, LOCK_EXCLUSIVE, tag, e);
	if (rc == RC_OK)
		rc = borg_roster_add(r, l->mode, &l->own, e);
	if (rc != RC_OK)
		return rc;
	l->enlisted = true;
	return borg1_roster_save(l, r, tag, call, e);
}

/* Load, look for readers if we want to be alone, and add ourselves. */
static enum rc enlist_if_free(struct borg1_lock *l, struct lock_info *holder,
			      const struct call *call, struct err *e)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	enum rc rc = borg1_roster_survey(l, &r, &tag, call, e);

	rc = borg1_respect_muddle(l, rc, &tag, holder, e);
	if (rc == RC_OK && l->mode == LOCK_EXCLUSIVE)
		rc = borg1_find_reader(l, &r, &tag, holder, e);
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
	enum rc rc = borg1_roster_survey(l, &r, &tag, call, e);

	rc = borg1_respect_muddle(l, rc, &tag, holder, e);
	if (rc == RC_OK)
		rc = borg1_find_reader(l, &r, &tag, holder, e);
	borg_roster_release(&r);
	return rc;
}

static enum rc describe_mine(struct borg1_lock *l, struct lock_info *mine,
			     struct err *e)
{
	struct borg_entry f = { .tag = l->own_tag };
	enum rc rc;

	if (l->mode == LOCK_SHARED) {
		rc = borg1_describe_entry(l, &l->own, LOCK_SHARED,
					  l->own_tag.time, mine, e);
		mine->since = l->own_tag.time;
		return rc;
	}
	text_copy(f.name, sizeof(f.name), l->own_file);
	return borg1_describe_file(l, &f, mine, e);
}

/* Is whose file acquire found in lock.exclusive on the roster as well? Then it
 * is no mere edit. */
static bool obstacle_is_held(struct borg1_lock *l, const struct call *call)
{
	struct borg_roster r = { 0 };
	struct borg_owner owner;
	struct store_tag tag;
	struct err why;
	bool held;

	if (l->obstacle != OBSTACLE_FILE ||
	    !borg1_name_parse(&owner, l->obstacle_file))
		return l->obstacle == OBSTACLE_FILE;
	held = borg1_roster_read(l, &r, &tag, call, &why) == RC_OK &&
	       borg_roster_has(&r, LOCK_EXCLUSIVE, &owner);
	borg_roster_release(&r);
	return held;
}

/* Without -n a waiter is woken anyway. */
static enum rc take_unless_held(struct borg1_lock *l, struct lock_info *holder,
				const struct call *call, struct err *e)
{
	struct boot until = boot_add(boot_now(), EDIT_PATIENCE);

	for (;;) {
		enum rc rc = borg1_take(l, holder, call, e);
		struct err why;
		nsec age;

		if (rc != RC_BUSY || l->wait)
			return rc;
		age = wall_now().ns - holder->since.ns;
		if (age < -EDIT_AGE || age > EDIT_AGE ||
		    boot_reached(boot_now(), until) || obstacle_is_held(l, call) ||
		    call_pause(call, EDIT_PAUSE, &why) != RC_OK)
			return rc;
	}
}

/* Our file must be in lock.exclusive, and nobody else's. */
static enum rc look_exclusive(struct borg1_lock *l, const struct call *call,
			      struct err *e)
{
	struct borg_entries files = { 0 };
	struct borg_owner other;
	bool own = false;
	enum rc rc = borg1_list_exclusive(l, &files, call, e);

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
	rc = store_may_lock(l->store, e);
	if (rc != RC_OK)
		return rc;
	/* What an earlier try could not clean up would be in our way. */
	if (l->entered || l->enlisted)
		rc = borg1_release(lock, call, e);
	if (rc == RC_OK && l->mode == LOCK_EXCLUSIVE)
		rc = look_for_readers(l, holder, call, e);
	if (rc == RC_OK)
		rc = take_unless_held(l, holder, call, e);
	if (rc != RC_OK)
		return rc;
	rc = enlist_if_free(l, holder, call, e);
	if (rc == RC_OK && l->mode == LOCK_SHARED)
		rc = borg1_leave(l, call, e);
	/* It may have been broken, and given to another, while we edited. */
	if (rc == RC_OK && l->mode == LOCK_EXCLUSIVE)
		rc = look_exclusive(l, call, e);
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
	rc = borg1_roster_read(l, &r, &tag, call, e);
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

/* borg takes an unreadable roster for an empty one: nobody is kept out, but by
 * one who may be writing it. */
static enum rc muddled(struct borg1_lock *l, const struct call *call,
		       struct err *e)
{
	struct boot now = boot_now();

	if (l->muddled_since.ns == 0 || borg1_is_edited(l, call))
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
	enum rc rc = borg1_roster_load(l, &r, &tag, call, e);

	if (rc == RC_MALFORMED)
		return muddled(l, call, e);
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
	char name[BORG1_NAME_MAX + 80];
	enum rc rc;

	unwatch(l);
	if (l->mode == LOCK_SHARED)
		return watch(l, ROSTER, fd, e);
	(void)snprintf(name, sizeof(name), EXCLUSIVE "/%s", l->own_file);
	rc = watch(l, name, fd, e);
	/* Nothing happens to the file when its directory is moved away. */
	return rc == RC_OK ? watch(l, EXCLUSIVE, fd, e) : rc;
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

/* Is our entry in there? Without lock.exclusive, so that what cannot be read
 * may be half written: then nobody has seen it gone. */
static enum rc look_enlisted(struct borg1_lock *l, bool *is,
			     const struct call *call, struct err *e)
{
	struct borg_roster r = { 0 };
	struct store_tag tag;
	enum rc rc = borg1_roster_load(l, &r, &tag, call, e);

	if (rc != RC_OK && rc != RC_MALFORMED)
		return rc;
	*is = rc == RC_MALFORMED || borg_roster_has(&r, l->mode, &l->own);
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
	enum rc rc = borg1_list_exclusive(l, &files, call, e);

	for (size_t i = 0; i < files.count; i++)
		own = own || strcmp(files.at[i].name, l->own_file) == 0;
	borg_entries_release(&files);
	if (rc != RC_OK)
		return rc;
	l->entered = own;
	if (!own && l->leaving)
		borg1_tidy_exclusive(l, call);
	return RC_OK;
}

/* Our shared entry is still there, for the reason in *e. It keeps writers out,
 * so whoever reads this must be able to remove it. */
static enum rc stays(struct borg1_lock *l, enum rc rc, struct err *e)
{
	bool by_others = rc == RC_BUSY || rc == RC_MALFORMED;
	struct lock_info own = { 0 };
	struct err why = *e, ignored;
	struct boot now = boot_now();

	if (l->release_since.ns == 0)
		l->release_since = now;
	(void)borg1_entry_id(l, &own, &ignored);
	(void)err_set(e, rc,
		      "%.64s; our entry %.8s stays in " ROSTER
		      " and keeps writers out: repolock unlock -r borg:%.80s "
		      "--force %.8s",
		      why.text, own.id, l->store->shown, own.id);
	if (!by_others)
		return rc;
	return boot_until(l->release_since, now) < RELEASE_PATIENCE ? RC_RETRY
								    : RC_FAILED;
}

/* Only who has lock.exclusive may take it off. RC_LOST: it was not there. */
static enum rc release_shared(struct borg1_lock *l, const struct call *call,
			      struct err *e)
{
	bool tried = l->delisting;
	enum rc rc = RC_OK;

	if (l->release_since.ns == 0)
		l->release_since = boot_now();
	if (!l->entered)
		rc = borg1_take_patiently(l, RELEASE_ONCE, call, e);
	if (rc == RC_OK) {
		rc = borg1_delist(l, &l->own, LOCK_SHARED, call, e);
		/* Unreadable, it was not written to. */
		l->delisting = tried || (rc != RC_MALFORMED && rc != RC_LOST);
	}
	if (rc == RC_LOST && tried)
		return RC_OK;
	return rc == RC_OK || rc == RC_LOST ? rc : stays(l, rc, e);
}

/* The entry of an exclusive lock blocks nobody: it need not be taken off while
 * others are in there, nor where it cannot be found. */
static enum rc release_exclusive(struct borg1_lock *l, const struct call *call,
				 struct err *e)
{
	enum rc rc = RC_OK;

	if (!l->entered)
		rc = borg1_take_patiently(l, 0, call, e);
	if (rc == RC_BUSY)
		return RC_OK;
	if (rc == RC_OK)
		rc = borg1_delist(l, &l->own, LOCK_EXCLUSIVE, call, e);
	return rc == RC_LOST || rc == RC_MALFORMED ? RC_OK : rc;
}

static void forget_release(struct borg1_lock *l)
{
	l->leaving = l->delisting = false;
	l->release_since = (struct boot){ 0 };
}

static enum rc borg1_release(struct lock *lock, const struct call *call,
			     struct err *e)
{
	struct borg1_lock *l = borg1_of(lock);
	bool shared = l->mode == LOCK_SHARED;
	bool is = false, lost;
	struct err why;
	enum rc rc = RC_OK;

	unwatch(l);
	borg1_private_remove(l, call);
	if (l->entered)
		rc = look_entered(l, call, e);
	if (rc == RC_OK && l->enlisted)
		rc = look_enlisted(l, &is, call, e);
	if (rc != RC_OK)
		return rc;
	lost = l->held &&
	       (shared ? !is && !l->delisting : !l->entered && !l->leaving);
	if (is)
		rc = shared ? release_shared(l, call, e)
			    : release_exclusive(l, call, e);
	if (rc == RC_LOST) {
		lost = l->held;
		rc = RC_OK;
	}
	if (rc == RC_OK)
		l->enlisted = false;
	/* Whatever became of the entry: nobody is to wait for us now. */
	if (l->entered && borg1_leave(l, call, &why) != RC_OK && l->entered) {
		*e = why;
		return RC_RETRY;
	}
	if (rc != RC_OK)
		return rc;
	l->held = false;
	forget_release(l);
	return lost ? err_set(e, RC_LOST, "it had been removed by somebody")
		    : RC_OK;
}

/* --- the table --- */

static void borg1_close(struct lock *lock)
{
	struct borg1_lock *l = borg1_of(lock);

	unwatch(l);
	if (l->alarm_fd >= 0)
		close(l->alarm_fd);
	borg1_survey_free(l->survey);
	liveness_inside_release(&l->inside);
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

struct borg1_lock *borg1_of(struct lock *lock)
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
		.base.warning = borg_host_warning(host) ? borg_host_warning(host)
							: store_warning(store),
		.store = store,
		.host = *host,
		.mode = wish->mode,
		.clear = wish->clear,
		.wait = wish->wait,
		.alarm_fd = -1,
	};
	l->host.inside = &l->inside;
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
