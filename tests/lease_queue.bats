#!/usr/bin/env bats
# shellcheck shell=bash
# Conditions of wait_until are evaluated there.
# shellcheck disable=SC2016,SC2034,SC2046
# SPDX-License-Identifier: BSD-2-Clause
#
# The queue: those who died in it, or are stopped, and those who may not
# remove them.

load lib/common

QUEUE=.repolock/default

places()
{
	find "$LOC/$QUEUE" -name 'q.*' 2>/dev/null | wc -l
}

# hold NAME: somebody holds the lock until released by `finish`.
hold()
{
	start "$1" "$REPOLOCK" with-lock -r "$LOC" -- "$T/sleep" 300
	wait_until 'is_held'
}

let_go()
{
	kill -TERM "${PID[$1]}"
	finish "$1"
}

# kill_all NAME...: without a chance to take anything back; stopped first, since
# who sees the other killed withdraws before its own turn comes.
kill_all()
{
	local name pids=()
	for name in "$@"; do
		# shellcheck disable=SC2207
		pids+=($(tree_of "${PID[$name]}"))
	done
	kill -STOP "${pids[@]}"
	kill -KILL "${pids[@]}"
	for name in "$@"; do
		finish "$name"
	done
}

# wait_as USER NAME: somebody with that number of a user waits for the lock.
wait_as()
{
	local before
	before=$(places)
	start "$2" setpriv --reuid="$1" --regid="$1" --clear-groups \
		"$REPOLOCK" with-lock -r "$LOC" -- true
	wait_until '[ "$(places)" -gt '"$before"' ]'
}

# The clock ticks that a process and its children have used.
ticks_of()
{
	local pid text total=0
	for pid in $(tree_of "$1"); do
		text=$(cat "/proc/$pid/stat") || continue
		text=${text##*) }
		# shellcheck disable=SC2086
		set -- $text
		total=$((total + ${12} + ${13}))
	done
	echo "$total"
}

@test "5.1 a dead waiter of another user in a sticky directory blocks nobody" {
	chmod 1777 "$LOC"
	hold h
	wait_as 65534 dead
	kill_all dead
	wait_as 65533 lives
	let_go h
	finish lives
	[ "$status" -eq 0 ]
	# Its place stays, and is in the way of nobody who comes later either.
	[ "$(places)" -eq 1 ]
	expect 0 setpriv --reuid=65533 --regid=65533 --clear-groups \
		"$REPOLOCK" with-lock -n -r "$LOC" -- true
	# Root may remove it, and does.
	hold h
	wait_as 0 late
	wait_until '[ "$(places)" -eq 1 ]'
	let_go h
	finish late
	[ "$status" -eq 0 ]
	[ "$(places)" -eq 0 ]
}

@test "5.1 a stopped waiter of another user does not keep the others busy" {
	local ticks
	chmod 1777 "$LOC"
	hold h
	wait_as 65534 stopped
	kill -STOP $(tree_of "${PID[stopped]}")
	wait_as 65533 second
	wait_as 65532 third
	let_go h
	ticks=$(ticks_of "${PID[second]}")
	# Its turn comes, and passes: 15 s. The clock's rate is the machine's.
	wait_until 'gone "${PID[third]}" || ! after=$(ticks_of "${PID[second]}") ||
		{ spent=$((after - ticks)); false; }' 60
	finish second
	[ "$status" -eq 0 ]
	finish third
	[ "$status" -eq 0 ]
	# Half a second in fifteen; it was a quarter of all.
	[ "${spent:-0}" -lt $(($(getconf CLK_TCK) / 2)) ]
	kill -CONT $(tree_of "${PID[stopped]}")
	finish stopped
	[ "$status" -eq 0 ]
}

@test "5.1 a place that cannot be deleted by root blocks nobody" {
	hold h
	wait_as 0 dead
	kill_all dead
	chattr +i "$LOC/$QUEUE"/q.* || skip "kernel: no immutable files here"
	start lives "$REPOLOCK" with-lock -r "$LOC" -- true
	wait_until '[ "$(places)" -eq 2 ]'
	let_go h
	finish lives
	[ "$status" -eq 0 ]
	[ "$(places)" -eq 1 ]
	chattr -i "$LOC/$QUEUE"/q.*
	rm "$LOC/$QUEUE"/q.*
}

@test "5.2 twenty waiters that were killed are cleared in one pass" {
	local i names=()
	hold h
	for i in {1..20}; do
		start "w$i" "$REPOLOCK" with-lock -r "$LOC" -- true
		names+=("w$i")
	done
	wait_until '[ "$(places)" -eq 20 ]' 60
	start lives "$REPOLOCK" with-lock -r "$LOC" -- true
	wait_until '[ "$(places)" -eq 21 ]'
	kill_all h "${names[@]}"
	# One after the other, at 2 s at least for each, it took over 40 s.
	finish lives 35
	[ "$status" -eq 0 ]
	[ "$(places)" -eq 0 ]
}

@test "5.2 those that live come in the order they came in, whoever died between" {
	local i
	hold h
	for i in {1..9}; do
		start "w$i" "$REPOLOCK" with-lock -r "$LOC" -- \
			sh -c "echo $i >>'$T/order'"
		wait_until '[ "$(places)" -eq '"$i"' ]'
	done
	kill_all h w1 w2 w4 w5 w7
	for i in 3 6 8 9; do
		finish "w$i"
		[ "$status" -eq 0 ]
	done
	[ "$(xargs <"$T/order")" = "3 6 8 9" ]
}
