/*
 * A whole simulated machine for tests of the engine.
 *
 *   machine_run ── runtime, hardware, host ── machine_build
 *        └── rt_sim_run: machine_start, space, swap areas
 *              └── body, verify ── regions, files, space ── machine_stop
 *        └── every frame is free again, stores closed
 *
 * Costs of virtual time are those of the table `server`, so that rates and waits mean
 * something. Every store is behind store/fault with no rule, so that a test can make
 * it fail at any moment.
 *
 * What must never happen: a test that passes because nothing was checked. The laws of
 * verify.c are checked in every run, and frames are counted after everything was given
 * back.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "api/costs.h"
#include "core/aops.h"
#include "core/index.h"
#include "core/kswapd.h"
#include "core/pcp.h"
#include "core/thp.h"
#include "core/verify.h"
#include "hw/soft/soft.h"

#define FIRST_PFN 1024u /* of the first zone: a multiple of the largest block */

uint64_t machine_seed(void)
{
	const char *text = getenv("NEAP_SEED");
	uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 1;

	print_message("seed %llu (NEAP_SEED)\n", (unsigned long long)seed);
	return seed;
}

uint64_t machine_nr_seeds(void)
{
	const char *text = getenv("NEAP_SEEDS");

	return text != NULL ? strtoull(text, NULL, 10) : 20;
}

/* ---- building ---- */

static void describe_zone(struct machine_desc *desc, uint32_t node, uint32_t type,
			  uint32_t *next_pfn)
{
	uint32_t pages = desc->node[node].zone[type].managed;

	if (pages == 0)
		return;
	desc->node[node].zone[type] = (struct machine_zone_desc){
		.start_pfn = *next_pfn,
		.spanned = pages,
		.present = pages,
		.managed = pages,
	};
	*next_pfn = (uint32_t)round_up_u64(*next_pfn + pages, 1024);
}

/* => highest frame + 1 */
static uint32_t describe(const struct machine_setup *setup, struct machine_desc *desc)
{
	uint32_t next_pfn = FIRST_PFN;

	memset(desc, 0, sizeof(*desc));
	desc->nr_nodes = setup->nr_nodes != 0 ? setup->nr_nodes : 1;
	desc->nr_cpus = setup->nr_cpus != 0 ? setup->nr_cpus : 2;
	desc->has_swap = true;
	desc->node[0].zone[ZONE_DMA].managed = setup->dma_pages;
	for (uint32_t n = 0; n < desc->nr_nodes; n++) {
		desc->node[n].zone[ZONE_NORMAL].managed = setup->pages != 0 ? setup->pages : 4096;
		for (uint32_t k = 0; k < desc->nr_nodes; k++)
			desc->node[n].distance[k] = n == k ? 10 : 20;
		describe_zone(desc, n, ZONE_DMA, &next_pfn);
		describe_zone(desc, n, ZONE_NORMAL, &next_pfn);
	}
	for (uint32_t cpu = 0; cpu < desc->nr_cpus; cpu++)
		cpumask_set(&desc->node[cpu * desc->nr_nodes / desc->nr_cpus].cpus, cpu);
	desc->block_pages = setup->block_pages != 0 ? setup->block_pages : 1024;
	desc->hot_pages = setup->hot_blocks * desc->block_pages;
	desc->hot_first_pfn = (uint32_t)round_up_u64(next_pfn, desc->block_pages);
	return max_u32(next_pfn, desc->hot_first_pfn + desc->hot_pages);
}

/* => the frame behind the last of a description that a test made */
static uint32_t desc_end(const struct machine_desc *desc)
{
	uint32_t end = desc->hot_first_pfn + desc->hot_pages;

	for (uint32_t n = 0; n < desc->nr_nodes; n++)
		for (uint32_t z = 0; z < NR_ZONES; z++)
			end = max_u32(end, desc->node[n].zone[z].start_pfn +
						   desc->node[n].zone[z].spanned);
	return end;
}

static void load_costs(struct costs *costs)
{
	struct neap_config *config = calloc(1, sizeof(*config));

	assert_non_null(config);
	assert_int_equal(costs_parse(config, "server", costs_builtin("server"), costs), 0);
	free(config);
}

