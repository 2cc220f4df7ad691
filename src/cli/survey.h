/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All locks of a location, for list-locks and unlock: those of its protocol
 * and, on a bare path that is a restic or borg repository, the native ones as
 * well.
 */
#ifndef CLI_SURVEY_H
#define CLI_SURVEY_H

#include "cli/options.h"
#include "lock/lock.h"

struct survey_found {
	struct lock_info info;
	struct lock *lock; /* whose it is, for removing */
};

struct survey {
	const struct options *o;
	struct location location;
	struct location native; /* of the second, if there is one */
	bool no_native;         /* repolock-native could not be executed: why */
	struct self self;
	struct lock *locks[2];
	size_t lock_count;
	struct survey_found *found;     /* holders before those that wait */
	const struct lock_info **infos; /* the same, to be shown */
	size_t count, room;
	bool complete;  /* false: the native locks could not be looked at */
	struct err why; /* then: why not */
};

/* What needs no store: the location, and whether repolock-native is to be
 * executed in our place. survey_close in any case. */
enum rc survey_begin(struct survey *s, const struct options *o, char **argv,
		     struct err *e);
/* Do the rest, work(context), in a child (cli/errand.h), or execute
 * repolock-native if that turns out to be needed. Returns the exit status. */
int survey_errand(struct survey *s, char **argv, int (*work)(void *context),
		  void *context);

/* In the child. */
enum rc survey_open(struct survey *s, struct err *e);
/* Look (again); replaces what was found before. */
enum rc survey_look(struct survey *s, struct err *e);
void survey_close(struct survey *s);

#endif
