/*
 * The machine: everything there is, in structures grouped by the lock that
 * guards each field.
 *
 *   neap_machine ── nodes[] ── zones[5] ── free lists, per-CPU sets, marks
 *        │             └────── lruvec, kswapd's fields, wait queues
 *        ├── cpus[]   meter, LRU batches, trace ring, swap slot cache
 *        ├── pages[]  one descriptor a frame       slot_of[]  swap slot of a frame
 *        ├── pools    regions, spaces, mappings (objects in the machine's own frames)
 *        └── swap areas, sysctls, ports (hw, rt, host)
 *
 * Lock letters:  I immutable after machine_build    z zone lock   l lru lock
 *   p the CPU's word (cpu_pin)   a atomic   s swap lock   k kswapd of the node only
 *   w written rarely by one task (sysctl, build), read without lock as atomics
 *
 * There is no other state: no globals anywhere in the engine, so one process
 * holds as many machines as it likes.
 */
#ifndef NEAP_CORE_MACHINE_H
#define NEAP_CORE_MACHINE_H

#include "core/gfp.h"
#include "core/knobs.h"
#include "core/list.h"
#include "core/page.h"
#include "core/pool.h"
#include "core/racy.h"
#include "core/snapshot.h"
#include "core/vmstat_ids.h"
#include "port/hw.h"
#include "port/rt.h"
#include "port/store.h"

#define NR_ZONES NEAP_NR_ZONES
#define NR_ORDERS NEAP_NR_ORDERS
#define NR_PAIR_ORDERS 9u	   /* orders whose buddies have a bit of their own: machine.pairs */
#define NR_WORD_ORDERS 6u	   /* ... and those of which one word tells everything */
#define PAIRS_SHIFT NR_WORD_ORDERS /* log2 of the frames of which one word tells */
#define NR_TYPES NEAP_NR_TYPES
#define NR_PCP_TYPES 3u
#define NR_PCP_LISTS 14u /* 3 * order 0..3 + type, then order 9: others, Movable (core/pcp.h) */
#define LRU_BATCH_PAGES 15u
#define LATE_FREES 64u
#define SWAP_SLOT_CACHE 64u

enum wmark {
	WMARK_MIN,
	WMARK_LOW,
	WMARK_HIGH,
	WMARK_PROMO,
	NR_WMARKS,
};

enum lru_list {
	LRU_INACTIVE_ANON,
	LRU_ACTIVE_ANON,
	LRU_INACTIVE_FILE,
	LRU_ACTIVE_FILE,
	LRU_UNEVICTABLE,
	NR_LRU_LISTS,
};

/* In the order in which they are drained (spec 10, section 2). */
enum lru_batch_kind {
	BATCH_ADD,
	BATCH_ROTATE,
	BATCH_DEACTIVATE_FILE,
	BATCH_DEACTIVATE,
	BATCH_LAZYFREE,
	BATCH_ACTIVATE,
	NR_LRU_BATCHES,
};

struct lru_batch {
	uint32_t nr;
	uint32_t pfn[LRU_BATCH_PAGES];
};

struct free_area {
	struct list list[NR_TYPES]; /* z */
	uint64_t nr_free;	    /* z: blocks, all types */
} CACHE_ALIGNED;

#define NEWEST_FRAMES 768u
#define FREED_AT_ONCE 256u

/*
 * Single frames that came last to the head of a free list, the newest one at nr - 1: what a refill
 * of many will find, unless merges took some. A hint for who asks ahead, since a list tells one
 * frame after the other.
 */
struct newest {
	uint32_t nr;				     /* z: at most NEWEST_FRAMES between calls */
	uint32_t pfn[NEWEST_FRAMES + FREED_AT_ONCE]; /* z */
};

/*
 * Free blocks of one kind that a CPU keeps: first[0] came first, end[-1] last. An array, since a
 * link would stand in a descriptor that may be in no near cache.
 */
struct pcp_list {
	uint32_t *first, *end; /* within room[] */
	uint32_t *room, *room_end;
	bool mixed; /* since it was refilled a block came that remembers another type than it */
};

/* Per-CPU page lists of one zone on one CPU. All p; others read it through core/racy.h. */
struct pcp {
	uint32_t count; /* pages over all lists */
	uint32_t high;	/* written remotely by recomputation: relaxed */
	uint32_t batch;
	uint32_t free_factor;
	uint32_t expire;
	int32_t threshold;	    /* of the differences below */
	int8_t diff[NR_ZONE_ITEMS]; /* not yet added to zone.stat */
	uint64_t numa[NR_NUMA_ITEMS];
	struct pcp_list list[NR_PCP_LISTS];
} __attribute__((aligned(512))); /* a CPU's is found by a shift */

