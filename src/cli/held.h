/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested calls: is the lock that we want held by one of our ancestors? */
#ifndef CLI_HELD_H
#define CLI_HELD_H

#include <stdbool.h>

#include "lock/lock.h"

/*
 * True: an ancestor of this process holds the lock that `wish` would wait
 * for, and *own describes it. Found by its id in REPOLOCK_HELD_ID together
 * with REPOLOCK_HELD_PID being above us, or by its holder's pid, which is
 * above us too when a lock taken in between has hidden the first in the
 * environment. Never by name. Looks at nothing when the environment does not
 * say that we are below a repolock; false as well when listing fails, since
 * acquiring will tell why.
 */
bool held_find(struct lock_info *own, const struct lock_wish *wish);

/* Is a lock's holder an ancestor of this process, as far as its pid and where
 * that is counted prove it? */
bool held_by_ancestor(const struct lock_info *lock);

#endif
