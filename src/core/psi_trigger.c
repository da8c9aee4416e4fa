/*
 * Triggers of memory pressure: "tell me when tasks were stalled for 150 ms within one second".
 *
 *   window    |<----------- size ----------->|
 *   growth     value - value at its start, plus what is left of the window before
 *   fires      when the growth reaches the threshold; once a window
 *
 * The timer thread looks at all triggers every tenth of the smallest window while there are
 * stalls, and for ten steps after the last one; an idle machine is not looked at.
 *
 * What must never happen: an event lost between two looks. A breach during the quiet rest
 * of a window is kept and fires afterwards.
 *
 * Linux: psi_trigger_create(), update_triggers(), window_update() of kernel/sched/psi.c,
 * 6.1. DIFF: at most 8 triggers; whoever opens one waits with psi_trigger_wait() instead
 * of poll(); no thread psimon of its own.
 */
#include <errno.h>

#include "core/knobs_text.h"
#include "core/psi.h"
#include "core/racy.h"
#include "core/sleeplock.h"
#include "core/timer.h"

#define STEPS_A_WINDOW 10u

/* ---- windows ---- */

static void window_reset(struct psi_trigger *trigger, uint64_t now, uint64_t value,
			 uint64_t previous)
{
	trigger->start_ns = now;
	trigger->start_value_ns = value;
	trigger->previous_ns = previous;
}

/* => how much the value grew within the window that ends now */
static uint64_t window_growth(struct psi_trigger *trigger, uint64_t now, uint64_t value)
{
	uint64_t elapsed = now - trigger->start_ns;
	uint64_t growth = value - trigger->start_value_ns;

	if (elapsed > trigger->window_ns) {
		window_reset(trigger, now, value, growth);
		return growth;
	}
	return growth + trigger->previous_ns * (trigger->window_ns - elapsed) / trigger->window_ns;
}

static void look(struct task *t, struct neap_machine *m, struct psi_trigger *trigger, uint64_t now)
{
	uint64_t value = atomic_load(&m->psi.total_ns[trigger->state]);
	uint64_t growth = window_growth(trigger, now, value);

	if (growth >= trigger->threshold_ns)
		trigger->breached = true;
	if (!trigger->breached || now < trigger->fired_ns + trigger->window_ns)
		return;
	trigger->breached = false;
	trigger->fired_ns = now;
	atomic_store(&trigger->event, 1);
	waitq_wake(t, &m->psi.trigger_wait, UINT32_MAX);
}

/* ---- looking at all of them ---- */

uint64_t psi_poll_ns(struct neap_machine *m)
{
	uint64_t step = atomic_load_explicit(&m->psi.step_ns, memory_order_relaxed);

	return step != 0 && atomic_load(&m->psi.nr_steps_left) != 0 ? step : RT_FOREVER;
}

void psi_poll(struct task *t, struct neap_machine *m)
{
	uint64_t now = rt_now(t);
	uint64_t sum = 0;

	if (atomic_load_explicit(&m->psi.step_ns, memory_order_relaxed) == 0)
		return;
	sleeplock_take(t, &m->psi.trigger_lock);
	for (uint32_t i = 0; i < PSI_TRIGGERS; i++)
		if (m->psi.trigger[i].window_ns != 0)
			look(t, m, &m->psi.trigger[i], now);
	for (uint32_t state = 0; state < PSI_NONIDLE; state++)
		sum += atomic_load(&m->psi.total_ns[state]);
	uint32_t left = atomic_load(&m->psi.nr_steps_left);

	if (sum != m->psi.polled_ns)
		left = STEPS_A_WINDOW + 1;
	m->psi.polled_ns = sum;
	atomic_store(&m->psi.nr_steps_left, left != 0 ? left - 1 : 0);
	sleeplock_release(t, &m->psi.trigger_lock);
	if (left > 1)
		timer_kick(t, m);
}

/* A tenth of the smallest window; 0 without triggers. => trigger_lock held */
static void set_step(struct neap_machine *m)
{
	uint64_t least = 0;

	for (uint32_t i = 0; i < PSI_TRIGGERS; i++) {
		uint64_t window = m->psi.trigger[i].window_ns;

		if (window != 0 && (least == 0 || window < least))
			least = window;
	}
	atomic_store(&m->psi.step_ns, least / STEPS_A_WINDOW);
	atomic_store(&m->psi.nr_steps_left, least != 0 ? STEPS_A_WINDOW : 0);
}

int psi_trigger_open(struct task *t, struct neap_machine *m, const char *text, size_t bytes)
{
	const struct knobs_in in = { .at = text, .left = bytes };
	struct knobs_trigger wanted;
	int number = -EBUSY;
	int err = knobs_text_trigger(&in, &wanted);

	if (err != 0)
		return err;
	psi_update(t, m);
	sleeplock_take(t, &m->psi.trigger_lock);
	for (uint32_t i = 0; i < PSI_TRIGGERS && number < 0; i++)
		if (m->psi.trigger[i].window_ns == 0)
			number = (int)i;
	if (number >= 0) {
		struct psi_trigger *place = &m->psi.trigger[number];

		place->state = wanted.full ? PSI_FULL : PSI_SOME;
		place->threshold_ns = wanted.threshold_us * NSEC_PER_USEC;
		racy_write(place->window_ns, wanted.window_us * NSEC_PER_USEC);
		place->fired_ns = 0;
		place->breached = false;
		atomic_store(&place->event, 0);
		window_reset(place, rt_now(t), atomic_load(&m->psi.total_ns[place->state]), 0);
		set_step(m);
	}
	sleeplock_release(t, &m->psi.trigger_lock);
	timer_kick(t, m);
	return number;
}

void psi_trigger_close(struct task *t, struct neap_machine *m, uint32_t number)
{
	sleeplock_take(t, &m->psi.trigger_lock);
	racy_write(m->psi.trigger[number].window_ns, 0);
	set_step(m);
	sleeplock_release(t, &m->psi.trigger_lock);
	waitq_wake(t, &m->psi.trigger_wait, UINT32_MAX);
}

int psi_trigger_wait(struct task *t, struct neap_machine *m, uint32_t number, uint64_t timeout_ns)
{
	struct psi_trigger *trigger = &m->psi.trigger[number];
	int err = 0;

	/* event loop: others' triggers wake us, too */
	while (err != -ETIMEDOUT) {
		uint32_t seq = waitq_begin(t, &m->psi.trigger_wait);
		bool open = racy_read(trigger->window_ns) != 0;

		if (atomic_exchange(&trigger->event, 0) != 0 || !open) {
			waitq_end(&m->psi.trigger_wait);
			return open ? 0 : -ENOENT;
		}
		err = waitq_wait(t, &m->psi.trigger_wait, seq, timeout_ns);
		waitq_end(&m->psi.trigger_wait);
	}
	return -ETIMEDOUT;
}
