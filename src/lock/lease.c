/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lease, our own lock on any store: its life from open to close, refresh
 * and release. How it is won is in lease_acquire.c, who is stale in
 * lease_judge.c, what the administrator sees in lease_admin.c.
 */
#include "lock/lease.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util/text.h"

/* How often our claim is looked at where it cannot be watched. */
#define LOOK_EVERY NSEC_PER_SEC

#define TTL_DEFAULT (300 * NSEC_PER_SEC)
#define TTL_MIN (2 * NSEC_PER_SEC)

struct lease *lease_of(struct lock *lock)
{
	assert(lock->ops == &lock_lease);
	return (struct lease *)lock;
}

void lease_path(const struct lease *l, const struct lease_name *name,
		char out[LEASE_PATH_SIZE])
{
	char text[LEASE_NAME_SIZE];

	lease_name_format(text, name);
	(void)snprintf(out, LEASE_PATH_SIZE, "%s%s", l->prefix, text);
}

/* --- open and close --- */

enum rc lease_open_on(struct lock **lock, struct store *store,
		      const struct lock_wish *wish, struct err *e)
{
	struct lease *l = calloc(1, sizeof(*l));

	if (!l)
		return err_set(e, RC_FAILED, "no memory");
	l->base.ops = &lock_lease;
	l->store = store;
	l->wish = *wish;
	l->ttl = wish->ttl ? wish->ttl : TTL_DEFAULT;
	(void)snprintf(l->prefix, sizeof(l->prefix), ".repolock/%.64s/",
		       wish->name);
	l->claim.fd = -1;
	l->place.fd = -1;
	l->loss_fd = -1;
	l->alarm_fd = -1;
	lease_view_init(&l->view);
	buf_init(&l->record, LEASE_RECORD_CEILING);
	lease_looks_init(&l->looks, wish->self);
	*lock = &l->base;
	return RC_OK;
}

