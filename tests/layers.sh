#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Who may include whom: down or sideways, never up; and each library has one
# home. Prints TAP, and every breach as a comment.

set -u
cd "$(dirname "$0")/.." || exit 1

failed=0
count=0
# The test passes when there are no breaches.
expect_none()
{
	breaches=$2
	count=$((count + 1))
	if [ -z "$breaches" ]; then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		echo "$breaches" | sed 's/^/# /'
		failed=1
	fi
}

# FILE HEADER of every project include and every system include below src/.
ours=$(grep -rnoE '^#[[:space:]]*include "[^"]*"' src |
	sed -E 's/^([^:]*):[0-9]*:.*"(.*)"/\1 \2/')
theirs=$(grep -rnoE '^#[[:space:]]*include <[^>]*>' src |
	sed -E 's/^([^:]*):[0-9]*:.*<(.*)>/\1 \2/')
if [ -z "$ours" ] || [ -z "$theirs" ]; then
	echo 'Bail out! no includes found below src'
	exit 1
fi

upward=$(echo "$ours" | awk '
BEGIN {
	n = split("util net store lock supervise cli main", order, " ")
	for (i = 1; i <= n; i++)
		rank[order[i]] = i
}
{
	split($1, at, "/"); split($2, to, "/")
	from = at[2] ~ /^main\.c$/ ? "main" : at[2]
	if (!(from in rank))
		print $1 " is in no layer"
	else if (!(to[1] in rank))
		print $1 " includes \"" $2 "\", which names no layer"
	else if (rank[to[1]] > rank[from])
		print $1 " includes \"" $2 "\", which is above it"
}')
expect_none 'no file includes a layer above its own' "$upward"

expect_none 'cli and supervise know neither store nor net' "$(
	echo "$ours" |
		grep -E '^src/(cli|supervise|main)[^ ]* (store|net)/')"

expect_none 'project headers are named by their path from src' "$(
	echo "$ours" | while read -r file header; do
		[ -f "src/$header" ] || echo "$file: no src/$header"
	done)"

# A driver is reached through its table only. registry.c names them all.
expect_none 'only lock.c, registry.c and the command line see the registry' "$(
	echo "$ours" | grep -E ' lock/registry\.h$' |
		grep -vE '^src/(lock/(registry|lock)|main|cli/[a-z_]+)\.[ch] ')"

home()
{
	expect_none "$1 stays at home" "$(
		echo "$theirs" | grep -E " $2" | grep -vE "^src/($3) ")"
}
home curl 'curl/' 'net/transfer\.c'
home hiredis 'hiredis/' 'lock/redis\.c'
home libcrypto 'openssl/' \
	'util/hash\.c|net/sigv4\.c|lock/restic_crypto\.c'
home libsodium 'sodium' 'lock/restic_crypto\.c'
home zstd 'zstd' 'lock/restic_crypto\.c'
home jansson 'jansson' \
	'util/json\.c|lock/(lease|restic|borg|redis|etcd)[a-z0-9_]*\.[ch]'
home expat 'expat' 'store/(s3|dav)\.c'
home libuuid 'uuid/' 'lock/borg[a-z0-9_]*\.c'

echo "1..$count"
exit $failed
