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

/* Does the NSpid line of /proc/PROCESS/status have this pid behind the first,
 * that is, in a namespace below ours? -1: cannot be read. */
static int has_inner_pid(int proc, const char *process, int64_t pid)
{
	char path[64], text[4096];
	const char *line;
	char *end;
	ssize_t len;
	int fd;

	(void)snprintf(path, sizeof(path), "%.20s/status", process);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return -1;
	text[len] = '\0';
	line = strstr(text, "\nNSpid:");
	if (!line)
		return -1;
	line += strlen("\nNSpid:");
	(void)strtoll(line, &end, 10); /* the pid in our own namespace */
	while (*end == '\t') {
		if (strtoll(end, &end, 10) == pid)
			return 1;
	}
	return 0;
}

bool liveness_in_container(int64_t pid)
{
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *d;
	bool may = false;
	DIR *dir;

	/* Where /proc hides what is not ours, nothing can be ruled out. */
	if (proc < 0)
		return true;
	dir = fdopendir(proc);
	if (!dir) {
		close(proc);
		return true;
	}
	if (!process_table_is_ours() || has_inner_pid(proc, "1", pid) != 0)
		may = true;
	while (!may && (d = readdir(dir)))
		if (isdigit((unsigned char)d->d_name[0]))
			may = has_inner_pid(proc, d->d_name, pid) == 1;
	closedir(dir);
	return may;
}
