/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * own_root DIR COMMAND...: runs COMMAND where / is a mount point, in a mount
 * namespace of its own, of which nothing spreads to others. For a chroot whose
 * / is no mount point: there nobody can say so of /, and whatever a test
 * mounted could appear outside. DIR is an empty directory; root only.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 99;
}

int main(int argc, char **argv)
{
	int root;

	if (argc < 3)
		return 99;
	if (unshare(CLONE_NEWNS) < 0)
		return fail("unshare");
	/* Of the new namespace: a mount of the old one could not be copied. */
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return fail("/");
	/* Out of the chroot: from a directory above its root, dots lead on. */
	if (chroot(argv[1]) < 0)
		return fail(argv[1]);
	for (int i = 0; i < 64; i++)
		(void)!chdir("..");
	if (chroot(".") < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail("/");
	if (fchdir(root) < 0 || chroot(".") < 0 ||
	    mount("/", argv[1], NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    chdir(argv[1]) < 0 || chroot(".") < 0)
		return fail(argv[1]);
	(void)execvp(argv[2], argv + 2);
	return fail(argv[2]);
}
