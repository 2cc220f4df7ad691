# SPDX-License-Identifier: BSD-2-Clause
#
# The lock is lost, or may be: the command is dead in time, and whoever called
# knows it by the exit code.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

teardown()
{
	thaw
	[ -z "${MOUNTED-}" ] || umount -l "$MOUNTED"
	common_teardown
}

remove_claim()
{
	rm "$LOC"/.repolock/default/x.*
}

# NAME [SECONDS]: milliseconds from $begun until its command is gone.
until_gone()
{
	wait_until "gone $(command_of "$1")" "${2-}" >&2 || return
	echo $(($(milliseconds) - begun))
}

# The keeper watches its claim; it begins to when the command has run for a
# moment. A user can have few inotify instances, which jobs beside may use up.
watches()
{
	find "/proc/$(keeper_of "$1")/fd" -lname '*inotify*' 2>/dev/null | grep -q .
}

@test "a claim that is removed ends the command at once" {
	local i
	for i in 1 2 3 4 5 6 7 8; do
		locked a --ttl 10m
		wait_until 'inside a'
		! wait_until 'watches a' 2 || break
		release a
		finish a
		rm "$T"/a.*
	done
	remove_claim
	# A refresh would be minutes away.
	finish a
	is 122 $status
	has '^repolock: .*lost'
}

@test "a claim that is removed right after the start is noticed, too" {
	locked a --ttl 12s
	wait_until 'inside a'
	begun=$(milliseconds)
	remove_claim
	[ "$(until_gone a)" -le 12000 ]
	finish a
	is 122 $status
}

@test "a lost lock is told by --lost-exit-code" {
	locked a --ttl 2s --lost-exit-code 72
	wait_until 'inside a'
	sleep 0.3
	remove_claim
	finish a
	is 72 $status
}

@test "after a loss one that ignores SIGTERM is killed after the grace" {
	locked a stubborn --ttl 30s --kill-after 0.5s
	wait_until 'inside a'
	sleep 0.3
	begun=$(milliseconds)
	remove_claim
	took=$(until_gone a)
	echo "took $took ms"
	[ "$took" -ge 500 ] && [ "$took" -le 30000 ]
	finish a
	is 122 $status
}

@test "a command that cleans up after SIGTERM has the grace for it" {
	start a "$REPOLOCK" with-lock -r "$LOC" --ttl 8s \
		--kill-after 5s -- sh -c '
		trap "sleep 0.3; : >$T/cleaned; exit 0" TERM
		echo $$ >$T/a.pid; : >$T/a.inside
		while :; do sleep 0.05; done'
	wait_until 'inside a'
	sleep 0.3
	remove_claim
	finish a
	is 122 $status
	[ -e "$T/cleaned" ]
}

@test "--on-lost kill gives no grace" {
	locked a slow --ttl 6s --on-lost kill --kill-after 5s
	wait_until 'inside a'
	sleep 0.3
	remove_claim
	wait_until 'gone $(command_of a)'
	finish a
	is 122 $status
	not test -e "$T/a.stopping"
}

@test "a daemon of the command is ended by a loss as well" {
	locked a parent --ttl 2s
	wait_until 'inside a'
	daemon=$(pid_in a.daemon)
	sleep 0.3
	remove_claim
	finish a
	is 122 $status
	gone "$daemon"
}

@test "a command stopped by its user is ended by a loss" {
	locked a --ttl 2s
	wait_until 'inside a'
	kill -STOP "$(command_of a)"
	sleep 0.3
	remove_claim
	wait_until 'gone $(command_of a)'
	finish a
	is 122 $status
}

@test "a location that is removed while held is a loss" {
	locked a --ttl 12s
	wait_until 'inside a'
	sleep 0.3
	begun=$(milliseconds)
	rm -r "$LOC"
	[ "$(until_gone a)" -le 12000 ]
	finish a
	is 122 $status
	mkdir "$LOC"
}

@test "a location that is replaced while held is a loss" {
	locked a --ttl 3s
	wait_until 'inside a'
	sleep 0.3
	mv "$LOC" "$LOC.old"
	mkdir "$LOC"
	wait_until 'gone $(command_of a)'
	finish a
	is 122 $status
	is_free
}

@test "a lock directory that is moved away while held is noticed at once" {
	locked a --ttl 60s
	wait_until 'inside a'
	sleep 0.3
	mv "$LOC/.repolock" "$T/old"
	wait_until 'gone $(command_of a)'
	finish a
	is 122 $status
	is_free
}

# --- file systems that fail ----------------------------------------------

