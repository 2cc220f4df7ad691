/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/borg.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/hash.h"
#include "util/json.h"
#include "util/text.h"

/* --- numbers in foreign text --- */

/* Python's int() also takes blanks, signs and underscores; no borg writes
 * them, and what is not understood is respected. */
static bool parse_number(const char *text, size_t len, int base, uint64_t most,
			 uint64_t *value)
{
	uint64_t v = 0;

	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		uint64_t digit;

		if (isdigit(c))
			digit = (uint64_t)c - '0';
		else if (base == 16 && c >= 'a' && c <= 'f')
			digit = (uint64_t)c - 'a' + 10;
		else
			return false;
		if (v > (most - digit) / (uint64_t)base)
			return false;
		v = v * (uint64_t)base + digit;
	}
	*value = v;
	return true;
}

/* --- borg 1: names --- */

bool borg1_name_parse(struct borg_owner *owner, const char *name)
{
	const char *dash = strrchr(name, '-');
	const char *dot = dash ? memrchr(name, '.', (size_t)(dash - name)) : NULL;
	struct borg_owner o = { 0 };
	uint64_t pid;

	if (!dot || (size_t)(dot - name) >= sizeof(o.host))
		return false;
	if (!parse_number(dot + 1, (size_t)(dash - dot - 1), 10, INT64_MAX, &pid) ||
	    !parse_number(dash + 1, strlen(dash + 1), 16, UINT64_MAX, &o.thread))
		return false;
	o.pid = (int64_t)pid;
	memcpy(o.host, name, (size_t)(dot - name));
	*owner = o;
	return true;
}

enum rc borg1_name_format(char out[BORG1_NAME_MAX + 1],
			  const struct borg_owner *owner, struct err *e)
{
	int len = snprintf(out, BORG1_NAME_MAX + 1, "%s.%" PRId64 "-%" PRIx64,
			   owner->host, owner->pid, owner->thread);

	if (len < 0 || len > BORG1_NAME_MAX || strchr(owner->host, '/'))
		return err_set(e, RC_UNSUPPORTED,
			       "the host id \"%.100s\" makes no file name; set "
			       "BORG_HOST_ID to another",
			       owner->host);
	return RC_OK;
}

/* --- JSON as Python writes it --- */

static enum rc json_unit(struct buf *into, uint32_t code, struct err *e)
{
	return buf_printf(into, e, "\\u%04" PRIx32, code);
}

static enum rc json_character(struct buf *into, uint32_t code, struct err *e)
{
	static const char plain[] = "\"\\\b\f\n\r\t";
	static const char word[] = "\"\\bfnrt";
	const char *short_form = code && code < 128 ? strchr(plain, (int)code)
						    : NULL;
	enum rc rc;

	if (short_form)
		return buf_printf(into, e, "\\%c", word[short_form - plain]);
	if (code >= ' ' && code <= '~')
		return buf_printf(into, e, "%c", (char)code);
	if (code < 0x10000)
		return json_unit(into, code, e);
	code -= 0x10000;
	rc = json_unit(into, 0xd800 + (code >> 10), e);
	return rc != RC_OK ? rc : json_unit(into, 0xdc00 + (code & 0x3ff), e);
}

enum rc borg_json_string(struct buf *into, const char *text, struct err *e)
{
	enum rc rc = buf_add(into, "\"", 1, e);

	while (rc == RC_OK && *text != '\0') {
		uint32_t code;
		size_t len = utf8_next(text, &code);

		if (len == 0) /* what cannot be said in JSON */
			return err_set(e, RC_MALFORMED, "text is not UTF-8");
		rc = json_character(into, code, e);
		text += len;
	}
	return rc != RC_OK ? rc : buf_add(into, "\"", 1, e);
}

static enum rc json_write(json_t *j, struct buf *into, struct err *e);

static enum rc json_write_array(json_t *j, struct buf *into, struct err *e)
{
	enum rc rc = buf_add(into, "[", 1, e);

	for (size_t i = 0; rc == RC_OK && i < json_array_size(j); i++) {
		if (i > 0)
			rc = buf_add(into, ", ", 2, e);
		if (rc == RC_OK)
			rc = json_write(json_array_get(j, i), into, e);
	}
	return rc != RC_OK ? rc : buf_add(into, "]", 1, e);
}

static enum rc json_write_object(json_t *j, struct buf *into, struct err *e)
{
	enum rc rc = buf_add(into, "{", 1, e);
	bool first = true;

