/*
 * test_rt_sim_order.c: the runtime in virtual time, what holds for whole programs.
 *
 * Same seed, same bytes; no effect before its cause; locks and slots exclude also
 * when every lock operation may switch CPUs; a program that cannot go on says
 * why; stacks are as deep as they need to be. How tests simulate work is in
 * rt_bench.h.
 */
#include "base/rng.h"
#include "rt_bench.h"

/* ---- determinism and causality ---- */

#define TRACE_MAX 20000u
#define CHATTERS 12u

struct trace_entry {
	uint64_t now_ns;
	uint64_t value;
	uint32_t cpu;
	uint32_t task;
};

struct chat {
	struct trace_entry *trace;
	uint32_t nr;
	struct spinlock lock;
	uint64_t counted;
	uint64_t per_slot[MAX_CPUS];
	uint64_t pins;
	_Atomic uint32_t words[4];
};

static void chat_note(struct task *t, struct chat *chat, uint64_t value)
{
	CHECK(chat->nr < TRACE_MAX);
	chat->trace[chat->nr++] = (struct trace_entry){
		.now_ns = rt_now(t), .value = value, .cpu = task_cpu(t), .task = t->id
	};
}

/* Counts under the lock and in its slot, with preempt points inside when exploring. */
static void chat_count(struct task *t, struct chat *chat)
{
	uint32_t cpu;

	cpu_pin(t);
	cpu = task_cpu(t);
	uint64_t slot_before = chat->per_slot[cpu];

	spin_lock(t, &chat->lock, LOCK_ZONE);
	uint64_t before = chat->counted;

	count(t, ITEM_NS, 300);
	if (t->rt->explore)
		t->rt->ops->preempt(t);
	chat->counted = before + 1;
	spin_unlock(t, &chat->lock, LOCK_ZONE);
	CHECK(task_cpu(t) == cpu);
	chat->per_slot[cpu] = slot_before + 1;
	chat->pins++;
	cpu_unpin(t);
}

/* Takes another CPU's slot, as a drain does, and meets locks meanwhile. */
static void chat_drain(struct task *t, struct chat *chat, uint32_t cpu)
{
	struct cpu_slot *slot = &t->rt->slots[cpu];

	assert_true(slot_take_remote(t, slot));
	uint64_t before = chat->per_slot[cpu];

	spin_lock(t, &chat->lock, LOCK_ZONE);
	chat->counted++;
	spin_unlock(t, &chat->lock, LOCK_ZONE);
	chat->per_slot[cpu] = before + 1;
	chat->pins++;
	slot_put_remote(t, slot);
}

static void chat_step(struct task *t, struct chat *chat)
{
	uint32_t which = (uint32_t)(rt_random(t) % 4);
	_Atomic uint32_t *word = &chat->words[which];
	uint32_t seen = atomic_load(word);
	uint64_t timeout_ns = rt_random(t) % (200 * USEC);

	switch (rt_random(t) % 6) {
	case 0:
		atomic_store(word, seen + 1);
		rt_wake(t, word, 1 + (uint32_t)(rt_random(t) % 3));
		break;
	case 1:
		rt_wait(t, word, seen, timeout_ns);
		break;
	case 2:
		rt_sleep(t, timeout_ns);
		break;
	case 3:
		rt_yield(t);
		break;
	case 4:
		chat_drain(t, chat, (uint32_t)(rt_random(t) % t->rt->nr_slots));
		break;
	default:
		work(t, timeout_ns / 4);
	}
}

static int chat_main(struct task *t, void *arg)
{
	struct chat *chat = arg;

	for (uint32_t i = 0; i < 100; i++) {
		chat_note(t, chat, i);
		chat_step(t, chat);
		chat_count(t, chat);
	}
	return 0;
}

static void chat_called(struct task *irq, void *arg, uint64_t a, uint64_t b)
{
	struct chat *chat = arg;

	(void)b;
	chat_note(irq, chat, a);
	chat_count(irq, chat);
	rt_wake(irq, &chat->words[a % 4], 1);
}

static int chat_all(struct task *t, void *arg)
{
	struct task *children[CHATTERS];

	for (uint32_t i = 0; i < CHATTERS; i++) {
		const struct task_spec spec = { .name = "chat",
						.fn = chat_main,
						.arg = arg,
						.flags = i % 4 == 0 ? PF_KTHREAD : 0 };

		CHECK(rt_spawn(t, &spec, &children[i]) == 0);
	}
	for (uint32_t i = 0; i < 200; i++)
		CHECK(t->rt->ops->call_at(t, i % t->rt->nr_slots, i * 11 * USEC, chat_called, arg,
					  i, 0) == 0);
	for (uint32_t i = 0; i < CHATTERS; i++)
		rt_join(t, children[i]);
	rt_sleep(t, 3 * MSEC);
	return 0;
}

