/*
 * vmstat.c: counters, kept apart per CPU and brought together now and then.
 *
 *   zone.stat[item]        machine.zone_stat[item]        shared sums, atomic
 *        ^  carried when a difference passes the threshold, or folded once a second
 *   zone.pcp[cpu].diff[item]     one signed byte per CPU and item
 *
 *   cpus[cpu].meter[item]        events: only ever added to, never folded
 *   zone.pcp[cpu].numa[item]     NUMA events: the same, per zone
 *
 * A reader of the sums may be wrong by CPUs x threshold in either direction. That is
 * precise enough for most decisions; where it is not (free pages near the marks of a
 * zone with many CPUs) the zone has a drift mark, below which the exact sum is taken,
 * and kswapd lowers the thresholds of such zones while it works.
 *
 * Thresholds grow with the logarithm of CPUs and memory, so that the cost of carrying
 * falls on machines where the line is most contended.
 *
 * What must never happen:
 *   1. a difference beyond 125 in either direction: the byte would wrap
 *   2. a fold that changes an exact value
 *   3. an event that decreases
 *
 * Linux: mm/vmstat.c, 6.1. There the NUMA events are folded on demand; here they are
 * summed when read, which nobody can tell apart. While they are switched off they are
 * counted all the same, since that is cheaper than asking each time; they read as 0, and begin
 * at 0 when they are switched on.
 */
#include "core/vmstat.h"

#include <string.h>

#include "core/pcp.h"
#include "core/visit.h"

#define ZONE_SIZE_SHIFT 15u    /* zones are measured in 128 MiB for the threshold */
#define REMOTE_EXPIRE_FOLDS 3u /* idle folds before another node's per-CPU pages are freed */

static const char *const zone_names[NR_ZONE_ITEMS] = {
#define ZONE_ITEM(id, name) name,
#include "core/vmstat_items.def"
};

static const char *const numa_names[NR_NUMA_ITEMS] = {
#define NUMA_ITEM(id, name) name,
#include "core/vmstat_items.def"
};

static const char *const node_names[NR_NODE_ITEMS] = {
#define NODE_ITEM(id, name) name,
#include "core/vmstat_items.def"
};

static const char *const meter_names[NR_METER_ITEMS] = {
#define EVENT_ITEM(id, name) [EV_##id] = name,
#define HIDDEN_ITEM(id, name) [EV_##id] = name,
#include "core/vmstat_items.def"
};

void event_add_slow(struct task *t, enum meter_item item, uint64_t n)
{
	cpu_pin(t);
	event_add_pinned(t, item, n);
	cpu_unpin(t);
}

/* ---- levels ---- */

void zone_stat_carry(struct zone *zone, enum zone_item item, int64_t delta)
{
	atomic_fetch_add_explicit(&zone->stat[item], delta, memory_order_relaxed);
	atomic_fetch_add_explicit(&zone->machine->zone_stat[item], delta, memory_order_relaxed);
}

/*
 * Adding one by one would carry first when the difference passes the threshold, then again and
 * again after as many additions as pass it from zero.
 */
int64_t zone_stat_each(struct task *t, struct zone *zone, enum zone_item item, int64_t delta,
		       uint32_t nr)
{
	cpu_assert_pinned(t);
	struct pcp *pcp = &zone->pcp[task_cpu(t)];
	int32_t sum = racy_read(pcp->diff[item]);
	int32_t threshold = racy_read(pcp->threshold);
	int64_t carry = 0;

	DCHECK(delta > 0);
	if (nr == 0)
		return 0;
	/* The threshold may just have become smaller: one step makes the difference fit. */
	if (unlikely(sum > threshold || sum < -threshold)) {
		zone_stat_add(t, zone, item, delta);
		sum = racy_read(pcp->diff[item]);
		nr--;
	}
	int64_t rest = sum + nr * delta;

	if (rest > threshold) {
		/* Divisions of 32 bits: those of 64 take as long as a page that is freed. */
		uint32_t step = (uint32_t)delta;
		uint32_t first = (uint32_t)(threshold - sum) / step + 1;
		uint32_t every = (uint32_t)threshold / step + 1;
		int64_t after = (nr - first) % every * delta; /* what comes after the last carry */

		carry = rest - after;
		rest = after;
	}
	racy_write(pcp->diff[item], (int8_t)rest);
	return carry;
}

