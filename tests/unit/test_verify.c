/*
 * Each conservation law of core/verify.c is broken once by hand, must be named, and
 * holds again when the damage is undone.
 *
 *   sound machine ── damage ── verify says which law ── repair ── verify says nothing
 *
 * The machine holds something of everything: anonymous pages in memory, in swap and in
 * both, file pages clean, dirty and mapped, an index, a taken block, free memory in
 * lists of CPUs.
 *
 * What must never happen here: a law that is in the list and cannot be broken, or a
 * damage that is not undone and answers for the next one.
 */
#include "machine_fixture.h"

#include "core/pcp.h"
#include "core/verify.h"

/* What there is to damage. */
struct scene {
	struct machine_fixture *f;
	struct region *anon;
	struct region *mapped;
	struct fixture_file *file;
	struct fixture_hoard block;
	struct page *page;   /* anonymous, mapped, on the inactive list */
	struct page *cached; /* the same with a slot */
	struct page *clean;  /* of the file, mapped */
	uint32_t entry;	     /* in swap only */
};

static void scene_make(struct machine_fixture *f, struct scene *s)
{
	uint64_t value;

	memset(s, 0, sizeof(*s));
	s->f = f;
	atomic_store(&f->m->sysctl.page_cluster, 0);
	s->anon = machine_region(f, 64);
	machine_fill(f, s->anon, 0, 64);
	machine_swap_out(f, s->anon, 0, 16);
	machine_check(f, s->anon, 8, 8);
	s->file = machine_file(f, 32);
	s->mapped = machine_region_spec(f, &(struct region_spec){ .nr_pages = 32,
								  .mapping = s->file->mapping });
	for (uint64_t page = 0; page < 16; page++)
		assert_int_equal(machine_file_read(f, s->file, page, &value), 0);
	assert_int_equal(machine_file_write(f, s->file, 3, 1), 0);
	assert_int_equal(machine_read(f, s->mapped, 5, &value), 0);
	machine_hoard(f, &s->block, machine_zone_count(f, NR_FREE_PAGES) - 100);
	machine_verify(f);
	s->page = machine_page_at(f, s->anon, 40);
	s->cached = machine_page_at(f, s->anon, 10);
	s->clean = machine_file_page(f, s->file, 5);
	s->entry = machine_swap_at(f, s->anon, 2);
	assert_true(page_test(s->cached, PG_SWAPCACHE));
	assert_int_not_equal(s->entry, 0);
	assert_true(page_test(s->page, PG_LRU));
}

static void assert_named(const struct scene *s, const char *law)
{
	const char *wrong = verify_machine(s->f->t, s->f->m);

	if (wrong == NULL)
		fail_msg("nothing was found, but '%s' is broken", law);
	if (strstr(wrong, law) == NULL)
		fail_msg("found '%s' instead of '%s'", wrong, law);
}

/* => the damage was undone */
static void assert_sound(const struct scene *s)
{
	const char *wrong = verify_machine(s->f->t, s->f->m);

	if (wrong != NULL)
		fail_msg("not repaired: %s", wrong);
}

/* ---- 1, 2: frames ---- */

static void body_frames(struct machine_fixture *f)
{
	struct scene s;
	struct page *block;

	scene_make(f, &s);
	atomic_fetch_add(&f->zone->stat[NR_FREE_PAGES], 1);
	assert_named(&s, "nr_free_pages of a zone");
	atomic_fetch_sub(&f->zone->stat[NR_FREE_PAGES], 1);
	assert_sound(&s);

	uint32_t order = NEAP_MAX_ORDER;

	while (f->zone->area[order].nr_free == 0)
		order--;
	f->zone->area[order].nr_free++;
	assert_named(&s, "free");
	f->zone->area[order].nr_free--;
	assert_sound(&s);

	for (uint32_t cpu = 0; cpu < f->m->nr_cpus; cpu++) {
		f->zone->pcp[cpu].count++;
		assert_named(&s, "CPU");
		f->zone->pcp[cpu].count--;
		assert_sound(&s);
	}

	/* A frame that belongs to nobody: not free, and nobody has a reference. */
	block = machine_page(f->m, s.block.list.first);
	page_clear(block, PG_KERNEL);
	atomic_store(&block->refs, 0);
	assert_named(&s, "free + per-CPU + used frames of a zone");
	atomic_store(&block->refs, 1);
	page_set(block, PG_KERNEL);
	assert_sound(&s);

	/* One that says it is a page table, and is none. */
	page_clear(block, PG_KERNEL);
	page_set(block, PG_TABLE);
	assert_named(&s, "nr_page_table_pages");
	page_clear(block, PG_TABLE);
	page_set(block, PG_SLAB);
	assert_named(&s, "nr_slab_unreclaimable");
	page_set(block, PG_INDEX);
	assert_named(&s, "nr_slab_reclaimable");
	page_clear(block, PG_SLAB | PG_INDEX);
	page_set(block, PG_KERNEL);
	assert_sound(&s);
	machine_release(f, &s.block, UINT64_MAX);
}

