# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# bash completion for repolock. Works with and without the package
# bash-completion; behind COMMAND, that command's own completion goes on where
# it is there.

# The words of COMP_WORDS with `--opt=value` and `fd:3` put together again,
# which bash takes apart at COMP_WORDBREAKS.
_repolock_words()
{
	local i joined=""
	words=() cword=0
	for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
		if [[ $i -gt 0 && (${COMP_WORDS[i]} == [=:] || $joined) &&
			${#words[@]} -gt 0 ]]; then
			words[${#words[@]} - 1]+=${COMP_WORDS[i]}
			joined=
			[[ ${COMP_WORDS[i]} == [=:] ]] && joined=yes
		else
			words+=("${COMP_WORDS[i]}")
		fi
		((i == COMP_CWORD)) && cword=$((${#words[@]} - 1))
	done
}

# Answers from a list, one a line, that begin with $1.
_repolock_from()
{
	local word
	COMPREPLY=()
	while read -r word; do
		[[ $word == "$1"* ]] && COMPREPLY+=("$word")
	done <<<"$2"
}

_repolock_files()
{
	local file
	COMPREPLY=()
	while read -r file; do
		COMPREPLY+=("$file")
	done < <(compgen -"$2" -- "$1")
	compopt -o filenames 2>/dev/null
}

# What may follow a colon must be told without what stands before it.
_repolock_cut()
{
	local i before=${1%"${1##*[:=]}"}
	[[ $before ]] || return 0
	for i in "${!COMPREPLY[@]}"; do
		COMPREPLY[i]=${COMPREPLY[i]#"$before"}
	done
}

# Paths are quoted here, since readline would quote the colon of a scheme too.
_repolock_location()
{
	local scheme='' kind=d path quoted
	if [[ $1 == *:* ]]; then
		scheme=${1%%:*}: kind=f
	fi
	COMPREPLY=()
	[[ $scheme ]] ||
		_repolock_from "$1" $'lease:\nflock:\nrestic:\nborg:\nfile:///'
	while read -r path; do
		printf -v quoted %q "$path"
		[[ -d $path ]] && quoted+=/
		COMPREPLY+=("$scheme$quoted")
	done < <(compgen -"$kind" -- "${1#"$scheme"}")
	[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:/] ]] &&
		compopt -o nospace 2>/dev/null
	_repolock_cut "$1"
}

_repolock_ids()
{
	_repolock_from "$2" "$("$1" list-locks "${@:3}" --json 2>/dev/null |
		grep -o '"id":"[^"]*"' | cut -d'"' -f4)"
}

# The values of option $1, beginning with $2. False: it takes none.
_repolock_value()
{
	COMPREPLY=()
	case $1 in
	-r | --repo) _repolock_location "$2" ;;
	--on-lost) _repolock_from "$2" $'term\nkill' ;;
	--descendants) _repolock_from "$2" $'wait\nkill\nleave' ;;
	--break-stale) _repolock_from "$2" $'safe\nall\nnone' ;;
	--progress) _repolock_from "$2" $'auto\nalways\nnever' ;;
	--wait | -w) _repolock_from "$2" $'forever\n30s\n5m\n1h' ;;
	--ttl) _repolock_from "$2" $'30s\n1m\n5m\n1h' ;;
	--kill-after) _repolock_from "$2" $'0\n10s\n1m' ;;
	--interval) _repolock_from "$2" $'1s\n2s\n10s' ;;
	--max-hold) _repolock_from "$2" $'30m\n1h\n4h\n12h' ;;
	--events) _repolock_files "$2" f ;;
	--name | --reason | --conflict-exit-code | -E | --lost-exit-code | \
		--command | -c) ;;
	*) return 1 ;;
	esac
}

_repolock_options()
{
	local all=(--repo --name --insecure-no-password --verbose --quiet
		--help --version -r -v -q -h -V)
	case $1 in
	with-lock)
		all+=(--exclusive --shared --wait --nonblock
			--conflict-exit-code --ttl --reason --max-hold
			--lost-exit-code --kill-after --on-lost --descendants
			--break-stale --reentrant --command --progress
			--events -x -s -w -n -E -c)
		;;
	list-locks) all+=(--json --watch --interval --exit-code) ;;
	unlock) all+=(--force --all --yes --dry-run -y) ;;
	esac
	_repolock_from "$2" "$(printf '%s\n' "${all[@]}")"
}

# Hand what follows COMMAND over to its own completion.
_repolock_command()
{
	local at=$1 i=0 seen=0
	if ((cword == at)); then
		_repolock_files "${words[cword]}" c
		return
	fi
	if declare -F _command_offset >/dev/null; then
		# Its place among bash's words, which may be more than ours.
		for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
			[[ ${COMP_WORDS[i]} == "${words[at]}" ]] && seen=$i &&
				break
		done
		_command_offset "$seen"
		return
	fi
	_repolock_files "${words[cword]}" f
}

_repolock()
{
	local words cword cur sub="" at=1 option repo=()
	_repolock_words
	cur=${words[cword]}
	COMPREPLY=()
	case ${words[0]##*/} in
	with-lock) sub=with-lock ;;
	*)
		if ((cword == 1)); then
			_repolock_from "$cur" \
				$'with-lock\nlist-locks\nunlock\n--help\n--version'
			return
		fi
		sub=${words[1]}
		at=2
		;;
	esac
	while ((at < cword)); do
		option=${words[at]}
		case $option in
		--) ((at++)) ; break ;;
		--*=*) ;;
		-?*)
			if _repolock_value "$option" ''; then
				((at + 1 == cword)) && {
					_repolock_value "$option" "$cur"
					return
				}
				[[ $option == -r || $option == --repo ]] &&
					repo=(-r "${words[at + 1]}")
				((at++))
			fi
			;;
		*) break ;;
		esac
		((at++))
	done
	if ((at >= cword)) && [[ $cur == --*=* ]]; then
		_repolock_value "${cur%%=*}" "${cur#*=}"
	elif ((at >= cword)) && [[ $cur == -* && ${words[at - 1]} != -- ]]; then
		_repolock_options "$sub" "$cur"
	elif [[ $sub == with-lock ]]; then
		_repolock_command "$at"
	elif [[ $sub == unlock ]]; then
		_repolock_ids "${words[0]}" "$cur" "${repo[@]}"
	fi
}

complete -F _repolock repolock with-lock
