/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper: child of the front, parent of the command. An event loop that
 * turns what the kernel reports into events for policy.c and carries out its
 * steps. It does no lock I/O while the command may run: the worker does. (The
 * very first try and a first release are done in place, which saves a thread
 * where COMMAND is short and its waking elsewhere; nothing of COMMAND runs
 * then, and the front guards against a hang. So is the watch on a lock that a
 * file system of this host keeps, which waits for nothing.)
 *
 * It is in a session of its own, so that no signal and no stop from the
 * terminal reaches it, and a subreaper, so that everything that the command
 * leaves is found below it.
 */
#ifndef SUPERVISE_KEEPER_H
#define SUPERVISE_KEEPER_H

#include "supervise/command.h"
#include "supervise/helpers.h"

struct keeper_start {
	const struct plan *plan;
	struct command *command;
	struct board *board;
	int sock;                      /* to the front */
	const struct helpers *helpers; /* who may be asked to run programs */
	pid_t front;                   /* our parent, or gone */
};

/* Call it in the child, all signals blocked. The outcome is on the board. */
_Noreturn void keeper_run(const struct keeper_start *start);

#endif
