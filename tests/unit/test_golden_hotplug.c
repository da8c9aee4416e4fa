/*
 * CPUs and memory that came and went on eight machines (tests/golden/hotplug): the engine goes
 * through every recorded step, and afterwards every zone's place, sizes, marks, protection, per-CPU
 * limits and thresholds, min_free_kbytes, every memory block, and the CPUs that kswapd and
 * kcompactd may run on must be the recorded ones.
 */
#include "machine_fixture.h"

#include <inttypes.h>

#include "core/buddy.h"
#include "core/hotplug_cpu.h"
#include "core/hotplug_mem.h"
#include "core/knobs.h"
#include "core/sysctl.h"

#define LINES_MAX 4096u
#define LINE_BYTES 128u
#define HOT_FIRST_PFN 1048576u
#define HOT_BLOCKS 8u
#define BLOCK_PAGES 32768u

/* The table, and the machine that is being played. */
struct script {
	char line[LINES_MAX][LINE_BYTES];
	uint32_t nr_lines;
	uint32_t first, end; /* lines of the machine */
	uint32_t held;	     /* frames of `hold` */
	uint32_t held_pfn[8], held_order[8];
	uint32_t nr_dumps, nr_values;
	const char *label; /* of the present dump */
	bool thp;
};

static struct script script;

/* ---- reading ---- */

static void load_table(void)
{
	FILE *file = popen("xz -dc tests/golden/hotplug/rows.txt.xz", "r");

	assert_non_null(file);
	while (script.nr_lines < LINES_MAX &&
	       fgets(script.line[script.nr_lines], LINE_BYTES, file) != NULL) {
		script.line[script.nr_lines][strcspn(script.line[script.nr_lines], "\n")] = '\0';
		script.nr_lines++;
	}
	assert_int_equal(pclose(file), 0);
	assert_true(script.nr_lines > 500 && script.nr_lines < LINES_MAX);
}

static void parse_cpus(const char *text, struct cpumask *cpus)
{
	*cpus = (struct cpumask){ { 0 } };
	if (strcmp(text, "-") == 0)
		return;
	while (*text != '\0') {
		char *end;
		unsigned long first = strtoul(text, &end, 10);
		unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

		for (; first <= last; first++)
			cpumask_set(cpus, (uint32_t)first);
		text = *end == ',' ? end + 1 : end;
	}
}

static uint32_t zone_index(const char *name)
{
	static const char *const names[] = { "DMA", "DMA32", "Normal", "Movable" };
	uint32_t i = 0;

	while (i < ARRAY_LEN(names) && strcmp(names[i], name) != 0)
		i++;
	assert_true(i < ARRAY_LEN(names));
	return i;
}

struct zone_row {
	uint32_t node, type;
	uint64_t value[8]; /* start, spanned, present, managed, boost, min, low, high */
	uint64_t protection[NR_ZONES];
	uint32_t high, batch, threshold;
};

static void parse_zone(const char *line, struct zone_row *row)
{
	char name[16], protection[64];
	int fields = sscanf(line,
			    "Z %u %15s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
			    " %" SCNu64 " %" SCNu64 " %" SCNu64 " %63s %u %u %u",
			    &row->node, name, &row->value[0], &row->value[1], &row->value[2],
			    &row->value[3], &row->value[4], &row->value[5], &row->value[6],
			    &row->value[7], protection, &row->high, &row->batch, &row->threshold);
	char *at = protection;

	assert_int_equal(fields, 14);
	row->type = zone_index(name);
	for (uint32_t i = 0; i < NR_ZONES; i++)
		row->protection[i] = strtoull(at + (i > 0 ? 1 : 0), &at, 10);
}

/* ---- building the machine as it was after boot ---- */

static void describe_node(struct machine_desc *desc, const char *line)
{
	struct machine_node_desc *node = &desc->node[desc->nr_nodes];
	char cpus[32], distances[32];
	char *at = distances;

	assert_int_equal(sscanf(line, "N %31s %31s", cpus, distances), 2);
	parse_cpus(cpus, &node->cpus);
	for (uint32_t n = 0; *at != '\0'; n++)
		node->distance[n] = (uint32_t)strtoul(at + (n > 0 ? 1 : 0), &at, 10);
	desc->nr_cpus += cpumask_count(&node->cpus);
	desc->nr_nodes++;
}

