/*
 * knobs.c: the table of all files that set Linux's memory management.
 *
 *   sysctl_items.def ── one line a file ──> struct knobs     the values (knobs.h)
 *                                      └──> items[] below    path, form, range, what follows
 *
 *   path ── find ──> item ── its form ──> write │ read │ parse      (knobs_form.c)
 *                                           │
 *                                           └──> after ──> knob_effects  (knobs_after.c)
 *
 * A name without a slash is a file of /proc/sys/vm; other files go by their whole path. One line
 * stands for the file of every node; which nodes there are is among the values.
 *
 * The table serves machines that run and machines that exist as saved files alike. It performs
 * nothing: what a write is followed by comes back as flags, so that each user can do what the
 * word means for it, or refuse.
 *
 * Invariants:
 *   1. parse(read(x)) = x for every file that can be read
 *   2. a write that fails changes no value
 *   3. a value is inside the range of its line after every write
 *
 * What must never happen: two writers at once; they would mix what follows. Readers of single
 * values need no lock.
 *
 * Linux: the ctl_table arrays of kernel/sysctl.c and mm/, and the sysfs attributes of mm/; 6.1.
 */
#include "core/knobs.h"

#include <errno.h>
#include <string.h>

#include "core/knobs_form.h"

#define RESERVE_SHARE 32u /* of free memory */
#define ADMIN_RESERVE_MOST_KBYTES (8 * KIB)
#define USER_RESERVE_MOST_KBYTES (128 * KIB)
#define THP_PAGES_LEAST (512 * MIB / NEAP_PAGE_BYTES)
#define THP_DEFRAG_MADVISE 3 /* positions of words */
#define THP_DEFRAG_NEVER 4

#define ACTS KNOB_ACTS
#define STORED KNOB_STORED
#define NOT_YET KNOB_NOT_YET

