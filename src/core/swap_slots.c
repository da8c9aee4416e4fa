/*
 * Swap areas and their slots (spec 13, sections 1 to 4).
 *
 *   area   [header][ cluster 0 of 512 slots ][ cluster 1 ]...
 *   map      1 byte a slot: references | HAS_CACHE
 *   CPU    slot cache: up to 64 slots got at once, used one by one; up to 64 that
 *          were freed, given back at once
 *
 * Which area: the highest priority; among equals the one used longest ago, moved
 * behind its peers for each batch. Which slot: solid state areas give each CPU a
 * cluster of its own, taken from a FIFO of wholly free ones; rotational areas go
 * on from the last slot and look for 512 free slots in a row every 515 slots.
 * When neither works, any free slot. A huge page gets a whole cluster of a solid state
 * block device, from the same FIFO, or none.
 *
 * Invariants (swap_verify):
 *   1. map byte 0 <=> the slot is free; inuse counts the others, bad ones excluded.
 *   2. A page in cache[slot] => HAS_CACHE, and the page knows the slot. HAS_CACHE
 *      without a page: the slot is in a CPU's slot cache, got or freed.
 *   3. machine.nr_swap_free + sum of inuse = machine.nr_swap_total.
 *   4. cluster_used[c] counts the used slots of c; the free clusters of a solid
 *      state area, and no others, are in its FIFO, each once.
 *
 * An area that is switched off first allocates no more (swap_area_close), is emptied
 * (swapoff.c), and ends when nobody looks at it any more (users). Its place in the
 * array, and its tables, serve the next area.
 *
 * Locks: the list lock to choose an area, the area's lock for its map; both only to
 * change the area's state.
 *
 * Linux: mm/swapfile.c, mm/swap_slots.c. DIFF: a solid state CPU does not jump at 64 MiB
 * boundaries.
 */
#include "core/swap.h"

#include <errno.h>
#include <string.h>

#include "core/io.h"
#include "core/lru.h"
#include "core/pagelock.h"
#include "core/racy.h"
#include "core/sleeplock.h"
#include "core/swap_nodes.h"
#include "core/thp.h"
#include "core/visit.h"
#include "core/vmstat.h"

#define SLOT_CACHE_ON_PER_CPU 320
#define SLOT_CACHE_OFF_PER_CPU 128

/* ---- areas ---- */

static uint32_t nr_clusters(const struct swap_area *area)
{
	return (area->nr_slots + SWAP_CLUSTER_SLOTS - 1) / SWAP_CLUSTER_SLOTS;
}

/* An area that was in use before keeps its tables, cleared, and needs new ones only to grow. */
static int area_reserve(struct neap_machine *m, struct swap_area *area)
{
	struct hw *hw = m->hw;
	size_t slots = area->nr_slots;
	size_t clusters = nr_clusters(area);

	if (area->room >= slots)
		return 0;

	area->map = hw->ops->reserve(hw, slots);
	area->cache = hw->ops->reserve(hw, slots * sizeof(*area->cache));
	area->cluster_used = hw->ops->reserve(hw, clusters * sizeof(*area->cluster_used));
	area->cluster_next = hw->ops->reserve(hw, clusters * sizeof(*area->cluster_next));
	area->cpu_cluster = hw->ops->reserve(hw, m->nr_cpus * sizeof(*area->cpu_cluster));
	area->cpu_next = hw->ops->reserve(hw, m->nr_cpus * sizeof(*area->cpu_next));
	if (swap_nodes_reserve(m, area) != 0)
		return -ENOMEM;
	if (!area->map || !area->cache || !area->cluster_used || !area->cluster_next ||
	    !area->cpu_cluster || !area->cpu_next)
		return -ENOMEM;
	area->room = (uint32_t)slots;
	return 0;
}

/* => not queued: a queued cluster is free, and a search takes slots only while none is queued */
static void fifo_push(struct swap_area *area, uint32_t cluster)
{
	CHECK(area->cluster_next[cluster] == SWAP_NOT_QUEUED);
	area->cluster_next[cluster] = SWAP_NO_CLUSTER;
	if (area->cluster_first == SWAP_NO_CLUSTER)
		area->cluster_first = cluster;
	else
		area->cluster_next[area->cluster_last] = cluster;
	area->cluster_last = cluster;
}

static uint32_t fifo_pop(struct swap_area *area)
{
	uint32_t cluster = area->cluster_first;

	if (cluster != SWAP_NO_CLUSTER) {
		area->cluster_first = area->cluster_next[cluster];
		area->cluster_next[cluster] = SWAP_NOT_QUEUED;
	}
	return cluster;
}

/*
 * Fills a new area's tables: the header and bad slots are in use for ever. => -EINVAL for a bad
 * list
 */
