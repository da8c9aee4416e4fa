/*
 * A module for the recorded kernel: allocations and frees with nobody else at the allocator.
 *
 *     player ── lines of a script ──> /proc/neap-probe ── states and results ──> player
 *
 *     burst:   writer's CPU    state   op 0            op 2   state
 *              other CPUs      . held . . . . op 1 . . . . . . held .       interrupts off
 *
 * Between the two states of a burst every CPU is held, with interrupts off and in the context of
 * an ordinary task: whatever changed, the operations did. An operation runs on the CPU that it
 * names, when it is its turn. Operations outside a burst may sleep; they run at once.
 *
 * A state is everything that the next allocation depends on: marks, free lists in order, per-CPU
 * lists in order, types of pageblocks, counters as they are read and exact, what kswapd was asked
 * for. `neap probe` puts the simulator into it and performs the same operations.
 *
 * The kernel is a stock one, so functions that it does not export are found through a kprobe, and
 * two tracepoints tell what happened inside an operation.
 *
 * What must never happen: memory allocated or freed by this module itself during a burst. All of
 * its own was taken when it was loaded.
 */
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <uapi/linux/sched/types.h>

MODULE_LICENSE("Dual MIT/GPL"); /* symbols for GPL modules are used */
MODULE_DESCRIPTION("allocator probes for tools/oracle");

#define TEXT_BYTES (8ul << 20)
#define NR_OPS_MAX 4096
#define NR_SLOTS 8192
#define NR_HELD_MAX 400000
#define NR_NOTES 10
#define NR_ZONES_SEEN 8
#define UNTIL_MAX 200000

enum op_kind {
	OP_ALLOC = 'a',
	OP_POLICY = 'p',
	OP_FREE = 'f',
	OP_UNTIL = 't'
};

/* What a tracepoint said during an operation. */
struct note {
	bool steal; /* else a wake-up of kswapd */
	unsigned long pfn;
	int order, fallback_order, type, fallback_type, node, zone;
	bool changed;
};

struct level {
	long read, exact, highatomic;
};

struct op {
	enum op_kind kind;
	int cpu, slot, order, node;
	unsigned int gfp;
	/* results */
	struct page *page;
	unsigned long count, last_pfn, hash;
	struct level level[NR_ZONES_SEEN];
	int nr_notes;
	struct note note[NR_NOTES];
};

struct block {
	struct page *page;
	int order;
};

static char *text;
static size_t text_used;
static struct op *ops;
static int nr_ops;
static struct block *slots, *held;
static int nr_held;
static struct zone *zones[NR_ZONES_SEEN];
static int nr_zones;
static struct op *running; /* the operation that tracepoints belong to */
static void (*drain_everything)(struct zone *zone);

static const char type_letters[] = "UMRHI???";

static __printf(1, 2) void tell(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_used += vscnprintf(text + text_used, TEXT_BYTES - text_used, format, args);
	va_end(args);
}

/* ---- the allocator, read ---- */

/* The migrate type of a pageblock. => -1 where no memory is */
static int block_type(unsigned long pfn)
{
	struct mem_section *section = __pfn_to_section(pfn);
	unsigned long bit = (pfn % PAGES_PER_SECTION >> pageblock_order) * NR_PAGEBLOCK_BITS;

	if (section == NULL || section->usage == NULL)
		return -1;
	return section->usage->pageblock_flags[BIT_WORD(bit)] >> (bit % BITS_PER_LONG) & 7;
}

static long free_exact(struct zone *zone)
{
	long pages = atomic_long_read(&zone->vm_stat[NR_FREE_PAGES]);
	int cpu;

	for_each_online_cpu(cpu) pages +=
		per_cpu_ptr(zone->per_cpu_zonestats, cpu)->vm_stat_diff[NR_FREE_PAGES];
	return pages;
}

static void find_zones(void)
{
	int node, type;

	nr_zones = 0;
	for_each_online_node(node)
	{
		for (type = 0; type < MAX_NR_ZONES && nr_zones < NR_ZONES_SEEN; type++) {
			struct zone *zone = &NODE_DATA(node)->node_zones[type];

			if (populated_zone(zone))
				zones[nr_zones++] = zone;
		}
	}
}

