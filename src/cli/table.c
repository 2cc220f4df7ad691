/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/duration.h"
#include "util/text.h"

enum {
	/* Room for the widest value, user@host, with every byte escaped. */
	CELL = 4 * (64 + 256),
	ID_SHORTEST = 8,
	SHRINK_TO = 10, /* a column that gives way keeps so many characters */
	GAP = 2
};

/* In a sentence no field of another may push out what comes after it. */
enum {
	MOST_OF_USER = 32,
	MOST_OF_HOST = 100,
	MOST_OF_COMMAND = 64,
	MOST_OF_REASON = 200,
	BETWEEN = 40, /* "@", " (pid 2147483647", ", ", "\"", ")" */
	MOST_OF_ALL = MOST_OF_USER + MOST_OF_HOST + MOST_OF_COMMAND +
		      MOST_OF_REASON + BETWEEN
};
_Static_assert((int)MOST_OF_ALL < (int)TABLE_HOLDER_SIZE,
	       "a holder is never cut as a whole");

struct table {
	const struct lock_info *const *locks;
	size_t count;
	const struct table_look *look;
	size_t id_length;
};

typedef void cell_fn(char *out, const struct table *t,
		     const struct lock_info *lock);
/* Is the column worth its place for these locks? */
typedef bool wanted_fn(const struct table *t);

/* --- cells --------------------------------------------------------------- */

static void cell_id(char *out, const struct table *t, const struct lock_info *lock)
{
	char cut[sizeof(lock->id)];
	struct text id = text_begin(cut, sizeof(cut));

	text_addf(&id, "%.*s", (int)t->id_length, lock->id);
	(void)text_printable(out, CELL, cut);
}

static void cell_kind(char *out, const struct table *t,
		      const struct lock_info *lock)
{
	(void)t;
	(void)text_printable(out, CELL, lock->protocol);
}

static void cell_name(char *out, const struct table *t,
		      const struct lock_info *lock)
{
	(void)t;
	(void)text_printable(out, CELL, lock->name[0] ? lock->name : "-");
}

static void cell_mode(char *out, const struct table *t,
		      const struct lock_info *lock)
{
	(void)t;
	(void)text_copy(out, CELL,
			lock->state == LOCK_UNREADABLE
				? "-"
				: lock_mode_word(lock->mode));
}

static void cell_state(char *out, const struct table *t,
		       const struct lock_info *lock)
{
	(void)t;
	(void)text_copy(out, CELL, lock_state_word(lock->state));
}

static void cell_holder(char *out, const struct table *t,
			const struct lock_info *lock)
{
	struct text both = text_begin(out, CELL);

	(void)t;
	text_add_printable(&both, lock->user);
	if (lock->user[0] && lock->host[0])
		text_add(&both, "@");
	text_add_printable(&both, lock->host);
	if (both.len == 0)
		text_add(&both, "-");
}

static void cell_pid(char *out, const struct table *t,
		     const struct lock_info *lock)
{
	(void)t;
	if (lock->pid > 0)
		(void)snprintf(out, CELL, "%jd", (intmax_t)lock->pid);
	else
		(void)text_copy(out, CELL, "-");
}

/* Of the holder's clock; where its error is known it is taken out. */
static struct wall since_by_store(const struct lock_info *lock)
{
	if (lock->since.ns == 0)
		return lock->since;
	return (struct wall){ lock->since.ns - lock->skew };
}

static void show_ago(char *out, const struct table *t, struct wall then)
{
	if (then.ns == 0)
		(void)text_copy(out, CELL, "-");
	else
		(void)table_ago(out, CELL, then, t->look->now);
}

static void cell_age(char *out, const struct table *t,
		     const struct lock_info *lock)
{
	show_ago(out, t, since_by_store(lock));
}

static void cell_refreshed(char *out, const struct table *t,
			   const struct lock_info *lock)
{
	show_ago(out, t, lock->refreshed);
}

