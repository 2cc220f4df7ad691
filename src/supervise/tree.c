/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/tree.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	NUMBER_ROOM = 24,    /* digits of any 64-bit number, and more */
	STAT_ROOM = 1024,    /* /proc/PID/stat is below 400 bytes */
	DIRENTS_ROOM = 8192, /* about 250 processes a call */
	KNOWN_OUTSIDE = 256, /* slots for pids that are not below us */
	CHAIN_TRIES = 3,     /* a parent that dies under our eyes */
	VFORKS = 16          /* so many at once are seen through */
};

/* How long to wait for a death or a stop before looking again. */
static const nsec LOOK_AGAIN = 2 * NSEC_PER_MSEC;

/* One reading of /proc from its beginning to its end. */
struct look {
	const struct tree *tree;
	int proc;
	/* A process that is not below us never comes to be; what a reused
	 * pid hides from this look is found by the next one. */
	pid_t outside[KNOWN_OUTSIDE];
	bool unsure; /* there may be one more than was seen */
};

/* Anything but RC_OK ends the walk; RC_CANCELLED: it has seen enough. */
typedef enum rc visit_fn(struct look *look, void *context,
			 const struct tree_process *p);

/* --- reading /proc --------------------------------------------------- */

static char *put_pid(char *out, pid_t pid)
{
	char digits[NUMBER_ROOM];
	size_t len = 0;

	do {
		digits[len++] = (char)('0' + pid % 10);
		pid /= 10;
	} while (pid > 0);
	while (len > 0)
		*out++ = digits[--len];
	*out = '\0';
	return out;
}

/* 0: is no pid. */
static pid_t get_pid(const char *text)
{
	pid_t pid = 0;

	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' || pid > INT32_MAX / 10 - 1)
			return 0;
		pid = pid * 10 + (*text - '0');
	}
	return pid;
}

/* The number at *at, which is left behind the blank that ends it. */
static uint64_t next_number(const char **at)
{
	uint64_t n = 0;

	if (**at == '-')
		(*at)++;
	for (; **at >= '0' && **at <= '9'; (*at)++)
		n = n * 10 + (uint64_t)(**at - '0');
	if (**at == ' ')
		(*at)++;
	return n;
}

/* The name may hold anything, blanks and ')' too: only its last ')' counts. */
static bool parse_stat(struct tree_process *p, const char *text)
{
	enum {
		FIELD_PARENT = 4,
		FIELD_THREADS = 20,
		FIELD_START = 22,
		FIELD_SIZE = 23,
		FIELD_RESIDENT = 24
	};
	const char *open = strchr(text, '(');
	const char *close = strrchr(text, ')');
	size_t len;

	if (open == NULL || close == NULL || close < open || close[1] != ' ' ||
	    close[2] == '\0' || close[3] != ' ')
		return false;
	len = (size_t)(close - open - 1);
	if (len >= sizeof p->name)
		len = sizeof p->name - 1;
	memcpy(p->name, open + 1, len);
	p->name[len] = '\0';
	p->state = close[2];
	text = close + 4;
	p->threads = 0;
	for (int field = FIELD_PARENT; field <= FIELD_RESIDENT; field++) {
		uint64_t n = next_number(&text);

		if (field == FIELD_PARENT)
			p->parent = (pid_t)n;
		else if (field == FIELD_THREADS)
			p->threads = n;
		else if (field == FIELD_START)
			p->id.start = n;
		else if (field == FIELD_SIZE)
			p->size = n;
		else if (field == FIELD_RESIDENT)
			p->resident = n;
	}
	/* A first thread that has ended shows as Z while others run on. */
	p->live = (p->state != 'Z' && p->state != 'X') || p->threads > 1;
	return true;
}

static enum rc rc_of_open(int sys)
{
	if (sys == EMFILE || sys == ENFILE || sys == ENOMEM)
		return RC_RETRY;
	return RC_ABSENT;
}

/* RC_ABSENT: it is gone, or hidden from us. */
static enum rc read_process(int proc, pid_t pid, struct tree_process *p)
{
	char path[NUMBER_ROOM + sizeof "/stat"];
	char text[STAT_ROOM];
	ssize_t len;
	int fd;

