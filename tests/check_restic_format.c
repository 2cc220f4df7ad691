/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#include "lock/restic_json.h"
#include "lock/restic_key.h"
#include "lock/restic_record.h"
#include "lock/restic_repo.h"
#include "restic_samples.h"
#include "util/text.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct restic_crypto *crypto;
static struct err e;

static void setup(void)
{
	ck_assert_int_eq(restic_crypto_open(&crypto, &e), RC_OK);
}

static void teardown(void)
{
	restic_crypto_close(crypto);
}

static void buf_hex(struct buf *b, const char *hex)
{
	unsigned char bytes[1024];
	size_t len = strlen(hex) / 2;

	buf_init(b, 64 * 1024);
	ck_assert(len <= sizeof(bytes) && hex_decode(bytes, len, hex));
	ck_assert_int_eq(buf_add(b, bytes, len, &e), RC_OK);
}

static void master_of(struct restic_keys *keys, const struct restic_sample *s)
{
	size_t len;

	ck_assert(restic_base64(keys->encrypt, 32, &len, s->encrypt));
	ck_assert(restic_base64(keys->mac_k, 16, &len, s->mac_k));
	ck_assert(restic_base64(keys->mac_r, 16, &len, s->mac_r));
}

static enum rc open_key(struct restic_keys *master,
			const struct restic_sample *s, const char *password)
{
	struct restic_budget budget = restic_budget_whole();
	struct restic_key_file key;
	struct restic_keys user;
	struct buf plain;
	enum rc rc;

	buf_init(&plain, 4096);
	ck_assert_int_eq(restic_key_parse(&key, s->key, strlen(s->key), &e),
			 RC_OK);
	ck_assert_int_eq(restic_derive(crypto, &user, password,
				       strlen(password), &key.kdf, &budget, &e),
			 RC_OK);
	rc = restic_box_open(crypto, &user, key.box, key.box_len, &plain, &e);
	if (!rc)
		rc = restic_master_parse(master, buf_text(&plain), plain.len, &e);
	buf_release(&plain);
	return rc;
}

/* --- what restic wrote --- */

START_TEST(the_password_gives_the_master_key_that_restic_made)
{
	const struct restic_sample *s = &restic_samples[_i];
	struct restic_keys got, want;

	ck_assert_int_eq(open_key(&got, s, "geheim"), RC_OK);
	master_of(&want, s);
	ck_assert_mem_eq(&got, &want, sizeof(got));
}
END_TEST

START_TEST(another_password_does_not)
{
	struct restic_keys got;

	ck_assert_int_eq(open_key(&got, &restic_samples[0], "Geheim"), RC_DENIED);
}
END_TEST

START_TEST(config_tells_version_and_id)
{
	const struct restic_sample *s = &restic_samples[_i];
	struct restic_config config;
	struct restic_keys master;
	struct buf box, plain;

	master_of(&master, s);
	buf_hex(&box, s->config);
	buf_init(&plain, 4096);
	ck_assert_int_eq(
		restic_box_open(crypto, &master, box.data, box.len, &plain, &e),
		RC_OK);
	ck_assert_int_eq(restic_config_parse(&config, plain.data, plain.len, &e),
			 RC_OK);
	ck_assert_int_eq(config.version, s->version);
	ck_assert_str_eq(config.id, s->id);
	buf_release(&plain);
	buf_release(&box);
}
END_TEST

START_TEST(a_lock_of_restic_is_read)
{
	const struct restic_sample *s = &restic_samples[_i];
	struct restic_keys master;
	struct restic_record r;
	struct buf box, plain, json;
	char id[65];

	master_of(&master, s);
	buf_hex(&box, s->lock);
	buf_init(&plain, 4096);
	buf_init(&json, 4096);
	ck_assert_int_eq(restic_id_of(id, &box, &e), RC_OK);
	ck_assert_str_eq(id, s->lock_name);
	ck_assert_int_eq(
		restic_box_open(crypto, &master, box.data, box.len, &plain, &e),
		RC_OK);
	ck_assert_int_eq(plain.data[0], s->version == 1 ? '{' : 2);
	ck_assert_int_eq(restic_inner_decode(s->version, plain.data, plain.len,
					     &json, &e),
			 RC_OK);
	ck_assert_int_eq(restic_record_parse(&r, json.data, json.len, &e), RC_OK);
	ck_assert(!r.exclusive);
	ck_assert_str_eq(r.host, "vm");
	ck_assert_str_eq(r.user, "root");
	ck_assert_str_eq(r.token, "");
	ck_assert_int_gt(r.pid, 1);
	ck_assert_uint_eq(r.uid, 0);
	ck_assert_int_gt(r.time.ns, 0);
	buf_release(&json);
	buf_release(&plain);
	buf_release(&box);
}
END_TEST

