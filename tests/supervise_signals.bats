# SPDX-License-Identifier: BSD-2-Clause
#
# Signals that are sent, not typed: they reach the command once, whoever they
# were sent to, and what the command dies of is what repolock dies of.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common

counted()
{
	start "$1" "$REPOLOCK" with-lock -r "$LOC" -- "$counter" "$1"
	wait_until "inside $1"
}

# got NAME SIGNAL...: these and no more, after a moment for a second one.
got()
{
	local name=$1
	shift
	wait_until "[ \"\$(wc -l <$T/$name.signals)\" -ge $# ]"
	sleep 0.15
	is "$*" "$(xargs <"$T/$name.signals")"
}

# How a command ended, as wait(2) tells: a status, or minus a signal.
ended()
{
	/usr/bin/python3 -I - "$@" 3>&- <<-'END'
		import signal, subprocess, sys
		print(subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL)
		      .returncode)
	END
}

@test "a signal sent to the front reaches the command once" {
	counted a
	for signal in TERM INT HUP QUIT USR1 USR2; do
		kill -$signal "${PID[a]}"
		wait_until 'grep -q $signal "$T/a.signals"'
	done
	got a TERM INT HUP QUIT USR1 USR2
	release a
	finish a
	is 0 $status
}

@test "the same signal sent again reaches it again" {
	counted a
	kill -USR1 "${PID[a]}"
	got a USR1
	kill -USR1 "${PID[a]}"
	got a USR1 USR1
	release a
	finish a
}

@test "a signal sent to the process group reaches it once" {
	counted a
	for signal in TERM INT HUP QUIT USR1 USR2; do
		kill -$signal -"${PID[a]}"
		wait_until 'grep -q $signal "$T/a.signals"'
	done
	got a TERM INT HUP QUIT USR1 USR2
	release a
	finish a
	is 0 $status
}

@test "a signal sent to every process, as systemd does, reaches it once" {
	counted a
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

@test "timeout(1) ends it as it ends the plain command" {
	for kind in '' "$REPOLOCK with-lock -r $LOC --"; do
		# shellcheck disable=SC2086
		expect 124 timeout 0.5 $kind "$T/sleep" 60
	done
	is_free
}

@test "timeout(1) gives the command no more signals than the plain one" {
	for name in plain locked; do
		case $name in
		plain) prefix=() ;;
		locked) prefix=("$REPOLOCK" with-lock -r "$LOC" --) ;;
		esac
		# Until it has come as far as to count in that time.
		for limit in 0.5 3 15 50; do
			start $name timeout $limit "${prefix[@]}" "$counter" $name
			wait_until '[ -s "$T/$name.signals" ] ||
				gone ${PID[$name]}'
			sleep 0.15
			release $name
			finish $name
			is 124 $status
			[ ! -s "$T/$name.signals" ] || break
			rm -f "$T/$name".*
		done
	done
	[ "$(wc -l <"$T/locked.signals")" -le 2 ]
	is TERM "$(sort -u "$T/locked.signals")"
}

@test "repolock dies by the signal that the command died of" {
	for signal in TERM HUP INT USR1 KILL; do
		is "-$(kill -l $signal)" "$(ended "$REPOLOCK" with-lock \
			-r "$LOC" -- sh -c "kill -$signal \$\$")"
	done
}

@test "of a core-dump signal it tells the number, and dumps no core itself" {
	for signal in SEGV ABRT QUIT; do
		is $((128 + $(kill -l $signal))) "$(ended "$REPOLOCK" \
			with-lock -r "$LOC" -- sh -c "ulimit -c 0; kill -$signal \$\$")"
	done
}

@test "a signal that ended the command through the front is what it dies of" {
	for signal in TERM HUP INT USR1; do
		start $signal "$REPOLOCK" with-lock -r "$LOC" -- "$lib/job" $signal
		wait_until 'inside $signal'
		kill -$signal "${PID[$signal]}"
		finish $signal
		is $((128 + $(kill -l $signal))) $status
	done
}

@test "a signal while waiting ends it by that signal and leaves no trace" {
	locked holder
	wait_until 'inside holder'
	for signal in TERM INT HUP USR1; do
		locked $signal
		wait_until '[ -n "$(keeper_below ${PID[$signal]})" ]'
		sleep 0.1
		kill -$signal "${PID[$signal]}"
		finish $signal
		is $((128 + $(kill -l $signal))) $status
		not inside $signal
	done
	release holder
	finish holder
	is 0 $status
}

@test "a signal to the group while waiting ends it, too" {
	locked holder
	wait_until 'inside holder'
	locked a
	wait_until '[ -n "$(keeper_below ${PID[a]})" ]'
	kill -TERM -"${PID[a]}"
	finish a
	is 143 $status
	not inside a
	release holder
	finish holder
}

@test "ignored signals stay ignored, for us and for the command" {
	start a env --ignore-signal=HUP,USR1 "$REPOLOCK" with-lock -r "$LOC" \
		-- "$lib/job" a
	wait_until 'inside a'
	kill -HUP "${PID[a]}"
	kill -USR1 "${PID[a]}"
	kill -HUP -"${PID[a]}"
	never 'gone $(command_of a)' 0.3
	is_held
	release a
	finish a
	is 0 $status
}

@test "nohup keeps a waiting one waiting" {
	locked holder
	wait_until 'inside holder'
	start a nohup "$REPOLOCK" with-lock -r "$LOC" -- "$lib/job" a
	wait_until '[ -n "$(keeper_below ${PID[a]})" ]'
	kill -HUP "${PID[a]}"
	never 'gone ${PID[a]}' 0.3
	release holder
	wait_until 'inside a'
	release a
	finish a
	is 0 $status
	finish holder
}

@test "the command inherits mask and dispositions as they were" {
	see=(sh -c 'grep -E "^Sig(Blk|Ign)" /proc/self/status')
	for how in --ignore-signal=CHLD,USR1,PIPE,TTOU,TSTP \
		--block-signal=USR2,TERM,CHLD,ALRM --default-signal; do
		plain=$(env $how "${see[@]}")
		is "$plain" "$(env $how "$REPOLOCK" with-lock -r "$LOC" -- \
			"${see[@]}" 3>&-)"
	done
	is_free
}

@test "SIGCHLD ignored by the caller does not lose the status" {
	expect 7 env --ignore-signal=CHLD "$REPOLOCK" with-lock -r "$LOC" -- \
		sh -c 'exit 7'
	expect 7 env --block-signal=CHLD "$REPOLOCK" with-lock -r "$LOC" -- \
		sh -c 'exit 7'
}

@test "SIGSTOP of the front alone does not stop protection or command" {
	start a "$REPOLOCK" with-lock -r "$LOC" -- "$lib/job" a
	wait_until 'inside a'
	kill -STOP "${PID[a]}"
	never 'is_stopped $(command_of a)' 0.3
	is_held
	kill -CONT "${PID[a]}"
	release a
	finish a
	is 0 $status
}
