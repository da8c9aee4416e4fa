/*
 * Counters: levels of zones and nodes with per-CPU differences, and events on
 * the CPU's meter (spec 04, section 2).
 *
 * A level is an atomic sum plus one signed byte per CPU; a CPU adds to its own
 * byte and carries over when the byte passes the CPU's threshold, so that hot
 * paths touch no shared line. Reads may therefore lag by CPUs x threshold;
 * *_exact() adds the differences. Modifying needs the CPU's word (cpu_pin).
 */
#ifndef NEAP_CORE_VMSTAT_H
#define NEAP_CORE_VMSTAT_H

#include "core/machine.h"

/* No difference of a CPU is beyond it in either direction: it is one byte. */
#define VMSTAT_THRESHOLD_MOST 125
#include "core/racy.h"

/* Adds n to an event or hidden item of this CPU. => pinned */
static ALWAYS_INLINE void event_add_pinned(struct task *t, enum meter_item item, uint64_t n)
{
	cpu_assert_pinned(t);
	slot_count_event(t->slot, item, n);
}

/* event_add() where a pin takes longer. */
void event_add_slow(struct task *t, enum meter_item item, uint64_t n);

/* The same from anywhere that may pin. */
static ALWAYS_INLINE void event_add(struct task *t, enum meter_item item, uint64_t n)
{
	struct cpu_slot *slot = t->slot;

	if (likely(cpu_pin_brief(t, slot))) {
		slot_count_event(slot, item, n);
		cpu_unpin_brief(t, slot);
		return;
	}
	event_add_slow(t, item, n);
}

/* Adds to the shared sums directly. For the functions below and for folding. */
void zone_stat_carry(struct zone *zone, enum zone_item item, int64_t delta);
void node_stat_carry(struct node *node, enum node_item item, int64_t delta);

/* Beyond +-threshold, in one comparison. */
static ALWAYS_INLINE bool stat_must_carry(int64_t sum, int64_t threshold)
{
	return (uint64_t)(sum + threshold) > (uint64_t)(2 * threshold);
}

/* => pinned; any delta */
static inline void zone_stat_add(struct task *t, struct zone *zone, enum zone_item item,
				 int64_t delta)
{
	cpu_assert_pinned(t);
	struct pcp *pcp = &zone->pcp[task_cpu(t)];
	int64_t sum = racy_read(pcp->diff[item]) + delta;
	int64_t threshold = racy_read(pcp->threshold);

	if (unlikely(stat_must_carry(sum, threshold))) {
		zone_stat_carry(zone, item, sum);
		sum = 0;
	}
	racy_write(pcp->diff[item], (int8_t)sum);
}

/*
 * zone_stat_add() of the same positive delta, nr times, but for the carries. => pinned; their sum,
 * for zone_stat_carry()
 */
int64_t MUST_CHECK zone_stat_each(struct task *t, struct zone *zone, enum zone_item item,
				  int64_t delta, uint32_t nr);

static inline void zone_stat_add_each(struct task *t, struct zone *zone, enum zone_item item,
				      int64_t delta, uint32_t nr)
{
	int64_t carry = zone_stat_each(t, zone, item, delta, nr);

	if (carry != 0)
		zone_stat_carry(zone, item, carry);
}

static inline void node_stat_add(struct task *t, struct node *node, enum node_item item,
				 int64_t delta)
{
	cpu_assert_pinned(t);
	struct node_cpu *cpu = &node->cpu[task_cpu(t)];
	int64_t sum = racy_read(cpu->diff[item]) + delta;
	int64_t threshold = racy_read(cpu->threshold);

	if (unlikely(stat_must_carry(sum, threshold))) {
		node_stat_carry(node, item, sum);
		sum = 0;
	}
	racy_write(cpu->diff[item], (int8_t)sum);
}

