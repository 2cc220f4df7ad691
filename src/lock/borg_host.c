/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/borg_host.h"

#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "util/text.h"

/* The inode that the kernel gives the first pid namespace, since 3.8. */
#define INITIAL_PID_NS UINT64_C(0xEFFFFFFC)

/* --- the host id --- */

/* The whole name, not cut at the dot; *fqdn holds NI_MAXHOST. */
static void own_fqdn(char *fqdn)
{
	struct addrinfo want = { .ai_family = AF_UNSPEC,
				 .ai_socktype = SOCK_DGRAM,
				 .ai_flags = AI_CANONNAME };
	struct addrinfo *found = NULL;
	char name[NI_MAXHOST] = "";

	(void)gethostname(name, sizeof(name) - 1);
	text_copy(fqdn, NI_MAXHOST, name);
	if (getaddrinfo(name, NULL, &want, &found) != 0)
		return;
	for (struct addrinfo *a = found; a; a = a->ai_next)
		if (a->ai_canonname && a->ai_canonname[0] != '\0') {
			text_copy(fqdn, NI_MAXHOST, a->ai_canonname);
			break;
		}
	freeaddrinfo(found);
}

enum rc borg_host_format(struct borg_host *h, const char *fqdn,
			 const unsigned char node[6], struct err *e)
{
	uint64_t number = 0;
	int len;

	for (size_t i = 0; i < 6; i++)
		number = number << 8 | node[i];
	/* A hardware address of a card never has the multicast bit. */
	h->random = (node[0] & 1) != 0;
	len = snprintf(h->id, sizeof(h->id), "%s@%llu", fqdn,
		       (unsigned long long)number);
	if (len < 0 || (size_t)len >= sizeof(h->id))
		return err_set(e, RC_UNSUPPORTED,
			       "the name of this host is too long for a lock; "
			       "set BORG_HOST_ID");
	return RC_OK;
}

static bool is_utf8(const char *text)
{
	uint32_t code;

	while (*text != '\0') {
		size_t len = utf8_next(text, &code);

		if (len == 0)
			return false;
		text += len;
	}
	return true;
}

static enum rc host_given(struct borg_host *h, const char *id, struct err *e)
{
	if (!text_copy(h->id, sizeof(h->id), id))
		return err_set(e, RC_UNSUPPORTED,
			       "BORG_HOST_ID is too long for a lock");
	if (!is_utf8(id))
		return err_set(e, RC_UNSUPPORTED, "BORG_HOST_ID is not UTF-8");
	return RC_OK;
}

enum rc borg_host_fill(struct borg_host *h, const struct self *self,
		       struct err *e)
{
	const char *given = getenv("BORG_HOST_ID");
	char fqdn[NI_MAXHOST];
	uuid_t uuid;

	*h = (struct borg_host){
		.sees_all = self->pid_ns == INITIAL_PID_NS,
		.own = self->keeper,
	};
	if (given && given[0] != '\0')
		return host_given(h, given, e);
	own_fqdn(fqdn);
	/* Not only safe or not matters: this is the call that borg's Python
	 * makes, and its node, the last six bytes, is all that is wanted. */
	(void)uuid_generate_time_safe(uuid);
	return borg_host_format(h, fqdn, uuid + 10, e);
}

void borg_host_own(const struct borg_host *h, struct borg_owner *own)
{
	*own = (struct borg_owner){ .pid = h->own.pid };
	text_copy(own->host, sizeof(own->host), h->id);
}

bool borg_owner_same(const struct borg_owner *a, const struct borg_owner *b)
{
	return a->pid == b->pid && a->thread == b->thread &&
	       strcmp(a->host, b->host) == 0;
}

/* --- alive? --- */

/* Wall-clock time at which a process of this host began; 0: unknown. */
static struct wall began(uint64_t start)
{
	long ticks = sysconf(_SC_CLK_TCK);
	struct wall at = { 0 };
	nsec since_boot;

	if (start == 0 || ticks <= 0)
		return at;
	since_boot = (nsec)(start / (uint64_t)ticks) * NSEC_PER_SEC;
	at.ns = wall_now().ns - (boot_now().ns - since_boot);
	return at;
}

static enum lock_alive say(enum lock_alive alive, char *detail, size_t size,
			   const char *why)
{
	if (detail)
		text_copy(detail, size, why);
	return alive;
}

static enum lock_alive exists(const struct borg_owner *owner, struct wall made,
			      char *detail, size_t size)
{
	struct wall start = began(process_start((pid_t)owner->pid));

	/* Only a hint: the wall clock may have been set since. */
	if (made.ns != 0 && start.ns > made.ns + 60 * NSEC_PER_SEC)
		return say(LOCK_ALIVE_YES, detail, size,
			   "the process with this pid is younger than the lock "
			   "(pid reused?)");
	return say(LOCK_ALIVE_YES, detail, size, "");
}

enum lock_alive borg_host_alive(const struct borg_host *h,
				const struct borg_owner *owner,
				struct wall made, char *detail, size_t size)
{
	/* We do not hold it, so one that is older than we are was left by a
	 * dead process whose pid is ours now. */
	bool namesake = owner->pid == h->own.pid && made.ns != 0 &&
			made.ns + NSEC_PER_SEC < began(h->own.start).ns;
	struct process process;

	if (strcmp(owner->host, h->id) != 0)
		return say(LOCK_ALIVE_UNKNOWN, detail, size, "another host id");
	if (h->random)
		return say(LOCK_ALIVE_UNKNOWN, detail, size,
			   "this host has no stable id; set BORG_HOST_ID");
	if (owner->thread != 0 || owner->pid <= 0 || owner->pid > INT_MAX)
		return say(LOCK_ALIVE_UNKNOWN, detail, size,
			   "not a plain process");
	process = (struct process){ .pid = (pid_t)owner->pid };
	if (!namesake && liveness_of_pid(&process) != LOCK_ALIVE_NO)
		return exists(owner, made, detail, size);
	if (!h->sees_all)
		return say(LOCK_ALIVE_UNKNOWN, detail, size,
			   "not every process of the host is seen from in here");
	if (h->inside ? liveness_is_inside(h->inside, owner->pid)
		      : liveness_in_container(owner->pid))
		return say(LOCK_ALIVE_UNKNOWN, detail, size,
			   "a process in a container may be the holder");
	return say(LOCK_ALIVE_NO, detail, size,
		   "its process is gone on this host");
}
