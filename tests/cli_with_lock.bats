# SPDX-License-Identifier: BSD-2-Clause
#
# with-lock as users call it: bad input, what is said, exit codes, nesting.

# shellcheck disable=SC2016,SC2034,SC2154,SC2030,SC2031

load lib/common
load lib/terminal

# --- bad input ----------------------------------------------------------------

# One line, that begins so; nothing was made.
one_line()
{
	is 1 "$(wc -l <<<"$output")"
	[[ $output == "repolock: "* ]] || { echo "$output"; return 1; }
}

nothing_made()
{
	is '' "$(ls -A "$LOC")"
}

refused()
{
	local said=$1
	shift
	expect 125 "$REPOLOCK" "$@"
	one_line
	has "$said"
	nothing_made
}

@test "wrong options are one line that points to --help, exit 125" {
	refused "unknown option --foo; see 'repolock with-lock --help'" \
		with-lock --foo -r "$LOC" true
	refused 'did you mean --ttl\?' with-lock --tll 5 -r "$LOC" true
	refused 'no sub-command .with-lok. \(did you mean with-lock\?\)' \
		with-lok
	refused 'stands where a sub-command is wanted' -r "$LOC" with-lock true
	refused 'a sub-command is wanted'
}

@test "a TTL or grace out of bounds is refused with the bounds" {
	refused 'a lease takes 2s to' with-lock -r "$LOC" --ttl 1s true
	refused 'a lease takes 2s to' with-lock -r "$LOC" --ttl 25h true
	refused 'at most 24h' with-lock -r "$LOC" --kill-after 25h true
}

@test "options that mean nothing for a location are refused" {
	refused '--ttl means nothing for flock' \
		with-lock -r "flock:$LOC/f" --ttl 5m true
	refused '--name means nothing for flock' \
		with-lock -r "flock:$LOC/f" --name x true
}

@test "defaults from the environment that mean nothing are left aside" {
	REPOLOCK_TTL=1m REPOLOCK_NAME=x expect 0 \
		"$REPOLOCK" with-lock -r "flock:$T/f" true
	is '' "$output"
}

@test "wrong variables are named" {
	REPOLOCK_WAIT=soon refused 'REPOLOCK_WAIT: ' with-lock -r "$LOC" true
	REPOLOCK_REPOSITORY=x:y refused 'unknown scheme' with-lock true
	REPOLOCK_REPOSITORY='C:\x' refused 'REPOLOCK_REPOSITORY: ' \
		with-lock true
}

@test "locations that are none are refused with what was meant" {
	refused 'empty' with-lock -r '' true
	refused 'unknown scheme "foo:"; there are .*flock' \
		with-lock -r foo:bar true
	refused 'another host' with-lock -r host:/path true
	refused 'mount it or run repolock there' with-lock -r user@host:/path true
	refused './C:' with-lock -r 'C:\backup' true
	: >"$T/file"
	refused 'file' with-lock -r "$T/file" true
	refused "$T/none" with-lock -r "$T/none" true
	[ ! -e "$T/none" ]
	refused 'is no name' with-lock -r "$LOC" --name ../x true
}

@test "a COMMAND that is not there or cannot run is told before anything is locked" {
	expect 127 lock -- no-such-command
	has '^repolock: COMMAND no-such-command was not found on PATH$'
	expect 127 lock -- ./no-such-command
	: >"$T/plain"
	expect 126 lock -- "$T/plain"
	has 'Permission denied'
	expect 126 lock -- "$T"
	has 'directory'
	nothing_made
	# The other side: what is there runs, wherever PATH has it.
	mkdir "$T/bin"
	printf 'echo "script $1"\n' >"$T/bin/tool"
	chmod +x "$T/bin/tool"
	PATH=$T/bin:$PATH expect 0 lock -- tool one
	is 'script one' "$output"
}

# --- what it does -------------------------------------------------------------

@test "success is silent, and the exit code is the command's" {
	for code in 0 1 42 122 255; do
		expect $code lock -- sh -c "exit $code"
		is '' "$output"
	done
}

