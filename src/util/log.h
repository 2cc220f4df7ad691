/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Debug output ("-vv"): lines on stderr, off unless switched on. Only for
 * traces of what was asked of a store or a peer; what a user should know
 * travels as struct err or struct notice instead, and cli/ says it.
 * One write(2) a line, foreign names in it escaped; safe from any thread.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdbool.h>

void log_enable_debug(void);
bool log_debug_enabled(void);
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
