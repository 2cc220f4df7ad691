/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects as files below a directory.
 *
 * The directory is opened once; everything below it is reached from there by
 * a walk that follows no symbolic link and leaves by no "..", anew at each
 * call: a descriptor kept from an earlier one would go on seeing a directory
 * that was moved away, while newcomers see its successor.
 *
 * Modes and owners follow the base directory, whatever the umask: who may
 * read it as its group, or write it as anybody, can take part. Root also
 * follows its owner, so that a job in root's crontab does not shut out the
 * user whose repository it is.
 */
#include "store/driver.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/flock_lines.h"
#include "util/text.h"
#include "util/turn.h"

/* Longest name that is taken; locks of all formats stay far below. */
#define NAME_ROOM 512

/* Attributes of network file systems may be cached that long. */
#define NETWORK_LAG (60 * NSEC_PER_SEC)

/* A directory that fits is read by one system call, which nothing can come
 * between; the room grows until it does or this is reached. */
#define LIST_ROOM_FIRST ((size_t)32 * 1024)
#define LIST_ROOM_MAX ((size_t)4 * 1024 * 1024)
/* Else it is read until two readings are the same. */
#define LIST_AGAIN_MAX 32

/* File systems that keep whole seconds only, or two. */
enum { MTIME_UNIT = 2 };

/* A directory that was removed between making and using it, so often. */
#define GONE_MAX 8

/* An open that was interrupted, or would have to wait, so often. */
enum { OPEN_TRIES = 4 };

#define WATCHES_MAX 32
#define WATCHED (IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF | IN_CLOSE_WRITE)

struct dir_store {
	struct store base; /* first: dir_of() depends on it */
	char *path;        /* by which others find it */
	int fd;            /* the directory itself, O_PATH */
	dev_t dev;
	ino_t ino;
	uid_t uid;
	gid_t gid;
	mode_t file_mode;
	mode_t dir_mode;
	bool sees_locks; /* the base's file system, see sees_locks() */
	char *list;      /* room for a listing */
	size_t list_room;
	int inotify; /* -1 until the first watch */
	int watches[WATCHES_MAX];
	size_t watch_count;
	struct turn turn;
};

extern const struct store_ops store_dir;

static struct dir_store *dir_of(struct store *s)
{
	assert(s->ops == &store_dir);
	return (struct dir_store *)s;
}

/* --- what stands in the way --- */

/* Cut name behind the first of its parts that is a symbolic link. */
static void cut_at_link(const struct dir_store *d, char *name)
{
	for (char *end = name; *end != '\0'; end++) {
		struct stat st;
		char next;

		end += strcspn(end, "/");
		next = *end;
		*end = '\0';
		if (next == '\0' ||
		    (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		     S_ISLNK(st.st_mode)))
			return;
		*end = next;
	}
}

static bool may_be_link(const struct dir_store *d, const char *part)
{
	const char *const *links = d->base.manners.links;

	while (links && *links && strcmp(*links, part) != 0)
		links++;
	return links && *links;
}

/* The sentence for a failed system call on `name`, with the next step. */
static enum rc refuse(const struct dir_store *d, const char *name, int sys,
		      struct err *e)
{
	const char *shown = d->base.shown;
	const char *slash = shown[strlen(shown) - 1] == '/' ? "" : "/";
	enum rc rc = rc_of_errno(sys);
	const char *why = NULL;
	char part[NAME_ROOM];

	(void)text_copy(part, sizeof(part), name);
	switch (sys) {
	case EACCES:
	case EPERM:
		why = "permission denied; give this user access to the "
		      "directory, or run as another";
		break;
	case EROFS:
		why = "read-only file system; a lock must be written there";
		break;
	case ENOSPC:
	case EDQUOT:
		why = "no space left; free some";
		break;
	case EAGAIN: /* the cause first: it is to be cut last */
		(void)err_set(e, rc,
			      "cannot be looked at now: another process keeps "
			      "a lease (fcntl F_SETLEASE) on %.70s",
			      part);
		e->sys = sys;
		return rc;
	case ELOOP:
		cut_at_link(d, part);
		why = may_be_link(d, part)
			      ? "a symbolic link, which is only followed to a "
				"directory of its own and this one's owner"
			      : "a symbolic link, which is not followed; "
				"remove it";
		break;
	case ENOTDIR:
		why = "a file stands where a directory is needed; move it away";
		break;
	default:
		return err_sys(e, rc, sys, "%.110s%s%.70s", shown, slash, part);
	}
	(void)err_set(e, rc, "%.100s%s%.70s: %s", shown, slash, part, why);
	e->sys = sys;
	return rc;
}

/* The same for the step that others see: where an answer may have been lost
 * on its way, it may have been done. */
static enum rc refuse_step(const struct dir_store *d, const char *name, int sys,
			   struct err *e)
{
	enum rc rc = refuse(d, name, sys, e);

	switch (sys) {
	case EINTR:
	case EIO:
	case EREMOTEIO:
	case ETIMEDOUT:
	case ENOTCONN:
	case ECONNRESET:
	case ECONNABORTED:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ENETUNREACH:
	case ESHUTDOWN:
		return RC_UNKNOWN;
	default:
		return rc;
	}
}

/* --- kinds of file systems --- */

struct file_system {
	unsigned long magic;
	bool sees_locks; /* a flock is seen by every process of this host */
};

/*
 * Where nothing stands between us and the disk. All others count as shared
 * with other hosts: those that are, and those that nobody has looked at.
 * Overlayfs locks its own inode, which is another one for whoever comes
 * through the upper directory.
 */
static const struct file_system local[] = {
	{ .magic = 0xef53, .sees_locks = true },      /* ext2, 3, 4 */
	{ .magic = 0x58465342, .sees_locks = true },  /* xfs */
	{ .magic = 0x9123683e, .sees_locks = true },  /* btrfs */
	{ .magic = 0x2fc12fc1, .sees_locks = true },  /* zfs */
	{ .magic = 0xf2f52010, .sees_locks = true },  /* f2fs */
	{ .magic = 0x01021994, .sees_locks = true },  /* tmpfs */
	{ .magic = 0x794c7630, .sees_locks = false }, /* overlayfs */
	{ .magic = 0x858458f6, .sees_locks = false }, /* ramfs */
	{ .magic = 0xca451a4e, .sees_locks = false }, /* bcachefs */
	{ .magic = 0x3153464a, .sees_locks = false }, /* jfs */
	{ .magic = 0x3434, .sees_locks = false },     /* nilfs2 */
	{ .magic = 0x4d44, .sees_locks = false },     /* vfat */
	{ .magic = 0x2011bab0, .sees_locks = false }, /* exfat */
	{ .magic = 0x7366746e, .sees_locks = false }, /* ntfs3 */
	{ .magic = 0x482b, .sees_locks = false },     /* hfsplus */
};

#define FUSE_SUPER_MAGIC 0x65735546UL

static const struct file_system *file_system_of(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return NULL;
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		if (local[i].magic == (unsigned long)st.f_type)
			return &local[i];
	}
	return NULL;
}

static bool is_fuse(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 &&
	       (unsigned long)st.f_type == FUSE_SUPER_MAGIC;
}

/* Is a flock on this file seen by every process of this host that tries?
 * Something else may be mounted below the base. */
static bool sees_locks(const struct dir_store *d, int fd, dev_t dev)
{
	const struct file_system *fs;

	if (dev == d->dev)
		return d->sees_locks;
	fs = file_system_of(fd);
	return fs && fs->sees_locks;
}

/* --- reaching things below the base --- */