static void build(struct machine_fixture *f, const struct costs *costs)
{
	const struct machine_setup *setup = f->setup;
	struct machine_desc *desc = calloc(1, sizeof(*desc));

	assert_non_null(desc);
	uint32_t max_pfn;

	if (setup->desc != NULL) {
		*desc = *setup->desc;
		max_pfn = desc_end(desc);
	} else {
		max_pfn = describe(setup, desc);
	}
	const struct rt_sim_config sim = {
		.nr_cpus = desc->nr_cpus,
		.seed = setup->seed != 0 ? setup->seed : 1,
		.explore = setup->explore,
		.cost_ps = costs->item_ps,
		.nr_meter = NR_METER_ITEMS,
		.quantum_ns = costs->quantum_ns,
		.slice_ns = costs->slice_ns,
		.wake_latency_ns = costs->wake_latency_ns,
		.switch_item = EV_SIM_SWITCH,
		.flush_item = EV_SIM_TLB_FLUSH,
		.answer_item = EV_SIM_TLB_ANSWER,
	};

	assert_int_equal(rt_sim_create(&sim, &f->rt), 0);
	assert_int_equal(hw_soft_create(max_pfn, !setup->real, &f->hw), 0);
	assert_int_equal(store_model_host_create(f->hw, f->rt, &f->host), 0);
	f->m = aligned_alloc(64, round_up_u64(sizeof(*f->m), 64));
	assert_non_null(f->m);
	memset(f->m, 0, round_up_u64(sizeof(*f->m), 64));
	assert_int_equal(machine_build(f->m, desc, f->rt, f->hw, f->host), 0);
	f->m->booted = setup->booted;
	atomic_store(&f->m->sysctl.compaction_proactiveness, (int32_t)setup->proactiveness);
	rt_sim_set_machine(f->rt, f->m);
	f->node = &f->m->nodes[0];
	f->zone = &f->node->zone[ZONE_NORMAL];
	free(desc);
}

static struct store_device_cost device_cost(struct store_device_cost wanted)
{
	/* Times of the table `server`. */
	static const struct store_device_cost server = {
		.latency_ns = 85000,
		.depth = 64,
		.bytes_per_s = 2500000000u,
	};

	return wanted.latency_ns != 0 ? wanted : server;
}

static void open_store(struct machine_fixture *f, const struct store_model_spec *spec,
		       struct store **model, struct store **wrapped)
{
	const struct store_fault_spec no_rules = { .seed = 1 };

	assert_int_equal(store_model_open(f->host, spec, model), 0);
	assert_int_equal(store_fault_wrap(*model, &no_rules, wrapped), 0);
}

static void add_swaps(struct machine_fixture *f)
{
	const struct machine_setup *setup = f->setup;
	uint32_t nr = setup->swap_pages == 0 ? 0 : max_u32(setup->nr_swaps, 1);

	assert_true(nr <= FIXTURE_SWAPS);
	for (uint32_t i = 0; i < nr; i++) {
		const struct store_model_spec spec = {
			.pages = setup->swap_pages,
			.swap = true,
			.rotational = setup->swap_rotational,
			.synchronous = setup->swap_synchronous,
			.cost = device_cost(setup->swap),
			.seed = 1 + i,
		};

		open_store(f, &spec, &f->swap_model[i], &f->swap[i]);
		const struct swap_spec area = {
			.store = f->swap[i],
			.path = "/dev/test",
			.priority = setup->swap_priority[i] != 0 ? setup->swap_priority[i]
								 : SWAP_PRIO_AUTO,
			.bad = setup->swap_bad,
			.nr_bad = setup->nr_swap_bad,
		};

		uint32_t type;

		assert_int_equal(swap_on(f->t, f->m, &area, &type), 0);
		f->nr_swaps++;
	}
}

/* ---- taking down ---- */

static void end_programs(struct machine_fixture *f)
{
	for (uint32_t i = 0; i < f->nr_regions; i++)
		if (f->region[i] != NULL)
			machine_region_end(f, f->region[i]);
	for (uint32_t i = 0; i < f->nr_files; i++)
		if (f->file[i].mapping != NULL)
			(void)machine_file_end(f, &f->file[i]); /* errors are the body's subject */
	space_destroy(f->t, f->space);
}

/*
 * Pages that were being written when their region went are left to reclaim, without an owner.
 * Here nobody will need the memory again, so they are freed by hand.
 */
