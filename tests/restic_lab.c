/* SPDX-License-Identifier: BSD-2-Clause */
#include "restic_lab.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lock/restic.h"
#include "util/text.h"

static char base[40];
static struct restic_repo repos[3]; /* by version; for sealing by hand */
static struct location locations[3];

/* Also used before any test runs, when Check cannot tell a failure. */
static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "restic_lab: %s\n", what);
	abort();
}

static int shell(const char *line)
{
	int status = -1;
	pid_t pid = fork();

	must(pid >= 0, __func__);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0, path);
	must(write(fd, data, len) == (ssize_t)len, path);
	close(fd);
}

/* --- base64, for key files of our own --- */

static void base64(char *out, const unsigned char *in, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		uint32_t bits = (uint32_t)in[i] << 16;

		if (i + 1 < len)
			bits |= (uint32_t)in[i + 1] << 8;
		if (i + 2 < len)
			bits |= in[i + 2];
		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = i + 1 < len ? digits[bits >> 6 & 63] : '=';
		*out++ = i + 2 < len ? digits[bits & 63] : '=';
	}
	*out = '\0';
}

static int version_of(const char *repository)
{
	return repository[strlen(repository) - 1] == '1' ? 1 : 2;
}

/* The master key as it is in a key file, sealed under `password`. */
static void seal_master(struct restic_repo *repo, const char *password,
			const struct restic_kdf *kdf, char *out)
{
	struct restic_budget budget = restic_budget_whole();
	char encrypt[64], k[32], r[32], json[256];
	struct restic_keys user;
	struct buf box;
	struct err e;

	buf_init(&box, 4096);
	base64(encrypt, repo->master->encrypt, 32);
	base64(k, repo->master->mac_k, 16);
	base64(r, repo->master->mac_r, 16);
	snprintf(json, sizeof(json),
		 "{\"mac\":{\"k\":\"%s\",\"r\":\"%s\"},\"encrypt\":\"%s\"}", k,
		 r, encrypt);
	must(restic_derive(repo->crypto, &user, password, strlen(password), kdf,
			   &budget, &e) == RC_OK,
	     __func__);
	must(restic_box_seal(repo->crypto, &user, json, strlen(json), &box,
			     &e) == RC_OK,
	     __func__);
	base64(out, (unsigned char *)box.data, box.len);
	buf_release(&box);
}

void lab_add_key(const char *repository, const char *password,
		 const char *parameters, char id[65])
{
	struct restic_repo *repo = &repos[version_of(repository)];
	struct restic_kdf kdf = { .n = 2, .r = 1, .p = 1 };
	char salt[96], data[512], path[256];
	struct buf text;
	struct err e;

	random_bytes(kdf.salt, sizeof(kdf.salt));
	base64(salt, kdf.salt, sizeof(kdf.salt));
	seal_master(repo, password, &kdf, data);
	buf_init(&text, 4096);
	must(buf_printf(&text, &e,
			"{\"created\":\"2026-01-01T00:00:00Z\","
			"\"username\":\"\",\"hostname\":\"\","
			"\"kdf\":\"scrypt\",%s,\"salt\":\"%s\","
			"\"data\":\"%s\"}",
			parameters, salt, data) == RC_OK,
	     __func__);
	must(restic_id_of(id, &text, &e) == RC_OK, __func__);
	snprintf(path, sizeof(path), "%s/keys/%s", repository, id);
	write_file(path, text.data, text.len);
	buf_release(&text);
}

void lab_set_config(const char *repository, const char *json)
{
	struct restic_repo *repo = &repos[version_of(repository)];
	char path[256];
	struct buf box;
	struct err e;

	buf_init(&box, 4096);
	ck_assert_int_eq(restic_box_seal(repo->crypto, repo->master, json,
					 strlen(json), &box, &e),
			 RC_OK);
	snprintf(path, sizeof(path), "%s/config", repository);
	unlink(path);
	write_file(path, box.data, box.len);
	buf_release(&box);
}

