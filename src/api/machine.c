/*
 * Building a machine, and taking it down.
 *
 *   1  layout        configuration -> nodes, zones, frames        (layout.c)
 *   2  runtime       live threads, or the simulator
 *   3  hardware      hw/soft with room for the highest frame
 *   4  host          what opens stores                            (store.c)
 *   5  machine_build the engine's arrays, zones, marks
 *   -- from here on as a task: the caller's thread, or a first run of the simulator
 *   6  machine_start kswapd0.., neap_io, neap_flush, neap_timer
 *   7  space, swap areas, first values of knobs, injected errors
 *
 * Taking down is the same backwards; each step is undone only if it was done, so
 * that one function serves failures half way as well (machine_end(), ports_destroy()).
 * What the program did not give back (regions, files, blocks, shrinkers) goes first.
 *
 * An error carries a sentence. While the machine is built it is the configuration's,
 * since there is no machine yet whose error could be asked for.
 *
 * What must never happen: a thread, a temporary file or a mapping left behind by a
 * creation that failed.
 *
 * Linux: init/main.c (start_kernel), in a way.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/costs.h"
#include "api/layout.h"
#include "api/like.h"
#include "api/store.h"
#include "core/cma.h"
#include "core/fresh.h"
#include "core/likeness.h"
#include "core/sysctl.h"
#include "core/writeback.h"

/* A machine on its way. */
struct building {
	struct api_machine *a;
	struct neap_config *config;
};

int api_fail(struct api_machine *a, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)pthread_mutex_lock(&a->guard);
	(void)vsnprintf(a->error, sizeof(a->error), format, args);
	(void)pthread_mutex_unlock(&a->guard);
	va_end(args);
	return err;
}

void api_list_add(struct api_machine *a, struct api_link *head, struct api_link *link)
{
	(void)a;
	link->next = head;
	link->prev = head->prev;
	head->prev->next = link;
	head->prev = link;
}

void api_list_remove(struct api_machine *a, struct api_link *link)
{
	(void)a;
	if (link->next == NULL)
		return;
	link->next->prev = link->prev;
	link->prev->next = link->next;
	link->next = NULL;
	link->prev = NULL;
}

static void list_init(struct api_link *head)
{
	head->next = head;
	head->prev = head;
}

/* ---- ports ---- */

static int runtime_create(struct api_machine *a, const struct neap_config *config, uint32_t nr_cpus,
			  const struct costs *costs)
{
	struct rt_sim_config sim = {
		.nr_cpus = nr_cpus,
		.seed = config->seed,
		.cost_ps = costs->item_ps,
		.nr_meter = NR_METER_ITEMS,
		.quantum_ns = costs->quantum_ns,
		.slice_ns = costs->slice_ns,
		.wake_latency_ns = costs->wake_latency_ns,
		.host_round_ns = costs->host_round_ns,
		.host_balance_ns = costs->host_balance_ns,
		.host_processors = costs->host_processors,
		.host_others_permille = costs->host_others_permille,
		.host_stay_ns = costs->host_stay_ns,
		.host_together_ns = costs->host_together_ns,
		.host_apart_ns = costs->host_apart_ns,
		.switch_item = EV_SIM_SWITCH,
		.flush_item = EV_SIM_TLB_FLUSH,
		.answer_item = EV_SIM_TLB_ANSWER,
		.explore = config->explore,
	};

	return a->sim ? rt_sim_create(&sim, &a->rt) : rt_live_create(nr_cpus, &a->rt);
}

static void ports_destroy(struct api_machine *a)
{
	api_swaps_close(a);
	api_host_destroy(a);
	if (a->hw != NULL)
		hw_soft_destroy(a->hw);
	if (a->rt != NULL && a->sim)
		rt_sim_destroy(a->rt);
	if (a->rt != NULL && !a->sim)
		rt_live_destroy(a->rt);
}

/* Steps 2 to 5. => 0, or a negative errno and a sentence; the caller undoes what was done */
static int ports_create(struct api_machine *a, struct neap_config *config,
			const struct machine_desc *desc)
{
	struct costs costs = { 0 };
	int err = a->sim ? costs_load(config, &costs) : 0;

	if (err != 0)
		return err;
	if (config->host_others_given)
		costs.host_others_permille = config->host_others_permille;
	err = runtime_create(a, config, desc->nr_cpus, &costs);
	if (err != 0)
		return config_fail(config, err, "The runtime for %u CPUs could not be made: %s.",
				   desc->nr_cpus, strerror(-err));
	err = hw_soft_create(layout_max_pfn(desc), a->tags, &a->hw);
	if (err != 0)
		return config_fail(config, err,
				   "There is no address space for %u frames: %s. Make the machine"
				   " smaller, or raise the limit (ulimit -v).",
				   layout_max_pfn(desc), strerror(-err));
	err = api_host_create(a, config, &costs);
	if (err != 0)
		return config_fail(config, err, "The store host could not be made: %s.",
				   strerror(-err));
	err = machine_build(&a->m, desc, a->rt, a->hw, a->host);
	if (err != 0)
		return config_fail(config, err,
				   err == -EINVAL ? "A machine like this cannot be built: it is too"
						    " small, or its zones do not fit together."
						  : "There is not enough memory for the machine's"
						    " frames and tables: make it smaller.");
	if (a->sim)
		rt_sim_set_machine(a->rt, &a->m);
	return 0;
}

