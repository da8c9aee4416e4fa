/*
 * Reclaim on request, and caches of the program that reclaim asks.
 *
 *   neap_shrinker_register ──> struct api_shrinker ──> core/shrinker.c
 *        count, scan of the program   <── called here, with the program's structure
 *
 * The engine knows shrinkers by what it calls; the program's functions take another
 * structure, so each registration has a small object between the two. It lives until it
 * is unregistered, or until the machine is taken down.
 *
 * What must never happen: an object freed while the engine may still call through it.
 * shrinker_unregister() returns when nobody is inside any more.
 *
 * Linux: register_shrinker(), shrink_all_memory() of mm/vmscan.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/api.h"
#include "core/direct.h"
#include "core/shrinker.h"

struct api_shrinker {
	struct neap_shrinker program; /* I */
	int number;		      /* I, once registered */
	struct api_link link;	      /* g */
};

struct shrink_call {
	struct api_machine *a;
	struct api_shrinker *shrinker;
	uint64_t pages;
	int64_t result;
};

static int shrink_all_task(struct task *t, void *arg)
{
	struct shrink_call *call = arg;

	call->result = (int64_t)direct_shrink_all(t, &call->a->m, call->pages);
	rt_preempt(t);
	return 0;
}

int64_t neap_shrink_all(struct neap_machine *machine, uint64_t pages)
{
	struct shrink_call call = { .a = api_of(machine), .pages = pages };
	int err = api_call(call.a, shrink_all_task, &call);

	return err != 0 ? err : call.result;
}

/* ---- the program's functions, as the engine calls them ---- */

static uint64_t call_count(struct task *t, void *ctx, const struct shrink_request *request)
{
	const struct api_shrinker *shrinker = ctx;
	const struct neap_shrink shrink = { .node = request->node->id, .gfp = request->gfp };

	(void)t;
	return shrinker->program.count(shrinker->program.ctx, &shrink);
}

static uint64_t call_scan(struct task *t, void *ctx, struct shrink_request *request)
{
	const struct api_shrinker *shrinker = ctx;
	struct neap_shrink shrink = { .node = request->node->id,
				      .gfp = request->gfp,
				      .nr_to_scan = request->nr_to_scan,
				      .nr_scanned = request->nr_scanned };

	(void)t;
	uint64_t freed = shrinker->program.scan(shrinker->program.ctx, &shrink);

	request->nr_scanned = shrink.nr_scanned;
	return freed;
}

/* ---- coming and going ---- */

static int register_task(struct task *t, void *arg)
{
	struct shrink_call *call = arg;
	const struct neap_shrinker *program = &call->shrinker->program;
	const struct shrinker_spec spec = { .name = "program",
					    .ctx = call->shrinker,
					    .count = call_count,
					    .scan = call_scan,
					    .seeks = program->seeks,
					    .batch = program->batch,
					    .per_node = program->per_node };

	return shrinker_register(t, &call->a->m, &spec);
}

int neap_shrinker_register(struct neap_machine *machine, const struct neap_shrinker *shrinker)
{
	struct shrink_call call = { .a = api_of(machine) };

	if (shrinker->count == NULL || shrinker->scan == NULL)
		return api_fail(call.a, -EINVAL, "A shrinker needs both functions.");
	call.shrinker = calloc(1, sizeof(*call.shrinker));
	if (call.shrinker == NULL)
		return -ENOMEM;
	call.shrinker->program = *shrinker;
	int number = api_call(call.a, register_task, &call);

	if (number < 0) {
		free(call.shrinker);
		return api_fail(call.a, number, "The machine has no room for another shrinker.");
	}
	call.shrinker->number = number;
	(void)pthread_mutex_lock(&call.a->guard);
	api_list_add(call.a, &call.a->shrinkers, &call.shrinker->link);
	(void)pthread_mutex_unlock(&call.a->guard);
	return number;
}

/* => the object with this number, in no list any more; NULL */
static struct api_shrinker *take_shrinker(struct api_machine *a, int number)
{
	struct api_shrinker *found = NULL;

	(void)pthread_mutex_lock(&a->guard);
	for (struct api_link *link = a->shrinkers.next; link != &a->shrinkers && found == NULL;
	     link = link->next) {
		struct api_shrinker *shrinker = container_of(link, struct api_shrinker, link);

		if (shrinker->number == number)
			found = shrinker;
	}
	if (found != NULL)
		api_list_remove(a, &found->link);
	(void)pthread_mutex_unlock(&a->guard);
	return found;
}

static int unregister_task(struct task *t, void *arg)
{
	struct shrink_call *call = arg;

	return shrinker_unregister(t, &call->a->m, (uint32_t)call->shrinker->number);
}

int neap_shrinker_unregister(struct neap_machine *machine, int number)
{
	struct shrink_call call = { .a = api_of(machine) };

	call.shrinker = take_shrinker(call.a, number);
	if (call.shrinker == NULL)
		return api_fail(call.a, -ENOENT, "There is no shrinker %d.", number);
	int err = api_call(call.a, unregister_task, &call);

	if (err != 0) {
		/* Without a task nothing was changed: the engine goes on calling. */
		(void)pthread_mutex_lock(&call.a->guard);
		api_list_add(call.a, &call.a->shrinkers, &call.shrinker->link);
		(void)pthread_mutex_unlock(&call.a->guard);
		return err;
	}
	free(call.shrinker);
	return 0;
}

void api_shrinkers_free(struct task *t, struct api_machine *a)
{
	while (a->shrinkers.next != &a->shrinkers) {
		struct api_shrinker *shrinker =
			container_of(a->shrinkers.next, struct api_shrinker, link);

		CHECK(shrinker_unregister(t, &a->m, (uint32_t)shrinker->number) == 0);
		api_list_remove(a, &shrinker->link);
		free(shrinker);
	}
}
