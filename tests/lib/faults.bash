# shellcheck shell=bash
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# SPDX-License-Identifier: BSD-2-Clause
#
# Front, keeper and command are killed, stopped and asked to end, each at each
# stage, while somebody else waits for the lock. Whatever happens:
#
#   - no two are inside at once, descendants included;
#   - the command is dead in time;
#   - who waits gets the lock, with nobody clearing anything.
#
# What the files supervise_faults*.bats share. Loaded after lib/common.

# A lease is told by its TTL how long a stopped keeper may be believed.
lease_options=(--ttl 3s --kill-after 0.3s)

# job_under NAME [KIND] [OPTION...]: with events, in $T/NAME.events.
job_under()
{
	local name=$1 kind=plain
	shift
	case ${1-} in
	[a-z]*) kind=$1; shift ;;
	esac
	locked "$name" "$kind" "${lease_options[@]}" \
		--events "$T/$name.events" "$@"
}

waiting()
{
	grep -qs '"waiting"' "$T/$1.events"
}

# The victim of NAME: its pid.
victim()
{
	case $2 in
	front) echo "${PID[$1]}" ;;
	keeper) keeper_below "${PID[$1]}" ;;
	command) command_of "$1" ;;
	gate) children_of "$(keeper_below "${PID[$1]}")" ;;
	esac
}

# Who waits behind gets in, and nobody was in with it.
next_gets_in()
{
	wait_until 'inside next' || return
	no_overlap || return
	release next
	finish next || return
	is 0 "$status"
}

hold()
{
	job_under a "$@"
	wait_until 'inside a' || return
	job_under next
	wait_until 'waiting next'
}
