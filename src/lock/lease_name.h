/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names of a lease's objects: all that a decision needs is in them, so
 * that one listing and no reading decides. Pure text.
 *
 *   x.FENCE.TTLMS.UUID[.k]  a claim, exclusive; "s." shared; ".k": its owner
 *                           holds a kernel lock on it
 *   q.TICKET.MODE.UUID      a place in the queue, MODE is x or s
 *   t.UUID                  a temporary file
 *   z.FENCE.UUID            a tombstone
 *
 * FENCE and TICKET are 20 digits, which fits 64 bits, TTLMS 10, so that names
 * sort as their numbers do. One object has exactly one spelling: formatting
 * what was parsed gives the same bytes again.
 */
#ifndef LOCK_LEASE_NAME_H
#define LOCK_LEASE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lock/lock.h"
#include "util/text.h"

enum lease_kind { LEASE_CLAIM, LEASE_PLACE, LEASE_TEMPORARY, LEASE_TOMBSTONE };

enum {
	LEASE_UUID_SIZE = UUID_TEXT_SIZE,
	LEASE_NAME_SIZE = 80 /* the longest is 73 with the NUL */
};

/* Names with a larger number are none of ours. This one is never reached by
 * counting: whoever wrote it down shall not stop the others from counting on,
 * so it counts for nothing. */
#define LEASE_NUMBER_MAX ((uint64_t)INT64_MAX)

struct lease_name {
	enum lease_kind kind;
	enum lock_mode mode; /* of a claim or a place */
	bool kernel;         /* a claim's ".k" */
	bool stale;          /* no part of the name: set by who judged it */
	bool gone;           /* likewise: listed from a cache, or just before */
	bool passed;         /* likewise: a place that is passed over */
	bool foreign;        /* likewise: no file, so that we did not put it */
	bool directory;      /* what it is then */
	uint32_t ttl_ms;     /* of a claim */
	uint64_t number;     /* FENCE or TICKET */
	char uuid[LEASE_UUID_SIZE];
};

/* False: not a name of ours, to be ignored and left alone. */
bool lease_name_parse(struct lease_name *name, const char *text);

void lease_name_format(char out[LEASE_NAME_SIZE], const struct lease_name *name);

/* Negative, 0, positive: a stands before, is, or stands after b. */
int lease_name_order(const struct lease_name *a, const struct lease_name *b);

nsec lease_name_ttl(const struct lease_name *claim);

/* May not both be held: either is exclusive. */
bool lease_conflict(enum lock_mode a, enum lock_mode b);

#endif