	memcpy(put_pid(path, pid), "/stat", sizeof "/stat");
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return rc_of_open(errno);
	do
		len = read(fd, text, sizeof text - 1);
	while (len < 0 && errno == EINTR);
	close(fd);
	if (len <= 0)
		return RC_ABSENT;
	text[len] = '\0';
	p->id.pid = pid;
	return parse_stat(p, text) ? RC_OK : RC_ABSENT;
}

/* A /proc of another pid namespace would name other processes than we mean. */
static bool proc_is_ours(int proc)
{
	char self[NUMBER_ROOM];
	ssize_t len = readlinkat(proc, "self", self, sizeof self - 1);

	if (len <= 0)
		return false;
	self[len] = '\0';
	return get_pid(self) == getpid();
}

static enum rc open_proc(int *proc)
{
	int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return rc_of_open(errno) == RC_RETRY ? RC_RETRY : RC_UNSUPPORTED;
	if (!proc_is_ours(fd)) {
		close(fd);
		return RC_UNSUPPORTED;
	}
	*proc = fd;
	return RC_OK;
}

enum rc tree_usable(void)
{
	int proc;
	enum rc rc = open_proc(&proc);

	if (rc == RC_OK)
		close(proc);
	return rc;
}

/* --- sets ------------------------------------------------------------- */

static struct process *set_items(struct tree_set *set)
{
	return set->more != NULL ? set->more : set->few;
}

/* By age, so that parents come before their children. */
static int process_order(struct process a, struct process b)
{
	if (a.start != b.start)
		return a.start < b.start ? -1 : 1;
	return (a.pid > b.pid) - (a.pid < b.pid);
}

