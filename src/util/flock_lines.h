/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel tells of the flocks of this host: /proc/locks. Does not
 * block; where it cannot be read there are none.
 */
#ifndef UTIL_FLOCK_LINES_H
#define UTIL_FLOCK_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct flock_line {
	bool waiting;
	bool shared;
	pid_t pid; /* that called flock(2); 0: not to be seen from our PID
	              namespace */
	unsigned major, minor;
	uint64_t inode;
};

/* False: enough. */
typedef bool flock_line_seen(void *context, const struct flock_line *line);

/* Every flock of this host, as long as seen() wants more. */
void flock_lines(flock_line_seen *seen, void *context);

/*
 * The device that /proc/locks shows for a file: the file system's own, which
 * for btrfs and the like is not the one that stat tells. Found through the
 * mount table; unchanged if it cannot be.
 */
dev_t flock_device(const char *path, dev_t otherwise);

/* Who has the lock of this file, or one of those who share it; 0: nobody that
 * can be seen. */
pid_t flock_holder(const char *path);

#endif
