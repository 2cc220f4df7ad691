/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Repositories made by the real restic, for tests. Their password is
 * "geheim", under a key that is cheap to compute, so that opening one takes
 * no half second; restic itself uses that key as well.
 */
#ifndef RESTIC_LAB_H
#define RESTIC_LAB_H

#include "lock/lock.h"
#include "lock/restic_look.h"

struct lab {
	char path[64];     /* of the repository, of version 1 or 2 */
	char location[80]; /* "restic:" and that */
	struct self self;
};

/* Makes repositories of both versions; once a program, before any test. */
void lab_build(void);
void lab_raze(void);

/* The one of this version; the environment gets its password. */
void lab_open(struct lab *lab, int version);
/* Checks that locks/ holds nothing any more, and empties it. */
void lab_close(struct lab *lab);
void lab_empty(struct lab *lab);

/* A lock on it; -n unless `wait`. Less patient than usual, for tests that are
 * not about that. */
struct lock *lab_lock(struct lab *lab, enum lock_mode mode, bool wait);
enum rc lab_try(struct lab *lab, struct lock **lock, struct err *e);

/* How many locks there are, how many files in their folder, and the id of the
 * only one. */
int lab_count(const struct lab *lab);
int lab_count_all(const struct lab *lab);
void lab_only(const struct lab *lab, char id[65]);

/*
 * Run `restic -r REPOSITORY --no-cache ...` to its end, `more` being split
 * by a shell; its exit code. What it says is in *out (may be NULL).
 */
int lab_restic(const struct lab *lab, const char *more, char *out, size_t size);

/* A restic that is held open: `restic backup --stdin` until lab_end; waits
 * until it has its lock. */
struct lab_holder {
	pid_t pid;
	int input;
};
void lab_begin(struct lab *lab, struct lab_holder *h);
int lab_end(struct lab_holder *h);

/* Put a record, or any bytes, as a lock file; its id. */
void lab_put_record(struct lab *lab, const struct restic_record *r, char id[65]);
void lab_put_bytes(struct lab *lab, const char *id, const void *bytes,
		   size_t len);
/* Set the time of a lock file, as its store's clock tells it. */
void lab_age(struct lab *lab, const char *id, struct wall t);

/* The record of one of its files, decoded. */
void lab_read(struct lab *lab, const char *id, struct restic_record *r);

/* Add a key file for `password`, with parameters as told; its id. It only
 * opens with the cheapest ones. */
void lab_add_key(const char *repository, const char *password,
		 const char *parameters, char id[65]);
/* Seal `json` as config. */
void lab_set_config(const char *repository, const char *json);

/* A pid that was ours and is gone. */
pid_t lab_dead_pid(void);

#endif
