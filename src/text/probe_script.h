/*
 * Scripts of recorded allocator decisions: what the recorder was asked to do. The recording has the
 * operations and their results; what it leaves out is here (drained lists, freed slots, the rights
 * of the task).
 */
#ifndef NEAP_TEXT_PROBE_SCRIPT_H
#define NEAP_TEXT_PROBE_SCRIPT_H

#include "text/doc.h"

#define PROBE_SCRIPT_LABEL_BYTES 48u /* what the recorder keeps of a label */

/* A burst with operations, and what was so when it began. */
struct probe_script_burst {
	char label[PROBE_SCRIPT_LABEL_BYTES];
	uint32_t line;
	uint32_t nr_ops;
	uint32_t nr_freeslots; /* how often all slots had been freed since the beginning */
	uint16_t cpu;	       /* of the task itself; others are held by kernel threads */
	bool states;	       /* recorded with the states before and after */
	bool memalloc;	       /* the task has PF_MEMALLOC */
	bool realtime;	       /* the task has a real-time policy */
	bool drained;	       /* nothing was allocated since all per-CPU lists were emptied */
};

struct probe_script {
	struct probe_script_burst *bursts;
	uint32_t nr_bursts;
};

/*
 * Parses a whole script. The text need not be terminated.
 * => 0 and *out, to be freed with probe_script_free(); -EINVAL with *err filled, -EFBIG, -ENOMEM
 */
MUST_CHECK int probe_script_parse(const struct text_input *in, struct probe_script *out,
				  struct text_error *err);
void probe_script_free(struct probe_script *script);

#endif