/* ---- a state ---- */

static void tell_node(int node)
{
	pg_data_t *data = NODE_DATA(node);
	struct zoneref *ref = data->node_zonelists[0]._zonerefs;

	tell("node %d kswapd_failures=%d kswapd_order=%d kswapd_highest_zoneidx=%d"
	     " kswapd_waiting=%d zonelist=",
	     node, data->kswapd_failures, data->kswapd_order, data->kswapd_highest_zoneidx,
	     waitqueue_active(&data->kswapd_wait));
	for (; ref->zone != NULL; ref++)
		tell("%s%d.%d", ref == data->node_zonelists[0]._zonerefs ? "" : " ",
		     zone_to_nid(ref->zone), ref->zone_idx);
	tell("\n");
}

static void tell_zone(struct zone *zone, int node, int type)
{
	tell("zone %d.%d %s start=%lu spanned=%lu present=%lu managed=%lu", node, type, zone->name,
	     zone->zone_start_pfn, zone->spanned_pages, zone->present_pages,
	     zone_managed_pages(zone));
	tell(" min=%lu low=%lu high=%lu promo=%lu boost=%lu highatomic=%lu",
	     zone->_watermark[WMARK_MIN], zone->_watermark[WMARK_LOW], zone->_watermark[WMARK_HIGH],
	     zone->_watermark[WMARK_PROMO], zone->watermark_boost, zone->nr_reserved_highatomic);
	tell(" free=%ld exact=%ld drift_mark=%lu lowmem_reserve=%ld,%ld,%ld,%ld,%ld flags=%lx\n",
	     atomic_long_read(&zone->vm_stat[NR_FREE_PAGES]), free_exact(zone),
	     zone->percpu_drift_mark, zone->lowmem_reserve[0], zone->lowmem_reserve[1],
	     zone->lowmem_reserve[2], zone->lowmem_reserve[3], zone->lowmem_reserve[4],
	     zone->flags);
}

static void tell_run(int type, unsigned long nr)
{
	if (nr != 0)
		tell(" %c*%lu", type < 0 ? '-' : type_letters[type], nr);
}

static void tell_blocks(struct zone *zone, int node, int type)
{
	unsigned long pfn = round_down(zone->zone_start_pfn, pageblock_nr_pages), nr = 0;
	int run = -1;

	tell("blocks %d.%d %lu:", node, type, pfn);
	for (; pfn < zone_end_pfn(zone); pfn += pageblock_nr_pages) {
		int found = block_type(pfn);

		if (found != run) {
			tell_run(run, nr);
			nr = 0;
		}
		run = found;
		nr++;
	}
	tell_run(run, nr);
	tell("\n");
}

static void tell_free_list(struct zone *zone, const char *where, int order, int type)
{
	struct list_head *list = &zone->free_area[order].free_list[type];
	struct page *page;

	if (list_empty(list))
		return;
	tell("free %s %d %c:", where, order, type_letters[type]);
	list_for_each_entry(page, list, buddy_list) tell(" %lu", page_to_pfn(page));
	tell("\n");
}

static void tell_cpu(struct zone *zone, const char *where, int cpu)
{
	struct per_cpu_pages *pcp = per_cpu_ptr(zone->per_cpu_pageset, cpu);
	struct per_cpu_zonestat *stat = per_cpu_ptr(zone->per_cpu_zonestats, cpu);
	struct page *page;
	int list;

	tell("pcp %s cpu=%d count=%d high=%d batch=%d free_factor=%d expire=%d diff_free=%d"
	     " threshold=%d\n",
	     where, cpu, pcp->count, pcp->high, pcp->batch, pcp->free_factor, pcp->expire,
	     stat->vm_stat_diff[NR_FREE_PAGES], stat->stat_threshold);
	for (list = 0; list < NR_PCP_LISTS; list++) {
		if (list_empty(&pcp->lists[list]))
			continue;
		tell("pcplist %s cpu=%d %d:", where, cpu, list);
		list_for_each_entry(page, &pcp->lists[list], pcp_list)
			tell(" %lu", page_to_pfn(page));
		tell("\n");
	}
}

