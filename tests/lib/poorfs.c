/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A directory as a poor file system shows it:
 *
 *     poorfs SOURCE MOUNTPOINT [-o OPTION,...]
 *
 * What is done here is done in SOURCE at once and nothing is cached, but for
 * what these options take away:
 *
 *     nolink=ERRNO    no hard links: exFAT answers EPERM (1), sshfs ENOSYS (38)
 *     quick           somebody else puts a file into a new directory at once,
 *                     unless it has a temporary name
 *     steal           after a link somebody else removes its old name at once
 *     stale=SECONDS   a listing is answered from memory for so long
 *     blind=ERRNO     whoever asks what a claim is gets that answer, but for
 *                     the last one that was put here
 *     trouble=N       one call in N answers EIO, ESTALE or ETIMEDOUT instead,
 *     seed=N          by chance, always the same from the same seed
 *     hang=FILE       nothing is answered as long as FILE is there: whoever
 *                     asked can then not be ended by SIGKILL either.
 *                     FILE.asked is made when that has begun
 *
 * Renaming without replacing is never there. Options of FUSE are taken as
 * well: with subtype=rclone /proc/self/mountinfo shows fuse.rclone.
 */
#define FUSE_USE_VERSION 31

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { LISTINGS_MAX = 64, LISTING_ROOM = 64 * 1024 };

static struct {
	int nolink;
	int quick;
	int steal;
	int stale;
	int blind;
	unsigned trouble, seed;
	char *hang;
} want;

static const struct fuse_opt options[] = {
	{ "nolink=%d", offsetof(__typeof__(want), nolink), 0 },
	{ "quick", offsetof(__typeof__(want), quick), 1 },
	{ "steal", offsetof(__typeof__(want), steal), 1 },
	{ "stale=%d", offsetof(__typeof__(want), stale), 0 },
	{ "blind=%d", offsetof(__typeof__(want), blind), 0 },
	{ "trouble=%u", offsetof(__typeof__(want), trouble), 0 },
	{ "seed=%u", offsetof(__typeof__(want), seed), 0 },
	{ "hang=%s", offsetof(__typeof__(want), hang), 0 },
	FUSE_OPT_END
};

static int source; /* the directory itself */

/* Relative to source. */
static const char *below(const char *path)
{
	return path[1] == '\0' ? "." : path + 1;
}

static int answer(long result)
{
	return result < 0 ? -errno : 0;
}

static int troubled; /* what the last call shall fail with; 0: nothing */

/* Reading and writing are done nevertheless: the answer alone is lost. */
static int trouble(void)
{
	static const int troubles[] = { EIO, ESTALE, ETIMEDOUT };

	if (want.trouble == 0)
		return 0;
	want.seed = want.seed * 1103515245 + 12345;
	if ((want.seed >> 16) % want.trouble)
		return 0;
	return -troubles[(want.seed >> 8) % 3];
}

/* Files are to be those of whoever asks, which root alone can do. */
static void become_caller(void)
{
	(void)setfsgid(fuse_get_context()->gid);
	(void)setfsuid(fuse_get_context()->uid);
}

