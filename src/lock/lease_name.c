/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/lease_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_DIGITS = 20, TTL_DIGITS = 10, SAFE_DIGITS = 19 };

bool lease_conflict(enum lock_mode a, enum lock_mode b)
{
	return a == LOCK_EXCLUSIVE || b == LOCK_EXCLUSIVE;
}

nsec lease_name_ttl(const struct lease_name *claim)
{
	return (nsec)claim->ttl_ms * NSEC_PER_MSEC;
}

static bool take_char(const char **text, char wanted)
{
	if (**text != wanted)
		return false;
	(*text)++;
	return true;
}

/* Exactly so many digits, no more than max. */
static bool take_number(const char **text, int digits, uint64_t max,
			uint64_t *number)
{
	uint64_t value = 0;

	for (int i = 0; i < digits; i++) {
		unsigned digit = (unsigned)((*text)[i] - '0');

		if (digit > 9)
			return false;
		/* Before, there are too few to overflow. */
		if (i >= SAFE_DIGITS && value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (value > max)
		return false;
	*text += digits;
	*number = value;
	return true;
}

static bool take_mode(const char **text, enum lock_mode *mode)
{
	if (take_char(text, 'x'))
		*mode = LOCK_EXCLUSIVE;
	else if (take_char(text, 's'))
		*mode = LOCK_SHARED;
	else
		return false;
	return true;
}

/* Which of a uuid's characters are dashes, as bits. */
static const uint64_t uuid_dashes = UINT64_C(1) << 8 | UINT64_C(1) << 13 |
				    UINT64_C(1) << 18 | UINT64_C(1) << 23;

/* Lower case only: a name has one spelling. */
static bool take_uuid(const char **text, char *uuid)
{
	for (int i = 0; i < LEASE_UUID_SIZE - 1; i++) {
		char c = (*text)[i];
		bool hex = (unsigned)(c - '0') <= 9 || (unsigned)(c - 'a') <= 5;

		if (uuid_dashes >> i & 1 ? c != '-' : !hex)
			return false;
	}
	memcpy(uuid, *text, LEASE_UUID_SIZE - 1);
	uuid[LEASE_UUID_SIZE - 1] = '\0';
	*text += LEASE_UUID_SIZE - 1;
	return true;
}

static bool parse_claim(struct lease_name *name, const char *text)
{
	uint64_t ttl;

	name->kind = LEASE_CLAIM;
	if (!take_mode(&text, &name->mode) || !take_char(&text, '.') ||
	    !take_number(&text, NUMBER_DIGITS, LEASE_NUMBER_MAX, &name->number) ||
	    !take_char(&text, '.') ||
	    !take_number(&text, TTL_DIGITS, UINT32_MAX, &ttl) ||
	    !take_char(&text, '.') || !take_uuid(&text, name->uuid))
		return false;
	name->ttl_ms = (uint32_t)ttl;
	name->kernel = strcmp(text, ".k") == 0;
	return *text == '\0' || name->kernel;
}

static bool parse_place(struct lease_name *name, const char *text)
{
	name->kind = LEASE_PLACE;
	return take_number(&text, NUMBER_DIGITS, LEASE_NUMBER_MAX, &name->number) &&
	       take_char(&text, '.') && take_mode(&text, &name->mode) &&
	       take_char(&text, '.') && take_uuid(&text, name->uuid) &&
	       *text == '\0';
}

static bool parse_temporary(struct lease_name *name, const char *text)
{
	name->kind = LEASE_TEMPORARY;
	return take_uuid(&text, name->uuid) && *text == '\0';
}

static bool parse_tombstone(struct lease_name *name, const char *text)
{
	name->kind = LEASE_TOMBSTONE;
	return take_number(&text, NUMBER_DIGITS, LEASE_NUMBER_MAX, &name->number) &&
	       take_char(&text, '.') && take_uuid(&text, name->uuid) &&
	       *text == '\0';
}

bool lease_name_parse(struct lease_name *name, const char *text)
{
	*name = (struct lease_name){ 0 };
	if (text[0] == '\0' || text[1] != '.')
		return false;
	switch (text[0]) {
	case 'x':
	case 's':
		return parse_claim(name, text);
	case 'q':
		return parse_place(name, text + 2);
	case 't':
		return parse_temporary(name, text + 2);
	case 'z':
		return parse_tombstone(name, text + 2);
	default:
		return false;
	}
}

static char mode_letter(enum lock_mode mode)
{
	return mode == LOCK_SHARED ? 's' : 'x';
}

void lease_name_format(char out[LEASE_NAME_SIZE], const struct lease_name *name)
{
	switch (name->kind) {
	case LEASE_CLAIM:
		(void)snprintf(out, LEASE_NAME_SIZE,
			       "%c.%020" PRIu64 ".%010" PRIu32 ".%s%s",
			       mode_letter(name->mode), name->number,
			       name->ttl_ms, name->uuid,
			       name->kernel ? ".k" : "");
		break;
	case LEASE_PLACE:
		(void)snprintf(out, LEASE_NAME_SIZE, "q.%020" PRIu64 ".%c.%s",
			       name->number, mode_letter(name->mode), name->uuid);
		break;
	case LEASE_TEMPORARY:
		(void)snprintf(out, LEASE_NAME_SIZE, "t.%s", name->uuid);
		break;
	case LEASE_TOMBSTONE:
		(void)snprintf(out, LEASE_NAME_SIZE, "z.%020" PRIu64 ".%s",
			       name->number, name->uuid);
		break;
	}
}

int lease_name_order(const struct lease_name *a, const struct lease_name *b)
{
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return strcmp(a->uuid, b->uuid);
}
