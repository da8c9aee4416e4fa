/*
 * neap.h: the public interface of neap.
 *
 * A *machine* is a set of memory nodes with zones, per-CPU lists, kswapd threads
 * and swap areas, behaving as Linux 6.1's memory management does. A program puts
 * its data into *regions* (anonymous memory, or a file mapped) and *files* (read
 * and written through the page cache). Their total may be many times the
 * machine's memory: neap keeps the frames in use below the machine's size and
 * moves the rest to swap or to the files.
 *
 * RUNTIMES. A live machine (the default) works with real threads on real memory.
 * A simulated machine runs the same engine in virtual time, deterministic from a
 * seed. Programs use either through the same calls, made inside neap_run().
 *
 * CONTENTS. NEAP_REAL pages hold 4096 bytes each. In a machine of NEAP_TAGS a page
 * holds one 64-bit tag instead, so that simulated machines may be far larger than
 * the real one; byte access (neap_read, neap_write, neap_pin...) is refused with
 * -ENOTSUP there, neap_page_begin() gives the tag.
 *
 * THREADS. Every function may be called from any thread unless it says otherwise
 * (simulated machines: from tasks started by neap_run or neap_thread_start). The
 * first call of a thread attaches it to the machine.
 *
 * ERRORS. Functions return 0 (or a count) or a negative errno value. neap_config_error()
 * and neap_machine_error() give a sentence for the last error of that object.
 *   -EIO     the page's contents could not be read back from swap or file: the access
 *            failed, no stale or zero data was returned, other pages are not affected
 *   -ENOMEM  no page could be had, after reclaim
 *   -ENOSPC  the device under a file or swap area is full
 *   -EINVAL  an argument is out of range; -ENOTSUP not possible on this machine
 *   -EACCES  writing to a file opened read-only; -EBUSY a page is pinned, or cached
 *
 * SIZES are bytes unless a name says pages; a page is NEAP_PAGE_SIZE bytes. Times
 * are nanoseconds since the machine was created (virtual ones when simulated).
 */
#ifndef NEAP_NEAP_H
#define NEAP_NEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NEAP_PAGE_SIZE 4096u
#define NEAP_VERSION "0.1.0"
#define NEAP_API __attribute__((visibility("default")))
#define NEAP_MUST_CHECK __attribute__((warn_unused_result))

struct neap_config;
struct neap_machine;
struct neap_region;
struct neap_file;
struct neap_thread;
struct neap_block;

/* ---- describing a machine ---- */

/*
 * => a configuration with the defaults, or NULL if memory is out. Free it with neap_config_free().
 */
NEAP_API struct neap_config *neap_config_new(void);
NEAP_API void neap_config_free(struct neap_config *config);

/*
 * Sets one property by name; numbers and sizes as text ("64M", "4").
 *
 *   memory    total size; one zone Normal per node unless `machine` is given. Default 64M.
 *   nodes     number of nodes the memory and CPUs are split over. Default 1.
 *   cpus      number of CPUs. Default 2.
 *   hotplug   size of the memory that can be added later. Default 0.
 *   block     size of a memory block, a power of two from 4M on. Default 128M.
 *   machine   a PC as in job files: "nodes=2G/0-1+2G/2-3 cpus=4 dist=0-1:15 type=q35"
 *   runtime   live | sim. Default live.
 *   contents  real | tags. Default real for live (tags is refused there), tags for sim.
 *   seed      simulator seed. Default 1.
 *   explore   0 | 1: simulator may preempt under locks. Default 0.
 *   costs     emulated-guest | server | path of a cost file (simulator). Default
 *             emulated-guest with `machine`, else server.
 *   host_others  0..1000, up to three decimals: threads that share the host of virtual CPUs, in
 *             the mean, instead of as many as the cost table says (simulator).
 *   cma       SIZE of the contiguous memory area, in whole pageblocks of 2 MiB. Default none.
 *   swap      SIZE or FILE:SIZE, optionally ",pri=N" and, for a simulated machine, ",disk=N": which
 *             of two modelled disks it lies on, 1 (default) or 2, or 0: memory of its own, which
 *             takes no time and is read past the swap cache; may be set several times.
 *   tmp       directory of temporary files. Default $TMPDIR or /tmp.
 *   uring     0 | 1: use io_uring if possible (live). Default 1.
 *   rebind    0 | 1: when a CPU comes online, bind kswapd to its node's CPUs again, as Linux 5.0
 *             did; 6.1 binds it once, when it starts. Default 0.
 *   sysctl.X  initial value of /proc/sys/vm/X
 *   fault.X   error injection for tests: see docs/embedding.md
 *
 * => 0, or -EINVAL with neap_config_error() saying what was wrong
 */