/* Per-CPU differences of a node's counters. All p. */
struct node_cpu {
	int32_t threshold;
	int8_t diff[NR_NODE_ITEMS];
} CACHE_ALIGNED;

#define ZONE_BOOSTED 1u	       /* a boost asks for kswapd at the next allocation */
#define ZONE_RECLAIM_ACTIVE 2u /* kswapd works here: per-CPU lists stay short */

struct zone {
	struct neap_machine *machine; /* I */
	const char *name;	      /* I */
	uint32_t node;		      /* I */
	uint32_t type;		      /* I: enum zone_type */
	uint64_t place;		      /* I: page_place() of its frames */
	/*
	 * The zone's frames lie in start_pfn..end_pfn-1, with holes where memory is not there, not
	 * online, or another zone's (zone_has_frame()). Both change with the zone lock held and
	 * each by itself: whoever reads them without it gets a range that was right or is.
	 */
	_Atomic uint32_t start_pfn; /* w */
	_Atomic uint32_t end_pfn;   /* w */
	_Atomic uint32_t present;   /* w: 0 = not populated */
	uint32_t cma;		    /* I */
	/* What the allocator was never given: taken by boot, and not there at all. */
	uint32_t reserved_first, nr_reserved; /* I: frames */
	uint32_t absent_first, nr_absent;     /* I: frames */
	uint32_t boot_first, nr_boot;	      /* I: frames: its span when it was built */
	_Atomic uint64_t managed;	      /* w */
	_Atomic uint64_t mark[NR_WMARKS];     /* w: without boost */
	_Atomic uint64_t boost;		      /* z to write */
	_Atomic uint64_t reserve[NR_ZONES];   /* w: lowmem protection by request limit */
	_Atomic uint64_t drift_mark;	      /* w */
	_Atomic uint32_t flags;		      /* a: ZONE_* */
	_Atomic int32_t threshold_normal;     /* w */
	_Atomic int32_t threshold_pressure;   /* w */
	_Atomic bool nofragment;	      /* w: requests that prefer it spare other types */
	bool shares_pairs;	  /* I: some pageblock of it has frames of another zone */
	struct pcp *pcp;	  /* one per CPU; NULL until the zone was populated once */
	_Atomic uint32_t pcp_off; /* a: users that want its per-CPU lists to stay empty */

	struct spinlock lock CACHE_ALIGNED;
	struct free_area area[NR_ORDERS];	 /* z */
	_Atomic uint64_t nr_reserved_highatomic; /* z to write: pages */
	_Atomic uint16_t nonempty[NR_TYPES];	 /* z to write: bit = order with a block */
	_Atomic uint64_t nr_isolated_blocks;	 /* z to write */

	/* compaction (core/compact.h): hints, read and written without a lock */
	_Atomic uint32_t compact_cached_migrate[2]; /* a: where runs begin; [1]: sync modes */
	_Atomic uint32_t compact_cached_free;	    /* a */
	_Atomic uint32_t compact_init_migrate;	    /* a: where the last reset placed them */
	_Atomic uint32_t compact_init_free;	    /* a */
	_Atomic uint32_t compact_considered;	    /* a: requests since the last failure */
	_Atomic uint32_t compact_defer_shift;	    /* a: 2^shift - 1 are turned away */
	_Atomic uint32_t compact_order_failed;	    /* a: of this order and above */
	_Atomic uint32_t compact_blockskip_flush;   /* a: forget the skip marks soon */

	/*
	 * By request limit: a plain request is served if more pages are free than this, which
	 * marks_refresh() computes of the marks and all that goes with them.
	 */
	_Atomic int64_t plain_above[NR_ZONES] CACHE_ALIGNED; /* a */
	_Atomic int64_t stat[NR_ZONE_ITEMS];		     /* a */
	struct newest newest[NR_PCP_TYPES]; /* last: most of it is seldom touched */
};

