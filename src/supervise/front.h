/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The front: the process that the shell, cron or systemd knows. Guard and
 * last reaper: when the keeper is gone, or has not renewed the lock in time,
 * it kills everything below. Relays the signals that only it got, stops and
 * continues with the command, and waits for the end.
 *
 * After the fork only async-signal-safe calls are made here, and nothing is
 * loaded: it must not depend on anything that can hang.
 */
#ifndef SUPERVISE_FRONT_H
#define SUPERVISE_FRONT_H

#include "supervise/board.h"
#include "supervise/helpers.h"
#include "supervise/reaper.h"
#include "supervise/tree.h"

struct front_start {
	const struct plan *plan;
	struct board *board;
	int sock;                /* to the keeper */
	pid_t keeper;            /* our child, or the reaper's */
	struct helpers *helpers; /* .pid == 0: there are none */
	struct reaper *reaper;   /* .pid == 0: there is none */
	/* Children that are not COMMAND's, by which there is a reaper. */
	struct tree_set *strangers;
};

/* Call it with all signals blocked, subreaper set. Returns at the end. */
void front_run(const struct front_start *start, struct outcome *outcome);

#endif