/* Where id is, or where it belongs. */
static size_t set_place(struct tree_set *set, struct process id)
{
	const struct process *items = set_items(set);
	size_t low = 0;
	size_t high = set->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (process_order(items[middle], id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool set_holds(struct tree_set *set, struct process id)
{
	size_t at = set_place(set, id);

	return at < set->len && process_order(set_items(set)[at], id) == 0;
}

static bool set_grow(struct tree_set *set)
{
	size_t room = set->more != NULL ? set->room * 2 : 512;
	void *more = mmap(NULL, room * sizeof *set->more, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (more == MAP_FAILED)
		return false;
	memcpy(more, set_items(set), set->len * sizeof *set->more);
	if (set->more != NULL)
		munmap(set->more, set->room * sizeof *set->more);
	set->more = more;
	set->room = room;
	return true;
}

/* RC_OK: added. RC_EXISTS: was there. RC_RETRY: no memory. */
static enum rc set_add(struct tree_set *set, struct process id)
{
	size_t room = set->more != NULL ? set->room : TREE_FEW;
	size_t at = set_place(set, id);
	struct process *items;

	if (set_holds(set, id))
		return RC_EXISTS;
	if (set->len == room && !set_grow(set))
		return RC_RETRY;
	items = set_items(set);
	memmove(items + at + 1, items + at, (set->len - at) * sizeof *items);
	items[at] = id;
	set->len++;
	return RC_OK;
}

bool tree_set_holds(const struct tree_set *set, pid_t pid)
{
	const struct process *items = set->more != NULL ? set->more : set->few;

	for (size_t i = 0; i < set->len; i++)
		if (items[i].pid == pid)
			return true;
	return false;
}

void tree_set_release(struct tree_set *set)
{
	if (set->more != NULL)
		munmap(set->more, set->room * sizeof *set->more);
	set->more = NULL;
	set->room = 0;
	set->len = 0;
}

/* --- who is below us -------------------------------------------------- */

enum kin { KIN_BELOW, KIN_OUTSIDE, KIN_UNSURE, KIN_NO_DESCRIPTOR };

static bool is_apart(const struct tree *t, struct process id)
{
	return t->apart != NULL && set_holds(t->apart, id);
}

/* Another user's, where /proc is mounted with hidepid. Whether it is below us
 * is not known; if so, a child of ours is hidden, too. */
static bool is_hidden_pid(pid_t pid)
{
	return kill(pid, 0) == 0 || errno == EPERM;
}

/* One walk up from p. A parent younger than its child is a reused pid. */
static enum kin walk_up(const struct look *look, const struct tree_process *p)
{
	struct tree_process at = *p;

	for (;;) {
		struct tree_process up;
		enum rc rc;

		if (at.id.pid == look->tree->root || is_apart(look->tree, at.id))
			return KIN_OUTSIDE;
		if (at.parent == look->tree->root)
			return KIN_BELOW;
		if (at.parent <= 1 ||
		    look->outside[at.parent % KNOWN_OUTSIDE] == at.parent)
			return KIN_OUTSIDE;
		rc = read_process(look->proc, at.parent, &up);
		if (rc == RC_RETRY)
			return KIN_NO_DESCRIPTOR;
		if (rc != RC_OK && is_hidden_pid(at.parent))
			return KIN_OUTSIDE;
		if (rc != RC_OK || up.id.start > at.id.start)
			return KIN_UNSURE;
		at = up;
	}
}

/*
 * Walk up until an answer is had. A parent that ends in between has given its
 * children to somebody else, so *p is read again, too.
 */
static enum kin kin_of(struct look *look, struct tree_process *p)
{
	enum kin kin = walk_up(look, p);

	for (int i = 1; kin == KIN_UNSURE && i < CHAIN_TRIES; i++) {
		uint64_t start = p->id.start;
		enum rc rc = read_process(look->proc, p->id.pid, p);

		if (rc == RC_RETRY)
			return KIN_NO_DESCRIPTOR;
		if (rc != RC_OK || p->id.start != start)
			return KIN_UNSURE;
		kin = walk_up(look, p);
	}
	if (kin == KIN_OUTSIDE)
		look->outside[p->id.pid % KNOWN_OUTSIDE] = p->id.pid;
	return kin;
}

static enum rc visit_pid(struct look *look, pid_t pid, visit_fn *visit,
			 void *context)
{
	struct tree_process p;
	enum rc rc = read_process(look->proc, pid, &p);

	if (rc == RC_RETRY)
		return rc;
	if (rc != RC_OK)
		return RC_OK; /* gone since the directory was read */
	switch (kin_of(look, &p)) {
	case KIN_BELOW:
		return visit(look, context, &p);
	case KIN_NO_DESCRIPTOR:
		return RC_RETRY;
	case KIN_UNSURE:
		look->unsure = look->unsure ||
			       read_process(look->proc, pid, &p) != RC_ABSENT;
		break;
	case KIN_OUTSIDE:
		break;
	}
	return RC_OK;
}

/* readdir would need malloc; the kernel gives pids in rising order. */
static enum rc visit_all(struct look *look, visit_fn *visit, void *context)
{
	_Alignas(struct dirent64) char entries[DIRENTS_ROOM];

	for (;;) {
		long len = syscall(SYS_getdents64, look->proc, entries,
				   sizeof entries);

		if (len == 0)
			return RC_OK;
		if (len < 0)
			return RC_UNSUPPORTED;
		for (long at = 0; at < len;) {
			const struct dirent64 *d = (const void *)(entries + at);
			pid_t pid = get_pid(d->d_name);
			enum rc rc = RC_OK;

			if (pid > 0)
				rc = visit_pid(look, pid, visit, context);
			if (rc != RC_OK)
				return rc;
			at += d->d_reclen;
		}
	}
}

/* One look at everything below us, from its beginning. */
static enum rc look_through(struct look *look, visit_fn *visit, void *context)
{
	enum rc rc = open_proc(&look->proc);

	if (rc != RC_OK)
		return rc;
	rc = visit_all(look, visit, context);
	close(look->proc);
	return rc;
}

static enum rc look_once(const struct tree *t, visit_fn *visit, void *context)
{
	struct look look = { .tree = t };

	return look_through(&look, visit, context);
}

/* --- signalling one --------------------------------------------------- */

/* Behind the opening: still the same process, alive and below us? RC_RETRY: no
 * descriptor was left to see it with. */
static enum rc still_ours(struct look *look, struct process id)
{
	struct tree_process now;
	enum rc rc = read_process(look->proc, id.pid, &now);

	if (rc != RC_OK)
		return rc;
	if (now.id.start != id.start || !now.live)
		return RC_ABSENT;
	switch (kin_of(look, &now)) {
	case KIN_BELOW:
		return RC_OK;
	case KIN_NO_DESCRIPTOR:
		return RC_RETRY;
	case KIN_OUTSIDE:
	case KIN_UNSURE:
		break;
	}
	return RC_ABSENT;
}

static int pidfd_open_raw(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int pidfd_signal(int fd, int sig)
{
	return (int)syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
}

/*
 * RC_OK: sent. RC_ABSENT: no longer there. RC_DENIED: may not be signalled.
 * RC_RETRY: no descriptor to find that out with.
 * On RC_OK *fd, if wanted, is a pidfd to close, or -1 where there are none.
 */
static enum rc send_one(struct look *look, struct process id, int sig, int *fd)
{
	int pidfd = pidfd_open_raw(id.pid);
	enum rc rc;
	int sent;

	if (pidfd < 0 && errno == ESRCH)
		return RC_ABSENT;
	rc = still_ours(look, id);
	if (rc == RC_RETRY && pidfd >= 0) {
		/* It was the last descriptor: do without. */
		close(pidfd);
		pidfd = -1;
		rc = still_ours(look, id);
	}
	if (rc != RC_OK)
		goto out;
	sent = pidfd < 0 ? kill(id.pid, sig) : pidfd_signal(pidfd, sig);
	if (sent < 0)
		rc = errno == EPERM ? RC_DENIED : RC_ABSENT;
	else if (fd != NULL) {
		*fd = pidfd;
		return RC_OK;
	}
out:
	if (pidfd >= 0)
		close(pidfd);
	return rc;
}

static void tell(tree_told_fn *told, void *context,
		 const struct tree_process *p, enum tree_fate fate)
{
	if (told != NULL)
		told(context, p, fate);
}

/* --- zombies ---------------------------------------------------------- */

/* The first zombie child, left as it is. 0: none; -1: no child at all. */
static pid_t first_zombie(void)
{
	siginfo_t info = { 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL))
		if (errno != EINTR)
			return -1;
	return info.si_pid;
}

bool tree_is_bare(void)
{
	return first_zombie() < 0;
}

static bool is_own(const struct tree *t)
{
	return t->root == getpid();
}

/* A reaper ends by itself only when it has no child left. */
static bool has_ended(pid_t reaper)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)reaper, &info,
		      WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	       info.si_pid == reaper && info.si_code == CLD_EXITED;
}

static void reap_one(pid_t pid, unsigned *reaped)
{
	siginfo_t info = { 0 };

	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | __WALL) < 0)
		if (errno != EINTR)
			return;
	*reaped += info.si_pid == pid;
}

