/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flock:PATH, the kernel lock that flock(1) takes, on the file it takes.
 *
 * Waiting is a place in the kernel's own queue: a helper thread blocks in
 * flock(2) on the description that we hold, so the hand-over is as quick and
 * as fair as between flock(1)s, and what the helper gets is ours. It stays
 * blocked from one wait() to the next, as leaving would lose the place, and
 * is sent a signal only when the request is withdrawn. (A child process
 * instead would cost more, and would look like one of the command's to those
 * who search for its descendants; a periodic LOCK_NB would be slow, unfair,
 * and never idle.)
 *
 * flock(1) does not notice when the file is removed or replaced, and neither
 * does the kernel: newcomers then lock another file. We look again after
 * locking, and watch for it while holding; who waits looks every other second.
 */
#include "lock/lock.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "util/flock_lines.h"
#include "util/text.h"

/* Interrupts the helper's flock(2). Nobody else uses real-time signals. */
#define KICK (SIGRTMIN + 1)
/* A kick may come just before the helper enters the call: repeat it. */
#define KICK_AGAIN_MSEC 5
/* The helper calls flock and write only; most of this is never touched. */
#define HELPER_STACK ((size_t)128 * 1024)

/* A directory that is locked or renamed above the file sends no event, nor
 * does another host of a network file system. */
#define LOOK_AGAIN (30 * NSEC_PER_SEC)
/* A user may have 128 inotify descriptors: when they are used up, a holder
 * looks so often, and those who wait, of whom there may be more, always do. */
#define HOLDER_LOOKS NSEC_PER_SEC
#define WAITER_LOOKS (2 * NSEC_PER_SEC)

/* The file was replaced between opening and locking it, so often. */
#define REPLACED_MAX 16

struct helper {
	bool running;
	pthread_t thread;
	int fd; /* the description to lock; lent */
	int operation;
	int ended; /* eventfd: readable when the helper is through; or -1 */
	int error; /* then: 0 when the lock was had */
	atomic_bool stop;
};

struct flock_lock {
	struct lock base; /* first: flock_of() depends on it */
	struct lock_wish wish;
	const char *path;
	int fd; /* -1: not open */
	dev_t dev;
	ino_t ino;
	bool writable; /* opened O_RDWR, which NFS wants for LOCK_EX */
	bool held;
	int inotify; /* -1: none yet */
	int watch;   /* on the inode behind fd; -1: none */
	int alarm;   /* timerfd where there can be no watch; -1: none */
	struct helper helper;
};

extern const struct lock_ops lock_flock;

static struct flock_lock *flock_of(struct lock *lock)
{
	assert(lock->ops == &lock_flock);
	return (struct flock_lock *)lock;
}

static int operation_of(const struct flock_lock *f)
{
	return f->wish.mode == LOCK_SHARED ? LOCK_SH : LOCK_EX;
}

/* --- the helper that waits --- */

static void on_kick(int sig)
{
	(void)sig;
}

static void *block_in_flock(void *context)
{
	struct helper *h = context;
	const uint64_t one = 1;
	sigset_t kick;

	(void)sigemptyset(&kick);
	(void)sigaddset(&kick, KICK);
	(void)pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	do
		h->error = flock(h->fd, h->operation) == 0 ? 0 : errno;
	while (h->error == EINTR && !atomic_load(&h->stop));
	(void)!write(h->ended, &one, sizeof(one));
	return NULL;
}

/* No signal but the kick may be handled by the helper. */
static int helper_create(struct helper *h)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int error;

	error = pthread_attr_init(&attr);
	if (error != 0)
		return error;
	(void)pthread_attr_setstacksize(&attr, HELPER_STACK);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&h->thread, &attr, block_in_flock, h);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return error;
}

/* False: there can be no helper; errno says why. */
static bool helper_start(struct helper *h, int fd, int operation)
{
	/* Without SA_RESTART, which would put the helper back into the call. */
	const struct sigaction act = { .sa_handler = on_kick };

	assert(!h->running);
	if (h->ended < 0)
		h->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->ended < 0 || sigaction(KICK, &act, NULL) < 0)
		return false;
	h->fd = fd;
	h->operation = operation;
	atomic_store(&h->stop, false);
	errno = helper_create(h);
	h->running = errno == 0;
	return h->running;
}

static bool helper_ended(const struct helper *h, int patience_msec)
{
	struct pollfd ended = { .fd = h->ended, .events = POLLIN };

	return poll(&ended, 1, patience_msec) > 0;
}

