/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A place that keeps small named objects: a directory today; SFTP, REST, S3
 * and WebDAV are made to fit the same table. Lock protocols are written
 * against this and never ask which driver is behind it.
 *
 * What a store must give: list after write is consistent (a listing that is
 * asked for after a put was answered shows it). Nothing else is assumed;
 * what more a driver has is said by a non-NULL pointer or a bit in `can`.
 *
 * Names are relative, parts joined by '/', never "." or "..", never absolute;
 * the driver refuses others with RC_MALFORMED. Missing directories above an
 * object are made by put. A name that ends in '/' means the directory itself
 * (put: make it, data ignored; del: remove it if empty).
 *
 * Threads: one at a time for one struct store, any thread. Every operation
 * may block as long as the call's leash allows (a hanging kernel: longer).
 *
 * Failure: RC_ABSENT and RC_EXISTS are answers; RC_UNKNOWN means that a
 * write may have happened; RC_RETRY that it did not; see util/err.h.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"
#include "util/call.h"

/* What tells one version of an object from another. Compare with ==-wise
 * store_tag_same; never order by it, never take time for a clock of ours. */
struct store_tag {
	struct wall time; /* of last modification, by the store's clock */
	uint64_t size;
	uint64_t inode;  /* 0 where a store has none */
	uint64_t device; /* on which the inode is */
	char etag[72];   /* "" where a store has none */
};

struct store_entry {
	const char *name; /* below the listed prefix; lent for the callback */
	struct store_tag tag;
	bool directory;
	bool odd; /* neither a file nor a directory: a link, a pipe, a device */
};

/* False ends the listing early. */
typedef bool store_seen(void *context, const struct store_entry *entry);

enum store_put_when {
	STORE_PUT_ALWAYS,    /* create or replace, as a whole, atomically */
	STORE_PUT_IF_ABSENT, /* RC_EXISTS otherwise */
	STORE_PUT_IF_MATCH   /* RC_EXISTS unless it is the version given */
};

enum store_can {
	/* PUT_IF_ABSENT is atomic; in a directory only where its file system
	 * has links or can rename without replacing */
	STORE_CAN_ABSENT = 1 << 0,
	STORE_CAN_MATCH = 1 << 1, /* PUT_IF_MATCH is atomic */
	STORE_CAN_LIST_CONSISTENT = 1 << 2
};

/* How a driver writes; foreign formats have their own customs. */
struct store_manners {
	mode_t file_mode; /* 0: follow the directory's group and mode */
	mode_t dir_mode;  /* 0: likewise */
	/* An object of the store: where its group may not read it, or it is
	 * not there, the group's bits are taken off both modes. Looked at once,
	 * by open. NULL: the modes are meant as they are. */
	const char *group_of;
	/* Directories of the base that may be symbolic links, to directories of
	 * the base's owner; ended by NULL. NULL: no link is followed. */
	const char *const *links;
	bool durable; /* fsync the object and its directory */
	/* Temporary name for NAME: printf format with one %s for the last part
	 * of NAME and one %s for 9 random decimal digits; NULL: the driver's
	 * own way, which may leave no name at all. */
	const char *temporary;
};

struct store;

/* Is the kernel lock of an object taken? */
enum store_probe {
	STORE_PROBE_TAKEN, /* its owner lives, or nobody may say otherwise */
	STORE_PROBE_FREE,  /* proved: no process holds it */
	STORE_PROBE_BLIND  /* a lock taken here could not be seen, or no right
	                      to look: proves nothing */
};

struct store_ops {
	const char *name; /* "dir" */
	unsigned can;     /* enum store_can */

	void (*close)(struct store *s); /* wipes secrets; accepts NULL */

	/* --- required --- */
	/* What is there but cannot be read (RC_DENIED, RC_MALFORMED) has a tag
	 * all the same, which is filled in if it can be known. */
	enum rc (*get)(struct store *s, const char *name, struct buf *into,
		       struct store_tag *tag, const struct call *call,
		       struct err *e);
	/* match: only with PUT_IF_MATCH. tag, if not NULL, is the new one. */
	enum rc (*put)(struct store *s, const char *name, const void *data,
		       size_t len, enum store_put_when when,
		       const struct store_tag *match, struct store_tag *tag,
		       const struct call *call, struct err *e);
	/* RC_ABSENT when there was nothing. */
	enum rc (*del)(struct store *s, const char *name,
		       const struct call *call, struct err *e);
	/* What stands directly below prefix ("" or "a/b/"), in any order; a
	 * prefix that does not exist is an empty list. Each entry at most once;
	 * consistent even where reading it takes more than one request. */
	enum rc (*list)(struct store *s, const char *prefix, store_seen *seen,
			void *context, const struct call *call, struct err *e);
	/* Rewrite an object that must exist, in place; RC_ABSENT otherwise:
	 * never brings a deleted one back. `was` is its tag from an earlier
	 * put or get: where objects can be swapped for others (a file that
	 * somebody moved to the name), nothing is written to any but that. */
	enum rc (*renew)(struct store *s, const char *name,
			 const struct store_tag *was, const void *data,
			 size_t len, struct store_tag *tag,
			 const struct call *call, struct err *e);

