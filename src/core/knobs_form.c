/*
 * knobs_form.c: the forms that files have.
 *
 *   form        files                       what a write accepts
 *   INT, WIDE   most of /proc/sys/vm        a number; what follows after a blank is not consumed
 *   RATIOS      lowmem_reserve_ratio        anything: numbers up to the first that is none
 *   ORDER       numa_zonelist_order         d, D, n, N and whatever comes behind
 *   COMPACT     compact_memory, nodeN       anything
 *   REFRESH     stat_refresh                anything
 *   CHOICE      transparent_hugepage/...    one of the words
 *   NUMBER      khugepaged/...              a number and a newline
 *   LRU_GEN     lru_gen/enabled             y, n, or bits
 *   PSI         pressure/memory             a trigger
 *   PROC        zoneinfo, vmstat ...        nothing: -EIO;  FIXED: -EACCES
 *
 * A write of no bytes reaches the files of /proc/sys and is a success there, except where the
 * first character decides; files of /sys never see it.
 *
 * lowmem_reserve_ratio never fails. If its first number is none, nothing is stored and all bytes
 * count as consumed; if a later one is none, the bytes up to it. Negative ratios become 0 after
 * the last was stored.
 *
 * What must never happen: a value outside its range in struct knobs by a write. Taking over a
 * saved value looks only at whether it fits, because 0 is the default of files that refuse 0.
 *
 * Linux: kernel/sysctl.c (do_proc_dointvec, do_proc_doulongvec_minmax), mm/page_alloc.c,
 * mm/compaction.c, mm/huge_memory.c, mm/khugepaged.c, mm/shmem.c, mm/vmscan.c (lru_gen),
 * mm/swap_state.c, kernel/sched/psi.c, fs/proc/inode.c; 6.1. DIFF: writes of 4 MiB and more are
 * -ENOMEM there.
 */
#include "core/knobs_form.h"

#include <errno.h>
#include <string.h>

#define PROC_BYTES_MAX 4095u /* of a write to a number file; the rest is neither read nor left */
#define SYSFS_BYTES_MAX 4096u
#define LRU_GEN_BITS 7u
#define TICK_MS 4u			    /* HZ 250 */
#define TTL_FOREVER_MS UINT32_C(4294967288) /* what 2147483648 ms and more read back as */

static bool item_is_wide(const struct knob_item *item)
{
	return item->form == FORM_WIDE || item->form == FORM_NUMBER || item->form == FORM_FIXED;
}

uint64_t knob_form_value(const struct knobs *k, const struct knob_item *item)
{
	const void *at = (const char *)k + item->offset;

	if (item_is_wide(item))
		return knobs_get_wide(at);
	return (uint64_t)(int64_t)knobs_get(at);
}

void knob_form_store(struct knobs *k, const struct knob_item *item, uint64_t value)
{
	void *at = (char *)k + item->offset;

	if (item_is_wide(item))
		atomic_store_explicit((_Atomic uint64_t *)at, value, memory_order_relaxed);
	else
		atomic_store_explicit((_Atomic int32_t *)at, (int32_t)value, memory_order_relaxed);
}

/* The value is in the file; what follows from it may still refuse it. => 0 or negative errno */
static int settle(struct knobs *k, const struct knob_item *item, uint64_t value,
		  struct knob_effects *effects)
{
	struct knob_change change = { .before = knob_form_value(k, item), .after = value };

	knob_form_store(k, item, value);
	int err = item->after(k, &change, effects);

	if (err != 0)
		knob_form_store(k, item, change.before);
	return err;
}

/* ---- numbers of /proc/sys ---- */

/* Whether the file takes the number. => and *value, its bits */
static bool number_accepted(const struct knob_item *item, uint64_t magnitude, bool negative,
			    uint64_t *value)
{
	int32_t number;

	if (item_is_wide(item)) {
		*value = magnitude;
		return !negative && magnitude >= (uint64_t)item->lowest &&
		       magnitude <= item->highest;
	}
	if (!knobs_text_is_int(magnitude, negative, &number))
		return false;
	*value = (uint64_t)(int64_t)number;
	return number >= item->lowest && number <= (int64_t)item->highest;
}

