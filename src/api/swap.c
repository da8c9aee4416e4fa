/*
 * Swap areas: opened, switched on and off.
 *
 *   text ── config_parse_swap() ──> what ── live: a file or device   ──> store ── swap_on()
 *                                           sim:  a modelled disk's           engine's area
 *
 * swap[n] holds the stores behind the engine's area n. An area that is switched off
 * gives its store back when the engine has let go of it; its number may be used again.
 *
 * A simulated swap area never touches a file or device of that name: what a
 * simulation swaps is of no use to anybody afterwards.
 *
 * What must never happen: a store that is closed while the engine may still submit. At
 * the machine's end areas are closed after the engine's threads are gone.
 *
 * Linux: mm/swapfile.c (swapon, swapoff) for what is checked; here src/store does it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "api/store.h"
#include "core/swap.h"
#include "store/file.h"
#include "store/model.h"

#define SENTENCE_BYTES 512u

/* => 0 and *out, or a negative errno and a sentence */
static int swap_open_live(struct api_machine *a, const struct config_swap *swap, struct store **out)
{
	char why[SENTENCE_BYTES];
	bool named = swap->path[0] != '\0';
	struct store_file_spec spec = {
		.path = named ? swap->path : NULL,
		.dir = a->tmp,
		.pages = swap->bytes >> NEAP_PAGE_SHIFT,
		.create = named && swap->bytes != 0,
		.swap = true,
		.keep = true,
	};
	int err = store_file_open(a->host, &spec, why, sizeof(why), out);

	if (err != 0)
		return api_fail(a, err, "Swap: %s.", why);
	return 0;
}

static int swap_open_sim(struct api_machine *a, const struct config_swap *swap, struct store **out)
{
	struct store_model_spec spec = {
		.pages = swap->bytes >> NEAP_PAGE_SHIFT,
		.swap = true,
		.device = a->swap_disk[swap->disk],
		.synchronous = swap->in_memory,
	};
	struct stat status;
	int err;

	if (spec.pages == 0) {
		if (stat(swap->path, &status) != 0)
			return api_fail(a, -errno,
					"Swap: %s: %s; write FILE:SIZE to simulate an"
					" area of that size.",
					swap->path, strerror(errno));
		spec.pages = (uint64_t)status.st_size >> NEAP_PAGE_SHIFT;
	}
	if (spec.pages < 2)
		return api_fail(a, -EINVAL, "Swap: %s is smaller than two pages.", swap->path);
	err = store_model_open(a->host, &spec, out);
	if (err != 0)
		return api_fail(a, err,
				"Swap: a modelled disk of %llu pages could not be made: %s.",
				(unsigned long long)spec.pages, strerror(-err));
	return 0;
}

/* The name of an area in /proc/swaps. */
static void swap_name(struct api_machine *a, const struct config_swap *swap, char *out,
		      size_t bytes)
{
	pthread_mutex_lock(&a->guard);
	uint32_t nr = a->nr_swaps_made++;

	pthread_mutex_unlock(&a->guard);
	if (swap->path[0] != '\0')
		(void)snprintf(out, bytes, "%s", swap->path);
	else if (a->sim)
		(void)snprintf(out, bytes, "/dev/vd%c", 'b' + (int)nr % 25);
	else
		(void)snprintf(out, bytes, "%s/neap-swap%u", a->tmp, nr);
}

/* Tells the engine about an open area. => 0 and *type */
static int swap_announce(struct task *t, struct api_machine *a, const struct config_swap *swap,
			 const struct api_swap *opened, uint32_t *type)
{
	char name[CONFIG_PATH_BYTES + 32];
	struct swap_header_info header = { 0 };
	struct stat status;
	struct swap_spec spec = {
		.store = opened->store,
		.path = name,
		.priority = swap->priority,
	};
	int err;

	swap_name(a, swap, name, sizeof(name));
	if (!a->sim) {
		err = store_file_swap_info(opened->inner, &header);
		if (err != 0)
			return err;
		spec.bad = header.bad;
		spec.nr_bad = header.nr_bad;
		spec.is_file = fstat(store_file_fd(opened->inner), &status) != 0 ||
			       S_ISREG(status.st_mode);
	}
	return swap_on(t, &a->m, &spec, type);
}

