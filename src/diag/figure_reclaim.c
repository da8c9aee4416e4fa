/*
 * The figures about reclaim: which way a page goes, and what kswapd does when.
 *
 * Each is a fixed drawing on squared paper; the numbers beside its arrows are how
 * often this run went that way. Squares are counted by hand: a figure is at most 78
 * columns wide, so that it fits into every terminal and mail.
 *
 *     facts ── figure_fact("mm_vmscan_kswapd_wake") ── "woken 12"
 *
 * How kswapd behaves is spec 12; what an event's count means for the arrows:
 *   balance runs     one mm_vmscan_kswapd_wake each, also vmstat's pageoutrun
 *   full sleeps      mm_vmscan_kswapd_sleep
 *   naps cut short   kswapd_low_wmark_hit_quickly
 *   not balanced     kswapd_high_wmark_hit_quickly
 *
 * What must never happen: an arrow that the engine (core/kswapd.c, core/reclaim.c) does
 * not have.
 */
#include "diag/figure_draw.h"

#define AT(x, y)                                                                                   \
	(struct canvas_at)                                                                         \
	{                                                                                          \
		x, y                                                                               \
	}

typedef unsigned long long number;

static number fact(const struct figure_facts *facts, const char *name)
{
	return (number)figure_fact(facts, name);
}

void figure_draw_call_path(const struct figure_facts *f, struct canvas *c)
{
	canvas_box(c, AT(2, 0), AT(33, 3), "a program asks for pages\nbelow low: wakes it, %llu x",
		   fact(f, "mm_vmscan_wakeup_kswapd"));
	canvas_box(c, AT(44, 0), AT(75, 3), "kswapd\nat work %llu x",
		   fact(f, "mm_vmscan_kswapd_wake"));
	canvas_arrow(c, AT(34, 1), AT(43, 1));
	canvas_words(c, AT(36, 0), "wakes");
	canvas_box(c, AT(2, 7), AT(33, 10), "direct reclaim %llu x\nfreed %llu pages itself",
		   fact(f, "mm_vmscan_direct_reclaim_begin"), fact(f, "freed.direct"));
	canvas_box(c, AT(44, 7), AT(75, 10), "balance: priority 12 to %u\nfreed %llu pages",
		   f->lowest_priority != 0 ? f->lowest_priority : 12, fact(f, "freed.kswapd"));
	canvas_arrow(c, AT(17, 4), AT(17, 6));
	canvas_words(c, AT(19, 5), "still below min");
	canvas_arrow(c, AT(59, 4), AT(59, 6));
	canvas_box(c, AT(14, 14), AT(63, 17),
		   "one pass over a node's lists\nhow much from which: swappiness, costs, sizes");
	canvas_arrow(c, AT(25, 11), AT(25, 13));
	canvas_arrow(c, AT(52, 11), AT(52, 13));
	canvas_box(c, AT(2, 21), AT(33, 25),
		   "shrink an active list\n%llu x, took %llu\nmoved %llu to inactive",
		   fact(f, "mm_vmscan_lru_shrink_active"), fact(f, "active.taken"),
		   fact(f, "active.deactivated"));
	canvas_box(c, AT(44, 21), AT(75, 25),
		   "shrink an inactive list\n%llu x, looked at %llu\n%llu back to active",
		   fact(f, "mm_vmscan_lru_shrink_inactive"), fact(f, "inactive.scanned"),
		   fact(f, "inactive.activated"));
	canvas_arrow(c, AT(22, 18), AT(22, 20));
	canvas_arrow(c, AT(55, 18), AT(55, 20));
	canvas_arrow(c, AT(34, 23), AT(43, 23));
	canvas_box(c, AT(24, 29), AT(48, 32), "written out first\n%llu pages",
		   fact(f, "mm_vmscan_write_folio"));
	canvas_box(c, AT(53, 29), AT(75, 32), "freed\n%llu pages", fact(f, "inactive.freed"));
	canvas_arrow(c, AT(46, 26), AT(46, 28));
	canvas_arrow(c, AT(64, 26), AT(64, 28));
	canvas_words(c, AT(30, 27), "dirty, no slot");
	canvas_words(c, AT(66, 27), "clean");
}

void figure_draw_kswapd(const struct figure_facts *f, struct canvas *c)
{
	number low = fact(f, "vmstat.kswapd_low_wmark_hit_quickly");
	number high = fact(f, "vmstat.kswapd_high_wmark_hit_quickly");

	canvas_box(c, AT(2, 0), AT(27, 4), "asleep\nuntil somebody wakes it\n%llu x",
		   fact(f, "mm_vmscan_kswapd_sleep"));
	canvas_box(c, AT(50, 0), AT(75, 4), "at work: balance until\na zone is above high\n%llu x",
		   fact(f, "mm_vmscan_kswapd_wake"));
	canvas_arrow(c, AT(28, 1), AT(49, 1));
	canvas_words(c, AT(29, 0), "wake-up, %llu x", fact(f, "mm_vmscan_wakeup_kswapd"));
	canvas_box(c, AT(26, 12), AT(51, 16), "nap of 100 ms;\nstill balanced\nafter that?");
	canvas_line(c, AT(68, 5), AT(68, 14));
	canvas_arrow(c, AT(68, 14), AT(52, 14));
	canvas_words(c, AT(56, 13), "balanced");
	canvas_line(c, AT(9, 14), AT(25, 14));
	canvas_arrow(c, AT(9, 14), AT(9, 5));
	canvas_words(c, AT(11, 13), "yes: %llu", fact(f, "mm_vmscan_kswapd_sleep"));
	canvas_line(c, AT(44, 11), AT(44, 8));
	canvas_line(c, AT(44, 8), AT(55, 8));
	canvas_arrow(c, AT(55, 8), AT(55, 5));
	canvas_words(c, AT(18, 7), "woken in the nap: low hit %llu", low);
	canvas_words(c, AT(18, 9), "not balanced: high hit %llu", high);
}

