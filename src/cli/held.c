/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/held.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lock/liveness.h"
#include "lock/registry.h"
#include "util/buf.h"
#include "util/self.h"

/* An environment may be that large, and hardly ever is. */
enum { ENVIRONMENT_MOST = 2 * 1024 * 1024 };

static bool is_ancestor(pid_t pid)
{
	/* 1 is above everybody, and what a holder in a container says of
	 * itself: it proves nothing. */
	if (pid <= 1)
		return false;
	for (pid_t above = getppid(); above > 0; above = process_parent(above)) {
		if (above == pid)
			return true;
	}
	return false;
}

bool held_by_ancestor(const struct lock_info *lock)
{
	if (lock->alive != LOCK_ALIVE_YES ||
	    lock->counted == LOCK_PID_ELSEWHERE || !is_ancestor(lock->pid))
		return false;
	if (lock->counted == LOCK_PID_HERE)
		return true;
	/* A container may have the host's name: the number must be nobody's in
	 * there. */
	return liveness_initial_pid_ns() && !liveness_in_container(lock->pid);
}

/* What an environment says of a lock that is held above it. */
struct told {
	const char *id, *name, *location;
	pid_t pid;
};

static struct told told_by(const char *(*get)(void *context, const char *key),
			   void *context)
{
	const char *pid = get(context, "REPOLOCK_HELD_PID");

	return (struct told){
		.id = get(context, "REPOLOCK_HELD_ID"),
		.name = get(context, "REPOLOCK_HELD_NAME"),
		.location = get(context, "REPOLOCK_HELD_LOCATION"),
		.pid = pid ? (pid_t)strtol(pid, NULL, 10) : 0,
	};
}

static const char *get_ours(void *context, const char *key)
{
	(void)context;
	return getenv(key); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static const char *get_in(void *context, const char *key)
{
	const struct buf *b = context;
	size_t len = strlen(key);

	for (size_t at = 0; at < b->len; at += strlen(b->data + at) + 1)
		if (strncmp(b->data + at, key, len) == 0 &&
		    b->data[at + len] == '=')
			return b->data + at + len + 1;
	return NULL;
}

/* The same place of the file system, as the one who told of it sees it? */
static bool same_path(const struct told *t, const char *theirs, const char *ours)
{
	char path[40];
	struct stat a, b;
	bool same;
	int cwd;

	(void)snprintf(path, sizeof(path), "/proc/%d/cwd", (int)t->pid);
	cwd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cwd < 0 && theirs[0] != '/')
		return false;
	same = fstatat(cwd, theirs, &a, 0) == 0 && stat(ours, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	if (cwd >= 0)
		(void)close(cwd);
	return same;
}

static bool same_location(const struct told *t, const struct location *ours)
{
	const struct lock_scheme *a, *b = lock_scheme_find(ours->scheme);
	struct location theirs = { 0 };
	bool same = false;
	struct stat st;
	struct err e;

	if (!t->location || location_parse(&theirs, t->location, &e) != RC_OK)
		return false;
	a = lock_scheme_find(theirs.scheme);
	if (a && b && a->ops == b->ops)
		same = stat(ours->rest, &st) == 0
			       ? same_path(t, theirs.rest, ours->rest)
			       : strcmp(theirs.shown, ours->shown) == 0;
	location_release(&theirs);
	return same;
}

static bool tells_of(const struct told *t, const char *id,
		     const struct lock_wish *wish)
{
	return t->id && strcmp(t->id, id) == 0 && is_ancestor(t->pid) &&
	       (!t->name || strcmp(t->name, wish->name) == 0) &&
	       same_location(t, wish->location);
}

/* Another user's process could be made to say anything. */
static bool is_ours(pid_t pid)
{
	char path[32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return stat(path, &st) == 0 && st.st_uid == geteuid();
}

static bool process_tells_of(pid_t pid, const char *id,
			     const struct lock_wish *wish)
{
	struct buf environment;
	struct told told;
	char path[40];
	bool tells = false;
	struct err e;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	buf_init(&environment, ENVIRONMENT_MOST);
	if (buf_read_fd(&environment, fd, &e) == RC_OK) {
		told = told_by(get_in, &environment);
		tells = tells_of(&told, id, wish);
	}
	(void)close(fd);
	buf_release(&environment);
	return tells;
}

/* Our own environment, or that of a process above us: a lock taken in between
 * hides the first in ours. */
static bool is_told(const char *id, const struct lock_wish *wish)
{
	struct told ours = told_by(get_ours, NULL);

	if (tells_of(&ours, id, wish))
		return true;
	for (pid_t pid = getppid(); pid > 1 && is_ours(pid);
	     pid = process_parent(pid))
		if (process_tells_of(pid, id, wish))
			return true;
	return false;
}

struct search {
	const struct lock_wish *wish;
	struct lock_info *own;
	bool found;
};

static bool look_at(void *context, const struct lock_info *info)
{
	struct search *s = context;
	const char *id = info->token[0] ? info->token : info->id;

	if (info->state != LOCK_HELD ||
	    (info->name[0] && strcmp(info->name, s->wish->name) != 0) ||
	    !is_told(id, s->wish))
		return true;
	/* Whoever may write there can put the id on a lock of his own. */
	if (info->kernel && !is_ancestor(info->owner))
		return true;
	*s->own = *info;
	s->found = true;
	return false;
}

bool held_find(struct lock_info *own, const struct lock_wish *wish)
{
	struct search s = { .wish = wish, .own = own };
	struct lock_wish listing = *wish;
	const char *id = get_ours(NULL, "REPOLOCK_HELD_ID");
	struct lock *lock = NULL;
	struct self self;
	struct err e;

	if (!id || !*id)
		return false;
	self_fill(&self);
	listing.listing = true;
	listing.owners = true;
	listing.self = &self;
	if (lock_open(&lock, &listing, &CALL_UNLIMITED, &e) != RC_OK)
		return false;
	(void)lock->ops->list(lock, look_at, &s, &CALL_UNLIMITED, &e);
	lock_close(lock);
	return s.found;
}
