/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two clocks that must never be mixed, kept apart by type.
 *
 * struct boot (CLOCK_BOOTTIME) counts suspend and takes no steps: every
 * deadline is one. struct wall (CLOCK_REALTIME) only enters and leaves files
 * and messages. Spans are nsec. All functions are async-signal-safe.
 */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef int64_t nsec;

#define NSEC_PER_USEC ((nsec)1000)
#define NSEC_PER_MSEC ((nsec)1000 * 1000)
#define NSEC_PER_SEC ((nsec)1000 * 1000 * 1000)

/* "Never" and "without end"; far enough from overflow to add spans to. */
#define NSEC_FOREVER ((nsec)INT64_MAX / 4)

struct boot {
	nsec ns;
};

struct wall {
	nsec ns; /* since 1970, UTC */
};

#define BOOT_NEVER ((struct boot){ NSEC_FOREVER })

struct boot boot_now(void);
struct wall wall_now(void);

/* a + span, held at BOOT_NEVER: adding to "never" stays "never". */
struct boot boot_add(struct boot a, nsec span);

/* How long from a to b; negative if b came first. */
nsec boot_until(struct boot a, struct boot b);

bool boot_reached(struct boot now, struct boot deadline);
struct boot boot_min(struct boot a, struct boot b);

#endif
