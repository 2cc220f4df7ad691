/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/text.h"

enum { NAME_ROOM = 200, DATA_ROOM = 1024 };

struct object {
	char name[NAME_ROOM];
	char data[DATA_ROOM];
	size_t len;
	uint64_t version; /* of the disk when it was last written */
	int put_by;       /* its owner, who alone may remove it if sticky */
	int locked_by;    /* owner of its kernel lock; -1: none */
	int fd;           /* by which it is locked */
	ino_t inode;      /* of that fd: another one means that it was closed */
};

struct late {
	enum memory_op op;
	struct object object; /* what is to be written, or where */
};

struct memory_disk {
	unsigned has;
	struct memory_hook hook;
	struct object *objects;
	size_t count;
	struct late *late;
	size_t late_count;
	uint64_t version;
};

struct memory_store {
	struct store base; /* first */
	struct memory_disk *disk;
	int owner;
	struct store_ops ops; /* without what the disk has not */
};

static struct memory_store *memory_of(struct store *s)
{
	return (struct memory_store *)s;
}

/* --- the disk --- */

struct memory_disk *memory_disk_make(unsigned has)
{
	struct memory_disk *disk = calloc(1, sizeof(*disk));

	assert(disk);
	disk->has = has;
	return disk;
}

void memory_disk_free(struct memory_disk *disk)
{
	free(disk->objects);
	free(disk->late);
	free(disk);
}

void memory_disk_hook(struct memory_disk *disk, const struct memory_hook *hook)
{
	disk->hook = *hook;
}

static struct object *find(const struct memory_disk *disk, const char *name)
{
	for (size_t i = 0; i < disk->count; i++)
		if (strcmp(disk->objects[i].name, name) == 0)
			return &disk->objects[i];
	return NULL;
}

static struct object *make(struct memory_disk *disk, const char *name)
{
	struct object *more = realloc(disk->objects,
				      (disk->count + 1) * sizeof(*more));

	assert(more);
	disk->objects = more;
	more += disk->count++;
	*more = (struct object){ .locked_by = -1, .fd = -1 };
	(void)text_copy(more->name, sizeof(more->name), name);
	return more;
}

static void erase(struct memory_disk *disk, struct object *object)
{
	*object = disk->objects[--disk->count];
}

static void fill(struct memory_disk *disk, struct object *object,
		 const void *data, size_t len)
{
	assert(len <= sizeof(object->data));
	if (len > 0)
		memcpy(object->data, data, len);
	object->len = len;
	object->version = ++disk->version;
}

static bool locked(const struct object *object)
{
	struct stat st;

	return object->locked_by >= 0 && fstat(object->fd, &st) == 0 &&
	       st.st_ino == object->inode;
}

void memory_disk_unlock(struct memory_disk *disk, int owner)
{
	for (size_t i = 0; i < disk->count; i++)
		if (disk->objects[i].locked_by == owner)
			disk->objects[i].locked_by = -1;
}

size_t memory_disk_count(const struct memory_disk *disk)
{
	return disk->count;
}

const char *memory_disk_name(const struct memory_disk *disk, size_t i)
{
	return disk->objects[i].name;
}

size_t memory_disk_with(const struct memory_disk *disk, const char *start)
{
	size_t found = 0;

	for (size_t i = 0; i < disk->count; i++) {
		const char *leaf = strrchr(disk->objects[i].name, '/');

		leaf = leaf ? leaf + 1 : disk->objects[i].name;
		found += strncmp(leaf, start, strlen(start)) == 0;
	}
	return found;
}

void memory_disk_erase(struct memory_disk *disk, const char *name)
{
	struct object *object = find(disk, name);

	if (object)
		erase(disk, object);
}

/* --- late writes --- */

static void do_put(struct memory_disk *disk, const struct object *what)
{
	struct object *object = find(disk, what->name);

	if (!object)
		object = make(disk, what->name);
	object->put_by = what->put_by;
	fill(disk, object, what->data, what->len);
}

static bool do_renew(struct memory_disk *disk, const struct object *what)
{
	struct object *object = find(disk, what->name);

	if (object)
		fill(disk, object, what->data, what->len);
	return object != NULL;
}

static bool do_del(struct memory_disk *disk, const struct object *what)
{
	struct object *object = find(disk, what->name);

	if (object)
		erase(disk, object);
	return object != NULL;
}

/* Does a change. False: what is to be changed is not there. */
static bool apply(struct memory_disk *disk, enum memory_op op,
		  const struct object *what)
{
	switch (op) {
	case MEMORY_PUT:
		do_put(disk, what);
		return true;
	case MEMORY_RENEW:
		return do_renew(disk, what);
	case MEMORY_DEL:
		return do_del(disk, what);
	default:
		assert(!"a change");
		return false;
	}
}

