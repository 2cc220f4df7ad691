/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded: after NOMEM_AFTER allocations every further one fails. Counted
 * from each exec, and on through forks.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/* What glibc's own malloc is called beside its usual name. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static atomic_long made;

static int is_gone(void)
{
	const char *limit = getenv("NOMEM_AFTER");

	if (!limit || atomic_fetch_add(&made, 1) < strtol(limit, NULL, 10))
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return is_gone() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return is_gone() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return is_gone() ? NULL : __libc_realloc(old, size);
}
