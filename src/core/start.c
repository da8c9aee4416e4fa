/*
 * Starting and stopping the machine's threads.
 *
 *   kswapd0..N   one a node with memory        neap_io     reaps asynchronous I/O
 *   kcompactd0..N  the same                    (these start last)
 *   neap_flush   write-back of dirty files     neap_timer  periodic work
 *
 * They start in this order, which is also the order of their task ids; a failure
 * stops those that run already. They stop in the opposite order of need: first
 * whoever starts I/O, last whoever reaps it.
 *
 * Periodic work is one list on one thread: folding of counter differences each
 * stat_interval, if there is anything to fold. An idle machine's timer thread
 * sleeps without limit; whoever makes the counters move wakes it at most once a
 * second, from slow paths (timer_kick), never from a hot one.
 *
 * What must never happen: a thread that goes on after machine_stop() returned.
 *
 * Linux: kswapd_init() in mm/vmscan.c, the vmstat shepherd in mm/vmstat.c. DIFF:
 * one thread for all CPUs' folding instead of a worker on each.
 */
#include <errno.h>

#include "core/alloc.h"
#include "core/freezer.h"
#include "core/index.h"
#include "core/io.h"
#include "core/kcompactd.h"
#include "core/kswapd.h"
#include "core/lru.h"
#include "core/machine.h"
#include "core/mapping.h"
#include "core/psi.h"
#include "core/shadow_nodes.h"
#include "core/shrinker.h"
#include "core/slab.h"
#include "core/sleeplock.h"
#include "core/space.h"
#include "core/swap.h"
#include "core/thp.h"
#include "core/timer.h"
#include "core/vmstat.h"
#include "core/writeback.h"

#define TICK_NS (4 * NSEC_PER_MSEC) /* HZ 250 */
#define SMALL_MACHINE_PAGES (16 * MIB / NEAP_PAGE_BYTES)

void timer_kick(struct task *t, struct neap_machine *m)
{
	if (atomic_load_explicit(&m->timer_armed, memory_order_relaxed) == 0 &&
	    atomic_exchange(&m->timer_armed, 1) == 0)
		waitq_wake(t, &m->timer_wait, 1);
}

/*
 * stat_interval: 0 is the next tick; what is negative never comes. Sooner while somebody watches
 * the pressure.
 */
static uint64_t timer_period_ns(struct neap_machine *m)
{
	int32_t seconds = knobs_get(&m->sysctl.stat_interval);
	uint64_t poll_ns = psi_poll_ns(m);

	if (seconds < 0)
		return poll_ns;
	return min_u64(poll_ns, seconds == 0 ? TICK_NS : (uint64_t)seconds * NSEC_PER_SEC);
}

static int timer_thread(struct task *t, void *machine)
{
	struct neap_machine *m = machine;

	t->machine = m;
	/* event loop */
	while (!atomic_load(&m->stopping)) {
		bool armed = atomic_load(&m->timer_armed) != 0;
		uint32_t seq = waitq_begin(t, &m->timer_wait);

		if (!freezer_should_stop(m) && armed == (atomic_load(&m->timer_armed) != 0))
			waitq_wait(t, &m->timer_wait, seq, armed ? timer_period_ns(m) : RT_FOREVER);
		waitq_end(&m->timer_wait);
		if (freezer_wait(t, m, NULL))
			continue;
		if (!armed || atomic_load(&m->stopping))
			continue;
		atomic_store(&m->timer_armed, 0);
		for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++)
			vmstat_fold_cpu(t, cpu);
		psi_update(t, m);
		psi_poll(t, m);
	}
	return 0;
}

static int start_thread(struct task *t, const char *name, int (*fn)(struct task *, void *),
			struct task **out)
{
	struct task_spec spec = {
		.name = name, .fn = fn, .arg = t->machine, .flags = PF_KTHREAD | PF_MEMALLOC
	};

	return rt_spawn(t, &spec, out);
}

/* ---- what needs a working allocator before anything else runs ---- */

static int start_pool(struct neap_machine *m, struct pool *pool, size_t object_bytes)
{
	_Atomic uint32_t *directory =
		m->hw->ops->reserve(m->hw, POOL_MAX_CHUNKS * sizeof(*directory));

	if (directory == NULL)
		return -ENOMEM;
	pool_init(pool, m->hw, (uint32_t)object_bytes, directory);
	return 0;
}