static enum rc visit_reap(struct look *look, void *context,
			  const struct tree_process *p)
{
	const struct tree *t = look->tree;

	if (!p->live && p->parent == t->root && is_own(t) && p->id.pid != t->kept)
		reap_one(p->id.pid, context);
	return RC_OK;
}

/* A child that is apart is alone to have its pid until it is reaped. */
static bool is_ours_to_reap(const struct tree *t, pid_t pid)
{
	return pid != t->kept &&
	       (t->apart == NULL || !tree_set_holds(t->apart, pid));
}

/* As tree_reap; *reaped is raised by their number. */
static bool reap_all(const struct tree *t, unsigned *reaped)
{
	pid_t pid;

	if (!is_own(t))
		return has_ended(t->root);
	while ((pid = first_zombie()) > 0) {
		if (!is_ours_to_reap(t, pid)) {
			/* It hides the others from waitid. */
			(void)look_once(t, visit_reap, reaped);
			return false;
		}
		reap_one(pid, reaped);
	}
	return pid < 0;
}

bool tree_reap(const struct tree *t)
{
	unsigned reaped = 0;

	return reap_all(t, &reaped);
}

/* --- walking ---------------------------------------------------------- */

struct each_context {
	tree_each_fn *each;
	void *context;
};

static enum rc visit_each(struct look *look, void *context,
			  const struct tree_process *p)
{
	struct each_context *c = context;

	(void)look;
	return c->each(c->context, p) ? RC_OK : RC_CANCELLED;
}

