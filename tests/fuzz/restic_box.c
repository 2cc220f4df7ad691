/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz.h"

#include "lock/restic_crypto.h"
#include "lock/restic_record.h"

/* What is inside a sealed box: JSON or zstd, by the repository's version. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int version = 1; version <= 2; version++) {
		struct restic_record record;
		struct err e = { 0 };
		struct buf json;

		buf_init(&json, RESTIC_PLAIN_MAX);
		if (restic_inner_decode(version, data, size, &json, &e) == RC_OK) {
			assert(json.len <= RESTIC_PLAIN_MAX);
			(void)restic_record_parse(&record, buf_text(&json),
						  json.len, &e);
		} else {
			assert(e.text[0]);
		}
		buf_release(&json);
	}
	return 0;
}