static enum rc lease_open(struct lock **lock, const struct lock_wish *wish,
			  const struct call *call, struct err *e)
{
	struct store *store;
	enum rc rc;

	rc = store_open(&store, wish->location->scheme, wish->location->rest,
			&(struct store_manners){ 0 }, call, e);
	if (rc != RC_OK)
		return rc;
	rc = lease_open_on(lock, store, wish, e);
	if (rc != RC_OK)
		store_close(store);
	return rc;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void lease_close(struct lock *lock)
{
	struct lease *l = lease_of(lock);

	close_fd(&l->claim.fd);
	close_fd(&l->place.fd);
	close_fd(&l->loss_fd);
	close_fd(&l->alarm_fd);
	store_close(l->store);
	lease_view_release(&l->view);
	lease_looks_release(&l->looks);
	lease_queue_reset(&l->queue);
	buf_release(&l->record);
	free(l->used);
	free(l);
}

/* --- looking --- */

/* What is no file was not put by us, and is in nobody's way: whoever makes it
 * could as well have removed what is there. */
static bool add_entry(void *context, const struct store_entry *entry)
{
	struct lease *l = context;

	if (!entry->directory && !entry->odd)
		lease_view_add(&l->view, entry->name);
	else if (l->wish.listing)
		lease_view_add_foreign(&l->view, entry->name, entry->directory);
	return true;
}

static bool used_before(const struct lease *l, const char *uuid)
{
	if (strcmp(uuid, l->claim.name.uuid) == 0 ||
	    strcmp(uuid, l->place.name.uuid) == 0)
		return false;
	for (size_t i = 0; i < l->used_count; i++)
		if (strcmp(l->used[i], uuid) == 0)
			return true;
	return false;
}

/* A write of ours that came late is nobody's: it must not count. */
static void drop_late_writes(struct lease *l, const struct call *call)
{
	struct lease_view *view = &l->view;
	struct err ignored;

	if (l->used_count == 0)
		return;
	for (size_t i = 0; i < view->count;) {
		struct lease_name *name = &view->names[i];

		if (name->kind == LEASE_TOMBSTONE || !used_before(l, name->uuid)) {
			i++;
			continue;
		}
		(void)lease_delete(l, name, call, &ignored);
		*name = view->names[--view->count];
	}
}

bool lease_was_listed(const struct lease *l)
{
	return strcmp(l->listed, l->prefix) == 0;
}

enum rc lease_look(struct lease *l, const struct call *call, struct err *e)
{
	const struct store_ops *ops = l->store->ops;
	enum rc rc;

	l->listed[0] = '\0';
	lease_view_reset(&l->view);
	rc = (ops->names ? ops->names : ops->list)(l->store, l->prefix,
						   add_entry, l, call, e);
	if (rc != RC_OK)
		return rc;
	if (l->view.overflow)
		return err_set(e, RC_RETRY, "no memory for a listing");
	drop_late_writes(l, call);
	lease_queue_mark(l);
	memcpy(l->listed, l->prefix, sizeof(l->listed));
	return RC_OK;
}

/* --- objects of ours --- */

static void remember_used(struct lease *l, const char *uuid)
{
	char(*more)[LEASE_UUID_SIZE];

	more = realloc(l->used, (l->used_count + 1) * sizeof(*more));
	if (!more)
		return; /* then a late write of ours has to prove stale */
	l->used = more;
	memcpy(more[l->used_count++], uuid, LEASE_UUID_SIZE);
}

void lease_forget_own(struct lease_own *own)
{
	close_fd(&own->fd);
	own->there = LEASE_GONE;
	own->name.uuid[0] = '\0';
}

static enum rc put_once(struct lease *l, struct lease_own *own, bool kernel,
			const struct call *call, struct err *e)
{
	const struct store_ops *ops = l->store->ops;
	char path[LEASE_PATH_SIZE];

	own->name.kernel = kernel && own->name.kind == LEASE_CLAIM;
	lease_path(l, &own->name, path);
	if (kernel)
		return ops->put_locked(l->store, path, l->record.data,
				       l->record.len, &own->fd, NULL, call, e);
	if (ops->put_open)
		return ops->put_open(l->store, path, l->record.data,
				     l->record.len, &own->fd, NULL, call, e);
	/* A fresh UUID: there is nothing to be replaced. */
	return ops->put(l->store, path, l->record.data, l->record.len,
			STORE_PUT_ALWAYS, NULL, &own->tag, call, e);
}

enum rc lease_put_own(struct lease *l, struct lease_own *own,
		      const struct call *call, struct err *e)
{
	enum rc rc;

	close_fd(&own->fd);
	uuid_make(own->name.uuid);
	own->there = LEASE_GONE;
	remember_used(l, own->name.uuid);
	rc = lease_record_write(&l->record, &l->wish, l->since, ++l->counter, e);
	if (rc != RC_OK)
		return rc;
	rc = RC_UNSUPPORTED;
	if (l->store->ops->put_locked && !l->no_kernel) {
		rc = put_once(l, own, true, call, e);
		l->no_kernel = rc == RC_UNSUPPORTED;
	}
	if (rc == RC_UNSUPPORTED)
		rc = put_once(l, own, false, call, e);
	if (rc == RC_OK)
		own->there = LEASE_WRITTEN;
	else if (rc == RC_UNKNOWN)
		own->there = LEASE_MAYBE;
	return rc;
}

enum rc lease_delete(struct lease *l, const struct lease_name *name,
		     const struct call *call, struct err *e)
{
	char path[LEASE_PATH_SIZE];
	enum rc rc;

	lease_path(l, name, path);
	rc = l->store->ops->del(l->store, path, call, e);
	return rc == RC_ABSENT ? RC_OK : rc;
}

enum rc lease_withdraw(struct lease *l, struct lease_own *own,
		       const struct call *call, struct err *e)
{
	enum rc rc;

	if (own->there == LEASE_GONE)
		return RC_OK;
	own->there = LEASE_MAYBE;
	rc = lease_delete(l, &own->name, call, e);
	if (rc == RC_OK)
		lease_forget_own(own);
	return rc;
}

/* --- terms and refresh --- */

void lease_fill_term(const struct lease *l, struct boot entered,
		     struct lock_term *term)
{
	nsec since = boot_until(entered, l->renewed);
	/* The clock's last digits spread refreshes as well as any dice. */
	nsec jitter = l->renewed.ns % (l->ttl / 60);
	nsec refresh = l->ttl / 3 - jitter + since;

	term->valid = l->ttl + since;
	term->refresh_in = refresh > 0 ? refresh : 0;
	term->margin = lock_margin(l->ttl);
}

enum rc lease_renew_claim(struct lease *l, const struct call *call, struct err *e)
{
	const struct store_ops *ops = l->store->ops;
	struct boot sent = boot_now();
	char path[LEASE_PATH_SIZE];
	enum rc rc;

	rc = lease_record_write(&l->record, &l->wish, l->since, ++l->counter, e);
	if (rc != RC_OK)
		return rc;
	lease_path(l, &l->claim.name, path);
	if (l->claim.fd >= 0)
		rc = ops->renew_open(l->store, path, l->claim.fd,
				     l->record.data, l->record.len, NULL, e);
	else
		rc = ops->renew(l->store, path, &l->claim.tag, l->record.data,
				l->record.len, &l->claim.tag, call, e);
	if (rc == RC_OK)
		l->renewed = sent;
	return rc;
}

static enum rc taken(struct lease *l, const char *how, struct err *e)
{
	l->claim.there = LEASE_TAKEN;
	return err_set(e, RC_LOST, "the lock in %.120s was %s by somebody",
		       l->store->shown, how);
}

/* --- noticing a loss --- */

/* 0: no alarm any more. Setting it anew takes back one that was raised. */
static void set_alarm(struct lease *l, nsec first, nsec every)
{
	const struct itimerspec t = {
		.it_value = { .tv_sec = first / NSEC_PER_SEC,
			      .tv_nsec = first % NSEC_PER_SEC },
		.it_interval = { .tv_sec = every / NSEC_PER_SEC,
				 .tv_nsec = every % NSEC_PER_SEC },
	};

	(void)timerfd_settime(l->alarm_fd, 0, &t, NULL);
}

/* Readable by the watch or by the alarm: which of them serves may change. */
static bool open_loss(struct lease *l)
{
	struct epoll_event wanted = { .events = EPOLLIN };

	if (l->loss_fd >= 0)
		return true;
	l->loss_fd = epoll_create1(EPOLL_CLOEXEC);
	l->alarm_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->loss_fd >= 0 && l->alarm_fd >= 0 &&
	    epoll_ctl(l->loss_fd, EPOLL_CTL_ADD, l->alarm_fd, &wanted) == 0)
		return true;
	close_fd(&l->loss_fd);
	close_fd(&l->alarm_fd);
	return false;
}

