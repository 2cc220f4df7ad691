/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the borg protocols share: the parsers, each a function of
 * bytes and nothing else, and the two ways to open a repository. borg.c tells
 * the versions apart; borg1.c and borg2.c speak them.
 */
#ifndef LOCK_BORG_H
#define LOCK_BORG_H

#include <jansson.h>

#include "lock/borg_host.h"
#include "store/store.h"
#include "util/buf.h"

/* --- borg 1: the name of the file in lock.exclusive --- */

enum { BORG1_NAME_MAX = 255 }; /* of a directory entry */

/* HOST.PID-THREAD. False: malformed, which every borg respects for ever. */
bool borg1_name_parse(struct borg_owner *owner, const char *name);
/* RC_UNSUPPORTED: this host id makes no file name. */
enum rc borg1_name_format(char out[BORG1_NAME_MAX + 1],
			  const struct borg_owner *owner, struct err *e);

/* --- borg 1: lock.roster --- */

struct borg_roster {
	json_t *top; /* the roster's own; an object */
};

/* No entries. RC_RETRY: no memory. */
enum rc borg_roster_init(struct borg_roster *r, struct err *e);
/*
 * RC_MALFORMED for everything that makes some borg crash or forget what is in
 * it: no JSON object, a list that is none, an entry that has not the three
 * members HOST, PID, THREAD. Top-level members of other names are kept.
 */
enum rc borg_roster_parse(struct borg_roster *r, const char *text, size_t len,
			  struct err *e);
void borg_roster_release(struct borg_roster *r); /* r may be all zero */

size_t borg_roster_count(const struct borg_roster *r, enum lock_mode mode);
void borg_roster_at(const struct borg_roster *r, enum lock_mode mode,
		    size_t index, struct borg_owner *owner);
bool borg_roster_has(const struct borg_roster *r, enum lock_mode mode,
		     const struct borg_owner *owner);
/* Once, however often it is added. RC_RETRY: no memory. */
enum rc borg_roster_add(struct borg_roster *r, enum lock_mode mode,
			const struct borg_owner *owner, struct err *e);
void borg_roster_drop_at(struct borg_roster *r, enum lock_mode mode,
			 size_t index);
/* True if it was there. */
bool borg_roster_drop(struct borg_roster *r, enum lock_mode mode,
		      const struct borg_owner *owner);
/* Nobody is in it, so that borg would remove the file. */
bool borg_roster_is_empty(const struct borg_roster *r);
/* As Python's json.dumps writes it. */
enum rc borg_roster_text(const struct borg_roster *r, struct buf *into,
			 struct err *e);

/* --- borg 2: an object below locks/ --- */

struct borg2_record {
	struct borg_owner owner;
	bool exclusive;
	struct wall time; /* when it was written, by the writer's clock */
};

/* RC_MALFORMED: borg 2 cannot read it either, or not reliably. */
enum rc borg2_parse(struct borg2_record *r, const char *text, size_t len,
		    struct err *e);
/* Byte for byte as borg 2 writes it; the time loses what is below 1 ms. */
enum rc borg2_format(const struct borg2_record *r, struct buf *into,
		     struct err *e);
/* Can borgstore see an object of this name? Others are not there for it. */
bool borg2_name_is_valid(const char *name);

/* How often a holder writes a new object, and for how long the old one then
 * stays beside it. */
struct borg2_pace {
	nsec renew, overlap;
};
extern const struct borg2_pace borg2_pace;

/* --- for both --- */

/* A JSON string as Python writes it, in ASCII and with its quotes. */
enum rc borg_json_string(struct buf *into, const char *text, struct err *e);

/* What stands below a prefix, gathered. */
struct borg_entry {
	char name[BORG1_NAME_MAX + 1];
	struct store_tag tag;
	bool directory;
};
struct borg_entries {
	struct borg_entry *at;
	size_t count, room;
	enum rc rc;
	struct err err;
};
/* Fill `into` anew, keeping its memory; to be released whatever this returns. */
enum rc borg_entries_list(struct borg_entries *into, struct store *s,
			  const char *prefix, const struct call *call,
			  struct err *e);
/* The names alone. list leaves out what goes while it is being looked at;
 * this does not. */
enum rc borg_entries_names(struct borg_entries *into, struct store *s,
			   const char *prefix, const struct call *call,
			   struct err *e);
void borg_entries_release(struct borg_entries *l);

/* Has it changed so lately that somebody may be at it? For patience alone: the
 * two clocks may differ. */
bool borg_changed_lately(const struct store_tag *tag);

/* Host, pid and who it is for people: host is what stands before "@NODE". */
void borg_info_owner(struct lock_info *info, const struct borg_owner *owner);
/* For struct lock's warning: this host has no id that lasts; or NULL. */
const char *borg_host_warning(const struct borg_host *h);
/* RC_BUSY with the sentence why one that is not proved stale stays. */
enum rc borg_spared(const struct lock_info *info, struct err *e);
/* 16 hex digits made of what tells a lock from all others. */
enum rc borg_id(char *out, size_t size, const char *text, struct err *e);

/*
 * The store is handed over in any case, and host is copied. Nothing of the
 * repository is changed.
 */
enum rc borg1_open(struct lock **lock, const struct lock_wish *wish,
		   struct store *store, const struct borg_host *host,
		   struct err *e);
enum rc borg2_open(struct lock **lock, const struct lock_wish *wish,
		   struct store *store, const struct borg_host *host,
		   const struct borg2_pace *pace, struct err *e);

/* Their customs of writing, but for the modes. */
extern const struct store_manners borg1_manners, borg2_manners;

#endif
