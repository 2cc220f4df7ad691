/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that helps us: it gives a password, say. It is started with an
 * empty standard input, the caller's standard error and terminal, no signal
 * blocked or ignored; what it prints can be read, and how it ended be asked.
 *
 * Either it is a child of ours, or another process starts it for us
 * (supervise/helpers.h); who reads it does not see which.
 */
#ifndef UTIL_PROGRAM_H
#define UTIL_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "util/buf.h"
#include "util/call.h"
#include "util/err.h"

struct program {
	int out;   /* what it prints */
	int end;   /* readable when it has ended; -1: not to be known so */
	pid_t pid; /* our child; 0: somebody else's */
	/* The first word of what was executed, lent. */
	const char *name;
};

/* How to start one. *p is the caller's, to be ended by program_finish, which
 * may be who reports that it could not be executed. Never waits. */
typedef enum rc program_start_fn(struct program *p, char *const argv[],
				 struct err *e);

/* As a child of ours. */
program_start_fn program_start;

/*
 * Read all that it prints, until it has ended; what it leaves running is not
 * waited for, even if that could print more. Then *p is closed; on any failure
 * the program is killed first. RC_DENIED: it did not exit with 0.
 */
enum rc program_finish(struct program *p, struct buf *out,
		       const struct call *call, struct err *e);

/* posix_spawn with `out` as standard output. An error number, or 0. */
int program_spawn(pid_t *pid, char *const argv[], int out);

/* Somebody else started it: what comes by `end`, once. */
struct program_word {
	int sys;    /* why it could not be executed; 0: it was */
	int status; /* how it ended then, as waitpid has it */
};

#endif
