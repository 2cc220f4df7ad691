/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz.h"

#include "lock/restic_record.h"

/* A record that is read and written again is the same, as far as its text is
 * UTF-8 and was not cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct restic_record record, again;
	char *text = fuzz_string(data, size);
	struct err e = { 0 };
	struct buf json;

	buf_init(&json, 64 * 1024);
	if (restic_record_parse(&record, text, size, &e) == RC_OK &&
	    record.time.ns >= 0) {
		assert(restic_record_write(&record, &json, &e) == RC_OK);
		assert(restic_record_parse(&again, buf_text(&json), json.len,
					   &e) == RC_OK);
		assert(again.time.ns == record.time.ns);
		assert(again.exclusive == record.exclusive);
		assert(again.pid == record.pid && again.uid == record.uid);
		assert(!again.token[0] == !record.token[0]);
	}
	buf_release(&json);
	free(text);
	return 0;
}