	for (void *i = json_object_iter(j); rc == RC_OK && i;
	     i = json_object_iter_next(j, i)) {
		if (!first)
			rc = buf_add(into, ", ", 2, e);
		first = false;
		if (rc == RC_OK)
			rc = borg_json_string(into, json_object_iter_key(i), e);
		if (rc == RC_OK)
			rc = buf_add(into, ": ", 2, e);
		if (rc == RC_OK)
			rc = json_write(json_object_iter_value(i), into, e);
	}
	return rc != RC_OK ? rc : buf_add(into, "}", 1, e);
}

/* jansson sees to it that a real number does not turn into a whole one. */
static enum rc json_write_scalar(json_t *j, struct buf *into, struct err *e)
{
	char text[64];
	size_t len = json_dumpb(j, text, sizeof(text), JSON_ENCODE_ANY);

	if (len == 0 || len > sizeof(text))
		return err_set(e, RC_FAILED, "a number is too long");
	return buf_add(into, text, len, e);
}

/* What was parsed is shallow, and so is this. */
static enum rc json_write(json_t *j, struct buf *into, struct err *e)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return json_write_object(j, into, e);
	case JSON_ARRAY:
		return json_write_array(j, into, e);
	case JSON_STRING:
		return borg_json_string(into, json_string_value(j), e);
	case JSON_INTEGER:
	case JSON_REAL:
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		return json_write_scalar(j, into, e);
	}
	return err_set(e, RC_FAILED, "unknown kind of JSON value");
}

/* --- borg 1: the roster --- */

static const char *roster_key(enum lock_mode mode)
{
	return lock_mode_word(mode); /* borg uses the same two words */
}

static json_t *roster_list(const struct borg_roster *r, enum lock_mode mode)
{
	return json_object_get(r->top, roster_key(mode));
}

static enum rc no_memory(struct err *e)
{
	return err_set(e, RC_RETRY, "no memory for a roster");
}

enum rc borg_roster_init(struct borg_roster *r, struct err *e)
{
	r->top = json_object();
	return r->top ? RC_OK : no_memory(e);
}

void borg_roster_release(struct borg_roster *r)
{
	json_decref(r->top);
	r->top = NULL;
}

static bool entry_is_sound(const json_t *entry)
{
	const json_t *host = json_array_get(entry, 0);
	const json_t *pid = json_array_get(entry, 1);
	const json_t *thread = json_array_get(entry, 2);

	return json_array_size(entry) == 3 && json_is_string(host) &&
	       json_string_length(host) <= BORG_HOST_ID_MAX &&
	       json_is_integer(pid) && json_is_integer(thread) &&
	       json_integer_value(thread) >= 0;
}

static bool list_is_sound(const json_t *list)
{
	if (list && !json_is_array(list))
		return false;
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!entry_is_sound(json_array_get(list, i)))
			return false;
	}
	return true;
}

enum rc borg_roster_parse(struct borg_roster *r, const char *text, size_t len,
			  struct err *e)
{
	json_error_t why = { .line = 0 };
	json_t *top;

	*r = (struct borg_roster){ 0 };
	if (len == 0)
		return err_set(e, RC_MALFORMED, "lock.roster is empty");
	if (!json_is_shallow(text, len))
		return err_set(e, RC_MALFORMED,
			       "lock.roster is nested more than %d deep",
			       JSON_DEPTH_MAX);
	top = json_loadb(text, len, 0, &why);
	r->top = top;
	if (!top)
		return err_set(e, RC_MALFORMED,
			       "lock.roster is no JSON (line %d)", why.line);
	if (json_is_object(top) && list_is_sound(roster_list(r, LOCK_SHARED)) &&
	    list_is_sound(roster_list(r, LOCK_EXCLUSIVE)))
		return RC_OK;
	borg_roster_release(r);
	return err_set(e, RC_MALFORMED,
		       "lock.roster has not the form that borg understands");
}

size_t borg_roster_count(const struct borg_roster *r, enum lock_mode mode)
{
	return json_array_size(roster_list(r, mode));
}

void borg_roster_at(const struct borg_roster *r, enum lock_mode mode,
		    size_t index, struct borg_owner *owner)
{
	const json_t *entry = json_array_get(roster_list(r, mode), index);

	*owner = (struct borg_owner){
		.pid = json_integer_value(json_array_get(entry, 1)),
		.thread = (uint64_t)json_integer_value(json_array_get(entry, 2)),
	};
	text_copy(owner->host, sizeof(owner->host),
		  json_string_value(json_array_get(entry, 0)));
}

