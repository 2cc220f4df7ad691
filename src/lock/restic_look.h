/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All the locks of a restic repository at one instant, decoded. A lock's file
 * never changes (its name is its content's hash), so a second look reads only
 * what is new.
 */
#ifndef LOCK_RESTIC_LOOK_H
#define LOCK_RESTIC_LOOK_H

#include "lock/restic_record.h"
#include "lock/restic_repo.h"

enum restic_sight {
	RESTIC_UNSEEN, /* listed, not read; never in a look that succeeded */
	RESTIC_READ,
	RESTIC_EMPTY, /* a file of no bytes: no lock yet, or none any more */
	RESTIC_UNREADABLE
};

struct restic_file {
	char id[65];
	struct store_tag tag;
	enum restic_sight sight;
	struct restic_record record; /* if READ */
	char why[120];               /* unless READ */
	bool outdated; /* its holder has a newer one; restic_look_mark */
};

struct restic_look {
	struct restic_file *files; /* sorted by id */
	size_t count, room;
};

/*
 * Look, again: *look is all zero or what an earlier look left. A file that
 * vanished between being listed and being read was perhaps replaced by one
 * that the listing could not show, so then it is listed anew. On failure
 * *look is as it was.
 */
enum rc restic_look(struct restic_repo *repo, struct restic_look *look,
		    const struct call *call, struct err *e);
void restic_look_release(struct restic_look *look);

const struct restic_file *restic_look_find(const struct restic_look *look,
					   const char *id);

/* Tell those apart that are only the older ones of their holder. */
enum rc restic_look_mark(struct restic_look *look, struct err *e);
/* Is there a file that may just be being written? */
bool restic_look_is_unsettled(const struct restic_look *look);

/* One file, read now. RC_ABSENT: gone. What makes no sense is told in *file,
 * not by rc. */
enum rc restic_look_at(struct restic_repo *repo, struct restic_file *file,
		       const char *id, const struct call *call, struct err *e);

/*
 * Make the file of a record: sealed, named, and read back by our own eyes,
 * since one that cannot be read stops every restic. Appended to box.
 */
enum rc restic_look_seal(struct restic_repo *repo,
			 const struct restic_record *record, char id[65],
			 struct buf *box, struct err *e);

/* "locks/ID" */
enum { RESTIC_NAME_SIZE = sizeof("locks/") + 64 };
void restic_lock_name(char name[RESTIC_NAME_SIZE], const char *id);

/* Are both of one holder (a refresh shows two for a moment)? */
bool restic_same_holder(const struct restic_record *a,
			const struct restic_record *b);

#endif