static void cell_expires(char *out, const struct table *t,
			 const struct lock_info *lock)
{
	nsec left = lock->expires.ns - t->look->now.ns;
	char span[32];

	if (lock->expires.ns == 0) {
		(void)text_copy(out, CELL, "-");
		return;
	}
	duration_show(span, sizeof(span), left < 0 ? -left : left);
	(void)snprintf(out, CELL, left < 0 ? "%s ago" : "in %s", span);
}

static void cell_command(char *out, const struct table *t,
			 const struct lock_info *lock)
{
	(void)t;
	(void)text_printable(out, CELL, lock->command[0] ? lock->command : "-");
}

static bool several_kinds(const struct table *t)
{
	for (size_t i = 1; i < t->count; i++) {
		if (strcmp(t->locks[i]->protocol, t->locks[0]->protocol) != 0)
			return true;
	}
	return false;
}

static bool named(const struct table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->locks[i]->name[0] &&
		    strcmp(t->locks[i]->name, "default") != 0)
			return true;
	}
	return false;
}

struct column {
	const char *title;
	cell_fn *cell;
	wanted_fn *wanted; /* NULL: always */
	bool right;
	bool coloured;
	int gives_way; /* the lower of two shrinks first; 0: never */
};

static const struct column columns[] = {
	{ .title = "ID", .cell = cell_id },
	{ .title = "KIND", .cell = cell_kind, .wanted = several_kinds },
	{ .title = "NAME", .cell = cell_name, .wanted = named, .gives_way = 3 },
	{ .title = "MODE", .cell = cell_mode },
	{ .title = "STATE", .cell = cell_state, .coloured = true },
	{ .title = "HOLDER", .cell = cell_holder, .gives_way = 2 },
	{ .title = "PID", .cell = cell_pid, .right = true },
	{ .title = "AGE", .cell = cell_age, .right = true },
	{ .title = "REFRESHED", .cell = cell_refreshed, .right = true },
	{ .title = "EXPIRES", .cell = cell_expires, .right = true },
	{ .title = "COMMAND", .cell = cell_command, .gives_way = 1 },
};

enum { COLUMNS = sizeof(columns) / sizeof(columns[0]), GIVE_WAY_LAST = 3 };

/* --- widths -------------------------------------------------------------- */

static size_t characters(const char *text)
{
	uint32_t code;
	size_t count = 0, step;

	for (; *text; text += step, count++) {
		step = utf8_next(text, &code);
		if (step == 0)
			step = 1;
	}
	return count;
}

/* Cut to so many characters, the last one telling that there was more. */
static void cut(char *text, size_t width)
{
	uint32_t code;

	if (characters(text) <= width || width == 0)
		return;
	for (size_t i = 1; i < width; i++) {
		size_t step = utf8_next(text, &code);

		text += step ? step : 1;
	}
	text[0] = '~';
	text[1] = '\0';
}

static void measure(const struct table *t, size_t *widths)
{
	char text[CELL];

	for (size_t c = 0; c < COLUMNS; c++) {
		widths[c] = 0;
		if (columns[c].wanted && !columns[c].wanted(t))
			continue;
		widths[c] = strlen(columns[c].title);
		for (size_t i = 0; i < t->count; i++) {
			size_t wide;

			columns[c].cell(text, t, t->locks[i]);
			wide = characters(text);
			if (wide > widths[c])
				widths[c] = wide;
		}
	}
}

static size_t total(const size_t *widths)
{
	size_t sum = 0;

	for (size_t c = 0; c < COLUMNS; c++)
		sum += widths[c] ? widths[c] + GAP : 0;
	return sum - GAP;
}

static void shrink(const struct table *t, size_t *widths)
{
	for (int turn = 1; turn <= GIVE_WAY_LAST && t->look->width; turn++) {
		for (size_t c = 0; c < COLUMNS; c++) {
			size_t over = total(widths) > t->look->width
					      ? total(widths) - t->look->width
					      : 0;
			size_t spare = widths[c] > SHRINK_TO
					       ? widths[c] - SHRINK_TO
					       : 0;

			if (columns[c].gives_way == turn)
				widths[c] -= over < spare ? over : spare;
		}
	}
}

/* --- lines ---------------------------------------------------------------- */

