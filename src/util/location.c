/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/location.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MASK "***"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Length of the scheme that text begins with, without its colon; 0: none. */
static size_t scheme_length(const char *text)
{
	size_t len = strspn(text, LOWER DIGITS "+.-");

	if (text[0] < 'a' || text[0] > 'z' || text[len] != ':')
		return 0;
	return len;
}

/*
 * The password in an authority (what follows "//") as [*start, *end). A
 * password should have its '/' and '@' written as %2F and %40; where one has
 * not, rather too much is hidden than too little.
 */
static bool find_password(const char *authority, const char **start,
			  const char **end)
{
	size_t len = strcspn(authority, "/?#");
	const char *at = memrchr(authority, '@', len);
	const char *colon = memchr(authority, ':', len);

	if (!at && colon && *authority != '[') {
		size_t port = strspn(colon + 1, DIGITS);

		if (colon + 1 + port < authority + len || port == 0)
			at = strchr(colon, '@');
	}
	if (!at || !colon || colon > at)
		return false;
	*start = colon + 1;
	*end = at;
	return true;
}

/* A copy of text with every password replaced; NULL: no memory. */
static char *mask_passwords(const char *text)
{
	/* Each password needs "//:@" around it: 4 bytes become 7 at most. */
	char *shown = malloc(2 * strlen(text) + sizeof(MASK));
	char *to = shown;

	if (!shown)
		return NULL;
	while (*text != '\0') {
		const char *start, *end;

		if (strncmp(text, "//", 2) != 0) {
			*to++ = *text++;
			continue;
		}
		*to++ = *text++;
		*to++ = *text++;
		if (!find_password(text, &start, &end))
			continue;
		to = mempcpy(to, text, (size_t)(start - text));
		to = mempcpy(to, MASK, strlen(MASK));
		text = end;
	}
	*to = '\0';
	return shown;
}

/* `host:/path`, `Host:path`, `user@host:path`: what scp and rsync take. */
static bool is_remote_path(const char *text)
{
	size_t len = strspn(text, LOWER UPPER DIGITS "._-+%");

	if (text[len] == '@') {
		size_t host = strspn(text + len + 1, LOWER UPPER DIGITS "._-[]:");

		return memchr(text + len + 1, ':', host) != NULL;
	}
	return len > 0 && text[len] == ':';
}

static enum rc check_text(const char *text, struct err *e)
{
	if (text[0] == '\0')
		return err_set(e, RC_MALFORMED,
			       "the location is empty; give a directory");
	if (text[0] == '/' || text[0] == '.')
		return RC_OK;
	if (strspn(text, LOWER UPPER) == 1 && strncmp(text + 1, ":\\", 2) == 0)
		return err_set(e, RC_MALFORMED,
			       "location \"%.80s\" looks like a path of "
			       "Windows; a local path begins with / or ./ "
			       "(./%.80s)",
			       text, text);
	if (scheme_length(text) == 0 && is_remote_path(text))
		return err_set(e, RC_MALFORMED,
			       "location \"%.70s\" looks like a path on "
			       "another host; mount it or run repolock there; "
			       "a local path begins with / or ./",
			       text);
	return RC_OK;
}

enum rc location_parse(struct location *l, const char *text, struct err *e)
{
	enum rc rc = check_text(text, e);
	size_t len;

	if (rc != RC_OK)
		return rc;
	len = scheme_length(text);
	*l = (struct location){
		.text = strdup(text),
		.scheme = strndup(text, len),
		.rest = strdup(len > 0 ? text + len + 1 : text),
		.shown = mask_passwords(text),
	};
	if (l->text && l->scheme && l->rest && l->shown)
		return RC_OK;
	location_release(l);
	return err_sys(e, RC_RETRY, ENOMEM, "the location");
}

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void location_release(struct location *l)
{
	wipe(l->text);
	free(l->scheme);
	wipe(l->rest);
	free(l->shown);
	*l = (struct location){ 0 };
}
