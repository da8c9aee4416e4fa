/*
 * host.c: the processors on which virtual CPUs run in turn.
 *
 * A recorded guest is one of several programs of a host. Its virtual CPUs are threads
 * there, and others that have something to do share the host's few processors:
 *
 *	processor 0   [CPU 0][CPU 1][other][CPU 0] ...  or  [CPU 0][other] ...
 *	processor 1   [other][other][other][other] ...      [CPU 1][other][other] ...
 *
 * Two virtual CPUs on one processor never run at the same time. One that waits for an
 * answer of the other (shootdown.c) spins its whole turn away, gets the answer when the
 * other has its turn, and goes on in the next round: one answer a round, where two
 * processors would give thousands. So it matters much where the host put them.
 *
 * The rules are those of a fair scheduler (CFS), in short. The numbers of threads of two
 * processors differ by one at most; while they do, a thread is moved now and then, so that
 * nobody has the crowded one for long. A round takes as long with three threads as with
 * two. Who wakes after a long sleep is put on a processor anew, each place being as
 * likely as any other; it begins at once, ending the turn of a neighbour, unless
 * somebody else is having his. Short idle times leave who has them where he is, with
 * credit: by what each of the others has run meanwhile he may run longer.
 *
 * The others come and go, as another guest's CPUs do: of twice as many as their mean each
 * is there for half of the time. Two virtual CPUs of a guest wake each other all the
 * time, for interrupts and the emulator's locks, and who is woken is drawn to who woke
 * him if no processor is idle; other wakings part them. So they change places with
 * others now and then, where numbers alone would leave them for ever: together for
 * host_together_ns in the mean, apart for host_apart_ns.
 *
 * The emulator works for its guest, too: what a guest writes to a disk, threads of the
 * emulator copy into the host's page cache. They have slept and begin at once, on an
 * idle processor if there is one, else in place of whoever runs:
 *
 *	processor 0   CPU 0 ────────┐ submits
 *	processor 1   CPU 1 ────────┤[ copies 2.4 ms ]──── CPU 1 ───
 *
 * For the guest's tasks the time away is gone, callbacks are late, and other CPUs have
 * gone ahead when a CPU comes back.
 *
 * What must never happen: a clock that goes back; a draw that depends on an address.
 */
#include "rt/sim/sched.h"

/* A host leaves the processor of who sleeps for less to it (CFS: sched_migration_cost, 0.5 ms). */
#define HOST_HOT_NS (500 * NSEC_PER_USEC)
/* How often it is drawn who of the others comes and who goes, in the time that one stays. */
#define HOST_DRAWS 16u
/* After so many draws nothing of before is left: e^-16 of it. */
#define HOST_FORGOTTEN 128u

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

/* A length around the mean; evenly, up to twice that. */
static uint64_t host_draw_ns(struct sim *sim, uint64_t mean_ns)
{
	return rng_below(&sim->host_rng, 2 * mean_ns + 1);
}

/* How many others there are at times: each is there for half of its time, or less. */
static uint32_t host_population(const struct sim *sim)
{
	return (2 * sim->config.host_others_permille + 999) / 1000;
}

/* As many as are there when nothing is known of before. */
static uint32_t host_draw_others(struct sim *sim)
{
	uint64_t permille = sim->config.host_others_permille;
	uint32_t population = host_population(sim), nr = 0;

	if (sim->config.host_stay_ns == 0)
		return (uint32_t)((permille + 500) / 1000);
	for (uint32_t i = 0; i < population; i++)
		nr += rng_below(&sim->host_rng, UINT64_C(1000) * population) < permille;
	return nr;
}

/* Some go and some come, as many in the long run. => how many are there now */
static uint32_t host_change_others(struct sim *sim)
{
	uint64_t permille = sim->config.host_others_permille;
	uint32_t population = host_population(sim), nr = sim->host_others;
	uint64_t away_permille = UINT64_C(1000) * population - permille;

	for (uint32_t i = 0; i < sim->host_others; i++)
		nr -= rng_below(&sim->host_rng, HOST_DRAWS) == 0;
	for (uint32_t i = sim->host_others; i < population; i++)
		nr += rng_below(&sim->host_rng, HOST_DRAWS * away_permille) < permille;
	return nr;
}

/* Brings the others up to date. => how many are there */
static uint32_t host_count_others(struct sim *sim, uint64_t now_ns)
{
	uint64_t step_ns = sim->config.host_stay_ns / HOST_DRAWS;
	bool forgotten = now_ns >= sim->host_drawn_ns + HOST_FORGOTTEN * step_ns;

	if (sim->host_drawn_ns == 0 || (step_ns != 0 && forgotten)) {
		sim->host_others = host_draw_others(sim);
		sim->host_drawn_ns = now_ns + 1;
	}
	for (; step_ns != 0 && now_ns >= sim->host_drawn_ns + step_ns;
	     sim->host_drawn_ns += step_ns)
		sim->host_others = host_change_others(sim);
	return sim->host_others;
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
	host_seat(sim, host_count_guests(sim, c, guests) + host_count_others(sim, c->clock_ns) + 1,
		  guests);
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

/* One of the virtual CPUs with work, each as likely; not `except`. => NULL: there is none */
static struct sim_cpu *host_pick_guest(struct sim *sim, const struct sim_cpu *self,
				       const struct sim_cpu *except)
{
	struct sim_cpu *picked = NULL;
	uint32_t nr = 0;

	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		struct sim_cpu *c = &sim->cpus[cpu];

		if (c == except || !c->placed || (c != self && !host_is_busy(c)))
			continue;
		if (rng_below(&sim->host_rng, ++nr) == 0)
			picked = c;
	}
	return picked;
}

