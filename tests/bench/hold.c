/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command under the lock:
 *
 *     hold hold DIR   tells that it runs, waits to be let go, and notes the
 *                     time as the last thing it does
 *     hold enter DIR  notes the time as the first thing it does
 *
 * Paths, not descriptors: not every tool hands those on.
 */
#include "bench.h"

static volatile struct stamps *map(const char *dir)
{
	char path[4096];
	void *stamps;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/stamps", dir);
	fd = open(path, O_RDWR);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	stamps = mmap(NULL, sizeof(struct stamps), PROT_READ | PROT_WRITE,
		      MAP_SHARED, fd, 0);
	if (stamps == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	return stamps;
}

static int open_in(const char *dir, const char *name, int flags)
{
	char path[4096];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

int main(int argc, char **argv)
{
	long entered = now();
	volatile struct stamps *stamps;
	int ready;
	int go;
	char byte;

	if (argc != 3)
		die("usage: hold hold|enter DIR");
	stamps = map(argv[2]);
	if (!strcmp(argv[1], "enter")) {
		stamps->entered = entered;
		return 0;
	}
	ready = open_in(argv[2], "ready", O_WRONLY);
	go = open_in(argv[2], "go", O_RDONLY);
	if (write(ready, "r", 1) != 1 || read(go, &byte, 1) != 1)
		die("%s: %s", argv[2], strerror(errno));
	stamps->held_until = now();
	_exit(0);
}
