# SPDX-License-Identifier: BSD-2-Clause
#
# The program itself: its two halves, its descriptors, and what a bare path
# that is a real repository makes of list-locks and unlock.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/terminal

setup()
{
	common_setup
	export HOME=$T BORG_BASE_DIR=$T RESTIC_PASSWORD=secret \
		RESTIC_CACHE_DIR=$T/cache
}

@test "help and version are told at both levels" {
	expect 0 "$REPOLOCK" --version
	has "^repolock $(cat "$BATS_TEST_DIRNAME/../VERSION")$"
	is "$output" "$("$REPOLOCK" -V)"
	is "$output" "$("$REPOLOCK" unlock --version)"
	expect 0 "$REPOLOCK" --help
	has 'repolock with-lock  \[-r LOCATION\]'
	is '' "$(grep -E '.{80}' <<<"$output")"
	for command in with-lock list-locks unlock; do
		expect 0 "$REPOLOCK" "$command" -h
		has "^Usage: repolock $command "
	done
}

@test "closed descriptors stay closed for the command, and no file gets them" {
	local fds='ls /proc/self/fd | tr "\n" " "'
	# None is added to those that the test has.
	is "$(sh -c "$fds")" "$("$REPOLOCK" with-lock -r "$LOC" -- sh -c "$fds")"
	"$REPOLOCK" with-lock -r "$LOC" -- sh -c '
		for fd in 0 1 2; do [ ! -e /proc/$$/fd/$fd ] || exit 9; done' \
		<&- >&- 2>&-
	# One that only stderr has: its words do not go elsewhere.
	"$REPOLOCK" with-lock -v -r "$LOC" -- sh -c 'echo out' >"$T/out" 2>&-
	is out "$(cat "$T/out")"
	code=0
	"$REPOLOCK" with-lock -r "$LOC" --events fd:2 -- true 2>&- || code=$?
	is 125 $code
}

@test "descriptors above 2 reach the command" {
	is hello "$("$REPOLOCK" with-lock -r "$LOC" -- sh -c 'cat <&7' \
		7<<<hello)"
	"$REPOLOCK" with-lock -r "$LOC" -- sh -c 'echo hello >&8' 8>"$T/eight"
	is hello "$(cat "$T/eight")"
}

# --- the other half -----------------------------------------------------------------

@test "repolock-native takes its place with the same pid and words" {
	needs_native restic
	restic init -q -r "$T/repo"
	expect 0 sh -c 'echo $$; exec "$@"' - "$REPOLOCK" with-lock \
		-r "restic:$T/repo" -- \
		sh -c 'echo $REPOLOCK_HELD_PID
			tr "\0" " " </proc/$REPOLOCK_HELD_PID/cmdline
			readlink /proc/$REPOLOCK_HELD_PID/exe'
	is "${lines[0]-$(sed -n 1p <<<"$output")}" "$(sed -n 2p <<<"$output")"
	has "^$REPOLOCK with-lock -r restic:$T/repo -- "
	has 'repolock-native$'
}

@test "a repolock-native that is missing is named, and where it was looked for" {
	cp "$REPOLOCK" "$T/repolock"
	expect 125 "$T/repolock" with-lock -r "restic:$T/x" -- true
	has '^repolock: restic:.*: repolock-native is neither beside repolock nor in \.\./lib/repolock nor in /'
	# What it can do alone it does.
	expect 0 "$T/repolock" with-lock -r "$LOC" -- true
	expect 0 "$T/repolock" with-lock -r "flock:$T/f" -- true
}

@test "restic and borg take no part in starting the local path" {
	is '' "$(ldd "$REPOLOCK" | grep -E 'crypto|sodium|curl|zstd|uuid')"
	has_not=$(LD_DEBUG=files "$REPOLOCK" with-lock -r "$LOC" -- true 2>&1 |
		grep -E 'calling init.*(crypto|sodium|curl)' || true)
	is '' "$has_not"
}

# --- real repositories ----------------------------------------------------------------

json()
{
	"$REPOLOCK" list-locks -r "$T/repo" --json | jq -r "$1"
}