/* => interrupts off everywhere */
static void tell_state(const char *label, const char *suffix)
{
	int node, i, order, type, cpu;

	tell("## state %s%s\n", label, suffix);
	for_each_online_node(node) tell_node(node);
	for (i = 0; i < nr_zones; i++) {
		struct zone *zone = zones[i];
		char where[16];

		snprintf(where, sizeof(where), "%d.%d", zone_to_nid(zone), (int)zone_idx(zone));
		tell_zone(zone, zone_to_nid(zone), zone_idx(zone));
		tell_blocks(zone, zone_to_nid(zone), zone_idx(zone));
		for (order = MAX_ORDER - 1; order >= 0; order--)
			for (type = 0; type < MIGRATE_TYPES; type++)
				tell_free_list(zone, where, order, type);
		for_each_online_cpu(cpu) tell_cpu(zone, where, cpu);
	}
}

/* ---- tracepoints ---- */

static struct note *note_of(void)
{
	struct op *op = READ_ONCE(running);

	return op != NULL && op->nr_notes < NR_NOTES ? &op->note[op->nr_notes++] : NULL;
}

static void on_steal(void *unused, struct page *page, int order, int fallback_order, int type,
		     int fallback_type)
{
	struct note *note = note_of();

	if (note == NULL)
		return;
	*note = (struct note){ .steal = true,
			       .pfn = page_to_pfn(page),
			       .order = order,
			       .fallback_order = fallback_order,
			       .type = type,
			       .fallback_type = fallback_type };
	note->changed = block_type(note->pfn) == type;
}

static void on_wake(void *unused, int node, int zone, int order, gfp_t gfp)
{
	struct note *note = note_of();

	if (note != NULL)
		*note = (struct note){ .node = node, .zone = zone, .order = order };
}

static struct {
	const char *name;
	void *function;
	struct tracepoint *found;
} points[] = {
	{ "mm_page_alloc_extfrag", on_steal },
	{ "mm_vmscan_wakeup_kswapd", on_wake },
};

static void match_point(struct tracepoint *point, void *unused)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(points); i++)
		if (strcmp(point->name, points[i].name) == 0)
			points[i].found = point;
}

/* ---- operations ---- */

static void note_levels(struct op *op)
{
	int i;

	for (i = 0; i < nr_zones; i++) {
		op->level[i].read = atomic_long_read(&zones[i]->vm_stat[NR_FREE_PAGES]);
		op->level[i].exact = free_exact(zones[i]);
		op->level[i].highatomic = zones[i]->nr_reserved_highatomic;
	}
}

/* Allocates until the first failure, then gives all back in the same order. */
static void perform_until(struct op *op)
{
	struct page *page, *next;
	LIST_HEAD(got);

	while (op->count < UNTIL_MAX) {
		page = __alloc_pages(op->gfp, op->order, op->node, NULL);
		if (page == NULL)
			break;
		list_add_tail(&page->lru, &got);
		op->count++;
		op->last_pfn = page_to_pfn(page);
		op->hash = op->hash * 31 + op->last_pfn;
	}
	note_levels(op);
	list_for_each_entry_safe(page, next, &got, lru)
	{
		list_del(&page->lru);
		__free_pages(page, op->order);
	}
}

static void perform_alloc(struct op *op)
{
	struct block *slot = &slots[op->slot];

	if (slot->page != NULL)
		return;
	op->page = op->kind == OP_POLICY ? alloc_pages(op->gfp, op->order)
					 : __alloc_pages(op->gfp, op->order, op->node, NULL);
	*slot = (struct block){ op->page, op->order };
}