@test "a signal that ended the command ends repolock too" {
	expect 143 lock -- sh -c 'kill -TERM $$'
	python3 -c 'import subprocess, sys
p = subprocess.run(sys.argv[1:])
sys.exit(0 if p.returncode == -9 else 1)' \
		"$REPOLOCK" with-lock -r "$LOC" sh -c 'kill -KILL $$'
	# Not one that dumps core: that is a number.
	python3 -c 'import subprocess, sys
p = subprocess.run(sys.argv[1:])
sys.exit(0 if p.returncode == 131 else 1)' \
		"$REPOLOCK" with-lock -r "$LOC" sh -c 'ulimit -c 0; kill -QUIT $$'
}

@test "-c runs a line by /bin/sh" {
	expect 7 lock -c 'test "$0" = sh; echo "a  b"; exit 7'
	is 'a  b' "$output"
}

@test "a link that is named with-lock is repolock with-lock" {
	ln -s "$REPOLOCK" "$T/with-lock"
	expect 3 "$T/with-lock" -r "$LOC" -- sh -c 'exit 3'
	expect 125 "$T/with-lock"
	has "see 'repolock with-lock --help'"
}

@test "the location and the rest may come from the environment" {
	export REPOLOCK_REPOSITORY=$LOC REPOLOCK_NAME=other
	expect 0 "$REPOLOCK" with-lock -- sh -c \
		'echo $REPOLOCK_HELD_LOCATION $REPOLOCK_HELD_NAME'
	is "$LOC other" "$output"
	[ -d "$LOC/.repolock/other" ]
	expect 0 "$REPOLOCK" with-lock --name mine -- sh -c \
		'echo $REPOLOCK_HELD_NAME'
	is mine "$output"
}

@test "a lock that is held is exit code 123, or what -E says" {
	locked one --reason nightly
	wait_until 'inside one'
	expect 123 lock -n true
	one_line
	has "no exclusive lock on $LOC: held by .*@.* \(pid [0-9]+, .*\"nightly\"\)"
	expect 73 lock -n -E 73 true
	expect 0 lock -n -E 0 -q true
	is '' "$output"
	expect 123 lock -w 1 --events "$T/ev" true
	has ' within 1s: held by'
	is "$LOC is locked by another" \
		"$(jq -r 'select(.event=="ended") | .text' "$T/ev")"
	release one
	finish one
}

@test "waiting is told on --progress=always, with who holds it" {
	locked one
	wait_until 'inside one'
	start two "$REPOLOCK" with-lock -r "$LOC" --progress always -- true
	wait_until 'grep -q waiting "$T/two.err"'
	grep -qE "^repolock: waiting [0-9]+m?s for the exclusive lock on $LOC: held by \
.*\(pid ${PID[one]}" "$T/two.err"
	release one
	finish two
	is 0 "$status"
	finish one
}

@test "a log is told after five seconds who holds it, and nothing before" {
	locked one --reason nightly
	wait_until 'inside one'
	start two "$REPOLOCK" with-lock -r "$LOC" -- true
	start three "$REPOLOCK" with-lock -r "$LOC" -w 1h -- true
	wait_until '[ -s "$T/two.err" ] && [ -s "$T/three.err" ]'
	release one
	finish two
	output=$(cat "$T/two.err")
	one_line
	has "^repolock: waiting 5s for the exclusive lock on $LOC: held by [^ ]+@[^ ]+ \
\(pid ${PID[one]}, .*\"nightly\"\) since 2.*, refreshed .* ago"
	finish three
	output=$(cat "$T/three.err")
	one_line
	has "^repolock: waiting 5s, at most 59m5[0-5]s more, for the exclusive lock on \
$LOC: (held by|behind) [^ ]+@[^ ]+ \(pid (${PID[one]}|${PID[two]}), "
	finish one
}

@test "on a terminal waiting is one line that goes away again" {
	locked one
	wait_until 'inside one'
	terminal env TERM=xterm bash --norc --noprofile --noediting -i
	type "TERM=xterm $REPOLOCK with-lock -r $LOC -- echo in''side"
	see 'waiting [12]s for the exclusive lock'
	is 0 "$(shown | tr '\r' '\n' | grep -c 'waiting.*waiting$')"
	release one
	see inside
	# The line was cleared before the command's words came.
	shown | grep -aqE $'\033\[Kinside'
	finish one
	log_out
}