MACHINE_TEST(frames, .swap_pages = 1024);

/* ---- 3: lists ---- */

static void body_lists(struct machine_fixture *f)
{
	struct scene s;
	struct list *list = &f->node->lruvec.list[LRU_INACTIVE_ANON];
	_Atomic uint64_t *size = &f->node->lruvec.size[LRU_INACTIVE_ANON][ZONE_NORMAL];

	scene_make(f, &s);
	page_clear(s.page, PG_LRU);
	assert_named(&s, "a user page is on no LRU list");
	page_set(s.page, PG_LRU);
	assert_sound(&s);

	page_set(s.page, PG_ISOLATED);
	assert_named(&s, "isolated");
	page_clear(s.page, PG_ISOLATED);
	assert_sound(&s);

	/* On another list than its flags say. */
	page_set(s.page, PG_ACTIVE);
	assert_named(&s, "a page does not fit the LRU list it is on");
	page_clear(s.page, PG_ACTIVE);
	assert_sound(&s);

	/* On no list at all, though it says so. */
	uint32_t pfn = (uint32_t)(s.page - f->m->pages);
	uint32_t next = s.page->next;
	uint32_t prev = s.page->prev;

	list_remove(f->m->pages, list, pfn);
	assert_named(&s, "length of an LRU list");
	s.page->next = next;
	s.page->prev = prev;
	*(prev != PFN_NONE ? &f->m->pages[prev].next : &list->first) = pfn;
	*(next != PFN_NONE ? &f->m->pages[next].prev : &list->last) = pfn;
	assert_sound(&s);

	/* A link back that leads elsewhere. */
	s.page->prev = pfn;
	assert_named(&s, "a page does not fit the LRU list it is on");
	s.page->prev = prev;
	assert_sound(&s);

	atomic_fetch_add(size, 1);
	assert_named(&s, "size of an LRU list in a zone");
	atomic_fetch_sub(size, 1);
	assert_sound(&s);

	for (int i = 0; i < (int)NR_LRU_LISTS; i++) {
		atomic_fetch_add(&f->zone->stat[NR_ZONE_INACTIVE_ANON + i], 1);
		assert_named(&s, "LRU counter of a zone");
		atomic_fetch_sub(&f->zone->stat[NR_ZONE_INACTIVE_ANON + i], 1);
	}
	assert_sound(&s);
	machine_release(f, &s.block, UINT64_MAX);
}

MACHINE_TEST(lists, .swap_pages = 1024);

/* ---- 4, 5: references and entries ---- */

static void body_references(struct machine_fixture *f)
{
	struct page *page[3];
	struct scene s;

	scene_make(f, &s);
	page[0] = s.page;
	page[1] = s.cached;
	page[2] = s.clean;
	for (uint32_t i = 0; i < 3; i++) {
		atomic_fetch_add(&page[i]->refs, 1);
		assert_named(&s, "references of a user page");
		atomic_fetch_sub(&page[i]->refs, 2);
		assert_named(&s, i == 0 ? "used frames" : "references of a user page");
		atomic_fetch_add(&page[i]->refs, 1);
		assert_sound(&s);
	}
	page_set(s.clean, PG_SWAPCACHE);
	assert_named(&s, "a file page is in the swap cache");
	page_clear(s.clean, PG_SWAPCACHE);
	assert_sound(&s);

	/* Mapped once more than there are entries. */
	atomic_fetch_add(&s.page->maps, 1);
	atomic_fetch_add(&s.page->refs, 1);
	assert_named(&s, "present entries of all regions against maps of all pages");
	atomic_fetch_sub(&s.page->maps, 1);
	atomic_fetch_sub(&s.page->refs, 1);
	assert_sound(&s);

	/* An entry whose frame belongs elsewhere. */
	s.page->index++;
	assert_named(&s, "an entry maps a frame that does not know it");
	s.page->index--;
	s.page->owner++;
	assert_named(&s, "an entry maps a frame that does not know it");
	s.page->owner--;
	assert_sound(&s);
	machine_release(f, &s.block, UINT64_MAX);
}