static int area_init_map(struct neap_machine *m, struct swap_area *area,
			 const struct swap_spec *spec)
{
	area->map[0] = SWAP_MAP_BAD;
	area->cluster_used[0] = 1;
	area->usable = area->nr_slots - 1;
	for (uint32_t i = 0; i < spec->nr_bad; i++) {
		uint32_t bad = spec->bad[i];

		if (bad == 0 || bad >= area->nr_slots)
			return -EINVAL;
		if (area->map[bad] == SWAP_MAP_BAD)
			continue;
		area->map[bad] = SWAP_MAP_BAD;
		area->cluster_used[bad / SWAP_CLUSTER_SLOTS]++;
		area->usable--;
	}
	/* The slots that the last cluster lacks count as used, so that it never looks free. */
	uint32_t lacking = nr_clusters(area) * SWAP_CLUSTER_SLOTS - area->nr_slots;

	area->cluster_used[nr_clusters(area) - 1] =
		(uint16_t)(area->cluster_used[nr_clusters(area) - 1] + lacking);
	area->cluster_first = SWAP_NO_CLUSTER;
	area->cluster_last = SWAP_NO_CLUSTER;
	for (uint32_t cluster = 0; cluster < nr_clusters(area); cluster++) {
		area->cluster_next[cluster] = SWAP_NOT_QUEUED;
		if (area->cluster_used[cluster] == 0)
			fifo_push(area, cluster);
	}
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++)
		area->cpu_cluster[cpu] = SWAP_NO_CLUSTER;
	area->lowest = 1;
	area->highest = area->nr_slots - 1;
	area->next = 1;
	return 0;
}

/* For the next area in this place. A slot that was freed has no cache entry any more. */
static void area_clear(struct swap_area *area)
{
	memset(area->map, 0, area->nr_slots * sizeof(*area->map));
	memset(area->cluster_used, 0, nr_clusters(area) * sizeof(*area->cluster_used));
}

/*
 * The slot of the array for a new area: one never used while there are any, so that what reads an
 * old area without a lock seldom meets a new one. => NULL if all are in use
 */
static struct swap_area *area_choose(struct neap_machine *m)
{
	uint32_t nr = swap_nr_areas(m);

	if (nr < NEAP_MAX_SWAPS)
		return &m->swap[nr];
	for (uint32_t type = 0; type < nr; type++)
		if (atomic_load(&m->swap[type].state) == SWAP_UNUSED)
			return &m->swap[type];
	return NULL;
}

/* What the area is. Readers of texts look at these fields without a lock. */
static void area_describe(struct neap_machine *m, struct swap_area *area,
			  const struct swap_spec *spec, const struct store_geometry *geometry)
{
	bool ended = false;

	area->machine = m;
	area->store = spec->store;
	area->is_file = spec->is_file;
	area->rotational = geometry->rotational;
	area->synchronous = geometry->synchronous;
	area->stable_writes = geometry->stable_writes;
	area->automatic = spec->priority == SWAP_PRIO_AUTO;
	area->type = (uint32_t)(area - m->swap);
	racy_write(area->nr_slots, (uint32_t)geometry->pages);
	for (uint32_t i = 0; i < sizeof(area->path); i++) {
		ended = ended || spec->path[i] == '\0' || i == sizeof(area->path) - 1;
		racy_write(area->path[i], (char)(ended ? '\0' : spec->path[i]));
	}
	area->inuse = 0;
	area->batches_left = 0;
	atomic_store(&area->read_errors, 0);
	atomic_store(&area->write_errors, 0);
	atomic_store(&area->full_errors, 0);
}

/* => switching held */
static int area_begin(struct task *t, struct neap_machine *m, const struct swap_spec *spec,
		      uint32_t *type_out)
{
	struct store_geometry geometry;
	struct swap_area *area = area_choose(m);

	spec->store->ops->geometry(spec->store, &geometry);
	if (area == NULL)
		return -ENOSPC;
	if (geometry.pages < 2 || geometry.pages > SWAP_SLOT_MASK)
		return -EINVAL;
	area_describe(m, area, spec, &geometry);
	int err = area_reserve(m, area);

	if (err == 0)
		err = area_init_map(m, area, spec);
	if (err != 0) {
		if (area->room >= area->nr_slots)
			area_clear(area);
		return err;
	}
	spec->store->done = io_done;
	spec->store->done_ctx = m;
	spin_lock(t, &m->swap_list_lock, LOCK_SWAP_LIST);
	racy_write(area->priority, area->automatic ? -2 - m->swap_next_priority++ : spec->priority);
	area->list_seq = ++m->swap_list_seq;
	if (area->type == swap_nr_areas(m))
		atomic_store(&m->nr_swap_areas, area->type + 1);
	spin_unlock(t, &m->swap_list_lock, LOCK_SWAP_LIST);
	if (area->rotational)
		atomic_fetch_add(&m->nr_rotational_swap, 1);
	atomic_fetch_add(&m->nr_swap_free, area->usable);
	atomic_fetch_add(&m->nr_swap_total, area->usable);
	atomic_store(&area->state, SWAP_ACTIVE);
	*type_out = area->type;
	return 0;
}

