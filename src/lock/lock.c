/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/lock.h"

#include <string.h>

#include "lock/registry.h"
#include "util/duration.h"
#include "util/text.h"

#define NAME_MAX_LENGTH 64

/* "lease, file, flock" into out. */
static void list_schemes(char *out, size_t size)
{
	struct text t = text_begin(out, size);

	for (const struct lock_scheme *s = lock_schemes; s->scheme; s++) {
		if (s->scheme[0] != '\0')
			text_addf(&t, "%s%s", t.len > 0 ? ", " : "", s->scheme);
	}
}

static enum rc unknown_scheme(const struct location *location, struct err *e)
{
	const char *rest = location->rest;
	char known[80];

	list_schemes(known, sizeof(known));
	/* "host:/path" has the form of a scheme; a URL has two slashes. */
	if (rest[0] == '/' && rest[1] != '/')
		return err_set(e, RC_UNSUPPORTED,
			       "unknown scheme \"%.30s:\"; there are %s; if "
			       "it is another host, mount it or run repolock "
			       "there; a local path begins with / or ./",
			       location->scheme, known);
	return err_set(e, RC_UNSUPPORTED,
		       "unknown scheme \"%.30s:\"; there are %s; a local path "
		       "begins with / or ./",
		       location->scheme, known);
}

static enum rc find_protocol(const struct lock_ops **ops,
			     const struct location *location, struct err *e)
{
	const struct lock_scheme *scheme = lock_scheme_find(location->scheme);

	if (!scheme)
		return unknown_scheme(location, e);
	if (!scheme->ops)
		return err_set(e, RC_UNSUPPORTED,
			       "%s: is for repolock-native, which is not "
			       "installed",
			       location->scheme);
	*ops = scheme->ops;
	return RC_OK;
}

/* --- wishes --- */

static enum rc check_name(const struct lock_ops *ops,
			  const struct lock_wish *wish, struct err *e)
{
	const char *name = wish->name;

	if (!ops->named)
		return wish->name_given
			       ? err_set(e, RC_UNSUPPORTED,
					 "--name means nothing for %s locks; "
					 "leave it out",
					 ops->name)
			       : RC_OK;
	if (name[0] == '\0')
		return err_set(e, RC_MALFORMED,
			       "--name is empty; leave it out for \"default\"");
	if (strlen(name) > NAME_MAX_LENGTH)
		return err_set(e, RC_MALFORMED,
			       "--name \"%.80s\" is longer than %d characters",
			       name, NAME_MAX_LENGTH);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")])
		return err_set(e, RC_MALFORMED,
			       "--name \"%.64s\" may only be made of letters, "
			       "digits, \".\", \"_\" and \"-\", and not be "
			       "\".\" or \"..\"",
			       name);
	return RC_OK;
}

static enum rc check_ttl(const struct lock_ops *ops,
			 const struct lock_wish *wish, struct err *e)
{
	char given[32], low[32], high[32];

	if (wish->ttl == 0)
		return RC_OK;
	if (ops->ttl_min == ops->ttl_max)
		return err_set(e, RC_UNSUPPORTED,
			       "--ttl means nothing for %s locks; leave it out",
			       ops->name);
	if (wish->ttl >= ops->ttl_min && wish->ttl <= ops->ttl_max)
		return RC_OK;
	duration_show(given, sizeof(given), wish->ttl);
	duration_show(low, sizeof(low), ops->ttl_min);
	duration_show(high, sizeof(high), ops->ttl_max);
	return err_set(e, RC_MALFORMED,
		       "--ttl %s is out of bounds; a %s takes %s to %s", given,
		       ops->name, low, high);
}

static enum rc check_wish(const struct lock_ops *ops,
			  const struct lock_wish *wish, struct err *e)
{
	enum rc rc = check_name(ops, wish, e);

	if (rc != RC_OK || wish->listing)
		return rc;
	if (wish->mode == LOCK_SHARED && !ops->shared)
		return err_set(e, RC_UNSUPPORTED,
			       "%s locks have no shared mode; leave out "
			       "--shared",
			       ops->name);
	return check_ttl(ops, wish, e);
}

enum rc lock_open(struct lock **lock, const struct lock_wish *wish,
		  const struct call *call, struct err *e)
{
	const struct lock_ops *ops = NULL;
	struct lock *opened = NULL;
	enum rc rc = find_protocol(&ops, wish->location, e);

	if (rc == RC_OK)
		rc = check_wish(ops, wish, e);
	if (rc == RC_OK)
		rc = ops->open(&opened, wish, call, e);
	if (rc != RC_OK)
		return rc;
	/* A scheme may stand for several protocols (borg 1, borg 2), of which
	 * open chose one by looking. */
	if (opened->ops != ops)
		rc = check_wish(opened->ops, wish, e);
	if (rc != RC_OK) {
		lock_close(opened);
		return rc;
	}
	*lock = opened;
	return RC_OK;
}

bool lock_starts_programs(const struct lock_wish *wish)
{
	const struct lock_scheme *scheme = lock_scheme_find(
		wish->location->scheme);

	return scheme && scheme->ops && scheme->ops->starts_programs &&
	       scheme->ops->starts_programs(wish);
}

void lock_close(struct lock *lock)
{
	if (lock)
		lock->ops->close(lock);
}

/* --- small --- */

nsec lock_margin(nsec valid)
{
	nsec margin;

	if (valid >= NSEC_FOREVER)
		return 0;
	margin = valid / 20 > NSEC_PER_SEC ? valid / 20 : NSEC_PER_SEC;
	return margin < valid / 4 ? margin : valid / 4;
}

const char *lock_mode_word(enum lock_mode mode)
{
	return mode == LOCK_SHARED ? "shared" : "exclusive";
}

const char *lock_state_word(enum lock_state state)
{
	switch (state) {
	case LOCK_HELD:
		return "held";
	case LOCK_WAITING:
		return "waiting";
	case LOCK_STALE:
		return "stale";
	case LOCK_UNREADABLE:
		return "unreadable";
	}
	return "?";
}
