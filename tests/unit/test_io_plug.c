/*
 * test_io_plug.c: when gathered write-out is sent.
 *
 *   run of 40 |##########|       a new run behind a long one: sent before it
 *   runs of 2 |##|##|## ... 32   a run more than 32: sent before it
 *   128 pages |##########...|    full
 */
#include "core/io.h"
#include "machine_fixture.h"

/* A store that only notes how many pages came at a time. */
struct noting_store {
	struct store store;
	uint32_t nr_batches;
	uint32_t pages[8];
};

static void note_submit(struct store *store, struct task *t, enum store_op op,
			const struct store_page *pages, uint32_t nr, uint32_t flags)
{
	struct noting_store *noting = container_of(store, struct noting_store, store);

	(void)t;
	(void)pages;
	(void)flags;
	assert_int_equal(op, STORE_WRITE);
	assert_true(noting->nr_batches < ARRAY_LEN(noting->pages));
	noting->pages[noting->nr_batches++] = nr;
}

static const struct store_ops noting_ops = { .submit = note_submit };

static void write_run(struct machine_fixture *f, struct noting_store *noting, uint64_t first,
		      uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		io_write(f->t, &noting->store, IO_FILE_WRITE, first + i, 0);
}

static void body_long_run_is_sent_before_another(struct machine_fixture *f)
{
	struct noting_store noting = { .store = { .ops = &noting_ops } };
	struct io_plug plug;

	io_plug(f->t, &plug);
	write_run(f, &noting, 100, IO_PLUG_RUN_PAGES - 1);
	write_run(f, &noting, 500, 1);
	assert_int_equal(noting.nr_batches, 0);
	write_run(f, &noting, 501, IO_PLUG_RUN_PAGES);
	assert_int_equal(noting.nr_batches, 0);
	write_run(f, &noting, 900, 1);
	assert_int_equal(noting.nr_batches, 1);
	assert_int_equal(noting.pages[0], 2 * IO_PLUG_RUN_PAGES);
	io_unplug(f->t);
	assert_int_equal(noting.nr_batches, 2);
	assert_int_equal(noting.pages[1], 1);
}

MACHINE_TEST(long_run_is_sent_before_another, 0);

static void body_many_runs_are_sent(struct machine_fixture *f)
{
	struct noting_store noting = { .store = { .ops = &noting_ops } };
	struct io_plug plug;

	io_plug(f->t, &plug);
	for (uint32_t run = 0; run < IO_PLUG_RUNS; run++)
		write_run(f, &noting, (uint64_t)run * 10, 2);
	assert_int_equal(noting.nr_batches, 0);
	write_run(f, &noting, 5000, 1);
	assert_int_equal(noting.nr_batches, 1);
	assert_int_equal(noting.pages[0], 2 * IO_PLUG_RUNS);
	/* Who sleeps sends first; nothing is left to send then. */
	io_flush_plug(f->t);
	assert_int_equal(noting.nr_batches, 2);
	io_unplug(f->t);
	assert_int_equal(noting.nr_batches, 2);
}

MACHINE_TEST(many_runs_are_sent, 0);

static void body_full_plug_is_sent(struct machine_fixture *f)
{
	struct noting_store noting = { .store = { .ops = &noting_ops } };
	struct io_plug plug;

	io_plug(f->t, &plug);
	write_run(f, &noting, 0, IO_PLUG_PAGES + 1);
	assert_int_equal(noting.nr_batches, 1);
	assert_int_equal(noting.pages[0], IO_PLUG_PAGES);
	io_unplug(f->t);
	/* Without a plug each page goes by itself. */
	write_run(f, &noting, 700, 2);
	assert_int_equal(noting.nr_batches, 4);
}

MACHINE_TEST(full_plug_is_sent, 0);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_run_is_sent_before_another),
		cmocka_unit_test(test_many_runs_are_sent),
		cmocka_unit_test(test_full_plug_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
