/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/lease_view.h"

#include <stdlib.h>
#include <string.h>

void lease_view_init(struct lease_view *view)
{
	view->names = view->few;
	view->room = LEASE_VIEW_FEW;
	lease_view_reset(view);
}

void lease_view_release(struct lease_view *view)
{
	if (view->names != view->few)
		free(view->names);
	lease_view_init(view);
}

void lease_view_reset(struct lease_view *view)
{
	view->count = 0;
	view->overflow = false;
	view->top_fence = 0;
	view->top_ticket = 0;
}

static bool grow(struct lease_view *view)
{
	size_t room = view->room * 4;
	struct lease_name *names;

	if (view->names != view->few) {
		names = realloc(view->names, room * sizeof(*names));
	} else {
		names = malloc(room * sizeof(*names));
		if (names)
			memcpy(names, view->few, sizeof(view->few));
	}
	if (!names) {
		view->overflow = true;
		return false;
	}
	view->names = names;
	view->room = room;
	return true;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* NULL: none of ours, or no memory. */
static struct lease_name *append(struct lease_view *view, const char *text)
{
	struct lease_name *name;

	if (view->count == view->room && !grow(view))
		return NULL;
	name = &view->names[view->count];
	if (!lease_name_parse(name, text))
		return NULL;
	view->count++;
	return name;
}

void lease_view_add_foreign(struct lease_view *view, const char *text,
			    bool directory)
{
	struct lease_name *name = append(view, text);

	if (!name)
		return;
	name->foreign = true;
	name->directory = directory;
}

void lease_view_add(struct lease_view *view, const char *text)
{
	const struct lease_name *name = append(view, text);

	if (!name || name->number == LEASE_NUMBER_MAX)
		return;
	switch (name->kind) {
	case LEASE_CLAIM:
	case LEASE_TOMBSTONE:
		view->top_fence = larger(view->top_fence, name->number);
		break;
	case LEASE_PLACE:
		view->top_ticket = larger(view->top_ticket, name->number);
		break;
	case LEASE_TEMPORARY:
		break;
	}
}

const struct lease_name *lease_view_find(const struct lease_view *view,
					 enum lease_kind kind, const char *uuid)
{
	for (size_t i = 0; i < view->count; i++) {
		const struct lease_name *name = &view->names[i];

		if (name->kind == kind && !name->foreign &&
		    strcmp(name->uuid, uuid) == 0)
			return name;
	}
	return NULL;
}

bool lease_view_void(const struct lease_view *view, const char *uuid)
{
	return lease_view_find(view, LEASE_TOMBSTONE, uuid) != NULL;
}

bool lease_outranks(const struct lease_name *a, const struct lease_name *b)
{
	if (a->mode != b->mode)
		return a->mode == LOCK_EXCLUSIVE;
	if (a->number != b->number)
		return a->number > b->number;
	return strcmp(a->uuid, b->uuid) < 0;
}

static bool surpasses(const struct lease_name *name, const struct lease_name *mine)
{
	if (name->foreign || name->number == LEASE_NUMBER_MAX)
		return false;
	if (name->kind == LEASE_TOMBSTONE || name->stale || name->gone)
		return name->number >= mine->number;
	return name->kind == LEASE_CLAIM && name->mode == LOCK_EXCLUSIVE &&
	       name->number > mine->number;
}

bool lease_view_surpassed(const struct lease_view *view,
			  const struct lease_name *mine)
{
	for (size_t i = 0; i < view->count; i++)
		if (surpasses(&view->names[i], mine))
			return true;
	return false;
}

bool lease_is_ahead(const struct lease_name *name,
		    const struct lease_name *mine, enum lock_mode mode)
{
	return name->kind == LEASE_PLACE && !name->foreign && !name->passed &&
	       lease_conflict(name->mode, mode) &&
	       (!mine || lease_name_order(name, mine) < 0);
}

const struct lease_name *lease_view_ahead(const struct lease_view *view,
					  const struct lease_name *mine,
					  enum lock_mode mode)
{
	const struct lease_name *nearest = NULL;

	for (size_t i = 0; i < view->count; i++) {
		const struct lease_name *name = &view->names[i];

		if (lease_is_ahead(name, mine, mode) &&
		    (!nearest || lease_name_order(name, nearest) > 0))
			nearest = name;
	}
	return nearest;
}

struct lease_name *lease_view_first(const struct lease_view *view)
{
	struct lease_name *first = NULL;

	for (size_t i = 0; i < view->count; i++) {
		struct lease_name *name = &view->names[i];

		if (name->kind == LEASE_PLACE && !name->foreign && !name->passed &&
		    (!first || lease_name_order(name, first) < 0))
			first = name;
	}
	return first;
}
