# SPDX-License-Identifier: BSD-2-Clause
#
# borg:REPOSITORY beside the real borg 1, and borg 2 as far as its objects go.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common
load lib/borg

# What stands there of locks, without the pid that tells one from another.
shape_of_lock()
{
	(cd "$REPO" && find . -path './lock*' -printf '%p %m %y\n' | sort
		cat lock.roster) |
		sed -E 's/\.[0-9]+-0/.PID-0/; s/", [0-9]+, 0\]/", PID, 0]/'
}

# An archive that is too big to be written into a pipe nobody reads.
make_archive()
{
	head -c 3000000 /dev/urandom |
		borg create --stdin-name big "$REPO::big" -
}

# A real borg that holds its shared lock until `let_go NAME`.
borg_reads()
{
	mkfifo "$T/$1.fifo"
	start "$1" sh -c 'exec borg extract --stdout "$0::big" >"$1"' \
		"$REPO" "$T/$1.fifo"
	exec 7<"$T/$1.fifo"
	wait_until 'grep -q shared "$REPO/lock.roster" 2>/dev/null'
}

# A real borg that holds its exclusive lock until `let_go NAME`.
borg_writes()
{
	mkfifo "$T/$1.fifo"
	STDIN=/dev/null start "$1" sh -c \
		'exec borg create "$0::new" - <"$1"' "$REPO" "$T/$1.fifo"
	exec 7>"$T/$1.fifo"
	wait_until '[ -e "$REPO/lock.exclusive" ]'
}

let_go()
{
	exec 7>&- 7<&-
	wait_until "gone ${PID[$1]}"
}

held_by_us()
{
	wait_until "inside $1"
}

# --- on disk ------------------------------------------------------------------

@test "borg: an exclusive lock is on disk what borg with-lock makes" {
	mkfifo "$T/end"
	start theirs borg with-lock "$REPO" sh -c ': >"$1"; cat "$2"' sh \
		"$T/theirs.inside" "$T/end"
	held_by_us theirs
	wanted=$(shape_of_lock)
	: >"$T/end"
	finish theirs
	locked ours
	held_by_us ours
	is "$wanted" "$(shape_of_lock)"
	release ours
	finish ours
	is 0 "$status"
	nothing_locked
}

@test "borg: a shared lock is on disk what a reading borg makes" {
	make_archive
	borg_reads theirs
	wanted=$(shape_of_lock)
	let_go theirs
	wait_until '[ ! -e "$REPO/lock.roster" ]'
	locked ours --shared
	held_by_us ours
	is "$wanted" "$(shape_of_lock)"
	release ours
	finish ours
	nothing_locked
}

@test "borg: nothing of the repository is changed but the lock" {
	contents()
	{
		(cd "$REPO" && find . -type f -exec sha256sum {} + -printf \
			'%p %m %s %T@\n' | sort)
	}
	before=$(contents)
	expect 0 "$REPOLOCK" with-lock -r "$LOC" true
	expect 0 "$REPOLOCK" with-lock -r "$LOC" --shared true
	is "$before" "$(contents)"
	nothing_locked
}

# --- borg against ours --------------------------------------------------------

@test "borg: an exclusive lock of ours keeps every borg out" {
	make_archive
	locked ours
	held_by_us ours
	expect 2 borg create --lock-wait 0 "$REPO::x" "$T/base"
	has 'lock.exclusive'
	expect 2 borg list --lock-wait 0 "$REPO"
	expect 2 borg with-lock --lock-wait 0 "$REPO" true
	release ours
	finish ours
	expect 0 borg list "$REPO"
}

@test "borg: a shared lock of ours lets borg read and keeps it from writing" {
	make_archive
	locked ours --shared
	held_by_us ours
	expect 0 borg list --lock-wait 0 "$REPO"
	expect 2 borg create --lock-wait 0 "$REPO::x" "$T/base"
	expect 2 borg prune --lock-wait 0 --keep-last 1 "$REPO"
	release ours
	finish ours
	is 0 "$status"
	expect 0 borg create --lock-wait 0 "$REPO::x" "$T/base"
}

@test "borg: a borg that writes keeps us out, and we come when it has ended" {
	borg_writes theirs
	expect 123 "$REPOLOCK" with-lock -n -r "$LOC" true
	expect 123 "$REPOLOCK" with-lock -n -r "$LOC" --shared true
	locked ours 7>&-
	never 'inside ours' 0.3
	let_go theirs
	held_by_us ours
	release ours
	finish ours
	is 0 "$status"
}