/* --- building --- */

static void use_password(void)
{
	setenv("RESTIC_PASSWORD", "geheim", 1);
	unsetenv("RESTIC_PASSWORD_FILE");
	unsetenv("RESTIC_PASSWORD_COMMAND");
	unsetenv("RESTIC_KEY_HINT");
	unsetenv("RESTIC_REPOSITORY");
	unsetenv("RESTIC_REPOSITORY_FILE");
}

static void build(int version)
{
	struct lock_wish wish = { .location = &locations[version] };
	char path[80], line[400], id[65];
	struct err e;

	snprintf(path, sizeof(path), "%s/v%d", base, version);
	snprintf(line, sizeof(line),
		 "restic init -q --no-cache --repository-version %d -r %s "
		 ">/dev/null",
		 version, path);
	must(shell(line) == 0, __func__);
	must(restic_repo_open(&repos[version], path, &wish, &CALL_UNLIMITED,
			      &e) == RC_OK,
	     __func__);
	snprintf(line, sizeof(line), "rm -f %s/keys/*", path);
	must(shell(line) == 0, __func__);
	lab_add_key(path, "geheim", "\"N\":2,\"r\":1,\"p\":1", id);
}

void lab_build(void)
{
	const char *tmp = getenv("TMPDIR");

	/* Paths must fit into struct lab. */
	snprintf(base, sizeof(base), "%s/restic_lab.XXXXXX",
		 tmp && strlen(tmp) < 20 ? tmp : "/tmp");
	must(mkdtemp(base) != NULL, __func__);
	use_password();
	build(1);
	build(2);
}

void lab_raze(void)
{
	char line[80];

	restic_repo_close(&repos[1]);
	restic_repo_close(&repos[2]);
	snprintf(line, sizeof(line), "rm -rf %s", base);
	(void)shell(line);
}

void lab_open(struct lab *lab, int version)
{
	struct err e;

	*lab = (struct lab){ 0 };
	snprintf(lab->path, sizeof(lab->path), "%s/v%d", base, version);
	snprintf(lab->location, sizeof(lab->location), "restic:%s", lab->path);
	location_release(&locations[version]);
	ck_assert_int_eq(location_parse(&locations[version], lab->location, &e),
			 RC_OK);
	self_fill(&lab->self);
	use_password();
	signal(SIGHUP, SIG_IGN); /* as the keeper has it */
	lab_empty(lab);
}

void lab_empty(struct lab *lab)
{
	char line[128];

	snprintf(line, sizeof(line), "rm -rf %s/locks/*", lab->path);
	ck_assert_int_eq(shell(line), 0);
}

void lab_close(struct lab *lab)
{
	int left = lab_count_all(lab);

	lab_empty(lab);
	ck_assert_int_eq(left, 0);
}

enum rc lab_try(struct lab *lab, struct lock **lock, struct err *e)
{
	struct lock_wish wish = {
		.location = &locations[version_of(lab->path)],
		.self = &lab->self,
	};

	return lock_restic.open(lock, &wish, &CALL_UNLIMITED, e);
}

struct lock *lab_lock(struct lab *lab, enum lock_mode mode, bool wait)
{
	struct lock_wish wish = {
		.location = &locations[version_of(lab->path)],
		.name = "default",
		.mode = mode,
		.wait = wait,
		.clear = LOCK_BREAK_SAFE,
		.command = "true",
		.reason = "because",
		.self = &lab->self,
	};
	struct lock *lock = NULL;
	struct err e = { 0 };

	ck_assert_msg(lock_restic.open(&lock, &wish, &CALL_UNLIMITED, &e) == RC_OK,
		      "%s", e.text);
	restic_set_pace(lock, 50 * NSEC_PER_MSEC, 50 * NSEC_PER_MSEC);
	return lock;
}

