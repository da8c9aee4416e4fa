/*
 * How much to scan from which list (spec 11, sections 3 and 4).
 *
 *   switches of a pass        mode                      pages to scan
 *   may_deactivate   ──┐      no swap       -> FILE     size >> priority, then
 *   cache_trim_mode  ──┼──>   priority 0    -> EQUAL      EQUAL: all of it
 *   file_is_tiny     ──┘      file_is_tiny  -> ANON       FRACT: x share / sum
 *                             cache_trim    -> FILE       ANON, FILE: one type only
 *                             otherwise     -> FRACT
 *
 * The shares weigh swappiness (0..200) against what reclaim of each type has cost
 * lately: a type whose pages had to be written or came back soon costs more and is
 * scanned less. All arithmetic is integer and in the order given, because the
 * rounding is visible in small lists.
 *
 * Everything here computes; nothing changes state but the control structure.
 *
 * Linux: prepare_scan_count() and get_scan_count() in mm/vmscan.c.
 */
#include "core/lru.h"
#include "core/racy.h"
#include "core/reclaim.h"
#include "core/sysctl.h"
#include "core/vmstat.h"

/*
 * Free slots decide, as under Linux 6.1, although a page that advice or read-ahead has put into the
 * swap cache beside its slot could be freed without another: once every slot is taken such copies
 * are not looked for any more, and memory that is full of them refuses requests
 * (jobs/regress/swap-full-of-copies.job).
 */
bool reclaim_can_swap(struct neap_machine *m)
{
	return atomic_load_explicit(&m->nr_swap_free, memory_order_relaxed) > 0;
}

static uint64_t activations(const struct node *node, uint32_t file)
{
	return node_stat_exact(node, file ? WORKINGSET_ACTIVATE_FILE : WORKINGSET_ACTIVATE_ANON);
}

void reclaim_snapshot_refaults(struct node *node)
{
	for (uint32_t file = 0; file < 2; file++)
		atomic_store_explicit(&node->lruvec.refaults[file], activations(node, file),
				      memory_order_relaxed);
}

/* file_is_tiny: even giving up all file pages would not reach the high marks. */
static bool file_is_tiny(struct node *node, const struct scan_control *sc)
{
	uint64_t file = node_stat(node, NR_ACTIVE_FILE) + node_stat(node, NR_INACTIVE_FILE);
	uint64_t high = 0;
	uint64_t free = 0;

	for (uint32_t z = 0; z < NR_ZONES; z++) {
		if (zone_managed(&node->zone[z]) == 0)
			continue;
		high += zone_mark(&node->zone[z], WMARK_HIGH);
		free += zone_stat(&node->zone[z], NR_FREE_PAGES);
	}
	return file + free <= high && !(sc->may_deactivate & DEACTIVATE_ANON) &&
	       (node_stat(node, NR_INACTIVE_ANON) >> sc->priority) != 0;
}

void balance_prepare(struct neap_machine *m, struct node *node, struct scan_control *sc)
{
	struct lruvec *lruvec = &node->lruvec;

	(void)m;
	sc->anon_cost = racy_read(lruvec->anon_cost);
	sc->file_cost = racy_read(lruvec->file_cost);
	sc->may_deactivate = 0;
	for (uint32_t file = 0; file < 2; file++) {
		bool refaulted =
			activations(node, file) !=
			atomic_load_explicit(&lruvec->refaults[file], memory_order_relaxed);

		if (sc->force_deactivate || refaulted || lru_inactive_is_low(lruvec, file))
			sc->may_deactivate |= file ? DEACTIVATE_FILE : DEACTIVATE_ANON;
	}
	uint64_t inactive_file = lruvec_size(lruvec, LRU_INACTIVE_FILE, NR_ZONES - 1);

	sc->cache_trim_mode =
		(inactive_file >> sc->priority) != 0 && !(sc->may_deactivate & DEACTIVATE_FILE);
	sc->file_is_tiny = file_is_tiny(node, sc);
}

void balance_shares(uint64_t anon_cost, uint64_t file_cost, uint32_t swappiness,
		    uint64_t *anon_share, uint64_t *file_share)
{
	uint64_t sum = anon_cost + file_cost;
	uint64_t anon = sum + anon_cost;
	uint64_t file = sum + file_cost;
	uint64_t total = anon + file;

	*anon_share = swappiness * (total + 1) / (anon + 1);
	*file_share = (200 - swappiness) * (total + 1) / (file + 1);
}

static enum scan_mode scan_mode(struct neap_machine *m, const struct scan_control *sc,
				uint32_t swappiness)
{
	if (!sc->may_swap || !reclaim_can_swap(m))
		return SCAN_FILE;
	if (sc->priority == 0 && swappiness != 0)
		return SCAN_EQUAL;
	if (sc->file_is_tiny)
		return SCAN_ANON;
	if (sc->cache_trim_mode)
		return SCAN_FILE;
	return SCAN_FRACT;
}

void balance_scan_count(struct neap_machine *m, struct node *node, const struct scan_control *sc,
			uint64_t nr[4], struct scan_terms *terms)
{
	uint32_t swappiness = (uint32_t)sysctl_get(&m->sysctl.swappiness);
	struct scan_terms local;
	struct scan_terms *out = terms != NULL ? terms : &local;

	out->mode = scan_mode(m, sc, swappiness);
	balance_shares(sc->anon_cost, sc->file_cost, swappiness, &out->anon_share,
		       &out->file_share);
	for (uint32_t list = LRU_INACTIVE_ANON; list <= LRU_ACTIVE_FILE; list++) {
		bool file = list >= LRU_INACTIVE_FILE;
		uint64_t size = lruvec_size(&node->lruvec, (enum lru_list)list, sc->reclaim_idx);
		uint64_t scan = size >> sc->priority;

		out->size[list] = size;
		switch (out->mode) {
		case SCAN_EQUAL:
			break;
		case SCAN_FRACT:
			scan = scan * (file ? out->file_share : out->anon_share) /
			       (out->anon_share + out->file_share);
			break;
		case SCAN_ANON:
			scan = file ? 0 : scan;
			break;
		case SCAN_FILE:
			scan = file ? scan : 0;
			break;
		}
		nr[list] = scan;
	}
}