START_TEST(no_byte_of_a_box_can_be_changed)
{
	const struct restic_sample *s = &restic_samples[0];
	struct restic_keys master;
	struct buf box, plain;

	master_of(&master, s);
	buf_hex(&box, s->lock);
	buf_init(&plain, 4096);
	for (size_t i = 0; i < box.len; i++) {
		box.data[i] ^= 0x10;
		ck_assert_int_eq(restic_box_open(crypto, &master, box.data,
						 box.len, &plain, &e),
				 RC_DENIED);
		box.data[i] ^= 0x10;
	}
	ck_assert_uint_eq(plain.len, 0);
	ck_assert_int_eq(
		restic_box_open(crypto, &master, box.data, box.len, &plain, &e),
		RC_OK);
	buf_release(&plain);
	buf_release(&box);
}
END_TEST

/* --- boxes of our own --- */

START_TEST(a_box_gives_back_what_was_sealed)
{
	static const size_t lengths[] = { 0, 1, 15, 16, 17, 300, 65536 };
	struct restic_keys master;
	struct buf box, plain;
	size_t len = lengths[_i];
	char *text = malloc(len + 1);

	random_bytes(text, len + 1);
	random_bytes(&master, sizeof(master));
	buf_init(&box, 70000);
	buf_init(&plain, 70000);
	ck_assert_int_eq(restic_box_seal(crypto, &master, text, len, &box, &e),
			 RC_OK);
	ck_assert_uint_eq(box.len, len + RESTIC_BOX_OVERHEAD);
	ck_assert_int_eq(
		restic_box_open(crypto, &master, box.data, box.len, &plain, &e),
		RC_OK);
	ck_assert_uint_eq(plain.len, len);
	ck_assert_mem_eq(buf_text(&plain), text, len);
	buf_release(&plain);
	buf_release(&box);
	free(text);
}
END_TEST

START_TEST(the_same_is_never_sealed_twice_alike)
{
	struct restic_keys master;
	struct buf a, b;

	random_bytes(&master, sizeof(master));
	buf_init(&a, 100);
	buf_init(&b, 100);
	ck_assert_int_eq(restic_box_seal(crypto, &master, "x", 1, &a, &e), 0);
	ck_assert_int_eq(restic_box_seal(crypto, &master, "x", 1, &b, &e), 0);
	ck_assert_mem_ne(a.data, b.data, 16);
	buf_release(&a);
	buf_release(&b);
}
END_TEST

START_TEST(what_is_too_short_or_long_is_no_box)
{
	struct restic_keys master = { .encrypt = { 1 } };
	struct buf plain;
	char *much = calloc(1, 70000);

	buf_init(&plain, 70000);
	ck_assert_int_eq(restic_box_open(crypto, &master, much, 31, &plain, &e),
			 RC_MALFORMED);
	ck_assert_int_eq(restic_box_open(crypto, &master, much, 70000, &plain, &e),
			 RC_MALFORMED);
	ck_assert_int_eq(restic_box_open(crypto, &master, much, 32, &plain, &e),
			 RC_DENIED);
	free(much);
}
END_TEST

/* --- what errors say --- */

static const char *const secrets[] = {
	"root:secret:19000\n",
	"{\n\"kdf\": secret}",
	"{\"kdf\": \"secret\", \"N\": 2}",
	"{\"kdf\": \"scrypt\", \"N\": \"secret\"}",
	"{\"kdf\": \"scrypt\", \"N\": 2, \"r\": 1, \"p\": 1,\n\"salt\": \"secret\"}",
};