	/* --- optional: NULL where a store has no such thing --- */
	/* As list, with the tags left zero: where a tag costs
	 * a system call an entry and a queue of hundreds is listed at every
	 * turn. NULL: list brings the tags for nothing. */
	enum rc (*names)(struct store *s, const char *prefix, store_seen *seen,
			 void *context, const struct call *call, struct err *e);
	/* Atomically, for files and directories. RC_EXISTS when `to` is there,
	 * whatever it is; nothing is ever replaced. (Where a file system cannot
	 * rename without replacing, `to` is looked at first: it must be a name
	 * that nobody makes but whoever moves `from`, or a directory.) */
	enum rc (*move)(struct store *s, const char *from, const char *to,
			const struct call *call, struct err *e);
	/* put PUT_IF_ABSENT of an object on which a kernel lock is taken before
	 * its name can be seen. *fd is the caller's: the lock lives as long as
	 * this open description (share it by passing or inheriting). The
	 * object is renewed through it by renew_open. RC_UNSUPPORTED where
	 * such locks are not seen by every process of this host. */
	enum rc (*put_locked)(struct store *s, const char *name, const void *data,
			      size_t len, int *fd, struct store_tag *tag,
			      const struct call *call, struct err *e);
	/* put PUT_ALWAYS under a name that nobody else makes, without a lock,
	 * for renew_open; *fd is the caller's. After RC_UNKNOWN it may be -1
	 * or not. */
	enum rc (*put_open)(struct store *s, const char *name, const void *data,
			    size_t len, int *fd, struct store_tag *tag,
			    const struct call *call, struct err *e);
	/* Rewrite what put_locked or put_open made, through its descriptor: no
	 * other object is ever written, whatever the name means by now.
	 * RC_ABSENT: it is not what the name means any more. */
	enum rc (*renew_open)(struct store *s, const char *name, int fd,
			      const void *data, size_t len,
			      struct store_tag *tag, struct err *e);
	/* Test the kernel lock of an object made by put_locked, once. The lock
	 * of an owner that died ends some milliseconds after the watch told
	 * of it: who was woken by that tests again. */
	enum rc (*probe)(struct store *s, const char *name,
			 enum store_probe *found, const struct call *call,
			 struct err *e);
	/* Which process took the kernel lock of NAME, as the kernel tells; 0:
	 * none that can be seen from here. */
	enum rc (*holder)(struct store *s, const char *name, pid_t *pid,
			  struct err *e);
	/* Block until the kernel lock of NAME is free. RC_OK: it is, and *gone
	 * says whether NAME is as well, by release; else its owner has died.
	 * RC_BUSY: still taken after span; as call_check; anything else: this
	 * is no way to wait for it. Cheaper than watch, for any number of
	 * waiters; tells of nothing but the lock. */
	enum rc (*await)(struct store *s, const char *name, nsec span,
			 bool *gone, const struct call *call, struct err *e);
	/* A descriptor that becomes readable when NAME may have changed, gone,
	 * or lost its kernel lock; add more names by calling again. RC_ABSENT:
	 * NAME is not there (looked at after the watch was added, so that
	 * nothing falls in between). The fd is lent until close. unwatch
	 * forgets them all and empties it. Closing an inotify descriptor takes
	 * some 16 ms unless its watches were gone for as long: nothing that
	 * must be quick watches at all. */
	enum rc (*watch)(struct store *s, const char *name, int *fd,
			 struct err *e);
	void (*unwatch)(struct store *s);
};

struct store {
	const struct store_ops *ops; /* first member of every driver's struct */
	struct store_manners manners;
	char shown[256]; /* the place for messages, secrets masked */
	/* How long what another host did may stay unseen from here, however
	 * freshly an object is opened: 60 s on network file systems, which
	 * cache attributes; 0 where nothing stands between. Where it is not 0,
	 * `watch` does not see what others do either. */
	nsec lag;
	/* Why no lock can be taken here: a listing may show what this host has
	 * written before others see it, so that two hosts would hold it. What
	 * others hold can be listed and removed all the same. "": none. */
	char unfit[256];
	/* What a holder should hear of this place; "": nothing. */
	char doubt[256];
};

/* Before a lock is taken: RC_OK, or RC_UNSUPPORTED with the reason. */
enum rc store_may_lock(const struct store *s, struct err *e);

/* For lock.warning: s->doubt, or NULL; lent until close. */
const char *store_warning(const struct store *s);

/*
 * Open the store for a location's scheme ("", "lease", "file", later "sftp",
 * ...). Nothing is created. *s is the caller's, to be closed by store_close.
 * With debug output on, the store is wrapped by store/trace.c.
 */
enum rc store_open(struct store **s, const char *scheme, const char *rest,
		   const struct store_manners *manners, const struct call *call,
		   struct err *e);
void store_close(struct store *s);

bool store_tag_same(const struct store_tag *a, const struct store_tag *b);

#endif