NEAP_API NEAP_MUST_CHECK int neap_config_set(struct neap_config *config, const char *name,
					     const char *value);
NEAP_API const char *neap_config_error(const struct neap_config *config);

/*
 * Builds the machine and starts its threads (kswapd0, ...). The configuration may be freed
 * afterwards.
 * => 0 and *out; else a negative errno and neap_config_error() explains
 */
NEAP_API NEAP_MUST_CHECK int neap_machine_create(struct neap_config *config,
						 struct neap_machine **out);

/*
 * Stops the threads and frees everything; unnamed files disappear. Regions, files and blocks of the
 * machine become invalid. Not from inside neap_run().
 */
NEAP_API void neap_machine_destroy(struct neap_machine *machine);
NEAP_API const char *neap_machine_error(const struct neap_machine *machine);

/*
 * Calls fn(arg) as a task of the machine and returns its result. On a simulated machine virtual
 * time
 * passes only inside. Not nested.
 */
NEAP_API int neap_run(struct neap_machine *machine, int (*fn)(void *arg), void *arg);

/* ---- threads and time ---- */

/*
 * Starts fn(arg) as a further task. cpu: home CPU, or -1 for any. => 0, -EAGAIN, -ENOMEM, -EINVAL
 */
NEAP_API NEAP_MUST_CHECK int neap_thread_start(struct neap_machine *machine, const char *name,
					       int cpu, int (*fn)(void *arg), void *arg,
					       struct neap_thread **out);
/* Waits for it, frees it, and returns its function's result. */
NEAP_API int neap_thread_join(struct neap_machine *machine, struct neap_thread *thread);
/* Optional, before a long-lived thread that was attached implicitly ends. */
NEAP_API void neap_thread_detach(struct neap_machine *machine);
/* Moves the calling task to a CPU. => 0 or -EINVAL */
NEAP_API int neap_set_cpu(struct neap_machine *machine, uint32_t cpu);
NEAP_API void neap_sleep(struct neap_machine *machine, uint64_t ns);
NEAP_API uint64_t neap_now(struct neap_machine *machine);
/* Simulator: the caller executed 256 * ticks instructions of its own. Live: nothing. */
NEAP_API void neap_tick(struct neap_machine *machine, uint64_t ticks);

/* ---- anonymous memory and mapped files ---- */

#define NEAP_ANY_NODE (-1)
/* Region flags. */
#define NEAP_LOCKED 1u	/* mlock: pages are faulted in at once and never reclaimed */
#define NEAP_HUGE 2u	/* madvise: transparent huge pages are worth some work */
#define NEAP_NO_HUGE 4u /* madvise: no transparent huge pages */
#define NEAP_EXEC 8u	/* instructions are fetched from it: its file pages are kept longer */

/*
 * A region of `bytes` (rounded up to pages) of anonymous memory, initially zero. node: strict
 * binding, or NEAP_ANY_NODE. flags: NEAP_*; whether huge pages are used at all is said by the knobs
 * /sys/kernel/mm/transparent_hugepage/enabled and defrag (neap_sysctl_write()); a machine begins
 * with "never".
 */
NEAP_API NEAP_MUST_CHECK int neap_region_create(struct neap_machine *machine, uint64_t bytes,
						uint32_t flags, int node, struct neap_region **out);
/*
 * A shared mapping of the whole file (its size now). flags: NEAP_LOCKED, NEAP_EXEC. The file stays
 * open until the region is destroyed.
 */
NEAP_API NEAP_MUST_CHECK int neap_region_map(struct neap_file *file, uint32_t flags,
					     struct neap_region **out);
/* Unmaps and frees. No access to the region may be in progress or follow. */
NEAP_API void neap_region_destroy(struct neap_region *region);
NEAP_API uint64_t neap_region_pages(const struct neap_region *region);

/*
 * Copies bytes out of or into the region; may cross pages. May block. => 0, -EIO, -ENOMEM, -EINVAL,
 * -ENOTSUP
 */