bool borg_roster_has(const struct borg_roster *r, enum lock_mode mode,
		     const struct borg_owner *owner)
{
	struct borg_owner other;

	for (size_t i = 0; i < borg_roster_count(r, mode); i++) {
		borg_roster_at(r, mode, i, &other);
		if (borg_owner_same(owner, &other))
			return true;
	}
	return false;
}

enum rc borg_roster_add(struct borg_roster *r, enum lock_mode mode,
			const struct borg_owner *owner, struct err *e)
{
	json_t *list = roster_list(r, mode), *entry;

	if (borg_roster_has(r, mode, owner))
		return RC_OK;
	if (!list) {
		list = json_array();
		if (json_object_set_new(r->top, roster_key(mode), list) != 0)
			return no_memory(e);
	}
	/* Never a fourth member: it makes borg forget the whole roster. */
	entry = json_pack("[s, I, I]", owner->host, (json_int_t)owner->pid,
			  (json_int_t)owner->thread);
	if (json_array_append_new(list, entry) != 0)
		return no_memory(e);
	return RC_OK;
}

void borg_roster_drop_at(struct borg_roster *r, enum lock_mode mode, size_t index)
{
	(void)json_array_remove(roster_list(r, mode), index);
}

bool borg_roster_drop(struct borg_roster *r, enum lock_mode mode,
		      const struct borg_owner *owner)
{
	struct borg_owner other;
	bool was = false;

	for (size_t i = borg_roster_count(r, mode); i-- > 0;) {
		borg_roster_at(r, mode, i, &other);
		if (!borg_owner_same(owner, &other))
			continue;
		borg_roster_drop_at(r, mode, i);
		was = true;
	}
	return was;
}

bool borg_roster_is_empty(const struct borg_roster *r)
{
	return borg_roster_count(r, LOCK_SHARED) == 0 &&
	       borg_roster_count(r, LOCK_EXCLUSIVE) == 0;
}

enum rc borg_roster_text(const struct borg_roster *r, struct buf *into,
			 struct err *e)
{
	return json_write(r->top, into, e);
}

/* --- borg 2 --- */

enum rc borg2_parse(struct borg2_record *r, const char *text, size_t len,
		    struct err *e)
{
	struct borg2_record found = { 0 };
	const char *host, *time;
	struct json_doc *doc;
	int64_t thread;
	enum rc rc = json_parse(&doc, text, len, e);

	if (rc != RC_OK)
		return err_context(e, rc, "not a lock of borg");
	if (!json_get_bool(doc, "exclusive", &found.exclusive) ||
	    !json_get_string(doc, "hostid", &host) ||
	    !json_get_number(doc, "processid", &found.owner.pid) ||
	    !json_get_number(doc, "threadid", &thread) || thread < 0 ||
	    !json_get_string(doc, "time", &time))
		rc = err_set(e, RC_MALFORMED,
			     "not a lock of borg: something is missing");
	else if (!text_copy(found.owner.host, sizeof(found.owner.host), host))
		rc = err_set(e, RC_MALFORMED,
			     "not a lock of borg: host id too long");
	else if (!wall_parse(&found.time, time))
		rc = err_set(e, RC_MALFORMED,
			     "not a lock of borg: no time with a zone");
	if (rc == RC_OK) {
		found.owner.thread = (uint64_t)thread;
		*r = found;
	}
	json_close(doc);
	return rc;
}

enum rc borg2_format(const struct borg2_record *r, struct buf *into,
		     struct err *e)
{
	char time[32];
	enum rc rc;

	wall_show_msec(time, sizeof(time), r->time);
	time[strcspn(time, "Z")] = '\0';
	rc = buf_printf(into, e, "{\"exclusive\": %s, \"hostid\": ",
			r->exclusive ? "true" : "false");
	if (rc == RC_OK)
		rc = borg_json_string(into, r->owner.host, e);
	if (rc == RC_OK)
		rc = buf_printf(into, e,
				", \"processid\": %" PRId64
				", \"threadid\": %" PRIu64
				", \"time\": \"%s+00:00\"}",
				r->owner.pid, r->owner.thread, time);
	return rc;
}

bool borg2_name_is_valid(const char *name)
{
	static const char *const hidden[] = { ".tmp", ".hid", ".del" };
	size_t len = strlen(name);

	/* borgstore's bound is 100 with "locks/" in front. */
	if (len == 0 || len > 94 || strstr(name, ".."))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c <= ' ' || c >= 127 || isupper(c) || c == '\\')
			return false;
	}
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (len >= 4 && strcmp(name + len - 4, hidden[i]) == 0)
			return false;
	}
	return true;
}