/* Runs the program with a seed and returns its trace, to be freed. */
static struct trace_entry *chat_run(uint64_t seed, bool explore, uint32_t nr_cpus, uint32_t *nr_out)
{
	struct rt_sim_config config = plain_config(nr_cpus);
	struct chat chat = { .nr = 0 };
	uint64_t sum = 0;
	struct bench bench;

	config.seed = seed;
	config.explore = explore;
	config.wake_latency_ns = 2 * USEC;
	chat.trace = calloc(TRACE_MAX, sizeof(*chat.trace));
	assert_non_null(chat.trace);
	bench_open(&bench, &config);
	assert_int_equal(rt_sim_run(bench.rt, chat_all, &chat), 0);
	for (uint32_t cpu = 0; cpu < MAX_CPUS; cpu++)
		sum += chat.per_slot[cpu];
	assert_int_equal(sum, chat.pins);
	assert_int_equal(chat.counted, chat.pins);
	assert_true(chat.pins >= CHATTERS * 100 + 200);
	rt_sim_destroy(bench.rt);
	*nr_out = chat.nr;
	return chat.trace;
}

/* The same in every build: compilers and optimization do not show in a trace. */
static uint64_t chat_hash(const struct trace_entry *trace, uint32_t nr)
{
	uint64_t hash = nr;

	for (uint32_t i = 0; i < nr; i++) {
		hash = mix_u64(hash + trace[i].now_ns);
		hash = mix_u64(hash + trace[i].value);
		hash = mix_u64(hash + trace[i].cpu + ((uint64_t)trace[i].task << 32));
	}
	return hash;
}

static void check_seeds(uint64_t seed, bool explore, uint32_t nr_cpus)
{
	uint32_t nr_first, nr_second, nr_other;
	struct trace_entry *first = chat_run(seed, explore, nr_cpus, &nr_first);
	struct trace_entry *second = chat_run(seed, explore, nr_cpus, &nr_second);
	struct trace_entry *other = chat_run(seed + 1, explore, nr_cpus, &nr_other);

	print_message("%u CPUs%s: trace %016llx\n", nr_cpus, explore ? " exploring" : "",
		      (unsigned long long)chat_hash(first, nr_first));
	assert_int_equal(nr_first, nr_second);
	assert_memory_equal(first, second, nr_first * sizeof(*first));
	assert_true(nr_first != nr_other || memcmp(first, other, nr_first * sizeof(*first)) != 0);
	free(first);
	free(second);
	free(other);
}

static void test_same_seed_same_bytes(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (uint32_t nr_cpus = 1; nr_cpus <= MAX_CPUS; nr_cpus++) {
		check_seeds(seed + nr_cpus, false, nr_cpus);
		check_seeds(seed + nr_cpus, true, nr_cpus);
	}
}

/* Within one CPU, and for one task, time never goes back. */
static void test_time_goes_forward(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (uint32_t round = 0; round < 16; round++) {
		uint64_t task_ns[CHATTERS + 2] = { 0 };
		uint64_t cpu_ns[MAX_CPUS] = { 0 };
		uint32_t nr;
		struct trace_entry *trace = chat_run(seed + round, round % 2 != 0, 4, &nr);

		for (uint32_t i = 0; i < nr; i++) {
			assert_true(trace[i].now_ns >= cpu_ns[trace[i].cpu]);
			cpu_ns[trace[i].cpu] = trace[i].now_ns;
			if (trace[i].task == 0)
				continue;
			assert_true(trace[i].now_ns >= task_ns[trace[i].task]);
			task_ns[trace[i].task] = trace[i].now_ns;
		}
		free(trace);
	}
}

struct relay {
	_Atomic uint32_t word;
	uint64_t sent_ns[502]; /* when the word got this value */
	uint32_t nr_woken;
};

