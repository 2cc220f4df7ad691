/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz.h"

#include "util/json.h"
#include "util/text.h"

/* What was made fit for a terminal holds nothing that moves the cursor. */
static void shows_no_control(const char *text)
{
	char shown[48];

	text_printable(shown, sizeof(shown), text);
	assert(strlen(shown) < sizeof(shown));
	for (const char *c = shown; *c; c++)
		assert((unsigned char)*c >= ' ' && *c != 0x7f);
}

/* What the writer wrote, the reader reads, whatever the bytes were. */
static void survives_json(const char *text)
{
	struct json_out out;
	struct json_doc *doc = NULL;
	struct buf buf;
	struct err e = { 0 };
	const char *value;

	buf_init(&buf, 1 << 20);
	json_out_begin(&out, &buf);
	json_out_object(&out, NULL);
	json_out_string(&out, "text", text);
	json_out_end(&out, '}');
	if (out.rc == RC_OK && json_parse(&doc, buf.data, buf.len, &e) == RC_OK)
		assert(json_get_string(doc, "text", &value));
	else
		assert(out.rc != RC_OK || buf.len > JSON_SIZE_MAX);
	json_close(doc);
	buf_release(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	struct json_doc *doc = NULL;
	struct err e = { 0 };
	struct wall when;
	char shown[32];

	shows_no_control(text);
	survives_json(text);
	if (json_parse(&doc, text, size, &e) != RC_OK)
		assert(e.text[0]);
	json_close(doc);
	if (wall_parse(&when, text))
		wall_show_msec(shown, sizeof(shown), when);
	free(text);
	return 0;
}
