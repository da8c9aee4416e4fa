/*
 * hw/soft: changing and reading leaf entries, one at a time and in batches.
 *
 * Every change is one compare-and-swap from a value that was seen without the busy bit:
 *
 *	map          word of the caller -> frame        unmap        frame -> word of the caller
 *	set_word     word -> word                       protect      W, D off
 *	allow_write  W on, if still that frame          harvest      Y off
 *	clean        Y, D off
 *
 * so an operation either happened as a whole or lost against another one, and looks again. A frame
 * that a program is accessing is waited for (access.c); nothing here returns -EBUSY. Only present
 * entries are ever busy, so map and set_word wait for nobody.
 *
 * A batch is sorted by address, so the leaf table of one entry is mostly that of the next; the
 * walk is remembered from entry to entry in a cursor on the caller's stack:
 *
 *	cursor { region of 512 pages -> its leaf table }
 *
 * Because an access excludes every change, no old translation survives unmap, protect or
 * harvest, and flush() has nothing to do.
 *
 * What map() reports with -EAGAIN: `word` is the word found and HW_PRESENT is off in `flags`, or
 * `word` is 0 and HW_PRESENT is on. Its inputs (pfn, the other flags) stay as they were, so
 * that the caller may try again with them. allow_write() leaves pfn alone likewise.
 *
 * What must never happen: a frame number outside the machine or a word of more than 60 bits
 * in an entry; both are CHECKed, because they would come back as another frame or word.
 *
 * In Linux these are the operations on a page table entry under its page table lock.
 */
#include "hw/soft/table.h"

_Static_assert(SOFT_PRESENT == HW_PRESENT, "entry_flags() moves the bits together");
_Static_assert(SOFT_WRITE >> 1 == HW_WRITE, "entry_flags() moves the bits together");
_Static_assert(SOFT_YOUNG >> 1 == HW_YOUNG, "entry_flags() moves the bits together");
_Static_assert(SOFT_DIRTY >> 1 == HW_DIRTY, "entry_flags() moves the bits together");
_Static_assert(HW_WORD_MAX << SOFT_WORD_SHIFT >> SOFT_WORD_SHIFT == HW_WORD_MAX, "a word fits");

#define HW_FLAGS_KEPT (HW_WRITE | HW_YOUNG | HW_DIRTY)

struct cursor {
	struct soft_space *space;
	uint64_t key; /* vpn / 512 of the leaf table; valid if leaf is not NULL */
	_Atomic uint64_t *leaf;
	uint32_t missing; /* level of the missing table, after NULL was returned */
};

/* No leaf table: says which one is missing, unless it has just come. */
static NOINLINE _Atomic uint64_t *cursor_miss(struct cursor *cursor, uint64_t vpn)
{
	_Atomic uint64_t *slot = soft_find_slot(cursor->space, vpn, 1, &cursor->missing);

	cursor->leaf = slot == NULL ? NULL : slot - soft_table_index(vpn, 1);
	return slot;
}

/* The leaf entry of vpn. => NULL: a table is missing, and its level is in the cursor */
static ALWAYS_INLINE _Atomic uint64_t *cursor_seek(struct cursor *cursor, uint64_t vpn)
{
	uint64_t key = vpn >> SOFT_LEVEL_BITS;

	if (cursor->leaf == NULL || cursor->key != key) {
		uint64_t first = round_down_u64(vpn, HW_TABLE_ENTRIES);

		CHECK(vpn <= HW_VPN_MAX);
		cursor->leaf = soft_find_entry(cursor->space, first);
		cursor->key = key;
		if (unlikely(cursor->leaf == NULL))
			return cursor_miss(cursor, vpn);
	}
	return &cursor->leaf[soft_table_index(vpn, 1)];
}

static uint16_t entry_flags(uint64_t value)
{
	return (uint16_t)((value & SOFT_PRESENT) | (value >> 1 & HW_FLAGS_KEPT));
}

static uint64_t entry_of_frame(const struct soft_space *space, const struct hw_entry *entry)
{
	uint64_t flags = entry->flags & HW_FLAGS_KEPT;

	CHECK(entry->pfn != PFN_NONE && entry->pfn < space->soft->nr_frames);
	return (uint64_t)entry->pfn << NEAP_PAGE_SHIFT | flags << 1 | SOFT_PRESENT;
}

static uint64_t entry_of_word(uint64_t word)
{
	CHECK(word <= HW_WORD_MAX);
	return word << SOFT_WORD_SHIFT;
}

