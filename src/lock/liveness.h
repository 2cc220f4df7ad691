/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is a process that a lock names alive, dead, or not for us to say? Never by
 * host name, never by an age. Does not block and changes nothing.
 */
#ifndef LOCK_LIVENESS_H
#define LOCK_LIVENESS_H

#include <stdbool.h>

#include "lock/lock.h"
#include "util/self.h"

/* Where a process was when it wrote its lock. */
struct liveness_place {
	const char *boot_id; /* "" or NULL: not told */
	uint64_t pid_ns;     /* 0: not told */
	uint64_t time_ns;
};

/*
 * A pid of this very pid namespace. NO: there is no such process, or one
 * that started at another time (start != 0 and readable: /proc may hide
 * processes). A process of another user, which kill(2) refuses with EPERM,
 * is alive. A zombie is dead: it does nothing any more, and a parent
 * that never reaps it must not keep a lock for it.
 */
enum lock_alive liveness_of_pid(const struct process *p);

/*
 * A pid that was written at `place`: UNKNOWN unless place and self agree in
 * boot id, pid namespace and time namespace, all of them known. (Start times
 * are shifted by a time namespace, pids mean nothing in another pid
 * namespace, and cloned machines share host names.)
 */
enum lock_alive liveness_of(const struct self *self,
			    const struct liveness_place *place,
			    const struct process *p);

/* Where a pid that was written at `place` is counted. */
enum lock_pid liveness_counted(const struct self *self,
			       const struct liveness_place *place);

/*
 * Are we in the pid namespace the machine was booted with? Where formats name
 * host and pid only (restic, borg), a pid may be looked up there alone: in a
 * container the same number is somebody else.
 */
bool liveness_initial_pid_ns(void);

/*
 * Has some process this pid in a namespace below ours? A container with the
 * host's name writes the pids of its own namespace into locks; looked up here
 * such a pid is dead, while its process lives. True also where /proc hides
 * processes, so that nothing can be ruled out. Looks at every process.
 */
bool liveness_in_container(int64_t pid);

/*
 * The same for many pids, with one look at all processes. It must not be older
 * than what named the pids: forget it after each reading of locks, and the
 * next question looks anew. All zero to begin with.
 */
struct liveness_inside {
	int64_t *pids; /* sorted; the owner's until release */
	size_t count, room;
	bool looked;
	bool blind; /* nothing can be ruled out */
};
bool liveness_is_inside(struct liveness_inside *in, int64_t pid);
void liveness_inside_forget(struct liveness_inside *in);
void liveness_inside_release(struct liveness_inside *in);

#endif