static int64_t write_number(struct knobs *k, const struct knob_item *item,
			    const struct knobs_in *in, struct knob_effects *effects)
{
	struct knobs_in rest = *in;
	uint64_t value = knob_form_value(k, item);
	uint64_t magnitude;
	bool negative;
	int err;

	if (in->left != 0) {
		rest.left = min_u64(in->left, PROC_BYTES_MAX);
		knobs_text_skip_blanks(&rest);
		if (rest.left == 0 || knobs_text_number(&rest, &magnitude, &negative) != 0 ||
		    !number_accepted(item, magnitude, negative, &value))
			return -EINVAL;
		knobs_text_skip_blanks(&rest);
	}
	err = settle(k, item, value, effects);
	return err != 0 ? err : (int64_t)(in->left - rest.left);
}

static int read_number(const struct knobs *k, const struct knob_item *item, struct knobs_out *out)
{
	if (item_is_wide(item))
		knobs_text_put_unsigned(out, knob_form_value(k, item));
	else
		knobs_text_put_int(out, (int64_t)knob_form_value(k, item));
	return 0;
}

static int parse_number(struct knobs *k, const struct knob_item *item, const struct knobs_in *in)
{
	struct knobs_in rest = *in;
	uint64_t magnitude;
	int32_t number;
	bool negative;

	if (knobs_text_number(&rest, &magnitude, &negative) != 0 || rest.left != 0)
		return -EINVAL;
	if (item_is_wide(item) && !negative) {
		knob_form_store(k, item, magnitude);
		return 0;
	}
	if (item_is_wide(item) || !knobs_text_is_int(magnitude, negative, &number))
		return -EINVAL;
	knob_form_store(k, item, (uint64_t)(int64_t)number);
	return 0;
}

/* ---- lowmem_reserve_ratio ---- */

static void store_ratio(struct knobs *k, uint32_t zone, int32_t ratio)
{
	atomic_store_explicit(&k->lowmem_reserve_ratio[zone], ratio, memory_order_relaxed);
}

static int64_t write_ratios(struct knobs *k, const struct knob_item *item,
			    const struct knobs_in *in, struct knob_effects *effects)
{
	struct knobs_in rest = { in->at, min_u64(in->left, PROC_BYTES_MAX) };
	uint32_t stored = 0;
	bool wrong = false;

	(void)item;
	while (stored < NEAP_NR_ZONES && rest.left > 0 && !wrong) {
		uint64_t magnitude;
		bool negative;
		int32_t ratio;

		knobs_text_skip_blanks(&rest);
		if (rest.left == 0)
			break;
		wrong = knobs_text_number(&rest, &magnitude, &negative) != 0 ||
			!knobs_text_is_int(magnitude, negative, &ratio);
		if (!wrong)
			store_ratio(k, stored++, ratio < 0 ? 0 : ratio);
	}
	effects->what |= KNOB_PROTECTION;
	if (stored == 0)
		return (int64_t)in->left;
	if (!wrong)
		knobs_text_skip_blanks(&rest);
	return (int64_t)(in->left - rest.left);
}

static int read_ratios(const struct knobs *k, const struct knob_item *item, struct knobs_out *out)
{
	(void)item;
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
		if (i != 0)
			knobs_text_put_char(out, '\t');
		knobs_text_put_int(out, knobs_get(&k->lowmem_reserve_ratio[i]));
	}
	return 0;
}

/* Kernels with other zones have another number of ratios, whose meaning is not ours. */
static int parse_ratios(struct knobs *k, const struct knob_item *item, const struct knobs_in *in)
{
	struct knobs_in rest = *in;
	int32_t ratio[NEAP_NR_ZONES];

	(void)item;
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
		uint64_t magnitude;
		bool negative;

		knobs_text_skip_blanks(&rest);
		if (knobs_text_number(&rest, &magnitude, &negative) != 0 ||
		    !knobs_text_is_int(magnitude, negative, &ratio[i]))
			return -EINVAL;
	}
	if (rest.left != 0)
		return -EINVAL;
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
		store_ratio(k, i, ratio[i]);
	return 0;
}

/* ---- files of /proc/sys whose text hardly matters ---- */

