/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The native lock of a restic repository: a small sealed file in locks/,
 * named by its hash. There is no atomic step; everybody looks, places a file,
 * waits a moment, looks again, and backs off if somebody else's is there.
 *
 * Why two conflicting holders cannot be: each listed after its own file had
 * been placed, and neither listing showed the other, so A placed < A listed <
 * B placed < B listed < A placed. It takes only that a listing shows at least
 * what was there when our own file was placed; the moment's wait is for
 * stores that are slower than they say.
 *
 * Where restic gives up at once we go further: an exclusive lock stays in
 * place while shared holders finish (newcomers see it and stay out), and of
 * two of us the older claim stays. A lock that restic placed at the same time
 * as ours is looked at again for a second, since restic withdraws it.
 */
#include "lock/restic.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lock/restic_env.h"
#include "lock/restic_judge.h"
#include "lock/restic_look.h"
#include "util/log.h"
#include "util/text.h"

/* restic refreshes so often, and others clear a lock that was not refreshed
 * for RESTIC_STALE_AFTER. restic itself gives up after 22.5 minutes. */
#define REFRESH_IN (300 * NSEC_PER_SEC)
#define MARGIN (450 * NSEC_PER_SEC)

/* Between placing and looking again; as restic does. */
#define SETTLE (200 * NSEC_PER_MSEC)
/* So long may somebody else's lock, seen beside ours, be one that is about to
 * be withdrawn: restic's own moment, a slow disk, a slow machine. */
#define CONTEND (1 * NSEC_PER_SEC)
/* Old and new file of a refresh exist together so long: whoever is listing
 * the folder meanwhile sees one of them. */
#define OVERLAP (1 * NSEC_PER_SEC)
/* A conflicting lock that stays so long beside a held one is no mistake. */
#define INTRUDER_STAYS (3 * NSEC_PER_SEC)
/* A file that cannot be read may be one that is being written. */
#define UNREADABLE_STAYS (1 * NSEC_PER_SEC)
/* Removing many, one after the other, looks no more often than this. */
#define LOOK_GOOD_FOR (1 * NSEC_PER_SEC)
/* Where no watch can be had. */
#define LOOK_EVERY (500 * NSEC_PER_MSEC)
/* inotify does not see what happens on the other side of a network. */
#define POLL_EVERY (5 * NSEC_PER_SEC)

/* Current, next, and what an interrupted refresh or two left. */
enum { OWN_MAX = 8, WATCHED_MAX = 8 };

struct restic_lock {
	struct lock base; /* first: restic_of() depends on it */
	struct lock_wish wish;
	struct restic_repo repo;
	struct restic_look look;
	struct boot looked; /* by the administrator; 0: not of use to him */
	struct liveness_inside inside; /* forgotten at each look */
	nsec settle, overlap;

	struct restic_record record; /* as last written */
	struct store_tag tag;        /* of that file */
	char current[65];            /* its file; "": nothing placed */
	struct boot written;         /* just before it was last written */
	bool held;
	bool taken; /* it was gone when it was to be released */

	char own[OWN_MAX][65]; /* every file of ours that may exist */
	size_t own_count;

	int loss_fd;       /* the store's, or alarm_fd; -1: not asked for */
	int alarm_fd;      /* in place of a watch; -1: none */
	char cleared[160]; /* whose stale lock acquire removed, for people */
};

static struct restic_lock *restic_of(struct lock *lock)
{
	assert(lock->ops == &lock_restic);
	return (struct restic_lock *)lock;
}

void restic_set_pace(struct lock *lock, nsec settle, nsec overlap)
{
	restic_of(lock)->settle = settle;
	restic_of(lock)->overlap = overlap;
}

/* --- open and close --- */

static void restic_close(struct lock *lock)
{
	struct restic_lock *l = restic_of(lock);

	restic_look_release(&l->look);
	liveness_inside_release(&l->inside);
	restic_repo_close(&l->repo);
	if (l->alarm_fd >= 0)
		close(l->alarm_fd);
	free(l);
}

static enum rc restic_open(struct lock **lock, const struct lock_wish *wish,
			   const struct call *call, struct err *e)
{
	struct restic_lock *l = calloc(1, sizeof(*l));
	enum rc rc;

	if (!l)
		return err_set(e, RC_RETRY, "out of memory");
	*l = (struct restic_lock){ .base.ops = &lock_restic,
				   .wish = *wish,
				   .settle = SETTLE,
				   .overlap = OVERLAP,
				   .loss_fd = -1,
				   .alarm_fd = -1 };
	rc = restic_repo_open(&l->repo, wish->location->rest, wish, call, e);
	if (rc) {
		restic_close(&l->base);
		return rc;
	}
	l->base.warning = store_warning(l->repo.store);
	*lock = &l->base;
	return RC_OK;
}