enum rc tree_each(const struct tree *t, tree_each_fn *each, void *context)
{
	struct each_context c = { each, context };
	enum rc rc = look_once(t, visit_each, &c);

	return rc == RC_CANCELLED ? RC_OK : rc;
}

static enum rc visit_child(struct look *look, void *context,
			   const struct tree_process *p)
{
	if (p->parent == look->tree->root && set_add(context, p->id) == RC_RETRY)
		return RC_RETRY;
	return RC_OK;
}

enum rc tree_note_children(struct tree_set *set)
{
	struct tree t = { .root = getpid() };

	return look_once(&t, visit_child, set);
}

/* --- a signal to all -------------------------------------------------- */

static enum rc visit_gather(struct look *look, void *context,
			    const struct tree_process *p)
{
	enum rc rc;

	(void)look;
	if (!p->live)
		return RC_OK;
	rc = set_add(context, p->id);
	return rc == RC_EXISTS ? RC_OK : rc;
}

/* Looks until one finds nobody new; a fork bomb is cut off. */
static enum rc gather(const struct tree *t, struct tree_set *set)
{
	enum { LOOKS = 4 };
	size_t before;
	int looks = 0;

	do {
		enum rc rc;

		before = set->len;
		rc = look_once(t, visit_gather, set);
		if (rc != RC_OK)
			return rc;
	} while (set->len > before && ++looks < LOOKS);
	return RC_OK;
}

static void signal_one(struct look *look, struct process id, int sig,
		       tree_told_fn *told, void *context,
		       struct tree_count *count)
{
	struct tree_process p;

	if (read_process(look->proc, id.pid, &p) != RC_OK)
		return;
	switch (send_one(look, id, sig, NULL)) {
	case RC_OK:
		count->live++;
		tell(told, context, &p, TREE_SIGNALLED);
		break;
	case RC_DENIED:
		count->live++;
		count->denied++;
		tell(told, context, &p, TREE_DENIED);
		break;
	default:
		break;
	}
}

enum rc tree_signal(const struct tree *t, int sig, tree_told_fn *told,
		    void *context, struct tree_count *count)
{
	struct look look = { .tree = t };
	struct tree_set all = { .len = 0 };
	enum rc rc;

	*count = (struct tree_count){ 0 };
	rc = gather(t, &all);
	if (rc != RC_OK)
		goto out;
	rc = open_proc(&look.proc);
	if (rc != RC_OK)
		goto out;
	for (size_t i = 0; i < all.len; i++)
		signal_one(&look, set_items(&all)[i], sig, told, context, count);
	close(look.proc);
out:
	tree_set_release(&all);
	return rc;
}

/* --- stop and continue ------------------------------------------------ */

/* Who sleeps uninterruptibly, perhaps in vfork(2). */
struct sleeper {
	struct process id;
	uint64_t size, resident;
	size_t threads;  /* that sleep so */
	size_t children; /* that stand still, and share its memory */
};

struct stop_context {
	struct tree_set *stopped;
	struct tree_count *count;
	struct tree_set before; /* all that the look before this one saw */
	struct tree_set now;    /* all that this one sees, zombies too */
	bool same;              /* nobody was seen for the first time */
	unsigned moving;        /* do not stand still yet */
	struct sleeper sleepers[VFORKS];
	size_t n;
};

static bool stands(char state)
{
	return state == 'T' || state == 't' || state == 'Z' || state == 'X';
}

/* Of one process. */
struct threads {
	size_t moving;
	size_t asleep; /* uninterruptibly */
};

static void count_thread(struct threads *threads, char state)
{
	threads->asleep += state == 'D';
	threads->moving += state != 'D' && !stands(state);
}

static enum rc read_threads_in(int tasks, struct threads *threads)
{
	_Alignas(struct dirent64) char entries[DIRENTS_ROOM];
	long len;

