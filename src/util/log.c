/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "util/text.h"

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
	char raw[1024], line[2 * sizeof(raw)];
	struct text t = text_begin(line, sizeof(line) - 1);
	int saved = errno;
	va_list args;

	if (!log_debug_enabled())
		return;
	va_start(args, format);
	(void)vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	text_add(&t, "repolock: debug: ");
	text_add_printable(&t, raw);
	line[t.len] = '\n';
	/* A trace that cannot be written must not change what is traced. */
	(void)!write(STDERR_FILENO, line, t.len + 1);
	errno = saved;
}
