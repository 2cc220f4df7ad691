/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pid namespace below ours, as a container has.
 */
#ifndef TESTS_CONTAINER_H
#define TESTS_CONTAINER_H

#include <stdint.h>
#include <sys/types.h>

/* The pid of a process in a new pid namespace, one that is not used outside;
 * 0: this machine lets us have none. *outer is to be killed and reaped. */
int64_t container_start(pid_t *outer);

#endif