@test "borg: a borg that reads lets our shared lock in and no exclusive one" {
	make_archive
	borg_reads theirs
	expect 0 "$REPOLOCK" with-lock -n -r "$LOC" --shared true
	expect 123 "$REPOLOCK" with-lock -n -r "$LOC" true
	locked ours 7>&-
	never 'inside ours' 0.3
	let_go theirs
	held_by_us ours
	release ours
	finish ours
	is 0 "$status"
}

@test "borg: many of both kinds and modes, and never an overlap" {
	cat >"$T/turn" <<'TURN'
#!/bin/sh
# turn x|s: kernel locks of the same kinds must all be free here.
exec 9>>"$T/record"
flock -n "-$1" 9 || echo "$1 $$" >>"$T/overlap"
sleep 0.02
echo "$1" >>"$T/turns"
TURN
	chmod +x "$T/turn"
	for i in 1 2 3 4; do
		start "theirs$i" sh -c \
			'until borg with-lock --lock-wait 2 "$1" "$2" x; do :; done' \
			sh "$REPO" "$T/turn"
	done
	for i in 1 2 3 4 5 6; do
		start "x$i" "$REPOLOCK" with-lock -r "$LOC" -- "$T/turn" x
		start "s$i" "$REPOLOCK" with-lock -r "$LOC" -s -- "$T/turn" s
		start "S$i" "$REPOLOCK" with-lock -r "$LOC" -s -- "$T/turn" s
	done
	for name in "${!PID[@]}"; do
		finish "$name" 90
		is 0 "$status"
	done
	no_overlap
	is 22 "$(wc -l <"$T/turns")"
	nothing_locked
}

@test "borg: borg's own lock code and ours, many turns without overlap" {
	"$lib/borg_locks.py" --import 2>/dev/null || skip "not Debian's borg"
	cat >"$T/turns" <<'TURNS'
#!/bin/bash
# turns MODE COUNT: with ours.
for ((i = 0; i < $2; i++)); do
	"$REPOLOCK" with-lock -q "-$1" -r "$LOC" -- flock -n "-$1" "$T/record" \
		sh -c 'sleep 0.002; echo ours >>"$1"' sh "$T/record" ||
		echo "ours $1" >>"$T/overlap"
done
TURNS
	chmod +x "$T/turns"
	for i in 1 2; do
		for mode in x s; do
			start "borg$mode$i" "$lib/borg_locks.py" "$REPO" $mode 12 \
				"$T/record" "$T/overlap"
			start "ours$mode$i" "$T/turns" $mode 6
		done
	done
	for name in "${!PID[@]}"; do
		finish "$name" 120
		is 0 "$status"
		is '' "$output"
	done
	no_overlap
	is 48 "$(grep -c borg "$T/record")"
	is 24 "$(grep -c ours "$T/record")"
	nothing_locked
}

# --- losses and the dead ------------------------------------------------------

@test "borg: break-lock on ours ends the command at once, exit 122" {
	for mode in --exclusive --shared; do
		rm -f "$T"/ours.*
		locked ours $mode
		held_by_us ours
		sleep 0.2 # until removals are watched for
		borg break-lock "$REPO"
		finish ours
		is 122 "$status"
		has 'lock was lost|lost'
		nothing_locked
	done
}

@test "borg: the lock of a borg that was killed is cleared by ours" {
	start theirs borg with-lock "$REPO" sh -c 'echo $$ >"$1"; exec "$2" 60' \
		sh "$T/theirs.pid" "$T/sleep"
	job=$(pid_in theirs.pid)
	kill -KILL "${PID[theirs]}"
	kill -KILL "$job"
	wait_until "gone ${PID[theirs]}"
	[ -e "$REPO/lock.exclusive" ]
	expect 123 "$REPOLOCK" with-lock -n --break-stale none -r "$LOC" true
	expect 0 "$REPOLOCK" with-lock -n -r "$LOC" true
	nothing_locked
}

@test "borg: what a killed keeper left is cleared by ours and by borg" {
	for next in ours borg; do
		rm -f "$T"/dead.*
		locked dead
		held_by_us dead
		kill -KILL "$(keeper_of dead)"
		finish dead
		gone "$(command_of dead)"
		[ -e "$REPO/lock.exclusive" ]
		if [ $next = ours ]; then
			expect 0 "$REPOLOCK" with-lock -n -r "$LOC" true
		else
			expect 0 borg list --lock-wait 5 "$REPO"
			has 'Killed stale lock'
		fi
	done
	nothing_locked
}