int swap_on(struct task *t, struct neap_machine *m, const struct swap_spec *spec,
	    uint32_t *type_out)
{
	sleeplock_take(t, &m->swap_switching);
	int err = area_begin(t, m, spec, type_out);

	sleeplock_release(t, &m->swap_switching);
	return err;
}

struct swap_area *swap_area_get(struct neap_machine *m, uint32_t type)
{
	struct swap_area *area = &m->swap[type];

	/* First counted, then looked at: swap_area_end() does it the other way round. */
	atomic_fetch_add(&area->users, 1);
	if (type < swap_nr_areas(m) && atomic_load(&area->state) != SWAP_UNUSED)
		return area;
	atomic_fetch_sub(&area->users, 1);
	return NULL;
}

void swap_area_put(struct swap_area *area)
{
	atomic_fetch_sub(&area->users, 1);
}

/* Moves the priorities of the automatic areas behind this one by delta. => list lock held */
static void shift_automatic(struct neap_machine *m, const struct swap_area *area, int32_t delta)
{
	m->swap_next_priority -= delta;
	for (uint32_t type = 0; type < swap_nr_areas(m); type++) {
		struct swap_area *other = &m->swap[type];

		if (other != area && other->automatic &&
		    atomic_load(&other->state) == SWAP_ACTIVE && other->priority < area->priority)
			racy_write(other->priority, other->priority + delta);
	}
}

void swap_area_close(struct task *t, struct swap_area *area)
{
	struct neap_machine *m = area->machine;

	spin_lock(t, &area->lock, LOCK_SWAP);
	spin_lock(t, &m->swap_list_lock, LOCK_SWAP_LIST);
	atomic_store(&area->state, SWAP_LEAVING);
	if (area->automatic)
		shift_automatic(m, area, 1);
	spin_unlock(t, &m->swap_list_lock, LOCK_SWAP_LIST);
	spin_unlock(t, &area->lock, LOCK_SWAP);
	/* Slots in use are missing from the free count now; each comes back when it is freed. */
	atomic_fetch_sub(&m->nr_swap_total, area->usable);
	atomic_fetch_sub(&m->nr_swap_free, area->usable);
	atomic_fetch_add(&m->swap_cache_barred, 1);
	swap_slots_drain(t, m);
}

void swap_area_reopen(struct task *t, struct swap_area *area)
{
	struct neap_machine *m = area->machine;

	spin_lock(t, &area->lock, LOCK_SWAP);
	spin_lock(t, &m->swap_list_lock, LOCK_SWAP_LIST);
	if (area->automatic)
		racy_write(area->priority, -2 - m->swap_next_priority++);
	area->list_seq = ++m->swap_list_seq;
	atomic_store(&area->state, SWAP_ACTIVE);
	spin_unlock(t, &m->swap_list_lock, LOCK_SWAP_LIST);
	spin_unlock(t, &area->lock, LOCK_SWAP);
	atomic_fetch_add(&m->nr_swap_total, area->usable);
	atomic_fetch_add(&m->nr_swap_free, area->usable);
	atomic_fetch_sub(&m->swap_cache_barred, 1);
}

void swap_area_end(struct task *t, struct swap_area *area)
{
	struct neap_machine *m = area->machine;

	CHECK(area->inuse == 0);
	atomic_store(&area->state, SWAP_UNUSED);
	atomic_fetch_sub(&m->swap_cache_barred, 1);
	if (area->rotational)
		atomic_fetch_sub(&m->nr_rotational_swap, 1);
	while (atomic_load(&area->users) != 0)
		rt_yield(t);
	swap_nodes_drain(t, area);
	area_clear(area);
}

bool swap_is_half_full(const struct neap_machine *m)
{
	struct neap_machine *machine = (struct neap_machine *)(uintptr_t)m;

	return 2 * atomic_load_explicit(&machine->nr_swap_free, memory_order_relaxed) <
	       atomic_load_explicit(&machine->nr_swap_total, memory_order_relaxed);
}

/* ---- one slot of one area; the area's lock is held ---- */

/* What the cache knows of the slot, with the nodes that Linux would need for it. */
static void cache_store(struct swap_area *area, uint32_t slot, uint64_t value)
{
	if (area->cache[slot] == 0 && value != 0)
		swap_nodes_fill(area, slot);
	else if (area->cache[slot] != 0 && value == 0)
		swap_nodes_empty(area, slot);
	area->cache[slot] = value;
}

