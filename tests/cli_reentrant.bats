#!/usr/bin/env bats
# shellcheck shell=bash
# shellcheck disable=SC2016,SC2030,SC2031
# SPDX-License-Identifier: BSD-2-Clause
#
# Whom --reentrant believes that the lock is held above us: not a claim that
# somebody wrote.

load lib/common

setup()
{
	common_setup
	mkdir "$T/other"
	uses "$T/other"
	MARK=$T/ran
}

# Below a lock on another place: a copy of that one's claim, with its kernel
# lock taken as a holder would.
attack='above=$(ls "$T"/other/.repolock/default/x.*)
mkdir -p "$LOC/.repolock/default"
claim=$LOC/.repolock/default/x.00000000000000000009.0000300000.$ID$SUFFIX
cp "$above" "$claim"
exec 7<"$claim"
flock 7
"$REPOLOCK" with-lock --reentrant -n -r "$LOC" -- touch "$MARK"
status=$?
rm "$claim"
exit $status'

attacked()
{
	export ID SUFFIX MARK
	expect 123 "$REPOLOCK" with-lock -r "$T/other" -- bash -c "$attack"
	[ ! -e "$MARK" ]
}

@test "7.5 a forged claim that names the process above is not believed" {
	ID=0a000000-0000-4000-8000-000000000001
	SUFFIX=.k attacked
	SUFFIX='' attacked
}

@test "7.5 nor is one that bears the id of the lock above" {
	attack='ID=$REPOLOCK_HELD_ID; '$attack
	ID=''
	SUFFIX=.k attacked
	SUFFIX='' attacked
}

@test "7.5 nor where the environment tells of the very same place" {
	# The claim above went, and another one came to its name: its kernel
	# lock is not that of the process above.
	attack='REPOLOCK_HELD_LOCATION=$LOC; ID=$REPOLOCK_HELD_ID; '$attack
	ID=''
	SUFFIX=.k attacked
}

@test "7.5 nor is one at the same relative path of another directory" {
	mkdir -p "$T/a/place" "$T/b/place"
	uses "$T/a/place" "$T/b/place"
	export MARK
	expect 123 env -C "$T/a" "$REPOLOCK" with-lock -r ./place -- bash -c '
		cd "$T/b" && mkdir -p place/.repolock/default
		cp "$T"/a/place/.repolock/default/x.* place/.repolock/default
		exec 7<"$(echo place/.repolock/default/x.*)"
		flock 7
		"$REPOLOCK" with-lock --reentrant -n -r ./place -- touch "$MARK"
		status=$?
		rm place/.repolock/default/x.*
		exit $status'
	[ ! -e "$MARK" ]
	# From another directory, but the same place, it is.
	expect 0 env -C "$T/a" "$REPOLOCK" with-lock -r ./place -- \
		env -C / "$REPOLOCK" with-lock --reentrant -n \
		-r "$T/a/place" -- touch "$MARK"
	[ -e "$MARK" ]
}

@test "7.5 without kernel locks the environment and the place decide" {
	mkdir "$T/m"
	mount -t ramfs none "$T/m" || skip "kernel: no ramfs"
	mkdir "$T/m/a" "$T/m/b"
	LOC=$T/m/b
	export MARK LOC
	expect 0 "$REPOLOCK" with-lock -r "$T/m/a" -- "$REPOLOCK" with-lock \
		--reentrant -n -r "$T/m/a" -- touch "$MARK"
	[ -e "$MARK" ]
	rm "$MARK"
	expect 123 "$REPOLOCK" with-lock -r "$T/m/a" -- bash -c '
		mkdir -p "$LOC/.repolock/default"
		cp "$T"/m/a/.repolock/default/x.* "$LOC/.repolock/default"
		"$REPOLOCK" with-lock --reentrant -n -r "$LOC" -- touch "$MARK"
		status=$?
		rm "$LOC"/.repolock/default/x.*
		exit $status'
	[ ! -e "$MARK" ]
	umount "$T/m"
}

@test "7.5 another name of the same place is another lock" {
	export MARK
	expect 0 lock --name one -- "$REPOLOCK" with-lock --reentrant -n \
		--name two -r "$LOC" -- sh -c \
		'[ "$REPOLOCK_HELD_NAME" = two ] && touch "$MARK"'
	[ -e "$MARK" ]
}
