#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The examples below contrib/, run on real repositories.
#
# runner: needs restic borg systemd-analyze

set -u
cd "$(dirname "$0")/.." || exit 1
count=0
failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/bin" "$tmp/data" "$tmp/home"
ln -s "${REPOLOCK:-$PWD/build/repolock}" "$tmp/bin/repolock"
export PATH=$tmp/bin:$PATH HOME=$tmp/home BORG_BASE_DIR=$tmp/home
cp -r contrib "$tmp/data/"

t()
{
	local name=$1 said
	shift
	count=$((count + 1))
	if said=$("$@" 2>&1); then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		tail -n 20 <<<"$said" | sed 's/^/# /'
		failed=1
	fi
}

# Prints nothing when all is well, since cron would mail it.
quietly()
{
	local said
	said=$("$@" 2>&1) && [ -z "$said" ] || { echo "$said"; return 1; }
}

units_verified()
{
	local unit
	for unit in contrib/systemd/*; do
		sed "s|/usr/local/bin/repolock|$tmp/bin/repolock|" "$unit" \
			>"$tmp/home/${unit##*/}"
	done
	quietly systemd-analyze verify --man=no "$tmp/home"/repolock-*
}

# The command of a unit with its variables, as systemd would split it.
unit_runs() # UNIT
{
	local line
	line=$(sed -n 's/^ExecStart=//p' "contrib/systemd/$1")
	line=${line//\/usr\/local\/bin\/repolock/repolock}
	# What is backed up is of this test.
	quietly bash -c "${line/\/etc \/home/$tmp/data}"
}

export RESTIC_REPOSITORY=$tmp/restic RESTIC_PASSWORD_FILE=$tmp/password \
	RESTIC_CACHE_DIR=$tmp/home/restic
export BORG_REPO=$tmp/borg BORG_PASSCOMMAND="cat $tmp/password"
echo demo >"$tmp/password"
restic -q init >/dev/null && borg init -e repokey 2>/dev/null || {
	echo 'Bail out! no repositories'
	exit 1
}
export BACKUP_PATHS=$tmp/data
restic_has() { [ "$(restic -q snapshots --json | grep -o '"tree"' | wc -l)" -eq "$1" ]; }
borg_has() { [ "$(borg list --short | wc -l)" -eq "$1" ]; }

t 'the units are well-formed' units_verified
t 'the cron script for restic succeeds and is silent' \
	quietly contrib/cron/repolock-restic
t 'it left a snapshot' restic_has 1
t 'the cron script for borg succeeds and is silent' \
	quietly contrib/cron/repolock-borg
t 'it left an archive' borg_has 1
t 'the command of the restic unit runs' unit_runs repolock-restic.service
t 'it left a second snapshot' restic_has 2
t 'the command of the prune unit runs' \
	unit_runs repolock-restic-prune.service
t 'the command of the borg unit runs' unit_runs repolock-borg.service
t 'no lock is left' repolock list-locks --exit-code -r "lease:$tmp/restic"
t 'nor on the borg repository' repolock list-locks --exit-code -r "lease:$tmp/borg"

echo "1..$count"
exit $failed