static void describe_zone_row(struct machine_desc *desc, const char *line)
{
	struct zone_row row;

	parse_zone(line, &row);
	desc->node[row.node].zone[row.type] = (struct machine_zone_desc){
		.start_pfn = (uint32_t)row.value[0],
		.spanned = (uint32_t)row.value[1],
		.present = (uint32_t)row.value[2],
		.managed = (uint32_t)row.value[3],
	};
}

/* From the machine's lines up to the end of its first dump. */
static void describe_machine(struct machine_desc *desc)
{
	uint32_t dumps = 0;

	memset(desc, 0, sizeof(*desc));
	desc->has_swap = true;
	for (uint32_t i = script.first; i < script.end; i++) {
		const char *line = script.line[i];

		dumps += line[0] == 'D' ? 1 : 0;
		if (line[0] == 'N')
			describe_node(desc, line);
		if (strncmp(line, "A 0 add ", 8) == 0) {
			desc->hot_first_pfn = HOT_FIRST_PFN;
			desc->hot_pages = HOT_BLOCKS * BLOCK_PAGES;
		}
		if (line[0] == 'T')
			script.thp = strcmp(line, "T never") != 0;
		if (line[0] == 'Z' && dumps == 1)
			describe_zone_row(desc, line);
	}
}

/* What a booted kernel's marks and limits are is read, not computed: they are stale. */
static void take_boot_row(struct neap_machine *m, const char *line)
{
	struct zone_row row;

	parse_zone(line, &row);
	struct zone *zone = &m->nodes[row.node].zone[row.type];

	for (uint32_t i = 0; i < NR_ZONES; i++)
		atomic_store(&zone->reserve[i], row.protection[i]);
	for (uint32_t mark = WMARK_MIN; mark <= WMARK_HIGH; mark++)
		atomic_store(&zone->mark[mark], row.value[5 + mark]);
	for (uint32_t cpu = 0; zone->pcp != NULL && cpu < m->nr_cpus; cpu++)
		zone->pcp[cpu].high = row.high;
}

/* ---- comparing ---- */

static void expect(uint64_t ours, uint64_t recorded, const char *what, const char *where)
{
	script.nr_values++;
	if (ours != recorded)
		fail_msg("%s, %s: %s is %" PRIu64 ", recorded %" PRIu64, script.label, where, what,
			 ours, recorded);
}

static void compare_zone(struct neap_machine *m, const char *line)
{
	static const char *const names[] = { "start_pfn", "spanned", "present", "managed",
					     "boost",	  "min",     "low",	"high" };
	struct zone_row row;
	char where[32];

	parse_zone(line, &row);
	const struct zone *zone = &m->nodes[row.node].zone[row.type];
	const uint64_t ours[] = {
		zone_populated(zone) ? zone->start_pfn : 0,
		zone_spanned(zone),
		zone->present,
		zone_managed(zone),
		zone->boost,
		zone_mark(zone, WMARK_MIN),
		zone_mark(zone, WMARK_LOW),
		zone_mark(zone, WMARK_HIGH),
	};

	snprintf(where, sizeof(where), "node %u %s", row.node, zone->name);
	for (uint32_t i = 0; i < ARRAY_LEN(ours); i++)
		expect(ours[i], row.value[i], names[i], where);
	for (uint32_t i = 0; i < NR_ZONES; i++)
		expect(zone->reserve[i], row.protection[i], "protection", where);
	for (uint32_t cpu = 0; zone_populated(zone) && cpu < m->nr_cpus; cpu++) {
		if (!machine_cpu_online(m, cpu))
			continue;
		expect(zone->pcp[cpu].high, row.high, "per-CPU high", where);
		expect(zone->pcp[cpu].batch, row.batch, "batch", where);
		expect((uint64_t)zone->pcp[cpu].threshold, row.threshold, "threshold", where);
	}
}

static void compare_masks(const struct cpumask *ours, const char *recorded, const char *where)
{
	struct cpumask wanted;

	parse_cpus(recorded, &wanted);
	for (size_t i = 0; i < ARRAY_LEN(wanted.bits); i++)
		expect(ours->bits[i], wanted.bits[i], "the set of CPUs", where);
}

