/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What -r takes, split into a scheme and the rest. Pure text: no file is
 * looked at, and which schemes exist is the lock registry's business.
 *
 * A string that begins with '/' or '.' is a path, always. Otherwise a scheme
 * is [a-z][a-z0-9+.-]* followed by ':'. Without one it is a path.
 */
#ifndef UTIL_LOCATION_H
#define UTIL_LOCATION_H

#include "util/err.h"

struct location {
	char *text;   /* as given */
	char *scheme; /* "" for a bare path */
	char *rest;   /* what follows "scheme:", or the whole path */
	char *shown;  /* text with any password replaced by "***" */
};

/*
 * RC_MALFORMED with a sentence for: empty, `C:\path` (says "./..."),
 * `host:/path` and `user@host:path` (says "sftp:..."). On success every
 * member is the location's own; give it to location_release.
 */
enum rc location_parse(struct location *l, const char *text, struct err *e);

/* Frees the strings, wiping text and rest; l may be all zero. */
void location_release(struct location *l);

#endif
