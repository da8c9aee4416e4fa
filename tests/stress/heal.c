/*
 * Healing under load: kcompactd makes large blocks while programs use the memory it moves.
 *
 *   1. Four fifths of the machine's memory are written, in random order, and then touched
 *      at random: neighbours in memory belong to pages of any place and any age.
 *   2. All blocks of order 9 that were never used are taken away, and every second page is
 *      given back: much is free, in pieces.
 *   3. Four threads read and write the rest, each its own pages, and compare every word;
 *      first without compaction, then with kcompactd at its most eager, until it is done.
 *   4. There must be more large blocks than before, all of the contents, and every law.
 *
 *   page i   |w0|w1|....................|w511|    word k = value_of(i, version) + k
 *   thread t    owns the pages 2 * (4 * n + t)
 *
 * The time of each access goes into a histogram with 32 steps for each power of two. It
 * includes reading the clock, about 20 ns. Times are told, never judged.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stress.h"

#define HEAL_THREADS 4u
#define HUGE_ORDER 9u
#define HUGE_BLOCKS_MAX 1024u
#define GFP_NOWAIT_BITS 0x2000u /* never compacts, never reclaims */
#define STEP_BITS 5u
#define NR_STEPS (60u << STEP_BITS)
#define POLL_NS UINT64_C(10000000)
#define QUIET_POLLS 10u /* without a page moved: kcompactd is done */

/* What a phase measured, of one thread or of all. */
struct times {
	uint64_t step[NR_STEPS];
	uint64_t count, max_ns;
};

struct heal {
	struct world *world;
	struct neap_region *region;
	uint32_t nr_pages;
	uint32_t *version; /* of each page; 0: never written, or given back */
	_Atomic uint32_t stop;
};

struct user {
	struct heal *heal;
	uint32_t id;
	uint64_t rng;
	struct neap_thread *thread;
	struct times times;
};

static uint64_t time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- times ---- */

static uint32_t step_of(uint64_t ns)
{
	uint32_t top = 63u - (uint32_t)__builtin_clzll(ns | (1u << STEP_BITS));

	return ((top - STEP_BITS) << STEP_BITS) + (uint32_t)(ns >> (top - STEP_BITS));
}

/* The greatest time of a step, below 2^(STEP_BITS + 1) the time itself. */
static uint64_t step_ns(uint32_t step)
{
	uint32_t shift = step >> STEP_BITS;

	if (shift == 0)
		return step;
	shift--;
	return ((((uint64_t)step & ((1u << STEP_BITS) - 1)) + (1u << STEP_BITS) + 1) << shift) - 1;
}

static void times_add(struct times *times, uint64_t ns)
{
	uint32_t step = step_of(ns);

	times->step[step < NR_STEPS ? step : NR_STEPS - 1]++;
	times->count++;
	times->max_ns = ns > times->max_ns ? ns : times->max_ns;
}

static void times_merge(struct times *to, const struct times *from)
{
	for (uint32_t i = 0; i < NR_STEPS; i++)
		to->step[i] += from->step[i];
	to->count += from->count;
	to->max_ns = from->max_ns > to->max_ns ? from->max_ns : to->max_ns;
}

/* per_million: 999000 is the time that one access in a thousand exceeds. */
static uint64_t times_quantile_ns(const struct times *times, uint64_t per_million)
{
	uint64_t left = times->count * per_million / 1000000;
	uint32_t step = 0;

	while (step + 1 < NR_STEPS && left >= times->step[step])
		left -= times->step[step++];
	uint64_t ns = step_ns(step);

	return ns < times->max_ns ? ns : times->max_ns;
}

static void times_print(const struct times *times, const char *when)
{
	printf("heal: %s: %" PRIu64 " accesses, p50 %" PRIu64 " ns, p99 %" PRIu64
	       " ns, p99.9 %" PRIu64 " ns, p99.99 %" PRIu64 " ns, max %" PRIu64 " ns\n",
	       when, times->count, times_quantile_ns(times, 500000),
	       times_quantile_ns(times, 990000), times_quantile_ns(times, 999000),
	       times_quantile_ns(times, 999900), times->max_ns);
	fflush(stdout);
}

/* ---- pages ---- */

static uint64_t value_of(const struct heal *h, uint32_t page)
{
	return h->version[page] == 0 ? 0 : mix(((uint64_t)page << 32) + h->version[page]);
}

static void page_write(struct heal *h, uint32_t page)
{
	uint64_t data[PAGE_WORDS];

	h->version[page]++;
	for (uint32_t i = 0; i < PAGE_WORDS; i++)
		data[i] = value_of(h, page) + i;
	if (neap_write(h->region, (uint64_t)page * NEAP_PAGE_SIZE, data, sizeof(data)) != 0)
		fail(h->world, "page %" PRIu32 " cannot be written", page);
}