static void perform(struct op *op)
{
	struct block *slot = &slots[op->slot];

	WRITE_ONCE(running, op);
	switch (op->kind) {
	case OP_ALLOC:
	case OP_POLICY:
		perform_alloc(op);
		break;
	case OP_FREE:
		op->page = slot->page;
		slot->page = NULL;
		if (op->page != NULL)
			__free_pages(op->page, slot->order);
		break;
	case OP_UNTIL:
		perform_until(op);
		break;
	}
	if (op->kind != OP_UNTIL)
		note_levels(op);
	WRITE_ONCE(running, NULL);
}

static void tell_note(const struct note *note)
{
	if (note->steal)
		tell("  extfrag pfn=%lu alloc_order=%d fallback_order=%d alloc=%c fallback=%c"
		     " change=%d\n",
		     note->pfn, note->order, note->fallback_order, type_letters[note->type],
		     type_letters[note->fallback_type], note->changed);
	else
		tell("  wake_kswapd node=%d highest_zoneidx=%d order=%d\n", note->node, note->zone,
		     note->order);
}

static void tell_op(int number, const struct op *op)
{
	int i;

	tell("%d c%d %c ", number, op->cpu, op->kind);
	if (op->kind == OP_UNTIL)
		tell("%d %x %d = %lu last=%lu hash=%016lx", op->order, op->gfp, op->node, op->count,
		     op->last_pfn, op->hash);
	else if (op->kind == OP_FREE)
		tell("%d = ", op->slot);
	else
		tell("%d %d %x %d = ", op->slot, op->order, op->gfp, op->node);
	if (op->kind != OP_UNTIL && op->page == NULL)
		tell("-");
	else if (op->kind != OP_UNTIL)
		tell("%lu %d.%d %c", page_to_pfn(op->page), page_to_nid(op->page),
		     (int)page_zonenum(op->page),
		     type_letters[block_type(page_to_pfn(op->page)) & 7]);
	tell(" |");
	for (i = 0; i < nr_zones; i++)
		tell(" %d.%d=%ld/%ld/%ld", zone_to_nid(zones[i]), (int)zone_idx(zones[i]),
		     op->level[i].read, op->level[i].exact, op->level[i].highatomic);
	tell("\n");
	for (i = 0; i < op->nr_notes; i++)
		tell_note(&op->note[i]);
}

/* ---- all CPUs held ---- */

static atomic_t nr_present, nr_quiet;
static int turn, phase; /* 1: be quiet; 2: take turns; 3: over */

static void take_turns(int cpu)
{
	int now = smp_load_acquire(&turn);

	for (; now < nr_ops; now = smp_load_acquire(&turn)) {
		if (ops[now].cpu != cpu) {
			cpu_relax();
			continue;
		}
		perform(&ops[now]);
		smp_store_release(&turn, now + 1);
	}
}

static void await_phase(int wanted)
{
	while (smp_load_acquire(&phase) < wanted)
		cpu_relax();
}

static int hold_cpu(void *cpu)
{
	preempt_disable();
	atomic_inc(&nr_present);
	await_phase(1);
	local_irq_disable();
	atomic_inc(&nr_quiet);
	await_phase(2);
	take_turns((int)(long)cpu);
	await_phase(3);
	local_irq_enable();
	preempt_enable();
	atomic_dec(&nr_present);
	return 0;
}

/* All threads are made before the first runs: making one needs a CPU that is free. */
static int start_holders(int own_cpu)
{
	static struct task_struct *thread[NR_CPUS];
	int cpu, nr = 0;

	for_each_online_cpu(cpu)
	{
		thread[cpu] = NULL;
		if (cpu == own_cpu)
			continue;
		thread[cpu] = kthread_create(hold_cpu, (void *)(long)cpu, "probe/%d", cpu);
		if (IS_ERR(thread[cpu]))
			panic("probe: no thread for CPU %d", cpu);
		kthread_bind(thread[cpu], cpu);
	}
	for_each_online_cpu(cpu)
	{
		if (thread[cpu] == NULL)
			continue;
		wake_up_process(thread[cpu]);
		nr++;
	}
	return nr;
}

