/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* --- out --- */

void json_out_begin(struct json_out *j, struct buf *into)
{
	*j = (struct json_out){ .into = into };
}

static void add(struct json_out *j, const char *text, size_t len)
{
	if (j->rc == RC_OK)
		j->rc = buf_add(j->into, text, len, &j->err);
}

static void add_text(struct json_out *j, const char *text)
{
	add(j, text, strlen(text));
}

static void add_unit(struct json_out *j, uint32_t unit)
{
	const unsigned char bytes[] = { (unsigned char)(unit >> 8),
					(unsigned char)unit };
	char code[8] = "\\u";

	hex_encode(code + 2, bytes, sizeof(bytes));
	add_text(j, code);
}

/* The escape for a quote, a backslash, or what is not printable. */
static void add_escape(struct json_out *j, uint32_t code)
{
	switch (code) {
	case '"':
		add_text(j, "\\\"");
		return;
	case '\\':
		add_text(j, "\\\\");
		return;
	case '\n':
		add_text(j, "\\n");
		return;
	case '\t':
		add_text(j, "\\t");
		return;
	default:
		break;
	}
	if (code > 0xffff) { /* as two halves, as UTF-16 has it */
		add_unit(j, 0xd800 + ((code - 0x10000) >> 10));
		code = 0xdc00 + (code & 0x3ff);
	}
	add_unit(j, code);
}

/* What a terminal may not be given is escaped as well: people look at JSON,
 * and jq -r is not asked what it prints. */
static void add_quoted(struct json_out *j, const char *value)
{
	const char *plain = value; /* what need not be changed is added whole */

	add_text(j, "\"");
	while (*value != '\0') {
		uint32_t code = 0;
		size_t len = utf8_next(value, &code);

		if (len > 0 && utf8_is_printable(code) && code != '"' &&
		    code != '\\') {
			value += len;
			continue;
		}
		add(j, plain, (size_t)(value - plain));
		if (len == 0)
			add_text(j, "\xef\xbf\xbd"); /* U+FFFD */
		else
			add_escape(j, code);
		value += len > 0 ? len : 1;
		plain = value;
	}
	add(j, plain, (size_t)(value - plain));
	add_text(j, "\"");
}

/* What stands before a value: a comma, and its key. */
static void add_key(struct json_out *j, const char *key)
{
	if (j->comma)
		add_text(j, ",");
	j->comma = true;
	if (!key)
		return;
	add_quoted(j, key);
	add_text(j, ":");
}

void json_out_object(struct json_out *j, const char *key)
{
	add_key(j, key);
	add_text(j, "{");
	j->comma = false;
}

void json_out_array(struct json_out *j, const char *key)
{
	add_key(j, key);
	add_text(j, "[");
	j->comma = false;
}

void json_out_end(struct json_out *j, char bracket)
{
	add(j, &bracket, 1);
	j->comma = true;
}

void json_out_string(struct json_out *j, const char *key, const char *value)
{
	add_key(j, key);
	if (value)
		add_quoted(j, value);
	else
		add_text(j, "null");
}

void json_out_number(struct json_out *j, const char *key, int64_t value)
{
	add_key(j, key);
	if (j->rc == RC_OK)
		j->rc = buf_printf(j->into, &j->err, "%" PRId64, value);
}

void json_out_seconds(struct json_out *j, const char *key, nsec span)
{
	uint64_t ns = span < 0 ? 0 - (uint64_t)span : (uint64_t)span;
	char text[40];
	struct text t = text_begin(text, sizeof(text));

	if (span >= NSEC_FOREVER) {
		json_out_null(j, key);
		return;
	}
	text_addf(&t, "%s%" PRIu64 ".%09" PRIu64, span < 0 ? "-" : "",
		  ns / 1000000000, ns % 1000000000);
	while (text[t.len - 1] == '0')
		t.len--;
	if (text[t.len - 1] == '.')
		t.len--;
	add_key(j, key);
	add(j, text, t.len);
}

void json_out_bool(struct json_out *j, const char *key, bool value)
{
	add_key(j, key);
	add_text(j, value ? "true" : "false");
}

void json_out_null(struct json_out *j, const char *key)
{
	add_key(j, key);
	add_text(j, "null");
}

void json_out_time(struct json_out *j, const char *key, struct wall value)
{
	char text[32];

	if (value.ns == 0) {
		json_out_null(j, key);
		return;
	}
	wall_show_msec(text, sizeof(text), value);
	json_out_string(j, key, text);
}

/* --- in --- */

struct json_doc {
	json_t *top;
};

bool json_is_shallow(const char *text, size_t len)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (in_string) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				in_string = false;
		} else if (text[i] == '"') {
			in_string = true;
		} else if (text[i] == '{' || text[i] == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return false;
		} else if (text[i] == '}' || text[i] == ']') {
			depth--;
		}
	}
	return true;
}

enum rc json_parse(struct json_doc **doc, const char *text, size_t len,
		   struct err *e)
{
	json_error_t why = { .line = 0 };
	struct json_doc *made;
	json_t *top;

	if (len > JSON_SIZE_MAX)
		return err_set(e, RC_MALFORMED, "JSON of more than %zu bytes",
			       JSON_SIZE_MAX);
	if (!json_is_shallow(text, len))
		return err_set(e, RC_MALFORMED, "JSON nested more than %d deep",
			       JSON_DEPTH_MAX);
	top = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!top)
		return err_set(e, RC_MALFORMED, "no valid JSON (line %d)",
			       why.line);
	if (!json_is_object(top)) {
		json_decref(top);
		return err_set(e, RC_MALFORMED, "JSON that is no object");
	}
	made = malloc(sizeof(*made));
	if (!made) {
		json_decref(top);
		return err_set(e, RC_RETRY, "no memory for JSON");
	}
	made->top = top;
	*doc = made;
	return RC_OK;
}

void json_close(struct json_doc *doc)
{
	if (!doc)
		return;
	json_decref(doc->top);
	free(doc);
}

/* NULL: not there. */
static const json_t *find(const struct json_doc *doc, const char *path)
{
	const json_t *at = doc->top;

	while (at && *path != '\0') {
		size_t len = strcspn(path, ".");
		char key[64];

		if (len >= sizeof(key) || !json_is_object(at))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		at = json_object_get(at, key);
		path += path[len] == '.' ? len + 1 : len;
	}
	return at;
}

bool json_get_string(const struct json_doc *doc, const char *path,
		     const char **value)
{
	const json_t *at = find(doc, path);

	if (!at || !json_is_string(at))
		return false;
	*value = json_string_value(at);
	return true;
}

bool json_get_number(const struct json_doc *doc, const char *path, int64_t *value)
{
	const json_t *at = find(doc, path);

	if (!at || !json_is_integer(at))
		return false;
	*value = (int64_t)json_integer_value(at);
	return true;
}

bool json_get_bool(const struct json_doc *doc, const char *path, bool *value)
{
	const json_t *at = find(doc, path);

	if (!at || !json_is_boolean(at))
		return false;
	*value = json_is_true(at);
	return true;
}
