/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz.h"

#include "util/duration.h"

/* Whatever is accepted is a span that can be shown. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	struct err e = { 0 };
	nsec span = -1;
	char shown[64];

	if (duration_parse(&span, text, &e) == RC_OK) {
		assert(span >= 0);
		duration_show(shown, sizeof(shown), span);
		assert(shown[0]);
	} else {
		assert(e.text[0]);
	}
	free(text);
	return 0;
}