static int64_t write_zonelist_order(struct knobs *k, const struct knob_item *item,
				    const struct knobs_in *in, struct knob_effects *effects)
{
	(void)k;
	(void)item;
	(void)effects;
	if (in->left == 0 || knobs_text_find("dDnN", 4, in->at[0]) == 4)
		return -EINVAL;
	return (int64_t)in->left;
}

static int read_zonelist_order(const struct knobs *k, const struct knob_item *item,
			       struct knobs_out *out)
{
	(void)k;
	(void)item;
	knobs_text_put(out, "Node", 4);
	return 0;
}

/* The saved word has no effect; it is only known to be one. */
static int parse_zonelist_order(struct knobs *k, const struct knob_item *item,
				const struct knobs_in *in)
{
	(void)k;
	(void)item;
	return in->left != 0 ? 0 : -EINVAL;
}

static int64_t write_compact(struct knobs *k, const struct knob_item *item,
			     const struct knobs_in *in, struct knob_effects *effects)
{
	(void)k;
	if (item->form == FORM_COMPACT_ALL)
		effects->node = -1;
	else if (in->left == 0)
		return 0;
	effects->what |= KNOB_COMPACT;
	return (int64_t)in->left;
}

static int64_t write_refresh(struct knobs *k, const struct knob_item *item,
			     const struct knobs_in *in, struct knob_effects *effects)
{
	(void)k;
	(void)item;
	effects->what |= KNOB_FOLD;
	return (int64_t)in->left;
}

/* ---- /sys ---- */

/* One of the words of a list. => its position, or -1 */
static int32_t find_word(const char *words, const struct knobs_in *in)
{
	const char *at = words;

	for (int32_t i = 0; *at != '\0'; i++) {
		size_t bytes = knobs_text_find(at, strlen(at), ' ');

		if (knobs_text_is_word(in, at, bytes))
			return i;
		at += bytes + (at[bytes] != '\0' ? 1 : 0);
	}
	return -1;
}

/* What a file of /sys sees of a write. => bytes that count as written */
static int64_t sysfs_clip(const struct knobs_in *in, struct knobs_in *clipped)
{
	*clipped = (struct knobs_in){ in->at, min_u64(in->left, SYSFS_BYTES_MAX) };
	return (int64_t)clipped->left;
}

static int64_t write_choice(struct knobs *k, const struct knob_item *item,
			    const struct knobs_in *in, struct knob_effects *effects)
{
	struct knobs_in text;
	int64_t used = sysfs_clip(in, &text);
	int32_t position;

	if (used == 0)
		return 0;
	position = find_word(item->words, &text);
	if (position < 0)
		return -EINVAL;
	int err = settle(k, item, (uint64_t)position, effects);

	return err != 0 ? err : used;
}

static int read_choice(const struct knobs *k, const struct knob_item *item, struct knobs_out *out)
{
	int32_t chosen = (int32_t)knob_form_value(k, item);
	const char *at = item->words;

	for (int32_t i = 0; *at != '\0'; i++) {
		size_t bytes = knobs_text_find(at, strlen(at), ' ');

		if (i == chosen)
			knobs_text_put_char(out, '[');
		knobs_text_put(out, at, bytes);
		if (i == chosen)
			knobs_text_put_char(out, ']');
		if (at[bytes] != '\0')
			knobs_text_put_char(out, ' ');
		at += bytes + (at[bytes] != '\0' ? 1 : 0);
	}
	return 0;
}

/* The word in brackets; other kernels have other words around it. */
static int parse_choice(struct knobs *k, const struct knob_item *item, const struct knobs_in *in)
{
	size_t begin = knobs_text_find(in->at, in->left, '[');
	size_t end = knobs_text_find(in->at, in->left, ']');

	if (end == in->left || begin >= end)
		return -EINVAL;
	struct knobs_in word = { in->at + begin + 1, end - begin - 1 };
	int32_t position = find_word(item->words, &word);

	if (position < 0)
		return -EINVAL;
	knob_form_store(k, item, (uint64_t)position);
	return 0;
}

