# SPDX-License-Identifier: BSD-2-Clause
#
# What the command is given, and what its end is told as.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common

@test "the command's own status comes back" {
	for code in 0 1 3 122 123 124 125 126 127 200 255; do
		expect $code lock -- sh -c "exit $code"
		is '' "$output"
	done
}

@test "a command that is not found is 127, told before a lock is asked for" {
	locked holder
	wait_until 'inside holder'
	expect 127 lock -- no-such-command-here
	has '^repolock: .*no-such-command-here'
	is 1 "$(wc -l <<<"$output")"
	expect 127 lock -- "$T/no/such/file"
	release holder
	finish holder
}

@test "a command that cannot be executed is 126, told before as well" {
	: >"$T/plain-file"
	locked holder
	wait_until 'inside holder'
	expect 126 lock -- "$T/plain-file"
	has '^repolock: .*plain-file'
	expect 126 lock -- "$T"
	release holder
	finish holder
}

@test "a file that is no program does what execvp makes of it" {
	printf '\177ELF\001\001\001garbage' >"$T/foreign"
	chmod +x "$T/foreign"
	plain=0
	env "$T/foreign" 2>/dev/null || plain=$?
	expect $plain lock -- "$T/foreign"
	is_free
}

@test "a script whose interpreter is not there is 127 or 126, and told" {
	printf '#!/no/such/interpreter\n' >"$T/script"
	chmod +x "$T/script"
	status=0
	output=$(lock -- "$T/script" 2>&1) || status=$?
	[ $status -eq 127 ] || [ $status -eq 126 ]
	has 'script'
	is_free
}

@test "a script without #! is run by the shell" {
	printf 'echo "ran with $1"; exit 4\n' >"$T/script"
	chmod +x "$T/script"
	expect 4 lock -- "$T/script" word
	is 'ran with word' "$output"
}

@test "a shell line is run with -c" {
	expect 5 lock -c 'echo "a  b"; exit 5'
	is 'a  b' "$output"
}

@test "words reach the command untouched" {
	expect 0 lock -- printf '<%s>' '' 'a b' '*' $'new\nline' '--' -x
	is $'<><a b><*><new\nline><--><-x>' "$output"
}

@test "it is told what it holds" {
	expect 0 lock -s -- sh -c 'env | grep ^REPOLOCK_HELD_ | sort'
	has '^REPOLOCK_HELD_ID=.'
	has "^REPOLOCK_HELD_LOCATION=$LOC"
	has '^REPOLOCK_HELD_MODE=shared$'
	has '^REPOLOCK_HELD_PID=[0-9]+$'
	expect 0 lock -- sh -c 'echo $REPOLOCK_HELD_MODE'
	is exclusive "$output"
}

@test "what it holds is no option for others" {
	uses "$T/other"
	mkdir "$T/other"
	expect 0 env REPOLOCK_HELD_LOCATION="$LOC" REPOLOCK_HELD_ID=x \
		REPOLOCK_HELD_NAME=x REPOLOCK_HELD_PID=1 "$REPOLOCK" with-lock \
		-n -r "$T/other" -- sh -c 'echo $REPOLOCK_HELD_LOCATION'
	is "$T/other" "$output"
}

@test "stdin, stdout and stderr are the caller's" {
	is "$(seq 5000 | md5sum)" "$(seq 5000 | lock -- cat 3>&- | md5sum)"
	lock -- sh -c 'echo out; echo err >&2' >"$T/1" 2>"$T/2" 3>&-
	is out "$(cat "$T/1")"
	is err "$(cat "$T/2")"
}

@test "what it does not read is left for the next one" {
	is $'1\n2' "$(printf '1\n2\n' | { lock -- sh -c 'read -r x; echo $x'
		cat; } 3>&-)"
}