NEAP_API NEAP_MUST_CHECK int neap_read(struct neap_region *region, uint64_t offset, void *buffer,
				       size_t bytes);
NEAP_API NEAP_MUST_CHECK int neap_write(struct neap_region *region, uint64_t offset,
					const void *buffer, size_t bytes);
/* Touches one page as a load or store would, without moving data. May block. */
NEAP_API NEAP_MUST_CHECK int neap_access(struct neap_region *region, uint64_t page, bool write);

/* One page while it is being accessed, between begin and end. */
struct neap_page {
	void *data;	/* 4096 bytes, or NULL on a machine of tags */
	uint64_t *tag;	/* the page's tag, or NULL with real contents */
	bool faulted;	/* this begin had to fault: contents came from swap, a file, or are new */
	uint32_t frame; /* frame number, for reports */
	void *private_[6];
};

#define NEAP_PAGE_READ 0u
#define NEAP_PAGE_WRITE 1u /* contents may be changed until end */
#define NEAP_PAGE_OVERWRITE                                                                        \
	3u		  /* all of it will be written: old contents need not be read (files) */
#define NEAP_PAGE_EXEC 4u /* an instruction fetch */

/*
 * Begins an access to one page: faults it in (may block), then holds it still.
 * => 0: access page->data or page->tag, then call neap_page_end() soon
 * => between begin and end the task must not call any other neap function, nor block
 */
NEAP_API NEAP_MUST_CHECK int neap_page_begin(struct neap_region *region, uint64_t page_index,
					     uint32_t flags, struct neap_page *page);
NEAP_API void neap_page_end(struct neap_region *region, struct neap_page *page);

/*
 * Pins one page in memory: *data stays valid until neap_unpin(), other calls are allowed meanwhile.
 * Pinned
 * pages are not reclaimed. write: the contents may change while pinned.
 */
NEAP_API NEAP_MUST_CHECK int neap_pin(struct neap_region *region, uint64_t page_index, bool write,
				      void **data);
NEAP_API void neap_unpin(struct neap_region *region, uint64_t page_index);

/* From which nodes memory comes; `nodes` has a bit for each, none for DEFAULT and LOCAL. */
enum neap_policy {
	NEAP_POLICY_DEFAULT,	    /* of a region: its task's; of a task: LOCAL */
	NEAP_POLICY_PREFERRED,	    /* near the first of the nodes */
	NEAP_POLICY_BIND,	    /* from these nodes only */
	NEAP_POLICY_INTERLEAVE,	    /* from these nodes in turn: of a region by page number */
	NEAP_POLICY_LOCAL,	    /* near the CPU */
	NEAP_POLICY_PREFERRED_MANY, /* from these nodes as long as that needs no reclaim */
};
/*
 * The policy of the calling task (set_mempolicy) or of a region (mbind), for pages that come from
 * now on. Set a region's before several threads use it. A node given when the region was made goes
 * before all policies. Threads that the task starts with neap_thread_start() begin with its policy.
 * => 0; -EINVAL no such policy, or none of the nodes has memory that the task may use
 */
NEAP_API NEAP_MUST_CHECK int neap_set_policy(struct neap_machine *machine, enum neap_policy policy,
					     uint64_t nodes);
NEAP_API NEAP_MUST_CHECK int neap_region_policy(struct neap_region *region, enum neap_policy policy,
						uint64_t nodes);

/*
 * The nodes, as bits, that the calling task's memory may come from (cpuset.mems), from now on; 0:
 * all. Pages that are there stay. Policies choose among these nodes: the task's own is moved to
 * them. Kernel memory (a request without GFP hard wall), requests that cannot sleep but may use
 * reserves, and requests that must not fail get memory from elsewhere rather than none. Threads
 * that the task starts begin with its nodes. => 0; -EINVAL none of the nodes has memory
 */
NEAP_API NEAP_MUST_CHECK int neap_set_mems(struct neap_machine *machine, uint64_t nodes);

/*
 * Gives pages back (MADV_DONTNEED): anonymous ones read as zero afterwards. => pages that held
 * something
 */
NEAP_API int64_t neap_release(struct neap_region *region, uint64_t first_page, uint64_t nr_pages);