/* Pools, the table of swap areas, and the shared zero page. */
static int start_memory(struct task *t, struct neap_machine *m)
{
	int err = start_pool(m, &m->spaces, sizeof(struct space));

	if (err == 0)
		err = start_pool(m, &m->regions, sizeof(struct region));
	if (err == 0)
		err = start_pool(m, &m->mappings, sizeof(struct mapping));
	if (err != 0)
		return err;
	index_init(m);
	err = shrinker_init(m);
	if (err == 0)
		err = thp_register_shrinker(t, m);
	if (err == 0)
		err = shadow_nodes_register(t, m);
	if (err < 0)
		return err;
	m->swap = m->hw->ops->reserve(m->hw, NEAP_MAX_SWAPS * sizeof(*m->swap));
	m->zero_pfn = alloc_page(t, GFP_KERNEL | GFP_BIT_ZERO);
	if (m->swap == NULL || m->zero_pfn == PFN_NONE)
		return -ENOMEM;
	page_set(machine_page(m, m->zero_pfn), PG_ZEROPAGE | PG_UPTODATE);
	/* Small machines read fewer pages ahead (spec 13, section 6). */
	if (atomic_load(&m->total_pages) < SMALL_MACHINE_PAGES)
		atomic_store(&m->sysctl.page_cluster, 2);
	/* The first windows of read-ahead are wide: hits start at 4 (spec 13, section 6). */
	atomic_store(&m->swap_ra_hits, 4);
	return 0;
}

static void stop_memory(struct task *t, struct neap_machine *m)
{
	if (m->zero_pfn != PFN_NONE) {
		page_clear(machine_page(m, m->zero_pfn), PG_ZEROPAGE | PG_UPTODATE);
		page_put(t, machine_page(m, m->zero_pfn));
		m->zero_pfn = PFN_NONE;
	}
	if (m->mappings.directory == NULL)
		return;
	slab_drain(t, &m->index_nodes);
	slab_drain(t, &m->buffers.slab);
	slab_drain(t, &m->swap_nodes);
	pool_destroy(t, &m->mappings);
	pool_destroy(t, &m->regions);
	pool_destroy(t, &m->spaces);
}

int machine_start(struct task *t, struct neap_machine *m)
{
	t->machine = m;
	psi_init(m);
	atomic_store(&m->stopping, 0);
	atomic_store(&m->io_stopping, 0);
	int err = start_memory(t, m);

	for (uint32_t n = 0; n < m->nr_nodes && err == 0; n++) {
		uint64_t present = 0;

		for (uint32_t z = 0; z < NR_ZONES; z++)
			present += m->nodes[n].zone[z].present;
		kswapd_init_node(&m->nodes[n]);
		if (present != 0)
			err = kswapd_run(t, &m->nodes[n]);
	}
	if (err == 0 && m->host->needs_reaper)
		err = start_thread(t, "neap_io", io_thread, &m->io_thread);
	if (err == 0)
		err = start_thread(t, "neap_flush", writeback_thread, &m->flush_thread);
	if (err == 0)
		err = start_thread(t, "neap_timer", timer_thread, &m->timer_thread);
	for (uint32_t n = 0; n < m->nr_nodes && err == 0; n++) {
		kcompactd_init_node(&m->nodes[n]);
		if (m->nodes[n].nr_zones != 0)
			err = kcompactd_run(t, &m->nodes[n]);
	}
	if (err != 0)
		machine_stop(t, m);
	return err;
}

static void stop_thread(struct task *t, struct task **thread, struct waitq *wq)
{
	if (*thread == NULL)
		return;
	waitq_wake(t, wq, UINT32_MAX);
	rt_join(t, *thread);
	*thread = NULL;
}

/*
 * Waits until nothing is being written: its completions need the reaper. Counted without the CPUs'
 * differences: nobody starts a write any more, so after a fold they can only take away, and the
 * count is never below the truth. (With them it may be, in the middle of a carry.)
 */
