# SPDX-License-Identifier: BSD-2-Clause
#
# A command that leaves our process group, as timeout(1) does, has the
# terminal's signals all the same, and none of them twice.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common
load lib/terminal

setup()
{
	common_setup
	W="$REPOLOCK with-lock -r $LOC -- "
}

group_of()
{
	ps -o pgid= -p "$1" | tr -d ' '
}

# It has left the group of the front, which is the parent of the keeper.
is_apart()
{
	local job front
	job=$(command_of "$1")
	front=$(pgrep -f "^$REPOLOCK with-lock -r $LOC" | head -n 1)
	[ "$(group_of "$job")" != "$(group_of "$front")" ]
}

# got NAME SIGNAL...: these and no more, after a moment for a second one.
got()
{
	local name=$1
	shift
	wait_until "[ \"\$(wc -l <$T/$name.signals)\" -ge $# ]"
	sleep 0.2
	is "$*" "$(xargs <"$T/$name.signals")"
}

@test "1.6 Ctrl-C ends a command in a group of its own, as without the lock" {
	local plain
	for w in '' "$W"; do
		terminal
		type "${w}timeout 600 $lib/job a"
		wait_until 'inside a'
		job=$(command_of a)
		[ -z "$w" ] || is_apart a
		key C-c
		prompt
		status=$(status)
		: "${plain=$status}"
		is "$plain" "$status"
		gone "$job"
		log_out
		rm -f "$T"/a.*
	done
	is_free
}

@test "1.6 Ctrl-Z stops a command in a group of its own, and fg goes on" {
	terminal
	type "${W}timeout 600 $lib/job a"
	wait_until 'inside a'
	job=$(command_of a)
	is_apart a
	for turn in 1 2; do
		key C-z
		prompt
		see 'Stopped'
		wait_until 'is_stopped $job'
		wait_until 'is_stopped $(parent_of $job)'
		is_held
		type 'fg'
		wait_until '! is_stopped $job'
	done
	release a
	prompt
	is 0 "$(status)"
	is_free
	log_out
}

@test "1.6 kill -TSTP and -CONT %1 stop and continue a group of its own" {
	terminal
	type "${W}timeout 600 $lib/job a &"
	wait_until 'inside a'
	job=$(command_of a)
	type 'kill -TSTP %1'
	wait_until 'is_stopped $job'
	type 'kill -CONT %1'
	wait_until '! is_stopped $job'
	release a
	type 'wait'
	prompt
	log_out
}

@test "1.6 a command in a group of its own that handles Ctrl-Z gets SIGTSTP" {
	terminal
	type "${W}setsid sh -c 'trap \"echo >$T/tstp\" TSTP; echo re''ady; until [ -e $T/end ]; do sleep 0.05; done'"
	see '^ready'
	key C-z
	wait_until '[ -e "$T/tstp" ]'
	: >"$T/end"
	prompt
	is 0 "$(status)"
	log_out
}

@test "1.6 hanging up ends a command in a group of its own" {
	terminal
	type "${W}timeout 600 $lib/job a"
	wait_until 'inside a'
	job=$(command_of a)
	is_apart a
	hang_up
	wait_until 'gone $job'
	wait_until is_free
}

@test "1.6 hanging up without a shell between ends it too" {
	terminal_of "$REPOLOCK" with-lock -r "$LOC" -- timeout 600 "$lib/job" a
	wait_until 'inside a'
	job=$(command_of a)
	is_apart a
	hang_up
	wait_until 'gone $job'
	wait_until is_free
}

@test "1.6 a new window size reaches a group of its own once" {
	terminal
	type "${W}timeout 600 $counter a"
	wait_until 'inside a'
	is_apart a
	resize 31
	got a WINCH
	release a
	prompt
	log_out
}

@test "1.6 Ctrl-C reaches a command once, in our group or its own" {
	for left in '' 'setsid '; do
		terminal
		type "$W$left$counter a"
		wait_until 'inside a'
		[ -z "$left" ] || is_apart a
		key C-c
		got a INT
		release a
		prompt
		log_out
		rm -f "$T"/a.*
	done
}

@test "1.6 a signal to our group, or to us, reaches a group of its own once" {
	start a "$REPOLOCK" with-lock -r "$LOC" -- setsid "$counter" a
	wait_until 'inside a'
	is_apart a
	kill -USR1 -"${PID[a]}"
	got a USR1
	kill -USR2 "${PID[a]}"
	got a USR1 USR2
	release a
	finish a
	is 0 $status
}

@test "1.6 a signal to every process reaches a group of its own once" {
	start a "$REPOLOCK" with-lock -r "$LOC" -- setsid "$counter" a
	wait_until 'inside a'
	is_apart a
	mapfile -t all < <(tree_of "${PID[a]}")
	[ ${#all[@]} -ge 3 ]
	for signal in TERM HUP; do
		kill -$signal "${all[@]}"
		wait_until 'grep -q $signal "$T/a.signals"'
	done
	got a TERM HUP
	release a
	finish a
	is 0 $status
	is_free
}
