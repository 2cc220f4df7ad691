# SPDX-License-Identifier: BSD-2-Clause
#
# Completion in the shells themselves: a key is pressed on a terminal, or fish
# is asked what it would offer.
#
# runner: needs zsh fish
# runner: plain

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common
load lib/terminal

setup()
{
	common_setup
	mkdir "$T/bin" "$T/home"
	ln -s "$REPOLOCK" "$T/bin/repolock"
	ln -s "$REPOLOCK" "$T/bin/with-lock"
	printf '#!/bin/sh\n' >"$T/bin/xyzzy-tool"
	chmod +x "$T/bin/xyzzy-tool"
	export PATH=$T/bin:$PATH HOME=$T/home
	files=$(cd "$BATS_TEST_DIRNAME/../contrib/completion" && pwd)
	: >"$T/home/some-file"
	mkdir "$T/home/some-dir"
	cd "$T/home" || return
}

# offers LINE WORD...: completing LINE offers each WORD, and not those behind
# "but". `press` is the shell's way.
offers()
{
	local line=$1 word wanted=0
	shift
	press "$line"
	for word; do
		if [ "$word" = but ]; then
			wanted=1
		elif [ $wanted = 0 ]; then
			grep -qF -- "$word" <<<"$offered" || {
				printf 'no %s for "%s":\n%s\n' "$word" \
					"$line" "$offered"
				return 1
			}
		elif grep -qwF -- "$word" <<<"$offered"; then
			printf '%s for "%s":\n%s\n' "$word" "$line" "$offered"
			return 1
		fi
	done
}

# The same is wanted of every shell.
common_offers()
{
	offers 'repolock ' with-lock list-locks unlock
	offers 'repolock with-lock --l' --lost-exit-code but --force --json
	offers 'repolock with-lock --on-lost ' term kill but wait
	offers 'repolock with-lock --descendants ' wait kill leave
	offers 'repolock with-lock --break-stale ' all safe none
	offers 'repolock with-lock --progress ' auto always never
	offers 'repolock list-locks --' --json --watch --interval --exit-code \
		but --force --shared
	offers 'repolock unlock --' --force --all --yes --dry-run \
		but --json --wait
	offers 'repolock with-lock -r /x --shared xyzzy' xyzzy-tool
	offers 'repolock with-lock -r /x -w 5m -- xyzzy' xyzzy-tool
	offers 'with-lock -r /x xyzzy' xyzzy-tool
	offers 'with-lock --k' --kill-after
	offers 'repolock with-lock -r some' some-dir
	offers 'repolock with-lock -r rest' restic:
	offers 'repolock with-lock -r flock:some' some-file
	locked one
	wait_until 'inside one'
	id=$("$REPOLOCK" list-locks -r "$LOC" --json | jq -r '.locks[0].id')
	offers "repolock unlock -r $LOC " "$id"
	release one
	finish one
}

# --- bash -------------------------------------------------------------------------

# A line is completed, then thrown away by Ctrl-U; the word typed after it
# shows that the shell has got so far.
press_readline()
{
	local before=$TTY_SEEN
	send "$1"$'\t\t'
	before=$TTY_SEEN
	printf '\025%s\n' "echo do''ne" >&"$TTY_IN"
	wait_until 'shown | grep -qx "done *"'
	TTY_SEEN=$before
	# What was typed is not what was offered.
	offered=$(shown | sed $'s/\033\\[[0-9;?]*[a-zA-Z]//g')
	offered=${offered#*"$1"}
	offered=${1##* }$offered
	prompt
}

@test "bash offers sub-commands, options, values, commands and IDs" {
	press()
	{
		press_readline "$1"
	}
	terminal env TERM=xterm INPUTRC=/dev/null bash --norc --noprofile -i
	type "bind 'set show-all-if-ambiguous on' \
'set enable-bracketed-paste off'; bind 'set completion-query-items 0'; \
bind 'set page-completions off'; bind 'set enable-bracketed-paste off'; \
source '$files/repolock.bash'; stty columns 200; echo rea''dy"
	see '^ready'
	prompt
	common_offers
	offers 'repolock with-lock --on-lost=' term kill
	log_out
}

@test "bash hands what follows COMMAND to its own completion" {
	press()
	{
		press_readline "$1"
	}
	[ -r /usr/share/bash-completion/bash_completion ]
	terminal env TERM=xterm INPUTRC=/dev/null bash --norc --noprofile -i
	type "source /usr/share/bash-completion/bash_completion; \
source '$files/repolock.bash'; \
_xyzzy() { COMPREPLY=(--plugh); }; complete -F _xyzzy xyzzy-tool; \
bind 'set enable-bracketed-paste off'; stty columns 200; echo rea''dy"
	see '^ready'
	prompt
	offers 'repolock with-lock -r /x --on-lost=kill -- xyzzy-tool --p' \
		--plugh
	offers 'repolock with-lock -r flock:/x -s xyzzy-tool --p' --plugh
	log_out
}

# --- zsh --------------------------------------------------------------------------

@test "zsh offers sub-commands, options, values, commands and IDs" {
	press()
	{
		press_readline "$1"
	}
	cat >"$HOME/.zshrc" <<-END
		zmodload zsh/zle
		unset zle_bracketed_paste
		unsetopt prompt_cr prompt_sp beep
		setopt no_list_ambiguous
		fpath=('$files' \$fpath)
		autoload -U compinit
		compinit -u -D
		LISTMAX=10000
		bindkey -e
		stty columns 200 rows 100
	END
	ZDOTDIR=$HOME terminal zsh -d -i
	common_offers
	offers 'repolock with-lock --on-lost=' term kill
	log_out
}

# --- fish -------------------------------------------------------------------------

@test "fish offers sub-commands, options, values, commands and IDs" {
	press()
	{
		offered=$(fish -c "source $files/repolock.fish; \
complete -C '$1'" 3>&-)
	}
	common_offers
	press 'repolock with-lock --on-lost='
	grep -q kill <<<"$offered"
}

@test "fish hands what follows COMMAND to its own completion" {
	offered=$(fish -c "source $files/repolock.fish; \
complete -c xyzzy-tool -l plugh; \
complete -C 'repolock with-lock -r /x -s xyzzy-tool --p'" 3>&-)
	is --plugh "$offered"
	offered=$(fish -c "source $files/repolock.fish; \
complete -c xyzzy-tool -l plugh; \
complete -C 'with-lock -r /x -- xyzzy-tool --p'" 3>&-)
	is --plugh "$offered"
}
