/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A restic lock's record, the JSON inside its box: read and written, no more.
 *
 * Members that restic does not know are passed over by it, so ours carry one
 * of their own, "repolock": a token that stays the same while the lock is
 * held (the file's name changes at every refresh), since when, for which
 * command, and who exactly the process is.
 */
#ifndef LOCK_RESTIC_RECORD_H
#define LOCK_RESTIC_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/clock.h"

struct restic_record {
	struct wall time; /* of the last refresh; 0: the record has none */
	bool exclusive;
	char host[256];
	char user[64];
	int64_t pid;
	uint32_t uid, gid;

	/* Ours only; token "" in a lock made by restic itself. */
	char token[40];
	struct wall since; /* first placed; of two drainers the older stays */
	bool draining;     /* waits for shared holders: placed, not yet held */
	char command[64];
	char reason[160];
	char boot_id[40];
	uint64_t pid_ns; /* 0: unknown */
	uint64_t time_ns;
	uint64_t start; /* of the process, as struct process has it */
	/* The process that ends the command if `pid` dies: the lock is not
	 * given up before both are gone. */
	int64_t front;
	uint64_t front_start;
};

/* RC_MALFORMED: restic could not read it either. */
enum rc restic_record_parse(struct restic_record *record, const char *text,
			    size_t len, struct err *e);

/* Append the JSON, in restic's order and spelling. */
enum rc restic_record_write(const struct restic_record *record,
			    struct buf *json, struct err *e);

#endif
