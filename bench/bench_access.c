/*
 * bench access, fault, swap, stream, sim: through the public interface, as a program.
 *
 *     access       a load of a resident page, random over 16 MiB
 *     fault        a first touch of anonymous memory, memory plentiful
 *     fault.tags   the same without contents, in the simulator: the engine's own share
 *     swap         random stores to a region four times the memory
 *     stream       clean page cache read through a machine an eighth of its size
 *     sim.access   as access, in the simulator
 *     sim.anon     in the simulator, a page reclaimed and faulted back: anonymous, random
 *     sim.file     the same for clean pages of a file, random
 *
 * Times are the thread's own where nothing waits, and real ones for fault, swap and
 * stream.
 *
 * What must never happen: a bench whose work the compiler can leave out. Each access
 * goes through the library, which is a separate object.
 */
#include <errno.h>

#include "base/rng.h"
#include "cmd/bench.h"

#define ACCESS_PAGES ((16 * MIB) / NEAP_PAGE_SIZE)

static double per(uint64_t ns, uint64_t operations)
{
	return (double)ns / (double)(operations != 0 ? operations : 1);
}

/* One access of a page as a program's load or store. */
static int touch(struct neap_region *region, uint64_t page_index, bool write)
{
	struct neap_page page;
	int error = neap_page_begin(region, page_index, write ? NEAP_PAGE_WRITE : NEAP_PAGE_READ,
				    &page);

	if (error != 0)
		return error;
	if (write && page.data != NULL)
		*(uint64_t *)page.data = page_index;
	else if (write)
		*page.tag = page_index + 1;
	neap_page_end(region, &page);
	return 0;
}

static int touch_all(struct neap_region *region, bool write)
{
	uint64_t nr_pages = neap_region_pages(region);
	int error = 0;

	for (uint64_t page = 0; page < nr_pages && error == 0; page++)
		error = touch(region, page, write);
	return error;
}

/* `operations` random accesses. => negative errno, or 0 and *ns for all of them */
static int touch_random(struct neap_region *region, uint64_t operations, bool write,
			uint64_t (*clock_ns)(void), uint64_t *ns)
{
	uint64_t nr_pages = neap_region_pages(region);
	struct rng rng;
	int error = 0;

	rng_seed(&rng, 1);
	uint64_t start_ns = clock_ns();

	for (uint64_t i = 0; i < operations && error == 0; i++)
		error = touch(region, rng_below(&rng, nr_pages), write);
	*ns = clock_ns() - start_ns;
	return error;
}

/* ---- access and sim.access: the same work on the two runtimes ---- */

static int run_access(struct bench_run *run)
{
	uint64_t operations = run->quick ? 1000000 : 10000000;
	struct neap_region *region;
	uint64_t ns = 0;
	int error = neap_region_create(run->machine, ACCESS_PAGES * NEAP_PAGE_SIZE, 0,
				       NEAP_ANY_NODE, &region);

	if (error != 0)
		return error;
	error = touch_all(region, true);
	bench_count_begin();
	if (error == 0)
		error = touch_random(region, operations, false, bench_cpu_ns, &ns);
	bench_count_end("access", operations);
	run->value[0] = per(ns, operations);
	neap_region_destroy(region);
	return error;
}

static const struct bench_line access_lines[] = {
	{ "access", "resident page accessed", "ns", 0 },
	{ NULL, NULL, NULL, 0 },
};

const struct bench bench_access = {
	.group = "access",
	.settings = { { "memory", "64M" } },
	.lines = access_lines,
	.run = run_access,
};

static const struct bench_line sim_lines[] = {
	{ "sim.access", "simulated resident access (40 million a second)", "ns", 25 },
	{ NULL, NULL, NULL, 0 },
};

const struct bench bench_sim = {
	.group = "sim",
	.settings = { { "runtime", "sim" }, { "memory", "64M" } },
	.lines = sim_lines,
	.run = run_access,
};

/* ---- fault ---- */

static int run_fault(struct bench_run *run)
{
	uint64_t bytes = run->quick ? 16 * MIB : 128 * MIB;
	struct neap_region *region;
	int error = neap_region_create(run->machine, bytes, 0, NEAP_ANY_NODE, &region);

	if (error != 0)
		return error;
	bench_count_begin();
	uint64_t start_ns = bench_clock_ns();

	error = touch_all(region, true);
	run->value[0] = per(bench_clock_ns() - start_ns, bytes / NEAP_PAGE_SIZE);
	bench_count_end("fault", bytes / NEAP_PAGE_SIZE);
	neap_region_destroy(region);
	return error;
}

static const struct bench_line fault_lines[] = {
	{ "fault", "anonymous page first touched (the host's fault is in it)", "ns", 0 },
	{ NULL, NULL, NULL, 0 },
};

const struct bench bench_fault = {
	.group = "fault",
	.settings = { { "memory", "256M" } },
	.lines = fault_lines,
	.run = run_fault,
};

static const struct bench_line fault_tags_lines[] = {
	{ "fault.tags", "the same without contents: the engine's share", "ns", 0 },
	{ NULL, NULL, NULL, 0 },
};

