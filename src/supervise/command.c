/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char prefix[] = "REPOLOCK_HELD_";

enum variable { LOCATION, NAME, MODE, PID, ID, FENCE, VARIABLES };

/* How the environment's strings are built, before anything is forked. */
static char *add_variable(char *to, char **slot, const char *name,
			  const char *value)
{
	*slot = to;
	to = stpcpy(stpcpy(to, prefix), name);
	*to++ = '=';
	return stpcpy(to, value) + 1;
}

static size_t copy_environment(char **to)
{
	size_t n = 0;

	for (char **from = environ; from && *from; from++)
		if (strncmp(*from, prefix, sizeof(prefix) - 1) != 0)
			to[n++] = *from;
	return n;
}

enum rc command_prepare(struct command *c, const struct plan *plan,
			const struct caller *caller, struct board *board,
			pid_t front, struct err *e)
{
	const char *location = plan->wish.location->shown;
	const char *name = plan->wish.name ? plan->wish.name : "";
	size_t count = 0, n;
	char digits[16];
	char *to;

	*c = (struct command){ .argv = plan->argv,
			       .path = plan->path,
			       .caller = *caller,
			       .board = board,
			       .go_fd = -1 };
	for (char **from = environ; from && *from; from++)
		count++;
	c->environment = calloc(count + VARIABLES + 1, sizeof(char *));
	c->strings = malloc(strlen(location) + strlen(name) + 4 * 64);
	if (!c->environment || !c->strings)
		return err_sys(e, RC_FAILED, ENOMEM, "environment");
	(void)snprintf(digits, sizeof(digits), "%d", (int)front);
	n = copy_environment(c->environment);
	to = add_variable(c->strings, &c->environment[n++], "LOCATION", location);
	if (name[0])
		to = add_variable(to, &c->environment[n++], "NAME", name);
	to = add_variable(to, &c->environment[n++], "MODE",
			  lock_mode_word(plan->wish.mode));
	(void)add_variable(to, &c->environment[n++], "PID", digits);
	c->environment[n++] = board->id;
	c->environment[n++] = board->fence;
	return RC_OK;
}

void command_tell_lock(struct command *c, const struct lock_info *mine)
{
	(void)snprintf(c->board->id, sizeof(c->board->id), "%sID=%s", prefix,
		       mine->token[0] ? mine->token : mine->id);
	c->board->fence[0] = '\0';
	if (mine->fence != 0)
		(void)snprintf(c->board->fence, sizeof(c->board->fence),
			       "%sFENCE=%llu", prefix,
			       (unsigned long long)mine->fence);
}

/* As execvp does with a script without "#!". */
static void execute_by_shell(const struct command *c)
{
	size_t n = 0;
	char **argv;

	while (c->argv[n])
		n++;
	argv = calloc(n + 3, sizeof(char *));
	if (!argv)
		return;
	argv[0] = strdup("/bin/sh");
	argv[1] = strdup(c->path);
	for (size_t i = 1; i < n; i++)
		argv[i + 1] = c->argv[i];
	(void)execve(argv[0], argv, c->environment);
}

static void restore_signals(const struct caller *caller)
{
	(void)sigaction(SIGCHLD, &caller->chld, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &caller->mask, NULL);
}

/* The child of command_fork, until it is the command. */
static _Noreturn void gate(const struct command *c, int wait_fd, pid_t keeper)
{
	struct boot guard;
	char go;
	ssize_t n;

	/* For the case that front and keeper are killed together. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper)
		_exit(125);
	do
		n = read(wait_fd, &go, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(0);
	/* Who said "go" may have been stopped in the middle of it, and we
	 * behind it. */
	guard.ns = atomic_load(&c->board->guard);
	if (boot_reached(boot_now(), guard))
		_exit(125);
	if (c->board->fence[0] == '\0')
		for (char **e = c->environment; *e; e++)
			if (*e == c->board->fence)
				*e = NULL; /* the last one */
	restore_signals(&c->caller);
	(void)execve(c->path, c->argv, c->environment);
	if (errno == ENOEXEC)
		execute_by_shell(c);
	atomic_store(&c->board->exec_errno, errno);
	_exit(errno == ENOENT ? 127 : 126);
}

enum rc command_fork(struct command *c, struct err *e)
{
	pid_t keeper = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, RC_FAILED, errno, "pipe");
	c->pid = fork();
	if (c->pid == 0) {
		(void)close(ends[1]);
		gate(c, ends[0], keeper);
	}
	(void)close(ends[0]);
	if (c->pid < 0) {
		int failed = errno;

		(void)close(ends[1]);
		return err_sys(e, RC_FAILED, failed, "fork");
	}
	c->go_fd = ends[1];
	return RC_OK;
}

void command_go(struct command *c)
{
	/* If it is gone, its end tells. */
	ssize_t n = write(c->go_fd, "g", 1);

	(void)n;
	command_drop(c);
}

void command_drop(struct command *c)
{
	if (c->go_fd >= 0)
		(void)close(c->go_fd);
	c->go_fd = -1;
}