MACHINE_TEST(references, .swap_pages = 1024);

/* A frame in two places at once. */
static void body_shared_frame(struct machine_fixture *f)
{
	struct scene s;

	scene_make(f, &s);
	const struct hw_ops *hw = f->hw->ops;
	uint64_t vpn = s.anon->start_vpn + 41;
	struct hw_entry entry = { .vpn = vpn };

	hw->unmap(s.anon->space->hw, &entry, 1);
	assert_int_equal(entry.err, 0);
	uint32_t own = entry.pfn;
	struct hw_entry wrong = { .vpn = vpn, .pfn = (uint32_t)(s.page - f->m->pages) };

	hw->map(s.anon->space->hw, &wrong, 1);
	assert_int_equal(wrong.err, 0);
	assert_named(&s, "an entry maps a frame that does not know it");
	hw->unmap(s.anon->space->hw, &wrong, 1);
	entry = (struct hw_entry){ .vpn = vpn, .pfn = own, .flags = HW_WRITE | HW_DIRTY };
	hw->map(s.anon->space->hw, &entry, 1);
	assert_int_equal(entry.err, 0);
	assert_sound(&s);
	/* No entry at all: the page is mapped by nobody, and says it is. */
	hw->unmap(s.anon->space->hw, &entry, 1);
	assert_named(&s, "present entries of all regions against maps of all pages");
	entry = (struct hw_entry){ .vpn = vpn, .pfn = own, .flags = HW_WRITE | HW_DIRTY };
	hw->map(s.anon->space->hw, &entry, 1);
	assert_sound(&s);
	machine_release(f, &s.block, UINT64_MAX);
}

MACHINE_TEST(shared_frame, .swap_pages = 1024);

/* ---- 6: counters ---- */

static void body_counters(struct machine_fixture *f)
{
	static const struct {
		enum node_item item;
		const char *name;
	} counters[] = {
		{ NR_INACTIVE_ANON, "nr_inactive_anon" },
		{ NR_ACTIVE_ANON, "nr_active_anon" },
		{ NR_INACTIVE_FILE, "nr_inactive_file" },
		{ NR_ACTIVE_FILE, "nr_active_file" },
		{ NR_UNEVICTABLE, "nr_unevictable" },
		{ NR_ISOLATED_ANON, "nr_isolated_anon" },
		{ NR_ISOLATED_FILE, "nr_isolated_file" },
		{ NR_ANON_PAGES, "nr_anon_pages" },
		{ NR_MAPPED, "nr_mapped" },
		{ NR_FILE_PAGES, "nr_file_pages" },
		{ NR_SWAPCACHED, "nr_swapcached" },
		{ NR_DIRTY, "nr_dirty" },
		{ NR_PAGE_TABLE_PAGES, "nr_page_table_pages" },
		{ NR_SLAB_RECLAIMABLE, "nr_slab_reclaimable" },
		{ NR_SLAB_UNRECLAIMABLE, "nr_slab_unreclaimable" },
	};
	struct scene s;

	scene_make(f, &s);
	for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
		_Atomic int64_t *stat = &f->node->stat[counters[i].item];

		atomic_fetch_add(stat, 1);
		assert_named(&s, counters[i].name);
		atomic_fetch_sub(stat, 1);
	}
	assert_sound(&s);
	atomic_fetch_add(&f->zone->stat[NR_MLOCK], 1);
	assert_named(&s, "nr_mlock");
	atomic_fetch_sub(&f->zone->stat[NR_MLOCK], 1);
	atomic_fetch_add(&f->zone->stat[NR_ZONE_WRITE_PENDING], 1);
	assert_named(&s, "nr_zone_write_pending");
	atomic_fetch_sub(&f->zone->stat[NR_ZONE_WRITE_PENDING], 1);
	/* A flag without its counter. */
	page_set(s.page, PG_MLOCKED);
	assert_named(&s, "nr_mlock");
	page_clear(s.page, PG_MLOCKED);
	assert_sound(&s);
	machine_release(f, &s.block, UINT64_MAX);
}

MACHINE_TEST(counters, .swap_pages = 1024);

/* ---- 3: the index ---- */