static void run_burst(int own_cpu, const char *label, bool states, const char *suffix)
{
	int i, others;

	/* Anywhere else the holder of that CPU and this task would wait for each other. */
	set_cpus_allowed_ptr(current, cpumask_of(own_cpu));
	atomic_set(&nr_present, 0);
	atomic_set(&nr_quiet, 0);
	turn = 0;
	phase = 0;
	others = start_holders(own_cpu);
	while (atomic_read(&nr_present) < others)
		cond_resched();
	preempt_disable();
	smp_store_release(&phase, 1);
	while (atomic_read(&nr_quiet) < others)
		cpu_relax();
	local_irq_disable();
	if (states)
		tell_state(label, "-before");
	smp_store_release(&phase, 2);
	take_turns(own_cpu);
	if (states)
		tell_state(label, suffix);
	smp_store_release(&phase, 3);
	local_irq_enable();
	preempt_enable();
	while (atomic_read(&nr_present) > 0)
		schedule_timeout_uninterruptible(1);
	if (nr_ops != 0)
		tell("## ops %s\n", label);
	for (i = 0; i < nr_ops; i++)
		tell_op(i, &ops[i]);
	nr_ops = 0;
}

/* ---- using memory up ---- */

/* Blocks of a zone, large ones first, while more than `keep` pages stay free. */
static void take_blocks(int node, int type, long keep, unsigned int gfp, int order)
{
	struct zone *zone = &NODE_DATA(node)->node_zones[type];
	int before = nr_held;

	for (; order >= 0; order--) {
		while (nr_held < NR_HELD_MAX && free_exact(zone) - (1l << order) >= keep) {
			struct page *page = __alloc_pages(gfp | __GFP_NOWARN, order, node, NULL);

			if (page != NULL && page_zone(page) != zone) {
				__free_pages(page, order);
				page = NULL;
			}
			if (page == NULL)
				break;
			held[nr_held++] = (struct block){ page, order };
			cond_resched();
		}
	}
	tell("# hog %d.%d keep %ld: %d blocks, free now %ld\n", node, type, keep, nr_held - before,
	     free_exact(zone));
}

static void give_blocks(int every, int from)
{
	int i, kept = 0, before = nr_held;

	for (i = 0; i < before; i++) {
		if (i % every == from)
			__free_pages(held[i].page, held[i].order);
		else
			held[kept++] = held[i];
	}
	nr_held = kept;
	tell("# unhog every %d from %d: %d blocks freed, %d kept\n", every, from, before - kept,
	     kept);
}

static void free_slots(void)
{
	int i;

	for (i = 0; i < NR_SLOTS; i++) {
		if (slots[i].page != NULL)
			__free_pages(slots[i].page, slots[i].order);
		slots[i].page = NULL;
	}
}

/* ---- the script ---- */

struct script {
	int cpu;
	bool in_burst, states;
	char label[48];
};

/* => whether the line was an operation */
static bool read_op(const struct script *script, const char *line)
{
	struct op *op = &ops[nr_ops];
	int words;

	if (line[0] == '\0' || line[1] != ' ' || strchr("afpt", line[0]) == NULL)
		return false;
	memset(op, 0, sizeof(*op));
	op->kind = line[0];
	op->cpu = script->cpu;
	if (op->kind == OP_FREE)
		words = sscanf(line + 2, "%d c%d", &op->slot, &op->cpu);
	else if (op->kind == OP_UNTIL)
		words = sscanf(line + 2, "%d %x %d c%d", &op->order, &op->gfp, &op->node, &op->cpu);
	else
		words = sscanf(line + 2, "%d %d %x %d c%d", &op->slot, &op->order, &op->gfp,
			       &op->node, &op->cpu);
	if (words < 1 || op->slot < 0 || op->slot >= NR_SLOTS || !cpu_online(op->cpu) ||
	    nr_ops == NR_OPS_MAX - 1) {
		tell("# not possible: %s\n", line);
		return true;
	}
	if (script->in_burst) {
		nr_ops++;
		return true;
	}
	perform(op);
	tell("# alone: ");
	tell_op(0, op);
	return true;
}