/* Join a helper that has ended. Returns its error. */
static int helper_join(struct helper *h)
{
	uint64_t count;

	(void)pthread_join(h->thread, NULL);
	(void)!read(h->ended, &count, sizeof(count));
	h->running = false;
	return h->error;
}

/* Leave the queue; a lock that was had in the last moment is given back. */
static void helper_withdraw(struct helper *h)
{
	if (!h->running)
		return;
	atomic_store(&h->stop, true);
	do
		(void)pthread_kill(h->thread, KICK);
	while (!helper_ended(h, KICK_AGAIN_MSEC));
	if (helper_join(h) == 0)
		(void)flock(h->fd, LOCK_UN);
}

/* --- the file --- */

static enum rc refuse_open(const char *path, int sys, struct err *e)
{
	struct stat st;

	if (sys == ENOENT)
		return err_set(e, RC_ABSENT,
			       "%.180s: its directory does not exist; make it "
			       "first",
			       path);
	if (sys == EACCES && stat(path, &st) < 0 && errno == ENOENT)
		return err_set(e, RC_DENIED,
			       "%.150s: no permission to create it; choose "
			       "another place or create it for this user",
			       path);
	return err_sys(e, rc_of_errno(sys), sys, "%s", path);
}

/*
 * Open the file; `flags` is O_CREAT or 0, which leaves fd at -1 when there is
 * no file. Opened first without O_CREAT, which directories do not take, and
 * fs.protected_regular forbids in /tmp where another user made the file.
 * O_NONBLOCK, lest the name of a pipe block us for ever.
 */
static enum rc open_file(struct flock_lock *f, int flags, struct err *e)
{
	int mode = (f->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY |
		   O_NONBLOCK;
	struct stat st;

	f->fd = open(f->path, mode);
	if (f->fd < 0 && errno == ENOENT && flags != 0)
		f->fd = open(f->path, mode | flags, 0666);
	if (f->fd < 0 && errno == ENOENT && flags == 0)
		return RC_OK;
	if (f->fd < 0)
		return refuse_open(f->path, errno, e);
	if (fstat(f->fd, &st) < 0)
		return err_sys(e, rc_of_errno(errno), errno, "%s", f->path);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	return RC_OK;
}

/* A descriptor that is readable from time to time; the first time after
 * `first`. */
static int alarm_instead(struct flock_lock *f, nsec first)
{
	const struct timespec begin = { .tv_nsec = (long)first };
	const struct timespec often = {
		.tv_sec = HOLDER_LOOKS / NSEC_PER_SEC,
		.tv_nsec = HOLDER_LOOKS % NSEC_PER_SEC,
	};

	if (f->alarm < 0)
		f->alarm = timerfd_create(CLOCK_BOOTTIME,
					  TFD_CLOEXEC | TFD_NONBLOCK);
	if (f->alarm >= 0)
		(void)timerfd_settime(
			f->alarm, 0, &(struct itimerspec){ often, begin }, NULL);
	return f->alarm;
}

static void drain_watch(const struct flock_lock *f)
{
	char events[512];

	while (f->inotify >= 0 && read(f->inotify, events, sizeof(events)) > 0)
		;
	while (f->alarm >= 0 && read(f->alarm, events, sizeof(events)) > 0)
		;
}

/* Closing an inotify descriptor takes some 16 ms unless its watches were gone
 * for as long: so they go as soon as there is no need for them. */
static void unwatch_file(struct flock_lock *f)
{
	if (f->watch >= 0)
		(void)inotify_rm_watch(f->inotify, f->watch);
	f->watch = -1;
	drain_watch(f);
}

static void close_file(struct flock_lock *f)
{
	helper_withdraw(&f->helper);
	unwatch_file(f);
	if (f->alarm >= 0)
		(void)close(f->alarm);
	if (f->fd >= 0)
		(void)close(f->fd);
	f->alarm = -1;
	f->fd = -1;
}

/* RC_OK: whoever opens the path gets the file that we have; RC_LOST: another
 * or none. */
static enum rc check_in_place(const struct flock_lock *f, struct err *e)
{
	struct stat st;

