/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "supervise/apart.h"

static const char prefix[] = "REPOLOCK_HELD_";

/* Who executes a script without "#!". */
static char shell[] = "/bin/sh";

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

/* As execvp calls the shell. NULL: no memory. */
static char **script_arguments(const struct plan *plan)
{
	size_t n = 0;
	char **argv;

	while (plan->argv[n])
		n++;
	argv = calloc(n + 2, sizeof(char *));
	if (!argv)
		return NULL;
	argv[0] = shell;
	/* Only lent, as argv's words are. */
	argv[1] = (char *)(uintptr_t)plan->path;
	for (size_t i = 1; i < n; i++)
		argv[i + 1] = plan->argv[i];
	return argv;
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
	c->script = script_arguments(plan);
	if (!c->environment || !c->strings || !c->script)
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
	c->fence = &c->environment[n];
	*c->fence = board->fence;
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

static void restore_signals(const struct caller *caller)
{
	(void)sigaction(SIGCHLD, &caller->chld, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &caller->mask, NULL);
}

/* Returns only the number of the error. */
static int execute(const char *path, char *const *argv, char *const *environment)
{
	return -(int)apart_call(SYS_execve, (intptr_t)path, (intptr_t)argv,
				(intptr_t)environment);
}

static _Noreturn void leave(int status)
{
	for (;;)
		(void)apart_call(SYS_exit_group, status, 0, 0);
}

/* The child of command_fork, until it is the command. See apart.h for what
 * may not be called here. */
static int gate(void *command)
{
	struct command *c = command;
	struct boot guard;
	int failed;
	char go;
	long n;

	(void)apart_call(SYS_close, c->gate[1], 0, 0);
	/* For the case that front and keeper are killed together. */
	(void)apart_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
	if (apart_call(SYS_getppid, 0, 0, 0) != c->keeper)
		leave(125);
	do
		n = apart_call(SYS_read, c->gate[0], (intptr_t)&go, 1);
	while (n == -EINTR);
	if (n != 1)
		leave(0);
	/* Who said "go" may have been stopped in the middle of it, and we
	 * behind it. */
	guard.ns = atomic_load(&c->board->guard);
	if (boot_reached(boot_now(), guard))
		leave(125);
	if (c->board->fence[0] == '\0')
		*c->fence = NULL;
	restore_signals(&c->caller);
	failed = execute(c->path, c->argv, c->environment);
	if (failed == ENOEXEC)
		failed = execute(shell, c->script, c->environment);
	atomic_store(&c->board->exec_errno, failed);
	leave(failed == ENOENT ? 127 : 126);
}

/* Sharing memory where that can be. It ends with exec; only the gate uses the
 * stack, and the keeper only lives on. */
static pid_t start_gate(struct command *c, char stack[GATE_STACK])
{
	pid_t pid = -1;

	if (APART_FLAGS != 0)
		pid = clone(gate, stack + GATE_STACK, APART_FLAGS | SIGCHLD, c);
	if (pid < 0)
		pid = fork();
	if (pid == 0)
		(void)gate(c);
	return pid;
}

enum rc command_fork(struct command *c, char stack[GATE_STACK], struct err *e)
{
	int failed;

	if (pipe2(c->gate, O_CLOEXEC) < 0)
		return err_sys(e, RC_FAILED, errno, "pipe");
	c->keeper = getpid();
	c->pid = start_gate(c, stack);
	failed = errno;
	(void)close(c->gate[0]);
	if (c->pid < 0) {
		(void)close(c->gate[1]);
		return err_sys(e, RC_FAILED, failed, "fork");
	}
	c->go_fd = c->gate[1];
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
