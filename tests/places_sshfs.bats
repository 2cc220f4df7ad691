#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# The lease on a directory that comes over sshfs from a real sshd. The other
# host is whoever uses the directory itself.

load lib/common
load lib/places

setup_file()
{
	sshd_start
}

teardown_file()
{
	sshd_stop
}

setup()
{
	needs_fuse
	common_setup
}

@test "a lease over sshfs keeps out who comes to the directory itself" {
	sshfs_mount "$LOC" "$T/there"
	uses "$T/there"
	LOC=$T/there locked a
	wait_until 'inside a'
	is_held "$T/there"
	is_held
	release a
	finish a
	is 0 "$status"
	is_free
}
