/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/restic_key.h"

#include <string.h>

#include "lock/restic_json.h"
#include "util/text.h"

enum { VERSION_MIN = 1, VERSION_MAX = 2 };

static enum rc take_kdf(struct restic_kdf *kdf, const json_t *root, struct err *e)
{
	const char *word = "", *salt = "";
	int64_t n = 0, r = 0, p = 0;
	size_t len = 0;
	enum rc rc;

	rc = restic_json_string(root, "kdf", &word, e);
	if (rc)
		return rc;
	if (strcmp(word, "scrypt") != 0)
		return err_set(e, RC_UNSUPPORTED,
			       "its key derivation is not scrypt");
	rc = restic_json_whole(root, "N", 0, INT64_MAX, &n, e);
	if (!rc)
		rc = restic_json_whole(root, "r", 0, INT64_MAX, &r, e);
	if (!rc)
		rc = restic_json_whole(root, "p", 0, INT64_MAX, &p, e);
	if (!rc)
		rc = restic_json_string(root, "salt", &salt, e);
	if (rc)
		return rc;
	if (!restic_base64(kdf->salt, sizeof(kdf->salt), &len, salt) ||
	    len != sizeof(kdf->salt))
		return err_set(e, RC_MALFORMED,
			       "its salt is no base64 of %zu bytes",
			       sizeof(kdf->salt));
	kdf->n = (uint64_t)n;
	kdf->r = (uint64_t)r;
	kdf->p = (uint64_t)p;
	return RC_OK;
}

enum rc restic_key_parse(struct restic_key_file *key, const char *text,
			 size_t len, struct err *e)
{
	struct restic_key_file k = { 0 };
	const char *data = "";
	json_t *root = NULL;
	enum rc rc = restic_json_load(&root, text, len, e);

	if (rc)
		return rc;
	rc = take_kdf(&k.kdf, root, e);
	if (!rc)
		rc = restic_json_string(root, "data", &data, e);
	if (!rc && (!restic_base64(k.box, sizeof(k.box), &k.box_len, data) ||
		    k.box_len < RESTIC_BOX_OVERHEAD))
		rc = err_set(e, RC_MALFORMED, "its data is no sealed key");
	json_decref(root);
	if (!rc)
		*key = k;
	return rc;
}

/* Exactly `size` bytes that are not all zero. */
static enum rc take_secret(unsigned char *out, size_t size,
			   const json_t *object, const char *name, struct err *e)
{
	const char *text = "";
	unsigned char any = 0;
	size_t len = 0;

	if (!object || restic_json_string(object, name, &text, e) ||
	    !restic_base64(out, size, &len, text) || len != size)
		return err_set(e, RC_MALFORMED,
			       "the master key's \"%s\" is no base64 of "
			       "%zu bytes",
			       name, size);
	for (size_t i = 0; i < size; i++)
		any |= out[i];
	if (!any)
		return err_set(e, RC_MALFORMED,
			       "the master key's \"%s\" is all zeros", name);
	return RC_OK;
}

enum rc restic_master_parse(struct restic_keys *keys, const char *text,
			    size_t len, struct err *e)
{
	struct restic_keys k = { 0 };
	const json_t *mac;
	json_t *root = NULL;
	enum rc rc = restic_json_load(&root, text, len, e);

	if (rc)
		return rc;
	mac = restic_json_member(root, "mac");
	if (!json_is_object(mac))
		mac = NULL;
	rc = take_secret(k.mac_k, sizeof(k.mac_k), mac, "k", e);
	if (!rc)
		rc = take_secret(k.mac_r, sizeof(k.mac_r), mac, "r", e);
	if (!rc)
		rc = take_secret(k.encrypt, sizeof(k.encrypt), root, "encrypt",
				 e);
	json_decref(root);
	if (!rc)
		*keys = k;
	explicit_bzero(&k, sizeof(k));
	return rc;
}

enum rc restic_config_parse(struct restic_config *config, const char *text,
			    size_t len, struct err *e)
{
	const char *id = "";
	int64_t version = 0;
	json_t *root = NULL;
	enum rc rc = restic_json_load(&root, text, len, e);

	if (rc)
		return rc;
	rc = restic_json_whole(root, "version", 0, INT32_MAX, &version, e);
	if (!rc)
		rc = restic_json_string(root, "id", &id, e);
	if (!rc && (version < VERSION_MIN || version > VERSION_MAX))
		rc = err_set(e, RC_UNSUPPORTED,
			     "repository version %d is not known to this "
			     "program; it writes nothing there",
			     (int)version);
	if (!rc) {
		config->version = (int)version;
		(void)text_copy(config->id, sizeof(config->id), id);
	}
	json_decref(root);
	return rc;
}
