/*
 * Freezing a machine through the public interface, live and simulated: nothing of the engine moves
 * by itself, programs go on, verification still works, and the end of the machine ends it all.
 *
 *   freeze ── freeze ── thaw ── (still frozen) ── thaw ── kswapd works again
 *
 * What must never happen here: a machine that cannot be taken down because it is frozen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "api_fixture.h"

#define SIZE_BYTES (UINT64_C(24) << 20)

static struct neap_machine *machine;
static struct neap_region *region;

static const struct api_setting small[] = { { "memory", "8M" },
					    { "cpus", "2" },
					    { "swap", "64M" },
					    { NULL, NULL } };

static uint64_t counter(const char *name)
{
	return neap_counter(machine, name);
}

/* Writes every page of the region. => 0, or the line that failed */
static int fill(void *arg)
{
	(void)arg;
	for (uint64_t at = 0; at < SIZE_BYTES; at += 4096) {
		uint64_t value = at ^ 77;

		if (neap_write(region, at, &value, sizeof(value)) != 0)
			return __LINE__;
	}
	return 0;
}

static int make_region(void *arg)
{
	(void)arg;
	return neap_region_create(machine, SIZE_BYTES, 0, -1, &region) == 0 ? 0 : __LINE__;
}

static void test_freeze(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		assert_int_equal(neap_thaw(machine), -EINVAL);
		api_run(machine, make_region, NULL);
		assert_int_equal(neap_freeze(machine), 0);
		assert_int_equal(neap_freeze(machine), 0);
		api_run(machine, fill, NULL);
		assert_int_equal(counter("pageoutrun"), 0);
		assert_true(counter("pgsteal_direct") > 0);
		assert_int_equal(neap_verify(machine), 0);
		assert_int_equal(neap_thaw(machine), 0);
		api_run(machine, fill, NULL);
		assert_int_equal(counter("pageoutrun"), 0);
		assert_int_equal(neap_thaw(machine), 0);
		assert_int_equal(neap_thaw(machine), -EINVAL);
		api_run(machine, fill, NULL);
		assert_true(counter("pageoutrun") > 0);
		api_machine_end(machine);
	}
}

static void test_end_while_frozen(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		assert_int_equal(neap_freeze(machine), 0);
		api_machine_end(machine);
	}
}

static void test_rebind_is_a_switch(void **state)
{
	struct neap_config *config = neap_config_new();

	(void)state;
	assert_int_equal(neap_config_set(config, "rebind", "1"), 0);
	assert_int_equal(neap_config_set(config, "rebind", "0"), 0);
	assert_int_equal(neap_config_set(config, "rebind", "2"), -EINVAL);
	neap_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_freeze),
		cmocka_unit_test(test_end_while_frozen),
		cmocka_unit_test(test_rebind_is_a_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