/* What is called a key file may be root's, moved there. */
START_TEST(p7_9_an_error_about_a_key_file_quotes_nothing_of_it)
{
	struct restic_key_file key;

	ck_assert_int_ne(
		restic_key_parse(&key, secrets[_i], strlen(secrets[_i]), &e),
		RC_OK);
	ck_assert_ptr_null(strstr(e.text, "secret"));
	ck_assert_ptr_null(strstr(e.text, "root"));
	ck_assert_uint_gt(strlen(e.text), 10);
	if (_i == 1)
		ck_assert_ptr_nonnull(strstr(e.text, "line 2"));
}
END_TEST

/* By recursion, a thread's small stack would not hold it. */
START_TEST(p7_7_a_key_file_is_not_followed_into_any_depth)
{
	struct restic_key_file key;
	char text[4096];

	memset(text, '[', sizeof(text));
	ck_assert_int_eq(restic_key_parse(&key, text, sizeof(text), &e),
			 RC_MALFORMED);
	ck_assert_ptr_nonnull(strstr(e.text, "nested more than 32 deep"));
}
END_TEST

/* --- scrypt's limits --- */

static const struct {
	uint64_t n, r, p;
	enum rc rc;
} kdfs[] = {
	{ 32768, 8, 8, RC_OK },
	{ 16384, 8, 1, RC_OK },
	{ 1 << 17, 8, 1, RC_OK }, /* as rustic makes it */
	{ 2, 1, 1, RC_OK },
	{ 1 << 18, 8, 1, RC_OK }, /* 256 MiB exactly */
	{ 1 << 19, 8, 1, RC_UNSUPPORTED },
	{ 1 << 18, 9, 1, RC_UNSUPPORTED },
	{ 32768, 8, 128, RC_OK }, /* all the work there may be */
	{ 32768, 8, 129, RC_UNSUPPORTED },
	{ 1 << 20, 8, 15, RC_UNSUPPORTED }, /* 59 s */
	{ UINT64_C(1) << 62, 8, 1, RC_UNSUPPORTED },
	{ UINT64_C(1) << 62, (1 << 30) - 1, 1, RC_UNSUPPORTED },
	{ 32768, 8, 1 << 20, RC_UNSUPPORTED }, /* hours */
	{ 2, 1, (1 << 30) - 1, RC_UNSUPPORTED },
	{ 0, 8, 1, RC_MALFORMED },
	{ 1, 8, 1, RC_MALFORMED },
	{ 32767, 8, 1, RC_MALFORMED },
	{ 32768, 0, 1, RC_MALFORMED },
	{ 32768, 8, 0, RC_MALFORMED },
	{ 32768, 1 << 15, 1 << 15, RC_MALFORMED },
	{ 32768, INT64_MAX, INT64_MAX, RC_MALFORMED },
};

START_TEST(p7_8_scrypt_is_not_asked_for_what_no_key_file_needs)
{
	struct restic_budget budget = restic_budget_whole();
	struct restic_kdf kdf = { .n = kdfs[_i].n,
				  .r = kdfs[_i].r,
				  .p = kdfs[_i].p };

	ck_assert_int_eq(restic_kdf_check(&kdf, &budget, &e), kdfs[_i].rc);
}
END_TEST

START_TEST(p7_8_what_is_refused_is_told_with_its_figures)
{
	struct restic_budget budget = restic_budget_whole();
	struct restic_kdf kdf = { .n = 1 << 20, .r = 8, .p = 15 };

	ck_assert_int_eq(restic_kdf_check(&kdf, &budget, &e), RC_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.text, "N 1048576, r 8, p 15"));
	ck_assert_ptr_nonnull(strstr(e.text, "1024.01 MiB of memory"));
	ck_assert_ptr_nonnull(strstr(e.text, "mixes 15360 MiB"));
	ck_assert_ptr_nonnull(strstr(e.text, "limit: 256 MiB"));
	ck_assert_ptr_nonnull(strstr(e.text, "4096 of 4096 MiB"));
}
END_TEST

START_TEST(p7_8_the_work_of_all_keys_is_counted_together)
{
	struct restic_kdf kdf = { .n = 32768, .r = 8, .p = 1 };
	struct restic_budget budget = { .left = UINT64_C(48) << 20 };
	struct restic_keys user;

	ck_assert_int_eq(restic_derive(crypto, &user, "x", 1, &kdf, &budget, &e),
			 RC_OK);
	ck_assert_uint_eq(budget.left, UINT64_C(16) << 20);
	ck_assert_int_eq(restic_derive(crypto, &user, "x", 1, &kdf, &budget, &e),
			 RC_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.text, "16 of 4096 MiB are left"));
	kdf.n = 16384;
	ck_assert_int_eq(restic_derive(crypto, &user, "x", 1, &kdf, &budget, &e),
			 RC_OK);
}
END_TEST

