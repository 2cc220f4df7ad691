# SPDX-License-Identifier: BSD-2-Clause
#
# list-locks and unlock as an administrator calls them.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common
load lib/terminal

list()
{
	"$REPOLOCK" list-locks -r "$LOC" "$@"
}

unlock()
{
	"$REPOLOCK" unlock -r "$LOC" "$@"
}

json()
{
	list --json | jq -r "$1"
}

# A lease whose holder was killed with all that belongs to it: stale.
leave_stale()
{
	rm -f "$T"/dead.*
	locked dead "$@"
	wait_until 'inside dead'
	ID[dead]=$(json ".locks[] | select(.pid == ${PID[dead]}) | .id")
	local keeper command
	keeper=$(keeper_below "${PID[dead]}")
	command=$(command_of dead)
	kill -KILL "$keeper" "${PID[dead]}" "$command"
	wait_until 'gone ${PID[dead]}'
	wait_until "gone $keeper && gone $command"
	wait "${PID[dead]}" 2>/dev/null || true
	# The first thread of a process is gone before the last one, and only
	# that lets its files go.
	wait_until 'is stale "$(json ".locks[] |
		select(.id == \"${ID[dead]}\") | .state")" >/dev/null'
}

hold()
{
	locked "$@"
	wait_until "inside $1"
}

setup()
{
	common_setup
	declare -gA ID=()
}

# --- list-locks -------------------------------------------------------------------

@test "no locks are an empty list and exit code 0" {
	expect 0 list
	is '' "$output"
	is '[]' "$(json .locks)"
	expect 0 list --exit-code
	[ ! -e "$LOC/.repolock" ]
}

@test "a holder and who waits are listed, holders first" {
	hold one --reason 'weekly check'
	start two "$REPOLOCK" with-lock -r "$LOC" --events "$T/two.ev" -- true
	wait_until 'grep -q waiting "$T/two.ev"'
	expect 0 list
	has '^ID +MODE +STATE +HOLDER +PID +AGE +REFRESHED +EXPIRES +COMMAND$'
	has "^[0-9a-f]{8} +exclusive +held +$(id -un)@[^ ]+ +[0-9]+ .*in 4m5[0-9]s +job$"
	has '^[0-9a-f]{8} +exclusive +waiting .* true$'
	has '^[0-9a-f]{8}: reason: weekly check$'
	is 'held waiting' "$(json '[.locks[].state] | join(" ")')"
	is "weekly check" "$(json '.locks[0].reason')"
	is true "$(json '.locks[0].alive')"
	release one
	finish two
	finish one
}

@test "--json is one line with every member the manual documents" {
	hold one
	is 1 "$(list --json | wc -l)"
	is '1 true' "$(json '"\(.version) \(.complete)"')"
	is 'alive command detail expires fence host id mode name pid protocol reason refreshed since skew state sure_in user' \
		"$(json '.locks[0] | keys | join(" ")')"
	release one
	finish one
}

@test "--exit-code tells free, shared and exclusive apart" {
	expect 0 list --exit-code
	hold one -s
	expect 1 list --exit-code
	release one
	finish one
	rm -f "$T"/one.*
	hold two
	expect 2 list --exit-code
	expect 0 list
	release two
	finish two
	expect 0 list --exit-code
}

@test "leases of every name are listed, unless one is chosen" {
	hold one --name alpha
	hold two --name beta
	expect 0 list
	has '^ID +NAME '
	has ' alpha '
	has ' beta '
	expect 0 list --name beta
	has ' beta '
	not has ' alpha '
	is alpha "$(REPOLOCK_NAME=alpha list --json |
		jq -r '[.locks[].name] | join(" ")')"
	release one
	release two
	finish one
	finish two
}

@test "what a lock says cannot move the cursor" {
	hold one --reason $'evil\033[2J\r\nline'
	expect 0 list
	has 'reason: evil\\x1b\[2J\\x0d\\x0aline'
	not grep -q $'\033' <<<"$output"
	is $'evil\033[2J\r\nline' "$(json '.locks[0].reason')"
	release one
	finish one
}

@test "a table fits the terminal, with colours unless NO_COLOR is set" {
	hold one
	terminal env TERM=xterm bash --norc --noprofile --noediting -i
	resize 24 60
	type "TERM=xterm $REPOLOCK list-locks -r $LOC; echo do''ne"
	see '^done'
	shown | grep -q $'\033\[32mheld\033\[0m'
	is '' "$(shown | grep '^[0-9a-fI].......  ' |
		sed $'s/\033\\[[0-9]*m//g' | grep -E '^.{100,}')"
	prompt
	type "TERM=xterm NO_COLOR=1 $REPOLOCK list-locks -r $LOC; echo do''ne"
	see '^done'
	shown | grep -q ' held '
	not grep -q $'\033' <<<"$(shown)"
	prompt
	release one
	finish one
	type "$REPOLOCK list-locks -r $LOC"
	see "no locks on $LOC"
	log_out
}

