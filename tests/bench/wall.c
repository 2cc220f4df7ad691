/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wall ROUNDS CONTESTANT...: start to end of each command line, in turn, so
 * that what disturbs the machine disturbs all of them.
 */
#include "bench.h"

static double cpu_of(const struct rusage *use)
{
	return (double)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) * 1e3 +
	       (double)(use->ru_utime.tv_usec + use->ru_stime.tv_usec) / 1e3;
}

int main(int argc, char **argv)
{
	static struct contestant list[MAX_CONTESTANTS];
	double *wall[MAX_CONTESTANTS];
	double *cpu[MAX_CONTESTANTS];
	long rss[MAX_CONTESTANTS] = { 0 };
	double reference = 0;
	int rounds;
	int n;

	if (argc < 3)
		die("usage: wall ROUNDS CONTESTANT...");
	rounds = number(argv[1]);
	n = contestants(list, argv + 2);
	for (int i = 0; i < n; i++) {
		wall[i] = array(rounds);
		cpu[i] = array(rounds);
	}
	/* The first round only fills caches. */
	for (int round = -1; round < rounds; round++) {
		for (int i = 0; i < n; i++) {
			struct rusage use;
			long begun = now();

			finish(&list[i], start(&list[i], NULL, NULL, NULL), &use);
			if (round < 0)
				continue;
			wall[i][round] = (double)(now() - begun) / 1e6;
			cpu[i][round] = cpu_of(&use);
			if (use.ru_maxrss > rss[i])
				rss[i] = use.ru_maxrss;
		}
	}
	printf("%-34s %9s %9s %9s %9s %7s\n", "", "median ms", "p90 ms",
	       "cpu ms", "RSS KiB", "ratio");
	for (int i = 0; i < n; i++) {
		double median = percentile(wall[i], rounds, 50);

		if (!i)
			reference = median;
		printf("%-34s %9.3f %9.3f %9.3f %9ld %7.2f\n", list[i].label,
		       median, percentile(wall[i], rounds, 90),
		       percentile(cpu[i], rounds, 50), rss[i],
		       median / reference);
	}
	return 0;
}