/* --- key files --- */

#define SALT64                                                                 \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAA=="
#define BOX32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const struct {
	const char *text;
	enum rc rc;
} key_files[] = {
	{ "{\"kdf\":\"scrypt\",\"N\":2,\"r\":1,\"p\":1,\"salt\":\"" SALT64
	  "\",\"data\":\"" BOX32 "\"}",
	  RC_OK },
	{ "{\"KDF\":\"scrypt\",\"n\":2,\"R\":1,\"p\":1,\"Salt\":\"" SALT64
	  "\",\"data\":\"" BOX32 "\",\"more\":[{}]}",
	  RC_OK },
	{ "", RC_MALFORMED },
	{ "{", RC_MALFORMED },
	{ "[]", RC_MALFORMED },
	{ "{}", RC_UNSUPPORTED },
	{ "{\"kdf\":\"argon2\"}", RC_UNSUPPORTED },
	{ "{\"kdf\":\"scrypt\",\"N\":2,\"r\":1,\"p\":1,\"salt\":\"AAAA\","
	  "\"data\":\"" BOX32 "\"}",
	  RC_MALFORMED },
	{ "{\"kdf\":\"scrypt\",\"N\":2.5,\"r\":1,\"p\":1,\"salt\":\"" SALT64
	  "\",\"data\":\"" BOX32 "\"}",
	  RC_MALFORMED },
	{ "{\"kdf\":\"scrypt\",\"N\":\"2\",\"r\":1,\"p\":1,\"salt\":\"" SALT64
	  "\",\"data\":\"" BOX32 "\"}",
	  RC_MALFORMED },
	{ "{\"kdf\":\"scrypt\",\"N\":-2,\"r\":1,\"p\":1,\"salt\":\"" SALT64
	  "\",\"data\":\"" BOX32 "\"}",
	  RC_MALFORMED },
	{ "{\"kdf\":\"scrypt\",\"N\":99999999999999999999,\"r\":1,\"p\":1}",
	  RC_MALFORMED },
	{ "{\"kdf\":\"scrypt\",\"N\":2,\"r\":1,\"p\":1,\"salt\":\"" SALT64
	  "\",\"data\":\"AAAA\"}",
	  RC_MALFORMED },
	{ "{\"kdf\":\"scrypt\",\"N\":2,\"r\":1,\"p\":1,\"salt\":\"" SALT64 "\"}",
	  RC_MALFORMED },
};

START_TEST(a_key_file_is_read_as_restic_reads_it)
{
	struct restic_key_file key;
	const char *text = key_files[_i].text;

	ck_assert_int_eq(restic_key_parse(&key, text, strlen(text), &e),
			 key_files[_i].rc);
}
END_TEST

#define MASTER(k, r, encrypt)                                                  \
	"{\"mac\":{\"k\":\"" k "\",\"r\":\"" r "\"},\"encrypt\":\"" encrypt "\"}"
#define ZERO16 "AAAAAAAAAAAAAAAAAAAAAA=="
#define ONE16 "AQAAAAAAAAAAAAAAAAAAAA=="
#define ONE32 "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const char *const bad_masters[] = {
	"{}",
	"{\"mac\":7,\"encrypt\":\"" ONE32 "\"}",
	MASTER(ZERO16, ONE16, ONE32),
	MASTER(ONE16, ZERO16, ONE32),
	MASTER(ONE16, ONE16, BOX32),
	MASTER(ONE16, ONE16, "AQAA"),
	MASTER(ONE16, ONE16, ONE16),
};

START_TEST(a_master_key_of_zeros_or_of_another_length_is_refused)
{
	struct restic_keys keys;

	ck_assert_int_eq(restic_master_parse(&keys, bad_masters[_i],
					     strlen(bad_masters[_i]), &e),
			 RC_MALFORMED);
}
END_TEST

