#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# One run of each command under valgrind: every process that repolock forks
# must touch no memory it should not, and the one that the caller started must
# have freed what it took.
#
# runner: needs valgrind

set -u
cd "$(dirname "$0")/.." || exit 1
# Not a static one, which nothing can be put in front of.
repolock=${REPOLOCK:-$PWD/build/dynamic-gcc/repolock}
count=0
failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/repo" "$tmp/log"

# valgrind 3.19 ends a program that shares memory between processes in a way
# of its own. Without such a witness repolock has to do as well.
echo 'int clone(void); int clone(void) { return -1; }' |
	"${CC:-gcc}" -shared -fPIC -fno-builtin -o "$tmp/no_clone.so" -xc - || exit 1

# System calls that it does not know are refused, and complained of.
complaints()
{
	cat "$tmp/log"/* | grep -vE -e '^--[0-9]+-- (WARNING: unhandled .* syscall|You may be able|Read the file README_MISSING|Nevertheless we|it at http)'
}

# SENTENCE STATUS ARGUMENTS...: repolock ends with STATUS, valgrind is silent.
t()
{
	local name=$1 wanted=$2 status said
	shift 2
	count=$((count + 1))
	rm -f "$tmp/log"/*
	valgrind -q --trace-children=yes --trace-children-skip='*/true,*/sh' \
		--leak-check=full --show-leak-kinds=definite,indirect \
		--errors-for-leak-kinds=definite,indirect --track-fds=no \
		--log-file="$tmp/log/%p" \
		env LD_PRELOAD="$tmp/no_clone.so" "$repolock" "$@" \
		>"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	said=$(complaints)
	if [ $status -eq "$wanted" ] && [ -z "$said" ]; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		printf '# status %s, not %s\n' "$status" "$wanted"
		{ echo "$said"; cat "$tmp/err"; } | head -n 60 | sed 's/^/# /'
		failed=1
	fi
}

# It takes as long as the machine is slow, so there is a limit, not a pause.
held_by_another()
{
	"$repolock" with-lock -s -r "$1" -- sh -c "echo >$tmp/held; read -r _" \
		<"$tmp/pipe" 2>/dev/null &
	holder=$!
	exec 9>"$tmp/pipe"
	for _ in {1..300}; do
		[ ! -e "$tmp/held" ] || return 0
		sleep 0.1
	done
	echo 'Bail out! nobody holds the lock'
	exit 1
}

t 'with-lock on a lease' 0 with-lock -r "$tmp/repo" -- true
t 'with-lock shared, with every text' 3 with-lock -s --name other \
	--reason why --ttl 1m -r "$tmp/repo" -- sh -c 'exit 3'
t 'with-lock on flock:' 0 with-lock -r "flock:$tmp/file" -- true
t 'with-lock refuses what it does not know' 125 with-lock -r nosuch:x -- true
t 'list-locks where there is none' 0 list-locks -r "$tmp/repo"
mkfifo "$tmp/pipe"
held_by_another "$tmp/repo"
t 'list-locks as a table' 0 list-locks -r "$tmp/repo"
t 'list-locks as JSON' 0 list-locks --json -r "$tmp/repo"
t 'with-lock that does not want to wait' 123 with-lock -n -r "$tmp/repo" -- true
t 'with-lock that waits in vain' 123 with-lock -w 1s -r "$tmp/repo" -- true
t 'unlock that leaves a living holder alone' 0 unlock -r "$tmp/repo"
t 'unlock that is forced' 0 unlock --force --all --yes -r "$tmp/repo"
exec 9>&-
wait "$holder"
t '--help' 0 --help

echo "1..$count"
exit $failed
