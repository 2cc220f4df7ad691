/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/restic_look.h"

#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* A file that cannot be a lock is not read to its end. */
enum { FILE_MAX = RESTIC_PLAIN_MAX + RESTIC_BOX_OVERHEAD };

/* Each is read and judged; beyond this somebody fills the folder by mistake or
 * malice. */
enum { FILES_MAX = 10000 };

/* One that cannot be read and is younger may just be being written. */
#define LATELY (10 * NSEC_PER_SEC)

/* In a busy repository files come and go; so often in a row they do not. */
enum { LOOKS = 20 };

void restic_lock_name(char name[RESTIC_NAME_SIZE], const char *id)
{
	memcpy(name, "locks/", sizeof("locks/"));
	(void)text_copy(name + 6, RESTIC_NAME_SIZE - 6, id);
}

void restic_look_release(struct restic_look *look)
{
	free(look->files);
	*look = (struct restic_look){ 0 };
}

static int by_id(const void *a, const void *b)
{
	const struct restic_file *one = a, *two = b;

	return strcmp(one->id, two->id);
}

static int id_of(const void *id, const void *file)
{
	return strcmp(id, ((const struct restic_file *)file)->id);
}

const struct restic_file *restic_look_find(const struct restic_look *look,
					   const char *id)
{
	return look->count == 0 ? NULL
				: bsearch(id, look->files, look->count,
					  sizeof(*look->files), id_of);
}

bool restic_same_holder(const struct restic_record *a,
			const struct restic_record *b)
{
	if (a->token[0] || b->token[0])
		return strcmp(a->token, b->token) == 0;
	return a->pid == b->pid && a->uid == b->uid &&
	       a->exclusive == b->exclusive && strcmp(a->host, b->host) == 0;
}

/* Those of a holder side by side, the newest last; what was not read has no
 * holder. As restic_same_holder has it. */
static int by_holder(const void *a, const void *b)
{
	const struct restic_file *one = *(struct restic_file *const *)a;
	const struct restic_file *two = *(struct restic_file *const *)b;
	const struct restic_record *r = &one->record, *s = &two->record;
	int order = (one->sight == RESTIC_READ) - (two->sight == RESTIC_READ);

	if (order == 0)
		order = strcmp(r->token, s->token);
	if (order == 0 && !r->token[0]) {
		order = (r->pid > s->pid) - (r->pid < s->pid);
		if (order == 0)
			order = (r->uid > s->uid) - (r->uid < s->uid);
		if (order == 0)
			order = r->exclusive - s->exclusive;
		if (order == 0)
			order = strcmp(r->host, s->host);
	}
	if (order == 0)
		order = (r->time.ns > s->time.ns) - (r->time.ns < s->time.ns);
	return order != 0 ? order : (one > two) - (one < two);
}

enum rc restic_look_mark(struct restic_look *look, struct err *e)
{
	struct restic_file **at;

	if (look->count < 2)
		return RC_OK;
	at = calloc(look->count, sizeof(struct restic_file *));
	if (!at)
		return err_set(e, RC_RETRY, "out of memory");
	for (size_t i = 0; i < look->count; i++)
		at[i] = &look->files[i];
	qsort(at, look->count, sizeof(struct restic_file *), by_holder);
	for (size_t i = 0; i + 1 < look->count; i++)
		at[i]->outdated = at[i]->sight == RESTIC_READ &&
				  restic_same_holder(&at[i]->record,
						     &at[i + 1]->record);
	free(at);
	return RC_OK;
}

/* Only a matter of patience, so that the two clocks may well differ. */
bool restic_look_is_unsettled(const struct restic_look *look)
{
	for (size_t i = 0; i < look->count; i++) {
		const struct restic_file *file = &look->files[i];
		nsec age = wall_now().ns - file->tag.time.ns;

		if (file->sight != RESTIC_READ && age < LATELY && age > -LATELY)
			return true;
	}
	return false;
}

/* --- one file --- */

static enum rc decode(struct restic_repo *repo, struct restic_record *record,
		      const struct buf *box, struct err *e)
{
	struct buf plain, json;
	enum rc rc;

	buf_init(&plain, RESTIC_PLAIN_MAX);
	buf_init(&json, RESTIC_PLAIN_MAX);
	rc = restic_box_open(repo->crypto, repo->master, buf_text(box),
			     box->len, &plain, e);
	if (!rc)
		rc = restic_inner_decode(repo->config.version, buf_text(&plain),
					 plain.len, &json, e);
	if (!rc)
		rc = restic_record_parse(record, buf_text(&json), json.len, e);
	buf_release(&json);
	buf_release(&plain);
	return rc;
}

static enum rc decode_named(struct restic_repo *repo, struct restic_file *file,
			    const struct buf *box, struct err *e)
{
	char actual[65];
	enum rc rc = restic_id_of(actual, box, e);

	if (rc)
		return rc;
	if (strcmp(actual, file->id) != 0)
		return err_set(e, RC_MALFORMED,
			       "its content does not match its name");
	return decode(repo, &file->record, box, e);
}

/* These say something about the file; the rest, about the store. */
static bool about_the_file(enum rc rc)
{
	return rc == RC_MALFORMED || rc == RC_DENIED || rc == RC_FAILED ||
	       rc == RC_UNSUPPORTED;
}

