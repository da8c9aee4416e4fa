/*
 * What the tests of src/store share; see store_fixture.h.
 *
 * CHECK is used instead of cmocka's assertions wherever another thread than the
 * test's may run: cmocka jumps out of a failing test, which only its own thread can.
 */
#include "store_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint64_t fixture_seed(void)
{
	const char *text = getenv("NEAP_SEED");
	uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 20240611;

	print_message("seed %" PRIu64 "\n", seed);
	return seed;
}

/* ---- hardware ---- */

static void *frame_window(struct hw *hw, uint32_t pfn)
{
	return fixture_frame(container_of(hw, struct fixture_hw, hw), pfn);
}

static uint64_t *hw_tag(struct hw *hw, uint32_t pfn)
{
	struct fixture_hw *fixture = container_of(hw, struct fixture_hw, hw);

	CHECK(pfn < fixture->nr_frames);
	return fixture->tags == NULL ? NULL : &fixture->tags[pfn];
}

static const struct hw_ops fixture_hw_ops = {
	.window = frame_window,
	.tag = hw_tag,
};

void fixture_hw_init(struct fixture_hw *hw, uint32_t nr_frames, bool tags)
{
	hw->hw = (struct hw){ .ops = &fixture_hw_ops, .caps = tags ? HW_CAP_TAGS : 0 };
	hw->nr_frames = nr_frames;
	hw->bytes = calloc(nr_frames, NEAP_PAGE_BYTES);
	hw->tags = tags ? calloc(nr_frames, sizeof(*hw->tags)) : NULL;
	CHECK(hw->bytes != NULL && (!tags || hw->tags != NULL));
}

void fixture_hw_free(struct fixture_hw *hw)
{
	free(hw->bytes);
	free(hw->tags);
}

char *fixture_frame(struct fixture_hw *hw, uint32_t pfn)
{
	CHECK(pfn < hw->nr_frames);
	return hw->bytes + (size_t)pfn * NEAP_PAGE_BYTES;
}

static uint64_t pattern(uint64_t page, uint64_t version)
{
	return version == 0 ? 0 : mix_u64(page * 1000003 + version);
}

void fixture_fill(struct fixture_hw *hw, uint32_t pfn, uint64_t page, uint64_t version)
{
	uint64_t value = pattern(page, version);
	char *frame = fixture_frame(hw, pfn);

	if (hw->tags != NULL) {
		hw->tags[pfn] = value;
		return;
	}
	for (size_t at = 0; at < NEAP_PAGE_BYTES; at += sizeof(value))
		memcpy(frame + at, &value, sizeof(value));
}

bool fixture_matches(struct fixture_hw *hw, uint32_t pfn, uint64_t page, uint64_t version)
{
	uint64_t value = pattern(page, version);
	const char *frame = fixture_frame(hw, pfn);

	if (hw->tags != NULL)
		return hw->tags[pfn] == value;
	for (size_t at = 0; at < NEAP_PAGE_BYTES; at += sizeof(value))
		if (memcmp(frame + at, &value, sizeof(value)) != 0)
			return false;
	return true;
}

/* ---- virtual time ---- */

static struct fixture_rt *rt_of(const struct task *t)
{
	return container_of(t->rt, struct fixture_rt, rt);
}

bool fixture_step(struct fixture_rt *rt)
{
	struct fixture_event event;
	uint32_t best = 0;

	if (rt->nr_events == 0)
		return false;
	for (uint32_t i = 1; i < rt->nr_events; i++) {
		const struct fixture_event *e = &rt->events[i];

		if (e->at_ns < rt->events[best].at_ns ||
		    (e->at_ns == rt->events[best].at_ns && e->order < rt->events[best].order))
			best = i;
	}
	event = rt->events[best];
	rt->events[best] = rt->events[--rt->nr_events];
	if (event.at_ns > rt->now_ns)
		rt->now_ns = event.at_ns;
	event.fn(&rt->irq[event.cpu], event.arg, event.a, event.b);
	return true;
}

static int virtual_wait(struct task *t, _Atomic uint32_t *word, uint32_t expect,
			uint64_t timeout_ns)
{
	CHECK(timeout_ns == RT_FOREVER);
	while (atomic_load(word) == expect)
		if (!fixture_step(rt_of(t)))
			fail_msg("stuck: a task waits and nothing will ever happen");
	return 0;
}

static void virtual_wake(struct task *t, _Atomic uint32_t *word, uint32_t nr)
{
	(void)t;
	(void)word;
	(void)nr;
}

