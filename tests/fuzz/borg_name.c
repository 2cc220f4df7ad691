/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz.h"

#include "lock/borg.h"

/* Whatever is understood is written as something that is understood alike. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size), again[BORG1_NAME_MAX + 1];
	struct borg_owner owner, other;
	struct err e;

	(void)borg2_name_is_valid(text);
	if (borg1_name_parse(&owner, text)) {
		struct lock_info info = { 0 };

		assert(owner.pid >= 0);
		borg_info_owner(&info, &owner);
		if (borg1_name_format(again, &owner, &e) == RC_OK) {
			assert(borg1_name_parse(&other, again));
			assert(borg_owner_same(&owner, &other));
		}
	}
	free(text);
	return 0;
}