/*
 * Our own renewal woke the watch as well: begin anew. It tells whether the
 * claim is there, so that a removal in between is not missed. Where no watch
 * can be had, as there are only so many for each user, the claim is looked at
 * by the clock.
 */
static enum rc watch_loss(struct lease *l)
{
	struct epoll_event wanted = { .events = EPOLLIN };
	char path[LEASE_PATH_SIZE];
	struct err unwatched;
	int fd = -1;
	enum rc rc;

	lease_path(l, &l->claim.name, path);
	l->store->ops->unwatch(l->store);
	rc = l->store->ops->watch(l->store, path, &fd, &unwatched);
	if (rc == RC_OK && epoll_ctl(l->loss_fd, EPOLL_CTL_ADD, fd, &wanted) < 0 &&
	    errno != EEXIST)
		rc = RC_RETRY;
	if (rc == RC_OK)
		set_alarm(l, 0, 0);
	else
		set_alarm(l, LOOK_EVERY, LOOK_EVERY);
	return rc;
}

static enum rc lease_refresh(struct lock *lock, struct lock_term *term,
			     const struct call *call, struct err *e)
{
	struct lease *l = lease_of(lock);
	struct boot entered = boot_now();
	const char *uuid = l->claim.name.uuid;
	enum rc rc;

	if (l->claim.there != LEASE_ENTERED)
		return err_set(e, RC_LOST, "the lock is not held");
	rc = lease_look(l, call, e);
	if (rc != RC_OK)
		return rc;
	if (lease_view_void(&l->view, uuid))
		return taken(l, "broken", e);
	if (!lease_view_find(&l->view, LEASE_CLAIM, uuid))
		return taken(l, "removed", e);
	rc = lease_renew_claim(l, call, e);
	if (rc == RC_OK && l->loss_asked)
		rc = watch_loss(l) == RC_ABSENT ? RC_ABSENT : RC_OK;
	if (rc == RC_ABSENT)
		return taken(l, "removed", e);
	if (rc == RC_OK)
		lease_fill_term(l, entered, term);
	return rc;
}

