/*
 * Marks, protection, per-CPU limits and thresholds of 30 booted machines (tests/golden/static),
 * in two ways:
 *
 *   formula   each dump for itself: sizes and knobs of the dump give every number it prints
 *   replay    one plan a machine lives through boot and all writes; what Linux does not recompute
 *             must stay stale
 *
 * The first boot's marks belong to smaller zones: 2145 pages of the kernel's own early code and
 * data and 367 of its initial file system are freed into two zones (or one) later. The replay finds
 * out which, and lists them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/plan.h"
#include "diag/stale.h"

#define LATE_KERNEL_PAGES 2145u
#define LATE_INITRD_PAGES 367u
#define DUMPS_MAX 32u
#define WRITES_MAX 8u

struct row {
	uint64_t present, managed, boost, min, low, high;
	uint64_t protection[NEAP_NR_ZONES];
	uint32_t pcp_high, batch, threshold;
};

struct dump {
	char label[48];
	struct plan_knobs knobs;
	struct row row[4][NEAP_NR_ZONES];
	uint32_t nr_writes; /* before this dump */
	char path[WRITES_MAX][64], text[WRITES_MAX][48];
};

struct recorded {
	char name[32];
	uint32_t nr_nodes, node_cpus[4];
	bool thp;
	uint32_t nr_dumps;
	struct dump dump[DUMPS_MAX];
};

static struct recorded machines[32];
static uint32_t nr_machines;

/* ---- reading the table ---- */

static void parse_list(const char *text, uint64_t *list)
{
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
		char *end;

		list[i] = strtoull(text, &end, 10);
		text = *end == ',' ? end + 1 : end;
	}
}

static uint32_t zone_index(const char *name)
{
	static const char *const names[] = { "DMA", "DMA32", "Normal", "Movable", "Device" };
	uint32_t i = 0;

	while (i < NEAP_NR_ZONES && strcmp(names[i], name) != 0)
		i++;
	assert_true(i < NEAP_NR_ZONES);
	return i;
}

static void parse_dump(const char *line, struct dump *dump)
{
	struct plan_knobs *knobs = &dump->knobs;
	uint64_t ratio[NEAP_NR_ZONES];
	char ratios[64];

	plan_knobs_init(knobs);
	assert_int_equal(sscanf(line, "D %47s %ld %ld %ld %63s %ld %ld", dump->label,
				&knobs->min_free_kbytes, &knobs->watermark_scale_factor,
				&knobs->high_fraction, ratios, &knobs->min_unmapped_ratio,
				&knobs->min_slab_ratio),
			 7);
	parse_list(ratios, ratio);
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
		knobs->lowmem_reserve_ratio[i] = (int64_t)ratio[i];
}

static void parse_row(const char *line, struct dump *dump)
{
	struct row row;
	uint32_t node;
	char name[16], protection[96];

	assert_int_equal(sscanf(line, "R %u %15s %lu %lu %lu %lu %lu %lu %95s %u %u %u", &node,
				name, &row.present, &row.managed, &row.boost, &row.min, &row.low,
				&row.high, protection, &row.pcp_high, &row.batch, &row.threshold),
			 12);
	parse_list(protection, row.protection);
	assert_true(node < 4);
	dump->row[node][zone_index(name)] = row;
}

static void parse_line(const char *line)
{
	struct recorded *m = nr_machines > 0 ? &machines[nr_machines - 1] : NULL;
	struct dump *next = m != NULL ? &m->dump[m->nr_dumps] : NULL;

	switch (line[0]) {
	case 'M':
		assert_int_equal(sscanf(line, "M %31s", machines[nr_machines++].name), 1);
		break;
	case 'C':
		assert_int_equal(sscanf(line, "C %u", &m->node_cpus[m->nr_nodes++]), 1);
		break;
	case 'T':
		m->thp = strstr(line, "never") == NULL;
		break;
	case 'W':
		assert_int_equal(sscanf(line, "W %63s %47[^\n]", next->path[next->nr_writes],
					next->text[next->nr_writes]),
				 2);
		next->nr_writes++;
		break;
	case 'D':
		parse_dump(line, next);
		m->nr_dumps++;
		break;
	default:
		parse_row(line, next - 1);
	}
}

static int load(void **state)
{
	FILE *file = popen("xz -dc tests/golden/static/rows.txt.xz", "r");
	char line[512];

	(void)state;
	if (file == NULL)
		return -1;
	/* bounded by the file */
	while (fgets(line, sizeof(line), file) != NULL)
		parse_line(line);
	return pclose(file) == 0 && nr_machines == 30 ? 0 : -1;
}

/* ---- comparing ---- */

static void plan_set_sizes(struct plan *plan, const struct recorded *m, const struct dump *dump)
{
	plan->nr_nodes = m->nr_nodes;
	plan->nr_cpus = 0;
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		plan->node_cpus[n] = m->node_cpus[n];
		plan->nr_cpus += m->node_cpus[n];
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			plan->zone[n][i].managed = dump->row[n][i].managed;
			plan->zone[n][i].populated = dump->row[n][i].present != 0;
		}
	}
	plan_count(plan);
}

