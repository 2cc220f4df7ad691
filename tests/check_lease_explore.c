/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Explores how contenders for one lease can get in each other's way. Every
 * contender runs the real code in a thread of its own, but only one at a
 * time: each operation on the store, each pause and each wait hands over to
 * a scheduler, which decides who goes on, who dies, and what the store does.
 * Clocks are virtual, and go at different rates.
 *
 * Two ways: exhaustively, all schedules of two contenders with few enough
 * switches that nothing but the order forces, and one death at any step; and
 * at random, with all that can go wrong.
 *
 * REPOLOCK_EXPLORE_SECONDS  how long for each of the random ones
 * REPOLOCK_EXPLORE_SWITCHES so many more in the exhaustive ones
 * REPOLOCK_EXPLORE_SEED     run just the schedule of this number, with
 * REPOLOCK_EXPLORE_PLAN     of this random plan only
 * REPOLOCK_EXPLORE_TRACE    tell every step on stderr
 *
 * Linked so that the lease's calls of the clock, of pauses and of dice come
 * here (--wrap, see the Makefile).
 */
#include <assert.h>
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lock/lease.h"
#include "memory_store.h"

enum { CONTENDERS_MAX = 4, STEPS_MAX = 60000, PATH_MAX_STEPS = 4096 };

/* What the linker puts in place of the real ones. */
struct boot __wrap_boot_now(void);
struct boot __real_boot_now(void);
enum rc __wrap_call_pause(const struct call *call, nsec span, struct err *e);
enum rc __real_call_pause(const struct call *call, nsec span, struct err *e);
enum rc __wrap_call_wait(const struct call *call, int fd, nsec span,
			 struct err *e);
enum rc __real_call_wait(const struct call *call, int fd, nsec span,
			 struct err *e);
nsec __wrap_random_span(nsec low, nsec high);
nsec __real_random_span(nsec low, nsec high);
void __wrap_uuid_make(char out[LEASE_UUID_SIZE]);
void __real_uuid_make(char out[LEASE_UUID_SIZE]);

/* --- the plan of one exploration --- */

struct plan {
	const char *what;
	unsigned disk; /* enum memory_disk_has */
	int contenders;
	int rounds;      /* locks each takes, one after the other */
	bool random;     /* else exhaustive */
	int switches;    /* exhaustive: so many that nothing forces */
	int deaths;      /* at most */
	unsigned faults; /* random: of 1000 operations that many go wrong */
	nsec ttl;
	enum lock_mode modes[CONTENDERS_MAX];
	bool nonblock[CONTENDERS_MAX];
};

/* --- one contender --- */

struct contender {
	int number;
	pthread_t thread;
	sem_t turn;
	bool started; /* has something to do in this schedule */
	bool dead;    /* its operations do nothing any more */
	nsec wake;    /* virtual time until which it sleeps */
	int rate;     /* of its clock, in parts per thousand */
	int owner;    /* a new one after each death */
	struct self self;
	/* In the critical section, with that token, until then at most. */
	bool inside;
	enum lock_mode mode;
	uint64_t fence;
	nsec until;
	unsigned had; /* locks it got */
};

static struct {
	sem_t ended; /* nobody has anything to do any more */
	bool active; /* the wraps are in force */
	struct contender all[CONTENDERS_MAX];
	const struct plan *plan;
	struct memory_disk *disk;
	nsec now; /* virtual */
	unsigned steps;
	int last; /* who ran before */
	int switches_left, deaths_left;
	uint64_t last_exclusive, last_shared;
	unsigned uuids;
	/* Decisions: by path in the exhaustive way, by dice in the other. */
	uint64_t dice;
	unsigned path[PATH_MAX_STEPS], width[PATH_MAX_STEPS];
	unsigned depth, prefix;
	char wrong[200]; /* what was violated; "": nothing */
} x;

static __thread struct contender *me;

static void wrong(const char *what)
{
	if (x.wrong[0] == '\0')
		(void)snprintf(x.wrong, sizeof(x.wrong), "%s", what);
}

/* --- decisions --- */

