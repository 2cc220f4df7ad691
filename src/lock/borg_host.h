/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who holds a borg lock: the host id as borg computes it, and whether the
 * process that a lock names is gone.
 *
 * borg believes that equal host ids mean one host and one set of process ids.
 * That is wrong in containers that share a host name, so here a process is
 * called dead only by somebody who can see every process of the host.
 */
#ifndef LOCK_BORG_HOST_H
#define LOCK_BORG_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "lock/liveness.h"

enum { BORG_HOST_ID_MAX = 255 };

struct borg_host {
	char id[BORG_HOST_ID_MAX + 1];
	bool random;   /* libuuid knows no hardware address here: this id will
	                  never be seen again, so equal ids prove nothing */
	bool sees_all; /* we are in the initial pid namespace */
	struct process own; /* what goes into our locks: the keeper */
	/* For judging many: forgotten at each reading; lent. NULL: each pid is
	 * looked for by itself. */
	struct liveness_inside *inside;
};

/* The one who holds a lock, as it tells itself. */
struct borg_owner {
	char host[BORG_HOST_ID_MAX + 1];
	int64_t pid;
	uint64_t thread;
};

/*
 * Fill *h: BORG_HOST_ID verbatim, else FQDN@NODE. May ask a name server and
 * uuidd, as borg does, and so take as long as they take.
 * RC_UNSUPPORTED: an id that cannot be written into a lock.
 */
enum rc borg_host_fill(struct borg_host *h, const struct self *self,
		       struct err *e);

/* The same pieces apart, for tests: FQDN@NODE from a node of six bytes, and
 * whether libuuid made that node up. RC_UNSUPPORTED: too long. */
enum rc borg_host_format(struct borg_host *h, const char *fqdn,
			 const unsigned char node[6], struct err *e);

/* What goes into our locks. */
void borg_host_own(const struct borg_host *h, struct borg_owner *own);

bool borg_owner_same(const struct borg_owner *a, const struct borg_owner *b);

/*
 * Is the owner of a lock gone? `made` is no earlier than when the lock was
 * made (its file's time); 0: not known. The lock must not be one that this
 * process holds. detail (may be NULL) gets a word for people, or "".
 */
enum lock_alive borg_host_alive(const struct borg_host *h,
				const struct borg_owner *owner,
				struct wall made, char *detail, size_t size);

#endif
