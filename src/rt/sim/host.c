/*
 * host.c: the processors on which virtual CPUs run in turn.
 *
 * A recorded guest is one of several programs of a host. Its virtual CPUs are threads
 * there, and other threads that always have something to do share the host's few
 * processors with them:
 *
 *	processor 0   [CPU 0][other][CPU 0][other] ...     each a turn a round
 *	processor 1   [other][other][other][other] ...
 *
 * and with a second virtual CPU at work, wherever the host put it:
 *
 *	processor 0   [CPU 0][CPU 1][other][CPU 0] ...  or  [CPU 0][other] ...
 *	processor 1   [other][other][other][other] ...      [CPU 1][other][other] ...
 *
 * Two virtual CPUs on one processor never run at the same time. One that waits for an
 * answer of the other (shootdown.c) spins its whole turn away, gets the answer when the
 * other has its turn, and goes on in the next round: one answer a round, where two
 * processors would give thousands. So it matters much where the host put them, and
 * nobody in the guest can tell.
 *
 * The rules are those of a fair scheduler (CFS), in short. The numbers of threads of two
 * processors differ by one at most; while they do, a thread is moved now and then, so that
 * nobody has the crowded one for long. A round takes as long with three threads as with
 * two. Who wakes after a long sleep is put on a processor anew, each place being as
 * likely as any other; it begins at once, ending the turn of a neighbour, unless
 * somebody else is having his. Short idle times are not noticed: they are credit.
 *
 * For the guest's tasks the time away is gone, callbacks are late, and other CPUs have
 * gone ahead when a CPU comes back.
 *
 * What must never happen: a clock that goes back; a draw that depends on an address.
 */
#include "rt/sim/sched.h"

/* A host leaves the processor of who sleeps for less to it (CFS: sched_migration_cost, 0.5 ms). */
#define HOST_HOT_NS (500 * NSEC_PER_USEC)

static bool host_is_busy(const struct sim_cpu *c)
{
	return c->running != NULL || c->irq_active || c->calls != NULL;
}

/* Virtual CPUs with work on the processor; `self` counts in any case. */
static uint32_t host_nr_guests(const struct sim *sim, uint32_t place, const struct sim_cpu *self)
{
	uint32_t nr = 0;

	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		const struct sim_cpu *c = &sim->cpus[cpu];

		if (c == self || (c->placed && c->place == place && host_is_busy(c)))
			nr += c->place == place;
	}
	return nr;
}

/* Counts the virtual CPUs with work on each processor. => all of them */
static uint32_t host_count_guests(const struct sim *sim, const struct sim_cpu *self,
				  uint32_t *guests)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < sim->config.host_processors; i++) {
		guests[i] = host_nr_guests(sim, i, self);
		nr += guests[i];
	}
	return nr;
}

static void host_find_extremes(const struct sim *sim, uint32_t *most, uint32_t *least)
{
	*most = 0;
	*least = 0;
	for (uint32_t i = 1; i < sim->config.host_processors; i++) {
		*most = sim->host[i].seats > sim->host[*most].seats ? i : *most;
		*least = sim->host[i].seats < sim->host[*least].seats ? i : *least;
	}
}

/*
 * How many threads each processor has: as even as can be while ours stay where they are. Which
 * have one more is chance.
 */
static void host_seat(struct sim *sim, uint32_t threads, const uint32_t *guests)
{
	uint32_t nr = sim->config.host_processors;
	uint32_t first = (uint32_t)rng_below(&sim->host_rng, nr);

	sim->host_threads = threads;
	for (uint32_t i = 0; i < nr; i++) {
		sim->host[i].seats = guests[i];
		threads -= guests[i];
	}
	for (; threads > 0; threads--) {
		uint32_t least = first;

		for (uint32_t i = 1; i < nr; i++)
			if (sim->host[(first + i) % nr].seats < sim->host[least].seats)
				least = (first + i) % nr;
		sim->host[least].seats++;
	}
}

/* Chooses one of the seats that other virtual CPUs do not have. */
static void host_place(struct sim *sim, struct sim_cpu *c)
{
	uint32_t guests[SIM_HOST_PROCESSORS_MAX] = { 0 };
	uint32_t seats_free = 0;

	c->placed = true;
	c->place = UINT32_MAX; /* nowhere while the others are counted */
	host_seat(sim, host_count_guests(sim, c, guests) + sim->config.host_others + 1, guests);
	for (uint32_t i = 0; i < sim->config.host_processors; i++)
		seats_free += sim->host[i].seats - guests[i];
	uint64_t chosen = rng_below(&sim->host_rng, seats_free);

	for (c->place = 0; chosen >= sim->host[c->place].seats - guests[c->place]; c->place++)
		chosen -= sim->host[c->place].seats - guests[c->place];
}

/* Takes one thread of processor `from` to `to`; which one is chance. */
static void host_move_one(struct sim *sim, uint32_t from, uint32_t to)
{
	uint64_t chosen = rng_below(&sim->host_rng, sim->host[from].seats);

	sim->host[from].seats--;
	sim->host[to].seats++;
	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		struct sim_cpu *c = &sim->cpus[cpu];

		if (!c->placed || c->place != from || !host_is_busy(c) || chosen-- != 0)
			continue;
		c->place = to;
		c->turn_ns = c->ran_ns; /* the next one is there */
		return;
	}
}

