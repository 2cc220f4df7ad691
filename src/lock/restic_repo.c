/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/restic_repo.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "lock/restic_env.h"
#include "util/hash.h"
#include "util/text.h"

enum { FILE_MAX = 64 * 1024, PROMPTS = 3, ID_SIZE = 65 };

/* restic follows these to another disk, and so must who locks for it. */
static const char *const links[] = { "keys", "locks", NULL };

/* As restic's local backend writes: read-only files, never seen half done. */
static const struct store_manners manners = {
	.file_mode = 0440,
	.dir_mode = 0770,
	.group_of = "config",
	.links = links,
	.durable = true,
	.temporary = "%s-tmp-%s",
};

bool restic_is_id(const char *name)
{
	unsigned char digest[SHA256_SIZE];

	return hex_decode(digest, sizeof(digest), name);
}

enum rc restic_id_of(char id[65], const struct buf *content, struct err *e)
{
	uint8_t digest[SHA256_SIZE];
	enum rc rc = hash_sha256(digest, buf_text(content), content->len, e);

	if (!rc)
		hex_encode(id, digest, sizeof(digest));
	return rc;
}

/* --- which key files --- */

struct key_names {
	const char *hint; /* RESTIC_KEY_HINT, or "" */
	char ids[RESTIC_KEYS_TRIED][ID_SIZE];
	size_t kept;
	size_t found;
};

/* Hinted ones first, then by name, so that every run tries the same ones. */
static int key_order(const struct key_names *names, const char *a, const char *b)
{
	size_t len = strlen(names->hint);
	bool a_hinted = len > 0 && strncmp(a, names->hint, len) == 0;
	bool b_hinted = len > 0 && strncmp(b, names->hint, len) == 0;

	if (a_hinted != b_hinted)
		return a_hinted ? -1 : 1;
	return strcmp(a, b);
}

static bool keep_key_name(void *context, const struct store_entry *entry)
{
	struct key_names *names = context;
	size_t at;

	if (!restic_is_id(entry->name))
		return true;
	names->found++;
	at = names->kept;
	while (at > 0 && key_order(names, entry->name, names->ids[at - 1]) < 0)
		at--;
	if (at == RESTIC_KEYS_TRIED)
		return true;
	if (names->kept < RESTIC_KEYS_TRIED)
		names->kept++;
	memmove(names->ids[at + 1], names->ids[at],
		(names->kept - 1 - at) * ID_SIZE);
	(void)text_copy(names->ids[at], ID_SIZE, entry->name);
	return true;
}

static bool saw_any(void *context, const struct store_entry *entry)
{
	(void)entry;
	*(bool *)context = true;
	return false;
}

static enum rc no_keys(struct restic_repo *repo, const struct call *call,
		       struct err *e)
{
	bool old = false;
	enum rc rc = repo->store->ops->list(repo->store, "key/", saw_any, &old,
					    call, e);

	if (rc)
		return rc;
	if (old)
		return err_set(e, RC_UNSUPPORTED,
			       "%.120s has the old \"s3legacy\" layout; "
			       "restic 0.17 can still convert it: restic "
			       "migrate s3_layout",
			       repo->store->shown);
	return err_set(e, RC_MALFORMED, "%.160s has no key file in keys/",
		       repo->store->shown);
}

static enum rc find_keys(struct restic_repo *repo, struct key_names *names,
			 const struct call *call, struct err *e)
{
	const char *hint = getenv("RESTIC_KEY_HINT");
	struct store *s = repo->store;
	enum rc rc;

	*names = (struct key_names){ .hint = hint ? hint : "" };
	rc = s->ops->names
		     ? s->ops->names(s, "keys/", keep_key_name, names, call, e)
		     : s->ops->list(s, "keys/", keep_key_name, names, call, e);
	if (!rc && names->found == 0)
		rc = no_keys(repo, call, e);
	return rc;
}

/* --- trying one --- */

