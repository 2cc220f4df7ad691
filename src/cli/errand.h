/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Work on a store done in a child, for the sub-commands that run nothing: a
 * file system that does not answer holds up the child alone. The parent
 * reports after some seconds for what it waits, and obeys signals at once,
 * although the child may hang where not even SIGKILL reaches it.
 */
#ifndef CLI_ERRAND_H
#define CLI_ERRAND_H

#include <stdbool.h>

struct errand {
	const char *place;          /* for what we wait, as it may be shown */
	bool quiet;                 /* do not report that we wait */
	int (*work)(void *context); /* returns the exit status */
	void *context;
};

/*
 * Runs work() in a child and returns its exit status; dies by the signal that
 * ended it, or that we were sent. True in *elsewhere: it called
 * errand_elsewhere, and there is no status. Call it with one thread only.
 */
int errand_run(const struct errand *errand, bool *elsewhere);

/* In the child: what takes time now is a person, a program that gives a
 * secret, or whoever reads what we print, and no store. */
void errand_aside(bool begins);

/* In the child: end it, for the parent to go on in another way. */
_Noreturn void errand_elsewhere(void);

#endif
