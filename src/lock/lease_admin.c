/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What people see of a lease, and the administrator's remove.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lock/lease.h"
#include "lock/liveness.h"
#include "util/text.h"

/* Claims that conflict are making sure, which takes milliseconds, or one is
 * draining. Looked at so often before it is called draining. */
enum { SETTLE_LOOKS = 4 };
#define SETTLE_PAUSE (10 * NSEC_PER_MSEC)

void lease_tell(const struct lease *l, const struct lease_name *name,
		struct lock_info *info)
{
	*info = (struct lock_info){
		.mode = name->mode,
		.state = name->kind == LEASE_PLACE ? LOCK_WAITING : LOCK_HELD,
		.fence = name->kind == LEASE_CLAIM ? name->number : 0,
	};
	(void)text_copy(info->protocol, sizeof(info->protocol), "lease");
	(void)text_copy(info->name, sizeof(info->name), l->wish.name);
	(void)text_copy(info->id, sizeof(info->id), name->uuid);
}

enum rc lease_read_record(struct lease *l, const struct lease_name *name,
			  struct lease_record *record, struct lock_info *info,
			  const struct call *call, struct err *e)
{
	struct liveness_place place = { 0 };
	char path[LEASE_PATH_SIZE];
	struct store_tag tag;
	struct buf body;
	enum rc rc;

	buf_init(&body, LEASE_RECORD_CEILING);
	lease_path(l, name, path);
	rc = l->store->ops->get(l->store, path, &body, &tag, call, e);
	if (rc == RC_OK) {
		if (name->kind == LEASE_CLAIM)
			info->refreshed = tag.time;
		rc = lease_record_read(record, buf_text(&body), body.len, e);
	}
	if (rc == RC_OK) {
		place.boot_id = record->boot_id;
		place.pid_ns = record->pid_ns;
		lease_record_tell(record, info);
		info->counted = liveness_counted(l->wish.self, &place);
	}
	buf_release(&body);
	return rc;
}

static void tell_expiry(const struct lease_name *claim, struct lock_info *info)
{
	if (info->refreshed.ns != 0)
		info->expires.ns = info->refreshed.ns + lease_name_ttl(claim);
}

/* No file: nothing of ours, whatever its name. */
static const struct lease_name *find_foreign(const struct lease *l, const char *id)
{
	for (size_t i = 0; i < l->view.count; i++)
		if (l->view.names[i].foreign &&
		    strcmp(l->view.names[i].uuid, id) == 0)
			return &l->view.names[i];
	return NULL;
}

/* The object of the last listing that bears this id. */
static const struct lease_name *find_id(const struct lease *l, const char *id)
{
	const struct lease_name *claim = lease_view_find(&l->view, LEASE_CLAIM,
							 id);

	const struct lease_name *place = lease_view_find(&l->view, LEASE_PLACE,
							 id);

	if (claim && !lease_view_void(&l->view, id))
		return claim;
	return place ? place : find_foreign(l, id);
}

static void tell_foreign(const struct lease_name *name, struct lock_info *info)
{
	char text[LEASE_NAME_SIZE];

	lease_name_format(text, name);
	info->state = LOCK_UNREADABLE;
	(void)snprintf(info->detail, sizeof(info->detail),
		       "%s is %s, which repolock did not make and passes over",
		       text, name->directory ? "a directory" : "no regular file");
}

static void ask_kernel(struct lease *l, const struct lease_name *name,
		       struct lock_info *info)
{
	char path[LEASE_PATH_SIZE];
	struct err unsaid;

	info->kernel = true;
	lease_path(l, name, path);
	if (l->wish.owners && l->store->ops->holder)
		(void)l->store->ops->holder(l->store, path, &info->owner,
					    &unsaid);
}

/* All that can be known of a claim or place. False: it is gone. */
static bool inspect(struct lease *l, const struct lease_name *name,
		    struct lock_info *info, const struct call *call)
{
	struct lease_record record;
	struct lease_verdict v;
	struct err unread;
	enum rc rc;

