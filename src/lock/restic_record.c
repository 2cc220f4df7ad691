/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/restic_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lock/restic_json.h"
#include "util/json.h"
#include "util/text.h"

#define OWN_MEMBER "repolock"

/* --- reading --- */

static enum rc take_text(char *out, size_t size, const json_t *object,
			 const char *name, struct err *e)
{
	const char *text = "";
	enum rc rc = restic_json_string(object, name, &text, e);

	if (!rc)
		(void)text_copy(out, size, text);
	return rc;
}

static enum rc take_time(struct wall *t, const json_t *object, const char *name,
			 struct err *e)
{
	const char *text = NULL;
	enum rc rc = restic_json_string(object, name, &text, e);

	if (!rc && text && !wall_parse(t, text))
		rc = err_set(e, RC_MALFORMED, "\"%s\" is no time", name);
	return rc;
}

static enum rc take_id(uint32_t *id, const json_t *object, const char *name,
		       struct err *e)
{
	int64_t value = 0;
	enum rc rc = restic_json_whole(object, name, 0, UINT32_MAX, &value, e);

	if (!rc)
		*id = (uint32_t)value;
	return rc;
}

static uint64_t number(const json_t *object, const char *name)
{
	struct err ignored;
	int64_t value = 0;

	(void)restic_json_whole(object, name, 0, INT64_MAX, &value, &ignored);
	return (uint64_t)value;
}

/* Nothing in here makes a lock unreadable: restic reads it all the same. */
static void take_own(struct restic_record *r, const json_t *own)
{
	struct err ignored;

	if (!json_is_object(own))
		return;
	(void)take_text(r->token, sizeof(r->token), own, "token", &ignored);
	(void)take_time(&r->since, own, "since", &ignored);
	(void)restic_json_bool(own, "draining", &r->draining, &ignored);
	(void)take_text(r->command, sizeof(r->command), own, "command", &ignored);
	(void)take_text(r->reason, sizeof(r->reason), own, "reason", &ignored);
	(void)take_text(r->boot_id, sizeof(r->boot_id), own, "boot", &ignored);
	r->pid_ns = number(own, "pidns");
	r->time_ns = number(own, "timens");
	r->start = number(own, "start");
	r->front = (int64_t)number(own, "front");
	r->front_start = number(own, "frontstart");
}

enum rc restic_record_parse(struct restic_record *record, const char *text,
			    size_t len, struct err *e)
{
	struct restic_record r = { 0 };
	json_t *root = NULL;
	enum rc rc = restic_json_load(&root, text, len, e);

	if (rc)
		return rc;
	rc = take_time(&r.time, root, "time", e);
	if (!rc)
		rc = restic_json_bool(root, "exclusive", &r.exclusive, e);
	if (!rc)
		rc = take_text(r.host, sizeof(r.host), root, "hostname", e);
	if (!rc)
		rc = take_text(r.user, sizeof(r.user), root, "username", e);
	if (!rc)
		rc = restic_json_whole(root, "pid", INT64_MIN, INT64_MAX,
				       &r.pid, e);
	if (!rc)
		rc = take_id(&r.uid, root, "uid", e);
	if (!rc)
		rc = take_id(&r.gid, root, "gid", e);
	if (!rc) {
		take_own(&r, restic_json_member(root, OWN_MEMBER));
		*record = r;
	}
	json_decref(root);
	return rc;
}

/* --- writing --- */

/* RFC 3339 in the local zone, which restic's messages then show; fraction
 * without trailing zeros, as restic writes it. */
static void show_time(char *out, size_t size, struct wall t)
{
	time_t s = (time_t)(t.ns / NSEC_PER_SEC);
	char date[32], fraction[16] = "", zone[8] = "Z";
	long east;
	struct tm tm;
	int len;

	if (!localtime_r(&s, &tm) && !gmtime_r(&s, &tm))
		abort();
	(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	len = snprintf(fraction, sizeof(fraction), ".%09d",
		       (int)(t.ns % NSEC_PER_SEC));
	while (len > 0 && fraction[len - 1] == '0')
		fraction[--len] = '\0';
	if (len == 1)
		fraction[0] = '\0';
	east = tm.tm_gmtoff / 60;
	if (east != 0)
		(void)snprintf(zone, sizeof(zone), "%c%02u:%02u",
			       east < 0 ? '-' : '+',
			       (unsigned)labs(east) / 60 % 24,
			       (unsigned)labs(east) % 60);
	(void)snprintf(out, size, "%s%s%s", date, fraction, zone);
}

static void write_own(const struct restic_record *r, struct json_out *j)
{
	char since[64];

	show_time(since, sizeof(since), r->since);
	json_out_object(j, OWN_MEMBER);
	json_out_string(j, "token", r->token);
	json_out_string(j, "since", since);
	if (r->draining)
		json_out_bool(j, "draining", true);
	if (r->command[0])
		json_out_string(j, "command", r->command);
	if (r->reason[0])
		json_out_string(j, "reason", r->reason);
	json_out_string(j, "boot", r->boot_id);
	json_out_number(j, "pidns", (int64_t)r->pid_ns);
	json_out_number(j, "timens", (int64_t)r->time_ns);
	json_out_number(j, "start", (int64_t)r->start);
	json_out_number(j, "front", r->front);
	json_out_number(j, "frontstart", (int64_t)r->front_start);
	json_out_end(j, '}');
}

enum rc restic_record_write(const struct restic_record *r, struct buf *json,
			    struct err *e)
{
	struct json_out j;
	char time[64];

	show_time(time, sizeof(time), r->time);
	json_out_begin(&j, json);
	json_out_object(&j, NULL);
	json_out_string(&j, "time", time);
	json_out_bool(&j, "exclusive", r->exclusive);
	json_out_string(&j, "hostname", r->host);
	json_out_string(&j, "username", r->user);
	json_out_number(&j, "pid", r->pid);
	if (r->uid)
		json_out_number(&j, "uid", r->uid);
	if (r->gid)
		json_out_number(&j, "gid", r->gid);
	if (r->token[0])
		write_own(r, &j);
	json_out_end(&j, '}');
	if (j.rc)
		*e = j.err;
	return j.rc;
}
