/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What fuzz targets share. A target is tests/fuzz/NAME.c with LLVMFuzzerTest-
 * OneInput, and at least one input in tests/fuzz/corpus/NAME/. It may assert
 * more than "does not crash". `make fuzz` searches, `make check` replays the
 * corpus; an input that once failed goes there.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a string, in memory of exactly its size; free it. */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	assert(text);
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

#endif
