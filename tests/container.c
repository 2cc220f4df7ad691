/* SPDX-License-Identifier: BSD-2-Clause */
#include "container.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int64_t container_start(pid_t *outer)
{
	char inner[32] = "";
	int pipes[2];
	int64_t pid = 0;

	ck_assert_int_eq(pipe(pipes), 0);
	*outer = fork();
	if (*outer == 0) {
		(void)dup2(pipes[1], 1);
		(void)close(pipes[0]);
		(void)execlp("unshare", "unshare", "-pf", "--kill-child", "sh",
			     "-c",
			     "echo 30123 >/proc/sys/kernel/ns_last_pid;"
			     "sleep 60 & echo $!; wait",
			     (char *)NULL);
		_exit(127);
	}
	(void)close(pipes[1]);
	if (read(pipes[0], inner, sizeof(inner) - 1) > 0)
		pid = strtoll(inner, NULL, 10);
	(void)close(pipes[0]);
	return pid > 1000 && kill((pid_t)pid, 0) != 0 ? pid : 0;
}
