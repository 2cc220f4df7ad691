# SPDX-License-Identifier: BSD-2-Clause
#
# list-locks and unlock on a mount that does not answer, and where the caller
# ignores the end of its children.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/places
load lib/terminal

setup()
{
	common_setup
	LOC=$T/mount
	USED=()
}

teardown()
{
	rm -f "$T/hang"
	common_teardown
}

# A lease on a file system that answers, until it hangs.
mounted()
{
	needs_fuse
	poor_mount "$T/source" "$LOC" -o hang="$T/hang"
	"$REPOLOCK" with-lock -r "$LOC" -- true
}

hang()
{
	rm -f "$T/hang.asked"
	: >"$T/hang"
}

# The child of what was started, when it has asked the file system: not even
# SIGKILL ends it now.
hanging_below()
{
	wait_until '[ -e "$T/hang.asked" ]' || return
	CHILD=$(children_of "${PID[$1]}")
}

answer_again()
{
	rm "$T/hang"
	wait_until "gone $CHILD"
}

@test "4.6 list-locks and unlock report what they wait for, and go on" {
	mounted
	local sub
	for sub in list-locks unlock 'list-locks --json'; do
		hang
		rm -f "$T/a.err"
		# shellcheck disable=SC2086
		start a "$REPOLOCK" $sub -r "$LOC"
		wait_until '[ -s "$T/a.err" ]'
		is "repolock: waiting for $LOC, which has not answered for 3 s" \
			"$(cat "$T/a.err")"
		is '' "$(cat "$T/a.out")"
		rm "$T/hang"
		finish a
		is 0 "$status"
		is 1 "$(wc -l <"$T/a.err")"
	done
	is 0 "$(jq '.locks | length' "$T/a.out")"
	hang
	start a "$REPOLOCK" list-locks -q -r "$LOC"
	hanging_below a
	never '[ -s "$T/a.err" ]' 4
	rm "$T/hang"
	finish a
	# A quick answer says nothing.
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	is '' "$output"
}

