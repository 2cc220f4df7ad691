/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deny.h"
#include "scratch.h"
#include "store/driver.h"
#include "store_contract.h"
#include "util/log.h"
#include "util/text.h"

#define NOBODY 65534
#define PATH_ROOM 256

static char disk[64];   /* below /tmp */
static char memory[64]; /* below /dev/shm */
static struct store *s;
static struct err e;
static const struct call call = { { NSEC_FOREVER }, -1 };

/* A new directory below `above`. */
static const char *fresh(char out[PATH_ROOM], const char *above)
{
	char uuid[UUID_TEXT_SIZE];

	uuid_make(uuid);
	(void)snprintf(out, PATH_ROOM, "%s/%s", above, uuid);
	ck_assert_int_eq(mkdir(out, 0700), 0);
	return out;
}

static const char *below(char out[PATH_ROOM], const char *base, const char *name)
{
	ck_assert_int_lt(snprintf(out, PATH_ROOM, "%s/%s", base, name),
			 PATH_ROOM);
	return out;
}

static enum rc put(const char *name)
{
	return s->ops->put(s, name, "text", 4, STORE_PUT_IF_ABSENT, NULL, NULL,
			   &call, &e);
}

/* --- kinds of directory for the contract --- */

static enum rc open_plain(struct store **out, const struct store_kind *kind,
			  struct err *err)
{
	char path[PATH_ROOM];

	return store_open(out, "", fresh(path, kind->above), NULL, &call, err);
}

static enum rc open_durable(struct store **out, const struct store_kind *kind,
			    struct err *err)
{
	static const struct store_manners manners = { .durable = true };
	char path[PATH_ROOM];

	return store_open(out, "", fresh(path, kind->above), &manners, &call,
			  err);
}

static enum rc open_foreign(struct store **out, const struct store_kind *kind,
			    struct err *err)
{
	static const struct store_manners manners = {
		.file_mode = 0600,
		.dir_mode = 0700,
		.temporary = "%s-tmp-%s",
	};
	char path[PATH_ROOM];

	return store_open(out, "", fresh(path, kind->above), &manners, &call,
			  err);
}

static enum rc open_traced(struct store **out, const struct store_kind *kind,
			   struct err *err)
{
	int null = open("/dev/null", O_WRONLY);

	(void)dup2(null, STDERR_FILENO);
	log_enable_debug();
	return open_plain(out, kind, err);
}

/*
 * The kernel and file system of another time: no openat2, no O_TMPFILE, no
 * rename without replacing, no link from a bare descriptor.
 */
static void forget_new_calls(void)
{
	deny_call(SYS_openat2, ENOSYS);
	deny_call_with(SYS_openat, 2, O_TMPFILE & ~O_DIRECTORY, EOPNOTSUPP);
	deny_call_with(SYS_renameat2, 4, 1 /* RENAME_NOREPLACE */, EINVAL);
	deny_call_with(SYS_linkat, 4, AT_EMPTY_PATH, ENOENT);
	ck_assert_int_eq(syscall(SYS_openat2, -1, "", NULL, 0), -1);
	ck_assert_int_eq(errno, ENOSYS);
}

static enum rc open_old(struct store **out, const struct store_kind *kind,
			struct err *err)
{
	forget_new_calls();
	return open_plain(out, kind, err);
}

/* Nor any links, as on exFAT. */
static enum rc open_poor(struct store **out, const struct store_kind *kind,
			 struct err *err)
{
	forget_new_calls();
	deny_call(SYS_linkat, EPERM);
	return open_plain(out, kind, err);
}

static void write_map(const char *path, unsigned id)
{
	char line[32];
	int fd = open(path, O_WRONLY);

	ck_assert_int_ge(fd, 0);
	(void)snprintf(line, sizeof(line), "0 %u 1", id);
	ck_assert_int_gt(write(fd, line, strlen(line)), 0);
	(void)close(fd);
}

/* Mounts of our own, that end with this process; whoever is not root becomes
 * it in a user namespace for that. */
