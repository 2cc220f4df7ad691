/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests only: the protocol is lock_restic in registry.c's table.
 */
#ifndef LOCK_RESTIC_H
#define LOCK_RESTIC_H

#include "lock/lock.h"

extern const struct lock_ops lock_restic;

/* Other spans than restic's own: between placing a lock and looking again,
 * and between a refresh's new file and the end of the old one. */
void restic_set_pace(struct lock *lock, nsec settle, nsec overlap);

#endif