static bool row_equals(const struct plan_zone *zone, const struct row *row)
{
	const struct marks_terms *marks = &zone->marks;
	uint64_t boost = row->boost;

	return marks->min + boost == row->min && marks->low + boost == row->low &&
	       marks->high + boost == row->high && zone->high == row->pcp_high &&
	       zone->batch == row->batch && (uint32_t)zone->threshold_normal == row->threshold &&
	       memcmp(zone->protection, row->protection, sizeof(row->protection)) == 0;
}

struct count {
	uint32_t rows, equal;
};

static void compare(const struct plan *plan, const struct recorded *m, const struct dump *dump,
		    struct count *count)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			const struct plan_zone *zone = &plan->zone[n][i];
			const struct row *row = &dump->row[n][i];
			bool equal = row_equals(zone, row);

			/* An empty zone prints zeros, which must come out, but is no row. */
			count->rows += row->present != 0;
			count->equal += equal && row->present != 0;
			if (!equal)
				print_error("%s %s node %u zone %u: %lu/%lu/%lu pcp %u/%u"
					    " threshold %d, recorded %lu/%lu/%lu %u/%u %u\n",
					    m->name, dump->label, n, i, zone->marks.min,
					    zone->marks.low, zone->marks.high, zone->high,
					    zone->batch, zone->threshold_normal, row->min, row->low,
					    row->high, row->pcp_high, row->batch, row->threshold);
			assert_true(equal);
		}
	}
}

static struct plan *new_plan(void)
{
	struct plan *plan = malloc(sizeof(*plan));

	assert_non_null(plan);
	plan_init(plan);
	return plan;
}

static void test_formula(void **state)
{
	struct plan *plan = new_plan();
	struct count count = { 0 };

	(void)state;
	for (uint32_t k = 0; k < nr_machines; k++) {
		const struct recorded *m = &machines[k];

		for (uint32_t d = 1; d < m->nr_dumps; d++) {
			plan_init(plan);
			plan_set_sizes(plan, m, &m->dump[d]);
			plan->knobs = m->dump[d].knobs;
			plan_setup_marks(plan);
			plan_setup_protection(plan);
			plan_setup_thresholds(plan);
			assert_null(plan_verify(plan));
			compare(plan, m, &m->dump[d], &count);
		}
	}
	print_message("formula: %u of %u rows equal\n", count.equal, count.rows);
	assert_int_equal(count.equal, count.rows);
	assert_int_equal(count.rows, 1814);
	free(plan);
}

/* ---- replay ---- */

static void apply_ratios(struct plan *plan, const char *text)
{
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
		char *end;

		plan->knobs.lowmem_reserve_ratio[i] = strtol(text, &end, 10);
		text = end;
	}
	plan_setup_protection(plan);
}

static void apply_write(struct plan *plan, const char *path, const char *text)
{
	const char *name = strrchr(path, '/') + 1;
	struct plan_knobs *knobs = &plan->knobs;
	int64_t value = strtol(text, NULL, 10);

	if (strcmp(name, "min_free_kbytes") == 0) {
		knobs->min_free_kbytes = knobs->user_min_free_kbytes = value;
		plan_setup_marks(plan);
	} else if (strcmp(name, "watermark_scale_factor") == 0) {
		knobs->watermark_scale_factor = value;
		plan_setup_marks(plan);
	} else if (strcmp(name, "percpu_pagelist_high_fraction") == 0) {
		knobs->high_fraction = value;
		plan_setup_limits(plan);
	} else if (strcmp(name, "lowmem_reserve_ratio") == 0) {
		apply_ratios(plan, text);
	} else if (strstr(path, "transparent_hugepage/enabled") != NULL) {
		plan_switch_thp(plan, strcmp(text, "never") != 0);
	}
}

/* Boots with part of the memory not yet freed. => whether that gives what boot printed */
static bool boot_fits(struct plan *plan, const struct recorded *m, uint32_t kernel, uint32_t initrd)
{
	const struct dump *boot = &m->dump[0];

	plan_init(plan);
	plan->knobs.thp_raises = m->thp;
	plan_set_sizes(plan, m, boot);
	struct plan_zone *zones = &plan->zone[0][0];

	if (zones[kernel].managed <= LATE_KERNEL_PAGES + LATE_INITRD_PAGES ||
	    zones[initrd].managed <= LATE_KERNEL_PAGES + LATE_INITRD_PAGES)
		return false;
	zones[kernel].managed -= LATE_KERNEL_PAGES;
	zones[initrd].managed -= LATE_INITRD_PAGES;
	plan_boot(plan);
	if (plan->knobs.min_free_kbytes != boot->knobs.min_free_kbytes)
		return false;
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
			if (!row_equals(&plan->zone[n][i], &boot->row[n][i]))
				return false;
	return true;
}