/* ---- inside a task ---- */

static int swaps_begin(struct task *t, struct api_machine *a, const struct neap_config *config)
{
	uint32_t type;
	int err = 0;

	if (config->nr_swaps == 0 && !config->has_pc && config->snapshot != NULL)
		return like_swaps(t, a, config);
	if (config->nr_swaps == 0 && config->has_pc && config->pc.swap_bytes != 0 &&
	    !config->pc.noswapon) {
		struct config_swap swap = {
			.bytes = config->pc.swap_bytes,
			.priority = CONFIG_AUTO_PRIORITY,
		};

		return api_swap_open(t, a, &swap, &type);
	}
	for (uint32_t i = 0; i < config->nr_swaps && err == 0; i++)
		err = api_swap_open(t, a, &config->swap[i], &type);
	return err;
}

static int sysctls_begin(struct task *t, struct api_machine *a, const struct neap_config *config)
{
	for (uint32_t i = 0; i < config->nr_sysctls; i++) {
		const struct config_sysctl *entry = &config->sysctl[i];
		char takes[KNOB_TAKES_BYTES];
		int64_t used =
			sysctl_write(t, &a->m, entry->name, entry->value, strlen(entry->value));

		if (used == -ENOENT)
			return api_fail(a, -EINVAL, "sysctl.%s: Linux 6.1 has no such knob.",
					entry->name);
		if (used == -ENOTSUP)
			return api_fail(a, -EINVAL, "sysctl.%s: not possible in this version.",
					entry->name);
		if (used < 0)
			return api_fail(a, -EINVAL, "sysctl.%s: the value '%s' is refused: %s%s.",
					entry->name, entry->value, strerror((int)-used),
					api_knob_takes(entry->name, takes));
	}
	return 0;
}

static void spawn_fail(struct api_machine *a, uint64_t nth)
{
	if (a->sim)
		rt_sim_fail_spawn(a->rt, (int)nth);
	else
		rt_live_fail_spawn(a->rt, (int)nth);
}

/* Undoes machine_begin(), and what the program left. => nobody else uses the machine */
static void machine_end(struct task *t, struct api_machine *a)
{
	while (a->regions.next != &a->regions)
		api_region_destroy(t, container_of(a->regions.next, struct neap_region, link));
	/* Errors that nobody asked for before the end have no one to be told to. */
	while (a->files.next != &a->files)
		(void)api_file_close(t, container_of(a->files.next, struct neap_file, link));
	api_shrinkers_free(t, a);
	api_blocks_free(t, a);
	if (a->space != NULL)
		space_destroy(t, a->space);
	a->space = NULL;
	if (a->started)
		machine_stop(t, &a->m);
	a->started = false;
}

static int cma_begin(struct task *t, struct api_machine *a, uint64_t bytes)
{
	int err = cma_create(t, &a->m, (bytes + NEAP_PAGE_BYTES - 1) / NEAP_PAGE_BYTES);

	if (err == 0)
		return 0;
	return api_fail(a, err, "There is no room for %llu bytes of contiguous memory (cma).",
			(unsigned long long)bytes);
}

/* Steps 6 and 7. */
static int machine_begin(struct task *t, void *arg)
{
	struct building *building = arg;
	struct api_machine *a = building->a;
	const struct neap_config *config = building->config;
	int err;

	a->m.kswapd_rebinds = config->rebind;
	a->m.booted = config->snapshot != NULL;
	spawn_fail(a, config->fault_nth[CONFIG_FAULT_SPAWN]);
	if (config->snapshot != NULL)
		likeness_user_first(t, &a->m, config->snapshot);
	err = machine_start(t, &a->m);
	if (err != 0)
		return api_fail(a, err, "The machine's threads could not be started: %s.",
				strerror(-err));
	a->started = true;
	err = space_create(t, &a->m, &a->space);
	if (err != 0)
		err = api_fail(a, err, "The machine is too small for its first page table.");
	if (err == 0 && config->cma_bytes != 0)
		err = cma_begin(t, a, config->cma_bytes);
	if (err == 0)
		err = swaps_begin(t, a, config);
	if (err == 0 && config->snapshot != NULL)
		err = like_begin(t, a, config);
	if (err == 0)
		err = sysctls_begin(t, a, config);
	if (err == 0 && a->rt->cost_ps != NULL && a->rt->cost_ps[EV_SIM_FRESH_BLOCK] != 0 &&
	    fresh_begin(&a->m) != 0)
		err = api_fail(a, -ENOMEM, "There is no address space for the machine's tables.");
	if (err == 0) {
		writeback_reset_held(t, &a->m);
		a->m.inject[INJECT_PAGE] = config->fault_nth[CONFIG_FAULT_PAGE];
	} else
		machine_end(t, a);
	return err;
}

