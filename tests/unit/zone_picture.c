/*
 * Building a zone frame by frame.
 *
 *   all free blocks ──> taken off the lists ──> each frame gets its role ──> free ones back
 *
 * A movable page is made by a fault, which gets some frame of zone Normal, and then
 * migrated to the frame that the picture wants; migration is tested on its own.
 *
 * What must never happen: a frame that two roles share, or that has none. The machine is
 * verified after the zone was built.
 */
#include "zone_picture.h"

#include "core/buddy.h"
#include "core/migrate.h"
#include "core/pageblock.h"
#include "core/pcp.h"

enum role {
	ROLE_FREE,
	ROLE_MOVABLE,
	ROLE_KERNEL,
	ROLE_HOLE,
	ROLE_HUGE,
};

static enum role role_of(char letter, uint32_t i)
{
	bool even = i % 2 == 0;

	switch (letter) {
	case 'M':
		return ROLE_MOVABLE;
	case 'z':
		if (i == 100)
			return ROLE_KERNEL;
		return even == (i < 256) ? ROLE_MOVABLE : ROLE_FREE;
	case 'x':
		if (i == 100)
			return ROLE_KERNEL;
		return even ? ROLE_MOVABLE : ROLE_FREE;
	case 'e':
	case 'p':
	case 'w':
	case 'u':
	case 'r':
		return even ? ROLE_MOVABLE : ROLE_FREE;
	case 'o':
		return even ? ROLE_FREE : ROLE_MOVABLE;
	case 'l':
		return even ? ROLE_MOVABLE : ROLE_FREE;
	case 'q':
		return i % 4 == 0 ? ROLE_MOVABLE : ROLE_FREE;
	case 's':
		return i % 8 == 0 ? ROLE_FREE : ROLE_MOVABLE;
	case 't':
		return i == 0 ? ROLE_MOVABLE : ROLE_FREE;
	case 'f':
		return i < 256 ? ROLE_MOVABLE : ROLE_FREE;
	case 'k':
		return even ? ROLE_KERNEL : ROLE_FREE;
	case 'K':
	case 'U':
		return ROLE_KERNEL;
	case 'H':
		return ROLE_HUGE;
	case '#':
		return ROLE_HOLE;
	default:
		return ROLE_FREE;
	}
}

static uint32_t type_of(char letter)
{
	switch (letter) {
	case 'U':
	case 'u':
		return MT_UNMOVABLE;
	case 'r':
	case 'R':
		return MT_RECLAIMABLE;
	case 'A':
		return MT_HIGHATOMIC;
	case 'I':
		return MT_ISOLATE;
	default:
		return MT_MOVABLE;
	}
}

/* ---- roles ---- */

static uint32_t target; /* the frame that the next migration shall get */

static uint32_t target_get(struct task *t, void *arg)
{
	(void)t;
	(void)arg;
	return target;
}

static void target_put(struct task *t, void *arg, uint32_t pfn)
{
	(void)t;
	(void)arg;
	fail_msg("frame %u was not used", pfn);
}

static void frame_init(struct zone *zone, uint32_t pfn)
{
	struct page *page = &zone->machine->pages[pfn];

	atomic_store(&page->flags, page_place(zone->node, zone->type));
	page->owner = 0;
	page->index = 0;
	atomic_store(&page->maps, 0);
	atomic_store(&page->refs, 1);
}

/* The next page of the region, in this frame. */
static void make_movable(struct picture *picture, uint32_t pfn)
{
	struct machine_fixture *f = picture->f;
	uint64_t at = picture->nr_pages++;
	struct migrate_control control = { .mode = MIGRATE_SYNC,
					   .get_target = target_get,
					   .put_target = target_put };

	machine_fill(f, picture->region, at, 1);
	struct page *page = machine_page_at(f, picture->region, at);
	struct list list = { PFN_NONE, PFN_NONE };

	lru_drain(f->t);
	assert_true(lru_isolate_page(f->t, page));
	cpu_pin(f->t);
	node_stat_add(f->t, f->node, NR_ISOLATED_ANON, 1);
	cpu_unpin(f->t);
	list_add_head(f->m->pages, &list, (uint32_t)(page - f->m->pages));
	target = pfn;
	frame_init(picture->zone, pfn);
	assert_int_equal(migrate_pages(f->t, &list, &control), 0);
	assert_ptr_equal(machine_page_at(f, picture->region, at), &f->m->pages[pfn]);
}

static void make_huge(struct picture *picture, uint32_t pfn)
{
	struct page *page = &picture->f->m->pages[pfn];

	for (uint32_t i = 0; i < NEAP_PAGEBLOCK_PAGES; i++) {
		frame_init(picture->zone, pfn + i);
		page_set(&page[i],
			 i == 0 ? PG_HEAD | PG_KERNEL |
					  (uint64_t)NEAP_PAGEBLOCK_ORDER << PAGE_ORDER_SHIFT
				: 0);
		atomic_store(&page[i].refs, i == 0);
	}
}