# Makes $LOC a file system of its own, on a file. $1: its size.
mount_location()
{
	needs_root
	truncate -s "$1" "$T/image"
	mkfs.ext4 -q -N 64 "$T/image" 2>/dev/null
	mount -o loop,errors=remount-ro "$T/image" "$LOC" 2>/dev/null ||
		skip 'kernel: no file system can be mounted here'
	MOUNTED=$LOC
	rmdir "$LOC/lost+found"
}

freeze()
{
	fsfreeze -f "$LOC"
	FROZEN=$LOC
}

# A thread of its keeper is in a call that does not come back.
hangs()
{
	grep -qs '^State:.D' /proc/"$(keeper_of "$1")"/task/*/status
}

thaw()
{
	[ -z "${FROZEN-}" ] || fsfreeze -u "$FROZEN"
	FROZEN=
}

@test "a refresh that hangs for ever does not outlive the lease" {
	mount_location 8M
	locked a --ttl 6s
	wait_until 'inside a'
	sleep 0.3
	begun=$(milliseconds)
	freeze
	took=$(until_gone a)
	echo "took $took ms"
	[ "$took" -le 6000 ]
	# The front ends, though the keeper cannot.
	finish a
	is 122 $status
	thaw
	wait_until is_free
}

@test "a refresh that hangs for a moment harms nothing" {
	mount_location 8M
	locked a --ttl 12s
	wait_until 'inside a'
	# Until the first refresh, at a third of the term.
	freeze
	wait_until 'hangs a'
	thaw
	never 'gone $(command_of a)' 3
	release a
	finish a
	is 0 $status
}

@test "a release that hangs is given up when it is told to" {
	mount_location 8M
	locked a --ttl 2s
	wait_until 'inside a'
	freeze
	release a
	wait_until 'gone $(command_of a)'
	# One that comes in the instant of its end is still the command's.
	wait_until 'hangs a'
	sleep 0.3
	kill -TERM "${PID[a]}"
	finish a
	is 0 $status
	has 'could not be removed'
	not grep -q 'still runs' "$T/a.err"
	thaw
	wait_until is_free
}

@test "a file system that turns read-only while held ends the command in time" {
	mount_location 8M
	locked a --ttl 8s
	wait_until 'inside a'
	begun=$(milliseconds)
	# As it does by itself after an error.
	device=$(findmnt -no SOURCE "$LOC")
	echo 1 >"/sys/fs/ext4/${device##*/}/trigger_fs_error"
	not touch "$LOC/file"
	[ "$(until_gone a)" -le 8000 ]
	finish a
	is 122 $status
	umount -l "$LOC"
	MOUNTED=
}

@test "a full file system refuses the lock with a reason, and leaves nothing" {
	mount_location 1M
	dd if=/dev/zero of="$LOC/fill" bs=1k 2>/dev/null || true
	i=0
	while : >"$LOC/file$i"; do i=$((i + 1)); done 2>/dev/null
	expect 125 lock -n -- true
	has '^repolock: .*no space left'
	rm "$LOC"/file* "$LOC/fill"
	is_free
}

@test "a file system that fills up while held harms nothing" {
	mount_location 1M
	locked a --ttl 2s
	wait_until 'inside a'
	dd if=/dev/zero of="$LOC/fill" bs=1k 2>/dev/null || true
	never 'gone $(command_of a)' 2.5
	release a
	finish a
	is 0 $status
	rm "$LOC/fill"
	is_free
}

# Takes every inotify instance of user 65534, until it is killed.
take_all_watches()
{
	start hog python3 -c 'import ctypes, os, pathlib, signal, sys
libc = ctypes.CDLL(None)
os.setuid(65534)
while libc.inotify_init1(0) >= 0:
    pass
pathlib.Path(sys.argv[1]).touch()
signal.pause()' "$T/m/hogged"
	wait_until "[ -e '$T/m/hogged' ]"
}

@test "3.3 a loss is noticed where the user has no inotify instance left" {
	mkdir -m 777 "$T/m"
	chmod 777 "$LOC"
	take_all_watches
	start a setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$REPOLOCK" with-lock -r "$LOC" -- sh -c \
		'touch "$1"; exec sleep 300' sh "$T/m/inside"
	wait_until "[ -e '$T/m/inside' ]"
	expect 0 "$REPOLOCK" unlock -r "$LOC" --force --all --yes
	# By its next refresh it would be in a hundred seconds.
	finish a 60
	is 122 $status
	has 'lost'
	kill -KILL "${PID[hog]}"
	finish hog
}