static int machine_finish(struct task *t, void *arg)
{
	machine_end(t, arg);
	return 0;
}

/* ---- create and destroy ---- */

static struct api_machine *machine_new(const struct neap_config *config)
{
	struct api_machine *a = aligned_alloc(64, round_up_u64(sizeof(*a), 64));

	if (a == NULL)
		return NULL;
	memset(a, 0, round_up_u64(sizeof(*a), 64));
	if (pthread_mutex_init(&a->guard, NULL) != 0) {
		free(a);
		return NULL;
	}
	list_init(&a->regions);
	list_init(&a->files);
	list_init(&a->blocks);
	list_init(&a->shrinkers);
	a->sim = config->sim;
	a->tags = config_has_tags(config);
	a->faults = config->faults_enabled;
	a->fault_error = config->fault_error;
	a->fault_permille = (uint32_t)config->fault_permille;
	a->explore = config->sim && config->explore;
	a->seed = config->seed;
	memcpy(a->fault_nth, config->fault_nth, sizeof(a->fault_nth));
	memcpy(a->tmp, config->tmp, sizeof(a->tmp));
	return a;
}

/* => everything engine-side has ended */
static void machine_free(struct api_machine *a)
{
	ports_destroy(a);
	(void)pthread_mutex_destroy(&a->guard);
	free(a);
}

int neap_machine_create(struct neap_config *config, struct neap_machine **out)
{
	struct machine_desc *desc;
	struct building building = { .config = config };
	int err;

	if (!config->sim && config_has_tags(config))
		return config_fail(config, -EINVAL,
				   "contents: a live machine holds real contents; tags are for"
				   " simulated ones (runtime=sim).");
	config->error[0] = '\0';
	desc = calloc(1, sizeof(*desc));
	building.a = machine_new(config);
	if (desc == NULL || building.a == NULL)
		err = config_fail(config, -ENOMEM, "There is no memory for a machine.");
	else
		err = layout_make(config, desc);
	if (err == 0)
		err = ports_create(building.a, config, desc);
	if (err == 0) {
		err = api_call(building.a, machine_begin, &building);
		if (err != 0)
			(void)config_fail(config, err, "%s",
					  building.a->error[0] != '\0' ? building.a->error
								       : strerror(-err));
	}
	free(desc);
	if (err != 0) {
		if (building.a != NULL)
			machine_free(building.a);
		return err;
	}
	*out = &building.a->m;
	return 0;
}

void neap_machine_destroy(struct neap_machine *machine)
{
	if (machine == NULL)
		return;
	struct api_machine *a = api_of(machine);

	(void)api_trace_close(a); /* its file's error has no one to be told to */
	/* It fails only if no task can be had; then nothing of the engine can be stopped either. */
	int err = api_call(a, machine_finish, a);

	api_failure_close(a);

	CHECK(err == 0);
	machine_free(a);
}

const char *neap_machine_error(const struct neap_machine *machine)
{
	return api_of_const(machine)->error;
}

int neap_inject(struct neap_machine *machine, const char *kind, uint64_t nth, int error)
{
	struct api_machine *a = api_of(machine);
	enum config_fault fault = config_fault_by_name(kind);
	struct task *t = api_task(a);

	if (fault == NR_CONFIG_FAULTS)
		return api_fail(a, -ENOENT, "There is no kind of error called '%s'.", kind);
	if (fault == CONFIG_FAULT_PAGE) {
		a->m.inject[INJECT_PAGE] = nth;
		return 0;
	}
	if (fault == CONFIG_FAULT_SPAWN) {
		spawn_fail(a, nth);
		return 0;
	}
	if (!a->faults)
		return api_fail(a, -ENOTSUP,
				"Set fault.enable=1 before the machine is made, to be"
				" able to make its stores fail.");
	if (t == NULL)
		return api_no_task(a);
	return api_store_inject(a, t, fault, (struct api_fault){ .nth = nth, .error = error });
}
