/*
 * The page cache's index against a model: random insertions, removals, marks and scans
 * over trees of height 1 to 6.
 *
 *   candidate indices ── a few leaves near 0, some behind 64^2, 64^3, 64^4, 64^5
 *   model             ── what each of them must hold: nothing, a page, a shadow
 *   nodes             ── distinct prefixes of what is in use: neither one more nor less
 *
 * The number of nodes follows from the indices in use and the height, so that a node
 * left behind empty is found at once; it is read from the cache that nodes come from.
 *
 * What must never happen here: a model that is filled from the index.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/index.h"

#define CLUSTERS 6u
#define CLUSTER 26u /* 26 indices 19 apart: eight leaves */
#define CANDIDATES (CLUSTERS * CLUSTER)
#define SHADOW(i) ((uint64_t)((i) + 1) << 12 | 1)

struct model {
	uint64_t index[CANDIDATES]; /* ascending */
	uint64_t value[CANDIDATES]; /* frame << 8 | dirty mark, or a shadow, or 0 */
	uint64_t slab;		    /* index nodes of the machine before the test */
};

static void model_init(struct machine_fixture *f, struct model *model)
{
	static const uint64_t base[CLUSTERS] = {
		0, 4096, 262144, 16777216, 16777216 * 3, 1073741824
	};

	memset(model, 0, sizeof(*model));
	for (uint32_t i = 0; i < CANDIDATES; i++)
		model->index[i] = base[i / CLUSTER] + i % CLUSTER * 19;
	for (uint32_t i = 1; i < CANDIDATES; i++)
		assert_true(model->index[i] > model->index[i - 1]);
	model->slab = f->m->index_nodes.nr_used;
}

static uint64_t nr_nodes(struct machine_fixture *f, const struct model *model)
{
	return f->m->index_nodes.nr_used - model->slab;
}

/* Nodes that a tree of this height needs for what the model holds. */
static uint64_t expected_nodes(const struct model *model, uint32_t height)
{
	uint64_t nodes = 0;

	for (uint32_t level = 1; level <= height; level++) {
		uint64_t last = UINT64_MAX;

		for (uint32_t i = 0; i < CANDIDATES; i++) {
			uint64_t prefix = model->index[i] >> (INDEX_SLOT_BITS * level);

			if (model->value[i] == 0 || prefix == last)
				continue;
			last = prefix;
			nodes++;
		}
	}
	return nodes;
}

static bool model_empty(const struct model *model)
{
	for (uint32_t i = 0; i < CANDIDATES; i++)
		if (model->value[i] != 0)
			return false;
	return true;
}

static void lock(struct machine_fixture *f, struct mapping *mapping)
{
	spin_lock(f->t, &mapping->lock, LOCK_MAPPING);
}

static void unlock(struct machine_fixture *f, struct mapping *mapping)
{
	spin_unlock(f->t, &mapping->lock, LOCK_MAPPING);
}

/* ---- comparing ---- */

static void compare_scan(struct machine_fixture *f, struct mapping *mapping,
			 const struct model *model, bool dirty_only)
{
	struct index_scan scan = { .dirty_only = dirty_only, .max = 7 };
	uint32_t at = 0;

	while (!scan.done) {
		lock(f, mapping);
		index_scan(f->t, mapping, &scan);
		unlock(f, mapping);
		for (uint32_t i = 0; i < scan.nr; i++) {
			while (at < CANDIDATES &&
			       (!index_is_page(model->value[at]) ||
				(dirty_only && !(model->value[at] & INDEX_DIRTY))))
				at++;
			assert_true(at < CANDIDATES);
			assert_int_equal(scan.pfn[i], index_frame(model->value[at]));
			at++;
		}
	}
	for (; at < CANDIDATES; at++)
		assert_false(index_is_page(model->value[at]) &&
			     (!dirty_only || (model->value[at] & INDEX_DIRTY)));
}

