/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/restic_judge.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/duration.h"

/* A lock is written a moment after its process started; clocks are read with
 * less care than that. */
#define START_SLACK (2 * NSEC_PER_SEC)

/* Names that machines have before anybody gave them one. */
static bool is_nobodys_name(const char *host)
{
	return host[0] == '\0' || strncmp(host, "localhost", 9) == 0;
}

/* Does the record's pid mean the same to us as to the one who wrote it? Of
 * restic's own locks only the host's name is known, as restic itself has it;
 * then it takes the namespace in which all processes of a host are seen. */
static bool pid_is_ours_to_ask(const struct restic_record *r,
			       const struct self *self)
{
	if (r->pid <= 0 || r->pid > INT_MAX)
		return false;
	if (is_nobodys_name(r->host) || strcmp(r->host, self->host) != 0)
		return false;
	if (r->token[0] && r->pid_ns != self->pid_ns)
		return false;
	return liveness_initial_pid_ns();
}

/* When a process started, by the wall clock as it goes now; 0: unknown. */
static struct wall started(pid_t pid)
{
	nsec ticks = sysconf(_SC_CLK_TCK);
	nsec start = (nsec)process_start(pid);

	if (start == 0 || ticks <= 0)
		return (struct wall){ 0 };
	return (struct wall){ wall_now().ns - boot_now().ns +
			      start * (NSEC_PER_SEC / ticks) };
}

/* /proc/PID/comm begins with it. */
static bool is_called(pid_t pid, const char *name)
{
	char path[40], comm[32] = "";
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, comm, sizeof(comm) - 1);
	close(fd);
	return n > 0 && strncmp(comm, name, strlen(name)) == 0;
}

/*
 * A process that started after the lock was last written did not write it.
 * That compares instants of a clock that may have been stepped in between, so
 * the file's time must agree, and a process that is called restic is believed.
 */
static bool is_another(const struct restic_record *r, struct wall stored)
{
	struct wall start = started((pid_t)r->pid);

	return start.ns != 0 && start.ns > r->time.ns + START_SLACK &&
	       (stored.ns == 0 || start.ns > stored.ns + START_SLACK) &&
	       !is_called((pid_t)r->pid, "restic");
}

/* Ours tell exactly who they were. */
static enum lock_alive alive_by_our_word(const struct restic_record *r,
					 const struct self *self)
{
	const struct liveness_place place = { .boot_id = r->boot_id,
					      .pid_ns = r->pid_ns,
					      .time_ns = r->time_ns };
	const struct process keeper = { (pid_t)r->pid, r->start };
	const struct process front = { (pid_t)r->front, r->front_start };
	enum lock_alive alive;

	if (!r->token[0] || r->pid <= 0 || r->pid > INT_MAX || r->front <= 0 ||
	    r->front > INT_MAX)
		return LOCK_ALIVE_UNKNOWN;
	alive = liveness_of(self, &place, &keeper);
	/* The front may still be ending the command of a keeper that died. */
	return alive == LOCK_ALIVE_NO ? liveness_of(self, &place, &front) : alive;
}

static void judge_process(struct restic_verdict *v,
			  const struct restic_record *r, struct wall stored,
			  const struct self *self, struct liveness_inside *inside)
{
	const struct process p = { .pid = (pid_t)r->pid };

	v->alive = alive_by_our_word(r, self);
	if (v->alive == LOCK_ALIVE_NO)
		v->stale = RESTIC_GONE;
	if (v->alive != LOCK_ALIVE_UNKNOWN || !pid_is_ours_to_ask(r, self))
		return;
	v->alive = liveness_of_pid(&p);
	if (v->alive == LOCK_ALIVE_NO)
		v->stale = RESTIC_GONE;
	else if (v->alive == LOCK_ALIVE_YES && is_another(r, stored))
		v->stale = RESTIC_REUSED;
	if (v->stale == RESTIC_LIVES)
		return;
	/* Containers often have the host's name. */
	v->alive = LOCK_ALIVE_NO;
	if (!r->token[0] && (inside ? liveness_is_inside(inside, r->pid)
				    : liveness_in_container(r->pid))) {
		v->alive = LOCK_ALIVE_UNKNOWN;
		v->stale = RESTIC_LIVES;
	}
}

void restic_judge(struct restic_verdict *v, const struct restic_record *r,
		  struct wall stored, struct wall now, const struct self *self,
		  struct liveness_inside *inside)
{
	char age[32];

	*v = (struct restic_verdict){ .alive = LOCK_ALIVE_UNKNOWN };
	judge_process(v, r, stored, self, inside);
	if (v->alive == LOCK_ALIVE_UNKNOWN &&
	    now.ns - r->time.ns > RESTIC_STALE_AFTER &&
	    (stored.ns == 0 || now.ns - stored.ns > RESTIC_STALE_AFTER))
		v->stale = RESTIC_OLD;
	switch (v->stale) {
	case RESTIC_LIVES:
		break;
	case RESTIC_GONE:
		(void)snprintf(v->why, sizeof(v->why),
			       "its process %lld on this host is gone",
			       (long long)r->pid);
		break;
	case RESTIC_REUSED:
		(void)snprintf(v->why, sizeof(v->why),
			       "its process %lld on this host is another one "
			       "now",
			       (long long)r->pid);
		break;
	case RESTIC_OLD:
		duration_show(age, sizeof(age), now.ns - r->time.ns);
		(void)snprintf(v->why, sizeof(v->why),
			       "not refreshed for %s, where restic gives up "
			       "after 30m",
			       age);
		break;
	}
}

bool restic_may_clear(enum restic_stale stale, enum lock_break clear)
{
	switch (clear) {
	case LOCK_BREAK_SAFE:
		return stale == RESTIC_GONE;
	case LOCK_BREAK_ALL:
		return stale != RESTIC_LIVES;
	case LOCK_BREAK_NONE:
		return false;
	}
	return false;
}