void node_stat_carry(struct node *node, enum node_item item, int64_t delta)
{
	atomic_fetch_add_explicit(&node->stat[item], delta, memory_order_relaxed);
	atomic_fetch_add_explicit(&node->machine->node_stat[item], delta, memory_order_relaxed);
}

/*
 * One step in direction `by` (1 or -1) from the difference. => what to carry, with the difference
 * set back beyond zero by half the threshold
 */
static int64_t diff_step(int8_t *diff, int32_t threshold, int32_t by)
{
	int32_t value = racy_read(*diff) + by;
	int32_t half = threshold / 2;
	int64_t carry = 0;

	if (value * by > threshold) {
		carry = value + by * half;
		value = -by * half;
	}
	racy_write(*diff, (int8_t)value);
	return carry;
}

static void zone_stat_step(struct task *t, struct zone *zone, enum zone_item item, int32_t by)
{
	cpu_assert_pinned(t);
	struct pcp *pcp = &zone->pcp[task_cpu(t)];
	int64_t carry = diff_step(&pcp->diff[item], racy_read(pcp->threshold), by);

	if (carry != 0)
		zone_stat_carry(zone, item, carry);
}

static void node_stat_step(struct task *t, struct node *node, enum node_item item, int32_t by)
{
	cpu_assert_pinned(t);
	struct node_cpu *cpu = &node->cpu[task_cpu(t)];
	int64_t carry = diff_step(&cpu->diff[item], racy_read(cpu->threshold), by);

	if (carry != 0)
		node_stat_carry(node, item, carry);
}

void zone_stat_inc(struct task *t, struct zone *zone, enum zone_item item)
{
	zone_stat_step(t, zone, item, 1);
}

void zone_stat_dec(struct task *t, struct zone *zone, enum zone_item item)
{
	zone_stat_step(t, zone, item, -1);
}

void node_stat_inc(struct task *t, struct node *node, enum node_item item)
{
	node_stat_step(t, node, item, 1);
}

void node_stat_dec(struct task *t, struct node *node, enum node_item item)
{
	node_stat_step(t, node, item, -1);
}

uint64_t zone_stat_exact(const struct zone *zone, enum zone_item item)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;
	int64_t sum = atomic_load_explicit(&z->stat[item], memory_order_relaxed);

	for (uint32_t cpu = 0; cpu < zone->machine->nr_cpus; cpu++)
		sum += racy_read(z->pcp[cpu].diff[item]);
	return stat_floor(sum);
}

uint64_t node_stat_exact(const struct node *node, enum node_item item)
{
	struct node *n = (struct node *)(uintptr_t)node;
	int64_t sum = atomic_load_explicit(&n->stat[item], memory_order_relaxed);

	for (uint32_t cpu = 0; cpu < node->machine->nr_cpus; cpu++)
		sum += racy_read(n->cpu[cpu].diff[item]);
	return stat_floor(sum);
}

/* ---- events ---- */

/*
 * One CPU's count. Every block is a hit or a miss; and what a CPU gets from a zone is local if both
 * are of one node, else other, so that neither of the two is counted.
 */
static uint64_t pcp_numa(const struct zone *zone, uint32_t cpu, enum numa_item item)
{
	const struct pcp *pcp = &zone->pcp[cpu];

	if (item != NUMA_LOCAL && item != NUMA_OTHER)
		return racy_read(pcp->numa[item]);
	if ((zone->machine->cpus[cpu].node == zone->node) != (item == NUMA_LOCAL))
		return 0;
	return racy_read(pcp->numa[NUMA_HIT]) + racy_read(pcp->numa[NUMA_MISS]);
}

uint64_t zone_numa(const struct zone *zone, enum numa_item item)
{
	uint64_t sum = 0;

	if (!zone_populated(zone) || knobs_get(&zone->machine->sysctl.numa_stat) == 0)
		return 0;
	for (uint32_t cpu = 0; cpu < zone->machine->nr_cpus; cpu++)
		sum += pcp_numa(zone, cpu, item);
	return sum;
}