@test "descriptors are the caller's, none of ours is among them" {
	# The list is made before anything that opens more; what is gone by
	# then was the directory itself.
	see=(sh -c 'set -- /proc/$$/fd/*
		for fd; do [ ! -e "$fd" ] || echo "${fd##*/} $(readlink "$fd")"; done |
			sed "s/:\[.*/:/" >&9')
	exec 7<"$lib/job" 8>>"$T/eight"
	"${see[@]}" 3>&- 9>"$T/plain" </dev/null
	lock -- "${see[@]}" 3>&- 9>"$T/locked" </dev/null
	exec 7<&- 8>&-
	is "$(sed s/plain/locked/ "$T/plain")" "$(cat "$T/locked")"
}

# Which of 0 to 2 are open, as a number of three bits.
see_open='n=0; for fd in 0 1 2; do
	[ ! -e /proc/$$/fd/$fd ] || n=$((n + (1 << fd))); done; exit $n'

@test "closed descriptors 0 to 2 stay closed" {
	for closed in 0 1 2 3 4 5 6 7; do
		want=$((7 - closed))
		redirect=
		[ $((closed & 1)) -eq 0 ] || redirect+=' <&-'
		[ $((closed & 2)) -eq 0 ] || redirect+=' >&-'
		[ $((closed & 4)) -eq 0 ] || redirect+=' 2>&-'
		status=0
		eval 'lock -- sh -c "$see_open" 3>&- '"$redirect" || status=$?
		is $want $status
	done
	is_free
}

@test "with closed descriptors it fails as it should, and says it nowhere" {
	locked holder
	wait_until 'inside holder'
	status=0
	lock -n -- true <&- >&- 2>&- 3>&- || status=$?
	is 123 $status
	release holder
	finish holder
}

@test "directory, mask, limits, niceness and session are the caller's" {
	see=(sh -c 'pwd; umask; ulimit -a; nice; id; ps -o pgid=,sid= -p $$')
	mkdir "$T/dir"
	cd "$T/dir"
	umask 027
	ulimit -n 200 -c 0
	plain=$(nice -n 3 "${see[@]}" 3>&-)
	is "$plain" "$(nice -n 3 "$REPOLOCK" with-lock -r "$LOC" -- "${see[@]}" \
		3>&-)"
	cd /
}

@test "it is a child of the keeper, in the process group of the front" {
	locked a
	wait_until 'inside a'
	front=${PID[a]}
	keeper=$(keeper_of a)
	command=$(command_of a)
	is "$front" "$(parent_of "$keeper")"
	is "$keeper" "$(parent_of "$command")"
	is "$front $front" "$(ps -o pgid=,sid= -p "$command" | xargs)"
	is "$keeper $keeper" "$(ps -o pgid=,sid= -p "$keeper" | xargs)"
	release a
	finish a
}

@test "nothing of the command runs before the lock is held" {
	locked holder
	wait_until 'inside holder'
	start a "$REPOLOCK" with-lock -r "$LOC" -- sh -c ': >$T/ran'
	never '[ -e "$T/ran" ]' 0.4
	release holder
	finish a
	is 0 $status
	[ -e "$T/ran" ]
	finish holder
}

@test "not waiting, or not long enough, is 123 or what -E says" {
	locked holder
	wait_until 'inside holder'
	expect 123 lock -n -- true
	expect 73 lock -n -E 73 -- true
	before=$(milliseconds)
	expect 123 lock -w 0.5 -- true
	[ $(($(milliseconds) - before)) -ge 500 ]
	release holder
	finish holder
}

@test "after --max-hold it is ended, and that is 124" {
	before=$(milliseconds)
	expect 124 lock --max-hold 0.3s -- "$T/sleep" 60
	[ $(($(milliseconds) - before)) -ge 300 ]
	is_free
}

@test "what ends before --max-hold has its own status" {
	expect 6 lock --max-hold 60s -- sh -c 'exit 6'
}

@test "after --max-hold one that ignores SIGTERM is killed after the grace" {
	local hold
	# Until it has come as far as to ignore SIGTERM in that time.
	for hold in 0.3s 2s 10s 40s; do
		start a "$REPOLOCK" with-lock -r "$LOC" --max-hold $hold \
			--kill-after 0.4s -- "$lib/job" a stubborn
		finish a
		is 124 $status
		! inside a || break
	done
	inside a
	gone "$(command_of a)"
	is_free
}

@test "a stopped command is ended by --max-hold as well" {
	local hold stopped=
	# Until it has come as far as to be stopped in that time.
	for hold in 0.6s 3s 10s 40s; do
		start a "$REPOLOCK" with-lock -r "$LOC" --max-hold $hold -- \
			"$lib/job" a
		wait_until 'inside a || gone ${PID[a]}'
		! inside a || ! kill -STOP "$(command_of a)" || stopped=yes
		finish a
		is 124 $status
		[ -z "$stopped" ] || break
		rm -f "$T"/a.*
	done
	[ "$stopped" ]
}

@test "nested, it says at once that the lock is held above" {
	expect 125 lock -- "$REPOLOCK" with-lock -r "$LOC" -- true
	has '^repolock: .*reentrant'
}

@test "nested with --reentrant, it just runs" {
	expect 8 lock -- "$REPOLOCK" with-lock --reentrant -r "$LOC" -- \
		sh -c "echo in; exec '$REPOLOCK' with-lock --reentrant -r '$LOC' \
			-- sh -c 'exit 8'"
	is in "$output"
	is_free
}

@test "nested with --reentrant but without our environment it still waits" {
	expect 123 lock -- env -i "$REPOLOCK" with-lock --reentrant -n \
		-r "$LOC" -- true
}

@test "--reentrant believes no environment without the process above" {
	locked holder
	wait_until 'inside holder'
	# All that the job was given, but in a process beside it.
	mapfile -t -d '' held < <(grep -z ^REPOLOCK_HELD_ \
		"/proc/$(command_of holder)/environ")
	[ ${#held[@]} -ge 5 ]
	expect 123 env "${held[@]}" "$REPOLOCK" with-lock --reentrant -n \
		-r "$LOC" -- true
	release holder
	finish holder
}

@test "exclusive below our own shared lock is an error, not a deadlock" {
	expect 125 lock -s -- "$REPOLOCK" with-lock --reentrant -x -r "$LOC" \
		-- true
	has 'shared'
	expect 0 lock -x -- "$REPOLOCK" with-lock --reentrant -s -r "$LOC" -- \
		true
}

@test "in a time namespace deadlines and the lock hold" {
	needs_root
	start a unshare --time --boottime 1000000 --monotonic 500000 \
		"$REPOLOCK" with-lock -r "$LOC" --max-hold 8s -- "$lib/job" a
	wait_until 'inside a'
	never 'is_free || gone $(command_of a)' 1
	finish a
	is 124 $status
	is_free
}

@test "as the first process of a pid namespace it guards all the same" {
	needs_root
	start a unshare --pid --fork --kill-child --mount-proc "$REPOLOCK" \
		with-lock -r "$LOC" -- sh -c \
		'(setsid "$T/sleep" 300 &); : >$T/a.inside; exit 9'
	wait_until 'inside a'
	finish a
	is 9 $status
	is_free
}

@test "where /proc shows another pid namespace it says so, and runs" {
	needs_root
	expect 9 unshare --pid --fork "$REPOLOCK" with-lock -r "$LOC" -- \
		sh -c 'exit 9'
	has '^repolock: .*/proc'
	is_free
}