	while ((len = syscall(SYS_getdents64, tasks, entries, sizeof entries)) > 0)
		for (long at = 0; at < len;) {
			const struct dirent64 *d = (const void *)(entries + at);
			struct tree_process thread;
			pid_t tid = get_pid(d->d_name);
			enum rc rc = RC_ABSENT;

			if (tid > 0)
				rc = read_process(tasks, tid, &thread);
			if (rc == RC_RETRY)
				return rc;
			if (rc == RC_OK)
				count_thread(threads, thread.state);
			at += d->d_reclen;
		}
	return RC_OK;
}

/* The state of each. RC_RETRY: no descriptor. */
static enum rc read_threads(const struct look *look,
			    const struct tree_process *p, struct threads *threads)
{
	char path[NUMBER_ROOM + sizeof "/task"];
	enum rc rc;
	int fd;

	*threads = (struct threads){ 0 };
	if (p->threads == 1) {
		count_thread(threads, p->state);
		return RC_OK;
	}
	memcpy(put_pid(path, p->id.pid), "/task", sizeof "/task");
	fd = openat(look->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return rc_of_open(errno) == RC_RETRY ? RC_RETRY : RC_OK;
	rc = read_threads_in(fd, threads);
	close(fd);
	return rc;
}

/* Its place; c->n: it has none. */
static size_t find_sleeper(const struct stop_context *c, pid_t pid)
{
	size_t i = 0;

	while (i < c->n && c->sleepers[i].id.pid != pid)
		i++;
	return i;
}

/* Kept from look to look, since a child may be seen before its parent. */
static void note_sleeper(struct stop_context *c, const struct tree_process *p,
			 size_t threads)
{
	size_t at = find_sleeper(c, p->id.pid);
	struct sleeper *s = &c->sleepers[at];

	if (at == c->n && threads == 0)
		return;
	if (at == VFORKS) {
		c->moving++;
		return;
	}
	if (at == c->n) {
		c->n++;
		s->children = 0;
	}
	s->id = p->id;
	s->size = p->size;
	s->resident = p->resident;
	s->threads = threads;
}

static void note_vforked(struct stop_context *c, const struct tree_process *p)
{
	size_t at = find_sleeper(c, p->parent);
	struct sleeper *s = &c->sleepers[at];

	if (at < c->n && s->size == p->size && s->resident == p->resident)
		s->children++;
}

/* At the end of a look: those that sleep for another reason. */
static void count_sleepers(struct stop_context *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct sleeper *s = &c->sleepers[i];

		c->moving += set_holds(&c->now, s->id) &&
			     s->threads > s->children;
		s->children = 0;
	}
}

/* Whether each thread of it was read as stopped. */
static enum rc look_at_threads(struct look *look, struct stop_context *c,
			       const struct tree_process *p)
{
	struct threads threads;
	enum rc rc = read_threads(look, p, &threads);

	if (rc != RC_OK)
		return rc;
	note_sleeper(c, p, threads.asleep);
	c->moving += threads.moving > 0;
	if (threads.moving == 0 && threads.asleep == 0)
		note_vforked(c, p);
	return RC_OK;
}

static enum rc visit_stop(struct look *look, void *context,
			  const struct tree_process *p)
{
	struct stop_context *c = context;
	bool known;
	enum rc rc;

	c->same = c->same && set_holds(&c->before, p->id);
	if (set_add(&c->now, p->id) == RC_RETRY)
		return RC_RETRY;
	if (!p->live) {
		note_sleeper(c, p, 0);
		return RC_OK;
	}
	c->count->live++;
	known = set_holds(c->stopped, p->id);
	/* Stopped, and not by us: the user's. A traced one ('t') may be let
	 * run by its tracer at any time, so it gets a stop of its own; a first
	 * thread that has ended ('Z') says nothing about the others. */
	if (p->state == 'T' || (stands(p->state) && known))
		return look_at_threads(look, c, p);
	/* Remembered first: what is stopped must be continued some time. */
	rc = set_add(c->stopped, p->id);
	if (rc == RC_RETRY)
		return rc;
	rc = send_one(look, p->id, SIGSTOP, NULL);
	if (rc == RC_DENIED)
		c->count->denied++;
	else if (rc == RC_OK && known && p->state == 'D')
		return look_at_threads(look, c, p);
	else
		c->moving++;
	return RC_OK;
}

