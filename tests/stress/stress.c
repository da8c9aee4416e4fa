/*
 * A stress program over the public interface.
 *
 *   1. The machine is small (16 MiB unless told), has two nodes and four CPUs, and
 *      its program uses five times the memory: regions of four times, files of
 *      three quarters of it, each mapped twice.
 *   2. Workers do what worker.c says: read, write, pin, release, map, sync, destroy
 *      and make anew, and compare every page they read with what it must hold.
 *   3. Live, a watcher looks at counters, texts, traces and knobs meanwhile, sees to
 *      it that everybody makes progress, and now and then has all stand still for a
 *      neap_verify(). It is meant to run under the thread sanitizer.
 *   4. Simulated (--sim), the same workers run on the exploring simulator, which
 *      switches CPUs under locks: one small run for each seed.
 *   5. --compact has holes, blocks of high order and compaction in every run, not in
 *      each second one: migration against faults, pins, zaps, reclaim and swap-in.
 *   6. --plug has memory and CPUs come and go eight times as often as else.
 *   7. --heal does something else, described in heal.c.
 *   8. A wrong page, a broken law or a refused operation stops the program with a
 *      core file and the seed; so does somebody who hangs (guard.c).
 *
 * Of a simulated run the seed alone repeats it, step by step; of a live one it only
 * repeats the workers' choices.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stress.h"

#define MIB (UINT64_C(1) << 20)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define WATCH_NS (50 * NSEC_PER_MSEC)
#define VERIFY_ROUNDS 40u    /* watcher's rounds between two verifications */
#define PLUG_PATIENCE_S 600u /* for a block of memory to be emptied, or given up */
#define SHORT_LIVES 12u
#define COMPACT_SIM_FACTOR 4u

static struct worker workers[MAX_THREADS]; /* of the machine there is */
static uint64_t running_seed;		   /* for on_signal() */

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- a machine ---- */

static void set(const struct world *w, struct neap_config *config, const char *name,
		const char *value)
{
	if (neap_config_set(config, name, value) != 0)
		fail(w, "%s=%s: %s", name, value, neap_config_error(config));
}

static void machine_create(struct world *w)
{
	struct neap_config *config = neap_config_new();
	char number[32];

	if (config == NULL)
		fail(w, "no memory");
	snprintf(number, sizeof(number), "%" PRIu64 "K", w->memory / 1024);
	set(w, config, "memory", number);
	set(w, config, "nodes", w->opt->heal ? "1" : "2");
	set(w, config, "cpus", "4");
	snprintf(number, sizeof(number), "%" PRIu64 "K", w->memory * 2 / 1024);
	for (uint32_t i = 0; i < 2 && !w->opt->heal; i++)
		set(w, config, "swap", number);
	set(w, config, "contents", "real");
	set(w, config, "block", "4M");
	set(w, config, "hotplug", "16M");
	set(w, config, "runtime", w->opt->sim ? "sim" : "live");
	if (w->opt->faults)
		set(w, config, "fault.enable", "1");
	if (w->opt->sim) {
		snprintf(number, sizeof(number), "%" PRIu64, w->seed);
		set(w, config, "seed", number);
		set(w, config, "explore", "1");
	} else {
		set(w, config, "uring", w->opt->uring ? "1" : "0");
	}
	if (neap_machine_create(config, &w->machine) != 0)
		fail(w, "no machine: %s", neap_config_error(config));
	neap_config_free(config);
}

static void verify(struct world *w, const char *when)
{
	if (neap_verify(w->machine) != 0)
		fail(w, "neap_verify %s: %s", when, neap_machine_error(w->machine));
}

static void workers_start(struct world *w)
{
	for (uint32_t i = 0; i < w->opt->nr_threads; i++) {
		char name[24];
		int err;

		workers[i] = (struct worker){
			.world = w,
			.id = i,
			.rng = mix(w->seed * 64 + i),
			.ops_left = w->opt->sim ? w->opt->nr_ops : UINT64_MAX,
		};
		snprintf(name, sizeof(name), "worker%" PRIu32, i);
		err = neap_thread_start(w->machine, name, (int)(i % 4), worker_main, &workers[i],
					&workers[i].thread);
		if (err != 0)
			fail(w, "a worker does not start: %s", strerror(-err));
	}
}

