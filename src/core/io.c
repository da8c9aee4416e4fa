/*
 * Submission and completion of page transfers.
 *
 *   engine ── io_submit / io_write ──> store ── done ──> io_done
 *               page lock (reads)                   ├─ read:  up to date or error, unlock
 *               PG_WRITEBACK (writes)               └─ write: end of write-out, rotate, wake
 *
 * A transfer's cookie is (kind, frame): everything else is in the descriptor, so
 * a completion looks nothing up. A page under I/O has a reference of the I/O. The frames of
 * a huge page are written one by one, and maps of its first tail, which nobody else needs,
 * counts those that are on their way: the last one ends the page's write-out.
 *
 * Write-out is gathered in a plug, if the task has one, so that a store sees
 * neighbours in one batch. Nobody may wait for a page that sits in his own plug:
 * the plug is sent before the task sleeps. Reclaim keeps one for a whole pass over a
 * node's lists. What is sent may be written before the pages are back on their list;
 * then nobody rotates them to its end, and they are met clean a whole round later.
 *
 * Errors. A failed read leaves the page not up to date: whoever waits for it
 * reports -EIO, nobody sees the frame's old contents. A failed write leaves the
 * page dirty and in memory, with its slot or file page, and counts; for files the
 * error is kept for the next sync or close.
 *
 * DIFF from Linux: a file page whose write failed becomes dirty again (Linux
 * leaves it clean, and loses the data when it is reclaimed).
 *
 * Linux: mm/page_io.c, the end_writeback half of mm/page-writeback.c.
 */
#include "core/io.h"

#include <errno.h>

#include "core/bio.h"
#include "core/lru.h"
#include "core/mapping.h"
#include "core/pagelock.h"
#include "core/psi.h"
#include "core/swap.h"
#include "core/thp.h"
#include "core/vmstat.h"

/* ---- completion ---- */

static void end_read(struct task *t, struct page *page, enum io_kind kind, int err)
{
	struct neap_machine *m = t->machine;

	if (err == 0) {
		if (unlikely(page_test(page, PG_ERROR)))
			page_clear(page, PG_ERROR);
		page_unlock_read(t, page);
	} else {
		page_set(page, PG_ERROR);
		if (kind == IO_SWAP_READ)
			atomic_fetch_add(&swap_area_of(m, m->slot_of[page - m->pages])->read_errors,
					 1);
		page_unlock_from_io(t, page, 0);
	}
	page_put(t, page);
}

static void note_write_error(struct task *t, struct page *page, enum io_kind kind, int err)
{
	struct neap_machine *m = t->machine;

	page_set(page, PG_ERROR);
	page_clear(page, PG_RECLAIM);
	if (kind == IO_SWAP_WRITE) {
		struct swap_area *area = swap_area_of(m, m->slot_of[page - m->pages]);

		page_set(page, PG_DIRTY);
		atomic_fetch_add(&area->write_errors, 1);
		if (err == -ENOSPC)
			atomic_fetch_add(&area->full_errors, 1);
		return;
	}
	struct mapping *mapping = pool_get(&m->mappings, page->owner);
	int32_t none = 0;

	atomic_compare_exchange_strong(&mapping->write_error, &none, err);
	mapping_set_dirty(t, page);
}

/* Reclaimers that wait for write-out are let go once enough was written (spec 11, section 8). */
static void wake_throttled(struct task *t, struct node *node, int64_t nr)
{
	uint32_t waiters = atomic_load(&node->nr_writeback_throttled);

	if (waiters == 0)
		return;
	cpu_pin(t);
	node_stat_add(t, node, NR_THROTTLED_WRITTEN, nr);
	cpu_unpin(t);
	uint64_t written =
		node_stat_exact(node, NR_THROTTLED_WRITTEN) - atomic_load(&node->nr_reclaim_start);

	if (written > (uint64_t)SWAP_CLUSTER_MAX * waiters)
		waitq_wake(t, &node->reclaim_wait[WAIT_WRITEBACK], UINT32_MAX);
}

