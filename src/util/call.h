/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The leash: every call that may wait is given one and passes it down to
 * whoever polls. A system call that hangs in the kernel (a dead NFS mount)
 * cannot honour it; no caller depends on its being honoured.
 */
#ifndef UTIL_CALL_H
#define UTIL_CALL_H

#include <stddef.h>

#include "util/clock.h"
#include "util/err.h"

struct call {
	struct boot give_up; /* BOOT_NEVER: no limit */
	int cancel_fd;       /* readable: stop waiting now; -1: none.
	                        Never read from, only polled. */
};

/* No limit, no cancelling: for programs that are one thread and die by ^C. */
#define CALL_UNLIMITED ((struct call){ BOOT_NEVER, -1 })

/* Time left; 0 when it is over, NSEC_FOREVER when there is no limit. */
nsec call_left(const struct call *call);

/* RC_OK, RC_CANCELLED, or RC_RETRY when the time is over. Does not block. */
enum rc call_check(const struct call *call, struct err *e);

/*
 * Wait until fd (or -1) is readable, for span at most. RC_OK: readable;
 * RC_ABSENT: span is over; else as call_check.
 */
enum rc call_wait(const struct call *call, int fd, nsec span, struct err *e);

/* The same for any of `count` descriptors, CALL_FDS_MAX at most. */
enum { CALL_FDS_MAX = 4 };
enum rc call_wait_any(const struct call *call, const int *fds, size_t count,
		      nsec span, struct err *e);

/* Sleep for span. RC_OK when it passed, else as call_check. */
enum rc call_pause(const struct call *call, nsec span, struct err *e);

#endif
