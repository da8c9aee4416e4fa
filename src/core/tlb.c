/*
 * Making CPUs forget translations.
 *
 * A CPU keeps translations in a cache of its own. Who takes an entry out must make
 * every CPU that runs the program forget it before the page is written out (or a
 * store would miss the write) and before the frame is freed (or somebody would
 * write into another's page). The CPUs are interrupted, and their answers awaited:
 *
 *	kswapd, CPU 0   unmap ─ unmap ─ unmap(dirty) ─┐ waits ┌ write out
 *	program, CPU 1  ...............................└ flush ┘ ..........
 *
 * Clean pages are unmapped one after the other and cost one interruption for the
 * whole list. A page that is written out costs one of its own, so a reclaimer on
 * another CPU than the program's asks once for each page it writes, and waits each
 * time until that CPU has time to answer. A program that reclaims for itself does
 * not ask anybody, nor does kswapd while the program sleeps: an idle CPU, or one
 * that runs an engine thread, forgets before it goes back to the program.
 *
 * What must never happen: a wait for an answer with a word taken that the other CPU
 * could spin for. Asking is allowed with locks held only because answering needs
 * none.
 *
 * In the live runtime translations are walked in software each time and nobody
 * remembers any: there is nothing to ask, and this costs nothing.
 *
 * Linux: the TLB half of mm/rmap.c (set_tlb_ubc_flush_pending() and its two
 * flushes) and of arch/x86/mm/tlb.c. DIFF: a program's own unmapping (munmap and
 * its like) asks nobody.
 */
#include "core/tlb.h"

#include "core/vmstat.h"

static void ask(struct task *t, bool all)
{
	if (t->rt->ops->shoot_down != NULL && t->rt->ops->shoot_down(t, all) != 0)
		event_add(t, EV_SIM_TLB_SHOOTDOWN, 1);
}

void tlb_flush_range(struct task *t)
{
	/* The others catch up first, so that it is known what they do when they are asked. */
	rt_preempt(t);
	ask(t, true);
	rt_preempt(t);
}

void tlb_flush(struct task *t)
{
	if (t->tlb_pending == 0)
		return;
	t->tlb_pending = 0;
	tlb_flush_range(t);
}

void tlb_flush_dirty(struct task *t)
{
	if (t->tlb_pending & TLB_WRITABLE)
		tlb_flush(t);
}

void tlb_flush_page(struct task *t)
{
	ask(t, false);
}
