# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: BSD-2-Clause
#
# A repository of the real borg 1 for each test of a file ("load lib/borg",
# after lib/common): REPO, and LOC for our -r.

setup()
{
	command -v borg >/dev/null || skip "there is no borg"
	common_setup
	export BORG_BASE_DIR=$T/base BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes
	export BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BORG_EXIT_CODES=legacy
	unset BORG_REPO BORG_HOST_ID
	REPO=$T/repo
	LOC=borg:$REPO
	borg init -e none "$REPO"
}

nothing_locked()
{
	is '' "$(find "$T/repo" -path '*/lock*')"
}