/* Finds the zones into which memory was freed late, prints what that explains. => whether found */
static bool boot_explain(struct plan *plan, const struct recorded *m, struct count *count,
			 bool print)
{
	uint32_t slots = m->nr_nodes * NEAP_NR_ZONES;

	for (uint32_t pair = 0; pair < slots * slots; pair++) {
		if (!boot_fits(plan, m, pair / slots, pair % slots))
			continue;
		for (uint32_t slot = 0; slot < slots; slot++) {
			const struct plan_zone *zone =
				&plan->zone[slot / NEAP_NR_ZONES][slot % NEAP_NR_ZONES];
			uint64_t now =
				m->dump[0].row[slot / NEAP_NR_ZONES][slot % NEAP_NR_ZONES].managed;

			if (!zone->populated)
				continue;
			count->rows++;
			count->equal++;
			if (print)
				print_message(
					"%-15s node %u zone %u: %7lu pages now, %7lu when marks"
					" %lu/%lu/%lu were computed\n",
					m->name, slot / NEAP_NR_ZONES, slot % NEAP_NR_ZONES, now,
					zone->managed, zone->marks.min, zone->marks.low,
					zone->marks.high);
		}
		return true;
	}
	print_error("%s: no place of late pages explains the first boot\n", m->name);
	return false;
}

static void test_replay(void **state)
{
	struct plan *plan = new_plan();
	struct count boot = { 0 }, count = { 0 };

	(void)state;
	for (uint32_t k = 0; k < nr_machines; k++) {
		const struct recorded *m = &machines[k];

		assert_true(boot_explain(plan, m, &boot, true));
		/* The late pages arrive; nothing is recomputed. */
		plan_set_sizes(plan, m, &m->dump[0]);
		/* The first dump read all knobs. */
		plan_setup_protection(plan);
		for (uint32_t d = 1; d < m->nr_dumps; d++) {
			const struct dump *dump = &m->dump[d];

			for (uint32_t w = 0; w < dump->nr_writes; w++)
				apply_write(plan, dump->path[w], dump->text[w]);
			assert_int_equal(plan->knobs.min_free_kbytes, dump->knobs.min_free_kbytes);
			compare(plan, m, dump, &count);
			plan_setup_protection(plan);
		}
	}
	print_message("first boot: %u rows explained; replay: %u of %u rows equal\n", boot.equal,
		      count.equal, count.rows);
	assert_int_equal(boot.rows, 86);
	assert_int_equal(count.equal, count.rows);
	free(plan);
}

/* The marks of the first boot as a tool sees them that knows nothing but what was printed. */
static void plan_print_boot(struct plan *plan, const struct recorded *m)
{
	const struct dump *boot = &m->dump[0];

	plan_init(plan);
	plan_set_sizes(plan, m, boot);
	plan->knobs = boot->knobs;
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			struct plan_zone *zone = &plan->zone[n][i];
			const struct row *row = &boot->row[n][i];

			zone->marks.min = row->min - row->boost;
			zone->marks.low = row->low - row->boost;
			zone->marks.high = row->high - row->boost;
			memcpy(zone->protection, row->protection, sizeof(zone->protection));
		}
	}
}

/*
 * The sizes at boot are found from the printed marks alone: for one zone an interval that holds the
 * true size; for two an example, off by less than one step of the protection.
 */
static void check_found(const struct recorded *m, const struct stale *stale,
			const struct plan *truth)
{
	uint64_t slack = stale->nr_changed == 1 ? 0 : 256;

	for (uint32_t c = 0; c < stale->nr_changed; c++) {
		const struct stale_zone *zone = &stale->changed[c];
		uint64_t pages = truth->zone[zone->node][zone->index].managed;

		print_message("%-15s node %u zone %u: %lu..%lu pages, in truth %lu\n", m->name,
			      zone->node, zone->index, zone->least, zone->most, pages);
		assert_true(zone->least <= pages + slack && pages <= zone->most + slack);
	}
}

static void test_found(void **state)
{
	struct plan *plan = new_plan(), *truth = new_plan(), *scratch = new_plan();
	struct count none = { 0 };
	uint32_t explained = 0;

	(void)state;
	for (uint32_t k = 0; k < nr_machines; k++) {
		const struct recorded *m = &machines[k];
		struct stale stale;

		assert_true(boot_explain(truth, m, &none, false));
		plan_print_boot(plan, m);
		stale_explain(plan, scratch, &stale);
		assert_true(stale.marks || stale.protection);
		check_found(m, &stale, truth);
		explained += stale.explained;
	}
	print_message("first boot: sizes found for %u of %u machines\n", explained, nr_machines);
	assert_int_equal(explained, nr_machines);
	free(plan);
	free(truth);
	free(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formula),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_found),
	};

	return cmocka_run_group_tests(tests, load, NULL);
}
