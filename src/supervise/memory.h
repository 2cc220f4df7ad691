/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that a process which only waits does without. All functions are
 * async-signal-safe.
 */
#ifndef SUPERVISE_MEMORY_H
#define SUPERVISE_MEMORY_H

#include <stdint.h>

/*
 * Give back the pages of the program below an address in it: what was needed
 * to load it and to understand the command line, which the linker puts first.
 * Unmodified, they are read again from the file should they be needed.
 */
void memory_give_back(uintptr_t below);

/* Keep what is there in memory, and what comes. It may be denied
 * (RLIMIT_MEMLOCK), which leaves us as good as most programs. */
void memory_stay(void);

#endif
