/* Layouts: zones of PCs against those that Linux 6.1 made of real ones, and plain machines. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <neap/neap.h>

#include "api/layout.h"

#define KERNEL_PAGES 8103
#define TOLERANCE_PAGES 4

struct zone_row {
	uint32_t node, type, start_pfn, spanned, present, managed;
};

struct machine_row {
	const char *name;
	const char *text;
	struct zone_row zone[6]; /* without DMA, which is the same everywhere */
};

/* From zoneinfo of booted machines; managed as printed one second after boot. */
static const struct machine_row machine_rows[] = {
	{ "m128-n1-c1", "nodes=128M cpus=1", { { 0, ZONE_DMA32, 4096, 28628, 28628, 19848 } } },
	{ "m16g-n1-c8",
	  "nodes=16G cpus=8",
	  { { 0, ZONE_DMA32, 4096, 1044480, 782292, 765908 },
	    { 0, ZONE_NORMAL, 1048576, 3407872, 3407872, 3327351 } } },
	{ "m1g-n1-c1", "nodes=1G cpus=1", { { 0, ZONE_DMA32, 4096, 258004, 258004, 245304 } } },
	{ "m1g-n1-c4", "nodes=1G cpus=4", { { 0, ZONE_DMA32, 4096, 258004, 258004, 245121 } } },
	{ "m256-n1-c1", "nodes=256M cpus=1", { { 0, ZONE_DMA32, 4096, 61396, 61396, 52056 } } },
	{ "m256-n1-c2", "nodes=256M cpus=2", { { 0, ZONE_DMA32, 4096, 61396, 61396, 51995 } } },
	{ "m2g-n1-c2", "nodes=2G cpus=2", { { 0, ZONE_DMA32, 4096, 520148, 520148, 502907 } } },
	{ "m2g-n2-c4",
	  "nodes=1G/0-1+1G/2-3 cpus=4",
	  { { 0, ZONE_DMA32, 4096, 258048, 258048, 253783 },
	    { 1, ZONE_DMA32, 262144, 262100, 262100, 249726 } } },
	{ "m2g-n2-memless",
	  "nodes=2G/0+0/1 cpus=2",
	  { { 0, ZONE_DMA32, 4096, 520148, 520148, 502865 } } },
	{ "m2g-n2-tuned",
	  "nodes=1G/0+1G/1 cpus=2",
	  { { 0, ZONE_DMA32, 4096, 258048, 258048, 245741 },
	    { 1, ZONE_DMA32, 262144, 262100, 262100, 257890 } } },
	{ "m3g-n2-cpuless",
	  "nodes=2G/0-1+1G/- cpus=2",
	  { { 0, ZONE_DMA32, 4096, 520192, 520192, 503728 },
	    { 1, ZONE_DMA32, 524288, 262100, 262100, 257951 } } },
	{ "m4g-n1-c2-q35",
	  "nodes=4G cpus=2 type=q35",
	  { { 0, ZONE_DMA32, 4096, 1044480, 520148, 495661 },
	    { 0, ZONE_NORMAL, 1048576, 524288, 524288, 505996 } } },
	{ "m4g-n1-c4",
	  "nodes=4G cpus=4",
	  { { 0, ZONE_DMA32, 4096, 1044480, 782292, 757805 },
	    { 0, ZONE_NORMAL, 1048576, 262144, 262144, 243730 } } },
	{ "m4g-n2-c4",
	  "nodes=2G/0-1+2G/2-3 cpus=4",
	  { { 0, ZONE_DMA32, 4096, 520192, 520192, 503728 },
	    { 1, ZONE_DMA32, 524288, 524288, 262100, 245716 },
	    { 1, ZONE_NORMAL, 1048576, 262144, 262144, 253583 } } },
	{ "m4g-n4-c4",
	  "nodes=1G/0+1G/1+1G/2+1G/3 cpus=4",
	  { { 0, ZONE_DMA32, 4096, 258048, 258048, 253844 },
	    { 1, ZONE_DMA32, 262144, 262144, 262144, 257943 },
	    { 2, ZONE_DMA32, 524288, 262100, 262100, 233412 },
	    { 3, ZONE_NORMAL, 1048576, 262144, 262144, 257740 } } },
	{ "m4g-nothp",
	  "nodes=4G cpus=2",
	  { { 0, ZONE_DMA32, 4096, 1044480, 782292, 765908 },
	    { 0, ZONE_NORMAL, 1048576, 262144, 262144, 235751 } } },
	{ "m512-n1-c2", "nodes=512M cpus=2", { { 0, ZONE_DMA32, 4096, 126932, 126932, 116411 } } },
	{ "m512-n1-c8", "nodes=512M cpus=8", { { 0, ZONE_DMA32, 4096, 126932, 126932, 116045 } } },
	{ "m512-n2-c2",
	  "nodes=256M/0+256M/1 cpus=2",
	  { { 0, ZONE_DMA32, 4096, 61440, 61440, 60308 },
	    { 1, ZONE_DMA32, 65536, 65492, 65492, 56251 } } },
	{ "m4g-movable-n2",
	  "nodes=2G/0-1+2G/2-3 cpus=4 append=movablecore=1G",
	  { { 0, ZONE_DMA32, 4096, 520192, 520192, 511831 },
	    { 1, ZONE_DMA32, 524288, 524288, 262100, 237613 },
	    { 1, ZONE_MOVABLE, 1048576, 262144, 262144, 253583 } } },
	{ "m512-movable",
	  "nodes=512M cpus=2 append=movablecore=128M",
	  { { 0, ZONE_DMA32, 4096, 94208, 94208, 86105 },
	    { 0, ZONE_MOVABLE, 98304, 32724, 32724, 30306 } } },
	{ "m6g-n2-uneven",
	  "nodes=4G/0-1+2G/2-3 cpus=4",
	  { { 0, ZONE_DMA32, 4096, 1044480, 782292, 765908 },
	    { 0, ZONE_NORMAL, 1048576, 262144, 262144, 245591 },
	    { 1, ZONE_NORMAL, 1310720, 524288, 524288, 507626 } } },
	{ "m7g-n4-uneven",
	  "nodes=512M/0+1G/1+4G/2+1536M/3 cpus=4 dist=0-1:15,0-2:20,0-3:30,1-2:25,1-3:20,2-3:12",
	  { { 0, ZONE_DMA32, 4096, 126976, 126976, 124820 },
	    { 1, ZONE_DMA32, 131072, 262144, 262144, 257943 },
	    { 2, ZONE_DMA32, 393216, 655360, 393172, 368685 },
	    { 2, ZONE_NORMAL, 1048576, 655360, 655360, 638871 },
	    { 3, ZONE_NORMAL, 1703936, 393216, 393216, 386764 } } },
	{ "m80-n1-c1", "nodes=80M cpus=1", { { 0, ZONE_DMA32, 4096, 16340, 16340, 7560 } } },
	{ "m8g-n1-c8",
	  "nodes=8G cpus=8",
	  { { 0, ZONE_DMA32, 4096, 1044480, 782292, 765908 },
	    { 0, ZONE_NORMAL, 1048576, 1310720, 1310720, 1266041 } } },
	{ "m8g-n2-c8",
	  "nodes=4G/0-3+4G/4-7 cpus=8",
	  { { 0, ZONE_DMA32, 4096, 1044480, 782292, 757805 },
	    { 0, ZONE_NORMAL, 1048576, 262144, 262144, 245469 },
	    { 1, ZONE_NORMAL, 1310720, 1048576, 1048576, 1031701 } } },
};