/* node_stat_add() of the same small delta, nr times. => pinned */
static inline void node_stat_add_each(struct task *t, struct node *node, enum node_item item,
				      int64_t delta, uint32_t nr)
{
	cpu_assert_pinned(t);
	struct node_cpu *cpu = &node->cpu[task_cpu(t)];
	int64_t sum = racy_read(cpu->diff[item]);
	int64_t threshold = racy_read(cpu->threshold);

	for (uint32_t i = 0; i < nr; i++) {
		sum += delta;
		if (unlikely(stat_must_carry(sum, threshold))) {
			node_stat_carry(node, item, sum);
			sum = 0;
		}
	}
	racy_write(cpu->diff[item], (int8_t)sum);
}

/*
 * By exactly one up or down, as Linux's inc_ and dec_ functions do it: a carry overshoots by half
 * the threshold, so that a counter which moves in one direction carries half as often. => pinned
 */
void zone_stat_inc(struct task *t, struct zone *zone, enum zone_item item);
void zone_stat_dec(struct task *t, struct zone *zone, enum zone_item item);
void node_stat_inc(struct task *t, struct node *node, enum node_item item);
void node_stat_dec(struct task *t, struct node *node, enum node_item item);

/* Levels as /proc prints them: never negative, per-CPU differences not included. */
static inline uint64_t stat_floor(int64_t value)
{
	return value > 0 ? (uint64_t)value : 0;
}

static inline uint64_t zone_stat(const struct zone *zone, enum zone_item item)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;

	return stat_floor(atomic_load_explicit(&z->stat[item], memory_order_relaxed));
}

static inline uint64_t node_stat(const struct node *node, enum node_item item)
{
	struct node *n = (struct node *)(uintptr_t)node;

	return stat_floor(atomic_load_explicit(&n->stat[item], memory_order_relaxed));
}

static inline uint64_t machine_zone_stat(struct neap_machine *m, enum zone_item item)
{
	return stat_floor(atomic_load_explicit(&m->zone_stat[item], memory_order_relaxed));
}

static inline uint64_t machine_node_stat(struct neap_machine *m, enum node_item item)
{
	return stat_floor(atomic_load_explicit(&m->node_stat[item], memory_order_relaxed));
}

/* With the differences of all CPUs: exact while nothing changes. Reads other CPUs' bytes racily. */
uint64_t zone_stat_exact(const struct zone *zone, enum zone_item item);
uint64_t node_stat_exact(const struct node *node, enum node_item item);

/* Sum of a zone's NUMA event over all CPUs; 0 while they are switched off (numa_stat). */
uint64_t zone_numa(const struct zone *zone, enum numa_item item);
/* numa_stat changed: NUMA events begin at 0. => nothing held */
void vmstat_numa_reset(struct task *t, struct neap_machine *m);
uint64_t machine_numa(const struct neap_machine *m, enum numa_item item);

/* Sum of an event over all CPUs. */
uint64_t machine_event(const struct neap_machine *m, enum meter_item item);

/* Normal and pressure thresholds of a zone's differences on a machine of `cpus` CPUs (spec 04). */
int32_t vmstat_threshold_normal(uint64_t managed, uint32_t cpus);
int32_t vmstat_threshold_pressure(uint64_t low_minus_min, uint32_t cpus);
/* Thresholds and drift marks of every zone and node (spec 04, "Thresholds"): boot, hot-plug. */
void vmstat_thresholds_setup(struct neap_machine *m);
/* kswapd of this node wakes (pressure) or goes to sleep (normal): zones with a drift mark only. */
void vmstat_node_thresholds(struct task *t, struct node *node, bool pressure);
/* Folds this CPU's differences into the sums, and ages remote per-CPU lists. => pins itself */
void vmstat_fold_cpu(struct task *t, uint32_t cpu);
/* Folds the differences of the CPU that is pinned. */
void vmstat_fold_pinned(struct task *t);
/* All CPUs, one after the other (stat_refresh; before verification). */
void vmstat_fold_all(struct task *t, struct neap_machine *m);

/*
 * Value of a counter by its name in any class but the write-back limits, summed over the machine as
 * /proc/vmstat does (huge page items in base pages, pgpgin and pgpgout in sectors); hidden items,
 * too.
 */
uint64_t vmstat_by_name(struct neap_machine *m, const char *name, bool *found);

#endif