enum neap_advice {
	NEAP_COLD,	     /* MADV_COLD: likely not needed soon */
	NEAP_PAGEOUT,	     /* MADV_PAGEOUT: reclaim now; writing goes on afterwards */
	NEAP_WILLNEED,	     /* MADV_WILLNEED: read ahead from swap or file; not waited for */
	NEAP_LAZYFREE,	     /* MADV_FREE: contents may be dropped until they are written again */
	NEAP_DONTNEED,	     /* MADV_DONTNEED: as neap_release() */
	NEAP_NORMAL,	     /* MADV_NORMAL: no pattern of access; how regions begin */
	NEAP_RANDOM,	     /* MADV_RANDOM: a fault on a file reads that page alone */
	NEAP_SEQUENTIAL,     /* MADV_SEQUENTIAL: faults read far ahead, use protects no page */
	NEAP_POPULATE_READ,  /* MADV_POPULATE_READ: maps all pages, waiting for them */
	NEAP_POPULATE_WRITE, /* MADV_POPULATE_WRITE: the same, ready to be written */
};
/* The advice that neap_file_advise() takes, too, a bit each. */
#define NEAP_FILE_ADVICE                                                                           \
	(1u << NEAP_WILLNEED | 1u << NEAP_DONTNEED | 1u << NEAP_NORMAL | 1u << NEAP_RANDOM |       \
	 1u << NEAP_SEQUENTIAL)
/*
 * Tells what the program will do with pages of the region. Patterns (NORMAL, RANDOM, SEQUENTIAL)
 * are of whole regions only. All but the patterns may block: POPULATE for I/O, the others for
 * memory.
 * => 0; -EINVAL the pages are not within the region; a part of it was given a pattern; LAZYFREE of
 * a mapped file; DONTNEED, LAZYFREE, COLD, PAGEOUT of a region with NEAP_LOCKED; -EBUSY DONTNEED of
 * a pinned page; -EACCES POPULATE_WRITE of a file opened read-only; -ENOMEM; -EIO
 */
NEAP_API NEAP_MUST_CHECK int neap_advise(struct neap_region *region, uint64_t first_page,
					 uint64_t nr_pages, enum neap_advice advice);

/*
 * Reclaims about that many pages wherever they are, as before an image of the machine is saved
 * (hibernation): writes what has to be written, and swaps. Blocks, for long. => pages reclaimed,
 * fewer if there are no more; or -ENOMEM (no task)
 */
NEAP_API NEAP_MUST_CHECK int64_t neap_shrink_all(struct neap_machine *machine, uint64_t pages);

/* ---- caches of the program ---- */

/* One look at a cache. */
struct neap_shrink {
	uint32_t node;	     /* whose objects; 0 unless the shrinker is per_node */
	uint32_t gfp;	     /* what the task that needs memory may do: Linux 6.1's bit values */
	uint64_t nr_to_scan; /* scan: objects to look at */
	uint64_t nr_scanned; /* scan: the same; change it if it was another number */
};

#define NEAP_SHRINK_STOP UINT64_MAX

/*
 * A cache of the program's own that gives objects up when the machine is short of memory, in step
 * with its page lists (Linux: struct shrinker). Both functions are called inside the allocations of
 * any task, and by kswapd, possibly by several at once. They must be short, and may call
 * neap_block_free(), neap_now() and what is said to be cheap, nothing else; frames of blocks freed
 * in scan count as reclaimed.
 */
struct neap_shrinker {
	/* => objects that could be given up now */
	uint64_t (*count)(void *ctx, const struct neap_shrink *shrink);
	/* => objects given up; NEAP_SHRINK_STOP: none can be at the moment */
	uint64_t (*scan)(void *ctx, struct neap_shrink *shrink);
	void *ctx;
	uint32_t seeks; /* what an object costs to make again; 2 is usual, 0: no I/O at all */
	uint32_t batch; /* objects of one scan; 0: 128 */
	bool per_node;	/* objects are counted by node */
};

/*
 * Reclaim at priority p asks for (count >> p) * 4 / seeks objects (half of them with seeks 0), and
 * saves up what is less than a batch; writing 2 or 3 to drop_caches asks for all. May block.
 * => a number; -EINVAL a function is missing; -ENOSPC there are 15 already; -ENOMEM
 */
NEAP_API NEAP_MUST_CHECK int neap_shrinker_register(struct neap_machine *machine,
						    const struct neap_shrinker *shrinker);
