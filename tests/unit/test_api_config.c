/* Configurations: what is accepted, and the sentences for what is not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <neap/neap.h>

#include "api/config.h"
#include "api/costs.h"
#include "text/buf.h"

struct refusal {
	const char *name;
	const char *value;
	const char *sentence; /* a part of it */
};

static const struct refusal refusals[] = {
	{ "memory", "64Q", "memory: '64Q' is not a size" },
	{ "memory", "", "memory: '' is not a size" },
	{ "memory", "4K", "not between 1M and 4096G" },
	{ "memory", "8192G", "not between 1M and 4096G" },
	{ "nodes", "0", "at least 1 node" },
	{ "nodes", "65", "nodes: 65 is too large; at most 64" },
	{ "nodes", "two", "nodes: 'two' is not a number" },
	{ "cpus", "0", "at least 1 CPU" },
	{ "cpus", "257", "at most 256" },
	{ "runtime", "real", "neither live nor sim" },
	{ "contents", "bytes", "neither real nor tags" },
	{ "seed", "-1", "seed: '-1' is not a number" },
	{ "seed", "18446744073709551616", "not a number" },
	{ "explore", "2", "neither 0 nor 1" },
	{ "uring", "yes", "neither 0 nor 1" },
	{ "swap", "4K", "less than two pages" },
	{ "swap", "/tmp/x:", "after the colon is not a size" },
	{ "swap", "/tmp/x:12Z", "'12Z' after the colon is not a size" },
	{ "swap", "64M,pri=x", "pri: 'x' is not a number" },
	{ "swap", "64M,pri=40000", "at most 32767" },
	{ "tmp", "", "tmp: the value is empty" },
	{ "sysctl.", "1", "sysctl: the value is empty" },
	{ "fault.disk", "1", "fault.disk: unknown" },
	{ "fault.error", "EFOO", "none of EIO, ENOSPC, ENOMEM" },
	{ "fault.swap-read", "x", "not a number" },
	{ "colour", "red", "'colour' is not a property" },
	{ "machine", "", "nodes= is missing" },
	{ "machine", "cpus=2", "nodes= is missing" },
	{ "machine", "nodes=512M cpus=0", "at least one CPU" },
	{ "machine", "nodes=512M cpus=2 zram=1", "'zram=1' is not possible in this version" },
	{ "machine", "nodes=512M cpus=2 fast", "'fast' is not of the form NAME=VALUE" },
	{ "machine", "nodes=512M/0+512M/0 cpus=1", "CPU 0 of node 1 belongs to another node" },
	{ "machine", "nodes=512M/0+512M/2 cpus=2", "CPU 2 of node 1 is beyond cpus=" },
	{ "machine", "nodes=512M/0+512M/- cpus=2", "only 1 of 2 CPUs" },
	{ "machine", "nodes=512M/1-0 cpus=2", "'1-0' is not a list of CPUs" },
	{ "machine", "nodes=512M/0, cpus=1", "'0,' is not a list of CPUs" },
	{ "machine", "nodes=16M cpus=1", "at least 64M" },
	{ "machine", "nodes=512M+100K cpus=1", "size of node 1 is not a multiple of 1M" },
	{ "machine", "nodes=512M cpus=1 type=arm", "neither pc nor q35" },
	{ "machine", "nodes=512M cpus=1 dist=0-1", "'0-1' is not a distance" },
	{ "machine", "nodes=512M cpus=1 dist=0-1:5", "'0-1:5' is not a distance" },
	{ "machine", "nodes=512M cpus=1 swap=big", "machine: swap: 'big' is not a size" },
};

static void test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		struct neap_config *config = neap_config_new();

		assert_non_null(config);
		assert_int_equal(neap_config_set(config, refusals[i].name, refusals[i].value),
				 -EINVAL);
		if (strstr(neap_config_error(config), refusals[i].sentence) == NULL)
			fail_msg("%s=%s: '%s' does not contain '%s'", refusals[i].name,
				 refusals[i].value, neap_config_error(config),
				 refusals[i].sentence);
		neap_config_free(config);
	}
}