static void compare(struct machine_fixture *f, struct mapping *mapping, const struct model *model)
{
	lock(f, mapping);
	for (uint32_t i = 0; i < CANDIDATES; i++) {
		assert_int_equal(index_load(f->t, mapping, model->index[i]), model->value[i]);
		/* A neighbour that nobody ever used. */
		assert_int_equal(index_load(f->t, mapping, model->index[i] + 3), 0);
	}
	unlock(f, mapping);
	compare_scan(f, mapping, model, false);
	compare_scan(f, mapping, model, true);
	if (model_empty(model))
		assert_int_equal(mapping->height, 0);
	assert_int_equal(nr_nodes(f, model), expected_nodes(model, mapping->height));
}

/* ---- steps ---- */

static void step_insert(struct machine_fixture *f, struct mapping *mapping, struct model *model,
			uint32_t i)
{
	uint64_t shadow = 0;
	uint32_t pfn = 5000 + i;
	int err = index_insert(f->t, mapping, model->index[i], pfn, &shadow);

	if (index_is_page(model->value[i])) {
		assert_int_equal(err, -EEXIST);
		return;
	}
	assert_int_equal(err, 0);
	assert_int_equal(shadow, model->value[i]);
	model->value[i] = (uint64_t)pfn << INDEX_FRAME_SHIFT;
}

static void step_remove(struct machine_fixture *f, struct mapping *mapping, struct model *model,
			uint32_t i, uint64_t shadow)
{
	uint64_t freed = INDEX_NODE_NONE;

	if (!index_is_page(model->value[i]))
		return;
	lock(f, mapping);
	if (model->value[i] & INDEX_DIRTY)
		assert_true(index_mark_dirty(f->t, mapping, model->index[i], false));
	index_remove(f->t, mapping, model->index[i], shadow, &freed);
	unlock(f, mapping);
	index_free_nodes(f->t, &freed);
	model->value[i] = shadow;
}

static void step_mark(struct machine_fixture *f, struct mapping *mapping, struct model *model,
		      uint32_t i, bool dirty)
{
	bool was = (model->value[i] & INDEX_DIRTY) != 0;

	if (!index_is_page(model->value[i]))
		return;
	lock(f, mapping);
	assert_int_equal(index_mark_dirty(f->t, mapping, model->index[i], dirty), was != dirty);
	unlock(f, mapping);
	model->value[i] &= ~(uint64_t)INDEX_DIRTY;
	model->value[i] |= dirty ? INDEX_DIRTY : 0;
}

static void random_step(struct machine_fixture *f, struct mapping *mapping, struct model *model,
			struct rng *rng)
{
	uint32_t i = (uint32_t)rng_below(rng, CANDIDATES);

	switch (rng_below(rng, 6)) {
	case 0:
	case 1:
		step_insert(f, mapping, model, i);
		break;
	case 2:
		step_remove(f, mapping, model, i, 0);
		break;
	case 3:
		step_remove(f, mapping, model, i, SHADOW(i));
		break;
	default:
		step_mark(f, mapping, model, i, rng_below(rng, 2) != 0);
		break;
	}
}

static void remove_all(struct machine_fixture *f, struct mapping *mapping, struct model *model)
{
	for (uint32_t i = 0; i < CANDIDATES; i++)
		step_remove(f, mapping, model, i, 0);
}

static void body_random(struct machine_fixture *f)
{
	struct mapping *mapping = machine_file(f, 1)->mapping;
	struct model model;
	struct rng rng;

	rng_seed(&rng, machine_seed());
	model_init(f, &model);
	for (uint32_t round = 0; round < 30; round++) {
		for (uint32_t i = 0; i < 150; i++) {
			random_step(f, mapping, &model, &rng);
			if (i % 10 == 0)
				compare(f, mapping, &model);
		}
		remove_all(f, mapping, &model);
		compare(f, mapping, &model);
		/* Only shadows are left. */
		index_clear(f->t, mapping);
		memset(model.value, 0, sizeof(model.value));
		compare(f, mapping, &model);
		assert_int_equal(nr_nodes(f, &model), 0);
	}
}

MACHINE_TEST(random, 0);