	if (stat(f->path, &st) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return err_sys(e, RC_RETRY, errno, "%s", f->path);
		return err_set(e, RC_LOST,
			       "%.150s was removed, so that others can lock a "
			       "new one",
			       f->path);
	}
	if (st.st_dev != f->dev || st.st_ino != f->ino)
		return err_set(e, RC_LOST,
			       "%.150s was replaced, so that others can lock "
			       "the new one",
			       f->path);
	return RC_OK;
}

/*
 * Watch the very inode that is open. A file's last link going away is only
 * told by IN_ATTRIB while it is open; for a directory that would tell of
 * everything below, so those are looked at from time to time only.
 */
static int add_watch(const struct flock_lock *f)
{
	char self[40];
	struct stat st;
	uint32_t mask = IN_DELETE_SELF | IN_MOVE_SELF;
	int watch;

	if (fstat(f->fd, &st) == 0 && !S_ISDIR(st.st_mode))
		mask |= IN_ATTRIB;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", f->fd);
	watch = inotify_add_watch(f->inotify, self, mask);
	/* Without /proc by its path; the caller looks at it once more. */
	return watch >= 0 ? watch : inotify_add_watch(f->inotify, f->path, mask);
}

static void watch_file(struct flock_lock *f)
{
	if (f->watch >= 0)
		return;
	if (f->inotify < 0)
		f->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (f->inotify >= 0)
		f->watch = add_watch(f);
}

/* --- who has it: /proc/locks --- */

static bool read_proc(char *out, size_t size, pid_t pid, const char *what)
{
	char path[64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, out, size - 1);
	(void)close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool process_exists(pid_t pid)
{
	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/* Does this process hold a flock through its descriptor `fd`, which is open
 * on our file? */
static bool descriptor_locks(pid_t pid, const char *fd, dev_t dev, ino_t ino)
{
	char path[NAME_MAX + 64], text[1024];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, fd);
	if (stat(path, &st) < 0 || st.st_dev != dev || st.st_ino != ino)
		return false;
	(void)snprintf(path, sizeof(path), "fdinfo/%s", fd);
	return read_proc(text, sizeof(text), pid, path) &&
	       strstr(text, "lock:") && strstr(text, "FLOCK");
}

enum owner { OWNER_YES, OWNER_NO, OWNER_MAYBE /* not for us to look */ };

static struct dirent *next_entry(DIR *dir)
{
	/* Each stream is one function's own. */
	return readdir(dir); /* NOLINT(concurrency-mt-unsafe) */
}

static enum owner process_locks(pid_t pid, dev_t dev, ino_t ino)
{
	char path[64];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return process_exists(pid) ? OWNER_MAYBE : OWNER_NO;
	while (!found && (entry = next_entry(dir)) != NULL)
		found = isdigit((unsigned char)entry->d_name[0]) &&
			descriptor_locks(pid, entry->d_name, dev, ino);
	(void)closedir(dir);
	return found ? OWNER_YES : OWNER_NO;
}

/*
 * The kernel names the process that called flock(2). Where a script locks a
 * descriptor of its own (`flock 9`) that one has ended since; look for one
 * that has the lock's description. What the script runs has it, too: the
 * script is older, though its pid may be greater. 0: none that we may see.
 */
static pid_t find_process(dev_t dev, ino_t ino)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint64_t oldest = 0;
	pid_t found = 0;

	while (proc && (entry = next_entry(proc)) != NULL) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		uint64_t start;

		if (pid <= 0 || process_locks(pid, dev, ino) != OWNER_YES)
			continue;
		start = process_start(pid);
		if (found == 0 || start < oldest) {
			found = pid;
			oldest = start;
		}
	}
	if (proc)
		(void)closedir(proc);
	return found;
}

static void describe_process(struct lock_info *info, pid_t pid)
{
	char path[32];
	struct stat st;

	info->pid = pid;
	info->counted = process_table_is_ours() ? LOCK_PID_HERE
						: LOCK_PID_ELSEWHERE;
	info->alive = LOCK_ALIVE_YES;
	if (read_proc(info->command, sizeof(info->command), pid, "comm"))
		info->command[strcspn(info->command, "\n")] = '\0';
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) == 0)
		user_name(st.st_uid, info->user, sizeof(info->user));
}