static void test_accepted(void **state)
{
	static const char *const pairs[][2] = {
		{ "memory", "2G" },
		{ "nodes", "2" },
		{ "cpus", "8" },
		{ "runtime", "sim" },
		{ "seed", "18446744073709551615" },
		{ "explore", "1" },
		{ "costs", "emulated-guest" },
		{ "tmp", "/var/tmp" },
		{ "uring", "0" },
		{ "sysctl.swappiness", "10" },
		{ "fault.swap-read", "3" },
		{ "fault.error", "ENOSPC" },
		{ "swap", "64M" },
		{ "swap", "/a:b:1G,pri=7" },
		{ "swap", "/dev/some" },
	};
	struct neap_config *config = neap_config_new();

	(void)state;
	assert_non_null(config);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		assert_int_equal(neap_config_set(config, pairs[i][0], pairs[i][1]), 0);
	assert_int_equal(config->memory_bytes, 2 * GIB);
	assert_int_equal(config->nr_nodes, 2);
	assert_int_equal(config->nr_cpus, 8);
	assert_true(config->sim);
	assert_true(config_has_tags(config));
	assert_true(config->seed == UINT64_MAX);
	assert_int_equal(config->nr_swaps, 3);
	assert_int_equal(config->swap[0].bytes, 64 * MIB);
	assert_string_equal(config->swap[0].path, "");
	assert_int_equal(config->swap[0].priority, CONFIG_AUTO_PRIORITY);
	assert_string_equal(config->swap[1].path, "/a:b");
	assert_int_equal(config->swap[1].bytes, GIB);
	assert_int_equal(config->swap[1].priority, 7);
	assert_string_equal(config->swap[2].path, "/dev/some");
	assert_int_equal(config->swap[2].bytes, 0);
	assert_true(config->faults_enabled);
	assert_int_equal(config->fault_nth[CONFIG_FAULT_SWAP_READ], 3);
	assert_int_equal(config->fault_error, -ENOSPC);
	neap_config_free(config);
}

static void test_machine_text(void **state)
{
	struct neap_config *config = neap_config_new();

	(void)state;
	assert_non_null(config);
	assert_int_equal(neap_config_set(config, "machine",
					 "nodes=1G/0,2+512M/1,3 cpus=4 dist=0-1:15 type=q35"
					 " swap=256M swap2=64M swapiops=1500 fs=1 trace=4096"),
			 0);
	assert_int_equal(config->pc.nr_nodes, 2);
	assert_int_equal(config->pc.nr_cpus, 4);
	assert_true(config->pc.q35);
	assert_true(cpumask_test(&config->pc.node[0].cpus, 2));
	assert_true(cpumask_test(&config->pc.node[1].cpus, 3));
	assert_int_equal(config->pc.distance[1][0], 15);
	assert_int_equal(config->pc.distance[1][1], 10);
	assert_int_equal(config->pc.swap_bytes, 256 * MIB);
	assert_int_equal(config->pc.swap_iops, 1500);

	/* Without CPUs in the text they are split evenly. */
	assert_int_equal(neap_config_set(config, "machine", "nodes=1G+1G cpus=4"), 0);
	assert_int_equal(cpumask_count(&config->pc.node[1].cpus), 2);
	assert_true(cpumask_test(&config->pc.node[1].cpus, 2));
	neap_config_free(config);
}