static void postpone(struct memory_disk *disk, enum memory_op op,
		     const struct object *what)
{
	struct late *more = realloc(disk->late,
				    (disk->late_count + 1) * sizeof(*more));

	assert(more);
	disk->late = more;
	more[disk->late_count++] = (struct late){ .op = op, .object = *what };
}

size_t memory_disk_pending(const struct memory_disk *disk)
{
	return disk->late_count;
}

void memory_disk_settle(struct memory_disk *disk, size_t most)
{
	size_t n = most < disk->late_count ? most : disk->late_count;

	for (size_t i = 0; i < n; i++)
		(void)apply(disk, disk->late[i].op, &disk->late[i].object);
	disk->late_count -= n;
	if (disk->late_count > 0)
		memmove(disk->late, disk->late + n,
			disk->late_count * sizeof(*disk->late));
}

/* --- operations --- */

static enum memory_fate ask(struct memory_store *m, enum memory_op op,
			    const char *name)
{
	const struct memory_hook *hook = &m->disk->hook;

	return hook->before ? hook->before(hook->context, m->owner, op, name)
			    : MEMORY_DONE;
}

static enum rc answer(struct memory_store *m, enum rc rc)
{
	const struct memory_hook *hook = &m->disk->hook;

	if (hook->after)
		hook->after(hook->context, m->owner);
	return rc;
}

/* For those that change nothing: no answer is no answer, whatever was done. */
static enum rc unanswered(struct memory_store *m, enum memory_fate fate,
			  struct err *e)
{
	return answer(m, err_set(e, fate == MEMORY_DEAD ? RC_FAILED : RC_RETRY,
				 "the disk does not answer"));
}

/* To the one who asks, now: a late removal was permitted when it was sent. */
static bool is_refused(const struct memory_store *m, const char *name)
{
	const struct object *object = find(m->disk, name);

	return (m->disk->has & MEMORY_STICKY) && object &&
	       object->put_by != m->owner;
}

static enum rc change(struct memory_store *m, enum memory_op op, const char *name,
		      const void *data, size_t len, struct err *e)
{
	enum memory_fate fate = ask(m, op, name);
	struct object what = { .locked_by = -1 };
	bool found = true;

	if (fate == MEMORY_DEAD || fate == MEMORY_REFUSED)
		return unanswered(m, fate, e);
	if (op == MEMORY_DEL && is_refused(m, name))
		return answer(m, err_set(e, RC_DENIED, "%.80s", name));
	what.put_by = m->owner;
	(void)text_copy(what.name, sizeof(what.name), name);
	assert(len <= sizeof(what.data));
	if (len > 0)
		memcpy(what.data, data, len);
	what.len = len;
	if (fate == MEMORY_LATE)
		postpone(m->disk, op, &what);
	else
		found = apply(m->disk, op, &what);
	if (fate == MEMORY_LATE || fate == MEMORY_LOST)
		return answer(m, err_set(e, RC_UNKNOWN, "no answer"));
	return answer(m,
		      found ? RC_OK
			    : err_set(e, RC_ABSENT, "%.80s is not there", name));
}

static enum rc memory_get(struct store *s, const char *name, struct buf *into,
			  struct store_tag *tag, const struct call *call,
			  struct err *e)
{
	struct memory_store *m = memory_of(s);
	enum memory_fate fate = ask(m, MEMORY_GET, name);
	const struct object *object;
	enum rc rc;

	(void)call;
	if (fate != MEMORY_DONE)
		return unanswered(m, fate, e);
	object = find(m->disk, name);
	if (!object)
		return answer(m, err_set(e, RC_ABSENT, "%.80s", name));
	rc = buf_add(into, object->data, object->len, e);
	if (tag)
		*tag = (struct store_tag){ .time.ns = (nsec)object->version,
					   .size = object->len };
	return answer(m, rc);
}

static enum rc memory_put(struct store *s, const char *name, const void *data,
			  size_t len, enum store_put_when when,
			  const struct store_tag *match, struct store_tag *tag,
			  const struct call *call, struct err *e)
{
	(void)match;
	(void)tag;
	(void)call;
	assert(when == STORE_PUT_ALWAYS);
	return change(memory_of(s), MEMORY_PUT, name, data, len, e);
}

static enum rc memory_del(struct store *s, const char *name,
			  const struct call *call, struct err *e)
{
	(void)call;
	return change(memory_of(s), MEMORY_DEL, name, NULL, 0, e);
}

static enum rc memory_renew(struct store *s, const char *name,
			    const struct store_tag *was, const void *data,
			    size_t len, struct store_tag *tag,
			    const struct call *call, struct err *e)
{
	(void)was;
	(void)tag;
	(void)call;
	return change(memory_of(s), MEMORY_RENEW, name, data, len, e);
}