# --- the administrator --------------------------------------------------------

@test "borg: list-locks shows whose locks there are, by scheme and bare path" {
	borg_writes theirs
	pid=$(tree_of "${PID[theirs]}" | tail -n 1)
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	has "exclusive +held +$(hostname) +$pid"
	expect 0 "$REPOLOCK" list-locks -r "$REPO"
	has "exclusive +held"
	expect 2 "$REPOLOCK" list-locks --exit-code -r "$LOC"
	let_go theirs
	expect 0 "$REPOLOCK" list-locks --exit-code -r "$LOC"
}

@test "borg: unlock breaks what is proved stale and leaves what lives" {
	locked ours
	held_by_us ours
	expect 0 "$REPOLOCK" unlock -r "$LOC"
	inside ours
	expect 0 "$REPOLOCK" with-lock -n -r "flock:$T/f" true
	[ -e "$REPO/lock.exclusive" ]
	kill -KILL "$(keeper_of ours)"
	finish ours
	[ -e "$REPO/lock.exclusive" ]
	expect 0 "$REPOLOCK" unlock --dry-run -r "$LOC"
	[ -e "$REPO/lock.exclusive" ]
	expect 0 "$REPOLOCK" unlock -r "$LOC"
	nothing_locked
}

@test "borg: unlock --force --all removes what nobody can read, and litter" {
	mkdir "$REPO/lock.exclusive" "$REPO/lock.exclusive.abcdefgh.tmp"
	: >"$REPO/lock.exclusive/.nfs000001"
	: >"$REPO/lock.roster"
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	has unreadable
	expect 123 "$REPOLOCK" with-lock -n -r "$LOC" true
	expect 0 "$REPOLOCK" unlock -r "$LOC"
	[ -e "$REPO/lock.exclusive/.nfs000001" ]
	expect 0 "$REPOLOCK" unlock --force --all --yes -r "$LOC"
	nothing_locked
}

