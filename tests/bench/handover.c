/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handover ROUNDS DIR CONTESTANT...: from the last thing that the holder's
 * command does to the first thing that the waiter's command does.
 */
#include "bench.h"

static double once(const struct meeting *m, struct contestant *c)
{
	pid_t holder = hold(m, c);
	pid_t waiter = start(c, m->command, "enter", m->dir);

	until_waiting(c, 1);
	m->stamps->entered = 0;
	let_go(m);
	finish(c, holder, NULL);
	finish(c, waiter, NULL);
	if (m->stamps->entered < m->stamps->held_until)
		die("%s: entered before the holder had ended", c->label);
	return (double)(m->stamps->entered - m->stamps->held_until) / 1e6;
}

int main(int argc, char **argv)
{
	static struct contestant list[MAX_CONTESTANTS];
	double *took[MAX_CONTESTANTS];
	struct meeting m;
	double reference = 0;
	int rounds;
	int n;

	if (argc < 4)
		die("usage: handover ROUNDS DIR CONTESTANT...");
	rounds = number(argv[1]);
	meet(&m, argv[2]);
	n = contestants(list, argv + 3);
	for (int i = 0; i < n; i++)
		took[i] = array(rounds);
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < n; i++)
			took[i][round] = once(&m, &list[i]);
	printf("%-34s %9s %9s %9s %9s %7s\n", "", "min ms", "median ms",
	       "p90 ms", "p99 ms", "ratio");
	for (int i = 0; i < n; i++) {
		double median = percentile(took[i], rounds, 50);

		if (!i)
			reference = median;
		printf("%-34s %9.3f %9.3f %9.3f %9.3f %7.2f\n", list[i].label,
		       took[i][0], median, percentile(took[i], rounds, 90),
		       percentile(took[i], rounds, 99), median / reference);
	}
	return 0;
}