/* --- for both --- */

void borg_info_owner(struct lock_info *info, const struct borg_owner *owner)
{
	char *at;

	text_copy(info->host, sizeof(info->host), owner->host);
	at = strrchr(info->host, '@');
	if (at && at != info->host && at[1] != '\0' &&
	    at[1 + strspn(at + 1, "0123456789")] == '\0')
		*at = '\0';
	info->pid = owner->pid > 0 && owner->pid <= INT_MAX ? (pid_t)owner->pid
							    : 0;
}

const char *borg_host_warning(const struct borg_host *h)
{
	return h->random
		       ? "no network card gives this host a lasting id, so that "
			 "borg makes up a new one each time and nobody can tell "
			 "whether a lock of this host is stale; set BORG_HOST_ID"
		       : NULL;
}

enum rc borg_spared(const struct lock_info *info, struct err *e)
{
	if (info->state == LOCK_UNREADABLE)
		return err_set(e, RC_BUSY, "nobody can tell whose it is: %.150s",
			       info->detail);
	if (info->alive == LOCK_ALIVE_YES)
		return err_set(e, RC_BUSY, "process %d is alive%s%.100s",
			       (int)info->pid, info->detail[0] ? ": " : "",
			       info->detail);
	return err_set(e, RC_BUSY,
		       "whether process %d of %.60s is alive cannot be told: "
		       "%.100s",
		       (int)info->pid, info->host, info->detail);
}

enum rc borg_id(char *out, size_t size, const char *text, struct err *e)
{
	uint8_t digest[SHA256_SIZE];
	char hex[17];
	enum rc rc = hash_sha256(digest, text, strlen(text), e);

	if (rc != RC_OK)
		return rc;
	hex_encode(hex, digest, 8);
	text_copy(out, size, hex);
	return RC_OK;
}

#define LATELY (10 * NSEC_PER_SEC)

bool borg_changed_lately(const struct store_tag *tag)
{
	nsec age = wall_now().ns - tag->time.ns;

	return age < LATELY && age > -LATELY;
}

/* More than any repository has at its top, let alone locks. */
#define ENTRIES_MAX ((size_t)1 << 16)

static enum rc entries_grow(struct borg_entries *l, struct err *e)
{
	size_t room = l->room ? 2 * l->room : 16;
	struct borg_entry *more;

	if (room > ENTRIES_MAX)
		return err_set(e, RC_MALFORMED, "too many files to list");
	more = reallocarray(l->at, room, sizeof(*more));
	if (!more)
		return err_set(e, RC_RETRY, "no memory to list files");
	l->at = more;
	l->room = room;
	return RC_OK;
}

static bool gather(void *context, const struct store_entry *entry)
{
	struct borg_entries *l = context;

	if (l->count == l->room)
		l->rc = entries_grow(l, &l->err);
	if (l->rc != RC_OK)
		return false;
	l->at[l->count] = (struct borg_entry){ .tag = entry->tag,
					       .directory = entry->directory };
	if (!text_copy(l->at[l->count].name, sizeof(l->at->name), entry->name))
		l->rc = err_set(&l->err, RC_MALFORMED,
				"a file's name is too long");
	l->count++;
	return l->rc == RC_OK;
}

/* The listing's own rc, or that of gathering it. */
static enum rc gathered(const struct borg_entries *l, enum rc rc, struct err *e)
{
	if (rc != RC_OK || l->rc == RC_OK)
		return rc;
	*e = l->err;
	return l->rc;
}

static void entries_begin(struct borg_entries *l)
{
	l->count = 0;
	l->rc = RC_OK;
}

enum rc borg_entries_list(struct borg_entries *into, struct store *s,
			  const char *prefix, const struct call *call,
			  struct err *e)
{
	entries_begin(into);
	return gathered(into, s->ops->list(s, prefix, gather, into, call, e), e);
}

enum rc borg_entries_names(struct borg_entries *into, struct store *s,
			   const char *prefix, const struct call *call,
			   struct err *e)
{
	if (!s->ops->names)
		return borg_entries_list(into, s, prefix, call, e);
	entries_begin(into);
	return gathered(into, s->ops->names(s, prefix, gather, into, call, e), e);
}

void borg_entries_release(struct borg_entries *l)
{
	free(l->at);
	*l = (struct borg_entries){ 0 };
}