static int relay_send(struct task *t, void *arg)
{
	struct relay *relay = arg;

	for (uint32_t i = 0; i < 500; i++) {
		/* Long stretches without a preempt point let this CPU's clock run ahead. */
		count(t, ITEM_NS, rt_random(t) % (100 * USEC));
		relay->sent_ns[i + 1] = rt_now(t);
		atomic_fetch_add(&relay->word, 1);
		rt_wake(t, &relay->word, 1);
		rt_preempt(t);
		rt_sleep(t, rt_random(t) % (50 * USEC));
	}
	atomic_store(&relay->word, UINT32_MAX);
	rt_wake(t, &relay->word, UINT32_MAX);
	return 0;
}

static int relay_receive(struct task *t, void *arg)
{
	struct relay *relay = arg;

	for (;;) { /* event loop */
		uint32_t seen = atomic_load(&relay->word);

		if (seen == UINT32_MAX)
			return 0;
		if (rt_wait(t, &relay->word, seen, RT_FOREVER) != 0)
			continue;
		relay->nr_woken++;
		CHECK(rt_now(t) >= relay->sent_ns[seen + 1]);
	}
}

static int busy_beside(struct task *t, void *arg)
{
	(void)arg;
	work(t, 20 * MSEC);
	return 0;
}

static int relay_all(struct task *t, void *arg)
{
	const struct task_spec send = { .name = "send", .fn = relay_send, .arg = arg };
	const struct task_spec receive = { .name = "receive", .fn = relay_receive, .arg = arg };
	const struct task_spec busy = { .name = "busy", .fn = busy_beside };
	struct task *children[4] = { spawn_on(t, &receive, 1), spawn_on(t, &busy, 1),
				     spawn_on(t, &send, 0), spawn_on(t, &busy, 2) };

	for (uint32_t i = 0; i < 4; i++)
		rt_join(t, children[i]);
	return 0;
}

/* No effect before its cause: who is woken at time T runs at T or later. */
static void test_causality(void **state)
{
	struct relay relay = { .nr_woken = 0 };
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 3);
	assert_int_equal(rt_sim_run(bench.rt, relay_all, &relay), 0);
	assert_true(relay.nr_woken > 3);
	rt_sim_destroy(bench.rt);
}

static int end_ahead(struct task *t, void *arg)
{
	(void)arg;
	count(t, ITEM_NS, 3 * MSEC);
	return 5;
}

static int join_late(struct task *t, void *arg)
{
	const struct task_spec spec = { .name = "ahead", .fn = end_ahead, .arg = arg };
	struct task *child = spawn_on(t, &spec, 1);

	/* The child's CPU runs first and finishes at 3 ms of its own clock. */
	rt_sleep(t, 1 * USEC);
	CHECK(rt_now(t) < 3 * MSEC);
	CHECK(rt_join(t, child) == 5);
	return (int)rt_now(t);
}

static void test_join_keeps_causality(void **state)
{
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 2);
	assert_int_equal(rt_sim_run(bench.rt, join_late, NULL), 3 * MSEC);
	rt_sim_destroy(bench.rt);
}

/* CPUs with work for ever stay within a quantum and one stretch of each other. */
static int watch_skew(struct task *t, void *arg)
{
	uint64_t *worst_ns = arg;

	for (uint32_t i = 0; i < 2000; i++) {
		uint64_t now_ns = rt_now(t);

		for (uint32_t cpu = 0; cpu < t->rt->nr_slots; cpu++) {
			uint64_t other_ns = rt_sim_cpu_clock_ns(t->rt, cpu);

			if (other_ns < now_ns)
				*worst_ns = max_u64(*worst_ns, now_ns - other_ns);
		}
		work(t, USEC);
	}
	return 0;
}

static int skew_all(struct task *t, void *arg)
{
	const struct task_spec spec = { .name = "skew", .fn = watch_skew, .arg = arg };
	struct task *children[4];

	for (uint32_t cpu = 0; cpu < 4; cpu++)
		children[cpu] = spawn_on(t, &spec, cpu);
	for (uint32_t cpu = 0; cpu < 4; cpu++)
		rt_join(t, children[cpu]);
	return 0;
}

static void test_clocks_stay_together(void **state)
{
	uint64_t worst_ns = 0;
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 4);
	assert_int_equal(rt_sim_run(bench.rt, skew_all, &worst_ns), 0);
	assert_in_range(worst_ns, 1, 21 * USEC);
	rt_sim_destroy(bench.rt);
}

/* ---- what stops the program ---- */

static _Atomic uint32_t never;

static int wait_for_ever(struct task *t, void *arg)
{
	(void)arg;
	work(t, 40 * USEC);
	return rt_wait(t, &never, 0, RT_FOREVER);
}