/* --- our own files --- */

static bool is_own(const struct restic_lock *l, const char *id)
{
	for (size_t i = 0; i < l->own_count; i++)
		if (strcmp(l->own[i], id) == 0)
			return true;
	return false;
}

static void forget_own(struct restic_lock *l, const char *id)
{
	for (size_t i = 0; i < l->own_count; i++) {
		if (strcmp(l->own[i], id) != 0)
			continue;
		l->own_count--;
		memmove(l->own[i], l->own[i + 1],
			(l->own_count - i) * sizeof(l->own[0]));
		return;
	}
}

/* Delete all of ours but the one named `keep`. */
static enum rc delete_own(struct restic_lock *l, const char *keep,
			  const struct call *call, struct err *e)
{
	enum rc worst = RC_OK;

	for (size_t i = l->own_count; i > 0; i--) {
		char name[RESTIC_NAME_SIZE], id[65];
		struct err why;
		enum rc rc;

		memcpy(id, l->own[i - 1], sizeof(id));
		if (strcmp(id, keep) == 0)
			continue;
		restic_lock_name(name, id);
		rc = l->repo.store->ops->del(l->repo.store, name, call, &why);
		if (rc == RC_ABSENT && l->held && strcmp(id, l->current) == 0)
			l->taken = true;
		if (!rc || rc == RC_ABSENT) {
			forget_own(l, id);
		} else if (!worst) {
			worst = rc;
			*e = why;
		}
	}
	return worst;
}

/* Nothing of ours is to stay. What cannot be deleted now is remembered: the
 * next acquire, or release, tries again. */
static void withdraw(struct restic_lock *l, const struct call *call)
{
	struct err why;
	enum rc rc;

	l->current[0] = '\0';
	rc = delete_own(l, "", call, &why);
	if (rc)
		log_debug("restic: withdrawing: %s", why.text);
}

/* Place a file with this record under its own name. *sent is before it. */
static enum rc write_file(struct restic_lock *l, struct restic_record *record,
			  char id[65], struct boot *sent,
			  const struct call *call, struct err *e)
{
	struct store *s = l->repo.store;
	char name[RESTIC_NAME_SIZE];
	struct buf box;
	enum rc rc = RC_OK;

	if (l->own_count == OWN_MAX)
		rc = delete_own(l, l->current, call, e);
	if (rc)
		return rc;
	buf_init(&box, RESTIC_PLAIN_MAX + RESTIC_BOX_OVERHEAD);
	*sent = boot_now();
	record->time = wall_now();
	rc = restic_look_seal(&l->repo, record, id, &box, e);
	if (!rc) {
		/* Noted first: an answer that never comes may mean yes. */
		memcpy(l->own[l->own_count++], id, sizeof(l->own[0]));
		restic_lock_name(name, id);
		rc = s->ops->put(s, name, buf_text(&box), box.len,
				 STORE_PUT_ALWAYS, NULL, &l->tag, call, e);
	}
	buf_release(&box);
	return rc;
}

/* --- what a look says --- */

static enum rc look(struct restic_lock *l, const struct call *call, struct err *e)
{
	l->looked = (struct boot){ 0 };
	liveness_inside_forget(&l->inside);
	return restic_look(&l->repo, &l->look, call, e);
}

static bool in_conflict(const struct restic_lock *l,
			const struct restic_file *file)
{
	return file->sight == RESTIC_READ && !is_own(l, file->id) &&
	       (l->wish.mode == LOCK_EXCLUSIVE || file->record.exclusive);
}

/* Of two claims of our kind the older stays, by what both can read. */
static bool is_older(const struct restic_record *a, const struct restic_record *b)
{
	if (a->since.ns != b->since.ns)
		return a->since.ns < b->since.ns;
	return strcmp(a->token, b->token) < 0;
}

struct standing {
	const struct restic_file *in_way; /* an exclusive one, if any is */
	const struct restic_file *unreadable;
	bool yield; /* one in the way must not be waited out */
};

static struct standing stand(const struct restic_lock *l)
{
	struct standing s = { 0 };

