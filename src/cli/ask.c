/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "util/text.h"

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
enum { ENDING = sizeof(ending) / sizeof(ending[0]) };

static volatile sig_atomic_t caught;

static void note_signal(int number)
{
	caught = number;
}

/* How signals were before a question. */
struct manners {
	struct sigaction actions[ENDING];
	sigset_t mask;
};

/*
 * Without SA_RESTART: the read comes back, so that echo can be put on again
 * before the signal has its way. What is ignored stays so. The keeper has them
 * all blocked and would not hear of a Ctrl-C.
 */
static void catch_signals(struct manners *before)
{
	struct sigaction action = { .sa_handler = note_signal };
	sigset_t open;

	caught = 0;
	(void)sigemptyset(&open);
	for (size_t i = 0; i < ENDING; i++) {
		(void)sigaction(ending[i], NULL, &before->actions[i]);
		if (before->actions[i].sa_handler != SIG_IGN)
			(void)sigaction(ending[i], &action, NULL);
		(void)sigaddset(&open, ending[i]);
	}
	(void)pthread_sigmask(SIG_UNBLOCK, &open, &before->mask);
}

static void let_signals(const struct manners *before)
{
	(void)pthread_sigmask(SIG_SETMASK, &before->mask, NULL);
	for (size_t i = 0; i < ENDING; i++)
		(void)sigaction(ending[i], &before->actions[i], NULL);
	if (caught)
		(void)raise(caught);
}

/* One line, without its end. False: end of file, a signal, or too long. */
static bool read_line(int fd, char *answer, size_t size)
{
	size_t len = 0;
	bool fits = true;
	char c;

	for (;;) {
		ssize_t got = read(fd, &c, 1);

		if (got < 0 && errno == EINTR && !caught)
			continue;
		if (got <= 0 && len == 0)
			return false;
		if (got <= 0 || c == '\n')
			break;
		if (len + 1 < size)
			answer[len++] = c;
		else
			fits = false;
	}
	answer[len] = '\0';
	c = '\0';
	return fits && !caught;
}

/* A process that left the terminal's session cannot name /dev/tty, but may
 * still have it open. */
static int open_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	for (int std = 0; fd < 0 && std <= 2; std++) {
		char path[64];

		if (ttyname_r(std, path, sizeof(path)) == 0)
			fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	}
	return fd;
}

static void put(int fd, const char *text)
{
	ssize_t done = write(fd, text, strlen(text));

	(void)done;
}

bool ask_secret(const char *prompt, char *answer, size_t size)
{
	struct manners before;
	struct termios usual, quiet;
	char shown[256];
	bool answered;
	int fd = open_terminal();

	if (fd < 0)
		return false;
	if (tcgetattr(fd, &usual) < 0) {
		close(fd);
		return false;
	}
	catch_signals(&before);
	quiet = usual;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	(void)tcsetattr(fd, TCSAFLUSH, &quiet);
	put(fd, text_printable(shown, sizeof(shown), prompt));
	answered = read_line(fd, answer, size);
	(void)tcsetattr(fd, TCSAFLUSH, &usual);
	put(fd, "\n");
	close(fd);
	if (!answered)
		explicit_bzero(answer, size);
	let_signals(&before);
	return answered;
}

bool ask_possible(void)
{
	return isatty(STDIN_FILENO) == 1;
}

bool ask_yes(const char *question)
{
	char answer[16] = "";

	caught = 0;
	put(STDERR_FILENO, question);
	put(STDERR_FILENO, " [y/N] ");
	return read_line(STDIN_FILENO, answer, sizeof(answer)) &&
	       (answer[0] == 'y' || answer[0] == 'Y');
}