static bool read_setting(struct script *script, const char *line)
{
	if (strcmp(line, "sched fifo") == 0)
		sched_set_fifo_low(current);
	else if (strcmp(line, "sched normal") == 0)
		sched_set_normal(current, 0);
	else if (strcmp(line, "memalloc on") == 0)
		current->flags |= PF_MEMALLOC;
	else if (strcmp(line, "memalloc off") == 0)
		current->flags &= ~PF_MEMALLOC;
	else if (strcmp(line, "drain") == 0 && drain_everything != NULL)
		drain_everything(NULL);
	else if (strcmp(line, "freeslots") == 0)
		free_slots();
	else
		return false;
	return true;
}

static void read_line(struct script *script, const char *line)
{
	unsigned int gfp;
	int a, b, order;
	long keep;

	if (line[0] == '#') {
		tell("%s\n", line);
	} else if (read_op(script, line) || read_setting(script, line)) {
		return;
	} else if (sscanf(line, "burst %47s", script->label) == 1) {
		script->in_burst = true;
		script->states = strstr(line, " nostate") == NULL;
	} else if (strcmp(line, "end") == 0) {
		run_burst(script->cpu, script->label, script->states, "-after");
		script->in_burst = false;
	} else if (sscanf(line, "state %47s", script->label) == 1) {
		run_burst(script->cpu, script->label, true, "-after");
	} else if (sscanf(line, "cpu %d", &a) == 1 && cpu_online(a)) {
		script->cpu = a;
		set_cpus_allowed_ptr(current, cpumask_of(a));
	} else if (sscanf(line, "hog %d.%d %ld %x %d", &a, &b, &keep, &gfp, &order) == 5) {
		take_blocks(a, b, keep, gfp, order);
	} else if (sscanf(line, "unhog %d %d", &a, &b) == 2 && a > 0) {
		give_blocks(a, b);
	} else if (line[0] != '\0') {
		tell("# unknown: %s\n", line);
	}
}

static ssize_t probe_write(struct file *file, const char __user *from, size_t bytes, loff_t *at)
{
	static struct script script; /* lines of one script may come in several writes */
	char *lines = vmalloc(bytes + 1), *rest = lines, *line;

	if (lines == NULL)
		return -ENOMEM;
	if (copy_from_user(lines, from, bytes) != 0) {
		vfree(lines);
		return -EFAULT;
	}
	lines[bytes] = '\0';
	find_zones();
	while ((line = strsep(&rest, "\n")) != NULL) {
		read_line(&script, line);
		cond_resched();
	}
	vfree(lines);
	return bytes;
}

/* What was said is gone once it was read to its end. */
static ssize_t probe_read(struct file *file, char __user *to, size_t bytes, loff_t *at)
{
	ssize_t done = simple_read_from_buffer(to, bytes, at, text, text_used);

	if (done == 0)
		text_used = 0;
	return done;
}

static const struct proc_ops probe_ops = { .proc_write = probe_write, .proc_read = probe_read };

/* A function that the kernel does not export. */
static unsigned long look_up(const char *name)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long (*find)(const char *);

	if (register_kprobe(&probe) < 0)
		return 0;
	find = (void *)probe.addr;
	unregister_kprobe(&probe);
	return find(name);
}

static int __init probe_init(void)
{
	size_t i;

	text = vzalloc(TEXT_BYTES);
	ops = vzalloc(sizeof(*ops) * NR_OPS_MAX);
	slots = vzalloc(sizeof(*slots) * NR_SLOTS);
	held = vmalloc(sizeof(*held) * NR_HELD_MAX);
	if (text == NULL || ops == NULL || slots == NULL || held == NULL)
		return -ENOMEM;
	drain_everything = (void *)look_up("drain_all_pages");
	for_each_kernel_tracepoint(match_point, NULL);
	for (i = 0; i < ARRAY_SIZE(points); i++)
		if (points[i].found != NULL)
			tracepoint_probe_register(points[i].found, points[i].function, NULL);
	return proc_create("neap-probe", 0600, NULL, &probe_ops) == NULL ? -ENOMEM : 0;
}

module_init(probe_init);