/*
 * Nobody is inside the functions afterwards. Not from inside them. May block. => 0; -ENOENT no such
 * number
 */
NEAP_API int neap_shrinker_unregister(struct neap_machine *machine, int number);

/* ---- files through the page cache ---- */

#define NEAP_FILE_READ_ONLY 1u
#define NEAP_FILE_CREATE 2u /* a named file must not exist yet */

/*
 * Opens a file. path NULL: an unnamed temporary file (simulated machines: a modelled disk), sparse,
 * of
 * `bytes`. path given: an existing file (bytes ignored), or with NEAP_FILE_CREATE a new one of
 * `bytes`.
 * A simulated machine with path reads and writes that file's bytes (real contents only).
 */
NEAP_API NEAP_MUST_CHECK int neap_file_open(struct neap_machine *machine, const char *path,
					    uint64_t bytes, uint32_t flags, struct neap_file **out);
/*
 * Writes dirty pages back, drops the cache, closes. => 0 or the first write error not yet reported
 */
NEAP_API int neap_file_close(struct neap_file *file);
NEAP_API uint64_t neap_file_bytes(const struct neap_file *file);
/* => bytes moved (short at end of file) or negative errno */
NEAP_API NEAP_MUST_CHECK int64_t neap_file_read(struct neap_file *file, uint64_t offset,
						void *buffer, size_t bytes);
NEAP_API NEAP_MUST_CHECK int64_t neap_file_write(struct neap_file *file, uint64_t offset,
						 const void *buffer, size_t bytes);
/* As neap_page_begin(), for a page of the file as a read- or write-type call sees it. */
NEAP_API NEAP_MUST_CHECK int neap_file_page_begin(struct neap_file *file, uint64_t page_index,
						  uint32_t flags, struct neap_page *page);
NEAP_API void neap_file_page_end(struct neap_file *file, struct neap_page *page);
/* Puts contents straight to the backing store, as O_DIRECT would; the page must not be cached. */
NEAP_API NEAP_MUST_CHECK int neap_file_load(struct neap_file *file, uint64_t page_index,
					    const void *data, uint64_t tag);
/* fsync. => 0 or the first write error since the last call */
NEAP_API NEAP_MUST_CHECK int neap_file_sync(struct neap_file *file);
/* Drops clean, unmapped cached pages (POSIX_FADV_DONTNEED). => pages dropped */
NEAP_API int64_t neap_file_drop(struct neap_file *file);

/*
 * Tells how the file will be read and written by calls (posix_fadvise). NORMAL, RANDOM and
 * SEQUENTIAL are of the whole file whatever the range, and say how far reading goes ahead: usually
 * up to 32 pages, not at all, up to 64. WILLNEED begins to read the range, at most 320 pages of it.
 * DONTNEED begins to write its dirty pages and drops its clean ones that no region maps. These two
 * may block for memory and for pages that are locked.
 * => 0; -EINVAL other advice; -ENOMEM (no task)
 */
NEAP_API NEAP_MUST_CHECK int neap_file_advise(struct neap_file *file, uint64_t first_page,
					      uint64_t nr_pages, enum neap_advice advice);

/* ---- hot-plug ---- */

/*
 * CPUs and memory come and go while programs run; marks, reserves and per-CPU limits of all zones
 * follow as in Linux 6.1. All of these may block, one runs at a time, and none changes anything if
 * it fails.
 */

/* Takes a CPU out of use: tasks leave it. => 0; -EINVAL it is not online; -EBUSY it is the last */
NEAP_API NEAP_MUST_CHECK int neap_cpu_offline(struct neap_machine *machine, uint32_t cpu);
/* => 0; -EINVAL it is not offline */
NEAP_API NEAP_MUST_CHECK int neap_cpu_online(struct neap_machine *machine, uint32_t cpu);

/* Memory is handled in blocks of this size; block N begins at byte N times it. Bytes. */
NEAP_API uint64_t neap_memory_block_bytes(struct neap_machine *machine);
/*
 * Plugs memory into a node, offline so far. bytes: a multiple of the block size; room for it was
 * made by the configuration's `hotplug`. => 0 and *first_block; -EINVAL; -ENOSPC no room
 */
NEAP_API NEAP_MUST_CHECK int neap_memory_add(struct neap_machine *machine, uint32_t node,
					     uint64_t bytes, uint32_t *first_block);
