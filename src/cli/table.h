/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks shown: as a table for people, as JSON for programs, as a few words
 * in a sentence. Everything in a lock is foreign input; nothing of it reaches
 * a terminal unescaped. Nothing here looks at a clock or a terminal: both
 * come as arguments.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "lock/lock.h"
#include "util/buf.h"
#include "util/json.h"

/* Less than this between two clocks is what NTP leaves. */
#define SKEW_TOLD (60 * NSEC_PER_SEC)

/* The schema of --json and --events, as the manual documents it. Members are
 * only ever added under the same number. */
enum { SCHEMA_VERSION = 1 };

struct table_look {
	struct wall now;
	size_t width; /* of the terminal; 0: as wide as it takes */
	bool colour;
};

/* How many characters of an id tell these locks apart; at least 8. */
size_t table_id_length(const struct lock_info *const *locks, size_t count);

/* The table, and below it what does not fit a column: reasons, why a lock is
 * stale or cannot be read, clocks that are wrong. Nothing for no locks. */
enum rc table_show(struct buf *into, const struct lock_info *const *locks,
		   size_t count, const struct table_look *look, struct err *e);

/* One document of one line. complete: everything there could be listed. */
enum rc table_json(struct buf *into, const char *location,
		   const struct lock_info *const *locks, size_t count,
		   bool complete, struct wall now, struct err *e);

/* One lock as an object; key NULL: as an element. */
void table_json_lock(struct json_out *j, const char *key,
		     const struct lock_info *lock);

/*
 * `root@host (pid 4711, restic, "nightly")`, printable; a field that is very
 * long is cut with "~". TABLE_HOLDER_SIZE holds all of it. Returns out.
 */
enum { TABLE_HOLDER_SIZE = 448 };
char *table_holder(char *out, size_t size, const struct lock_info *lock);

/* "12s", "5m03s": how long ago; "" when not known; never negative. */
char *table_ago(char *out, size_t size, struct wall then, struct wall now);

#endif
