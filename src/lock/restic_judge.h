/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is the holder of a restic lock alive, and is its lock stale?
 *
 * restic's own rule calls a lock stale that is more than 30 minutes old, or
 * whose process cannot be signalled on a host of the same name, for whatever
 * reason. Here both are asked more strictly: the store's clock must agree
 * about the age, a process that lives keeps its lock however old, one that
 * may not be signalled lives, and process ids are looked up only where they
 * mean the same to both.
 */
#ifndef LOCK_RESTIC_JUDGE_H
#define LOCK_RESTIC_JUDGE_H

#include "lock/liveness.h"
#include "lock/lock.h"
#include "lock/restic_record.h"

/* restic's: what is older than this, unlock clears. */
#define RESTIC_STALE_AFTER (1800 * NSEC_PER_SEC)

enum restic_stale {
	RESTIC_LIVES,  /* or nobody can say otherwise */
	RESTIC_GONE,   /* there is no such process on this very host */
	RESTIC_REUSED, /* its pid is that of a younger process */
	RESTIC_OLD     /* unrenewed for too long, by both clocks */
};

struct restic_verdict {
	enum lock_alive alive;
	enum restic_stale stale;
	char why[128]; /* "" unless stale */
};

/* stored: the file's time by the store's clock; 0: it has none. inside: looked
 * at no earlier than the record was read; NULL: anew. */
void restic_judge(struct restic_verdict *verdict,
		  const struct restic_record *record, struct wall stored,
		  struct wall now, const struct self *self,
		  struct liveness_inside *inside);

/* Would an acquirer with this wish clear it? */
bool restic_may_clear(enum restic_stale stale, enum lock_break clear);

#endif