static unsigned roll(unsigned sides)
{
	x.dice ^= x.dice << 13;
	x.dice ^= x.dice >> 7;
	x.dice ^= x.dice << 17;
	return (unsigned)((x.dice >> 20) % sides);
}

/* One of `options`. In the exhaustive way all are tried in turn, 0 first. */
static unsigned choose(unsigned options)
{
	unsigned chosen = 0;

	if (options < 2)
		return 0;
	if (x.plan->random)
		return roll(options);
	if (x.depth >= PATH_MAX_STEPS)
		return 0;
	if (x.depth < x.prefix)
		chosen = x.path[x.depth];
	x.path[x.depth] = chosen;
	x.width[x.depth] = options;
	x.depth++;
	return chosen;
}

/* The next path, in the order of a search to the depth. False: all done. */
static bool next_path(void)
{
	while (x.depth > 0) {
		x.depth--;
		if (x.path[x.depth] + 1 < x.width[x.depth]) {
			x.path[x.depth]++;
			x.prefix = x.depth + 1;
			return true;
		}
	}
	return false;
}

/* --- handing over --- */

static struct contender *schedule(void);

/* Whoever yields decides who goes on: no thread is woken for that. */
static void yield_turn(void)
{
	struct contender *next = schedule();

	if (next == me)
		return;
	(void)sem_post(next ? &next->turn : &x.ended);
	while (sem_wait(&me->turn) < 0)
		;
}

static void sleep_virtually(nsec span)
{
	if (me->dead)
		return;
	me->wake = span >= NSEC_FOREVER ? NSEC_FOREVER
					: x.now + span * 1000 / me->rate;
	yield_turn();
}

struct boot __wrap_boot_now(void)
{
	if (!x.active)
		return __real_boot_now();
	return (struct boot){ x.now / 1000 * (me ? me->rate : 1000) };
}

enum rc __wrap_call_pause(const struct call *call, nsec span, struct err *e)
{
	if (!x.active)
		return __real_call_pause(call, span, e);
	sleep_virtually(span);
	return me->dead ? err_set(e, RC_CANCELLED, "dead") : RC_OK;
}

enum rc __wrap_call_wait(const struct call *call, int fd, nsec span,
			 struct err *e)
{
	if (!x.active)
		return __real_call_wait(call, fd, span, e);
	sleep_virtually(span);
	return me->dead ? err_set(e, RC_CANCELLED, "dead")
			: err_set(e, RC_ABSENT, "nothing happened");
}

nsec __wrap_random_span(nsec low, nsec high)
{
	if (!x.active)
		return __real_random_span(low, high);
	return x.plan->random ? low + (high - low) / 100 * roll(101) : low;
}

/* Which of two that are equal otherwise comes first depends on it, so in the
 * exhaustive way it is a decision. */
void __wrap_uuid_make(char out[LEASE_UUID_SIZE])
{
	if (!x.active) {
		__real_uuid_make(out);
		return;
	}
	(void)snprintf(out, LEASE_UUID_SIZE, "%08x-0000-4000-8000-%012x",
		       choose(2) * 0x80000000u, ++x.uuids);
}

/* --- what may happen at an operation --- */

static void die(struct contender *c)
{
	c->dead = true;
	c->inside = false; /* the front ends the command with it */
	memory_disk_unlock(x.disk, c->owner);
}

static void trace(const char *what, const char *name)
{
	static int wanted = -1;

	if (wanted < 0)
		wanted = getenv("REPOLOCK_EXPLORE_TRACE") != NULL;
	if (wanted)
		(void)fprintf(stderr, "%12.6f #%d %s %s\n", (double)x.now / 1e9,
			      me->number, what, name);
}

static const char *const op_words[] = {
	[MEMORY_GET] = "get",
	[MEMORY_PUT] = "put",
	[MEMORY_DEL] = "del",
	[MEMORY_LIST] = "list",
	[MEMORY_RENEW] = "renew",
	[MEMORY_MOVED] = "move",
	[MEMORY_PUT_LOCKED] = "put_locked",
	[MEMORY_PROBE] = "probe",
};

static const char *const fate_words[] = {
	[MEMORY_DONE] = "",
	[MEMORY_LOST] = "  (answer lost)",
	[MEMORY_REFUSED] = "  (refused)",
	[MEMORY_LATE] = "  (later)",
	[MEMORY_DEAD] = "  (dead)",
};

