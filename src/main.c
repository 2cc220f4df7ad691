/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

int main(void)
{
	(void)puts("repolock " REPOLOCK_VERSION);
	return 0;
}
