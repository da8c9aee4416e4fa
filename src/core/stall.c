/*
 * A histogram of how long programs were held up.
 *
 * Each CPU has 64 x 8 buckets: the power of two of the duration in nanoseconds,
 * and the next three bits below it, so that a bucket is at most 12.5 % wide. A
 * quantile is the upper edge of the bucket in which it falls.
 *
 *   ns = 1xyz....b  ->  bucket [position of the 1][xyz]
 *
 * Nothing here may change what the engine does; the times themselves come from
 * the caller, who read the clock around a fault or a slow allocation.
 *
 * Linux has nothing alike; PSI (spec 14) measures the machine, this measures the
 * single wait.
 */
#include "core/stall.h"

#include "core/racy.h"

static void stall_bucket(uint64_t ns, uint32_t *power, uint32_t *step)
{
	*power = ns == 0 ? 0 : fls_u64(ns) - 1;
	*step = *power < 3 ? 0 : (uint32_t)(ns >> (*power - 3)) & 7;
}

/* The largest duration that falls into the bucket. */
static uint64_t stall_bucket_edge_ns(uint32_t power, uint32_t step)
{
	if (power < 3)
		return ((uint64_t)2 << power) - 1;
	return (((uint64_t)8 + step + 1) << (power - 3)) - 1;
}

void stall_record(struct task *t, uint64_t ns)
{
	uint32_t power, step;

	stall_bucket(ns, &power, &step);
	struct cpu_slot *pinned = cpu_pin_leaf(t);
	struct cpu *cpu = task_cpu_data(t);

	racy_add(cpu->stall_bucket[power][step], 1);
	racy_add(cpu->stall_count, 1);
	racy_add(cpu->stall_total_ns, ns);
	racy_write(cpu->stall_max_ns, max_u64(racy_read(cpu->stall_max_ns), ns));
	cpu_unpin_leaf(t, pinned);
}

/* Duration below which `rank` stalls (1..count) lie. */
static uint64_t stall_quantile_ns(const struct neap_machine *m, uint64_t rank)
{
	uint64_t seen = 0;

	for (uint32_t power = 0; power < 64; power++) {
		for (uint32_t step = 0; step < 8; step++) {
			for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++)
				seen += racy_read(m->cpus[cpu].stall_bucket[power][step]);
			if (seen >= rank)
				return stall_bucket_edge_ns(power, step);
		}
	}
	return 0;
}

void stall_summarize(const struct neap_machine *m, struct stall_summary *out)
{
	*out = (struct stall_summary){ 0 };
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		const struct cpu *c = &m->cpus[cpu];

		out->count += racy_read(c->stall_count);
		out->total_ns += racy_read(c->stall_total_ns);
		out->max_ns = max_u64(out->max_ns, racy_read(c->stall_max_ns));
	}
	if (out->count == 0)
		return;
	out->p50_ns = min_u64(out->max_ns, stall_quantile_ns(m, (out->count + 1) / 2));
	out->p99_ns = min_u64(out->max_ns, stall_quantile_ns(m, out->count - out->count / 100));
}