@test "put aside, it leaves the terminal to the shell" {
	locked one
	wait_until 'inside one'
	terminal env TERM=xterm bash --norc --noprofile --noediting -i
	type "TERM=xterm $REPOLOCK with-lock -r $LOC -- echo in''side"
	see 'waiting [1-9][0-9]*s for the exclusive lock'
	key C-z
	prompt
	never 'shown | grep -q waiting' 2.5
	# Neither does bg make it write into the line that is typed at, but
	# what every log is told is told.
	type bg
	see 'waiting [0-9]+s for the exclusive lock'
	shown | grep -E '^(ready> )?repolock: waiting'
	not eval 'shown | grep -q $'"'"'\033\[K'"'"
	type fg
	see 'waiting [0-9]+s for the exclusive lock'
	release one
	see inside
	finish one
	log_out
}

@test "quiet and --progress=never do not speak of waiting" {
	locked one
	wait_until 'inside one'
	start two "$REPOLOCK" with-lock -r "$LOC" -q --events "$T/two.ev" -- true
	start three "$REPOLOCK" with-lock -r "$LOC" --progress never \
		--events "$T/three.ev" -- true
	wait_until 'grep -q "\"event\":\"waiting\"" "$T/two.ev"'
	wait_until 'grep -q "\"event\":\"waiting\"" "$T/three.ev"'
	release one
	finish two
	is '' "$output"
	finish three
	is '' "$output"
	finish one
}

@test "-v tells what happens" {
	expect 0 lock -v -- true
	has '^repolock: acquired the exclusive lock on '
	has '^repolock: started COMMAND as process [0-9]+$'
	has '^repolock: released the lock on '
}

# --- events -------------------------------------------------------------------

events()
{
	jq -r "$1" "$T/events"
}

@test "events are lines of JSON, and the last tells the outcome" {
	expect 4 lock --events "$T/events" -- sh -c 'exit 4'
	is "acquired started released ended" \
		"$(events .event | tr '\n' ' ' | sed 's/ $//')"
	is 'exited 4 4 null' "$(jq -r 'select(.event=="ended") |
		"\(.outcome) \(.status) \(.exit_code) \(.signal)"' "$T/events")"
	is 4 "$(jq -c 'select(.version == 1 and .location == env.LOC)' \
		"$T/events" | wc -l)"
}

@test "every way to end has its word in the last event" {
	ended()
	{
		jq -r 'select(.event=="ended") | .outcome' "$T/events" |
			tail -n 1
	}
	expect 137 lock --events "$T/events" -- sh -c 'kill -9 $$'
	is signalled "$(ended)"
	expect 127 lock --events "$T/events" -- no-such-command
	is not-found "$(ended)"
	expect 126 lock --events "$T/events" -- "$T"
	is cannot-execute "$(ended)"
	expect 125 "$REPOLOCK" with-lock -r "$T/none" --events "$T/events" true
	is failed "$(ended)"
	expect 124 lock --events "$T/events" --max-hold 100ms -- "$T/sleep" 60
	is max-hold "$(ended)"
	locked one
	wait_until 'inside one'
	expect 123 lock -n --events "$T/events" true
	is busy "$(ended)"
	is "$USER_NOW" "$(jq -r 'select(.outcome=="busy") | .holder.user' \
		"$T/events")"
	start two "$REPOLOCK" with-lock -r "$LOC" --events "$T/two.ev" -- true
	wait_until 'grep -q waiting "$T/two.ev"'
	kill -TERM "${PID[two]}"
	finish two
	is 143 "$status"
	is interrupted "$(jq -r 'select(.event=="ended") | .outcome' \
		"$T/two.ev")"
	release one
	finish one
}

setup()
{
	common_setup
	USER_NOW=$(id -un)
}

@test "events go to a descriptor, which the command has as well" {
	"$REPOLOCK" with-lock -r "$LOC" --events fd:7 -- \
		sh -c 'echo mine >&7' 7>"$T/events"
	grep -q '"event":"ended"' "$T/events"
	grep -qx mine "$T/events"
	expect 125 lock --events fd:77 true
	has 'descriptor 77 is not open'
	expect 125 lock --events fd:1x true
	has 'no descriptor number'
}