static void pause_for(nsec span)
{
	(void)poll(NULL, 0, (int)(span / NSEC_PER_MSEC));
}

/* One look. RC_OK: all stood still in it. RC_BUSY: not all. */
static enum rc stop_once(const struct tree *t, struct stop_context *c)
{
	struct look look = { .tree = t };
	enum rc rc;

	tree_set_release(&c->before);
	c->before = c->now;
	c->now = (struct tree_set){ .len = 0 };
	c->same = true;
	c->moving = 0;
	*c->count = (struct tree_count){ 0 };
	rc = look_through(&look, visit_stop, c);
	if (rc != RC_OK)
		return rc;
	count_sleepers(c);
	return c->moving > 0 || look.unsure ? RC_BUSY : RC_OK;
}

enum rc tree_stop(const struct tree *t, nsec patience, struct tree_set *stopped,
		  struct tree_count *count)
{
	struct boot end = boot_add(boot_now(), patience);
	struct stop_context c = { .stopped = stopped, .count = count };
	bool still = false; /* in the look before */
	enum rc rc;

	for (;;) {
		rc = stop_once(t, &c);
		if (rc != RC_OK && rc != RC_BUSY)
			break;
		if (rc == RC_OK && still && c.same)
			break;
		if (boot_reached(boot_now(), end)) {
			rc = RC_RETRY;
			break;
		}
		still = rc == RC_OK;
		if (!still)
			pause_for(LOOK_AGAIN);
	}
	tree_set_release(&c.before);
	tree_set_release(&c.now);
	return rc;
}

enum rc tree_continue(const struct tree *t, struct tree_set *stopped)
{
	struct look look = { .tree = t };
	enum rc rc = open_proc(&look.proc);

	if (rc != RC_OK)
		return rc;
	/* Children first: a shell among them shall not see its job stopped. */
	for (size_t i = stopped->len; i > 0; i--)
		(void)send_one(&look, set_items(stopped)[i - 1], SIGCONT, NULL);
	close(look.proc);
	tree_set_release(stopped);
	return RC_OK;
}

/* --- kill ------------------------------------------------------------- */

struct kill_context {
	tree_told_fn *told;
	void *context;
	struct tree_count *count;
	struct tree_set seen; /* who was told of, and zombies */
	unsigned reaped;      /* in the last look, and just before it */
	unsigned corpses;     /* seen in it, and not to be reaped by us now */
	unsigned doomed;      /* seen in it */
	unsigned empty_looks; /* in a row */
	int dying;            /* pidfd of one that was sent SIGKILL, or -1 */
	bool give_up;         /* the last look: tell who is still there */
};

/* False: it was told of before. */
static bool tell_once(struct kill_context *c, const struct tree_process *p,
		      enum tree_fate fate)
{
	if (set_add(&c->seen, p->id) != RC_OK)
		return false;
	tell(c->told, c->context, p, fate);
	return true;
}

static enum rc visit_kill(struct look *look, void *context,
			  const struct tree_process *p)
{
	struct kill_context *c = context;
	unsigned reaped = c->reaped;
	int fd = -1;

	if (!p->live) {
		(void)visit_reap(look, &c->reaped, p);
		if (c->reaped > reaped)
			return RC_OK;
		c->corpses += p->parent == look->tree->root;
		/* A new one, which a parent that hangs does not reap. */
		if (set_add(&c->seen, p->id) != RC_EXISTS)
			look->unsure = true;
		return RC_OK;
	}
	switch (send_one(look, p->id, SIGKILL, &fd)) {
	case RC_OK:
		c->count->live++;
		c->doomed += p->id.pid == look->tree->doomed;
		if (!tell_once(c, p, TREE_SIGNALLED) && c->give_up)
			tell(c->told, c->context, p, TREE_STUCK);
		if (c->dying >= 0)
			close(c->dying);
		c->dying = fd;
		break;
	case RC_DENIED:
		c->count->live++;
		c->count->denied++;
		(void)tell_once(c, p, TREE_DENIED);
		break;
	case RC_RETRY:
		return RC_RETRY;
	default: /* dead by now; what it forked before may not be seen */
		look->unsure = true;
		break;
	}
	return RC_OK;
}

