#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# The lease on a directory that comes over sshfs from a real sshd. The other
# host is whoever uses the directory itself.

# Variables set in a test stay there; conditions are evaluated by wait_until.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154
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

@test "4.1 a lease is released over sshfs without links" {
	sshfs_mount "$LOC" "$T/there" -o disable_hardlink
	expect 0 "$REPOLOCK" with-lock -n -r "$T/there" -- true
	expect 0 "$REPOLOCK" with-lock -n -r "$LOC" -- true
	expect 0 "$REPOLOCK" with-lock -n -r "$T/there" -- true
}

@test "4.1 a lease goes on when sshfs has connected anew" {
	sshfs_mount "$T/dir" "$T/there" -o reconnect
	uses "$T/dir"
	LOC=$T/there locked a --ttl 6s
	wait_until 'inside a'
	claim=$(claims_in "$T/dir")
	ssh=$(pgrep -f "^ssh .*$SSHD/config")
	kill "$ssh"
	wait_until "gone $ssh"
	count=$(grep -oE '[0-9]+}$' "$claim")
	wait_until "[ \$(grep -oE '[0-9]+}\$' '$claim' | tr -d '}') -gt \
		$((${count%\}} + 3)) ]"
	release a
	finish a
	is 0 "$status"
}

@test "4.5 the first use by several at once over sshfs succeeds" {
	sshfs_mount "$T/dir" "$T/one" -o dir_cache=no
	sshfs_mount "$T/dir" "$T/two" -o dir_cache=no
	for i in 1 2 3 4 5 6; do
		mkdir "$T/dir/$i"
		for place in one two dir one two; do
			"$REPOLOCK" with-lock -s -w 60 -r "$T/$place/$i" -- true \
				2>>"$T/all.err" || echo "$place $?" >>"$T/failed" &
		done
		wait
	done
	[ ! -e "$T/failed" ] || { sort "$T/failed" "$T/all.err" | uniq -c; false; }
}

# The listing of the mount is remembered by now, and stays so for 20 s.
held_as_seen_over_sshfs()
{
	LOC=$T/dir locked "$1"
	wait_until "inside $1"
	expect 0 "$REPOLOCK" list-locks -r "$T/there"
	has 'exclusive.*held'
}

@test "4.3 a lock that was released elsewhere is free, though still listed" {
	sshfs_mount "$T/dir" "$T/there"
	uses "$T/dir"
	held_as_seen_over_sshfs a
	release a
	finish a
	listed=$(ls "$T/there/.repolock/default")
	[[ $listed = *x.* ]]
	expect 0 "$REPOLOCK" with-lock -n -r "$T/there" -- true
	is '' "$output"
}

@test "4.3 a waiter over sshfs does not wait for a cached listing" {
	sshfs_mount "$T/dir" "$T/there"
	uses "$T/dir"
	held_as_seen_over_sshfs a
	start b "$REPOLOCK" with-lock -w 60 -r "$T/there" -- true
	wait_until 'claims_in "$T/dir" | grep -q "/q\."'
	release a
	finish a
	# 24 s, at full speed, while it waited for the cache.
	finish b 15
	is 0 "$status"
	is '' "$output"
}