static void workers_join(struct world *w)
{
	for (uint32_t i = 0; i < w->opt->nr_threads; i++) {
		guard_step(GUARD_MAIN);
		if (neap_thread_join(w->machine, workers[i].thread) != 0)
			fail(w, "worker %" PRIu32 " failed", i);
	}
}

/* ---- live: the watcher ---- */

/* Looks at one zone, while it changes. */
static void watch_zone(struct world *w, uint32_t node)
{
	static struct neap_map_cell cells[256];
	struct neap_map map = { .node = node,
				.zone = 2,
				.cell_pages = 64,
				.cells = cells,
				.nr_cells = sizeof(cells) / sizeof(cells[0]) };
	struct neap_zone_gauge gauge;

	if (neap_zone_gauge(w->machine, node, 2, &gauge) != 0 ||
	    neap_zone_map(w->machine, &map) < 0)
		fail(w, "zone Normal of node %" PRIu32 ": %s", node,
		     neap_machine_error(w->machine));
}

/* What a monitor of the machine would read. */
static void watch_read(struct world *w)
{
	static const char *const files[] = { "vmstat", "zoneinfo", "buddyinfo", "meminfo",
					     "swaps" };
	struct neap_gauge gauge;
	struct neap_stalls stalls;
	char *text;

	neap_gauge(w->machine, &gauge);
	neap_stalls(w->machine, &stalls);
	watch_zone(w, 0);
	watch_zone(w, 1);
	(void)neap_counter(w->machine, "pgfault");
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int64_t bytes = neap_proc_text(w->machine, files[i], &text);

		if (bytes < 0)
			fail(w, "neap_proc_text of %s: %s", files[i], strerror((int)-bytes));
		free(text);
	}
}

#define THP_DIR "/sys/kernel/mm/transparent_hugepage/"

static void watch_write(struct world *w, uint64_t *rng)
{
	static const struct {
		const char *name;
		const char *values[4];
	} knobs[] = {
		{ "swappiness", { "10", "60", "200", "100" } },
		{ "page-cluster", { "0", "3", "5", "1" } },
		{ "watermark_scale_factor", { "10", "100", "10", "30" } },
		{ "nr_hugepages", { "0", "1", "0", "2" } },
		{ THP_DIR "enabled", { "always", "madvise", "always", "never" } },
		{ THP_DIR "defrag", { "always", "defer", "defer+madvise", "never" } },
	};
	uint64_t choice = rng_next(rng);
	const char *name = knobs[choice % 6].name;
	const char *value = knobs[choice % 6].values[choice / 8 % 4];

	if (neap_sysctl_write(w->machine, name, value, strlen(value)) < 0)
		fail(w, "%s=%s: %s", name, value, neap_machine_error(w->machine));
}

#define HOT_BLOCKS 4u
#define PLUGS_MANY 8u /* a round, with --plug */
#define HOT_BLOCK_BYTES (UINT64_C(4) << 20)

/* => the operation's result; 1: there was none */
static int plug_once(struct world *w, uint64_t *rng)
{
	uint32_t block = w->first_hot + (uint32_t)(rng_next(rng) % HOT_BLOCKS);
	uint32_t cpu = (uint32_t)(rng_next(rng) % 4);

	switch (rng_next(rng) % 8) {
	case 0:
	case 1:
		return neap_memory_online(w->machine, block,
					  rng_next(rng) % 8 == 0 ? NEAP_MEMORY_KERNEL
								 : NEAP_MEMORY_MOVABLE);
	case 2:
	case 3:
		return neap_memory_offline(w->machine, block);
	case 4:
		return neap_cpu_offline(w->machine, cpu);
	case 5:
		return neap_cpu_online(w->machine, cpu);
	default:
		return 1;
	}
}

/*
 * Memory of node 1 comes and goes, and so do CPUs; a refusal is as good as success. To empty a
 * block, pages move to a node that has no room for them: that takes its time.
 */
