/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening for reading what others may have put there, perhaps as root: the
 * thing is looked at before it is opened, since opening a device may do
 * something (a watchdog reboots the machine) and opening a FIFO waits.
 */
#ifndef UTIL_FILE_H
#define UTIL_FILE_H

#include "util/err.h"

enum file_kind {
	FILE_REGULAR,
	FILE_OR_PIPE /* a pipe or FIFO as well; it is read without waiting */
};

/*
 * A file below the directory `at`: relative, plain parts, and no symbolic link
 * among them. *fd is the caller's. RC_ABSENT: there is none; RC_UNSUPPORTED:
 * it is of another kind.
 */
enum rc file_open_below(int *fd, int at, const char *path, struct err *e);

/* A file that the caller's user named: links are followed. */
enum rc file_open_named(int *fd, const char *path, enum file_kind kind,
			struct err *e);

#endif
