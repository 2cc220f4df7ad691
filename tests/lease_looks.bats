#!/usr/bin/env bats
# shellcheck shell=bash
# shellcheck disable=SC2016,SC2030,SC2031
# SPDX-License-Identifier: BSD-2-Clause
#
# First looks at claims that nobody here can ask about: where they are
# remembered, for how long, and how many.

load lib/common

QUEUE=.repolock/default
USER_ID=65534

setup()
{
	common_setup
	unset XDG_RUNTIME_DIR XDG_STATE_HOME
	HOME=$T/home
	mkdir -p "$LOC/$QUEUE" "$HOME"
}

# claim [TTLMS]: one of another host, not renewed any more.
claim()
{
	CLAIM=$LOC/$QUEUE/x.00000000000000000007.${1:-0000002000}.$(
		cat /proc/sys/kernel/random/uuid)
	echo '{"repolock":1,"host":"far","user":"who"}' >"$CLAIM"
}

# As a user whose home that is, in a place that anybody may write to.
try()
{
	chown -R $USER_ID "$HOME"
	chmod 1777 "$LOC" "$LOC/.repolock" "$LOC/$QUEUE"
	setpriv --reuid=$USER_ID --regid=$USER_ID --clear-groups "$@" \
		"$REPOLOCK" with-lock -n -r "$LOC" -- true
}

looks_in()
{
	find "$1" -name '????????-????-*' 2>/dev/null | wc -l
}

@test "5.3 cron's jobs remember their looks in the state of their user" {
	claim
	expect 123 try env
	[ "$(looks_in "$HOME/.local/state/repolock")" -eq 1 ]
	[ "$(stat -c %a "$HOME/.local" "$HOME/.local/state" \
		"$HOME/.local/state/repolock" | xargs)" = "700 700 700" ]
	# Try after try, none of which watches for long, they prove it.
	wait_until 'try env >"$T/try.err" 2>&1'
	grep -q 'stays' "$T/try.err"
	rm "$CLAIM"
}

@test "5.3 what was proved is remembered while the claim cannot be removed" {
	claim
	expect 123 try env
	wait_until 'try env >"$T/try.err" 2>&1'
	# At once, each time, and it is told each time.
	for _ in 1 2 3; do
		expect 0 try env
		has 'the stale lock [0-9a-f]{8} stays'
	done
	[ "$(looks_in "$HOME/.local/state/repolock")" -eq 1 ]
	# Root may remove it, and then what root remembers goes as well.
	XDG_RUNTIME_DIR=$T/run
	export XDG_RUNTIME_DIR
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	expect 123 lock -n -- true
	[ "$(looks_in "$XDG_RUNTIME_DIR/repolock")" -eq 1 ]
	expect 0 lock -w 60 -- true
	[ "$(looks_in "$XDG_RUNTIME_DIR/repolock")" -eq 0 ]
}

@test "5.3 XDG_RUNTIME_DIR and XDG_STATE_HOME come before the home" {
	claim 0000300000
	install -d -o $USER_ID -m 700 "$T/state" "$T/runtime"
	expect 123 try env XDG_STATE_HOME="$T/state"
	[ "$(looks_in "$T/state/repolock")" -eq 1 ]
	expect 123 try env XDG_STATE_HOME="$T/state" XDG_RUNTIME_DIR="$T/runtime"
	[ "$(looks_in "$T/runtime/repolock")" -eq 1 ]
	[ ! -e "$HOME/.local" ]
	# Of a session that has ended: the next one serves.
	expect 123 try env XDG_RUNTIME_DIR="$T/ended"
	[ "$(looks_in "$HOME/.local/state/repolock")" -eq 1 ]
	rm "$CLAIM"
}

@test "5.3 a home of somebody else, or none, is left alone" {
	claim 0000300000
	mkdir -m 777 "$T/foreign"
	expect 123 try env HOME="$T/foreign"
	expect 123 try env XDG_STATE_HOME="$T/foreign" HOME=relative
	expect 123 try env -u HOME
	[ -z "$(find "$T/foreign" -mindepth 1)" ]
	# Nor is a link followed in the last step.
	install -d -o $USER_ID -m 700 "$T/runtime" "$T/target"
	ln -s "$T/target" "$T/runtime/repolock"
	expect 123 try env -u HOME XDG_RUNTIME_DIR="$T/runtime"
	[ -z "$(find "$T/target" -mindepth 1)" ]
	rm "$CLAIM"
}

@test "7.7 thousands of claims cost a bounded number of looks" {
	local reads looks
	export XDG_RUNTIME_DIR=$T/run
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	claim 0000300000
	seq -f '%012.0f' 3000 | (cd "$LOC/$QUEUE" && xargs -I@ sh -c \
		'echo "{}" >x.00000000000000000007.0000300000.0a000000-0000-4000-8000-@')
	expect 123 lock -n -- true
	has '; 2745 more were not looked at; .* unlock -r .* --force --all'
	[ "$(looks_in "$XDG_RUNTIME_DIR/repolock")" -eq 64 ]
	expect 123 lock -n -vv -- true
	reads=$(grep -c 'debug: dir get' <<<"$output")
	looks=$(grep -c 'debug: dir names' <<<"$output")
	[ "$reads" -le $((256 * looks + 16)) ]
	expect 0 "$REPOLOCK" unlock -r "$LOC" --force --all --yes
	expect 0 lock -n -- true
}

@test "7.7 few claims are all looked at, and nothing is said of more" {
	claim 0000300000
	claim 0000300000
	expect 123 lock -n -- true
	not has 'more were not looked at'
	rm "$LOC/$QUEUE"/x.*
}
