/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A decorator: any store, with every call and its answer as a line of debug
 * output. No driver knows of it.
 */
#include "store/driver.h"

#include <assert.h>
#include <stdlib.h>

#include "util/log.h"

struct trace {
	struct store base; /* first: trace_of() depends on it */
	/* A table of its own: where the inner one has NULL, so has this. */
	struct store_ops ops;
	struct store *inner;
};

static void trace_close(struct store *s);

static struct trace *trace_of(struct store *s)
{
	assert(s->ops->close == trace_close);
	return (struct trace *)s;
}

/* One line, when the answer is there; returns rc. */
static enum rc told(const struct trace *t, struct boot begun, const char *what,
		    const char *name, enum rc rc, const struct err *e)
{
	long long usec = boot_until(begun, boot_now()) / NSEC_PER_USEC;

	if (rc == RC_OK)
		log_debug("%s %s %s: ok, %lld us", t->inner->ops->name, what,
			  name, usec);
	else
		log_debug("%s %s %s: %s (%s), %lld us", t->inner->ops->name,
			  what, name, rc_name(rc), e->text, usec);
	return rc;
}

static void trace_close(struct store *s)
{
	struct trace *t;

	if (!s)
		return;
	t = trace_of(s);
	log_debug("%s close %s", t->inner->ops->name, t->inner->shown);
	store_close(t->inner);
	free(t);
}

static enum rc trace_get(struct store *s, const char *name, struct buf *into,
			 struct store_tag *tag, const struct call *call,
			 struct err *e)
{
	struct trace *t = trace_of(s);
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->get(t->inner, name, into, tag, call, e);

	return told(t, begun, "get", name, rc, e);
}

static enum rc trace_put(struct store *s, const char *name, const void *data,
			 size_t len, enum store_put_when when,
			 const struct store_tag *match, struct store_tag *tag,
			 const struct call *call, struct err *e)
{
	static const char *const words[] = {
		[STORE_PUT_ALWAYS] = "put",
		[STORE_PUT_IF_ABSENT] = "put if absent",
		[STORE_PUT_IF_MATCH] = "put if match",
	};
	struct trace *t = trace_of(s);
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->put(t->inner, name, data, len, when, match,
					tag, call, e);

	return told(t, begun, words[when], name, rc, e);
}

static enum rc trace_del(struct store *s, const char *name,
			 const struct call *call, struct err *e)
{
	struct trace *t = trace_of(s);
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->del(t->inner, name, call, e);

	return told(t, begun, "del", name, rc, e);
}

struct traced_seen {
	const struct trace *trace;
	store_seen *seen;
	void *context;
};

static bool trace_seen(void *context, const struct store_entry *entry)
{
	const struct traced_seen *s = context;

	log_debug("%s   %s%s", s->trace->inner->ops->name, entry->name,
		  entry->directory ? "/" : "");
	return s->seen(s->context, entry);
}

static enum rc trace_list(struct store *s, const char *prefix, store_seen *seen,
			  void *context, const struct call *call, struct err *e)
{
	struct trace *t = trace_of(s);
	struct traced_seen to = { t, seen, context };
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->list(t->inner, prefix, trace_seen, &to,
					 call, e);

	return told(t, begun, "list", prefix, rc, e);
}

static enum rc trace_names(struct store *s, const char *prefix, store_seen *seen,
			   void *context, const struct call *call, struct err *e)
{
	struct trace *t = trace_of(s);
	struct traced_seen to = { t, seen, context };
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->names(t->inner, prefix, trace_seen, &to,
					  call, e);

	return told(t, begun, "names", prefix, rc, e);
}

static enum rc trace_renew(struct store *s, const char *name,
			   const struct store_tag *was, const void *data,
			   size_t len, struct store_tag *tag,
			   const struct call *call, struct err *e)
{
	struct trace *t = trace_of(s);
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->renew(t->inner, name, was, data, len, tag,
					  call, e);

	return told(t, begun, "renew", name, rc, e);
}

