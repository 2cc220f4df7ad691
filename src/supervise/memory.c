/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/memory.h"

#include <sys/mman.h>
#include <unistd.h>

/* The linker's own name for it. NOLINTNEXTLINE(bugprone-reserved-identifier) */
extern const char __executable_start[], etext[];

void memory_give_back(uintptr_t below)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)__executable_start;

	/* What is written to lies behind the text. */
	if (below <= start || below > (uintptr_t)etext)
		return;
	(void)madvise((void *)start, (below - start) & ~(page - 1),
		      MADV_DONTNEED);
}

void memory_stay(void)
{
	(void)mlockall(MCL_CURRENT | MCL_ONFAULT);
}