static bool changes(enum memory_op op)
{
	return op == MEMORY_PUT || op == MEMORY_DEL || op == MEMORY_RENEW;
}

static enum memory_fate random_fate(enum memory_op op)
{
	static const nsec delays[] = { 1, 20, 400, 3000 };

	if (roll(1000) >= x.plan->faults)
		return MEMORY_DONE;
	switch (roll(4)) {
	case 0:
		return MEMORY_REFUSED;
	case 1:
		return MEMORY_LOST;
	case 2:
		/* It hangs on its way there. */
		sleep_virtually(delays[roll(4)] * NSEC_PER_MSEC * (1 + roll(3)));
		return me->dead ? MEMORY_DEAD : MEMORY_DONE;
	default:
		return changes(op) ? MEMORY_LATE : MEMORY_REFUSED;
	}
}

static enum memory_fate before(void *context, int owner, enum memory_op op,
			       const char *name)
{
	enum memory_fate fate = MEMORY_DONE;

	(void)context;
	(void)owner;
	if (me->dead)
		return MEMORY_DEAD;
	yield_turn();
	if (me->dead)
		return MEMORY_DEAD;
	if (x.plan->random)
		fate = random_fate(op);
	trace(op_words[op], name);
	if (fate != MEMORY_DONE)
		trace(fate_words[fate], "");
	return fate;
}

/* The answer takes its time as well. */
static void after(void *context, int owner)
{
	static const nsec delays[] = { 1, 50, 1000, 4000 };

	(void)context;
	(void)owner;
	if (me->dead || !x.plan->random)
		return;
	if (roll(1000) < x.plan->faults)
		sleep_virtually(delays[roll(4)] * NSEC_PER_MSEC * (1 + roll(3)));
	else
		sleep_virtually(50 * NSEC_PER_USEC * (1 + roll(20)));
}

/* --- what a contender does --- */

/* What it reckons by its own clock, in everybody's time. */
static nsec true_time(nsec local)
{
	return local / me->rate * 1000;
}

static void check_others(enum lock_mode mode)
{
	for (int i = 0; i < x.plan->contenders; i++) {
		const struct contender *c = &x.all[i];

		if (c != me && c->inside && x.now < c->until &&
		    lease_conflict(c->mode, mode))
			wrong("two conflicting holders");
	}
}

static void check_fence(enum lock_mode mode, uint64_t fence)
{
	if (fence <= x.last_exclusive)
		wrong("a token that is not above an exclusive one before it");
	if (mode == LOCK_EXCLUSIVE && fence <= x.last_shared)
		wrong("a token that is not above a shared one before it");
	if (mode == LOCK_EXCLUSIVE)
		x.last_exclusive = fence;
	else if (fence > x.last_shared)
		x.last_shared = fence;
}

/* The policy in small: hold on as long as the term says, refresh, give in. */
static void hold(struct lock *lock, nsec begun, struct lock_term term)
{
	struct call call = CALL_UNLIMITED;
	nsec until = begun + term.valid - term.margin;
	unsigned refreshes = x.plan->random ? roll(4) : 1;
	struct err e;

	while (refreshes-- > 0 && !me->dead) {
		nsec now;
		enum rc rc;

		sleep_virtually(x.plan->random
					? term.refresh_in / 2 * (1 + roll(3))
					: term.refresh_in);
		begun = boot_now().ns;
		if (me->dead || begun >= until)
			break;
		rc = lock->ops->refresh(lock, &term, &call, &e);
		now = boot_now().ns;
		/* A late yes is no yes. */
		if (rc == RC_LOST || now >= until)
			break;
		if (rc == RC_OK) {
			until = begun + term.valid - term.margin;
			me->until = true_time(until);
		}
	}
	me->inside = false;
}

static void release(struct lock *lock)
{
	struct call call = CALL_UNLIMITED;
	struct err e;

	for (int i = 0; i < 30 && !me->dead; i++) {
		enum rc rc = lock->ops->release(lock, &call, &e);

		if (rc == RC_OK)
			return;
		if (rc != RC_LOST)
			sleep_virtually(10 * NSEC_PER_MSEC);
	}
}

