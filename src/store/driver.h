/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What store.c knows of the drivers: how each is opened. Nobody else
 * includes this; protocols see store.h only.
 */
#ifndef STORE_DRIVER_H
#define STORE_DRIVER_H

#include "store/store.h"

/* A directory of this host's file systems, which must exist. */
enum rc dir_open(struct store **s, const char *path,
		 const struct store_manners *manners, struct err *e);

/*
 * What is known of a FUSE: does it answer listings from a cache of its own
 * writes, so that they prove nothing? `type` and `source` as in
 * /proc/self/mountinfo ("fuse.rclone", "remote:dir").
 */
enum fuse_fit {
	FUSE_FIT,
	FUSE_UNFIT, /* no lock can be taken there */
	FUSE_UNKNOWN
};
enum fuse_fit fuse_fit(const char *type, const char *source);

/* What an open directory is mounted as. False: it could not be found. */
bool mount_of(int fd, char *type, size_t type_size, char *source,
	      size_t source_size);

/* A store that logs each call to `inner`, which it takes and closes. NULL: no
 * memory, and inner is still the caller's. */
struct store *trace_wrap(struct store *inner);

#endif