@test "nobody is held up by a reader of events who does not read" {
	mkfifo "$T/fifo"
	exec 8<>"$T/fifo"
	# Full to the brim.
	dd if=/dev/zero of="$T/fifo" bs=4096 oflag=nonblock 2>/dev/null || true
	expect 0 lock --events "$T/fifo" -- true
	exec 8>&-
	# And one that has no reader at all is an error, not a wait for ever.
	expect 125 lock --events "$T/fifo" -- true
	has 'nobody reads'
}

@test "a full stderr does not hold the lock for ever" {
	mkfifo "$T/fifo"
	exec 8<>"$T/fifo"
	dd if=/dev/zero of="$T/fifo" bs=4096 oflag=nonblock 2>/dev/null || true
	"$REPOLOCK" with-lock -r "$LOC" -v -- true 2>"$T/fifo"
	exec 8>&-
}

# --- nested ---------------------------------------------------------------------

@test "asking for a lock that an ancestor holds is an error, not a deadlock" {
	expect 125 lock -- "$REPOLOCK" with-lock -r "$LOC" true
	has 'is held already by process [0-9]+, .* --reentrant'
	expect 125 lock -s -- "$REPOLOCK" with-lock -s -r "$LOC" true
	expect 125 lock -- sh -c "$REPOLOCK with-lock -r '$LOC' true; exit \$?"
}

@test "--reentrant runs the command under the ancestor's lock" {
	expect 6 lock -- "$REPOLOCK" with-lock -r "$LOC" --reentrant -- \
		sh -c 'exit 6'
	expect 0 lock -- "$REPOLOCK" with-lock -s -r "$LOC" --reentrant -- true
	# Without such an ancestor it takes the lock as ever.
	expect 0 lock --reentrant -- sh -c 'echo $REPOLOCK_HELD_MODE'
	is exclusive "$output"
}

@test "an exclusive lock under an own shared one is always an error" {
	expect 125 lock -s -- "$REPOLOCK" with-lock --reentrant -r "$LOC" true
	has 'held shared by process'
}

@test "a lock taken in between does not hide the ancestor's" {
	mkdir "$T/other"
	uses "$T/other"
	expect 125 lock -- "$REPOLOCK" with-lock -r "$T/other" -- \
		"$REPOLOCK" with-lock -r "$LOC" true
	has "$LOC is held already"
	expect 0 lock -- "$REPOLOCK" with-lock -r "$T/other" -- \
		"$REPOLOCK" with-lock -r "$LOC" --reentrant true
}

@test "a nested call in a cleaned environment says that it waits for itself" {
	expect 123 lock -- env -i "PATH=$PATH" "$REPOLOCK" with-lock \
		-r "$LOC" -w 1 --progress always -- true
	has 'waiting .*this call is a part of that and waits for itself'
	has 'within 1s: .*waits for itself'
	# Nobody else is told so.
	locked one
	wait_until 'inside one'
	expect 123 lock -n -- true
	not has 'itself'
	release one
	finish one
}

# Asks below a lock on another place, while the holder of LOC is PID of a pid
# namespace of its own.
ask_below()
{
	local pid=$1
	start in unshare -pf --kill-child --mount-proc sh -c \
		'[ "$1" = 1 ] && shift && exec "$@"
		echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid
		shift; "$@"; exit $?' sh "$pid" \
		"$REPOLOCK" with-lock -r "$LOC" -- "$lib/job" in
	wait_until 'inside in'
	"$REPOLOCK" list-locks -r "$LOC" --json |
		jq -e --argjson pid "$pid" '.locks[0].pid == $pid'
	expect 123 "$REPOLOCK" with-lock --reentrant -n -r "$LOC" -- \
		touch "$T/ran"
	not has 'itself'
	[ ! -e "$T/ran" ]
	release in
	finish in
	is 0 "$status"
}

@test "a holder in a container is no ancestor, whatever its pid" {
	needs_root
	mkdir "$T/other"
	uses "$T/other"
	start out "$REPOLOCK" with-lock -r "$T/other" -- "$BASH" -c \
		'printenv >$T/out.env; : >$T/out.ready; exec "$T/sleep" 300'
	wait_until '[ -e "$T/out.ready" ]'
	# One that is above us here: this very shell.
	REPOLOCK_HELD_ID=$(sed -n 's/^REPOLOCK_HELD_ID=//p' "$T/out.env")
	REPOLOCK_HELD_PID=${PID[out]}
	export REPOLOCK_HELD_ID REPOLOCK_HELD_PID
	ask_below $$
	rm "$T"/in.*
	ask_below 1
	kill -TERM "${PID[out]}"
	finish out
}

