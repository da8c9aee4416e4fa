/*
 * Tests of core/slab.c: the shape of slabs as recorded kernels have it, objects and
 * slabs that come and go, single frames where there are no blocks.
 */
#include "core_fixture.h"

#include "core/lru.h"
#include "core/slab.h"

#define PAGES 4096u
#define NODE_BYTES 576u
#define MANY 2000u

struct object {
	uint32_t pfn, number;
};

static struct core_fixture f;
static struct slab_cache cache;
static struct object object[MANY];
static uint32_t hog[PAGES];
static uint32_t nr_hogs;

static void setup(uint32_t object_bytes, bool reclaimable)
{
	core_setup_normal(&f, 2, PAGES);
	memset(&cache, 0, sizeof(cache));
	slab_init(f.m, &cache, object_bytes, reclaimable);
	nr_hogs = 0;
}

static void finish(void)
{
	assert_null(slab_verify(f.m, &cache));
	core_teardown(&f);
}

static struct object take(uint32_t gfp)
{
	struct object o = { PFN_NONE, 0 };

	o.pfn = slab_alloc(f.t, &cache, gfp, &o.number);
	return o;
}

static void give(struct object o)
{
	slab_free(f.t, &cache, o.pfn, o.number);
}

static uint64_t stat_of(enum node_item item)
{
	return (uint64_t)node_stat_exact(&f.m->nodes[0], item);
}

/*
 * /proc/slabinfo of three recorded machines (6.1.192, cloud flavour): all 60 sizes of their caches
 * agree, and these are the places where the pages of a slab change.
 */
