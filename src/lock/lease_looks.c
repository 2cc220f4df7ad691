/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/lease_looks.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/text.h"

/* A claim is renewed, gone or stale long before: TTLs end at a day. One that
 * is stale and stays, since it cannot be removed, is looked at again. */
#define REMEMBERED_FOR (25 * 3600)

/* So many are remembered by one run. Whoever fills a directory with claims
 * shall not fill another one with what we know about them. */
enum { REMEMBERED_MOST = 64 };

enum { FILE_SIZE_MAX = 512, NAME_SIZE_MAX = 64 };

void lease_looks_init(struct lease_looks *looks, const struct self *self)
{
	*looks = (struct lease_looks){ .self = self, .directory = -1 };
}

void lease_looks_release(struct lease_looks *looks)
{
	if (looks->directory >= 0)
		(void)close(looks->directory);
	free(looks->looks);
	lease_looks_init(looks, looks->self);
}

/* --- files --- */

/* Nobody else may have put words into our mouth. */
static bool ours_alone(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	       (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int keep_if_ours(int fd)
{
	if (fd < 0 || ours_alone(fd))
		return fd;
	(void)close(fd);
	return -1;
}

/* A directory below another one, made if missing. Closes `at`. */
static int descend(int at, const char *name)
{
	int fd;

	if (at < 0)
		return -1;
	(void)mkdirat(at, name, 0700);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	(void)close(at);
	return keep_if_ours(fd);
}

/* Every directory on the way has to be ours alone: in another's (sudo that
 * keeps the environment) a directory of ours may have been moved to the name,
 * to be swept. -1: it is not, or not there. */
static int open_base(const char *path)
{
	if (!path || path[0] != '/')
		return -1;
	return keep_if_ours(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int open_environment(const char *name)
{
	/* Nobody changes it. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	return open_base(getenv(name));
}

/* cron sets HOME and nothing else. */
static int open_any(void)
{
	int fd = descend(open_environment("XDG_RUNTIME_DIR"), "repolock");

	if (fd < 0 && geteuid() == 0)
		fd = descend(open_base("/run"), "repolock");
	if (fd < 0)
		fd = descend(open_environment("XDG_STATE_HOME"), "repolock");
	if (fd < 0)
		fd = descend(descend(descend(open_environment("HOME"), ".local"),
				     "state"),
			     "repolock");
	return fd;
}

/* The directory of the files, opened once; -1: there is none. */
static int directory_of(struct lease_looks *looks)
{
	if (!looks->sought && looks->self->boot_id[0] != '\0')
		looks->directory = open_any();
	looks->sought = true;
	return looks->directory;
}

/* Hosts may share a home: each has its own files. */
static void file_name(const struct lease_looks *looks, const char *uuid,
		      char out[NAME_SIZE_MAX])
{
	(void)snprintf(out, NAME_SIZE_MAX, "%.36s.%.8s", uuid,
		       looks->self->boot_id);
}

/* One line that holds everything but the first look itself. */
static bool describe(const struct lease_looks *looks,
		     const struct lease_look *look, char *out, size_t size)
{
	int n = snprintf(out, size,
			 "repolock 1 %s %" PRIu64 " %" PRId64 " %" PRIu64
			 " %" PRIu64 " %" PRIu64 " \"%s\" ",
			 looks->self->boot_id, looks->self->time_ns,
			 look->tag.time.ns, look->tag.size, look->tag.inode,
			 look->counter, look->tag.etag);

	return looks->self->boot_id[0] != '\0' && n > 0 && (size_t)n < size;
}

static bool read_line(int dir, const char *name, char *out, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = -1;

	if (fd < 0)
		return false;
	if (ours_alone(fd))
		n = read(fd, out, size - 1);
	(void)close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/*
 * The remembered first look, if it was one at the very same thing on this
 * boot. Nothing that lies ahead of now is believed.
 */
static bool recall(struct lease_looks *looks, struct lease_look *look,
		   struct boot now)
{
	char wanted[FILE_SIZE_MAX], found[FILE_SIZE_MAX], name[NAME_SIZE_MAX];
	int dir = directory_of(looks);
	int64_t first;
	size_t len;
	char *end;

	if (dir < 0)
		return false;
	file_name(looks, look->uuid, name);
	if (!read_line(dir, name, found, sizeof(found)) ||
	    !describe(looks, look, wanted, sizeof(wanted)))
		return false;
	len = strlen(wanted);
	if (strncmp(found, wanted, len) != 0)
		return false;
	first = strtoll(found + len, &end, 10);
	if (end == found + len || *end != '\n' || first <= 0 || first > now.ns)
		return false;
	look->first.ns = first;
	/* It is still of use: the sweep takes those that are not. */
	(void)utimensat(dir, name, NULL, AT_SYMLINK_NOFOLLOW);
	return true;
}

/* Files of claims that nobody asked about any more. */
static void sweep(int dir)
{
	int copy = dup(dir);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	time_t old = (time_t)(wall_now().ns / NSEC_PER_SEC) - REMEMBERED_FOR;
	struct dirent *entry;
	struct stat st;

	if (!d) {
		if (copy >= 0)
			(void)close(copy);
		return;
	}
	/* A stream of our own. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((entry = readdir(d)) != NULL)
		if (strlen(entry->d_name) >= LEASE_UUID_SIZE - 1 &&
		    fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_mtime < old)
			(void)unlinkat(dir, entry->d_name, 0);
	(void)closedir(d);
}

static void remember(struct lease_looks *looks, const struct lease_look *look)
{
	char line[FILE_SIZE_MAX], name[NAME_SIZE_MAX];
	char temporary[NAME_SIZE_MAX + 16];
	int dir = directory_of(looks);
	size_t len;
	int fd;

	if (dir < 0 || looks->remembered == REMEMBERED_MOST ||
	    !describe(looks, look, line, sizeof(line) - 24))
		return;
	if (looks->remembered++ == 0)
		sweep(dir);
	len = strlen(line);
	(void)snprintf(line + len, sizeof(line) - len, "%" PRId64 "\n",
		       look->first.ns);
	len = strlen(line);
	file_name(looks, look->uuid, name);
	(void)snprintf(temporary, sizeof(temporary), "%s.%d", name,
		       (int)getpid());
	fd = openat(dir, temporary,
		    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	/* Written whole or not at all: half a number would be another time. */
	if (write(fd, line, len) != (ssize_t)len ||
	    renameat(dir, temporary, dir, name) < 0)
		(void)unlinkat(dir, temporary, 0);
	(void)close(fd);
}

/* --- looks --- */

static bool same(const struct lease_look *a, const struct lease_look *b)
{
	return a->counter == b->counter && store_tag_same(&a->tag, &b->tag);
}

static struct lease_look *find(const struct lease_looks *looks, const char *uuid)
{
	for (size_t i = 0; i < looks->count; i++)
		if (strcmp(looks->looks[i].uuid, uuid) == 0)
			return &looks->looks[i];
	return NULL;
}

/* Without memory for it the look is forgotten: nothing is proved by that. */
static void keep(struct lease_looks *looks, const struct lease_look *look)
{
	struct lease_look *old = find(looks, look->uuid);
	struct lease_look *more;

	if (old) {
		*old = *look;
		return;
	}
	more = realloc(looks->looks, (looks->count + 1) * sizeof(*more));
	if (!more)
		return;
	looks->looks = more;
	more[looks->count++] = *look;
}

nsec lease_looks_note(struct lease_looks *looks, struct lease_look *look,
		      struct boot sent, struct boot answered)
{
	const struct lease_look *old = find(looks, look->uuid);
	nsec unchanged;

	look->first = answered;
	if (old && same(old, look)) {
		look->first = old->first;
	} else if (!old && recall(looks, look, sent)) {
		keep(looks, look);
	} else {
		keep(looks, look);
		remember(looks, look);
	}
	unchanged = boot_until(look->first, sent);
	return unchanged > 0 ? unchanged : 0;
}

void lease_looks_forget(struct lease_looks *looks, const char *uuid)
{
	struct lease_look *old = find(looks, uuid);
	char name[NAME_SIZE_MAX];

	if (!old)
		return;
	*old = looks->looks[--looks->count];
	if (directory_of(looks) < 0)
		return;
	file_name(looks, uuid, name);
	(void)unlinkat(looks->directory, name, 0);
}
