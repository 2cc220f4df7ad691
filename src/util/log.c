/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static atomic_bool debug;

void log_enable_debug(void)
{
	atomic_store(&debug, true);
}

bool log_debug_enabled(void)
{
	return atomic_load_explicit(&debug, memory_order_relaxed);
}

void log_debug(const char *format, ...)
{
	static const char front[] = "repolock: debug: ";
	const size_t at = sizeof(front) - 1;
	char line[1024];
	int saved = errno;
	va_list args;
	size_t len;
	int n;

	if (!log_debug_enabled())
		return;
	(void)snprintf(line, sizeof(line), "%s", front);
	va_start(args, format);
	n = vsnprintf(line + at, sizeof(line) - at, format, args);
	va_end(args);
	len = n < 0 ? at : at + (size_t)n;
	if (len > sizeof(line) - 1)
		len = sizeof(line) - 1;
	line[len] = '\n';
	/* A trace that cannot be written must not change what is traced. */
	(void)!write(STDERR_FILENO, line, len + 1);
	errno = saved;
}