void figure_draw_nap(const struct figure_facts *f, struct canvas *c)
{
	canvas_box(c, AT(2, 0), AT(34, 3), "balance is over, %llu x\nready to sleep?",
		   fact(f, "mm_vmscan_kswapd_wake"));
	canvas_arrow(c, AT(18, 4), AT(18, 6));
	canvas_words(c, AT(20, 5), "yes; kcompactd is asked");
	canvas_box(c, AT(2, 7), AT(34, 9), "nap of 100 ms");
	canvas_arrow(c, AT(35, 8), AT(43, 8));
	canvas_words(c, AT(36, 7), "woken");
	canvas_box(c, AT(44, 7), AT(75, 10), "kswapd_low_wmark_hit_quickly\n%llu",
		   fact(f, "vmstat.kswapd_low_wmark_hit_quickly"));
	canvas_arrow(c, AT(18, 10), AT(18, 12));
	canvas_words(c, AT(20, 11), "nobody came");
	canvas_box(c, AT(2, 13), AT(34, 15), "still ready to sleep?");
	canvas_line(c, AT(35, 1), AT(77, 1));
	canvas_line(c, AT(77, 1), AT(77, 15));
	canvas_arrow(c, AT(77, 15), AT(76, 15));
	canvas_words(c, AT(36, 0), "no");
	canvas_arrow(c, AT(35, 14), AT(43, 14));
	canvas_words(c, AT(36, 13), "no");
	canvas_box(c, AT(44, 13), AT(75, 16), "kswapd_high_wmark_hit_quickly\n%llu",
		   fact(f, "vmstat.kswapd_high_wmark_hit_quickly"));
	canvas_arrow(c, AT(18, 16), AT(18, 18));
	canvas_words(c, AT(20, 17), "yes");
	canvas_box(c, AT(2, 19), AT(34, 22), "sleep until woken, %llu x\nmm_vmscan_kswapd_sleep",
		   fact(f, "mm_vmscan_kswapd_sleep"));
	canvas_arrow(c, AT(60, 17), AT(60, 19));
	canvas_words(c, AT(54, 20), "balance again");
	canvas_words(c, AT(2, 24),
		     "Neither counter moves when kswapd sleeps fully. A node that is busy");
	canvas_words(c, AT(2, 25), "is woken in its nap again and again: the low counter grows.");
}

void figure_draw_balance(const struct figure_facts *f, struct canvas *c)
{
	canvas_box(c, AT(18, 0), AT(55, 2), "woken %llu x; priority = 12",
		   fact(f, "mm_vmscan_kswapd_wake"));
	canvas_arrow(c, AT(36, 3), AT(36, 4));
	canvas_box(c, AT(18, 5), AT(55, 8), "a zone above high, or its boost\nworked off?");
	canvas_arrow(c, AT(56, 6), AT(62, 6));
	canvas_words(c, AT(57, 5), "yes");
	canvas_box(c, AT(63, 5), AT(76, 8), "done:\nthe nap");
	canvas_arrow(c, AT(36, 9), AT(36, 11));
	canvas_words(c, AT(38, 10), "no");
	canvas_box(c, AT(18, 12), AT(55, 16),
		   "one pass over the node\nlooked at %llu, freed %llu\n(programs: freed %llu)",
		   fact(f, "inactive.scanned"), fact(f, "freed.kswapd"), fact(f, "freed.direct"));
	canvas_arrow(c, AT(36, 17), AT(36, 19));
	canvas_box(c, AT(18, 20), AT(55, 23),
		   "half of the min marks is free:\nlet throttled tasks go");
	canvas_words(c, AT(57, 21), "throttled waits");
	canvas_words(c, AT(57, 22), "in all: %llu", fact(f, "mm_vmscan_throttled"));
	canvas_arrow(c, AT(36, 24), AT(36, 26));
	canvas_box(c, AT(18, 27), AT(55, 30),
		   "less scanned than the goal, or\nnothing freed: priority - 1");
	canvas_words(c, AT(57, 28), "lowest reached:");
	canvas_words(c, AT(57, 29), "%u", f->lowest_priority);
	canvas_line(c, AT(17, 28), AT(9, 28));
	canvas_line(c, AT(9, 28), AT(9, 6));
	canvas_arrow(c, AT(9, 6), AT(17, 6));
	canvas_words(c, AT(1, 17), "again");
	canvas_words(c, AT(1, 18), "while");
	canvas_words(c, AT(1, 19), "above 0");
}