/* Takes one frame of a huge page off those on their way. => whether the page is written */
static bool end_write_part(struct page *page)
{
	uint32_t before = atomic_fetch_sub_explicit(&page[1].maps, 1, memory_order_acq_rel);

	CHECK(before != 0);
	return before == 1;
}

/* One frame of the page is written; of a page under write-out the size stays what it is. */
static void end_write(struct task *t, struct page *page, enum io_kind kind, int err)
{
	struct neap_machine *m = t->machine;
	struct node *node = page_node(m, page);
	int64_t nr = page_nr(page);

	if (err != 0)
		note_write_error(t, page, kind, err);
	if (nr > 1 && !end_write_part(page))
		return;
	if (err == 0 && nr == 1 && unlikely(page_test(page, PG_ERROR)))
		page_clear(page, PG_ERROR);
	if (page_test(page, PG_RECLAIM) && page_test_clear(page, PG_RECLAIM))
		lru_rotate(t, page);
	struct cpu_slot *pinned = cpu_pin_leaf(t);

	node_stat_add(t, node, NR_WRITEBACK, -nr);
	zone_stat_add(t, page_zone(m, page), NR_ZONE_WRITE_PENDING, -nr);
	node_stat_add(t, node, NR_WRITTEN, nr);
	cpu_unpin_leaf(t, pinned);
	if (kind == IO_FILE_WRITE) {
		struct mapping *mapping = pool_get(&m->mappings, page->owner);

		if (atomic_fetch_sub(&mapping->nr_writeback, 1) == 1)
			waitq_wake(t, &mapping->wait, UINT32_MAX);
		if (waitq_active(&m->dirty_wait))
			waitq_wake(t, &m->dirty_wait, UINT32_MAX);
	}
	uint64_t before = atomic_fetch_and(&page->flags, ~PG_WRITEBACK);

	CHECK(before & PG_WRITEBACK);
	page_wake(t, page);
	wake_throttled(t, node, nr);
	page_put(t, page);
}

/* What the end of a page's way is counted as: they take very different times. */
static const enum meter_item done_items[] = {
	[IO_SWAP_READ] = EV_SIM_READ_DONE,
	[IO_FILE_READ] = EV_SIM_READ_DONE,
	[IO_SWAP_WRITE] = EV_SIM_IO_DONE,
	[IO_FILE_WRITE] = EV_SIM_FLUSH_DONE,
};

void io_done(void *ctx, struct task *t, uint64_t cookie, int err)
{
	struct neap_machine *m = ctx;
	struct page *page = machine_page(m, (uint32_t)cookie);
	enum io_kind kind = (enum io_kind)(cookie >> IO_COOKIE_KIND_SHIFT & 3);

	DCHECK(t->held == 0 && t->pin_depth == 0);
	/* A page looks finished before we let it go; verification waits until this is over, too. */
	atomic_fetch_add(&m->nr_completing, 1);
	event_add(t, done_items[kind], 1);
	switch (kind) {
	case IO_SWAP_READ:
	case IO_FILE_READ:
		end_read(t, page, kind, err);
		break;
	case IO_SWAP_WRITE:
	case IO_FILE_WRITE:
		end_write(t, thp_head(m, (uint32_t)cookie), kind, err);
		break;
	}
	if (kind == IO_FILE_WRITE)
		bio_put_vectors(t, (uint32_t)(cookie >> IO_COOKIE_BIO_SHIFT));
	else
		bio_put(t, (uint32_t)(cookie >> IO_COOKIE_BIO_SHIFT));
	atomic_fetch_sub(&m->nr_completing, 1);
}

/* ---- submission ---- */

