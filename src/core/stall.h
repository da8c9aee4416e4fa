/* How long programs were held up: a histogram per CPU (neap_stalls). */
#ifndef NEAP_CORE_STALL_H
#define NEAP_CORE_STALL_H

#include "core/machine.h"

/* Counts one stall of ns. */
void stall_record(struct task *t, uint64_t ns);
/* Sum over CPUs: count, total, maximum, and the given per mille of the distribution, in ns. */
struct stall_summary {
	uint64_t count, total_ns, max_ns, p50_ns, p99_ns;
};
void stall_summarize(const struct neap_machine *m, struct stall_summary *out);

#endif
