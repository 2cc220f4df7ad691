/* SPDX-License-Identifier: BSD-2-Clause */
#include "scratch.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void give_up(const char *what)
{
	perror(what);
	exit(99);
}

void scratch_make(char *out, size_t size, const char *above)
{
	if (snprintf(out, size, "%s/repolock-test.XXXXXX", above) >= (int)size ||
	    !mkdtemp(out))
		give_up(above);
}

static int remove_one(const char *path, const struct stat *st, int kind,
		      struct FTW *at)
{
	(void)st;
	(void)at;
	if (kind == FTW_DP)
		return rmdir(path);
	return unlink(path);
}

static int open_up(const char *path, const struct stat *st, int kind,
		   struct FTW *at)
{
	(void)st;
	(void)at;
	if (kind == FTW_D || kind == FTW_DNR)
		(void)chmod(path, 0700);
	return 0;
}

void scratch_remove(const char *path)
{
	(void)nftw(path, open_up, 16, FTW_PHYS | FTW_MOUNT);
	(void)nftw(path, remove_one, 16, FTW_PHYS | FTW_DEPTH | FTW_MOUNT);
}

void scratch_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		give_up(path);
	(void)close(fd);
}