static struct neap_config *config_for(const char *text)
{
	struct neap_config *config = neap_config_new();

	assert_non_null(config);
	if (neap_config_set(config, "machine", text) != 0)
		fail_msg("%s: %s", text, neap_config_error(config));
	return config;
}

/* => layout minus observation, managed frames */
static int64_t compare_zone(const struct machine_row *row, const struct zone_row *want,
			    const struct machine_desc *desc)
{
	const struct machine_zone_desc *zone = &desc->node[want->node].zone[want->type];
	int64_t off = (int64_t)zone->managed - (int64_t)want->managed;

	if (zone->start_pfn != want->start_pfn || zone->spanned != want->spanned ||
	    zone->present != want->present)
		fail_msg("%s node %u zone %u: start %u spanned %u present %u", row->name,
			 want->node, want->type, zone->start_pfn, zone->spanned, zone->present);
	/* The real kernel lies at a random address: in this zone, or not. */
	for (int64_t moved = -KERNEL_PAGES; moved <= KERNEL_PAGES; moved += KERNEL_PAGES)
		if (llabs((long long)(off - moved)) <= TOLERANCE_PAGES)
			return off;
	fail_msg("%s node %u zone %u: managed %u, observed %u", row->name, want->node, want->type,
		 zone->managed, want->managed);
	return 0;
}

static void test_pcs(void **state)
{
	struct machine_desc *desc = calloc(1, sizeof(*desc));

	(void)state;
	assert_non_null(desc);
	for (size_t i = 0; i < ARRAY_LEN(machine_rows); i++) {
		const struct machine_row *row = &machine_rows[i];
		struct neap_config *config = config_for(row->text);
		uint32_t nr_zones = 0, nr_wanted = 0;
		int64_t sum = 0;

		assert_int_equal(layout_make(config, desc), 0);
		assert_int_equal(desc->node[0].zone[ZONE_DMA].present, 3998);
		assert_int_equal(desc->node[0].zone[ZONE_DMA].managed, 3840);
		for (; nr_wanted < 6 && row->zone[nr_wanted].spanned != 0; nr_wanted++)
			sum += compare_zone(row, &row->zone[nr_wanted], desc);
		for (uint32_t nid = 0; nid < desc->nr_nodes; nid++)
			for (uint32_t type = 0; type < NR_ZONES; type++)
				nr_zones += desc->node[nid].zone[type].present != 0;
		assert_int_equal(nr_zones, nr_wanted + 1);
		if (llabs((long long)sum) > TOLERANCE_PAGES)
			fail_msg("%s: the machine's managed pages are off by %lld", row->name,
				 (long long)sum);
		neap_config_free(config);
	}
	free(desc);
}

