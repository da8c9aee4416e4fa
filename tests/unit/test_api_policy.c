/*
 * Memory policies and the nodes of a task through the public interface, on both runtimes: what is
 * refused, where pages land (seen in each node's numastat), and what threads begin with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "api_fixture.h"

#define EXPECT(what)                                                                               \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			print_error("line %d: %s\n", __LINE__, #what);                             \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

#define NR_PAGES 200u

static struct neap_machine *machine;

/* A counter of one node. */
static uint64_t numa(uint32_t node, const char *name)
{
	char file[32];
	char *text = NULL;

	snprintf(file, sizeof(file), "node%u/numastat", node);
	assert_true(neap_proc_text(machine, file, &text) > 0);
	const char *at = strstr(text, name);

	assert_non_null(at);
	uint64_t value = strtoull(at + strlen(name), NULL, 10);

	free(text);
	return value;
}

/* Touches memory of its own. */
static int touch(void *unused)
{
	struct neap_region *region;

	(void)unused;
	EXPECT(neap_region_create(machine, NR_PAGES * NEAP_PAGE_SIZE, 0, NEAP_ANY_NODE, &region) ==
	       0);
	for (uint64_t page = 0; page < NR_PAGES; page++)
		EXPECT(neap_access(region, page, true) == 0);
	neap_region_destroy(region);
	return 0;
}

static int touch_in_thread(void)
{
	struct neap_thread *thread;

	EXPECT(neap_thread_start(machine, "child", 0, touch, NULL, &thread) == 0);
	EXPECT(neap_thread_join(machine, thread) == 0);
	return 0;
}

static int refusals(void)
{
	EXPECT(neap_set_mems(machine, 8) == -EINVAL);
	EXPECT(strstr(neap_machine_error(machine), "memory") != NULL);
	EXPECT(neap_set_policy(machine, NEAP_POLICY_BIND, 0) == -EINVAL);
	EXPECT(neap_set_policy(machine, NEAP_POLICY_LOCAL, 1) == -EINVAL);
	EXPECT(neap_set_policy(machine, (enum neap_policy)9, 1) == -EINVAL);
	EXPECT(neap_set_mems(machine, 2) == 0);
	EXPECT(neap_set_policy(machine, NEAP_POLICY_PREFERRED, 1) == -EINVAL);
	EXPECT(neap_set_mems(machine, 0) == 0);
	return 0;
}

static int body(void *unused)
{
	struct neap_block *block;

	(void)unused;
	EXPECT(refusals() == 0);
	EXPECT(neap_set_cpu(machine, 0) == 0);
	uint64_t other = numa(1, "other_node");

	/* Node 1's CPUs do nothing: all of its pages are of a task on node 0. */
	EXPECT(neap_set_mems(machine, 2) == 0);
	EXPECT(touch(NULL) == 0);
	EXPECT(numa(1, "other_node") >= other + NR_PAGES);
	other = numa(1, "other_node");
	EXPECT(touch_in_thread() == 0);
	EXPECT(numa(1, "other_node") >= other + NR_PAGES);
	EXPECT(numa(0, "numa_foreign") == 0 && numa(1, "numa_miss") == 0);
	/* Blocks, too, but for those whose node is named. */
	uint64_t local = numa(0, "local_node");

	other = numa(1, "other_node");
	EXPECT(neap_block_alloc(machine, 2, 0xcc0, NEAP_ANY_NODE, &block) == 0);
	neap_block_free(machine, block);
	EXPECT(numa(1, "other_node") == other + 1);
	EXPECT(neap_set_mems(machine, 0) == 0);
	EXPECT(neap_set_policy(machine, NEAP_POLICY_BIND, 2) == 0);
	EXPECT(neap_block_alloc(machine, 2, 0xcc0, NEAP_ANY_NODE, &block) == 0);
	neap_block_free(machine, block);
	EXPECT(numa(1, "other_node") == other + 2);
	EXPECT(neap_block_alloc(machine, 2, 0xcc0, 0, &block) == 0);
	neap_block_free(machine, block);
	EXPECT(numa(0, "local_node") == local + 1);
	uint64_t turns = numa(0, "interleave_hit");

	EXPECT(neap_set_policy(machine, NEAP_POLICY_INTERLEAVE, 3) == 0);
	EXPECT(touch_in_thread() == 0);
	EXPECT(numa(0, "interleave_hit") >= turns + NR_PAGES / 2);
	EXPECT(neap_set_policy(machine, NEAP_POLICY_DEFAULT, 0) == 0);
	return 0;
}

static void test_policy(void **state)
{
	static const struct api_setting settings[] = {
		{ "memory", "16M" }, { "nodes", "2" }, { "cpus", "2" }, { NULL, NULL }
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], settings);
		api_run(machine, body, NULL);
		api_machine_end(machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
