# SPDX-License-Identifier: BSD-2-Clause
#
# restic:REPOSITORY beside the real restic, as users meet it. How the lock
# itself behaves is told by check_restic.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common
load lib/terminal

setup_file()
{
	command -v restic >/dev/null || return 0
	export RESTIC_PASSWORD=geheim RESTIC_CACHE_DIR=$BATS_FILE_TMPDIR/cache
	unset RESTIC_PASSWORD_FILE RESTIC_PASSWORD_COMMAND RESTIC_KEY_HINT \
		RESTIC_REPOSITORY RESTIC_REPOSITORY_FILE
	restic init -q -r "$BATS_FILE_TMPDIR/repo"
}

setup()
{
	command -v restic >/dev/null || skip "there is no restic"
	common_setup
	REPO=$T/repo
	cp -a "$BATS_FILE_TMPDIR/repo" "$REPO"
	LOC=restic:$REPO
}

teardown()
{
	common_teardown
}

locks()
{
	find "$REPO/locks" -type f -printf '%f\n'
}

nothing_locked()
{
	is '' "$(locks)"
}

# COMMAND... finds the lock held: 11 since restic 0.17, which 1 was before.
locked_out()
{
	local code=1
	[[ $(restic version) =~ ^restic\ 0\.(9|1[0-6])\. ]] || code=11
	expect $code "$@"
}

# A real restic that holds its shared lock until `let_go NAME`.
backup_runs()
{
	mkfifo "$T/$1.fifo"
	STDIN=/dev/null start "$1" sh -c 'exec restic -r "$0" backup --stdin \
		--stdin-filename data <"$1"' "$REPO" "$T/$1.fifo"
	exec 7>"$T/$1.fifo"
	wait_until '[ -n "$(find "$REPO/locks" -name "????????????????????????*" \
		! -name "*-tmp-*")" ]'
	# It reads when it is sure of its lock.
	head -c 65536 /dev/zero >&7
	echo >&7
}

let_go()
{
	exec 7>&-
	finish "$1" 60
}

holds()
{
	wait_until "inside $1" 30
}

# --- holding ------------------------------------------------------------------

@test "restic: our exclusive lock keeps restic out until the command ends" {
	locked a -x
	holds a
	locked_out restic -r "$REPO" snapshots
	has 'already locked exclusively by PID '"$(keeper_of a)"
	is "$(locks)" "$(restic -q -r "$REPO" list locks)"
	release a
	finish a
	is 0 "$status"
	nothing_locked
	expect 0 restic -r "$REPO" snapshots
}

@test "restic: our shared lock lets backup in and keeps prune out" {
	expect 0 lock -s -- sh -c '
		restic -q -r "$0" backup /etc/hostname || exit 5
		restic -q -r "$0" prune && exit 6
		exit 0' "$REPO"
	nothing_locked
}

@test "restic: success is silent, and the command is told what is held" {
	expect 0 lock -- sh -c '
		restic -q -r "$0" list locks >"$1/list"
		ls "$0/locks" >"$1/file"
		env | grep ^REPOLOCK_HELD >"$1/held"' "$REPO" "$T"
	is '' "$output"
	is "$(cat "$T/file")" "$(cat "$T/list")"
	grep -qx REPOLOCK_HELD_MODE=exclusive "$T/held"
	# Not the file's name, which changes, but what is in it for good.
	grep -qxE 'REPOLOCK_HELD_ID=[0-9a-f]{32}' "$T/held"
}

@test "restic: a running backup is told as the one in the way" {
	backup_runs b
	expect 123 lock -n -- true
	has "shared by .*pid ${PID[b]}"
	expect 0 lock -s -n -- true
	let_go b
	is 0 "$status"
	expect 0 lock -n -- true
	nothing_locked
}

@test "restic: an exclusive request waits for a backup, and newcomers for it" {
	backup_runs b
	locked a -v 7>&-
	wait_until '[ "$(locks | wc -l)" = 2 ]' 30
	locked_out restic -r "$REPO" backup /etc/hostname
	has 'already locked exclusively'
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	has 'shared +held'
	has 'exclusive +waiting'
	not inside a
	let_go b
	is 0 "$status"
	holds a
	release a
	finish a
	is 0 "$status"
	nothing_locked
}

@test "restic: a waiter that is interrupted withdraws its lock" {
	backup_runs b
	start a "$REPOLOCK" with-lock -r "$LOC" -- touch "$T/ran" 7>&-
	wait_until '[ "$(locks | wc -l)" = 2 ]' 30
	kill -INT "${PID[a]}"
	finish a
	is 130 "$status"
	is 1 "$(locks | wc -l)"
	not test -e "$T/ran"
	let_go b
}

