/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The body of a claim or a place: JSON that tells people who it is. No
 * decision but "are its processes gone" (lease_judge.h) looks into it, and a
 * body that cannot be read never makes a lock void.
 */
#ifndef LOCK_LEASE_RECORD_H
#define LOCK_LEASE_RECORD_H

#include "lock/lock.h"
#include "util/buf.h"

/* No body of ours is larger; reading stops there. */
enum { LEASE_RECORD_CEILING = 16 * 1024 };

struct lease_record {
	char host[256];
	char user[64];
	char boot_id[40];
	uint64_t pid_ns;
	uint64_t time_ns;
	struct process front;
	struct process keeper;
	char command[64];
	char reason[160];
	struct wall since;
	uint64_t counter; /* every renewal raises it */
};

/*
 * Write the body of wish's holder into `into`, emptied first. All bodies of
 * one holder have the same length whatever the counter, so that renewing in
 * place never leaves a tail of the old one.
 */
enum rc lease_record_write(struct buf *into, const struct lock_wish *wish,
			   struct wall since, uint64_t counter, struct err *e);

/* RC_MALFORMED: not a record. What is missing in one stays empty. */
enum rc lease_record_read(struct lease_record *record, const char *text,
			  size_t len, struct err *e);

/* Fill in what a record tells people. */
void lease_record_tell(const struct lease_record *record, struct lock_info *info);

#endif
