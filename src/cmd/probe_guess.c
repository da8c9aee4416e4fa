/*
 * Which pages in use could be moved, as far as recorded thefts tell.
 *
 *     request     takes the whole pageblock if                 so, of its pages in use,
 *     Movable     free + movable >= 256                        least = 256 - free  (else most)
 *     another     512 - movable >= 256, of a Movable block     most  = 256         (else least)
 *
 *     movable pages   0 ........ least ........ most ........ 512
 *                                  └── what the machine is loaded with
 *
 * A recording has no LRU lists, so it does not say which pages in use could be moved; that decides
 * whether a theft takes the pageblock. None is assumed to be movable at first. Where a recorded
 * theft decided otherwise than the machine, it gives a bound for its pageblock, and the burst is
 * played again with as many movable pages as the bounds want. Pages that programs have stay where
 * they are while all CPUs are held, so one number must satisfy all thefts of a burst. From burst to
 * burst they come and go: a bound of an earlier burst that a later one contradicts is forgotten,
 * once in each.
 *
 * Of one operation the first ten events are recorded. Of later thefts only the end of the burst
 * tells: a pageblock whose type is another one there may have been taken, or left, by one of them.
 *
 * What must never happen: a page movable that the burst itself allocated or frees.
 */
#include "cmd/probe_guess.h"

#include "core/pageblock.h"

#define HALF (NEAP_PAGEBLOCK_PAGES / 2)

struct probe_claim probe_guess_claim(const struct probe_event *theft, uint32_t free_pages)
{
	struct probe_claim claim = { .block = theft->pfn / NEAP_PAGEBLOCK_PAGES };

	claim.at_least = (theft->type == MT_MOVABLE) == (theft->change != 0);
	if (theft->type == MT_MOVABLE)
		claim.pages = (int32_t)HALF - (int32_t)free_pages - (theft->change != 0 ? 0 : 1);
	else
		claim.pages = (int32_t)HALF + (theft->change != 0 ? 0 : 1);
	return claim;
}

/* The type of a pageblock in a recorded state. */
static uint32_t recorded_type(const struct probe *probe, const struct probe_state *state,
			      uint32_t pfn)
{
	for (uint32_t i = 0; i < state->runs.nr; i++) {
		const struct probe_run *run = &probe->runs[state->runs.first + i];

		if (pfn >= run->pfn && (pfn - run->pfn) >> PAGEBLOCK_SHIFT < run->nr)
			return run->type;
	}
	return PROBE_NO_TYPE;
}

void probe_guess_begin(struct probe_machine *pm)
{
	for (uint32_t i = 0; i <= pm->m.max_pfn >> PAGEBLOCK_SHIFT; i++)
		pm->movable[i].renewed = false;
}

/* => whether the claim leaves a number, and makes the bounds narrower */
static bool narrow(struct probe_movable *bounds, const struct probe_claim *claim)
{
	if (claim->at_least) {
		if (claim->pages <= bounds->least || claim->pages > bounds->most)
			return false;
		bounds->least = (uint16_t)claim->pages;
	} else {
		if (claim->pages >= bounds->most || claim->pages < bounds->least)
			return false;
		bounds->most = (uint16_t)claim->pages;
	}
	return true;
}

bool probe_guess_learn(struct probe_machine *pm, const struct probe_claim *claim)
{
	struct probe_movable renewed = { 0, NEAP_PAGEBLOCK_PAGES, true };
	struct probe_movable *bounds = &pm->movable[claim->block];

	if (claim->block == 0)
		return false;
	if (narrow(bounds, claim))
		return true;
	/* What no number satisfies is no reason to forget. */
	if (bounds->renewed || !narrow(&renewed, claim))
		return false;
	*bounds = renewed;
	return true;
}

bool probe_guess_learn_unseen(struct probe_machine *pm, const struct probe_state *after)
{
	for (uint32_t i = 0; i < pm->unseen.nr; i++) {
		struct probe_event theft = pm->unseen.theft[i];
		uint32_t type = recorded_type(pm->probe, after, theft.pfn);

		if (type == pageblock_type(&pm->m, theft.pfn))
			continue;
		theft.change ^= 1;
		struct probe_claim claim = probe_guess_claim(&theft, pm->unseen.free_pages[i]);

		if (probe_guess_learn(pm, &claim))
			return true;
	}
	return false;
}

static void apply_block(struct probe_machine *pm, uint32_t first, uint32_t wanted)
{
	for (uint32_t i = 0; i < NEAP_PAGEBLOCK_PAGES && first + i < pm->m.max_pfn; i++) {
		struct page *page = &pm->m.pages[first + i];

		if (wanted == 0)
			return;
		if (probe_machine_holds(pm, first + i) || page_refs(page) != 1 ||
		    (page_flags(page) & PG_FLAG_MASK) != 0)
			continue;
		page_set(page, PG_LRU);
		wanted--;
	}
}

void probe_guess_apply(struct probe_machine *pm)
{
	for (uint32_t block = 0; block <= pm->m.max_pfn >> PAGEBLOCK_SHIFT; block++)
		if (!pm->sleeps && pm->movable[block].least != 0)
			apply_block(pm, block << PAGEBLOCK_SHIFT, pm->movable[block].least);
}

uint32_t probe_guess_count(const struct probe_machine *pm)
{
	uint32_t nr = 0;

	for (uint32_t block = 0; block <= pm->m.max_pfn >> PAGEBLOCK_SHIFT; block++)
		nr += pm->movable[block].least != 0;
	return nr;
}
