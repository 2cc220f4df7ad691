/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/text.h"

/* How long a full pipe gets to be emptied before a line is dropped. Much less
 * than any margin, since a keeper that speaks does nothing else. */
enum { PATIENCE_MSEC = 100 };

/* The longest sentence, and what becomes of one that is half escapes. */
enum { SENTENCE = 1024, LINE = 2048 };

void outlet_init(struct outlet *o, int fd)
{
	*o = (struct outlet){ .fd = fd, .own = -1 };
}

/*
 * O_NONBLOCK belongs to the open description, which we share with whoever
 * called us and with COMMAND: never set it there. A pipe or terminal can be
 * opened once more instead; a socket knows MSG_DONTWAIT; where neither goes
 * (a terminal of another user), poll first.
 */
static void outlet_prepare(struct outlet *o)
{
	char path[32];
	struct stat st;

	o->own = o->fd;
	o->way = OUTLET_POLLED;
	if (fstat(o->fd, &st) < 0 || S_ISREG(st.st_mode)) {
		o->way = OUTLET_PLAIN;
		return;
	}
	if (S_ISSOCK(st.st_mode)) {
		o->way = OUTLET_SOCKET;
		return;
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", o->fd);
	o->own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (o->own < 0)
		o->own = o->fd;
	else
		o->way = OUTLET_PLAIN;
}

static bool outlet_ready(const struct outlet *o, int msec)
{
	struct pollfd p = { .fd = o->own, .events = POLLOUT };

	return poll(&p, 1, msec) > 0 && (p.revents & POLLOUT);
}

static ssize_t outlet_try(struct outlet *o, const char *data, size_t len)
{
	if (o->way == OUTLET_SOCKET)
		return send(o->own, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (o->way == OUTLET_POLLED && !outlet_ready(o, 0)) {
		errno = EAGAIN;
		return -1;
	}
	return write(o->own, data, len);
}

/*
 * A reader that went away must not end us while a lock is held, and whether
 * SIGPIPE is ignored is the caller's and COMMAND's business: so it is held
 * back around the write, and what came of the write alone is taken away.
 */
static ssize_t outlet_try_quietly(struct outlet *o, const char *data, size_t len)
{
	static const struct timespec at_once = { 0, 0 };
	sigset_t pipe_only, before, pending;
	bool was_pending;
	ssize_t put;
	int sys;

	(void)sigemptyset(&pipe_only);
	(void)sigaddset(&pipe_only, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
	was_pending = sigpending(&pending) == 0 &&
		      sigismember(&pending, SIGPIPE) == 1;
	put = outlet_try(o, data, len);
	sys = errno;
	if (put < 0 && sys == EPIPE && !was_pending)
		(void)sigtimedwait(&pipe_only, NULL, &at_once);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = sys;
	return put;
}

bool outlet_write(struct outlet *o, const char *data, size_t len)
{
	int errno_before = errno;
	bool waited = false;

	if (o->fd < 0)
		return false;
	if (o->own < 0)
		outlet_prepare(o);
	while (len > 0) {
		ssize_t put = outlet_try_quietly(o, data, len);

		if (put > 0) {
			data += put;
			len -= (size_t)put;
			o->clogged = false;
			continue;
		}
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno != EAGAIN)
			break;
		if (waited || o->clogged || !outlet_ready(o, PATIENCE_MSEC)) {
			o->clogged = true;
			break;
		}
		waited = true;
	}
	errno = errno_before;
	return len == 0;
}

struct outlet *say_stderr(void)
{
	static struct outlet outlet = { .fd = STDERR_FILENO, .own = -1 };

	return &outlet;
}

void say(const char *format, ...)
{
	char raw[SENTENCE], line[LINE];
	struct text t = text_begin(line, sizeof(line) - 1);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	text_add(&t, "repolock: ");
	text_add_printable(&t, raw);
	line[t.len] = '\n'; /* it may be cut, but stays a line */
	(void)outlet_write(say_stderr(), line, t.len + 1);
}

void say_err(const struct err *e)
{
	say("%s", e->text);
}

void say_usage(const char *subcommand, const struct err *e)
{
	say("%s; see 'repolock%s%s --help'", e->text, *subcommand ? " " : "",
	    subcommand);
}