/* The LRU lists of one node (later: of one memory group on one node). */
struct lruvec {
	struct spinlock lock;
	struct list list[NR_LRU_LISTS];		       /* l */
	_Atomic uint64_t size[NR_LRU_LISTS][NR_ZONES]; /* l to write: pages by list and zone */
	uint64_t anon_cost, file_cost;		       /* l */
	_Atomic uint64_t nonresident_age;	       /* a */
	_Atomic uint64_t refaults[2]; /* a: snapshot of activations, anon and file */
	_Atomic uint32_t congested;   /* a */
	uint32_t node;		      /* I */
};

struct zoneref {
	struct zone *zone;
	uint32_t index; /* zone type, copied for the walk */
};

/*
 * Entries never change once they are in use. When zones come or go, the pointers are exchanged for
 * ones to other entries, one by one: a walk keeps to the pointer it began with.
 */
struct zonelist {
	const struct zoneref *_Atomic ref; /* one more than there are zones: zone NULL */
	const struct zoneref *_Atomic first[NR_ZONES]; /* first that each request limit may use */
};

enum vmscan_wait {
	WAIT_WRITEBACK,
	WAIT_ISOLATED,
	WAIT_NOPROGRESS,
	WAIT_CONGESTED,
	NR_VMSCAN_WAITS,
};

#define NODE_FLAG_DIRTY 1u
#define NODE_FLAG_WRITEBACK 2u
#define NODE_FLAG_RECLAIM_LOCKED 4u

struct node {
	struct neap_machine *machine;	   /* I */
	uint32_t id;			   /* I */
	_Atomic uint32_t nr_zones;	   /* w: highest index ever populated + 1 */
	struct cpumask cpus;		   /* I: online or not; machine_node_cpus() */
	uint32_t distance[NEAP_MAX_NODES]; /* I */
	struct zone zone[NR_ZONES];
	struct zonelist fallback;   /* w */
	struct zonelist nofallback; /* w */
	struct lruvec lruvec;
	struct node_cpu *cpu;				   /* I: one per CPU */
	_Atomic int64_t stat[NR_NODE_ITEMS] CACHE_ALIGNED; /* a */
	_Atomic uint64_t min_unmapped_pages;		   /* w */
	_Atomic uint64_t min_slab_pages;		   /* w */
	_Atomic uint64_t reserve_pages;			   /* w: this node's part of totalreserve */

	/* kswapd (spec 12) */
	struct task *kswapd;			    /* w */
	struct spinlock bind_lock;		    /* LOCK_SPACE: both masks of CPUs below */
	struct cpumask kswapd_cpus;		    /* bind_lock: where it may run */
	_Atomic uint32_t stop_threads;		    /* a: the node's memory is gone */
	struct waitq kswapd_wait;		    /* a */
	_Atomic uint32_t kswapd_sleeping;	    /* a: 1: it waits; 2: kswapd.c */
	_Atomic uint32_t kswapd_order;		    /* a */
	_Atomic uint32_t kswapd_highest_zone;	    /* a: NR_ZONES = no request */
	_Atomic uint32_t kswapd_failures;	    /* a */
	struct waitq pfmemalloc_wait;		    /* a */
	struct waitq reclaim_wait[NR_VMSCAN_WAITS]; /* a */
	_Atomic uint32_t nr_writeback_throttled;    /* a */
	_Atomic uint64_t nr_reclaim_start;	    /* a: nr_written when throttling began */
	_Atomic uint32_t flags;			    /* a: NODE_FLAG_* */

	/* huge pages that wait to be split (core/thp_split.c) */
	struct spinlock split_lock;
	struct list split_queue;  /* split_lock: second descriptors of the pages */
	uint32_t split_queue_len; /* split_lock to write */

	/* leaves of files' indexes that hold only shadows, oldest first (core/shadow_nodes.c) */
	struct spinlock shadow_lock;
	uint64_t shadow_oldest, shadow_newest; /* shadow_lock: places; WORKINGSET_NODES of them */

	/* the pool of huge pages: whoever has machine.huge_resizing */
	struct list huge_pool;
	_Atomic uint64_t nr_huge_pool; /* a to read: pages of 2 MiB */

	/* kcompactd (spec 21) */
	struct task *kcompactd;			 /* w */
	struct cpumask kcompactd_cpus;		 /* bind_lock: where it may run */
	struct waitq kcompactd_wait;		 /* a */
	_Atomic uint32_t kcompactd_max_order;	 /* a: 0 = no request */
	_Atomic uint32_t kcompactd_highest_zone; /* a */
	_Atomic uint32_t kcompactd_trigger;	 /* a: look at the score now */
};