/* One lock from opening to closing. */
static void compete(enum lock_mode mode, bool wait)
{
	struct call call = CALL_UNLIMITED;
	struct lock_wish wish = { .name = "n",
				  .mode = mode,
				  .wait = wait,
				  .ttl = x.plan->ttl,
				  .self = &me->self };
	struct lock_info mine, holder;
	struct lock_term term;
	struct lock *lock;
	struct err e;

	if (lease_open_on(&lock, memory_store_open(x.disk, me->owner), &wish,
			  &e) != RC_OK)
		abort();
	for (int tries = 0; tries < 400 && !me->dead; tries++) {
		nsec begun = boot_now().ns;
		enum rc rc = lock->ops->acquire(lock, &term, &mine, &holder,
						&call, &e);

		if (rc == RC_OK && !me->dead) {
			me->until = true_time(begun + term.valid - term.margin);
			if (x.now >= me->until)
				break;
			trace("HOLDS", mine.id);
			check_others(mode);
			check_fence(mode, mine.fence);
			me->mode = mode;
			me->inside = true;
			me->had++;
			hold(lock, begun, term);
			break;
		}
		if (rc == RC_BUSY && !wait)
			break;
		if (rc == RC_BUSY)
			(void)lock->ops->wait(lock, 10 * NSEC_PER_SEC, &call, &e);
		else
			sleep_virtually(20 * NSEC_PER_MSEC);
	}
	me->inside = false;
	trace(me->dead ? "DIED" : "leaves", "");
	release(lock);
	lock_close(lock);
}

static void *contend(void *context)
{
	me = context;
	while (sem_wait(&me->turn) < 0)
		;
	for (;;) {
		const struct plan *plan = x.plan;

		for (int i = 0; i < plan->rounds && !me->dead; i++) {
			bool random = plan->random && roll(3) == 0;

			compete(random && roll(2) ? LOCK_SHARED
						  : plan->modes[me->number],
				random ? roll(2) == 0
				       : !plan->nonblock[me->number]);
		}
		me->started = false;
		yield_turn();
	}
	return NULL;
}

/* --- the scheduler --- */

/* Those that could go on now; time passes until there is one. 0: all done. */
static int runnable(struct contender **who)
{
	nsec earliest = INT64_MAX;
	int n = 0;

	for (int i = 0; i < x.plan->contenders; i++)
		if (x.all[i].started && x.all[i].wake < earliest)
			earliest = x.all[i].wake;
	if (earliest > x.now && earliest != INT64_MAX)
		x.now = earliest;
	for (int i = 0; i < x.plan->contenders; i++)
		if (x.all[i].started && x.all[i].wake <= x.now)
			who[n++] = &x.all[i];
	return n;
}

/* Who goes on. Without a switch left it is the one that ran, if it can. */
static struct contender *pick(struct contender **who, int n)
{
	int current = -1;

	for (int i = 0; i < n; i++)
		if (who[i]->number == x.last)
			current = i;
	if (x.plan->random || current < 0)
		return who[choose((unsigned)n)];
	if (x.switches_left == 0 || n == 1 || choose(2) == 0)
		return who[current];
	x.switches_left--;
	return who[(current + 1 + (int)choose((unsigned)n - 1)) % n];
}

static bool wants_death(void)
{
	if (x.deaths_left == 0)
		return false;
	return x.plan->random ? roll(150) == 0 : choose(2) == 1;
}

/* Who goes on, after what fate has in store. NULL: all have come to an end. */
static struct contender *schedule(void)
{
	struct contender *who[CONTENDERS_MAX], *c;
	int n = runnable(who);

	if (n == 0)
		return NULL;
	/* After a violation all run to their ends without effect. */
	if (x.wrong[0] == '\0' && ++x.steps > STEPS_MAX)
		wrong("no end of it");
	c = x.wrong[0] == '\0' ? pick(who, n) : who[0];
	if (x.wrong[0] != '\0' && !c->dead)
		die(c);
	if (!c->dead && wants_death()) {
		x.deaths_left--;
		die(c);
	}
	if (x.plan->random && memory_disk_pending(x.disk) > 0 && roll(20) == 0)
		memory_disk_settle(x.disk, 1);
	x.last = c->number;
	c->wake = 0;
	return c;
}

