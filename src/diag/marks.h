/*
 * The marks of one machine: as it prints them, as they would be computed now, under other settings,
 * and which settings would give wanted ones.
 */
#ifndef NEAP_DIAG_MARKS_H
#define NEAP_DIAG_MARKS_H

#include "core/knobs.h"
#include "core/plan.h"
#include "core/snapshot.h"
#include "diag/stale.h"
#include "text/buf.h"
#include "text/doc.h"

struct marks_machine {
	struct knobs knobs;  /* its settings */
	struct plan printed; /* marks, protection and limits as the machine says them */
	struct plan fresh;   /* everything recomputed from the same sizes and knobs */
	struct stale stale;
	bool min_free_guessed; /* min_free_kbytes and the factor come from the marks */
	bool limits_tuned;     /* CPUs differ in their list limits: a kernel that tunes them */
	bool extra;	       /* low holds more than min and gap: a patched kernel */
};

/*
 * What can be said about a snapshot's marks.
 * => 0 and *out, to be freed with free(); -EINVAL a setting is not understood; -ENOMEM
 */
MUST_CHECK int marks_machine_new(const struct snapshot *snapshot, struct marks_machine **out,
				 struct text_error *err);
/*
 * The same from the files of a directory (text/load.h), of which only zoneinfo, the nodes' CPUs and
 * the settings are read: the others do not matter here, and some are slow on a live machine.
 * => 0 and *out, err->message empty or a warning; else a negative errno with *err filled
 */
MUST_CHECK int marks_machine_load(const char *dir, struct marks_machine **out,
				  struct text_error *err);

/*
 * The machine after some writes, "NAME=VALUE" or several with commas between (diag/settings.h).
 * => 0 and *out; -EINVAL with *err filled
 */
MUST_CHECK int marks_apply(const struct marks_machine *machine, const char *writes,
			   struct plan *out, struct text_error *err);

/* ---- the inverse ---- */

/* A wanted distance between the low and the min mark, all zones together. */
struct marks_want {
	const char *text;    /* as given */
	uint64_t pages;	     /* the distance */
	bool burst;	     /* it is the size of a burst */
	uint64_t rate_bytes; /* of the burst, in one second */
	uint64_t time_ns;
};

/* "low-min=2G" or "absorb=500M/s:200ms". => 0, or -EINVAL with *err filled */
MUST_CHECK int marks_want_parse(const char *text, struct marks_want *want, struct text_error *err);

/* One knob that can fulfil a want. */
struct marks_answer {
	const char *name;
	bool reachable; /* with a value the kernel accepts and marks that fit the memory */
	int64_t value;	/* the least that fulfils it; else the largest possible */
	struct plan_totals totals;
	uint64_t reserve_pages; /* memory that MemAvailable leaves out */
};

#define MARKS_NR_ANSWERS 2u

/* scratch: any contents */
void marks_answer(const struct marks_machine *machine, const struct marks_want *want,
		  struct plan *scratch, struct marks_answer *answers);

/* ---- text, at most 80 columns ---- */

/* The marks with their terms, and whether they follow from the sizes. */
void marks_add(struct text_buf *out, const struct marks_machine *machine);
/* Several settings side by side; plans[0] is the machine as it is. */
void marks_columns_add(struct text_buf *out, const char *const *labels,
		       const struct plan *const *plans, uint32_t nr_plans);
void marks_answer_add(struct text_buf *out, const struct marks_machine *machine,
		      const struct marks_want *want, const struct marks_answer *answers);
/* One sentence or more on stale marks, each on a line; nothing if all follow. */
void marks_stale_add(struct text_buf *out, const struct marks_machine *machine);

#endif
