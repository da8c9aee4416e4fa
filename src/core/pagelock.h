/*
 * The page lock and waiting for write-out: sleeping, one bit each, with hashed
 * wait queues. Order: a task that holds one page lock only trylocks another.
 */
#ifndef NEAP_CORE_PAGELOCK_H
#define NEAP_CORE_PAGELOCK_H

#include "core/machine.h"

static inline bool page_trylock(struct task *t, struct page *page)
{
	rt_explore(t);
	if (page_test_set(page, PG_LOCKED))
		return false;
	t->sleep_locks++;
	return true;
}

/* page_lock() of a page that somebody else has locked. */
void page_lock_wait(struct task *t, struct page *page);

/* May sleep. These flags come before the lock, whoever has it. */
static inline void page_lock_set(struct task *t, struct page *page, uint64_t set)
{
	rt_explore(t);
	rt_assert_no_reclaim(t);
	if (unlikely((atomic_fetch_or(&page->flags, PG_LOCKED | set) & PG_LOCKED) != 0))
		page_lock_wait(t, page);
	t->sleep_locks++;
}

/* May sleep. */
static inline void page_lock(struct task *t, struct page *page)
{
	page_lock_set(t, page, 0);
}
/* The same, and these flags come as the lock goes. */
void page_unlock_set(struct task *t, struct page *page, uint64_t set);
/* The submitter hands the lock over to the completion. */
static inline void page_lock_handover(struct task *t)
{
	t->sleep_locks--;
}
/* May sleep. Until nobody holds the lock (it may be taken again at once). */
void page_wait_unlocked(struct task *t, struct page *page);
/* May sleep. Until the page is not under write-out. */
void page_wait_writeback(struct task *t, struct page *page);
/* The queue on which waiters for this page (and others of its bucket) sleep. */
static inline struct waitq *page_wait_queue(struct neap_machine *m, const struct page *page)
{
	uint32_t pfn = (uint32_t)(page - m->pages);

	return &m->page_wait[(pfn * 2654435761u) >> 24];
}

_Static_assert(PAGE_WAIT_BUCKETS == 256, "page_wait_queue() takes the top 8 bits");

/* Wakes everybody who waits on the page. Never sleeps. */
static inline void page_wake(struct task *t, const struct page *page)
{
	struct waitq *wq = page_wait_queue(t->machine, page);

	if (unlikely(waitq_active(wq)))
		waitq_wake(t, wq, UINT32_MAX);
}

/* A completion unlocks a page that its submitter locked. */
static inline void page_unlock_from_io(struct task *t, struct page *page, uint64_t also)
{
	uint64_t before = atomic_fetch_and(&page->flags, ~(PG_LOCKED | also));

	CHECK(before & PG_LOCKED);
	page_wake(t, page);
}

/* The same of a page that was read: it is up to date, as nobody could say before. */
static inline void page_unlock_read(struct task *t, struct page *page)
{
	uint64_t before = atomic_fetch_xor(&page->flags, PG_LOCKED | PG_UPTODATE);

	CHECK((before & (PG_LOCKED | PG_UPTODATE)) == PG_LOCKED);
	page_wake(t, page);
}

/* From the task that locked it; these flags go with the lock. */
static inline void page_unlock_clear(struct task *t, struct page *page, uint64_t also)
{
	DCHECK(t->sleep_locks > 0);
	rt_explore(t);
	t->sleep_locks--;
	page_unlock_from_io(t, page, also);
}

/* From the task that locked it. */
static inline void page_unlock(struct task *t, struct page *page)
{
	page_unlock_clear(t, page, 0);
}

#endif
