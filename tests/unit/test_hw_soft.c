/*
 * Tests of hw/soft against the contract in port/hw.h, with real contents and with tags.
 *
 * 1. Each operation and each error.
 * 2. A property test: random batches against an array of what should be there.
 * 3. The resident set of a simulated machine of 64 GiB.
 *
 * All from one thread; test_hw_soft_threads.c has the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "hw_soft_fixture.h"

#define TABLE_SPAN ((uint64_t)HW_TABLE_ENTRIES)	    /* pages of a leaf table */
#define MIDDLE_SPAN (TABLE_SPAN * HW_TABLE_ENTRIES) /* pages of a level 2 table */
#define TOP_SPAN (MIDDLE_SPAN * HW_TABLE_ENTRIES)   /* pages of a level 3 table */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static struct hw_entry unmap_one(struct hw_fixture *f, uint64_t vpn, uint64_t word)
{
	struct hw_entry entry = { .vpn = vpn, .word = word, .flags = 0xff };

	f->hw->ops->unmap(f->space, &entry, 1);
	f->hw->ops->flush(f->space);
	return entry;
}

static void put_word(struct hw_fixture *f, uint64_t vpn, uint64_t word)
{
	hw_fixture_must_map(f, vpn, 1, 0);
	assert_int_equal(unmap_one(f, vpn, word).err, 0);
}

/* An access that writes or reads one value, whatever contents are. */
static int access_word(struct hw_fixture *f, uint64_t vpn, bool write, uint64_t *value)
{
	struct hw_access access;
	uint64_t *at;
	int err = f->hw->ops->access_begin(f->space, vpn, write, &access);

	if (err != 0)
		return err;
	assert_true((access.data == NULL) == ((f->hw->caps & HW_CAP_TAGS) != 0));
	assert_true((access.tag == NULL) == ((f->hw->caps & HW_CAP_TAGS) == 0));
	assert_true(access.pfn != PFN_NONE && access.pfn < NR_FRAMES);
	at = access.data != NULL ? access.data : access.tag;
	if (write)
		*at = *value;
	else
		*value = *at;
	f->hw->ops->access_end(f->space, &access);
	return 0;
}

/* Contents of a frame as one value. */
static uint64_t *frame_word(struct hw_fixture *f, uint32_t pfn)
{
	uint64_t *tag = f->hw->ops->tag(f->hw, pfn);

	return tag != NULL ? tag : f->hw->ops->window(f->hw, pfn);
}
/* ---- the hardware ---- */

static void create_refuses_no_frames(void **state)
{
	struct hw *hw = NULL;

	(void)state;
	assert_int_equal(hw_soft_create(0, false, &hw), -EINVAL);
	assert_int_equal(hw_soft_create(1, true, &hw), -EINVAL);
	assert_null(hw);
}

static void frames_have_a_range(void **state)
{
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;
	char *first = ops->window(f->hw, 1);

	assert_int_equal(ops->add_frames(f->hw, 1, NR_FRAMES - 1), 0);
	assert_int_equal(ops->add_frames(f->hw, NR_FRAMES, 0), 0);
	assert_int_equal(ops->add_frames(f->hw, 1, NR_FRAMES), -ENOMEM);
	assert_int_equal(ops->add_frames(f->hw, UINT32_MAX, UINT32_MAX), -ENOMEM);
	/* One direct map, so that contiguous frames are contiguous bytes. */
	assert_ptr_equal(ops->window(f->hw, NR_FRAMES - 1),
			 first + (size_t)(NR_FRAMES - 2) * NEAP_PAGE_BYTES);
}