@test "borg: the command is told the id that list-locks shows" {
	expect 0 "$REPOLOCK" with-lock -r "$LOC" -- sh -c \
		'echo "$REPOLOCK_HELD_ID"; "$0" list-locks -r "$1" --json' \
		"$REPOLOCK" "$LOC"
	id=$(head -n 1 <<<"$output")
	[ ${#id} -ge 8 ]
	has "\"id\": ?\"$id\""
}

# --- where it cannot work -----------------------------------------------------

@test "borg: wrapping borg in its own exclusive lock is refused at once" {
	expect 125 "$REPOLOCK" with-lock -r "$LOC" -- borg create "$REPO::x" /etc
	has '--shared|lease'
	nothing_locked
	expect 0 "$REPOLOCK" with-lock -r "$LOC" --shared -- borg list "$REPO"
}

@test "borg: a bare borg: takes BORG_REPO" {
	BORG_REPO=$REPO expect 0 "$REPOLOCK" with-lock -r borg: true
	expect 125 "$REPOLOCK" with-lock -r borg: true
	has BORG_REPO
}

@test "borg: bad repositories are one sentence, exit 125" {
	expect 125 "$REPOLOCK" with-lock -r "borg:$T/missing" true
	has 'missing'
	mkdir "$T/plain"
	expect 125 "$REPOLOCK" with-lock -r "borg:$T/plain" true
	has 'not a borg repository'
	is '' "$(ls "$T/plain")"
	expect 125 "$REPOLOCK" with-lock -r borg:ssh://host/repo true
	has 'local path'
	sed -i 's/^version = 1/version = 7/' "$REPO/config"
	expect 125 "$REPOLOCK" with-lock -r "$LOC" true
	has 'version 7;'
	nothing_locked
}

@test "borg: no right to write is one sentence, exit 125" {
	[ "$(id -u)" = 0 ] || skip "needs root to be somebody else"
	chmod 755 "$T" "$REPO"
	chmod 644 "$REPO/config"
	expect 125 setpriv --reuid 65534 --clear-groups "$REPOLOCK" with-lock \
		-r "$LOC" true
	has 'permission denied'
	nothing_locked
}

@test "borg: a read-only file system is one sentence, exit 125" {
	[ "$(id -u)" = 0 ] || skip "needs root to mount"
	unshare -m true 2>/dev/null || skip "no mounts here"
	expect 125 unshare -m sh -c 'mount --bind "$1" "$1" &&
		mount -o remount,ro,bind "$1" && exec "$2" with-lock -r "$3" true' \
		sh "$REPO" "$REPOLOCK" "$LOC"
	has 'read-only'
	nothing_locked
}

@test "borg: a host without a lasting id is warned about, once set it is not" {
	unshare -n true 2>/dev/null || skip "no network namespaces here"
	expect 0 unshare -n "$REPOLOCK" with-lock -r "$LOC" true
	has 'set BORG_HOST_ID'
	BORG_HOST_ID=x expect 0 unshare -n "$REPOLOCK" with-lock -r "$LOC" true
	is '' "$output"
	nothing_locked
}

@test "borg: a lock that lives in a container is not called dead" {
	[ "$(id -u)" = 0 ] || skip "needs root for a pid namespace"
	# Under a pid that does not exist out here.
	start inner unshare -pf --mount-proc sh -c \
		'echo 31000 >/proc/sys/kernel/ns_last_pid; exec "$@"' sh \
		"$REPOLOCK" with-lock -r "$LOC" -- "$lib/job" inner
	held_by_us inner
	not kill -0 "$(find "$REPO/lock.exclusive" -type f | sed 's/.*\.//; s/-0$//')"
	expect 123 "$REPOLOCK" with-lock -n -r "$LOC" true
	expect 0 "$REPOLOCK" unlock -r "$LOC"
	[ -e "$REPO/lock.exclusive" ]
	release inner
	finish inner
	is 0 "$status"
	nothing_locked
}

# --- borg 2 -------------------------------------------------------------------

make_borg2()
{
	REPO=$T/repo2
	LOC=borg:$REPO
	mkdir -p "$REPO/config" "$REPO/locks" "$REPO/packs"
	printf 'This is a Borg Backup repository.\nSee https://borgbackup.readthedocs.io/\n' \
		>"$REPO/config/readme"
	printf 4 >"$REPO/config/version"
}

@test "borg 2: an object is byte for byte what Python would write" {
	make_borg2
	locked ours
	held_by_us ours
	expect 0 python3 - "$REPO/locks" "$(keeper_of ours)" <<'PYTHON'
import datetime, hashlib, json, os, socket, sys, uuid
[name] = os.listdir(sys.argv[1])
data = open(os.path.join(sys.argv[1], name), "rb").read()
assert name == hashlib.sha256(data).hexdigest()
lock = json.loads(data)
assert json.dumps(lock).encode() == data
assert list(lock) == ["exclusive", "hostid", "processid", "threadid", "time"]
assert lock["exclusive"] is True and lock["processid"] == int(sys.argv[2])
host = socket.gethostname()
try:
    host = socket.getaddrinfo(host, None, 0, socket.SOCK_DGRAM, 0,
                              socket.AI_CANONNAME)[0][3]
except socket.gaierror:
    pass # no name service knows us, as in a chroot
assert lock["hostid"] == f"{host}@{uuid.getnode()}", lock["hostid"]
time = datetime.datetime.fromisoformat(lock["time"])
assert time.isoformat(timespec="milliseconds") == lock["time"]
now = datetime.datetime.now(datetime.timezone.utc)
assert abs((now - time).total_seconds()) < 60
PYTHON
	release ours
	finish ours
	is 0 "$status"
	is '' "$(ls "$REPO/locks")"
}

@test "borg 2: an object that is removed ends the command, exit 122" {
	make_borg2
	locked ours --shared
	held_by_us ours
	sleep 0.2 # until removals are watched for
	rm "$REPO"/locks/*
	finish ours
	is 122 "$status"
	is '' "$(ls "$REPO/locks")"
}

@test "borg 2: an exclusive lock waits for the readers and keeps new ones out" {
	make_borg2
	locked reader --shared
	held_by_us reader
	start writer "$REPOLOCK" with-lock -r "$LOC" -- true
	wait_until '[ "$(ls "$REPO/locks" | wc -l)" = 2 ]'
	expect 123 "$REPOLOCK" with-lock -n -r "$LOC" --shared true
	alive "${PID[writer]}"
	release reader
	finish reader
	finish writer
	is 0 "$status"
	is '' "$(ls "$REPO/locks")"
}