struct event_record;

struct event_ring {
	struct event_record *record; /* I; NULL until tracing was on once */
	_Atomic uint64_t head;	     /* p to write: records ever put */
	_Atomic uint64_t tail;	     /* reader: records ever taken */
	uint64_t lost;		     /* p */
};

/* Pressure stall information (core/psi.h). */
#define PSI_AVERAGES 3u /* over 10, 60 and 300 s */
#define PSI_TRIGGERS 8u
#define PSI_TASK_STATES 8u /* values of task.psi_state */

enum psi_state {
	PSI_SOME,
	PSI_FULL,
	PSI_NONIDLE,
	NR_PSI_STATES,
};

/* All p. */
struct psi_cpu {
	uint32_t
		nr[PSI_TASK_STATES]; /* tasks counted here, by task.psi_state; [0]: means nothing */
	uint32_t epoch;		     /* grows when the CPU goes offline */
	bool current_stalled;	     /* the task seen last runs, stalled */
	uint32_t states;	     /* bits of enum psi_state */
	uint64_t since_ns;	     /* of the last change */
	uint64_t spent_ns[1u << NR_PSI_STATES]; /* with just these bits in states */
	uint64_t seen_ns[NR_PSI_STATES];	/* of each bit, by whoever sums up */
};

/* All under psi.trigger_lock, except event. window_ns 0: not in use; may be read at any time. */
struct psi_trigger {
	uint32_t state;
	bool breached;
	uint64_t threshold_ns, window_ns;
	uint64_t start_ns, start_value_ns, previous_ns; /* the window */
	uint64_t fired_ns;
	_Atomic uint32_t event; /* a: fired, and nobody has been told */
};

struct psi_machine {
	_Atomic uint32_t updating;		/* a: 1 while totals are brought up to date */
	_Atomic uint64_t total_ns[PSI_NONIDLE]; /* a: written while updating */
	_Atomic uint64_t average[PSI_NONIDLE][PSI_AVERAGES]; /* a: the same; 11 fractional bits */
	uint64_t due_ns, updated_ns;			     /* updating */
	uint64_t reported_ns[PSI_NONIDLE]; /* updating: part of the totals in the averages */
	_Atomic uint32_t trigger_lock;	   /* a: sleeping */
	struct psi_trigger trigger[PSI_TRIGGERS];
	uint64_t polled_ns;		/* trigger_lock: totals at the last look */
	_Atomic uint64_t step_ns;	/* a: between looks; 0 = no triggers */
	_Atomic uint32_t nr_steps_left; /* a: looks until the machine counts as quiet */
	struct waitq trigger_wait;	/* a */
};

/* CPU-private data. All p unless marked. */
struct cpu {
	uint64_t meter[NR_METER_ITEMS];	  /* first: the slot points at it */
	uint32_t cost_ps[NR_METER_ITEMS]; /* I: what an increment is worth (port/rt.h, TIME) */
	uint32_t id;			  /* I */
	uint32_t node;			  /* I */
	struct node *home;		  /* I: the same */
	struct {
		uint64_t place;
		struct zone *zone;
	} given;	  /* zone of the block given back last; place UINT64_MAX: there is none */
	uint32_t nr_late; /* 1 + frames in late[]; 0: frees are prompt */
	uint32_t late[LATE_FREES]; /* to be freed, oldest first (core/free_late.h) */
	uint32_t late_type;	   /* of the last one freed, and its zone: the next is such a one */
	struct zone *late_zone;	   /* NULL: there was none */
	struct psi_cpu psi;
	uint32_t batches_filled; /* bit for each kind that has pages */
	struct lru_batch batch[NR_LRU_BATCHES];
	struct event_ring ring;
	_Atomic uint32_t segment_tables;     /* a: sizes of which it has a slab: core/bio.c */
	uint32_t nr_swap_slots;		     /* slots got in a batch and not yet used */
	uint32_t swap_slot[SWAP_SLOT_CACHE]; /* swap entries, last one is used next */
	uint32_t nr_swap_returned;	     /* slots freed and not yet given back */
	uint32_t swap_returned[SWAP_SLOT_CACHE];
	uint64_t stall_bucket[64][8]; /* histogram of stalls: core/stall.c */
	uint64_t stall_count, stall_total_ns, stall_max_ns;
} CACHE_ALIGNED;

#define PAGE_WAIT_BUCKETS 256u

