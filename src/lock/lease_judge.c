/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is stale, and how it is proved: by a free kernel lock; by the end of
 * both processes on this very boot and in these very namespaces; by watching
 * the claim go unrenewed for a whole TTL of our own clock. In that order, and
 * never by a name or an age.
 */
#include <stdio.h>

#include "lock/lease.h"
#include "lock/liveness.h"
#include "util/duration.h"
#include "util/text.h"

/* Added to the TTL that is watched: for the store's own delays. */
#define WATCH_EXTRA (2 * NSEC_PER_SEC)

enum store_probe lease_probe(struct lease *l, const struct lease_name *name,
			     bool *vanished, const struct call *call)
{
	enum store_probe found = STORE_PROBE_BLIND;
	char path[LEASE_PATH_SIZE];
	struct err unseen;
	enum rc rc;

	*vanished = false;
	if (!l->store->ops->probe)
		return STORE_PROBE_BLIND;
	lease_path(l, name, path);
	rc = l->store->ops->probe(l->store, path, &found, call, &unseen);
	*vanished = rc == RC_ABSENT;
	return rc == RC_OK ? found : STORE_PROBE_BLIND;
}

/* The kernel lock decides, where it can be seen. True: decided. */
static bool by_kernel_lock(struct lease *l, const struct lease_name *claim,
			   struct lease_verdict *v, const struct call *call)
{
	bool vanished;

	if (!claim->kernel)
		return false;
	switch (lease_probe(l, claim, &vanished, call)) {
	case STORE_PROBE_TAKEN:
		v->alive = LOCK_ALIVE_YES;
		v->kernel = true;
		return true;
	case STORE_PROBE_FREE:
		v->fate = LEASE_STALE;
		v->alive = LOCK_ALIVE_NO;
		(void)text_copy(v->why, sizeof(v->why),
				"its kernel lock is free: its holder has died");
		return true;
	case STORE_PROBE_BLIND:
		break;
	}
	if (vanished)
		v->fate = LEASE_VANISHED;
	return vanished;
}

/* Both: either of them alive still kills the command of the other. */
static bool by_processes(struct lease *l, const struct lease_record *r,
			 struct lease_verdict *v)
{
	struct liveness_place place = { .boot_id = r->boot_id,
					.pid_ns = r->pid_ns,
					.time_ns = r->time_ns };
	enum lock_alive front = liveness_of(l->wish.self, &place, &r->front);
	enum lock_alive keeper = liveness_of(l->wish.self, &place, &r->keeper);

	if (front == LOCK_ALIVE_YES || keeper == LOCK_ALIVE_YES)
		v->alive = LOCK_ALIVE_YES;
	if (front != LOCK_ALIVE_NO || keeper != LOCK_ALIVE_NO)
		return false;
	v->fate = LEASE_STALE;
	v->alive = LOCK_ALIVE_NO;
	(void)snprintf(v->why, sizeof(v->why),
		       "its processes %d and %d have ended", (int)r->front.pid,
		       (int)r->keeper.pid);
	return true;
}

/* No holder has a longer one, whatever the name says. */
static nsec watched_ttl(const struct lease_name *claim)
{
	nsec ttl = lease_name_ttl(claim);

	return ttl < LEASE_TTL_MAX ? ttl : LEASE_TTL_MAX;
}

static void by_watching(struct lease *l, const struct lease_name *claim,
			struct lease_look *look, struct boot sent,
			struct boot answered, struct lease_verdict *v)
{
	nsec needed = watched_ttl(claim) + WATCH_EXTRA + l->store->lag;
	nsec unchanged;
	char shown[32];

	(void)text_copy(look->uuid, sizeof(look->uuid), claim->uuid);
	unchanged = lease_looks_note(&l->looks, look, sent, answered);
	if (unchanged < needed) {
		v->sure_in = needed - unchanged;
		return;
	}
	duration_show(shown, sizeof(shown), unchanged);
	v->fate = LEASE_STALE;
	(void)snprintf(v->why, sizeof(v->why),
		       "it has been watched for %s and was not renewed", shown);
}

/* A renewal shows in the tag, also of what cannot be read: too large, no text
 * of ours, of another user. */
static bool was_seen(enum rc rc, const struct store_tag *tag)
{
	return rc == RC_OK ||
	       ((rc == RC_DENIED || rc == RC_MALFORMED) && tag->time.ns != 0);
}

nsec lease_unchanged(struct lease *l, const struct lease_name *name,
		     const struct call *call)
{
	struct boot sent = boot_now();
	struct lease_look look = { 0 };
	char path[LEASE_PATH_SIZE];
	struct err unread;
	struct buf body;
	enum rc rc;

	buf_init(&body, LEASE_RECORD_CEILING);
	lease_path(l, name, path);
	rc = l->store->ops->get(l->store, path, &body, &look.tag, call, &unread);
	buf_release(&body);
	if (!was_seen(rc, &look.tag))
		return 0;
	(void)text_copy(look.uuid, sizeof(look.uuid), name->uuid);
	return lease_looks_note(&l->looks, &look, sent, boot_now());
}

/* Reads the claim: for its processes, and as a look of the watching. */
static void by_reading(struct lease *l, const struct lease_name *claim,
		       struct lease_verdict *v, const struct call *call)
{
	bool readable = false;
	struct boot sent = boot_now();
	struct lease_record record = { 0 };
	struct lease_look look = { 0 };
	char path[LEASE_PATH_SIZE];
	struct boot answered;
	struct err unread;
	struct buf body;
	enum rc rc;

	buf_init(&body, LEASE_RECORD_CEILING);
	lease_path(l, claim, path);
	rc = l->store->ops->get(l->store, path, &body, &look.tag, call, &unread);
	answered = boot_now();
	if (rc == RC_OK)
		readable = lease_record_read(&record, buf_text(&body), body.len,
					     &unread) == RC_OK;
	buf_release(&body);
	if (rc == RC_ABSENT)
		v->fate = LEASE_VANISHED;
	if (!was_seen(rc, &look.tag) || (readable && by_processes(l, &record, v)))
		return;
	look.counter = record.counter;
	by_watching(l, claim, &look, sent, answered, v);
}

void lease_judge_place(struct lease *l, const struct lease_name *place,
		       const struct lease_record *record,
		       struct lease_verdict *verdict, const struct call *call)
{
	bool vanished;

	*verdict = (struct lease_verdict){ .fate = LEASE_LIVE };
	if (lease_probe(l, place, &vanished, call) == STORE_PROBE_TAKEN)
		verdict->alive = LOCK_ALIVE_YES;
	else if (vanished)
		verdict->fate = LEASE_VANISHED;
	else if (record)
		(void)by_processes(l, record, verdict);
}

void lease_judge(struct lease *l, const struct lease_name *claim,
		 struct lease_verdict *verdict, const struct call *call)
{
	*verdict = (struct lease_verdict){ .fate = LEASE_LIVE };
	if (!by_kernel_lock(l, claim, verdict, call))
		by_reading(l, claim, verdict, call);
}