static const struct {
	const char *text;
	enum rc rc;
} configs[] = {
	{ "{\"version\":1,\"id\":\"x\"}", RC_OK },
	{ "{\"version\":2}", RC_OK },
	{ "{\"version\":3}", RC_UNSUPPORTED },
	{ "{\"version\":0}", RC_UNSUPPORTED },
	{ "{}", RC_UNSUPPORTED },
	{ "{\"version\":\"2\"}", RC_MALFORMED },
	{ "\"\"", RC_MALFORMED },
};

START_TEST(only_versions_that_are_known_are_opened)
{
	struct restic_config config;

	ck_assert_int_eq(restic_config_parse(&config, configs[_i].text,
					     strlen(configs[_i].text), &e),
			 configs[_i].rc);
}
END_TEST

/* --- base64 --- */

static const struct {
	const char *text;
	int len; /* -1: refused */
} base64s[] = {
	{ "", 0 },      { "AA==", 1 },      { "AAA=", 2 },
	{ "AAAA", 3 },  { "AAAAAA==", 4 },  { "+/+/", 3 },
	{ "A", -1 },    { "AA", -1 },       { "A===", -1 },
	{ "====", -1 }, { "AA==AAAA", -1 }, { "AA=A", -1 },
	{ "AA-_", -1 }, { "AA\nA", -1 },    { "AAAAAAAAAAA=", -1 },
};

START_TEST(base64_is_taken_strictly)
{
	unsigned char out[6];
	size_t len = 99;
	bool ok = restic_base64(out, sizeof(out), &len, base64s[_i].text);

	ck_assert_int_eq(ok ? (int)len : -1, base64s[_i].len);
}
END_TEST

/* --- the encoding inside --- */

static enum rc inner(int version, const void *data, size_t len, struct buf *json)
{
	buf_init(json, RESTIC_PLAIN_MAX);
	return restic_inner_decode(version, data, len, json, &e);
}

START_TEST(zstd_is_read_in_repositories_of_version_2_only)
{
	/* As newer restic makes it: one raw block, no content size. */
	static const char frame[] = "\x02\x28\xb5\x2f\xfd\x00\x00\x11\x00\x00{}";
	struct buf json;

	ck_assert_int_eq(inner(2, frame, sizeof(frame) - 1, &json), RC_OK);
	ck_assert_str_eq(buf_text(&json), "{}");
	buf_release(&json);
	ck_assert_int_eq(inner(1, frame, sizeof(frame) - 1, &json), RC_OK);
	ck_assert_uint_eq(json.len, sizeof(frame) - 1);
	buf_release(&json);
}
END_TEST

START_TEST(plain_json_is_read_in_both_versions)
{
	struct buf json;

	ck_assert_int_eq(inner(_i, "{\"a\":1}", 7, &json), RC_OK);
	ck_assert_str_eq(buf_text(&json), "{\"a\":1}");
	buf_release(&json);
	ck_assert_int_eq(inner(_i, "", 0, &json), RC_OK);
	ck_assert_uint_eq(json.len, 0);
	buf_release(&json);
}
END_TEST

START_TEST(a_frame_that_swells_is_refused)
{
	char *much = calloc(1, 1 << 24);
	size_t room = ZSTD_compressBound(1 << 24);
	char *frame = malloc(room + 1);
	size_t len = ZSTD_compress(frame + 1, room, much, 1 << 24, 1);
	struct buf json;

	frame[0] = 2;
	ck_assert(len < RESTIC_PLAIN_MAX);
	ck_assert_int_eq(inner(2, frame, len + 1, &json), RC_MALFORMED);
	ck_assert_uint_eq(json.len, 0);
	free(frame);
	free(much);
}
END_TEST

START_TEST(another_encoding_is_refused)
{
	struct buf json;

	ck_assert_int_eq(inner(2, "\x03{}", 3, &json), RC_MALFORMED);
	ck_assert_int_eq(inner(2, "\x02", 1, &json), RC_OK);
	ck_assert_uint_eq(json.len, 0);
	buf_release(&json);
	ck_assert_int_eq(inner(2, "\x02{}", 3, &json), RC_MALFORMED);
}
END_TEST

/* --- records --- */

