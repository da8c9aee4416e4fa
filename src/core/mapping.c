/*
 * The page cache of a file: finding, reading, dirtying, dropping its pages.
 *
 *   mapping ── index ──> page (locked while it is read or changed)
 *      │                  refs: 1 cache, 1 each entry that maps it, 1 each user
 *      ├── regions that map it (rmap.c walks them)
 *      └── store (its transfers complete in io.c)
 *
 * A page enters the index locked and not up to date; whoever put it there reads
 * it, or is about to write all of it. Others find it, wait for the lock, and look
 * whether it became up to date; if the read failed they try it themselves.
 *
 * PG_DIRTY and the index's dirty mark change together under the mapping's lock.
 * A page leaves the index only under the page lock with its references frozen.
 *
 * Read-ahead: a miss at the page expected next doubles the window (4 to 32
 * pages), any other miss reads one page. All pages of a window travel in one
 * batch that the missing task submits and reaps.
 *
 * What must never happen: a page of the cache that is dirty and forgotten. A
 * failed write makes it dirty again and is kept for the next sync; closing the
 * file with pages that could not be written reports the error.
 *
 * Linux: mm/filemap.c, mm/readahead.c, mm/truncate.c.
 */
#include "core/mapping.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/aops.h"
#include "core/buffer.h"
#include "core/index.h"
#include "core/io.h"
#include "core/lru.h"
#include "core/pagelock.h"
#include "core/readahead.h"
#include "core/rmap.h"
#include "core/vmstat.h"
#include "core/workingset.h"
#include "core/writeback.h"

/* ---- life ---- */

int mapping_create(struct task *t, struct neap_machine *m, struct store *store, uint64_t bytes,
		   struct mapping **out)
{
	struct store_geometry geometry;
	uint32_t id;
	struct mapping *mapping = pool_alloc(t, &m->mappings, &id);

	if (mapping == NULL)
		return -ENOMEM;
	store->ops->geometry(store, &geometry);
	store->done = io_done;
	store->done_ctx = m;
	mapping->id = id;
	mapping->machine = m;
	mapping->store = store;
	mapping->ops = &aops_file;
	mapping->stable_writes = geometry.stable_writes;
	atomic_store(&mapping->bytes, bytes);
	spin_lock(t, &m->mapping_list_lock, LOCK_SPACE);
	mapping->next_mapping = m->first_mapping;
	m->first_mapping = id;
	spin_unlock(t, &m->mapping_list_lock, LOCK_SPACE);
	*out = mapping;
	return 0;
}

static void mapping_unlist(struct task *t, struct mapping *mapping)
{
	struct neap_machine *m = t->machine;

	spin_lock(t, &m->mapping_list_lock, LOCK_SPACE);
	uint32_t *link = &m->first_mapping;

	while (*link != mapping->id)
		link = &((struct mapping *)pool_get(&m->mappings, *link))->next_mapping;
	*link = mapping->next_mapping;
	mapping->unlisted = true;
	spin_unlock(t, &m->mapping_list_lock, LOCK_SPACE);
	/*
	 * event loop: a flusher, or a shrinker that takes nodes of shadows, may still look at it,
	 * and lets go soon
	 */
	while (atomic_load(&mapping->users) != 0) {
		uint32_t seq = waitq_begin(t, &mapping->wait);

		if (atomic_load(&mapping->users) != 0)
			waitq_wait(t, &mapping->wait, seq, RT_FOREVER);
		waitq_end(&mapping->wait);
	}
	/* The last of them counts itself out and wakes us under this lock: now it has done both. */
	spin_lock(t, &m->mapping_list_lock, LOCK_SPACE);
	spin_unlock(t, &m->mapping_list_lock, LOCK_SPACE);
}

void mapping_leave(struct task *t, struct mapping *mapping)
{
	struct neap_machine *m = t->machine;

	/*
	 * Under the list's lock, because whoever destroys the mapping may see the count at zero
	 * before the wake-up is over: mapping_unlist() takes the lock once more before it goes on.
	 */
	spin_lock(t, &m->mapping_list_lock, LOCK_SPACE);
	if (atomic_fetch_sub(&mapping->users, 1) == 1)
		waitq_wake(t, &mapping->wait, UINT32_MAX);
	spin_unlock(t, &m->mapping_list_lock, LOCK_SPACE);
}