/* Brings the seats up to date, and moves threads: at once from far too many, else now and then. */
static void host_balance(struct sim *sim, const struct sim_cpu *c)
{
	uint32_t guests[SIM_HOST_PROCESSORS_MAX] = { 0 };
	uint32_t threads = host_count_guests(sim, c, guests) + sim->config.host_others;
	uint32_t most, least;

	if (threads != sim->host_threads)
		host_seat(sim, threads, guests);
	host_find_extremes(sim, &most, &least);
	if (c->clock_ns >= sim->host_moved_ns + sim->config.host_balance_ns) {
		sim->host_moved_ns = c->clock_ns;
		if (sim->host[most].seats > sim->host[least].seats)
			host_move_one(sim, most, least);
		host_find_extremes(sim, &most, &least);
	}
	for (; sim->host[most].seats > sim->host[least].seats + 1;
	     host_find_extremes(sim, &most, &least))
		host_move_one(sim, most, least);
}

/* A length around the mean; evenly, up to twice that. */
static uint64_t host_draw_ns(struct sim *sim, uint64_t mean_ns)
{
	return rng_below(&sim->host_rng, 2 * mean_ns + 1);
}

static uint64_t host_turn_ns(const struct sim *sim, uint32_t threads)
{
	return sim->config.host_round_ns / max_u32(threads, 1);
}

/* The CPU's turn is over, or cannot begin yet: the others have theirs, then it has its next. */
static void host_wait_turn(struct sim *sim, struct sim_cpu *c)
{
	host_balance(sim, c);
	struct sim_processor *p = &sim->host[c->place];
	uint32_t guests = host_nr_guests(sim, c->place, c);
	uint32_t threads = max_u32(p->seats, guests);
	uint64_t turn_ns = host_turn_ns(sim, threads);
	uint64_t begin_ns = c->clock_ns;

	if (guests > 1)
		begin_ns = max_u64(begin_ns, p->end_ns);
	/* The host's other threads have theirs once a round, whoever of us comes then. */
	if (++p->turns >= guests) {
		p->turns = 0;
		begin_ns += host_draw_ns(sim, (threads - guests) * turn_ns);
	}
	c->ran_ns = 0;
	c->turn_ns = 1 + host_draw_ns(sim, turn_ns);
	c->away_from_ns = c->clock_ns;
	c->away_until_ns = begin_ns;
	c->clock_ns = begin_ns;
	p->end_ns = begin_ns + c->turn_ns;
}

/* The CPU begins its turn now; a neighbour's turn ends, one that has not begun shortens ours. */
static void host_begin_turn(struct sim *sim, struct sim_cpu *c)
{
	struct sim_processor *p = &sim->host[c->place];
	uint32_t threads = max_u32(p->seats, host_nr_guests(sim, c->place, c));

	c->ran_ns = 0;
	c->turn_ns = 1 + host_draw_ns(sim, host_turn_ns(sim, threads));
	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		struct sim_cpu *other = &sim->cpus[cpu];

		if (other == c || !other->placed || other->place != c->place ||
		    !host_is_busy(other))
			continue;
		if (other->away_until_ns > c->clock_ns)
			c->turn_ns = min_u64(c->turn_ns, other->away_until_ns - c->clock_ns);
		else
			other->turn_ns = other->ran_ns;
	}
	p->end_ns = max_u64(p->end_ns, c->clock_ns + c->turn_ns);
}

void host_wake(struct sim *sim, uint32_t cpu, uint64_t idle_ns)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	if (sim->config.host_round_ns == 0)
		return;
	c->ran_ns -= min_u64(c->ran_ns, idle_ns);
	if (idle_ns < HOST_HOT_NS)
		return;
	host_place(sim, c);
	uint32_t guests = host_nr_guests(sim, c->place, c);
	uint32_t threads = max_u32(sim->host[c->place].seats, guests);

	if (rng_below(&sim->host_rng, threads) < threads - guests)
		host_wait_turn(sim, c);
	else
		host_begin_turn(sim, c);
}

void host_run(struct sim *sim, uint32_t cpu, uint64_t ran_ns)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	if (sim->config.host_round_ns == 0)
		return;
	if (!c->placed) {
		host_place(sim, c);
		host_begin_turn(sim, c);
	}
	c->ran_ns += ran_ns;
	if (c->ran_ns >= c->turn_ns)
		host_wait_turn(sim, c);
}

void host_exclude(struct sim *sim, uint32_t cpu, uint32_t other)
{
	const struct sim_cpu *mine = &sim->cpus[cpu];
	struct sim_cpu *c = &sim->cpus[other];

	if (sim->config.host_round_ns == 0 || !mine->placed || !c->placed ||
	    c->place != mine->place || c->away_until_ns > mine->clock_ns)
		return;
	host_wait_turn(sim, c);
	queue_update_key(sim, other);
}

uint64_t host_turn_left_ns(const struct sim *sim, const struct sim_cpu *c)
{
	if (sim->config.host_round_ns == 0 || !c->placed || c->turn_ns <= c->ran_ns)
		return sim->config.host_round_ns == 0 ? UINT64_MAX : 1;
	return c->turn_ns - c->ran_ns;
}