static int lease_loss_fd(struct lock *lock)
{
	struct lease *l = lease_of(lock);

	if (l->claim.there != LEASE_ENTERED || !l->store->ops->watch ||
	    !open_loss(l))
		return -1;
	l->loss_asked = true;
	if (watch_loss(l) == RC_ABSENT)
		set_alarm(l, 1, 0); /* lost before it was watched */
	return l->loss_fd;
}

static int lease_kernel_lock_fd(struct lock *lock)
{
	const struct lease *l = lease_of(lock);

	return l->claim.there == LEASE_ENTERED && l->claim.name.kernel
		       ? l->claim.fd
		       : -1;
}

/* --- release --- */

/* The name of a claim's tombstone. */
static struct lease_name tombstone_of(const struct lease_name *claim)
{
	struct lease_name tombstone = { .kind = LEASE_TOMBSTONE,
					.number = claim->number };

	(void)text_copy(tombstone.uuid, sizeof(tombstone.uuid), claim->uuid);
	return tombstone;
}

static enum rc put_tombstone(struct lease *l, const struct lease_name *claim,
			     const struct call *call, struct err *e)
{
	struct lease_name tombstone = tombstone_of(claim);
	char path[LEASE_PATH_SIZE];

	lease_path(l, &tombstone, path);
	return l->store->ops->put(l->store, path, "", 0, STORE_PUT_ALWAYS, NULL,
				  NULL, call, e);
}

/* A directory does both at once: the claim becomes its own tombstone. */
static enum rc bury_by_move(struct lease *l, const char *claim,
			    const char *tombstone, const struct call *call,
			    struct err *e)
{
	enum rc rc;

	rc = l->store->ops->move(l->store, claim, tombstone, call, e);
	if (rc != RC_EXISTS)
		return rc;
	/* Void already; its name is all that is left of it. */
	rc = l->store->ops->del(l->store, claim, call, e);
	return rc == RC_OK ? RC_ABSENT : rc;
}

enum rc lease_bury(struct lease *l, const struct lease_name *claim,
		   const struct call *call, struct err *e)
{
	const struct store_ops *ops = l->store->ops;
	struct lease_name tombstone = tombstone_of(claim);
	char from[LEASE_PATH_SIZE], to[LEASE_PATH_SIZE];
	enum rc rc = RC_UNSUPPORTED;

	lease_path(l, claim, from);
	lease_path(l, &tombstone, to);
	if (ops->move)
		rc = bury_by_move(l, from, to, call, e);
	if (rc != RC_UNSUPPORTED)
		return rc;
	rc = put_tombstone(l, claim, call, e);
	return rc == RC_OK ? ops->del(l->store, from, call, e) : rc;
}

/* Its number was not reached by counting, and it is not our own. */
static bool counts_for_nothing(const struct lease *l,
			       const struct lease_name *tombstone)
{
	return tombstone->number == LEASE_NUMBER_MAX &&
	       strcmp(tombstone->uuid, l->claim.name.uuid) != 0;
}

/* A tombstone that is not needed for its fence: ours, just put, is above. The
 * claim that it makes void goes first, if that is still there. */
static void sweep_tombstone(struct lease *l, const struct lease_name *tombstone,
			    const struct call *call)
{
	const struct lease_name *claim = lease_view_find(&l->view, LEASE_CLAIM,
							 tombstone->uuid);
	struct err kept;

	if ((lease_name_order(tombstone, &l->claim.name) < 0 ||
	     counts_for_nothing(l, tombstone)) &&
	    (!claim || lease_delete(l, claim, call, &kept) == RC_OK))
		(void)lease_delete(l, tombstone, call, &kept);
}

/* A temporary file is locked as long as somebody writes it. A free lock proves
 * nothing: he may come from another host, over sshfs or the like, to what is a
 * local disk here. But nobody writes for a whole TTL. */
static void sweep_temporary(struct lease *l, const struct lease_name *name,
			    const struct call *call)
{
	struct err kept;
	bool vanished;

	if (lease_probe(l, name, &vanished, call) == STORE_PROBE_TAKEN ||
	    vanished || lease_unchanged(l, name, call) < l->ttl + l->store->lag)
		return;
	if (lease_delete(l, name, call, &kept) == RC_OK)
		lease_looks_forget(&l->looks, name->uuid);
}