static enum rc read_key(struct restic_repo *repo, struct restic_key_file *key,
			const char *id, const struct call *call, struct err *e)
{
	char name[sizeof("keys/") + ID_SIZE] = "keys/", actual[ID_SIZE];
	struct store_tag tag;
	struct buf text;
	enum rc rc;

	(void)text_copy(name + 5, ID_SIZE, id);
	buf_init(&text, FILE_MAX);
	rc = repo->store->ops->get(repo->store, name, &text, &tag, call, e);
	if (!rc)
		rc = restic_id_of(actual, &text, e);
	if (!rc && strcmp(actual, id) != 0)
		rc = err_set(e, RC_MALFORMED,
			     "its content does not match its name");
	if (!rc)
		rc = restic_key_parse(key, buf_text(&text), text.len, e);
	buf_release(&text);
	return rc;
}

/* RC_EXISTS: the key file is fine, and the password is not for it. */
static enum rc try_key(struct restic_repo *repo, const char *id,
		       const struct buf *password, struct restic_budget *budget,
		       const struct call *call, struct err *e)
{
	struct restic_key_file key;
	struct restic_keys user;
	struct buf master;
	enum rc rc = read_key(repo, &key, id, call, e);

	if (!rc)
		rc = call_check(call, e);
	if (!rc)
		rc = restic_derive(repo->crypto, &user, buf_text(password),
				   password->len, &key.kdf, budget, e);
	if (rc)
		return err_context(e, rc, "key file keys/%.8s", id);
	buf_init(&master, FILE_MAX);
	rc = restic_box_open(repo->crypto, &user, key.box, key.box_len, &master,
			     e);
	if (rc == RC_DENIED)
		rc = RC_EXISTS;
	else if (!rc)
		rc = restic_master_parse(repo->master, buf_text(&master),
					 master.len, e);
	explicit_bzero(&user, sizeof(user));
	buf_release(&master);
	return rc && rc != RC_EXISTS
		       ? err_context(e, rc, "key file keys/%.8s", id)
		       : rc;
}

/* A damaged key file is no reason not to try the others. */
static bool only_that_key(enum rc rc)
{
	return rc == RC_MALFORMED || rc == RC_UNSUPPORTED || rc == RC_DENIED ||
	       rc == RC_ABSENT;
}

static enum rc wrong_password(const struct restic_repo *repo,
			      const struct key_names *names, struct err *e)
{
	if (names->found > names->kept)
		return err_set(e, RC_DENIED,
			       "wrong password for %.90s, or its key is not "
			       "among the %zu of %zu that were tried (restic "
			       "tries no more); RESTIC_KEY_HINT names one",
			       repo->store->shown, names->kept, names->found);
	return err_set(e, RC_DENIED, "wrong password for %.160s",
		       repo->store->shown);
}

/* RC_DENIED: no key file takes this password. */
static enum rc try_keys(struct restic_repo *repo, const struct key_names *names,
			const struct buf *password, const struct call *call,
			struct err *e)
{
	struct restic_budget budget = restic_budget_whole();
	enum rc bad = RC_OK;
	struct err why;

	for (size_t i = 0; i < names->kept; i++) {
		enum rc rc = try_key(repo, names->ids[i], password, &budget,
				     call, e);

		if (rc == RC_EXISTS)
			continue;
		if (!only_that_key(rc))
			return rc;
		if (!bad)
			why = *e;
		bad = bad ? bad : rc;
	}
	if (!bad)
		return wrong_password(repo, names, e);
	*e = why;
	return names->kept > 1 ? err_context(e, RC_MALFORMED,
					     "no other key takes the password")
			       : (bad == RC_DENIED ? RC_FAILED : bad);
}

/* --- the password --- */

static enum rc try_prompts(struct restic_repo *repo,
			   const struct key_names *names,
			   const struct lock_wish *wish,
			   const struct call *call, struct err *e)
{
	char answer[1024];
	struct buf password;
	enum rc rc = RC_DENIED;

	buf_init(&password, sizeof(answer));
	for (int i = 0; i < PROMPTS && rc == RC_DENIED; i++) {
		if (!wish->ask("enter password for repository: ", answer,
			       sizeof(answer))) {
			rc = err_set(e, RC_FAILED,
				     "no password was entered; "
				     "RESTIC_PASSWORD_FILE, "
				     "RESTIC_PASSWORD_COMMAND and "
				     "RESTIC_PASSWORD are looked at too");
			break;
		}
		if (answer[0] == '\0') {
			rc = err_set(e, RC_DENIED,
				     "an empty password; a repository without "
				     "one needs --insecure-no-password");
			continue;
		}
		buf_reset(&password);
		rc = buf_add(&password, answer, strlen(answer), e);
		if (!rc)
			rc = try_keys(repo, names, &password, call, e);
	}
	explicit_bzero(answer, sizeof(answer));
	buf_release(&password);
	return rc;
}