static const char *colour_of(enum lock_state state)
{
	switch (state) {
	case LOCK_HELD:
		return "\033[32m";
	case LOCK_WAITING:
		return "\033[36m";
	case LOCK_STALE:
		return "\033[33m";
	case LOCK_UNREADABLE:
		return "\033[31m";
	}
	return "";
}

/* One cell; the last one is not padded. lock NULL: the line of titles. */
static enum rc add_cell(struct buf *into, const struct table *t, size_t c,
			size_t width, const struct lock_info *lock, bool last,
			struct err *e)
{
	char text[CELL];
	const char *on = "", *off = "";
	int pad;

	if (lock)
		columns[c].cell(text, t, lock);
	else
		(void)text_copy(text, sizeof(text), columns[c].title);
	cut(text, width);
	pad = (int)(width - characters(text));
	if (lock && columns[c].coloured && t->look->colour) {
		on = colour_of(lock->state);
		off = "\033[0m";
	}
	if (columns[c].right)
		return buf_printf(into, e, "%*s%s%s", pad, "", text,
				  last ? "" : "  ");
	return buf_printf(into, e, "%s%s%s%*s", on, text, off,
			  last ? 0 : pad + GAP, "");
}

static enum rc add_line(struct buf *into, const struct table *t,
			const size_t *widths, const struct lock_info *lock,
			struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t c = 0; c < COLUMNS && rc == RC_OK; c++) {
		if (widths[c])
			rc = add_cell(into, t, c, widths[c], lock,
				      c + 1 == COLUMNS, e);
	}
	return rc == RC_OK ? buf_add(into, "\n", 1, e) : rc;
}

static enum rc add_note(struct buf *into, const struct table *t,
			const struct lock_info *lock, const char *what,
			const char *text, struct err *e)
{
	char id[CELL], shown[CELL];

	if (!*text)
		return RC_OK;
	cell_id(id, t, lock);
	return buf_printf(into, e, "%s: %s%s\n", id, what,
			  text_printable(shown, sizeof(shown), text));
}

static enum rc add_notes(struct buf *into, const struct table *t,
			 const struct lock_info *lock, struct err *e)
{
	char span[32], skew[80];
	struct text words;
	enum rc rc = add_note(into, t, lock, "reason: ", lock->reason, e);

	if (rc == RC_OK)
		rc = add_note(into, t, lock, "", lock->detail, e);
	if (rc == RC_OK && lock->sure_in > 0) {
		duration_show(span, sizeof(span), lock->sure_in);
		rc = add_note(into, t, lock,
			      "whether it is stale will be known in ", span, e);
	}
	if (rc == RC_OK && (lock->skew > SKEW_TOLD || lock->skew < -SKEW_TOLD)) {
		duration_show(span, sizeof(span),
			      lock->skew < 0 ? -lock->skew : lock->skew);
		words = text_begin(skew, sizeof(skew));
		text_addf(&words, "%s %s", span,
			  lock->skew < 0 ? "behind" : "ahead");
		rc = add_note(into, t, lock, "the holder's clock is ", skew, e);
	}
	return rc;
}

size_t table_id_length(const struct lock_info *const *locks, size_t count)
{
	size_t length = ID_SHORTEST;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = i + 1; k < count; k++) {
			const char *a = locks[i]->id, *b = locks[k]->id;
			size_t same = 0;

			while (a[same] && a[same] == b[same])
				same++;
			if (same >= length)
				length = same + 1;
		}
	}
	return length;
}

enum rc table_show(struct buf *into, const struct lock_info *const *locks,
		   size_t count, const struct table_look *look, struct err *e)
{
	struct table t = { .locks = locks,
			   .count = count,
			   .look = look,
			   .id_length = table_id_length(locks, count) };
	size_t widths[COLUMNS];
	enum rc rc;

	if (count == 0)
		return RC_OK;
	measure(&t, widths);
	shrink(&t, widths);
	rc = add_line(into, &t, widths, NULL, e);
	for (size_t i = 0; i < count && rc == RC_OK; i++)
		rc = add_line(into, &t, widths, locks[i], e);
	for (size_t i = 0; i < count && rc == RC_OK; i++)
		rc = add_notes(into, &t, locks[i], e);
	return rc;
}

