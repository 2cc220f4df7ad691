/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON read as restic's decoder reads it: member names match in any case, of
 * several the last counts, unknown ones and null are passed over, a number
 * must be whole and within its type's range.
 */
#ifndef LOCK_RESTIC_JSON_H
#define LOCK_RESTIC_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/* RC_MALFORMED: no JSON object. *root is the caller's: json_decref. */
enum rc restic_json_load(json_t **root, const char *text, size_t len,
			 struct err *e);

/* NULL: not there, or null. Borrowed from object. */
const json_t *restic_json_member(const json_t *object, const char *name);

/* Each: RC_OK and *value untouched where there is no such member;
 * RC_MALFORMED where it is of another type or out of range. */
enum rc restic_json_string(const json_t *object, const char *name,
			   const char **value, struct err *e);
enum rc restic_json_whole(const json_t *object, const char *name, int64_t low,
			  int64_t high, int64_t *value, struct err *e);
enum rc restic_json_bool(const json_t *object, const char *name, bool *value,
			 struct err *e);

/* Padded standard base64 without line breaks into at most `room` bytes; *len
 * tells how many. False: it is none, or does not fit. */
bool restic_base64(unsigned char *out, size_t room, size_t *len,
		   const char *text);

#endif
