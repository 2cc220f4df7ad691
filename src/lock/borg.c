/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "borg:REPOSITORY": find the repository, see which borg made it, and hand
 * over to borg1.c or borg2.c, whose tables do everything from then on.
 */
#include "lock/borg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/text.h"

/* --- the location --- */

/* What borg itself would reach over a network or through a helper. */
static const char *const remote_forms[] = {
	"ssh://", "sftp://", "rest://", "http://",   "https://",
	"s3:",    "b2:",     "rclone:", "socket://",
};

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* [user@]host:path, as borg 1 reads it: a colon before any slash. */
static bool is_scp_form(const char *rest)
{
	size_t host = strcspn(rest, ":/");

	return host > 0 && rest[host] == ':';
}

static enum rc check_form(const char *rest, struct err *e)
{
	for (size_t i = 0; i < sizeof(remote_forms) / sizeof(*remote_forms); i++) {
		if (begins(rest, remote_forms[i]))
			return err_set(e, RC_UNSUPPORTED,
				       "borg:%s... is not on a local path; "
				       "this version locks borg:/PATH and "
				       "borg:file:///PATH: run repolock on the "
				       "host that has the repository",
				       remote_forms[i]);
	}
	if (strstr(rest, "::"))
		return err_set(e, RC_MALFORMED,
			       "\"%.80s\" names an archive; a lock is on the "
			       "whole repository: leave out \"::\" and what "
			       "follows",
			       rest);
	if (!begins(rest, "file://") && is_scp_form(rest))
		return err_set(e, RC_UNSUPPORTED,
			       "borg:%.80s is on another host; this version "
			       "locks local paths: run repolock there, or "
			       "write ./ in front of a local path",
			       rest);
	return RC_OK;
}