	for (size_t i = 0; i < l->look.count; i++) {
		const struct restic_file *file = &l->look.files[i];

		if (file->sight == RESTIC_UNREADABLE && !is_own(l, file->id))
			s.unreadable = file;
		if (!in_conflict(l, file))
			continue;
		if (!s.in_way || file->record.exclusive)
			s.in_way = file;
		if (!file->record.exclusive)
			continue;
		if (l->wish.mode == LOCK_SHARED ||
		    (file->record.token[0] && is_older(&file->record, &l->record)))
			s.yield = true;
	}
	return s;
}

static enum rc unreadable(const struct restic_lock *l,
			  const struct restic_file *file, struct err *e)
{
	return err_set(e, RC_MALFORMED,
		       "lock %.8s cannot be read (%.70s), so nobody knows "
		       "whether it is held; if it is not: repolock unlock -r "
		       "%.60s --force %.8s",
		       file->id, file->why, l->wish.location->shown, file->id);
}

/* --- a lock for people --- */

static void describe_alive(struct restic_lock *l, struct lock_info *info,
			   const struct restic_file *file)
{
	struct restic_verdict verdict;
	struct wall now = wall_now();
	nsec left = RESTIC_STALE_AFTER - (now.ns - file->record.time.ns);

	restic_judge(&verdict, &file->record, file->tag.time, now, l->wish.self,
		     &l->inside);
	info->alive = verdict.alive;
	if (verdict.stale != RESTIC_LIVES) {
		info->state = LOCK_STALE;
		(void)text_copy(info->detail, sizeof(info->detail), verdict.why);
	} else if (verdict.alive == LOCK_ALIVE_UNKNOWN && left > 0) {
		info->sure_in = left;
	}
}

static void describe(struct restic_lock *l, struct lock_info *info,
		     const struct restic_file *file)
{
	const struct restic_record *r = &file->record;

	*info = (struct lock_info){ .protocol = "restic",
				    .state = LOCK_UNREADABLE };
	(void)text_copy(info->id, sizeof(info->id), file->id);
	if (file->sight != RESTIC_READ) {
		info->refreshed = file->tag.time;
		(void)text_copy(info->detail, sizeof(info->detail), file->why);
		return;
	}
	info->mode = r->exclusive ? LOCK_EXCLUSIVE : LOCK_SHARED;
	info->state = r->draining ? LOCK_WAITING : LOCK_HELD;
	(void)text_copy(info->token, sizeof(info->token), r->token);
	(void)text_copy(info->user, sizeof(info->user), r->user);
	(void)text_copy(info->host, sizeof(info->host), r->host);
	(void)text_copy(info->command, sizeof(info->command), r->command);
	(void)text_copy(info->reason, sizeof(info->reason), r->reason);
	if (r->pid > 0 && r->pid == (pid_t)r->pid)
		info->pid = (pid_t)r->pid;
	info->counted = liveness_counted(
		l->wish.self, &(struct liveness_place){ .boot_id = r->boot_id,
							.pid_ns = r->pid_ns });
	/* restic itself does not tell since when: its refresh writes a new
	 * lock, which is all there is. */
	info->since = r->since.ns != 0 ? r->since : r->time;
	info->refreshed = r->time;
	info->expires = (struct wall){ r->time.ns + RESTIC_STALE_AFTER };
	/* The file is placed a moment after the record was made. */
	if (file->tag.time.ns != 0 &&
	    llabs(r->time.ns - file->tag.time.ns) > 2 * NSEC_PER_SEC)
		info->skew = r->time.ns - file->tag.time.ns;
	describe_alive(l, info, file);
}

static void describe_mine(struct restic_lock *l, struct lock_info *mine)
{
	const struct restic_file file = { .sight = RESTIC_READ,
					  .tag = l->tag,
					  .record = l->record };

	describe(l, mine, &file);
	(void)text_copy(mine->id, sizeof(mine->id), l->current);
	(void)text_copy(mine->detail, sizeof(mine->detail), l->cleared);
}

/* --- watching our file --- */

static enum rc watch_own(struct restic_lock *l, const char *id)
{
	struct store *s = l->repo.store;
	char name[RESTIC_NAME_SIZE];
	struct err why;
	int fd = -1;

	/* Where the watch could not be had, the alarm goes on. */
	if (l->loss_fd < 0 || l->loss_fd == l->alarm_fd)
		return RC_OK;
	s->ops->unwatch(s);
	restic_lock_name(name, id);
	return s->ops->watch(s, name, &fd, &why);
}

