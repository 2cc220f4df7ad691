/* SPDX-License-Identifier: BSD-2-Clause */
#include "faulty.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FAULTS_MAX = 16 };

struct faulty_store {
	struct store base; /* first */
	struct store *inner;
	struct store_ops ops;
	struct fault script[FAULTS_MAX];
	unsigned seen[FAULTY_OPS];
};

static struct faulty_store *faulty_of(struct store *s)
{
	return (struct faulty_store *)s;
}

void faulty_script(struct store *s, const struct fault *script)
{
	struct faulty_store *f = faulty_of(s);
	size_t n = 0;

	memset(f->script, 0, sizeof(f->script));
	memset(f->seen, 0, sizeof(f->seen));
	for (; script[n].op != FAULTY_NONE; n++) {
		assert(n + 1 < FAULTS_MAX);
		f->script[n] = script[n];
	}
}

void faulty_heal(struct store *s)
{
	faulty_script(s, &(struct fault){ .op = FAULTY_NONE });
}

unsigned faulty_count(const struct store *s, enum faulty_op op)
{
	return ((const struct faulty_store *)s)->seen[op];
}

static bool meant(const struct faulty_store *f, const struct fault *fault,
		  enum faulty_op op)
{
	return (fault->op == op || fault->op == FAULTY_ANY) &&
	       (fault->nth == 0 || fault->nth == f->seen[fault->op]);
}

/* Count the operation; what is to go wrong with it? NULL: nothing. */
static const struct fault *next_fault(struct faulty_store *f, enum faulty_op op)
{
	f->seen[op]++;
	f->seen[FAULTY_ANY]++;
	for (size_t i = 0; f->script[i].op != FAULTY_NONE; i++)
		if (meant(f, &f->script[i], op))
			return &f->script[i];
	return NULL;
}

static enum rc pass_time(const struct fault *fault, const struct call *call,
			 struct err *e)
{
	if (fault->meanwhile) {
		fault->meanwhile(fault->context);
		return RC_OK;
	}
	return call_pause(call, fault->span, e);
}

/* True: *rc is the answer, and nothing is to be done. */
static bool before(const struct fault *fault, const struct call *call,
		   enum rc *rc, struct err *e)
{
	if (!fault)
		return false;
	switch (fault->how) {
	case FAULT_ANSWER:
		*rc = err_set(e, fault->rc, "by script: %s", rc_name(fault->rc));
		return true;
	case FAULT_HANG:
		*rc = call_pause(call, NSEC_FOREVER, e);
		return true;
	case FAULT_BEFORE:
		*rc = pass_time(fault, call, e);
		return *rc != RC_OK;
	case FAULT_LOSE:
	case FAULT_DELAY:
		return false;
	}
	return false;
}

static enum rc after(const struct fault *fault, const struct call *call,
		     enum rc rc, struct err *e)
{
	enum rc waited;

	if (!fault)
		return rc;
	if (fault->how == FAULT_LOSE)
		return err_set(e, RC_UNKNOWN, "by script: no answer");
	if (fault->how != FAULT_DELAY)
		return rc;
	waited = pass_time(fault, call, e);
	return waited == RC_OK ? rc : err_set(e, RC_UNKNOWN, "no answer");
}

static enum rc faulty_get(struct store *s, const char *name, struct buf *into,
			  struct store_tag *tag, const struct call *call,
			  struct err *e)
{
	struct faulty_store *f = faulty_of(s);
	const struct fault *fault = next_fault(f, FAULTY_GET);
	enum rc rc;

	if (before(fault, call, &rc, e))
		return rc;
	rc = f->inner->ops->get(f->inner, name, into, tag, call, e);
	return after(fault, call, rc, e);
}

static enum rc faulty_put(struct store *s, const char *name, const void *data,
			  size_t len, enum store_put_when when,
			  const struct store_tag *match, struct store_tag *tag,
			  const struct call *call, struct err *e)
{
	struct faulty_store *f = faulty_of(s);
	const struct fault *fault = next_fault(f, FAULTY_PUT);
	enum rc rc;

	if (before(fault, call, &rc, e))
		return rc;
	rc = f->inner->ops->put(f->inner, name, data, len, when, match, tag,
				call, e);
	return after(fault, call, rc, e);
}

static enum rc faulty_del(struct store *s, const char *name,
			  const struct call *call, struct err *e)
{
	struct faulty_store *f = faulty_of(s);
	const struct fault *fault = next_fault(f, FAULTY_DEL);
	enum rc rc;

	if (before(fault, call, &rc, e))
		return rc;
	rc = f->inner->ops->del(f->inner, name, call, e);
	return after(fault, call, rc, e);
}

static enum rc list_by(struct store *s, bool names, const char *prefix,
		       store_seen *seen, void *context, const struct call *call,
		       struct err *e)
{
	struct faulty_store *f = faulty_of(s);
	const struct fault *fault = next_fault(f, FAULTY_LIST);
	const struct store_ops *ops = f->inner->ops;
	enum rc rc;

	if (before(fault, call, &rc, e))
		return rc;
	rc = (names ? ops->names : ops->list)(f->inner, prefix, seen, context,
					      call, e);
	return after(fault, call, rc, e);
}

static enum rc faulty_list(struct store *s, const char *prefix, store_seen *seen,
			   void *context, const struct call *call, struct err *e)
{
	return list_by(s, false, prefix, seen, context, call, e);
}

static enum rc faulty_names(struct store *s, const char *prefix,
			    store_seen *seen, void *context,
			    const struct call *call, struct err *e)
{
	return list_by(s, true, prefix, seen, context, call, e);
}