#define NR_MOVABLE_OPS 4u

/* What tests have refused: see where each is read. */
enum {
	INJECT_PAGE,
	INJECT_SLAB,
	NR_INJECTS
};

/* What is known of a memory block: its zone's number + BLOCK_FIRST_ZONE, or one of these. */
#define BLOCK_ABSENT 0u	 /* no memory there */
#define BLOCK_OFFLINE 1u /* memory that nobody uses */
#define BLOCK_MIXED 2u	 /* of several zones, or with holes: stays as it is */
#define BLOCK_FIRST_ZONE 3u
#define BLOCK_PAGES_DEFAULT 32768u

/* Memory comes and goes in blocks of a fixed size. */
struct memory_blocks {
	uint32_t shift;		 /* I: log2 of a block's pages */
	uint32_t nr;		 /* I */
	uint32_t first_hot;	 /* I: the first that memory can be added to */
	_Atomic uint16_t *state; /* w: BLOCK_* */
	uint8_t *node;		 /* w: of blocks that are not absent */
};

/* The contiguous memory area (core/cma.h). Made once; nr_pages 0: there is none. */
struct cma_area {
	struct zone *zone;     /* I */
	uint32_t first;	       /* I */
	uint32_t nr_pages;     /* I: whole pageblocks */
	uint64_t *map;	       /* lock: bit per frame that is given out */
	_Atomic uint32_t lock; /* a: 1 while somebody allocates (sleeping) */
};

#define BIO_RESERVE 2u

/* Kernel objects of one size: core/slab.c. */
struct slab_cache {
	uint32_t object_bytes; /* I, as the next five */
	uint32_t order;	       /* of its slabs, when there is such a block */
	uint32_t kept;	       /* slabs with free objects that stay when they are empty */
	bool reclaimable;
	bool later; /* Linux frees the objects when no reader is left: not in a pass of reclaim */
	struct spinlock lock; /* LOCK_IO */
	struct list partial;  /* lock: slabs with objects that are free */
	uint32_t nr_partial;  /* lock: slabs on that list */
	uint32_t nr_frames;   /* lock: of all slabs */
	uint64_t nr_used;     /* lock: objects */
};

/* Memory of requests to the block layer: core/bio.c. */
#define SEGMENT_TABLES 5u

struct bio_pool {
	bool on; /* I once the machine is used */
	struct slab_cache slab;
	struct slab_cache vectors;		  /* of files' requests */
	struct slab_cache tables[SEGMENT_TABLES]; /* of requests' segments: 8, 16, ... 128 */
	struct spinlock lock;			  /* LOCK_IO; the slab's is not taken inside */
	uint32_t nr_reserve;			  /* lock */
	uint32_t reserve[BIO_RESERVE];		  /* lock */
	struct waitq wait;			  /* a: for one of the reserve */
};

/* Buffer heads of written pages: core/buffer.c. */
struct buffer_table {
	struct slab_cache slab;
	uint32_t *slab_of; /* by frame, its page lock: the slab; NULL: nobody has any */
};

struct movable_ops;  /* core/migrate.h */
struct zonelist_set; /* core/zonelist.c */
struct swap_area;    /* core/swap.h */
struct shrinker;     /* core/shrinker.h */
struct event_reader;
struct alloc_failure; /* core/alloc_warn.h */