static void watch_plug(struct world *w, uint64_t *rng)
{
	uint64_t start_ns = clock_ns();

	guard_expect(GUARD_MAIN, PLUG_PATIENCE_S);
	int err = plug_once(w, rng);
	uint64_t took_ns = clock_ns() - start_ns;

	if (err != 0 && err != 1 && err != -EINVAL && err != -EBUSY)
		fail(w, "hot-plug: %s", neap_machine_error(w->machine));
	w->nr_plugged += err == 0 ? 1 : 0;
	if (took_ns > w->plug_slowest_ns)
		w->plug_slowest_ns = took_ns;
	guard_expect(GUARD_MAIN, GUARD_PATIENCE_S);
}

/* For the areas that ask for them. */
static void huge_pages_on(struct world *w)
{
	static const char *const files[] = { THP_DIR "enabled", THP_DIR "defrag" };

	for (size_t i = 0; i < 2; i++)
		if (neap_sysctl_write(w->machine, files[i], "madvise", 7) < 0)
			fail(w, "%s: %s", files[i], neap_machine_error(w->machine));
}

/* Called by everybody, in the middle of the engine. */
static void watch_event(void *ctx, const struct neap_event *event)
{
	struct world *w = ctx;
	struct neap_gauge gauge;
	char text[256];

	if (event->name[0] == '\0' || neap_event_text(event, text, sizeof(text)) == 0)
		fail(w, "an event without a name or text");
	neap_gauge(w->machine, &gauge);
}

static void watch_trace(struct world *w, uint64_t round)
{
	if (round % 40 == 5 && neap_trace_callback(w->machine, watch_event, w) != 0)
		fail(w, "no callback: %s", neap_machine_error(w->machine));
	else if (round % 40 == 20)
		(void)neap_trace_callback(w->machine, NULL, NULL);
	if (round % 40 == 10 && neap_trace_start(w->machine, "/dev/null") != 0)
		fail(w, "no trace: %s", neap_machine_error(w->machine));
	else if (round % 40 == 30)
		(void)neap_trace_stop(w->machine);
}

/* Has everybody stand still, and looks at everything. */
static void watch_verify(struct world *w, uint64_t *rng)
{
	atomic_store(&w->pause, 1);
	while (atomic_load(&w->nr_paused) != w->opt->nr_threads)
		neap_sleep(w->machine, NSEC_PER_MSEC);
	verify(w, "between");
	atomic_fetch_add(&w->profile, 1);
	world_fault_files(w, rng_next(rng));
	atomic_store(&w->pause, 0);
	while (atomic_load(&w->nr_paused) != 0)
		neap_sleep(w->machine, NSEC_PER_MSEC);
}

static void print_counts(struct world *w, const char *what)
{
	static const char *const names[NR_COUNTERS] = {
		"pages read", "pages written", "pins",	      "releases", "rebuilds",	"syncs",
		"blocks",     "big blocks",    "compactions", "ENOMEM",	  "I/O errors", "left out",
	};
	static const char *const counters[] = {
		"pgfault",	     "pgmajfault",	  "pswpin",
		"pswpout",	     "pgsteal_kswapd",	  "pgsteal_direct",
		"allocstall_normal", "pgmigrate_success", "pgmigrate_fail",
		"compact_stall",     "compact_success",	  "compact_daemon_wake",
		"thp_fault_alloc",   "thp_split_page",	  "thp_swpout_fallback",
	};

	printf("stress: %s:", what);
	for (uint32_t i = 0; i < NR_COUNTERS; i++)
		printf(" %s %" PRIu64, names[i], atomic_load(&w->count[i]));
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		printf(" %s %" PRIu64, counters[i], neap_counter(w->machine, counters[i]));
	printf("\n");
	fflush(stdout);
}

/* Machines that end while kswapd and the device are at work, with all that is in flight. */
static void live_short(const struct options *opt)
{
	static struct world w;
	struct neap_region *region;

	w.opt = opt;
	w.seed = opt->seed;
	w.memory = opt->memory;
	for (uint64_t life = 0; life < SHORT_LIVES; life++) {
		uint64_t nr = opt->memory / NEAP_PAGE_SIZE * (2 + mix(opt->seed + life) % 8) / 4;

		machine_create(&w);
		if (neap_region_create(w.machine, nr * NEAP_PAGE_SIZE, 0, -1, &region) != 0)
			fail(&w, "no region: %s", neap_machine_error(w.machine));
		for (uint64_t page = 0; page < nr; page++) {
			guard_step(GUARD_MAIN);
			(void)world_accepts(&w, neap_access(region, page, true), "neap_access");
		}
		neap_machine_destroy(w.machine);
	}
}