/* Until all have come to an end. */
static void run_all(void)
{
	struct contender *first = schedule();

	if (!first)
		return;
	(void)sem_post(&first->turn);
	while (sem_wait(&x.ended) < 0)
		;
}

static void start(struct contender *c, bool random)
{
	static int owners;

	c->started = true;
	c->dead = false;
	c->wake = 0;
	c->inside = false;
	c->owner = ++owners;
	c->rate = random ? 980 + (int)roll(41) : 1000;
	/* Of an unknown boot, so that no process is looked for, and no first look
	 * is remembered: those are by the virtual clock of one schedule. */
	c->self = (struct self){ .pid_ns = 1, .time_ns = 1 };
	(void)snprintf(c->self.host, sizeof(c->self.host), "h%d", c->number);
}

static void begin_threads(void)
{
	(void)sem_init(&x.ended, 0, 0);
	for (int i = 0; i < CONTENDERS_MAX; i++) {
		struct contender *c = &x.all[i];

		c->number = i;
		(void)sem_init(&c->turn, 0, 0);
		if (pthread_create(&c->thread, NULL, contend, c) != 0)
			abort();
	}
}

/* What is left behind can be cleared without a human: the next one gets the
 * lock, for whatever stays of the dead is proved stale. */
static void check_leftovers(const struct plan *plan)
{
	static struct plan last;

	last = *plan;
	last.contenders = 1;
	last.rounds = 1;
	last.random = false;
	last.modes[0] = LOCK_EXCLUSIVE;
	last.nonblock[0] = false;
	memory_disk_settle(x.disk, SIZE_MAX);
	x.plan = &last;
	x.deaths_left = 0;
	x.steps = 0;
	x.depth = x.prefix = PATH_MAX_STEPS; /* these are no decisions */
	x.all[0].had = 0;
	start(&x.all[0], false);
	run_all();
	if (x.wrong[0] == '\0' && x.all[0].had != 1)
		wrong("nobody gets the lock any more");
	if (plan->disk & MEMORY_STICKY)
		return; /* there it stays, and is in nobody's way */
	if (x.wrong[0] == '\0' && (memory_disk_with(x.disk, "x.") != 0 ||
				   memory_disk_with(x.disk, "s.") != 0))
		wrong("a claim stays for ever");
}

/* Nobody died and nothing went wrong: then nothing but tombstones stays. */
static void check_clean(const struct plan *plan)
{
	if (plan->faults != 0 || x.deaths_left != plan->deaths)
		return;
	if (memory_disk_with(x.disk, "x.") || memory_disk_with(x.disk, "s.") ||
	    memory_disk_with(x.disk, "q."))
		wrong("something is left behind");
	for (int i = 0; i < plan->contenders; i++)
		if (!plan->random && !plan->nonblock[i] &&
		    x.all[i].had != (unsigned)plan->rounds)
			wrong("a contender that waited got nothing");
}

/* Of several that try a free lock at once somebody has to get it. */
static void check_somebody(const struct plan *plan)
{
	unsigned had = 0;

	if (plan->faults != 0 || x.deaths_left != plan->deaths)
		return;
	for (int i = 0; i < plan->contenders; i++)
		had += x.all[i].had;
	if (had == 0)
		wrong("nobody got a lock that was free");
}

/* One schedule from an empty disk. False: x.wrong says what happened. */
static bool explore_one(const struct plan *plan)
{
	struct memory_hook hook = { .before = before, .after = after };
	unsigned depth;

	x.plan = plan;
	x.disk = memory_disk_make(plan->disk);
	memory_disk_hook(x.disk, &hook);
	x.now = 1000 * NSEC_PER_SEC;
	x.steps = 0;
	x.last = -1;
	x.switches_left = plan->switches;
	x.deaths_left = plan->deaths;
	x.last_exclusive = x.last_shared = 0;
	x.uuids = 0;
	x.depth = 0;
	x.wrong[0] = '\0';
	x.active = true;
	for (int i = 0; i < plan->contenders; i++) {
		x.all[i].had = 0;
		start(&x.all[i], plan->random);
	}
	run_all();
	depth = x.depth;
	if (x.wrong[0] == '\0')
		check_clean(plan);
	if (x.wrong[0] == '\0')
		check_somebody(plan);
	if (x.wrong[0] == '\0')
		check_leftovers(plan);
	x.depth = depth;
	x.active = false;
	memory_disk_free(x.disk);
	return x.wrong[0] == '\0';
}