/* Readable again and again. */
static int ticking(nsec every)
{
	struct timespec t = { .tv_sec = every / NSEC_PER_SEC,
			      .tv_nsec = every % NSEC_PER_SEC };
	struct itimerspec ticks = { .it_interval = t, .it_value = t };
	int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		(void)timerfd_settime(fd, 0, &ticks, NULL);
	return fd;
}

static int restic_loss_fd(struct lock *lock)
{
	struct restic_lock *l = restic_of(lock);
	struct store *s = l->repo.store;
	char name[RESTIC_NAME_SIZE];
	struct err why;
	int fd = -1;
	enum rc rc;

	if (l->loss_fd >= 0 || !s->ops->watch)
		return l->loss_fd;
	if (l->alarm_fd >= 0) /* of a lock that was released since */
		close(l->alarm_fd);
	l->alarm_fd = -1;
	restic_lock_name(name, l->current);
	rc = s->ops->watch(s, name, &fd, &why);
	if (rc == RC_ABSENT) /* gone already: readable from the start */
		fd = l->alarm_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	else if (rc) /* there are only so many watches on a host */
		fd = l->alarm_fd = ticking(LOOK_EVERY);
	l->loss_fd = fd;
	return l->loss_fd;
}

/* Was refresh called because of what loss_fd shows? Empties it: what happens
 * from here on is seen anew. */
static bool take_nudge(struct restic_lock *l)
{
	struct pollfd p = { .fd = l->loss_fd, .events = POLLIN };
	uint64_t ticks;

	if (l->loss_fd < 0 || poll(&p, 1, 0) <= 0)
		return false;
	if (l->loss_fd == l->alarm_fd)
		return read(l->alarm_fd, &ticks, sizeof(ticks)) > 0;
	(void)watch_own(l, l->current);
	return true;
}

/* --- writing ours anew --- */

static enum rc is_gone(const struct restic_lock *l, const char *id, struct err *e)
{
	return err_set(e, RC_LOST,
		       "%.120s: our lock file %.8s was removed by somebody "
		       "(restic unlock?)",
		       l->repo.store->shown, id);
}

/*
 * A new file first, then, when both have been seen together, the end of the
 * old one. That both were there at once proves that ours was there without a
 * gap, even if this process slept for hours in between.
 */
static enum rc rewrite(struct restic_lock *l, struct restic_record next,
		       const struct call *call, struct err *e)
{
	struct boot sent;
	struct err why;
	char id[65];
	enum rc rc = write_file(l, &next, id, &sent, call, e);

	if (!rc)
		rc = call_pause(call, l->overlap, e);
	if (rc)
		return rc;
	/* Watched before it is looked at, so that nothing falls in between. */
	(void)watch_own(l, id);
	rc = look(l, call, e);
	if (!rc && !restic_look_find(&l->look, l->current))
		return is_gone(l, l->current, e);
	if (!rc && !restic_look_find(&l->look, id)) {
		forget_own(l, id);
		rc = err_set(e, RC_RETRY,
			     "%.120s: the new lock file %.8s was removed at "
			     "once",
			     l->repo.store->shown, id);
	}
	if (rc) {
		(void)watch_own(l, l->current);
		return rc;
	}
	memcpy(l->current, id, sizeof(l->current));
	l->record = next;
	l->written = sent;
	if (delete_own(l, l->current, call, &why))
		log_debug("restic: old lock file stays: %s", why.text);
	return RC_OK;
}

/* --- acquire --- */

/* Is it stale in the wish's sense, and removed? */
static bool clear_one(struct restic_lock *l, const struct restic_file *file,
		      const struct call *call)
{
	struct restic_verdict verdict;
	char name[RESTIC_NAME_SIZE];
	struct err why;
	enum rc rc;

	if (!in_conflict(l, file))
		return false;
	restic_judge(&verdict, &file->record, file->tag.time, wall_now(),
		     l->wish.self, &l->inside);
	if (!restic_may_clear(verdict.stale, l->wish.clear))
		return false;
	restic_lock_name(name, file->id);
	rc = l->repo.store->ops->del(l->repo.store, name, call, &why);
	if (rc && rc != RC_ABSENT) {
		log_debug("restic: stale lock %.8s stays: %s", file->id,
			  why.text);
		return false;
	}
	(void)snprintf(l->cleared, sizeof(l->cleared),
		       "cleared stale lock %.8s: %.100s", file->id, verdict.why);
	return true;
}

