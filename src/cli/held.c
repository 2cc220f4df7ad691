/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/held.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lock/liveness.h"
#include "util/self.h"

static bool is_ancestor(pid_t pid)
{
	/* 1 is above everybody, and what a holder in a container says of
	 * itself: it proves nothing. */
	if (pid <= 1)
		return false;
	for (pid_t above = getppid(); above > 0; above = process_parent(above)) {
		if (above == pid)
			return true;
	}
	return false;
}

bool held_by_ancestor(const struct lock_info *lock)
{
	if (lock->alive != LOCK_ALIVE_YES ||
	    lock->counted == LOCK_PID_ELSEWHERE || !is_ancestor(lock->pid))
		return false;
	if (lock->counted == LOCK_PID_HERE)
		return true;
	/* A container may have the host's name: the number must be nobody's in
	 * there. */
	return liveness_initial_pid_ns() && !liveness_in_container(lock->pid);
}

struct search {
	const struct lock_wish *wish;
	const char *id;
	bool id_is_above; /* REPOLOCK_HELD_PID is an ancestor */
	struct lock_info *own;
	bool found;
};

static bool look_at(void *context, const struct lock_info *info)
{
	struct search *s = context;
	const char *id = info->token[0] ? info->token : info->id;
	bool by_id = s->id_is_above && strcmp(id, s->id) == 0;
	bool by_pid = held_by_ancestor(info);

	if (info->state != LOCK_HELD || (!by_id && !by_pid))
		return true;
	if (info->name[0] && strcmp(info->name, s->wish->name) != 0)
		return true;
	*s->own = *info;
	s->found = true;
	return false;
}

bool held_find(struct lock_info *own, const struct lock_wish *wish)
{
	const char *pid = getenv("REPOLOCK_HELD_PID");
	struct search s = { .wish = wish,
			    .own = own,
			    .id = getenv("REPOLOCK_HELD_ID") };
	struct lock_wish listing = *wish;
	struct lock *lock = NULL;
	struct self self;
	struct err e;

	if (!s.id || !*s.id)
		return false;
	self_fill(&self);
	listing.listing = true;
	listing.self = &self;
	s.id_is_above = pid && is_ancestor((pid_t)strtol(pid, NULL, 10));
	if (lock_open(&lock, &listing, &CALL_UNLIMITED, &e) != RC_OK)
		return false;
	(void)lock->ops->list(lock, look_at, &s, &CALL_UNLIMITED, &e);
	lock_close(lock);
	return s.found;
}