/* What can be judged only when all is known. */
static void test_contradictions(void **state)
{
	static const struct {
		const char *set[3][2];
		const char *sentence;
	} cases[] = {
		{ { { "contents", "tags" } }, "a live machine holds real contents" },
		{ { { "machine", "nodes=512M cpus=1" }, { "memory", "1G" } },
		  "part of the machine's text" },
		{ { { "memory", "4M" }, { "nodes", "8" } }, "less than 1 MiB a node" },
		{ { { "runtime", "sim" }, { "costs", "/nonexistent/costs" } },
		  "'/nonexistent/costs' is neither" },
		{ { { "swap", "/nonexistent/dir/swap:1M" } }, "/nonexistent/dir/swap" },
		{ { { "tmp", "/nonexistent/dir" }, { "swap", "1M" } }, "Swap:" },
		{ { { "sysctl.swapiness", "1" } }, "sysctl.swapiness: Linux 6.1 has no such" },
		{ { { "sysctl.swappiness", "x" } }, "sysctl.swappiness: the value 'x'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct neap_config *config = neap_config_new();
		struct neap_machine *machine = NULL;

		assert_non_null(config);
		for (size_t j = 0; j < 3 && cases[i].set[j][0] != NULL; j++)
			assert_int_equal(
				neap_config_set(config, cases[i].set[j][0], cases[i].set[j][1]), 0);
		assert_true(neap_machine_create(config, &machine) < 0);
		assert_null(machine);
		if (strstr(neap_config_error(config), cases[i].sentence) == NULL)
			fail_msg("'%s' does not contain '%s'", neap_config_error(config),
				 cases[i].sentence);
		neap_config_free(config);
	}
}

static void test_costs(void **state)
{
	static const char *const bad[][2] = {
		{ "pgfault\n", "t:1: a value is missing behind 'pgfault'" },
		{ "\n# text\npgfoo 1\n",
		  "t:3: neither a counter nor a parameter is called 'pgfoo'" },
		{ "pgfault 1 2\n", "too much is '2'" },
		{ "pgfault 1.2345\n", "instead of '1.2345'" },
		{ "swap.depth 2.5\n", "instead of '2.5'" },
		{ "swap.rotational 2\n", "instead of '2'" },
	};
	struct neap_config *config = neap_config_new();
	struct costs costs;

	(void)state;
	assert_non_null(config);
	assert_int_equal(costs_parse(config, "t",
				     "pgfault 250.5 # measured\n\n  accesses\t4 \nswap.depth 8\n"
				     "slice_ns 4000000",
				     &costs),
			 0);
	assert_int_equal(costs.item_ps[EV_PGFAULT], 250500);
	assert_int_equal(costs.item_ps[EV_SIM_ACCESS], 4000);
	assert_int_equal(costs.swap.depth, 8);
	assert_int_equal(costs.slice_ns, 4000000);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(costs_parse(config, "t", bad[i][0], &costs), -EINVAL);
		if (strstr(neap_config_error(config), bad[i][1]) == NULL)
			fail_msg("'%s' does not contain '%s'", neap_config_error(config),
				 bad[i][1]);
	}
	neap_config_free(config);
}

/* The compiled-in tables are those of costs/. */
static void test_costs_files(void **state)
{
	static const char *const names[] = { "server", "emulated-guest" };
	struct neap_config *config = neap_config_new();

	(void)state;
	assert_non_null(config);
	if (access("costs/server.txt", F_OK) != 0) {
		neap_config_free(config);
		skip(); /* an archive of the sources may come without the files */
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct costs builtin, file;
		struct text_buf text;
		char path[64];

		assert_int_equal(costs_parse(config, names[i], costs_builtin(names[i]), &builtin),
				 0);
		(void)snprintf(path, sizeof(path), "costs/%s.txt", names[i]);
		text_buf_init(&text);
		assert_int_equal(text_buf_read_file(&text, path, 1 << 20), 0);
		if (costs_parse(config, path, text_buf_text(&text), &file) != 0)
			fail_msg("%s", neap_config_error(config));
		assert_memory_equal(&builtin, &file, sizeof(file));
		text_buf_free(&text);
	}
	neap_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),     cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_machine_text), cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_costs),	     cmocka_unit_test(test_costs_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