static void describe_line(struct lock_info *info, const struct flock_lock *f,
			  const struct flock_line *line, dev_t dev, ino_t ino)
{
	pid_t pid = line->pid;

	*info = (struct lock_info){
		.mode = line->shared ? LOCK_SHARED : LOCK_EXCLUSIVE,
		.state = line->waiting ? LOCK_WAITING : LOCK_HELD,
	};
	(void)text_copy(info->protocol, sizeof(info->protocol), "flock");
	(void)text_copy(info->host, sizeof(info->host), f->wish.self->host);
	if (!line->waiting && process_locks(pid, dev, ino) == OWNER_NO)
		pid = find_process(dev, ino);
	if (process_exists(pid)) {
		describe_process(info, pid);
	} else {
		info->pid = line->pid;
		(void)text_copy(info->detail, sizeof(info->detail),
				"by a process that cannot be seen from here");
	}
	(void)snprintf(info->id, sizeof(info->id), "%d", (int)info->pid);
}

struct line_search {
	const struct flock_lock *f;
	dev_t shown_dev; /* as /proc/locks has it */
	dev_t dev;
	ino_t ino;
	bool waiting; /* wanted: those that wait, or those that hold */
	size_t found;
	bool enough; /* seen() wants no more */
	lock_seen *seen;
	void *context;
};

static bool see_line(void *context, const struct flock_line *line)
{
	struct line_search *s = context;
	struct lock_info info;

	if (line->inode != s->ino || line->waiting != s->waiting ||
	    line->major != major(s->shown_dev) ||
	    line->minor != minor(s->shown_dev))
		return true;
	s->found++;
	describe_line(&info, s->f, line, s->dev, s->ino);
	s->enough = !s->seen(s->context, &info);
	return !s->enough;
}

/* Holders first, then those who wait. */
static void search_lines(struct line_search *s)
{
	dev_t of_mount;

	s->shown_dev = s->dev;
	s->waiting = false;
	flock_lines(see_line, s);
	if (s->found == 0) {
		of_mount = flock_device(s->f->path, s->dev);
		if (of_mount == s->dev)
			return;
		s->shown_dev = of_mount;
		flock_lines(see_line, s);
	}
	s->waiting = true;
	if (s->found > 0 && !s->enough)
		flock_lines(see_line, s);
}

static bool keep_first(void *context, const struct lock_info *info)
{
	struct lock_info *first = context;

	*first = *info;
	return false;
}

/* False: it cannot be seen from here; *holder is as it was. */
static bool find_holder(const struct flock_lock *f, struct lock_info *holder)
{
	struct lock_info first = { .state = LOCK_WAITING };
	struct line_search s = {
		.f = f,
		.dev = f->dev,
		.ino = f->ino,
		.seen = keep_first,
		.context = &first,
	};

	search_lines(&s);
	if (first.state != LOCK_HELD)
		return false;
	*holder = first;
	return true;
}

/* Who it is is looked up at once, not only if somebody asks: it costs little,
 * and later a wait is in the way of asking. */
static enum rc busy(const struct flock_lock *f, struct lock_info *holder,
		    struct err *e)
{
	*holder = (struct lock_info){ .state = LOCK_HELD };
	(void)text_copy(holder->protocol, sizeof(holder->protocol), "flock");
	(void)find_holder(f, holder);
	return err_set(e, RC_BUSY, "%.150s is locked", f->path);
}

static enum rc flock_describe(struct lock *lock, struct lock_info *info,
			      const struct call *call, struct err *e)
{
	struct flock_lock *f = flock_of(lock);

	(void)call;
	if (find_holder(f, info))
		return RC_OK;
	return err_set(e, RC_ABSENT,
		       "%.150s: who holds it cannot be seen from here", f->path);
}

/* --- operations --- */

static enum rc flock_open(struct lock **lock, const struct lock_wish *wish,
			  const struct call *call, struct err *e)
{
	struct flock_lock *f;
	enum rc rc;

	(void)call;
	if (wish->location->rest[0] == '\0')
		return err_set(e, RC_MALFORMED,
			       "flock: needs a file or directory behind it, as "
			       "flock:/run/lock/backup");
	f = malloc(sizeof(*f));
	if (!f)
		return err_sys(e, RC_RETRY, ENOMEM, "flock");
	*f = (struct flock_lock){
		.base.ops = &lock_flock,
		.wish = *wish,
		.path = wish->location->rest,
		.fd = -1,
		.inotify = -1,
		.watch = -1,
		.alarm = -1,
		.helper.ended = -1,
	};
	/* What cannot be opened is told now; what is not there is created by
	 * acquire, and by listing never. */
	rc = open_file(f, 0, e);
	if (rc != RC_OK) {
		close_file(f);
		free(f);
		return rc;
	}
	*lock = &f->base;
	return RC_OK;
}

