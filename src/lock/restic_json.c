/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/restic_json.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/json.h"

/* The master key is JSON as well, and jansson frees its pieces as they are. */
static void wipe_and_free(void *memory)
{
	if (memory)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

static pthread_once_t allocation_once = PTHREAD_ONCE_INIT;

static void choose_allocation(void)
{
	json_set_alloc_funcs(malloc, wipe_and_free);
}

enum rc restic_json_load(json_t **root, const char *text, size_t len,
			 struct err *e)
{
	json_error_t where = { .line = 0 };
	json_t *j;

	if (!json_is_shallow(text, len))
		return err_set(e, RC_MALFORMED, "JSON nested more than %d deep",
			       JSON_DEPTH_MAX);
	(void)pthread_once(&allocation_once, choose_allocation);
	j = json_loadb(text, len, JSON_ALLOW_NUL, &where);
	if (!j)
		return err_set(e, RC_MALFORMED, "no valid JSON (line %d)",
			       where.line);
	if (!json_is_object(j)) {
		json_decref(j);
		return err_set(e, RC_MALFORMED, "no JSON object");
	}
	*root = j;
	return RC_OK;
}

const json_t *restic_json_member(const json_t *object, const char *name)
{
	/* jansson iterates over what it may change; we change nothing. */
	json_t *o = (json_t *)(uintptr_t)object;
	const json_t *found = NULL;

	for (void *i = json_object_iter(o); i; i = json_object_iter_next(o, i))
		if (strcasecmp(json_object_iter_key(i), name) == 0 &&
		    !json_is_null(json_object_iter_value(i)))
			found = json_object_iter_value(i);
	return found;
}

enum rc restic_json_string(const json_t *object, const char *name,
			   const char **value, struct err *e)
{
	const json_t *found = restic_json_member(object, name);

	if (!found)
		return RC_OK;
	if (!json_is_string(found))
		return err_set(e, RC_MALFORMED, "\"%s\" is no string", name);
	*value = json_string_value(found);
	return RC_OK;
}

enum rc restic_json_whole(const json_t *object, const char *name, int64_t low,
			  int64_t high, int64_t *value, struct err *e)
{
	const json_t *found = restic_json_member(object, name);

	if (!found)
		return RC_OK;
	if (!json_is_integer(found) || json_integer_value(found) < low ||
	    json_integer_value(found) > high)
		return err_set(e, RC_MALFORMED,
			       "\"%s\" is no whole number that fits", name);
	*value = json_integer_value(found);
	return RC_OK;
}

enum rc restic_json_bool(const json_t *object, const char *name, bool *value,
			 struct err *e)
{
	const json_t *found = restic_json_member(object, name);

	if (!found)
		return RC_OK;
	if (!json_is_boolean(found))
		return err_set(e, RC_MALFORMED, "\"%s\" is no true or false",
			       name);
	*value = json_is_true(found);
	return RC_OK;
}

/* --- base64 --- */

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return -1;
}

/* How many bytes four characters hold; 0: they are none. Only the last four
 * may be padded. */
static size_t base64_four(unsigned char out[3], const char *in, bool last)
{
	size_t n = 3;
	uint32_t bits = 0;

	if (last && in[3] == '=')
		n = in[2] == '=' ? 1 : 2;
	for (size_t i = 0; i < 4; i++) {
		int value = i <= n ? base64_value(in[i]) : 0;

		if (value < 0)
			return 0;
		bits = bits << 6 | (uint32_t)value;
	}
	out[0] = (unsigned char)(bits >> 16);
	out[1] = (unsigned char)(bits >> 8 & 0xff);
	out[2] = (unsigned char)(bits & 0xff);
	return n;
}

bool restic_base64(unsigned char *out, size_t room, size_t *len, const char *text)
{
	size_t chars = strlen(text);
	size_t to = 0;

	if (chars % 4 != 0)
		return false;
	for (size_t i = 0; i < chars; i += 4) {
		unsigned char three[3];
		size_t n = base64_four(three, text + i, i + 4 == chars);

		if (n == 0 || n > room - to)
			return false;
		memcpy(out + to, three, n);
		to += n;
	}
	*len = to;
	return true;
}