void mapping_set_bytes(struct mapping *mapping, uint64_t bytes)
{
	atomic_store(&mapping->bytes, bytes);
}

/* ---- finding and adding ---- */

uint32_t mapping_find(struct task *t, struct mapping *mapping, uint64_t index)
{
	uint32_t pfn = PFN_NONE;

	spin_lock(t, &mapping->lock, LOCK_MAPPING);
	uint64_t value = index_load(t, mapping, index);

	if (index_is_page(value)) {
		pfn = index_frame(value);
		if (!page_get_unless_zero(machine_page(t->machine, pfn)))
			pfn = PFN_NONE; /* frozen: on its way out */
	}
	spin_unlock(t, &mapping->lock, LOCK_MAPPING);
	return pfn;
}

/* Is there a page at index? It may be gone in a moment. */
static bool mapping_has(struct task *t, struct mapping *mapping, uint64_t index)
{
	spin_lock(t, &mapping->lock, LOCK_MAPPING);
	bool has = index_is_page(index_load(t, mapping, index));

	spin_unlock(t, &mapping->lock, LOCK_MAPPING);
	return has;
}

/*
 * A new locked page at index, not up to date, with a reference beside the cache's.
 * => 0, -EEXIST (somebody else's is there), -ENOMEM
 */
static int mapping_add_page(struct task *t, struct mapping *mapping, uint64_t index, uint32_t gfp,
			    uint32_t *pfn_out)
{
	struct neap_machine *m = t->machine;
	uint32_t pfn = alloc_page(t, gfp);
	uint64_t shadow = 0;

	if (pfn == PFN_NONE)
		return -ENOMEM;
	struct page *page = machine_page(m, pfn);

	page->owner = mapping->id;
	page->index = (uint32_t)index;
	page_lock(t, page);
	page_get(page);
	int err = index_insert(t, mapping, index, pfn, &shadow);

	if (err != 0) {
		page->owner = 0;
		page_unlock(t, page);
		CHECK(!page_put_test(page));
		page_put(t, page);
		return err;
	}
	atomic_fetch_add(&mapping->nr_pages, 1);
	cpu_pin(t);
	node_stat_add(t, page_node(m, page), NR_FILE_PAGES, 1);
	event_add_pinned(t, EV_SIM_FILE_ADD, 1);
	cpu_unpin(t);
	if (shadow != 0 && !(gfp & GFP_BIT_WRITE))
		workingset_refault(t, page, shadow);
	lru_add(t, page);
	*pfn_out = pfn;
	return 0;
}

/* ---- reading ---- */

static struct store_page read_request(uint64_t index, uint32_t pfn)
{
	return (struct store_page){ .offset = index,
				    .cookie = io_cookie(IO_FILE_READ, pfn),
				    .pfn = pfn };
}

/*
 * Adds the pages of a window that are missing, without waiting for memory, and a request for each.
 * `except` has its page already. => number of requests
 */
static uint32_t add_window(struct task *t, struct mapping *mapping,
			   const struct readahead_window *window, struct page *except,
			   struct store_page *request)
{
	uint32_t gfp = GFP_HIGHUSER_MOVABLE | GFP_BIT_NORETRY | GFP_BIT_NOWARN;
	uint32_t nr = 0;

	for (uint64_t index = window->first; index < window->first + window->nr; index++) {
		uint32_t pfn;
		int err;

		if (except != NULL && index == except->index) {
			page_lock_handover(t);
			pfn = (uint32_t)(except - t->machine->pages);
			if (index == window->mark)
				page_set(except, PG_RECLAIM);
			request[nr++] = read_request(index, pfn);
			continue;
		}
		if (mapping_has(t, mapping, index))
			continue;
		err = mapping_add_page(t, mapping, index, gfp, &pfn);
		if (err == -EEXIST || (err != 0 && except != NULL && index < except->index))
			continue; /* the page that is waited for comes still */
		if (err != 0)
			break;
		/* The reference that mapping_add_page() gave us becomes the I/O's. */
		page_lock_handover(t);
		if (index == window->mark)
			page_set(machine_page(t->machine, pfn), PG_RECLAIM);
		request[nr++] = read_request(index, pfn);
	}
	return nr;
}

/*
 * Reads a locked page, and others of its window; waits for the page. Its lock goes over to the I/O.
 * => the page is unlocked, up to date or not
 */