struct neap_machine {
	struct rt *rt;		 /* I */
	struct hw *hw;		 /* I */
	struct store_host *host; /* I */
	struct page *pages;	 /* I: pages[pfn] */
	uint32_t *slot_of;	 /* entry of a PG_SWAPCACHE frame: page lock; NULL without swap */
	uint8_t *block_type;	 /* z: migrate type by pfn / 512 */
	uint64_t *pairs; /* z: by pfn / 64: which buddies are free alone (core/buddy_link.h) */
	_Atomic uint64_t *compact_skip; /* a: bit per pageblock: compaction passes it over */
	uint64_t *fresh;  /* s: bit per pageblock: never used; NULL: nobody counts (core/fresh.h) */
	uint32_t max_pfn; /* I: highest frame + 1, also of memory to come */
	struct memory_blocks blocks;	/* core/hotplug_mem.h */
	uint32_t nr_nodes;		/* I */
	uint32_t nr_cpus;		/* I */
	_Atomic bool mobility_disabled; /* w */
	bool kswapd_rebinds;		/* I: bound again when a CPU comes (5.0); not in 6.1 */
	_Atomic uint32_t has_migrated;	/* a: 1 from the first migration on */
	bool booted;			/* I: like one that has run for a while: phases are drawn */
	uint32_t policy_zone;		/* I: highest populated zone type, Movable excluded */
	_Atomic uint32_t pcp_draining;	/* a: 1 while somebody drains all per-CPU lists */
	_Atomic uint32_t late_off;	/* a: how many are about to set pageblocks aside */
	struct node *nodes;		/* I */
	struct zone **zone_of_place;	/* I: by page_place_index_of() */
	struct cpu *cpus;		/* I */
	_Atomic uint64_t online[NEAP_MAX_CPUS / 64]; /* w: bit per CPU: machine_cpu_online() */
	_Atomic uint32_t nr_online;		     /* w */
	struct zonelist_set *zonelist_sets;	     /* w: all lists ever used (core/zonelist.c) */
	_Atomic int64_t zone_stat[NR_ZONE_ITEMS];    /* a: sums over zones */
	_Atomic int64_t node_stat[NR_NODE_ITEMS];    /* a: sums over nodes */
	_Atomic uint64_t total_pages;		     /* w: sum of managed */
	_Atomic uint64_t reserve_pages;		     /* w */
	_Atomic uint64_t min_free_pages_seen; /* a: lowest sum of free pages seen: peak use */
	struct knobs sysctl;		      /* w: written under sysctl_lock, read relaxed */
	_Atomic uint32_t sysctl_lock;	      /* a: 1 while a write runs (sleeping) */
	_Atomic uint32_t lru_disabled;	      /* a: batching off */
	uint32_t zero_pfn;		      /* I: the shared zero page */
	struct cma_area cma;		      /* see there */
	_Atomic uint32_t huge_resizing;	      /* a: 1 while the pool is resized (sleeping) */
	uint32_t huge_next_grow;	      /* resizer: node whose turn it is */
	uint32_t huge_next_shrink;	      /* resizer */

	struct waitq page_wait[PAGE_WAIT_BUCKETS]; /* a */
	struct pool spaces, regions, mappings;
	_Atomic uint32_t regions_held;	   /* a: 1 while regions may not come or go (sleeping) */
	struct spinlock mapping_list_lock; /* LOCK_SPACE */
	uint32_t first_mapping;		   /* mapping_list_lock: id of the first mapping */

	/* caches that are asked under pressure (core/shrinker.h) */
	struct shrinker *shrinkers; /* w, while nobody reads; I: room for NEAP_MAX_SHRINKERS */
	uint32_t nr_shrinkers, shrinker_last; /* w likewise */
	_Atomic uint32_t shrinkers_changing;  /* a: 1 while one comes or goes (sleeping) */
	_Atomic uint32_t shrinker_readers;    /* a: tasks that read, and whether to get out */

	struct swap_area *swap;		/* I: NEAP_MAX_SWAPS of them */
	_Atomic uint32_t nr_swap_areas; /* a: areas 0.. that ever were in use; grows only */
	struct spinlock swap_list_lock;
	_Atomic int64_t nr_swap_free;	     /* a: slots nobody has reserved */
	_Atomic int64_t nr_swap_total;	     /* a */
	_Atomic uint32_t nr_rotational_swap; /* a */
	_Atomic uint32_t swap_ra_hits;	     /* a */
	_Atomic uint32_t swap_ra_last_slot;  /* a */
	_Atomic uint32_t swap_ra_window;     /* a: last window read by slot */
	_Atomic uint32_t swap_cache_on;	     /* a: per-CPU slot caches are in use */
	_Atomic uint32_t swap_cache_barred;  /* a: swapoffs under way, which want none */
	_Atomic uint32_t swap_switching; /* a: 1 while an area is switched on or off (sleeping) */
	uint64_t swap_list_seq;		 /* swap_list_lock */
	int32_t swap_next_priority;	 /* swap_list_lock: next automatic one */

	struct bio_pool bios;
	struct slab_cache index_nodes; /* of files: core/index.c */
	struct slab_cache swap_nodes;  /* core/swap_nodes.c */
	struct buffer_table buffers;

