# SPDX-License-Identifier: BSD-2-Clause
#
# --help, the manual and the completions tell the same, compared both ways.
#
# runner: needs man mandoc zsh fish
# runner: plain

# shellcheck disable=SC2154

load lib/common

setup()
{
	common_setup
	top=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	commands=(with-lock list-locks unlock)
}

# page PAGE [SECTION]: as plain text.
page()
{
	mandoc -T ascii "$top/man/$1" | col -b -x |
		awk -v want="${2-}" '
			/^[A-Z]/ { here = $0 }
			want == "" || here == want'
}

# same WHAT FILE FILE: prints what only one of them has.
same()
{
	if [ -s "$2" ] && diff "$2" "$3" >"$T/diff"; then
		return
	fi
	echo "$1:"
	cat "$T/diff"
	return 1
}

help_options()
{
	"$REPOLOCK" "$1" --help | sed -n '/^Options:/,/^$/p' |
		grep -oE '^  (-[a-zA-Z],|   ) --[a-z-]+' | grep -oE -- '-[-a-zA-Z]+' |
		sort
}

manual_options()
{
	page "repolock-$1.1" OPTIONS |
		grep -oE '^ {7}(-[a-zA-Z], )?--[a-z-]+' |
		grep -oE -- '-[-a-zA-Z]+' | sort
}

@test "each page has the options of --help, and no others" {
	for command in "${commands[@]}"; do
		help_options "$command" >"$T/help"
		manual_options "$command" >"$T/manual"
		same "$command" "$T/help" "$T/manual"
	done
}

@test "repolock.1 has the options of repolock --help" {
	"$REPOLOCK" --help | sed -n '/^Options:/,/^$/p' |
		grep -oE -- '--?[a-zA-Z][a-z-]*' | sort >"$T/help"
	page repolock.1 OPTIONS | grep -oE '^ {7}-[a-zA-Z], --[a-z-]+' |
		grep -oE -- '-[-a-zA-Z]+' | sort >"$T/manual"
	same repolock "$T/help" "$T/manual"
}

@test "each page has the exit codes of --help, and no others" {
	for command in "${commands[@]}"; do
		"$REPOLOCK" "$command" --help | sed -n '/^Exit codes:/,/^$/p' |
			grep -oE '^  [0-9]+(\+N)?' | tr -d ' ' >"$T/help"
		page "repolock-$command.1" 'EXIT STATUS' |
			grep -oE '^ {7}[0-9]+(\+N)?( |$)' | tr -d ' ' \
			>"$T/manual"
		same "$command" "$T/help" "$T/manual"
	done
}

@test "the exit codes of the manual are those of cli/exit.c" {
	sed -n '/^enum {/,/^};/p' "$top/src/cli/exit.c" |
		grep -oE '= [0-9]+' | tr -d '= ' | sort -un >"$T/code"
	for command in "${commands[@]}"; do
		page "repolock-$command.1" 'EXIT STATUS' |
			grep -oE '^ {7}[0-9]+' | tr -d ' '
	done | sort -un >"$T/manual"
	same 'exit codes' "$T/code" "$T/manual"
}

@test "the values that --help and the manual tell are the same" {
	for command in "${commands[@]}"; do
		"$REPOLOCK" "$command" --help |
			grep -oE -- '--[a-z-]+ [a-z]+(\|[a-z]+)+' |
			sort >"$T/help"
		page "repolock-$command.1" OPTIONS |
			grep -oE -- '^ {7}--[a-z-]+ [a-z]+(\|[a-z]+)+' |
			sed 's/^ *//' | sort >"$T/manual"
		diff "$T/help" "$T/manual"
	done
}

@test "the manual has every variable that is read, and no others" {
	for command in "${commands[@]}"; do
		"$REPOLOCK" "$command" --help
	done | grep -oE 'REPOLOCK_[A-Z]+' | sort -u >"$T/help"
	page repolock.1 ENVIRONMENT | grep -oE '^ {7}REPOLOCK_[A-Z]+' |
		tr -d ' ' | sort -u >"$T/manual"
	same variables "$T/help" "$T/manual"
}

@test "the manual has every variable that COMMAND is given, and no others" {
	lock -- env | grep -oE '^REPOLOCK_HELD_[A-Z]+' | sort >"$T/given"
	page repolock-with-lock.1 ENVIRONMENT |
		grep -oE '^ {7}REPOLOCK_HELD_[A-Z]+' | tr -d ' ' |
		sort >"$T/manual"
	same variables "$T/given" "$T/manual"
}

@test "the manual has every location that --help lists, and no others" {
	"$REPOLOCK" --help | sed -n '/^LOCATION/,/^$/p' |
		grep -oE '^  [a-zA-Z]+:?' | tr -d ' ' | sort >"$T/help"
	page repolock-locations.7 DESCRIPTION |
		grep -E '^ {7}(PATH|[a-z]+:)' |
		grep -oE '(^ {7}|, )([a-z]+:|PATH)' |
		tr -d ' ,' | sort >"$T/manual"
	same locations "$T/help" "$T/manual"
}

