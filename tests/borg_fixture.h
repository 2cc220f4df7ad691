/* SPDX-License-Identifier: BSD-2-Clause */
/* Repositories with nothing in them but what a lock needs, and locks of
 * several owners in one process: each has the pid it is given. */
#ifndef TESTS_BORG_FIXTURE_H
#define TESTS_BORG_FIXTURE_H

#include "lock/borg.h"

extern char repo[64]; /* a fresh directory */
extern struct err e;
extern const struct call patient; /* gives up after a minute */

void repo_make(void);  /* empty */
void repo_make1(void); /* a borg 1 repository */
void repo_make2(void); /* a borg 2 repository */
void repo_remove(void);
/* Names at `where` below repo, sorted, joined by blanks. */
const char *repo_names(const char *where);
void repo_write(const char *name, const char *text);
/* What is in a file; "" if there is none. */
const char *repo_read(const char *name);
bool repo_has(const char *name);
void repo_delete(const char *name);
void repo_set_age(const char *name, int seconds);

pid_t dead_pid(void); /* of a process that just ended */

struct want {
	enum lock_mode mode;
	bool hasty; /* -n */
	enum lock_break clear;
	pid_t pid;           /* 0: our own */
	const char *command; /* NULL: "true" */
	const char *at;      /* NULL: "borg:REPO" */
	bool listing;
};

/* With BORG_HOST_ID "here@1". The lock is the caller's. */
enum rc try_open(struct lock **lock, struct want want);
struct lock *must_open(struct want want);
#define OPEN(...) must_open((struct want){ __VA_ARGS__ })

/* Their details are in these afterwards. */
extern struct lock_info mine, holder;
extern struct lock_term term;
enum rc acquire(struct lock *lock);
enum rc refresh(struct lock *lock);
enum rc release(struct lock *lock);
enum rc wait_for(struct lock *lock, nsec patience);
/* Its loss_fd, once there are watches to be had: others' tests use them. */
int loss_fd(struct lock *lock);
/* How many there are; the first 16 of them in listed. */
extern struct lock_info listed[16];
int list(void);
/* For a list of one's own; context: an int that counts them. */
bool keep_in_listed(void *context, const struct lock_info *info);
enum rc remove_id(const char *id, bool force);
/* Released and closed. */
void done(struct lock *lock);

#endif
