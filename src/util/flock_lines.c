/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/flock_lines.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* "1: -> FLOCK  ADVISORY  WRITE 4711 08:01:131090 0 EOF" */
static bool parse_line(struct flock_line *line, char *text)
{
	char *save = NULL;
	char *word;
	char *mode;
	long pid;

	(void)strtok_r(text, " ", &save); /* the number */
	word = strtok_r(NULL, " ", &save);
	line->waiting = word && strcmp(word, "->") == 0;
	if (line->waiting)
		word = strtok_r(NULL, " ", &save);
	if (!word || strcmp(word, "FLOCK") != 0 || !strtok_r(NULL, " ", &save))
		return false;
	mode = strtok_r(NULL, " ", &save);
	word = strtok_r(NULL, " ", &save);
	if (!mode || !word)
		return false;
	pid = strtol(word, NULL, 10);
	word = strtok_r(NULL, " ", &save);
	if (!word || sscanf(word, "%x:%x:%" SCNu64, &line->major, &line->minor,
			    &line->inode) != 3)
		return false;
	line->shared = strcmp(mode, "READ") == 0;
	line->pid = pid > 0 ? (pid_t)pid : 0;
	return true;
}

/* In pieces: a waiter wants the first line only, and there may be hundreds. */
void flock_lines(flock_line_seen *seen, void *context)
{
	int fd = open("/proc/locks", O_RDONLY | O_CLOEXEC);
	char chunk[4096];
	size_t have = 0;
	bool more = fd >= 0;

	while (more) {
		ssize_t n = read(fd, chunk + have, sizeof(chunk) - 1 - have);
		char *line = chunk;
		char *end;

		if (n <= 0)
			break;
		have += (size_t)n;
		chunk[have] = '\0';
		while (more && (end = strchr(line, '\n')) != NULL) {
			struct flock_line parsed;

			*end = '\0';
			if (parse_line(&parsed, line))
				more = seen(context, &parsed);
			line = end + 1;
		}
		have -= (size_t)(line - chunk);
		memmove(chunk, line, have);
		if (have == sizeof(chunk) - 1)
			have = 0; /* no line is so long */
	}
	if (fd >= 0)
		(void)close(fd);
}

dev_t flock_device(const char *path, dev_t otherwise)
{
	FILE *table = NULL;
	char line[4096];
	struct statx st;
	unsigned major, minor;
	unsigned long long id;

	if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &st) == 0 &&
	    (st.stx_mask & STATX_MNT_ID) != 0)
		table = fopen("/proc/self/mountinfo", "re");
	while (table && fgets(line, sizeof(line), table)) {
		if (sscanf(line, "%llu %*u %u:%u", &id, &major, &minor) == 3 &&
		    id == st.stx_mnt_id) {
			otherwise = makedev(major, minor);
			break;
		}
	}
	if (table)
		(void)fclose(table);
	return otherwise;
}

struct search {
	dev_t dev; /* as /proc/locks has it */
	ino_t ino;
	pid_t pid;
};

static bool see_holder(void *context, const struct flock_line *line)
{
	struct search *s = context;

	if (line->waiting || line->inode != s->ino ||
	    line->major != major(s->dev) || line->minor != minor(s->dev))
		return true;
	s->pid = line->pid;
	return false;
}

pid_t flock_holder(const char *path)
{
	struct search s = { 0 };
	struct stat st;
	dev_t of_mount;

	if (lstat(path, &st) < 0)
		return 0;
	s.dev = st.st_dev;
	s.ino = st.st_ino;
	flock_lines(see_holder, &s);
	of_mount = flock_device(path, st.st_dev);
	if (s.pid != 0 || of_mount == st.st_dev)
		return s.pid;
	s.dev = of_mount;
	flock_lines(see_holder, &s);
	return s.pid;
}