void swap_slot_store_cache(struct task *t, struct swap_area *area, uint32_t slot, uint32_t pfn)
{
	spin_assert_held(t, LOCK_SWAP);
	cache_store(area, slot, (uint64_t)pfn << 1);
}

static void slot_take(struct swap_area *area, uint32_t slot)
{
	DCHECK(area->map[slot] == 0 && area->cache[slot] == 0);
	racy_write(area->map[slot], SWAP_HAS_CACHE);
	area->cluster_used[slot / SWAP_CLUSTER_SLOTS]++;
	racy_write(area->inuse, area->inuse + 1);
	if (slot == area->lowest)
		area->lowest++;
	if (slot == area->highest)
		area->highest--;
	if (area->inuse == area->usable) {
		area->lowest = area->nr_slots;
		area->highest = 0;
	}
}

static void slot_release(struct swap_area *area, uint32_t slot)
{
	uint32_t cluster = slot / SWAP_CLUSTER_SLOTS;

	DCHECK(area->map[slot] == 0);
	cache_store(area, slot, 0);
	CHECK(area->inuse > 0 && area->cluster_used[cluster] > 0);
	racy_write(area->inuse, area->inuse - 1);
	if (slot < area->lowest)
		area->lowest = slot;
	if (slot > area->highest)
		area->highest = slot;
	if (--area->cluster_used[cluster] == 0 && !area->rotational)
		fifo_push(area, cluster);
	atomic_fetch_add(&area->machine->nr_swap_free, 1);
}

/* First free slot in from..to; 0 if there is none. */
static uint32_t find_free(const struct swap_area *area, uint32_t from, uint32_t to)
{
	for (uint32_t slot = from; slot <= to && slot < area->nr_slots; slot++)
		if (area->map[slot] == 0)
			return slot;
	return 0;
}

/* A free slot at or after `from`, going round. */
static uint32_t find_free_round(const struct swap_area *area, uint32_t from)
{
	uint32_t slot = find_free(area, max_u32(from, area->lowest), area->highest);

	return slot != 0 ? slot : find_free(area, area->lowest, from);
}

/* The start of 512 free slots in a row; 0 if there are none. */
static uint32_t find_run(const struct swap_area *area)
{
	uint32_t run = 0;

	for (uint32_t slot = area->lowest; slot <= area->highest; slot++) {
		run = area->map[slot] == 0 ? run + 1 : 0;
		if (run == SWAP_CLUSTER_SLOTS)
			return slot + 1 - SWAP_CLUSTER_SLOTS;
	}
	return 0;
}

/* => slots taken, at most want */
static uint32_t take_rotational(struct swap_area *area, uint32_t *slots, uint32_t want)
{
	uint32_t got = 0;

	if (area->batches_left == 0) {
		uint32_t run = find_run(area);

		if (run != 0) {
			racy_write(area->next, run);
			want = min_u32(want, SWAP_FIRST_CLUSTER_BATCH);
		}
		area->batches_left = SWAP_CLUSTER_BATCHES;
	} else {
		area->batches_left--;
	}
	while (got < want && area->inuse < area->usable) {
		uint32_t slot = find_free_round(area, area->next);

		if (slot == 0)
			break;
		slot_take(area, slot);
		racy_write(area->next, slot + 1);
		slots[got++] = slot;
	}
	return got;
}

/* The next free slot of the CPU's cluster, taking a new one if needed; 0 if there is none. */
static uint32_t find_in_cluster(struct swap_area *area, uint32_t cpu)
{
	for (uint32_t tries = 0; tries < 2; tries++) {
		uint32_t cluster = area->cpu_cluster[cpu];

		/* One that became wholly free is queued again, and maybe somebody else's next. */
		if (cluster != SWAP_NO_CLUSTER && area->cluster_next[cluster] == SWAP_NOT_QUEUED) {
			uint32_t end = (cluster + 1) * SWAP_CLUSTER_SLOTS - 1;
			uint32_t slot = find_free(area, area->cpu_next[cpu], end);

			if (slot != 0)
				return slot;
		}
		area->cpu_cluster[cpu] = fifo_pop(area);
		if (area->cpu_cluster[cpu] == SWAP_NO_CLUSTER)
			return 0;
		area->cpu_next[cpu] = area->cpu_cluster[cpu] * SWAP_CLUSTER_SLOTS;
	}
	return 0;
}