static int join_for_ever(struct task *t, void *arg)
{
	const struct task_spec spec = { .name = "kswapd0", .fn = wait_for_ever, .arg = arg };

	return rt_join(t, spawn_on(t, &spec, 1));
}

static void stand_still(void)
{
	struct bench bench;

	bench_open_plain(&bench, 2);
	rt_sim_run(bench.rt, join_for_ever, NULL);
}

static void test_deadlock_message(void **state)
{
	char text[2048];

	(void)state;
	assert_true(aborts(stand_still, text, sizeof(text)));
	assert_non_null(strstr(text, "neap: deadlock"));
	assert_non_null(strstr(text, "main (1) CPU 0: joins kswapd0 (2) since 0 ns\n"));
	assert_non_null(
		strstr(text, "kswapd0 (2) CPU 1: waits on a word that is 0 since 40000 ns\n"));
}

static struct spinlock lru_lock;
static struct spinlock zone_lock;

static int sleep_with_lock(struct task *t, void *arg)
{
	(void)arg;
	spin_lock(t, &lru_lock, LOCK_LRU);
	rt_sleep(t, 1);
	return 0;
}

static void run_sleep_with_lock(void)
{
	struct bench bench;

	bench_open_plain(&bench, 1);
	rt_sim_run(bench.rt, sleep_with_lock, NULL);
}

static void sleep_in_call(struct task *irq, void *arg, uint64_t a, uint64_t b)
{
	(void)arg;
	(void)a;
	(void)b;
	rt_sleep(irq, 1);
}

static int call_sleeper(struct task *t, void *arg)
{
	(void)arg;
	CHECK(t->rt->ops->call_at(t, 0, 10, sleep_in_call, NULL, 0, 0) == 0);
	rt_sleep(t, 100);
	return 0;
}

static void run_sleep_in_call(void)
{
	struct bench bench;

	bench_open_plain(&bench, 1);
	rt_sim_run(bench.rt, call_sleeper, NULL);
}

/* Takes the lock behind the back of the checks and lets others run. */
static int hide_lock(struct task *t, void *arg)
{
	(void)arg;
	atomic_store(&zone_lock.word, 1);
	rt_sleep(t, MSEC);
	return 0;
}

static int find_lock_taken(struct task *t, void *arg)
{
	const struct task_spec spec = { .name = "hider", .fn = hide_lock, .arg = arg };
	struct task *child = spawn_on(t, &spec, 1);

	rt_sleep(t, 10 * USEC);
	spin_lock(t, &zone_lock, LOCK_ZONE);
	return rt_join(t, child);
}

static void run_lock_taken(void)
{
	struct bench bench;

	bench_open_plain(&bench, 2);
	rt_sim_run(bench.rt, find_lock_taken, NULL);
}

static void run_lock_taken_exploring(void)
{
	struct rt_sim_config config = plain_config(2);
	struct bench bench;

	config.explore = true;
	bench_open(&bench, &config);
	rt_sim_run(bench.rt, find_lock_taken, NULL);
}

static int lru_then_zone(struct task *t, void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < 1000; i++) {
		spin_lock(t, &lru_lock, LOCK_LRU);
		spin_lock(t, &zone_lock, LOCK_ZONE);
		spin_unlock(t, &zone_lock, LOCK_ZONE);
		spin_unlock(t, &lru_lock, LOCK_LRU);
	}
	return 0;
}

static int zone_then_lru(struct task *t, void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < 1000; i++) {
		spin_lock(t, &zone_lock, LOCK_ZONE);
		spin_lock(t, &lru_lock, LOCK_LRU);
		spin_unlock(t, &lru_lock, LOCK_LRU);
		spin_unlock(t, &zone_lock, LOCK_ZONE);
	}
	return 0;
}

static int embrace(struct task *t, void *arg)
{
	const struct task_spec one = { .name = "one", .fn = lru_then_zone, .arg = arg };
	const struct task_spec two = { .name = "two", .fn = zone_then_lru, .arg = arg };
	struct task *first = spawn_on(t, &one, 0);
	struct task *second = spawn_on(t, &two, 1);

	rt_join(t, first);
	return rt_join(t, second);
}

static void run_embrace(void)
{
	struct rt_sim_config config = plain_config(2);
	struct bench bench;

	config.explore = true;
	bench_open(&bench, &config);
	rt_sim_run(bench.rt, embrace, NULL);
}

