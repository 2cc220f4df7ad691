/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested calls: is the lock that we want held by one of our ancestors? */
#ifndef CLI_HELD_H
#define CLI_HELD_H

#include <stdbool.h>

#include "lock/lock.h"

/*
 * True: an ancestor of this process holds the lock that `wish` would wait
 * for, and *own describes it. Believed is what REPOLOCK_HELD_* say in our
 * environment, or in that of a process of this user above us (a lock taken in
 * between hides the first): its id, at this very place, by a repolock that is
 * above us. And the kernel, where it has a kernel lock: its owner has to be
 * above us too. Never what a lock says of its holder, which anybody who may
 * write there can say. Looks at nothing when the environment does not
 * say that we are below a repolock; false as well when listing fails, since
 * acquiring will tell why.
 */
bool held_find(struct lock_info *own, const struct lock_wish *wish);

/* Is a lock's holder an ancestor of this process, as far as its pid and where
 * that is counted prove it? */
bool held_by_ancestor(const struct lock_info *lock);

#endif