static uint32_t take_solid(struct swap_area *area, uint32_t cpu, uint32_t *slots, uint32_t want)
{
	uint32_t got = 0;

	while (got < want && area->inuse < area->usable) {
		uint32_t slot = find_in_cluster(area, cpu);

		if (slot == 0)
			slot = find_free_round(area, area->cpu_next[cpu]);
		if (slot == 0)
			break;
		slot_take(area, slot);
		area->cpu_next[cpu] = slot + 1;
		slots[got++] = slot;
	}
	return got;
}

/* ---- batches ---- */

/* The area to use next that is not in `tried`, moved behind its peers. => NULL if there is none */
static struct swap_area *choose_area(struct task *t, struct neap_machine *m, uint32_t tried)
{
	struct swap_area *best = NULL;

	spin_lock(t, &m->swap_list_lock, LOCK_SWAP_LIST);
	for (uint32_t type = 0; type < swap_nr_areas(m); type++) {
		struct swap_area *area = &m->swap[type];

		if ((tried >> type) & 1 || atomic_load(&area->state) != SWAP_ACTIVE)
			continue;
		if (best == NULL || area->priority > best->priority ||
		    (area->priority == best->priority && area->list_seq < best->list_seq))
			best = area;
	}
	if (best != NULL)
		best->list_seq = ++m->swap_list_seq;
	spin_unlock(t, &m->swap_list_lock, LOCK_SWAP_LIST);
	return best;
}

/* Reserves up to want from the machine's free count. => reserved */
static uint32_t reserve_free(struct neap_machine *m, uint32_t want)
{
	int64_t free = atomic_load(&m->nr_swap_free);
	int64_t take;

	do {
		take = min_i64(free, want);
		if (take <= 0)
			return 0;
	} while (!atomic_compare_exchange_weak(&m->nr_swap_free, &free, free - take));
	return (uint32_t)take;
}

/* => pinned; entries got, at most want <= 64 */
static uint32_t get_batch(struct task *t, uint32_t *entries, uint32_t want)
{
	struct neap_machine *m = t->machine;
	uint32_t reserved = reserve_free(m, want);
	uint32_t tried = 0;
	uint32_t got = 0;

	while (got == 0 && reserved != 0) {
		struct swap_area *area = choose_area(t, m, tried);

		if (area == NULL)
			break;
		tried |= 1u << area->type;
		spin_lock(t, &area->lock, LOCK_SWAP);
		if (atomic_load(&area->state) == SWAP_ACTIVE)
			got = area->rotational ? take_rotational(area, entries, reserved)
					       : take_solid(area, task_cpu(t), entries, reserved);
		spin_unlock(t, &area->lock, LOCK_SWAP);
		for (uint32_t i = 0; i < got; i++)
			entries[i] |= area->type << SWAP_TYPE_SHIFT;
	}
	if (reserved > got)
		atomic_fetch_add(&m->nr_swap_free, reserved - got);
	return got;
}

/* => the first slot of a free cluster, all of which are taken; 0 if there is none */
static uint32_t take_cluster(struct swap_area *area)
{
	uint32_t cluster = fifo_pop(area);
	uint32_t first = cluster * SWAP_CLUSTER_SLOTS;

	if (cluster == SWAP_NO_CLUSTER)
		return 0;
	for (uint32_t i = 0; i < SWAP_CLUSTER_SLOTS; i++)
		slot_take(area, first + i);
	return first;
}

/* Takes a cluster's slots off the machine's free count. => false: there are not so many */
static bool reserve_cluster(struct neap_machine *m)
{
	int64_t free = atomic_load(&m->nr_swap_free);

	do { /* bounded: somebody else took or gave slots */
		if (free < (int64_t)SWAP_CLUSTER_SLOTS)
			return false;
	} while (!atomic_compare_exchange_weak(&m->nr_swap_free, &free,
					       free - (int64_t)SWAP_CLUSTER_SLOTS));
	return true;
}

uint32_t swap_cluster_get(struct task *t)
{
	struct neap_machine *m = t->machine;
	uint32_t entry = 0;

	if (!reserve_cluster(m))
		return 0;
	cpu_pin(t);
	struct swap_area *area = choose_area(t, m, 0);

	/* Slots in a row of a file may lie anywhere; a disk that turns has no list of clusters. */
	if (area != NULL && !area->is_file && !area->rotational) {
		spin_lock(t, &area->lock, LOCK_SWAP);
		if (atomic_load(&area->state) == SWAP_ACTIVE)
			entry = take_cluster(area);
		spin_unlock(t, &area->lock, LOCK_SWAP);
	}
	cpu_unpin(t);
	if (entry == 0) {
		atomic_fetch_add(&m->nr_swap_free, SWAP_CLUSTER_SLOTS);
		return 0;
	}
	return area->type << SWAP_TYPE_SHIFT | entry;
}

