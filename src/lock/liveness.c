/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/liveness.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
	if (process_ended(p->pid))
		return LOCK_ALIVE_NO;
	if (p->start == 0)
		return LOCK_ALIVE_YES;
	start = process_start(p->pid);
	return start != 0 && start != p->start ? LOCK_ALIVE_NO : LOCK_ALIVE_YES;
}

enum lock_pid liveness_counted(const struct self *self,
			       const struct liveness_place *place)
{
	if (!place->boot_id || place->boot_id[0] == '\0' ||
	    place->pid_ns == 0 || self->boot_id[0] == '\0' || self->pid_ns == 0)
		return LOCK_PID_UNTOLD;
	if (strcmp(place->boot_id, self->boot_id) != 0 ||
	    place->pid_ns != self->pid_ns)
		return LOCK_PID_ELSEWHERE;
	return LOCK_PID_HERE;
}

static bool same_place(const struct self *self, const struct liveness_place *place)
{
	return liveness_counted(self, place) == LOCK_PID_HERE &&
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

static bool add_inside(struct liveness_inside *in, int64_t pid)
{
	size_t room = in->room ? 2 * in->room : 64;
	int64_t *more;

	if (in->count == in->room) {
		more = reallocarray(in->pids, room, sizeof(*more));
		if (!more)
			return false;
		in->pids = more;
		in->room = room;
	}
	in->pids[in->count++] = pid;
	return true;
}

/* The pids that /proc/PROCESS has behind the first of its NSpid line: those in
 * namespaces below ours. False: it cannot be read. */
static bool add_inner_pids(struct liveness_inside *in, int proc,
			   const char *process)
{
	char path[64], text[4096];
	const char *line;
	char *end;
	ssize_t len;
	int fd;

	(void)snprintf(path, sizeof(path), "%.20s/status", process);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	line = strstr(text, "\nNSpid:");
	if (!line)
		return false;
	line += strlen("\nNSpid:");
	(void)strtoll(line, &end, 10); /* the pid in our own namespace */
	while (*end == '\t') {
		if (!add_inside(in, strtoll(end, &end, 10)))
			in->blind = true;
	}
	return true;
}

static int by_number(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, two = *(const int64_t *)b;

	return (one > two) - (one < two);
}

/* Where /proc hides what is not ours, nothing can be ruled out; nor where we
 * are in a namespace below another. */
static void look_inside(struct liveness_inside *in)
{
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = proc < 0 ? NULL : fdopendir(proc);
	struct dirent *d;

	in->looked = true;
	in->count = 0;
	in->blind = !dir || !process_table_is_ours() ||
		    !add_inner_pids(in, proc, "1") || in->count > 0;
	while (!in->blind && (d = readdir(dir)))
		if (isdigit((unsigned char)d->d_name[0]))
			(void)add_inner_pids(in, proc, d->d_name);
	if (dir)
		closedir(dir);
	else if (proc >= 0)
		close(proc);
	if (in->count > 0)
		qsort(in->pids, in->count, sizeof(*in->pids), by_number);
}

bool liveness_is_inside(struct liveness_inside *in, int64_t pid)
{
	if (!in->looked)
		look_inside(in);
	return in->blind ||
	       (in->count > 0 && bsearch(&pid, in->pids, in->count,
					 sizeof(*in->pids), by_number));
}

void liveness_inside_forget(struct liveness_inside *in)
{
	in->looked = false;
}

void liveness_inside_release(struct liveness_inside *in)
{
	free(in->pids);
	*in = (struct liveness_inside){ 0 };
}

bool liveness_in_container(int64_t pid)
{
	struct liveness_inside in = { 0 };
	bool is = liveness_is_inside(&in, pid);

	liveness_inside_release(&in);
	return is;
}