@test "restic: many of both kinds and modes, and never an overlap" {
	cat >"$T/turn" <<'TURN'
#!/bin/sh
# turn x|s: kernel locks of the same kinds must all be free here.
exec 9>>"$T/record"
flock -n "-$1" 9 || echo "$1 $$" >>"$T/overlap"
# Longer than it takes to place a lock and look again.
[ "$1" = x ] && sleep 0.05 || sleep 0.6
echo "$1" >>"$T/turns"
TURN
	# More than a pipe holds: who could write it has a reader, and restic
	# reads when it has its lock. It goes on until the pipe is closed.
	cat >"$T/backup" <<'BACKUP'
#!/bin/bash
set -o pipefail
until { head -c 300000 /dev/zero && "$T/turn" s; } 2>/dev/null |
	restic -q -r "$1" backup --stdin 2>/dev/null; do
	sleep "0.$((RANDOM % 5))"
done
BACKUP
	chmod +x "$T/turn" "$T/backup"
	export T
	for i in 1 2 3 4; do
		STDIN=/dev/null start "theirs$i" "$T/backup" "$REPO"
	done
	for i in 1 2 3 4 5 6 7 8; do
		start "x$i" "$REPOLOCK" with-lock -r "$LOC" -- "$T/turn" x
		start "s$i" "$REPOLOCK" with-lock -r "$LOC" -s -- "$T/turn" s
	done
	for name in "${!PID[@]}"; do
		finish "$name" 120
		is 0 "$status"
	done
	not test -e "$T/overlap"
	is 8 "$(grep -c x "$T/turns")"
	[ "$(grep -c s "$T/turns")" -ge 12 ]
	nothing_locked
}

# --- what restic does to it ---------------------------------------------------

@test "restic: restic unlock harms neither the keeper nor the lock" {
	locked a
	holds a
	expect 0 restic -r "$REPO" unlock
	alive "$(keeper_of a)"
	is 1 "$(locks | wc -l)"
	locked_out restic -r "$REPO" snapshots
	release a
	finish a
	is 0 "$status"
}

@test "restic: restic unlock --remove-all ends the command in time" {
	locked a
	holds a
	expect 0 restic -r "$REPO" unlock --remove-all
	finish a
	is 122 "$status"
	has 'removed by somebody'
	nothing_locked
}

@test "restic: a keeper that was killed leaves a lock that the next one clears" {
	locked a
	holds a
	kill -KILL "$(keeper_of a)"
	finish a
	not is 0 "$status"
	is 1 "$(locks | wc -l)"
	locked_out restic -r "$REPO" backup /etc/hostname
	expect 123 lock -n --break-stale none -- true
	expect 0 lock -n -- true
	nothing_locked
}

# --- list and unlock ----------------------------------------------------------

@test "restic: list-locks and unlock tell a live lock from a dead one" {
	backup_runs b
	id=$(locks)
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	has "^${id:0:8} +shared +held +[^ ]+ +${PID[b]} "
	expect 1 "$REPOLOCK" list-locks --exit-code -r "$LOC"
	# A bare path that is a repository shows the same.
	expect 0 "$REPOLOCK" list-locks -r "$REPO"
	has "^${id:0:8} +shared"
	expect 1 "$REPOLOCK" unlock -r "$LOC" "${id:0:8}"
	has 'is alive'
	is "$id" "$(locks)"
	kill -KILL "${PID[b]}"
	let_go b
	expect 0 "$REPOLOCK" unlock -r "$LOC" --dry-run
	is "$id" "$(locks)"
	expect 0 "$REPOLOCK" unlock -r "$LOC"
	has 'broke .*is gone'
	nothing_locked
	expect 0 "$REPOLOCK" list-locks --exit-code -r "$LOC"
}

@test "restic: unlock --force breaks a live lock, and its command is ended" {
	locked a
	holds a
	id=$(locks)
	expect 1 "$REPOLOCK" unlock -r "$LOC" "${id:0:10}"
	expect 0 "$REPOLOCK" unlock -r "$LOC" --force --yes "${id:0:10}"
	finish a
	is 122 "$status"
	nothing_locked
}

@test "restic: what cannot be read is respected, shown, and broken by force" {
	id=$(printf '%064x' 77)
	echo nonsense >"$REPO/locks/$id"
	expect 125 lock -- touch "$T/ran"
	has 'lock 00000000 cannot be read'
	has 'repolock unlock'
	not test -e "$T/ran"
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	has 'unreadable'
	expect 1 "$REPOLOCK" unlock -r "$LOC" "$id"
	expect 0 "$REPOLOCK" unlock -r "$LOC" --force --yes "$id"
	nothing_locked
	expect 0 lock -- true
}