static const struct knob_item items[] = {
#define PROC_NUMBER(id, name, which, initial_, lowest_, highest_, after_, kind_)                   \
	{ .path = name,                                                                            \
	  .form = which,                                                                           \
	  .kind = kind_,                                                                           \
	  .offset = offsetof(struct knobs, id),                                                    \
	  .initial = initial_,                                                                     \
	  .lowest = lowest_,                                                                       \
	  .highest = highest_,                                                                     \
	  .after = knob_after_##after_ },
#define SYSCTL(id, name, initial, lowest, highest, after, kind)                                    \
	PROC_NUMBER(id, name, FORM_INT, initial, lowest, highest, after, kind)
#define SYSCTL_PUSH(id, name, initial, lowest, highest, after, kind)                               \
	PROC_NUMBER(id, name, FORM_PUSH, initial, lowest, highest, after, kind)
#define SYSCTL_WIDE(id, name, initial, lowest, highest, after, kind)                               \
	PROC_NUMBER(id, name, FORM_WIDE, initial, lowest, highest, after, kind)
#define SYSCTL_FORM(name, form_, kind_) { .path = name, .form = form_, .kind = kind_ },
#define KNOB_CHOICE(id, path_, words_, initial_, after_, kind_)                                    \
	{ .path = path_,                                                                           \
	  .form = FORM_CHOICE,                                                                     \
	  .kind = kind_,                                                                           \
	  .offset = offsetof(struct knobs, id),                                                    \
	  .initial = initial_,                                                                     \
	  .words = words_,                                                                         \
	  .after = knob_after_##after_ },
#define KNOB_NUMBER(id, path_, base_, initial_, lowest_, highest_, kind_)                          \
	{ .path = path_,                                                                           \
	  .form = FORM_NUMBER,                                                                     \
	  .kind = kind_,                                                                           \
	  .offset = offsetof(struct knobs, id),                                                    \
	  .initial = initial_,                                                                     \
	  .lowest = lowest_,                                                                       \
	  .highest = highest_,                                                                     \
	  .base = base_,                                                                           \
	  .after = knob_after_nothing },
#define KNOB_FIXED(id, path_, initial_, kind_)                                                     \
	{ .path = path_,                                                                           \
	  .form = FORM_FIXED,                                                                      \
	  .kind = kind_,                                                                           \
	  .offset = offsetof(struct knobs, id),                                                    \
	  .initial = initial_ },
#define KNOB_FORM(path_, form_, kind_) { .path = path_, .form = form_, .kind = kind_ },
#include "core/sysctl_items.def"
};

/* Whether the value is one field, at the offset of the item. */
static bool item_has_field(const struct knob_item *item)
{
	return item->form <= FORM_FIXED;
}

/* ---- values as a whole ---- */

void knobs_init(struct knobs *k)
{
	static const int32_t ratio[NEAP_NR_ZONES] = { 256, 256, 32, 0, 0 };

	memset(k, 0, sizeof(*k));
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		if (item_has_field(&items[i]))
			knob_form_store(k, &items[i], items[i].initial);
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
		atomic_store(&k->lowmem_reserve_ratio[i], ratio[i]);
	atomic_store(&k->vma_ra_enabled, 1);
	atomic_store(&k->user_min_free_kbytes, -1);
	atomic_store(&k->nodes, 1);
}

void knobs_init_reserves(struct knobs *k, uint64_t free_pages)
{
	uint64_t share = free_pages * (NEAP_PAGE_BYTES / KIB) / RESERVE_SHARE;

	atomic_store(&k->admin_reserve_kbytes, min_u64(share, ADMIN_RESERVE_MOST_KBYTES));
	atomic_store(&k->user_reserve_kbytes, min_u64(share, USER_RESERVE_MOST_KBYTES));
}

void knobs_init_thp(struct knobs *k, uint64_t managed_pages)
{
	bool on = managed_pages >= THP_PAGES_LEAST;

	atomic_store(&k->thp_enabled, on ? KNOBS_THP_ALWAYS : KNOBS_THP_NEVER);
	atomic_store(&k->thp_defrag, on ? THP_DEFRAG_MADVISE : THP_DEFRAG_NEVER);
	atomic_store(&k->thp_use_zero_page, on ? 1 : 0);
	atomic_store(&k->khugepaged_defrag, on ? 1 : 0);
}

void knobs_copy(struct knobs *to, const struct knobs *from)
{
	memset(to, 0, sizeof(*to));
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		if (item_has_field(&items[i]))
			knob_form_store(to, &items[i], knob_form_value(from, &items[i]));
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
		atomic_store(&to->lowmem_reserve_ratio[i],
			     knobs_get(&from->lowmem_reserve_ratio[i]));
	atomic_store(&to->lru_gen_enabled, knobs_get(&from->lru_gen_enabled));
	atomic_store(&to->vma_ra_enabled, knobs_get(&from->vma_ra_enabled));
	atomic_store(&to->lru_gen_min_ttl_ms, knobs_get_wide(&from->lru_gen_min_ttl_ms));
	atomic_store(&to->user_min_free_kbytes,
		     atomic_load_explicit(&((struct knobs *)(uintptr_t)from)->user_min_free_kbytes,
					  memory_order_relaxed));
	atomic_store(&to->nodes, knobs_get_wide(&from->nodes));
}

bool knobs_equal(const struct knobs *a, const struct knobs *b)
{
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		if (item_has_field(&items[i]) &&
		    knob_form_value(a, &items[i]) != knob_form_value(b, &items[i]))
			return false;
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
		if (knobs_get(&a->lowmem_reserve_ratio[i]) !=
		    knobs_get(&b->lowmem_reserve_ratio[i]))
			return false;
	return knobs_get(&a->lru_gen_enabled) == knobs_get(&b->lru_gen_enabled) &&
	       knobs_get(&a->vma_ra_enabled) == knobs_get(&b->vma_ra_enabled) &&
	       knobs_get_wide(&a->lru_gen_min_ttl_ms) == knobs_get_wide(&b->lru_gen_min_ttl_ms);
}

void knobs_set_hugepages(struct knobs *k, uint64_t pages)
{
	atomic_store_explicit(&k->nr_hugepages, pages, memory_order_relaxed);
	atomic_store_explicit(&k->nr_hugepages_mempolicy, pages, memory_order_relaxed);
}

/* ---- paths ---- */

/* The digits at `at` as a node's number, without leading zeros. => characters; 0: no number */
static size_t node_number(const char *at, uint32_t *node)
{
	size_t n = 0;

	*node = 0;
	for (; at[n] >= '0' && at[n] <= '9' && n < 3; n++)
		*node = *node * 10 + (uint32_t)(at[n] - '0');
	return at[0] == '0' && n > 1 ? 0 : n;
}

/* Whether a path is the item's. => and the number that stands for a '*' in *node */
static bool item_matches(const struct knob_item *item, const char *path, uint32_t *node)
{
	size_t star = knobs_text_find(item->path, strlen(item->path), '*');

	if (item->path[star] == '\0')
		return knobs_text_equal(item->path, path);
	if (knobs_text_begins(path, item->path, star) == 0)
		return false;
	size_t digits = node_number(path + star, node);

	return digits != 0 && knobs_text_equal(item->path + star + 1, path + star + digits);
}

/* => the item, or NULL; *node: of files once a node, else -1 */
static const struct knob_item *find(const struct knobs *k, const char *path, int32_t *node)
{
	/* A file of the directory by its whole path; the rest of it has no slash. */
	const char *name = path + knobs_text_begins(path, KNOBS_VM_DIR, sizeof(KNOBS_VM_DIR) - 1);
	uint32_t number = 0;

	*node = -1;
	if (name != path && name[0] == '/')
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		if (!item_matches(&items[i], name, &number))
			continue;
		if (items[i].form != FORM_COMPACT_NODE)
			return &items[i];
		if (number >= NEAP_MAX_NODES || !((knobs_get_wide(&k->nodes) >> number) & 1))
			return NULL;
		*node = (int32_t)number;
		return &items[i];
	}
	return NULL;
}

const char *knobs_path(uint32_t i)
{
	return i < ARRAY_LEN(items) ? items[i].path : NULL;
}

bool knobs_range(const char *path, struct knobs_range *range)
{
	const struct knobs every_node = { .nodes = UINT64_MAX };
	int32_t node;
	const struct knob_item *item = find(&every_node, path, &node);

	if (item == NULL || item->form > FORM_NUMBER)
		return false;
	*range = (struct knobs_range){
		.words = item->form == FORM_CHOICE ? item->words : NULL,
		.lowest = item->lowest,
		.highest = item->highest,
	};
	return true;
}

enum knob_kind knobs_kind(const char *path)
{
	const struct knobs every_node = { .nodes = UINT64_MAX };
	int32_t node;
	const struct knob_item *item = find(&every_node, path, &node);

	return item != NULL ? item->kind : KNOB_ACTS;
}

/* ---- writing, reading ---- */

int64_t knobs_write(struct knobs *k, const char *path, const char *text, size_t bytes,
		    struct knob_effects *effects)
{
	struct knobs_in in = { .at = text, .left = bytes };
	const struct knob_item *item;
	int32_t node;

	*effects = (struct knob_effects){ .what = 0 };
	item = find(k, path, &node);
	if (item == NULL)
		return -ENOENT;
	effects->node = node;
	int64_t result = knob_forms[item->form].write(k, item, &in, effects);

	if (result < 0)
		effects->what = 0;
	return result;
}

int64_t knobs_read(const struct knobs *k, const char *path, char *buffer, size_t bytes)
{
	struct knobs_out out = { .buffer = buffer, .room = bytes };
	int32_t node;
	const struct knob_item *item = find(k, path, &node);

	if (item == NULL)
		return -ENOENT;
	if (item->form == FORM_REFRESH)
		return knobs_text_end(&out); /* nothing, not even a newline */
	int err = knob_forms[item->form].read(k, item, &out);

	if (err != 0)
		return err;
	knobs_text_put_char(&out, '\n');
	return knobs_text_end(&out);
}

uint32_t knobs_read_effects(const char *path)
{
	const struct knobs every_node = { .nodes = UINT64_MAX };
	int32_t node;
	const struct knob_item *item = find(&every_node, path, &node);

	if (item == NULL)
		return 0;
	if (item->form == FORM_RATIOS)
		return KNOB_PROTECTION;
	if (item->form == FORM_REFRESH)
		return KNOB_FOLD;
	return item->after == knob_after_node_ratio ? KNOB_NODE_RATIOS : 0;
}

int knobs_parse(struct knobs *k, const char *path, const char *text, size_t bytes)
{
	struct knobs_in in = { .at = text, .left = bytes };
	int32_t node;
	const struct knob_item *item = find(k, path, &node);

	if (item == NULL)
		return -ENOENT;
	if (in.left > 0 && in.at[in.left - 1] == '\n')
		in.left--;
	if (item->form == FORM_REFRESH)
		return in.left == 0 ? 0 : -EINVAL;
	return knob_forms[item->form].parse(k, item, &in);
}