static void test_stops(void **state)
{
	char text[2048];

	(void)state;
	assert_true(aborts(run_sleep_with_lock, text, sizeof(text)));
	assert_non_null(
		strstr(text, "task main (1) must not sleep: it holds spin locks of class LRU"));
	assert_true(aborts(run_sleep_in_call, text, sizeof(text)));
	assert_non_null(strstr(text, "task irq/0 (0) must not sleep"));
	assert_true(aborts(run_lock_taken, text, sizeof(text)));
	assert_non_null(strstr(text, "main (1) on CPU 0 found spin lock ZONE taken"));
	assert_non_null(strstr(text, "was held across a preempt point"));
	assert_true(aborts(run_lock_taken_exploring, text, sizeof(text)));
	assert_non_null(strstr(text, "deadlock: "));
	assert_true(aborts(run_embrace, text, sizeof(text)));
	if (!NEAP_DEBUG_BUILD) {
		assert_non_null(strstr(text, "neap: deadlock: "));
		assert_non_null(strstr(text, "holds LRU"));
		assert_non_null(strstr(text, "holds ZONE"));
	}
}

/* Engine threads never stop: a program that nobody wakes is noticed all the same. */
static int work_for_ever(struct task *t, void *arg)
{
	const volatile bool *ends = arg; /* never */

	while (!*ends) /* event loop */
		rt_sleep(t, MSEC * 1000);
	return 0;
}

static int wait_for_nobody(struct task *t, void *arg)
{
	static _Atomic uint32_t word;
	static bool ends;
	const struct task_spec spec = {
		.name = "periodic", .fn = work_for_ever, .arg = &ends, .flags = PF_KTHREAD
	};

	(void)arg;
	(void)spawn_on(t, &spec, 1);
	/* As long as that is nothing to be told. */
	rt_wait(t, &word, 0, 10000 * 1000 * MSEC);
	rt_sleep(t, 10000 * 1000 * MSEC);
	CHECK(rt_now(t) >= 20000 * 1000 * MSEC);
	rt_wait(t, &word, 0, RT_FOREVER);
	return 0;
}

static void run_nobody(void)
{
	struct rt_sim_config config = plain_config(2);
	struct bench bench;

	config.explore = true;
	bench_open(&bench, &config);
	rt_sim_run(bench.rt, wait_for_nobody, NULL);
}

static void test_lost_wake_up_is_told(void **state)
{
	char text[2048];

	(void)state;
	assert_true(aborts(run_nobody, text, sizeof(text)));
	assert_non_null(strstr(text, "main (1) CPU 0: waits on a word that is 0"));
	assert_non_null(strstr(text, "a wake-up is lost: no program has run for 600 s"));
}

/* ---- entering a queue ---- */

#define DOOR_ROUNDS 50u
#define DOOR_SEEDS 10u

/* A door that somebody opens while another comes to it. */
static struct {
	struct waitq queue;
	_Atomic uint32_t open;
	uint64_t seed;
	bool looks_again; /* once he is in the queue, as everybody must */
} door;

static int open_door(struct task *t, void *arg)
{
	(void)arg;
	atomic_store(&door.open, 1);
	if (waitq_active(&door.queue))
		waitq_wake(t, &door.queue, UINT32_MAX);
	return 0;
}

static int come_to_doors(struct task *t, void *arg)
{
	const struct task_spec spec = { .name = "opener", .fn = open_door, .arg = arg };

	for (uint32_t i = 0; i < DOOR_ROUNDS; i++) {
		atomic_store(&door.open, 0);
		struct task *opener = spawn_on(t, &spec, 1);

		if (atomic_load(&door.open) == 0) {
			uint32_t seq = waitq_begin(t, &door.queue);

			if (!door.looks_again || atomic_load(&door.open) == 0)
				waitq_wait(t, &door.queue, seq, RT_FOREVER);
			waitq_end(&door.queue);
		}
		rt_join(t, opener);
	}
	return 0;
}

static void run_door(void)
{
	struct rt_sim_config config = plain_config(2);
	struct bench bench;

	config.explore = true;
	config.seed = door.seed;
	bench_open(&bench, &config);
	rt_sim_run(bench.rt, come_to_doors, NULL);
	rt_sim_destroy(bench.rt);
}

/* Exploration lets others run between a look and the place in the queue: who trusts the look
 * alone sleeps for ever with some seed, who looks again with none. */