/* Fills the outputs for a value that was found, all but pfn. */
static void entry_report(struct hw_entry *entry, uint64_t value)
{
	bool present = (value & SOFT_PRESENT) != 0;

	entry->flags = present ? entry_flags(value) : 0;
	entry->word = present ? 0 : value >> SOFT_WORD_SHIFT;
}

static uint32_t entry_pfn(uint64_t value)
{
	return (value & SOFT_PRESENT) != 0 ? (uint32_t)(value >> NEAP_PAGE_SHIFT) : PFN_NONE;
}

/*
 * Replaces `old` (not busy) by `new` and keeps the table's count. Raised before, lowered after:
 * the count is never below the truth.
 * => false: the entry is another one, or busy, by now
 */
static bool entry_replace(struct soft_space *space, _Atomic uint64_t *slot, uint64_t old,
			  uint64_t new)
{
	bool fills = old == 0 && new != 0;
	bool empties = old != 0 && new == 0;
	bool done;

	if (fills)
		atomic_fetch_add_explicit(soft_used_count(space, slot), 1, memory_order_relaxed);
	done = atomic_compare_exchange_strong_explicit(slot, &old, new, memory_order_acq_rel,
						       memory_order_relaxed);
	if (done ? empties : fills)
		atomic_fetch_sub_explicit(soft_used_count(space, slot), 1, memory_order_release);
	return done;
}

/*
 * Replaces the word `expect`; no waiting, as only present entries are ever busy.
 * => 0, or -EAGAIN with the value found
 */
static ALWAYS_INLINE int entry_replace_expected(struct soft_space *space, _Atomic uint64_t *slot,
						uint64_t expect, uint64_t new, uint64_t *found)
{
	do { /* bounded: another task got ahead each time */
		*found = atomic_load_explicit(slot, memory_order_acquire) & ~SOFT_BUSY;
		if (*found != expect)
			return -EAGAIN;
	} while (!entry_replace(space, slot, expect, new));
	return 0;
}

static ALWAYS_INLINE void entry_map(struct cursor *cursor, struct hw_entry *entry)
{
	uint64_t new = entry_of_frame(cursor->space, entry);
	uint64_t expect = entry_of_word(entry->word);
	_Atomic uint64_t *slot = cursor_seek(cursor, entry->vpn);
	uint64_t found;

	if (slot == NULL) {
		entry->level = (uint8_t)cursor->missing;
		entry->err = -ENOMEM;
		return;
	}
	entry->err = entry_replace_expected(cursor->space, slot, expect, new, &found);
	if (entry->err != 0) {
		entry->word = (found & SOFT_PRESENT) != 0 ? 0 : found >> SOFT_WORD_SHIFT;
		entry->flags = (uint16_t)((entry->flags & ~HW_PRESENT) | (found & SOFT_PRESENT));
	}
}

/* The end of an operation that wanted a present entry and found `value`, a word. */
static void entry_not_present(struct hw_entry *entry, uint64_t value)
{
	entry_report(entry, value);
	entry->pfn = PFN_NONE;
	entry->err = -ENOENT;
}

static ALWAYS_INLINE void entry_unmap(struct cursor *cursor, struct hw_entry *entry)
{
	uint64_t word = entry->word;
	_Atomic uint64_t *slot = cursor_seek(cursor, entry->vpn);
	uint64_t value = 0;

	do { /* bounded: another task got ahead each time */
		if (slot != NULL)
			value = soft_load_idle(slot);
		if ((value & SOFT_PRESENT) == 0) {
			entry_not_present(entry, value);
			return;
		}
		if (entry->flags_shift != 0)
			word = entry->word | (uint64_t)(entry_flags(value) & HW_FLAGS_KEPT)
						     << entry->flags_shift;
		if (entry->pfn != PFN_NONE && entry->pfn != entry_pfn(value)) {
			entry_report(entry, value);
			entry->pfn = entry_pfn(value);
			entry->err = -EAGAIN;
			return;
		}
	} while (!entry_replace(cursor->space, slot, value, entry_of_word(word)));
	entry->word = word;
	entry->flags = entry_flags(value);
	entry->pfn = entry_pfn(value);
	entry->err = 0;
}