/* A virtual CPU goes to the next one, or away from it, and another thread takes its place. */
static void host_meet_or_part(struct sim *sim, const struct sim_cpu *self, const uint32_t *guests)
{
	struct sim_cpu *c = host_pick_guest(sim, self, NULL);
	const struct sim_cpu *mate = c == NULL ? NULL : host_pick_guest(sim, self, c);
	uint32_t nr = sim->config.host_processors;
	uint64_t mean_ns = sim->config.host_together_ns;

	sim->host_change_ns = self->clock_ns + sim->config.host_apart_ns;
	if (mate == NULL)
		return;
	uint32_t to = mate->place;

	if (guests[c->place] > 1) {
		to = (c->place + 1 + (uint32_t)rng_below(&sim->host_rng, max_u32(nr, 2) - 1)) % nr;
		mean_ns = sim->config.host_apart_ns;
	}
	if (sim->host[to].seats <= guests[to])
		return;
	c->place = to;
	c->turn_ns = c->ran_ns; /* the next one is there */
	sim->host_change_ns = self->clock_ns + host_draw_ns(sim, mean_ns);
}

/* Brings the seats up to date, and moves threads: at once from far too many, else now and then. */
static void host_balance(struct sim *sim, const struct sim_cpu *c)
{
	uint32_t guests[SIM_HOST_PROCESSORS_MAX] = { 0 };
	uint32_t threads = host_count_guests(sim, c, guests) + host_count_others(sim, c->clock_ns);
	uint32_t most, least;

	if (threads != sim->host_threads)
		host_seat(sim, threads, guests);
	host_find_extremes(sim, &most, &least);
	if (sim->config.host_apart_ns != 0 && sim->host[least].seats > 0 &&
	    c->clock_ns >= sim->host_change_ns)
		host_meet_or_part(sim, c, guests);
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

/* How many others share the processor on which it was; 1 at least. */
static uint32_t host_rivals(const struct sim *sim, const struct sim_cpu *c)
{
	uint32_t threads = c->placed ? sim->host[c->place].seats : 0;

	return max_u32(threads, 2) - 1;
}

void host_wake(struct sim *sim, uint32_t cpu, uint64_t idle_ns)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	if (sim->config.host_round_ns == 0)
		return;
	c->ran_ns -= min_u64(c->ran_ns, idle_ns / host_rivals(sim, c));
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

/* Whoever of ours runs on the processor does not while somebody works there. => was there one */
static bool host_displace(struct sim *sim, uint32_t place, uint64_t now_ns, uint64_t work_ns)
{
	struct sim_cpu *picked = NULL;
	uint32_t nr = 0;

	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		struct sim_cpu *c = &sim->cpus[cpu];

		if (c->placed && c->place == place && host_is_busy(c) &&
		    c->away_until_ns <= max_u64(now_ns, c->clock_ns) &&
		    rng_below(&sim->host_rng, ++nr) == 0)
			picked = c;
	}
	if (picked == NULL)
		return false;
	picked->away_from_ns = picked->clock_ns;
	picked->clock_ns = max_u64(picked->clock_ns, now_ns) + work_ns;
	picked->away_until_ns = picked->clock_ns;
	return true;
}

void host_work(struct task *t, uint64_t work_ns)
{
	struct sim *sim = sim_of(t->rt);
	uint32_t guests[SIM_HOST_PROCESSORS_MAX] = { 0 };
	const struct sim_cpu *mine = sim_cpu_of(sim, t);
	uint32_t nr = sim->config.host_processors;

	if (sim->config.host_round_ns == 0 || work_ns == 0)
		return;
	uint64_t now_ns = clock_charge_ns(sim, task_cpu(t));
	uint32_t others = host_count_others(sim, now_ns);

	/* An idle processor does it. */
	if (host_count_guests(sim, mine, guests) + others < nr)
		return;
	uint32_t place = (uint32_t)rng_below(&sim->host_rng, nr);

	if (guests[place] == 0 ||
	    rng_below(&sim->host_rng, max_u32(sim->host[place].seats, 1)) >= guests[place])
		return; /* somebody else's turn is interrupted */
	if (host_displace(sim, place, now_ns, work_ns))
		for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++)
			if (cpu != task_cpu(t))
				queue_update_key(sim, cpu);
}

uint64_t host_turn_left_ns(const struct sim *sim, const struct sim_cpu *c)
{
	if (sim->config.host_round_ns == 0 || !c->placed || c->turn_ns <= c->ran_ns)
		return sim->config.host_round_ns == 0 ? UINT64_MAX : 1;
	return c->turn_ns - c->ran_ns;
}