/* Unplugs blocks that were added and are offline. => 0; -EINVAL; -EBUSY one is online */
NEAP_API NEAP_MUST_CHECK int neap_memory_remove(struct neap_machine *machine, uint32_t first_block,
						uint32_t nr_blocks);

/* Which zone a block becomes part of: the words of Linux's files `state`. */
enum neap_memory_use {
	NEAP_MEMORY_DEFAULT, /* online: with the zone around it, else as kernel */
	NEAP_MEMORY_KERNEL,  /* online_kernel */
	NEAP_MEMORY_MOVABLE, /* online_movable: can be taken offline again unless something is
				pinned */
};
/* => 0; -EINVAL the block is not offline; -ENOMEM */
NEAP_API NEAP_MUST_CHECK int neap_memory_online(struct neap_machine *machine, uint32_t block,
						enum neap_memory_use use);
/*
 * Moves everything in the block elsewhere and takes it out of use. May block for long.
 * => 0; -EINVAL not online, or it has holes or several zones; -EBUSY something cannot be moved
 */
NEAP_API NEAP_MUST_CHECK int neap_memory_offline(struct neap_machine *machine, uint32_t block);

struct neap_memory_state {
	uint32_t node;
	bool online;
	bool fixed;    /* online for ever: parts of several zones, or holes */
	uint32_t zone; /* online and not fixed: 0 DMA, 1 DMA32, 2 Normal, 3 Movable */
};
/* => 0; -ENOENT there is no memory */
NEAP_API NEAP_MUST_CHECK int neap_memory_state(struct neap_machine *machine, uint32_t block,
					       struct neap_memory_state *out);

/* ---- kernel-like allocations ---- */

/*
 * One block of 2^order frames, taken as an in-kernel user would (gfp: Linux 6.1's bit values; spec
 * 02).
 * node: preferred node, or NEAP_ANY_NODE. => 0, -ENOMEM
 */
NEAP_API NEAP_MUST_CHECK int neap_block_alloc(struct neap_machine *machine, uint32_t order,
					      uint32_t gfp, int node, struct neap_block **out);
/*
 * The same from the machine's contiguous memory area (property cma), whose pages nobody but
 * programs uses meanwhile, so that a range of it can be had at any time. => 0, -ENOMEM
 */
NEAP_API NEAP_MUST_CHECK int neap_cma_alloc(struct neap_machine *machine, uint64_t bytes,
					    struct neap_block **out);
/*
 * As many frames in a row as `bytes` are, rounded up to pages, of any number and nearly any length:
 * what is in the way is moved elsewhere (alloc_contig_pages()). node: preferred node, or
 * NEAP_ANY_NODE. May block. => 0, -ENOMEM
 */
NEAP_API NEAP_MUST_CHECK int neap_range_alloc(struct neap_machine *machine, uint64_t bytes,
					      int node, struct neap_block **out);
NEAP_API void neap_block_free(struct neap_machine *machine, struct neap_block *block);

/* ---- knobs, files, counters ---- */

/* name below /proc/sys/vm. => bytes of text, -ENOENT, -ERANGE (buffer too small) */
NEAP_API NEAP_MUST_CHECK int64_t neap_sysctl_read(struct neap_machine *machine, const char *name,
						  char *buffer, size_t bytes);
/* => bytes consumed, as Linux; -EINVAL, -ENOENT, -ENOTSUP (exists in Linux, not yet here) */
NEAP_API NEAP_MUST_CHECK int64_t neap_sysctl_write(struct neap_machine *machine, const char *name,
						   const char *text, size_t bytes);
/*
 * Switches a swap area on while the machine runs. area: as for the property "swap" of a
 * configuration. *number (may be NULL) names it from now on; the areas of the configuration are 0..
 * in their order. May block. => 0, or a negative errno and neap_machine_error() explains
 */
NEAP_API NEAP_MUST_CHECK int neap_swapon(struct neap_machine *machine, const char *area,
					 unsigned int *number);
/*
 * Brings everything in the area back into memory, or into other areas, and closes it. Blocks until
 * that is done; programs go on meanwhile. A page that cannot be read is lost: every access to it
 * gives -EIO from then on.
 * => 0; -ENOENT no such area; -ENOMEM the contents do not fit: the area stays in use
 */
