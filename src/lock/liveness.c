/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/liveness.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

/* The kernel's fixed inode number of the initial pid namespace. */
#define INITIAL_PID_NS 0xEFFFFFFCu

enum lock_alive liveness_of_pid(const struct process *p)
{
	uint64_t start;

	/* 0 and below would ask about a group, or everybody. */
	if (p->pid <= 0)
		return LOCK_ALIVE_UNKNOWN;
	if (kill(p->pid, 0) < 0 && errno != EPERM)
		return errno == ESRCH ? LOCK_ALIVE_NO : LOCK_ALIVE_UNKNOWN;
	if (p->start == 0)
		return LOCK_ALIVE_YES;
	start = process_start(p->pid);
	return start != 0 && start != p->start ? LOCK_ALIVE_NO : LOCK_ALIVE_YES;
}

static bool same_place(const struct self *self, const struct liveness_place *place)
{
	return place->boot_id && place->boot_id[0] != '\0' &&
	       strcmp(place->boot_id, self->boot_id) == 0 &&
	       place->pid_ns != 0 && place->pid_ns == self->pid_ns &&
	       place->time_ns != 0 && place->time_ns == self->time_ns;
}

enum lock_alive liveness_of(const struct self *self,
			    const struct liveness_place *place,
			    const struct process *p)
{
	return same_place(self, place) ? liveness_of_pid(p) : LOCK_ALIVE_UNKNOWN;
}

bool liveness_initial_pid_ns(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == INITIAL_PID_NS;
}