static enum rc memory_renew_open(struct store *s, const char *name, int fd,
				 const void *data, size_t len,
				 struct store_tag *tag, struct err *e)
{
	(void)tag;
	(void)fd;
	return change(memory_of(s), MEMORY_RENEW, name, data, len, e);
}

static enum rc memory_list(struct store *s, const char *prefix, store_seen *seen,
			   void *context, const struct call *call, struct err *e)
{
	struct memory_store *m = memory_of(s);
	enum memory_fate fate = ask(m, MEMORY_LIST, prefix);
	size_t len = strlen(prefix);

	(void)call;
	if (fate != MEMORY_DONE)
		return unanswered(m, fate, e);
	for (size_t i = 0; i < m->disk->count; i++) {
		const struct object *object = &m->disk->objects[i];
		struct store_entry entry = { .name = object->name + len };

		if (strncmp(object->name, prefix, len) == 0 &&
		    !strchr(entry.name, '/') && !seen(context, &entry))
			break;
	}
	return answer(m, RC_OK);
}

static enum rc memory_move(struct store *s, const char *from, const char *to,
			   const struct call *call, struct err *e)
{
	struct memory_store *m = memory_of(s);
	enum memory_fate fate = ask(m, MEMORY_MOVED, from);
	struct object *object;

	(void)call;
	if (fate == MEMORY_DEAD || fate == MEMORY_REFUSED)
		return unanswered(m, fate, e);
	object = find(m->disk, from);
	if (!object)
		return answer(m, err_set(e, RC_ABSENT, "%.80s", from));
	if (is_refused(m, from))
		return answer(m, err_set(e, RC_DENIED, "%.80s", from));
	if (find(m->disk, to))
		return answer(m, err_set(e, RC_EXISTS, "%.80s", to));
	(void)text_copy(object->name, sizeof(object->name), to);
	return answer(m, fate == MEMORY_DONE
				 ? RC_OK
				 : err_set(e, RC_UNKNOWN, "no answer"));
}

static enum rc memory_put_locked(struct store *s, const char *name,
				 const void *data, size_t len, int *fd,
				 struct store_tag *tag, const struct call *call,
				 struct err *e)
{
	struct memory_store *m = memory_of(s);
	enum memory_fate fate = ask(m, MEMORY_PUT_LOCKED, name);
	struct object *object;
	struct stat st;

	(void)tag;
	(void)call;
	if (fate == MEMORY_DEAD || fate == MEMORY_REFUSED)
		return unanswered(m, fate, e);
	object = make(m->disk, name);
	object->put_by = m->owner;
	fill(m->disk, object, data, len);
	if (fate != MEMORY_DONE)
		return answer(m, err_set(e, RC_UNKNOWN, "no answer"));
	/* The lock lives as long as this descriptor is open. */
	*fd = memfd_create("memory_store", MFD_CLOEXEC);
	assert(*fd >= 0);
	(void)fstat(*fd, &st);
	object->locked_by = m->owner;
	object->fd = *fd;
	object->inode = st.st_ino;
	return answer(m, RC_OK);
}

static enum rc memory_probe(struct store *s, const char *name,
			    enum store_probe *found, const struct call *call,
			    struct err *e)
{
	struct memory_store *m = memory_of(s);
	enum memory_fate fate = ask(m, MEMORY_PROBE, name);
	const struct object *object;

	(void)call;
	if (fate != MEMORY_DONE)
		return unanswered(m, fate, e);
	object = find(m->disk, name);
	if (!object)
		return answer(m, err_set(e, RC_ABSENT, "%.80s", name));
	*found = locked(object) ? STORE_PROBE_TAKEN : STORE_PROBE_FREE;
	return answer(m, RC_OK);
}

static void memory_close(struct store *s)
{
	free(memory_of(s));
}

static const struct store_ops memory_ops = {
	.name = "memory",
	.can = STORE_CAN_LIST_CONSISTENT,
	.close = memory_close,
	.get = memory_get,
	.put = memory_put,
	.del = memory_del,
	.list = memory_list,
	.renew = memory_renew,
	.move = memory_move,
	.put_locked = memory_put_locked,
	.renew_open = memory_renew_open,
	.probe = memory_probe,
};

struct store *memory_store_open(struct memory_disk *disk, int owner)
{
	struct memory_store *m = calloc(1, sizeof(*m));

	assert(m);
	m->ops = memory_ops;
	if (!(disk->has & MEMORY_MOVE))
		m->ops.move = NULL;
	if (!(disk->has & MEMORY_KERNEL)) {
		m->ops.put_locked = NULL;
		m->ops.renew_open = NULL;
		m->ops.probe = NULL;
	}
	m->base.ops = &m->ops;
	m->disk = disk;
	m->owner = owner;
	(void)text_copy(m->base.shown, sizeof(m->base.shown), "memory");
	return &m->base;
}