static void free_orphans(struct machine_fixture *f)
{
	machine_settle(f);
	for (uint32_t n = 0; n < f->m->nr_nodes; n++) {
		for (uint32_t list = LRU_INACTIVE_ANON; list <= LRU_ACTIVE_ANON; list++) {
			const struct list *pages = &f->m->nodes[n].lruvec.list[list];

			while (!list_empty(pages)) {
				struct page *page = machine_page(f->m, pages->first);

				page_get(page);
				page_lock(f->t, page);
				assert_true(swap_cache_try_free(f->t, page));
				page_unlock(f->t, page);
				page_put(f->t, page);
			}
		}
	}
}

static void check_all_free(const struct machine_fixture *f)
{
	for (uint32_t n = 0; n < f->m->nr_nodes; n++) {
		for (uint32_t z = 0; z < NR_ZONES; z++) {
			const struct zone *zone = &f->m->nodes[n].zone[z];
			uint64_t found =
				zone_managed(zone) != 0 ? zone_stat_exact(zone, NR_FREE_PAGES) : 0;

			for (uint32_t cpu = 0; zone->pcp != NULL && cpu < f->m->nr_cpus; cpu++)
				found += zone->pcp[cpu].count;
			assert_int_equal(found, zone_managed(zone));
		}
	}
}

static int run_main(struct task *t, void *arg)
{
	struct machine_fixture *f = arg;
	const struct cpumask first = { { 1 } };

	f->t = t;
	assert_int_equal(t->rt->ops->set_cpus(t, &first), 0);
	assert_int_equal(machine_start(t, f->m), 0);
	assert_int_equal(space_create(t, f->m, &f->space), 0);
	add_swaps(f);
	f->body(f);
	f->m->inject[INJECT_PAGE] = 0;
	if (!f->unverified)
		machine_verify(f);
	end_programs(f);
	free_orphans(f);
	machine_stop(t, f->m);
	return 0;
}

void machine_run(const struct machine_setup *setup, machine_body body)
{
	struct machine_fixture *f = calloc(1, sizeof(*f));
	struct costs *costs = calloc(1, sizeof(*costs));

	assert_non_null(f);
	assert_non_null(costs);
	f->setup = setup;
	f->body = body;
	load_costs(costs);
	build(f, costs);
	free(costs);
	assert_int_equal(rt_sim_run(f->rt, run_main, f), 0);
	check_all_free(f);
	for (uint32_t i = 0; i < f->nr_swaps; i++)
		f->swap[i]->ops->close(f->swap[i]);
	for (uint32_t i = 0; i < f->nr_files; i++)
		f->file[i].store->ops->close(f->file[i].store);
	f->host->ops->destroy(f->host);
	hw_soft_destroy(f->hw);
	rt_sim_destroy(f->rt);
	free(f->m);
	free(f);
}

void machine_verify(struct machine_fixture *f)
{
	const char *wrong = verify_machine(f->t, f->m);

	if (wrong != NULL)
		fail_msg("verify: %s", wrong);
}

void machine_settle(struct machine_fixture *f)
{
	/* event loop: bounded by the I/O in flight */
	for (;;) {
		uint64_t busy = 0;

		for (uint32_t n = 0; n < f->m->nr_nodes; n++)
			busy += node_stat_exact(&f->m->nodes[n], NR_WRITEBACK);
		if (busy == 0)
			break;
		rt_sleep(f->t, NSEC_PER_MSEC);
	}
	lru_drain_all(f->t);
	vmstat_fold_all(f->t, f->m);
}

/* ---- programs ---- */

struct region *machine_region_spec(struct machine_fixture *f, const struct region_spec *spec)
{
	struct region *region;

	assert_true(f->nr_regions < FIXTURE_REGIONS);
	assert_int_equal(region_create(f->t, f->space, spec, &region), 0);
	f->region[f->nr_regions++] = region;
	return region;
}

struct region *machine_region(struct machine_fixture *f, uint64_t nr_pages)
{
	return machine_region_spec(f, &(struct region_spec){ .nr_pages = nr_pages });
}

void machine_region_end(struct machine_fixture *f, struct region *region)
{
	for (uint32_t i = 0; i < f->nr_regions; i++)
		if (f->region[i] == region)
			f->region[i] = NULL;
	region_destroy(f->t, region);
}