static void own_mounts(void)
{
	unsigned uid = geteuid(), gid = getegid();
	int more = uid == 0 ? 0 : CLONE_NEWUSER;

	ck_assert_msg(unshare(CLONE_NEWNS | more) == 0, "unshare: %s",
		      strerror(errno));
	if (more != 0) {
		write_map("/proc/self/uid_map", uid);
		int fd = open("/proc/self/setgroups", O_WRONLY);

		ck_assert_int_eq(write(fd, "deny", 4), 4);
		(void)close(fd);
		write_map("/proc/self/gid_map", gid);
	}
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

/* upper: the directory that is written to, for whoever goes by it. */
static void mount_overlay_on(char path[PATH_ROOM], char upper[PATH_ROOM],
			     const char *above)
{
	const char *more = geteuid() == 0 ? "" : ",userxattr";
	char lower[PATH_ROOM], work[PATH_ROOM];
	char options[4 * PATH_ROOM];

	own_mounts();
	(void)snprintf(options, sizeof(options),
		       "lowerdir=%s,upperdir=%s,workdir=%s%s",
		       fresh(lower, above), fresh(upper, above),
		       fresh(work, above), more);
	ck_assert_int_eq(
		mount("overlay", fresh(path, above), "overlay", 0, options), 0);
}

static void mount_overlay(char path[PATH_ROOM], const char *above)
{
	char upper[PATH_ROOM];

	mount_overlay_on(path, upper, above);
}

static enum rc open_overlay(struct store **out, const struct store_kind *kind,
			    struct err *err)
{
	char path[PATH_ROOM];

	mount_overlay(path, kind->above);
	return store_open(out, "", path, NULL, &call, err);
}

static const struct store_kind kinds[] = {
	{ .name = "dir on disk", .above = disk, .open = open_plain },
	{ .name = "dir in memory", .above = memory, .open = open_plain },
	{ .name = "dir, durable", .above = memory, .open = open_durable },
	{ .name = "dir with foreign customs", .above = disk, .open = open_foreign },
	{ .name = "dir, traced", .above = memory, .open = open_traced },
	{ .name = "dir of an old system", .above = disk, .open = open_old },
	{ .name = "dir without links",
	  .above = disk,
	  .looks_first = true,
	  .open = open_poor },
	{ .name = "dir on an overlay", .above = memory, .open = open_overlay },
};

/* --- opening --- */

struct opening {
	const char *scheme;
	const char *front, *back; /* around a directory that is there */
	enum rc rc;
	const char *says; /* NULL: nothing */
};

static const struct opening openings[] = {
	{ "", "", "", RC_OK, NULL },
	{ "lease", "", "", RC_OK, NULL },
	{ "file", "//", "", RC_OK, NULL },
	{ "file", "//localhost", "", RC_OK, NULL },
	{ "file", "", "", RC_OK, NULL },
	{ "file", "//", "/a%20b", RC_OK, NULL },
	{ "file", "//", "/a%2", RC_MALFORMED, "%25" },
	{ "file", "//", "/a%00b", RC_MALFORMED, "%25" },
	{ "file", "//elsewhere", "", RC_MALFORMED, "file:///PATH" },
	{ "file", "x", "", RC_MALFORMED, "file:///PATH" },
	{ "", "", "/missing", RC_ABSENT, "below a directory that exists" },
	{ "", "", "/file", RC_UNSUPPORTED, "flock:" },
	{ "", "", "/file/below", RC_UNSUPPORTED, "not a directory" },
	{ "gopher", "", "", RC_UNSUPPORTED, "gopher:" },
};

START_TEST(a_place_is_opened_or_the_reason_said)
{
	const struct opening *o = &openings[_i];
	char path[PATH_ROOM], file[PATH_ROOM], rest[PATH_ROOM];
	enum rc rc;

	(void)fresh(path, memory);
	(void)below(file, path, "file");
	scratch_write(file, "");
	(void)below(file, path, "a b");
	ck_assert_int_eq(mkdir(file, 0700), 0);
	ck_assert_int_lt(
		snprintf(rest, sizeof(rest), "%s%s%s", o->front, path, o->back),
		(int)sizeof(rest));
	rc = store_open(&s, o->scheme, rest, NULL, &call, &e);
	ck_assert_msg(rc == o->rc, "%s: %s %s", rest, rc_name(rc), e.text);
	if (o->says)
		ck_assert_msg(strstr(e.text, o->says), "%s", e.text);
	if (rc == RC_OK)
		store_close(s);
	/* Opening makes nothing. */
	(void)below(file, path, "missing");
	ck_assert_int_eq(access(file, F_OK), -1);
}
END_TEST

START_TEST(opening_makes_nothing)
{
	char path[PATH_ROOM];

	(void)fresh(path, memory);
	ck_assert_int_eq(store_open(&s, "", path, NULL, &call, &e), RC_OK);
	store_close(s);
	ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(tags_differ_by_each_of_their_parts)
{
	const struct store_tag tag = { { 1 }, 2, 3, 4, "5" };
	const struct store_tag others[] = {
		{ { 9 }, 2, 3, 4, "5" }, { { 1 }, 9, 3, 4, "5" },
		{ { 1 }, 2, 9, 4, "5" }, { { 1 }, 2, 3, 9, "5" },
		{ { 1 }, 2, 3, 4, "9" },
	};

	ck_assert(store_tag_same(&tag,
				 &(struct store_tag){ { 1 }, 2, 3, 4, "5" }));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert(!store_tag_same(&tag, &others[i]));
}
END_TEST

/* --- symbolic links --- */

enum system_age { SYSTEM_NEW, SYSTEM_OLD };

/* base/.repolock -> target, or base/.repolock/default -> target */
static void plant(char base[PATH_ROOM], char target[PATH_ROOM], const char *link)
{
	char path[PATH_ROOM];

	(void)fresh(base, disk);
	(void)fresh(target, disk);
	(void)below(path, target, "x");
	scratch_write(path, "theirs");
	if (strchr(link, '/')) {
		(void)below(path, base, ".repolock");
		ck_assert_int_eq(mkdir(path, 0700), 0);
	}
	(void)below(path, base, link);
	ck_assert_int_eq(symlink(target, path), 0);
}

static bool see_nothing(void *context, const struct store_entry *entry)
{
	(void)context;
	ck_abort_msg("sees %s", entry->name);
	return true;
}

static const struct store_tag unknown;

static void refuses_link(enum rc rc)
{
	ck_assert_msg(rc != RC_OK && rc != RC_ABSENT, "%s", rc_name(rc));
	ck_assert_msg(strstr(e.text, "symbolic link"), "%s", e.text);
}

/* Every operation through a link in the middle of the name. */
static void try_all(const char *dir)
{
	enum store_probe found;
	char name[PATH_ROOM], prefix[PATH_ROOM];
	struct buf b;
	int fd = -1;

	(void)below(name, dir, "x");
	(void)snprintf(prefix, sizeof(prefix), "%s/", dir);
	buf_init(&b, 100);
	refuses_link(s->ops->get(s, name, &b, NULL, &call, &e));
	refuses_link(s->ops->list(s, prefix, see_nothing, NULL, &call, &e));
	refuses_link(s->ops->names(s, prefix, see_nothing, NULL, &call, &e));
	refuses_link(s->ops->del(s, name, &call, &e));
	refuses_link(s->ops->renew(s, name, &unknown, "ours", 4, NULL, &call, &e));
	refuses_link(s->ops->probe(s, name, &found, &call, &e));
	refuses_link(s->ops->watch(s, name, &fd, &e));
	refuses_link(s->ops->move(s, name, "y", &call, &e));
	(void)below(name, dir, "new");
	refuses_link(put(name));
	refuses_link(s->ops->put_locked(s, name, "ours", 4, &fd, NULL, &call, &e));
	ck_assert_int_eq(fd, -1);
	buf_release(&b);
}

START_TEST(a_planted_link_is_never_followed)
{
	static const char *const links[] = { ".repolock", ".repolock/default" };
	char base[PATH_ROOM], target[PATH_ROOM], path[PATH_ROOM];
	struct stat st;

	plant(base, target, links[_i / 2]);
	if (_i % 2 == SYSTEM_OLD)
		forget_new_calls();
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	try_all(".repolock/default");
	/* It is the link that is named, not what was looked for. */
	(void)snprintf(path, sizeof(path), "/%s: a sym", links[_i / 2]);
	ck_assert_msg(strstr(e.text, path), "%s", e.text);
	store_close(s);
	(void)below(path, target, "x");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 6);
	(void)below(path, target, "new");
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(an_object_that_is_a_link_is_not_followed)
{
	char base[PATH_ROOM], target[PATH_ROOM], path[PATH_ROOM];
	enum store_probe found;
	struct stat st;
	struct buf b;

	(void)fresh(base, disk);
	(void)fresh(target, disk);
	(void)below(path, target, "x");
	scratch_write(path, "theirs");
	(void)below(target, base, "a");
	ck_assert_int_eq(mkdir(target, 0700), 0);
	(void)below(target, base, "a/x");
	ck_assert_int_eq(symlink(path, target), 0);
	if (_i == SYSTEM_OLD)
		forget_new_calls();
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	buf_init(&b, 100);
	refuses_link(s->ops->get(s, "a/x", &b, NULL, &call, &e));
	refuses_link(
		s->ops->renew(s, "a/x", &unknown, "ours", 4, NULL, &call, &e));
	refuses_link(s->ops->probe(s, "a/x", &found, &call, &e));
	ck_assert_int_eq(put("a/x"), RC_EXISTS);
	/* Replacing and removing concern the link itself. */
	ck_assert_int_eq(s->ops->put(s, "a/x", "ours", 4, STORE_PUT_ALWAYS,
				     NULL, NULL, &call, &e),
			 RC_OK);
	ck_assert_int_eq(lstat(target, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 6);
	buf_release(&b);
	store_close(s);
}
END_TEST

START_TEST(a_pipe_in_place_of_an_object_does_not_block)
{
	char base[PATH_ROOM], path[PATH_ROOM];
	enum store_probe found;
	struct buf b;

	(void)fresh(base, disk);
	(void)below(path, base, "x");
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	buf_init(&b, 100);
	ck_assert_int_eq(s->ops->get(s, "x", &b, NULL, &call, &e), RC_MALFORMED);
	ck_assert_int_eq(s->ops->probe(s, "x", &found, &call, &e), RC_OK);
	ck_assert_int_eq(found, STORE_PROBE_BLIND);
	store_close(s);
}
END_TEST

/* --- modes and owners --- */

struct modes {
	mode_t base;
	mode_t umask;
	mode_t dir;
	mode_t file;
};

static const struct modes modes[] = {
	{ 0700, 0022, 0700, 0600 },   { 0700, 0000, 0700, 0600 },
	{ 0750, 0077, 02770, 0640 },  { 0755, 0022, 02770, 0640 },
	{ 02770, 0077, 02770, 0640 }, { 0710, 0000, 0700, 0600 },
	{ 01777, 0077, 03777, 0644 }, { 0705, 0000, 0700, 0600 },
};

/* The modes of what was made below base, of both kinds of file. */
static void made(const char *base, struct stat *dir, struct stat *file)
{
	char path[PATH_ROOM];
	int fd = -1;

	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_msg(put("a/b/x") == RC_OK, "%s", e.text);
	ck_assert_int_eq(
		s->ops->put_locked(s, "a/b/y", "", 0, &fd, NULL, &call, &e),
		RC_OK);
	(void)close(fd);
	store_close(s);
	(void)below(path, base, "a/b/x");
	ck_assert_int_eq(lstat(path, file), 0);
	(void)below(path, base, "a/b/y");
	ck_assert_int_eq(lstat(path, dir), 0);
	ck_assert_int_eq(dir->st_mode, file->st_mode);
	ck_assert_int_eq(dir->st_gid, file->st_gid);
	ck_assert_int_eq(dir->st_uid, file->st_uid);
	(void)below(path, base, "a");
	ck_assert_int_eq(lstat(path, file), 0);
	(void)below(path, base, "a/b");
	ck_assert_int_eq(lstat(path, dir), 0);
	ck_assert_int_eq(dir->st_mode, file->st_mode);
	(void)below(path, base, "a/b/x");
	ck_assert_int_eq(lstat(path, file), 0);
}

START_TEST(modes_follow_the_base_whatever_the_umask)
{
	const struct modes *m = &modes[_i % (sizeof(modes) / sizeof(*modes))];
	struct stat dir, file;
	char base[PATH_ROOM];

	if (_i >= (int)(sizeof(modes) / sizeof(*modes)))
		forget_new_calls();
	(void)fresh(base, disk);
	ck_assert_int_eq(chmod(base, m->base), 0);
	(void)umask(m->umask);
	made(base, &dir, &file);
	ck_assert_msg((dir.st_mode & 07777) == m->dir, "%o", dir.st_mode & 07777);
	ck_assert_msg((file.st_mode & 07777) == m->file, "%o",
		      file.st_mode & 07777);
}
END_TEST

static void become(uid_t uid, gid_t gid, size_t more, const gid_t *groups)
{
	ck_assert_int_eq(setgroups(more, groups), 0);
	ck_assert_int_eq(setresgid(gid, gid, gid), 0);
	ck_assert_int_eq(setresuid(uid, uid, uid), 0);
}

/* A base that others can reach: the scratch directory is 0700. */
static const char *public_base(char base[PATH_ROOM], uid_t uid, gid_t gid,
			       mode_t mode)
{
	ck_assert_int_eq(chmod(disk, 0711), 0);
	(void)fresh(base, disk);
	ck_assert_int_eq(chown(base, uid, gid), 0);
	ck_assert_int_eq(chmod(base, mode), 0);
	return base;
}

START_TEST(root_follows_the_owner_of_the_base)
{
	struct stat dir, file;
	char base[PATH_ROOM];

	made(public_base(base, 1234, 4321, 0700), &dir, &file);
	ck_assert_int_eq(dir.st_uid, 1234);
	ck_assert_int_eq(dir.st_gid, 4321);
	ck_assert_int_eq(file.st_uid, 1234);
	ck_assert_int_eq(file.st_gid, 4321);
	/* The owner can take part. */
	become(1234, 4321, 0, NULL);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(put("a/b/z"), RC_OK);
	ck_assert_int_eq(s->ops->del(s, "a/b/x", &call, &e), RC_OK);
}
END_TEST

START_TEST(root_does_not_give_away_what_is_slipped_under_it)
{
	char base[PATH_ROOM], path[PATH_ROOM];
	struct stat st;

	(void)public_base(base, 1234, 4321, 0700);
	(void)below(path, base, "a");
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(put("a/b/x"), RC_OK);
	/* What was there before stays whose it is. */
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert_int_eq(st.st_uid, 0);
	store_close(s);
}
END_TEST

START_TEST(members_of_the_group_share)
{
	const gid_t shared = 4321;
	enum store_probe found = STORE_PROBE_BLIND;
	struct stat dir, file;
	char base[PATH_ROOM];

	(void)public_base(base, 0, shared, 0770);
	if (fork() == 0) {
		become(1001, 1001, 1, &shared);
		(void)umask(0077);
		made(base, &dir, &file);
		_exit(file.st_gid == shared && dir.st_gid == shared ? 0 : 1);
	}
	int status = -1;

	ck_assert_int_gt(wait(&status), 0);
	ck_assert_int_eq(status, 0);
	become(1002, 1002, 1, &shared);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(put("a/b/z"), RC_OK);
	ck_assert_int_eq(s->ops->probe(s, "a/b/y", &found, &call, &e), RC_OK);
	ck_assert_int_eq(found, STORE_PROBE_FREE);
	ck_assert_int_eq(s->ops->del(s, "a/b/y", &call, &e), RC_OK);
}
END_TEST

START_TEST(another_group_than_the_bases_gets_nothing)
{
	struct stat dir, file;
	char base[PATH_ROOM];

	(void)public_base(base, 1001, 4321, 0750);
	become(1001, 1001, 0, NULL); /* the owner, no member of its group */
	made(base, &dir, &file);
	ck_assert_int_eq(file.st_gid, 1001);
	ck_assert_int_eq(file.st_mode & 07777, 0600);
	ck_assert_int_eq(dir.st_mode & 07777, 0700);
}
END_TEST

START_TEST(modes_that_a_format_wants_are_kept)
{
	static const struct store_manners manners = {
		.file_mode = 0440,
		.dir_mode = 0770,
		.group_of = "config",
	};
	char base[PATH_ROOM], path[PATH_ROOM];
	struct stat st;

	(void)fresh(base, disk);
	(void)umask(0077);
	(void)below(path, base, "config");
	scratch_write(path, "");
	ck_assert_int_eq(chmod(path, _i ? 0440 : 0400), 0);
	ck_assert_int_eq(store_open(&s, "", base, &manners, &call, &e), RC_OK);
	ck_assert_int_eq(put("locks/x"), RC_OK);
	store_close(s);
	(void)below(path, base, "locks/x");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, _i ? 0440 : 0400);
	(void)below(path, base, "locks");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, _i ? 0770 : 0700);
}
END_TEST

/* --- what stands in the way --- */

START_TEST(no_permission_is_said_and_nothing_made)
{
	char base[PATH_ROOM];
	int fd = -1;

	(void)public_base(base, 0, 0, 0755);
	become(NOBODY, NOBODY, 0, NULL);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(put(".repolock/default/x"), RC_DENIED);
	ck_assert_msg(strstr(e.text, base) && strstr(e.text, "permission"),
		      "%s", e.text);
	ck_assert_int_eq(e.sys, EACCES);
	ck_assert_int_eq(s->ops->put_locked(s, "x", "", 0, &fd, NULL, &call, &e),
			 RC_DENIED);
	/* Looking is allowed. */
	ck_assert_int_eq(s->ops->list(s, "", see_nothing, NULL, &call, &e),
			 RC_OK);
	store_close(s);
}
END_TEST

START_TEST(a_lock_that_may_not_be_looked_at_proves_nothing)
{
	enum store_probe found = STORE_PROBE_FREE;
	char base[PATH_ROOM], path[PATH_ROOM];

	(void)public_base(base, 0, 0, 0755);
	(void)below(path, base, "x");
	scratch_write(path, "");
	ck_assert_int_eq(chmod(path, 0600), 0);
	become(NOBODY, NOBODY, 0, NULL);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(s->ops->probe(s, "x", &found, &call, &e), RC_OK);
	ck_assert_int_eq(found, STORE_PROBE_BLIND);
	store_close(s);
}
END_TEST

START_TEST(a_read_only_file_system_is_said)
{
	char base[PATH_ROOM];

	own_mounts();
	(void)fresh(base, disk);
	ck_assert_int_eq(mount(base, base, NULL, MS_BIND, NULL), 0);
	ck_assert_int_eq(
		mount(NULL, base, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL),
		0);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(put("a/x"), RC_DENIED);
	ck_assert_msg(strstr(e.text, "read-only"), "%s", e.text);
	store_close(s);
}
END_TEST

START_TEST(a_full_disk_is_said_and_nothing_left)
{
	static const char kib[1024];
	char base[PATH_ROOM], path[PATH_ROOM];
	int fd;

	own_mounts();
	(void)fresh(base, memory);
	ck_assert_int_eq(mount("full", base, "tmpfs", 0, "size=64k"), 0);
	(void)below(path, base, "filler");
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	while (write(fd, kib, sizeof(kib)) > 0)
		;
	(void)close(fd);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(put("a/x"), RC_RETRY);
	ck_assert_msg(strstr(e.text, "no space"), "%s", e.text);
	ck_assert_int_eq(e.sys, ENOSPC);
	ck_assert_int_eq(s->ops->list(s, "a/", see_nothing, NULL, &call, &e),
			 RC_OK);
	store_close(s);
}
END_TEST

/* What the kernel says to the step that others would see, and what of it. */
struct failing {
	long number;
	int sys;
	enum rc rc;
};

static const struct failing failings[] = {
	{ SYS_linkat, EIO, RC_UNKNOWN },
	{ SYS_linkat, ETIMEDOUT, RC_UNKNOWN },
	{ SYS_linkat, EINTR, RC_UNKNOWN },
	{ SYS_linkat, ENOSPC, RC_RETRY },
	{ SYS_linkat, EACCES, RC_DENIED },
	{ SYS_pwrite64, EIO, RC_RETRY },
	{ SYS_pwrite64, EDQUOT, RC_RETRY },
	{ SYS_openat2, EIO, RC_RETRY },
	{ SYS_openat2, ESTALE, RC_RETRY },
};

START_TEST(a_put_whose_answer_may_be_lost_is_unknown)
{
	const struct failing *f = &failings[_i];
	char base[PATH_ROOM];
	int fd = -1;

	(void)fresh(base, disk);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(put("a/y"), RC_OK);
	deny_call(f->number, f->sys);
	ck_assert_int_eq(put("a/x"), f->rc);
	ck_assert_int_eq(e.sys, f->sys);
	ck_assert_int_eq(s->ops->put_locked(s, "a/x", "", 0, &fd, NULL, &call, &e),
			 f->number == SYS_pwrite64 ? RC_OK : f->rc);
	store_close(s);
}
END_TEST

/* --- kinds of mounts --- */

static const struct mounted {
	const char *type, *source;
	enum fuse_fit fit;
} mounts[] = {
	{ "fuse.rclone", "remote:dir", FUSE_UNFIT },
	{ "fuse.gcsfuse", "bucket", FUSE_UNFIT },
	{ "fuse", "https://host/dir", FUSE_UNFIT }, /* davfs2 */
	{ "fuse", "mountpoint-s3", FUSE_UNFIT },
	{ "fuse", "/etc/auto.misc", FUSE_UNKNOWN },
	{ "fuse.sshfs", "host:dir", FUSE_FIT },
	{ "fuseblk", "/dev/sda1", FUSE_FIT },
	{ "fuse.sshfs2", "https://host/dir", FUSE_UNKNOWN },
	{ "fuse.bindfs", "/srv", FUSE_UNKNOWN },
};

START_TEST(p4_2_a_fuse_is_known_by_its_type_or_source)
{
	ck_assert_int_eq(fuse_fit(mounts[_i].type, mounts[_i].source),
			 mounts[_i].fit);
}
END_TEST

START_TEST(p4_2_a_mount_is_found_by_an_open_directory)
{
	char type[64], source[64];
	int fd = open("/proc", O_PATH);

	ck_assert(mount_of(fd, type, sizeof(type), source, sizeof(source)));
	ck_assert_str_eq(type, "proc");
	(void)close(fd);
}
END_TEST

/* --- files that somebody else put there --- */

enum swap { SWAP_MOVED, SWAP_LINKED, SWAP_DIRECTORY, SWAP_FIFO, SWAP_END };

/* Put another thing under the name of an object of ours. */
static void swap_object(const char *base, enum swap how)
{
	char ours[PATH_ROOM], other[PATH_ROOM];

	(void)below(ours, base, "a/x");
	(void)below(other, base, "precious");
	scratch_write(other, "precious");
	ck_assert_int_eq(unlink(ours), 0);
	switch (how) {
	case SWAP_MOVED:
		ck_assert_int_eq(rename(other, ours), 0);
		break;
	case SWAP_LINKED:
		ck_assert_int_eq(link(other, ours), 0);
		break;
	case SWAP_DIRECTORY:
		ck_assert_int_eq(mkdir(ours, 0700), 0);
		break;
	case SWAP_FIFO:
		ck_assert_int_eq(mkfifo(ours, 0600), 0);
		break;
	case SWAP_END:
		break;
	}
}

static void is_precious(const char *base, enum swap how)
{
	char path[PATH_ROOM], text[16] = "";
	int fd;

	if (how > SWAP_LINKED)
		return;
	fd = open(below(path, base, "a/x"), O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 8);
	ck_assert_str_eq(text, "precious");
	(void)close(fd);
}

START_TEST(p7_1_renewing_writes_to_no_other_file)
{
	struct store_tag was;
	char base[PATH_ROOM];

	(void)fresh(base, disk);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(s->ops->put(s, "a/x", "ours", 4, STORE_PUT_ALWAYS,
				     NULL, &was, &call, &e),
			 RC_OK);
	swap_object(base, (enum swap)_i);
	ck_assert_int_eq(s->ops->renew(s, "a/x", &was, "OURS", 4, NULL, &call, &e),
			 RC_ABSENT);
	is_precious(base, (enum swap)_i);
	store_close(s);
}
END_TEST

START_TEST(p7_1_renewing_through_a_descriptor_writes_to_no_other_file)
{
	char base[PATH_ROOM];
	int fd = -1;

	(void)fresh(base, disk);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(
		s->ops->put_open(s, "a/x", "ours", 4, &fd, NULL, &call, &e),
		RC_OK);
	swap_object(base, (enum swap)_i);
	ck_assert_int_eq(s->ops->renew_open(s, "a/x", fd, "OURS", 4, NULL, &e),
			 RC_ABSENT);
	is_precious(base, (enum swap)_i);
	(void)close(fd);
	store_close(s);
}
END_TEST

START_TEST(p7_1_renewing_goes_on_while_the_file_is_ours)
{
	struct store_tag was;
	char base[PATH_ROOM];
	int fd = -1;

	(void)fresh(base, disk);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(
		s->ops->put_open(s, "a/x", "ours", 4, &fd, &was, &call, &e),
		RC_OK);
	ck_assert_int_eq(s->ops->renew_open(s, "a/x", fd, "OURS", 4, NULL, &e),
			 RC_OK);
	ck_assert_int_eq(
		s->ops->renew(s, "a/x", &was, "ours", 4, &was, &call, &e), RC_OK);
	ck_assert_int_eq(
		s->ops->renew(s, "a/x", &was, "ours", 4, &was, &call, &e), RC_OK);
	(void)close(fd);
	store_close(s);
}
END_TEST

START_TEST(a_change_whose_answer_may_be_lost_is_unknown)
{
	struct store_tag was;
	char base[PATH_ROOM];
	struct buf b;
	int fd = -1;

	(void)fresh(base, disk);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(put("a/x"), RC_OK);
	buf_init(&b, 100);
	ck_assert_int_eq(s->ops->get(s, "a/x", &b, &was, &call, &e), RC_OK);
	buf_release(&b);
	ck_assert_int_eq(
		s->ops->put_locked(s, "a/y", "", 0, &fd, NULL, &call, &e), RC_OK);
	deny_call(SYS_unlinkat, EIO);
	deny_call(SYS_renameat2, EIO);
	ck_assert_int_eq(s->ops->del(s, "a/x", &call, &e), RC_UNKNOWN);
	ck_assert_int_eq(s->ops->move(s, "a/x", "a/z", &call, &e), RC_UNKNOWN);
	/* Not to be seen is not gone: never told as absent. */
	deny_call_with(SYS_newfstatat, 3, AT_SYMLINK_NOFOLLOW, EIO);
	ck_assert_int_eq(s->ops->renew(s, "a/x", &was, "", 0, NULL, &call, &e),
			 RC_UNKNOWN);
	ck_assert_int_eq(s->ops->renew_open(s, "a/y", fd, "", 0, NULL, &e),
			 RC_UNKNOWN);
	deny_call(SYS_openat2, EIO);
	ck_assert_int_eq(s->ops->renew_open(s, "a/y", fd, "", 0, NULL, &e),
			 RC_RETRY);
	store_close(s);
}
END_TEST

START_TEST(what_may_not_last_is_unknown)
{
	static const struct store_manners manners = { .durable = true };
	char base[PATH_ROOM];

	(void)fresh(base, disk);
	ck_assert_int_eq(store_open(&s, "", base, &manners, &call, &e), RC_OK);
	ck_assert_int_eq(put("a/x"), RC_OK);
	deny_call(SYS_fsync, EIO);
	ck_assert_int_eq(s->ops->del(s, "a/x", &call, &e), RC_UNKNOWN);
	ck_assert_int_eq(put("a/y"), RC_RETRY); /* before it had a name */
	ck_assert_int_eq(put("d/"), RC_UNKNOWN);
	store_close(s);
}
END_TEST

START_TEST(a_listing_that_cannot_be_read_is_no_empty_one)
{
	char base[PATH_ROOM];

	(void)fresh(base, disk);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(put("a/x"), RC_OK);
	deny_call(SYS_getdents64, EIO);
	ck_assert_int_eq(s->ops->names(s, "a/", see_nothing, NULL, &call, &e),
			 RC_RETRY);
	deny_call(SYS_openat2, ESTALE);
	ck_assert_int_eq(s->ops->names(s, "a/", see_nothing, NULL, &call, &e),
			 RC_RETRY);
	store_close(s);
}
END_TEST

START_TEST(a_file_where_a_directory_should_be_is_said)
{
	char base[PATH_ROOM], path[PATH_ROOM];

	(void)fresh(base, disk);
	(void)below(path, base, ".repolock");
	scratch_write(path, "");
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(put(".repolock/default/x"), RC_FAILED);
	ck_assert_msg(strstr(e.text, ".repolock") &&
			      strstr(e.text, "a file stands where"),
		      "%s", e.text);
	store_close(s);
}
END_TEST

/* --- other things below the base --- */

START_TEST(a_directory_that_was_moved_away_is_not_believed)
{
	char base[PATH_ROOM], old[PATH_ROOM], new[PATH_ROOM];

	(void)fresh(base, disk);
	(void)below(old, base, "a");
	(void)below(new, base, "elsewhere");
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(put("a/x"), RC_OK);
	ck_assert_int_eq(rename(old, new), 0);
	ck_assert_int_eq(s->ops->list(s, "a/", see_nothing, NULL, &call, &e),
			 RC_OK);
	ck_assert_int_eq(s->ops->renew(s, "a/x", &unknown, "", 0, NULL, &call, &e),
			 RC_ABSENT);
	ck_assert_int_eq(put("a/x"), RC_OK);
	store_close(s);
}
END_TEST

START_TEST(a_base_that_was_removed_is_absent)
{
	char base[PATH_ROOM];

	(void)fresh(base, disk);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(rmdir(base), 0);
	ck_assert_int_eq(put(".repolock/default/x"), RC_ABSENT);
	ck_assert_msg(strstr(e.text, base), "%s", e.text);
	ck_assert_int_eq(s->ops->list(s, ".repolock/default/", see_nothing,
				      NULL, &call, &e),
			 RC_OK);
	store_close(s);
}
END_TEST

START_TEST(a_foreign_lock_below_another_mount_is_judged_by_that)
{
	enum store_probe found = STORE_PROBE_FREE;
	char base[PATH_ROOM], inner[PATH_ROOM], path[PATH_ROOM],
		overlay[PATH_ROOM];

	(void)fresh(base, disk);
	(void)below(inner, base, "a");
	ck_assert_int_eq(mkdir(inner, 0700), 0);
	mount_overlay(overlay, memory);
	ck_assert_int_eq(mount(overlay, inner, NULL, MS_BIND, NULL), 0);
	(void)below(path, inner, "x");
	scratch_write(path, "");
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	ck_assert_int_eq(s->ops->probe(s, "a/x", &found, &call, &e), RC_OK);
	ck_assert_int_eq(found, STORE_PROBE_BLIND);
	store_close(s);
}
END_TEST

/* The overlay knows it still, and answers ESTALE for ever. */
START_TEST(what_was_removed_below_an_overlay_is_absent)
{
	static const char *const names[] = { "gone", "moved" };
	char base[PATH_ROOM], upper[PATH_ROOM], path[PATH_ROOM];
	struct stat st;

	mount_overlay_on(base, upper, memory);
	ck_assert_int_eq(store_open(&s, "", base, NULL, &call, &e), RC_OK);
	for (int i = 0; i < 2; i++) {
		scratch_write(below(path, upper, names[i]), "");
		ck_assert_int_eq(stat(below(path, base, names[i]), &st), 0);
		ck_assert_int_eq(unlink(below(path, upper, names[i])), 0);
		ck_assert_int_eq(unlink(below(path, base, names[i])), -1);
		ck_assert_int_eq(errno, ESTALE);
	}
	ck_assert_int_eq(s->ops->del(s, "gone", &call, &e), RC_ABSENT);
	ck_assert_int_eq(s->ops->move(s, "moved", "to", &call, &e), RC_ABSENT);
	store_close(s);
}
END_TEST

START_TEST(a_lag_is_told_of_what_is_not_local)
{
	char base[PATH_ROOM];

	ck_assert_int_eq(store_open(&s, "", fresh(base, disk), NULL, &call, &e),
			 RC_OK);
	ck_assert_int_eq(s->lag, 0);
	store_close(s);
	/* proc stands for any that nobody vouches for. */
	ck_assert_int_eq(store_open(&s, "", "/proc", NULL, &call, &e), RC_OK);
	ck_assert_int_gt(s->lag, 0);
	store_close(s);
}
END_TEST

/* What takes several users, and so root to become them. */
static void add_tests_of_users(Suite *suite)
{
	TCase *users = tcase_create("users");

	suite_add_tcase(suite, users);
	tcase_add_test(users, root_follows_the_owner_of_the_base);
	tcase_add_test(users, root_does_not_give_away_what_is_slipped_under_it);
	tcase_add_test(users, members_of_the_group_share);
	tcase_add_test(users, another_group_than_the_bases_gets_nothing);
	tcase_add_test(users, no_permission_is_said_and_nothing_made);
	tcase_add_test(users, a_lock_that_may_not_be_looked_at_proves_nothing);
}

int main(void)
{
	const int mode_count = sizeof(modes) / sizeof(modes[0]);
	Suite *suite = suite_create("store");
	TCase *opening = tcase_create("opening");
	TCase *links = tcase_create("links");
	TCase *owners = tcase_create("modes and owners");
	TCase *obstacles = tcase_create("obstacles");
	SRunner *runner = srunner_create(suite);
	int failed;

	scratch_make(disk, sizeof(disk), "/tmp");
	scratch_make(memory, sizeof(memory), "/dev/shm");
	store_contract_add(suite, kinds, sizeof(kinds) / sizeof(kinds[0]));
	suite_add_tcase(suite, opening);
	suite_add_tcase(suite, links);
	suite_add_tcase(suite, owners);
	suite_add_tcase(suite, obstacles);
	tcase_add_loop_test(opening, a_place_is_opened_or_the_reason_said, 0,
			    sizeof(openings) / sizeof(openings[0]));
	tcase_add_test(opening, opening_makes_nothing);
	tcase_add_test(opening, tags_differ_by_each_of_their_parts);
	tcase_add_test(opening, a_lag_is_told_of_what_is_not_local);
	tcase_add_test(opening, what_was_removed_below_an_overlay_is_absent);
	tcase_add_loop_test(links, a_planted_link_is_never_followed, 0, 4);
	tcase_add_loop_test(links, an_object_that_is_a_link_is_not_followed,
			    SYSTEM_NEW, SYSTEM_OLD + 1);
	tcase_add_test(links, a_pipe_in_place_of_an_object_does_not_block);
	tcase_add_loop_test(owners, modes_follow_the_base_whatever_the_umask, 0,
			    2 * mode_count);
	tcase_add_loop_test(owners, modes_that_a_format_wants_are_kept, 0, 2);
	tcase_add_test(obstacles, a_read_only_file_system_is_said);
	tcase_add_test(obstacles, a_full_disk_is_said_and_nothing_left);
	tcase_add_loop_test(obstacles, a_put_whose_answer_may_be_lost_is_unknown,
			    0, sizeof(failings) / sizeof(failings[0]));
	tcase_add_loop_test(obstacles, p4_2_a_fuse_is_known_by_its_type_or_source,
			    0, sizeof(mounts) / sizeof(mounts[0]));
	tcase_add_test(obstacles, p4_2_a_mount_is_found_by_an_open_directory);
	tcase_add_loop_test(obstacles, p7_1_renewing_writes_to_no_other_file, 0,
			    SWAP_END);
	tcase_add_loop_test(
		obstacles,
		p7_1_renewing_through_a_descriptor_writes_to_no_other_file, 0,
		SWAP_END);
	tcase_add_test(obstacles, p7_1_renewing_goes_on_while_the_file_is_ours);
	tcase_add_test(obstacles, a_change_whose_answer_may_be_lost_is_unknown);
	tcase_add_test(obstacles, what_may_not_last_is_unknown);
	tcase_add_test(obstacles, a_listing_that_cannot_be_read_is_no_empty_one);
	tcase_add_test(obstacles, a_file_where_a_directory_should_be_is_said);
	tcase_add_test(obstacles,
		       a_directory_that_was_moved_away_is_not_believed);
	tcase_add_test(obstacles, a_base_that_was_removed_is_absent);
	tcase_add_test(obstacles,
		       a_foreign_lock_below_another_mount_is_judged_by_that);
	if (geteuid() == 0)
		add_tests_of_users(suite);
	else
		(void)fputs("not root: nothing about other users is tested\n",
			    stderr);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	scratch_remove(disk);
	scratch_remove(memory);
	return failed != 0;
}
