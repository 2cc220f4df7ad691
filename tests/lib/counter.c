/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counter NAME: notes every signal that it gets, none merged with another by
 * anything but the kernel: one line each ("TERM") in $T/NAME.signals, written
 * by the handler. Tells its pid in $T/NAME.pid and that it has begun in
 * $T/NAME.inside; ends with 0 when $T/NAME.end is there. A shell's trap would
 * count two that come close together as one.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int record;

static const struct counted {
	int number;
	const char *line;
} counted[] = {
	{ SIGTERM, "TERM\n" },   { SIGINT, "INT\n" },   { SIGHUP, "HUP\n" },
	{ SIGQUIT, "QUIT\n" },   { SIGUSR1, "USR1\n" }, { SIGUSR2, "USR2\n" },
	{ SIGWINCH, "WINCH\n" },
};

static void note(int number)
{
	for (size_t i = 0; i < sizeof counted / sizeof *counted; i++)
		if (counted[i].number == number &&
		    write(record, counted[i].line, strlen(counted[i].line)) < 0)
			_exit(1);
}

static int create(const char *name, const char *suffix)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s.%s", getenv("T"), name, suffix);
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

int main(int argc, char **argv)
{
	char end[4096];
	int fd;

	if (argc != 2 || getenv("T") == NULL)
		return 2;
	record = create(argv[1], "signals");
	fd = create(argv[1], "pid");
	if (record < 0 || fd < 0)
		return 2;
	for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
		struct sigaction act = { .sa_handler = note };

		sigfillset(&act.sa_mask);
		sigaction(counted[i].number, &act, NULL);
	}
	dprintf(fd, "%d\n", (int)getpid());
	close(create(argv[1], "inside"));
	snprintf(end, sizeof end, "%s/%s.end", getenv("T"), argv[1]);
	while (access(end, F_OK) != 0)
		(void)poll(NULL, 0, 20);
	return 0;
}
