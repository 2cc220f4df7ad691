/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *word_for(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFLNK:
		return "a symbolic link, which is not followed";
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a pipe";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

/* Open what is held by `seen`, whatever its name means by now. */
static enum rc open_seen(int *fd, int seen, const char *path,
			 enum file_kind kind, struct err *e)
{
	char self[40];
	struct stat st;

	if (fstat(seen, &st) < 0)
		return err_sys(e, rc_of_errno(errno), errno, "%.180s", path);
	if (!S_ISREG(st.st_mode) &&
	    !(S_ISFIFO(st.st_mode) && kind == FILE_OR_PIPE))
		return err_set(e, RC_UNSUPPORTED,
			       "%.160s is %s, not a regular file", path,
			       word_for(st.st_mode));
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", seen);
	*fd = open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return *fd >= 0 ? RC_OK
			: err_sys(e, rc_of_errno(errno), errno, "%.180s", path);
}

/* O_PATH opens nothing; of a link it holds the link itself. -1: errno. */
static int see_below(int at, const char *path)
{
	int dir = at;

	for (;;) {
		char part[NAME_MAX + 1];
		size_t len = strcspn(path, "/");
		bool last = path[len] == '\0';
		int next, sys;

		if (len >= sizeof(part)) {
			errno = ENAMETOOLONG;
			next = -1;
		} else {
			memcpy(part, path, len);
			part[len] = '\0';
			next = openat(dir, part,
				      O_PATH | O_NOFOLLOW | O_CLOEXEC |
					      (last ? 0 : O_DIRECTORY));
		}
		sys = errno;
		if (dir != at)
			(void)close(dir);
		errno = sys;
		if (next < 0 || last)
			return next;
		dir = next;
		path += len + 1;
	}
}

static enum rc open_and_close(int *fd, int seen, const char *path,
			      enum file_kind kind, struct err *e)
{
	enum rc rc;

	if (seen < 0)
		return err_sys(e, rc_of_errno(errno), errno, "%.180s", path);
	rc = open_seen(fd, seen, path, kind, e);
	(void)close(seen);
	return rc;
}

enum rc file_open_below(int *fd, int at, const char *path, struct err *e)
{
	return open_and_close(fd, see_below(at, path), path, FILE_REGULAR, e);
}

enum rc file_open_named(int *fd, const char *path, enum file_kind kind,
			struct err *e)
{
	return open_and_close(fd, open(path, O_PATH | O_CLOEXEC), path, kind, e);
}
