# SPDX-License-Identifier: BSD-2-Clause
#
# What the command leaves running is found, whatever it does to itself, and
# dealt with before the lock is released.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common

# daemonizing NAME HOW [OPTION...]: a command that ends at once and leaves a
# daemon, which tells its pid in $T/NAME.daemon. HOW is what it runs by.
daemonizing()
{
	local name=$1 how=$2
	shift 2
	# Whoever it becomes can write there.
	: >"$T/$name.daemon"
	chmod 666 "$T/$name.daemon"
	start "$name" "$REPOLOCK" with-lock -r "$LOC" "$@" -- sh -c '
		(setsid env -i $2 sh -c "
			echo \$\$ >>\$1
			exec \$2" sh "$1" "$3" &)
		until [ -s "$1" ]; do sleep 0.02; done
		exit 3' sh "$T/$name.daemon" "$how" "$T/sleep 300"
}

daemon_of()
{
	pid_in "$1.daemon"
}

@test "a daemon in a session of its own is ended and named" {
	daemonizing a ''
	finish a
	is 3 $status
	gone "$(daemon_of a)"
	has "^repolock: .*sleep.*$(daemon_of a)|^repolock: .*$(daemon_of a).*sleep"
	is_free
}

@test "a daemon of another user is ended, too" {
	needs_root
	daemonizing a "setpriv --reuid=65534 --regid=65534 --clear-groups"
	finish a
	is 3 $status
	gone "$(daemon_of a)"
	is_free
}

# chains N [OPTION...]: N commands at once, each of which leaves a chain of
# forks that outlives the moment in which it is asked to stop. Fails if one of
# the chains still runs when its lock is gone.
chains()
{
	local n=$1 i
	shift
	for i in $(seq "$n"); do
		mkdir -p "$T/chain$i"
		uses "$T/chain$i"
		start "c$i" sh -c '
			i=$1; shift
			"$REPOLOCK" with-lock -r "$T/chain$i" "$@" &&
			flock -n "$T/in$i" true || : >"$T/early.$i"' sh \
			"$i" "$@" -- "$BUILD/lib/chain" "$T/in$i" \
			"$chain_life" $chain_how
	done
	for i in $(seq "$n"); do
		finish "c$i"
	done
	! ls "$T"/early.* 2>/dev/null
}

@test "1.1 a chain of forks has ended when the lock goes, fifty times" {
	export BUILD
	chain_life=1700 chain_how=
	for _ in 1 2 3; do chains 10; done
	chain_how=daemon
	for _ in 1 2; do chains 10; done
}

@test "1.1 a chain of forks that outlives the grace is killed" {
	export BUILD
	chain_life=60000 chain_how=stubborn
	chains 4 --kill-after 0.2s
	grep -q 'SIGKILL' "$T/c1.err"
}

@test "one that ignores SIGTERM is killed after the grace" {
	start a "$REPOLOCK" with-lock -r "$LOC" --kill-after 0.3s -- sh -c '
		trap "" TERM HUP
		setsid "$T/sleep" 300 &
		echo $! >$T/a.daemon
		exit 3'
	finish a
	is 3 $status
	gone "$(daemon_of a)"
	is_free
}

@test "many of them, some in pid namespaces, are ended" {
	needs_root
	start a "$REPOLOCK" with-lock -r "$LOC" -- sh -c '
		for i in $(seq 40); do (setsid "$T/sleep" 300 &); done
		unshare --pid --fork --mount-proc "$T/sleep" 300 &
		sleep 0.1
		exit 3'
	finish a
	is 3 $status
	none_left
	is_free
}

@test "what ends within a moment is not named" {
	start a "$REPOLOCK" with-lock -r "$LOC" -- sh -c \
		'(setsid sleep 0.3 &); exit 3'
	finish a
	is 3 $status
	is '' "$output"
	is_free
}

@test "the lock is held until the daemon has ended, with --descendants wait" {
	daemonizing a '' --descendants wait
	daemon=$(daemon_of a)
	wait_until 'is_held'
	never is_free 0.5
	alive "$daemon"
	alive "${PID[a]}"
	kill "$daemon"
	finish a
	is 3 $status
	is_free
}

@test "the daemon lives on with a warning, with --descendants leave" {
	daemonizing a '' --descendants leave
	finish a
	is 3 $status
	has "^repolock: .*$(daemon_of a)"
	alive "$(daemon_of a)"
	is_free
	kill "$(daemon_of a)"
}

@test "zombies do not count" {
	# A child that never waits for its own, and ends soon.
	start a "$REPOLOCK" with-lock -r "$LOC" --descendants wait -- sh -c '
		(setsid sh -c "true & exec sleep 0.3" &); exit 3'
	finish a
	is 3 $status
	is '' "$output"
}

@test "no two are inside when a daemon outlives its command" {
	locked a parent
	wait_until 'inside a'
	locked b
	release a
	wait_until 'inside b'
	release b
	finish a
	finish b
	no_overlap
}

# A program that becomes root, for whoever calls it.
root_sleep()
{
	mkdir -m 755 "$T/bin"
	cp "$(command -v setpriv)" "$T/bin/as-root"
	chmod 4755 "$T/bin/as-root"
}

@test "one that may not be signalled is named, and the lock held while it runs" {
	needs_root
	root_sleep
	chown 65534:65534 "$LOC" 2>/dev/null || true
	: >"$T/a.daemon"
	chmod 666 "$T/a.daemon"
	cp "$REPOLOCK" "$T/bin/repolock"
	start a setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$T/bin/repolock" with-lock -r "$LOC" --kill-after 0.3s -- sh -c '
		"$T/bin/as-root" --reuid=0 --regid=0 --clear-groups \
			sh -c "echo \$\$ >$T/a.daemon; exec $T/sleep 300" &
		until [ -s "$T/a.daemon" ]; do sleep 0.02; done
		exit 3'
	daemon=$(daemon_of a)
	wait_until 'grep -q "$daemon" "$T/a.err"'
	never 'is_free || gone ${PID[a]}' 1
	alive "$daemon"
	# Told, and not again and again.
	[ "$(wc -l <"$T/a.err")" -le 4 ]
	kill "$daemon"
	finish a
	is 3 $status
	is_free
}

@test "the front holds the lock for it when the keeper is killed" {
	needs_root
	root_sleep
	chown 65534:65534 "$LOC" 2>/dev/null || true
	: >"$T/a.daemon"
	chmod 666 "$T/a.daemon"
	cp "$REPOLOCK" "$T/bin/repolock"
	start a setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$T/bin/repolock" with-lock -r "$LOC" -- sh -c '
		"$T/bin/as-root" --reuid=0 --regid=0 --clear-groups \
			sh -c "echo \$\$ >$T/a.daemon; exec $T/sleep 300"'
	daemon=$(daemon_of a)
	kill -KILL "$(keeper_below "${PID[a]}")"
	wait_until 'grep -q "$daemon" "$T/a.err"'
	never 'is_free || gone ${PID[a]}' 1
	alive "$daemon"
	[ "$(wc -l <"$T/a.err")" -le 2 ]
	kill "$daemon"
	finish a
	is 125 $status
	is_free
}

@test "it does not spin while it waits for one that may not be signalled" {
	needs_root
	root_sleep
	chown 65534:65534 "$LOC" 2>/dev/null || true
	: >"$T/a.daemon"
	chmod 666 "$T/a.daemon"
	cp "$REPOLOCK" "$T/bin/repolock"
	start a setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$T/bin/repolock" with-lock -r "$LOC" --kill-after 0.1s -- sh -c '
		"$T/bin/as-root" --reuid=0 --regid=0 --clear-groups \
			sh -c "echo \$\$ >$T/a.daemon; exec $T/sleep 300" &
		until [ -s "$T/a.daemon" ]; do sleep 0.02; done'
	daemon=$(daemon_of a)
	wait_until 'grep -q "$daemon" "$T/a.err"'
	before=$(ticks_of "${PID[a]}")
	sleep 1
	# Of a hundred ticks.
	[ $(($(ticks_of "${PID[a]}") - before)) -le 15 ]
	kill "$daemon"
	finish a
}

# Processor time of a process and those below it, in hundredths.
ticks_of()
{
	local pid text sum=0
	for pid in $(tree_of "$1"); do
		text=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
		text=${text##*) }
		# shellcheck disable=SC2086
		set -- $text
		sum=$((sum + ${12} + ${13}))
	done
	echo $sum
}

@test "a signal ends the waiting for a daemon, and the daemon" {
	daemonizing a '' --descendants wait
	daemon=$(daemon_of a)
	# What comes within the second after the command's end is not meant.
	kill -TERM "${PID[a]}"
	never 'gone $daemon' 0.5
	wait_until 'kill -TERM ${PID[a]}; gone $daemon'
	finish a
	is 3 $status
	has "^repolock: .*$daemon"
	is_free
}