static void make_frame(struct picture *picture, uint32_t pfn, enum role role)
{
	struct page *page = &picture->f->m->pages[pfn];

	switch (role) {
	case ROLE_MOVABLE:
		make_movable(picture, pfn);
		break;
	case ROLE_KERNEL:
		frame_init(picture->zone, pfn);
		page_set(page, PG_KERNEL);
		break;
	case ROLE_HOLE:
		picture->holes++;
		break;
	case ROLE_HUGE:
		if (pfn % NEAP_PAGEBLOCK_PAGES == 0)
			make_huge(picture, pfn);
		break;
	case ROLE_FREE:
		break;
	}
}

/* ---- the zone ---- */

static void take_everything(struct picture *picture)
{
	struct task *t = picture->f->t;
	struct zone *zone = picture->zone;

	pcp_drain_all(t, picture->f->m, zone);
	cpu_pin(t);
	spin_lock(t, &zone->lock, LOCK_ZONE);
	for (uint32_t order = 0; order < NR_ORDERS; order++) {
		for (uint32_t type = 0; type < NR_TYPES; type++) {
			while (!list_empty(&zone->area[order].list[type])) {
				buddy_detach(t, zone, zone->area[order].list[type].first);
				zone_stat_add(t, zone, NR_FREE_PAGES, -((int64_t)1 << order));
			}
		}
	}
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	cpu_unpin(t);
}

static void give_free(struct picture *picture)
{
	struct machine_fixture *f = picture->f;
	struct zone *zone = picture->zone;

	cpu_pin(f->t);
	spin_lock(f->t, &zone->lock, LOCK_ZONE);
	for (uint32_t i = 0; i < zone_spanned(zone); i++) {
		uint32_t pfn = zone->start_pfn + i;
		char letter = picture->before[i / NEAP_PAGEBLOCK_PAGES];

		pageblock_set_type(f->m, pfn, type_of(letter));
		if (role_of(letter, i % NEAP_PAGEBLOCK_PAGES) == ROLE_FREE)
			buddy_free(f->t, zone, pfn, 0, type_of(letter));
	}
	spin_unlock(f->t, &zone->lock, LOCK_ZONE);
	cpu_unpin(f->t);
}

/* What single letters need beyond their frames. */
static void finish_block(struct picture *picture, uint32_t block)
{
	uint32_t first = picture->zone->start_pfn + block * NEAP_PAGEBLOCK_PAGES;
	struct page *pages = picture->f->m->pages;

	switch (picture->before[block]) {
	case 'p':
		atomic_fetch_add(&pages[first + 100].refs, PAGE_PIN_BIAS);
		break;
	case 'l':
		page_lock(picture->f->t, &pages[first + 100]);
		break;
	case 'A':
		atomic_fetch_add(&picture->zone->nr_reserved_highatomic, NEAP_PAGEBLOCK_PAGES);
		marks_refresh(picture->zone);
		break;
	case 'w':
		lru_drain(picture->f->t);
		for (uint32_t i = 0; i < NEAP_PAGEBLOCK_PAGES; i += 2) {
			struct task *t = picture->f->t;
			struct list one = { PFN_NONE, PFN_NONE };

			assert_true(lru_isolate_page(t, &pages[first + i]));
			page_set(&pages[first + i], PG_UNEVICTABLE | PG_MLOCKED);
			cpu_pin(t);
			zone_stat_add(t, picture->zone, NR_MLOCK, 1);
			cpu_unpin(t);
			list_add_head(pages, &one, first + i);
			lru_putback(t, picture->f->node, &one);
		}
		break;
	default:
		break;
	}
}

/* One letter after its number. => the rest of the text */
static const char *scan_run(const char *text, char *letter, uint32_t *nr)
{
	char *end;
	unsigned long count = strtoul(text, &end, 10);

	*nr = end == text ? 1 : (uint32_t)count;
	*letter = *end;
	return end + 1;
}

uint32_t picture_blocks(const char *text)
{
	uint32_t blocks = 0;
	uint32_t nr;
	char letter;

	while (*text != '\0') {
		text = scan_run(text, &letter, &nr);
		blocks += nr;
	}
	return blocks;
}

static void unfold(struct picture *picture, const char *text)
{
	uint32_t nr;
	char letter;

	picture->nr_blocks = 0;
	while (*text != '\0') {
		text = scan_run(text, &letter, &nr);
		memset(picture->before + picture->nr_blocks, letter, nr);
		picture->nr_blocks += nr;
	}
}

