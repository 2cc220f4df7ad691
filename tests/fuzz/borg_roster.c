/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz.h"

#include "lock/borg.h"

static const struct borg_owner us = { .host = "us@1", .pid = 7 };

/* What was understood, with one of ours added, is understood again. */
static void check_edit(struct borg_roster *r)
{
	struct borg_roster again;
	struct borg_owner owner;
	struct buf text;
	struct err e;

	assert(borg_roster_add(r, LOCK_SHARED, &us, &e) == RC_OK);
	assert(borg_roster_has(r, LOCK_SHARED, &us));
	assert(!borg_roster_is_empty(r));
	buf_init(&text, 1 << 24);
	assert(borg_roster_text(r, &text, &e) == RC_OK);
	assert(borg_roster_parse(&again, buf_text(&text), text.len, &e) == RC_OK);
	assert(borg_roster_count(&again, LOCK_SHARED) ==
	       borg_roster_count(r, LOCK_SHARED));
	for (size_t i = 0; i < borg_roster_count(r, LOCK_EXCLUSIVE); i++) {
		borg_roster_at(r, LOCK_EXCLUSIVE, i, &owner);
		assert(borg_roster_has(&again, LOCK_EXCLUSIVE, &owner));
	}
	assert(borg_roster_drop(&again, LOCK_SHARED, &us));
	assert(!borg_roster_has(&again, LOCK_SHARED, &us));
	borg_roster_release(&again);
	buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct borg_roster r = { 0 };
	struct err e = { 0 };
	enum rc rc = borg_roster_parse(&r, (const char *)data, size, &e);

	assert(rc == RC_OK || (rc == RC_MALFORMED && e.text[0] && !r.top));
	if (rc == RC_OK)
		check_edit(&r);
	borg_roster_release(&r);
	return 0;
}