	lease_tell(l, name, info);
	if (name->foreign) {
		tell_foreign(name, info);
		return true;
	}
	rc = lease_read_record(l, name, &record, info, call, &unread);
	if (rc == RC_ABSENT)
		return false;
	if (name->kind == LEASE_PLACE) {
		lease_judge_place(l, name, rc == RC_OK ? &record : NULL, &v,
				  call);
	} else {
		tell_expiry(name, info);
		lease_judge(l, name, &v, call);
	}
	info->alive = v.alive;
	info->sure_in = v.sure_in;
	if (v.kernel)
		ask_kernel(l, name, info);
	if (v.fate == LEASE_STALE) {
		info->state = LOCK_STALE;
		(void)text_copy(info->detail, sizeof(info->detail), v.why);
	} else if (rc != RC_OK) {
		info->state = LOCK_UNREADABLE;
		(void)text_copy(info->detail, sizeof(info->detail), unread.text);
	}
	return v.fate != LEASE_VANISHED;
}

enum rc lease_describe(struct lock *lock, struct lock_info *info,
		       const struct call *call, struct err *e)
{
	struct lease *l = lease_of(lock);
	struct lease_name name = l->ahead.name;
	const struct lease_name *listed;
	struct lease_record record;
	enum rc rc;

	/* Nearly always it is the one that is waited for. */
	if (!l->ahead.known || strcmp(name.uuid, info->id) != 0) {
		listed = find_id(l, info->id);
		if (!listed)
			return err_set(e, RC_ABSENT, "no lock %.8s", info->id);
		name = *listed;
	}
	rc = lease_read_record(l, &name, &record, info, call, e);
	if (rc != RC_DENIED && rc != RC_MALFORMED)
		return rc;
	info->state = LOCK_UNREADABLE;
	(void)text_copy(info->detail, sizeof(info->detail), e->text);
	return RC_OK;
}

/* --- list --- */

static bool counts(const struct lease *l, const struct lease_name *name)
{
	return name->foreign || name->kind == LEASE_PLACE ||
	       (name->kind == LEASE_CLAIM &&
		!lease_view_void(&l->view, name->uuid));
}

/* An exclusive claim beside another: one of them is no holder. */
static bool contested(const struct lease *l)
{
	const struct lease_name *exclusive = NULL;
	unsigned claims = 0;

	for (size_t i = 0; i < l->view.count; i++) {
		const struct lease_name *name = &l->view.names[i];

		if (name->kind != LEASE_CLAIM || name->foreign ||
		    !counts(l, name))
			continue;
		claims++;
		if (name->mode == LOCK_EXCLUSIVE)
			exclusive = name;
	}
	return exclusive && claims > 1;
}

/* A listing in which nobody is making sure, as far as that can be had. */
static enum rc look_settled(struct lease *l, const struct call *call,
			    struct err *e)
{
	enum rc rc = lease_look(l, call, e);

	for (int i = 1; i < SETTLE_LOOKS && rc == RC_OK && contested(l); i++) {
		rc = call_pause(call, SETTLE_PAUSE, e);
		if (rc == RC_OK)
			rc = lease_look(l, call, e);
	}
	return rc;
}

/* Claims before places, each in the order of their numbers. */
static int by_order(const void *left, const void *right)
{
	const struct lease_name *a = left, *b = right;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return lease_name_order(a, b);
}

/* Is a live shared claim listed, which an exclusive one would have to see
 * go before it holds? */
static bool shared_alive(struct lease *l, const struct call *call)
{
	struct lease_verdict v;

	for (size_t i = 0; i < l->view.count; i++) {
		const struct lease_name *name = &l->view.names[i];

		if (name->kind != LEASE_CLAIM || name->foreign ||
		    name->mode != LOCK_SHARED || !counts(l, name))
			continue;
		lease_judge(l, name, &v, call);
		if (v.fate == LEASE_LIVE)
			return true;
	}
	return false;
}

/* Whoever waits for shared holders to leave has a claim already, and a place
 * in the queue until it holds: listed once is enough. */
static bool same_party(const struct lock_info *a, const struct lock_info *b)
{
	return a->pid != 0 && a->pid == b->pid && strcmp(a->host, b->host) == 0;
}