void machine_region_end_cached(struct machine_fixture *f, struct region *region)
{
	machine_region_end(f, region);
	while (swap_reclaim_cached(f->t, UINT32_MAX) != 0)
		continue;
}

/* The three places of a page that its value is written to. */
static uint64_t *place_of(void *data, uint64_t page, uint32_t i)
{
	const uint64_t offset[3] = { 0, page * 64 % 4088 & ~UINT64_C(7), 4088 };

	return (uint64_t *)(void *)((char *)data + offset[i]);
}

static void put_value(uint64_t *tag, void *data, uint64_t page, uint64_t value)
{
	if (tag != NULL)
		*tag = value;
	for (uint32_t i = 0; data != NULL && i < 3; i++)
		*place_of(data, page, i) = value;
}

static uint64_t get_value(const uint64_t *tag, void *data, uint64_t page)
{
	if (tag != NULL)
		return *tag;
	uint64_t value = *place_of(data, page, 0);

	/* A torn page is no value at all. */
	for (uint32_t i = 1; i < 3; i++)
		if (*place_of(data, page, i) != value)
			return UINT64_MAX;
	return value;
}

static int access_page(struct task *t, struct region *region, uint64_t page, uint64_t *value,
		       bool write)
{
	const struct hw_ops *hw = t->machine->hw->ops;
	struct hw_space *space = region->space->hw;
	struct hw_access access;

	/* event loop: the page may leave between the fault and the access */
	while (hw->access_begin(space, region->start_vpn + page, write, &access) != 0) {
		int err = fault_handle(t, region, page, write ? FAULT_WRITE : 0);

		if (err != 0)
			return err;
	}
	if (write)
		put_value(access.tag, access.data, page, *value);
	else
		*value = get_value(access.tag, access.data, page);
	hw->access_end(space, &access);
	cpu_pin(t);
	event_add_pinned(t, EV_SIM_ACCESS, 1);
	cpu_unpin(t);
	rt_preempt(t);
	return 0;
}

int task_write(struct task *t, struct region *region, uint64_t page, uint64_t value)
{
	return access_page(t, region, page, &value, true);
}

int task_read(struct task *t, struct region *region, uint64_t page, uint64_t *value)
{
	return access_page(t, region, page, value, false);
}

int machine_write(struct machine_fixture *f, struct region *region, uint64_t page, uint64_t value)
{
	return task_write(f->t, region, page, value);
}

int machine_read(struct machine_fixture *f, struct region *region, uint64_t page, uint64_t *value)
{
	return task_read(f->t, region, page, value);
}

uint64_t machine_value(const struct region *region, uint64_t page, uint64_t version)
{
	return mix_u64((uint64_t)region->id << 48 ^ version << 32 ^ (page + 1));
}

void machine_fill(struct machine_fixture *f, struct region *region, uint64_t first, uint64_t nr)
{
	for (uint64_t page = first; page < first + nr; page++)
		assert_int_equal(machine_write(f, region, page, machine_value(region, page, 0)), 0);
}

void machine_check(struct machine_fixture *f, struct region *region, uint64_t first, uint64_t nr)
{
	for (uint64_t page = first; page < first + nr; page++) {
		uint64_t value = 0;

		assert_int_equal(machine_read(f, region, page, &value), 0);
		if (value != machine_value(region, page, 0))
			fail_msg("page %llu of region %u holds %llx", (unsigned long long)page,
				 region->id, (unsigned long long)value);
	}
}

static struct hw_entry entry_at(struct machine_fixture *f, struct region *region, uint64_t page)
{
	struct hw_entry entry = { .vpn = region->start_vpn + page };

	f->hw->ops->get(region->space->hw, &entry);
	return entry;
}

struct page *machine_page_at(struct machine_fixture *f, struct region *region, uint64_t page)
{
	struct hw_entry entry = entry_at(f, region, page);

	return (entry.flags & HW_PRESENT) ? machine_page(f->m, entry.pfn) : NULL;
}

uint32_t machine_swap_at(struct machine_fixture *f, struct region *region, uint64_t page)
{
	struct hw_entry entry = entry_at(f, region, page);

	if ((entry.flags & HW_PRESENT) || !word_is_swap(entry.word))
		return 0;
	return word_to_swap(entry.word);
}