/* Clears the bits `off` of a present entry and reports it as it was. */
static ALWAYS_INLINE void entry_take_bits(struct cursor *cursor, struct hw_entry *entry,
					  uint64_t off)
{
	_Atomic uint64_t *slot = cursor_seek(cursor, entry->vpn);
	uint64_t value = 0;

	do { /* bounded: another task got ahead each time */
		if (slot != NULL)
			value = soft_load_idle(slot);
		if ((value & SOFT_PRESENT) == 0) {
			entry_not_present(entry, value);
			return;
		}
		/* It maps a frame before and after, so the table's count stays. */
	} while ((value & off) != 0 &&
		 !atomic_compare_exchange_strong_explicit(
			 slot, &value, value & ~off, memory_order_acq_rel, memory_order_relaxed));
	entry->flags = entry_flags(value);
	entry->word = 0;
	entry->pfn = (uint32_t)(value >> NEAP_PAGE_SHIFT);
	entry->err = 0;
}

static void entry_allow_write(struct cursor *cursor, struct hw_entry *entry)
{
	_Atomic uint64_t *slot = cursor_seek(cursor, entry->vpn);
	uint64_t value = 0;

	do { /* bounded: another task got ahead each time */
		if (slot != NULL)
			value = soft_load_idle(slot);
		entry->err = entry_pfn(value) == entry->pfn ? 0 : -EAGAIN;
	} while (entry->err == 0 && (value & SOFT_WRITE) == 0 &&
		 !entry_replace(cursor->space, slot, value, value | SOFT_WRITE));
	entry_report(entry, value);
}

/* Batches are sorted; a batch that is not would be slow here and wrong elsewhere. */
static void batch_check_order(const struct hw_entry *entries, uint32_t i)
{
	(void)entries;
	(void)i;
	DCHECK(i == 0 || entries[i - 1].vpn <= entries[i].vpn);
}

void soft_op_map(struct hw_space *space, struct hw_entry *entries, uint32_t nr)
{
	struct cursor cursor = { .space = soft_space_of(space) };

	if (likely(nr == 1)) {
		entry_map(&cursor, entries);
		return;
	}
	for (uint32_t i = 0; i < nr; i++) {
		batch_check_order(entries, i);
		entry_map(&cursor, &entries[i]);
	}
}

void soft_op_unmap(struct hw_space *space, struct hw_entry *entries, uint32_t nr)
{
	struct cursor cursor = { .space = soft_space_of(space) };

	if (likely(nr == 1)) {
		entry_unmap(&cursor, entries);
		return;
	}
	for (uint32_t i = 0; i < nr; i++) {
		batch_check_order(entries, i);
		entry_unmap(&cursor, &entries[i]);
	}
}

void soft_op_protect(struct hw_space *space, struct hw_entry *entries, uint32_t nr)
{
	struct cursor cursor = { .space = soft_space_of(space) };

	for (uint32_t i = 0; i < nr; i++) {
		batch_check_order(entries, i);
		entry_take_bits(&cursor, &entries[i], SOFT_WRITE | SOFT_DIRTY);
	}
}

void soft_op_allow_write(struct hw_space *space, struct hw_entry *entries, uint32_t nr)
{
	struct cursor cursor = { .space = soft_space_of(space) };

	for (uint32_t i = 0; i < nr; i++) {
		batch_check_order(entries, i);
		CHECK(entries[i].pfn != PFN_NONE);
		entry_allow_write(&cursor, &entries[i]);
	}
}

void soft_op_harvest(struct hw_space *space, struct hw_entry *entries, uint32_t nr)
{
	struct cursor cursor = { .space = soft_space_of(space) };

	for (uint32_t i = 0; i < nr; i++) {
		batch_check_order(entries, i);
		entry_take_bits(&cursor, &entries[i], SOFT_YOUNG);
	}
}

bool soft_op_harvest_one(struct hw_space *space, uint64_t vpn, uint32_t pfn)
{
	_Atomic uint64_t *slot = soft_find_entry(soft_space_of(space), vpn);
	uint64_t value;

	CHECK(slot != NULL);
	do { /* bounded: another task got ahead each time */
		value = soft_load_idle(slot);
		CHECK((value & SOFT_PRESENT) != 0 && value >> NEAP_PAGE_SHIFT == pfn);
		if ((value & SOFT_YOUNG) == 0)
			return false;
	} while (!atomic_compare_exchange_strong_explicit(
		slot, &value, value & ~SOFT_YOUNG, memory_order_acq_rel, memory_order_relaxed));
	return true;
}

bool soft_op_spot_look(struct hw_space *space, struct hw_spot *spots, uint32_t nr, bool young)
{
	struct cursor cursor = { .space = soft_space_of(space) };
	uint64_t flags = SOFT_PRESENT | (young ? SOFT_YOUNG : 0);

	for (uint32_t i = 0; i < nr; i++) {
		_Atomic uint64_t *slot = cursor_seek(&cursor, spots[i].vpn);

		if (slot == NULL)
			return false;
		uint64_t value = atomic_load_explicit(slot, memory_order_acquire);

		if ((value & flags) != flags || value >> NEAP_PAGE_SHIFT != spots[i].pfn)
			return false;
		spots[i].entry = slot;
	}
	return true;
}