@test "another name or location is no nesting" {
	expect 0 lock -- "$REPOLOCK" with-lock -r "$LOC" --name other true
	# The environment alone, without such an ancestor, proves nothing.
	locked one
	wait_until 'inside one'
	id=$("$REPOLOCK" list-locks -r "$LOC" --json | jq -r '.locks[0].id')
	REPOLOCK_HELD_ID=$id REPOLOCK_HELD_PID=${PID[one]} \
		expect 123 lock -n true
	has 'held by'
	release one
	finish one
}

# --- guidance --------------------------------------------------------------------

@test "a password in -r is told once, and masked for ps and everywhere" {
	expect 125 "$REPOLOCK" with-lock -r 'foo://me:secret@host/x' true
	has 'warning: a password in -r can be seen with ps'
	not grep -q secret <<<"$output"
	REPOLOCK_REPOSITORY='foo://me:secret@host/x' expect 125 \
		"$REPOLOCK" with-lock true
	not has 'warning'
	not grep -q secret <<<"$output"
}

# What is at PATH looks like a repository, which no program needs for this.
fake_restic()
{
	mkdir -p "$1"/{keys,locks,snapshots,index,data}
	: >"$1/config"
}

fake_borg()
{
	mkdir -p "$1/data"
	printf '[repository]\nversion = 1\n' >"$1/config"
}

@test "a lease on a restic or borg repository is pointed out on a terminal only" {
	fake_restic "$T/restic"
	fake_borg "$T/borg"
	expect 0 "$REPOLOCK" with-lock -r "$T/restic" true
	is '' "$output"
	terminal
	for kind in restic borg; do
		type "$REPOLOCK with-lock -r $T/$kind true"
		see "is a $kind repository: .*-r $kind:$T/$kind"
		prompt
		type "$REPOLOCK with-lock -q -r $T/$kind true; echo do''ne"
		see '^done'
		prompt
		not has_shown 'is a'
		type "$REPOLOCK with-lock -r lease:$T/$kind true; echo do''ne"
		see '^done'
		prompt
		not has_shown 'is a'
	done
	log_out
}

has_shown()
{
	shown | grep -qE -- "$1"
}

# COMMAND... under the real lock of a faked repository: refused at once.
keeps_itself_out()
{
	expect 125 "$REPOLOCK" with-lock "$@"
	has "$said"
}

@test "restic and borg under the exclusive lock of their own repository are refused" {
	[ -x "${REPOLOCK%/*}/repolock-native" ]
	fake_restic "$T/r"
	fake_borg "$T/b"
	mkdir "$T/bin"
	for name in restic borg; do
		printf '#!/bin/sh\necho ran\n' >"$T/bin/$name"
		chmod +x "$T/bin/$name"
	done
	PATH=$T/bin:$PATH
	said="^repolock: restic [bs][a-z]* would .*; take --shared, which lets \
it in, or the lease, -r $T/r"
	keeps_itself_out -r "restic:$T/r" -- restic -r "$T/r" backup /home
	keeps_itself_out -r "restic:$T/r" -- restic --repo="$T/r/" snapshots
	keeps_itself_out -r "restic:$T/r" -- nice restic backup -r "$T/r" /home
	keeps_itself_out -r "restic:$T/r" -c "restic -r $T/r backup /home"
	RESTIC_REPOSITORY=$T/r keeps_itself_out -r restic: -- restic backup /
	said="takes the exclusive lock itself .* the lease, -r $T/r"
	keeps_itself_out -s -r "restic:$T/r" -- restic -r "$T/r" prune
	said="takes the exclusive lock itself .* the lease, -r $T/b"
	keeps_itself_out -r "borg:$T/b" -- borg create "$T/b::a" /home
	keeps_itself_out -s -r "borg:$T/b" -- borg create "$T/b::a" /home
	BORG_REPO=$T/b keeps_itself_out -r "borg:$T/b" -- borg prune -v
	said="take --shared, which lets it in, or the lease, -r $T/b"
	keeps_itself_out -r "borg:$T/b" -- borg list "$T/b"
}