/* Those that are cleared are taken out of the look as well. */
static void clear_stale(struct restic_lock *l, const struct call *call)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->look.count; i++) {
		struct restic_file *file = &l->look.files[i];

		if (clear_one(l, file, call))
			continue;
		if (kept != i)
			l->look.files[kept] = *file;
		kept++;
	}
	l->look.count = kept;
}

static enum rc look_and_clear(struct restic_lock *l, struct standing *s,
			      const struct call *call, struct err *e)
{
	enum rc rc = look(l, call, e);

	if (rc)
		return rc;
	clear_stale(l, call);
	*s = stand(l);
	return RC_OK;
}

static enum rc busy(struct restic_lock *l, const struct restic_file *file,
		    struct lock_info *holder, struct err *e)
{
	describe(l, holder, file);
	return err_set(e, RC_BUSY, "%.120s: %s lock %.8s is in the way",
		       l->repo.store->shown, lock_mode_word(holder->mode),
		       file->id);
}

/* Two that withdraw at the same instant must not come back at the same. */
static enum rc back_off(struct restic_lock *l, const struct restic_file *file,
			struct lock_info *holder, const struct call *call,
			struct err *e)
{
	struct err ignored;
	enum rc rc = busy(l, file, holder, e);

	withdraw(l, call);
	if (l->wish.wait)
		(void)call_pause(
			call,
			random_span(50 * NSEC_PER_MSEC, 500 * NSEC_PER_MSEC),
			&ignored);
	return rc;
}

static void fill_record(const struct restic_lock *l, struct restic_record *r)
{
	const struct self *self = l->wish.self;
	unsigned char token[16];

	*r = (struct restic_record){
		.exclusive = l->wish.mode == LOCK_EXCLUSIVE,
		.pid = self->keeper.pid,
		.uid = getuid(),
		.gid = getgid(),
		.since = wall_now(),
		.pid_ns = self->pid_ns,
		.time_ns = self->time_ns,
		.start = self->keeper.start,
		.front = self->front.pid,
		.front_start = self->front.start,
	};
	random_bytes(token, sizeof(token));
	hex_encode(r->token, token, sizeof(token));
	(void)text_copy(r->host, sizeof(r->host), self->host);
	(void)text_copy(r->user, sizeof(r->user), self->user);
	(void)text_copy(r->boot_id, sizeof(r->boot_id), self->boot_id);
	if (l->wish.command)
		(void)text_copy(r->command, sizeof(r->command), l->wish.command);
	if (l->wish.reason)
		(void)text_copy(r->reason, sizeof(r->reason), l->wish.reason);
}

/* The first look: is it worth placing anything? */
static enum rc first_look(struct restic_lock *l, bool *drain,
			  struct lock_info *holder, const struct call *call,
			  struct err *e)
{
	struct boot until = boot_add(boot_now(), UNREADABLE_STAYS);
	struct standing s;
	enum rc rc;

	for (;;) {
		rc = look_and_clear(l, &s, call, e);
		if (rc || !s.unreadable)
			break;
		if (boot_reached(boot_now(), until))
			return unreadable(l, s.unreadable, e);
		rc = call_pause(call, UNREADABLE_STAYS / 4, e);
		if (rc)
			break;
	}
	if (rc || !s.in_way)
		return rc;
	if (s.in_way->record.exclusive || !l->wish.wait)
		return busy(l, s.in_way, holder, e);
	*drain = true;
	return RC_OK;
}

/* Place our lock, after a look that says it may be worth it. */
static enum rc place(struct restic_lock *l, struct lock_info *holder,
		     const struct call *call, struct err *e)
{
	struct restic_record record;
	bool drain = false;
	char id[65];
	enum rc rc = delete_own(l, "", call, e);

	l->cleared[0] = '\0';
	if (!rc)
		rc = first_look(l, &drain, holder, call, e);
	if (rc)
		return rc;
	fill_record(l, &record);
	record.draining = drain;
	rc = write_file(l, &record, id, &l->written, call, e);
	if (rc) {
		withdraw(l, call);
		return rc;
	}
	memcpy(l->current, id, sizeof(l->current));
	l->record = record;
	return call_pause(call, l->settle, e);
}

/* Only shared holders are in the way, and our claim keeps newcomers out. */
static enum rc go_on_draining(struct restic_lock *l,
			      const struct restic_file *file,
			      struct lock_info *holder, const struct call *call,
			      struct err *e)
{
	struct restic_file in_way = *file;
	enum rc rc = RC_OK;

	/* The claim must not look stale while it waits. */
	if (boot_until(l->written, boot_now()) >= REFRESH_IN)
		rc = rewrite(l, l->record, call, e);
	return rc ? rc : busy(l, &in_way, holder, e);
}

