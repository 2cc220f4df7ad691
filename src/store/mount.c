/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which file system a directory is on, where statfs says FUSE and no more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "store/driver.h"
#include "util/text.h"

/*
 * By their own documentation these show a client its own new file before the
 * server has it, and others only after a cache of directories has expired.
 * Some are "fuse" alone, and known by their source.
 */
static const char *const unfit_types[] = {
	"davfs",          "fuse.davfs",
	"fuse.rclone",    "fuse.s3fs",
	"fuse.gcsfuse",   "fuse.goofys",
	"fuse.geesefs",   "fuse.mountpoint-s3",
	"fuse.blobfuse",  "fuse.blobfuse2",
	"fuse.ossfs",     "fuse.cosfs",
	"fuse.obsfs",     "fuse.google-drive-ocamlfuse",
	"fuse.onedriver", "fuse.hubicfuse",
};
static const char *const unfit_sources[] = {
	"http://", "https://", "mountpoint-s3", "blobfuse", "s3fs", "gcsfuse",
};

/* These ask whoever keeps the files before they answer, or are alone with
 * them. */
static const char *const fit_types[] = {
	"fuseblk",
	"fuse.sshfs",
	"fuse.encfs",
	"fuse.gocryptfs",
};

enum fuse_fit fuse_fit(const char *type, const char *source)
{
	for (size_t i = 0; i < sizeof(fit_types) / sizeof(fit_types[0]); i++)
		if (strcmp(type, fit_types[i]) == 0)
			return FUSE_FIT;
	for (size_t i = 0; i < sizeof(unfit_types) / sizeof(unfit_types[0]); i++)
		if (strcmp(type, unfit_types[i]) == 0)
			return FUSE_UNFIT;
	if (strcmp(type, "fuse") != 0)
		return FUSE_UNKNOWN;
	for (size_t i = 0; i < sizeof(unfit_sources) / sizeof(unfit_sources[0]);
	     i++)
		if (strncmp(source, unfit_sources[i],
			    strlen(unfit_sources[i])) == 0)
			return FUSE_UNFIT;
	return FUSE_UNKNOWN;
}

/*
 * One line of mountinfo: id, parent, device, root, mount point, options, any
 * number of other fields, "-", type, source, ... False: another device.
 */
static bool read_line(char *line, const char *device, char *type,
		      size_t type_size, char *source, size_t source_size)
{
	char *rest = NULL;
	char *field = strtok_r(line, " \n", &rest);

	for (int i = 1; field && i < 3; i++)
		field = strtok_r(NULL, " \n", &rest);
	if (!field || strcmp(field, device) != 0)
		return false;
	while (field && strcmp(field, "-") != 0)
		field = strtok_r(NULL, " \n", &rest);
	field = field ? strtok_r(NULL, " \n", &rest) : NULL;
	if (!field)
		return false;
	(void)text_copy(type, type_size, field);
	field = strtok_r(NULL, " \n", &rest);
	(void)text_copy(source, source_size, field ? field : "");
	return true;
}

bool mount_of(int fd, char *type, size_t type_size, char *source,
	      size_t source_size)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	char device[32], *line = NULL;
	bool found = false;
	struct stat st;
	size_t room = 0;

	if (!table)
		return false;
	if (fstat(fd, &st) == 0) {
		(void)snprintf(device, sizeof(device), "%u:%u",
			       major(st.st_dev), minor(st.st_dev));
		while (!found && getline(&line, &room, table) > 0)
			found = read_line(line, device, type, type_size, source,
					  source_size);
	}
	free(line);
	(void)fclose(table);
	return found;
}
