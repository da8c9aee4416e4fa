/*
 * Tests of core/pool.c: ids, reuse, growth, refusal, and the frames behind it.
 */
#include "core_fixture.h"

#include "core/pool.h"

struct pool_fixture {
	struct core_fixture f;
	struct pool pool;
	_Atomic uint32_t directory[POOL_MAX_CHUNKS];
};

static void setup_pool(struct pool_fixture *p, uint32_t pages, uint32_t object_bytes)
{
	core_setup_normal(&p->f, 1, pages);
	memset((void *)p->directory, 0, sizeof(p->directory));
	pool_init(&p->pool, &p->f.hw.hw, object_bytes, p->directory);
}

static struct pool_fixture p;

static void test_ids(void **state)
{
	uint32_t id[200];

	(void)state;
	setup_pool(&p, 8192, 100);
	assert_int_equal(p.pool.per_chunk, 40);
	for (uint32_t i = 0; i < ARRAY_LEN(id); i++) {
		uint8_t *object = pool_alloc(p.f.t, &p.pool, &id[i]);

		assert_non_null(object);
		assert_int_equal(id[i], i + 1);
		assert_ptr_equal(object, pool_get(&p.pool, id[i]));
		for (uint32_t k = 0; k < 100; k++)
			assert_int_equal(object[k], 0);
		memset(object, (int)i, 100);
	}
	assert_int_equal(p.pool.nr_chunks, 5);
	assert_int_equal(node_stat_exact(&p.f.m->nodes[0], NR_SLAB_UNRECLAIMABLE), 5);
	for (uint32_t i = 0; i < 5; i++)
		assert_true(page_test(&p.f.m->pages[p.directory[i]], PG_SLAB));
	for (uint32_t i = 0; i < ARRAY_LEN(id); i++)
		assert_int_equal(*(uint8_t *)pool_get(&p.pool, id[i]), (uint8_t)i);
	/* Freed ids come back, last first, and clean. */
	pool_free(p.f.t, &p.pool, 7);
	pool_free(p.f.t, &p.pool, 90);
	uint8_t *again = pool_alloc(p.f.t, &p.pool, &id[0]);

	assert_int_equal(id[0], 90);
	assert_int_equal(again[0] | again[3] | again[99], 0);
	pool_free(p.f.t, &p.pool, 90);
	for (uint32_t i = 1; i <= 200; i++)
		if (i != 7 && i != 90)
			pool_free(p.f.t, &p.pool, i);
	pool_destroy(p.f.t, &p.pool);
	assert_int_equal(node_stat_exact(&p.f.m->nodes[0], NR_SLAB_UNRECLAIMABLE), 0);
	core_verify(&p.f, 0);
	core_teardown(&p.f);
}

/* The Nth frame is refused: the pool is as before, and goes on when there is memory again. */
static void test_refusal(void **state)
{
	(void)state;
	for (uint32_t nth = 1; nth < 6; nth++) {
		uint32_t got = 0;
		uint32_t refused = 0;
		uint32_t id;

		setup_pool(&p, 4096, 2048);
		p.f.m->inject[INJECT_PAGE] = nth;
		for (uint32_t i = 0; i < 12; i++) {
			if (pool_alloc(p.f.t, &p.pool, &id) == NULL)
				refused++;
			else
				assert_int_equal(id, ++got);
		}
		assert_int_equal(refused, 1);
		assert_int_equal(p.pool.nr_used, 11);
		assert_int_equal(p.pool.nr_chunks, 6);
		for (id = 1; id <= 11; id++)
			pool_free(p.f.t, &p.pool, id);
		pool_destroy(p.f.t, &p.pool);
		core_verify(&p.f, 0);
		core_teardown(&p.f);
	}
}

static void test_full_directory(void **state)
{
	uint32_t id;

	(void)state;
	setup_pool(&p, 16384, 4096);
	for (uint32_t i = 0; i < POOL_MAX_CHUNKS; i++)
		assert_non_null(pool_alloc(p.f.t, &p.pool, &id));
	uint64_t free_pages = zone_stat_exact(&p.f.m->nodes[0].zone[ZONE_NORMAL], NR_FREE_PAGES) +
			      core_pcp_pages(&p.f.m->nodes[0].zone[ZONE_NORMAL]);

	assert_null(pool_alloc(p.f.t, &p.pool, &id));
	core_verify(&p.f, POOL_MAX_CHUNKS);
	assert_int_equal(free_pages,
			 zone_stat_exact(&p.f.m->nodes[0].zone[ZONE_NORMAL], NR_FREE_PAGES) +
				 core_pcp_pages(&p.f.m->nodes[0].zone[ZONE_NORMAL]));
	core_teardown(&p.f);
}

/* Random traffic: no id is given twice, contents stay. */
static void test_random(void **state)
{
	static uint32_t held[3000];
	uint32_t nr = 0;
	struct rng rng;

	(void)state;
	rng_seed(&rng, core_seed());
	setup_pool(&p, 8192, 24);
	for (uint32_t step = 0; step < 20000; step++) {
		if (nr < ARRAY_LEN(held) && rng_below(&rng, 100) < 52) {
			uint64_t *object = pool_alloc(p.f.t, &p.pool, &held[nr]);

			assert_int_equal(object[0] | object[1] | object[2], 0);
			object[0] = object[2] = mix_u64(held[nr]);
			nr++;
		} else if (nr > 0) {
			uint32_t i = (uint32_t)rng_below(&rng, nr);
			const uint64_t *object = pool_get(&p.pool, held[i]);

			assert_int_equal(object[0], mix_u64(held[i]));
			assert_int_equal(object[2], mix_u64(held[i]));
			pool_free(p.f.t, &p.pool, held[i]);
			held[i] = held[--nr];
		}
		assert_int_equal(p.pool.nr_used, nr);
	}
	core_teardown(&p.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_full_directory),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