static enum rc list_named(struct lease *l, lock_seen *seen, void *context,
			  const struct call *call, struct err *e)
{
	struct lock_info info, drainer = { 0 };
	bool draining, more = true;
	enum rc rc;

	rc = look_settled(l, call, e);
	if (rc != RC_OK)
		return rc;
	qsort(l->view.names, l->view.count, sizeof(l->view.names[0]), by_order);
	draining = contested(l) && shared_alive(l, call);
	for (size_t i = 0; i < l->view.count && more; i++) {
		const struct lease_name *name = &l->view.names[i];

		if (!counts(l, name) || !inspect(l, name, &info, call))
			continue;
		if (draining && name->kind == LEASE_CLAIM &&
		    name->mode == LOCK_EXCLUSIVE && info.state == LOCK_HELD) {
			info.state = LOCK_WAITING;
			drainer = info;
		}
		if (name->kind == LEASE_PLACE && same_party(&drainer, &info))
			continue;
		more = seen(context, &info);
	}
	return RC_OK;
}

/* --- every name of a location --- */

enum { NAME_ROOM = 65, NAMES_FIRST = 16, NAMES_MOST = 16384 };

/* The leases of a location are told apart by name; an administrator who gave
 * none means all of them. */
struct names {
	char (*name)[NAME_ROOM];
	size_t count, room;
	bool overflow;
};

static bool add_name(void *context, const struct store_entry *entry)
{
	struct names *names = context;
	char(*more)[NAME_ROOM];

	if (!entry->directory || strlen(entry->name) >= NAME_ROOM)
		return true;
	if (names->count == names->room) {
		names->room = names->room ? 2 * names->room : NAMES_FIRST;
		more = names->count < NAMES_MOST
			       ? realloc(names->name, names->room * NAME_ROOM)
			       : NULL;
		if (!more) {
			names->overflow = true;
			return false;
		}
		names->name = more;
	}
	(void)text_copy(names->name[names->count++], NAME_ROOM, entry->name);
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* What was said on the command line, or all that there are. */
static enum rc find_names(struct lease *l, struct names *names,
			  const struct call *call, struct err *e)
{
	enum rc rc = RC_OK;

	*names = (struct names){ 0 };
	if (l->wish.name_given || !l->wish.listing)
		(void)add_name(names,
			       &(struct store_entry){ .name = l->wish.name,
						      .directory = true });
	else
		rc = l->store->ops->list(l->store, ".repolock/", add_name,
					 names, call, e);
	if (rc == RC_OK && names->overflow)
		rc = err_set(e, RC_FAILED,
			     "%.150s: more than %d names of leases; give one "
			     "with --name",
			     l->store->shown, NAMES_MOST);
	if (rc == RC_OK && names->count > 1)
		qsort(names->name, names->count, NAME_ROOM, by_name);
	if (rc != RC_OK)
		free(names->name);
	return rc;
}

/* The directory of one name cannot be looked at: that hides no other. */
static void tell_unlisted(const struct lease *l, const struct err *why,
			  struct lock_info *info)
{
	const struct lease_name nothing = { .kind = LEASE_CLAIM };

	lease_tell(l, &nothing, info);
	info->state = LOCK_UNREADABLE;
	(void)text_copy(info->id, sizeof(info->id), l->wish.name);
	(void)text_copy(info->detail, sizeof(info->detail), why->text);
}

static void turn_to(struct lease *l, const char *name)
{
	l->wish.name = name;
	(void)snprintf(l->prefix, sizeof(l->prefix), ".repolock/%.64s/", name);
}

struct relay {
	lock_seen *seen;
	void *context;
	bool more;
};

static bool relay_seen(void *context, const struct lock_info *info)
{
	struct relay *relay = context;

	relay->more = relay->seen(relay->context, info);
	return relay->more;
}

enum rc lease_list(struct lock *lock, lock_seen *seen, void *context,
		   const struct call *call, struct err *e)
{
	struct lease *l = lease_of(lock);
	struct relay relay = { seen, context, true };
	const char *given = l->wish.name;
	struct lock_info info;
	struct names names;
	enum rc rc = find_names(l, &names, call, e);

	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < names.count && rc == RC_OK && relay.more; i++) {
		turn_to(l, names.name[i]);
		rc = list_named(l, relay_seen, &relay, call, e);
		if (rc == RC_OK || rc == RC_CANCELLED || l->wish.name_given)
			continue;
		tell_unlisted(l, e, &info);
		(void)relay_seen(&relay, &info);
		rc = RC_OK;
	}
	turn_to(l, given);
	free(names.name);
	return rc;
}

/* --- remove --- */