static void mapping_read_window(struct task *t, struct mapping *mapping, struct page *page,
				const struct readahead_window *window)
{
	struct store_page request[READAHEAD_MAX_PAGES];
	uint32_t nr;

	page_get(page);
	nr = add_window(t, mapping, window, page, request);
	io_read_pages(t, mapping->store, IO_FILE_READ, request, nr);
	io_wait_page(t, mapping->store, page);
}

/* Cached pages right before the one at index, at most `most`. */
static uint32_t count_before(struct task *t, struct mapping *mapping, uint64_t index, uint32_t most)
{
	uint32_t nr = 0;

	while (nr < most && nr < index && mapping_has(t, mapping, index - nr - 1))
		nr++;
	return nr;
}

/* The first of `most` pages from index on that is not cached. => 0: all are */
static uint64_t next_missing(struct task *t, struct mapping *mapping, uint64_t index, uint32_t most)
{
	for (uint64_t at = index; at < index + most; at++)
		if (!mapping_has(t, mapping, at))
			return at;
	return 0;
}

void mapping_found(struct task *t, struct mapping *mapping, struct page *page, bool fault)
{
	uint32_t most = readahead_most_pages(mapping);
	uint64_t index = page->index;
	uint64_t missing = 0;

	if (likely(!page_test(page, PG_RECLAIM)) || most == 0 || page_test(page, PG_WRITEBACK))
		return;
	page_clear(page, PG_RECLAIM);
	if (!readahead_expects(mapping, index)) {
		missing = next_missing(t, mapping, index + 1, most);
		if (missing == 0)
			return;
	}
	struct readahead_window window = readahead_hit(mapping, index, missing, fault ? most : 1);
	struct store_page request[READAHEAD_MAX_PAGES];
	uint32_t nr = window.nr == 0 ? 0 : add_window(t, mapping, &window, NULL, request);

	if (nr != 0)
		io_read_ahead(t, mapping->store, IO_FILE_READ, request, nr);
}

void mapping_read_ahead(struct task *t, struct mapping *mapping, uint64_t first, uint64_t nr)
{
	uint64_t pages = round_up_u64(atomic_load(&mapping->bytes), NEAP_PAGE_BYTES);
	uint64_t end = min_u64(first + nr, pages / NEAP_PAGE_BYTES);

	for (uint64_t index = first; index < end; index += READAHEAD_MAX_PAGES) {
		struct store_page request[READAHEAD_MAX_PAGES];
		struct readahead_window window = { .first = index,
						   .nr = (uint32_t)min_u64(end - index,
									   READAHEAD_MAX_PAGES),
						   .mark = READAHEAD_NO_MARK };
		uint32_t sent = add_window(t, mapping, &window, NULL, request);

		if (sent != 0)
			io_read_ahead(t, mapping->store, IO_FILE_READ, request, sent);
		rt_preempt(t);
	}
}

/* What a miss at index reads. A fault's window goes by what the program said of its region. */
static struct readahead_window choose_window(struct task *t, struct mapping *mapping,
					     uint64_t index, uint32_t flags)
{
	/* What was said of the file is of read calls; a mapping says its own. */
	bool random = !(flags & MAPPING_FAULT) && mapping_pattern(mapping) == REGION_RANDOM;

	if (random || (flags & (MAPPING_RANDOM | MAPPING_WRITTEN)))
		return readahead_one_page(index);
	if (flags & MAPPING_SEQUENTIAL)
		return readahead_sequential_miss(mapping, index);
	if (flags & MAPPING_FAULT)
		return readahead_fault_miss(mapping, index);
	uint32_t before = 0;

	if (readahead_asks_before(mapping, index))
		before = count_before(t, mapping, index, readahead_most_pages(mapping));
	return readahead_miss(mapping, index, before);
}

/*
 * The page at index, locked, with a reference; up to date unless MAPPING_OVERWRITE.
 * => 0: it was cached; 1: it was not; -ENOMEM, -EIO
 */