static int64_t write_sysfs_number(struct knobs *k, const struct knob_item *item,
				  const struct knobs_in *in, struct knob_effects *effects)
{
	struct knobs_in text;
	int64_t used = sysfs_clip(in, &text);
	uint64_t value;

	if (used == 0)
		return 0;
	int err = knobs_text_unsigned(&text, item->base, &value);

	/* The on-off files hand on what the conversion says, the others know one error. */
	if (err != 0)
		return item->base == 0 ? err : -EINVAL;
	if (value < (uint64_t)item->lowest || value > item->highest)
		return -EINVAL;
	err = settle(k, item, value, effects);
	return err != 0 ? err : used;
}

static int parse_sysfs_number(struct knobs *k, const struct knob_item *item,
			      const struct knobs_in *in)
{
	uint64_t value;

	if (knobs_text_unsigned(in, 10, &value) != 0)
		return -EINVAL;
	knob_form_store(k, item, value);
	return 0;
}

/* Nobody may open these for writing, not even to write nothing. */
static int64_t write_fixed(struct knobs *k, const struct knob_item *item, const struct knobs_in *in,
			   struct knob_effects *effects)
{
	(void)k;
	(void)item;
	(void)in;
	(void)effects;
	return -EACCES;
}

/* ---- the multi-generation LRU, read-ahead of swap ---- */

static int64_t write_lru_gen(struct knobs *k, const struct knob_item *item,
			     const struct knobs_in *in, struct knob_effects *effects)
{
	struct knobs_in text;
	int64_t used = sysfs_clip(in, &text);
	uint64_t bits = 0;

	(void)item;
	if (used == 0)
		return 0;
	if (text.at[0] == 'y' || text.at[0] == 'Y')
		bits = LRU_GEN_BITS;
	else if (text.at[0] != 'n' && text.at[0] != 'N' &&
		 (knobs_text_unsigned(&text, 0, &bits) != 0 || bits > UINT32_MAX))
		return -EINVAL;
	atomic_store_explicit(&k->lru_gen_enabled, (int32_t)(bits & LRU_GEN_BITS),
			      memory_order_relaxed);
	effects->what |= KNOB_LRU_GEN;
	return used;
}

static int read_lru_gen(const struct knobs *k, const struct knob_item *item, struct knobs_out *out)
{
	(void)item;
	knobs_text_put_hex4(out, (uint32_t)knobs_get(&k->lru_gen_enabled));
	return 0;
}

static int parse_lru_gen(struct knobs *k, const struct knob_item *item, const struct knobs_in *in)
{
	uint64_t bits;

	(void)item;
	if (knobs_text_unsigned(in, 0, &bits) != 0 || bits > LRU_GEN_BITS)
		return -EINVAL;
	atomic_store_explicit(&k->lru_gen_enabled, (int32_t)bits, memory_order_relaxed);
	return 0;
}

static void store_min_ttl(struct knobs *k, uint64_t ms)
{
	atomic_store_explicit(&k->lru_gen_min_ttl_ms, ms, memory_order_relaxed);
}

/* Kept in ticks, upwards; beyond what a signed number holds it is for ever. */
static int64_t write_min_ttl(struct knobs *k, const struct knob_item *item,
			     const struct knobs_in *in, struct knob_effects *effects)
{
	struct knobs_in text;
	int64_t used = sysfs_clip(in, &text);
	uint64_t ms;

	(void)item;
	(void)effects;
	if (used == 0)
		return 0;
	if (knobs_text_unsigned(&text, 0, &ms) != 0 || ms > UINT32_MAX)
		return -EINVAL;
	store_min_ttl(k, ms > INT32_MAX ? TTL_FOREVER_MS : round_up_u64(ms, TICK_MS));
	return used;
}

static int parse_min_ttl(struct knobs *k, const struct knob_item *item, const struct knobs_in *in)
{
	uint64_t ms;

	(void)item;
	if (knobs_text_unsigned(in, 10, &ms) != 0 || ms > UINT32_MAX)
		return -EINVAL;
	store_min_ttl(k, ms);
	return 0;
}

static int read_min_ttl(const struct knobs *k, const struct knob_item *item, struct knobs_out *out)
{
	(void)item;
	knobs_text_put_unsigned(out, knobs_get_wide(&k->lru_gen_min_ttl_ms));
	return 0;
}