static void body_indexed(struct machine_fixture *f)
{
	struct scene s;

	scene_make(f, &s);
	const char *law = "a file page is not what its file's index says";

	page_set(s.clean, PG_DIRTY);
	assert_named(&s, law);
	page_clear(s.clean, PG_DIRTY);
	s.clean->index++;
	assert_named(&s, law);
	s.clean->index--;
	uint32_t owner = s.clean->owner;

	s.clean->owner = 0;
	assert_named(&s, law);
	s.clean->owner = 4096;
	assert_named(&s, law);
	s.clean->owner = owner;
	assert_sound(&s);
	machine_release(f, &s.block, UINT64_MAX);
}

MACHINE_TEST(indexed, .swap_pages = 1024);

/* ---- 5, 7: swap ---- */

static void body_swap_words(struct machine_fixture *f)
{
	struct swap_area *area;
	struct scene s;

	scene_make(f, &s);
	area = swap_area_of(f->m, s.entry);
	uint32_t slot = swap_slot_of(s.entry);

	/* Referred to twice, or not at all. */
	area->map[slot]++;
	assert_named(&s, "swap words of all regions against references of all slots");
	area->map[slot]--;
	assert_sound(&s);
	area->map[slot] = 0;
	assert_named(&s, "a swap word refers to a slot without references");
	area->map[slot] = 1;
	assert_sound(&s);
	/* Two words for one slot. */
	const struct hw_ops *hw = f->hw->ops;
	uint64_t vpn = s.anon->start_vpn + 3;
	uint64_t own = word_from_swap(machine_swap_at(f, s.anon, 3));

	assert_int_equal(hw->set_word(s.anon->space->hw, vpn, own, word_from_swap(s.entry)), 0);
	area->map[swap_slot_of((uint32_t)own)]--;
	area->map[slot]++;
	area->map[slot]--;
	assert_named(&s, "swap words of all regions against references of all slots");
	area->map[swap_slot_of((uint32_t)own)]++;
	assert_int_equal(hw->set_word(s.anon->space->hw, vpn, word_from_swap(s.entry), own), 0);
	assert_sound(&s);
	machine_release(f, &s.block, UINT64_MAX);
}

MACHINE_TEST(swap_words, .swap_pages = 1024);

static void body_swap_maps(struct machine_fixture *f)
{
	struct swap_area *area;
	struct scene s;

	scene_make(f, &s);
	uint32_t pfn = (uint32_t)(s.cached - f->m->pages);
	uint32_t entry = f->m->slot_of[pfn];

	area = swap_area_of(f->m, entry);
	uint32_t slot = swap_slot_of(entry);

	/* The cache and the page must know each other. */
	area->map[slot] = 1;
	assert_named(&s, "references of all slots");
	area->map[slot] = 0;
	assert_named(&s, "a swap slot caches a page without HAS_CACHE");
	area->map[slot] = SWAP_HAS_CACHE;
	assert_sound(&s);
	f->m->slot_of[pfn]++;
	assert_named(&s, "a cached page does not know its swap slot");
	f->m->slot_of[pfn]--;
	assert_sound(&s);
	uint64_t cached = area->cache[slot];

	area->cache[slot] = 0;
	assert_named(&s, "nobody owns a swap slot that is in use");
	area->cache[slot] = cached;
	assert_sound(&s);
	/* Counts. */
	area->inuse++;
	assert_named(&s, "a swap area's count of slots in use");
	area->inuse--;
	area->cluster_used[slot / SWAP_CLUSTER_SLOTS]++;
	assert_named(&s, "a swap cluster's count of used slots");
	area->cluster_used[slot / SWAP_CLUSTER_SLOTS]--;
	atomic_fetch_add(&f->m->nr_swap_free, 1);
	assert_named(&s, "free and used swap slots do not add up");
	atomic_fetch_sub(&f->m->nr_swap_free, 1);
	assert_sound(&s);
	/* A slot taken for write-out and forgotten. */
	entry = swap_slot_get(f->t);
	assert_named(&s, "nobody owns a swap slot that is in use");
	swap_slot_put(f->t, entry);
	assert_sound(&s);
	machine_release(f, &s.block, UINT64_MAX);
}

MACHINE_TEST(swap_maps, .swap_pages = 2048);

static void body_swap_clusters(struct machine_fixture *f)
{
	struct swap_area *area = &f->m->swap[0];
	struct scene s;

	scene_make(f, &s);
	uint32_t first = area->cluster_first;

	assert_int_not_equal(first, SWAP_NO_CLUSTER);
	/* Lost: out of the FIFO, though free. */
	area->cluster_first = area->cluster_next[first];
	assert_named(&s, "the FIFO of free swap clusters is broken");
	area->cluster_first = first;
	uint32_t next = area->cluster_next[first];

	area->cluster_next[first] = SWAP_NOT_QUEUED;
	assert_named(&s, "a swap cluster is in the FIFO and not free");
	/* A ring. */
	area->cluster_next[first] = first;
	assert_named(&s, "the FIFO of free swap clusters is broken");
	area->cluster_next[first] = next;
	assert_sound(&s);
	machine_release(f, &s.block, UINT64_MAX);
}