static int mapping_get_locked(struct task *t, struct mapping *mapping, uint64_t index,
			      uint32_t flags, uint32_t *pfn_out)
{
	bool missed = false;

	/* event loop: others add pages meanwhile */
	for (;;) {
		uint32_t pfn = mapping_find(t, mapping, index);
		bool fresh = pfn == PFN_NONE;

		missed |= fresh;
		if (fresh) {
			uint32_t gfp = GFP_HIGHUSER_MOVABLE;
			int err = mapping_add_page(
				t, mapping, index,
				flags & MAPPING_OVERWRITE ? gfp | GFP_BIT_WRITE : gfp, &pfn);

			if (err == -EEXIST)
				continue;
			if (err != 0)
				return err;
		}
		struct page *page = machine_page(t->machine, pfn);

		if (!fresh) {
			if (!(flags & (MAPPING_FAULT | MAPPING_WRITTEN)))
				mapping_found(t, mapping, page, false);
			page_lock(t, page);
		}
		/* A page with a reference stays in the index, so this is the one at index. */
		DCHECK(page->owner == mapping->id && page->index == index);
		if (!page_test(page, PG_UPTODATE) && !(flags & MAPPING_OVERWRITE)) {
			struct readahead_window window = { .first = index,
							   .nr = 1,
							   .mark = READAHEAD_NO_MARK };

			if (fresh)
				window = choose_window(t, mapping, index, flags);
			mapping_read_window(t, mapping, page, &window);
			/*
			 * Locked again without looking it up: a page found anew could be one that
			 * nobody has read yet, and its state would say nothing about our read.
			 */
			page_lock(t, page);
			if (!page_test(page, PG_UPTODATE)) {
				page_unlock(t, page);
				page_put(t, page);
				return -EIO;
			}
		}
		*pfn_out = pfn;
		return missed;
	}
}

int mapping_get_page(struct task *t, struct mapping *mapping, uint64_t index, uint32_t flags,
		     uint32_t *pfn)
{
	uint32_t found = mapping_find(t, mapping, index);

	if (found == PFN_NONE || !page_test(machine_page(t->machine, found), PG_UPTODATE)) {
		if (found != PFN_NONE)
			page_put(t, machine_page(t->machine, found));
		int got = mapping_get_locked(t, mapping, index, flags & ~MAPPING_OVERWRITE, &found);

		if (got < 0)
			return got;
		page_unlock(t, machine_page(t->machine, found));
	}
	*pfn = found;
	return 0;
}

static void mapping_wait_stable(struct task *t, const struct mapping *mapping, struct page *page)
{
	if (mapping->stable_writes)
		page_wait_writeback(t, page);
}

int mapping_begin_access(struct task *t, struct mapping *mapping, uint64_t index, uint32_t flags,
			 uint32_t *pfn)
{
	int got = mapping_get_locked(t, mapping, index, flags, pfn);

	if (got >= 0) {
		mapping_wait_stable(t, mapping, machine_page(t->machine, *pfn));
		event_add(t, EV_SIM_SYSCALL_PAGE, 1);
		if (!(flags & MAPPING_WRITTEN))
			readahead_note_read(mapping, index);
		/* Writing is no sign that a page is wanted: done twice, it activates nothing. */
		if ((flags & MAPPING_ACCESSED) && !(flags & MAPPING_WRITTEN))
			lru_mark_accessed(t, machine_page(t->machine, *pfn));
	}
	return got;
}

void mapping_end_access(struct task *t, struct mapping *mapping, uint32_t pfn, bool written)
{
	struct page *page = machine_page(t->machine, pfn);

	CHECK(page->owner == mapping->id);
	if (written) {
		buffer_attach(t, page);
		page_set(page, PG_UPTODATE);
		mapping_set_dirty(t, page);
	}
	page_unlock(t, page);
	page_put(t, page);
	if (written)
		writeback_balance_dirty(t, t->machine);
}

void mapping_prepare_write(struct task *t, const struct mapping *mapping, struct page *page)
{
	mapping_wait_stable(t, mapping, page);
	buffer_attach(t, page);
}

/* ---- dirty pages ---- */

/*
 * One dirty page more or less. => the number before
 * => mapping lock held: were the time not changed together with the count, a file that becomes
 *    dirty while it becomes clean could stay without one, and the flusher would pass it over
 */
static uint64_t count_dirty(struct task *t, struct mapping *mapping, bool dirty)
{
	uint64_t before = atomic_fetch_add(&mapping->nr_dirty, dirty ? 1 : UINT64_MAX);

	spin_assert_held(t, LOCK_MAPPING);
	if (dirty && before == 0)
		atomic_store(&mapping->dirtied_when_ns, rt_now(t) + 1);
	if (!dirty && before == 1)
		atomic_store(&mapping->dirtied_when_ns, 0);
	return before;
}

/* What a change of a page's state was. */
enum dirty_change {
	DIRTY_SAME, /* none: it was so already */
	DIRTY_CHANGED,
	DIRTY_FIRST, /* the file was clean before */
};

