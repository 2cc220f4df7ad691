/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz.h"

#include "lock/borg.h"

/* What was understood is written as something that means the same, up to the
 * milliseconds of its time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct borg2_record r, again;
	struct err e = { 0 };
	struct buf text;
	enum rc rc = borg2_parse(&r, (const char *)data, size, &e);

	if (rc != RC_OK) {
		assert(rc == RC_MALFORMED && e.text[0]);
		return 0;
	}
	buf_init(&text, 1 << 16);
	assert(borg2_format(&r, &text, &e) == RC_OK);
	assert(borg2_parse(&again, buf_text(&text), text.len, &e) == RC_OK);
	assert(borg_owner_same(&r.owner, &again.owner));
	assert(r.exclusive == again.exclusive);
	assert(r.time.ns - again.time.ns < NSEC_PER_MSEC &&
	       again.time.ns - r.time.ns < NSEC_PER_MSEC);
	buf_release(&text);
	return 0;
}
