/*
 * Every single failure: one workload of 10,000 operations, run again for each transfer and each
 * request for memory that it makes, which then fails, once.
 *
 *   anonymous pages ....... written, read, given up, pushed out   ──> reads and writes of swap
 *   a file, mapped too .... written, read, synced, dropped        ──> reads and writes of a disk
 *   a sparse region, made anew now and then, blocks of pages      ──> page tables, index nodes,
 *                                                                     pools: metadata
 *   the Nth fails                the program
 *   ---------------------------  ------------------------------------------------------------
 *   swap read                    gets -EIO once at most (never, if it was read ahead in vain)
 *   swap write                   is not told: the page stays in memory
 *   file read                    gets -EIO once at most
 *   file write                   gets -EIO exactly once, at a sync
 *   request (page or metadata)   gets -ENOMEM once at most
 *
 * An operation that failed is tried again and must succeed. All contents are compared, at once and
 * at the end, the laws of verify.c are checked, and every frame must come back.
 *
 * As a unit test it takes a few of the points. With arguments it takes those that it is told:
 *
 *     test_failures KIND FIRST STEP       KIND: swap-read swap-write file-read file-write page
 *
 * tools/check-failures takes all of them like that.
 *
 * What must never happen here: a run in which the failure did not happen counts as one.
 */
#include "machine_fixture.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "core/advice.h"

#define STEPS 10000u
#define ANON_PAGES 520u
#define ANON_HOT 220u
#define FILE_PAGES 240u
#define FILE_HOT 60u
#define SPARSE_PAGES (1u << 17)
#define NR_BLOCKS 8u
#define UNIT_NS (1200 * NSEC_PER_MSEC) /* for the points of a unit test */
#define UNIT_POINTS 8u

enum failing {
	FAIL_SWAP_READ,
	FAIL_SWAP_WRITE,
	FAIL_FILE_READ,
	FAIL_FILE_WRITE,
	FAIL_PAGE,
	NR_FAILING,
};

static const char *const names[NR_FAILING] = { "swap-read", "swap-write", "file-read", "file-write",
					       "page" };

/* What a run is to fail, and what came of it. */
struct nth_run {
	enum failing what;
	uint64_t nth; /* 0: nothing, the run that counts */
	bool happened;
	uint32_t eio, enomem; /* reported to the program */
	uint32_t sync_errors;
	uint64_t made[NR_FAILING]; /* transfers and requests, where nothing failed */
};

static struct nth_run run;

struct work {
	struct machine_fixture *f;
	struct rng rng;
	struct region *anon, *mapped, *sparse;
	struct fixture_file *file;
	uint64_t anon_version[ANON_PAGES], file_version[FILE_PAGES];
	uint32_t block[NR_BLOCKS];
};

static struct store_fault_counts counts(struct machine_fixture *f, struct store *store)
{
	struct store_fault_counts out;

	store_fault_counts(store, f->t, &out);
	return out;
}

/* => whether the operation shall be tried again: an error is reported at most once */
static bool again(int err, uint32_t *tries)
{
	run.eio += err == -EIO;
	run.enomem += err == -ENOMEM;
	if (err == 0)
		return false;
	if (++*tries > 1 || run.nth == 0 || (err != -EIO && err != -ENOMEM))
		fail_msg("%s %llu: error %d at try %u", names[run.what],
			 (unsigned long long)run.nth, err, *tries);
	return true;
}

/* ---- operations ---- */

/* Most accesses go to a few pages: reclaim has something to tell apart. */
static uint64_t draw_page(struct work *w, uint32_t hot, uint32_t nr)
{
	return rng_below(&w->rng, rng_below(&w->rng, 8) == 0 ? nr : hot);
}

static void work_anon(struct work *w, uint64_t page, bool write)
{
	uint64_t version = w->anon_version[page];
	uint64_t value = machine_value(w->anon, page, version + 1);
	uint32_t tries = 0;

	if (write) {
		while (again(machine_write(w->f, w->anon, page, value), &tries))
			;
		w->anon_version[page]++;
		return;
	}
	while (again(machine_read(w->f, w->anon, page, &value), &tries))
		;
	assert_int_equal(value, version == 0 ? 0 : machine_value(w->anon, page, version));
}

static void work_file(struct work *w, uint64_t page, bool write, bool mapped)
{
	uint64_t value = machine_file_value(page, w->file_version[page] + 1);
	struct machine_fixture *f = w->f;
	uint32_t tries = 0;

	if (write) {
		while (again(mapped ? machine_write(f, w->mapped, page, value)
				    : machine_file_write(f, w->file, page, value),
			     &tries))
			;
		w->file_version[page]++;
		return;
	}
	while (again(mapped ? machine_read(f, w->mapped, page, &value)
			    : machine_file_read(f, w->file, page, &value),
		     &tries))
		;
	assert_int_equal(value, machine_file_value(page, w->file_version[page]));
}

