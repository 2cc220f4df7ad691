#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# A directory that goes away under its holder, and comes back.

# Variables set in a test stay there; conditions are evaluated by wait_until.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154
load lib/common
load lib/places

# hold NAME: a lock whose token is in $T/NAME.fence.
hold()
{
	rm -f "$T/$1.fence"
	# shellcheck disable=SC2016
	start "$1" "$REPOLOCK" with-lock -r "$LOC" --on-lost kill \
		--ttl "${TTL-5m}" -- sh -c 'echo $REPOLOCK_HELD_FENCE >$1.fence; exec "$2" 60' \
		sh "$T/$1" "$T/sleep"
	wait_until "[ -s '$T/$1.fence' ]"
}

# The token of a lock taken now is above that which NAME had.
next_is_above()
{
	local now
	# shellcheck disable=SC2016
	now=$(lock -n -- sh -c 'echo $REPOLOCK_HELD_FENCE')
	[ "$now" -gt "$(cat "$T/$1.fence")" ] ||
		{ echo "$now after $(cat "$T/$1.fence")"; return 1; }
}

# Away and back, its holder having lost it meanwhile.
loses_while_away()
{
	hold a
	"$@"
	finish a
	is 122 "$status"
}

@test "1.8 no token comes twice when the directory was moved away and back" {
	loses_while_away mv "$LOC" "$T/away"
	mv "$T/away" "$LOC"
	next_is_above a
	# Each is one of its own.
	loses_while_away mv "$LOC" "$T/away"
	mv "$T/away" "$LOC"
	next_is_above a
}

@test "1.8 no token comes twice when .repolock was moved away and back" {
	loses_while_away mv "$LOC/.repolock" "$T/away"
	mv "$T/away" "$LOC/.repolock"
	next_is_above a
}

@test "1.8 no token comes twice when the lease was moved away and back" {
	loses_while_away mv "$LOC/.repolock/default" "$T/away"
	mv "$T/away" "$LOC/.repolock/default"
	next_is_above a
}

@test "1.8 no token comes twice after unmounting and mounting again" {
	needs_root
	mkdir "$T/m" "$T/disk"
	mount --bind "$T/disk" "$T/m"
	mkdir "$T/m/loc"
	LOC=$T/m/loc
	uses "$T/disk/loc"
	# Nothing tells of that but the next refresh.
	TTL=2s loses_while_away umount -l "$T/m"
	mount --bind "$T/disk" "$T/m"
	next_is_above a
}

@test "1.8 no token comes twice after a claim was removed by hand" {
	lock -n -- true
	loses_while_away find "$LOC" -name 'x.*' -delete
	next_is_above a
}

@test "1.8 a directory that was removed is not made again by its holder" {
	loses_while_away rm -r "$LOC/.repolock"
	not test -e "$LOC/.repolock"
	lock -n -- true
}
