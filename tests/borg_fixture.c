/* SPDX-License-Identifier: BSD-2-Clause */
#include "borg_fixture.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/text.h"

#define INITIAL_PID_NS UINT64_C(0xEFFFFFFC)

char repo[64];
struct err e;
struct lock_info mine, holder, listed[16];
struct lock_term term;
const struct call patient = { .cancel_fd = -1, .give_up = { NSEC_FOREVER } };

static struct self self;

/* --- the repository --- */

void repo_make(void)
{
	(void)setenv("BORG_HOST_ID", "here@1", 1);
	self_fill(&self);
	self.pid_ns = INITIAL_PID_NS;
	text_copy(repo, sizeof(repo), "/tmp/borg.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(repo));
}

static void path_of(char *out, const char *name)
{
	(void)snprintf(out, 512, "%s/%s", repo, name);
}

void repo_write(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	path_of(path, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	(void)fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, 0600), 0);
}

static void make_directory(const char *name)
{
	char path[512];

	path_of(path, name);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

void repo_make1(void)
{
	repo_make();
	make_directory("data");
	repo_write("README", "This is a Borg Backup repository.\n"
			     "See https://borgbackup.readthedocs.io/\n");
	repo_write("config", "[repository]\nversion = 1\n"
			     "segments_per_dir = 1000\nid = 00\n");
}

void repo_make2(void)
{
	repo_make();
	make_directory("config");
	make_directory("locks");
	repo_write("config/readme", "This is a Borg Backup repository.\n"
				    "See https://borgbackup.readthedocs.io/\n");
	repo_write("config/version", "4");
}

static int remove_one(const char *path, const struct stat *st, int kind,
		      struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void repo_remove(void)
{
	(void)nftw(repo, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *repo_names(const char *where)
{
	static char names[4096];
	char path[512];
	struct dirent **found = NULL;
	int count;

	path_of(path, where);
	names[0] = '\0';
	count = scandir(path, &found, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		size_t len = strlen(names);

		if (found[i]->d_name[0] != '.' || strlen(found[i]->d_name) > 2)
			(void)snprintf(names + len, sizeof(names) - len, "%s%s",
				       len ? " " : "", found[i]->d_name);
		free(found[i]);
	}
	free(found);
	return names;
}

const char *repo_read(const char *name)
{
	static char text[4096];
	char path[512];
	size_t len;
	FILE *f;

	path_of(path, name);
	f = fopen(path, "r");
	if (!f)
		return "";
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	(void)fclose(f);
	return text;
}

bool repo_has(const char *name)
{
	char path[512];

	path_of(path, name);
	return access(path, F_OK) == 0;
}

void repo_delete(const char *name)
{
	char path[512];

	path_of(path, name);
	ck_assert_int_eq(remove(path), 0);
}

void repo_set_age(const char *name, int seconds)
{
	struct timespec times[2];
	char path[512];

	path_of(path, name);
	(void)clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= seconds;
	times[1] = times[0];
	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

pid_t dead_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return pid;
}

/* --- locks --- */

enum rc try_open(struct lock **lock, struct want want)
{
	struct self other = self;
	struct location location;
	struct lock_wish wish = {
		.location = &location,
		.name = "default",
		.mode = want.mode,
		.wait = !want.hasty,
		.clear = want.clear,
		.listing = want.listing,
		.command = want.command ? want.command : "true",
		.self = &other,
	};
	char at[128];
	enum rc rc;

	(void)snprintf(at, sizeof(at), "borg:%s", repo);
	if (want.pid != 0)
		other.keeper = (struct process){
			.pid = want.pid, .start = process_start(want.pid)
		};
	rc = location_parse(&location, want.at ? want.at : at, &e);
	ck_assert_int_eq(rc, RC_OK);
	rc = lock_open(lock, &wish, &patient, &e);
	location_release(&location);
	return rc;
}

struct lock *must_open(struct want want)
{
	struct lock *lock = NULL;
	enum rc rc = try_open(&lock, want);

	ck_assert_msg(rc == RC_OK, "%s: %s", rc_name(rc), e.text);
	return lock;
}

enum rc acquire(struct lock *lock)
{
	return lock->ops->acquire(lock, &term, &mine, &holder, &patient, &e);
}

enum rc refresh(struct lock *lock)
{
	return lock->ops->refresh(lock, &term, &patient, &e);
}

enum rc release(struct lock *lock)
{
	return lock->ops->release(lock, &patient, &e);
}

enum rc wait_for(struct lock *lock, nsec patience)
{
	return lock->ops->wait(lock, patience, &patient, &e);
}

int loss_fd(struct lock *lock)
{
	int fd = lock->ops->loss_fd(lock);

	for (int i = 0; fd < 0 && i < 1500; i++) {
		(void)usleep(20000);
		fd = lock->ops->loss_fd(lock);
	}
	ck_assert_int_ge(fd, 0);
	return fd;
}

void done(struct lock *lock)
{
	enum rc rc = release(lock);

	ck_assert_msg(rc == RC_OK, "%s: %s", rc_name(rc), e.text);
	lock_close(lock);
}

bool keep_in_listed(void *context, const struct lock_info *info)
{
	int *count = context;

	if (*count < 16)
		listed[*count] = *info;
	(*count)++;
	return true;
}

int list(void)
{
	struct lock *lock = OPEN(.listing = true);
	int count = 0;
	enum rc rc = lock->ops->list(lock, keep_in_listed, &count, &patient, &e);

	ck_assert_msg(rc == RC_OK, "%s: %s", rc_name(rc), e.text);
	lock_close(lock);
	return count;
}

enum rc remove_id(const char *id, bool force)
{
	struct lock_remove what = { .id = id, .force = force };
	struct lock *lock = OPEN(.listing = true);
	struct lock_info info;
	enum rc rc = lock->ops->remove(lock, &what, &info, &patient, &e);

	lock_close(lock);
	return rc;
}