/* A page with a table of its own, in a region that is made when there is none. */
static void work_sparse(struct work *w)
{
	const struct region_spec spec = { .nr_pages = SPARSE_PAGES };
	uint64_t page = rng_below(&w->rng, SPARSE_PAGES / 512) * 512;
	uint32_t tries = 0;

	if (w->sparse == NULL)
		while (again(region_create(w->f->t, w->f->space, &spec, &w->sparse), &tries))
			;
	tries = 0;
	while (again(machine_write(w->f, w->sparse, page, page), &tries))
		;
	if (rng_below(&w->rng, 24) == 0) {
		region_destroy(w->f->t, w->sparse);
		w->sparse = NULL;
	}
}

static void work_zap(struct work *w)
{
	uint64_t first = rng_below(&w->rng, ANON_PAGES - 8);
	uint64_t nr = 1 + rng_below(&w->rng, 8);

	region_zap(w->f->t, w->anon, first, nr);
	for (uint64_t page = first; page < first + nr; page++)
		w->anon_version[page] = 0;
}

static void work_block(struct work *w)
{
	uint32_t i = (uint32_t)rng_below(&w->rng, NR_BLOCKS);
	const struct alloc_request request = { .gfp = GFP_KERNEL };
	uint32_t tries = 0;

	if (w->block[i] != 0) {
		page_put(w->f->t, machine_page(w->f->m, w->block[i]));
		w->block[i] = 0;
		return;
	}
	do
		w->block[i] = alloc_pages(w->f->t, &request);
	while (again(w->block[i] == PFN_NONE ? -ENOMEM : 0, &tries));
}

static int advise(struct work *w, uint64_t kind, uint64_t first)
{
	struct task *t = w->f->t;

	if (kind == 0)
		return advice_cold(t, w->anon, first, 16);
	if (kind == 1)
		return advice_pageout(t, w->anon, first, 16);
	if (kind == 2)
		return advice_willneed(t, w->anon, first, 16);
	mapping_drop_clean(t, w->file->mapping);
	return 0;
}

static void work_advice(struct work *w)
{
	uint64_t kind = rng_below(&w->rng, 4);
	uint64_t first = rng_below(&w->rng, ANON_PAGES - 16);
	uint32_t tries = 0;

	while (again(advise(w, kind, first), &tries))
		;
}

static void sync_file(struct work *w)
{
	int err = mapping_sync(w->f->t, w->file->mapping);

	if (err == 0)
		return;
	assert_int_equal(err, -EIO);
	run.sync_errors++;
	assert_int_equal(mapping_sync(w->f->t, w->file->mapping), 0);
}

static void work_step(struct work *w)
{
	uint64_t what = rng_below(&w->rng, 1000);
	bool write = rng_below(&w->rng, 2) != 0;

	if (what < 640)
		work_anon(w, draw_page(w, ANON_HOT, ANON_PAGES), write);
	else if (what < 940)
		work_file(w, draw_page(w, FILE_HOT, FILE_PAGES), write, what < 790);
	else if (what < 960)
		work_sparse(w);
	else if (what < 975)
		work_zap(w);
	else if (what < 990)
		work_block(w);
	else if (what < 996)
		work_advice(w);
	else if (what < 998)
		sync_file(w);
}

/* ---- one run ---- */

static void arm(struct work *w)
{
	struct machine_fixture *f = w->f;
	bool swap = run.what == FAIL_SWAP_READ || run.what == FAIL_SWAP_WRITE;
	bool read = run.what == FAIL_SWAP_READ || run.what == FAIL_FILE_READ;

	if (run.nth == 0)
		f->m->inject[INJECT_PAGE] = UINT64_MAX;
	else if (run.what == FAIL_PAGE)
		f->m->inject[INJECT_PAGE] = run.nth;
	else
		store_fault_arm(swap ? f->swap[0] : w->file->store, f->t,
				read ? STORE_READ : STORE_WRITE, run.nth, -EIO);
}

static void take_counts(struct work *w)
{
	struct store_fault_counts swap = counts(w->f, w->f->swap[0]);
	struct store_fault_counts file = counts(w->f, w->file->store);
	uint64_t failed =
		swap.failed_reads + swap.failed_writes + file.failed_reads + file.failed_writes;

	run.happened = run.what == FAIL_PAGE ? w->f->m->inject[INJECT_PAGE] == 0 : failed != 0;
	run.made[FAIL_SWAP_READ] = swap.reads;
	run.made[FAIL_SWAP_WRITE] = swap.writes;
	run.made[FAIL_FILE_READ] = file.reads;
	run.made[FAIL_FILE_WRITE] = file.writes;
	run.made[FAIL_PAGE] = UINT64_MAX - w->f->m->inject[INJECT_PAGE];
	w->f->m->inject[INJECT_PAGE] = 0;
}