static enum rc unlock_master(struct restic_repo *repo,
			     const struct lock_wish *wish,
			     const struct call *call, struct err *e)
{
	struct key_names names;
	struct buf password;
	enum rc rc = find_keys(repo, &names, call, e);

	if (rc)
		return rc;
	buf_init(&password, RESTIC_TEXT_MAX);
	/* RESTIC_PASSWORD_COMMAND may open a window and ask. */
	if (wish->aside)
		wish->aside(true);
	rc = restic_password(&password, wish->no_password, wish->start, call, e);
	if (wish->aside)
		wish->aside(false);
	if (rc == RC_ABSENT)
		rc = wish->ask ? try_prompts(repo, &names, wish, call, e)
			       : RC_DENIED;
	else if (!rc)
		rc = try_keys(repo, &names, &password, call, e);
	buf_release(&password);
	return rc;
}

/* --- open --- */

static enum rc open_config(struct restic_repo *repo, const struct buf *box,
			   struct err *e)
{
	struct buf plain;
	enum rc rc;

	buf_init(&plain, FILE_MAX);
	rc = restic_box_open(repo->crypto, repo->master, buf_text(box),
			     box->len, &plain, e);
	if (!rc)
		rc = restic_config_parse(&repo->config, buf_text(&plain),
					 plain.len, e);
	buf_release(&plain);
	if (rc == RC_DENIED)
		rc = RC_MALFORMED;
	return rc ? err_context(e, rc, "%.140s: config", repo->store->shown)
		  : RC_OK;
}

/* Whether it is a repository at all is known before a password is asked. */
static enum rc read_config(struct restic_repo *repo, struct buf *box,
			   const struct call *call, struct err *e)
{
	struct store_tag tag;
	enum rc rc = repo->store->ops->get(repo->store, "config", box, &tag,
					   call, e);

	if (rc == RC_ABSENT)
		return err_set(e, RC_ABSENT,
			       "no restic repository at %.140s: there is no "
			       "config",
			       repo->store->shown);
	/* restic's is sealed, and cannot begin so. */
	if (!rc && strncmp(buf_text(box), "[repository]", 12) == 0)
		return err_set(e, RC_UNSUPPORTED,
			       "%.140s is a borg repository; its lock is "
			       "borg:%.60s",
			       repo->store->shown, repo->store->shown);
	return rc ? err_context(e, rc, "%.140s", repo->store->shown) : RC_OK;
}

enum rc restic_repo_open(struct restic_repo *repo, const char *rest,
			 const struct lock_wish *wish, const struct call *call,
			 struct err *e)
{
	struct buf path, config;
	enum rc rc;

	/* Of ours alone: what is executed later begins anew. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	buf_init(&path, RESTIC_TEXT_MAX);
	buf_init(&config, FILE_MAX);
	rc = restic_place(&path, rest, e);
	if (!rc)
		rc = store_open(&repo->store, "", buf_text(&path), &manners,
				call, e);
	if (!rc)
		rc = read_config(repo, &config, call, e);
	if (!rc)
		rc = restic_crypto_open(&repo->crypto, e);
	if (!rc)
		repo->master = restic_keys_new();
	if (!rc && !repo->master)
		rc = err_set(e, RC_RETRY, "out of memory");
	if (!rc)
		rc = unlock_master(repo, wish, call, e);
	if (!rc)
		rc = open_config(repo, &config, e);
	buf_release(&config);
	buf_release(&path);
	return rc;
}

void restic_repo_close(struct restic_repo *repo)
{
	restic_keys_free(repo->master);
	restic_crypto_close(repo->crypto);
	store_close(repo->store);
	*repo = (struct restic_repo){ 0 };
}
