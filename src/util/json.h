/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON out and in.
 *
 * Out is a writer into a buf: no tree, no library, so that the keeper can
 * report while it must not allocate much. Strings are escaped; bytes that
 * are no UTF-8 become U+FFFD.
 *
 * In goes through jansson, which is loaded by dlopen at the first call: a
 * lock in a local directory is taken without reading any JSON, and must start
 * as fast as flock(1). Callers see json_doc only.
 */
#ifndef UTIL_JSON_H
#define UTIL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/clock.h"

struct json_out {
	struct buf *into; /* borrowed */
	bool comma;       /* a member or element stands before */
	enum rc rc;       /* first failure; later calls do nothing */
	struct err err;
};

void json_begin(struct json_out *j, struct buf *into);
void json_object(struct json_out *j, const char *key); /* key NULL: element */
void json_array(struct json_out *j, const char *key);
void json_end(struct json_out *j, char bracket); /* '}' or ']' */
void json_string(struct json_out *j, const char *key, const char *value);
void json_number(struct json_out *j, const char *key, int64_t value);
void json_seconds(struct json_out *j, const char *key, nsec span);
void json_bool(struct json_out *j, const char *key, bool value);
void json_null(struct json_out *j, const char *key);
/* RFC 3339 in UTC with milliseconds; null where the time is 0. */
void json_time(struct json_out *j, const char *key, struct wall value);

struct json_doc; /* one parsed document, an object at its top */

/* RC_MALFORMED: no JSON object. RC_UNSUPPORTED: jansson is not installed. */
enum rc json_parse(struct json_doc **doc, const char *text, size_t len,
		   struct err *e);
void json_close(struct json_doc *doc); /* accepts NULL */

/* Members of the top object; "a.b" looks into object a. False: not there or
 * of another type. The string is lent until json_close. */
bool json_get_string(const struct json_doc *doc, const char *path,
		     const char **value);
bool json_get_number(const struct json_doc *doc, const char *path,
		     int64_t *value);
bool json_get_bool(const struct json_doc *doc, const char *path, bool *value);

#endif