static void test_plain(void **state)
{
	struct neap_config *config = neap_config_new();
	struct machine_desc *desc = calloc(1, sizeof(*desc));

	(void)state;
	assert_non_null(config);
	assert_non_null(desc);
	assert_int_equal(neap_config_set(config, "memory", "10M"), 0);
	assert_int_equal(neap_config_set(config, "nodes", "3"), 0);
	assert_int_equal(neap_config_set(config, "cpus", "4"), 0);
	assert_int_equal(layout_make(config, desc), 0);
	assert_int_equal(desc->nr_nodes, 3);
	assert_int_equal(desc->nr_cpus, 4);
	/* 2560 pages: 854, 853, 853, each node on the next multiple of 1024. */
	for (uint32_t nid = 0; nid < 3; nid++) {
		const struct machine_zone_desc *zone = &desc->node[nid].zone[ZONE_NORMAL];

		assert_int_equal(zone->start_pfn, 1024 * (nid + 1));
		assert_int_equal(zone->managed, nid == 0 ? 854 : 853);
		assert_int_equal(zone->spanned, zone->managed);
		assert_int_equal(desc->node[nid].zone[ZONE_DMA32].present, 0);
	}
	assert_int_equal(layout_max_pfn(desc), 3 * 1024 + 853);
	/* CPU i of 4 belongs to node i * 3 / 4. */
	assert_true(cpumask_test(&desc->node[0].cpus, 0) && cpumask_test(&desc->node[0].cpus, 1));
	assert_true(cpumask_test(&desc->node[1].cpus, 2) && cpumask_test(&desc->node[2].cpus, 3));
	assert_int_equal(desc->node[0].distance[0], 10);
	assert_int_equal(desc->node[0].distance[2], 20);
	free(desc);
	neap_config_free(config);
}

/* Every size of PC has zones that fit together and keep most of their memory. */
static void test_pc_sizes(void **state)
{
	struct machine_desc *desc = calloc(1, sizeof(*desc));

	(void)state;
	assert_non_null(desc);
	for (uint32_t mib = 64; mib <= 8192; mib += 64) {
		for (uint32_t q35 = 0; q35 < 2; q35++) {
			char text[96];

			(void)snprintf(text, sizeof(text), "nodes=%uM+%uM cpus=2 type=%s", mib,
				       mib / 2, q35 ? "q35" : "pc");
			struct neap_config *config = config_for(text);
			uint64_t managed = 0, present = 0;

			assert_int_equal(layout_make(config, desc), 0);
			for (uint32_t nid = 0; nid < 2; nid++) {
				for (uint32_t type = 0; type < NR_ZONES; type++) {
					managed += desc->node[nid].zone[type].managed;
					present += desc->node[nid].zone[type].present;
				}
			}
			assert_true(managed * 4 > present);
			assert_true(present > (uint64_t)mib * 384 - 200);
			neap_config_free(config);
		}
	}
	free(desc);
}

/* Boot options: both words, percent, and what is refused. */
static void test_movable_words(void **state)
{
	static const struct {
		const char *text;
		uint32_t movable_pages; /* 0: refused */
	} cases[] = {
		{ "nodes=512M append=movablecore=128M", 32724 },
		{ "nodes=512M append=movablecore=25%", 32724 },
		{ "nodes=512M append=kernelcore=384M", 32724 },
		{ "nodes=512M append=movablecore=128M,kernelcore=448M", 16340 },
		{ "nodes=512M append=movablecore=", 0 },
		{ "nodes=512M append=movablecore=101%", 0 },
		{ "nodes=512M append=hugepages=64", 0 },
	};
	struct machine_desc *desc = calloc(1, sizeof(*desc));

	(void)state;
	assert_non_null(desc);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct neap_config *config = neap_config_new();
		int error = neap_config_set(config, "machine", cases[i].text);

		assert_int_equal(error, cases[i].movable_pages != 0 ? 0 : -EINVAL);
		if (error == 0) {
			assert_int_equal(layout_make(config, desc), 0);
			assert_in_range(desc->node[0].zone[ZONE_MOVABLE].present,
					cases[i].movable_pages - 1024,
					cases[i].movable_pages + 1024);
		}
		neap_config_free(config);
	}
	free(desc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pcs),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_pc_sizes),
		cmocka_unit_test(test_movable_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
