/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON out and in.
 *
 * Out is a writer into a buf: no tree, no library, so that the keeper can
 * report while it must not allocate much. Strings are escaped; bytes that
 * are no UTF-8 become U+FFFD.
 *
 * In goes through jansson. Callers see json_doc only.
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

/* Everything here is json_out_*: json_object, _array, _string and _null are
 * jansson's. */
void json_out_begin(struct json_out *j, struct buf *into);
/* key NULL: an element of an array, or the document itself. */
void json_out_object(struct json_out *j, const char *key);
void json_out_array(struct json_out *j, const char *key);
void json_out_end(struct json_out *j, char bracket); /* '}' or ']' */
/* value NULL: null. */
void json_out_string(struct json_out *j, const char *key, const char *value);
void json_out_number(struct json_out *j, const char *key, int64_t value);
/* Seconds with as many decimals as it takes; null for NSEC_FOREVER. */
void json_out_seconds(struct json_out *j, const char *key, nsec span);
void json_out_bool(struct json_out *j, const char *key, bool value);
void json_out_null(struct json_out *j, const char *key);
/* RFC 3339 in UTC with milliseconds; null where the time is 0. */
void json_out_time(struct json_out *j, const char *key, struct wall value);

/*
 * What is read may be a file that somebody moved there and may not read: no
 * error quotes it (jansson's own text would).
 */

/* No deeper than JSON_DEPTH_MAX? To be asked before jansson, which goes down
 * by recursion, to 2048, which a thread's small stack may not hold. */
bool json_is_shallow(const char *text, size_t len);

struct json_doc; /* one parsed document, an object at its top */

/*
 * RC_MALFORMED: no JSON object, or one with a name twice in it (two readers
 * might believe different ones), over JSON_SIZE_MAX, or nested deeper than
 * JSON_DEPTH_MAX.
 */
#define JSON_SIZE_MAX ((size_t)1 << 20)
#define JSON_DEPTH_MAX 32
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
