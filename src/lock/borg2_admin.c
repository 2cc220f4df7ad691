/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/borg2.h"

#include <stdlib.h>
#include <string.h>

/* Removing many, one after the other, looks no more often than this. */
#define SURVEY_GOOD_FOR NSEC_PER_SEC

static bool is_same_lock(const struct borg2_object *a,
			 const struct borg2_object *b)
{
	return a->readable && b->readable &&
	       a->record.exclusive == b->record.exclusive &&
	       borg_owner_same(&a->record.owner, &b->record.owner);
}

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* Those of a lock side by side, the newest last; what is not readable is no
 * lock that another can be the same as. */
static int by_lock(const void *a, const void *b)
{
	const struct borg2_object *one = *(struct borg2_object *const *)a;
	const struct borg2_object *two = *(struct borg2_object *const *)b;
	const struct borg2_record *r = &one->record, *s = &two->record;
	int order = one->readable - two->readable;

	if (order == 0)
		order = r->exclusive - s->exclusive;
	if (order == 0)
		order = compare((uint64_t)r->owner.pid, (uint64_t)s->owner.pid);
	if (order == 0)
		order = compare(r->owner.thread, s->owner.thread);
	if (order == 0)
		order = strcmp(r->owner.host, s->owner.host);
	if (order == 0)
		order = (r->time.ns > s->time.ns) - (r->time.ns < s->time.ns);
	return order != 0 ? order : (one > two) - (one < two);
}

/* A holder has two for a while when it refreshes; the newest speaks. */
static enum rc mark_outdated(struct borg2_objects *all, struct err *e)
{
	struct borg2_object **at;

	if (all->count < 2)
		return RC_OK;
	at = calloc(all->count, sizeof(struct borg2_object *));
	if (!at)
		return err_set(e, RC_RETRY, "no memory to list locks");
	for (size_t i = 0; i < all->count; i++)
		at[i] = &all->at[i];
	qsort(at, all->count, sizeof(struct borg2_object *), by_lock);
	for (size_t i = 0; i + 1 < all->count; i++)
		at[i]->outdated = is_same_lock(at[i], at[i + 1]);
	free(at);
	return RC_OK;
}

static enum rc survey(struct borg2_lock *l, const struct call *call,
		      struct err *e)
{
	enum rc rc = borg2_objects_list(l, &l->survey, call, e);

	if (rc == RC_OK)
		rc = mark_outdated(&l->survey, e);
	if (rc != RC_OK)
		l->survey.count = 0;
	l->surveyed = rc == RC_OK ? boot_now() : (struct boot){ 0 };
	return rc;
}

enum rc borg2_list(struct lock *lock, lock_seen *seen, void *context,
		   const struct call *call, struct err *e)
{
	struct borg2_lock *l = borg2_of(lock);
	enum rc rc = survey(l, call, e);

	for (size_t i = 0; rc == RC_OK && i < l->survey.count; i++) {
		struct lock_info info;

		if (l->survey.at[i].outdated)
			continue;
		rc = borg2_describe(l, &l->survey.at[i], &info, e);
		if (rc == RC_OK && !seen(context, &info))
			break;
	}
	return rc;
}

/* RC_ABSENT: no such lock, any more. */
static enum rc find_id(const struct borg2_lock *l, const char *id,
		       const struct borg2_object **o, struct lock_info *info,
		       struct err *e)
{
	for (size_t i = 0; i < l->survey.count; i++) {
		const struct borg2_object *one = &l->survey.at[i];
		char name[sizeof(info->id)];
		enum rc rc;

		if (one->outdated)
			continue;
		rc = borg2_object_id(name, sizeof(name), one, e);
		if (rc != RC_OK)
			return rc;
		if (strcmp(name, id) != 0)
			continue;
		*o = one;
		return borg2_describe(l, one, info, e);
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
	enum rc rc = RC_OK;

	if (l->surveyed.ns == 0 ||
	    boot_until(l->surveyed, boot_now()) > SURVEY_GOOD_FOR)
		rc = survey(l, call, e);
	if (rc == RC_OK && !what->dry_run && borg2_wants_clock(l, &l->survey))
		borg2_ask_clock(l, call);
	if (rc == RC_OK)
		rc = find_id(l, what->id, &o, info, e);
	if (rc == RC_OK && !what->force && info->state != LOCK_STALE)
		rc = borg_spared(info, e);
	if (rc == RC_OK && !what->dry_run)
		rc = remove_lock(l, &l->survey, o, call, e);
	return rc;
}