void io_begin_write(struct task *t, struct page *page)
{
	struct neap_machine *m = t->machine;
	int64_t nr = page_nr(page);

	page_get(page);
	if (nr > 1) {
		page_clear(page, PG_ERROR);
		atomic_store_explicit(&page[1].maps, (uint32_t)nr, memory_order_release);
	}
	page_set(page, PG_WRITEBACK);
	struct cpu_slot *pinned = cpu_pin_leaf(t);

	node_stat_add(t, page_node(m, page), NR_WRITEBACK, nr);
	zone_stat_add(t, page_zone(m, page), NR_ZONE_WRITE_PENDING, nr);
	cpu_unpin_leaf(t, pinned);
}

/* Counted when it is handed over, gathered or not: that is when its request is made. */
static void count_pages(struct task *t, enum io_kind kind, uint64_t pages)
{
	struct cpu_slot *pinned = cpu_pin_leaf(t);

	switch (kind) {
	case IO_SWAP_READ:
		event_add_pinned(t, EV_PSWPIN, pages);
		event_add_pinned(t, EV_PGPGIN, pages * 8);
		break;
	case IO_FILE_READ:
		event_add_pinned(t, EV_PGPGIN, pages * 8);
		break;
	case IO_SWAP_WRITE:
		event_add_pinned(t, EV_PSWPOUT, pages);
		event_add_pinned(t, EV_PGPGOUT, pages * 8);
		break;
	case IO_FILE_WRITE:
		event_add_pinned(t, EV_PGPGOUT, pages * 8);
		break;
	}
	cpu_unpin_leaf(t, pinned);
}

/* The device is told of what is there. */
static void count_submit(struct task *t)
{
	event_add(t, EV_SIM_IO_SUBMIT, 1);
}

/* Neighbouring slots are one request of the device. */
static void use_segments(struct task *t, enum io_kind kind, const struct store_page *pages,
			 uint32_t nr)
{
	uint32_t run = 0;

	if (!t->machine->bios.on || (kind != IO_SWAP_WRITE && kind != IO_SWAP_READ))
		return;
	for (uint32_t i = 0; i < nr; i++) {
		run++;
		if (i + 1 < nr && pages[i + 1].offset == pages[i].offset + 1)
			continue;
		bio_use_segments(t, run);
		run = 0;
	}
}

void io_read_pages(struct task *t, struct store *store, enum io_kind kind,
		   const struct store_page *pages, uint32_t nr)
{
	DCHECK(kind == IO_SWAP_READ || kind == IO_FILE_READ);
	use_segments(t, kind, pages, nr);
	count_pages(t, kind, nr);
	count_submit(t);
	store->ops->submit(store, t, STORE_READ, pages, nr, STORE_OWN);
}

void io_read_ahead(struct task *t, struct store *store, enum io_kind kind,
		   const struct store_page *pages, uint32_t nr)
{
	DCHECK(kind == IO_SWAP_READ || kind == IO_FILE_READ);
	count_pages(t, kind, nr);
	count_submit(t);
	store->ops->submit(store, t, STORE_READ, pages, nr, 0);
}

static void send(struct task *t, struct io_plug *plug)
{
	uint32_t nr = plug->nr;

	if (nr == 0)
		return;
	plug->nr = 0;
	plug->nr_runs = 0;
	plug->run_pages = 0;
	enum io_kind kind = (enum io_kind)(plug->page[0].cookie >> IO_COOKIE_KIND_SHIFT & 3);

	use_segments(t, kind, plug->page, nr);
	count_submit(t);
	plug->store->ops->submit(plug->store, t, STORE_WRITE, plug->page, nr, 0);
}

void io_flush_plug(struct task *t)
{
	if (t->plug != NULL)
		send(t, t->plug);
}

/*
 * A request for one page more. What the task has gathered is sent before we wait for others to
 * finish, for any store: it may hold the last requests.
 */
static uint32_t request_of(struct task *t)
{
	uint32_t bio = bio_try_get(t);

	if (bio != BIO_NONE)
		return bio;
	io_flush_plug(t);
	return bio_get(t);
}

/*
 * A page of swap has a request of its own, a huge one for all its frames; a run of a file's pages
 * one together, on its first.
 */