/* %2F and the like, as borg 2 reads file URLs; in place. */
static void percent_decode(char *text)
{
	char *to = text;

	while (*text != '\0') {
		char pair[3] = { 0 };
		unsigned char byte;

		if (text[0] == '%' && text[1] && text[2])
			memcpy(pair, text + 1, 2);
		if (pair[0] && hex_decode(&byte, 1, pair) && byte != 0) {
			*to++ = (char)byte;
			text += 3;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* *path is the caller's. */
static enum rc repository_path(char **path, const char *rest, struct err *e)
{
	const char *from = rest;
	bool url;
	enum rc rc;

	if (rest[0] == '\0')
		from = getenv("BORG_REPO");
	if (!from || from[0] == '\0')
		return err_set(e, RC_MALFORMED,
			       "borg: needs a repository: borg:PATH, or "
			       "BORG_REPO in the environment");
	rc = check_form(from, e);
	if (rc != RC_OK)
		return rc;
	url = begins(from, "file://");
	if (url)
		from += strlen("file://");
	*path = strdup(from);
	if (!*path)
		return err_set(e, RC_RETRY, "no memory");
	/* borg 1 takes file URLs verbatim, borg 2 decodes them. */
	if (url && strchr(*path, '%') && access(*path, F_OK) != 0)
		percent_decode(*path);
	return RC_OK;
}

/* --- which borg --- */

enum borg_kind { BORG_1, BORG_2 };

static enum rc not_borg(struct err *e, const char *path, const char *why)
{
	return err_set(e, RC_UNSUPPORTED, "%.100s is not a borg repository: %s",
		       path, why);
}

/* Only a number is shown: what looks like a config may be another's file that
 * was moved there. */
static enum rc unknown_version(struct err *e, const char *path,
			       const char *version)
{
	size_t digits = strspn(version, "0123456789");
	bool number = digits > 0 && digits < 6 && version[digits] == '\0';

	return err_set(e, RC_UNSUPPORTED,
		       "%.100s is a borg repository of %s%s; this repolock "
		       "knows version 1 and 2 (borg 1), 3 and 4 (borg 2)",
		       path, number ? "version " : "a version that is no number",
		       number ? version : "");
}

/* The value of `version` in section [repository]; false: no such section. */
static bool config_version(const char *text, char *out, size_t size)
{
	bool section = false, seen = false;

	out[0] = '\0';
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		if (text[0] == '[') {
			section = begins(text, "[repository]");
			seen = seen || section;
		} else if (section && begins(text, "version")) {
			size_t key = strlen("version");
			size_t at = key + strspn(text + key, " \t=:");

			if (at > key && at < len)
				(void)snprintf(out, size, "%.*s",
					       (int)(len - at), text + at);
		}
		text += len + (text[len] == '\n');
	}
	out[strcspn(out, " \t\r")] = '\0';
	return seen;
}

static enum rc tell_borg1(enum borg_kind *kind, const char *path,
			  const char *config, struct err *e)
{
	char version[24];

	if (!config_version(config, version, sizeof(version)))
		return not_borg(e, path,
				"its config has no section [repository] "
				"(a restic repository is restic:PATH)");
	if (strcmp(version, "1") != 0 && strcmp(version, "2") != 0)
		return unknown_version(e, path, version);
	*kind = BORG_1;
	return RC_OK;
}

static enum rc tell_borg2(enum borg_kind *kind, const char *path,
			  const char *version, struct err *e)
{
	char word[24];

	text_copy(word, sizeof(word), version);
	word[strcspn(word, "\r\n")] = '\0';
	if (strcmp(word, "3") != 0 && strcmp(word, "4") != 0)
		return unknown_version(e, path, word);
	*kind = BORG_2;
	return RC_OK;
}

/* 0: no such thing at the top of the repository; else 'd' or 'f'. */
static char kind_of(const struct borg_entries *top, const char *name)
{
	for (size_t i = 0; i < top->count; i++) {
		if (strcmp(top->at[i].name, name) == 0)
			return top->at[i].directory ? 'd' : 'f';
	}
	return 0;
}

static enum rc tell_kind(enum borg_kind *kind, struct store *s, const char *path,
			 const struct call *call, struct err *e)
{
	struct borg_entries top = { 0 };
	struct store_tag tag;
	struct buf text;
	char config;
	enum rc rc;

	buf_init(&text, 64 << 10);
	rc = borg_entries_list(&top, s, "", call, e);
	config = rc == RC_OK ? kind_of(&top, "config") : 0;
	if (rc == RC_OK && config == 0)
		rc = not_borg(e, path, "it has no config");
	if (rc == RC_OK)
		rc = s->ops->get(s, config == 'd' ? "config/version" : "config",
				 &text, &tag, call, e);
	if (rc == RC_ABSENT && config == 'd')
		rc = not_borg(e, path, "it has no config/version");
	if (rc == RC_OK && config == 'd')
		rc = tell_borg2(kind, path, buf_text(&text), e);
	else if (rc == RC_OK)
		rc = tell_borg1(kind, path, buf_text(&text), e);
	buf_release(&text);
	borg_entries_release(&top);
	return rc;
}

static enum rc find_kind(enum borg_kind *kind, const char *path,
			 const struct call *call, struct err *e)
{
	struct store_manners none = { 0 };
	struct store *s = NULL;
	enum rc rc = store_open(&s, "", path, &none, call, e);

	if (rc == RC_OK)
		rc = tell_kind(kind, s, path, call, e);
	store_close(s);
	return rc;
}

/* --- opening --- */

/*
 * As open as the repository itself: borg leaves modes to its umask, which is
 * 0077 unless told otherwise, and then another user of a repository that a
 * group shares crashes on what he cannot list.
 */
static enum rc choose_modes(struct store_manners *manners, const char *path,
			    struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(e, rc_of_errno(errno), errno, "%.180s", path);
	manners->dir_mode = (st.st_mode & (S_ISGID | 0777)) | 0700;
	manners->file_mode = (st.st_mode & 0666) | 0600;
	return RC_OK;
}

static enum rc open_kind(struct lock **lock, enum borg_kind kind,
			 const char *path, const struct lock_wish *wish,
			 const struct borg_host *host, const struct call *call,
			 struct err *e)
{
	struct store_manners manners = kind == BORG_1 ? borg1_manners
						      : borg2_manners;
	struct store *s = NULL;
	enum rc rc = choose_modes(&manners, path, e);

	if (rc == RC_OK)
		rc = store_open(&s, "", path, &manners, call, e);
	if (rc != RC_OK)
		return rc;
	return kind == BORG_1 ? borg1_open(lock, wish, s, host, e)
			      : borg2_open(lock, wish, s, host, &borg2_pace, e);
}

static enum rc borg_open(struct lock **lock, const struct lock_wish *wish,
			 const struct call *call, struct err *e)
{
	enum borg_kind kind = BORG_1;
	struct borg_host host;
	char *path = NULL;
	enum rc rc = repository_path(&path, wish->location->rest, e);

	if (rc != RC_OK)
		return rc;
	rc = find_kind(&kind, path, call, e);
	if (rc == RC_OK)
		rc = borg_host_fill(&host, wish->self, e);
	if (rc == RC_OK)
		rc = open_kind(lock, kind, path, wish, &host, call, e);
	free(path);
	return rc;
}

/* Only for finding a repository; what is opened has a table of its own. */
const struct lock_ops lock_borg = {
	.name = "borg",
	.summary = "the native lock of a borg repository",
	.shared = true,
	.named = false,
	.ttl_default = 30 * 60 * NSEC_PER_SEC,
	.ttl_min = 30 * 60 * NSEC_PER_SEC,
	.ttl_max = 30 * 60 * NSEC_PER_SEC,
	.open = borg_open,
};