@test "4.6 INT, TERM, HUP and QUIT end them at once although the child hangs" {
	mounted
	local sub signal number
	for sub in list-locks unlock 'list-locks --watch'; do
		for signal in INT:130 TERM:143 HUP:129 QUIT:131; do
			number=${signal#*:}
			signal=${signal%:*}
			hang
			# shellcheck disable=SC2086
			start a "$REPOLOCK" $sub -r "$LOC"
			hanging_below a
			kill -"$signal" "${PID[a]}"
			# While the child is there still.
			finish a 5
			alive "$CHILD"
			is "$number" "$status"
			is '' "$(cat "$T/a.out")"
			answer_again
		done
	done
}

@test "4.6 a signal that the caller ignores does not end them" {
	mounted
	hang
	start a env --ignore-signal=TERM "$REPOLOCK" list-locks -r "$LOC"
	hanging_below a
	kill -TERM "${PID[a]}"
	never 'gone ${PID[a]}' 0.3
	answer_again
	finish a
	is 0 "$status"
}

@test "4.6 the child ends with a parent that was killed" {
	mounted
	hang
	start a "$REPOLOCK" list-locks -r "$LOC"
	hanging_below a
	kill -KILL "${PID[a]}"
	finish a
	alive "$CHILD"
	answer_again
}

@test "4.6 with-lock -n ends by itself and names the process that hangs" {
	mounted
	hang
	start a "$REPOLOCK" with-lock -n -r "$LOC" -- true
	wait_until '[ -e "$T/hang.asked" ]'
	finish a 80
	is 125 "$status"
	has '^repolock: the location does not answer; process [0-9]+ hangs in it and is left behind$'
	CHILD=$(grep -oE 'process [0-9]+' <<<"$output" | tr -dc 0-9)
	alive "$CHILD"
	answer_again
}

@test "4.6 --watch reports each look that hangs, once" {
	mounted
	start a "$REPOLOCK" list-locks --watch --interval 100ms --json -r "$LOC"
	wait_until '[ "$(wc -l <"$T/a.out")" -ge 2 ]'
	# Its pauses are no hanging.
	not [ -s "$T/a.err" ]
	local count
	for count in 1 2; do
		hang
		wait_until '[ "$(wc -l <"$T/a.err")" = '$count' ]'
		# Each document is whole.
		jq -e . "$T/a.out" >/dev/null
		rm "$T/hang"
		: >"$T/a.out"
		wait_until '[ "$(wc -l <"$T/a.out")" -ge 2 ]'
	done
	is "repolock: waiting for $LOC, which has not answered for 3 s" \
		"$(sort -u "$T/a.err")"
	kill -TERM "${PID[a]}"
	finish a
	is 143 "$status"
}

@test "4.6 who is asked a question is not reported as not answering" {
	LOC=$T/plain
	mkdir "$LOC" "$T/bin"
	locked one
	wait_until 'inside one'
	terminal
	type "'$REPOLOCK' unlock -r '$LOC' --force --all"
	see 'Break it'
	never 'shown | grep -q "not answered"' 4
	key C-c
	prompt
	is 130 "$(status)"
	type "'$REPOLOCK' unlock -r '$LOC' --force --all; echo en''d"
	see 'Break it'
	type n
	see 'not agreed to'
	see end
	prompt
	release one
	finish one
}

@test "4.6 the exit status and the end by a signal are passed on" {
	LOC=$T/plain
	mkdir "$LOC"
	locked one
	wait_until 'inside one'
	expect 2 "$REPOLOCK" list-locks --exit-code -r "$LOC"
	expect 1 "$REPOLOCK" unlock --all -r "$LOC"
	expect 125 "$REPOLOCK" list-locks -r "$T/missing"
	# As a program that prints and whose reader goes.
	expect 141 bash -c 'exec 2>&1; "$1" list-locks --watch --interval 100ms \
		-r "$2" | head -n 1 >/dev/null; exit ${PIPESTATUS[0]}' \
		- "$REPOLOCK" "$LOC"
	release one
	finish one
}

@test "4.6 a child that was killed is reported" {
	mounted
	hang
	start a "$REPOLOCK" list-locks -r "$LOC"
	hanging_below a
	kill -KILL "$CHILD"
	answer_again
	finish a
	is 125 "$status"
	has "^repolock: the process that worked on $LOC was killed by SIGKILL$"
}

@test "7.9 a caller that ignores SIGCHLD gets the same answers" {
	LOC=$T/plain
	mkdir "$LOC"
	locked one
	wait_until 'inside one'
	expect 2 env --ignore-signal=CHLD "$REPOLOCK" list-locks --exit-code \
		-r "$LOC"
	has ' held '
	expect 1 env --ignore-signal=CHLD "$REPOLOCK" unlock --all -r "$LOC"
	expect 123 env --ignore-signal=CHLD "$REPOLOCK" with-lock -n -r "$LOC" \
		-- true
	release one
	finish one
	expect 7 env --ignore-signal=CHLD "$REPOLOCK" with-lock -r "$LOC" -- \
		sh -c 'exit 7'
}

@test "7.9 a password command may be run where SIGCHLD is ignored" {
	needs_native restic
	RESTIC_PASSWORD=secret restic init -q -r "$T/repo"
	unset RESTIC_PASSWORD
	export RESTIC_PASSWORD_COMMAND='echo secret'
	expect 0 env --ignore-signal=CHLD "$REPOLOCK" list-locks \
		-r "restic:$T/repo"
	expect 0 env --ignore-signal=CHLD "$REPOLOCK" unlock -r "restic:$T/repo"
	expect 0 env --ignore-signal=CHLD "$REPOLOCK" with-lock \
		-r "restic:$T/repo" -- true
	# On the bare path repolock-native comes in later.
	expect 0 env --ignore-signal=CHLD "$REPOLOCK" list-locks -r "$T/repo"
}