/* What nobody needs any more. Here and not while acquiring, where a command
 * waits for it. Failing costs nothing but room. */
static void sweep(struct lease *l, const struct call *call)
{
	for (size_t i = 0; i < l->view.count; i++) {
		const struct lease_name *name = &l->view.names[i];

		if (name->kind == LEASE_TOMBSTONE)
			sweep_tombstone(l, name, call);
		else if (name->kind == LEASE_TEMPORARY)
			sweep_temporary(l, name, call);
	}
}

/* The front shares the description, so that closing ours does not end the
 * kernel lock that the next one waits for. */
static void drop_kernel_lock(const struct lease_own *own)
{
	if (own->fd >= 0 && own->name.kernel)
		(void)flock(own->fd, LOCK_UN);
}

static enum rc leave(struct lease *l, const struct call *call, struct err *e)
{
	bool again = l->claim.there == LEASE_LEAVING;
	enum rc rc;

	l->claim.there = LEASE_LEAVING;
	rc = lease_bury(l, &l->claim.name, call, e);
	if (rc != RC_OK && rc != RC_ABSENT)
		return rc;
	l->claim.there = LEASE_GONE; /* its fd stays: it is lent until close */
	drop_kernel_lock(&l->claim);
	sweep(l, call);
	/* Gone at a second attempt may have been the first one's doing. */
	if (rc == RC_ABSENT && !again)
		return err_set(e, RC_LOST,
			       "the lock in %.120s had been taken from us",
			       l->store->shown);
	return RC_OK;
}

/*
 * Nothing of it may stay but its tombstone: COMMAND had its token. It may be
 * in a directory that was moved away or unmounted and comes back, which we
 * reach through the descriptor that the store has of it.
 */
static enum rc clear_taken(struct lease *l, const struct call *call,
			   struct err *e)
{
	enum rc rc = lease_bury(l, &l->claim.name, call, e);

	if (rc != RC_OK && rc != RC_ABSENT)
		return rc;
	/* Removed by hand, it left none; but a directory that was removed as a
	 * whole is not made anew. */
	if (rc == RC_ABSENT && l->view.count > 0)
		(void)put_tombstone(l, &l->claim.name, call, e);
	l->claim.there = LEASE_GONE;
	drop_kernel_lock(&l->claim);
	return err_set(e, RC_LOST, "the lock in %.120s had been taken from us",
		       l->store->shown);
}

static enum rc release_claim(struct lease *l, const struct call *call,
			     struct err *e)
{
	switch (l->claim.there) {
	case LEASE_GONE:
		return RC_OK;
	case LEASE_MAYBE:
	case LEASE_WRITTEN:
		return lease_withdraw(l, &l->claim, call, e);
	case LEASE_ENTERED:
	case LEASE_LEAVING:
		return leave(l, call, e);
	case LEASE_TAKEN:
		return clear_taken(l, call, e);
	}
	return RC_OK;
}

static enum rc lease_release(struct lock *lock, const struct call *call,
			     struct err *e)
{
	struct lease *l = lease_of(lock);
	enum rc place, claim;
	struct err unsaid;

	claim = release_claim(l, call, e);
	place = lease_withdraw(l, &l->place, call, claim == RC_OK ? e : &unsaid);
	l->ahead = (struct lease_ahead){ 0 };
	lease_queue_reset(&l->queue);
	l->next_fence = 0;
	l->loss_asked = false;
	if (l->alarm_fd >= 0)
		set_alarm(l, 0, 0);
	return claim != RC_OK ? claim : place;
}

const struct lock_ops lock_lease = {
	.name = "lease",
	.summary = "our own lock, in .repolock/ of the location",
	.shared = true,
	.named = true,
	.ttl_default = TTL_DEFAULT,
	.ttl_min = TTL_MIN,
	.ttl_max = LEASE_TTL_MAX,
	.open = lease_open,
	.close = lease_close,
	.acquire = lease_acquire,
	.wait = lease_wait,
	.refresh = lease_refresh,
	.release = lease_release,
	.loss_fd = lease_loss_fd,
	.kernel_lock_fd = lease_kernel_lock_fd,
	.describe = lease_describe,
	.list = lease_list,
	.remove = lease_remove,
};
