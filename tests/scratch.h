/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directories for tests: one made by main() before the suites run, removed
 * after them, so that tests that fail leave nothing behind either.
 */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <stddef.h>
#include <sys/types.h>

/* A new directory, mode 0700, below `above` ("/tmp", "/dev/shm"). Ends the
 * program if there can be none. */
void scratch_make(char *out, size_t size, const char *above);

/* All of it, whatever its modes. */
void scratch_remove(const char *path);

/* A whole file of text, made or replaced. */
void scratch_write(const char *path, const char *text);

#endif
