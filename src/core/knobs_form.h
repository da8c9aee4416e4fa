/* How each kind of file is written, read and taken over: the inside of core/knobs.c. */
#ifndef NEAP_CORE_KNOBS_FORM_H
#define NEAP_CORE_KNOBS_FORM_H

#include "core/knobs_after.h"
#include "core/knobs_text.h"

/* Forms of files (spec 05, sections 7 and 8). */
enum knob_form {
	FORM_INT,
	FORM_PUSH, /* an int that cannot be read */
	FORM_WIDE,
	FORM_CHOICE,
	FORM_NUMBER,
	FORM_FIXED,
	FORM_RATIOS,
	FORM_ZONELIST_ORDER,
	FORM_COMPACT_ALL,
	FORM_COMPACT_NODE,
	FORM_REFRESH,
	FORM_LRU_GEN,
	FORM_MIN_TTL,
	FORM_VMA_RA,
	FORM_PSI,
	FORM_PROC,
	NR_KNOB_FORMS,
};

/* One line of sysctl_items.def. */
struct knob_item {
	const char *path; /* name below /proc/sys/vm, or the whole path */
	enum knob_form form;
	enum knob_kind kind;
	size_t offset;	  /* of the value in struct knobs, for the first six forms */
	uint64_t initial; /* bits; an int is extended with its sign */
	int64_t lowest;
	uint64_t highest;
	uint32_t base;	   /* FORM_NUMBER */
	const char *words; /* FORM_CHOICE */
	knob_after after;
};

struct knob_form_ops {
	/* `in` is the whole text. => bytes consumed or negative errno, as knobs_write() */
	int64_t (*write)(struct knobs *k, const struct knob_item *item, const struct knobs_in *in,
			 struct knob_effects *effects);
	/* Appends the text without its newline. => 0 or negative errno */
	int (*read)(const struct knobs *k, const struct knob_item *item, struct knobs_out *out);
	/* `in` is the text without its newline. => 0 or negative errno */
	int (*parse)(struct knobs *k, const struct knob_item *item, const struct knobs_in *in);
};

extern const struct knob_form_ops knob_forms[NR_KNOB_FORMS];

/* The bits of a value of one of the first six forms. */
uint64_t knob_form_value(const struct knobs *k, const struct knob_item *item);
void knob_form_store(struct knobs *k, const struct knob_item *item, uint64_t value);

#endif
