/*
 * Zones drawn as text, one letter a pageblock, for tests of compaction.
 *
 *   before  "2e.MU"  ──> picture_build() ──> a run ──> picture_draw()  "2.MMU"
 *
 * A number before a letter repeats it. *
 * The zone is DMA of the machine (setup.dma_pages), so that the engine's own tables, which
 * lie in zone Normal, never get in the way. Its marks are set to PICTURE_MIN and above.
 *
 * Letters of pageblocks, before:
 *   .  free                                  M  all movable pages in use
 *   e  pages in use at even frames           o  pages in use at odd frames
 *   t  one page in use, at the first frame   f  the first half in use
 *   s  in use but for every eighth frame     q  every fourth frame in use
 *   p  as e, the page at frame 100 pinned    x  as e, a kernel's page at frame 100
 *   z  as x, the upper half as o
 *   w  as e, all pages unevictable           l  as e, the page at frame 100 locked
 *   K  all kernel's (movable type)           k  as e, but the kernel's
 *   U  all kernel's, unmovable type          u  as e, unmovable type
 *   r  as e, reclaimable type                R  free, reclaimable type
 *   H  one huge block in use                 #  a hole: no frames
 *   A  free, high-atomic reserve             I  free, isolated
 *
 * Drawn: . free; M all movable; a..j tenths of movable pages in use (a: less than one); K
 * kernel's only; X kernel's and movable pages; H, # as above.
 */
#ifndef NEAP_TESTS_ZONE_PICTURE_H
#define NEAP_TESTS_ZONE_PICTURE_H

#include "machine_fixture.h"

#define PICTURE_BLOCKS_MAX 512u
#define PICTURE_MIN 16u

struct picture {
	struct machine_fixture *f;
	struct zone *zone;
	struct region *region; /* page i of it lies in some frame of the zone, or is not there */
	uint32_t nr_blocks;
	uint64_t nr_pages;		     /* of the region that are in use */
	uint32_t holes;			     /* frames */
	char before[PICTURE_BLOCKS_MAX + 1]; /* a letter a pageblock */
};

/* Pageblocks of a picture. */
uint32_t picture_blocks(const char *text);
/* Fills the zone, which has that many pageblocks, as drawn. */
void picture_build(struct picture *picture, struct machine_fixture *f, const char *text);
/* Draws the zone as it is now. `text` has room for 4 * PICTURE_BLOCKS_MAX. */
void picture_draw(struct picture *picture, char *text);
/* Compares contents, gives everything back; the zone is free afterwards. */
void picture_end(struct picture *picture);

#endif