	/* engine threads other than kswapd */
	struct task *io_thread;	   /* neap_io */
	struct task *flush_thread; /* neap_flush: write-back of dirty file pages */
	struct task *timer_thread; /* neap_timer: periodic work */
	struct waitq flush_wait, timer_wait, dirty_wait;
	struct psi_machine psi;
	_Atomic uint32_t flush_requested;  /* a */
	_Atomic uint64_t dirty_held_pages; /* a: above so much, or the limit, writers wait */
	_Atomic uint64_t dirty_held_ns;	   /* a: when it came nearer to the limit */
	_Atomic uint32_t timer_armed;	   /* a: periodic work is due within a second */
	_Atomic uint32_t stopping;	   /* a: machine is going down */
	_Atomic uint32_t io_stopping;	   /* a: nothing is in flight any more: neap_io may end */
	_Atomic uint32_t nr_completing;	   /* a: tasks inside io_done() */
	_Atomic uint32_t freezing;	   /* freeze_lock: freezes that hold the threads */
	_Atomic uint32_t freeze_lock;	   /* a: 1 while somebody freezes or thaws (sleeping) */
	_Atomic uint32_t nr_frozen;	   /* a: how many do */
	struct waitq freezer_wait;

	const struct movable_ops *movable_ops[NR_MOVABLE_OPS]; /* w: core/migrate.h; by owner - 1 */
	_Atomic uint32_t tracing; /* a: EVENT_TO_*: where events go, 0 = nowhere */
	void (*event_hook)(struct task *t, const struct event_record *record); /* set before its
										* bit */
	_Atomic uint32_t nr_hook_calls;					       /* a: in progress */
	bool watched; /* simulator: inside the hook; all else stands still, nothing is locked */
	/* a: told of failed requests (core/alloc_warn.h); set once */
	void (*_Atomic failure_hook)(struct task *t, const struct alloc_failure *failure);
	_Atomic uint64_t failure_begin_ns;    /* a: when the last one was told, + 1; 0: never */
	_Atomic uint64_t failures_suppressed; /* a: since then */
	uint64_t inject[NR_INJECTS];	      /* a-ish: error injection countdowns (tests) */
	_Atomic uint64_t oom_count;
	char verify_message[256];
};

static inline struct page *machine_page(const struct neap_machine *m, uint32_t pfn)
{
	DCHECK(pfn != PFN_NONE && pfn < m->max_pfn);
	return &m->pages[pfn];
}

_Static_assert(offsetof(struct cpu, meter) == 0, "a slot's meter is its CPU's data");

/* The CPU that a slot stands for. */
static ALWAYS_INLINE struct cpu *slot_cpu(const struct cpu_slot *slot)
{
	return (struct cpu *)(void *)slot->meter;
}

/* The CPU that the task is on now; pinned or not. */
static ALWAYS_INLINE struct cpu *task_cpu_here(const struct task *t)
{
	return slot_cpu(t->slot);
}

/* Adds n to an item of a CPU's meter. => the CPU's word is ours */
static ALWAYS_INLINE void slot_count_event(struct cpu_slot *slot, enum meter_item item, uint64_t n)
{
	struct cpu *cpu = slot_cpu(slot);

	racy_add(cpu->meter[item], n);
	/* Live nothing costs anything, and this line is at hand; the prices' would not be. */
	if (unlikely(slot->priced != 0))
		slot->worth_ps += n * cpu->cost_ps[item];
}

static ALWAYS_INLINE struct cpu *task_cpu_data(struct task *t)
{
	cpu_assert_pinned(t);
	return task_cpu_here(t);
}

static inline struct node *page_node(const struct neap_machine *m, const struct page *page)
{
	return &m->nodes[page_node_id(page)];
}

/* The zone in flags that were read. */
static ALWAYS_INLINE struct zone *page_zone_of(const struct neap_machine *m, uint64_t flags)
{
	return m->zone_of_place[page_place_index_of(flags)];
}

static ALWAYS_INLINE struct zone *page_zone(const struct neap_machine *m, const struct page *page)
{
	return page_zone_of(m, page_flags(page));
}

static inline uint64_t zone_managed(const struct zone *zone)
{
	return atomic_load_explicit(&((struct zone *)(uintptr_t)zone)->managed,
				    memory_order_relaxed);
}

static inline bool zone_populated(const struct zone *zone)
{
	return zone->present != 0;
}

/* The zone's end. => at least its start */
static ALWAYS_INLINE uint32_t zone_end(const struct zone *zone)
{
	return max_u32(zone->end_pfn, zone->start_pfn);
}

