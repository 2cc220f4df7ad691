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
#include "lock/borg2.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/hash.h"
#include "util/text.h"

/* borg renews at half of that, but there are clocks that differ by minutes;
 * the overlap is more than a list and all its loads take. */
const struct borg2_pace borg2_pace = { .renew = 5 * 60 * NSEC_PER_SEC,
				       .overlap = 8 * NSEC_PER_SEC };
/* How often a holder looks where it is woken by changes (not by those of the
 * directory above), where each look may take long, and where it must. */
#define LOOK_WATCHING (10 * NSEC_PER_SEC)
#define LOOK_REMOTE (60 * NSEC_PER_SEC)
#define LOOK_BLIND (500 * NSEC_PER_MSEC)
/* Of two who place exclusive objects at once the lower name keeps its own,
 * but no longer than this: the other may have the lock already. */
#define CONTEND NSEC_PER_SEC
#define CONTEND_PAUSE (20 * NSEC_PER_MSEC)

#define WAIT_WATCHING NSEC_PER_SEC
#define WAIT_BLIND (200 * NSEC_PER_MSEC)
#define BACKED_OFF_LOW (20 * NSEC_PER_MSEC)
#define BACKED_OFF_HIGH (300 * NSEC_PER_MSEC)

/* A difference of clocks that people should hear of. */
#define SKEW_TOLD (60 * NSEC_PER_SEC)

/* borgstore makes objects durable no more than anything else, but one that a
 * power cut left empty stops every borg 2, break-lock included. */
const struct store_manners borg2_manners = { .durable = true,
					     .temporary = "%s.%s.tmp" };

/* --- our own objects --- */

static char *stray_slot(struct borg2_lock *l)
{
	for (size_t i = 0; i < BORG2_STRAYS_MAX; i++) {
		if (l->strays[i][0] == '\0')
			return l->strays[i];
	}
	return NULL;
}

/* Delete *name and forget it. RC_OK also if it was not there. */
static enum rc sweep_one(struct borg2_lock *l, char *name,
			 const struct call *call, struct err *e)
{
	enum rc rc = name[0] == '\0' ? RC_ABSENT
				     : borg2_del_object(l, name, call, e);

	if (rc != RC_OK && rc != RC_ABSENT)
		return rc;
	name[0] = '\0';
	return RC_OK;
}

static enum rc sweep_strays(struct borg2_lock *l, const struct call *call,
			    struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < BORG2_STRAYS_MAX; i++)
		rc = sweep_one(l, l->strays[i], call, e);
	return rc;
}

