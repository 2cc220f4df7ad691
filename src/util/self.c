/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/self.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "util/text.h"

/* Up to size - 1 bytes of a small file, NUL-terminated; "" if unreadable. */
static void read_small(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	out[0] = '\0';
	if (fd < 0)
		return;
	n = read(fd, out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	(void)close(fd);
}

static size_t put_pid(char *out, pid_t pid)
{
	char digits[12];
	size_t n = 0, len = 0;

	do
		digits[n++] = (char)('0' + pid % 10);
	while ((pid /= 10) > 0);
	while (n > 0)
		out[len++] = digits[--n];
	return len;
}

bool process_table_is_ours(void)
{
	char named[16], own[16];
	ssize_t len = readlink("/proc/self", named, sizeof(named));

	return len > 0 && (size_t)len == put_pid(own, getpid()) &&
	       memcmp(named, own, (size_t)len) == 0;
}

/* "/proc/PID/stat" without stdio, which is not async-signal-safe. Of ourselves
 * any /proc tells the truth. */
static void stat_path(char out[32], pid_t pid)
{
	char *to = stpcpy(out, "/proc/");

	if (pid == getpid())
		to = stpcpy(to, "self");
	else
		to += put_pid(to, pid);
	memcpy(to, "/stat", sizeof("/stat"));
}

/* What /proc/PID/stat says from its third field on; NULL: it cannot be read. */
static const char *read_stat(pid_t pid, char *stat, size_t size)
{
	char path[32], *p;

	if (pid <= 0 || (pid != getpid() && !process_table_is_ours()))
		return NULL;
	stat_path(path, pid);
	read_small(path, stat, size);
	/* The second field is a name in parentheses and may hold anything. */
	p = strrchr(stat, ')');
	return p && p[1] == ' ' ? p + 2 : NULL;
}

/* A number, of fields that begin with the third. */
static uint64_t stat_number(const char *from, int field)
{
	uint64_t number = 0;

	for (; from && field > 3; field--) {
		from = strchr(from, ' ');
		from += from != NULL;
	}
	for (; from && *from >= '0' && *from <= '9'; from++)
		number = number * 10 + (uint64_t)(*from - '0');
	return number;
}

uint64_t process_start(pid_t pid)
{
	char stat[1024];

	return stat_number(read_stat(pid, stat, sizeof(stat)), 22);
}

pid_t process_parent(pid_t pid)
{
	char stat[1024];

	return (pid_t)stat_number(read_stat(pid, stat, sizeof(stat)), 4);
}

bool process_ended(pid_t pid)
{
	char stat[1024];
	const char *from = read_stat(pid, stat, sizeof(stat));

	/* The first thread may have ended before others: then there are more. */
	return from && (from[0] == 'Z' || from[0] == 'X') &&
	       stat_number(from, 20) <= 1;
}

bool process_is_stopped(pid_t pid)
{
	char stat[1024];
	const char *from = read_stat(pid, stat, sizeof(stat));

	return from && from[0] == 'T';
}

bool process_is_in_background(pid_t pid)
{
	char stat[1024];
	const char *from = read_stat(pid, stat, sizeof(stat));
	uint64_t group = stat_number(from, 5);
	uint64_t in_front = stat_number(from, 8); /* -1, told as 0, if none */

	return in_front != 0 && in_front != group;
}

/* Is this line of passwd(5) the one of uid? Cuts it behind the name if so. */
static bool line_is_of(char *line, uid_t uid)
{
	char *name_end = strchr(line, ':');
	char *field = name_end ? strchr(name_end + 1, ':') : NULL;
	char *end;
	unsigned long value;

	/* "+" and "-" begin entries of the old NIS, which are no users. */
	if (!field || name_end == line || line[0] == '+' || line[0] == '-' ||
	    field[1] < '0' || field[1] > '9')
		return false;
	value = strtoul(field + 1, &end, 10);
	if (*end != ':' || value != uid)
		return false;
	*name_end = '\0';
	return true;
}

bool passwd_find(int fd, uid_t uid, char *out, size_t size)
{
	char chunk[4096];
	bool too_long = false; /* the line that the chunk begins with */
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd, chunk + have, sizeof(chunk) - 1 - have)) > 0) {
		char *line = chunk, *end;

		have += (size_t)n;
		while ((end = memchr(line, '\n', have)) != NULL) {
			*end = '\0';
			if (!too_long && line_is_of(line, uid))
				return text_copy(out, size, line);
			too_long = false;
			have -= (size_t)(end + 1 - line);
			line = end + 1;
		}
		if (have == sizeof(chunk) - 1) {
			too_long = true;
			have = 0;
		}
		memmove(chunk, line, have);
	}
	/* The last line may lack its end. */
	chunk[have] = '\0';
	return !too_long && line_is_of(chunk, uid) && text_copy(out, size, chunk);
}

void user_name(uid_t uid, char *out, size_t size)
{
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || !passwd_find(fd, uid, out, size))
		(void)snprintf(out, size, "%u", (unsigned)uid);
	if (fd >= 0)
		(void)close(fd);
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

void self_fill(struct self *s)
{
	struct utsname name;

	*s = (struct self){ 0 };
	if (uname(&name) == 0)
		(void)text_copy(s->host, sizeof(s->host), name.nodename);
	user_name(getuid(), s->user, sizeof(s->user));
	read_small("/proc/sys/kernel/random/boot_id", s->boot_id,
		   sizeof(s->boot_id));
	s->boot_id[strcspn(s->boot_id, "\n")] = '\0';
	s->pid_ns = inode_of("/proc/self/ns/pid");
	s->time_ns = inode_of("/proc/self/ns/time");
	s->keeper.pid = getpid();
	s->keeper.start = process_start(s->keeper.pid);
	s->front = s->keeper;
}