static const struct {
	const char *text;
	enum rc rc;
	int64_t time; /* seconds */
} records[] = {
	{ "{}", RC_OK, 0 },
	{ "{\"time\":\"2026-01-02T03:04:05Z\"}", RC_OK, 1767323045 },
	{ "{\"time\":\"2026-01-02T03:04:05.123456789Z\"}", RC_OK, 1767323045 },
	{ "{\"time\":\"2026-01-02T08:34:05+05:30\"}", RC_OK, 1767323045 },
	{ "{\"TIME\":\"2026-01-02T03:04:05Z\",\"Exclusive\":true}", RC_OK,
	  1767323045 },
	{ "{\"time\":\"1999-01-02T03:04:05Z\",\"time\":\"2026-01-02T03:04:05Z\"}",
	  RC_OK, 1767323045 },
	{ "{\"time\":null,\"pid\":null,\"hostname\":null}", RC_OK, 0 },
	{ "{\"nested\":{\"a\":[1,{}]},\"repolock\":7}", RC_OK, 0 },
	{ "{\"repolock\":{\"token\":9,\"since\":\"never\",\"start\":-1}}",
	  RC_OK, 0 },
	{ "{\"uid\":4294967295}", RC_OK, 0 },
	{ "{\"hostname\":\"a\\u0000b\"}", RC_OK, 0 },
	{ "{\"pid\":-9223372036854775808}", RC_OK, 0 },
	{ "{\"uid\":4294967296}", RC_MALFORMED, 0 },
	{ "{\"uid\":-1}", RC_MALFORMED, 0 },
	{ "{\"pid\":1.0}", RC_MALFORMED, 0 },
	{ "{\"pid\":\"1\"}", RC_MALFORMED, 0 },
	{ "{\"pid\":9223372036854775808}", RC_MALFORMED, 0 },
	{ "{\"exclusive\":1}", RC_MALFORMED, 0 },
	{ "{\"time\":\"yesterday\"}", RC_MALFORMED, 0 },
	{ "{\"time\":\"2026-01-02 03:04:05Z\"}", RC_MALFORMED, 0 },
	{ "{\"time\":\"2026-13-02T03:04:05Z\"}", RC_MALFORMED, 0 },
	{ "{\"hostname\":[]}", RC_MALFORMED, 0 },
	{ "", RC_MALFORMED, 0 },
	{ "[]", RC_MALFORMED, 0 },
	{ "{} {}", RC_MALFORMED, 0 },
};

START_TEST(a_record_is_read_as_restic_reads_it)
{
	struct restic_record r = { 0 };

	ck_assert_int_eq(restic_record_parse(&r, records[_i].text,
					     strlen(records[_i].text), &e),
			 records[_i].rc);
	ck_assert_int_eq(r.time.ns / NSEC_PER_SEC, records[_i].time);
}
END_TEST

static const struct {
	const char *zone;
	int64_t ns;
	const char *text;
} times[] = {
	{ "UTC", 0, "2026-01-02T03:04:05Z" },
	{ "UTC", 120000000, "2026-01-02T03:04:05.12Z" },
	{ "UTC", 1, "2026-01-02T03:04:05.000000001Z" },
	{ "ABC-05:30", 0, "2026-01-02T08:34:05+05:30" },
	{ "ABC+03:30", 0, "2026-01-01T23:34:05-03:30" },
};

START_TEST(time_is_written_in_the_local_zone_without_idle_zeros)
{
	struct restic_record r = { .pid = 1 }, back;
	char want[64];
	struct buf json;

	ck_assert_int_eq(setenv("TZ", times[_i].zone, 1), 0);
	tzset();
	r.time.ns = 1767323045 * NSEC_PER_SEC + times[_i].ns;
	buf_init(&json, 4096);
	ck_assert_int_eq(restic_record_write(&r, &json, &e), RC_OK);
	snprintf(want, sizeof(want), "{\"time\":\"%s\",", times[_i].text);
	ck_assert_msg(strstr(json.data, want) == json.data, "%s", json.data);
	ck_assert_int_eq(restic_record_parse(&back, json.data, json.len, &e),
			 RC_OK);
	ck_assert_int_eq(back.time.ns, r.time.ns);
	buf_release(&json);
}
END_TEST