static void count_dirtied(struct task *t, const struct page *page)
{
	node_stat_add(t, page_node(t->machine, page), NR_DIRTIED, 1);
	event_add_pinned(t, EV_SIM_FILE_DIRTY, 1);
}

/* Flag, index mark and counters together. */
static enum dirty_change mapping_change_dirty(struct task *t, struct mapping *mapping,
					      struct page *page, bool dirty)
{
	enum dirty_change change = DIRTY_SAME;
	struct neap_machine *m = t->machine;
	int64_t delta = dirty ? 1 : -1;

	cpu_pin(t);
	spin_lock(t, &mapping->lock, LOCK_MAPPING);
	if (page_test(page, PG_DIRTY) != dirty) {
		if (dirty)
			page_set(page, PG_DIRTY);
		else
			page_clear(page, PG_DIRTY);
		CHECK(index_mark_dirty(t, mapping, page->index, dirty));
		node_stat_add(t, page_node(m, page), NR_DIRTY, delta);
		zone_stat_add(t, page_zone(m, page), NR_ZONE_WRITE_PENDING, delta);
		if (dirty)
			count_dirtied(t, page);
		change = count_dirty(t, mapping, dirty) == 0 ? DIRTY_FIRST : DIRTY_CHANGED;
	}
	spin_unlock(t, &mapping->lock, LOCK_MAPPING);
	cpu_unpin(t);
	return change;
}

void mapping_set_dirty(struct task *t, struct page *page)
{
	struct neap_machine *m = t->machine;

	/* Wanted again, so not to be freed soon; nor a mark, which would mean that from now on. */
	if (unlikely(page_test(page, PG_RECLAIM)))
		page_clear(page, PG_RECLAIM);
	if (page_test(page, PG_DIRTY))
		return;
	struct mapping *mapping = pool_get(&m->mappings, page->owner);

	if (mapping_change_dirty(t, mapping, page, true) == DIRTY_FIRST)
		writeback_note_dirty(t, m);
}

/* => false if it was not dirty */
static bool mapping_clear_dirty(struct task *t, struct mapping *mapping, struct page *page)
{
	return mapping_change_dirty(t, mapping, page, false) != DIRTY_SAME;
}

bool mapping_write_page(struct task *t, struct mapping *mapping, struct page *page)
{
	struct neap_machine *m = t->machine;

	DCHECK(page_test(page, PG_LOCKED) && !page_test(page, PG_WRITEBACK));
	rmap_write_protect(t, page);
	if (!mapping_clear_dirty(t, mapping, page))
		return false;
	atomic_fetch_add(&mapping->nr_writeback, 1);
	event_add(t, EV_SIM_FLUSH, 1);
	io_begin_write(t, page);
	io_write(t, mapping->store, IO_FILE_WRITE, page->index, (uint32_t)(page - m->pages));
	return true;
}

/* The next dirty pages from scan->from on, each with a reference. */
static void collect(struct task *t, struct mapping *mapping, struct index_scan *scan)
{
	uint32_t kept = 0;

	spin_lock(t, &mapping->lock, LOCK_MAPPING);
	index_scan(t, mapping, scan);
	for (uint32_t i = 0; i < scan->nr; i++)
		if (page_get_unless_zero(machine_page(t->machine, scan->pfn[i])))
			scan->pfn[kept++] = scan->pfn[i];
	scan->nr = kept;
	spin_unlock(t, &mapping->lock, LOCK_MAPPING);
}

/*
 * Writes what was collected; pages under write-out are waited for only if `wait`. => pages
 * submitted
 */
static uint64_t write_collected(struct task *t, struct mapping *mapping, struct index_scan *scan,
				bool wait)
{
	struct io_plug plug;
	uint64_t submitted = 0;

	io_plug(t, &plug);
	for (uint32_t i = 0; i < scan->nr; i++) {
		struct page *page = machine_page(t->machine, scan->pfn[i]);

		if (!page_trylock(t, page)) {
			io_unplug(t);
			page_lock(t, page);
			io_plug(t, &plug);
		}
		if (wait && page_test(page, PG_WRITEBACK)) {
			io_unplug(t);
			page_wait_writeback(t, page);
			io_plug(t, &plug);
		}
		if (page->owner == mapping->id && !page_test(page, PG_WRITEBACK))
			submitted += mapping_write_page(t, mapping, page) ? 1 : 0;
		page_unlock(t, page);
		page_put(t, page);
	}
	io_unplug(t);
	return submitted;
}