static void test_order_recorded(void **state)
{
	static const struct {
		uint16_t bytes, pages[3]; /* of 1, 2 and 4 CPUs */
	} recorded[] = {
		{ 8, { 1, 1, 1 } },    { 104, { 1, 1, 1 } },  { 192, { 1, 1, 1 } },
		{ 256, { 1, 1, 1 } },  { 272, { 1, 1, 2 } },  { 320, { 1, 1, 2 } },
		{ 384, { 1, 2, 2 } },  { 416, { 2, 2, 2 } },  { 512, { 1, 2, 2 } },
		{ 584, { 2, 2, 4 } },  { 640, { 2, 2, 4 } },  { 704, { 2, 4, 4 } },
		{ 784, { 2, 4, 4 } },  { 832, { 4, 4, 4 } },  { 1024, { 2, 4, 4 } },
		{ 1152, { 4, 4, 8 } }, { 1600, { 4, 8, 8 } }, { 2048, { 4, 8, 8 } },
		{ 2112, { 8, 8, 8 } }, { 4096, { 8, 8, 8 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(recorded); i++)
		for (uint32_t k = 0; k < 3; k++)
			assert_int_equal(1u << slab_order(recorded[i].bytes, 1u << k),
					 recorded[i].pages[k]);
	/* Every size and number of CPUs has slabs. */
	for (uint32_t bytes = 1; bytes <= NEAP_PAGE_BYTES; bytes++)
		for (uint32_t cpus = 1; cpus <= 64; cpus *= 2)
			assert_in_range(slab_order(bytes, cpus), 0, 3);
	/* A request to the block layer: 21 in a frame, 12 slabs of a CPU and 5 of the node. */
	assert_int_equal(slab_kept(192, 0, 2), 5 + 2 * 12);
	assert_int_equal(slab_kept(NODE_BYTES, 1, 2), 5 + 2 * 8);
}

/* 14 objects share two frames, no two the same place; slabs go back, but for those kept. */
static void test_objects(void **state)
{
	uint32_t slabs = (MANY + 13) / 14;

	(void)state;
	setup(NODE_BYTES, true);
	for (uint32_t i = 0; i < MANY; i++) {
		object[i] = take(GFP_KERNEL);
		assert_int_not_equal(object[i].pfn, PFN_NONE);
		assert_true(object[i].number < 14);
		assert_int_equal(object[i].pfn % 2, 0);
		for (uint32_t k = i - i % 14; k < i; k++)
			assert_true(object[k].pfn != object[i].pfn ||
				    object[k].number != object[i].number);
	}
	assert_int_equal(slab_frames(&cache), 2 * slabs);
	assert_int_equal(stat_of(NR_SLAB_RECLAIMABLE), 2 * slabs);
	assert_int_equal(stat_of(NR_SLAB_UNRECLAIMABLE), 0);
	assert_null(slab_verify(f.m, &cache));
	for (uint32_t i = 0; i < MANY; i++)
		give(object[i]);
	assert_int_equal(cache.nr_used, 0);
	assert_int_equal(slab_frames(&cache), 2 * cache.kept);
	assert_int_equal(stat_of(NR_SLAB_RECLAIMABLE), 2 * cache.kept);
	core_verify(&f, 2 * cache.kept);
	slab_drain(f.t, &cache);
	assert_int_equal(slab_frames(&cache), 0);
	core_verify(&f, 0);
	finish();
}

/* An object that came back is the next one given out, and a slab in use is not drained. */
static void test_again(void **state)
{
	struct object again;

	(void)state;
	setup(NODE_BYTES, true);
	for (uint32_t i = 0; i < 20; i++)
		object[i] = take(GFP_KERNEL);
	give(object[3]);
	slab_drain(f.t, &cache);
	assert_int_equal(slab_frames(&cache), 4);
	again = take(GFP_KERNEL);
	assert_int_equal(again.pfn, object[3].pfn);
	assert_int_equal(again.number, object[3].number);
	for (uint32_t i = 0; i < 20; i++)
		give(object[i]);
	slab_drain(f.t, &cache);
	assert_int_equal(stat_of(NR_SLAB_RECLAIMABLE), 0);
	finish();
}

/* Takes all memory as single frames and gives back every second one: no blocks of two. */
static void leave_single_frames(void)
{
	uint32_t nr = 0;
	uint32_t pfn;

	while ((pfn = alloc_page(f.t, GFP_NOWAIT | GFP_BIT_NOWARN)) != PFN_NONE)
		hog[nr_hogs++] = pfn;
	for (uint32_t i = 0; i < nr_hogs; i++) {
		if (hog[i] % 2 == 0)
			page_put(f.t, machine_page(f.m, hog[i]));
		else
			hog[nr++] = hog[i];
	}
	nr_hogs = nr;
}

/* Where there are no blocks a single frame does; where there is nothing, nothing is had. */
static void test_single_frames(void **state)
{
	uint32_t nr = 0;

	(void)state;
	setup(NODE_BYTES, false);
	leave_single_frames();
	uint64_t wakes = machine_event(f.m, EV_ALLOCSTALL_NORMAL);

	do
		object[nr] = take(GFP_NOWAIT | GFP_BIT_NOWARN);
	while (object[nr].pfn != PFN_NONE && ++nr < MANY);
	assert_true(nr >= 7);
	assert_int_equal(slab_frames(&cache), (nr + 6) / 7);
	assert_int_equal(stat_of(NR_SLAB_UNRECLAIMABLE), (nr + 6) / 7);
	assert_int_equal(machine_event(f.m, EV_ALLOCSTALL_NORMAL), wakes);
	assert_null(slab_verify(f.m, &cache));
	while (nr > 0)
		give(object[--nr]);
	slab_drain(f.t, &cache);
	while (nr_hogs > 0)
		page_put(f.t, machine_page(f.m, hog[--nr_hogs]));
	core_verify(&f, 0);
	finish();
}

/* A cache of single frames asks twice, and reclaims each time if it may. */
static void test_second_try_at_the_same_order(void **state)
{
	(void)state;
	setup(104, false);
	assert_int_equal(cache.order, 0);
	leave_single_frames();
	while ((hog[nr_hogs] = alloc_page(f.t, GFP_NOWAIT | GFP_BIT_NOWARN)) != PFN_NONE)
		nr_hogs++;
	uint64_t stalls = machine_event(f.m, EV_ALLOCSTALL_NORMAL);

	assert_int_equal(take(GFP_KERNEL | GFP_BIT_NORETRY | GFP_BIT_NOWARN).pfn, PFN_NONE);
	assert_int_equal(machine_event(f.m, EV_ALLOCSTALL_NORMAL), stalls + 2);
	while (nr_hogs > 0)
		page_put(f.t, machine_page(f.m, hog[--nr_hogs]));
	core_verify(&f, 0);
	finish();
}

/* Objects without contents: any of the slab is given back. */
static void test_any(void **state)
{
	(void)state;
	setup(104, false);
	for (uint32_t i = 0; i < 39 * 3; i++)
		object[i] = take(GFP_KERNEL);
	assert_int_equal(slab_frames(&cache), 3);
	for (uint32_t i = 0; i < 39; i++)
		slab_free_any(f.t, &cache, object[i].pfn);
	assert_int_equal(cache.nr_used, 39 * 2);
	slab_drain(f.t, &cache);
	assert_int_equal(slab_frames(&cache), 2);
	for (uint32_t i = 39; i < 39 * 3; i++)
		slab_free_any(f.t, &cache, object[i].pfn);
	slab_drain(f.t, &cache);
	core_verify(&f, 0);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_recorded),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_single_frames),
		cmocka_unit_test(test_second_try_at_the_same_order),
		cmocka_unit_test(test_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