void machine_age(struct machine_fixture *f, struct region *region, uint64_t first, uint64_t nr)
{
	for (uint64_t page = first; page < first + nr; page++) {
		struct hw_entry entry = { .vpn = region->start_vpn + page };

		f->hw->ops->harvest(region->space->hw, &entry, 1);
	}
}

/* ---- files ---- */

uint64_t machine_file_value(uint64_t page, uint64_t version)
{
	return mix_u64(UINT64_C(0xf11e) << 48 ^ version << 40 ^ (page + 1));
}

struct fixture_file *machine_file(struct machine_fixture *f, uint64_t nr_pages)
{
	const struct store_model_spec spec = {
		.pages = nr_pages,
		.cost = device_cost(f->setup->disk),
		.seed = 7,
	};
	struct fixture_file *file = &f->file[f->nr_files];
	char *data = calloc(1, NEAP_PAGE_BYTES);

	assert_true(f->nr_files < FIXTURE_FILES);
	assert_non_null(data);
	open_store(f, &spec, &file->model, &file->store);
	f->nr_files++;
	for (uint64_t page = 0; page < nr_pages; page++) {
		uint64_t value = machine_file_value(page, 0);

		memset(data, 0, NEAP_PAGE_BYTES);
		put_value(NULL, data, page, value);
		assert_int_equal(store_model_load(file->model, page, data, value), 0);
	}
	free(data);
	assert_int_equal(mapping_create(f->t, f->m, file->store, nr_pages * NEAP_PAGE_BYTES,
					&file->mapping),
			 0);
	return file;
}

int machine_file_end(struct machine_fixture *f, struct fixture_file *file)
{
	int err = mapping_destroy(f->t, file->mapping);

	file->mapping = NULL;
	return err;
}

static uint64_t *frame_tag(struct machine_fixture *f, uint32_t pfn)
{
	return f->setup->real ? NULL : f->hw->ops->tag(f->hw, pfn);
}

static void *frame_data(struct machine_fixture *f, uint32_t pfn)
{
	return f->setup->real ? f->hw->ops->window(f->hw, pfn) : NULL;
}

int machine_file_read(struct machine_fixture *f, struct fixture_file *file, uint64_t page,
		      uint64_t *value)
{
	uint32_t pfn;
	int err =
		file->mapping->ops->write_begin(f->t, file->mapping, page, MAPPING_ACCESSED, &pfn);

	if (err < 0)
		return err;
	*value = get_value(frame_tag(f, pfn), frame_data(f, pfn), page);
	file->mapping->ops->write_end(f->t, file->mapping, pfn, false);
	rt_preempt(f->t);
	return 0;
}

int machine_file_write(struct machine_fixture *f, struct fixture_file *file, uint64_t page,
		       uint64_t value)
{
	uint32_t pfn;
	int err = file->mapping->ops->write_begin(
		f->t, file->mapping, page, MAPPING_ACCESSED | MAPPING_WRITTEN | MAPPING_OVERWRITE,
		&pfn);

	if (err < 0)
		return err;
	put_value(frame_tag(f, pfn), frame_data(f, pfn), page, value);
	file->mapping->ops->write_end(f->t, file->mapping, pfn, true);
	rt_preempt(f->t);
	return 0;
}

uint64_t machine_file_stored(struct fixture_file *file, uint64_t page)
{
	uint64_t tag = 0;
	uint64_t *data = calloc(1, NEAP_PAGE_BYTES);

	assert_non_null(data);
	assert_int_equal(store_model_read_page(file->model, page, data, &tag), 0);
	if (tag == 0)
		tag = get_value(NULL, data, page);
	free(data);
	return tag;
}

uint64_t machine_file_slot(struct machine_fixture *f, struct fixture_file *file, uint64_t page)
{
	struct mapping *mapping = file->mapping;

	spin_lock(f->t, &mapping->lock, LOCK_MAPPING);
	uint64_t slot = index_load(f->t, mapping, page);

	spin_unlock(f->t, &mapping->lock, LOCK_MAPPING);
	return slot;
}

struct page *machine_file_page(struct machine_fixture *f, struct fixture_file *file, uint64_t page)
{
	uint64_t slot = machine_file_slot(f, file, page);

	return index_is_page(slot) ? machine_page(f->m, index_frame(slot)) : NULL;
}

/* ---- reclaim ---- */

