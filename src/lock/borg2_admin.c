/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/borg2.h"

#include <string.h>

static bool is_same_lock(const struct borg2_object *a,
			 const struct borg2_object *b)
{
	return a->readable && b->readable &&
	       a->record.exclusive == b->record.exclusive &&
	       borg_owner_same(&a->record.owner, &b->record.owner);
}

/* A holder has two for a while when it refreshes; the newest speaks. */
static bool is_outdated(const struct borg2_objects *all,
			const struct borg2_object *o)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct borg2_object *other = &all->at[i];
		nsec later = other->record.time.ns - o->record.time.ns;

		if (is_same_lock(o, other) &&
		    (later > 0 || (later == 0 && other > o)))
			return true;
	}
	return false;
}

enum rc borg2_list(struct lock *lock, lock_seen *seen, void *context,
		   const struct call *call, struct err *e)
{
	struct borg2_lock *l = borg2_of(lock);
	struct borg2_objects all = { 0 };
	enum rc rc = borg2_objects_list(l, &all, call, e);

	for (size_t i = 0; rc == RC_OK && i < all.count; i++) {
		struct lock_info info;

		if (is_outdated(&all, &all.at[i]))
			continue;
		rc = borg2_describe(l, &all.at[i], &info, e);
		if (rc == RC_OK && !seen(context, &info))
			break;
	}
	borg2_objects_release(&all);
	return rc;
}

/* RC_ABSENT: no such lock, any more. */
static enum rc find_id(const struct borg2_lock *l,
		       const struct borg2_objects *all, const char *id,
		       const struct borg2_object **o, struct lock_info *info,
		       struct err *e)
{
	for (size_t i = 0; i < all->count; i++) {
		enum rc rc;

		if (is_outdated(all, &all->at[i]))
			continue;
		rc = borg2_describe(l, &all->at[i], info, e);
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
static enum rc remove_lock(struct borg2_lock *l, const struct borg2_objects *all,
			   const struct borg2_object *o,
			   const struct call *call, struct err *e)
{
	enum rc rc = borg2_del_object(l, o->name, call, e);

	for (size_t i = 0; rc == RC_OK && i < all->count; i++) {
		const struct borg2_object *other = &all->at[i];

		if (other == o || !is_same_lock(other, o))
			continue;
		rc = borg2_del_object(l, other->name, call, e);
		rc = rc == RC_ABSENT ? RC_OK : rc;
	}
	return rc;
}

enum rc borg2_remove(struct lock *lock, const struct lock_remove *what,
		     struct lock_info *info, const struct call *call,
		     struct err *e)
{
	struct borg2_lock *l = borg2_of(lock);
	const struct borg2_object *o = NULL;
	struct borg2_objects all = { 0 };
	enum rc rc = borg2_objects_list(l, &all, call, e);

	if (rc == RC_OK && !what->dry_run && borg2_wants_clock(l, &all))
		borg2_ask_clock(l, call);
	if (rc == RC_OK)
		rc = find_id(l, &all, what->id, &o, info, e);
	if (rc == RC_OK && !what->force && info->state != LOCK_STALE)
		rc = borg_spared(info, e);
	if (rc == RC_OK && !what->dry_run)
		rc = remove_lock(l, &all, o, call, e);
	borg2_objects_release(&all);
	return rc;
}