static void compare_thread(struct machine_fixture *f, const char *line)
{
	char name[32], cpus[32];

	assert_int_equal(sscanf(line, "P %31s %31s", name, cpus), 2);
	bool kswapd = strncmp(name, "kswapd", 6) == 0;
	struct node *node = &f->m->nodes[strtoul(name + (kswapd ? 6 : 9), NULL, 10)];
	struct cpumask mask =
		hotplug_cpu_mask(f->t, node, kswapd ? &node->kswapd_cpus : &node->kcompactd_cpus);

	expect((kswapd ? node->kswapd : node->kcompactd) != NULL, true, "its running", name);
	compare_masks(&mask, cpus, name);
}

/* Linux names the zone that `online` would choose, then what else the block could go to. */
static void offline_zones(struct neap_machine *m, uint32_t block, char *out, size_t bytes)
{
	const struct zone *usual = hotplug_mem_zone(m, block, HOTPLUG_DEFAULT);
	const struct zone *kernel = hotplug_mem_zone(m, block, HOTPLUG_KERNEL);
	const struct zone *movable = hotplug_mem_zone(m, block, HOTPLUG_MOVABLE);

	snprintf(out, bytes, "%s%s%s%s%s", usual->name, kernel != usual ? "," : "",
		 kernel != usual ? kernel->name : "", movable != usual ? "," : "",
		 movable != usual ? movable->name : "");
}

static void compare_block(struct neap_machine *m, const char *line)
{
	char state[16], zones[32], ours[32];
	uint32_t block;

	assert_int_equal(sscanf(line, "B %u %15s %31s", &block, state, zones), 3);
	uint32_t known = m->blocks.state[block];

	expect(known == BLOCK_OFFLINE, strcmp(state, "offline") == 0, "being offline", line);
	expect(known == BLOCK_ABSENT, false, "being absent", line);
	if (known == BLOCK_OFFLINE)
		offline_zones(m, block, ours, sizeof(ours));
	else if (known == BLOCK_MIXED)
		return; /* Linux says "none", or for a single zone with a hole at its end, that */
	else
		snprintf(ours, sizeof(ours), "%s",
			 m->nodes[0].zone[(known - BLOCK_FIRST_ZONE) % NR_ZONES].name);
	expect(strcmp(ours, zones) == 0, true, ours, line);
}

/* The dump that begins at line i. => the line behind it */
static uint32_t compare_dump(struct machine_fixture *f, uint32_t i)
{
	char label[64], online[32];
	uint32_t min_free, threads = 0;
	struct cpumask all = { { UINT64_MAX } };
	char text[64];

	assert_int_equal(sscanf(script.line[i], "D %63s %u %31s", label, &min_free, online), 3);
	script.label = label;
	expect((uint64_t)f->m->sysctl.min_free_kbytes, min_free, "min_free_kbytes", "machine");
	all = machine_online_of(f->m, &all);
	compare_masks(&all, online, "online");
	for (i++; i < script.end && strchr("ZPB", script.line[i][0]) != NULL; i++) {
		const char *line = script.line[i];

		if (line[0] == 'Z')
			compare_zone(f->m, line);
		if (line[0] == 'P')
			compare_thread(f, line);
		if (line[0] == 'B')
			compare_block(f->m, line);
		threads += line[0] == 'P' ? 1 : 0;
	}
	uint32_t ours = 0;

	for (uint32_t n = 0; n < f->m->nr_nodes; n++)
		ours += (f->m->nodes[n].kswapd != NULL ? 1u : 0u) +
			(f->m->nodes[n].kcompactd != NULL ? 1u : 0u);
	expect(ours, threads, "the number of kswapds and kcompactds", "machine");
	/* The dump went on with a read of every knob, which recomputes protection. */
	assert_true(sysctl_read(f->m, "lowmem_reserve_ratio", text, sizeof(text)) > 0);
	assert_null(buddy_verify(f->zone));
	script.nr_dumps++;
	return i;
}

/* ---- doing ---- */

