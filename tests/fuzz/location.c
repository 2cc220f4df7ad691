/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz.h"

#include "util/location.h"

/* A location is its scheme and the rest, and nothing is lost between. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	struct location l = { 0 };
	struct err e = { 0 };

	if (location_parse(&l, text, &e) == RC_OK) {
		size_t scheme = strlen(l.scheme);

		assert(!strcmp(l.text, text));
		assert(!strncmp(l.text, l.scheme, scheme));
		assert(!strcmp(l.text + scheme + (scheme > 0), l.rest));
		assert(l.shown[0]);
	} else {
		assert(e.text[0]);
	}
	location_release(&l);
	free(text);
	return 0;
}
