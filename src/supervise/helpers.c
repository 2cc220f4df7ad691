/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	AT_ONCE = 8,           /* programs; one is what a keeper needs today */
	WORDS_MAX = 4096,      /* of a command line; execve takes more */
	REQUEST_MAX = 1 << 16, /* its bytes; a pipe's worth */
	END_TURNS = 1000       /* of a millisecond, for programs to be killed */
};

/* --- the process itself ------------------------------------------------ */

struct running {
	pid_t pid; /* 0: none */
	int end;   /* to who asked; -1: that one has hung up */
};

struct server {
	int sock, signals;
	struct running running[AT_ONCE];
	char request[REQUEST_MAX];
	char *argv[WORDS_MAX + 1];
};

static void answer(int end, int sys, int status)
{
	struct program_word word = { sys, status };

	(void)send(end, &word, sizeof(word), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The words of a request, each with its NUL. False: it is not one. */
static bool take_apart(char *request, size_t len, char *argv[WORDS_MAX + 1])
{
	size_t n = 0;

	if (len == 0 || request[len - 1] != '\0')
		return false;
	for (char *at = request; at < request + len; at += strlen(at) + 1) {
		if (n == WORDS_MAX)
			return false;
		argv[n++] = at;
	}
	argv[n] = NULL;
	return true;
}

static void start(struct server *s, size_t len, int out, int end)
{
	struct running *free = NULL;
	int sys = EAGAIN;

	for (int i = 0; i < AT_ONCE && free == NULL; i++)
		if (s->running[i].pid == 0)
			free = &s->running[i];
	if (free != NULL)
		sys = take_apart(s->request, len, s->argv)
			      ? program_spawn(&free->pid, s->argv, out)
			      : E2BIG;
	if (sys == 0) {
		free->end = end;
		return;
	}
	if (free != NULL)
		free->pid = 0;
	answer(end, sys, 0);
	(void)close(end);
}

/* False: the keeper has hung up. */
static bool serve(struct server *s)
{
	struct iovec data = { s->request, sizeof(s->request) };
	union {
		char space[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr header = { .msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control.space,
				 .msg_controllen = sizeof(control.space) };
	ssize_t len = recvmsg(s->sock, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *c;
	int fds[2];

	if (len <= 0)
		return len < 0 && (errno == EAGAIN || errno == EINTR);
	c = CMSG_FIRSTHDR(&header);
	/* No descriptor is left: they are closed, and the asker sees that. */
	if (!c || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len < CMSG_LEN(sizeof(fds)))
		return true;
	memcpy(fds, CMSG_DATA(c), sizeof(fds));
	start(s, (size_t)len, fds[0], fds[1]);
	(void)close(fds[0]);
	return true;
}

/* Ours, and what they left. */
static void reap(struct server *s)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < AT_ONCE; i++) {
			struct running *r = &s->running[i];

			if (r->pid != pid)
				continue;
			if (r->end >= 0) {
				answer(r->end, 0, status);
				(void)close(r->end);
			}
			*r = (struct running){ 0, -1 };
		}
}

/* Nobody wants to know any more. */
static void drop(struct running *r)
{
	(void)kill(r->pid, SIGKILL);
	(void)close(r->end);
	r->end = -1;
}

static bool turn(struct server *s)
{
	struct pollfd fds[2 + AT_ONCE] = { { .fd = s->sock, .events = POLLIN },
					   { .fd = s->signals,
					     .events = POLLIN } };

	for (int i = 0; i < AT_ONCE; i++)
		fds[2 + i].fd = s->running[i].pid > 0 ? s->running[i].end : -1;
	if (poll(fds, 2 + AT_ONCE, -1) < 0)
		return errno == EINTR;
	for (int i = 0; i < AT_ONCE; i++)
		if (fds[2 + i].revents)
			drop(&s->running[i]);
	if (fds[1].revents)
		reap(s);
	return !fds[0].revents || serve(s);
}

static _Noreturn void run(int sock)
{
	static struct server s;
	sigset_t all;

	(void)prctl(PR_SET_NAME, "repolock-helper", 0, 0, 0);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* A password goes through a pipe of which it has an end for a while. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)sigfillset(&all);
	s.sock = sock;
	s.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	for (int i = 0; i < AT_ONCE; i++)
		s.running[i].end = -1;
	while (s.signals >= 0 && turn(&s))
		;
	for (int i = 0; i < AT_ONCE; i++)
		if (s.running[i].pid > 0)
			(void)kill(s.running[i].pid, SIGKILL);
	_exit(0);
}

/* --- in the front ------------------------------------------------------ */

enum rc helpers_start(struct helpers *h, const int socks[2], struct err *e)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(e, RC_FAILED, errno, "socket pair");
	h->pid = fork();
	if (h->pid == 0) {
		(void)close(socks[0]);
		(void)close(socks[1]);
		(void)close(ends[0]);
		run(ends[1]);
	}
	(void)close(ends[1]);
	h->sock = ends[0];
	if (h->pid > 0)
		return RC_OK;
	h->pid = 0;
	return err_sys(e, RC_FAILED, errno, "fork");
}

void helpers_end(struct helpers *h)
{
	if (h->sock >= 0)
		(void)close(h->sock);
	h->sock = -1;
	if (h->pid == 0)
		return;
	/* Stopped, it would not end what nobody wants to know any more. */
	(void)kill(h->pid, SIGCONT);
	for (int i = 0; i < END_TURNS; i++) {
		if (waitpid(h->pid, NULL, WNOHANG) != 0) {
			h->pid = 0;
			return;
		}
		(void)poll(NULL, 0, 1);
	}
	(void)kill(h->pid, SIGKILL);
	while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
	h->pid = 0;
}

/* --- in the keeper ----------------------------------------------------- */

static int asking = -1;

void helpers_use(const struct helpers *h)
{
	asking = h->sock;
}

void helpers_dismiss(void)
{
	if (asking < 0)
		return;
	/* The gate has a copy of it. */
	(void)shutdown(asking, SHUT_RDWR);
	(void)close(asking);
	asking = -1;
}

static enum rc pack(struct buf *request, char *const argv[], struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; argv[i] && !rc; i++)
		rc = buf_add(request, argv[i], strlen(argv[i]) + 1, e);
	return rc;
}

