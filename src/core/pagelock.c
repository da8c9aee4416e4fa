/*
 * The page lock, and waiting for a page's write-out to end.
 *
 * Both are single bits in the descriptor. Whoever finds the bit set sleeps on one
 * of PAGE_WAIT_BUCKETS wait queues chosen by frame number; whoever clears a bit
 * looks at the bucket's count of waiters and wakes all of them if there are any.
 *
 *   waiter:  waiters += 1 ─> read seq ─> test bit ─> sleep while seq unchanged
 *   clearer: clear bit ─> read waiters ─> seq += 1 ─> wake
 *
 * All four accesses are sequentially consistent, so either the waiter sees the
 * bit clear or the clearer sees the waiter: no wake-up is lost. Several pages
 * share a bucket, so a waiter may be woken for another page and tests again.
 *
 * What must never happen: a task that holds a page lock waits for another page
 * lock (deadlock); such callers use page_trylock(). A completion may unlock a
 * page that a task locked: the submitter gave its lock away with
 * page_lock_handover().
 *
 * Linux: folio_lock and folio_wait_bit in mm/filemap.c. DIFF: no exclusive
 * hand-over to the first waiter; all waiters compete.
 */
#include "core/pagelock.h"

#include "core/io.h"

/* One sleep at most; the caller tests the flag again. */
static void page_wait_flag(struct task *t, struct page *page, uint64_t flag)
{
	struct waitq *wq = page_wait_queue(t->machine, page);

	io_flush_plug(t);
	uint32_t seq = waitq_begin(t, wq);

	if (atomic_load(&page->flags) & flag)
		waitq_wait(t, wq, seq, RT_FOREVER);
	waitq_end(wq);
}

void page_lock_wait(struct task *t, struct page *page)
{
	/* event loop: until we are the one who set the bit */
	do
		page_wait_flag(t, page, PG_LOCKED);
	while (page_test_set(page, PG_LOCKED));
}

void page_unlock_set(struct task *t, struct page *page, uint64_t set)
{
	uint64_t flags = atomic_load(&page->flags);

	DCHECK(t->sleep_locks > 0);
	rt_explore(t);
	t->sleep_locks--;
	/* bounded: somebody else changed another flag */
	while (!atomic_compare_exchange_weak(&page->flags, &flags, (flags & ~PG_LOCKED) | set))
		;
	CHECK(flags & PG_LOCKED);
	page_wake(t, page);
}

void page_wait_unlocked(struct task *t, struct page *page)
{
	/* event loop */
	while (atomic_load(&page->flags) & PG_LOCKED)
		page_wait_flag(t, page, PG_LOCKED);
}

void page_wait_writeback(struct task *t, struct page *page)
{
	/* event loop */
	while (atomic_load(&page->flags) & PG_WRITEBACK)
		page_wait_flag(t, page, PG_WRITEBACK);
}