static void hold(struct machine_fixture *f, uint32_t node, uint32_t order)
{
	const struct alloc_request request = { .gfp = GFP_KERNEL | GFP_BIT_THISNODE,
					       .order = order,
					       .node = node };
	uint32_t pfn = alloc_pages(f->t, &request);

	assert_int_not_equal(pfn, PFN_NONE);
	page_set(&f->m->pages[pfn], PG_KERNEL);
	script.held_pfn[script.held] = pfn;
	script.held_order[script.held++] = order;
}

static int do_block(struct machine_fixture *f, const char *what, uint32_t block)
{
	if (strcmp(what, "offline") == 0)
		return hotplug_mem_offline(f->t, block);
	if (strcmp(what, "online-kernel") == 0)
		return hotplug_mem_online(f->t, block, HOTPLUG_KERNEL);
	if (strcmp(what, "online-movable") == 0)
		return hotplug_mem_online(f->t, block, HOTPLUG_MOVABLE);
	assert_string_equal(what, "online");
	return hotplug_mem_online(f->t, block, HOTPLUG_DEFAULT);
}

static void do_action(struct machine_fixture *f, const char *line)
{
	char what[32], text[32] = "";
	uint32_t refused, a, b = 0, c = 0;
	int err = 0;

	if (sscanf(line, "A %u write %31s %31s", &refused, what, text) == 3) {
		assert_true(sysctl_write(f->t, f->m, what, text, strlen(text)) > 0);
		return;
	}
	assert_true(sscanf(line, "A %u %31s %u %u %u", &refused, what, &a, &b, &c) >= 3);
	if (strcmp(what, "cpu-offline") == 0) {
		err = hotplug_cpu_offline(f->t, a);
	} else if (strcmp(what, "cpu-online") == 0) {
		err = hotplug_cpu_online(f->t, a);
	} else if (strcmp(what, "add") == 0) {
		err = hotplug_mem_add(f->t, a, b, &b);
		assert_int_equal(b, c);
	} else if (strcmp(what, "remove") == 0) {
		err = hotplug_mem_remove(f->t, a, b);
	} else if (strcmp(what, "hold") == 0) {
		hold(f, a, b);
	} else {
		err = do_block(f, what, a);
	}
	if ((err != 0) != (refused != 0))
		fail_msg("%s: %d", line, err);
}

static void play(struct machine_fixture *f)
{
	uint32_t dumps = 0;

	atomic_store(&f->m->sysctl.thp_enabled, script.thp ? KNOBS_THP_ALWAYS : KNOBS_THP_NEVER);
	for (uint32_t i = script.first; i < script.end && dumps < 2; i++) {
		const char *line = script.line[i];

		dumps += line[0] == 'D' ? 1 : 0;
		if (dumps == 1 && line[0] == 'D')
			atomic_store(&f->m->sysctl.min_free_kbytes,
				     atoi(strchr(line + 2, ' ') + 1));
		if (dumps == 1 && line[0] == 'Z')
			take_boot_row(f->m, line);
	}
	for (uint32_t i = script.first; i < script.end;) {
		if (script.line[i][0] == 'A')
			do_action(f, script.line[i]);
		/* After each step the recorded machine was left alone for a second. */
		if (script.line[i][0] == 'D')
			rt_sleep(f->t, NSEC_PER_SEC);
		i = script.line[i][0] == 'D' ? compare_dump(f, i) : i + 1;
	}
	while (script.held != 0) {
		struct page *page = &f->m->pages[script.held_pfn[--script.held]];

		page_clear(page, PG_KERNEL);
		page_put(f->t, page);
	}
}

static void test_recorded(void **state)
{
	static struct machine_desc desc;

	(void)state;
	load_table();
	for (uint32_t i = 0; i < script.nr_lines; i = script.end) {
		assert_int_equal(script.line[i][0], 'M');
		script.first = i + 1;
		for (script.end = i + 1;
		     script.end < script.nr_lines && script.line[script.end][0] != 'M';
		     script.end++)
			;
		describe_machine(&desc);
		print_message("%s\n", script.line[i] + 2);
		machine_run(&(struct machine_setup){ .desc = &desc, .proactiveness = 20 }, play);
	}
	print_message("%u dumps, %u values\n", script.nr_dumps, script.nr_values);
	assert_int_equal(script.nr_dumps, 92);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
