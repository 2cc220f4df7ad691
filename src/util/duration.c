/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/duration.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *word;
	nsec span;
};

/* From the greatest down, which is also the order they must come in. */
static const struct unit units[] = {
	{ .word = "d", .span = 86400 * NSEC_PER_SEC },
	{ .word = "h", .span = 3600 * NSEC_PER_SEC },
	{ .word = "m", .span = 60 * NSEC_PER_SEC },
	{ .word = "s", .span = NSEC_PER_SEC },
	{ .word = "ms", .span = NSEC_PER_MSEC },
};

#define UNITS (sizeof(units) / sizeof(units[0]))

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A decimal number, as whole part and billionths. False: none, *text is where
 * a digit should be; or too much, *text is at its first digit. */
static bool take_number(const char **text, int64_t *whole, int64_t *billionths)
{
	const char *p = *text;
	int64_t worth = NSEC_PER_SEC / 10;

	*whole = 0;
	*billionths = 0;
	if (!is_digit(*p))
		return false;
	for (; is_digit(*p); p++) {
		*whole = *whole * 10 + (*p - '0');
		if (*whole >= NSEC_FOREVER / 10)
			return false;
	}
	if (*p == '.') {
		if (!is_digit(*++p)) {
			*text = p;
			return false;
		}
		for (; is_digit(*p); p++, worth /= 10)
			*billionths += (*p - '0') * worth;
	}
	*text = p;
	return true;
}

/* The unit that text begins with, taken from it; NULL: none. */
static const struct unit *take_unit(const char **text)
{
	size_t len = strcspn(*text, "0123456789");

	for (size_t i = 0; i < UNITS; i++) {
		if (strlen(units[i].word) == len &&
		    memcmp(units[i].word, *text, len) == 0) {
			*text += len;
			return &units[i];
		}
	}
	return NULL;
}

/* *sum += (whole + billionths) * unit. False: overflow. */
static bool add_part(nsec *sum, int64_t whole, int64_t billionths, nsec unit)
{
	nsec part, fraction;

	/* Divided first, as billionths * a day would overflow. */
	fraction = unit >= NSEC_PER_SEC ? billionths * (unit / NSEC_PER_SEC)
					: billionths / (NSEC_PER_SEC / unit);
	return !__builtin_mul_overflow(whole, unit, &part) &&
	       !__builtin_add_overflow(part, fraction, &part) &&
	       !__builtin_add_overflow(*sum, part, sum) && *sum < NSEC_FOREVER;
}

enum rc duration_parse(nsec *span, const char *text, struct err *e)
{
	const struct unit *last = NULL;
	const char *p = text;
	nsec sum = 0;

	if (*text == '\0')
		return err_set(e, RC_MALFORMED,
			       "empty duration; write one as 90s, 5m or 1h30m");
	if (*text == '-')
		return err_set(e, RC_MALFORMED,
			       "duration \"%.40s\" is negative", text);
	while (*p != '\0') {
		const char *number = p;
		const struct unit *unit;
		int64_t whole, billionths;

		if (!take_number(&p, &whole, &billionths))
			return err_set(e, RC_MALFORMED,
				       is_digit(*p)
					       ? "duration \"%.40s\" is too long"
					       : "duration \"%.40s\" is not a "
						 "number with a unit, as 90s, "
						 "5m or 1h30m",
				       text);
		/* A bare number is seconds; behind a unit it is a guess. */
		if (*p == '\0' && number == text)
			unit = &units[3];
		else
			unit = take_unit(&p);
		if (!unit)
			return err_set(e, RC_MALFORMED,
				       "duration \"%.40s\" has no unit that is "
				       "known; units are d, h, m, s and ms",
				       text);
		if (last && unit <= last)
			return err_set(e, RC_MALFORMED,
				       "duration \"%.40s\" has its units not "
				       "in the order d, h, m, s, ms",
				       text);
		if (!add_part(&sum, whole, billionths, unit->span))
			return err_set(e, RC_MALFORMED,
				       "duration \"%.40s\" is too long", text);
		last = unit;
	}
	*span = sum;
	return RC_OK;
}

void duration_show(char *out, size_t size, nsec span)
{
	const char *sign = span < 0 ? "-" : "";
	int64_t s;

	if (span >= NSEC_FOREVER) {
		(void)snprintf(out, size, "forever");
		return;
	}
	if (span <= -NSEC_FOREVER)
		span = -NSEC_FOREVER;
	if (span < 0)
		span = -span;
	s = span / NSEC_PER_SEC;
	if (s == 0 && span >= NSEC_PER_MSEC)
		(void)snprintf(out, size, "%s%" PRId64 "ms", sign,
			       span / NSEC_PER_MSEC);
	else if (s < 60)
		(void)snprintf(out, size, "%s%" PRId64 "s", s ? sign : "", s);
	else if (s < 3600)
		(void)snprintf(out, size, "%s%" PRId64 "m%02" PRId64 "s", sign,
			       s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(out, size, "%s%" PRId64 "h%02" PRId64 "m", sign,
			       s / 3600, s / 60 % 60);
	else
		(void)snprintf(out, size, "%s%" PRId64 "d%02" PRId64 "h", sign,
			       s / 86400, s / 3600 % 24);
}
