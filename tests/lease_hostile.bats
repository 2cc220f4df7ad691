#!/usr/bin/env bats
# shellcheck shell=bash
# shellcheck disable=SC2016
# SPDX-License-Identifier: BSD-2-Clause
#
# What others may put into the directory of a lease: every kind of thing under
# every kind of name. None is waited for without a way out, and none hides or
# hurts another.

load lib/common

NAMES=.repolock
QUEUE=$NAMES/default

uuid()
{
	cat /proc/sys/kernel/random/uuid
}

# name_of KIND [NUMBER]: a name as repolock gives them.
name_of()
{
	local number=${2:-00000000000000000007}
	case $1 in
	x | s) echo "$1.$number.0000300000.$(uuid)" ;;
	k) echo "x.$number.0000300000.$(uuid).k" ;;
	q) echo "q.$number.x.$(uuid)" ;;
	t) echo "t.$(uuid)" ;;
	z) echo "z.$number.$(uuid)" ;;
	esac
}

# thing KIND PATH: something that is no file of repolock's.
thing()
{
	case $1 in
	directory) mkdir "$2" ;;
	full) mkdir "$2" && echo precious >"$2/file" ;;
	fifo) mkfifo "$2" ;;
	link) ln -s "$T/target" "$2" ;;
	dangling) ln -s "$T/nowhere" "$2" ;;
	# From its directory: the whole path is longer than a socket's name.
	socket) (cd "${2%/*}" && python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "${2##*/}") ;;
	device) mknod "$2" c 1 3 ;;
	esac
}

setup()
{
	common_setup
	mkdir -p "$LOC/$QUEUE" "$T/target"
	echo precious >"$T/target/file"
}

list()
{
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
}

@test "3.2 what is no file is in nobody's way, whatever its name" {
	local kind what
	for kind in x s k q t z; do
		for what in directory full fifo link dangling socket device; do
			thing "$what" "$LOC/$QUEUE/$(name_of $kind)"
		done
	done
	expect 0 lock -n -- true
	expect 0 lock -w 20 -- true
	expect 0 lock -s -n -- true
	rm -rf "${LOC:?}/$QUEUE"
}

@test "3.2 what is no file is shown, and removed by force, never what is in it" {
	local kind what
	for kind in x s k q t z; do
		for what in directory fifo link dangling socket device; do
			thing "$what" "$LOC/$QUEUE/$(name_of $kind)"
		done
	done
	list
	[ "$(grep -c unreadable <<<"$output")" -eq 36 ]
	has 'is a directory, which repolock did not make'
	has 'is no regular file, which repolock did not make'
	expect 0 "$REPOLOCK" unlock -r "$LOC"
	[ "$(find "$LOC/$QUEUE" -mindepth 1 | wc -l)" -eq 36 ]
	expect 0 "$REPOLOCK" unlock -r "$LOC" --force --all --yes
	[ "$(grep -c '^broke ' <<<"$output")" -eq 36 ]
	[ -z "$(find "$LOC/$QUEUE" -mindepth 1)" ]
	[ "$(cat "$T/target/file")" = precious ]
}

@test "3.2 a directory with something in it stays, and is named with a command" {
	local kind name other
	for kind in x q z; do
		name=$(name_of $kind)
		other=$(name_of q)
		thing full "$LOC/$QUEUE/$name"
		thing fifo "$LOC/$QUEUE/$other"
		expect 125 "$REPOLOCK" unlock -r "$LOC" --force --all --yes
		has "ls -la $LOC/$QUEUE/$name"
		has '^broke '
		[ "$(cat "$LOC/$QUEUE/$name/file")" = precious ]
		[ ! -e "$LOC/$QUEUE/$other" ]
		rm -r "${LOC:?}/$QUEUE/$name"
	done
}

@test "3.2 a claim that is too large or cannot be read goes when watched" {
	local name
	name=x.00000000000000000007.0000002000.$(uuid)
	head -c 20000 /dev/zero >"$LOC/$QUEUE/$name"
	list
	has unreadable
	expect 123 lock -n -- true
	has 'unlock -r .* --force'
	expect 0 lock -w 60 -- true
	# Not even the number of a name may make it last for weeks.
	name=x.00000000000000000007.4294967295.$(uuid)
	head -c 20000 /dev/zero >"$LOC/$QUEUE/$name"
	expect 123 lock -n --progress always -- true
	not has '4[0-9]d'
	expect 0 "$REPOLOCK" unlock -r "$LOC" --force --all --yes
	expect 0 lock -n -- true
}