void picture_build(struct picture *picture, struct machine_fixture *f, const char *text)
{
	static const uint64_t marks[NR_WMARKS] = { PICTURE_MIN, PICTURE_MIN + 4, PICTURE_MIN + 8,
						   PICTURE_MIN + 12 };
	struct zone *zone = &f->node->zone[ZONE_DMA];

	*picture = (struct picture){ .f = f, .zone = zone };
	assert_true(picture_blocks(text) <= PICTURE_BLOCKS_MAX);
	unfold(picture, text);
	assert_int_equal(picture->nr_blocks * NEAP_PAGEBLOCK_PAGES, zone_spanned(zone));
	picture->region = machine_region(f, zone_spanned(zone));
	atomic_store(&f->m->sysctl.watermark_boost_factor, 0);
	for (uint32_t i = 0; i < NR_WMARKS; i++)
		atomic_store(&zone->mark[i], marks[i]);
	marks_refresh(zone);
	take_everything(picture);
	for (uint32_t i = 0; i < zone_spanned(zone); i++)
		make_frame(picture, zone->start_pfn + i,
			   role_of(picture->before[i / NEAP_PAGEBLOCK_PAGES],
				   i % NEAP_PAGEBLOCK_PAGES));
	give_free(picture);
	for (uint32_t block = 0; block < picture->nr_blocks; block++)
		finish_block(picture, block);
	atomic_fetch_sub(&zone->managed, picture->holes);
	atomic_fetch_sub(&f->m->total_pages, picture->holes);
	machine_settle(f);
}

static char draw_block(const struct picture *picture, uint32_t block)
{
	const struct neap_machine *m = picture->f->m;
	uint32_t first = picture->zone->start_pfn + block * NEAP_PAGEBLOCK_PAGES;
	uint32_t movable = 0;
	uint32_t kernel = 0;

	if (picture->before[block] == '#')
		return '#';
	for (uint32_t i = 0; i < NEAP_PAGEBLOCK_PAGES; i++) {
		const struct page *page = machine_page(m, first + i);

		if (page_test(page, PG_HEAD))
			return 'H';
		kernel += page_test(page, PG_KERNEL);
		movable += !page_test(page, PG_KERNEL | PG_PCP | PG_BUDDY) && page_refs(page) != 0;
	}
	if (kernel != 0)
		return movable != 0 ? 'X' : 'K';
	if (movable == 0)
		return '.';
	return movable == NEAP_PAGEBLOCK_PAGES ? 'M'
					       : (char)('a' + movable * 10 / NEAP_PAGEBLOCK_PAGES);
}

void picture_draw(struct picture *picture, char *text)
{
	for (uint32_t block = 0; block < picture->nr_blocks;) {
		char letter = draw_block(picture, block);
		uint32_t nr = 1;

		while (block + nr < picture->nr_blocks && draw_block(picture, block + nr) == letter)
			nr++;
		text += nr == 1 ? sprintf(text, "%c", letter) : sprintf(text, "%u%c", nr, letter);
		block += nr;
	}
}

static void end_frame(struct picture *picture, uint32_t pfn)
{
	struct page *page = machine_page(picture->f->m, pfn);

	if (!page_test(page, PG_KERNEL))
		return;
	page_clear(page, PG_KERNEL);
	page_put(picture->f->t, page);
}

void picture_end(struct picture *picture)
{
	struct machine_fixture *f = picture->f;
	struct zone *zone = picture->zone;

	machine_settle(f);
	cpu_pin(f->t);
	spin_lock(f->t, &zone->lock, LOCK_ZONE);
	for (uint32_t block = 0; block < picture->nr_blocks; block++) {
		uint32_t first = zone->start_pfn + block * NEAP_PAGEBLOCK_PAGES;

		if (picture->before[block] == 'p')
			atomic_fetch_sub(&f->m->pages[first + 100].refs, PAGE_PIN_BIAS);
		if (picture->before[block] == 'l')
			page_unlock(f->t, &f->m->pages[first + 100]);
		if (picture->before[block] == 'I') {
			pageblock_set_type(f->m, first, MT_MOVABLE);
			zone_stat_add(f->t, zone, NR_FREE_PAGES,
				      pageblock_move_free(f->t, zone, first, MT_MOVABLE, NULL));
		}
	}
	spin_unlock(f->t, &zone->lock, LOCK_ZONE);
	cpu_unpin(f->t);
	machine_verify(f);
	machine_check(f, picture->region, 0, picture->nr_pages);
	for (uint32_t i = 0; i < zone_spanned(zone); i++)
		end_frame(picture, zone->start_pfn + i);
	machine_region_end(f, picture->region);
}
