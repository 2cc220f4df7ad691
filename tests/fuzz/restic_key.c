/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz.h"

#include "lock/restic_key.h"

/* A key file, or what was sealed in one, or a config: whatever is taken for
 * one holds together. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	struct restic_budget budget = restic_budget_whole();
	struct restic_config config = { 0 };
	struct restic_key_file key;
	struct restic_keys keys;
	struct err e = { 0 };

	if (restic_key_parse(&key, text, size, &e) == RC_OK) {
		assert(key.box_len >= RESTIC_BOX_OVERHEAD);
		assert(key.box_len <= sizeof(key.box));
		if (restic_kdf_check(&key.kdf, &budget, &e) == RC_OK) {
			assert(key.kdf.n * key.kdf.r <= 1 << 21);
			assert((key.kdf.n & (key.kdf.n - 1)) == 0);
		}
	} else {
		assert(e.text[0]);
	}
	(void)restic_master_parse(&keys, text, size, &e);
	if (restic_config_parse(&config, text, size, &e) == RC_OK)
		assert(config.version == 1 || config.version == 2);
	free(text);
	return 0;
}