const struct bench bench_fault_tags = {
	.group = "fault",
	.settings = { { "runtime", "sim" }, { "memory", "256M" } },
	.lines = fault_tags_lines,
	.run = run_fault,
};

/* ---- swap ---- */

static int run_swap(struct bench_run *run)
{
	uint64_t pages = 64 * MIB / NEAP_PAGE_SIZE;
	uint64_t operations = run->quick ? pages / 4 : 2 * pages;
	struct neap_region *region;
	uint64_t ns = 0;
	int error =
		neap_region_create(run->machine, pages * NEAP_PAGE_SIZE, 0, NEAP_ANY_NODE, &region);

	if (error != 0)
		return error;
	error = touch_all(region, true);
	if (error == 0)
		error = touch_random(region, operations, true, bench_clock_ns, &ns);
	run->value[0] = per(ns, operations);
	neap_region_destroy(region);
	return error;
}

static const struct bench_line swap_lines[] = {
	{ "swap", "store to a region four times the memory", "ns", 0 },
	{ NULL, NULL, NULL, 0 },
};

const struct bench bench_swap = {
	.group = "swap",
	.settings = { { "memory", "16M" }, { "swap", "128M" } },
	.lines = swap_lines,
	.run = run_swap,
};

/* ---- files ---- */

/* Reads pages of a file: all in order, or `pages` random ones. */
static int read_file(struct neap_file *file, uint64_t pages, bool random)
{
	uint64_t nr_pages = neap_file_bytes(file) / NEAP_PAGE_SIZE;
	struct rng rng;
	int error = 0;

	rng_seed(&rng, 1);
	for (uint64_t i = 0; i < pages && error == 0; i++) {
		struct neap_page page;
		uint64_t index = random ? rng_below(&rng, nr_pages) : i;

		error = neap_file_page_begin(file, index, NEAP_PAGE_READ, &page);
		if (error == 0)
			neap_file_page_end(file, &page);
	}
	return error;
}

static int run_stream(struct bench_run *run)
{
	uint64_t pages = (run->quick ? 64 * MIB : 256 * MIB) / NEAP_PAGE_SIZE;
	struct neap_file *file;
	int error = neap_file_open(run->machine, NULL, pages * NEAP_PAGE_SIZE, 0, &file);

	if (error != 0)
		return error;
	uint64_t start_ns = bench_clock_ns();

	error = read_file(file, pages, false);
	run->value[0] = per(bench_clock_ns() - start_ns, pages);
	int closing = neap_file_close(file);

	return error != 0 ? error : closing;
}

static const struct bench_line stream_lines[] = {
	{ "stream", "page of a file read through a machine an eighth its size", "ns", 0 },
	{ NULL, NULL, NULL, 0 },
};

const struct bench bench_stream = {
	.group = "stream",
	.settings = { { "memory", "32M" } },
	.lines = stream_lines,
	.run = run_stream,
};

/* ---- cycles: reclaimed and faulted back, in the simulator ---- */

static int cycle_anon(struct bench_run *run, double *value)
{
	uint64_t operations = run->quick ? 100000 : 1000000;
	struct neap_region *region;
	uint64_t ns = 0;
	int error = neap_region_create(run->machine, 96 * MIB, 0, NEAP_ANY_NODE, &region);

	if (error != 0)
		return error;
	error = touch_all(region, true);
	uint64_t before = neap_counter(run->machine, "pswpin");

	bench_count_begin();
	if (error == 0)
		error = touch_random(region, operations, false, bench_cpu_ns, &ns);
	uint64_t cycles = neap_counter(run->machine, "pswpin") - before;

	bench_count_end("sim.anon", cycles);
	*value = per(ns, cycles);
	neap_region_destroy(region);
	return error;
}

static int cycle_file(struct bench_run *run, double *value)
{
	uint64_t operations = run->quick ? 100000 : 1000000;
	struct neap_file *file;
	int error = neap_file_open(run->machine, NULL, 96 * MIB, 0, &file);

	if (error != 0)
		return error;
	error = read_file(file, 96 * MIB / NEAP_PAGE_SIZE, false);
	uint64_t before = neap_counter(run->machine, "workingset_refault_file");

	bench_count_begin();
	uint64_t start_ns = bench_cpu_ns();

	if (error == 0)
		error = read_file(file, operations, true);
	uint64_t ns = bench_cpu_ns() - start_ns;
	uint64_t cycles = neap_counter(run->machine, "workingset_refault_file") - before;

	bench_count_end("sim.file", cycles);
	*value = per(ns, cycles);
	int closing = neap_file_close(file);

	return error != 0 ? error : closing;
}

static int run_cycle(struct bench_run *run)
{
	int error = cycle_anon(run, &run->value[0]);

	return error != 0 ? error : cycle_file(run, &run->value[1]);
}

static const struct bench_line cycle_lines[] = {
	{ "sim.anon", "page reclaimed and swapped back in (1.5 million a second)", "ns", 667 },
	{ "sim.file", "page of a file reclaimed and read again", "ns", 667 },
	{ NULL, NULL, NULL, 0 },
};

const struct bench bench_cycle = {
	.group = "sim",
	.settings = { { "runtime", "sim" }, { "memory", "64M" }, { "swap", "512M" } },
	.lines = cycle_lines,
	.run = run_cycle,
};
