/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/events.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/text.h"

/* As many as the kernel follows. */
enum { LINKS_MOST = 40 };
/* The file came and went between our looks, so often. */
enum { TRIES = 16 };

/* Without O_NONBLOCK a FIFO would wait for its reader. */
enum { FOR_EVENTS = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK };

/* --- a descriptor ---------------------------------------------------------- */

static enum rc use_descriptor(int *fd, const char *number, struct err *e)
{
	char *end = NULL;
	long given;
	int flags;

	errno = 0;
	given = strtol(number, &end, 10);
	if (errno != 0 || end == number || *end != '\0' || given < 0 ||
	    given > 1 << 20)
		return err_set(e, RC_MALFORMED,
			       "--events: 'fd:%.40s' has no descriptor number",
			       number);
	flags = fcntl((int)given, F_GETFL);
	/* What we filled with /dev/null, the caller had closed. */
	if (flags < 0 || (fcntl((int)given, F_GETFD) & FD_CLOEXEC))
		return err_set(e, RC_MALFORMED,
			       "--events: descriptor %ld is not open", given);
	if ((flags & O_ACCMODE) == O_RDONLY)
		return err_set(e, RC_MALFORMED,
			       "--events: descriptor %ld is not open for "
			       "writing",
			       given);
	*fd = fcntl((int)given, F_DUPFD_CLOEXEC, 3);
	if (*fd < 0)
		return err_sys(e, RC_FAILED, errno, "--events: fd:%ld", given);
	return RC_OK;
}

/* --- a path ---------------------------------------------------------------- */

/* A path on the way, name by name. */
struct walk {
	const char *where; /* as given, for messages */
	char left[PATH_MAX];
	char name[NAME_MAX + 1];
	int at; /* the directory that `left` begins in, O_PATH */
	int links;
};

static bool is_ours(uid_t owner)
{
	return owner == 0 || owner == geteuid();
}

static enum rc refuse(const struct walk *w, int sys, struct err *e)
{
	return err_sys(e, rc_of_errno(sys), sys, "--events: %.150s", w->where);
}

/* Begin at the root or here. */
static enum rc set_out(struct walk *w, struct err *e)
{
	if (w->at >= 0)
		(void)close(w->at);
	w->at = open(w->left[0] == '/' ? "/" : ".",
		     O_PATH | O_DIRECTORY | O_CLOEXEC);
	return w->at >= 0 ? RC_OK : refuse(w, errno, e);
}

/* Take the next name off `left`. */
static enum rc next_name(struct walk *w, struct err *e)
{
	char *from = w->left + strspn(w->left, "/");
	size_t len = strcspn(from, "/");
	char *rest = from + len;

	if (len == 0) /* the path ends with a slash */
		return refuse(w, EISDIR, e);
	if (len >= sizeof(w->name))
		return refuse(w, ENAMETOOLONG, e);
	memcpy(w->name, from, len);
	w->name[len] = '\0';
	memmove(w->left, rest, strlen(rest) + 1);
	return RC_OK;
}

