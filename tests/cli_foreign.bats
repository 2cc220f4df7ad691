# SPDX-License-Identifier: BSD-2-Clause
#
# What others write into a lock, a name or a directory, as it is shown: at the
# greatest length of every field, and with what a terminal would obey.

# A test is a subshell of its own.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/terminal

ESC=$'\e'
UUID=345a5ecd-74fc-49fc-bbdf-00351911acf5

# Of so many characters.
long()
{
	printf "%*s" "$1" '' | tr ' ' "${2-x}"
}

# A claim of another host, written by somebody who may write there: each field
# as long as it may be, or as given. foreign [MODE-LETTER] [FIELD=JSON...]
foreign()
{
	local mode=x
	case ${1-} in
	[xsq]) mode=$1; shift ;;
	esac
	local user host command reason
	user=$(long 63) host=$(long 255) command=$(long 63) reason=$(long 159)
	local "$@"
	mkdir -p "$LOC/.repolock/default"
	printf '{"repolock":1,"host":"%s","user":"%s","boot_id":"%s",%s,"command":"%s","reason":"%s","since":"2026-11-29T02:46:22.882Z","counter":1}' \
		"$host" "$user" 00000000-0000-0000-0000-000000000000 \
		'"pid_ns":1,"time_ns":1,"front":{"pid":2147483647,"start":1},"keeper":{"pid":2147483647,"start":1}' \
		"$command" "$reason" \
		>"$LOC/.repolock/default/$mode.00000000000000000001.0000300000.$UUID"
}

forget()
{
	rm -f "$LOC/.repolock/default/"[xsq].*
}

# Control characters as the JSON of a lock may carry them: an escape sequence,
# an 8-bit one, and one that turns the direction of writing.
HOSTILE='a\u001b[31mb\u009b31mc\u202ed\u2066e'

# Nothing that a terminal obeys is in FILE or $output.
tame()
{
	local text=${1-$output}
	# U+0080 to U+009F, U+202E, U+2066 as UTF-8
	if grep -qP '\x1b|\xc2[\x80-\x9f]|\xe2\x80\xae|\xe2\x81\xa6' \
		<<<"$text"; then
		cat -v <<<"$text"
		return 1
	fi
}

@test "3.1 the longest fields of all are shown by with-lock -n" {
	foreign
	expect 123 "$REPOLOCK" with-lock -n -r "$LOC" -- true
	has '^repolock: no exclusive lock on .* held by x{31}~@x{99}~ \(pid 2147483647, x{63}, "x{159}"\) since 2026-'
	has 'whether it is stale will be known in'
	forget
	foreign user="$HOSTILE" host="$HOSTILE" command="$HOSTILE" \
		reason="$HOSTILE"
	expect 123 "$REPOLOCK" with-lock -n -r "$LOC" -- true
	has 'a\\x1b\[31mb\\xc2\\x9b31mc\\xe2\\x80\\xaed'
	tame
	forget
}

@test "3.1 the longest fields of all are shown by the waiting line and events" {
	foreign reason="$(long 150)$HOSTILE"
	terminal
	resize 24 1000
	type "TERM=xterm '$REPOLOCK' with-lock -w 2 -r '$LOC' --events '$T/ev' -- true"
	see 'waiting .* for the exclusive lock on '
	see 'no exclusive lock on .* within 2s: held by x{31}~@x{99}~ '
	prompt
	tame "$(shown | sed "s/$ESC\[K//g")"
	[ "$(jq -r 'select(.event == "ended") | .holder.reason' "$T/ev" |
		wc -m)" -ge 150 ]
	is 63 "$(jq -rj 'select(.event == "ended") | .holder.user' "$T/ev" |
		wc -m)"
	tame "$(cat "$T/ev")"
	forget
}

@test "3.1 the longest fields of all are listed as table, JSON and by --watch" {
	foreign
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	has 'x{63}@x{255} +2147483647 .* x{63}$'
	has 'reason: x{159}$'
	expect 0 "$REPOLOCK" list-locks -r "$LOC" --json
	is '63 255 63 159' "$(jq -r '.locks[0] |
		[.user, .host, .command, .reason] | map(length) | join(" ")' \
		<<<"$output")"
	terminal
	resize 24 80
	type "'$REPOLOCK' list-locks -r '$LOC' --watch --interval 100ms"
	see 'COMMAND'
	key C-c
	prompt
	[ "$(shown | grep -a 2147483647 | wc -L)" -le 80 ]
	forget
}