/* With ours in place: is it held? */
static enum rc decide(struct restic_lock *l, struct lock_info *holder,
		      const struct call *call, struct err *e)
{
	struct boot until = boot_add(boot_now(), CONTEND);

	for (;;) {
		struct standing s;
		enum rc rc = look_and_clear(l, &s, call, e);

		if (rc)
			return rc;
		if (!restic_look_find(&l->look, l->current))
			return is_gone(l, l->current, e);
		if (!s.in_way && !s.unreadable)
			return RC_OK;
		if (s.in_way && s.yield)
			return back_off(l, s.in_way, holder, call, e);
		if (s.in_way && l->record.draining && !s.in_way->record.exclusive)
			return go_on_draining(l, s.in_way, holder, call, e);
		if (boot_reached(boot_now(), until)) {
			if (s.in_way)
				return back_off(l, s.in_way, holder, call, e);
			withdraw(l, call);
			return unreadable(l, s.unreadable, e);
		}
		rc = call_pause(
			call, random_span(l->settle / 2, 3 * l->settle / 2), e);
		if (rc)
			return rc;
	}
}

/* Held after waiting for shared holders: say so in the lock, which tells a
 * claim that waits from one that is held, and is fresh with it. */
static enum rc end_draining(struct restic_lock *l, const struct call *call,
			    struct err *e)
{
	struct restic_record next = l->record;

	if (!l->record.draining)
		return RC_OK;
	next.draining = false;
	return rewrite(l, next, call, e);
}

static void fill_term(const struct restic_lock *l, struct lock_term *term,
		      struct boot entered)
{
	/* Counted from the call, but never from before it was written. */
	nsec age = boot_until(l->written, entered);

	if (age < 0)
		age = 0;
	*term = (struct lock_term){
		.valid = RESTIC_STALE_AFTER - age,
		.refresh_in = REFRESH_IN > age ? REFRESH_IN - age : 0,
		.margin = MARGIN,
	};
}

static enum rc restic_acquire(struct lock *lock, struct lock_term *term,
			      struct lock_info *mine, struct lock_info *holder,
			      const struct call *call, struct err *e)
{
	struct restic_lock *l = restic_of(lock);
	struct boot entered = boot_now();
	enum rc rc = store_may_lock(l->repo.store, e);

	if (!rc && !l->current[0])
		rc = place(l, holder, call, e);
	if (!rc)
		rc = decide(l, holder, call, e);
	if (!rc)
		rc = end_draining(l, call, e);
	if (rc == RC_LOST) {
		/* Of a claim that was not held yet, nothing is lost. */
		withdraw(l, call);
		return RC_RETRY;
	}
	if (rc)
		return rc;
	l->held = true;
	fill_term(l, term, entered);
	describe_mine(l, mine);
	return RC_OK;
}

static enum rc watch_in_way(struct restic_lock *l, int *fd)
{
	struct store *s = l->repo.store;
	size_t watched = 0;

	for (size_t i = 0; i < l->look.count && watched < WATCHED_MAX; i++) {
		const struct restic_file *file = &l->look.files[i];
		char name[RESTIC_NAME_SIZE];
		struct err why;
		enum rc rc;

		if (!in_conflict(l, file) && strcmp(file->id, l->current) != 0)
			continue;
		restic_lock_name(name, file->id);
		rc = s->ops->watch(s, name, fd, &why);
		if (rc)
			return rc;
		watched++;
	}
	return RC_OK;
}

static enum rc restic_wait(struct lock *lock, nsec patience,
			   const struct call *call, struct err *e)
{
	struct restic_lock *l = restic_of(lock);
	struct store *s = l->repo.store;
	nsec span = POLL_EVERY;
	int fd = -1;
	enum rc rc = RC_OK;

	if (s->ops->watch)
		rc = watch_in_way(l, &fd);
	if (rc && rc != RC_ABSENT)
		span = LOOK_EVERY;
	span = random_span(span * 4 / 5, span * 6 / 5);
	if (rc != RC_ABSENT) /* that one is gone already */
		rc = call_wait(call, fd, span < patience ? span : patience, e);
	if (s->ops->watch)
		s->ops->unwatch(s);
	return rc == RC_ABSENT ? RC_OK : rc;
}

/* --- refresh --- */

/* A conflicting lock that cannot be there if everybody keeps to the rules. A
 * claim that waits for us is none, nor is one whose process is gone. */