START_TEST(a_record_without_a_token_is_written_as_restic_does)
{
	struct restic_record r = { .time = { 1767323045 * NSEC_PER_SEC },
				   .exclusive = true,
				   .host = "a\"b",
				   .user = "joe",
				   .pid = 77 };
	struct buf json;

	setenv("TZ", "UTC", 1);
	tzset();
	buf_init(&json, 4096);
	ck_assert_int_eq(restic_record_write(&r, &json, &e), RC_OK);
	ck_assert_str_eq(json.data, "{\"time\":\"2026-01-02T03:04:05Z\","
				    "\"exclusive\":true,\"hostname\":\"a\\\"b\","
				    "\"username\":\"joe\",\"pid\":77}");
	buf_reset(&json);
	r.uid = 1000;
	r.gid = 100;
	ck_assert_int_eq(restic_record_write(&r, &json, &e), RC_OK);
	ck_assert(strstr(json.data, "\"pid\":77,\"uid\":1000,\"gid\":100}"));
	buf_release(&json);
}
END_TEST

START_TEST(what_we_add_to_a_record_comes_back)
{
	struct restic_record r = { .time = { 1767323045 * NSEC_PER_SEC },
				   .host = "h",
				   .user = "u",
				   .pid = 77,
				   .uid = 1,
				   .gid = 2,
				   .token = "0123456789abcdef0123456789abcdef",
				   .since = { 1767323000 * NSEC_PER_SEC + 5 },
				   .draining = true,
				   .command = "rclone",
				   .reason = "sync \xc3\xa4",
				   .boot_id = "b",
				   .pid_ns = 3,
				   .time_ns = 4,
				   .start = 5,
				   .front = 6,
				   .front_start = 7 },
			     back;
	struct buf json;

	buf_init(&json, 4096);
	ck_assert_int_eq(restic_record_write(&r, &json, &e), RC_OK);
	ck_assert_int_eq(restic_record_parse(&back, json.data, json.len, &e),
			 RC_OK);
	ck_assert_mem_eq(&back, &r, sizeof(r));
	buf_release(&json);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("restic_format");
	TCase *t = tcase_create("crypto");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, the_password_gives_the_master_key_that_restic_made,
			    0, COUNT(restic_samples));
	tcase_add_test(t, another_password_does_not);
	tcase_add_loop_test(t, config_tells_version_and_id, 0,
			    COUNT(restic_samples));
	tcase_add_loop_test(t, a_lock_of_restic_is_read, 0,
			    COUNT(restic_samples));
	tcase_add_test(t, no_byte_of_a_box_can_be_changed);
	tcase_add_loop_test(t, a_box_gives_back_what_was_sealed, 0, 7);
	tcase_add_test(t, the_same_is_never_sealed_twice_alike);
	tcase_add_test(t, what_is_too_short_or_long_is_no_box);
	suite_add_tcase(s, t);

	t = tcase_create("parsing");
	tcase_add_loop_test(t,
			    p7_8_scrypt_is_not_asked_for_what_no_key_file_needs,
			    0, COUNT(kdfs));
	tcase_add_loop_test(t,
			    p7_9_an_error_about_a_key_file_quotes_nothing_of_it,
			    0, COUNT(secrets));
	tcase_add_test(t, p7_7_a_key_file_is_not_followed_into_any_depth);
	tcase_add_test(t, p7_8_what_is_refused_is_told_with_its_figures);
	tcase_add_test(t, p7_8_the_work_of_all_keys_is_counted_together);
	tcase_add_loop_test(t, a_key_file_is_read_as_restic_reads_it, 0,
			    COUNT(key_files));
	tcase_add_loop_test(t,
			    a_master_key_of_zeros_or_of_another_length_is_refused,
			    0, COUNT(bad_masters));
	tcase_add_loop_test(t, only_versions_that_are_known_are_opened, 0,
			    COUNT(configs));
	tcase_add_loop_test(t, base64_is_taken_strictly, 0, COUNT(base64s));
	tcase_add_test(t, zstd_is_read_in_repositories_of_version_2_only);
	tcase_add_loop_test(t, plain_json_is_read_in_both_versions, 1, 3);
	tcase_add_test(t, a_frame_that_swells_is_refused);
	tcase_add_test(t, another_encoding_is_refused);
	tcase_add_loop_test(t, a_record_is_read_as_restic_reads_it, 0,
			    COUNT(records));
	tcase_add_loop_test(t,
			    time_is_written_in_the_local_zone_without_idle_zeros,
			    0, COUNT(times));
	tcase_add_test(t, a_record_without_a_token_is_written_as_restic_does);
	tcase_add_test(t, what_we_add_to_a_record_comes_back);
	suite_add_tcase(s, t);

	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
