/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the benchmark programs share: the list of contestants given on the
 * command line, starting and ending processes, order statistics, and the
 * meeting place of harness and the commands that hold or wait.
 *
 * Contestants are words ended by ";":
 *
 *     LABEL KIND PATH WORD... ;
 *
 * WORD... is the command line to which the harness appends the command to be
 * run under the lock. KIND and PATH say how a waiter is seen to be in line:
 * "lock FILE" by the kernel's list of locks, "queue DIR" by its place in a
 * lease's queue, "after MS" not at all, but it had that many milliseconds.
 * The first contestant is what the others are compared with.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { MAX_CONTESTANTS = 16, MAX_WORDS = 32 };

struct contestant {
	const char *label;
	const char *kind;
	const char *path;
	char *words[MAX_WORDS + 4]; /* room for what is appended */
	int count;
};

/* Written by the holding and the waiting command, through a shared mapping:
 * nothing but a store lies between the clock and the end. */
struct stamps {
	long held_until;
	long entered;
};

struct meeting {
	const char *dir;
	int ready; /* the holder writes when it runs */
	int go;    /* and ends when it can read */
	volatile struct stamps *stamps;
	char command[4096]; /* the program hold */
};

__attribute__((noreturn, format(printf, 1, 2))) static inline void
die(const char *format, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* Nanoseconds of CLOCK_MONOTONIC, which all processes of a host share. */
static inline long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static inline void pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static inline int number(const char *word)
{
	char *end;
	long n = strtol(word, &end, 10);

	if (*end || end == word || n < 1 || n > 1000000)
		die("'%s' is not a count", word);
	return (int)n;
}

static inline int contestants(struct contestant *list, char **words)
{
	int n = 0;

	while (*words) {
		struct contestant *c = &list[n++];

		if (n > MAX_CONTESTANTS)
			die("more than %d contestants", MAX_CONTESTANTS);
		memset(c, 0, sizeof(*c));
		for (int i = 0; i < 3; i++)
			if (!words[i] || !strcmp(words[i], ";"))
				die("a contestant needs LABEL KIND PATH WORD...");
		c->label = words[0];
		c->kind = words[1];
		c->path = words[2];
		for (words += 3; *words && strcmp(*words, ";"); words++) {
			if (c->count == MAX_WORDS)
				die("%s: too many words", c->label);
			c->words[c->count++] = *words;
		}
		if (*words)
			words++;
	}
	if (!n)
		die("no contestants");
	return n;
}

/* The words of c and those given after them, in a process of its own whose
 * output other than errors is dropped. */
static inline pid_t start(struct contestant *c, const char *a, const char *b,
			  const char *d)
{
	posix_spawn_file_actions_t files;
	const char *more[] = { a, b, d };
	pid_t pid;
	int at = c->count;
	int rc;

	for (size_t i = 0; i < 3 && more[i]; i++)
		c->words[at++] = (char *)(size_t)more[i];
	c->words[at] = NULL;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	rc = posix_spawnp(&pid, c->words[0], &files, NULL, c->words, environ);
	posix_spawn_file_actions_destroy(&files);
	if (rc)
		die("%s: %s", c->words[0], strerror(rc));
	return pid;
}

/* Waits for the end, which must be a success. */
static inline void finish(const struct contestant *c, pid_t pid,
			  struct rusage *use)
{
	int status;

	while (wait4(pid, &status, 0, use) < 0)
		if (errno != EINTR)
			die("wait4: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("%s: %s %d", c->label,
		    WIFEXITED(status) ? "exit status" : "signal",
		    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static inline void meet(struct meeting *m, const char *dir)
{
	char path[4096];
	ssize_t len;
	int fd;

	m->dir = dir;
	(void)snprintf(path, sizeof(path), "%s/ready", dir);
	if ((mkfifo(path, 0600) < 0 && errno != EEXIST) ||
	    (m->ready = open(path, O_RDWR | O_CLOEXEC)) < 0)
		die("%s: %s", path, strerror(errno));
	(void)snprintf(path, sizeof(path), "%s/go", dir);
	if ((mkfifo(path, 0600) < 0 && errno != EEXIST) ||
	    (m->go = open(path, O_RDWR | O_CLOEXEC)) < 0)
		die("%s: %s", path, strerror(errno));
	(void)snprintf(path, sizeof(path), "%s/stamps", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(struct stamps)) < 0)
		die("%s: %s", path, strerror(errno));
	m->stamps = mmap(NULL, sizeof(struct stamps), PROT_READ | PROT_WRITE,
			 MAP_SHARED, fd, 0);
	if (m->stamps == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	close(fd);

	/* The program hold lies beside this one. */
	len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (len < 0)
		die("/proc/self/exe: %s", strerror(errno));
	path[len] = '\0';
	*strrchr(path, '/') = '\0';
	if (snprintf(m->command, sizeof(m->command), "%s/hold", path) >=
	    (int)sizeof(m->command))
		die("%s: too long", path);
}

/* The lock is held and a command runs under it, until let_go. */
static inline pid_t hold(const struct meeting *m, struct contestant *c)
{
	pid_t pid = start(c, m->command, "hold", m->dir);
	struct pollfd ready = { .fd = m->ready, .events = POLLIN };
	char byte;

	while (poll(&ready, 1, 100) == 0)
		if (waitpid(pid, NULL, WNOHANG) == pid)
			die("%s: ended without holding", c->label);
	if (read(m->ready, &byte, 1) != 1)
		die("ready: %s", strerror(errno));
	return pid;
}

static inline void let_go(const struct meeting *m)
{
	if (write(m->go, "g", 1) != 1)
		die("go: %s", strerror(errno));
}

/* How many wait for a kernel lock on the file. */
static inline int waiting_for_lock(const char *path)
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[256];
	char inode[32];
	struct stat st;
	int n = 0;

	if (!locks || stat(path, &st) < 0)
		die("%s: %s", path, strerror(errno));
	(void)snprintf(inode, sizeof(inode), ":%lu ", (unsigned long)st.st_ino);
	while (fgets(line, sizeof(line), locks))
		n += strstr(line, "->") && strstr(line, inode);
	fclose(locks);
	return n;
}

/* How many places there are in the queue of the lease in a directory. */
static inline int waiting_in_queue(const char *path)
{
	char name[4096];
	struct dirent *entry;
	DIR *dir;
	int n = 0;

	(void)snprintf(name, sizeof(name), "%s/.repolock/default", path);
	dir = opendir(name);
	if (!dir)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		n += !strncmp(entry->d_name, "q.", 2);
	closedir(dir);
	return n;
}

/* Until that many wait for the contestant's lock. */
static inline void until_waiting(const struct contestant *c, int wanted)
{
	long give_up = now() + 120 * 1000000000L;
	int n = 0;

	if (!strcmp(c->kind, "after")) {
		pause_ms(number(c->path));
		return;
	}
	while (now() < give_up) {
		n = !strcmp(c->kind, "lock") ? waiting_for_lock(c->path)
					     : waiting_in_queue(c->path);
		if (n >= wanted) {
			/* From being in line to being asleep. */
			pause_ms(20);
			return;
		}
		pause_ms(2);
	}
	die("%s: %d of %d came to wait", c->label, n, wanted);
}

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts. */
static inline double percentile(double *values, int n, int percent)
{
	qsort(values, (size_t)n, sizeof(*values), by_value);
	return values[(n - 1) * percent / 100];
}

static inline double *array(int n)
{
	double *values = calloc((size_t)n, sizeof(*values));

	if (!values)
		die("out of memory");
	return values;
}

#endif
