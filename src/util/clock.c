/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/clock.h"

#include <time.h>

static nsec now_on(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (nsec)t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

struct boot boot_now(void)
{
	return (struct boot){ now_on(CLOCK_BOOTTIME) };
}

struct wall wall_now(void)
{
	return (struct wall){ now_on(CLOCK_REALTIME) };
}

struct boot boot_add(struct boot a, nsec span)
{
	if (a.ns >= NSEC_FOREVER || span >= NSEC_FOREVER)
		return BOOT_NEVER;
	return (struct boot){ a.ns + span };
}

nsec boot_until(struct boot a, struct boot b)
{
	return b.ns - a.ns;
}

bool boot_reached(struct boot now, struct boot deadline)
{
	return now.ns >= deadline.ns;
}

struct boot boot_min(struct boot a, struct boot b)
{
	return a.ns < b.ns ? a : b;
}