static enum rc refuse(const struct lock_info *info, struct err *e)
{
	if (info->state == LOCK_WAITING)
		return err_set(e, RC_BUSY, "%.8s waits for the lock", info->id);
	if (info->alive == LOCK_ALIVE_YES)
		return err_set(e, RC_BUSY, "%.8s is held, its holder is alive",
			       info->id);
	return err_set(e, RC_BUSY, "%.8s is not proved stale", info->id);
}

static bool may_remove(const struct lock_info *info,
		       const struct lock_remove *what)
{
	return what->force || info->state == LOCK_STALE;
}

/* Never what is in it, nor what it points to. */
static enum rc remove_foreign(struct lease *l, const struct lease_name *name,
			      const struct call *call, struct err *e)
{
	char path[LEASE_PATH_SIZE + 1];
	size_t len;
	enum rc rc;

	lease_path(l, name, path);
	len = strlen(path);
	if (name->directory)
		memcpy(path + len, "/", 2);
	rc = l->store->ops->del(l->store, path, call, e);
	path[len] = '\0';
	if (rc == RC_EXISTS)
		return err_set(e, RC_FAILED,
			       "a directory with something in it is not "
			       "removed; see for yourself: ls -la %.60s/%.130s",
			       l->store->shown, path);
	return rc == RC_ABSENT ? RC_OK : rc;
}

static enum rc remove_object(struct lease *l, const struct lease_name *name,
			     const struct call *call, struct err *e)
{
	enum rc rc;

	if (name->foreign)
		return remove_foreign(l, name, call, e);
	if (name->kind == LEASE_PLACE)
		return lease_delete(l, name, call, e);
	rc = lease_bury(l, name, call, e);
	if (rc == RC_OK || rc == RC_ABSENT)
		lease_looks_forget(&l->looks, name->uuid);
	/* Gone by somebody's doing is gone. */
	return rc == RC_ABSENT ? RC_OK : rc;
}

static enum rc remove_listed(struct lease *l, const struct lock_remove *what,
			     struct lock_info *info, const struct call *call,
			     struct err *e)
{
	const struct lease_name *name = find_id(l, what->id);

	if (!name || !inspect(l, name, info, call))
		return err_set(e, RC_ABSENT, "no lock %.40s", what->id);
	if (!may_remove(info, what))
		return refuse(info, e);
	return what->dry_run ? RC_OK : remove_object(l, name, call, e);
}

/* Names never change: what an earlier listing showed is found without another
 * one, or removing hundreds would list them as often. */
static enum rc remove_named(struct lease *l, const struct lock_remove *what,
			    struct lock_info *info, const struct call *call,
			    struct err *e)
{
	enum rc rc = RC_ABSENT;

	if (lease_was_listed(l))
		rc = remove_listed(l, what, info, call, e);
	if (rc != RC_ABSENT)
		return rc;
	rc = lease_look(l, call, e);
	return rc == RC_OK ? remove_listed(l, what, info, call, e) : rc;
}

/* Where list found it, or all where it may be. */
static enum rc find_names_of(struct lease *l, const struct lock_remove *what,
			     struct names *names, const struct call *call,
			     struct err *e)
{
	if (!what->name)
		return find_names(l, names, call, e);
	*names = (struct names){ 0 };
	(void)add_name(names, &(struct store_entry){ .name = what->name,
						     .directory = true });
	return names->overflow ? err_set(e, RC_RETRY, "no memory") : RC_OK;
}

enum rc lease_remove(struct lock *lock, const struct lock_remove *what,
		     struct lock_info *info, const struct call *call,
		     struct err *e)
{
	struct lease *l = lease_of(lock);
	const char *given = l->wish.name;
	struct names names;
	enum rc rc = find_names_of(l, what, &names, call, e);

	if (rc != RC_OK)
		return rc;
	rc = err_set(e, RC_ABSENT, "no lock %.40s", what->id);
	for (size_t i = 0; i < names.count; i++) {
		enum rc found;
		struct err why;

		turn_to(l, names.name[i]);
		found = remove_named(l, what, info, call, &why);
		if (found == RC_ABSENT)
			continue;
		rc = found;
		*e = why;
		/* One that cannot be listed hides no other. */
		if (lease_was_listed(l))
			break;
	}
	turn_to(l, given);
	free(names.name);
	return rc;
}