/* --- files --- */

/* Of locks, which are named by 64 digits, or of everything. */
static int count(const struct lab *lab, bool all)
{
	char path[80];
	DIR *dir;
	struct dirent *entry;
	int n = 0;

	snprintf(path, sizeof(path), "%s/locks", lab->path);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.' &&
		     (all || strlen(entry->d_name) == 64);
	closedir(dir);
	return n;
}

int lab_count(const struct lab *lab)
{
	return count(lab, false);
}

int lab_count_all(const struct lab *lab)
{
	return count(lab, true);
}

void lab_only(const struct lab *lab, char id[65])
{
	char path[80];
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/locks", lab->path);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		text_copy(id, 65, entry->d_name);
	}
	closedir(dir);
	ck_assert_int_eq(count, 1);
}

void lab_put_bytes(struct lab *lab, const char *id, const void *bytes, size_t len)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/locks/%s", lab->path, id);
	write_file(path, bytes, len);
}

void lab_put_record(struct lab *lab, const struct restic_record *r, char id[65])
{
	struct buf box;
	struct err e;

	buf_init(&box, 64 * 1024);
	ck_assert_int_eq(restic_look_seal(&repos[version_of(lab->path)], r, id,
					  &box, &e),
			 RC_OK);
	lab_put_bytes(lab, id, box.data, box.len);
	buf_release(&box);
}

void lab_age(struct lab *lab, const char *id, struct wall t)
{
	struct timespec at = { .tv_sec = t.ns / NSEC_PER_SEC };
	struct timespec both[2] = { at, at };
	char path[160];

	snprintf(path, sizeof(path), "%s/locks/%s", lab->path, id);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, both, 0), 0);
}

void lab_read(struct lab *lab, const char *id, struct restic_record *r)
{
	struct restic_file file;
	struct err e;

	ck_assert_int_eq(restic_look_at(&repos[version_of(lab->path)], &file,
					id, &CALL_UNLIMITED, &e),
			 RC_OK);
	ck_assert_int_eq(file.sight, RESTIC_READ);
	*r = file.record;
}

/* --- the real one --- */

int lab_restic(const struct lab *lab, const char *more, char *out, size_t size)
{
	char line[1024], kept[96];
	int status, fd;
	ssize_t n = 0;

	snprintf(kept, sizeof(kept), "%s/out.%d", base, (int)getpid());
	snprintf(line, sizeof(line),
		 "timeout 120 restic -r %s --no-cache %s >%s 2>&1", lab->path,
		 more, kept);
	status = shell(line);
	if (out) {
		fd = open(kept, O_RDONLY | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		n = read(fd, out, size - 1);
		out[n > 0 ? n : 0] = '\0';
		close(fd);
	}
	unlink(kept);
	return status;
}

void lab_begin(struct lab *lab, struct lab_holder *h)
{
	int ends[2], before = lab_count(lab), left = 1;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	h->pid = fork();
	ck_assert_int_ge(h->pid, 0);
	if (h->pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(ends[0], 0);
		dup2(null, 1);
		dup2(null, 2);
		execlp("restic", "restic", "-q", "-r", lab->path, "--no-cache",
		       "backup", "--stdin", (char *)NULL);
		_exit(127);
	}
	close(ends[0]);
	h->input = ends[1];
	ck_assert_int_eq(write(h->input, "data\n", 5), 5);
	/* It reads when it is sure of its lock. */
	for (int i = 0; i < 2000 && left > 0; i++) {
		usleep(10000);
		ck_assert_int_eq(ioctl(h->input, FIONREAD, &left), 0);
	}
	ck_assert_int_eq(left, 0);
	ck_assert_int_gt(lab_count(lab), before);
}

int lab_end(struct lab_holder *h)
{
	int status = -1;

	close(h->input);
	while (waitpid(h->pid, &status, 0) < 0)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

pid_t lab_dead_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return pid;
}
