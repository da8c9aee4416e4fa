/*
 * The benches.
 *
 *     access    a load of a resident page through the public interface, random over 16 MiB
 *     alloc     an order-0 block taken or given back, one thread
 *     fault     a first touch of anonymous memory, memory plentiful
 *     swap      a page through swap and back: written out, read in, random
 *     reclaim   clean page cache streamed through a machine an eighth of its size
 *     sim       a resident access in the simulator
 *
 * Each repetition has a machine of its own, so that none profits from what the one
 * before left. Set-up is not timed. Only time is measured here; that the results are
 * right is the business of the tests and of every job.
 *
 * What must never happen: a bench whose work the compiler can leave out. Each access
 * goes through the library, which is a separate object.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/rng.h"
#include "cmd/bench.h"

#define ACCESS_PAGES ((16 * MIB) / NEAP_PAGE_SIZE)

uint64_t bench_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
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

/* ---- access and sim: the same work on the two runtimes ---- */

static int bench_access(struct neap_machine *machine, bool quick, struct bench_sample *sample)
{
	uint64_t operations = quick ? 1000000 : 10000000;
	struct neap_region *region;
	struct rng rng;
	int error = neap_region_create(machine, ACCESS_PAGES * NEAP_PAGE_SIZE, 0, NEAP_ANY_NODE,
				       &region);

	if (error != 0)
		return error;
	rng_seed(&rng, 1);
	error = touch_all(region, true);
	sample->ns = bench_clock_ns();
	for (uint64_t i = 0; i < operations && error == 0; i++)
		error = touch(region, rng_next(&rng) % ACCESS_PAGES, false);
	sample->ns = bench_clock_ns() - sample->ns;
	sample->operations = operations;
	neap_region_destroy(region);
	return error;
}

/* ---- fault ---- */

static int bench_fault(struct neap_machine *machine, bool quick, struct bench_sample *sample)
{
	uint64_t bytes = quick ? 16 * MIB : 128 * MIB;
	struct neap_region *region;
	int error = neap_region_create(machine, bytes, 0, NEAP_ANY_NODE, &region);

	if (error != 0)
		return error;
	sample->ns = bench_clock_ns();
	error = touch_all(region, true);
	sample->ns = bench_clock_ns() - sample->ns;
	sample->operations = bytes / NEAP_PAGE_SIZE;
	neap_region_destroy(region);
	return error;
}

/* ---- swap ---- */

static int bench_swap(struct neap_machine *machine, bool quick, struct bench_sample *sample)
{
	uint64_t pages = 64 * MIB / NEAP_PAGE_SIZE;
	uint64_t operations = quick ? pages / 4 : 2 * pages;
	struct neap_region *region;
	struct rng rng;
	int error = neap_region_create(machine, pages * NEAP_PAGE_SIZE, 0, NEAP_ANY_NODE, &region);

	if (error != 0)
		return error;
	rng_seed(&rng, 1);
	error = touch_all(region, true);
	sample->ns = bench_clock_ns();
	for (uint64_t i = 0; i < operations && error == 0; i++)
		error = touch(region, rng_next(&rng) % pages, true);
	sample->ns = bench_clock_ns() - sample->ns;
	sample->operations = operations;
	neap_region_destroy(region);
	return error;
}

/* ---- reclaim ---- */

static int stream_file(struct neap_file *file, uint64_t pages)
{
	int error = 0;

	for (uint64_t i = 0; i < pages && error == 0; i++) {
		struct neap_page page;

		error = neap_file_page_begin(file, i, NEAP_PAGE_READ, &page);
		if (error == 0)
			neap_file_page_end(file, &page);
	}
	return error;
}

static int bench_reclaim(struct neap_machine *machine, bool quick, struct bench_sample *sample)
{
	uint64_t pages = (quick ? 64 * MIB : 256 * MIB) / NEAP_PAGE_SIZE;
	struct neap_file *file;
	int error = neap_file_open(machine, NULL, pages * NEAP_PAGE_SIZE, 0, &file);

	if (error != 0)
		return error;
	sample->ns = bench_clock_ns();
	error = stream_file(file, pages);
	sample->ns = bench_clock_ns() - sample->ns;
	sample->operations = pages;
	if (error == 0)
		return neap_file_close(file);
	(void)neap_file_close(file); /* the first error counts */
	return error;
}

const struct bench bench_table[] = {
	{ "access", "resident page accessed", false, "64M", NULL, bench_access },
	{ "alloc", "order-0 block taken or given back", false, "64M", NULL, bench_alloc },
	{ "fault", "anonymous page first touched", false, "256M", NULL, bench_fault },
	{ "swap", "access to a region four times the memory", false, "16M", "128M", bench_swap },
	{ "reclaim", "page of a file streamed through", false, "32M", NULL, bench_reclaim },
	{ "sim", "simulated resident access", true, "64M", NULL, bench_access },
	{ NULL, NULL, false, NULL, NULL, NULL },
};