/* Every path begins with a look at the root: that is where it hangs. */
static void hang(void)
{
	static const struct timespec look_again = { 0, 10 * 1000 * 1000 };
	char asked[256];

	while (want.hang && access(want.hang, F_OK) == 0) {
		(void)snprintf(asked, sizeof(asked), "%s.asked", want.hang);
		(void)close(open(asked, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
		(void)nanosleep(&look_again, NULL);
	}
}

static char own_claim[256]; /* the last one that was put here */

static bool is_claim(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	return strncmp(name, "x.", 2) == 0 || strncmp(name, "s.", 2) == 0;
}

static void note_put(const char *path)
{
	if (is_claim(path))
		(void)snprintf(own_claim, sizeof(own_claim), "%s", path);
}

static bool others_claim(const char *path)
{
	return is_claim(path) && strcmp(path, own_claim) != 0;
}

/* An open file may have no name any more: path is NULL then. */
static int poor_getattr(const char *path, struct stat *st,
			struct fuse_file_info *fi)
{
	hang();
	if ((troubled = trouble()) != 0)
		return troubled;
	if (!path)
		return answer(fstat((int)fi->fh, st));
	if (fstatat(source, below(path), st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return want.blind && others_claim(path) ? -want.blind : 0;
}

static int poor_access(const char *path, int mode)
{
	(void)path;
	(void)mode;
	return 0;
}

/* --- listings --- */

struct listing {
	char path[256];
	time_t until;
	size_t len;
	char names[LISTING_ROOM]; /* each with its NUL */
};

static struct listing listings[LISTINGS_MAX];

static struct listing *listing_of(const char *path)
{
	for (size_t i = 0; i < LISTINGS_MAX; i++) {
		if (listings[i].path[0] == '\0')
			(void)snprintf(listings[i].path,
				       sizeof(listings[i].path), "%s", path);
		if (strcmp(listings[i].path, path) == 0)
			return &listings[i];
	}
	abort();
}

static int fill(struct listing *l, const char *path)
{
	int fd = openat(source, below(path), O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		return -errno;
	l->len = 0;
	while ((entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name) + 1;

		if (l->len + len > sizeof(l->names))
			abort();
		memcpy(l->names + l->len, entry->d_name, len);
		l->len += len;
	}
	(void)closedir(dir);
	return 0;
}

static int poor_readdir(const char *path, void *into, fuse_fill_dir_t add,
			off_t at, struct fuse_file_info *fi,
			enum fuse_readdir_flags flags)
{
	struct listing *l = listing_of(path);
	time_t now = time(NULL);
	int failed;

	if ((troubled = trouble()) != 0)
		return troubled;
	(void)at;
	(void)fi;
	(void)flags;
	if (now >= l->until) {
		failed = fill(l, path);
		if (failed)
			return failed;
		l->until = now + want.stale;
	}
	for (size_t i = 0; i < l->len; i += strlen(l->names + i) + 1)
		if (add(into, l->names + i, NULL, 0, 0))
			break;
	return 0;
}

/* --- names --- */

static void use_directory(const char *path)
{
	char name[1024];
	int fd;

	(void)snprintf(name, sizeof(name), "%s/used", below(path));
	fd = openat(source, name, O_WRONLY | O_CREAT, 0644);
	if (fd >= 0)
		(void)close(fd);
}

static int poor_mkdir(const char *path, mode_t mode)
{
	int failed;

	if ((troubled = trouble()) != 0)
		return troubled;
	become_caller();
	failed = answer(mkdirat(source, below(path), mode));
	(void)setfsuid(0);
	(void)setfsgid(0);
	if (!failed && want.quick && !strstr(path, "/.t."))
		use_directory(path);
	return failed;
}

static int poor_unlink(const char *path)
{
	if ((troubled = trouble()) != 0)
		return troubled;
	return answer(unlinkat(source, below(path), 0));
}

static int poor_rmdir(const char *path)
{
	return answer(unlinkat(source, below(path), AT_REMOVEDIR));
}

static int poor_rename(const char *from, const char *to, unsigned flags)
{
	if ((troubled = trouble()) != 0)
		return troubled;
	if (flags)
		return -EINVAL;
	note_put(to);
	return answer(renameat(source, below(from), source, below(to)));
}

static int poor_link(const char *from, const char *to)
{
	int failed;

	if ((troubled = trouble()) != 0)
		return troubled;
	if (want.nolink)
		return -want.nolink;
	note_put(to);
	failed = answer(linkat(source, below(from), source, below(to), 0));
	if (!failed && want.steal)
		(void)unlinkat(source, below(from), 0);
	return failed;
}

static int poor_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	if (!path)
		return answer(fchmod((int)fi->fh, mode));
	return answer(fchmodat(source, below(path), mode, 0));
}

static int poor_chown(const char *path, uid_t uid, gid_t gid,
		      struct fuse_file_info *fi)
{
	if (!path)
		return answer(fchown((int)fi->fh, uid, gid));
	return answer(
		fchownat(source, below(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}

static int poor_utimens(const char *path, const struct timespec times[2],
			struct fuse_file_info *fi)
{
	if ((troubled = trouble()) != 0)
		return troubled;
	if (!path)
		return answer(futimens((int)fi->fh, times));
	return answer(utimensat(source, below(path), times, AT_SYMLINK_NOFOLLOW));
}

/* --- content --- */

static int keep(struct fuse_file_info *fi, int fd)
{
	int failed = answer(fd);

	(void)setfsuid(0);
	(void)setfsgid(0);
	if (!failed)
		fi->fh = (unsigned)fd;
	return failed;
}

static int poor_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	if ((troubled = trouble()) != 0)
		return troubled;
	note_put(path);
	become_caller();
	return keep(fi, openat(source, below(path), fi->flags | O_CREAT, mode));
}

static int poor_open(const char *path, struct fuse_file_info *fi)
{
	if ((troubled = trouble()) != 0)
		return troubled;
	return keep(fi, openat(source, below(path), fi->flags));
}

static int poor_read(const char *path, char *into, size_t size, off_t at,
		     struct fuse_file_info *fi)
{
	ssize_t n = pread((int)fi->fh, into, size, at);

	if ((troubled = trouble()) != 0)
		return troubled;
	(void)path;
	return n < 0 ? -errno : (int)n;
}

static int poor_write(const char *path, const char *from, size_t size, off_t at,
		      struct fuse_file_info *fi)
{
	ssize_t n = pwrite((int)fi->fh, from, size, at);

	if ((troubled = trouble()) != 0)
		return troubled;
	(void)path;
	return n < 0 ? -errno : (int)n;
}

static int poor_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	int fd = fi ? (int)fi->fh : openat(source, below(path), O_WRONLY);
	int failed = fd < 0 ? -errno : answer(ftruncate(fd, size));

	if (!fi && fd >= 0)
		(void)close(fd);
	return failed;
}

static int poor_release(const char *path, struct fuse_file_info *fi)
{
	(void)path;
	(void)close((int)fi->fh);
	return 0;
}

static int poor_fsync(const char *path, int data, struct fuse_file_info *fi)
{
	(void)path;
	(void)data;
	return answer(fsync((int)fi->fh));
}

static int poor_statfs(const char *path, struct statvfs *st)
{
	(void)path;
	return answer(fstatvfs(source, st));
}

static void *poor_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
	(void)conn;
	config->use_ino = 1;
	config->hard_remove = 1;
	config->attr_timeout = 0;
	config->entry_timeout = 0;
	config->negative_timeout = 0;
	return NULL;
}

static const struct fuse_operations operations = {
	.init = poor_init,
	.getattr = poor_getattr,
	.access = poor_access,
	.readdir = poor_readdir,
	.mkdir = poor_mkdir,
	.unlink = poor_unlink,
	.rmdir = poor_rmdir,
	.rename = poor_rename,
	.link = poor_link,
	.chmod = poor_chmod,
	.chown = poor_chown,
	.utimens = poor_utimens,
	.create = poor_create,
	.open = poor_open,
	.read = poor_read,
	.write = poor_write,
	.truncate = poor_truncate,
	.release = poor_release,
	.fsync = poor_fsync,
	.statfs = poor_statfs,
};

/* The first word that is no option is SOURCE; FUSE sees the others. */
static int take_source(void *data, const char *arg, int key,
		       struct fuse_args *rest)
{
	(void)data;
	(void)rest;
	if (key != FUSE_OPT_KEY_NONOPT || source > 0)
		return 1;
	source = open(arg, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (source > 0)
		return 0;
	perror(arg);
	return -1;
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	int status;

	if (fuse_opt_parse(&args, &want, options, take_source) < 0)
		return 1;
	/* One thread: setfsuid is per thread, and the listings are shared. */
	(void)fuse_opt_add_arg(&args, "-s");
	if (geteuid() == 0)
		(void)fuse_opt_add_arg(&args,
				       "-oallow_other,default_permissions");
	(void)umask(0);
	status = fuse_main(args.argc, args.argv, &operations, NULL);
	fuse_opt_free_args(&args);
	return status;
}