/* --- the explorations --- */

static const struct plan exhaustive[] = {
	{ .what = "two exclusive, kernel locks",
	  .contenders = 2,
	  .disk = MEMORY_KERNEL | MEMORY_MOVE,
	  .rounds = 1,
	  .switches = 2,
	  .deaths = 1,
	  .ttl = 2 * NSEC_PER_SEC },
	{ .what = "two exclusive, a plain store",
	  .contenders = 2,
	  .rounds = 1,
	  .switches = 2,
	  .deaths = 1,
	  .ttl = 2 * NSEC_PER_SEC },
	{ .what = "two that do not wait",
	  .contenders = 2,
	  .rounds = 1,
	  .switches = 4,
	  .nonblock = { true, true },
	  .ttl = 2 * NSEC_PER_SEC },
	{ .what = "exclusive and shared",
	  .contenders = 2,
	  .disk = MEMORY_KERNEL | MEMORY_MOVE,
	  .rounds = 1,
	  .switches = 2,
	  .deaths = 1,
	  .modes = { LOCK_EXCLUSIVE, LOCK_SHARED },
	  .ttl = 2 * NSEC_PER_SEC },
	{ .what = "three, one shared, a plain store",
	  .contenders = 3,
	  .rounds = 1,
	  .switches = 1,
	  .modes = { LOCK_EXCLUSIVE, LOCK_SHARED, LOCK_EXCLUSIVE },
	  .ttl = 2 * NSEC_PER_SEC },
	{ .what = "p5_1 exclusive and shared, nothing of others is removed",
	  .contenders = 2,
	  .disk = MEMORY_KERNEL | MEMORY_MOVE | MEMORY_STICKY,
	  .rounds = 1,
	  .switches = 2,
	  .deaths = 1,
	  .modes = { LOCK_EXCLUSIVE, LOCK_SHARED },
	  .ttl = 2 * NSEC_PER_SEC },
	{ .what = "p5_1 two exclusive, a plain store, nothing is removed",
	  .contenders = 2,
	  .disk = MEMORY_STICKY,
	  .rounds = 1,
	  .switches = 2,
	  .deaths = 1,
	  .ttl = 2 * NSEC_PER_SEC },
};

static const struct plan random_plans[] = {
	{ .what = "kernel locks, deaths",
	  .contenders = 3,
	  .random = true,
	  .disk = MEMORY_KERNEL | MEMORY_MOVE,
	  .rounds = 3,
	  .deaths = 2,
	  .modes = { LOCK_EXCLUSIVE, LOCK_SHARED, LOCK_EXCLUSIVE },
	  .ttl = 2 * NSEC_PER_SEC },
	{ .what = "a plain store, deaths",
	  .contenders = 3,
	  .random = true,
	  .rounds = 3,
	  .deaths = 2,
	  .modes = { LOCK_EXCLUSIVE, LOCK_SHARED, LOCK_EXCLUSIVE },
	  .ttl = 2 * NSEC_PER_SEC },
	{ .what = "kernel locks, all that can go wrong",
	  .contenders = 3,
	  .random = true,
	  .disk = MEMORY_KERNEL | MEMORY_MOVE,
	  .rounds = 3,
	  .deaths = 1,
	  .faults = 30,
	  .modes = { LOCK_EXCLUSIVE, LOCK_EXCLUSIVE, LOCK_SHARED },
	  .ttl = 2 * NSEC_PER_SEC },
	{ .what = "a plain store, all that can go wrong",
	  .contenders = 3,
	  .random = true,
	  .rounds = 3,
	  .deaths = 1,
	  .faults = 30,
	  .modes = { LOCK_EXCLUSIVE, LOCK_EXCLUSIVE, LOCK_SHARED },
	  .ttl = 2 * NSEC_PER_SEC },
	{ .what = "p5_1 kernel locks, deaths, nothing of others is removed",
	  .contenders = 4,
	  .random = true,
	  .disk = MEMORY_KERNEL | MEMORY_MOVE | MEMORY_STICKY,
	  .rounds = 2,
	  .deaths = 2,
	  .modes = { LOCK_EXCLUSIVE, LOCK_SHARED, LOCK_EXCLUSIVE, LOCK_EXCLUSIVE },
	  .ttl = 2 * NSEC_PER_SEC },
	{ .what = "p5_1 a plain store, all that can go wrong, nothing is removed",
	  .contenders = 4,
	  .random = true,
	  .disk = MEMORY_STICKY,
	  .rounds = 2,
	  .deaths = 2,
	  .faults = 30,
	  .modes = { LOCK_EXCLUSIVE, LOCK_SHARED, LOCK_EXCLUSIVE, LOCK_EXCLUSIVE },
	  .ttl = 2 * NSEC_PER_SEC },
	{ .what = "four, nothing goes wrong",
	  .contenders = 4,
	  .random = true,
	  .rounds = 2,
	  .modes = { LOCK_EXCLUSIVE, LOCK_SHARED, LOCK_SHARED, LOCK_EXCLUSIVE },
	  .ttl = 20 * NSEC_PER_SEC },
};