# words_of FUNCTION: what it returns, in the sources.
words_of()
{
	sed -n "/^\(static \)\?const char \*$1(/,/^}/p" "$top"/src/cli/*.c |
		grep -oE 'return "[a-z-]+"' | cut -d'"' -f2 | sort -u
}

@test "the manual has every event and outcome, and no others" {
	words_of event_word >"$T/code"
	page repolock-locations.7 EVENTS | sed '1,/by event:/d' |
		grep -oE '^ {7}[a-z-]+( |$)' | tr -d ' ' | sort -u >"$T/manual"
	same events "$T/code" "$T/manual"
	words_of exit_outcome_word >"$T/code"
	page repolock-locations.7 EVENTS | tr -s ' \n' ' ' |
		grep -oE 'outcome is one of .*\(by a signal' |
		sed 's/outcome is one of//; s/(by a signal//' |
		tr -d ' ' | tr , '\n' | sort >"$T/manual"
	same outcomes "$T/code" "$T/manual"
}

@test "the manual has every member of --json, and no others" {
	start one "$REPOLOCK" with-lock -r "$LOC" -- "$T/sleep" 60
	wait_until is_held
	"$REPOLOCK" list-locks -r "$LOC" --json |
		jq -r 'keys[], (.locks[0] | keys[])' | sort >"$T/code"
	# A tag, which is short, shares its line with the text: see the source.
	sed -n '/^.SH JSON/,/^.SH SEE/p' "$top/man/repolock-locations.7" |
		grep -A 1 '^.TP' | grep '^.BR\? ' | sed 's/^.BR\? //' |
		grep -oE '[a-z_]+' | sort >"$T/manual"
	kill -TERM "${PID[one]}"
	finish one
	same members "$T/code" "$T/manual"
}

# --- completions ------------------------------------------------------------------

@test "bash completes the options of --help, and no others" {
	for command in "${commands[@]}"; do
		bash -c 'source "$1"; _repolock_options "$2" -
			printf "%s\n" "${COMPREPLY[@]}"' - \
			"$top/contrib/completion/repolock.bash" "$command" |
			sort >"$T/bash"
		help_options "$command" >"$T/help"
		same "$command" "$T/help" "$T/bash"
	done
}

@test "fish completes the options of --help, and no others" {
	for command in "${commands[@]}"; do
		HOME=$T fish -c "source $top/contrib/completion/repolock.fish
			complete -C 'repolock $command --'
			complete -C 'repolock $command -'" 3>&- | cut -f1 |
			grep -E '^(-[a-zA-Z]|--[a-z-]+)$' | sort -u >"$T/fish"
		help_options "$command" >"$T/help"
		same "$command" "$T/help" "$T/fish"
	done
}

# _arguments is told all of them; what it was told is printed.
@test "zsh completes the options of --help, and no others" {
	for command in "${commands[@]}"; do
		zsh -f -c '
			_arguments() { print -rl -- "$@" }
			service=with-lock
			source <(sed "\$d" "$1")
			_repolock_arguments "$2"' - \
			"$top/contrib/completion/_repolock" "$command" |
			sed -E 's/^\([^)]*\)//; s/^\*//' |
			grep -oE '^(-[a-zA-Z]|--[a-z-]+)[=+]?\[' |
			tr -d '=+[' | sort -u >"$T/zsh"
		help_options "$command" >"$T/help"
		same "$command" "$T/help" "$T/zsh"
	done
}

# --- the pages themselves -----------------------------------------------------------

@test "the pages are without a fault" {
	is 5 "$(find "$top/man" -name '*.[17]' | wc -l)"
	for file in "$top"/man/*; do
		is '' "$(mandoc -T lint "$file" 2>&1)"
		is '' "$(MANWIDTH=80 man --warnings=all -l "$file" 2>&1 \
			>/dev/null)"
	done
}

@test "every page that is referred to is there" {
	for file in "$top"/man/*; do
		grep -ohE 'repolock(\\-[a-z]+)* \([17]\)' "$file"
	done | sed 's/\\//g; s/ (/./; s/)//' | sort -u >"$T/named"
	[ -s "$T/named" ]
	while read -r name; do
		[ -f "$top/man/$name" ] || { echo "no $name"; return 1; }
	done <"$T/named"
}

@test "the shell's words in the examples are options that there are" {
	for file in "$top"/man/*; do
		mandoc -T ascii "$file" | col -b -x
	done | grep -E 'repolock (with-lock|list-locks|unlock) ' |
		sed -E 's/ -- .*//' | grep -oE -- ' --[a-z-]+' | sort -u \
		>"$T/used"
	[ -s "$T/used" ]
	while read -r option; do
		for command in "${commands[@]}"; do
			help_options "$command"
		done | grep -qxF -- "$option" ||
			{ echo "no $option"; return 1; }
	done <"$T/used"
}

@test "7.10 the manual says where root may take a lock and which links are followed" {
	output=$(page repolock-locations.7 SECURITY | tr -s ' \n' ' ')
	has 'Where root may take a lock'
	has 'only root and users whom root trusts may write'
	has 'deny the lock'
	has 'Links that are followed by design'
	has 'none is followed'
	page repolock.1 SECURITY | grep -q 'repolock-locations(7)'
}