# --- opening ------------------------------------------------------------------

@test "restic: a wrong password is told, and nothing is changed" {
	RESTIC_PASSWORD=falsch expect 125 lock -- touch "$T/ran"
	has 'wrong password'
	not has falsch
	not test -e "$T/ran"
	nothing_locked
}

@test "restic: without a password and a terminal the sources are named" {
	unset RESTIC_PASSWORD
	expect 125 setsid "$REPOLOCK" with-lock -r "$LOC" -- true </dev/null
	has RESTIC_PASSWORD_FILE
	nothing_locked
}

@test "restic: a password is asked for on the terminal, and not shown" {
	unset RESTIC_PASSWORD
	terminal
	type "$REPOLOCK with-lock -r $LOC -- echo in''side"
	see 'enter password for repository: $' 20
	type falsch
	see 'enter password for repository: $' 20
	type geheim
	see '^inside' 30
	prompt
	not grep -q geheim "$T/terminal.log"
	is 0 "$(status)"
}

@test "restic: command and file give the password" {
	unset RESTIC_PASSWORD
	echo geheim >"$T/file"
	RESTIC_PASSWORD_FILE=$T/file expect 0 lock -- true
	RESTIC_PASSWORD_COMMAND="cat '$T/file'" expect 0 lock -- true
	RESTIC_PASSWORD_COMMAND="sh -c 'exit 3'" expect 125 lock -- true
	has 'RESTIC_PASSWORD_COMMAND.*status 3'
	export RESTIC_PASSWORD_FILE=$T/file
	RESTIC_PASSWORD_COMMAND=x expect 125 lock -- true
	has 'only one'
}

@test "restic: bare restic: takes the repository from the environment" {
	echo "$REPO" >"$T/where"
	expect 125 "$REPOLOCK" with-lock -r restic: -- true
	has RESTIC_REPOSITORY
	RESTIC_REPOSITORY=$REPO expect 0 "$REPOLOCK" with-lock -r restic: -- true
	RESTIC_REPOSITORY_FILE=$T/where \
		expect 0 "$REPOLOCK" with-lock -r restic: -- true
	export RESTIC_REPOSITORY_FILE=$T/where
	RESTIC_REPOSITORY=$REPO \
		expect 125 "$REPOLOCK" with-lock -r restic: -- true
	has 'only one'
	expect 0 "$REPOLOCK" with-lock -r "restic:local:$REPO" -- true
}

@test "restic: other backends are told with what works" {
	for place in sftp:u@h:/x rest:https://h/ s3:https://h/b b2:b:p; do
		expect 125 "$REPOLOCK" with-lock -r "restic:$place" -- true
		has "restic's ${place%%:*}:"
		has restic:PATH
	done
	expect 125 "$REPOLOCK" with-lock -r "restic:$T" -- true
	has 'no restic repository'
	printf '[repository]\nversion = 1\n' >"$T/config"
	expect 125 "$REPOLOCK" with-lock -r "restic:$T" -- true
	has "is a borg repository; its lock is borg:$T"
}

@test "restic: a nested call is told, or goes on with --reentrant" {
	expect 125 lock -- "$REPOLOCK" with-lock -r "$LOC" -- true
	expect 0 lock -- "$REPOLOCK" with-lock --reentrant -r "$LOC" -- \
		touch "$T/ran"
	test -e "$T/ran"
	nothing_locked
}

@test "restic: restic under our exclusive lock is told before anything is" {
	expect 125 lock -- restic -r "$REPO" backup /etc/hostname
	has '--shared'
	nothing_locked
	expect 0 lock -s -- restic -q -r "$REPO" backup /etc/hostname
	# restic passes over --no-lock when it writes.
	expect 125 lock -- restic "-r$REPO" backup --no-lock /etc/hostname
	has '--shared'
	expect 125 lock -s -- restic -r "$REPO" prune --no-lock
	expect 125 lock -s -- restic -r "$REPO" rewrite --forget
	has 'takes the exclusive lock itself'
	nothing_locked
	expect 0 lock -- restic -q -r "$REPO" snapshots --no-lock
}

@test "restic: a repository that the group may read has locks that it may" {
	chmod g+r "$REPO/config"
	expect 0 lock -- sh -c 'stat -c %a "$0"/locks/*' "$REPO"
	is 440 "$output"
	chmod g-r "$REPO/config"
	expect 0 lock -- sh -c 'stat -c %a "$0"/locks/*' "$REPO"
	is 400 "$output"
}