/* Are per-CPU slot caches worth their slots? With hysteresis. *ended: not any more */
static bool slot_cache_wanted(struct neap_machine *m, bool *ended)
{
	int64_t free = atomic_load_explicit(&m->nr_swap_free, memory_order_relaxed);
	int64_t cpus = (int64_t)atomic_load_explicit(&m->nr_online, memory_order_relaxed);
	bool on = atomic_load_explicit(&m->swap_cache_on, memory_order_relaxed) != 0;

	if (atomic_load(&m->swap_cache_barred) != 0)
		return false;
	if (!on && free > cpus * SLOT_CACHE_ON_PER_CPU)
		atomic_store(&m->swap_cache_on, 1);
	else if (on && free < cpus * SLOT_CACHE_OFF_PER_CPU)
		atomic_store(&m->swap_cache_on, 0);
	else
		return on;
	*ended = on;
	return !on;
}

/* ---- slots that were freed ---- */

/* Gives back what the pinned CPU has gathered, area by area. */
static void return_all(struct task *t)
{
	struct cpu *cpu = task_cpu_data(t);
	struct neap_machine *m = t->machine;
	uint32_t nr = cpu->nr_swap_returned;

	cpu->nr_swap_returned = 0;
	for (uint32_t type = 0; type < swap_nr_areas(m) && nr != 0; type++) {
		struct swap_area *area = &m->swap[type];
		uint32_t kept = 0;

		spin_lock(t, &area->lock, LOCK_SWAP);
		for (uint32_t i = 0; i < nr; i++) {
			uint32_t slot = swap_slot_of(cpu->swap_returned[i]);

			if (swap_type_of(cpu->swap_returned[i]) != type) {
				cpu->swap_returned[kept++] = cpu->swap_returned[i];
				continue;
			}
			CHECK(area->map[slot] == SWAP_HAS_CACHE);
			racy_write(area->map[slot], 0);
			slot_release(area, slot);
		}
		spin_unlock(t, &area->lock, LOCK_SWAP);
		nr = kept;
	}
	CHECK(nr == 0);
}

/*
 * Freed slots are gathered, as long as there are plenty. Never the first ones when there are none:
 * anonymous pages are reclaimed only while a free slot is counted, so nobody would come to ask for
 * a slot, and nobody would find that there are too few to gather. (An area that was switched off
 * takes its free slots away without asking.) DIFF: Linux gathers these, too.
 * => pinned
 */
static bool returns_are_gathered(struct neap_machine *m)
{
	return atomic_load_explicit(&m->swap_cache_on, memory_order_relaxed) != 0 &&
	       atomic_load(&m->swap_cache_barred) == 0 &&
	       atomic_load_explicit(&m->nr_swap_free, memory_order_relaxed) > 0;
}

/*
 * Nothing refers to the slot any more. => pinned, area locked; true: it is to be gathered
 * (return_later()) once the lock is gone
 */
static bool slot_free(struct swap_area *area, uint32_t slot)
{
	if (!returns_are_gathered(area->machine)) {
		slot_release(area, slot);
		return false;
	}
	racy_write(area->map[slot], SWAP_HAS_CACHE);
	cache_store(area, slot, 0);
	return true;
}

/* => pinned */
static void return_later(struct task *t, uint32_t entry)
{
	struct cpu *cpu = task_cpu_data(t);

	if (cpu->nr_swap_returned == SWAP_SLOT_CACHE)
		return_all(t);
	cpu->swap_returned[cpu->nr_swap_returned++] = entry;
}

/* => pinned; the next slot of this CPU's cache, filled if it is empty; 0 if there is none */
static uint32_t cached_slot(struct task *t)
{
	struct cpu *cpu = task_cpu_data(t);

	if (cpu->nr_swap_slots == 0) {
		uint32_t batch[SWAP_SLOT_CACHE];
		uint32_t got = get_batch(t, batch, SWAP_SLOT_CACHE);

		for (uint32_t i = 0; i < got; i++)
			cpu->swap_slot[i] = batch[got - 1 - i];
		cpu->nr_swap_slots = got;
	}
	return cpu->nr_swap_slots != 0 ? cpu->swap_slot[--cpu->nr_swap_slots] : 0;
}

uint32_t swap_slot_get(struct task *t)
{
	uint32_t entry = 0;
	bool ended = false;

	/* Pinned when asked: a drain that follows another CPU's answer comes here after us. */
	cpu_pin(t);
	bool cached = slot_cache_wanted(t->machine, &ended);

	/* Slots are scarce from now on: none lies about where nobody takes it. */
	if (ended) {
		cpu_unpin(t);
		swap_slots_drain(t, t->machine);
		cpu_pin(t);
	}
	if (cached)
		entry = cached_slot(t);
	if (entry == 0 && get_batch(t, &entry, 1) == 0)
		entry = 0;
	cpu_unpin(t);
	return entry;
}