uint64_t mapping_write_dirty(struct task *t, struct mapping *mapping, uint64_t nr)
{
	struct index_scan scan = { .dirty_only = true,
				   .from = atomic_load(&mapping->flush_position) };
	uint64_t submitted = 0;
	uint32_t wraps = 0;

	while (submitted < nr && wraps < 2 && atomic_load(&mapping->nr_dirty) != 0) {
		scan.max = (uint32_t)min_u64(ARRAY_LEN(scan.pfn), nr - submitted);
		collect(t, mapping, &scan);
		submitted += write_collected(t, mapping, &scan, false);
		if (scan.done) {
			scan.from = 0;
			wraps++;
		}
		rt_preempt(t);
	}
	atomic_store(&mapping->flush_position, scan.from);
	return submitted;
}

/* collect(), of the pages before `end`. */
static void collect_before(struct task *t, struct mapping *mapping, struct index_scan *scan,
			   uint64_t end)
{
	collect(t, mapping, scan);
	scan->done = scan->done || scan->from >= end;
	while (scan->nr != 0) {
		struct page *last = machine_page(t->machine, scan->pfn[scan->nr - 1]);

		if (last->index < end)
			break;
		page_put(t, last);
		scan->nr--;
		scan->done = true;
	}
}

void mapping_write_range(struct task *t, struct mapping *mapping, uint64_t first, uint64_t end)
{
	struct index_scan scan = { .dirty_only = true, .from = first, .max = ARRAY_LEN(scan.pfn) };

	do {
		collect_before(t, mapping, &scan, end);
		write_collected(t, mapping, &scan, false);
		rt_preempt(t);
	} while (!scan.done);
}

static void wait_writeback_all(struct task *t, struct mapping *mapping)
{
	/* event loop */
	while (atomic_load(&mapping->nr_writeback) != 0) {
		uint32_t seq = waitq_begin(t, &mapping->wait);

		if (atomic_load(&mapping->nr_writeback) != 0)
			waitq_wait(t, &mapping->wait, seq, RT_FOREVER);
		waitq_end(&mapping->wait);
	}
}

int mapping_sync(struct task *t, struct mapping *mapping)
{
	struct index_scan scan = { .dirty_only = true, .max = ARRAY_LEN(scan.pfn) };

	/*
	 * One pass: a page that becomes dirty behind us, or whose write fails, is for the next
	 * sync.
	 */
	do {
		collect(t, mapping, &scan);
		write_collected(t, mapping, &scan, true);
		rt_preempt(t);
	} while (!scan.done);
	wait_writeback_all(t, mapping);
	int sync_err = mapping->store->ops->sync(mapping->store, t);
	int err = atomic_exchange(&mapping->write_error, 0);

	return err != 0 ? err : sync_err;
}

/* ---- removing ---- */

void mapping_remove_frozen(struct task *t, struct mapping *mapping, struct page *page,
			   uint64_t shadow)
{
	struct neap_machine *m = t->machine;
	uint64_t freed = INDEX_NODE_NONE;

	DCHECK(page_refs(page) == 0 && page_test(page, PG_LOCKED) &&
	       !page_test(page, PG_DIRTY | PG_WRITEBACK));
	cpu_pin(t);
	spin_lock(t, &mapping->lock, LOCK_MAPPING);
	index_remove(t, mapping, page->index, shadow, &freed);
	spin_unlock(t, &mapping->lock, LOCK_MAPPING);
	node_stat_add(t, page_node(m, page), NR_FILE_PAGES, -1);
	cpu_unpin(t);
	atomic_fetch_sub(&mapping->nr_pages, 1);
	page->owner = 0;
	buffer_detach(t, page);
	index_free_nodes(t, &freed);
}

bool mapping_replace_page(struct task *t, struct mapping *mapping, struct page *from,
			  struct page *to)
{
	struct neap_machine *m = t->machine;

	DCHECK(page_test(from, PG_LOCKED) && page_test(to, PG_LOCKED));

	spin_lock(t, &mapping->lock, LOCK_MAPPING);
	bool frozen = page_freeze(from, 2);