static void report(const struct plan *plan, unsigned long schedules)
{
	printf("explored %s: %lu schedules\n", plan->what, schedules);
	(void)fflush(stdout);
}

START_TEST(no_order_of_few_switches_breaks_a_rule)
{
	const char *more = getenv("REPOLOCK_EXPLORE_SWITCHES");
	static struct plan plan[1];
	unsigned long schedules = 0;

	plan[0] = exhaustive[_i];
	plan[0].switches += more ? atoi(more) : 0;
	begin_threads();
	x.prefix = x.depth = 0;
	do {
		schedules++;
		ck_assert_msg(explore_one(plan), "%s, schedule %lu: %s",
			      plan->what, schedules, x.wrong);
	} while (next_path());
	report(plan, schedules);
	ck_assert_uint_gt(schedules, 100);
}
END_TEST

static double seconds_each(void)
{
	const char *given = getenv("REPOLOCK_EXPLORE_SECONDS");

	return given ? strtod(given, NULL) : 1.0;
}

START_TEST(no_accident_breaks_a_rule)
{
	const struct plan *plan = &random_plans[_i];
	const char *only = getenv("REPOLOCK_EXPLORE_SEED");
	const char *which = getenv("REPOLOCK_EXPLORE_PLAN");
	nsec end = __real_boot_now().ns + (nsec)(seconds_each() * 1e9);
	uint64_t seed = only ? strtoull(only, NULL, 10)
			     : (uint64_t)__real_boot_now().ns % 1000000007;
	unsigned long schedules = 0;

	if (which && atoi(which) != _i)
		return;
	begin_threads();
	do {
		schedules++;
		x.dice = seed * 2654435761u + 88172645463325252u;
		ck_assert_msg(explore_one(plan),
			      "%s: %s; CK_RUN_CASE=accidents "
			      "REPOLOCK_EXPLORE_PLAN=%d "
			      "REPOLOCK_EXPLORE_SEED=%" PRIu64 " shows it again",
			      plan->what, x.wrong, _i, seed);
		seed++;
	} while (!only && __real_boot_now().ns < end);
	report(plan, schedules);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *s = suite_create("lease_explore");
	TCase *orders = tcase_create("orders");
	TCase *accidents = tcase_create("accidents");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(orders, getenv("REPOLOCK_EXPLORE_SWITCHES") ? 0 : 120);
	tcase_set_timeout(accidents, 60 + seconds_each() * 4);
	tcase_add_loop_test(orders, no_order_of_few_switches_breaks_a_rule, 0,
			    COUNT(exhaustive));
	tcase_add_loop_test(accidents, no_accident_breaks_a_rule, 0,
			    COUNT(random_plans));
	suite_add_tcase(s, orders);
	suite_add_tcase(s, accidents);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
