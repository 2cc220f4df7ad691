/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue TIMES WAITERS DIR CONTESTANT...: a holder ends and WAITERS that are
 * all in line pass one by one, each running true. From the last thing that
 * the holder's command does to the end of the last waiter.
 */
#include "bench.h"

static double once(const struct meeting *m, struct contestant *c,
		   pid_t *waiters, int n)
{
	pid_t holder = hold(m, c);
	long ended;

	for (int i = 0; i < n; i++)
		waiters[i] = start(c, "true", NULL, NULL);
	until_waiting(c, n);
	let_go(m);
	finish(c, holder, NULL);
	for (int i = 0; i < n; i++)
		finish(c, waiters[i], NULL);
	ended = now();
	return (double)(ended - m->stamps->held_until) / 1e6;
}

int main(int argc, char **argv)
{
	static struct contestant list[MAX_CONTESTANTS];
	double *took[MAX_CONTESTANTS];
	struct meeting m;
	double reference = 0;
	pid_t *waiters;
	int times;
	int each;
	int n;

	if (argc < 5)
		die("usage: queue TIMES WAITERS DIR CONTESTANT...");
	times = number(argv[1]);
	each = number(argv[2]);
	meet(&m, argv[3]);
	n = contestants(list, argv + 4);
	waiters = calloc((size_t)each, sizeof(*waiters));
	if (!waiters)
		die("out of memory");
	for (int i = 0; i < n; i++)
		took[i] = array(times);
	for (int time = 0; time < times; time++)
		for (int i = 0; i < n; i++)
			took[i][time] = once(&m, &list[i], waiters, each);
	printf("%-34s %9s %9s %9s %9s %7s\n", "", "min ms", "median ms",
	       "max ms", "per one", "ratio");
	for (int i = 0; i < n; i++) {
		double median = percentile(took[i], times, 50);

		if (!i)
			reference = median;
		printf("%-34s %9.1f %9.1f %9.1f %9.3f %7.2f\n", list[i].label,
		       took[i][0], median, took[i][times - 1], median / each,
		       median / reference);
	}
	free(waiters);
	return 0;
}