/* --- JSON ------------------------------------------------------------------ */

/* What is not known is null. */
static void json_text(struct json_out *j, const char *key, const char *value)
{
	json_out_string(j, key, value[0] ? value : NULL);
}

static void json_alive(struct json_out *j, enum lock_alive alive)
{
	if (alive == LOCK_ALIVE_UNKNOWN)
		json_out_null(j, "alive");
	else
		json_out_bool(j, "alive", alive == LOCK_ALIVE_YES);
}

void table_json_lock(struct json_out *j, const char *key,
		     const struct lock_info *lock)
{
	json_out_object(j, key);
	json_text(j, "protocol", lock->protocol);
	json_text(j, "id", lock->id);
	json_text(j, "name", lock->name);
	json_out_string(j, "mode", lock_mode_word(lock->mode));
	json_out_string(j, "state", lock_state_word(lock->state));
	json_alive(j, lock->alive);
	json_text(j, "user", lock->user);
	json_text(j, "host", lock->host);
	if (lock->pid > 0)
		json_out_number(j, "pid", lock->pid);
	else
		json_out_null(j, "pid");
	json_text(j, "command", lock->command);
	json_text(j, "reason", lock->reason);
	if (lock->fence > 0)
		json_out_number(j, "fence", (int64_t)lock->fence);
	else
		json_out_null(j, "fence");
	json_out_time(j, "since", lock->since);
	json_out_time(j, "refreshed", lock->refreshed);
	json_out_time(j, "expires", lock->expires);
	json_out_seconds(j, "skew", lock->skew);
	json_out_seconds(j, "sure_in", lock->sure_in);
	json_text(j, "detail", lock->detail);
	json_out_end(j, '}');
}

enum rc table_json(struct buf *into, const char *location,
		   const struct lock_info *const *locks, size_t count,
		   bool complete, struct wall now, struct err *e)
{
	struct json_out j;

	json_out_begin(&j, into);
	json_out_object(&j, NULL);
	json_out_number(&j, "version", SCHEMA_VERSION);
	json_out_string(&j, "location", location);
	json_out_time(&j, "time", now);
	json_out_bool(&j, "complete", complete);
	json_out_array(&j, "locks");
	for (size_t i = 0; i < count; i++)
		table_json_lock(&j, NULL, locks[i]);
	json_out_end(&j, ']');
	json_out_end(&j, '}');
	if (j.rc != RC_OK) {
		*e = j.err;
		return j.rc;
	}
	return buf_add(into, "\n", 1, e);
}

/* --- words ----------------------------------------------------------------- */

char *table_ago(char *out, size_t size, struct wall then, struct wall now)
{
	nsec span = now.ns > then.ns ? now.ns - then.ns : 0;

	out[0] = '\0';
	if (then.ns != 0)
		duration_show(out, size, span - span % NSEC_PER_SEC);
	return out;
}

/* A comma, or the bracket that the first piece opens. */
static void add_gap(struct text *t, bool *open)
{
	text_add(t, *open ? ", " : " (");
	*open = true;
}

char *table_holder(char *out, size_t size, const struct lock_info *lock)
{
	struct text t = text_begin(out, size);
	bool open = false;

	text_add_part(&t, lock->user, MOST_OF_USER);
	if (lock->user[0] && lock->host[0])
		text_add(&t, "@");
	text_add_part(&t, lock->host, MOST_OF_HOST);
	if (t.len == 0)
		text_add(&t, "somebody unknown");
	if (lock->pid > 0) {
		add_gap(&t, &open);
		text_addf(&t, "pid %jd", (intmax_t)lock->pid);
	}
	if (lock->command[0]) {
		add_gap(&t, &open);
		text_add_part(&t, lock->command, MOST_OF_COMMAND);
	}
	if (lock->reason[0]) {
		add_gap(&t, &open);
		text_add(&t, "\"");
		text_add_part(&t, lock->reason, MOST_OF_REASON);
		text_add(&t, "\"");
	}
	if (open)
		text_add(&t, ")");
	return out;
}