NEAP_API NEAP_MUST_CHECK int neap_swapoff(struct neap_machine *machine, unsigned int number);

/*
 * Watches /proc/pressure/memory. text: "some|full THRESHOLD WINDOW" in microseconds, as a program
 * writes it to that file. => a number below 8; -EINVAL, the text is wrong; -EBUSY, eight are open
 */
NEAP_API NEAP_MUST_CHECK int neap_pressure_open(struct neap_machine *machine, const char *text);
/*
 * Waits until tasks were stalled for the threshold within one window; at most one event a window.
 * => 0; -ETIMEDOUT after timeout_ns; -ENOENT it is closed
 */
NEAP_API NEAP_MUST_CHECK int neap_pressure_wait(struct neap_machine *machine, int number,
						uint64_t timeout_ns);
NEAP_API void neap_pressure_close(struct neap_machine *machine, int number);

/*
 * Text of a file as Linux would print it, by its name below /proc ("zoneinfo", "sys/vm/swappiness",
 * "pressure/memory") or in a snapshot ("node0/meminfo", "extfrag_index").
 * *text is malloc'ed and terminated; the caller frees it. => bytes, -ENOENT, -ENOMEM
 */
NEAP_API NEAP_MUST_CHECK int64_t neap_proc_text(struct neap_machine *machine, const char *file,
						char **text);
/*
 * Writes every file of neap_proc_text() into directory dir (created if missing). => 0 or negative
 * errno
 */
NEAP_API NEAP_MUST_CHECK int neap_snapshot_save(struct neap_machine *machine, const char *dir);
/* A counter of /proc/vmstat, or one of neap's own ("accesses", "minor_faults"...). 0 if unknown. */
NEAP_API uint64_t neap_counter(struct neap_machine *machine, const char *name);
/* Free pages and the marks summed over the machine, kswapd states: for progress lines. Cheap. */
struct neap_gauge {
	uint64_t free_pages, min_pages, low_pages, high_pages, managed_pages;
	uint64_t peak_used_pages; /* most frames in use at once since creation */
	uint32_t kswapd_awake;	  /* kswapds running now */
	uint32_t nr_kswapd;
	uint64_t swap_used_pages, swap_total_pages;
	uint64_t swap_full_errors; /* writes to swap that failed: the disk behind it is full */
};
NEAP_API void neap_gauge(struct neap_machine *machine, struct neap_gauge *out);
/* Times programs were held up by the allocator's slow path or by I/O of their own faults. */
struct neap_stalls {
	uint64_t count, total_ns, p50_ns, p99_ns, max_ns;
};
NEAP_API void neap_stalls(struct neap_machine *machine, struct neap_stalls *out);

/*
 * Writes trace events in Linux's trace text to the file (created, truncated) until
 * neap_trace_stop() or
 * the machine's end. Lost events are counted in the file's last lines. => 0 or negative errno
 */
NEAP_API NEAP_MUST_CHECK int neap_trace_start(struct neap_machine *machine, const char *path);
NEAP_API int neap_trace_stop(struct neap_machine *machine);

/*
 * Appends a report in the text of Linux's log ("NAME: page allocation failure: ...", Mem-Info) to
 * the file for each request that fails and has no __GFP_NOWARN, at most one in ten seconds, until
 * the machine's end. The file is created, or emptied, with the first report.
 * => 0; -EBUSY: there is such a file already; -ENOMEM; -ENAMETOOLONG
 */
NEAP_API NEAP_MUST_CHECK int neap_report_start(struct neap_machine *machine, const char *path);
/* Reports written so far. => their number, or the negative errno of the first failed write */
NEAP_API int64_t neap_report_count(struct neap_machine *machine);

/* ---- watching ---- */

/* One trace event, while a callback looks at it. */
struct neap_event {
	uint64_t time_ns;
	uint32_t cpu, task;
	const char *task_name;
	const char *name; /* Linux's: "mm_vmscan_kswapd_wake" */
	const void *private_;
};

typedef void (*neap_event_fn)(void *ctx, const struct neap_event *event);

