/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chain FILE MILLISECONDS [daemon|stubborn]: locks FILE by flock(2), forks, and exits.
 * Its child goes on to fork and exit for so long, each generation a moment
 * after the other, so that hardly any listing of processes shows one of them
 * that is still there when it is signalled. FILE is locked while one runs. As
 * a daemon each begins a session of its own; a stubborn one ignores SIGTERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	long end;
	const char *how;
	int fd;

	if (argc < 3)
		return 2;
	fd = open(argv[1], O_RDWR | O_CREAT, 0644);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 3;
	end = milliseconds() + strtol(argv[2], NULL, 10);
	how = argc > 3 ? argv[3] : "";
	if (strcmp(how, "stubborn") == 0)
		signal(SIGTERM, SIG_IGN);
	if (fork() > 0)
		return 0;
	while (milliseconds() < end) {
		if (fork() > 0)
			_exit(0);
		if (strcmp(how, "daemon") == 0)
			setsid();
		usleep(1000);
	}
	return 0;
}