void swap_slot_put(struct task *t, uint32_t entry)
{
	swap_slot_drop_cache(t, entry, 0);
}

void swap_slots_drain_pinned(struct task *t)
{
	struct cpu *data = task_cpu_data(t);

	while (data->nr_swap_slots != 0)
		swap_slot_put(t, data->swap_slot[--data->nr_swap_slots]);
	return_all(t);
}

void swap_slots_drain(struct task *t, struct neap_machine *m)
{
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		struct cpu_visit visit;

		if (!cpu_visit(t, cpu, &visit))
			continue;
		swap_slots_drain_pinned(t);
		cpu_leave(t, &visit);
	}
}

/* ---- references ---- */

void swap_slot_dup(struct task *t, uint32_t entry)
{
	struct swap_area *area = swap_area_of(t->machine, entry);
	uint32_t slot = swap_slot_of(entry);

	spin_lock(t, &area->lock, LOCK_SWAP);
	CHECK(area->map[slot] != 0 && (area->map[slot] & SWAP_COUNT_MASK) < SWAP_COUNT_MASK - 1);
	racy_write(area->map[slot], (uint8_t)(area->map[slot] + 1));
	spin_unlock(t, &area->lock, LOCK_SWAP);
}

void swap_slot_free(struct task *t, uint32_t entry)
{
	struct swap_area *area = swap_area_of(t->machine, entry);
	uint32_t slot = swap_slot_of(entry);
	bool later = false;

	cpu_pin(t);
	spin_lock(t, &area->lock, LOCK_SWAP);
	CHECK((area->map[slot] & SWAP_COUNT_MASK) != 0);
	racy_write(area->map[slot], (uint8_t)(area->map[slot] - 1));
	if (area->map[slot] == 0)
		later = slot_free(area, slot);
	spin_unlock(t, &area->lock, LOCK_SWAP);
	swap_nodes_settle(t, area);
	if (later)
		return_later(t, entry);
	cpu_unpin(t);
}

void swap_slot_drop_cache(struct task *t, uint32_t entry, uint64_t shadow)
{
	struct swap_area *area = swap_area_of(t->machine, entry);
	uint32_t slot = swap_slot_of(entry);
	bool later = false;

	cpu_pin(t);
	spin_lock(t, &area->lock, LOCK_SWAP);
	CHECK(area->map[slot] & SWAP_HAS_CACHE);
	racy_write(area->map[slot], (uint8_t)(area->map[slot] & ~SWAP_HAS_CACHE));
	cache_store(area, slot, shadow);
	if (area->map[slot] == 0)
		later = slot_free(area, slot);
	spin_unlock(t, &area->lock, LOCK_SWAP);
	swap_nodes_settle(t, area);
	if (later)
		return_later(t, entry);
	cpu_unpin(t);
}

bool swap_slot_claim(struct task *t, uint32_t entry, uint64_t *shadow)
{
	struct swap_area *area = swap_area_of(t->machine, entry);
	uint32_t slot = swap_slot_of(entry);

	spin_lock(t, &area->lock, LOCK_SWAP);
	uint8_t byte = area->map[slot];
	bool free =
		byte != SWAP_MAP_BAD && (byte & SWAP_COUNT_MASK) != 0 && !(byte & SWAP_HAS_CACHE);

	if (free) {
		racy_write(area->map[slot], (uint8_t)(byte | SWAP_HAS_CACHE));
		*shadow = area->cache[slot];
	}
	spin_unlock(t, &area->lock, LOCK_SWAP);
	return free;
}

uint32_t swap_slot_count(struct neap_machine *m, uint32_t entry)
{
	return racy_read(swap_area_of(m, entry)->map[swap_slot_of(entry)]) & SWAP_COUNT_MASK;
}

/* Tries to free the cached page of one slot that nothing but the cache holds. */
static bool reclaim_slot(struct task *t, struct swap_area *area, uint32_t slot)
{
	uint32_t entry = area->type << SWAP_TYPE_SHIFT | slot;
	uint32_t pfn = swap_cache_find(t, entry);
	bool freed = false;

	if (pfn == PFN_NONE)
		return false;
	struct page *page = thp_head(t->machine, pfn);

	if (page_trylock(t, page)) {
		if (page_test(page, PG_SWAPCACHE) && t->machine->slot_of[pfn] == entry)
			freed = swap_cache_try_free(t, page);
		page_unlock(t, page);
	}
	page_put(t, page);
	return freed;
}