static void work_end(struct work *w)
{
	struct machine_fixture *f = w->f;

	for (uint64_t page = 0; page < ANON_PAGES; page++)
		work_anon(w, page, false);
	for (uint64_t page = 0; page < FILE_PAGES; page++)
		work_file(w, page, false, true);
	sync_file(w);
	machine_settle(f);
	take_counts(w);
	for (uint32_t i = 0; i < NR_BLOCKS; i++)
		if (w->block[i] != 0)
			page_put(f->t, machine_page(f->m, w->block[i]));
	if (w->sparse != NULL)
		region_destroy(f->t, w->sparse);
	machine_region_end(f, w->mapped);
	assert_int_equal(machine_file_end(f, w->file), 0);
	for (uint64_t page = 0; page < FILE_PAGES; page++)
		assert_int_equal(machine_file_stored(w->file, page),
				 machine_file_value(page, w->file_version[page]));
}

static void body_work(struct machine_fixture *f)
{
	static struct work w;

	memset(&w, 0, sizeof(w));
	w.f = f;
	w.anon = machine_region(f, ANON_PAGES);
	w.file = machine_file(f, FILE_PAGES);
	w.mapped = machine_region_spec(f, &(struct region_spec){ .nr_pages = FILE_PAGES,
								 .mapping = w.file->mapping });
	rng_seed(&w.rng, 42);
	arm(&w);
	for (uint32_t step = 0; step < STEPS; step++)
		work_step(&w);
	work_end(&w);
}

static const struct machine_setup work_setup = { .pages = 448, .swap_pages = 1024 };

static struct nth_run run_nth(enum failing what, uint64_t nth)
{
	run = (struct nth_run){ .what = what, .nth = nth };
	machine_run(&work_setup, body_work);
	return run;
}

/* ---- many runs ---- */

static struct sweep {
	enum failing what;
	uint64_t first, step, end_ns;
	uint64_t points, runs, reported;
} sweep;

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* What the table at the top says of the failure. */
static void check_reports(const struct nth_run *r)
{
	uint32_t eio = r->eio + r->sync_errors;

	bool fine = r->happened && r->enomem <= (r->what == FAIL_PAGE);

	if (r->what == FAIL_FILE_WRITE)
		fine &= r->eio == 0 && r->sync_errors == 1;
	else
		fine &= eio <= (r->what == FAIL_SWAP_READ || r->what == FAIL_FILE_READ);
	if (!fine)
		fail_msg("%s %llu: %s; -ENOMEM %u, -EIO %u, at a sync %u", names[r->what],
			 (unsigned long long)r->nth,
			 r->happened ? "reported wrongly" : "did not happen", r->enomem, r->eio,
			 r->sync_errors);
}

static void sweep_run(void)
{
	sweep.points = run_nth(sweep.what, 0).made[sweep.what];
	for (uint64_t nth = sweep.first; nth <= sweep.points; nth += sweep.step) {
		struct nth_run r = run_nth(sweep.what, nth);

		check_reports(&r);
		sweep.runs++;
		sweep.reported += r.eio + r.sync_errors + r.enomem;
		if (sweep.end_ns != 0 && clock_ns() > sweep.end_ns)
			break;
	}
}

/* Says which failure a check did not survive. */
static void on_abort(int number)
{
	char text[64];
	int length = snprintf(text, sizeof(text), "%s %llu: signal %d\n", names[run.what],
			      (unsigned long long)run.nth, number);

	if (write(STDERR_FILENO, text, (size_t)length) < 0)
		_exit(3);
	_exit(2);
}

static void test_told(void **state)
{
	(void)state;
	sweep_run();
	print_message("sweep %s %llu %llu %llu\n", names[sweep.what],
		      (unsigned long long)sweep.points, (unsigned long long)sweep.runs,
		      (unsigned long long)sweep.reported);
}

/* A few points of each kind, others for each seed. */
static void test_some(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, machine_seed());
	for (uint32_t what = 0; what < NR_FAILING; what++) {
		uint64_t points = run_nth((enum failing)what, 0).made[what];

		assert_true(points > 400);
		sweep = (struct sweep){ .what = (enum failing)what,
					.first = 1 + rng_below(&rng, points / UNIT_POINTS),
					.step = points / UNIT_POINTS,
					.end_ns = clock_ns() + UNIT_NS };
		sweep_run();
		assert_true(sweep.runs > 0);
	}
}

static bool take_arguments(char **argv)
{
	uint32_t what = 0;

	while (what < NR_FAILING && strcmp(argv[1], names[what]) != 0)
		what++;
	sweep.what = (enum failing)what;
	sweep.first = strtoull(argv[2], NULL, 10);
	sweep.step = strtoull(argv[3], NULL, 10);
	return what < NR_FAILING && sweep.first > 0 && sweep.step > 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest some[] = { cmocka_unit_test(test_some) };
	const struct CMUnitTest told[] = { cmocka_unit_test(test_told) };

	if (argc != 4)
		return cmocka_run_group_tests(some, NULL, NULL);
	if (!take_arguments(argv))
		return 2;
	signal(SIGABRT, on_abort);
	return cmocka_run_group_tests(told, NULL, NULL);
}