static void page_check(struct heal *h, uint32_t page)
{
	uint64_t data[PAGE_WORDS];
	uint64_t base = value_of(h, page);

	if (neap_read(h->region, (uint64_t)page * NEAP_PAGE_SIZE, data, sizeof(data)) != 0)
		fail(h->world, "page %" PRIu32 " cannot be read", page);
	for (uint32_t i = 0; i < PAGE_WORDS; i++)
		if (data[i] != (base == 0 ? 0 : base + i))
			fail(h->world, "page %" PRIu32 ": word %" PRIu32 " is %016" PRIx64, page, i,
			     data[i]);
}

/* One timed access to a word of a page. */
static void word_access(struct user *user, uint32_t page, uint32_t word, bool write)
{
	struct heal *h = user->heal;
	uint64_t offset = (uint64_t)page * NEAP_PAGE_SIZE + (uint64_t)word * sizeof(uint64_t);
	uint64_t want = value_of(h, page) + word;
	uint64_t value = want;
	uint64_t start_ns = time_ns();
	int err = write ? neap_write(h->region, offset, &value, sizeof(value))
			: neap_read(h->region, offset, &value, sizeof(value));

	times_add(&user->times, time_ns() - start_ns);
	if (err != 0 || value != want)
		fail(h->world,
		     "page %" PRIu32 " word %" PRIu32 ": result %d, %016" PRIx64
		     " should be %016" PRIx64,
		     page, word, err, value, want);
}

static int user_main(void *arg)
{
	struct user *user = arg;
	struct heal *h = user->heal;
	uint32_t nr_own = h->nr_pages / 2 / HEAL_THREADS;

	while (atomic_load_explicit(&h->stop, memory_order_relaxed) == 0) {
		uint64_t r = rng_next(&user->rng);
		uint32_t page = 2 * ((uint32_t)(r % nr_own) * HEAL_THREADS + user->id);

		if ((r >> 40) % 64 == 0)
			page_write(h, page);
		else
			word_access(user, page, (uint32_t)(r >> 48) % PAGE_WORDS, (r >> 32) & 1);
	}
	return 0;
}

/* Writes every page once in random order, and touches as many at random. */
static void pages_fill(struct heal *h, uint64_t rng)
{
	uint32_t *order = malloc(h->nr_pages * sizeof(*order));

	if (order == NULL)
		fail(h->world, "no memory");
	for (uint32_t i = 0; i < h->nr_pages; i++) {
		uint32_t other = (uint32_t)(rng_next(&rng) % (i + 1));

		order[i] = order[other];
		order[other] = i;
	}
	for (uint32_t i = 0; i < h->nr_pages; i++)
		page_write(h, order[i]);
	for (uint32_t i = 0; i < h->nr_pages; i++)
		if (neap_access(h->region, rng_next(&rng) % h->nr_pages, false) != 0)
			fail(h->world, "a page cannot be touched");
	free(order);
}

/* ---- blocks ---- */

/* Free blocks of order 9 and more, counted in blocks of order 9. */
static uint64_t huge_blocks(struct world *w)
{
	char *text;
	uint64_t blocks = 0;

	if (neap_proc_text(w->machine, "buddyinfo", &text) < 0)
		fail(w, "no buddyinfo: %s", neap_machine_error(w->machine));
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char *at = strstr(line, "zone ");
		uint64_t count = 0;

		/* Node 0, zone   Normal  n0 n1 ... n10 */
		at = at == NULL ? line : at + strcspn(at, "0123456789");
		for (uint32_t order = 0; order <= HUGE_ORDER + 1 && *at != '\0'; order++) {
			count = strtoull(at, &at, 10);
			if (order >= HUGE_ORDER)
				blocks += count << (order - HUGE_ORDER);
		}
	}
	free(text);
	return blocks;
}

/* Takes blocks of order 9 as long as there are any. => how many */
static uint32_t take_blocks(struct world *w, struct neap_block **block)
{
	uint32_t nr = 0;

	while (nr < HUGE_BLOCKS_MAX && neap_block_alloc(w->machine, HUGE_ORDER, GFP_NOWAIT_BITS,
							NEAP_ANY_NODE, &block[nr]) == 0)
		nr++;
	return nr;
}

static void give_blocks(struct world *w, struct neap_block **block, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		neap_block_free(w->machine, block[i]);
}

/* ---- the run ---- */

static void knob(struct world *w, const char *name, const char *value)
{
	if (neap_sysctl_write(w->machine, name, value, strlen(value)) < 0)
		fail(w, "%s=%s: %s", name, value, neap_machine_error(w->machine));
}

