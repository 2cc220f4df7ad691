/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A store in memory for tests: a disk that any number of stores, each of an
 * owner, share, and a hook that is asked before each operation takes effect.
 * Consistent as store.h demands. One thread at a time; a hook may hand on to
 * another.
 */
#ifndef TESTS_MEMORY_STORE_H
#define TESTS_MEMORY_STORE_H

#include "store/store.h"

enum memory_disk_has {
	MEMORY_KERNEL = 1 << 0, /* put_locked, renew_open, probe */
	MEMORY_MOVE = 1 << 1,
	MEMORY_STICKY = 1 << 2 /* nobody removes what another one has put */
};

enum memory_op {
	MEMORY_GET,
	MEMORY_PUT,
	MEMORY_DEL,
	MEMORY_LIST,
	MEMORY_RENEW,
	MEMORY_MOVED,
	MEMORY_PUT_LOCKED,
	MEMORY_PROBE
};

enum memory_fate {
	MEMORY_DONE,    /* as asked */
	MEMORY_LOST,    /* done, but the answer is RC_UNKNOWN */
	MEMORY_REFUSED, /* not done, RC_RETRY */
	MEMORY_LATE,    /* RC_UNKNOWN now, done by memory_disk_settle */
	MEMORY_DEAD     /* not done: whoever asked has died */
};

struct memory_disk;

/* Asked before an operation takes effect; `after` just before it answers. */
struct memory_hook {
	enum memory_fate (*before)(void *context, int owner, enum memory_op op,
				   const char *name);
	void (*after)(void *context, int owner);
	void *context;
};

struct memory_disk *memory_disk_make(unsigned has);
void memory_disk_free(struct memory_disk *disk);
void memory_disk_hook(struct memory_disk *disk, const struct memory_hook *hook);

/* The kernel locks of an owner end, as at its death. */
void memory_disk_unlock(struct memory_disk *disk, int owner);

/* Writes that were to come late come now, oldest first, `most` of them. */
void memory_disk_settle(struct memory_disk *disk, size_t most);
size_t memory_disk_pending(const struct memory_disk *disk);

/* Look at the disk past the hook. Lent until it changes. */
size_t memory_disk_count(const struct memory_disk *disk);
const char *memory_disk_name(const struct memory_disk *disk, size_t i);
/* How many objects' last part of the name begins with this. */
size_t memory_disk_with(const struct memory_disk *disk, const char *start);
void memory_disk_erase(struct memory_disk *disk, const char *name);

struct store *memory_store_open(struct memory_disk *disk, int owner);

#endif