static void live_run(const struct options *opt)
{
	static struct world w;
	uint64_t end_ns = clock_ns() + opt->seconds * 1000000000;
	uint64_t rng = mix(opt->seed);

	w.opt = opt;
	w.seed = opt->seed;
	w.memory = opt->memory;
	machine_create(&w);
	huge_pages_on(&w);
	world_create(&w);
	workers_start(&w);
	if (neap_memory_add(w.machine, opt->heal ? 0 : 1, HOT_BLOCKS * HOT_BLOCK_BYTES,
			    &w.first_hot) != 0)
		fail(&w, "no memory to plug: %s", neap_machine_error(w.machine));
	for (uint64_t round = 1; clock_ns() < end_ns; round++) {
		guard_step(GUARD_MAIN);
		neap_sleep(w.machine, WATCH_NS);
		watch_read(&w);
		watch_trace(&w, round);
		for (uint32_t i = 0; i < (opt->plug ? PLUGS_MANY : 1); i++)
			watch_plug(&w, &rng);
		if (round % 8 == 0)
			watch_write(&w, &rng);
		if (round % VERIFY_ROUNDS == 0)
			watch_verify(&w, &rng);
	}
	atomic_store(&w.stop, 1);
	workers_join(&w);
	verify(&w, "at the end");
	world_check(&w);
	verify(&w, "after the last look");
	printf("stress: %" PRIu64 " times CPUs and memory came or went, which took %" PRIu64
	       " ms at most\n",
	       w.nr_plugged, w.plug_slowest_ns / NSEC_PER_MSEC);
	print_counts(&w, opt->faults  ? "live, with I/O errors"
			 : opt->uring ? "live"
				      : "live without io_uring");
	world_destroy(&w);
	neap_machine_destroy(w.machine);
}

/* One node, no swap: nothing but compaction moves pages. */
static void live_heal(const struct options *opt)
{
	static struct world w;

	w.opt = opt;
	w.seed = opt->seed;
	w.memory = opt->memory;
	machine_create(&w);
	heal_run(&w);
	neap_machine_destroy(w.machine);
}

/* ---- simulated ---- */

static int sim_main(void *arg)
{
	struct world *w = arg;

	if (w->seed % 2 == 0)
		huge_pages_on(w);
	world_create(w);
	world_fault_files(w, mix(w->seed));
	workers_start(w);
	workers_join(w);
	world_check(w);
	verify(w, "at the end");
	world_destroy(w);
	return 0;
}

static void on_signal(int number)
{
	char text[96];
	int length = snprintf(text, sizeof(text), "stress: seed %" PRIu64 ": signal %d\n",
			      running_seed, number);

	if (write(STDERR_FILENO, text, (size_t)length) < 0)
		_exit(3);
	signal(number, SIG_DFL);
	raise(number);
}

/* For the guard: what somebody is doing who should go on. */
static void tell_actor(uint32_t actor)
{
	fprintf(stderr, "stress: seed %" PRIu64 ": %s\n", running_seed,
		actor == GUARD_MAIN ? "main" : worker_operation(&workers[actor]));
}

