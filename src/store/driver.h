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

/* A store that logs each call to `inner`, which it takes and closes. NULL: no
 * memory, and inner is still the caller's. */
struct store *trace_wrap(struct store *inner);

#endif