/* The larger ones may lie on huge host pages. */
static void reserve_is_zeroed_and_separate(void **state)
{
	static const size_t bytes[] = {
		3 * NEAP_PAGE_BYTES + 5, 1, 2 * MIB, 4 * MIB + 5, 5 * MIB - 1, 3 * MIB + 17
	};
	struct hw_fixture *f = *state;
	unsigned char *chunks[ARRAY_LEN(bytes)];

	for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
		chunks[i] = f->hw->ops->reserve(f->hw, bytes[i]);
		assert_non_null(chunks[i]);
		for (size_t b = 0; b < bytes[i]; b += 61)
			assert_int_equal(chunks[i][b], 0);
		memset(chunks[i], (int)i + 1, bytes[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(chunks); i++)
		for (size_t b = 0; b < bytes[i]; b += 61)
			assert_int_equal(chunks[i][b], i + 1);
	/* Costs nothing: far more than the host has. */
	assert_non_null(f->hw->ops->reserve(f->hw, (size_t)1 << 36));
	assert_null(f->hw->ops->reserve(f->hw, 0));
	assert_null(f->hw->ops->reserve(f->hw, (size_t)1 << 62));
}

static void contents_real(void **state)
{
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;
	unsigned char *a = ops->window(f->hw, 5);
	unsigned char *b = ops->window(f->hw, 6);

	assert_int_equal(f->hw->caps,
			 HW_CAP_SHARED | HW_CAP_YOUNG | HW_CAP_CONTIGUITY | HW_CAP_WINDOW_MAPPED);
	assert_null(ops->tag(f->hw, 5));
	for (size_t i = 0; i < NEAP_PAGE_BYTES; i++)
		a[i] = (unsigned char)(i * 7 + 1);
	memset(ops->window(f->hw, 7), 0x77, NEAP_PAGE_BYTES);
	ops->copy(f->hw, 6, 5);
	assert_memory_equal(a, b, NEAP_PAGE_BYTES);
	ops->zero(f->hw, 5);
	for (size_t i = 0; i < NEAP_PAGE_BYTES; i++)
		assert_int_equal(a[i], 0);
	assert_int_equal(b[1], 8);
	assert_int_equal(((unsigned char *)ops->window(f->hw, 7))[0], 0x77);
}

static void contents_tags(void **state)
{
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;
	unsigned char *window = ops->window(f->hw, 6);

	assert_int_equal(f->hw->caps,
			 HW_CAP_SHARED | HW_CAP_YOUNG | HW_CAP_CONTIGUITY | HW_CAP_TAGS);
	assert_true(*ops->tag(f->hw, 5) == 0);
	*ops->tag(f->hw, 5) = UINT64_MAX;
	*ops->tag(f->hw, 7) = 3;
	window[0] = 42;
	ops->copy(f->hw, 6, 5);
	assert_true(*ops->tag(f->hw, 6) == UINT64_MAX);
	ops->zero(f->hw, 6);
	assert_true(*ops->tag(f->hw, 6) == 0);
	assert_true(*ops->tag(f->hw, 5) == UINT64_MAX && *ops->tag(f->hw, 7) == 3);
	assert_int_equal(window[0], 42); /* metadata is not contents */
}

/* ---- tables ---- */

static void map_names_the_missing_level(void **state)
{
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;
	const uint64_t vpn = 3 * TOP_SPAN + 5 * MIDDLE_SPAN + 7 * TABLE_SPAN + 9;
	struct hw_entry entry = { .vpn = vpn, .pfn = 8 };

	for (uint32_t level = 3; level >= 1; level--) {
		uint32_t table = hw_fixture_lend_table(f);

		ops->map(f->space, &entry, 1);
		assert_int_equal(entry.err, -ENOMEM);
		assert_int_equal(entry.level, level);
		assert_int_equal(ops->set_word(f->space, vpn, 0, 1), -ENOMEM);
		if (level > 1)
			assert_int_equal(ops->add_table(f->space, vpn, level - 1, table), -ENOMEM);
		assert_int_equal(ops->add_table(f->space, vpn, level, table), 0);
		assert_int_equal(ops->add_table(f->space, vpn, level, hw_fixture_lend_table(f)),
				 -EEXIST);
		hw_fixture_free_table(f, table + 1);
	}
	ops->map(f->space, &entry, 1);
	assert_int_equal(entry.err, 0);
	/* A neighbour in each level lacks exactly what it does not share. */
	entry.vpn = vpn + TABLE_SPAN;
	ops->map(f->space, &entry, 1);
	assert_int_equal(entry.level, 1);
	entry.vpn = vpn + MIDDLE_SPAN;
	ops->map(f->space, &entry, 1);
	assert_int_equal(entry.level, 2);
	entry.vpn = vpn + TOP_SPAN;
	ops->map(f->space, &entry, 1);
	assert_int_equal(entry.level, 3);
	assert_int_equal(f->nr_lent, 4);
}

static void release_gives_back_whole_empty_leaves(void **state)
{
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;
	const uint64_t base = MIDDLE_SPAN - 2 * TABLE_SPAN;
	uint32_t before;

	/* Leaves 0..3 across a level 2 table's border; leaf 2 keeps an entry. */
	for (uint64_t leaf = 0; leaf < 4; leaf++)
		hw_fixture_must_map(f, base + leaf * TABLE_SPAN + 3, 9, 0);
	for (uint64_t leaf = 0; leaf < 4; leaf++)
		assert_int_equal(unmap_one(f, base + leaf * TABLE_SPAN + 3, leaf == 2).err, 0);
	before = f->nr_lent;
	ops->release_tables(f->space, base, base + TABLE_SPAN - 2, hw_fixture_free_table, f);
	ops->release_tables(f->space, base + 1, base + TABLE_SPAN - 1, hw_fixture_free_table, f);
	ops->release_tables(f->space, 5 * TOP_SPAN, 7 * TOP_SPAN, hw_fixture_free_table, f);
	assert_int_equal(f->nr_lent, before);
	/* Leaf 0 is not whole in it; 1 and 3 are; 2 is not empty. */
	ops->release_tables(f->space, base + 1, base + 4 * TABLE_SPAN - 1, hw_fixture_free_table,
			    f);
	assert_int_equal(f->nr_lent, before - 2);
	assert_true(hw_fixture_get(f, base + 2 * TABLE_SPAN + 3).word == 1);
	ops->release_tables(f->space, 0, HW_VPN_MAX, hw_fixture_free_table, f);
	assert_int_equal(f->nr_lent, before - 3);
	/* What was released is missing again, and comes back empty. */
	assert_int_equal(ops->set_word(f->space, base, 0, 1), -ENOMEM);
	assert_int_equal(hw_fixture_get(f, base + 3).flags, 0);
	hw_fixture_must_map(f, base + 3, 9, 0);
	assert_int_equal(f->nr_lent, before - 2);
	assert_int_equal(unmap_one(f, base + 3, 0).err, 0);
}

/* ---- entries ---- */

static void map_replaces_only_what_was_expected(void **state)
{
	struct hw_fixture *f = *state;
	struct hw_entry entry;

	put_word(f, 100, 1234);
	entry = hw_fixture_map(f, 100, 0, 8, HW_WRITE);
	assert_int_equal(entry.err, -EAGAIN);
	assert_true(entry.word == 1234 && entry.pfn == 8 && entry.flags == HW_WRITE);
	entry = hw_fixture_map(f, 100, entry.word, 8, HW_WRITE);
	assert_int_equal(entry.err, 0);
	entry = hw_fixture_map(f, 100, 1234, 9, HW_DIRTY);
	assert_int_equal(entry.err, -EAGAIN);
	assert_true(entry.word == 0 && entry.pfn == 9 && entry.flags == (HW_DIRTY | HW_PRESENT));
	entry = hw_fixture_get(f, 100);
	assert_true(entry.pfn == 8 && entry.flags == (HW_PRESENT | HW_WRITE) && entry.word == 0);
}

static void unmap_reports_and_leaves_the_word(void **state)
{
	struct hw_fixture *f = *state;
	struct hw_entry entry;
	uint64_t value = 5;

	for (uint32_t flags = 0; flags < 16; flags += 2) { /* every mix of write, young, dirty */
		hw_fixture_must_map(f, 100, 8, flags | HW_PRESENT);
		entry = unmap_one(f, 100, 0);
		assert_true(entry.err == 0 && entry.pfn == 8 &&
			    entry.flags == (flags | HW_PRESENT));
	}
	hw_fixture_must_map(f, 100, NR_FRAMES - 1, HW_WRITE);
	assert_int_equal(access_word(f, 100, false, &value), 0);
	entry = unmap_one(f, 100, HW_WORD_MAX);
	assert_true(entry.err == 0 && entry.pfn == NR_FRAMES - 1);
	assert_int_equal(entry.flags, HW_PRESENT | HW_WRITE | HW_YOUNG);
	entry = unmap_one(f, 100, 6);
	assert_true(entry.err == -ENOENT && entry.word == HW_WORD_MAX);
	assert_true(entry.pfn == PFN_NONE && entry.flags == 0);
	entry = unmap_one(f, 101, 6); /* empty */
	assert_true(entry.err == -ENOENT && entry.word == 0);
	entry = unmap_one(f, TOP_SPAN, 6); /* no table */
	assert_true(entry.err == -ENOENT && entry.word == 0 && entry.pfn == PFN_NONE);
	assert_true(hw_fixture_get(f, 101).word == 0);
}

static void unmap_leaves_flags_in_the_word_on_request(void **state)
{
	struct hw_fixture *f = *state;

	for (uint32_t flags = 0; flags < 16; flags += 2) { /* every mix of write, young, dirty */
		struct hw_entry entry = { .vpn = 100, .word = 7, .pfn = 8, .flags_shift = 32 };

		hw_fixture_must_map(f, 100, 8, flags | HW_PRESENT);
		f->hw->ops->unmap(f->space, &entry, 1);
		assert_true(entry.err == 0 && entry.pfn == 8);
		assert_int_equal(entry.word, (uint64_t)flags << 32 | 7);
		assert_int_equal(hw_fixture_get(f, 100).word, entry.word);
		assert_int_equal(f->hw->ops->set_word(f->space, 100, entry.word, 0), 0);
	}
}

static void entry_hint_is_where_the_entry_is(void **state)
{
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;

	hw_fixture_must_map(f, 100, 8, HW_WRITE);
	const uint64_t *first = ops->entry_hint(f->space, 100);

	assert_non_null(first);
	assert_ptr_equal(ops->entry_hint(f->space, 101), first + 1);
	assert_null(ops->entry_hint(f->space, TOP_SPAN)); /* no table */
	assert_int_equal(unmap_one(f, 100, 0).err, 0);
}

static void unmap_takes_only_the_frame_asked_for(void **state)
{
	struct hw_fixture *f = *state;
	struct hw_entry entry = { .vpn = 100, .word = 6, .pfn = 9 };

	hw_fixture_must_map(f, 100, 8, HW_WRITE);
	f->hw->ops->unmap(f->space, &entry, 1);
	assert_true(entry.err == -EAGAIN && entry.pfn == 8);
	assert_int_equal(hw_fixture_get(f, 100).pfn, 8);
	entry = (struct hw_entry){ .vpn = 100, .word = 6, .pfn = 8 };
	f->hw->ops->unmap(f->space, &entry, 1);
	assert_true(entry.err == 0 && entry.pfn == 8);
	assert_int_equal(hw_fixture_get(f, 100).word, 6);
}

static void protect_and_allow_write(void **state)
{
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;
	struct hw_entry entry = { .vpn = 100 };
	uint64_t value = 5;

	hw_fixture_must_map(f, 100, 8, HW_WRITE);
	assert_int_equal(access_word(f, 100, true, &value), 0);
	ops->protect(f->space, &entry, 1);
	assert_true(entry.err == 0 && entry.pfn == 8);
	assert_int_equal(entry.flags, HW_PRESENT | HW_WRITE | HW_YOUNG | HW_DIRTY);
	assert_int_equal(hw_fixture_get(f, 100).flags, HW_PRESENT | HW_YOUNG);
	assert_int_equal(access_word(f, 100, true, &value), -EFAULT);
	assert_int_equal(access_word(f, 100, false, &value), 0);

	entry = (struct hw_entry){ .vpn = 100, .pfn = 9 };
	ops->allow_write(f->space, &entry, 1);
	assert_int_equal(entry.err, -EAGAIN);
	assert_int_equal(access_word(f, 100, true, &value), -EFAULT);
	entry.pfn = 8;
	ops->allow_write(f->space, &entry, 1);
	assert_int_equal(entry.err, 0);
	assert_int_equal(entry.flags, HW_PRESENT | HW_YOUNG);
	assert_int_equal(hw_fixture_get(f, 100).flags, HW_PRESENT | HW_YOUNG | HW_WRITE);
	ops->allow_write(f->space, &entry, 1); /* once more changes nothing */
	assert_int_equal(entry.err, 0);

	put_word(f, 101, 44);
	for (uint64_t vpn = 101; vpn <= TOP_SPAN + 101; vpn += TOP_SPAN) { /* a word; no table */
		entry = (struct hw_entry){ .vpn = vpn, .pfn = 8 };
		ops->allow_write(f->space, &entry, 1);
		assert_int_equal(entry.err, -EAGAIN);
		ops->protect(f->space, &entry, 1);
		assert_int_equal(entry.err, -ENOENT);
		assert_true(entry.pfn == PFN_NONE && entry.word == (vpn == 101 ? 44 : 0));
	}
}

static void harvest_takes_young(void **state)
{
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;
	struct hw_entry batch[4] = {
		{ .vpn = 100 }, { .vpn = 101 }, { .vpn = 102 }, { .vpn = 3 * TOP_SPAN }
	};
	uint64_t value = 5;

	hw_fixture_must_map(f, 100, 8, HW_WRITE);
	hw_fixture_must_map(f, 101, 9, HW_YOUNG | HW_DIRTY);
	put_word(f, 102, 44);
	assert_int_equal(access_word(f, 100, true, &value), 0);
	for (uint32_t round = 0; round < 2; round++) {
		uint32_t young = round == 0 ? HW_YOUNG : 0;

		ops->harvest(f->space, batch, ARRAY_LEN(batch));
		assert_true(batch[0].err == 0 && batch[0].pfn == 8);
		assert_int_equal(batch[0].flags, HW_PRESENT | HW_WRITE | HW_DIRTY | young);
		assert_true(batch[1].err == 0 && batch[1].pfn == 9);
		assert_int_equal(batch[1].flags, HW_PRESENT | HW_DIRTY | young);
		assert_true(batch[2].err == -ENOENT && batch[2].word == 44);
		assert_true(batch[3].err == -ENOENT && batch[3].word == 0);
	}
	assert_int_equal(access_word(f, 101, false, &value), 0);
	assert_int_equal(hw_fixture_get(f, 101).flags, HW_PRESENT | HW_DIRTY | HW_YOUNG);
}

/* A look changes nothing and says no if one spot is not as asked; a take touches what still is. */
static void spots_are_looked_at_then_taken(void **state)
{
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;
	struct hw_spot spots[3] = { { .vpn = 700, .pfn = 9 }, { .vpn = 101, .pfn = 8 } };
	struct hw_entry gone = { .vpn = 700 };
	struct hw_access access;

	hw_fixture_must_map(f, 101, 8, HW_YOUNG | HW_WRITE | HW_DIRTY);
	hw_fixture_must_map(f, 700, 9, HW_YOUNG);
	spots[2] = (struct hw_spot){ .vpn = 3 * TOP_SPAN, .pfn = 7 };
	assert_false(ops->spot_look(f->space, spots, 3, false)); /* no table */
	spots[2] = (struct hw_spot){ .vpn = 102, .pfn = 7 };
	assert_false(ops->spot_look(f->space, spots, 3, false)); /* empty */
	hw_fixture_must_map(f, 102, 6, 0);
	assert_false(ops->spot_look(f->space, spots, 3, false)); /* another frame */
	spots[2].pfn = 6;
	assert_true(ops->spot_look(f->space, spots, 3, false));
	assert_false(ops->spot_look(f->space, spots, 3, true)); /* not young */
	assert_true(ops->spot_look(f->space, spots, 2, true));
	assert_int_equal(hw_fixture_get(f, 700).flags, HW_PRESENT | HW_YOUNG);
	ops->unmap(f->space, &gone, 1);
	hw_fixture_must_map(f, 700, 5, HW_YOUNG);
	ops->spot_take(spots, 2);
	assert_int_equal(hw_fixture_get(f, 700).flags, HW_PRESENT | HW_YOUNG);
	assert_int_equal(hw_fixture_get(f, 101).flags, HW_PRESENT | HW_WRITE | HW_DIRTY);
	/* Nobody waits for an access: what is being accessed will be young in any case. */
	assert_int_equal(ops->access_begin(f->space, 101, false, &access), 0);
	ops->spot_take(&spots[1], 1);
	ops->access_end(f->space, &access);
	assert_int_not_equal(hw_fixture_get(f, 101).flags & HW_YOUNG, 0);
}

static void set_word_replaces_words(void **state)
{
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;

	assert_int_equal(ops->set_word(f->space, 100, 0, 5), -ENOMEM);
	hw_fixture_must_map(f, 101, 8, 0);
	assert_int_equal(ops->set_word(f->space, 100, 0, 5), 0);
	assert_int_equal(ops->set_word(f->space, 100, 0, 6), -EAGAIN);
	assert_int_equal(ops->set_word(f->space, 100, 5, HW_WORD_MAX), 0);
	assert_true(hw_fixture_get(f, 100).word == HW_WORD_MAX);
	assert_int_equal(ops->set_word(f->space, 100, HW_WORD_MAX, 0), 0);
	assert_int_equal(ops->set_word(f->space, 101, 0, 5), -EAGAIN);
	assert_int_equal(hw_fixture_get(f, 101).pfn, 8);
}

static void access_needs_an_entry(void **state)
{
	struct hw_fixture *f = *state;
	uint64_t value = 5;

	assert_int_equal(access_word(f, 100, false, &value), -EFAULT); /* no table */
	put_word(f, 100, 44);
	assert_int_equal(access_word(f, 100, false, &value), -EFAULT);
	assert_int_equal(access_word(f, 101, true, &value), -EFAULT); /* empty */
	hw_fixture_must_map(f, 102, 8, 0);
	assert_int_equal(access_word(f, 102, true, &value), -EFAULT);
	assert_int_equal(hw_fixture_get(f, 102).flags,
			 HW_PRESENT); /* a refused access leaves no trace */
	*frame_word(f, 8) = 4711;
	assert_int_equal(access_word(f, 102, false, &value), 0);
	assert_true(value == 4711);
	assert_int_equal(hw_fixture_get(f, 102).flags, HW_PRESENT | HW_YOUNG);
	hw_fixture_must_map(f, HW_VPN_MAX, 8, HW_WRITE); /* one frame in two entries */
	value = 4712;
	assert_int_equal(access_word(f, HW_VPN_MAX, true, &value), 0);
	assert_int_equal(hw_fixture_get(f, HW_VPN_MAX).flags,
			 HW_PRESENT | HW_WRITE | HW_YOUNG | HW_DIRTY);
	assert_int_equal(access_word(f, 102, false, &value), 0);
	assert_true(value == 4712);
	assert_int_equal(hw_fixture_get(f, 102).flags, HW_PRESENT | HW_YOUNG);
}

/* What may happen beside an access does not wait and does not see that the entry is busy. */
static void access_is_invisible_to_readers(void **state)
{
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;
	struct hw_access access;
	struct hw_entry entry;

	hw_fixture_must_map(f, 100, 8, HW_WRITE);
	assert_int_equal(ops->access_begin(f->space, 100, true, &access), 0);
	entry = hw_fixture_get(f, 100);
	assert_true(entry.pfn == 8 && entry.flags == (HW_PRESENT | HW_WRITE));
	assert_int_equal(ops->scan(f->space, 0, 200, &entry, 1), 1);
	assert_true(entry.pfn == 8 && entry.flags == (HW_PRESENT | HW_WRITE));
	assert_int_equal(hw_fixture_map(f, 100, 0, 9, 0).err, -EAGAIN);
	assert_int_equal(ops->set_word(f->space, 100, 0, 1), -EAGAIN);
	hw_fixture_must_map(f, 101, 9, 0); /* neighbours are free */
	assert_int_equal(unmap_one(f, 101, 0).err, 0);
	ops->access_end(f->space, &access);
	assert_int_equal(hw_fixture_get(f, 100).flags, HW_PRESENT | HW_WRITE | HW_YOUNG | HW_DIRTY);
}

/* ---- batches and scans ---- */

#define BATCH 1100u

static void batch_crosses_tables(void **state)
{
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;
	const uint64_t first = 2 * TOP_SPAN - BATCH / 2;
	struct hw_entry *batch = calloc(BATCH, sizeof(*batch));

	assert_non_null(batch);
	for (uint32_t i = 0; i < BATCH; i++)
		batch[i] = (struct hw_entry){ .vpn = first + i, .pfn = 1 + i, .flags = HW_WRITE };
	ops->map(f->space, batch, BATCH);
	for (uint32_t i = 0; i < BATCH; i++) {
		assert_int_equal(batch[i].err, -ENOMEM);
		batch[i] = hw_fixture_map(f, first + i, 0, 1 + i, i % 3 == 0 ? HW_YOUNG : 0);
		assert_int_equal(batch[i].err, 0);
	}
	assert_int_equal(f->nr_lent, 1 + 2 + 2 + 4); /* 550 pages each side are 2 leaves each */
	ops->harvest(f->space, batch, BATCH);
	for (uint32_t i = 0; i < BATCH; i++)
		assert_int_equal(batch[i].flags, HW_PRESENT | (i % 3 == 0 ? HW_YOUNG : 0));
	assert_int_equal(unmap_one(f, first + 600, 9).err, 0);
	for (uint32_t i = 0; i < BATCH; i++)
		batch[i].word = 1000 + i;
	ops->unmap(f->space, batch, BATCH);
	for (uint32_t i = 0; i < BATCH; i++) { /* the failing one does not stop the others */
		assert_int_equal(batch[i].err, i == 600 ? -ENOENT : 0);
		assert_int_equal(batch[i].pfn, i == 600 ? PFN_NONE : 1 + i);
		assert_true(hw_fixture_get(f, first + i).word == (i == 600 ? 9 : 1000 + i));
	}
	for (uint32_t i = 0; i < BATCH; i++)
		batch[i] = (struct hw_entry){ .vpn = first + i, .pfn = 1 + i, .word = 1000 + i };
	ops->map(f->space, batch, BATCH);
	for (uint32_t i = 0; i < BATCH; i++)
		assert_int_equal(batch[i].err, i == 600 ? -EAGAIN : 0);
	free(batch);
}

static void scan_finds_all_in_order(void **state)
{
	static const uint64_t vpns[] = { 0,
					 511,
					 512,
					 MIDDLE_SPAN - 1,
					 MIDDLE_SPAN,
					 TOP_SPAN - 1,
					 TOP_SPAN + 3 * MIDDLE_SPAN + 17,
					 300 * TOP_SPAN,
					 HW_VPN_MAX };
	struct hw_fixture *f = *state;
	const struct hw_ops *ops = f->hw->ops;
	struct hw_entry found[16];
	uint64_t from = 0;

	assert_int_equal(ops->scan(f->space, 0, HW_VPN_MAX, found, 16), 0);
	for (uint32_t i = 0; i < ARRAY_LEN(vpns); i++) {
		if (i % 2 == 0)
			hw_fixture_must_map(f, vpns[i], i + 1, HW_YOUNG);
		else
			put_word(f, vpns[i], i + 1);
	}
	put_word(f, 5 * TOP_SPAN, 0); /* tables with nothing in them */
	assert_int_equal(ops->scan(f->space, 0, UINT64_MAX, found, 16), ARRAY_LEN(vpns));
	for (uint32_t i = 0; i < ARRAY_LEN(vpns); i++) {
		assert_true(found[i].vpn == vpns[i] && found[i].err == 0);
		assert_int_equal(found[i].pfn, i % 2 == 0 ? i + 1 : PFN_NONE);
		assert_int_equal(found[i].flags, i % 2 == 0 ? HW_PRESENT | HW_YOUNG : 0);
		assert_true(found[i].word == (i % 2 == 0 ? 0 : i + 1));
	}
	for (uint32_t i = 0; i < ARRAY_LEN(vpns); i++) { /* one by one; the end is inclusive */
		assert_int_equal(ops->scan(f->space, from, HW_VPN_MAX, found, 1), 1);
		assert_true(found[0].vpn == vpns[i]);
		assert_int_equal(ops->scan(f->space, from, vpns[i], found, 16), 1);
		if (vpns[i] > from)
			assert_int_equal(ops->scan(f->space, from, vpns[i] - 1, found, 16), 0);
		from = vpns[i] + 1;
	}
	assert_int_equal(ops->scan(f->space, 0, HW_VPN_MAX, found, 0), 0);
	assert_int_equal(ops->scan(f->space, 5, 4, found, 16), 0);
}

/* ---- property test ---- */

#define ZONE_PAGES 1100u
#define NR_ZONES 4u
#define NR_MODEL (ZONE_PAGES * NR_ZONES)
#define MODEL_FRAMES 500u
#define MODEL_BATCH 24u
#define MODEL_STEPS 6000u

/* What should be there: one slot for each page of four stretches around the tables' borders. */
struct model {
	struct hw_fixture *f;
	struct rng rng;
	struct {
		uint64_t word;
		uint32_t pfn;
		uint16_t flags;
	} slots[NR_MODEL];
	uint64_t contents[MODEL_FRAMES];
	struct hw_entry batch[MODEL_BATCH];
	uint32_t index[MODEL_BATCH]; /* slot of each entry of the batch */
	uint32_t nr;
};

static uint64_t model_vpn(uint32_t index)
{
	static const uint64_t starts[NR_ZONES] = { 0, MIDDLE_SPAN - 600, 3 * TOP_SPAN - 300,
						   HW_VPN_MAX + 1 - ZONE_PAGES };

	return starts[index / ZONE_PAGES] + index % ZONE_PAGES;
}

static uint32_t model_below(struct model *m, uint32_t below)
{
	return (uint32_t)rng_below(&m->rng, below);
}

/* A sorted batch from a random place, dense or with holes. */
static void model_choose(struct model *m)
{
	uint32_t index = model_below(m, NR_MODEL);
	uint32_t step_max = 1 + model_below(m, 3) * model_below(m, 100);

	memset(m->batch, 0, sizeof(m->batch));
	m->nr = 0;
	for (uint32_t want = 1 + model_below(m, MODEL_BATCH); m->nr < want && index < NR_MODEL;) {
		m->index[m->nr] = index;
		m->batch[m->nr++].vpn = model_vpn(index);
		index += 1 + model_below(m, step_max);
	}
}

static bool model_present(const struct model *m, uint32_t i)
{
	return (m->slots[m->index[i]].flags & HW_PRESENT) != 0;
}

static void model_map(struct model *m)
{
	for (uint32_t i = 0; i < m->nr; i++) {
		struct hw_entry *entry = &m->batch[i];
		uint64_t word = m->slots[m->index[i]].word;

		entry->word = model_below(m, 8) == 0 ? word + 1 : word;
		entry->pfn = 1 + model_below(m, MODEL_FRAMES - 1);
		entry->flags = (uint16_t)(model_below(m, 8) << 1);
	}
	struct model before = *m;

	m->f->hw->ops->map(m->f->space, m->batch, m->nr);
	for (uint32_t i = 0; i < m->nr; i++) {
		struct hw_entry *asked = &before.batch[i];
		struct hw_entry got = m->batch[i];
		bool free_for_it =
			!model_present(m, i) && m->slots[m->index[i]].word == asked->word;

		if (got.err == -ENOMEM) {
			assert_true(got.level >= 1 && got.level <= 3);
			assert_true(!model_present(m, i) && m->slots[m->index[i]].word == 0);
			got = hw_fixture_map(m->f, asked->vpn, asked->word, asked->pfn,
					     asked->flags);
		}
		assert_int_equal(got.err, free_for_it ? 0 : -EAGAIN);
		if (free_for_it) {
			m->slots[m->index[i]].word = 0;
			m->slots[m->index[i]].pfn = asked->pfn;
			m->slots[m->index[i]].flags = asked->flags | HW_PRESENT;
		} else {
			assert_true(got.word == m->slots[m->index[i]].word);
			assert_int_equal(got.flags & HW_PRESENT, model_present(m, i));
		}
	}
}

/* unmap, protect and harvest agree in what they report. */
static void model_expect_report(struct model *m, uint32_t i)
{
	const struct hw_entry *got = &m->batch[i];

	assert_int_equal(got->err, model_present(m, i) ? 0 : -ENOENT);
	assert_int_equal(got->pfn, m->slots[m->index[i]].pfn);
	assert_int_equal(got->flags, m->slots[m->index[i]].flags);
	if (!model_present(m, i))
		assert_true(got->word == m->slots[m->index[i]].word);
}

static void model_unmap(struct model *m)
{
	uint64_t words[MODEL_BATCH];

	for (uint32_t i = 0; i < m->nr; i++) {
		words[i] = model_below(m, 2) == 0 ? 0 : rng_next(&m->rng) & HW_WORD_MAX;
		m->batch[i].word = words[i];
	}
	m->f->hw->ops->unmap(m->f->space, m->batch, m->nr);
	for (uint32_t i = 0; i < m->nr; i++) {
		model_expect_report(m, i);
		if (!model_present(m, i))
			continue;
		m->slots[m->index[i]].word = words[i];
		m->slots[m->index[i]].pfn = PFN_NONE;
		m->slots[m->index[i]].flags = 0;
	}
}

static void model_protect_or_harvest(struct model *m, bool protect)
{
	uint32_t off = protect ? HW_WRITE | HW_DIRTY : HW_YOUNG;

	if (protect)
		m->f->hw->ops->protect(m->f->space, m->batch, m->nr);
	else
		m->f->hw->ops->harvest(m->f->space, m->batch, m->nr);
	for (uint32_t i = 0; i < m->nr; i++) {
		model_expect_report(m, i);
		m->slots[m->index[i]].flags &= (uint16_t)~off;
	}
}

static void model_allow_write(struct model *m)
{
	for (uint32_t i = 0; i < m->nr; i++)
		m->batch[i].pfn = model_below(m, 4) == 0 || !model_present(m, i)
					  ? MODEL_FRAMES
					  : m->slots[m->index[i]].pfn;
	m->f->hw->ops->allow_write(m->f->space, m->batch, m->nr);
	for (uint32_t i = 0; i < m->nr; i++) {
		bool same = m->batch[i].pfn != MODEL_FRAMES;

		assert_int_equal(m->batch[i].err, same ? 0 : -EAGAIN);
		if (same)
			m->slots[m->index[i]].flags |= HW_WRITE;
	}
}

static void model_access(struct model *m)
{
	for (uint32_t i = 0; i < m->nr; i++) {
		uint32_t pfn = m->slots[m->index[i]].pfn;
		uint16_t *flags = &m->slots[m->index[i]].flags;
		bool write = model_below(m, 2) == 0;
		bool may = write ? (*flags & HW_WRITE) != 0 : model_present(m, i);
		uint64_t value = rng_next(&m->rng);

		assert_int_equal(access_word(m->f, m->batch[i].vpn, write, &value),
				 may ? 0 : -EFAULT);
		if (!may)
			continue;
		*flags |= HW_YOUNG | (write ? HW_DIRTY : 0);
		if (write)
			m->contents[pfn] = value;
		assert_true(value == m->contents[pfn]);
	}
}

static void model_set_word(struct model *m)
{
	for (uint32_t i = 0; i < m->nr; i++) {
		uint64_t *word = &m->slots[m->index[i]].word;
		uint64_t expect = *word + (model_below(m, 4) == 0);
		uint64_t next = model_below(m, 3);
		int err = m->f->hw->ops->set_word(m->f->space, m->batch[i].vpn, expect, next);

		if (err == -ENOMEM) {
			assert_true(!model_present(m, i) && *word == 0);
			continue;
		}
		assert_int_equal(err, model_present(m, i) || expect != *word ? -EAGAIN : 0);
		if (err == 0)
			*word = next;
	}
}

/* Some contents move, as the engine moves them. */
static void model_copy(struct model *m)
{
	uint32_t to = 1 + model_below(m, MODEL_FRAMES - 1);
	uint32_t from = 1 + model_below(m, MODEL_FRAMES - 1);

	if (to == from) {
		m->f->hw->ops->zero(m->f->hw, to);
		m->contents[to] = 0;
	} else {
		m->f->hw->ops->copy(m->f->hw, to, from);
		m->contents[to] = m->contents[from];
	}
}

/* A stretch of slots is scanned in pieces and must hold exactly what the model has. */
static void model_scan(struct model *m)
{
	uint32_t zone = model_below(m, NR_ZONES) * ZONE_PAGES;
	uint32_t at = zone + model_below(m, ZONE_PAGES);
	uint32_t end = at + model_below(m, zone + ZONE_PAGES - at);
	uint32_t max = 1 + model_below(m, MODEL_BATCH);
	uint32_t nr;

	do {
		nr = m->f->hw->ops->scan(m->f->space, model_vpn(at), model_vpn(end), m->batch, max);
		for (uint32_t i = 0; i < nr; i++) {
			while (m->slots[at].flags == 0 && m->slots[at].word == 0)
				at++;
			assert_true(at <= end && m->batch[i].vpn == model_vpn(at));
			assert_true(m->batch[i].word == m->slots[at].word);
			assert_int_equal(m->batch[i].pfn, m->slots[at].pfn);
			assert_int_equal(m->batch[i].flags, m->slots[at].flags);
			at++;
		}
	} while (nr == max && at <= end);
	for (; at <= end; at++)
		assert_true(m->slots[at].flags == 0 && m->slots[at].word == 0);
}

static void model_step(struct model *m)
{
	model_choose(m);
	switch (model_below(m, 10)) {
	case 0:
	case 1:
		model_map(m);
		break;
	case 2:
		model_unmap(m);
		break;
	case 3:
		model_protect_or_harvest(m, model_below(m, 2) == 0);
		break;
	case 4:
		model_allow_write(m);
		break;
	case 5:
		model_set_word(m);
		break;
	case 6:
		model_scan(m);
		break;
	case 7:
		model_copy(m);
		break;
	default:
		model_access(m);
		break;
	}
}

static void random_operations_agree_with_a_model(void **state)
{
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->f = *state;
	rng_seed(&m->rng, hw_fixture_seed());
	for (uint32_t step = 0; step < MODEL_STEPS; step++) {
		model_step(m);
		if (step % 1500 != 1499)
			continue;
		for (uint32_t i = 0; i < NR_MODEL; i++) {
			struct hw_entry entry = hw_fixture_get(m->f, model_vpn(i));

			assert_true(entry.word == m->slots[i].word);
			assert_int_equal(entry.pfn, m->slots[i].pfn);
			assert_int_equal(entry.flags, m->slots[i].flags);
		}
		/* Empty and whole leaves go: the counts must be back at 0 after all that. */
		if (step % 3000 == 2999) {
			hw_fixture_empty(m->f);
			memset(m->slots, 0, sizeof(m->slots));
			m->f->hw->ops->release_tables(m->f->space, 0, HW_VPN_MAX,
						      hw_fixture_free_table, m->f);
			assert_int_equal(m->f->nr_lent, 1 + 4 + 5); /* root; level 3; level 2 */
		}
	}
	free(m);
}

/* ---- resident set ---- */

#define BIG_FRAMES (16u << 20) /* 64 GiB */
#define BIG_TOUCHED 1000u

static uint64_t rss_bytes(void)
{
	unsigned long long total, resident;
	FILE *file = fopen("/proc/self/statm", "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%llu %llu", &total, &resident), 2);
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A bump allocator of the big machine's frames, top down, for tables. */
static void big_free_table(void *arg, uint32_t pfn)
{
	uint32_t *nr_tables = arg;

	assert_true(pfn >= BIG_FRAMES - 2 * BIG_TOUCHED);
	(*nr_tables)--;
}

static void big_map(struct hw *hw, struct hw_space *space, uint32_t i, uint32_t *nr_tables)
{
	uint32_t pfn = 1 + i * 16000; /* spread, so that no two share anything */
	struct hw_entry entry = { .vpn = i * 300, .pfn = pfn, .flags = HW_WRITE };
	struct hw_access access;

	hw->ops->zero(hw, pfn);
	hw->ops->map(space, &entry, 1);
	for (uint32_t n = 0; n < 3 && entry.err == -ENOMEM; n++) {
		assert_int_equal(hw->ops->add_table(space, entry.vpn, entry.level,
						    BIG_FRAMES - ++*nr_tables),
				 0);
		hw->ops->map(space, &entry, 1);
	}
	assert_int_equal(entry.err, 0);
	assert_int_equal(hw->ops->access_begin(space, entry.vpn, true, &access), 0);
	*access.tag = i;
	hw->ops->access_end(space, &access);
	hw->ops->copy(hw, pfn + 1, pfn);
	assert_true(*hw->ops->tag(hw, pfn + 1) == i);
}

static void big_machine_with_tags_costs_what_is_touched(void **state)
{
	uint64_t before = rss_bytes();
	struct hw_entry found[BIG_TOUCHED];
	uint32_t nr_tables = 1;
	struct hw_space *space;
	struct hw *hw;
	uint64_t grown;

	(void)state;
	assert_int_equal(hw_soft_create(BIG_FRAMES, true, &hw), 0);
	assert_int_equal(hw->ops->add_frames(hw, 0, BIG_FRAMES), 0);
	assert_int_equal(hw->ops->space_create(hw, BIG_FRAMES - 1, &space), 0);
	for (uint32_t i = 0; i < BIG_TOUCHED; i++)
		big_map(hw, space, i, &nr_tables);
	grown = rss_bytes() - before;
	print_message("resident set grew by %llu KiB\n", (unsigned long long)(grown / KIB));
	if (!SANITIZED) /* shadow memory is resident, too */
		assert_true(grown < 32 * MIB);
	assert_int_equal(hw->ops->scan(space, 0, HW_VPN_MAX, found, BIG_TOUCHED), BIG_TOUCHED);
	for (uint32_t i = 0; i < BIG_TOUCHED; i++)
		found[i].word = 0;
	hw->ops->unmap(space, found, BIG_TOUCHED);
	hw->ops->space_destroy(space, big_free_table, &nr_tables);
	assert_int_equal(nr_tables, 0);
	hw_soft_destroy(hw);
}

static const bool with_real = false;
static const bool with_tags = true;

#define WITH(test, mode)                                                                           \
	{                                                                                          \
#test " " #mode, test, hw_fixture_setup, hw_fixture_teardown,                      \
			(void *)(uintptr_t)&with_##mode                                            \
	}
#define WITH_BOTH(test) WITH(test, real), WITH(test, tags)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_refuses_no_frames),
		WITH_BOTH(frames_have_a_range),
		WITH_BOTH(reserve_is_zeroed_and_separate),
		WITH(contents_real, real),
		WITH(contents_tags, tags),
		WITH_BOTH(map_names_the_missing_level),
		WITH_BOTH(release_gives_back_whole_empty_leaves),
		WITH_BOTH(map_replaces_only_what_was_expected),
		WITH_BOTH(unmap_reports_and_leaves_the_word),
		WITH_BOTH(unmap_leaves_flags_in_the_word_on_request),
		WITH_BOTH(entry_hint_is_where_the_entry_is),
		WITH_BOTH(unmap_takes_only_the_frame_asked_for),
		WITH_BOTH(protect_and_allow_write),
		WITH_BOTH(harvest_takes_young),
		WITH_BOTH(spots_are_looked_at_then_taken),
		WITH_BOTH(set_word_replaces_words),
		WITH_BOTH(access_needs_an_entry),
		WITH_BOTH(access_is_invisible_to_readers),
		WITH_BOTH(batch_crosses_tables),
		WITH_BOTH(scan_finds_all_in_order),
		WITH_BOTH(random_operations_agree_with_a_model),
		cmocka_unit_test(big_machine_with_tags_costs_what_is_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