static int parse_vma_ra(struct knobs *k, const struct knob_item *item, const struct knobs_in *in)
{
	bool on;

	(void)item;
	if (knobs_text_bool(in, &on) != 0)
		return -EINVAL;
	atomic_store_explicit(&k->vma_ra_enabled, on ? 1 : 0, memory_order_relaxed);
	return 0;
}

static int64_t write_vma_ra(struct knobs *k, const struct knob_item *item,
			    const struct knobs_in *in, struct knob_effects *effects)
{
	struct knobs_in text;
	int64_t used = sysfs_clip(in, &text);

	(void)effects;
	if (used == 0)
		return 0;
	int err = parse_vma_ra(k, item, &text);

	return err != 0 ? err : used;
}

static int read_vma_ra(const struct knobs *k, const struct knob_item *item, struct knobs_out *out)
{
	bool on = knobs_get(&k->vma_ra_enabled) != 0;

	(void)item;
	knobs_text_put(out, on ? "true" : "false", on ? 4 : 5);
	return 0;
}

/* ---- /proc ---- */

static int64_t write_psi(struct knobs *k, const struct knob_item *item, const struct knobs_in *in,
			 struct knob_effects *effects)
{
	struct knobs_trigger trigger;

	(void)k;
	(void)item;
	if (knobs_text_trigger(in, &trigger) != 0)
		return -EINVAL;
	effects->what |= KNOB_PSI_TRIGGER;
	effects->psi_full = trigger.full;
	effects->psi_threshold_us = trigger.threshold_us;
	effects->psi_window_us = trigger.window_us;
	return (int64_t)in->left;
}

static int64_t write_proc(struct knobs *k, const struct knob_item *item, const struct knobs_in *in,
			  struct knob_effects *effects)
{
	(void)k;
	(void)item;
	(void)in;
	(void)effects;
	return -EIO;
}

/* ---- the table ---- */

static int read_denied(const struct knobs *k, const struct knob_item *item, struct knobs_out *out)
{
	(void)k;
	(void)item;
	(void)out;
	return -EACCES;
}

static int parse_denied(struct knobs *k, const struct knob_item *item, const struct knobs_in *in)
{
	(void)k;
	(void)item;
	(void)in;
	return -EACCES;
}

static int read_elsewhere(const struct knobs *k, const struct knob_item *item,
			  struct knobs_out *out)
{
	(void)k;
	(void)item;
	(void)out;
	return -ENODATA;
}

static int parse_elsewhere(struct knobs *k, const struct knob_item *item, const struct knobs_in *in)
{
	(void)k;
	(void)item;
	(void)in;
	return -ENODATA;
}

const struct knob_form_ops knob_forms[NR_KNOB_FORMS] = {
	[FORM_INT] = { write_number, read_number, parse_number },
	[FORM_PUSH] = { write_number, read_denied, parse_denied },
	[FORM_WIDE] = { write_number, read_number, parse_number },
	[FORM_CHOICE] = { write_choice, read_choice, parse_choice },
	[FORM_NUMBER] = { write_sysfs_number, read_number, parse_sysfs_number },
	[FORM_FIXED] = { write_fixed, read_number, parse_sysfs_number },
	[FORM_RATIOS] = { write_ratios, read_ratios, parse_ratios },
	[FORM_ZONELIST_ORDER] = { write_zonelist_order, read_zonelist_order, parse_zonelist_order },
	[FORM_COMPACT_ALL] = { write_compact, read_denied, parse_denied },
	[FORM_COMPACT_NODE] = { write_compact, read_denied, parse_denied },
	[FORM_REFRESH] = { write_refresh, read_elsewhere, parse_elsewhere },
	[FORM_LRU_GEN] = { write_lru_gen, read_lru_gen, parse_lru_gen },
	[FORM_MIN_TTL] = { write_min_ttl, read_min_ttl, parse_min_ttl },
	[FORM_VMA_RA] = { write_vma_ra, read_vma_ra, parse_vma_ra },
	[FORM_PSI] = { write_psi, read_elsewhere, parse_elsewhere },
	[FORM_PROC] = { write_proc, read_elsewhere, parse_elsewhere },
};