static int virtual_call_at(struct task *t, uint32_t cpu, uint64_t at_ns, rt_call_fn fn, void *arg,
			   uint64_t a, uint64_t b)
{
	struct fixture_rt *rt = rt_of(t);

	CHECK(cpu < FIXTURE_CPUS);
	if (rt->nr_events == ARRAY_LEN(rt->events))
		return -ENOMEM;
	rt->events[rt->nr_events++] = (struct fixture_event){
		.at_ns = at_ns,
		.order = rt->next_order++,
		.cpu = cpu,
		.fn = fn,
		.arg = arg,
		.a = a,
		.b = b,
	};
	return 0;
}

static void flag_raise(struct task *irq, void *arg, uint64_t a, uint64_t b)
{
	bool *flag = arg;

	(void)irq;
	(void)a;
	(void)b;
	*flag = true;
}

static void virtual_sleep(struct task *t, uint64_t ns)
{
	bool over = false;

	CHECK(virtual_call_at(t, 0, rt_of(t)->now_ns + ns, flag_raise, &over, 0, 0) == 0);
	while (!over)
		CHECK(fixture_step(rt_of(t)));
}

static void virtual_preempt(struct task *t)
{
	(void)t; /* nobody else is there */
}

static void virtual_yield(struct task *t)
{
	(void)fixture_step(rt_of(t));
}

static uint64_t virtual_now(struct task *t)
{
	return rt_of(t)->now_ns;
}

static void virtual_contended(struct task *t, struct spinlock *lock, enum lock_class class)
{
	(void)t;
	(void)lock;
	(void)class;
	CHECK(false); /* one thread, and nothing sleeps with a lock: nobody can hold it */
}

static const struct rt_ops virtual_ops = {
	.wait = virtual_wait,
	.preempt = virtual_preempt,
	.wake = virtual_wake,
	.sleep = virtual_sleep,
	.yield = virtual_yield,
	.now = virtual_now,
	.peek = virtual_now,
	.lock_contended = virtual_contended,
	.call_at = virtual_call_at,
};

/* ---- threads ---- */

static int live_wait(struct task *t, _Atomic uint32_t *word, uint32_t expect, uint64_t timeout_ns)
{
	(void)t;
	CHECK(timeout_ns == RT_FOREVER);
	(void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expect, NULL, NULL, 0);
	return 0; /* callers look at the word again, whatever ended the wait */
}

static void live_wake(struct task *t, _Atomic uint32_t *word, uint32_t nr)
{
	(void)t;
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, nr > INT_MAX ? INT_MAX : (int)nr, NULL,
		      NULL, 0);
}

static void live_yield(struct task *t)
{
	(void)t;
	sched_yield();
}

