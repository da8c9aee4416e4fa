/* What a machine has against what a recording says: one difference, described. */
#ifndef NEAP_CMD_PROBE_COMPARE_H
#define NEAP_CMD_PROBE_COMPARE_H

#include "cmd/probe_guess.h"
#include "cmd/probe_machine.h"

/*
 * Compares pm->result with the recorded result of the operation. Appends lines to `out` if there is
 * a difference; after: the recorded state at the end of the burst, NULL if there is none.
 * => whether all is equal
 */
bool probe_compare_op(struct probe_machine *pm, const struct probe_op *op,
		      const struct probe_state *after, struct text_buf *out);

/*
 * What follows from a theft that is recorded with another decision about the pageblock's type than
 * was made here, and is otherwise the same. => .block 0: the operation's first difference is
 * another one
 */
struct probe_claim probe_compare_claim(const struct probe_machine *pm, const struct probe_op *op);

/* Compares the machine with a recorded state; the first difference is described. */
bool probe_compare_state(struct probe_machine *pm, const struct probe_state *state,
			 struct text_buf *out);

/* Appends the operation as the recording spells it, without its result. */
void probe_describe_op(const struct probe_op *op, struct text_buf *out);

#endif