static bool ask(const struct buf *request, int out, int end)
{
	int fds[] = { out, end };
	struct iovec data = { request->data, request->len };
	union {
		char space[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr first;
	} control = { 0 };
	struct msghdr header = { .msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };

	control.first.cmsg_level = SOL_SOCKET;
	control.first.cmsg_type = SCM_RIGHTS;
	control.first.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&control.first), fds, sizeof(fds));
	return sendmsg(asking, &header, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

/* Hand over the other ends, which are closed here then. */
static enum rc request(char *const argv[], int out, int end, struct err *e)
{
	struct buf words;
	enum rc rc;

	buf_init(&words, REQUEST_MAX);
	rc = pack(&words, argv, e);
	if (!rc && !ask(&words, out, end))
		rc = err_sys(e, RC_DENIED, errno, "%.100s: asking for it",
			     argv[0]);
	buf_release(&words);
	(void)close(out);
	(void)close(end);
	return rc;
}

enum rc helpers_run(struct program *p, char *const argv[], struct err *e)
{
	int pipes[2], socks[2];
	enum rc rc;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_sys(e, rc_of_errno(errno), errno, "a pipe");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0) {
		rc = err_sys(e, rc_of_errno(errno), errno, "socket pair");
		(void)close(pipes[0]);
		(void)close(pipes[1]);
		return rc;
	}
	*p = (struct program){ .out = pipes[0], .end = socks[0], .name = argv[0] };
	rc = request(argv, pipes[1], socks[1], e);
	if (rc) {
		(void)close(p->out);
		(void)close(p->end);
	}
	return rc;
}