static void zone_numa_reset(struct task *t, struct zone *zone)
{
	struct pcp *pcp = pcp_of(t, zone);

	for (uint32_t item = 0; item < NR_NUMA_ITEMS; item++)
		racy_write(pcp->numa[item], 0);
}

void vmstat_numa_reset(struct task *t, struct neap_machine *m)
{
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		struct cpu_visit visit;

		if (!cpu_visit(t, cpu, &visit))
			continue;
		for (uint32_t n = 0; n < m->nr_nodes; n++)
			for (uint32_t i = 0; i < NR_ZONES; i++)
				if (zone_populated(&m->nodes[n].zone[i]))
					zone_numa_reset(t, &m->nodes[n].zone[i]);
		cpu_leave(t, &visit);
	}
}

uint64_t machine_numa(const struct neap_machine *m, enum numa_item item)
{
	uint64_t sum = 0;

	for (uint32_t n = 0; n < m->nr_nodes; n++)
		for (uint32_t i = 0; i < NR_ZONES; i++)
			sum += zone_numa(&m->nodes[n].zone[i], item);
	return sum;
}

uint64_t machine_event(const struct neap_machine *m, enum meter_item item)
{
	uint64_t sum = 0;

	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++)
		sum += racy_read(m->cpus[cpu].meter[item]);
	return sum;
}

/* => position of the name, or nr */
static uint32_t name_find(const char *const *names, uint32_t nr, const char *name)
{
	size_t bytes = strlen(name) + 1;

	for (uint32_t i = 0; i < nr; i++)
		if (strlen(names[i]) + 1 == bytes && memcmp(names[i], name, bytes) == 0)
			return i;
	return nr;
}

uint64_t vmstat_by_name(struct neap_machine *m, const char *name, bool *found)
{
	uint32_t i;

	*found = true;
	i = name_find(zone_names, NR_ZONE_ITEMS, name);
	if (i < NR_ZONE_ITEMS)
		return machine_zone_stat(m, (enum zone_item)i);
	i = name_find(numa_names, NR_NUMA_ITEMS, name);
	if (i < NR_NUMA_ITEMS)
		return machine_numa(m, (enum numa_item)i);
	i = name_find(node_names, NR_NODE_ITEMS, name);
	if (i < NR_NODE_ITEMS)
		return machine_node_stat(m, (enum node_item)i);
	i = name_find(meter_names, NR_METER_ITEMS, name);
	if (i < NR_METER_ITEMS)
		return machine_event(m, (enum meter_item)i);
	*found = false;
	return 0;
}

/* ---- thresholds ---- */

int32_t vmstat_threshold_normal(uint64_t managed, uint32_t cpus)
{
	uint32_t threshold = 2 * fls_u64(cpus) * (1 + fls_u64(managed >> ZONE_SIZE_SHIFT));

	return (int32_t)min_u32(threshold, VMSTAT_THRESHOLD_MOST);
}

int32_t vmstat_threshold_pressure(uint64_t low_minus_min, uint32_t cpus)
{
	uint64_t threshold = max_u64(low_minus_min / max_u32(cpus, 1), 1);

	return (int32_t)min_u64(threshold, VMSTAT_THRESHOLD_MOST);
}

static void zone_set_threshold(struct zone *zone, int32_t threshold)
{
	for (uint32_t cpu = 0; cpu < zone->machine->nr_cpus; cpu++)
		racy_write(zone->pcp[cpu].threshold, threshold);
}

static uint64_t zone_low_minus_min(const struct zone *zone)
{
	return zone_mark(zone, WMARK_LOW) - zone_mark(zone, WMARK_MIN);
}

static void zone_thresholds_setup(struct zone *zone, uint32_t cpus)
{
	int32_t threshold = vmstat_threshold_normal(zone_managed(zone), cpus);
	uint64_t drift = (uint64_t)cpus * (uint64_t)threshold;

	zone->threshold_normal = threshold;
	zone->threshold_pressure = vmstat_threshold_pressure(zone_low_minus_min(zone), cpus);
	zone_set_threshold(zone, threshold);
	/*
	 * Only where the drift could hide that min is reached; otherwise the old mark stays, as in
	 * Linux.
	 */
	if (drift > zone_low_minus_min(zone))
		atomic_store_explicit(&zone->drift_mark, zone_mark(zone, WMARK_HIGH) + drift,
				      memory_order_relaxed);
}

