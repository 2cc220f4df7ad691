# SPDX-License-Identifier: BSD-2-Clause
#
# flock: with the flock(1) that is installed, in both directions.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common

setup()
{
	common_setup
	F=$T/file
	LOC=flock:$F
	USED=("$LOC")
}

# Would flock(1) get it now? flock_gets -x|-s
flock_gets()
{
	flock -n "$1" "$F" true
}

# theirs NAME -x|-s: the job under flock(1)
theirs()
{
	start "$1" flock "$2" "$F" "$lib/job" "$1"
}

@test "flock(1) stays out while the command runs, and gets in after" {
	locked ours
	wait_until 'inside ours'
	not flock_gets -x
	not flock_gets -s
	release ours
	finish ours
	is 0 $status
	flock_gets -x
}

@test "flock(1) shares a shared lock and waits for an exclusive one" {
	locked ours --shared
	wait_until 'inside ours'
	flock_gets -s
	not flock_gets -x
	expect 0 lock -n --shared -- true
	expect 123 lock -n -- true
	release ours
	finish ours
	is 0 $status
}

@test "a lock of flock(1) keeps ours out, and its holder is named" {
	theirs holder -x
	wait_until 'inside holder'
	expect 123 lock -n -- true
	has "pid ${PID[holder]}, flock"
	expect 123 lock -n --shared -- true
	release holder
	finish holder
	expect 0 lock -n -- true
}

@test "a script is named as the holder, though what it runs has a lower pid" {
	needs_root
	echo 20000 >/proc/sys/kernel/ns_last_pid
	# Who starts within one tick of the kernel's clock is of one age.
	start script sh -c 'exec 9>"$1"; flock 9
		born() { cut -d " " -f 22 "/proc/$1/stat"; }
		until [ "$(born self)" -gt "$(born $$)" ]; do :; done
		echo 10000 >/proc/sys/kernel/ns_last_pid
		"$2/sleep" 60 & echo $! >"$2/child"; wait' sh "$F" "$T"
	child=$(pid_in child)
	[ "$child" -lt "${PID[script]}" ]
	expect 123 lock -n -- true
	has "pid ${PID[script]}, sh"
	kill "$child"
	finish script
}

@test "a script that locks its own descriptor is named as the holder" {
	start script sh -c 'exec 9>"$1"; flock 9; : >"$2"; while [ ! -e "$3" ]; do
		sleep 0.02; done' nightly "$F" "$T/script.inside" "$T/script.end"
	wait_until 'inside script'
	expect 123 lock -n -- true
	has "pid ${PID[script]}, sh"
	release script
	finish script
}

@test "each hands over to the other" {
	theirs first -x
	wait_until 'inside first'
	locked second
	never 'inside second' 0.2
	theirs third -x
	release first
	wait_until 'inside second'
	release second
	wait_until 'inside third'
	release third
	finish first
	finish second
	is 0 $status
	finish third
	no_overlap
}

@test "forty contenders of both programs never meet" {
	local i n
	for i in {1..20}; do
		start "o$i" "$REPOLOCK" with-lock -r "$LOC" -- "$lib/job" "o$i"
		theirs "t$i" -x
		: >"$T/o$i.end"
		: >"$T/t$i.end"
	done
	for i in {1..20}; do
		finish "o$i" 60
		is 0 $status
		finish "t$i" 60
		is 0 $status
	done
	no_overlap
	n=$(find "$T" -name '*.inside' | wc -l)
	is 40 "$n"
}

@test "flock(1) is not let in before the command of a killed keeper is gone" {
	local victim keeper job
	for victim in front keeper; do
		locked "$victim" stubborn
		keeper=$(keeper_of "$victim")
		job=$(command_of "$victim")
		theirs "after-$victim" -x
		if [ $victim = front ]; then
			kill -KILL "${PID[front]}"
		else
			kill -KILL "$keeper"
		fi
		wait_until "inside 'after-$victim'"
		gone "$job"
		release "after-$victim"
		finish "after-$victim"
		finish "$victim"
	done
	no_overlap
}