@test "3.2 a claim that only its owner may read goes when watched" {
	local name
	chmod 1777 "$LOC" "$LOC/$NAMES" "$LOC/$QUEUE"
	name=x.00000000000000000007.0000002000.$(uuid)
	echo '{}' >"$LOC/$QUEUE/$name"
	chmod 600 "$LOC/$QUEUE/$name"
	expect 0 setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$REPOLOCK" with-lock -w 60 -r "$LOC" -- true
	# It cannot be removed by that user, and stays in nobody's way.
	has 'stays'
	rm "$LOC/$QUEUE/$name"
}

@test "3.2 the greatest number stops nobody from counting" {
	local most=09223372036854775807 kind
	for kind in z q x s k; do
		: >"$LOC/$QUEUE/$(name_of $kind $most)"
	done
	# The claims are no holders that this host knows, and are shown.
	list
	has unreadable
	expect 123 lock -n -- true
	expect 0 "$REPOLOCK" unlock -r "$LOC" --force --all --yes
	expect 0 lock -n -- sh -c 'echo "fence $REPOLOCK_HELD_FENCE"'
	has 'fence 1$'
	expect 0 lock -n -- sh -c 'echo "fence $REPOLOCK_HELD_FENCE"'
	has 'fence 2$'
	: >"$LOC/$QUEUE/$(name_of q $most)"
	expect 0 lock -w 20 -- true
	rm "$LOC/$QUEUE"/q.*
}

@test "3.2 a directory of a name that cannot be read hides no other" {
	local i
	mkdir -p "$LOC/$NAMES/middle" "$LOC/$NAMES/aaa" "$LOC/$NAMES/zzz"
	for i in aaa zzz; do
		echo '{}' >"$LOC/$NAMES/$i/$(name_of x)"
	done
	chmod 0 "$LOC/$NAMES/middle"
	chmod 777 "$LOC" "$LOC/$NAMES" "$LOC/$NAMES/aaa" "$LOC/$NAMES/zzz"
	as_nobody() {
		setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	}
	expect 0 as_nobody "$REPOLOCK" list-locks -r "$LOC"
	has '^aaa|aaa '
	has 'zzz '
	has 'middle .*unreadable'
	has 'permission denied'
	expect 125 as_nobody "$REPOLOCK" unlock -r "$LOC" --force --all --yes
	has 'middle/: permission denied'
	[ "$(grep -c '^broke ' <<<"$output")" -eq 2 ]
	[ -z "$(claims_in "$LOC")" ]
}

@test "3.2 more names than can be listed are reported once and whole" {
	local i
	(cd "$LOC/$NAMES" && seq -f 'n%g' 17000 | xargs mkdir)
	expect 125 "$REPOLOCK" list-locks -r "$LOC"
	has 'more than 16384 names of leases; give one with --name'
	expect 125 "$REPOLOCK" unlock -r "$LOC" --force --all --yes
	expect 0 "$REPOLOCK" list-locks -r "$LOC" --name n17000
	expect 0 lock -n -- true
}

@test "3.2 things where the directories should be are named" {
	local what
	for what in fifo link socket device; do
		rm -rf "${LOC:?}/$NAMES"
		mkdir "$LOC/$NAMES"
		thing "$what" "$LOC/$QUEUE"
		expect 125 lock -n -- true
		has "$LOC/$QUEUE"
		rm -rf "${LOC:?}/$NAMES"
		thing "$what" "$LOC/$NAMES"
		expect 125 lock -n -- true
		has "$LOC/$NAMES"
		expect 125 "$REPOLOCK" list-locks -r "$LOC"
		rm "${LOC:?}/$NAMES"
	done
	[ "$(cat "$T/target/file")" = precious ]
}

@test "5.4 each name is listed twice by unlock, however many there are" {
	local i
	for i in {1..60}; do
		mkdir "$LOC/$NAMES/n$i"
		echo '{}' >"$LOC/$NAMES/n$i/$(name_of x)"
	done
	expect 0 "$REPOLOCK" unlock -vv -r "$LOC" --force --all --yes
	[ "$(grep -c '^broke ' <<<"$output")" -eq 60 ]
	# To be shown, and to be removed; and "default" and the names once.
	[ "$(grep -cE 'debug: dir (names|list) ' <<<"$output")" -le 122 ]
}