void soft_op_spot_take(struct hw_spot *spots, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		_Atomic uint64_t *slot = spots[i].entry;
		uint64_t mine =
			(uint64_t)spots[i].pfn << NEAP_PAGE_SHIFT | SOFT_PRESENT | SOFT_YOUNG;
		uint64_t value = atomic_load_explicit(slot, memory_order_acquire);

		/*
		 * An access that has begun leaves the entry young when it ends: as if we had been
		 * here just before it. Bounded: another task got ahead each time.
		 */
		while ((value & (SOFT_FRAME_MASK | SOFT_PRESENT | SOFT_YOUNG | SOFT_BUSY)) ==
			       mine &&
		       !atomic_compare_exchange_strong_explicit(slot, &value, value & ~SOFT_YOUNG,
								memory_order_acq_rel,
								memory_order_acquire))
			;
	}
}

void soft_op_clean(struct hw_space *space, struct hw_entry *entries, uint32_t nr)
{
	struct cursor cursor = { .space = soft_space_of(space) };

	for (uint32_t i = 0; i < nr; i++) {
		batch_check_order(entries, i);
		entry_take_bits(&cursor, &entries[i], SOFT_YOUNG | SOFT_DIRTY);
	}
}

int soft_op_set_word(struct hw_space *space, uint64_t vpn, uint64_t expect, uint64_t word)
{
	struct cursor cursor = { .space = soft_space_of(space) };
	_Atomic uint64_t *slot = cursor_seek(&cursor, vpn);
	uint64_t found;

	if (slot == NULL)
		return -ENOMEM;
	return entry_replace_expected(cursor.space, slot, entry_of_word(expect),
				      entry_of_word(word), &found);
}

void soft_op_get(struct hw_space *space, struct hw_entry *entry)
{
	_Atomic uint64_t *slot = soft_find_entry(soft_space_of(space), entry->vpn);
	uint64_t value = 0;

	CHECK(entry->vpn <= HW_VPN_MAX);
	if (slot != NULL)
		value = atomic_load_explicit(slot, memory_order_acquire) & ~SOFT_BUSY;
	entry_report(entry, value);
	entry->pfn = entry_pfn(value);
	entry->err = 0;
}

/* Where a scan puts what it finds. */
struct scan {
	struct hw_entry *entries;
	uint32_t nr;
	uint32_t max;
};

/* Scans from `slot`, the entry of vpn, to `last` in the same table, or until the scan is full. */
static void scan_leaf(struct scan *scan, const _Atomic uint64_t *slot, uint64_t vpn, uint64_t last)
{
	for (; vpn <= last && scan->nr < scan->max; vpn++, slot++) {
		uint64_t value = atomic_load_explicit(slot, memory_order_acquire) & ~SOFT_BUSY;
		struct hw_entry *entry = &scan->entries[scan->nr];

		if (value == 0)
			continue;
		*entry = (struct hw_entry){ .vpn = vpn, .pfn = entry_pfn(value) };
		entry_report(entry, value);
		scan->nr++;
	}
}

uint32_t soft_op_scan(struct hw_space *hw_space, uint64_t first, uint64_t last,
		      struct hw_entry *entries, uint32_t max)
{
	const struct soft_space *space = soft_space_of(hw_space);
	struct scan scan = { .entries = entries, .max = max };
	uint64_t vpn = first;

	last = min_u64(last, HW_VPN_MAX);
	while (vpn <= last && scan.nr < max) { /* bounded: each round passes a table's range */
		uint32_t level = 1;
		const _Atomic uint64_t *slot = soft_find_slot(space, vpn, 1, &level);
		uint64_t next = soft_next_vpn(vpn, level);

		if (slot != NULL &&
		    atomic_load_explicit(soft_used_count(space, slot), memory_order_acquire) != 0)
			scan_leaf(&scan, slot, vpn, min_u64(last, next - 1));
		vpn = next;
	}
	return scan.nr;
}

const void *soft_op_entry_hint(struct hw_space *space, uint64_t vpn)
{
	return (const void *)soft_find_entry(soft_space_of(space), vpn);
}

void soft_op_flush(struct hw_space *space)
{
	(void)space; /* no old translation is left; see above */
}
