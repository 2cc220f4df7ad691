/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reaper: a process between front and keeper that does nothing but reap,
 * there only where the front has children that are not COMMAND's: those that
 * it had before it was executed (`sleep 78 & exec repolock ...`), and the one
 * that runs helpers (helpers.h). With such children the front never hears
 * "no child at all", which alone proves that nothing of COMMAND runs (tree.h);
 * and what they leave behind becomes the front's child, since it is a
 * subreaper, and could not be told from what COMMAND left.
 *
 *     front -+- witness
 *            +- children from before, helpers: nobody's business
 *            `- reaper --- keeper --- COMMAND
 *
 * The reaper is a subreaper and has no child but the keeper. When that is
 * killed, all of COMMAND's becomes the reaper's, and nothing else does. It
 * exits as soon as it has no child left; so its exit is the front's proof, and
 * what is below it is what the front kills.
 *
 * It is in a session of its own, blocks all signals, and holds no descriptor
 * but one end of `sock`.
 * If it is killed, the keeper becomes the front's child, and so does whatever
 * was left below the reaper. The front is a guard still, but for the proof it
 * has only two empty looks at /proc then, and what its other children had left
 * behind counts as COMMAND's.
 */
#ifndef SUPERVISE_REAPER_H
#define SUPERVISE_REAPER_H

#include <sys/types.h>

#include "util/err.h"

struct reaper {
	pid_t pid; /* our child; 0: there is none */
	int sock;  /* a byte comes when the keeper has ended, before its pid
	              is another's; if it hangs up, ask for our child */
};

/*
 * Fork the reaper, and the keeper below it. As fork(2): *keeper is its pid
 * in the front, where *r is filled, and 0 in the keeper. All signals must be
 * blocked.
 */
enum rc reaper_fork(struct reaper *r, pid_t *keeper, struct err *e);

#endif