struct scan_control machine_scan(void)
{
	return (struct scan_control){
		.nr_to_reclaim = SWAP_CLUSTER_MAX,
		.priority = DEF_PRIORITY,
		.reclaim_idx = ZONE_MOVABLE,
		.gfp_mask = GFP_HIGHUSER_MOVABLE,
		.may_writepage = true,
		.may_unmap = true,
		.may_swap = true,
	};
}

uint64_t machine_reclaim(struct machine_fixture *f, struct scan_control *sc,
			 struct reclaim_stat *stat, struct page **pages, uint32_t nr)
{
	struct list list = { PFN_NONE, PFN_NONE };

	for (uint32_t i = 0; i < nr; i++) {
		assert_true(lru_isolate_page(f->t, pages[i]));
		/* Work begins at the tail: the first of the array goes there. */
		list_add_head(f->m->pages, &list, (uint32_t)(pages[i] - f->m->pages));
	}
	uint64_t freed = reclaim_page_list(f->t, f->node, &list, sc, stat);

	lru_putback(f->t, f->node, &list);
	return freed;
}

uint64_t machine_reclaim_one(struct machine_fixture *f, struct page *page)
{
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };

	return machine_reclaim(f, &sc, &stat, &page, 1);
}

void machine_swap_out(struct machine_fixture *f, struct region *region, uint64_t first, uint64_t nr)
{
	lru_drain_all(f->t);
	machine_age(f, region, first, nr);
	for (uint64_t page = first; page < first + nr; page++) {
		struct page *p = machine_page_at(f, region, page);

		assert_non_null(p);
		page_clear(p, PG_REFERENCED);
		if (machine_reclaim_one(f, p) != 0)
			continue;
		machine_settle(f);
		assert_int_equal(machine_reclaim_one(f, p), 1);
	}
}

struct region *machine_region_swapped(struct machine_fixture *f, uint64_t nr_pages)
{
	struct region *region = machine_region(f, nr_pages);

	machine_fill(f, region, 0, nr_pages);
	machine_swap_out(f, region, 0, nr_pages);
	assert_int_equal(atomic_load(&f->space->swap_entries), nr_pages);
	assert_int_equal(atomic_load(&f->space->rss_anon), 0);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 0);
	return region;
}

/* ---- counters ---- */

uint64_t machine_events(struct machine_fixture *f, enum meter_item item)
{
	return machine_event(f->m, item);
}

uint64_t machine_node_count(struct machine_fixture *f, enum node_item item)
{
	uint64_t sum = 0;

	for (uint32_t n = 0; n < f->m->nr_nodes; n++)
		sum += node_stat_exact(&f->m->nodes[n], item);
	return sum;
}

uint64_t machine_zone_count(struct machine_fixture *f, enum zone_item item)
{
	return zone_stat_exact(f->zone, item);
}

uint64_t machine_list_size(struct machine_fixture *f, enum lru_list list)
{
	return lruvec_size(&f->node->lruvec, list, NR_ZONES - 1);
}

uint64_t machine_stalls(struct machine_fixture *f)
{
	uint64_t sum = 0;

	for (uint32_t i = EV_ALLOCSTALL_DMA; i <= EV_ALLOCSTALL_DEVICE; i++)
		sum += machine_event(f->m, (enum meter_item)i);
	return sum;
}

/* ---- memory ---- */

void machine_hoard(struct machine_fixture *f, struct fixture_hoard *hoard, uint64_t left)
{
	const uint32_t gfp = GFP_BIT_MEMALLOC | GFP_BIT_NOWARN | GFP_BIT_MOVABLE;
	struct fixture_hoard aside = { 0 };

	/* The last blocks are taken from other types: the marks shall stay what the test read. */
	atomic_store(&f->m->sysctl.watermark_boost_factor, 0);
	while (machine_zone_count(f, NR_FREE_PAGES) > left) {
		uint32_t pfn = alloc_page(f->t, gfp);
		bool ours = pfn != PFN_NONE && page_zone(f->m, machine_page(f->m, pfn)) == f->zone;
		struct fixture_hoard *to = ours ? hoard : &aside;

		assert_int_not_equal(pfn, PFN_NONE);
		page_set(machine_page(f->m, pfn), PG_KERNEL);
		list_add_tail(f->m->pages, &to->list, pfn);
		to->nr++;
	}
	machine_release(f, &aside, UINT64_MAX);
}