void vmstat_thresholds_setup(struct neap_machine *m)
{
	uint32_t cpus = m->nr_online;

	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		struct node *node = &m->nodes[n];
		int32_t most = 0;

		for (uint32_t i = 0; i < NR_ZONES; i++) {
			if (!zone_populated(&node->zone[i]))
				continue;
			zone_thresholds_setup(&node->zone[i], cpus);
			if (node->zone[i].threshold_normal > most)
				most = node->zone[i].threshold_normal;
		}
		for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++)
			racy_write(node->cpu[cpu].threshold, most);
	}
}

void vmstat_node_thresholds(struct task *t, struct node *node, bool pressure)
{
	uint32_t cpus = t->machine->nr_online;

	for (uint32_t i = 0; i < NR_ZONES; i++) {
		struct zone *zone = &node->zone[i];

		if (!zone_populated(zone) ||
		    atomic_load_explicit(&zone->drift_mark, memory_order_relaxed) == 0)
			continue;
		zone_set_threshold(
			zone, pressure ? vmstat_threshold_pressure(zone_low_minus_min(zone), cpus)
				       : zone->threshold_normal);
	}
}

/* ---- folding ---- */

/* => whether there was anything to fold. Pinned. */
static bool zone_fold(struct task *t, struct zone *zone)
{
	struct pcp *pcp = pcp_of(t, zone);
	bool any = false;

	for (uint32_t item = 0; item < NR_ZONE_ITEMS; item++) {
		int64_t diff = racy_read(pcp->diff[item]);

		if (diff == 0)
			continue;
		racy_write(pcp->diff[item], 0);
		zone_stat_carry(zone, (enum zone_item)item, diff);
		any = true;
	}
	return any;
}

/*
 * Pages of another node that this CPU has not used for a while go back: there they are of use.
 * Those of the CPU's own node stay for ever. => pinned
 */
static void zone_age_remote(struct task *t, struct zone *zone)
{
	struct pcp *pcp = pcp_of(t, zone);

	if (pcp->expire == 0 || racy_read(pcp->count) == 0)
		return;
	if (zone->node == t->machine->cpus[task_cpu(t)].node) {
		pcp->expire = 0;
		return;
	}
	if (--pcp->expire == 0)
		pcp_drain(t, zone, racy_read(pcp->batch));
}

static void node_fold(struct task *t, struct node *node)
{
	struct node_cpu *cpu = &node->cpu[task_cpu(t)];

	for (uint32_t item = 0; item < NR_NODE_ITEMS; item++) {
		int64_t diff = racy_read(cpu->diff[item]);

		if (diff == 0)
			continue;
		racy_write(cpu->diff[item], 0);
		node_stat_carry(node, (enum node_item)item, diff);
	}
}

static void fold_visited(struct task *t, bool age)
{
	struct neap_machine *m = t->machine;

	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		struct node *node = &m->nodes[n];

		for (uint32_t i = 0; i < NR_ZONES; i++) {
			struct zone *zone = &node->zone[i];

			if (!zone_populated(zone))
				continue;
			if (zone_fold(t, zone))
				pcp_of(t, zone)->expire = REMOTE_EXPIRE_FOLDS;
			if (age)
				zone_age_remote(t, zone);
		}
		node_fold(t, node);
	}
}

static void fold_cpu(struct task *t, uint32_t cpu, bool age)
{
	struct cpu_visit visit;

	if (!cpu_visit(t, cpu, &visit))
		return;
	fold_visited(t, age);
	cpu_leave(t, &visit);
}

void vmstat_fold_pinned(struct task *t)
{
	fold_visited(t, false);
}

void vmstat_fold_cpu(struct task *t, uint32_t cpu)
{
	fold_cpu(t, cpu, true);
}

void vmstat_fold_all(struct task *t, struct neap_machine *m)
{
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++)
		if (machine_cpu_online(m, cpu))
			fold_cpu(t, cpu, false);
}