static void wait_for_writes(struct task *t, struct neap_machine *m)
{
	/* event loop: bounded by the I/O in flight */
	for (;;) {
		uint64_t pending = 0;

		vmstat_fold_all(t, m);
		for (uint32_t n = 0; n < m->nr_nodes; n++)
			pending += node_stat(&m->nodes[n], NR_WRITEBACK);
		if (pending == 0)
			return;
		rt_sleep(t, NSEC_PER_MSEC);
	}
}

/* ---- freezing ---- */

static void wake_freezable(struct task *t, struct neap_machine *m)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		waitq_wake(t, &m->nodes[n].kswapd_wait, UINT32_MAX);
		waitq_wake(t, &m->nodes[n].kcompactd_wait, UINT32_MAX);
		waitq_wake(t, &m->nodes[n].reclaim_wait[WAIT_WRITEBACK], UINT32_MAX);
		/* Programs that wait for kswapd are not to wait for a frozen one. */
		waitq_wake(t, &m->nodes[n].pfmemalloc_wait, UINT32_MAX);
	}
	waitq_wake(t, &m->flush_wait, UINT32_MAX);
	waitq_wake(t, &m->timer_wait, UINT32_MAX);
}

static uint32_t nr_freezable(const struct neap_machine *m)
{
	uint32_t nr = (m->flush_thread != NULL ? 1u : 0u) + (m->timer_thread != NULL ? 1u : 0u);

	for (uint32_t n = 0; n < m->nr_nodes; n++)
		nr += (m->nodes[n].kswapd != NULL ? 1u : 0u) +
		      (m->nodes[n].kcompactd != NULL ? 1u : 0u);
	return nr;
}

void freezer_freeze(struct task *t, struct neap_machine *m)
{
	sleeplock_take(t, &m->freeze_lock);
	atomic_fetch_add(&m->freezing, 1);
	/* event loop: each thread stops at its next look */
	while (atomic_load(&m->nr_frozen) != nr_freezable(m)) {
		wake_freezable(t, m);
		rt_sleep(t, 50 * NSEC_PER_USEC);
	}
	sleeplock_release(t, &m->freeze_lock);
}

void freezer_thaw(struct task *t, struct neap_machine *m)
{
	sleeplock_take(t, &m->freeze_lock);
	CHECK(atomic_load(&m->freezing) != 0);
	if (atomic_fetch_sub(&m->freezing, 1) == 1) {
		waitq_wake(t, &m->freezer_wait, UINT32_MAX);
		/* event loop: until the last went on, so that the next freeze counts from zero */
		while (atomic_load(&m->nr_frozen) != 0)
			rt_sleep(t, 50 * NSEC_PER_USEC);
	}
	sleeplock_release(t, &m->freeze_lock);
}

static bool frozen(struct neap_machine *m, _Atomic uint32_t *end)
{
	return atomic_load(&m->freezing) != 0 && atomic_load(&m->stopping) == 0 &&
	       (end == NULL || atomic_load(end) == 0);
}

bool freezer_wait(struct task *t, struct neap_machine *m, _Atomic uint32_t *end)
{
	if (!frozen(m, end))
		return false;
	atomic_fetch_add(&m->nr_frozen, 1);
	/* event loop */
	while (frozen(m, end)) {
		uint32_t seq = waitq_begin(t, &m->freezer_wait);

		if (frozen(m, end))
			waitq_wait(t, &m->freezer_wait, seq, RT_FOREVER);
		waitq_end(&m->freezer_wait);
	}
	atomic_fetch_sub(&m->nr_frozen, 1);
	return true;
}

void machine_stop(struct task *t, struct neap_machine *m)
{
	atomic_store(&m->stopping, 1);
	waitq_wake(t, &m->freezer_wait, UINT32_MAX);
	stop_thread(t, &m->timer_thread, &m->timer_wait);
	stop_thread(t, &m->flush_thread, &m->flush_wait);
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		kcompactd_stop(t, &m->nodes[n]);
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		kswapd_stop(t, &m->nodes[n]);
	wait_for_writes(t, m);
	atomic_store(&m->io_stopping, 1);
	if (m->io_thread != NULL) {
		m->host->ops->kick(m->host);
		rt_join(t, m->io_thread);
		m->io_thread = NULL;
	}
	lru_drain_all(t);
	swap_slots_drain(t, m);
	stop_memory(t, m);
	m->rt->task_hook = NULL;
}