static enum rc compose(struct borg2_lock *l, struct borg2_own_object *o,
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
static enum rc place_once(struct borg2_lock *l, struct borg2_own_object *o,
			  const struct call *call, struct err *e)
{
	char full[BORG2_NAME_ROOM + sizeof(LOCKS)], *slot = stray_slot(l);
	struct store_tag tag;
	struct buf text;
	enum rc rc;

	if (!slot)
		return err_set(e, RC_RETRY, "too many objects are in doubt");
	buf_init(&text, BORG2_OBJECT_MAX);
	rc = compose(l, o, &text, e);
	/* Made in the same millisecond, and not to be deleted with this. */
	if (rc == RC_OK && borg2_is_own(l, o->name))
		rc = RC_EXISTS;
	if (rc == RC_OK) {
		borg2_full_name(full, sizeof(full), o->name);
		text_copy(slot, BORG2_NAME_ROOM, o->name);
		o->sent = boot_now();
		rc = l->store->ops->put(l->store, full, buf_text(&text),
					text.len, STORE_PUT_IF_ABSENT, NULL,
					&tag, call, e);
	}
	if (rc == RC_OK)
		borg2_read_clock(l, tag.time);
	/* Whether it is there is certain in these two cases only. */
	if (rc == RC_OK || rc == RC_EXISTS)
		slot[0] = '\0';
	buf_release(&text);
	return rc;
}

static enum rc place(struct borg2_lock *l, struct borg2_own_object *o,
		     const struct call *call, struct err *e)
{
	struct borg2_own_object placed = { 0 };
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
	char full[BORG2_NAME_ROOM + sizeof(LOCKS)];
	struct store_tag tag;
	struct buf text;
	enum rc rc;

	borg2_full_name(full, sizeof(full), name);
	buf_init(&text, BORG2_OBJECT_MAX);
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
	enum rc rc = borg2_del_object(l, l->former.name, call, e);

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
	struct borg2_own_object fresh;
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
	struct lock_term term = { .valid = BORG2_STALE, .refresh_in = next };
	nsec due = l->pace.renew - age;

	if (age > 0)
		term.valid = age < BORG2_STALE ? BORG2_STALE - age : 0;
	if (l->former.name[0] != '\0')
		due = boot_until(boot_now(), l->former_until);
	if (due < term.refresh_in)
		term.refresh_in = due > NSEC_PER_SEC ? due : NSEC_PER_SEC;
	term.margin = lock_margin(term.valid);
	return term;
}

/* --- acquire --- */

static enum rc busy(const struct borg2_view *v, struct lock_info *holder,
		    struct err *e)
{
	*holder = v->holder;
	return err_set(e, RC_BUSY, "the repository is locked");
}

static enum rc back_off(struct borg2_lock *l, const struct borg2_view *v,
			struct lock_info *holder, const struct call *call,
			struct err *e)
{
	withdraw(l, call);
	l->backed_off = true;
	return busy(v, holder, e);
}

static bool in_the_way(const struct borg2_lock *l, const struct borg2_view *v)
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
		struct borg2_view v;
		enum rc rc = borg2_look(l, &v, call, e);

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
	struct borg2_object o = {
		.readable = true,
		.record = { .owner = l->own,
			    .exclusive = l->mode == LOCK_EXCLUSIVE,
			    .time = l->current.time },
		.tag.time.ns = l->clock.store.ns -
			       boot_until(l->current.sent, l->clock.at),
	};

	text_copy(o.name, sizeof(o.name), l->current.name);
	return borg2_describe(l, &o, mine, e);
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
		struct borg2_view v;

		rc = borg2_look(l, &v, call, e);
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
	rc = store_may_lock(l->store, e);
	if (rc != RC_OK)
		return rc;
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
	char full[BORG2_NAME_ROOM + sizeof(LOCKS)];
	enum rc rc;

	if (!l->store->ops->watch || name[0] == '\0')
		return RC_UNSUPPORTED;
	borg2_full_name(full, sizeof(full), name);
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
	if (l->watching)
		next = LOOK_WATCHING;
	if (l->store->lag > 0)
		next = LOOK_REMOTE;
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
		rc = borg2_del_object(l, l->current.name, call, e);
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

/* --- the table --- */

static void borg2_close(struct lock *lock)
{
	struct borg2_lock *l = borg2_of(lock);

	unwatch(l);
	if (l->alarm_fd >= 0)
		close(l->alarm_fd);
	borg2_objects_release(&l->survey);
	liveness_inside_release(&l->inside);
	store_close(l->store);
	free(l);
}

static const struct lock_ops lock_borg2 = {
	.name = "borg2",
	.summary = "the native lock of a borg 2 repository",
	.shared = true,
	.named = false,
	.ttl_default = BORG2_STALE,
	.ttl_min = BORG2_STALE,
	.ttl_max = BORG2_STALE,
	.close = borg2_close,
	.acquire = borg2_acquire,
	.wait = borg2_wait,
	.refresh = borg2_refresh,
	.release = borg2_release,
	.loss_fd = borg2_loss_fd,
	.list = borg2_list,
	.remove = borg2_remove,
};

struct borg2_lock *borg2_of(struct lock *lock)
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
	l->base.warning = borg_host_warning(host) ? borg_host_warning(host)
						  : store_warning(store);
	l->store = store;
	l->host = *host;
	l->host.inside = &l->inside;
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