MACHINE_TEST(swap_clusters, .swap_pages = 8192);

/* ---- the hash ---- */

static uint64_t hash;

static void body_hash(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 3000);

	for (uint64_t page = 0; page < 3000; page++)
		assert_int_equal(machine_write(f, region, page * 7 % 3000, page), 0);
	hash = verify_state_hash(f->t, f->m);
}

static void body_hash_other(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 3000);

	for (uint64_t page = 0; page < 3000; page++)
		assert_int_equal(machine_write(f, region, page * 11 % 3000, page), 0);
	hash = verify_state_hash(f->t, f->m);
}

/* A per-CPU list with at least two blocks. */
static struct pcp_list *hash_list(struct machine_fixture *f)
{
	for (uint32_t cpu = 0; cpu < f->m->nr_cpus; cpu++)
		for (uint32_t i = 0; i < NR_PCP_LISTS; i++)
			if (pcp_list_nr(&f->zone->pcp[cpu].list[i]) >= 2)
				return &f->zone->pcp[cpu].list[i];
	fail_msg("every per-CPU list has less than two blocks");
	return NULL;
}

/* What is done to a per-CPU list before the hash. */
static enum {
	LIST_AS_IT_IS,
	LIST_TURNED,
	LIST_WITHOUT_ONE,
	LIST_OTHER_TYPE
} hash_change;

static void body_hash_of_lists(struct machine_fixture *f)
{
	uint32_t pfn[4];

	for (uint32_t i = 0; i < ARRAY_LEN(pfn); i++)
		pfn[i] = alloc_page(f->t, GFP_KERNEL);
	for (uint32_t i = 0; i < ARRAY_LEN(pfn); i++)
		free_page_put(f->t, pfn[i]);
	struct pcp_list *list = hash_list(f);
	uint32_t *const first = list->first;
	const uint32_t oldest = first[0];
	struct page *page = machine_page(f->m, oldest);
	const uint64_t flags = page_flags(page);

	if (hash_change == LIST_TURNED) {
		first[0] = first[1];
		first[1] = oldest;
	} else if (hash_change == LIST_WITHOUT_ONE) {
		list->first++;
	} else if (hash_change == LIST_OTHER_TYPE) {
		atomic_store(&page->flags, flags ^ (uint64_t)1 << PAGE_TYPE_SHIFT);
	}
	hash = verify_state_hash(f->t, f->m);
	if (hash_change == LIST_TURNED)
		first[1] = first[0];
	first[0] = oldest;
	list->first = first;
	atomic_store(&page->flags, flags);
}

/* Who is on a CPU's lists, in which order and with which type decides what comes next. */
static void test_hash_of_lists(void **state)
{
	const struct machine_setup setup = { .pages = 2048 };

	(void)state;
	hash_change = LIST_AS_IT_IS;
	machine_run(&setup, body_hash_of_lists);
	uint64_t first = hash;

	machine_run(&setup, body_hash_of_lists);
	assert_int_equal(hash, first);
	for (hash_change = LIST_TURNED; hash_change <= LIST_OTHER_TYPE; hash_change++) {
		machine_run(&setup, body_hash_of_lists);
		assert_int_not_equal(hash, first);
	}
}

static void test_hash(void **state)
{
	const struct machine_setup setup = { .pages = 2048, .swap_pages = 4096 };

	(void)state;
	machine_run(&setup, body_hash);
	uint64_t first = hash;

	machine_run(&setup, body_hash);
	assert_int_equal(hash, first);
	machine_run(&setup, body_hash_other);
	assert_int_not_equal(hash, first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),	   cmocka_unit_test(test_lists),
		cmocka_unit_test(test_references), cmocka_unit_test(test_shared_frame),
		cmocka_unit_test(test_counters),   cmocka_unit_test(test_swap_words),
		cmocka_unit_test(test_swap_maps),  cmocka_unit_test(test_swap_clusters),
		cmocka_unit_test(test_hash),	   cmocka_unit_test(test_hash_of_lists),
		cmocka_unit_test(test_indexed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
