/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * holding SECONDS DIR CONTESTANT...: what it costs to hold a lock, all
 * contestants at once: memory of the processes between us and the command,
 * and how often those run in that time. The command itself does not count.
 */
#include "bench.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>

enum { MAX_PROCESSES = 32 };

struct cost {
	int processes;
	pid_t pids[MAX_PROCESSES];
	long pss; /* KiB: private pages, and a share of those shared */
	long own; /* KiB: private pages alone */
	long wakeups;
	double cpu_ms;
};

static void read_line_values(const char *path, const char *const *keys,
			     long *values, size_t n)
{
	FILE *file = fopen(path, "re");
	char line[512];

	if (!file)
		return; /* it has just ended */
	while (fgets(line, sizeof(line), file))
		for (size_t i = 0; i < n; i++)
			if (!strncmp(line, keys[i], strlen(keys[i])))
				values[i] += strtol(line + strlen(keys[i]),
						    NULL, 10);
	fclose(file);
}

/* Memory that two processes share by CLONE_VM is there once. */
static int counted_already(const struct cost *cost, pid_t pid)
{
	for (int i = 0; i < cost->processes; i++)
		if (syscall(SYS_kcmp, cost->pids[i], pid, KCMP_VM, 0, 0) == 0)
			return 1;
	return 0;
}

static void add_memory(struct cost *cost, pid_t pid)
{
	static const char *const keys[] = { "Pss:", "Private_Clean:",
					    "Private_Dirty:" };
	long values[3] = { 0 };
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	read_line_values(path, keys, values, 3);
	cost->pss += values[0];
	cost->own += values[1] + values[2];
}

static void add_task(struct cost *cost, const char *task)
{
	static const char *const keys[] = { "voluntary_ctxt_switches:" };
	char path[512];
	long values[1] = { 0 };
	FILE *file;
	long ran = 0;

	(void)snprintf(path, sizeof(path), "%s/status", task);
	read_line_values(path, keys, values, 1);
	cost->wakeups += values[0];
	(void)snprintf(path, sizeof(path), "%s/schedstat", task);
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%ld", &ran) == 1)
			cost->cpu_ms += (double)ran / 1e6;
		fclose(file);
	}
}

static void add_activity(struct cost *cost, pid_t pid)
{
	char path[128];
	char task[400];
	struct dirent *entry;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(task, sizeof(task), "%s/%s", path, entry->d_name);
		add_task(cost, task);
	}
	closedir(dir);
}

static pid_t parent_of(pid_t pid)
{
	char path[64];
	char line[512];
	const char *after;
	FILE *file;
	int parent = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	after = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	if (after && sscanf(after + 1, " %*c %d", &parent) != 1)
		parent = 0;
	fclose(file);
	return parent;
}

/* The command under the lock is the program hold. */
static int is_command(const struct meeting *m, pid_t pid)
{
	char path[64];
	char exe[4096];
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	len = readlink(path, exe, sizeof(exe) - 1);
	if (len < 0)
		return 0;
	exe[len] = '\0';
	return !strcmp(exe, m->command);
}

/* Of root and all below it, but not of the command. */
static struct cost cost_of(const struct meeting *m, pid_t root)
{
	struct cost cost = { 0 };
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		die("/proc: %s", strerror(errno));
	while ((entry = readdir(proc)) != NULL) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		pid_t up = pid;

		while (up > 1 && up != root)
			up = parent_of(up);
		if (up != root || is_command(m, pid))
			continue;
		if (!counted_already(&cost, pid))
			add_memory(&cost, pid);
		add_activity(&cost, pid);
		if (cost.processes == MAX_PROCESSES)
			die("more than %d processes", MAX_PROCESSES);
		cost.pids[cost.processes++] = pid;
	}
	closedir(proc);
	return cost;
}

int main(int argc, char **argv)
{
	static struct contestant list[MAX_CONTESTANTS];
	struct cost before[MAX_CONTESTANTS];
	pid_t holders[MAX_CONTESTANTS];
	struct meeting m;
	double reference = 0;
	int seconds;
	int n;

	if (argc < 4)
		die("usage: holding SECONDS DIR CONTESTANT...");
	seconds = number(argv[1]);
	meet(&m, argv[2]);
	n = contestants(list, argv + 3);
	for (int i = 0; i < n; i++)
		holders[i] = hold(&m, &list[i]);
	pause_ms(1000); /* starting is over */
	for (int i = 0; i < n; i++)
		before[i] = cost_of(&m, holders[i]);
	pause_ms(seconds * 1000L);
	printf("%-34s %9s %9s %9s %9s %9s %7s\n", "", "processes", "PSS KiB",
	       "own KiB", "wake-ups", "cpu ms", "ratio");
	for (int i = 0; i < n; i++) {
		struct cost c = cost_of(&m, holders[i]);

		if (!i)
			reference = (double)c.pss;
		printf("%-34s %9d %9ld %9ld %9ld %9.3f %7.2f\n", list[i].label,
		       c.processes, c.pss, c.own, c.wakeups - before[i].wakeups,
		       c.cpu_ms - before[i].cpu_ms,
		       reference > 0 ? (double)c.pss / reference : 0.0);
	}
	for (int i = 0; i < n; i++)
		let_go(&m);
	for (int i = 0; i < n; i++)
		finish(&list[i], holders[i], NULL);
	return 0;
}