/* Waits so long; with kcompactd at work only until it is done. */
static void phase_wait(struct world *w, uint64_t seconds, bool compacts)
{
	uint64_t end_ns = time_ns() + seconds * 1000000000;
	uint64_t begun = neap_counter(w->machine, "pgmigrate_success");
	uint64_t moved = begun;

	for (uint32_t quiet = 0; time_ns() < end_ns && quiet < QUIET_POLLS;) {
		neap_sleep(w->machine, POLL_NS);
		guard_step(GUARD_MAIN);
		uint64_t now = neap_counter(w->machine, "pgmigrate_success");

		quiet = compacts && now == moved && now != begun ? quiet + 1 : 0;
		moved = now;
	}
}

/* The threads work meanwhile. => what they measured, in *sum */
static void phase(struct heal *h, uint64_t seconds, bool compacts, struct times *sum)
{
	static struct user user[HEAL_THREADS];
	struct world *w = h->world;

	atomic_store(&h->stop, 0);
	memset(sum, 0, sizeof(*sum));
	for (uint32_t i = 0; i < HEAL_THREADS; i++) {
		memset(&user[i], 0, sizeof(user[i]));
		user[i].heal = h;
		user[i].id = i;
		user[i].rng = mix(w->seed + i);
		if (neap_thread_start(w->machine, "user", (int)i, user_main, &user[i],
				      &user[i].thread) != 0)
			fail(w, "a thread does not start");
	}
	if (compacts)
		knob(w, "compaction_proactiveness", "100");
	phase_wait(w, seconds, compacts);
	atomic_store(&h->stop, 1);
	for (uint32_t i = 0; i < HEAL_THREADS; i++) {
		if (neap_thread_join(w->machine, user[i].thread) != 0)
			fail(w, "thread %" PRIu32 " failed", i);
		times_merge(sum, &user[i].times);
	}
}

/* => blocks of order 9 that compaction made */
static uint64_t heal_phases(struct heal *h)
{
	static struct times times;
	struct world *w = h->world;

	phase(h, w->opt->seconds / 2, false, &times);
	times_print(&times, "without compaction");
	uint64_t before = huge_blocks(w);
	uint64_t moved = neap_counter(w->machine, "pgmigrate_success");

	phase(h, w->opt->seconds - w->opt->seconds / 2, true, &times);
	times_print(&times, "beside kcompactd");
	knob(w, "compaction_proactiveness", "0");
	uint64_t after = huge_blocks(w);

	printf("heal: free blocks of order 9: %" PRIu64 ", then %" PRIu64 "; %" PRIu64
	       " pages moved, %" PRIu64 " not\n",
	       before, after, neap_counter(w->machine, "pgmigrate_success") - moved,
	       neap_counter(w->machine, "pgmigrate_fail"));
	return after > before ? after - before : 0;
}

static void heal_check(struct heal *h)
{
	for (uint32_t page = 0; page < h->nr_pages; page++)
		page_check(h, page);
	if (neap_verify(h->world->machine) != 0)
		fail(h->world, "neap_verify: %s", neap_machine_error(h->world->machine));
}

void heal_run(struct world *w)
{
	static struct neap_block *held[HUGE_BLOCKS_MAX], *made[HUGE_BLOCKS_MAX];
	struct heal h = { .world = w };

	h.nr_pages = (uint32_t)(w->memory / NEAP_PAGE_SIZE * 4 / 5) / (2 * HEAL_THREADS) *
		     (2 * HEAL_THREADS);
	h.version = calloc(h.nr_pages, sizeof(*h.version));
	if (h.version == NULL ||
	    neap_region_create(w->machine, (uint64_t)h.nr_pages * NEAP_PAGE_SIZE, 0, NEAP_ANY_NODE,
			       &h.region) != 0)
		fail(w, "no memory");
	knob(w, "compaction_proactiveness", "0");
	pages_fill(&h, mix(w->seed));
	uint32_t nr_held = take_blocks(w, held);

	for (uint32_t page = 1; page < h.nr_pages; page += 2) {
		if (neap_release(h.region, page, 1) < 0)
			fail(w, "page %" PRIu32 " cannot be given back", page);
		h.version[page] = 0;
	}
	uint64_t gained = heal_phases(&h);
	uint32_t nr_made = take_blocks(w, made);

	printf("heal: %" PRIu32 " blocks of order 9 could be had at once\n", nr_made);
	if (gained == 0 || nr_made == 0)
		fail(w, "no block of order 9 was made");
	give_blocks(w, made, nr_made);
	give_blocks(w, held, nr_held);
	heal_check(&h);
	neap_region_destroy(h.region);
	free(h.version);
}