/* With O_DIRECTORY and O_NOFOLLOW a symbolic link is "not a directory". */
static int tell_link(int at, const char *part, int sys)
{
	struct stat st;

	if (sys == ENOTDIR && fstatat(at, part, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(st.st_mode))
		return ELOOP;
	return sys;
}

/* One step at a time, for kernels and sandboxes without openat2. */
static int walk(int base, const char *path, int flags)
{
	int at = base;

	for (;;) {
		char part[NAME_ROOM];
		size_t len = strcspn(path, "/");
		bool last = path[len] == '\0' || path[len + 1] == '\0';
		int step = last ? flags : O_PATH | O_DIRECTORY;
		int next, sys;

		memcpy(part, path, len);
		part[len] = '\0';
		next = openat(at, part, step | O_NOFOLLOW | O_CLOEXEC);
		sys = next < 0 ? tell_link(at, part, errno) : 0;
		if (at != base)
			(void)close(at);
		errno = sys;
		if (next < 0 || last)
			return next;
		at = next;
		path += len + 1;
	}
}

/* Is the first of these parts one that may be a link, and is it one? */
static bool is_known_link(const struct dir_store *d, const char *path,
			  char part[NAME_ROOM], struct stat *st)
{
	size_t len = strcspn(path, "/");

	memcpy(part, path, len);
	part[len] = '\0';
	return may_be_link(d, part) &&
	       fstatat(d->fd, part, st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISLNK(st->st_mode);
}

/* Where such a link leads, if it and that directory are of the base's owner:
 * nobody else can have a lock written, or a key read, elsewhere. */
static int follow_link(const struct dir_store *d, const char *part,
		       const struct stat *link)
{
	struct stat st;
	int fd = openat(d->fd, part, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (link->st_uid == d->uid && fstat(fd, &st) == 0 && st.st_uid == d->uid)
		return fd;
	(void)close(fd);
	errno = ELOOP;
	return -1;
}

static int open_beneath(int base, const char *path, int flags);

/*
 * Below the base, through no symbolic link: that is ELOOP. EAGAIN: somebody
 * renames in the way again and again, or whoever keeps a lease on the file
 * (fcntl F_SETLEASE) is asked to give it up; he may take his time, so it cannot
 * be looked at now.
 */
static int open_below(const struct dir_store *d, const char *path, int flags)
{
	char part[NAME_ROOM];
	struct stat link;
	int at, fd, sys;

	if (!is_known_link(d, path, part, &link))
		return open_beneath(d->fd, path, flags);
	at = follow_link(d, part, &link);
	if (at < 0)
		return -1;
	path += strlen(part);
	path += strspn(path, "/");
	fd = open_beneath(at, *path == '\0' ? "." : path, flags);
	sys = errno;
	(void)close(at);
	errno = sys;
	return fd;
}

static int open_beneath(int base, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int tries = 0;
	long fd;

	do
		fd = syscall(SYS_openat2, base, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN) &&
	       ++tries < OPEN_TRIES);
	/* Sandboxes that do not know a call answer EPERM. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return walk(base, path, flags);
	return (int)fd;
}

/* Another description of an open file, whatever its name means by now. */
static int open_again(int fd, int flags)
{
	char self[40];
	int again, tries = 0;

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	do
		again = open(self, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	while (again < 0 && errno == EINTR && ++tries < OPEN_TRIES);
	return again;
}

/*
 * Open what is held by `seen` (O_PATH, which opens nothing) for reading, if it
 * is a regular file. Looked at first: opening a device may do something, as a
 * watchdog that reboots the machine. ENXIO: it is something else; ENOSYS: it
 * is one, but without /proc it has only its name. Takes seen.
 */
static int open_seen(int seen)
{
	struct stat st;
	int fd = -1, sys;

	if (seen < 0)
		return -1;
	if (fstat(seen, &st) == 0) {
		if (S_ISREG(st.st_mode))
			fd = open_again(seen, O_RDONLY);
		else
			errno = S_ISLNK(st.st_mode) ? ELOOP : ENXIO;
		if (fd < 0 && errno == ENOENT)
			errno = ENOSYS;
	}
	sys = errno;
	(void)close(seen);
	errno = sys;
	return fd;
}

static int open_leaf(int dir, const char *leaf)
{
	const int flags = O_NOFOLLOW | O_CLOEXEC;
	int fd = open_seen(openat(dir, leaf, flags | O_PATH));

	if (fd >= 0 || errno != ENOSYS)
		return fd;
	return openat(dir, leaf, flags | O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

static int open_regular(const struct dir_store *d, const char *name)
{
	int fd = open_seen(open_below(d, name, O_PATH));

	if (fd >= 0 || errno != ENOSYS)
		return fd;
	return open_below(d, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

/* Where an object is: the directory above it, and its name there. */
struct place {
	int dir;
	bool own;       /* dir is to be closed */
	bool directory; /* the object is one itself (name ends in '/') */
	char *leaf;
	char path[NAME_ROOM];
};

static enum rc check_name(const char *name, struct err *e)
{
	const char *p = name;

	if (strlen(name) >= NAME_ROOM || *name == '\0')
		return err_set(e, RC_MALFORMED,
			       "object name \"%.60s\" is empty or too long",
			       name);
	while (*p != '\0') {
		size_t len = strcspn(p, "/");

		if (len == 0 || (len == 1 && p[0] == '.') ||
		    (len == 2 && p[0] == '.' && p[1] == '.') || len > NAME_MAX)
			return err_set(e, RC_MALFORMED,
				       "object name \"%.60s\" is not relative "
				       "and plain",
				       name);
		p += p[len] == '/' ? len + 1 : len;
	}
	return RC_OK;
}

/* Split name into p->path (the directories, "" for the base) and p->leaf. */
static enum rc split(struct place *p, const char *name, struct err *e)
{
	enum rc rc = check_name(name, e);
	size_t len = strlen(name);
	char *slash;

	if (rc != RC_OK)
		return rc;
	*p = (struct place){ .dir = -1 };
	memcpy(p->path, name, len + 1);
	p->directory = name[len - 1] == '/';
	if (p->directory)
		p->path[len - 1] = '\0';
	slash = strrchr(p->path, '/');
	if (slash) {
		*slash = '\0';
		p->leaf = slash + 1;
		return RC_OK;
	}
	/* The name is the leaf; the empty path goes behind it. */
	p->leaf = p->path;
	return RC_OK;
}

static bool in_base(const struct place *p)
{
	return p->leaf == p->path;
}

/* fsync wants a directory that is open for reading. */
static int place_flags(const struct dir_store *d)
{
	return O_DIRECTORY | (d->base.manners.durable ? O_RDONLY : O_PATH);
}

/* Open the directory of a split name. False: errno says why. */
static bool place_open(const struct dir_store *d, struct place *p)
{
	if (!in_base(p)) {
		p->dir = open_below(d, p->path, place_flags(d));
		p->own = true;
	} else if (d->base.manners.durable) {
		p->dir = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		p->own = true;
	} else {
		p->dir = d->fd;
		p->own = false;
	}
	return p->dir >= 0;
}

static void place_close(struct place *p)
{
	if (p->own && p->dir >= 0)
		(void)close(p->dir);
	p->dir = -1;
}

/* Split, and open what is there: RC_ABSENT if a directory is missing. */
static enum rc place_find(const struct dir_store *d, struct place *p,
			  const char *name, struct err *e)
{
	enum rc rc = split(p, name, e);

	if (rc == RC_OK && !place_open(d, p))
		rc = refuse(d, p->path, errno, e);
	return rc;
}

static enum rc place_sync(const struct dir_store *d, const struct place *p,
			  const char *name, struct err *e)
{
	/* Seen by others already, whether or not it will last. */
	if (d->base.manners.durable && fsync(p->dir) < 0) {
		(void)refuse(d, name, errno, e);
		return RC_UNKNOWN;
	}
	return RC_OK;
}

/* --- modes and owners --- */

static void derive_modes(struct dir_store *d, mode_t base)
{
	mode_t dir = 0700;
	mode_t file = 0600;

	/* The group's bit first: what is made below shall be the group's. */
	if (base & S_IRGRP) {
		dir |= 0070 | S_ISGID;
		file |= 0040;
	}
	/* Others only where they could remove it all anyway: whoever can read
	 * a claim can hold a kernel lock on it and make it look alive. */
	if (base & S_IWOTH) {
		dir |= 0007 | (base & S_ISVTX);
		file |= 0004;
	}
	d->dir_mode = dir;
	d->file_mode = file;
}

static void choose_modes(struct dir_store *d, mode_t base)
{
	const struct store_manners *m = &d->base.manners;
	struct stat st;

	derive_modes(d, base);
	if (m->file_mode != 0)
		d->file_mode = m->file_mode;
	if (m->dir_mode != 0)
		d->dir_mode = m->dir_mode;
	if (m->group_of &&
	    (fstatat(d->fd, m->group_of, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	     !(st.st_mode & S_IRGRP))) {
		d->file_mode &= (mode_t)~0070;
		d->dir_mode &= (mode_t)~0070;
	}
}

/* The mode for what could not be given to the base's group. The group it has
 * instead may do what everybody may. */
static mode_t without_group(mode_t mode)
{
	return (mode & (mode_t) ~(S_ISGID | 0070)) | (mode & 0007) << 3;
}

/* Give what was just made, still without a name that others use, the owner,
 * group and mode it should have. Not being allowed to is no failure. */
static bool adopt(const struct dir_store *d, int fd, const struct stat *st,
		  mode_t mode)
{
	bool follow_owner = st->st_uid != d->uid && geteuid() == 0;
	bool follow_group = st->st_gid != d->gid;

	if ((follow_owner || follow_group) &&
	    fchown(fd, follow_owner ? d->uid : (uid_t)-1, d->gid) < 0) {
		if (errno != EPERM && errno != EINVAL)
			return false;
		if (follow_group)
			mode = without_group(mode);
	}
	if ((st->st_mode & 07777) == mode)
		return true;
	return fchmod(fd, mode) == 0 || errno == EPERM;
}

static bool is_empty(int dir)
{
	_Alignas(struct dirent64) char room[512];
	long n = syscall(SYS_getdents64, dir, room, sizeof(room));
	long at = 0;

	while (at < n) {
		const struct dirent64 *entry = (const void *)(room + at);

		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			return false;
		at += entry->d_reclen;
	}
	return n >= 0;
}

/* Was it made, or something in it, after `since`? Not asked of the clock of
 * another host. */
static bool is_new(const struct dir_store *d, const struct stat *st,
		   struct timespec since)
{
	return d->base.lag > 0 || st->st_mtim.tv_sec + MTIME_UNIT >= since.tv_sec;
}

/*
 * Open a directory that was just made and give it its group and mode. In use
 * already, it is left as it is; so is one of ours that is older, which whoever
 * may write the parent has put under the name. False: errno says why.
 */
static bool adopt_directory(const struct dir_store *d, int parent,
			    const char *leaf, struct timespec since)
{
	int fd = openat(parent, leaf,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	bool done;
	int saved;

	if (fd < 0)
		return false;
	done = fstat(fd, &st) == 0;
	if (done && is_empty(fd)) {
		errno = EEXIST;
		done = is_new(d, &st, since) && adopt(d, fd, &st, d->dir_mode);
	}
	saved = errno;
	(void)close(fd);
	errno = saved;
	return done;
}

/*
 * Made under another name and renamed, so that nobody finds it with the wrong
 * mode. EEXIST: somebody was faster.
 */
static bool make_as_we_are(const struct dir_store *d, int parent, const char *leaf)
{
	char name[3 + UUID_TEXT_SIZE] = ".t.";
	struct timespec since;
	bool done;
	int saved;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &since);
	uuid_make(name + 3);
	/* EEXIST with that name: made, and asked for again by the kernel. */
	if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
		return false;
	done = adopt_directory(d, parent, name, since) &&
	       renameat2(parent, name, parent, leaf, RENAME_NOREPLACE) == 0;
	saved = errno;
	if (!done)
		(void)unlinkat(parent, name, AT_REMOVEDIR);
	errno = saved;
	/* EXDEV: some overlays do not rename directories. */
	if (done || (errno != EINVAL && errno != ENOSYS && errno != EXDEV))
		return done;
	/* A plain rename would replace one that is empty still. */
	return mkdirat(parent, leaf, d->dir_mode) == 0 &&
	       adopt_directory(d, parent, leaf, since);
}

static void become_self(void)
{
	(void)setfsuid(geteuid());
	(void)setfsgid(getegid());
}

/* In this thread, the rights of the base's owner instead of root's. False:
 * there is no such user here. */
static bool become_owner(const struct dir_store *d)
{
	(void)setfsgid(d->gid);
	(void)setfsuid(d->uid);
	if ((uid_t)setfsuid((uid_t)-1) == d->uid)
		return true;
	become_self();
	return false;
}

/*
 * Root makes it with the rights of the base's owner, who could put a directory
 * of root's under the name before that is given to him. Where he may make none
 * it stays root's, and is given to nobody.
 */
static bool make_directory(const struct dir_store *d, int parent, const char *leaf)
{
	bool done;
	int saved;

	if (geteuid() != 0 || d->uid == 0)
		return make_as_we_are(d, parent, leaf);
	if (become_owner(d)) {
		done = make_as_we_are(d, parent, leaf);
		saved = errno;
		become_self();
		errno = saved;
		if (done || (errno != EACCES && errno != EPERM))
			return done;
	}
	return mkdirat(parent, leaf, d->dir_mode) == 0;
}

/* Open a directory, made if it is not there. -1: errno says why. */
static int open_or_make(const struct dir_store *d, int parent, const char *leaf)
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, leaf, flags);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (!make_directory(d, parent, leaf) && errno != EEXIST)
		return -1;
	return openat(parent, leaf, flags);
}

/* Every directory of path that is missing. False: errno says why. */
static bool make_path(const struct dir_store *d, const char *path)
{
	int at = d->fd;

	while (at >= 0 && *path != '\0') {
		char part[NAME_ROOM];
		size_t len = strcspn(path, "/");
		int next, sys;

		memcpy(part, path, len);
		part[len] = '\0';
		next = open_or_make(d, at, part);
		sys = errno;
		if (at != d->fd)
			(void)close(at);
		errno = sys;
		at = next;
		path += path[len] == '/' ? len + 1 : len;
	}
	if (at >= 0 && at != d->fd)
		(void)close(at);
	return at >= 0;
}

static enum rc refuse_base(const char *path, int sys, struct err *e);
static enum rc look_at_base(struct dir_store *d, struct err *e);

/* Whoever comes now may find another directory by our path, or none: that one
 * is meant, not the one that was moved away. RC_ABSENT: none. */
static enum rc follow_base(struct dir_store *d, struct err *e)
{
	struct stat st;
	int fd;

	if (stat(d->path, &st) < 0)
		return errno == ENOENT ? refuse_base(d->path, errno, e) : RC_OK;
	if (st.st_dev == d->dev && st.st_ino == d->ino)
		return RC_OK;
	fd = open(d->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return refuse_base(d->path, errno, e);
	(void)close(d->fd);
	d->fd = fd;
	return look_at_base(d, e);
}

/* As follow_base sees it: does our path mean something else by now? */
static bool base_has_moved(const struct dir_store *d)
{
	struct stat st;

	if (stat(d->path, &st) < 0)
		return errno == ENOENT;
	return st.st_dev != d->dev || st.st_ino != d->ino;
}

/* ESTALE: made or removed by another host in this moment. */
static bool is_gone(int sys)
{
	return sys == ENOENT || sys == ESTALE;
}

/* An overlay answers ESTALE for ever for what was removed from its upper
 * directory. That it has no name any more is seen by its links. */
static int sys_of_removed(const struct place *p, int sys)
{
	struct stat st;

	if (sys != ESTALE)
		return sys;
	if (fstatat(p->dir, p->leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? ENOENT : sys;
	return st.st_nlink == 0 ? ENOENT : sys;
}

/* Split and open; what is missing of the directories is made. */
static enum rc place_make(struct dir_store *d, struct place *p,
			  const char *name, struct err *e)
{
	enum rc rc = split(p, name, e);

	if (rc == RC_OK)
		rc = follow_base(d, e);
	if (rc != RC_OK)
		return rc;
	for (int gone = 0; gone < GONE_MAX; gone++) {
		if (place_open(d, p))
			return RC_OK;
		if (!is_gone(errno) || in_base(p))
			break;
		if (!make_path(d, p->path) && !is_gone(errno))
			break;
	}
	if (errno == ENOENT)
		return err_set(e, RC_ABSENT, "%.150s was removed", d->base.shown);
	return refuse(d, p->path, errno, e);
}

/* --- writing --- */

static struct store_tag tag_of(const struct stat *st)
{
	return (struct store_tag){
		.time.ns = (nsec)st->st_mtim.tv_sec * NSEC_PER_SEC +
			   st->st_mtim.tv_nsec,
		.size = (uint64_t)st->st_size,
		.inode = st->st_ino,
		.device = st->st_dev,
	};
}

static bool write_all(int fd, const char *data, size_t len)
{
	off_t at = 0;

	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* A new file on its way to its name. */
struct draft {
	int fd;
	struct stat st;
	char name[NAME_MAX + 1]; /* "": it has none yet (O_TMPFILE) */
};

/* "%s-tmp-%s" filled in by hand: the format is data here. */
static void temporary_name(char *out, size_t size, const char *format,
			   const char *leaf)
{
	const char *fill[2];
	char digits[16];
	size_t used = 0, len = 0;

	(void)snprintf(digits, sizeof(digits), "%09lld",
		       (long long)random_span(0, 999999999));
	fill[0] = leaf;
	fill[1] = digits;
	while (*format != '\0' && len + 1 < size) {
		if (strncmp(format, "%s", 2) == 0 && used < 2) {
			(void)text_copy(out + len, size - len, fill[used++]);
			len += strlen(out + len);
			format += 2;
		} else {
			out[len++] = *format++;
		}
	}
	out[len] = '\0';
}

/* A file with a temporary name, locked as long as it has it: one whose lock
 * is free was left behind by a crash. */
static bool draft_named(const struct dir_store *d, const struct place *p,
			struct draft *draft)
{
	const char *format = d->base.manners.temporary;

	if (format) {
		temporary_name(draft->name, sizeof(draft->name), format, p->leaf);
	} else {
		memcpy(draft->name, "t.", 2);
		uuid_make(draft->name + 2);
	}
	draft->fd = openat(p->dir, draft->name,
			   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			   d->file_mode);
	if (draft->fd < 0)
		return false;
	(void)flock(draft->fd, LOCK_EX | LOCK_NB);
	return true;
}

/* File systems without O_TMPFILE say one of these. */
static bool no_tmpfile(int sys)
{
	return sys == EOPNOTSUPP || sys == EISDIR || sys == EINVAL ||
	       sys == ENOSYS;
}

enum draft_want { DRAFT_ANY, DRAFT_NAMED };

static bool draft_open(const struct dir_store *d, const struct place *p,
		       enum draft_want want, struct draft *draft)
{
	draft->fd = -1;
	draft->st = (struct stat){ 0 };
	draft->name[0] = '\0';
	if (want == DRAFT_ANY && !d->base.manners.temporary) {
		draft->fd = openat(p->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC,
				   d->file_mode);
		if (draft->fd >= 0 || !no_tmpfile(errno))
			return draft->fd >= 0;
	}
	return draft_named(d, p, draft);
}

/* Content, owner, mode; then draft->st is what it is. */
static bool draft_write(const struct dir_store *d, struct draft *draft,
			const void *data, size_t len)
{
	struct stat *st = &draft->st;

	if (!write_all(draft->fd, data, len) || fstat(draft->fd, st) < 0 ||
	    !adopt(d, draft->fd, st, d->file_mode))
		return false;
	/* Network file systems tell of a full disk at fsync only. */
	return (!d->base.manners.durable && d->base.lag == 0) ||
	       fsync(draft->fd) == 0;
}

/* Link what has no name. As of Linux 6.10 the opener may do so directly;
 * before, that is ENOENT unless privileged, and /proc has a name for it. */
static bool link_unnamed(int fd, const struct place *p)
{
	char self[40];

	if (linkat(fd, "", p->dir, p->leaf, AT_EMPTY_PATH) == 0)
		return true;
	if (errno != ENOENT)
		return false;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, p->dir, p->leaf, AT_SYMLINK_FOLLOW) == 0;
}

/* Is the leaf the file that we have open? After an answer that was lost on
 * its way, the second one is "exists". */
static bool is_ours(const struct place *p, const struct stat *ours)
{
	struct stat st;

	return fstatat(p->dir, p->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == ours->st_ino && st.st_dev == ours->st_dev;
}

/* File systems without hard links say one of these. */
static bool no_link(int sys)
{
	return sys == EPERM || sys == ENOSYS || sys == EOPNOTSUPP ||
	       sys == EMLINK;
}

/* Without any help of the file system: for a name that nobody else makes. */
static bool rename_after_look(const struct place *p, const struct draft *draft)
{
	struct stat st;

	if (fstatat(p->dir, p->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return false;
	}
	return errno == ENOENT &&
	       renameat(p->dir, draft->name, p->dir, p->leaf) == 0;
}

/* Rename without replacing, on any file system. */
static bool rename_absent(const struct place *p, struct draft *draft)
{
	if (renameat2(p->dir, draft->name, p->dir, p->leaf, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	if (linkat(p->dir, draft->name, p->dir, p->leaf, 0) < 0) {
		if (no_link(errno))
			return rename_after_look(p, draft);
		if (errno != EEXIST || !is_ours(p, &draft->st))
			return false;
	}
	(void)unlinkat(p->dir, draft->name, 0);
	return true;
}

static bool draft_publish(const struct place *p, struct draft *draft,
			  enum store_put_when when)
{
	bool done;

	if (draft->name[0] == '\0')
		return link_unnamed(draft->fd, p);
	done = when == STORE_PUT_ALWAYS
		       ? renameat(p->dir, draft->name, p->dir, p->leaf) == 0
		       : rename_absent(p, draft);
	if (done)
		draft->name[0] = '\0';
	return done;
}

/* Accepts one that was not opened; keeps errno. */
static void draft_drop(const struct place *p, struct draft *draft)
{
	int saved = errno;

	if (draft->fd >= 0 && draft->name[0] != '\0')
		(void)unlinkat(p->dir, draft->name, 0);
	if (draft->fd >= 0)
		(void)close(draft->fd);
	draft->fd = -1;
	errno = saved;
}

/* --- operations --- */

static void dir_close(struct store *s)
{
	struct dir_store *d;

	if (!s)
		return;
	d = dir_of(s);
	turn_release(&d->turn);
	if (d->inotify >= 0)
		(void)close(d->inotify);
	if (d->fd >= 0)
		(void)close(d->fd);
	free(d->list);
	free(d->path);
	free(d);
}

/* What may not be opened has a version all the same. */
static void tag_unopened(const struct dir_store *d, const char *name,
			 struct store_tag *tag)
{
	struct err unsaid;
	struct place p;
	struct stat st;

	if (place_find(d, &p, name, &unsaid) != RC_OK)
		return;
	if (fstatat(p.dir, p.leaf, &st, AT_SYMLINK_NOFOLLOW) == 0)
		*tag = tag_of(&st);
	place_close(&p);
}

static enum rc dir_get(struct store *s, const char *name, struct buf *into,
		       struct store_tag *tag, const struct call *call,
		       struct err *e)
{
	struct dir_store *d = dir_of(s);
	enum rc rc = check_name(name, e);
	struct stat st;
	int fd;

	(void)call;
	if (rc != RC_OK)
		return rc;
	fd = open_regular(d, name);
	if (fd < 0) {
		rc = errno == ENXIO
			     ? err_set(e, RC_MALFORMED,
				       "%.100s/%.80s is no file", s->shown, name)
			     : refuse(d, name, errno, e);
		if ((rc == RC_DENIED || rc == RC_MALFORMED) && tag)
			tag_unopened(d, name, tag);
		return rc;
	}
	if (fstat(fd, &st) < 0)
		rc = refuse(d, name, errno, e);
	else if ((rc = buf_read_fd(into, fd, e)) != RC_OK)
		rc = err_context(e, rc, "%.100s/%.80s", s->shown, name);
	if ((rc == RC_OK || rc == RC_MALFORMED) && tag)
		*tag = tag_of(&st);
	(void)close(fd);
	return rc;
}

/* put of "name/" */
static enum rc put_directory(struct dir_store *d, struct place *p,
			     const char *name, enum store_put_when when,
			     struct err *e)
{
	struct stat st;

	if (make_directory(d, p->dir, p->leaf))
		return place_sync(d, p, name, e);
	if (errno != EEXIST)
		return refuse_step(d, name, errno, e);
	if (when == STORE_PUT_ALWAYS &&
	    fstatat(p->dir, p->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(st.st_mode))
		return RC_OK;
	return err_set(e, RC_EXISTS, "%.100s/%.80s is there", d->base.shown,
		       name);
}

/* put of a file. RC_ABSENT: its directory was removed meanwhile. */
static enum rc put_file(struct dir_store *d, struct place *p, const char *name,
			const void *data, size_t len, enum store_put_when when,
			struct store_tag *tag, struct err *e)
{
	struct draft draft;
	enum rc rc = RC_OK;

	if (!draft_open(d, p, when == STORE_PUT_ALWAYS ? DRAFT_NAMED : DRAFT_ANY,
			&draft))
		return refuse(d, name, errno, e);
	if (!draft_write(d, &draft, data, len))
		rc = refuse(d, name, errno, e);
	else if (!draft_publish(p, &draft, when))
		rc = refuse_step(d, name, errno, e);
	else
		rc = place_sync(d, p, name, e);
	if (rc == RC_OK && tag)
		*tag = tag_of(&draft.st);
	draft_drop(p, &draft);
	return rc;
}

static enum rc dir_put(struct store *s, const char *name, const void *data,
		       size_t len, enum store_put_when when,
		       const struct store_tag *match, struct store_tag *tag,
		       const struct call *call, struct err *e)
{
	struct dir_store *d = dir_of(s);
	enum rc rc = RC_ABSENT;

	(void)match;
	(void)call;
	if (when == STORE_PUT_IF_MATCH)
		return err_set(e, RC_UNSUPPORTED,
			       "a directory cannot compare and replace");
	for (int gone = 0; gone < GONE_MAX && rc == RC_ABSENT; gone++) {
		struct place p;

		rc = place_make(d, &p, name, e);
		if (rc != RC_OK)
			return rc;
		rc = p.directory
			     ? put_directory(d, &p, name, when, e)
			     : put_file(d, &p, name, data, len, when, tag, e);
		place_close(&p);
	}
	return rc;
}

static enum rc dir_del(struct store *s, const char *name,
		       const struct call *call, struct err *e)
{
	struct dir_store *d = dir_of(s);
	struct place p;
	enum rc rc = place_find(d, &p, name, e);

	(void)call;
	if (rc != RC_OK)
		return rc;
	if (unlinkat(p.dir, p.leaf, p.directory ? AT_REMOVEDIR : 0) == 0)
		rc = place_sync(d, &p, name, e);
	else if (errno == ENOTEMPTY)
		rc = err_sys(e, RC_EXISTS, ENOTEMPTY, "%.100s/%.80s", s->shown,
			     name);
	else
		rc = refuse_step(d, name, sys_of_removed(&p, errno), e);
	place_close(&p);
	return rc;
}

/* --- listing --- */

static enum rc grow_list(struct dir_store *d, struct err *e)
{
	size_t room = 2 * d->list_room;
	char *list = realloc(d->list, room);

	if (!list)
		return err_sys(e, RC_RETRY, ENOMEM, "a listing");
	d->list = list;
	d->list_room = room;
	return RC_OK;
}

struct reading {
	size_t len;
	bool whole; /* by one call */
	bool full;  /* no room for all */
};

/* Read all of dir from where it is. False: errno says why. */
static bool read_directory(struct dir_store *d, int dir, struct reading *r)
{
	int calls = 0;

	*r = (struct reading){ 0 };
	for (;;) {
		long n = syscall(SYS_getdents64, dir, d->list + r->len,
				 d->list_room - r->len);

		/* EINVAL: there is more, but no room for one entry. */
		if (n < 0 && errno == EINVAL) {
			r->full = true;
			return true;
		}
		if (n < 0)
			return false;
		if (n == 0)
			break;
		r->len += (size_t)n;
		calls++;
	}
	r->whole = calls <= 1;
	return true;
}

/* A sum over names and their order, to tell two readings apart. */
static uint64_t sum_list(const struct dir_store *d, size_t len)
{
	uint64_t sum = 0xcbf29ce484222325; /* FNV-1a */

	for (size_t at = 0; at < len;) {
		const struct dirent64 *entry = (const void *)(d->list + at);

		for (const char *c = entry->d_name; *c != '\0'; c++)
			sum = (sum ^ (unsigned char)*c) * 0x100000001b3;
		sum = (sum ^ '/') * 0x100000001b3;
		at += entry->d_reclen;
	}
	return sum;
}

/* One consistent picture of dir in d->list. */
static enum rc read_consistent(struct dir_store *d, int dir, const char *prefix,
			       size_t *len, struct err *e)
{
	uint64_t last = 0;

	for (int again = 0; again < LIST_AGAIN_MAX; again++) {
		struct reading r;
		uint64_t sum;

		if ((again > 0 && lseek(dir, 0, SEEK_SET) < 0) ||
		    !read_directory(d, dir, &r))
			return refuse(d, prefix, errno, e);
		*len = r.len;
		if (r.whole && !r.full)
			return RC_OK;
		if (!r.full) {
			sum = sum_list(d, r.len) | 1;
			if (sum == last)
				return RC_OK;
			last = sum;
		}
		/* Twice the room, so that one call may do. */
		if ((r.full || r.len > d->list_room / 2) &&
		    d->list_room < LIST_ROOM_MAX) {
			enum rc rc = grow_list(d, e);

			if (rc != RC_OK)
				return rc;
		} else if (r.full) {
			return err_set(e, RC_FAILED,
				       "%.100s/%.80s holds too many files",
				       d->base.shown, prefix);
		}
	}
	return err_set(e, RC_RETRY,
		       "%.100s/%.80s changes faster than it can be read",
		       d->base.shown, prefix);
}

/* On a network file system only opening asks the server. */
static bool stat_fresh(const struct dir_store *d, int dir, const char *leaf,
		       struct stat *st)
{
	bool done;
	int fd;

	if (d->base.lag > 0) {
		fd = open_leaf(dir, leaf);
		if (fd >= 0) {
			done = fstat(fd, st) == 0;
			(void)close(fd);
			return done;
		}
	}
	return fstatat(dir, leaf, st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What an entry of dir is now; ESTALE: ask again, it may be a new one. */
static bool stat_entry(const struct dir_store *d, int dir, const char *leaf,
		       struct stat *st)
{
	for (int stale = 0; stale < GONE_MAX; stale++) {
		if (stat_fresh(d, dir, leaf, st))
			return true;
		if (errno != ESTALE)
			break;
	}
	return false;
}

/*
 * Tell of one entry. RC_ABSENT: enough. Only what is not there has gone since
 * it was listed, as if it had gone before. Any other error says nothing of the
 * kind: a claim that is left out for it would be a holder that nobody sees.
 */
static enum rc tell_entry(const struct dir_store *d, int dir,
			  const struct dirent64 *raw, bool with_tags,
			  store_seen *seen, void *context, struct err *e)
{
	struct store_entry entry = { .name = raw->d_name };
	struct stat st;

	if (strcmp(raw->d_name, ".") == 0 || strcmp(raw->d_name, "..") == 0)
		return RC_OK;
	entry.directory = raw->d_type == DT_DIR;
	entry.odd = raw->d_type != DT_DIR && raw->d_type != DT_REG;
	if (with_tags || raw->d_type == DT_UNKNOWN) {
		if (!stat_entry(d, dir, raw->d_name, &st))
			return errno == ENOENT
				       ? RC_OK
				       : refuse(d, raw->d_name, errno, e);
		entry.directory = S_ISDIR(st.st_mode);
		entry.odd = !S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode);
	}
	if (with_tags)
		entry.tag = tag_of(&st);
	return seen(context, &entry) ? RC_OK : RC_ABSENT;
}

/* "a/b/" without its slash; "" is the base. Not there is -1 and ENOENT. */
static int open_prefix(const struct dir_store *d, const char *prefix)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	char path[NAME_ROOM];

	if (*prefix == '\0')
		return openat(d->fd, ".", flags);
	(void)text_copy(path, sizeof(path), prefix);
	path[strlen(path) - 1] = '\0';
	return open_below(d, path, flags);
}

static enum rc list_prefix(struct dir_store *d, const char *prefix,
			   bool with_tags, store_seen *seen, void *context,
			   struct err *e)
{
	enum rc rc = *prefix == '\0' ? RC_OK : check_name(prefix, e);
	size_t len = 0;
	int dir;

	if (rc == RC_OK)
		rc = follow_base(d, e);
	if (rc == RC_ABSENT)
		return RC_OK; /* nothing is there */
	if (rc != RC_OK)
		return rc;
	assert(*prefix == '\0' || prefix[strlen(prefix) - 1] == '/');
	dir = open_prefix(d, prefix);
	if (dir < 0)
		return errno == ENOENT ? RC_OK : refuse(d, prefix, errno, e);
	rc = read_consistent(d, dir, prefix, &len, e);
	if (rc == RC_ABSENT) { /* removed since it was opened */
		rc = RC_OK;
		len = 0;
	}
	for (size_t at = 0; rc == RC_OK && at < len;) {
		const struct dirent64 *raw = (const void *)(d->list + at);

		rc = tell_entry(d, dir, raw, with_tags, seen, context, e);
		at += raw->d_reclen;
	}
	(void)close(dir);
	return rc == RC_ABSENT ? RC_OK : rc;
}

static enum rc dir_list(struct store *s, const char *prefix, store_seen *seen,
			void *context, const struct call *call, struct err *e)
{
	(void)call;
	return list_prefix(dir_of(s), prefix, true, seen, context, e);
}

static enum rc dir_names(struct store *s, const char *prefix, store_seen *seen,
			 void *context, const struct call *call, struct err *e)
{
	(void)call;
	return list_prefix(dir_of(s), prefix, false, seen, context, e);
}

/* --- renewing --- */

static enum rc replaced(const struct dir_store *d, const char *name,
			struct err *e)
{
	return err_set(e, RC_ABSENT, "%.100s/%.80s was replaced by another",
		       d->base.shown, name);
}

/*
 * Open for writing what was seen under this name before. Whoever may write the
 * directory can move any file on its file system there, or link one, and we
 * may be root: ENXIO says that it is another one, which is not touched.
 */
static int open_known(const struct dir_store *d, const char *name,
		      const struct store_tag *was)
{
	int seen = open_below(d, name, O_PATH);
	struct stat st;
	int fd = -1, sys;

	if (seen < 0)
		return -1;
	if (fstat(seen, &st) == 0) {
		if (S_ISREG(st.st_mode) && st.st_nlink <= 1 &&
		    st.st_ino == was->inode && st.st_dev == was->device)
			fd = open_again(seen, O_RDWR);
		else
			errno = S_ISLNK(st.st_mode) ? ELOOP : ENXIO;
	}
	sys = errno;
	(void)close(seen);
	errno = sys;
	return fd;
}

/*
 * Rewrite through a descriptor of our own file, then see that it is still what
 * the name means: looked at before, it could have been removed in between, and
 * the write would have renewed nothing.
 */
static enum rc rewrite(struct dir_store *d, const char *name, int fd,
		       const void *data, size_t len, struct store_tag *tag,
		       struct err *e)
{
	struct stat st, now;
	struct place p;
	enum rc rc;

	if (!write_all(fd, data, len) || fstat(fd, &st) < 0)
		return refuse_step(d, name, errno, e);
	if ((size_t)st.st_size != len &&
	    (ftruncate(fd, (off_t)len) < 0 || fstat(fd, &st) < 0))
		return refuse_step(d, name, errno, e);
	if ((d->base.manners.durable || d->base.lag > 0) && fsync(fd) < 0)
		return refuse_step(d, name, errno, e);
	rc = place_find(d, &p, name, e);
	if (rc != RC_OK)
		return rc;
	if (fstatat(p.dir, p.leaf, &now, AT_SYMLINK_NOFOLLOW) < 0)
		rc = refuse_step(d, name, errno, e);
	else if (now.st_ino != st.st_ino || now.st_dev != st.st_dev)
		rc = replaced(d, name, e);
	else if (tag)
		*tag = tag_of(&st);
	place_close(&p);
	return rc;
}

static enum rc dir_renew(struct store *s, const char *name,
			 const struct store_tag *was, const void *data,
			 size_t len, struct store_tag *tag,
			 const struct call *call, struct err *e)
{
	struct dir_store *d = dir_of(s);
	enum rc rc = check_name(name, e);
	int fd;

	(void)call;
	if (rc != RC_OK)
		return rc;
	fd = open_known(d, name, was);
	if (fd < 0)
		return errno == ENXIO ? replaced(d, name, e)
				      : refuse(d, name, errno, e);
	rc = rewrite(d, name, fd, data, len, tag, e);
	(void)close(fd);
	return rc;
}

/* A connection that was made anew (sshfs -o reconnect, a restarted server) has
 * lost its open files; the inode can be opened again. A kernel lock would go
 * with the old description, but there are none on such file systems. */
static bool reopen(const struct dir_store *d, int fd, int sys)
{
	struct stat st;
	bool done;
	int again;

	if (sys != EIO && sys != ESTALE && sys != EBADF && sys != ENOTCONN)
		return false;
	if (d->sees_locks)
		return false;
	again = open_again(fd, O_RDWR);
	if (again < 0)
		return false;
	done = fstat(again, &st) == 0 && S_ISREG(st.st_mode) &&
	       dup3(again, fd, O_CLOEXEC) == fd;
	(void)close(again);
	return done;
}

static enum rc dir_renew_open(struct store *s, const char *name, int fd,
			      const void *data, size_t len,
			      struct store_tag *tag, struct err *e)
{
	struct dir_store *d = dir_of(s);
	enum rc rc = rewrite(d, name, fd, data, len, tag, e);

	if ((rc == RC_UNKNOWN || rc == RC_RETRY) && reopen(d, fd, e->sys))
		rc = rewrite(d, name, fd, data, len, tag, e);
	return rc;
}

/* --- moving --- */

/*
 * Where the kernel or file system cannot rename without replacing. A file is
 * moved to a name that means itself, so that what came since we looked is the
 * same; a directory replaces an empty one at most. Not by link and unlink: not
 * every file system has links, and between the two the next holder may clear
 * away the old name, which then looks as if it had been taken from us.
 */
static bool move_old_way(const struct place *from, const struct place *to)
{
	struct stat st;

	if (fstatat(to->dir, to->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return false;
	}
	return errno == ENOENT &&
	       renameat(from->dir, from->leaf, to->dir, to->leaf) == 0;
}

static bool move_place(const struct place *from, const struct place *to)
{
	if (renameat2(from->dir, from->leaf, to->dir, to->leaf,
		      RENAME_NOREPLACE) == 0)
		return true;
	return (errno == EINVAL || errno == ENOSYS) && move_old_way(from, to);
}

/* As place_make, by the directory that is open already if it is the same. */
static enum rc place_beside(struct dir_store *d, const struct place *open,
			    struct place *p, const char *name, struct err *e)
{
	enum rc rc = split(p, name, e);

	if (rc != RC_OK)
		return rc;
	if (in_base(p) != in_base(open) ||
	    (!in_base(p) && strcmp(p->path, open->path) != 0))
		return place_make(d, p, name, e);
	p->dir = open->dir;
	return RC_OK;
}

static enum rc dir_move(struct store *s, const char *from, const char *to,
			const struct call *call, struct err *e)
{
	struct dir_store *d = dir_of(s);
	struct place source, target;
	enum rc rc;

	(void)call;
	rc = place_find(d, &source, from, e);
	if (rc != RC_OK)
		return rc;
	rc = place_beside(d, &source, &target, to, e);
	if (rc == RC_OK) {
		if (move_place(&source, &target))
			rc = place_sync(d, &target, to, e);
		else if (errno == ENOTEMPTY)
			rc = refuse(d, to, EEXIST, e);
		else
			rc = refuse_step(d, errno == EEXIST ? to : from,
					 sys_of_removed(&source, errno), e);
		if (rc == RC_OK && target.dir != source.dir)
			rc = place_sync(d, &source, from, e);
		place_close(&target);
	}
	place_close(&source);
	return rc;
}

/* --- kernel locks --- */

static enum rc unseen_lock(const struct dir_store *d, const char *name,
			   struct err *e)
{
	return err_set(e, RC_UNSUPPORTED,
		       "%.100s/%.80s: its file system has no lock that every "
		       "process sees",
		       d->base.shown, name);
}

/* As put_file; fd is the caller's on success, and where it may have been one. */
static enum rc put_open_at(struct dir_store *d, struct place *p,
			   const char *name, const void *data, size_t len,
			   int *fd, struct store_tag *tag, struct err *e)
{
	struct draft draft;
	enum rc rc = RC_OK;

	if (!draft_open(d, p, DRAFT_ANY, &draft))
		return refuse(d, name, errno, e);
	if (!draft_write(d, &draft, data, len))
		rc = refuse(d, name, errno, e);
	else if (!draft_publish(p, &draft, STORE_PUT_ALWAYS))
		rc = refuse_step(d, name, errno, e);
	else
		rc = place_sync(d, p, name, e);
	if (rc == RC_OK || rc == RC_UNKNOWN) {
		if (tag)
			*tag = tag_of(&draft.st);
		/* The lock of a temporary file is no claim's. */
		(void)flock(draft.fd, LOCK_UN);
		*fd = draft.fd;
		draft.fd = -1;
	}
	draft_drop(p, &draft);
	return rc;
}

/* As put_file; fd is the caller's on success. */
static enum rc put_locked_at(struct dir_store *d, struct place *p,
			     const char *name, const void *data, size_t len,
			     int *fd, struct store_tag *tag, struct err *e)
{
	struct draft draft = { 0 };
	enum rc rc = RC_OK;

	if (!draft_open(d, p, DRAFT_ANY, &draft))
		return refuse(d, name, errno, e);
	if (!draft_write(d, &draft, data, len))
		rc = refuse(d, name, errno, e);
	if (rc == RC_OK && !sees_locks(d, draft.fd, draft.st.st_dev))
		rc = unseen_lock(d, name, e);
	if (rc == RC_OK && flock(draft.fd, LOCK_EX | LOCK_NB) < 0)
		rc = refuse(d, name, errno, e);
	if (rc == RC_OK && !draft_publish(p, &draft, STORE_PUT_IF_ABSENT))
		rc = refuse_step(d, name, errno, e);
	if (rc == RC_OK)
		rc = place_sync(d, p, name, e);
	if (rc == RC_OK) {
		if (tag)
			*tag = tag_of(&draft.st);
		*fd = draft.fd;
		draft.fd = -1;
	}
	draft_drop(p, &draft);
	return rc;
}

typedef enum rc put_at(struct dir_store *d, struct place *p, const char *name,
		       const void *data, size_t len, int *fd,
		       struct store_tag *tag, struct err *e);

static enum rc put_by(put_at *put, struct dir_store *d, const char *name,
		      const void *data, size_t len, int *fd,
		      struct store_tag *tag, struct err *e)
{
	enum rc rc = RC_ABSENT;

	for (int gone = 0; gone < GONE_MAX && rc == RC_ABSENT; gone++) {
		struct place p;

		rc = place_make(d, &p, name, e);
		if (rc != RC_OK)
			return rc;
		rc = put(d, &p, name, data, len, fd, tag, e);
		place_close(&p);
	}
	return rc;
}

static enum rc dir_put_locked(struct store *s, const char *name, const void *data,
			      size_t len, int *fd, struct store_tag *tag,
			      const struct call *call, struct err *e)
{
	struct dir_store *d = dir_of(s);

	(void)call;
	if (!d->sees_locks)
		return unseen_lock(d, name, e);
	return put_by(put_locked_at, d, name, data, len, fd, tag, e);
}

static enum rc dir_put_open(struct store *s, const char *name, const void *data,
			    size_t len, int *fd, struct store_tag *tag,
			    const struct call *call, struct err *e)
{
	(void)call;
	return put_by(put_open_at, dir_of(s), name, data, len, fd, tag, e);
}

/* Shared, so that two who test do not take each other for the owner. */
static enum store_probe probe_open(int fd)
{
	if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
		(void)flock(fd, LOCK_UN);
		return STORE_PROBE_FREE;
	}
	return errno == EWOULDBLOCK ? STORE_PROBE_TAKEN : STORE_PROBE_BLIND;
}

static enum rc dir_probe(struct store *s, const char *name,
			 enum store_probe *found, const struct call *call,
			 struct err *e)
{
	struct dir_store *d = dir_of(s);
	enum rc rc = check_name(name, e);
	struct stat st;
	int fd;

	(void)call;
	if (rc != RC_OK)
		return rc;
	*found = STORE_PROBE_BLIND;
	fd = open_regular(d, name);
	if (fd < 0)
		return errno == EACCES || errno == EPERM || errno == EAGAIN ||
				       errno == ENXIO
			       ? RC_OK
			       : refuse(d, name, errno, e);
	if (fstat(fd, &st) < 0)
		rc = refuse(d, name, errno, e);
	else if (sees_locks(d, fd, st.st_dev))
		*found = probe_open(fd);
	(void)close(fd);
	return rc;
}

static enum rc dir_holder(struct store *s, const char *name, pid_t *pid,
			  struct err *e)
{
	struct dir_store *d = dir_of(s);
	char path[40 + NAME_ROOM];
	struct place p;
	enum rc rc = place_find(d, &p, name, e);

	if (rc != RC_OK)
		return rc;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", p.dir, p.leaf);
	*pid = flock_holder(path);
	place_close(&p);
	return RC_OK;
}

/* A place's file is opened: wait for its lock, and see what became of it. */
static enum rc await_open(struct dir_store *d, const struct place *p, int fd,
			  nsec span, bool *gone, const struct call *call,
			  struct err *e)
{
	struct stat st;
	enum rc rc;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    !sees_locks(d, fd, st.st_dev))
		return unseen_lock(d, p->leaf, e);
	/* Shared: others who wait for it as well are not to wait for us. */
	rc = turn_take(&d->turn, fd, LOCK_SH, span, call, e);
	if (rc == RC_OK)
		*gone = !is_ours(p, &st);
	return rc;
}

static enum rc dir_await(struct store *s, const char *name, nsec span,
			 bool *gone, const struct call *call, struct err *e)
{
	struct dir_store *d = dir_of(s);
	struct place p;
	enum rc rc = place_find(d, &p, name, e);
	int fd;

	*gone = rc == RC_ABSENT;
	if (rc != RC_OK)
		return rc == RC_ABSENT ? RC_OK : rc;
	fd = open_leaf(p.dir, p.leaf);
	*gone = fd < 0 && errno == ENOENT;
	if (fd >= 0)
		rc = await_open(d, &p, fd, span, gone, call, e);
	else if (errno == ENXIO)
		rc = unseen_lock(d, p.leaf, e);
	else if (!*gone)
		rc = refuse(d, name, errno, e);
	if (fd >= 0)
		(void)close(fd);
	place_close(&p);
	return rc;
}

/* --- watching --- */

static bool remember_watch(struct dir_store *d, int watch)
{
	for (size_t i = 0; i < d->watch_count; i++) {
		if (d->watches[i] == watch)
			return true;
	}
	if (d->watch_count == WATCHES_MAX) {
		errno = ENOSPC;
		return false;
	}
	d->watches[d->watch_count++] = watch;
	return true;
}

/* Watch the leaf itself, reached without following a link. */
static bool watch_leaf(struct dir_store *d, const struct place *p)
{
	char path[40 + NAME_ROOM];
	int watch;

	if (d->inotify < 0)
		d->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (d->inotify < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", p->dir,
		       p->leaf);
	watch = inotify_add_watch(d->inotify, path, WATCHED | IN_DONT_FOLLOW);
	return watch >= 0 && remember_watch(d, watch);
}

/* A directory above, moved away, takes all below it along without an event
 * there. What cannot be watched is seen by the next listing. */
static void watch_above(struct dir_store *d, int dir, const char *up)
{
	char path[48];
	int watch;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, up);
	watch = inotify_add_watch(d->inotify, path,
				  IN_MOVE_SELF | IN_DELETE_SELF);
	if (watch >= 0)
		(void)remember_watch(d, watch);
}

static enum rc dir_watch(struct store *s, const char *name, int *fd,
			 struct err *e)
{
	struct dir_store *d = dir_of(s);
	struct place p;
	struct stat st;
	enum rc rc = place_find(d, &p, name, e);
	int sys;

	if (rc != RC_OK)
		return rc;
	sys = watch_leaf(d, &p) ? 0 : errno;
	if (sys == 0) {
		watch_above(d, d->fd, ".");
		watch_above(d, p.dir, ".");
		watch_above(d, p.dir, "..");
	}
	if (fstatat(p.dir, p.leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
		rc = refuse(d, name, errno, e);
	else if (base_has_moved(d))
		rc = err_set(e, RC_ABSENT, "%.150s was moved away",
			     d->base.shown);
	else if (sys != 0)
		rc = err_sys(e, RC_RETRY, sys, "%.80s cannot be watched", name);
	else
		*fd = d->inotify;
	place_close(&p);
	return rc;
}

static void dir_unwatch(struct store *s)
{
	struct dir_store *d = dir_of(s);
	char events[1024];

	while (d->watch_count > 0)
		(void)inotify_rm_watch(d->inotify, d->watches[--d->watch_count]);
	while (d->inotify >= 0 && read(d->inotify, events, sizeof(events)) > 0)
		;
}

/* --- opening --- */

static enum rc refuse_base(const char *path, int sys, struct err *e)
{
	const char *shown = *path ? path : "\"\"";

	if (sys == ENOENT)
		return err_set(e, RC_ABSENT,
			       "%.120s does not exist; a lock is only kept "
			       "below a directory that exists: make it or "
			       "correct the name",
			       shown);
	if (sys == ENOTDIR)
		return err_set(e, RC_UNSUPPORTED,
			       "%.120s is not a directory; name the directory, "
			       "or flock:%.60s to lock a file as flock(1) does",
			       shown, shown);
	return err_sys(e, rc_of_errno(sys), sys, "%.180s", shown);
}

/* What FUSE is it? Its name says all that can be known of it. */
static void look_at_fuse(struct dir_store *d)
{
	struct store *s = &d->base;
	char type[64] = "fuse", source[64] = "";

	(void)mount_of(d->fd, type, sizeof(type), source, sizeof(source));
	switch (fuse_fit(type, source)) {
	case FUSE_FIT:
		return;
	case FUSE_UNFIT:
		(void)snprintf(s->unfit, sizeof(s->unfit),
			       "%.70s is on %.24s, which hides from other hosts "
			       "what it shows here: two could hold one lock; "
			       "keep it on a local disk, NFS, SMB or sshfs",
			       s->shown, type);
		return;
	case FUSE_UNKNOWN:
		(void)snprintf(s->doubt, sizeof(s->doubt),
			       "%.50s is on %.24s: nobody has tried whether "
			       "that can keep other hosts out; see "
			       "repolock-locations(7)",
			       s->shown, type);
	}
}

/* What the base says about everything below it. */
static enum rc look_at_base(struct dir_store *d, struct err *e)
{
	const struct file_system *fs = file_system_of(d->fd);
	struct stat st;

	d->base.unfit[0] = '\0';
	d->base.doubt[0] = '\0';
	if (!fs && is_fuse(d->fd))
		look_at_fuse(d);
	if (fstat(d->fd, &st) < 0)
		return err_sys(e, rc_of_errno(errno), errno, "%.180s",
			       d->base.shown);
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	d->uid = st.st_uid;
	d->gid = st.st_gid;
	d->sees_locks = fs && fs->sees_locks;
	d->base.lag = fs ? 0 : NETWORK_LAG;
	choose_modes(d, st.st_mode);
	return RC_OK;
}

enum rc dir_open(struct store **s, const char *path,
		 const struct store_manners *manners, struct err *e)
{
	struct dir_store *d = malloc(sizeof(*d));
	char *list = malloc(LIST_ROOM_FIRST);
	char *copy = strdup(path);
	enum rc rc;

	if (!d || !list || !copy) {
		free(d);
		free(copy);
		free(list);
		return err_sys(e, RC_RETRY, ENOMEM, "a directory");
	}
	*d = (struct dir_store){
		.base = { .ops = &store_dir, .manners = *manners },
		.path = copy,
		.list = list,
		.list_room = LIST_ROOM_FIRST,
		.inotify = -1,
	};
	turn_init(&d->turn);
	(void)text_copy(d->base.shown, sizeof(d->base.shown), path);
	d->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	rc = d->fd < 0 ? refuse_base(path, errno, e) : look_at_base(d, e);
	if (rc != RC_OK) {
		dir_close(&d->base);
		return rc;
	}
	*s = &d->base;
	return RC_OK;
}

const struct store_ops store_dir = {
	.name = "dir",
	.can = STORE_CAN_ABSENT | STORE_CAN_LIST_CONSISTENT,
	.close = dir_close,
	.get = dir_get,
	.put = dir_put,
	.del = dir_del,
	.list = dir_list,
	.renew = dir_renew,
	.names = dir_names,
	.move = dir_move,
	.put_locked = dir_put_locked,
	.put_open = dir_put_open,
	.renew_open = dir_renew_open,
	.probe = dir_probe,
	.holder = dir_holder,
	.await = dir_await,
	.watch = dir_watch,
	.unwatch = dir_unwatch,
};