static enum rc faulty_renew(struct store *s, const char *name,
			    const struct store_tag *was, const void *data,
			    size_t len, struct store_tag *tag,
			    const struct call *call, struct err *e)
{
	struct faulty_store *f = faulty_of(s);
	const struct fault *fault = next_fault(f, FAULTY_RENEW);
	enum rc rc;

	if (before(fault, call, &rc, e))
		return rc;
	rc = f->inner->ops->renew(f->inner, name, was, data, len, tag, call, e);
	return after(fault, call, rc, e);
}

static enum rc faulty_move(struct store *s, const char *from, const char *to,
			   const struct call *call, struct err *e)
{
	struct faulty_store *f = faulty_of(s);
	const struct fault *fault = next_fault(f, FAULTY_MOVE);
	enum rc rc;

	if (before(fault, call, &rc, e))
		return rc;
	rc = f->inner->ops->move(f->inner, from, to, call, e);
	return after(fault, call, rc, e);
}

static enum rc faulty_put_locked(struct store *s, const char *name,
				 const void *data, size_t len, int *fd,
				 struct store_tag *tag, const struct call *call,
				 struct err *e)
{
	struct faulty_store *f = faulty_of(s);
	const struct fault *fault = next_fault(f, FAULTY_PUT);
	enum rc rc;

	if (before(fault, call, &rc, e))
		return rc;
	rc = f->inner->ops->put_locked(f->inner, name, data, len, fd, tag, call,
				       e);
	if (rc != RC_OK)
		return rc;
	rc = after(fault, call, rc, e);
	/* Whoever is not told of a descriptor cannot close it. */
	if (rc != RC_OK) {
		(void)close(*fd);
		*fd = -1;
	}
	return rc;
}

/* As after RC_UNKNOWN: the descriptor stays the caller's. */
static enum rc faulty_put_open(struct store *s, const char *name,
			       const void *data, size_t len, int *fd,
			       struct store_tag *tag, const struct call *call,
			       struct err *e)
{
	struct faulty_store *f = faulty_of(s);
	const struct fault *fault = next_fault(f, FAULTY_PUT);
	enum rc rc;

	if (before(fault, call, &rc, e))
		return rc;
	rc = f->inner->ops->put_open(f->inner, name, data, len, fd, tag, call, e);
	return rc == RC_OK ? after(fault, call, rc, e) : rc;
}

static enum rc faulty_renew_open(struct store *s, const char *name, int fd,
				 const void *data, size_t len,
				 struct store_tag *tag, struct err *e)
{
	struct faulty_store *f = faulty_of(s);
	const struct fault *fault = next_fault(f, FAULTY_RENEW);
	const struct call call = CALL_UNLIMITED;
	enum rc rc;

	if (before(fault, &call, &rc, e))
		return rc;
	rc = f->inner->ops->renew_open(f->inner, name, fd, data, len, tag, e);
	return after(fault, &call, rc, e);
}

static enum rc faulty_probe(struct store *s, const char *name,
			    enum store_probe *found, const struct call *call,
			    struct err *e)
{
	struct faulty_store *f = faulty_of(s);
	const struct fault *fault = next_fault(f, FAULTY_PROBE);
	enum rc rc;

	if (before(fault, call, &rc, e))
		return rc;
	rc = f->inner->ops->probe(f->inner, name, found, call, e);
	return after(fault, call, rc, e);
}

static enum rc faulty_await(struct store *s, const char *name, nsec span,
			    bool *gone, const struct call *call, struct err *e)
{
	struct faulty_store *f = faulty_of(s);

	return f->inner->ops->await(f->inner, name, span, gone, call, e);
}

static enum rc faulty_watch(struct store *s, const char *name, int *fd,
			    struct err *e)
{
	struct faulty_store *f = faulty_of(s);

	return f->inner->ops->watch(f->inner, name, fd, e);
}

static void faulty_unwatch(struct store *s)
{
	struct faulty_store *f = faulty_of(s);

	f->inner->ops->unwatch(f->inner);
}

static void faulty_close(struct store *s)
{
	struct faulty_store *f = faulty_of(s);

	store_close(f->inner);
	free(f);
}

static const struct store_ops faulty_ops = {
	.name = "faulty",
	.close = faulty_close,
	.get = faulty_get,
	.put = faulty_put,
	.del = faulty_del,
	.list = faulty_list,
	.names = faulty_names,
	.renew = faulty_renew,
	.move = faulty_move,
	.put_locked = faulty_put_locked,
	.put_open = faulty_put_open,
	.renew_open = faulty_renew_open,
	.probe = faulty_probe,
	.await = faulty_await,
	.watch = faulty_watch,
	.unwatch = faulty_unwatch,
};

struct store *faulty_open(struct store *inner)
{
	struct faulty_store *f = calloc(1, sizeof(*f));
	const struct store_ops *has = inner->ops;

	assert(f);
	f->base = *inner;
	f->inner = inner;
	f->ops = faulty_ops;
	f->ops.can = has->can;
	f->ops.names = has->names ? faulty_names : NULL;
	f->ops.move = has->move ? faulty_move : NULL;
	f->ops.put_locked = has->put_locked ? faulty_put_locked : NULL;
	f->ops.put_open = has->put_open ? faulty_put_open : NULL;
	f->ops.renew_open = has->renew_open ? faulty_renew_open : NULL;
	f->ops.probe = has->probe ? faulty_probe : NULL;
	f->ops.await = has->await ? faulty_await : NULL;
	f->ops.watch = has->watch ? faulty_watch : NULL;
	f->ops.unwatch = has->unwatch ? faulty_unwatch : NULL;
	f->base.ops = &f->ops;
	return &f->base;
}