static void sim_run(const struct options *opt)
{
	uint64_t start_ns = clock_ns(), end_ns = start_ns + opt->seconds * 1000000000;
	uint64_t seed = opt->seed, migrated = 0, refused = 0;
	static struct world w;

	for (; seed == opt->seed || clock_ns() < end_ns; seed++) {
		if (opt->nr_seeds != 0 && seed - opt->seed == opt->nr_seeds)
			break;
		memset(&w, 0, sizeof(w));
		w.opt = opt;
		w.seed = seed;
		w.profile = (uint32_t)(seed % NR_PROFILES) | (opt->compact ? PROFILE_COMPACT : 0);
		/* Smaller machines do not tell apart what can be moved: compaction finds nothing.
		 */
		w.memory = opt->memory * ((w.profile & PROFILE_COMPACT) ? COMPACT_SIM_FACTOR : 1);
		running_seed = seed;
		guard_step(GUARD_MAIN);
		machine_create(&w);
		if (neap_run(w.machine, sim_main, &w) != 0)
			fail(&w, "the run failed: %s", neap_machine_error(w.machine));
		if (seed == opt->seed)
			print_counts(&w, "simulated, first seed");
		if (atomic_load(&w.count[COUNT_ENOMEM]) != 0 && !opt->faults)
			printf("stress: seed %" PRIu64 ": memory was refused\n", seed);
		refused += atomic_load(&w.count[COUNT_ENOMEM]);
		migrated += neap_counter(w.machine, "pgmigrate_success");
		neap_machine_destroy(w.machine);
	}
	printf("seeds: %" PRIu64 " runs from seed %" PRIu64 " in %.1f s, %.0f a minute;"
	       " %" PRIu64 " pages migrated, memory refused %" PRIu64 " times\n",
	       seed - opt->seed, opt->seed, (double)(clock_ns() - start_ns) / 1e9,
	       (double)(seed - opt->seed) * 60e9 / (double)(clock_ns() - start_ns), migrated,
	       refused);
}

/* ---- the program ---- */

static int usage(void)
{
	fprintf(stderr, "usage: stress [--heal | --sim] [--plain] [--faults] [--compact] [--plug]"
			" [--seconds N] [--seed N]"
			" [--seeds N] [--ops N] [--threads N] [--memory MIB]\n");
	return 2;
}

/* => the number behind an option, which is consumed */
static bool take_number(int argc, char **argv, int *at, uint64_t *out)
{
	char *end;

	if (*at + 1 >= argc)
		return false;
	*out = strtoull(argv[++*at], &end, 10);
	return end != argv[*at] && *end == '\0';
}

static bool parse(int argc, char **argv, struct options *opt)
{
	uint64_t threads = 4, mib = 0;
	bool good = true;

	for (int i = 1; i < argc && good; i++) {
		if (strcmp(argv[i], "--sim") == 0)
			opt->sim = true;
		else if (strcmp(argv[i], "--heal") == 0)
			opt->heal = true;
		else if (strcmp(argv[i], "--plain") == 0)
			opt->uring = false;
		else if (strcmp(argv[i], "--compact") == 0)
			opt->compact = true;
		else if (strcmp(argv[i], "--plug") == 0)
			opt->plug = true;
		else if (strcmp(argv[i], "--faults") == 0)
			opt->faults = true;
		else if (strcmp(argv[i], "--seconds") == 0)
			good = take_number(argc, argv, &i, &opt->seconds);
		else if (strcmp(argv[i], "--seed") == 0)
			good = take_number(argc, argv, &i, &opt->seed);
		else if (strcmp(argv[i], "--seeds") == 0)
			good = take_number(argc, argv, &i, &opt->nr_seeds);
		else if (strcmp(argv[i], "--ops") == 0)
			good = take_number(argc, argv, &i, &opt->nr_ops);
		else if (strcmp(argv[i], "--threads") == 0)
			good = take_number(argc, argv, &i, &threads);
		else if (strcmp(argv[i], "--memory") == 0)
			good = take_number(argc, argv, &i, &mib);
		else
			good = false;
	}
	if (mib == 0)
		mib = opt->heal ? 2048 : opt->sim ? 4 : 16;
	opt->memory = mib * MIB;
	opt->nr_threads = (uint32_t)threads;
	return good && threads >= 1 && threads <= MAX_THREADS && mib <= 4096;
}

int main(int argc, char **argv)
{
	static struct options opt = { .seconds = 10, .uring = true, .nr_ops = 400, .seed = 1 };
	static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS };

	if (!parse(argc, argv, &opt))
		return usage();
	running_seed = opt.seed;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], on_signal);
	printf("stress: seed %" PRIu64 ", %" PRIu64 " s\n", opt.seed, opt.seconds);
	fflush(stdout);
	guard_begin(tell_actor);
	guard_expect(GUARD_MAIN, GUARD_PATIENCE_S);
	if (opt.heal) {
		live_heal(&opt);
	} else if (opt.sim) {
		sim_run(&opt);
	} else {
		live_short(&opt);
		live_run(&opt);
	}
	guard_expect(GUARD_MAIN, 0);
	guard_end();
	return 0;
}
