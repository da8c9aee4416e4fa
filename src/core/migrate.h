/*
 * Page migration (spec 22): the contents and mappings of isolated pages move to other
 * frames.
 */
#ifndef NEAP_CORE_MIGRATE_H
#define NEAP_CORE_MIGRATE_H

#include "core/machine.h"

/* What a migration may wait for (spec 20, section 5). */
enum migrate_mode {
	MIGRATE_ASYNC,	    /* nothing */
	MIGRATE_SYNC_LIGHT, /* a page lock, from the fourth pass on; not write-out */
	MIGRATE_SYNC,	    /* write-out, too */
};

/* In the order of Linux's names for them. */
enum migrate_reason {
	MIGRATE_FOR_COMPACTION,
	MIGRATE_FOR_MEMORY_FAILURE,
	MIGRATE_FOR_HOTPLUG,
	MIGRATE_FOR_SYSCALL,
	MIGRATE_FOR_MBIND,
	MIGRATE_FOR_NUMA,
	MIGRATE_FOR_CONTIG,
	MIGRATE_FOR_LONGTERM_PIN,
	MIGRATE_FOR_DEMOTION,
};

/* One call of migrate_pages(). */
struct migrate_control {
	enum migrate_mode mode;
	enum migrate_reason reason;
	/*
	 * A free frame with one reference and no flags but its place; PFN_NONE if
	 * there is none. Others may hold it for a moment, having found it by an old entry. May
	 * sleep.
	 */
	uint32_t (*get_target)(struct task *t, void *arg);
	/* Takes back a target that was not used, as it was given. */
	void (*put_target)(struct task *t, void *arg, uint32_t pfn);
	/* The frame that get_target() will give next, if it is known: a hint. May be NULL. */
	uint32_t (*peek_target)(const void *arg);
	void *arg;
	uint32_t next; /* of migrate_pages(): the page that comes after the one at hand */
	/* Results: pages. */
	uint64_t nr_moved;
	uint64_t nr_failed;
};

/*
 * Moves the isolated pages of a list. What did not move is on the list afterwards; the caller puts
 * it
 * back with migrate_putback(). May sleep as the mode says.
 * => 0 all moved; > 0 how many did not; -ENOMEM there was no target, the rest was not tried
 */
int migrate_pages(struct task *t, struct list *list, struct migrate_control *control) MUST_CHECK;

/*
 * Puts isolated pages of any kind back where they came from. May sleep for a movable block's lock.
 */
void migrate_putback(struct task *t, struct list *list);

/*
 * One page (migrate_page.c). force: the relaxed passes are over. May sleep as the mode says.
 * => 0, and the page is not on our hands any more; -EAGAIN try again later; -ENOMEM no target;
 *    another negative errno: cannot be moved
 */
int migrate_page(struct task *t, struct page *page, const struct migrate_control *control,
		 bool force) MUST_CHECK;

/* ---- movable blocks: frames of a driver, not on any LRU list ---- */

struct movable_ops {
	/*
	 * Agrees that the page is about to move, and keeps it off the driver's own lists from now
	 * on. Page locked; never sleeps.
	 */
	bool (*isolate)(struct task *t, struct page *page, enum migrate_mode mode);
	/*
	 * Moves data and bookkeeping to the frame `to`. Both locked; sleeps as the mode says.
	 * => 0, -EAGAIN (try later), or another error
	 */
	int (*migrate)(struct task *t, struct page *to, struct page *from, enum migrate_mode mode);
	/* It did not move after all. Page locked; never sleeps. */
	void (*putback)(struct task *t, struct page *page);
};

/*
 * Announces a driver. => its number for migrate_set_movable(), 0 if there are too many. Before its
 * first page.
 */
uint32_t migrate_register(struct neap_machine *m, const struct movable_ops *ops);
/* A single frame in use by the driver (PG_KERNEL) can be moved from now on. */
void migrate_set_movable(struct page *page, uint32_t driver);
/*
 * The driver is about to free the page: it is nobody's to move any more. The page may be in the
 * hands
 * of a migration, which then lets go of it. => page locked by the caller
 */
void migrate_clear_movable(struct page *page);
/*
 * Takes a movable block for migration, with a reference. Never sleeps. => false if it cannot be had
 * now
 */
bool migrate_isolate_movable(struct task *t, struct page *page, enum migrate_mode mode);

#endif