static uint64_t live_now(struct task *t)
{
	struct timespec ts;

	(void)t;
	CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void live_contended(struct task *t, struct spinlock *lock, enum lock_class class)
{
	(void)t;
	(void)lock;
	(void)class;
	sched_yield();
}

static const struct rt_ops live_ops = {
	.wait = live_wait,
	.wake = live_wake,
	.yield = live_yield,
	.now = live_now,
	.peek = live_now,
	.lock_contended = live_contended,
};

/* ---- both ---- */

static void rt_init(struct fixture_rt *rt, const struct rt_ops *ops, bool virtual_time)
{
	memset(rt, 0, sizeof(*rt));
	rt->rt.ops = ops;
	rt->rt.slots = rt->slots;
	rt->rt.nr_slots = FIXTURE_CPUS;
	rt->rt.virtual_time = virtual_time;
	for (uint32_t cpu = 0; cpu < FIXTURE_CPUS; cpu++) {
		rt->slots[cpu].cpu = cpu;
		fixture_task(rt, &rt->irq[cpu], 1000 + cpu, cpu);
		rt->irq[cpu].flags = PF_IRQ;
	}
}

void fixture_rt_virtual(struct fixture_rt *rt)
{
	rt_init(rt, &virtual_ops, true);
}

void fixture_rt_live(struct fixture_rt *rt)
{
	rt_init(rt, &live_ops, false);
}

void fixture_task(struct fixture_rt *rt, struct task *t, uint32_t id, uint32_t cpu)
{
	memset(t, 0, sizeof(*t));
	t->rt = &rt->rt;
	t->slot = &rt->slots[cpu];
	t->id = id;
}

static void *reaper_main(void *arg)
{
	struct fixture_reaper *reaper = arg;

	while (atomic_load(&reaper->stop) == 0) /* event loop */
		(void)reaper->host->ops->reap(reaper->host, &reaper->task);
	return NULL;
}

void fixture_reaper_start(struct fixture_reaper *reaper, struct fixture_rt *rt,
			  struct store_host *host)
{
	pthread_t thread;

	memset(reaper, 0, sizeof(*reaper));
	reaper->host = host;
	if (!host->needs_reaper)
		return;
	fixture_task(rt, &reaper->task, 999, 0);
	CHECK(pthread_create(&thread, NULL, reaper_main, reaper) == 0);
	reaper->thread = (uint64_t)thread;
}

void fixture_reaper_stop(struct fixture_reaper *reaper)
{
	if (!reaper->host->needs_reaper)
		return;
	atomic_store(&reaper->stop, 1);
	reaper->host->ops->kick(reaper->host);
	CHECK(pthread_join((pthread_t)reaper->thread, NULL) == 0);
}

/* ---- single transfers ---- */

static void book_done(void *ctx, struct task *t, uint64_t cookie, int err)
{
	struct fixture_book *book = ctx;
	struct fixture_answer *answer = &book->answers[cookie];

	CHECK(t->held == 0 && t->pin_depth == 0);
	answer->err = err;
	answer->at_ns = rt_now(t);
	answer->cpu = task_cpu(t);
	answer->sequence = atomic_load(&book->answered);
	CHECK(atomic_fetch_add(&answer->times, 1) == 0);
	atomic_fetch_add(&book->answered, 1);
	rt_wake(t, &book->answered, UINT32_MAX);
}

void fixture_book_attach(struct fixture_book *book, struct store *store)
{
	memset(book, 0, sizeof(*book));
	store->done = book_done;
	store->done_ctx = book;
}

void fixture_submit(struct fixture_book *book, const struct fixture_run *run)
{
	struct store_page *pages = calloc(run->nr, sizeof(*pages));

	CHECK(pages != NULL && run->nr <= ARRAY_LEN(book->answers));
	memset(book, 0, sizeof(*book));
	for (uint32_t i = 0; i < run->nr; i++)
		pages[i] = (struct store_page){ .offset = run->page + i,
						.cookie = i,
						.pfn = run->pfn + i };
	run->store->ops->submit(run->store, run->t, run->op, pages, run->nr, run->flags);
	/* The array belongs to the caller again: what the store still needs it has copied. */
	memset(pages, 0xa5, run->nr * sizeof(*pages));
	free(pages);
}

void fixture_wait(struct fixture_book *book, struct store *store, struct task *t, uint32_t nr)
{
	uint32_t seen = atomic_load(&book->answered);

	while (seen < nr) { /* event loop */
		store->host->ops->wait(store->host, t, &book->answered, seen);
		seen = atomic_load(&book->answered);
	}
	CHECK(seen == nr);
}

int fixture_transfer(struct fixture_book *book, const struct fixture_run *run)
{
	fixture_submit(book, run);
	fixture_wait(book, run->store, run->t, run->nr);
	for (uint32_t i = 0; i < run->nr; i++)
		if (book->answers[i].err != 0)
			return book->answers[i].err;
	return 0;
}

/* ---- the exerciser ---- */

static void exerciser_done(void *ctx, struct task *t, uint64_t cookie, int err)
{
	struct fixture_slot *slot = (struct fixture_slot *)(uintptr_t)cookie;
	struct fixture_exerciser *ex = slot->owner;

	(void)ctx;
	CHECK(t->held == 0 && t->pin_depth == 0);
	slot->err = err;
	CHECK(atomic_fetch_add(&slot->times, 1) == 0);
	atomic_fetch_add(&ex->answered, 1);
	rt_wake(t, &ex->answered, UINT32_MAX);
}

void fixture_exerciser_attach(struct store *store)
{
	store->done = exerciser_done;
	store->done_ctx = NULL;
}

void fixture_exerciser_init(struct fixture_exerciser *ex, uint64_t seed)
{
	CHECK(ex->nr_pages <= ARRAY_LEN(ex->shadow));
	rng_seed(&ex->rng, seed);
	ex->last_version = 0;
	ex->submitted = 0;
	ex->nr_errors = 0;
	atomic_store(&ex->answered, 0);
	memset(ex->shadow, 0, sizeof(ex->shadow));
	memset(ex->page_busy, 0, sizeof(ex->page_busy));
	memset(ex->slots, 0, sizeof(ex->slots));
	for (uint32_t i = 0; i < FIXTURE_SLOTS; i++)
		ex->slots[i].owner = ex;
}

static uint32_t slot_frame(const struct fixture_exerciser *ex, const struct fixture_slot *slot)
{
	return ex->first_frame + (uint32_t)(slot - ex->slots);
}

/* Looks at one answered slot and frees it. */
static void slot_settle(struct fixture_exerciser *ex, struct fixture_slot *slot)
{
	uint64_t index = slot->page - ex->first_page;

	CHECK(slot->err == 0 || ex->errors_expected);
	if (slot->err != 0)
		ex->nr_errors++;
	else if (slot->op == STORE_WRITE)
		ex->shadow[index] = slot->version;
	else
		CHECK(fixture_matches(ex->hw, slot_frame(ex, slot), slot->page, ex->shadow[index]));
	ex->page_busy[index] = false;
	slot->busy = false;
	atomic_store(&slot->times, 0);
}

static void exerciser_settle(struct fixture_exerciser *ex)
{
	for (uint32_t i = 0; i < FIXTURE_SLOTS; i++)
		if (ex->slots[i].busy && atomic_load(&ex->slots[i].times) != 0)
			slot_settle(ex, &ex->slots[i]);
}

static void exerciser_wait(struct fixture_exerciser *ex)
{
	struct store_host *host = ex->store->host;
	uint32_t seen = atomic_load(&ex->answered);

	while (seen != ex->submitted) { /* event loop */
		host->ops->wait(host, ex->t, &ex->answered, seen);
		seen = atomic_load(&ex->answered);
	}
}

static struct fixture_slot *slot_find(struct fixture_exerciser *ex)
{
	for (uint32_t i = 0; i < FIXTURE_SLOTS; i++)
		if (!ex->slots[i].busy)
			return &ex->slots[i];
	return NULL;
}

/* Adds a transfer of page `index` to a batch. => false if the page or all slots are busy */
static bool batch_add(struct fixture_exerciser *ex, enum store_op op, uint64_t index,
		      struct store_page *out)
{
	struct fixture_slot *slot = slot_find(ex);

	if (slot == NULL || index >= ex->nr_pages || ex->page_busy[index])
		return false;
	slot->page = ex->first_page + index;
	slot->op = op;
	slot->busy = true;
	slot->version = op == STORE_WRITE ? ++ex->last_version : 0;
	ex->page_busy[index] = true;
	if (op == STORE_WRITE)
		fixture_fill(ex->hw, slot_frame(ex, slot), slot->page, slot->version);
	else
		fixture_fill(ex->hw, slot_frame(ex, slot), slot->page, UINT64_MAX);
	*out = (struct store_page){ .offset = slot->page,
				    .cookie = (uint64_t)(uintptr_t)slot,
				    .pfn = slot_frame(ex, slot) };
	return true;
}

static void exerciser_submit(struct fixture_exerciser *ex)
{
	struct store_page pages[96];
	uint32_t want = 1 + (uint32_t)rng_below(&ex->rng, ARRAY_LEN(pages));
	enum store_op op = rng_below(&ex->rng, 2) == 0 ? STORE_READ : STORE_WRITE;
	uint32_t flags = rng_below(&ex->rng, 3) == 0 ? STORE_OWN : 0;
	uint64_t index = rng_below(&ex->rng, ex->nr_pages);
	uint32_t nr = 0;

	for (uint32_t i = 0; i < want; i++) {
		if (batch_add(ex, op, index, &pages[nr]))
			nr++;
		index = rng_below(&ex->rng, 8) == 0 ? rng_below(&ex->rng, ex->nr_pages) : index + 1;
	}
	ex->submitted += nr;
	ex->store->ops->submit(ex->store, ex->t, op, pages, nr, flags);
	if (flags & STORE_OWN)
		exerciser_wait(ex);
}

void fixture_exerciser_run(struct fixture_exerciser *ex, uint32_t submits)
{
	for (uint32_t i = 0; i < submits; i++) {
		exerciser_submit(ex);
		if (rng_below(&ex->rng, 16) == 0)
			exerciser_wait(ex);
		exerciser_settle(ex);
		if (slot_find(ex) == NULL)
			fixture_exerciser_drain(ex);
	}
}

void fixture_exerciser_drain(struct fixture_exerciser *ex)
{
	exerciser_wait(ex);
	exerciser_settle(ex);
	for (uint32_t i = 0; i < FIXTURE_SLOTS; i++)
		CHECK(!ex->slots[i].busy);
}

void fixture_exerciser_check_all(struct fixture_exerciser *ex)
{
	fixture_exerciser_drain(ex);
	for (uint32_t first = 0; first < ex->nr_pages; first += FIXTURE_SLOTS) {
		struct store_page pages[FIXTURE_SLOTS];
		uint32_t nr = min_u32(FIXTURE_SLOTS, ex->nr_pages - first);

		for (uint32_t i = 0; i < nr; i++)
			CHECK(batch_add(ex, STORE_READ, first + i, &pages[i]));
		ex->submitted += nr;
		ex->store->ops->submit(ex->store, ex->t, STORE_READ, pages, nr, STORE_OWN);
		fixture_exerciser_drain(ex);
	}
}