/* Puts stores in the place of an area, under the guard. => what was there */
static struct api_swap swap_exchange(struct api_machine *a, uint32_t type, struct api_swap with)
{
	pthread_mutex_lock(&a->guard);
	struct api_swap was = a->swap[type];

	a->swap[type] = with;
	pthread_mutex_unlock(&a->guard);
	return was;
}

int api_swap_open(struct task *t, struct api_machine *a, const struct config_swap *swap,
		  uint32_t *type)
{
	struct api_swap opened = { 0 };
	int err = a->sim ? swap_open_sim(a, swap, &opened.inner)
			 : swap_open_live(a, swap, &opened.inner);

	if (err != 0)
		return err;
	opened.store = opened.inner;
	err = api_store_wrap(a, &opened.store, true);
	if (err == 0)
		err = swap_announce(t, a, swap, &opened, type);
	if (err != 0) {
		opened.store->ops->close(opened.store);
		return api_fail(a, err, "Swap: the area could not be switched on: %s.",
				err == -ENOSPC ? "there are too many" : strerror(-err));
	}
	(void)swap_exchange(a, *type, opened); /* the engine chose a free number */
	return 0;
}

void api_swaps_close(struct api_machine *a)
{
	for (uint32_t i = 0; i < NEAP_MAX_SWAPS; i++)
		if (a->swap[i].store != NULL)
			a->swap[i].store->ops->close(a->swap[i].store);
	memset(a->swap, 0, sizeof(a->swap));
}

/* ---- the public calls ---- */

struct swap_call {
	struct api_machine *a;
	struct config_swap swap;
	uint32_t type;
};

static int swapon_task(struct task *t, void *arg)
{
	struct swap_call *call = arg;

	return api_swap_open(t, call->a, &call->swap, &call->type);
}

int neap_swapon(struct neap_machine *machine, const char *area, unsigned int *number)
{
	struct api_machine *a = api_of(machine);
	struct swap_call call = { .a = a };
	struct neap_config *config = neap_config_new();
	int err;

	if (config == NULL)
		return -ENOMEM;
	err = config_parse_swap(config, area, &call.swap);
	if (err != 0)
		err = api_fail(a, err, "%s", neap_config_error(config));
	neap_config_free(config);
	if (err == 0)
		err = api_call(a, swapon_task, &call);
	if (err == 0 && number != NULL)
		*number = call.type;
	return err;
}

static int swapoff_task(struct task *t, void *arg)
{
	struct swap_call *call = arg;

	return swap_off(t, &call->a->m, call->type);
}

int neap_swapoff(struct neap_machine *machine, unsigned int number)
{
	struct api_machine *a = api_of(machine);
	struct swap_call call = { .a = a, .type = number };
	struct api_swap taken;

	if (number >= NEAP_MAX_SWAPS)
		return api_fail(a, -ENOENT, "There is no swap area %u in use.", number);
	/* Taken before the area ends: afterwards the number may be another area's. */
	taken = swap_exchange(a, number, (struct api_swap){ 0 });
	int err = taken.store != NULL ? api_call(a, swapoff_task, &call) : -ENOENT;

	if (err == 0) {
		taken.store->ops->close(taken.store);
		return 0;
	}
	if (err == -ENOENT)
		return api_fail(a, err, "There is no swap area %u in use.", number);
	(void)swap_exchange(a, number, taken); /* nothing: it was emptied above */
	return api_fail(a, err, "Swap area %u stays in use: %s.", number,
			err == -ENOMEM ? "there is no memory for what is in it" : strerror(-err));
}
