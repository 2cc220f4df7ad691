/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * First looks at claims: since when has each been seen without a change, by
 * our own CLOCK_BOOTTIME? Kept in memory, and in files of this user that do
 * not outlive the boot, so that tries by a `-n` from cron, none of which
 * looks long enough, can together prove a claim stale.
 *
 * The files are in repolock/ below $XDG_RUNTIME_DIR, root's /run,
 * $XDG_STATE_HOME or ~/.local/state, whichever is first to be there; only
 * a directory that nobody else can write to is believed. Where there is none
 * everything works but the remembering.
 */
#ifndef LOCK_LEASE_LOOKS_H
#define LOCK_LEASE_LOOKS_H

#include "lock/lease_name.h"
#include "store/store.h"

/* What a claim looked like. Any difference means that it was renewed. */
struct lease_look {
	char uuid[LEASE_UUID_SIZE];
	struct store_tag tag;
	uint64_t counter;  /* of its record; 0 where that is unreadable */
	struct boot first; /* when the first answer with this look came */
};

struct lease_looks {
	const struct self *self; /* lent; whose boot and time namespace */
	struct lease_look *looks;
	size_t count;
	bool sought;   /* the directory of the files has been looked for */
	int directory; /* -1: none */
	unsigned remembered; /* written by us */
};

void lease_looks_init(struct lease_looks *looks, const struct self *self);
void lease_looks_release(struct lease_looks *looks);

/*
 * Note what was seen by a look that was sent and answered then (look->first
 * is filled in). Returns for how long the claim has surely not changed: from
 * the answer of the first look to the sending of this one, 0 if it is the
 * first.
 */
nsec lease_looks_note(struct lease_looks *looks, struct lease_look *look,
		      struct boot sent, struct boot answered);

/* The claim is gone. */
void lease_looks_forget(struct lease_looks *looks, const char *uuid);

#endif