static const struct restic_file *find_intruder(struct restic_lock *l)
{
	for (size_t i = 0; i < l->look.count; i++) {
		const struct restic_file *file = &l->look.files[i];
		struct restic_verdict verdict;

		if (!in_conflict(l, file) || file->record.draining)
			continue;
		restic_judge(&verdict, &file->record, file->tag.time,
			     wall_now(), l->wish.self, &l->inside);
		if (verdict.stale != RESTIC_GONE)
			return file;
	}
	return NULL;
}

/* RC_LOST: ours is gone, or somebody else has a conflicting one and keeps it,
 * though ours is in its way. */
static enum rc check_alone(struct restic_lock *l, const struct call *call,
			   struct err *e)
{
	struct boot until = boot_add(boot_now(), INTRUDER_STAYS);

	for (;;) {
		const struct restic_file *file;
		char who[64];
		enum rc rc = look(l, call, e);

		if (rc)
			return rc;
		if (!restic_look_find(&l->look, l->current))
			return is_gone(l, l->current, e);
		file = find_intruder(l);
		if (!file)
			return RC_OK;
		if (boot_reached(boot_now(), until))
			return err_set(e, RC_LOST,
				       "%.80s: somebody else holds a "
				       "conflicting lock: %.8s of pid %lld on "
				       "%s",
				       l->repo.store->shown, file->id,
				       (long long)file->record.pid,
				       text_printable(who, sizeof(who),
						      file->record.host));
		rc = call_pause(call, INTRUDER_STAYS / 6, e);
		if (rc)
			return rc;
	}
}

static enum rc restic_refresh(struct lock *lock, struct lock_term *term,
			      const struct call *call, struct err *e)
{
	struct restic_lock *l = restic_of(lock);
	struct boot entered = boot_now();
	bool nudged = take_nudge(l);
	enum rc rc = check_alone(l, call, e);

	/* Somebody touched our file, no more: it need not be written again. */
	if (!rc && !(nudged && boot_until(l->written, entered) < REFRESH_IN / 2))
		rc = rewrite(l, l->record, call, e);
	if (!rc)
		fill_term(l, term, entered);
	return rc;
}

static enum rc restic_release(struct lock *lock, const struct call *call,
			      struct err *e)
{
	struct restic_lock *l = restic_of(lock);
	struct store *s = l->repo.store;
	enum rc rc;

	if (s->ops->unwatch)
		s->ops->unwatch(s);
	l->loss_fd = -1;
	rc = delete_own(l, "", call, e);
	if (rc)
		return rc;
	if (l->taken)
		rc = is_gone(l, l->current, e);
	l->held = l->taken = false;
	l->current[0] = '\0';
	return rc;
}

/* --- list and remove --- */

/* For people, and to judge by: a file that is being written is read again. A
 * refresh shows two files of one holder; the older one is no other lock. */
static enum rc look_settled(struct restic_lock *l, const struct call *call,
			    struct err *e)
{
	struct boot until = boot_add(boot_now(), UNREADABLE_STAYS);
	struct err ignored;
	enum rc rc;

	do
		rc = look(l, call, e);
	while (!rc && restic_look_is_unsettled(&l->look) &&
	       !boot_reached(boot_now(), until) &&
	       !call_pause(call, UNREADABLE_STAYS / 20, &ignored));
	if (!rc)
		rc = restic_look_mark(&l->look, e);
	if (!rc)
		l->looked = boot_now();
	return rc;
}

static bool list_those(struct restic_lock *l, bool waiting, lock_seen *seen,
		       void *context)
{
	for (size_t i = 0; i < l->look.count; i++) {
		const struct restic_file *file = &l->look.files[i];
		struct lock_info info;

		if (file->outdated)
			continue;
		describe(l, &info, file);
		if ((info.state == LOCK_WAITING) == waiting &&
		    !seen(context, &info))
			return false;
	}
	return true;
}

static enum rc restic_list(struct lock *lock, lock_seen *seen, void *context,
			   const struct call *call, struct err *e)
{
	struct restic_lock *l = restic_of(lock);
	enum rc rc = look_settled(l, call, e);

	if (!rc && list_those(l, false, seen, context))
		(void)list_those(l, true, seen, context);
	return rc;
}

