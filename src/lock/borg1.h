/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock of borg 1 in three files: borg1.c is its life, borg1_files.c reads
 * and writes the two files it is made of, borg1_admin.c lists and removes.
 */
#ifndef LOCK_BORG1_H
#define LOCK_BORG1_H

#include "lock/borg.h"

#define EXCLUSIVE "lock.exclusive"
#define ROSTER "lock.roster"
#define PRIVATE_SUFFIX ".tmp"

/* What is longer is no roster. */
#define ROSTER_SIZE_MAX ((size_t)1 << 20)

enum obstacle { NO_OBSTACLE, OBSTACLE_FILE, OBSTACLE_ROSTER, OBSTACLE_OTHER };

struct borg1_lock {
	struct lock base; /* first: borg1_of depends on it */
	struct store *store;
	struct borg_host host;
	struct borg_owner own;
	char own_file[BORG1_NAME_MAX + 1];
	char user[64];
	enum lock_mode mode;
	enum lock_break clear;
	bool wait;

	char private_dir[64]; /* ours, to become lock.exclusive; "" : none */
	struct store_tag own_tag;  /* of our file in it: the store's now */
	bool entered;              /* lock.exclusive is, or may be, ours */
	bool enlisted;             /* the roster has, or may have, our entry */
	bool held;                 /* acquire said so */
	bool leaving;              /* what is gone may be so by our own doing */
	bool delisting;            /* likewise our entry of the roster */
	struct boot muddled_since; /* roster unreadable while we hold; 0: no */
	struct boot release_since; /* our entry could not be taken off; 0: no */

	/* What acquire met last, for wait. */
	enum obstacle obstacle;
	char obstacle_file[BORG1_NAME_MAX + 1];
	struct store_tag obstacle_tag;
	struct store_tag empty; /* an empty lock.exclusive, seen first at */
	struct boot empty_since;

	bool watching;
	int alarm_fd; /* -1, or readable: gone before it was watched */

	struct liveness_inside inside; /* host.inside */
	struct borg1_survey *survey;   /* the administrator's last; or NULL */
};

/* --- describing --- */

void borg1_info_begin(struct lock_info *info, enum lock_mode mode);
/* Whose it is, and whether he lives; ours: it is our own. */
void borg1_info_judge(const struct borg1_lock *l, struct lock_info *info,
		      const struct borg_owner *owner, struct wall made,
		      bool ours);
enum rc borg1_file_id(struct lock_info *info, const struct borg_entry *f,
		      struct err *e);
/* A file in lock.exclusive. */
enum rc borg1_describe_file(const struct borg1_lock *l,
			    const struct borg_entry *f, struct lock_info *info,
			    struct err *e);
/* An entry of the roster, which was written at `written`. */
enum rc borg1_describe_entry(const struct borg1_lock *l,
			     const struct borg_owner *owner,
			     enum lock_mode mode, struct wall written,
			     struct lock_info *info, struct err *e);
/* The id under which our own entry of the roster is listed. */
enum rc borg1_entry_id(const struct borg1_lock *l, struct lock_info *info,
		       struct err *e);
/* For sentences: who has lock.exclusive. */
void borg1_whose(char *out, size_t size, const struct lock_info *holder);
/* A roster that cannot be read: why says it. */
enum rc borg1_describe_muddle(struct lock_info *info, const struct store_tag *tag,
			      const struct err *why, struct err *e);

/* --- lock.roster --- */

/* RC_OK: *r is the caller's, empty where there is no file. RC_MALFORMED: it
 * may just be being written. */
enum rc borg1_roster_read(struct borg1_lock *l, struct borg_roster *r,
			  struct store_tag *tag, const struct call *call,
			  struct err *e);
/* The same, but asked again for a while before it is called malformed. */
enum rc borg1_roster_load(struct borg1_lock *l, struct borg_roster *r,
			  struct store_tag *tag, const struct call *call,
			  struct err *e);
/* The same, to judge others by: RC_MALFORMED also where there are too many. To
 * be released whatever this returns. */
enum rc borg1_roster_survey(struct borg1_lock *l, struct borg_roster *r,
			    struct store_tag *tag, const struct call *call,
			    struct err *e);
/* May somebody be writing it now? That is who has lock.exclusive. */
bool borg1_is_edited(struct borg1_lock *l, const struct call *call);
/* Take those off the list that are proved dead, where that is wanted. */
enum rc borg1_roster_prune(const struct borg1_lock *l, struct borg_roster *r,
			   enum lock_mode mode, const struct store_tag *tag,
			   struct err *e);
/*
 * Only with lock.exclusive in hand. Whole, by a file renamed to its place:
 * borg's own way, truncate and write, may lose all entries on a full disk.
 * old: what was loaded.
 */
enum rc borg1_roster_save(struct borg1_lock *l, const struct borg_roster *r,
			  const struct store_tag *old, const struct call *call,
			  struct err *e);
/* RC_BUSY: *holder is a shared one that must be waited for. */
enum rc borg1_find_reader(struct borg1_lock *l, const struct borg_roster *r,
			  const struct store_tag *tag, struct lock_info *holder,
			  struct err *e);
/* The rc of borg1_roster_load as acquire must see it: what cannot be read may
 * hold entries of the living, although borg would overwrite it. */
enum rc borg1_respect_muddle(struct borg1_lock *l, enum rc rc,
			     const struct store_tag *tag,
			     struct lock_info *holder, struct err *e);
/* Take an entry off. Only with lock.exclusive in hand. RC_LOST: it was not
 * there; RC_MALFORMED: nobody can tell. */
enum rc borg1_delist(struct borg1_lock *l, const struct borg_owner *owner,
		     enum lock_mode mode, const struct call *call, struct err *e);

/* --- lock.exclusive --- */

enum rc borg1_list_exclusive(struct borg1_lock *l, struct borg_entries *files,
			     const struct call *call, struct err *e);
/* file "": the directory itself, if it is empty. */
enum rc borg1_del_below(struct borg1_lock *l, const char *dir, const char *file,
			const struct call *call, struct err *e);
/* Remove the directory unless somebody is in it, which borg permits too. */
void borg1_tidy_exclusive(struct borg1_lock *l, const struct call *call);
/*
 * One try for lock.exclusive. RC_OK: it is ours; RC_BUSY: *holder has it, and
 * nothing of ours stays behind.
 */
enum rc borg1_take(struct borg1_lock *l, struct lock_info *holder,
		   const struct call *call, struct err *e);
/* Again and again; for edits that must not fail for a mere collision. RC_BUSY
 * comes with the sentence whose it is. */
enum rc borg1_take_patiently(struct borg1_lock *l, nsec patience,
			     const struct call *call, struct err *e);
/* RC_LOST: we were no longer in it. */
enum rc borg1_leave(struct borg1_lock *l, const struct call *call, struct err *e);
/* What a try left that was to become lock.exclusive. */
void borg1_private_remove(struct borg1_lock *l, const struct call *call);

/* --- the administrator's part --- */

void borg1_survey_free(struct borg1_survey *s); /* accepts NULL */

enum rc borg1_list(struct lock *lock, lock_seen *seen, void *context,
		   const struct call *call, struct err *e);
enum rc borg1_remove(struct lock *lock, const struct lock_remove *what,
		     struct lock_info *info, const struct call *call,
		     struct err *e);

struct borg1_lock *borg1_of(struct lock *lock);

#endif
