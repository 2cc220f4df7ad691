/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal of a torture run: what the driver, the commands and the checker
 * share. It lies on a file system of its own kind, never at the tortured
 * place, and nothing of repolock is used to write it.
 *
 * A record is one line, written by one write(2) to a descriptor with O_APPEND,
 * so that the order of lines is the order of what happened:
 *
 *     NANOSECONDS CONTENDER PID WHAT [WORD=VALUE...]
 *
 * NANOSECONDS are CLOCK_BOOTTIME of the machine, also when written within a
 * time namespace. CONTENDER is a number from 1 up, 0 for the run as a whole.
 */
#ifndef TORTURE_JOURNAL_H
#define TORTURE_JOURNAL_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

static const int64_t SECOND = 1000000000;
static const int64_t MILLISECOND = 1000000;

/* How far CLOCK_BOOTTIME of this time namespace is ahead of the machine's.
 * Read anew by whoever enters another one. */
static int64_t clock_offset;

static UNUSED void clock_correct(void)
{
	FILE *f = fopen("/proc/self/timens_offsets", "re");
	char name[32];
	long long seconds, nanoseconds;

	clock_offset = 0;
	while (f && fscanf(f, "%31s %lld %lld", name, &seconds, &nanoseconds) == 3)
		if (strcmp(name, "boottime") == 0)
			clock_offset = seconds * SECOND + nanoseconds;
	if (f)
		(void)fclose(f);
}

static UNUSED int64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * SECOND + t.tv_nsec - clock_offset;
}

static UNUSED void pause_until(int64_t when)
{
	int64_t left = when - now();
	struct timespec t = { .tv_sec = left / SECOND, .tv_nsec = left % SECOND };

	if (left > 0)
		(void)nanosleep(&t, NULL);
}

static int journal_fd = -1;

static UNUSED bool journal_open(const char *path)
{
	journal_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	return journal_fd >= 0;
}

static UNUSED __attribute__((format(printf, 2, 3))) void
record(int contender, const char *format, ...)
{
	char line[1024];
	int head = snprintf(line, sizeof(line), "%lld %d %d ", (long long)now(),
			    contender, (int)getpid());
	int len;
	va_list args;

	va_start(args, format);
	len = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format,
			args);
	va_end(args);
	if (len < 0)
		return;
	if (len > (int)sizeof(line) - head - 2)
		len = (int)sizeof(line) - head - 2;
	line[head + len] = '\n';
	/* Full or gone: there is nobody to be told. */
	(void)!write(journal_fd, line, (size_t)(head + len + 1));
}

/* --- chance: the same numbers from the same seed ------------------------ */

struct chance {
	uint64_t state;
};

static UNUSED uint64_t chance_next(struct chance *c)
{
	uint64_t z = c->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* One stream for each number, so that nothing drawn for one contender changes
 * what is drawn for the next. */
static UNUSED struct chance chance_of(uint64_t seed, uint64_t number)
{
	struct chance c = { seed * 0x2545f4914f6cdd1d + number };

	c.state = chance_next(&c);
	return c;
}

/* From low to high, both included. */
static UNUSED int chance_in(struct chance *c, int low, int high)
{
	return low + (int)(chance_next(c) % (uint64_t)(high - low + 1));
}

static UNUSED bool chance_percent(struct chance *c, int percent)
{
	return chance_in(c, 0, 99) < percent;
}

#endif