/* The lock that was to be removed has gone. If it was refreshed, it lives. */
static enum rc gone_or_renamed(struct restic_lock *l,
			       const struct restic_file *was,
			       struct lock_info *info, struct err *e)
{
	for (size_t i = 0; i < l->look.count; i++) {
		const struct restic_file *file = &l->look.files[i];

		if (was->sight != RESTIC_READ || file->sight != RESTIC_READ ||
		    !restic_same_holder(&was->record, &file->record))
			continue;
		describe(l, info, file);
		return err_set(e, RC_BUSY,
			       "its holder has refreshed it just now (it is "
			       "%.8s now): it lives",
			       file->id);
	}
	return err_set(e, RC_ABSENT, "lock %.8s is not there any more", was->id);
}

static enum rc may_remove(const struct lock_remove *what,
			  const struct lock_info *info, struct err *e)
{
	if (what->force || info->state == LOCK_STALE)
		return RC_OK;
	if (info->state == LOCK_UNREADABLE)
		return err_set(e, RC_BUSY,
			       "it cannot be read (%.100s), so nobody knows "
			       "whether it is held; --force removes it",
			       info->detail);
	switch (info->alive) {
	case LOCK_ALIVE_YES:
		return err_set(e, RC_BUSY, "its process %d is alive",
			       (int)info->pid);
	case LOCK_ALIVE_NO:
	case LOCK_ALIVE_UNKNOWN:
		break;
	}
	return err_set(e, RC_BUSY,
		       "it is not proved stale: whether its process lives "
		       "cannot be seen from here, and it was refreshed less "
		       "than 30 minutes ago");
}

/* The judged file, and the older ones that the same holder left. */
static enum rc remove_holder(struct restic_lock *l,
			     const struct restic_file *judged,
			     const struct call *call, struct err *e)
{
	struct store *s = l->repo.store;
	char name[RESTIC_NAME_SIZE];
	struct err ignored;
	enum rc rc;

	restic_lock_name(name, judged->id);
	rc = s->ops->del(s, name, call, e);
	if (rc == RC_ABSENT)
		return err_set(e, rc, "lock %.8s is not there any more",
			       judged->id);
	if (rc)
		return err_context(e, rc, "%.100s", s->shown);
	for (size_t i = 0; i < l->look.count; i++) {
		const struct restic_file *file = &l->look.files[i];

		if (file->sight != RESTIC_READ || judged->sight != RESTIC_READ ||
		    strcmp(file->id, judged->id) == 0 ||
		    !restic_same_holder(&file->record, &judged->record))
			continue;
		restic_lock_name(name, file->id);
		(void)s->ops->del(s, name, call, &ignored);
	}
	return RC_OK;
}

static enum rc restic_remove(struct lock *lock, const struct lock_remove *what,
			     struct lock_info *info, const struct call *call,
			     struct err *e)
{
	struct restic_lock *l = restic_of(lock);
	const struct restic_file *found = restic_look_find(&l->look, what->id);
	struct restic_file judged = { 0 };
	enum rc rc = RC_OK;

	/* As an earlier list saw it. */
	if (found)
		judged = *found;
	(void)text_copy(judged.id, sizeof(judged.id), what->id);
	if (l->looked.ns == 0 || boot_until(l->looked, boot_now()) > LOOK_GOOD_FOR)
		rc = look_settled(l, call, e);
	if (rc)
		return rc;
	found = restic_look_find(&l->look, what->id);
	if (!found)
		return gone_or_renamed(l, &judged, info, e);
	judged = *found;
	if (judged.outdated)
		return gone_or_renamed(l, &judged, info, e);
	describe(l, info, &judged);
	rc = may_remove(what, info, e);
	if (rc || what->dry_run)
		return rc;
	rc = remove_holder(l, &judged, call, e);
	if (rc != RC_ABSENT)
		return rc;
	rc = look(l, call, e);
	return rc ? rc : gone_or_renamed(l, &judged, info, e);
}

static bool restic_starts_programs(const struct lock_wish *wish)
{
	return !wish->no_password && restic_runs_password_command();
}

const struct lock_ops lock_restic = {
	.name = "restic",
	.summary = "the native lock of a restic repository",
	.shared = true,
	.named = false,
	.ttl_default = RESTIC_STALE_AFTER,
	.ttl_min = RESTIC_STALE_AFTER,
	.ttl_max = RESTIC_STALE_AFTER,
	.open = restic_open,
	.close = restic_close,
	.acquire = restic_acquire,
	.wait = restic_wait,
	.refresh = restic_refresh,
	.release = restic_release,
	.loss_fd = restic_loss_fd,
	.starts_programs = restic_starts_programs,
	.list = restic_list,
	.remove = restic_remove,
};
