/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DURATION as users write it: "90", "90s", "1.5m", "2h", "1d", "1h30m",
 * "250ms"; a bare number is seconds. And back, for people.
 */
#ifndef UTIL_DURATION_H
#define UTIL_DURATION_H

#include <stddef.h>

#include "util/clock.h"
#include "util/err.h"

/* RC_MALFORMED names what is wrong with text (empty, unit, sign, overflow). */
enum rc duration_parse(nsec *span, const char *text, struct err *e);

/* "45s", "5m12s", "3h04m", "2d03h": at most two units, for messages. */
void duration_show(char *out, size_t size, nsec span);

#endif