static uint64_t write_cookie(struct task *t, enum io_kind kind, uint32_t pfn, bool joins)
{
	uint64_t request = BIO_NONE;

	if (!t->machine->bios.on)
		return io_cookie(kind, pfn);
	if (kind == IO_FILE_WRITE)
		request = joins ? BIO_NONE : bio_get_vectors(t);
	else if (!page_test(machine_page(t->machine, pfn), PG_TAIL))
		request = request_of(t);
	return io_cookie(kind, pfn) | request << IO_COOKIE_BIO_SHIFT;
}

static bool joins_plug(const struct io_plug *plug, const struct store *store, uint64_t offset)
{
	return plug->nr != 0 && plug->store == store &&
	       offset == plug->page[plug->nr - 1].offset + 1;
}

void io_write_now(struct task *t, struct store *store, enum io_kind kind, uint64_t offset,
		  uint32_t pfn)
{
	const struct store_page page = { .offset = offset,
					 .cookie = write_cookie(t, kind, pfn, false),
					 .pfn = pfn };

	count_pages(t, kind, 1);
	count_submit(t);
	store->ops->submit(store, t, STORE_WRITE, &page, 1, 0);
}

void io_write(struct task *t, struct store *store, enum io_kind kind, uint64_t offset, uint32_t pfn)
{
	struct io_plug *plug = t->plug;

	if (plug == NULL) {
		io_write_now(t, store, kind, offset, pfn);
		return;
	}
	uint64_t cookie = write_cookie(t, kind, pfn, joins_plug(plug, store, offset));
	bool joins = joins_plug(plug, store, offset); /* now: it may have been sent meanwhile */

	count_pages(t, kind, 1);
	if (plug->nr == IO_PLUG_PAGES || plug->store != store ||
	    (!joins && (plug->nr_runs == IO_PLUG_RUNS || plug->run_pages >= IO_PLUG_RUN_PAGES))) {
		send(t, plug);
		joins = false;
	}
	plug->store = store;
	plug->nr_runs += joins ? 0 : 1;
	plug->run_pages = joins ? plug->run_pages + 1 : 1;
	plug->page[plug->nr++] =
		(struct store_page){ .offset = offset, .cookie = cookie, .pfn = pfn };
}

void io_plug(struct task *t, struct io_plug *plug)
{
	CHECK(t->plug == NULL);
	plug->store = NULL;
	plug->nr = 0;
	plug->nr_runs = 0;
	plug->run_pages = 0;
	t->plug = plug;
}

void io_unplug(struct task *t)
{
	struct io_plug *plug = t->plug;

	CHECK(plug != NULL);
	t->plug = NULL;
	send(t, plug);
}

void io_wait_page(struct task *t, struct store *store, struct page *page)
{
	struct waitq *wq = page_wait_queue(t->machine, page);
	uint32_t seq = waitq_begin(t, wq);

	/*
	 * The host is asked at least once, so that every own request is reaped even if ours is done
	 * already.
	 */
	bool thrashing = page_test(page, PG_WORKINGSET);

	if (!page_test(page, PG_LOCKED))
		seq--;
	/* Waiting for what reclaim took although it was in use is a stall for lack of memory. */
	if (thrashing)
		psi_memstall_wait(t);
	else
		rt_tell(t, false);
	store->host->ops->wait(store->host, t, &wq->seq, seq);
	waitq_end(wq);
	bool over = thrashing && !page_test(page, PG_LOCKED);

	if (over)
		psi_memstall_go_on(t);
	else
		rt_tell(t, true);
	page_wait_unlocked(t, page);
	if (thrashing && !over)
		psi_memstall_leave(t);
}

int io_thread(struct task *t, void *machine)
{
	struct neap_machine *m = machine;

	t->machine = m;
	/* event loop */
	while (!atomic_load(&m->io_stopping))
		m->host->ops->reap(m->host, t);
	return 0;
}
