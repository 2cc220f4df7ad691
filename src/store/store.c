/* SPDX-License-Identifier: BSD-2-Clause */
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/driver.h"
#include "util/log.h"
#include "util/text.h"

/* "%20" and the like made bytes. False: no such byte, or NUL. */
static bool decode_percent(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		char digits[3];

		if (*text != '%') {
			*to++ = *text;
			continue;
		}
		(void)text_copy(digits, sizeof(digits), text + 1);
		if (!hex_decode(to, 1, digits) || *to == '\0')
			return false;
		to++;
		text += 2;
	}
	*to = '\0';
	return true;
}

/* What stands behind "file:" in a URL (RFC 8089): ///PATH, //localhost/PATH
 * or /PATH. *path is the caller's. */
static enum rc path_of_url(char **path, const char *rest, struct err *e)
{
	const char *at = rest;

	if (strncmp(at, "//", 2) == 0) {
		at += 2;
		if (strncmp(at, "localhost/", 10) == 0)
			at += strlen("localhost");
	}
	if (at[0] != '/')
		return err_set(e, RC_MALFORMED,
			       "file:%.80s names no path of this host; write "
			       "file:///PATH",
			       rest);
	*path = strdup(at);
	if (!*path)
		return err_sys(e, RC_RETRY, ENOMEM, "file:%.80s", rest);
	if (decode_percent(*path))
		return RC_OK;
	free(*path);
	return err_set(e, RC_MALFORMED,
		       "file:%.80s has a %% that begins no byte; write it as "
		       "%%25",
		       rest);
}

static enum rc open_url(struct store **s, const char *rest,
			const struct store_manners *manners, struct err *e)
{
	char *path = NULL;
	enum rc rc = path_of_url(&path, rest, e);

	if (rc != RC_OK)
		return rc;
	rc = dir_open(s, path, manners, e);
	free(path);
	return rc;
}

struct driver {
	const char *scheme;
	enum rc (*open)(struct store **s, const char *rest,
			const struct store_manners *manners, struct err *e);
};

static const struct driver drivers[] = {
	{ .scheme = "", .open = dir_open },
	{ .scheme = "lease", .open = dir_open },
	{ .scheme = "file", .open = open_url },
};

static const struct driver *find_driver(const char *scheme)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (strcmp(drivers[i].scheme, scheme) == 0)
			return &drivers[i];
	}
	return NULL;
}

enum rc store_open(struct store **s, const char *scheme, const char *rest,
		   const struct store_manners *manners, const struct call *call,
		   struct err *e)
{
	static const struct store_manners none = { 0 };
	const struct driver *driver = find_driver(scheme);
	struct store *opened = NULL;
	struct store *traced;
	enum rc rc;

	(void)call;
	if (!driver)
		return err_set(e, RC_UNSUPPORTED,
			       "%.30s: is no place that repolock can keep a "
			       "lock in; mount it as a directory",
			       scheme);
	rc = driver->open(&opened, rest, manners ? manners : &none, e);
	if (rc != RC_OK)
		return rc;
	if (log_debug_enabled()) {
		traced = trace_wrap(opened);
		if (traced)
			opened = traced;
	}
	*s = opened;
	return RC_OK;
}

enum rc store_may_lock(const struct store *s, struct err *e)
{
	return s->unfit[0] == '\0' ? RC_OK
				   : err_set(e, RC_UNSUPPORTED, "%s", s->unfit);
}

const char *store_warning(const struct store *s)
{
	return s->doubt[0] == '\0' ? NULL : s->doubt;
}

void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}

bool store_tag_same(const struct store_tag *a, const struct store_tag *b)
{
	return a->time.ns == b->time.ns && a->size == b->size &&
	       a->inode == b->inode && a->device == b->device &&
	       strcmp(a->etag, b->etag) == 0;
}
