/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/lease_record.h"

#include <inttypes.h>
#include <string.h>

#include "util/json.h"
#include "util/text.h"

enum { RECORD_VERSION = 1, COUNTER_DIGITS = 20 };

static void write_process(struct json_out *j, const char *key,
			  const struct process *p)
{
	json_out_object(j, key);
	json_out_number(j, "pid", p->pid);
	json_out_number(j, "start", (int64_t)p->start);
	json_out_end(j, '}');
}

static void write_self(struct json_out *j, const struct self *self)
{
	json_out_string(j, "host", self->host);
	json_out_string(j, "user", self->user);
	json_out_string(j, "boot_id", self->boot_id);
	json_out_number(j, "pid_ns", (int64_t)self->pid_ns);
	json_out_number(j, "time_ns", (int64_t)self->time_ns);
	write_process(j, "front", &self->front);
	write_process(j, "keeper", &self->keeper);
}

/* Blanks are nothing to JSON, so they make up for a counter's length. */
static enum rc write_counter(struct buf *into, uint64_t counter, struct err *e)
{
	return buf_printf(into, e, ",\"counter\":%*" PRIu64 "}\n",
			  COUNTER_DIGITS, counter);
}

enum rc lease_record_write(struct buf *into, const struct lock_wish *wish,
			   struct wall since, uint64_t counter, struct err *e)
{
	struct json_out j;

	buf_reset(into);
	json_out_begin(&j, into);
	json_out_object(&j, NULL);
	json_out_number(&j, "repolock", RECORD_VERSION);
	write_self(&j, wish->self);
	json_out_string(&j, "command", wish->command ? wish->command : "");
	json_out_string(&j, "reason", wish->reason ? wish->reason : "");
	json_out_time(&j, "since", since);
	if (j.rc != RC_OK) {
		*e = j.err;
		return j.rc;
	}
	return write_counter(into, counter, e);
}

static void read_text(const struct json_doc *doc, const char *path, char *out,
		      size_t size)
{
	const char *value;

	if (json_get_string(doc, path, &value))
		(void)text_copy(out, size, value);
}

static uint64_t read_number(const struct json_doc *doc, const char *path)
{
	int64_t value;

	return json_get_number(doc, path, &value) && value > 0 ? (uint64_t)value
							       : 0;
}

static pid_t read_pid(const struct json_doc *doc, const char *path)
{
	uint64_t value = read_number(doc, path);

	return value <= INT32_MAX ? (pid_t)value : 0;
}

static void read_members(struct lease_record *r, const struct json_doc *doc)
{
	const char *since;

	read_text(doc, "host", r->host, sizeof(r->host));
	read_text(doc, "user", r->user, sizeof(r->user));
	read_text(doc, "boot_id", r->boot_id, sizeof(r->boot_id));
	read_text(doc, "command", r->command, sizeof(r->command));
	read_text(doc, "reason", r->reason, sizeof(r->reason));
	r->pid_ns = read_number(doc, "pid_ns");
	r->time_ns = read_number(doc, "time_ns");
	r->front.pid = read_pid(doc, "front.pid");
	r->front.start = read_number(doc, "front.start");
	r->keeper.pid = read_pid(doc, "keeper.pid");
	r->keeper.start = read_number(doc, "keeper.start");
	r->counter = read_number(doc, "counter");
	if (json_get_string(doc, "since", &since))
		(void)wall_parse(&r->since, since);
}

enum rc lease_record_read(struct lease_record *record, const char *text,
			  size_t len, struct err *e)
{
	struct json_doc *doc;
	int64_t version;
	enum rc rc;

	rc = json_parse(&doc, text, len, e);
	if (rc != RC_OK)
		return rc;
	if (!json_get_number(doc, "repolock", &version)) {
		rc = err_set(e, RC_MALFORMED, "not a record of repolock");
		goto out;
	}
	*record = (struct lease_record){ 0 };
	read_members(record, doc);
out:
	json_close(doc);
	return rc;
}

void lease_record_tell(const struct lease_record *record, struct lock_info *info)
{
	(void)text_copy(info->host, sizeof(info->host), record->host);
	(void)text_copy(info->user, sizeof(info->user), record->user);
	(void)text_copy(info->command, sizeof(info->command), record->command);
	(void)text_copy(info->reason, sizeof(info->reason), record->reason);
	info->pid = record->front.pid;
	info->since = record->since;
}
