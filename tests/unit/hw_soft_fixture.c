/*
 * What the tests of hw/soft share: hardware with one space, and the engine's part in tables.
 *
 *	frames 1 ........ TABLE_FIRST-1 | TABLE_FIRST ........ NR_FRAMES-1
 *	the test's own, for contents    | lent as tables, remembered in lent[]
 *
 * A table frame is lent with rubbish in it, as the contract says that add_table() clears it. The
 * teardown proves for every test that all of them come back exactly once, the root last. Lending is
 * locked, because some tests have several threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw_soft_fixture.h"

uint64_t hw_fixture_seed(void)
{
	const char *text = getenv("NEAP_SEED");
	uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 20240613;

	print_message("seed %llu\n", (unsigned long long)seed);
	return seed;
}
uint32_t hw_fixture_lend_table(struct hw_fixture *f)
{
	uint32_t pfn = TABLE_FIRST;

	pthread_mutex_lock(&f->lock);
	while (f->lent[pfn])
		pfn++;
	assert_true(pfn < NR_FRAMES);
	f->lent[pfn] = true;
	f->nr_lent++;
	pthread_mutex_unlock(&f->lock);
	/* A table frame comes with anything in it. */
	memset(f->hw->ops->window(f->hw, pfn), 0xa5, NEAP_PAGE_BYTES);
	return pfn;
}

void hw_fixture_free_table(void *arg, uint32_t pfn)
{
	struct hw_fixture *f = arg;

	pthread_mutex_lock(&f->lock);
	assert_true(f->lent[pfn]);
	f->lent[pfn] = false;
	f->nr_lent--;
	f->last_freed = pfn;
	pthread_mutex_unlock(&f->lock);
}

int hw_fixture_setup(void **state)
{
	const bool tags = *(const bool *)*state;
	struct hw_fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	pthread_mutex_init(&f->lock, NULL);
	assert_int_equal(hw_soft_create(NR_FRAMES, tags, &f->hw), 0);
	assert_int_equal(f->hw->ops->add_frames(f->hw, 0, NR_FRAMES), 0);
	f->root = hw_fixture_lend_table(f);
	assert_int_equal(f->hw->ops->space_create(f->hw, f->root, &f->space), 0);
	*state = f;
	return 0;
}

void hw_fixture_empty(struct hw_fixture *f)
{
	const struct hw_ops *ops = f->hw->ops;
	struct hw_entry found[64];
	uint32_t nr;

	do {
		nr = ops->scan(f->space, 0, HW_VPN_MAX, found, ARRAY_LEN(found));
		for (uint32_t i = 0; i < nr; i++) {
			uint64_t word = found[i].word;

			found[i].word = 0;
			if ((found[i].flags & HW_PRESENT) != 0)
				ops->unmap(f->space, &found[i], 1);
			else
				assert_int_equal(ops->set_word(f->space, found[i].vpn, word, 0), 0);
		}
	} while (nr != 0);
}

int hw_fixture_teardown(void **state)
{
	struct hw_fixture *f = *state;

	hw_fixture_empty(f);
	f->hw->ops->space_destroy(f->space, hw_fixture_free_table, f);
	assert_int_equal(f->nr_lent, 0);
	assert_int_equal(f->last_freed, f->root);
	hw_soft_destroy(f->hw);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return 0;
}

/* map() of one entry as the engine does it, with the tables that are missing. */
struct hw_entry hw_fixture_map(struct hw_fixture *f, uint64_t vpn, uint64_t word, uint32_t pfn,
			       uint32_t flags)
{
	struct hw_entry entry = { .vpn = vpn, .word = word, .pfn = pfn, .flags = (uint16_t)flags };

	f->hw->ops->map(f->space, &entry, 1);
	for (uint32_t i = 0; i < 3 && entry.err == -ENOMEM; i++) {
		uint32_t table = hw_fixture_lend_table(f);
		int err = f->hw->ops->add_table(f->space, vpn, entry.level, table);

		assert_true(err == 0 || err == -EEXIST);
		if (err != 0)
			hw_fixture_free_table(f, table);
		f->hw->ops->map(f->space, &entry, 1);
	}
	return entry;
}

void hw_fixture_must_map(struct hw_fixture *f, uint64_t vpn, uint32_t pfn, uint32_t flags)
{
	assert_int_equal(hw_fixture_map(f, vpn, 0, pfn, flags).err, 0);
}

struct hw_entry hw_fixture_get(struct hw_fixture *f, uint64_t vpn)
{
	struct hw_entry entry = { .vpn = vpn, .err = 99 };

	f->hw->ops->get(f->space, &entry);
	assert_int_equal(entry.err, 0);
	assert_true(entry.vpn == vpn);
	return entry;
}