@test "the command does not inherit the lock" {
	output=$(lock -- sh -c 'ls -l /proc/$$/fd/')
	not grep -q "$F" <<<"$output"
	has ' 1 -> '
}

@test "a daemon left behind with --descendants leave keeps no lock" {
	expect 0 lock --descendants leave -- sh -c \
		"'$T/sleep' 60 >/dev/null 2>&1 & echo \$! >'$T/left.pid'"
	flock_gets -x
	kill "$(cat "$T/left.pid")"
}

@test "a file that goes away while held ends the command" {
	local way
	for way in 'rm "$F"' 'mv "$F" "$F.old"' ': >"$F.new"; mv "$F.new" "$F"'; do
		rm -f "$T"/ours.*
		locked ours
		wait_until 'inside ours'
		sleep 0.1 # it is watched from 50 ms on
		eval "$way"
		finish ours
		is 122 $status
		has "$F was (removed|replaced)"
	done
}

@test "a file that is written to while held is no loss" {
	locked ours
	wait_until 'inside ours'
	echo 4711 >"$F"
	touch "$F"
	chmod 600 "$F"
	never 'gone ${PID[ours]}' 0.3
	release ours
	finish ours
	is 0 $status
	is '' "$output"
}

@test "a waiter goes for the file that is there now" {
	theirs holder -x
	wait_until 'inside holder'
	locked waiter
	never 'inside waiter' 0.2
	mkdir "$T/elsewhere"
	mv "$F" "$T/elsewhere/"
	rm -f "$T/inside.lock" # the holder is of no concern any more
	wait_until 'inside waiter'
	not flock_gets -x
	release waiter
	finish waiter
	is 0 $status
	release holder
	finish holder
}

@test "the file is made and left as flock(1) does" {
	umask 027
	expect 0 lock -- true
	is '640 0' "$(stat -c '%a %s' "$F")"
	rm "$F"
	flock "$F" true
	is '640 0' "$(stat -c '%a %s' "$F")"
}

@test "a directory can be locked" {
	mkdir "$F"
	locked ours
	wait_until 'inside ours'
	not flock_gets -x
	release ours
	finish ours
	is 0 $status
	is '' "$(ls -A "$F")"
}

@test "what cannot be locked is said and nothing is made" {
	expect 125 "$REPOLOCK" with-lock -r "flock:$T/no/file" -- true
	has "$T/no/file.*directory"
	not test -e "$T/no"
	expect 125 "$REPOLOCK" with-lock -r flock: -- true
	has 'flock: needs a file'
}

@test "a signal while waiting leaves the queue" {
	theirs holder -x
	wait_until 'inside holder'
	locked waiter
	never 'inside waiter' 0.2
	kill -TERM "${PID[waiter]}"
	finish waiter
	is 143 $status
	release holder
	finish holder
	flock_gets -x
	not inside waiter
}

@test "the wait ends when it was said" {
	theirs holder -x
	wait_until 'inside holder'
	expect 123 lock --wait 0.3 -- true
	release holder
	finish holder
	flock_gets -x
}

@test "list-locks tells who holds and who waits" {
	theirs holder -s
	wait_until 'inside holder'
	start waiter flock -x "$F" true
	wait_until '"$REPOLOCK" list-locks -r "$LOC" | grep -q waiting'
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	has "${PID[holder]} +shared +held.*$(id -un)@.*flock"
	has "${PID[waiter]} +exclusive +waiting"
	expect 1 "$REPOLOCK" list-locks --exit-code -r "$LOC"
	release holder
	finish holder
	finish waiter
	expect 0 "$REPOLOCK" list-locks --exit-code -r "$LOC"
}

@test "unlock breaks no kernel lock and says what would end it" {
	theirs holder -x
	wait_until 'inside holder'
	expect 1 "$REPOLOCK" unlock -r "$LOC" --force --yes "${PID[holder]}"
	has "kernel lock cannot be broken.*${PID[holder]}"
	not flock_gets -x
	release holder
	finish holder
}