/*
 * Calls fn at every trace event from now on, in the task that emits it and at that place in the
 * engine, possibly with locks held; fn NULL ends that, after calls in progress have returned.
 * Watching changes nothing: a simulated run gives the same state hash with and without it.
 *
 *   simulated: all else stands still meanwhile. fn may look at anything: neap_proc_text(),
 *              neap_counter(), neap_gauge(), neap_zone_gauge(), neap_zone_map(),
 *              neap_sysctl_read(), neap_snapshot_save()
 *   live:      fn is called by many threads at once, must be short, and may use neap_gauge(),
 *              neap_zone_gauge() and what is below
 *
 * fn must not call anything that blocks, allocates or changes the machine.
 * => 0; -EBUSY if somebody watches already; -EINVAL: fn NULL from inside the callback
 */
NEAP_API int neap_trace_callback(struct neap_machine *machine, neap_event_fn fn, void *ctx);
/* What follows the name in a trace file. => its length; the text is cut to fit, as by snprintf() */
NEAP_API size_t neap_event_text(const struct neap_event *event, char *buffer, size_t bytes);
/* A number of the event by the name it has in the text ("order"). => false if it has none */
NEAP_API bool neap_event_value(const struct neap_event *event, const char *name, uint64_t *value);

/* One zone, read without locks. Marks include the boost, as in zoneinfo. */
struct neap_zone_gauge {
	const char *name; /* "Normal" */
	uint64_t managed_pages, free_pages, min_pages, low_pages, high_pages, boost_pages;
};
/* zone: 0 DMA, 1 DMA32, 2 Normal, 3 Movable. => 0, -ENOENT (it has no pages), -EINVAL (no such) */
NEAP_API NEAP_MUST_CHECK int neap_zone_gauge(struct neap_machine *machine, uint32_t node,
					     uint32_t zone, struct neap_zone_gauge *out);

/* What the pages of one cell of a zone are; the sum is the cell's size or, at the end, less. */
struct neap_map_cell {
	uint32_t free;	    /* in free blocks, or on a per-CPU list */
	uint32_t movable;   /* anonymous and file pages */
	uint32_t unmovable; /* page tables, kernel-like blocks, the engine's own metadata */
	uint32_t huge;	    /* movable pages in blocks of 2 MiB */
	uint32_t pinned;
	uint32_t reserved; /* never given to the allocator */
};
/* A zone to be described: zone as above, cells of cell_pages pages, a power of two. */
struct neap_map {
	uint32_t node, zone, cell_pages;
	struct neap_map_cell *cells;
	size_t nr_cells; /* that there is room for */
};
/* Fills in the first cells, from the zone's first frame on. => cells it has; -ENOENT, -EINVAL */
NEAP_API NEAP_MUST_CHECK int64_t neap_zone_map(struct neap_machine *machine, struct neap_map *map);

/*
 * Freezes the engine: when it returns, kswapd, kcompactd, write-back and the periodic work stand
 * still, as before a machine is suspended. Programs may go on, and reclaim for themselves; what
 * they ask of kswapd is kept. Freezes add up. neap_thaw() takes one back; a kswapd that was frozen
 * does not balance for what it had taken before, it looks at its node anew. The end of the machine
 * ends the freeze. Both may block. => 0; neap_thaw(): -EINVAL if nothing is frozen; -ENOMEM
 */
NEAP_API NEAP_MUST_CHECK int neap_freeze(struct neap_machine *machine);
NEAP_API NEAP_MUST_CHECK int neap_thaw(struct neap_machine *machine);

/*
 * Checks every invariant: each frame in exactly one state, counters equal a full count, no swap
 * slot lost
 * or shared. Nothing else may run meanwhile (other tasks blocked or joined). => 0, or -EUCLEAN with
 * neap_machine_error() naming the first violation
 */
NEAP_API NEAP_MUST_CHECK int neap_verify(struct neap_machine *machine);
/*
 * A hash over the machine's whole state: equal for equal histories. Same condition as
 * neap_verify().
 */
NEAP_API uint64_t neap_state_hash(struct neap_machine *machine);

/*
 * Error injection for tests: "swap-read", "swap-write", "file-read", "file-write", "page", "spawn":
 * the nth next operation of the kind fails (0 = none); each area or file counts its own. Stores can
 * be made to fail if fault.enable=1 was set. While those of files are armed, nobody may open or
 * close a file. => 0, -ENOENT, -ENOTSUP
 */
NEAP_API int neap_inject(struct neap_machine *machine, const char *kind, uint64_t nth, int error);

#ifdef __cplusplus
}
#endif

#endif
