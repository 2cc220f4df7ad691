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

/* A claim is renewed, gone or stale long before: TTLs end at a day. */
#define REMEMBERED_FOR (25 * 3600)

enum { FILE_SIZE_MAX = 512 };

void lease_looks_init(struct lease_looks *looks, const struct self *self)
{
	/* Nobody changes it. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const char *given = getenv("XDG_RUNTIME_DIR");

	*looks = (struct lease_looks){ .self = self, .runtime = given };
	if (!given && geteuid() == 0)
		looks->runtime = "/run";
}

void lease_looks_release(struct lease_looks *looks)
{
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

/* The directory of the files, made if missing; -1: none. */
static int open_directory(const struct lease_looks *looks)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	const char *runtime = looks->runtime;
	int base, fd = -1;

	if (!runtime || runtime[0] != '/')
		return -1;
	base = open(runtime, flags);
	if (base < 0)
		return -1;
	/* In another's directory (sudo that keeps XDG_RUNTIME_DIR) a directory
	 * of ours may have been moved to the name, to be swept. */
	if (ours_alone(base)) {
		(void)mkdirat(base, "repolock", 0700);
		fd = openat(base, "repolock", flags | O_NOFOLLOW);
	}
	(void)close(base);
	if (fd >= 0 && !ours_alone(fd)) {
		(void)close(fd);
		return -1;
	}
	return fd;
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
static bool recall(const struct lease_looks *looks, struct lease_look *look,
		   struct boot now)
{
	char wanted[FILE_SIZE_MAX], found[FILE_SIZE_MAX];
	int dir = open_directory(looks);
	bool read;
	int64_t first;
	size_t len;
	char *end;

	if (dir < 0)
		return false;
	read = read_line(dir, look->uuid, found, sizeof(found));
	(void)close(dir);
	if (!read || !describe(looks, look, wanted, sizeof(wanted)))
		return false;
	len = strlen(wanted);
	if (strncmp(found, wanted, len) != 0)
		return false;
	first = strtoll(found + len, &end, 10);
	if (end == found + len || *end != '\n' || first <= 0 || first > now.ns)
		return false;
	look->first.ns = first;
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

static void remember(const struct lease_looks *looks,
		     const struct lease_look *look)
{
	char line[FILE_SIZE_MAX], temporary[LEASE_UUID_SIZE + 16];
	int dir = open_directory(looks);
	size_t len;
	int fd;

	if (dir < 0)
		return;
	sweep(dir);
	if (!describe(looks, look, line, sizeof(line) - 24))
		goto out;
	len = strlen(line);
	(void)snprintf(line + len, sizeof(line) - len, "%" PRId64 "\n",
		       look->first.ns);
	len = strlen(line);
	(void)snprintf(temporary, sizeof(temporary), "%s.%d", look->uuid,
		       (int)getpid());
	fd = openat(dir, temporary,
		    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		goto out;
	/* Written whole or not at all: half a number would be another time. */
	if (write(fd, line, len) != (ssize_t)len ||
	    renameat(dir, temporary, dir, look->uuid) < 0)
		(void)unlinkat(dir, temporary, 0);
	(void)close(fd);
out:
	(void)close(dir);
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
	int dir;

	if (!old)
		return;
	*old = looks->looks[--looks->count];
	dir = open_directory(looks);
	if (dir >= 0) {
		(void)unlinkat(dir, uuid, 0);
		(void)close(dir);
	}
}
