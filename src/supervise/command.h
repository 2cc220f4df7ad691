/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command, from fork to exec. It is forked before a lock is asked for, as
 * a *gate*: a process that waits on a pipe for "go" and then executes the
 * command, or ends. So a fork that cannot be done is known early, and nothing
 * of the command runs before the lock is held.
 *
 * In the gate, signals stay blocked until "go": what came meanwhile (a stop
 * from the terminal) then acts as it would have acted on the command.
 */
#ifndef SUPERVISE_COMMAND_H
#define SUPERVISE_COMMAND_H

#include <signal.h>

#include "supervise/board.h"

/* How the caller had set up signals: what the command gets. */
struct caller {
	sigset_t mask;
	struct sigaction chld;
};

struct command {
	char *const *argv;
	const char *path;
	char **environment; /* with REPOLOCK_HELD_*; room for its strings */
	char **fence;       /* the last of it, if there is one */
	char *strings;
	char **script; /* arguments of the shell, should it be a script */
	struct caller caller;
	struct board *board;
	pid_t pid;
	pid_t keeper;
	int gate[2]; /* the pipe */
	int go_fd;   /* -1: "go" was said, or will never be */
};

/*
 * Allocate all that the gate will need, so that it can do without malloc.
 * What is in the plan is lent until the end.
 */
enum rc command_prepare(struct command *c, const struct plan *plan,
			const struct caller *caller, struct board *board,
			pid_t front, struct err *e);

/* What is known once the lock is held; before command_go. */
void command_tell_lock(struct command *c, const struct lock_info *mine);

/* The gate calls little. */
enum { GATE_STACK = 4096 };

/*
 * Fork the gate. The child closes nothing: all our descriptors end at exec.
 * `stack` is the gate's until then, aligned as max_align_t.
 */
enum rc command_fork(struct command *c, char stack[GATE_STACK], struct err *e);

void command_go(struct command *c);
void command_drop(struct command *c); /* without "go" the gate ends */

#endif