@test "3.1 the longest fields of all are shown by unlock" {
	foreign
	expect 0 "$REPOLOCK" unlock -r "$LOC"
	has '^kept exclusive lease lock 345a5ecd of x{31}~@x{99}~ \(pid .*\): '
	foreign host="$(long 200)$HOSTILE"
	expect 0 "$REPOLOCK" unlock -r "$LOC" --force --yes "$UUID"
	has '^broke exclusive lease lock 345a5ecd of '
	tame
}

@test "3.1 a path as long as there can be is shown by all of them" {
	local deep=$T part
	part=$(long 200 p)
	while [ $((${#deep} + 201)) -lt 4000 ]; do deep=$deep/$part; done
	mkdir -p "$deep"
	LOC=$deep
	foreign
	expect 123 "$REPOLOCK" with-lock -n -r "$LOC" --events "$T/ev" -- true
	has "no exclusive lock on /.*p~: held by "
	is "$LOC" "$(jq -r 'select(.event == "ended") | .location' "$T/ev")"
	expect 0 "$REPOLOCK" list-locks -r "$LOC" --json
	is "$LOC" "$(jq -r .location <<<"$output")"
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	expect 1 "$REPOLOCK" unlock -r "$LOC" "$UUID"
	has '^kept '
	expect 0 "$REPOLOCK" unlock -r "$LOC" --force --yes "$UUID"
}

@test "3.1 completion offers the id of a lock with the longest fields" {
	foreign reason='\"id\":\"evil\"'
	run bash -c '. "$1"; COMP_WORDS=(repolock unlock -r "$2" "")
		COMP_CWORD=4; repolock() { "$REPOLOCK" "$@"; }
		_repolock_ids repolock "" -r "$2"; echo "${COMPREPLY[@]}"' - \
		"$BATS_TEST_DIRNAME/../contrib/completion/repolock.bash" "$LOC"
	is "$UUID" "${output%"${output##*[! ]}"}"
	forget
}

@test "7.9 -vv shows foreign names escaped" {
	mkdir -p "$LOC/.repolock/default"
	: >"$LOC/.repolock/default/${ESC}[31mred"$'\xc2\x9b'
	expect 0 "$REPOLOCK" list-locks -r "$LOC" -vv
	has 'debug: dir +\\x1b\[31mred\\xc2\\x9b$'
	tame
	expect 0 "$REPOLOCK" with-lock -r "$LOC" -vv -- true
	has 'debug: dir +.*\\x1b\[31mred'
	tame
}

@test "7.9 JSON and events escape what a terminal obeys, and mean the same" {
	foreign reason="$HOSTILE" user='caf\u00e9'
	expect 0 "$REPOLOCK" list-locks -r "$LOC" --json
	tame
	has '"reason":"a\\u001b\[31mb\\u009b31mc\\u202ed\\u2066e"'
	has '"user":"café"'
	is "$(printf '"%s"' "$HOSTILE" | jq -r .)" \
		"$(jq -r '.locks[0].reason' <<<"$output")"
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	tame
	has 'café@'
	forget
}

@test "7.9 the question before a break shows the reason and the path escaped" {
	LOC=$T/${ESC}[31m$'\xc2\x9b'
	mkdir "$LOC"
	foreign user="$HOSTILE"
	terminal
	resize 24 1000
	type "'$REPOLOCK' unlock -r \"\$(printf '%s/\\033[31m\\302\\233' '$T')\" --force --all"
	see 'of a.x1b\[31mb.*Break it'
	tame "$(grep -a 'Break it' "$T/terminal.log")"
	type n
	see 'not agreed to'
	prompt
	tame "$(grep -a 'kept' "$T/terminal.log")"
	forget
	type "'$REPOLOCK' list-locks -r \"\$(printf '%s/\\033[31m\\302\\233' '$T')\""
	see 'no locks on'
	tame "$(grep -a 'no locks on' "$T/terminal.log")"
}