static void test_queue_entered_late(void **state)
{
	char text[2048];
	uint32_t stood = 0;

	(void)state;
	for (door.seed = 1; door.seed <= DOOR_SEEDS; door.seed++) {
		door.looks_again = false;
		if (aborts(run_door, text, sizeof(text))) {
			assert_non_null(strstr(text, "deadlock: "));
			stood++;
		}
		door.looks_again = true;
		assert_false(aborts(run_door, text, sizeof(text)));
	}
	assert_int_not_equal(stood, 0);
}

/* ---- stacks ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLAIN_STACKS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PLAIN_STACKS 0
#endif
#endif
#ifndef PLAIN_STACKS
#define PLAIN_STACKS 1
#endif

static int nothing(struct task *t, void *arg)
{
	(void)t;
	(void)arg;
	return 8;
}

/* Goes n frames deep without recursion that the compiler could turn into a loop. */
static NOINLINE uint64_t use_stack(size_t bytes)
{
	volatile char *room = __builtin_alloca(bytes);
	uint64_t sum = 0;

	for (size_t i = 0; i < bytes; i += 64)
		room[i] = (char)(i | 1);
	for (size_t i = 0; i < bytes; i += 64)
		sum += (uint64_t)room[i];
	return sum;
}

static int use_20k(struct task *t, void *arg)
{
	(void)t;
	(void)arg;
	return use_stack(20 * KIB) != 0 ? 0 : 1;
}

static void test_stack_high_water(void **state)
{
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 1);
	assert_int_equal(rt_sim_run(bench.rt, nothing, NULL), 8);
	size_t before = rt_sim_stack_high_water(bench.rt);

	assert_int_equal(rt_sim_run(bench.rt, use_20k, NULL), 0);
	size_t after = rt_sim_stack_high_water(bench.rt);

	rt_sim_destroy(bench.rt);
	if (after == 0) {
		print_message("no high water under valgrind\n");
		return;
	}
	assert_in_range(before, 64, 16 * KIB);
	/* Sanitizers put red zones around the room. */
	assert_in_range(after, 20 * KIB, 20 * KIB + before + 4 * KIB);
}

/* 64 KiB less about 2 KiB. */
static int use_nearly_all(struct task *t, void *arg)
{
	(void)t;
	(void)arg;
	return use_stack(62 * KIB) != 0 ? 0 : 1;
}

static void run_deep_stack(void)
{
	struct bench bench;

	bench_open_plain(&bench, 1);
	rt_sim_run(bench.rt, use_nearly_all, NULL);
}

static void test_deep_stack_is_noticed(void **state)
{
	char text[512];
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 1);
	assert_int_equal(rt_sim_run(bench.rt, nothing, NULL), 8);
	size_t used = rt_sim_stack_high_water(bench.rt);

	rt_sim_destroy(bench.rt);
	if (!PLAIN_STACKS || used == 0) {
		print_message("stacks are larger with sanitizers, unseen under valgrind\n");
		return;
	}
	assert_true(aborts(run_deep_stack, text, sizeof(text)));
	assert_non_null(strstr(text, "has used its stack"));
}

static int return_id(struct task *t, void *arg)
{
	(void)arg;
	return (int)t->id;
}

/* Hundreds of tasks come and go; their stacks are used again. */
static int many_tasks(struct task *t, void *arg)
{
	const struct task_spec spec = { .name = "brief", .fn = return_id };
	struct task *children[100];

	(void)arg;
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < 100; i++)
			CHECK(rt_spawn(t, &spec, &children[i]) == 0);
		for (uint32_t i = 0; i < 100; i++)
			CHECK(rt_join(t, children[99 - i]) == (int)(round * 100 + 101 - i));
	}
	return 0;
}

static void test_many_tasks(void **state)
{
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 3);
	assert_int_equal(rt_sim_run(bench.rt, many_tasks, NULL), 0);
	rt_sim_destroy(bench.rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_seed_same_bytes),
		cmocka_unit_test(test_time_goes_forward),
		cmocka_unit_test(test_causality),
		cmocka_unit_test(test_join_keeps_causality),
		cmocka_unit_test(test_clocks_stay_together),
		cmocka_unit_test(test_deadlock_message),
		cmocka_unit_test(test_stops),
		cmocka_unit_test(test_lost_wake_up_is_told),
		cmocka_unit_test(test_queue_entered_late),
		cmocka_unit_test(test_stack_high_water),
		cmocka_unit_test(test_deep_stack_is_noticed),
		cmocka_unit_test(test_many_tasks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