static void flock_close(struct lock *lock)
{
	struct flock_lock *f = flock_of(lock);

	close_file(f);
	if (f->helper.ended >= 0)
		(void)close(f->helper.ended);
	if (f->inotify >= 0)
		(void)close(f->inotify);
	free(f);
}

/* What an error of flock(2) on our descriptor means. */
static enum rc refuse_lock(struct flock_lock *f, int sys, struct err *e)
{
	if (sys == EWOULDBLOCK)
		return err_set(e, RC_BUSY, "%.150s is locked", f->path);
	if (sys == ENOLCK || sys == EOPNOTSUPP || sys == EINVAL)
		return err_sys(e, RC_UNSUPPORTED, sys,
			       "%.120s: its file system has no locks", f->path);
	return err_sys(e, rc_of_errno(sys), sys, "%.150s", f->path);
}

/* One step towards the lock: RC_OK, RC_BUSY, or why not. */
static enum rc try_lock(struct flock_lock *f, struct err *e)
{
	enum rc rc;
	int sys;

	if (f->helper.running && !helper_ended(&f->helper, 0))
		return err_set(e, RC_BUSY, "%.150s is locked", f->path);
	if (f->helper.running) {
		sys = helper_join(&f->helper);
		return sys == 0 ? RC_OK : refuse_lock(f, sys, e);
	}
	if (f->fd < 0) {
		rc = open_file(f, O_CREAT, e);
		if (rc != RC_OK)
			return rc;
	}
	if (flock(f->fd, operation_of(f) | LOCK_NB) == 0)
		return RC_OK;
	/* NFS makes byte-range locks of them, which want a writer's right. */
	if ((errno == EBADF || errno == EIO) && !f->writable &&
	    f->wish.mode == LOCK_EXCLUSIVE) {
		close_file(f);
		f->writable = true;
		return try_lock(f, e);
	}
	return refuse_lock(f, errno, e);
}

static void describe_mine(struct lock_info *info, const struct flock_lock *f)
{
	const struct lock_wish *wish = &f->wish;

	*info = (struct lock_info){
		.mode = wish->mode,
		.state = LOCK_HELD,
		.alive = LOCK_ALIVE_YES,
		.pid = wish->self->front.pid,
		.since = wall_now(),
	};
	(void)text_copy(info->protocol, sizeof(info->protocol), "flock");
	(void)snprintf(info->id, sizeof(info->id), "%d",
		       (int)wish->self->keeper.pid);
	(void)text_copy(info->user, sizeof(info->user), wish->self->user);
	(void)text_copy(info->host, sizeof(info->host), wish->self->host);
	(void)text_copy(info->command, sizeof(info->command),
			wish->command ? wish->command : "");
	(void)text_copy(info->reason, sizeof(info->reason),
			wish->reason ? wish->reason : "");
}

static struct lock_term flock_term(void)
{
	return (struct lock_term){
		.valid = NSEC_FOREVER,
		.refresh_in = LOOK_AGAIN,
		.margin = lock_margin(NSEC_FOREVER),
	};
}

static enum rc flock_acquire(struct lock *lock, struct lock_term *term,
			     struct lock_info *mine, struct lock_info *holder,
			     const struct call *call, struct err *e)
{
	struct flock_lock *f = flock_of(lock);

	(void)call;
	for (int replaced = 0; replaced < REPLACED_MAX; replaced++) {
		enum rc rc = try_lock(f, e);
		enum rc in_place;

		if (rc != RC_OK && rc != RC_BUSY)
			return rc;
		f->held = rc == RC_OK;
		in_place = check_in_place(f, e);
		if (in_place != RC_OK) {
			f->held = false;
			close_file(f);
		}
		if (in_place == RC_LOST)
			continue;
		if (in_place != RC_OK)
			return in_place;
		if (rc == RC_BUSY)
			return busy(f, holder, e);
		*term = flock_term();
		describe_mine(mine, f);
		return RC_OK;
	}
	return err_set(e, RC_RETRY, "%.150s is replaced again and again",
		       f->path);
}