/* Those of /proc lead to what no path names. */
static bool is_magic(const struct walk *w)
{
	struct statfs fs;

	return fstatfs(w->at, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* The link `fd` in place of its name. */
static enum rc follow(struct walk *w, int fd, const struct stat *st,
		      struct err *e)
{
	char target[PATH_MAX];
	struct text t;
	ssize_t len;

	if (!is_ours(st->st_uid))
		return err_set(e, RC_DENIED,
			       "--events: %.120s leads through a symbolic link "
			       "of another user (%.60s); give the path that is "
			       "meant",
			       w->where, w->name);
	if (++w->links > LINKS_MOST)
		return refuse(w, ELOOP, e);
	len = readlinkat(fd, "", target, sizeof(target) - 1);
	if (len < 0)
		return refuse(w, errno, e);
	target[len] = '\0';
	t = text_begin(target + len, sizeof(target) - (size_t)len);
	text_add(&t, w->left);
	if (t.cut)
		return refuse(w, ENAMETOOLONG, e);
	(void)text_copy(w->left, sizeof(w->left), target);
	return w->left[0] == '/' ? set_out(w, e) : RC_OK;
}

/* In a directory that anybody may write, whoever was there first may have left
 * a file or a FIFO for us to write into. */
static enum rc check_trap(const struct walk *w, const struct stat *st,
			  struct err *e)
{
	struct stat dir;

	if (fstat(w->at, &dir) < 0)
		return refuse(w, errno, e);
	if (!(dir.st_mode & S_ISVTX) || !(dir.st_mode & (S_IWGRP | S_IWOTH)) ||
	    is_ours(st->st_uid) || st->st_uid == dir.st_uid)
		return RC_OK;
	return err_set(e, RC_DENIED,
		       "--events: %.120s belongs to another user, in a "
		       "directory that others may write; give another file",
		       w->where);
}

/* What `there` stands for, and nothing that was put in its place since. */
static enum rc open_very_one(int *fd, const struct walk *w, int there,
			     struct err *e)
{
	char self[40];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", there);
	*fd = open(self, FOR_EVENTS);
	if (*fd < 0 && errno == ENOENT) /* no /proc */
		*fd = openat(w->at, w->name, FOR_EVENTS | O_NOFOLLOW);
	if (*fd >= 0)
		return RC_OK;
	if (errno == ENXIO)
		return err_set(e, RC_FAILED,
			       "--events: nobody reads from %.150s", w->where);
	return refuse(w, errno, e);
}

/* One name further. RC_OK with *fd < 0: go on. */
static enum rc step(struct walk *w, int *fd, struct err *e)
{
	enum rc rc = next_name(w, e);
	bool last = w->left[0] == '\0';
	struct stat st;
	int there;

	if (rc != RC_OK)
		return rc;
	there = openat(w->at, w->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (there < 0 && errno == ENOENT && last) {
		*fd = openat(w->at, w->name, FOR_EVENTS | O_CREAT | O_EXCL, 0666);
		return *fd >= 0 ? RC_OK : refuse(w, errno, e);
	}
	if (there < 0 || fstat(there, &st) < 0) {
		rc = refuse(w, errno, e);
		goto out;
	}
	if (S_ISLNK(st.st_mode) && !(is_ours(st.st_uid) && is_magic(w))) {
		rc = follow(w, there, &st, e);
		goto out;
	}
	if (S_ISLNK(st.st_mode)) {
		(void)close(there);
		there = openat(w->at, w->name, O_PATH | O_CLOEXEC);
		if (there < 0) {
			rc = refuse(w, errno, e);
			goto out;
		}
	}
	if (last) {
		rc = check_trap(w, &st, e);
		if (rc == RC_OK)
			rc = open_very_one(fd, w, there, e);
		goto out;
	}
	(void)close(w->at);
	w->at = there;
	return RC_OK;
out:
	if (there >= 0)
		(void)close(there);
	return rc;
}

static enum rc open_path(int *fd, const char *path, struct err *e)
{
	struct walk w = { .where = path, .at = -1 };
	enum rc rc;

	*fd = -1;
	if (!text_copy(w.left, sizeof(w.left), path))
		return refuse(&w, ENAMETOOLONG, e);
	rc = set_out(&w, e);
	while (rc == RC_OK && *fd < 0)
		rc = step(&w, fd, e);
	if (w.at >= 0)
		(void)close(w.at);
	return rc;
}

enum rc events_open(int *fd, const char *where, struct err *e)
{
	enum rc rc = RC_EXISTS;

	if (*where == '\0')
		return err_set(e, RC_MALFORMED,
			       "--events: the name is empty; give FILE or "
			       "fd:N");
	if (strncmp(where, "fd:", 3) == 0)
		return use_descriptor(fd, where + 3, e);
	/* EXISTS: somebody made it in between. */
	for (int i = 0; i < TRIES && rc == RC_EXISTS; i++)
		rc = open_path(fd, where, e);
	return rc;
}