static ALWAYS_INLINE uint32_t zone_spanned(const struct zone *zone)
{
	uint32_t start_pfn = zone->start_pfn;
	uint32_t end_pfn = zone->end_pfn;

	return end_pfn > start_pfn ? end_pfn - start_pfn : 0;
}

/* A number for every zone of the machine. */
static inline uint32_t zone_number(const struct zone *zone)
{
	return zone->node * NR_ZONES + zone->type;
}

/*
 * Is the frame one of the zone's, or of a hole that the zone was built with? The spans of zones may
 * overlap: whoever walks one asks this of every pageblock, at both ends.
 * => the frame is in the zone's span; with the zone lock held the answer holds as long
 */
static inline bool zone_has_frame(const struct zone *zone, uint32_t pfn)
{
	const struct memory_blocks *blocks = &zone->machine->blocks;
	uint32_t state =
		atomic_load_explicit(&blocks->state[pfn >> blocks->shift], memory_order_relaxed);

	if (state == BLOCK_MIXED)
		return pfn - zone->boot_first < zone->nr_boot;
	return state == BLOCK_FIRST_ZONE + zone_number(zone);
}

static inline bool machine_cpu_online(const struct neap_machine *m, uint32_t cpu)
{
	struct neap_machine *mm = (struct neap_machine *)(uintptr_t)m;

	return (atomic_load_explicit(&mm->online[cpu / 64], memory_order_acquire) >> (cpu % 64)) &
	       1;
}

/* Those of a set that are online. */
static inline struct cpumask machine_online_of(const struct neap_machine *m,
					       const struct cpumask *cpus)
{
	struct neap_machine *mm = (struct neap_machine *)(uintptr_t)m;
	struct cpumask online;

	for (size_t i = 0; i < ARRAY_LEN(online.bits); i++)
		online.bits[i] =
			cpus->bits[i] & atomic_load_explicit(&mm->online[i], memory_order_acquire);
	return online;
}

static inline struct cpumask machine_node_cpus(const struct node *node)
{
	return machine_online_of(node->machine, &node->cpus);
}

static inline bool node_has_memory(const struct node *node)
{
	for (uint32_t i = 0; i < NR_ZONES; i++)
		if (zone_populated(&node->zone[i]))
			return true;
	return false;
}

/* A mark as everybody but the recomputation sees it: with the boost. Pages. */
static inline uint64_t zone_mark(const struct zone *zone, enum wmark mark)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;

	return atomic_load_explicit(&z->mark[mark], memory_order_relaxed) +
	       atomic_load_explicit(&z->boost, memory_order_relaxed);
}

/* What to build; filled by the api from the command line, checked by machine_build(). */
struct machine_zone_desc {
	uint32_t start_pfn;
	uint32_t spanned;
	uint32_t present;
	/*
	 * Frames given to the allocator. The others are reserved: the first of the zone, in zone
	 * Movable the last present ones.
	 */
	uint32_t managed;
	uint32_t reserved_at; /* frames of the zone below the reserved ones, if not at that end */
	bool hole_first; /* absent frames follow the reserved ones instead of ending the zone */
};

struct machine_node_desc {
	struct machine_zone_desc zone[NR_ZONES];
	struct cpumask cpus;
	uint32_t distance[NEAP_MAX_NODES];
};

struct machine_desc {
	uint32_t nr_nodes;
	uint32_t nr_cpus;
	bool has_swap; /* reserve slot_of[] */
	/* Memory that may be added later: frames from here on, a whole number of blocks. */
	uint32_t hot_first_pfn, hot_pages;
	uint32_t block_pages; /* of a memory block: a power of two from 1024 on; 0: 32768 */
	struct machine_node_desc node[NEAP_MAX_NODES];
};

/*
 * Builds the machine's arrays, zones, zonelists, marks and free lists into *m (zeroed by the
 * caller, who also
 * owns it) on the given ports. Threads are not started.
 * => 0, -EINVAL (description), -ENOMEM
 * => sets the meters of rt's slots
 */
int machine_build(struct neap_machine *m, const struct machine_desc *desc, struct rt *rt,
		  struct hw *hw, struct store_host *host) MUST_CHECK;

/*
 * Starts kswapd0.., neap_io, neap_flush, neap_timer. => 0 or -EAGAIN (then those started are
 * stopped again)
 */
int machine_start(struct task *t, struct neap_machine *m) MUST_CHECK;

/* Stops and joins all of them. May sleep. */
void machine_stop(struct task *t, struct neap_machine *m);

#endif