@test "--watch goes on until it is interrupted" {
	start watch "$REPOLOCK" list-locks -r "$LOC" --json --watch \
		--interval 100ms
	wait_until '[ "$(wc -l <"$T/watch.out")" -ge 2 ]'
	hold one
	wait_until 'tail -n 1 "$T/watch.out" | grep -q "\"state\":\"held\""'
	kill -INT "${PID[watch]}"
	finish watch
	is 130 "$status"
	release one
	finish one
}

@test "a place that is not there is an error, and nothing is made" {
	expect 125 "$REPOLOCK" list-locks -r "$T/none"
	has "^repolock: $T/none"
	expect 125 "$REPOLOCK" unlock -r "$T/none"
	expect 125 "$REPOLOCK" list-locks "$LOC"
	has "given as -r $LOC"
	[ ! -e "$T/none" ]
}

@test "a closed or full standard output is an error" {
	hold one
	expect 125 sh -c '"$REPOLOCK" list-locks -r "$LOC" >/dev/full'
	has 'could not be written'
	expect 125 sh -c '"$REPOLOCK" list-locks --help >/dev/full'
	release one
	finish one
}

# --- unlock -----------------------------------------------------------------------

@test "without arguments what is proved stale is broken, and why is told" {
	leave_stale
	expect 0 list
	has ' stale '
	expect 0 unlock
	has "^broke exclusive lease lock ${ID[dead]:0:8} of .*: "
	expect 0 list
	is '' "$output"
	is_free
}

@test "a live lock stays, and why is told" {
	hold one
	expect 0 unlock
	has '^kept exclusive lease lock [0-9a-f]{8} of .*alive'
	expect 1 unlock --all
	has '^kept '
	expect 1 unlock "$(json '.locks[0].id')"
	has '^kept '
	is_held
	release one
	finish one
	is 0 "$status"
}

@test "--dry-run says what would be done and does nothing" {
	leave_stale
	expect 0 unlock --dry-run
	has '^would break exclusive lease lock '
	is stale "$(json '.locks[0].state')"
	expect 0 unlock
}

@test "--force breaks a live lock, whose command is then ended" {
	hold one
	id=$(json '.locks[0].id')
	expect 0 unlock --dry-run --force "${id:0:6}"
	has '^would break'
	is held "$(json '.locks[0].state')"
	expect 0 unlock --force "${id:0:6}"
	has '^broke exclusive lease lock '
	finish one
	is 122 "$status"
	has "lost the lock on $LOC"
}

@test "an ID that names none or several breaks nothing at all" {
	hold one -s
	hold two -s
	leave_stale -s
	expect 125 unlock --force --yes "${ID[dead]}" nonsense
	has "no lock on $LOC has an ID that begins with 'nonsense'"
	is 3 "$(json '.locks | length')"
	# Two that begin alike, if there is such a pair among the three.
	release one
	release two
	finish one
	finish two
	expect 0 unlock "${ID[dead]}"
}

@test "on a terminal a live lock is asked about, and only no is safe" {
	hold one
	id=$(json '.locks[0].id')
	terminal
	type "$REPOLOCK unlock -r $LOC --force $id"
	see 'Break it\? \[y/N\]'
	type ''
	prompt
	shown | grep -q 'kept .*not agreed'
	is 1 "$(status)"
	is_held
	type "$REPOLOCK unlock -r $LOC --force $id"
	see 'Break it\?'
	type y
	prompt
	finish one
	is 122 "$status"
	log_out
}

@test "--yes does not ask" {
	hold one
	terminal
	type "$REPOLOCK unlock -r $LOC --force --yes --all"
	prompt
	shown | grep -q '^broke'
	not grep -q 'Break it' <<<"$(shown)"
	finish one
	is 122 "$status"
	log_out
}

@test "force without ID or --all, and --all with IDs, are refused" {
	hold one
	expect 125 unlock --force
	has '--force needs an ID, or --all'
	expect 125 unlock --all abc
	expect 125 unlock abc --force
	has 'options go before the IDs'
	is_held
	release one
	finish one
}

@test "a name is unlocked by itself" {
	leave_stale --name alpha
	hold two --name beta
	expect 0 unlock --name beta
	has '^kept'
	is 2 "$(json '.locks | length')"
	expect 0 unlock --name alpha
	has '^broke'
	is beta "$(json '.locks[0].name')"
	leave_stale --name alpha
	expect 0 unlock
	has '^broke .*'
	has '^kept .*'
	release two
	finish two
}