/* The tree is as high as the highest index needs, and all of it goes with the last page. */
static void body_heights(struct machine_fixture *f)
{
	static const struct {
		uint64_t index;
		uint32_t height;
	} cases[] = {
		{ 0, 1 },	 { 63, 1 },	    { 64, 2 },	       { 4095, 2 },
		{ 4096, 3 },	 { 262143, 3 },	    { 262144, 4 },     { 16777215, 4 },
		{ 16777216, 5 }, { 1073741823, 5 }, { 1073741824, 6 }, { 68719476735, 6 },
	};
	struct mapping *mapping = machine_file(f, 1)->mapping;
	uint64_t before = f->m->index_nodes.nr_used;
	uint64_t freed = INDEX_NODE_NONE;
	uint64_t shadow;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(index_insert(f->t, mapping, cases[i].index, 77, &shadow), 0);
		assert_int_equal(mapping->height, cases[i].height);
		assert_int_equal(f->m->index_nodes.nr_used - before, cases[i].height);
		lock(f, mapping);
		assert_int_equal(index_frame(index_load(f->t, mapping, cases[i].index)), 77);
		index_remove(f->t, mapping, cases[i].index, 0, &freed);
		unlock(f, mapping);
		index_free_nodes(f->t, &freed);
		assert_int_equal(f->m->index_nodes.nr_used, before);
		assert_int_equal(mapping->root, INDEX_NODE_NONE);
	}
	assert_int_equal(index_insert(f->t, mapping, UINT64_C(1) << 36, 77, &shadow), -EINVAL);
}

MACHINE_TEST(heights, 0);

/* From each node on refused in turn: the insertion fails cleanly, and the index is as before. */
static void body_no_memory(struct machine_fixture *f)
{
	struct mapping *mapping = machine_file(f, 1)->mapping;
	static const uint64_t far[] = { 3, 700, 300000, 150000000, 150000000 + 512 };
	struct model model;
	uint64_t shadow;

	model_init(f, &model);
	for (size_t i = 0; i < ARRAY_LEN(far); i++) {
		uint64_t before = nr_nodes(f, &model);
		uint32_t nth = 1;

		for (;; nth++) {
			f->m->inject[INJECT_SLAB] = nth;
			int err = index_insert(f->t, mapping, far[i], 9000, &shadow);

			f->m->inject[INJECT_SLAB] = 0;
			if (err == 0)
				break;
			assert_int_equal(err, -ENOMEM);
			/* A root may have grown over what was there; empty nodes may not stay. */
			assert_true(nr_nodes(f, &model) <= before + mapping->height);
			lock(f, mapping);
			assert_int_equal(index_load(f->t, mapping, far[i]), 0);
			unlock(f, mapping);
			if (before == 0)
				assert_int_equal(nr_nodes(f, &model), 0);
		}
		assert_in_range(nth, 2, INDEX_MAX_HEIGHT + 1);
	}
	uint64_t freed = INDEX_NODE_NONE;

	for (size_t i = 0; i < ARRAY_LEN(far); i++) {
		lock(f, mapping);
		index_remove(f->t, mapping, far[i], 0, &freed);
		unlock(f, mapping);
		index_free_nodes(f->t, &freed);
	}
	assert_int_equal(nr_nodes(f, &model), 0);
}

MACHINE_TEST(no_memory, 0);

/* A half-made path far out, then the end of the file: nothing is read beyond a node. */
static void body_no_memory_clear(struct machine_fixture *f)
{
	struct mapping *mapping = machine_file(f, 1)->mapping;
	uint64_t freed = INDEX_NODE_NONE;
	struct model model;
	uint64_t shadow;

	model_init(f, &model);
	for (uint32_t nth = 1; nth < 7; nth++) {
		assert_int_equal(index_insert(f->t, mapping, 5, 9000, &shadow), 0);
		f->m->inject[INJECT_SLAB] = nth;
		int err = index_insert(f->t, mapping, 150000000, 9001, &shadow);

		f->m->inject[INJECT_SLAB] = 0;
		lock(f, mapping);
		index_remove(f->t, mapping, 5, SHADOW(0), &freed);
		if (err == 0)
			index_remove(f->t, mapping, 150000000, SHADOW(1), &freed);
		unlock(f, mapping);
		index_free_nodes(f->t, &freed);
		index_clear(f->t, mapping);
		assert_int_equal(nr_nodes(f, &model), 0);
		assert_int_equal(mapping->height, 0);
	}
}

MACHINE_TEST(no_memory_clear, 0);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_heights),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_no_memory_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
