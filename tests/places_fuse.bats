#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# File systems by FUSE that lack what a local disk has: hard links, renaming
# without replacing, a kernel lock that others see.

# Variables set in a test stay there; conditions are evaluated by wait_until.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154
load lib/common
load lib/places

setup()
{
	needs_fuse
	common_setup
}

# The whole life of a lease on LOC: had, refused to others, released, waited
# for, broken by force.
lives()
{
	expect 0 lock -n -- true
	locked a --ttl 3s
	wait_until 'inside a'
	is_held
	start b "$REPOLOCK" with-lock -r "$LOC" -w 60 -- true
	wait_until 'claims_in "$LOC" | grep -q "/q\."'
	release a
	finish a
	is 0 "$status"
	finish b
	is 0 "$status"
	expect 0 lock -n -- true
	locked c --ttl 6s --on-lost kill
	wait_until 'inside c'
	expect 0 "$REPOLOCK" unlock --force --all --yes -r "$LOC"
	is_free
	finish c
	is 122 "$status"
	is_free
}

@test "4.1 a lease lives without hard links and without RENAME_NOREPLACE" {
	poor_mount "$T/source" "$LOC" -o nolink=1
	lives
}

@test "4.1 a lease lives where links are not known at all" {
	poor_mount "$T/source" "$LOC" -o nolink=38
	lives
}

@test "4.1 a lease lives on a USB disk with exFAT" {
	exfat_mount "$LOC"
	lives
}

@test "4.1 a stale lease without a kernel lock is broken" {
	poor_mount "$T/source" "$LOC" -o nolink=1
	locked a --ttl 300s
	wait_until 'inside a'
	keeper=$(keeper_of a)
	kill -KILL "${PID[a]}" "$keeper" "$(command_of a)"
	wait_until '[ -z "$(processes_of_test)" ]'
	expect 0 "$REPOLOCK" unlock -r "$LOC"
	has 'have ended'
	is_free
}

@test "4.1 borg 1 is locked without hard links, as borg does it" {
	poor_mount "$T/source" "$LOC" -o nolink=1
	export BORG_BASE_DIR=$T/borg BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes
	borg init -e none "$LOC/repo"
	LOC=borg:$LOC/repo locked a
	wait_until 'inside a'
	expect 2 borg --lock-wait 0 list "$LOC/repo"
	has 'Failed to create/acquire the lock'
	release a
	finish a
	is 0 "$status"
	expect 0 borg --lock-wait 0 list "$LOC/repo"
}

@test "4.4 a next holder who clears up at once makes no false loss" {
	poor_mount "$T/source" "$LOC" -o steal
	locked a
	wait_until 'inside a'
	release a
	finish a
	is 0 "$status"
	not has 'taken'
	is_free
}

@test "4.5 a directory that another uses as soon as it is made is used" {
	poor_mount "$T/source" "$LOC" -o quick
	expect 0 lock -n -- true
	[ -e "$T/source/.repolock/default/used" ]
}

# on TYPE: LOC is a mount that says so in /proc/self/mountinfo.
on()
{
	poor_mount "$T/source" "$LOC" -o "subtype=$1,fsname=remote:dir"
	grep -q " $LOC .* fuse.$1 " /proc/self/mountinfo
}

@test "4.2 no lock is taken on a mount that cannot exclude, but listed" {
	for kind in rclone s3fs gcsfuse goofys davfs; do
		LOC=$T/$kind
		uses "$T/source"
		on "$kind"
		expect 0 "$REPOLOCK" with-lock -n -r "$T/source" -- true
		expect 125 lock -n -- true
		has "$LOC is on fuse.$kind, .* two could hold one lock"
		has 'keep it on a local disk, NFS, SMB or sshfs'
		is '' "$(claims_in "$T/source")"
		LOC=$T/source locked a
		wait_until 'inside a'
		expect 0 "$REPOLOCK" list-locks -r "$LOC"
		has 'exclusive.*held'
		expect 0 "$REPOLOCK" unlock --force --all --yes -r "$LOC"
		has 'broke exclusive'
		finish a
		is 122 "$status"
		rm -f "$T"/a.*
		umount "$LOC"
	done
}

@test "4.2 a restic or borg repository there is not locked either" {
	export RESTIC_PASSWORD=x BORG_BASE_DIR=$T/borg
	export RESTIC_CACHE_DIR=$T/cache
	export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes
	restic init -q -r "$T/source/restic"
	borg init -e none "$T/source/borg"
	on rclone
	for where in restic:$LOC/restic borg:$LOC/borg; do
		expect 125 "$REPOLOCK" with-lock -n -r "$where" -- true
		has 'is on fuse.rclone'
		expect 0 "$REPOLOCK" list-locks -r "$where"
	done
	is '' "$(find "$T/source" -name 'lock.*')"
}

@test "4.2 mounts that are known to exclude are used without a word" {
	for kind in sshfs encfs gocryptfs; do
		LOC=$T/$kind
		on "$kind"
		expect 0 lock -n -- true
		is '' "$output"
	done
}

@test "4.2 any other FUSE gets one warning" {
	on unheard-of
	expect 0 lock -n -- true
	is 1 "$(grep -c . <<<"$output")"
	has "warning: $LOC is on fuse.unheard-of: nobody has tried"
}

@test "4.3 a listing from a cache is named, not asked without end" {
	poor_mount "$T/source" "$LOC" -o stale=600,subtype=sshfs
	uses "$T/source"
	expect 0 "$REPOLOCK" with-lock -n -r "$T/source" -- true
	# What is listed now is all that will be.
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	expect 123 lock -n -- true
	has 'from a cache'
	has 'dir_cache=no'
	expect 123 lock -w 3 -- true
	is '' "$(claims_in "$T/source")"
}

@test "a claim that cannot be looked at is not taken for gone" {
	# EIO, ESTALE, ETIMEDOUT
	for answer in 5 116 110; do
		poor_mount "$T/source$answer" "$T/mount$answer" -o blind=$answer
		"$REPOLOCK" with-lock -r "$T/source$answer" -- sleep 1000 &
		holder=$!
		wait_until "compgen -G '$T/source$answer/.repolock/default/x.*'"
		status=0
		"$REPOLOCK" with-lock -n -r "$T/mount$answer" -- \
			touch "$T/entered$answer" 2>"$T/blind.err" || status=$?
		kill $holder
		wait $holder || true
		[ ! -e "$T/entered$answer" ]
		[ "$status" -ne 0 ]
		grep -qE 'Input/output error|Stale file handle|timed out' \
			"$T/blind.err"
	done
}