void machine_release(struct machine_fixture *f, struct fixture_hoard *hoard, uint64_t nr)
{
	while (nr-- > 0 && hoard->nr > 0) {
		uint32_t pfn = list_pop(f->m->pages, &hoard->list);

		page_clear(machine_page(f->m, pfn), PG_KERNEL);
		page_put(f->t, machine_page(f->m, pfn));
		hoard->nr--;
	}
}

struct fixture_file *machine_cached_file(struct machine_fixture *f, uint64_t nr)
{
	struct fixture_file *file = machine_file(f, nr);
	uint64_t value;

	for (uint64_t page = 0; page < nr; page++)
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	lru_drain_all(f->t);
	for (uint64_t page = 0; page < nr; page++)
		page_clear(machine_file_page(f, file, page), PG_REFERENCED);
	return file;
}

struct fixture_file *machine_low_file(struct machine_fixture *f, uint64_t nr)
{
	struct fixture_hoard hoard = { 0 };
	uint64_t value;

	machine_hoard(f, &hoard, zone_mark(f->zone, WMARK_LOW) - 16);
	struct fixture_file *low = machine_file(f, nr);

	low->mapping->readahead = UINT64_MAX;
	for (uint64_t page = 0; page < nr; page++)
		assert_int_equal(machine_file_read(f, low, page, &value), 0);
	machine_release(f, &hoard, UINT64_MAX);
	lru_drain_all(f->t);
	return low;
}

int machine_split_held(struct machine_fixture *f, struct page *page)
{
	page_get(page);
	page_lock(f->t, page);
	int err = thp_split(f->t, page, NULL);

	page_unlock(f->t, page);
	page_put(f->t, page);
	return err;
}

void machine_hoard_one(struct machine_fixture *f, struct fixture_hoard *hoard)
{
	uint32_t pfn = alloc_page(f->t, GFP_HIGHUSER_MOVABLE);

	assert_int_not_equal(pfn, PFN_NONE);
	page_set(machine_page(f->m, pfn), PG_KERNEL);
	list_add_tail(f->m->pages, &hoard->list, pfn);
	hoard->nr++;
}

void machine_release_scattered(struct machine_fixture *f, struct fixture_hoard *hoard,
			       uint64_t left)
{
	uint32_t next;

	for (uint32_t pfn = hoard->list.first; pfn != PFN_NONE; pfn = next) {
		next = f->m->pages[pfn].next;
		if ((pfn & 1) == 0 || machine_zone_count(f, NR_FREE_PAGES) >= left)
			continue;
		list_remove(f->m->pages, &hoard->list, pfn);
		list_add_head(f->m->pages, &hoard->list, pfn);
		machine_release(f, hoard, 1);
		pcp_drain_all(f->t, f->m, NULL);
	}
}

/* ---- events ---- */

static int compare_records(const void *a, const void *b)
{
	const struct event_record *x = a;
	const struct event_record *y = b;

	return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

void machine_take_events(struct machine_fixture *f, struct fixture_events *out)
{
	struct event_record record;

	out->nr = 0;
	for (uint32_t cpu = 0; cpu < f->m->nr_cpus; cpu++) {
		while (event_take(f->m, cpu, &record)) {
			if (record.id == TE_MM_PAGE_ALLOC || record.id == TE_MM_PAGE_FREE ||
			    record.id == TE_MM_PAGE_ALLOC_EXTFRAG)
				continue;
			assert_true(out->nr < FIXTURE_EVENTS);
			out->record[out->nr++] = record;
		}
	}
	/* Records of one time and one CPU keep their order: the sort must be stable. */
	for (uint32_t i = 1; i < out->nr; i++) {
		struct event_record moved = out->record[i];
		uint32_t at = i;

		for (; at > 0 && compare_records(&out->record[at - 1], &moved) > 0; at--)
			out->record[at] = out->record[at - 1];
		out->record[at] = moved;
	}
}

uint32_t machine_count_events(const struct fixture_events *events, enum event_id id)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < events->nr; i++)
		nr += events->record[i].id == id;
	return nr;
}

const struct event_record *machine_event_at(const struct fixture_events *events, enum event_id id,
					    uint32_t n)
{
	for (uint32_t i = 0; i < events->nr; i++)
		if (events->record[i].id == id && n-- == 0)
			return &events->record[i];
	fail_msg("event %u was recorded fewer times", id);
	return NULL;
}