static enum rc trace_move(struct store *s, const char *from, const char *to,
			  const struct call *call, struct err *e)
{
	struct trace *t = trace_of(s);
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->move(t->inner, from, to, call, e);

	log_debug("%s move to %s", t->inner->ops->name, to);
	return told(t, begun, "move", from, rc, e);
}

static enum rc trace_put_locked(struct store *s, const char *name,
				const void *data, size_t len, int *fd,
				struct store_tag *tag, const struct call *call,
				struct err *e)
{
	struct trace *t = trace_of(s);
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->put_locked(t->inner, name, data, len, fd,
					       tag, call, e);

	return told(t, begun, "put locked", name, rc, e);
}

static enum rc trace_put_open(struct store *s, const char *name, const void *data,
			      size_t len, int *fd, struct store_tag *tag,
			      const struct call *call, struct err *e)
{
	struct trace *t = trace_of(s);
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->put_open(t->inner, name, data, len, fd, tag,
					     call, e);

	return told(t, begun, "put open", name, rc, e);
}

static enum rc trace_renew_open(struct store *s, const char *name, int fd,
				const void *data, size_t len,
				struct store_tag *tag, struct err *e)
{
	struct trace *t = trace_of(s);
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->renew_open(t->inner, name, fd, data, len,
					       tag, e);

	return told(t, begun, "renew open", name, rc, e);
}

static enum rc trace_await(struct store *s, const char *name, nsec span,
			   bool *gone, const struct call *call, struct err *e)
{
	struct trace *t = trace_of(s);
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->await(t->inner, name, span, gone, call, e);

	return told(t, begun, rc == RC_OK && *gone ? "await: gone" : "await",
		    name, rc, e);
}

static enum rc trace_holder(struct store *s, const char *name, pid_t *pid,
			    struct err *e)
{
	struct trace *t = trace_of(s);
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->holder(t->inner, name, pid, e);

	return told(t, begun, "holder", name, rc, e);
}

static enum rc trace_probe(struct store *s, const char *name,
			   enum store_probe *found, const struct call *call,
			   struct err *e)
{
	static const char *const words[] = {
		[STORE_PROBE_TAKEN] = "probe: taken",
		[STORE_PROBE_FREE] = "probe: free",
		[STORE_PROBE_BLIND] = "probe: blind",
	};
	struct trace *t = trace_of(s);
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->probe(t->inner, name, found, call, e);

	return told(t, begun, rc == RC_OK ? words[*found] : "probe", name, rc, e);
}

static enum rc trace_watch(struct store *s, const char *name, int *fd,
			   struct err *e)
{
	struct trace *t = trace_of(s);
	struct boot begun = boot_now();
	enum rc rc = t->inner->ops->watch(t->inner, name, fd, e);

	return told(t, begun, "watch", name, rc, e);
}

static void trace_unwatch(struct store *s)
{
	struct trace *t = trace_of(s);

	t->inner->ops->unwatch(t->inner);
}

struct store *trace_wrap(struct store *inner)
{
	const struct store_ops *has = inner->ops;
	struct trace *t = malloc(sizeof(*t));

	if (!t)
		return NULL;
	*t = (struct trace){
		.base = *inner,
		.inner = inner,
		.ops = {
			.name = has->name,
			.can = has->can,
			.close = trace_close,
			.get = trace_get,
			.put = trace_put,
			.del = trace_del,
			.list = trace_list,
			.renew = trace_renew,
			.names = has->names ? trace_names : NULL,
			.move = has->move ? trace_move : NULL,
			.put_locked = has->put_locked ? trace_put_locked
						      : NULL,
			.put_open = has->put_open ? trace_put_open : NULL,
			.renew_open = has->renew_open ? trace_renew_open : NULL,
			.probe = has->probe ? trace_probe : NULL,
			.holder = has->holder ? trace_holder : NULL,
			.await = has->await ? trace_await : NULL,
			.watch = has->watch ? trace_watch : NULL,
			.unwatch = has->unwatch ? trace_unwatch : NULL,
		},
	};
	t->base.ops = &t->ops;
	log_debug("%s open %s", has->name, inner->shown);
	return &t->base;
}
