/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/say.h"
#include "lock/registry.h"
#include "util/file.h"
#include "util/text.h"

#define NATIVE "repolock-native"

/* --- the other program ----------------------------------------------------- */

/* A path that is relative to the directory of the program that runs now. */
static bool near_us(char *path, size_t size, const char *where)
{
	ssize_t len = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	if (len <= 0 || (size_t)len >= size - 1)
		return false;
	path[len] = '\0';
	slash = strrchr(path, '/');
	return slash &&
	       text_copy(slash + 1, size - (size_t)(slash + 1 - path), where);
}

static bool are_native(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (len <= 0)
		return false;
	path[len] = '\0';
	return strcmp(strrchr(path, '/') + 1, NATIVE) == 0;
}

enum rc place_exec_native(char **argv, struct err *e)
{
	char path[PATH_MAX];

	/* It would only execute itself, again and again. */
	if (are_native())
		return err_set(e, RC_UNSUPPORTED,
			       "this " NATIVE " was built without it");
	/* As built; as installed, also where that was moved to; as configured. */
	if (near_us(path, sizeof(path), NATIVE))
		(void)execv(path, argv);
	if (near_us(path, sizeof(path), "../lib/repolock/" NATIVE))
		(void)execv(path, argv);
	(void)execv(REPOLOCK_LIBEXECDIR "/" NATIVE, argv);
	if (errno == ENOENT)
		return err_set(e, RC_UNSUPPORTED,
			       NATIVE
			       " is neither beside repolock nor in ../lib/repolock "
			       "nor in " REPOLOCK_LIBEXECDIR
			       "; is repolock installed completely?");
	return err_sys(e, RC_UNSUPPORTED, errno, REPOLOCK_LIBEXECDIR "/" NATIVE);
}

/* --- secrets ---------------------------------------------------------------- */

/* Every occurrence of the location in argv, as an own word or behind a `=` or
 * a letter, is written over by what may be shown, cut to its length. */
static void hide_in_argv(const struct location *location, char **argv)
{
	size_t len = strlen(location->text), shown = strlen(location->shown);

	for (; *argv; argv++) {
		char *at = strstr(*argv, location->text);

		if (!at)
			continue;
		for (size_t i = 0; i < len; i++)
			at[i] = i < shown ? location->shown[i] : '*';
	}
}

/* --- opening ------------------------------------------------------------------ */

static enum rc need_protocol(const struct location *location, char **argv,
			     struct err *e)
{
	const struct lock_scheme *s = lock_scheme_find(location->scheme);
	enum rc rc;

	if (!s || s->ops)
		return RC_OK; /* lock_open says which schemes there are */
	rc = place_exec_native(argv, e);
	return err_context(e, rc, "%s", location->shown);
}

enum rc place_parse(struct location *location, const struct options *o,
		    struct err *e)
{
	enum rc rc = location_parse(location, o->repo, e);

	return rc == RC_OK ? rc : err_context(e, rc, "%s", o->repo_from);
}

enum rc place_settle(const struct location *location, const struct options *o,
		     char **argv, struct err *e)
{
	enum rc rc = need_protocol(location, argv, e);

	if (rc != RC_OK || !o->repo_given ||
	    strcmp(location->text, location->shown) == 0)
		return rc;
	if (o->loudness > -2)
		say("warning: a password in -r can be seen with ps; put it in "
		    "the environment, a file or a command");
	hide_in_argv(location, argv);
	return RC_OK;
}

struct lock_wish place_wish(const struct location *location,
			    const struct options *o, const struct self *self)
{
	const struct lock_scheme *s = lock_scheme_find(location->scheme);
	bool named = s && s->ops && s->ops->named;
	bool fixed = s && s->ops && s->ops->ttl_min == s->ops->ttl_max;

	/* A default from the environment that means nothing here is left out;
	 * what was asked for in so many words is an error, told by lock_open. */
	return (struct lock_wish){
		.location = location,
		.name = named || o->name_given ? o->name : "",
		.name_given = o->name_given,
		.mode = o->mode == LOCK_SHARED ? LOCK_SHARED : LOCK_EXCLUSIVE,
		.ttl = fixed && !o->ttl_given ? 0 : o->ttl,
		.wait = o->wait > 0,
		.clear = (enum lock_break)o->break_stale,
		.reason = o->reason,
		.self = self,
		.no_password = o->no_password,
		.ask = ask_secret,
	};
}

/* --- what a path holds ---------------------------------------------------------- */

static bool is_directory(int at, const char *name)
{
	struct stat st;

	return fstatat(at, name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static bool begins_with(int at, const char *name, const char *text)
{
	char start[32] = "";
	struct err ignored;
	ssize_t len;
	int fd;

	if (file_open_below(&fd, at, name, &ignored) != RC_OK)
		return false;
	len = read(fd, start, sizeof(start) - 1);
	close(fd);
	return len > 0 && strncmp(start, text, strlen(text)) == 0;
}

/* restic's config is sealed: it is told by its neighbours. Only a borg 1
 * config begins so, and only borg 2 has a readme below a directory config. */
static enum place_kind look_at(int at)
{
	struct stat st;

	if (fstatat(at, "config", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return PLACE_PLAIN;
	if (S_ISDIR(st.st_mode))
		return begins_with(at, "config/readme", "This is a Borg")
			       ? PLACE_BORG
			       : PLACE_PLAIN;
	if (is_directory(at, "keys") && is_directory(at, "snapshots") &&
	    is_directory(at, "index") && is_directory(at, "data"))
		return PLACE_RESTIC;
	return begins_with(at, "config", "[repository]") ? PLACE_BORG
							 : PLACE_PLAIN;
}

enum place_kind place_look(const struct location *location)
{
	enum place_kind kind;
	int at;

	if (location->scheme[0] != '\0')
		return PLACE_PLAIN;
	at = open(location->rest, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return PLACE_PLAIN;
	kind = look_at(at);
	close(at);
	return kind;
}

bool place_keys_are_ours(const struct location *location)
{
	int at = open(location->rest, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	bool ours;

	if (at < 0)
		return false;
	ours = fstatat(at, "keys", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
	close(at);
	return ours;
}

const char *place_word(enum place_kind kind)
{
	switch (kind) {
	case PLACE_RESTIC:
		return "restic";
	case PLACE_BORG:
		return "borg";
	case PLACE_PLAIN:
		return "";
	}
	return "";
}