	if (frozen) {
		to->owner = from->owner;
		to->index = from->index;
		page_get(to);
		page_set(to, page_flags(from) & PG_DIRTY);
		index_replace(t, mapping, from->index, (uint32_t)(to - m->pages));
		page_clear(from, PG_DIRTY);
		buffer_move(m, from, to);
		from->owner = 0;
		atomic_store(&from->refs, 1);
	}
	spin_unlock(t, &mapping->lock, LOCK_MAPPING);
	return frozen;
}

/*
 * Drops a locked page if it is clean, unmapped and unused, and unlocks it. => whether it was
 * dropped, and our reference with it
 */
static bool drop_locked(struct task *t, struct mapping *mapping, struct page *page)
{
	bool drop = page->owner == mapping->id && page_maps(page) == 0 &&
		    !page_test(page, PG_DIRTY | PG_WRITEBACK) && page_freeze(page, 2);

	if (drop)
		mapping_remove_frozen(t, mapping, page, 0);
	page_unlock(t, page);
	if (drop)
		page_free_frozen(t, page);
	return drop;
}

/* => whether the page was dropped; our reference is gone either way */
static bool drop_page(struct task *t, struct mapping *mapping, struct page *page)
{
	page_lock(t, page);
	if (drop_locked(t, mapping, page))
		return true;
	page_put(t, page);
	return false;
}

/* Drops the page, or moves it where reclaim meets it soon. => it was kept for now */
static bool drop_or_deactivate(struct task *t, struct mapping *mapping, struct page *page)
{
	bool kept = false;

	/* What is being read or written is left alone. */
	if (page_trylock(t, page)) {
		if (page->owner != mapping->id || page_test(page, PG_WRITEBACK))
			page_unlock(t, page);
		else if (drop_locked(t, mapping, page))
			return false;
		else
			kept = true;
	}
	if (kept)
		lru_deactivate_file(t, page);
	page_put(t, page);
	return kept;
}

uint64_t mapping_drop_range(struct task *t, struct mapping *mapping, uint64_t first, uint64_t end)
{
	struct index_scan scan = { .from = first, .max = ARRAY_LEN(scan.pfn) };
	uint64_t kept = 0;

	do {
		collect_before(t, mapping, &scan, end);
		for (uint32_t i = 0; i < scan.nr; i++)
			kept += drop_or_deactivate(t, mapping,
						   machine_page(t->machine, scan.pfn[i]))
					? 1
					: 0;
		rt_preempt(t);
	} while (!scan.done);
	return kept;
}

uint64_t mapping_drop_clean(struct task *t, struct mapping *mapping)
{
	struct index_scan scan = { .max = ARRAY_LEN(scan.pfn) };
	uint64_t dropped = 0;

	lru_drain_all(t);
	do {
		collect(t, mapping, &scan);
		for (uint32_t i = 0; i < scan.nr; i++)
			dropped += drop_page(t, mapping, machine_page(t->machine, scan.pfn[i])) ? 1
												: 0;
		rt_preempt(t);
	} while (!scan.done);
	return dropped;
}

/* Contents that could not be written are given up; the caller reports the error. */
static void discard_dirty(struct task *t, struct mapping *mapping)
{
	struct index_scan scan = { .dirty_only = true, .max = ARRAY_LEN(scan.pfn) };

	do {
		collect(t, mapping, &scan);
		for (uint32_t i = 0; i < scan.nr; i++) {
			struct page *page = machine_page(t->machine, scan.pfn[i]);

			page_lock(t, page);
			page_wait_writeback(t, page);
			if (page->owner == mapping->id)
				mapping_clear_dirty(t, mapping, page);
			page_unlock(t, page);
			page_put(t, page);
		}
	} while (!scan.done);
}

int mapping_destroy(struct task *t, struct mapping *mapping)
{
	CHECK(mapping->first_region == 0);
	int err = mapping_sync(t, mapping);

	if (atomic_load(&mapping->nr_dirty) != 0 && err == 0)
		err = mapping_sync(t, mapping);
	mapping_unlist(t, mapping);
	/* event loop: a page may be in a reclaimer's hands for a moment */
	while (atomic_load(&mapping->nr_pages) != 0) {
		discard_dirty(t, mapping);
		mapping_drop_clean(t, mapping);
		if (atomic_load(&mapping->nr_pages) != 0)
			rt_sleep(t, 100 * NSEC_PER_USEC);
	}
	index_clear(t, mapping);
	pool_free(t, &t->machine->mappings, mapping->id);
	return err;
}