both_are_listed()
{
	expect 0 "$REPOLOCK" with-lock -r "$T/repo" -- "$REPOLOCK" with-lock \
		-r "$1:$T/repo" -- "$REPOLOCK" list-locks -r "$T/repo"
	has '^ID +KIND +MODE '
	has ' lease +exclusive +held '
	has " $2 +exclusive +held "
	expect 2 "$REPOLOCK" with-lock -r "$1:$T/repo" -- \
		"$REPOLOCK" list-locks -r "$T/repo" --exit-code
	# Each alone, by its scheme.
	expect 0 "$REPOLOCK" with-lock -r "$1:$T/repo" -- \
		"$REPOLOCK" list-locks -r "lease:$T/repo"
	is '' "$output"
}

native_is_unlocked()
{
	start one "$REPOLOCK" with-lock -v -r "$1:$T/repo" -- "$T/sleep" 60
	# Broken before it was had, it would only be asked for anew.
	wait_until 'grep -q started "$T/one.err"'
	expect 1 "$REPOLOCK" unlock -r "$T/repo" --all
	has "^kept exclusive $2 lock "
	id=$(json '.locks[0].id')
	expect 0 "$REPOLOCK" unlock -r "$T/repo" --force "${id:0:12}"
	has "^broke exclusive $2 lock "
	finish one 30
	is 122 "$status"
}

@test "on the bare path of a restic repository both kinds are handled" {
	needs_native restic
	restic init -q -r "$T/repo"
	both_are_listed restic restic
	native_is_unlocked restic restic
}

@test "on the bare path of a borg repository both kinds are handled" {
	needs_native borg
	borg init -e none "$T/repo" 2>/dev/null
	both_are_listed borg borg1
	native_is_unlocked borg borg1
}

@test "without restic's password the leases are shown, and the exit code tells" {
	needs_native restic
	restic init -q -r "$T/repo"
	start one "$REPOLOCK" with-lock -r "$T/repo" -- "$T/sleep" 60
	wait_until 'is_held "$T/repo"'
	RESTIC_PASSWORD=wrong expect 125 "$REPOLOCK" list-locks -r "$T/repo"
	has ' held '
	has "wrong password .*; the leases alone are at lease:$T/repo"
	is 'false 1' "$(RESTIC_PASSWORD=wrong json \
		'"\(.complete) \(.locks | length)"' 2>/dev/null)"
	RESTIC_PASSWORD=wrong expect 0 "$REPOLOCK" list-locks \
		-r "lease:$T/repo"
	not has password
	kill -TERM "${PID[one]}"
	finish one
}

@test "a password is asked for on a terminal, without showing it" {
	needs_native restic
	restic init -q -r "$T/repo"
	unset RESTIC_PASSWORD
	terminal
	type "$REPOLOCK with-lock -r restic:$T/repo -- echo in''side"
	see 'password'
	type secret
	see inside
	not grep -q secret <<<"$(shown)"
	prompt
	type "$REPOLOCK list-locks -r restic:$T/repo; echo at the en''d"
	see 'password'
	type secret
	see 'at the end'
	prompt
	log_out
}

@test "Ctrl-C at the question for a password ends it, and the echo is back" {
	needs_native restic
	restic init -q -r "$T/repo"
	unset RESTIC_PASSWORD
	terminal
	for command in "with-lock -r restic:$T/repo true" \
		"list-locks -r restic:$T/repo"; do
		type "$REPOLOCK $command"
		see 'password'
		wait_until 'stty -a -F "$(cat "$T/terminal.name")" |
			grep -q -- "-echo "'
		key C-c
		prompt
		is 130 "$(status)"
		stty -a -F "$(cat "$T/terminal.name")" | grep -q ' echo '
	done
	log_out
}

@test "a password in a location is nowhere to be seen" {
	needs_native restic
	start one "$REPOLOCK" with-lock -r "$LOC" -- "$T/sleep" 60
	wait_until is_held
	start two "$REPOLOCK" with-lock -v -r \
		"restic:rest:https://me:geheim@localhost/x" -- true
	finish two
	not grep -q geheim <<<"$output"
	kill -TERM "${PID[one]}"
	finish one
}
