/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The third guard, of a lock that ends by age. Where a kernel lock is shared
 * with the front, a keeper and a front that are both stopped hold it on. A
 * lock that only its age ends is taken by the next one then, while COMMAND
 * runs: so one more process, a child of the front in a session of its own that
 * outlives both, reads the deadline from the board. Past it, it kills what is
 * below whichever of the two still exists, then the keeper; the front is
 * continued to report that, and killed if it does not.
 *
 * It sees nobody killed by SIGKILL faster than it looks: with front and keeper
 * both gone, nobody finds what COMMAND started.
 */
#ifndef SUPERVISE_THIRD_H
#define SUPERVISE_THIRD_H

#include "supervise/board.h"

struct third_start {
	const struct plan *plan;
	struct board *board;
	pid_t keeper;     /* a child of the caller, or of */
	pid_t reaper;     /* this one, not reaped; 0: there is none */
	const int *close; /* descriptors that are the front's alone */
	size_t closes;
};

/* In the front. Its pid; 0: there is none (no descriptor, no pidfds). */
pid_t third_start(const struct third_start *start);

/* Kills and reaps it. */
void third_stop(pid_t pid);

#endif