/* Until the last one that was killed is dead, or a moment has passed. */
static void await_death(struct kill_context *c)
{
	struct pollfd death = { .fd = c->dying, .events = POLLIN };

	(void)poll(&death, 1, (int)(LOOK_AGAIN / NSEC_PER_MSEC));
	if (c->dying >= 0)
		close(c->dying);
	c->dying = -1;
}

/*
 * Who hides from a look by a fork is the child of one that was in the part of
 * /proc that it had not read yet, and leaves that one's zombie there. So a look
 * in which nobody is seen, and no zombie for the first time, is an empty one;
 * and one more, lest what is said here be wrong.
 */
enum { EMPTY_LOOKS = 2 };

/*
 * Nobody was seen, and there is no proof: does that come from what was seen
 * and is dead? Of other roots than ours and a reaper it cannot be known.
 */
static bool is_hidden(const struct tree *t, const struct kill_context *c)
{
	siginfo_t info = { 0 };

	if (c->corpses > 0 || c->doomed > 0 || t->apart != NULL)
		return false;
	if (is_own(t))
		return first_zombie() == 0;
	return waitid(P_PID, (id_t)t->root, &info,
		      WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	       info.si_pid == 0;
}

/* RC_OK: no more is to be done. RC_BUSY: look again. */
static enum rc kill_once(const struct tree *t, struct kill_context *c)
{
	struct look look = { .tree = t };
	enum rc rc;

	*c->count = (struct tree_count){ 0 };
	c->reaped = c->corpses = c->doomed = 0;
	if (reap_all(t, &c->reaped)) {
		c->count->left = TREE_LEFT_NONE;
		return RC_OK;
	}
	rc = look_through(&look, visit_kill, c);
	if (rc != RC_OK)
		return rc;
	if (c->reaped > 0 || look.unsure ||
	    c->count->live > c->count->denied + c->doomed)
		c->empty_looks = 0;
	/* A reaper exits in a moment, if nobody is left. */
	else if (c->count->live > 0 || is_own(t) || !is_hidden(t, c))
		c->empty_looks++;
	return c->empty_looks == EMPTY_LOOKS ? RC_OK : RC_BUSY;
}

/* After as many empty looks as it takes. */
static void conclude(const struct tree *t, const struct kill_context *c)
{
	struct tree_count *count = c->count;

	if (count->left == TREE_LEFT_NONE)
		return;
	if (count->denied > 0) {
		count->left = TREE_LEFT_DENIED;
	} else if (is_hidden(t, c)) {
		count->live++;
		count->hidden++;
		count->left = TREE_LEFT_DENIED;
	} else {
		count->left = TREE_LEFT_NONE;
	}
}

enum rc tree_kill(const struct tree *t, nsec patience, tree_told_fn *told,
		  void *context, struct tree_count *count)
{
	struct boot end = boot_add(boot_now(), patience);
	struct kill_context c = {
		.told = told, .context = context, .count = count, .dying = -1
	};
	enum rc rc;

	while ((rc = kill_once(t, &c)) == RC_BUSY) {
		if (c.give_up)
			break;
		c.give_up = boot_reached(boot_now(), end);
		if (count->live > count->denied || !is_own(t))
			await_death(&c);
	}
	if (c.dying >= 0)
		close(c.dying);
	if (rc == RC_OK)
		conclude(t, &c);
	tree_set_release(&c.seen);
	return rc == RC_BUSY ? RC_OK : rc;
}

/* --- above us --------------------------------------------------------- */

bool process_is_ancestor(pid_t pid)
{
	struct tree_process p = { .parent = getppid() };
	bool found = false;
	int proc;

	if (open_proc(&proc) != RC_OK)
		return false;
	while (p.parent > 0 && !found) {
		found = p.parent == pid;
		if (read_process(proc, p.parent, &p) != RC_OK)
			break;
	}
	close(proc);
	return found;
}