uint32_t swap_reclaim_cached(struct task *t, uint32_t want)
{
	struct neap_machine *m = t->machine;
	uint32_t freed = 0;

	for (uint32_t type = 0; type < swap_nr_areas(m) && freed < want; type++) {
		struct swap_area *area = swap_area_get(m, type);

		if (area == NULL)
			continue;
		uint32_t start = racy_read(area->next) < area->nr_slots ? racy_read(area->next) : 1;

		for (uint32_t i = 1; i < area->nr_slots && freed < want; i++) {
			uint32_t slot = 1 + (start - 1 + i) % (area->nr_slots - 1);

			if (racy_read(area->map[slot]) == SWAP_HAS_CACHE &&
			    reclaim_slot(t, area, slot)) {
				freed++;
			}
		}
		swap_area_put(area);
	}
	return freed;
}

/* ---- verification ---- */

/* Bytes, cached pages and the count. *unowned grows by the slots whose cache is no page. */
static const char *verify_slots(const struct neap_machine *m, const struct swap_area *area,
				uint64_t *unowned)
{
	uint32_t inuse = 0;

	for (uint32_t slot = 0; slot < area->nr_slots; slot++) {
		uint8_t byte = area->map[slot];
		uint64_t cached = area->cache[slot];
		bool page = cached != 0 && !(cached & 1);

		if (byte == SWAP_MAP_BAD)
			continue;
		inuse += byte != 0;
		if (!page) {
			*unowned += (byte & SWAP_HAS_CACHE) != 0;
			continue;
		}
		uint32_t pfn = (uint32_t)(cached >> 1);

		if (!(byte & SWAP_HAS_CACHE))
			return "a swap slot caches a page without HAS_CACHE";
		if (!page_test(thp_head(m, pfn), PG_SWAPCACHE) ||
		    m->slot_of[pfn] != (area->type << SWAP_TYPE_SHIFT | slot))
			return "a cached page does not know its swap slot";
	}
	return inuse == area->inuse ? NULL : "a swap area's count of slots in use is wrong";
}

static uint32_t count_used(const struct swap_area *area, uint32_t cluster)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < SWAP_CLUSTER_SLOTS; i++) {
		uint32_t slot = cluster * SWAP_CLUSTER_SLOTS + i;

		used += slot >= area->nr_slots || area->map[slot] != 0;
	}
	return used;
}

static const char *verify_clusters(const struct swap_area *area)
{
	uint32_t queued = 0;
	uint32_t marked = 0;

	for (uint32_t cluster = 0; cluster < nr_clusters(area); cluster++) {
		uint32_t used = count_used(area, cluster);

		if (used != area->cluster_used[cluster])
			return "a swap cluster's count of used slots is wrong";
		marked += area->cluster_next[cluster] != SWAP_NOT_QUEUED;
		if (!area->rotational &&
		    (used == 0) != (area->cluster_next[cluster] != SWAP_NOT_QUEUED))
			return "a swap cluster is in the FIFO and not free, or the other way round";
	}
	for (uint32_t cluster = area->cluster_first; cluster != SWAP_NO_CLUSTER && queued <= marked;
	     cluster = area->cluster_next[cluster])
		queued++;
	return queued == marked ? NULL : "the FIFO of free swap clusters is broken";
}

static const char *verify_nodes(const struct neap_machine *m)
{
	const char *wrong = NULL;
	uint64_t nr = 0;

	for (uint32_t type = 0; type < swap_nr_areas(m) && wrong == NULL; type++)
		if (atomic_load(&m->swap[type].state) != SWAP_UNUSED)
			wrong = swap_nodes_verify(&m->swap[type], &nr);
	if (wrong == NULL && nr != m->swap_nodes.nr_used)
		return "nodes of the swap cache are not those that have memory";
	return wrong;
}

const char *swap_verify(const struct neap_machine *m)
{
	struct neap_machine *machine = (struct neap_machine *)(uintptr_t)m;
	int64_t inuse = 0;
	uint64_t unowned = 0;
	uint64_t in_caches = 0;

	for (uint32_t type = 0; type < swap_nr_areas(m); type++) {
		if (atomic_load(&machine->swap[type].state) == SWAP_UNUSED)
			continue;
		const char *wrong = verify_slots(m, &m->swap[type], &unowned);

		if (wrong == NULL)
			wrong = verify_clusters(&m->swap[type]);
		if (wrong != NULL)
			return wrong;
		inuse += m->swap[type].inuse;
	}
	/* Of an area that is leaving, slots in use are missing in both counts (area_close). */
	if (inuse + atomic_load(&machine->nr_swap_free) != atomic_load(&machine->nr_swap_total))
		return "free and used swap slots do not add up";
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++)
		in_caches += m->cpus[cpu].nr_swap_slots + m->cpus[cpu].nr_swap_returned;
	return unowned == in_caches ? verify_nodes(m) : "nobody owns a swap slot that is in use";
}