static enum rc fill(struct restic_repo *repo, struct restic_file *file,
		    const struct call *call, struct err *e)
{
	char name[RESTIC_NAME_SIZE];
	struct buf box;
	enum rc rc;

	restic_lock_name(name, file->id);
	buf_init(&box, FILE_MAX);
	rc = repo->store->ops->get(repo->store, name, &box, &file->tag, call, e);
	file->sight = RESTIC_READ;
	if (!rc && box.len == 0) {
		file->sight = RESTIC_EMPTY;
		(void)text_copy(file->why, sizeof(file->why), "it is empty");
	} else if (!rc) {
		rc = decode_named(repo, file, &box, e);
	}
	if (about_the_file(rc)) {
		file->sight = RESTIC_UNREADABLE;
		(void)text_copy(file->why, sizeof(file->why), e->text);
		rc = RC_OK;
	}
	buf_release(&box);
	return rc;
}

enum rc restic_look_at(struct restic_repo *repo, struct restic_file *file,
		       const char *id, const struct call *call, struct err *e)
{
	*file = (struct restic_file){ 0 };
	(void)text_copy(file->id, sizeof(file->id), id);
	return fill(repo, file, call, e);
}

enum rc restic_look_seal(struct restic_repo *repo,
			 const struct restic_record *record, char id[65],
			 struct buf *box, struct err *e)
{
	struct restic_record back;
	struct buf json;
	enum rc rc;

	buf_init(&json, RESTIC_PLAIN_MAX);
	rc = restic_record_write(record, &json, e);
	if (!rc)
		rc = restic_box_seal(repo->crypto, repo->master,
				     buf_text(&json), json.len, box, e);
	if (!rc)
		rc = restic_id_of(id, box, e);
	if (!rc)
		rc = decode(repo, &back, box, e);
	if (!rc &&
	    (back.time.ns != record->time.ns ||
	     back.exclusive != record->exclusive || back.pid != record->pid ||
	     strcmp(back.token, record->token) != 0))
		rc = err_set(e, RC_FAILED, "it reads back differently");
	buf_release(&json);
	return rc ? err_context(e, RC_FAILED, "the lock file that was made")
		  : RC_OK;
}

/* --- all of them --- */

struct listing {
	struct restic_look look;
	const struct restic_look *before;
	enum rc rc;
};

static bool make_room(struct restic_look *look)
{
	size_t room = look->room ? 2 * look->room : 4;
	struct restic_file *files;

	if (look->count == FILES_MAX)
		return false;
	if (look->count < look->room)
		return true;
	files = realloc(look->files, room * sizeof(*files));
	if (!files)
		return false;
	look->files = files;
	look->room = room;
	return true;
}

static bool note_file(void *context, const struct store_entry *entry)
{
	struct listing *l = context;
	const struct restic_file *known;
	struct restic_file *file;

	if (!restic_is_id(entry->name))
		return true;
	if (!make_room(&l->look)) {
		l->rc = RC_MALFORMED;
		return false;
	}
	file = &l->look.files[l->look.count++];
	known = restic_look_find(l->before, entry->name);
	/* Only what was read is known for good: another client may be writing
	 * a file that is empty or senseless now. */
	if (known && known->sight == RESTIC_READ) {
		*file = *known;
		file->outdated = false;
		return true;
	}
	*file = (struct restic_file){ .sight = RESTIC_UNSEEN };
	(void)text_copy(file->id, sizeof(file->id), entry->name);
	return true;
}

static enum rc list_files(struct restic_repo *repo, struct listing *l,
			  const struct call *call, struct err *e)
{
	struct store *s = repo->store;
	enum rc rc = s->ops->names
			     ? s->ops->names(s, "locks/", note_file, l, call, e)
			     : s->ops->list(s, "locks/", note_file, l, call, e);

	if (!rc && l->rc)
		rc = err_set(e, l->rc,
			     "%.100s has more than %d files in locks/, and is "
			     "not judged; where no restic runs: restic unlock "
			     "--remove-all",
			     s->shown, FILES_MAX);
	if (!rc && l->look.count > 0)
		qsort(l->look.files, l->look.count, sizeof(*l->look.files),
		      by_id);
	return rc;
}

/* *vanished tells that one was gone when it was to be read. */
static enum rc read_files(struct restic_repo *repo, struct restic_look *look,
			  bool *vanished, const struct call *call, struct err *e)
{
	for (size_t i = 0; i < look->count && !*vanished; i++) {
		enum rc rc = RC_OK;

		if (look->files[i].sight == RESTIC_UNSEEN)
			rc = fill(repo, &look->files[i], call, e);
		if (rc == RC_ABSENT)
			*vanished = true;
		else if (rc)
			return rc;
	}
	return RC_OK;
}

enum rc restic_look(struct restic_repo *repo, struct restic_look *look,
		    const struct call *call, struct err *e)
{
	for (int i = 0; i < LOOKS; i++) {
		struct listing l = { .before = look };
		bool vanished = false;
		enum rc rc = list_files(repo, &l, call, e);

		if (!rc)
			rc = read_files(repo, &l.look, &vanished, call, e);
		if (rc) {
			restic_look_release(&l.look);
			return rc;
		}
		restic_look_release(look);
		*look = l.look;
		if (!vanished)
			return RC_OK;
		rc = call_check(call, e);
		if (rc)
			return rc;
	}
	return err_set(e, RC_RETRY,
		       "the locks of %.160s change faster than they can be "
		       "read",
		       repo->store->shown);
}