static enum rc flock_wait(struct lock *lock, nsec patience,
			  const struct call *call, struct err *e)
{
	struct flock_lock *f = flock_of(lock);

	if (f->fd < 0) /* removed since; acquire makes it anew */
		return RC_OK;
	if (!f->helper.running &&
	    !helper_start(&f->helper, f->fd, operation_of(f)))
		return err_sys(e, RC_RETRY, errno, "a thread to wait with");
	for (;;) {
		nsec slice = patience < WAITER_LOOKS ? patience : WAITER_LOOKS;
		enum rc rc = call_wait(call, f->helper.ended, slice, e);

		if (rc != RC_ABSENT)
			return rc;
		patience -= slice;
		if (patience <= 0 || check_in_place(f, e) == RC_LOST)
			return RC_OK;
	}
}

static enum rc flock_refresh(struct lock *lock, struct lock_term *term,
			     const struct call *call, struct err *e)
{
	struct flock_lock *f = flock_of(lock);
	enum rc rc;

	(void)call;
	if (!f->held)
		return err_set(e, RC_LOST, "%.150s is not locked by us", f->path);
	drain_watch(f);
	rc = check_in_place(f, e);
	if (rc == RC_OK)
		*term = flock_term();
	return rc;
}

static enum rc flock_release(struct lock *lock, const struct call *call,
			     struct err *e)
{
	struct flock_lock *f = flock_of(lock);
	enum rc rc = RC_OK;

	(void)call;
	helper_withdraw(&f->helper);
	if (f->held && check_in_place(f, e) == RC_LOST)
		rc = RC_LOST;
	/* Not by closing: the front has the description as well. */
	if (f->held && flock(f->fd, LOCK_UN) < 0)
		return err_sys(e, rc_of_errno(errno), errno, "%.150s", f->path);
	f->held = false;
	close_file(f);
	return rc;
}

static int flock_loss_fd(struct lock *lock)
{
	struct flock_lock *f = flock_of(lock);
	struct err e;

	bool lost;

	watch_file(f);
	lost = check_in_place(f, &e) == RC_LOST;
	if (f->watch < 0)
		return alarm_instead(f, lost ? 1 : HOLDER_LOOKS / 2);
	/* Gone before it was watched: the end of a watch is an event as well,
	 * so that the caller finds it readable. */
	if (lost) {
		(void)inotify_rm_watch(f->inotify, f->watch);
		f->watch = -1;
	}
	return f->inotify;
}

static int flock_kernel_lock_fd(struct lock *lock)
{
	return flock_of(lock)->fd;
}

static enum rc flock_list(struct lock *lock, lock_seen *seen, void *context,
			  const struct call *call, struct err *e)
{
	struct flock_lock *f = flock_of(lock);
	struct line_search s = { .f = f, .seen = seen, .context = context };
	struct stat st;

	(void)call;
	if (stat(f->path, &st) < 0)
		return errno == ENOENT ? RC_OK
				       : err_sys(e, rc_of_errno(errno), errno,
						 "%.150s", f->path);
	s.dev = st.st_dev;
	s.ino = st.st_ino;
	search_lines(&s);
	return RC_OK;
}

struct id_search {
	const char *id;
	struct lock_info *info;
	bool found;
};

static bool match_id(void *context, const struct lock_info *info)
{
	struct id_search *s = context;

	s->found = strcmp(info->id, s->id) == 0;
	if (s->found)
		*s->info = *info;
	return !s->found;
}

static enum rc flock_remove(struct lock *lock, const struct lock_remove *what,
			    struct lock_info *info, const struct call *call,
			    struct err *e)
{
	struct id_search s = { .id = what->id, .info = info };
	enum rc rc = flock_list(lock, match_id, &s, call, e);

	if (rc != RC_OK)
		return rc;
	if (!s.found)
		return err_set(e, RC_ABSENT, "no lock %.60s", what->id);
	return err_set(e, RC_BUSY,
		       "a kernel lock cannot be broken; it ends with process "
		       "%d",
		       (int)info->pid);
}

const struct lock_ops lock_flock = {
	.name = "flock",
	.summary = "flock(2) on a file or directory, as flock(1) takes it",
	.shared = true,
	.named = false,
	.ttl_default = NSEC_FOREVER,
	.ttl_min = NSEC_FOREVER,
	.ttl_max = NSEC_FOREVER,
	.open = flock_open,
	.close = flock_close,
	.acquire = flock_acquire,
	.wait = flock_wait,
	.refresh = flock_refresh,
	.release = flock_release,
	.loss_fd = flock_loss_fd,
	.kernel_lock_fd = flock_kernel_lock_fd,
	.describe = flock_describe,
	.list = flock_list,
	.remove = flock_remove,
};
