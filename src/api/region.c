/*
 * Regions: the memory that a program sees, and the way every access takes.
 *
 *   neap_access / neap_read / neap_write / neap_page_begin
 *        │ find the caller's task, the page's entry
 *        ├─ entry good: hold it, move data, let go, count       about 15 ns
 *        └─ -EFAULT:    region_fault() ── fault_handle() ── and try again
 *
 * The hardware is always hw/soft here, so its access functions are called inline
 * instead of through the table. Accesses are counted in runs of 64 (thread.c); a
 * run ends in a preempt point, so that in the simulator a program that never
 * faults still lets the other CPUs run.
 *
 * The loop around a fault has no bound: between a fault and the next try the page
 * may be reclaimed again, as on a real machine. It ends because a fault makes
 * progress or reports an error.
 *
 * Between begin and end of a page the hardware holds the entry still, and whoever
 * wants to unmap it spins; so there is no engine call, no sleep and no counting in
 * between. What end needs is kept in neap_page.private_:
 *   [0] the entry   [1] its value   [2] the task   [3] file pages: written (file.c)
 *
 * PINS. The engine counts references; we remember the frame and the number of pins
 * of each pinned page, so that neap_unpin() finds it whatever happened to the
 * table. Pages that are pinned are not given back by neap_release(). A page that
 * was never written is given a frame of its own before it is pinned: the shared
 * zero page would not show what others write later.
 *
 * Linux: arch/x86/mm/fault.c for the loop, mm/gup.c for pins.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "core/fault.h"
#include "core/mapping.h"
#include "core/stall.h"
#include "core/vmstat.h"

/* ---- access ---- */

/* Brings a page in; times that a program can feel are stalls. May sleep. => 0 or the error */
static NOINLINE int region_fault(struct neap_region *region, struct task *t, uint64_t page,
				 uint32_t flags)
{
	uint32_t fault_flags = (flags & NEAP_PAGE_WRITE) ? FAULT_WRITE : 0;
	uint64_t begin_ns, spent_ns;
	int err;

	api_access_flush(t);
	begin_ns = rt_now(t);
	err = fault_handle(t, region->region, page, fault_flags);
	spent_ns = rt_now(t) - begin_ns;
	if (spent_ns > API_STALL_NS)
		stall_record(t, spent_ns);
	rt_preempt(t);
	if (unlikely(atomic_load_explicit(&region->a->trace_drain, memory_order_relaxed)))
		api_trace_poll(region->a, t);
	return err;
}

/*
 * Begins an access to a page that was not ready: faults until it is.
 * => 0 and *access; or the fault's error
 */
static ALWAYS_INLINE int region_begin_again(struct neap_region *region, struct task *t,
					    uint64_t page, uint32_t flags, struct hw_access *access)
{
	int err;

	do { /* event loop */
		err = region_fault(region, t, page, flags);
		if (err == 0)
			err = soft_access_begin(region->hw_space, region->start_vpn + page,
						(flags & NEAP_PAGE_WRITE) != 0, access);
	} while (err == -EFAULT);
	return err;
}

static NOINLINE int region_begin_slow(struct neap_region *region, struct task *t, uint64_t page,
				      uint32_t flags, struct hw_access *access)
{
	return region_begin_again(region, t, page, flags, access);
}

/* Why an access may not even begin; the unlikely half of region_check(). */
static NOINLINE int region_refuse(const struct neap_region *region, struct task *t, uint64_t page)
{
	if (t == NULL)
		return api_no_task(region->a);
	if (page >= region->nr_pages)
		return api_fail(region->a, -EINVAL,
				"Page %llu is outside the region, which has %llu.",
				(unsigned long long)page, (unsigned long long)region->nr_pages);
	return api_fail(region->a, -EACCES, "The region maps a file that was opened read-only.");
}

/*
 * Begins an access by the calling task. *faulted: it had to fault.
 * => 0; then soft_access_end() and api_access_count() follow
 */
static ALWAYS_INLINE int region_begin(struct neap_region *region, struct task *t, uint64_t page,
				      uint32_t flags, struct hw_access *access)
{
	bool write = (flags & NEAP_PAGE_WRITE) != 0;

	if (unlikely(t == NULL || page >= region->nr_pages || (write && region->read_only))) {
		int err = region_refuse(region, t, page);

		return err != 0 ? err : -EINVAL; /* never 0, which the compiler may know */
	}
	if (likely(soft_access_begin(region->hw_space, region->start_vpn + page, write, access) ==
		   0))
		return 0;
	return region_begin_slow(region, t, page, flags, access);
}

int neap_access(struct neap_region *region, uint64_t page, bool write)
{
	struct task *t = api_task(region->a);
	struct hw_access access;
	int err = region_begin(region, t, page, write ? NEAP_PAGE_WRITE : NEAP_PAGE_READ, &access);

	if (unlikely(err != 0))
		return err;
	soft_access_end(region->hw_space, &access);
	api_access_count(region->a, t);
	return 0;
}

static ALWAYS_INLINE void page_take_access(struct neap_page *page, const struct hw_access *access,
					   struct task *t)
{
	page->data = access->data;
	page->tag = access->tag;
	page->frame = access->pfn;
	page->private_[0] = (void *)access->entry;
	page->private_[1] = (void *)(uintptr_t)access->value;
	page->private_[2] = t;
}

/* The rest of neap_page_begin(), by itself, so that an access to a resident page saves nothing. */
static NOINLINE int page_begin_slow(struct neap_region *region, struct task *t, uint64_t page_index,
				    uint32_t flags, struct neap_page *page)
{
	struct hw_access access = { .entry = NULL };
	int err = -EFAULT;

	if (!page->faulted)
		err = soft_access_begin(region->hw_space, region->start_vpn + page_index,
					(flags & NEAP_PAGE_WRITE) != 0, &access);
	page->faulted = err == -EFAULT;
	if (err == -EFAULT)
		err = region_begin_again(region, t, page_index, flags, &access);
	if (err == 0)
		page_take_access(page, &access, t);
	return err;
}

/* The caller has no task yet, or what it wants cannot be. */
static NOINLINE int page_begin_first(struct neap_region *region, uint64_t page_index,
				     uint32_t flags, struct neap_page *page)
{
	struct task *t = api_task(region->a);

	if (t == NULL || page_index >= region->nr_pages ||
	    ((flags & NEAP_PAGE_WRITE) && region->read_only))
		return region_refuse(region, t, page_index);
	page->faulted = false;
	return page_begin_slow(region, t, page_index, flags, page);
}

int neap_page_begin(struct neap_region *region, uint64_t page_index, uint32_t flags,
		    struct neap_page *page)
{
	struct task *t = api_task_known(region->a);
	bool write = (flags & NEAP_PAGE_WRITE) != 0;
	struct hw_access access;

	if (unlikely(t == NULL || page_index >= region->nr_pages || (write && region->read_only)))
		return page_begin_first(region, page_index, flags, page);
	int err = soft_access_try(region->hw_space, region->start_vpn + page_index, write, &access);

	page->faulted = err == -EFAULT;
	if (unlikely(err != 0))
		return page_begin_slow(region, t, page_index, flags, page);
	page_take_access(page, &access, t);
	return 0;
}

void neap_page_end(struct neap_region *region, struct neap_page *page)
{
	struct hw_access access = {
		.entry = page->private_[0],
		.value = (uintptr_t)page->private_[1],
	};

	soft_access_end(region->hw_space, &access);
	api_access_count(region->a, page->private_[2]);
}

/* Bytes to be moved out of a region, or into it. */
struct move {
	uint64_t offset; /* in the region */
	char *buffer;	 /* the program's side */
	size_t bytes;
	bool write; /* from the buffer into the region */
};

/* Copies of a machine word have a fixed size, so that they are a load and a store. */
static ALWAYS_INLINE void copy_bytes(void *to, const void *from, size_t bytes)
{
	if (likely(bytes == sizeof(uint64_t)))
		memcpy(to, from, sizeof(uint64_t));
	else
		memcpy(to, from, bytes);
}

/* A move within one page. */
static ALWAYS_INLINE int move_in_page(struct neap_region *region, struct task *t,
				      const struct move *move)
{
	struct hw_access access;
	int err = region_begin(region, t, move->offset >> NEAP_PAGE_SHIFT,
			       move->write ? NEAP_PAGE_WRITE : NEAP_PAGE_READ, &access);

	if (unlikely(err != 0))
		return err;
	char *at = (char *)access.data + move->offset % NEAP_PAGE_BYTES;

	if (move->write)
		copy_bytes(at, move->buffer, move->bytes);
	else
		copy_bytes(move->buffer, at, move->bytes);
	soft_access_end(region->hw_space, &access);
	api_access_count(region->a, t);
	return 0;
}

/* A move over any number of pages, and what the fast path does not accept. */
static NOINLINE int move_slow(struct neap_region *region, struct task *t, const struct move *whole)
{
	uint64_t size_bytes = region->nr_pages << NEAP_PAGE_SHIFT;
	uint64_t end = whole->offset + whole->bytes;
	struct move part = *whole;

	if (region->tags)
		return api_fail(
			region->a, -ENOTSUP,
			"The machine keeps tags instead of contents: bytes cannot be read or"
			" written.");
	if (whole->offset > size_bytes || whole->bytes > size_bytes - whole->offset)
		return api_fail(region->a, -EINVAL,
				"Bytes %llu to %llu are not within the region, which has %llu.",
				(unsigned long long)whole->offset, (unsigned long long)end,
				(unsigned long long)size_bytes);
	while (part.offset < end) {
		part.bytes = (size_t)min_u64(end - part.offset,
					     NEAP_PAGE_BYTES - part.offset % NEAP_PAGE_BYTES);
		int err = move_in_page(region, t, &part);

		if (err != 0)
			return err;
		part.offset += part.bytes;
		part.buffer += part.bytes;
	}
	return 0;
}

/* => the bytes are at least one, within one page, of a machine with contents */
static ALWAYS_INLINE bool move_is_simple(const struct neap_region *region, const struct move *move)
{
	return move->bytes - 1 < NEAP_PAGE_BYTES - move->offset % NEAP_PAGE_BYTES && !region->tags;
}

int neap_read(struct neap_region *region, uint64_t offset, void *buffer, size_t bytes)
{
	struct task *t = api_task(region->a);
	struct move move = { .offset = offset, .buffer = buffer, .bytes = bytes };

	if (likely(move_is_simple(region, &move)))
		return move_in_page(region, t, &move);
	return move_slow(region, t, &move);
}

int neap_write(struct neap_region *region, uint64_t offset, const void *buffer, size_t bytes)
{
	struct task *t = api_task(region->a);
	struct move move = {
		.offset = offset,
		/* Only read from: a move that writes copies out of it. */
		.buffer = (char *)(uintptr_t)buffer,
		.bytes = bytes,
		.write = true,
	};

	if (likely(move_is_simple(region, &move)))
		return move_in_page(region, t, &move);
	return move_slow(region, t, &move);
}

/* ---- pins ---- */

/* Room for the pins of a region, made at the first one. => 0 or -ENOMEM */
static int pins_prepare(struct neap_region *region)
{
	struct api_machine *a = region->a;
	int err = 0;

	(void)pthread_mutex_lock(&a->guard);
	if (region->pins == NULL)
		region->pins = calloc(region->nr_pages, sizeof(region->pins[0]));
	if (region->pins == NULL)
		err = -ENOMEM;
	(void)pthread_mutex_unlock(&a->guard);
	return err;
}

/*
 * Pins the frame of a page. A page nobody wrote to yet shows the shared zero page;
 * it is made a page of its own first.
 */
static int pin_frame(struct neap_region *region, struct task *t, uint64_t page, bool write,
		     uint32_t *pfn)
{
	struct neap_machine *m = t->machine;
	uint64_t begin_ns = rt_now(t);
	uint64_t spent_ns;
	int err = fault_pin(t, region->region, page, write, pfn);

	if (err == 0 && *pfn == m->zero_pfn) {
		fault_unpin(t, machine_page(m, *pfn), false);
		err = fault_pin(t, region->region, page, true, pfn);
	}
	spent_ns = rt_now(t) - begin_ns;
	if (spent_ns > API_STALL_NS)
		stall_record(t, spent_ns);
	return err;
}

int neap_pin(struct neap_region *region, uint64_t page_index, bool write, void **data)
{
	struct api_machine *a = region->a;
	struct task *t = api_task(a);
	uint32_t pfn = PFN_NONE;
	int err;

	if (t == NULL || page_index >= region->nr_pages || (write && region->read_only))
		return region_refuse(region, t, page_index);
	if (region->tags)
		return api_fail(
			a, -ENOTSUP,
			"The machine keeps tags instead of contents: nothing can be pinned.");
	api_access_flush(t);
	err = pins_prepare(region);
	if (err == 0)
		err = pin_frame(region, t, page_index, write, &pfn);
	if (err != 0)
		return err;
	(void)pthread_mutex_lock(&a->guard);
	struct api_pin *pin = &region->pins[page_index];

	if (unlikely(pin->count != 0 && pin->pfn != pfn)) {
		/* The program released the page while pinning it: a mistake, but its own. */
		(void)pthread_mutex_unlock(&a->guard);
		fault_unpin(t, machine_page(t->machine, pfn), false);
		return api_fail(a, -EBUSY, "Page %llu was given back while it was being pinned.",
				(unsigned long long)page_index);
	}
	if (pin->count++ == 0)
		region->nr_pinned++;
	pin->pfn = pfn;
	pin->written |= write;
	(void)pthread_mutex_unlock(&a->guard);
	*data = hw_window(a->hw, pfn);
	return 0;
}

void neap_unpin(struct neap_region *region, uint64_t page_index)
{
	struct api_machine *a = region->a;
	struct task *t = api_task(a);

	if (t == NULL || page_index >= region->nr_pages || region->pins == NULL)
		return;
	(void)pthread_mutex_lock(&a->guard);
	struct api_pin *pin = &region->pins[page_index];
	struct api_pin found = *pin;

	if (found.count != 0 && --pin->count == 0) {
		region->nr_pinned--;
		*pin = (struct api_pin){ 0 };
	}
	(void)pthread_mutex_unlock(&a->guard);
	if (found.count != 0)
		fault_unpin(t, machine_page(&a->m, found.pfn), found.written);
}

/* Is a page of first..first+nr-1 pinned? */
static bool pins_in_range(struct neap_region *region, uint64_t first, uint64_t nr)
{
	bool any = false;

	(void)pthread_mutex_lock(&region->a->guard);
	if (region->nr_pinned != 0)
		for (uint64_t page = first; page < first + nr && !any; page++)
			any = region->pins[page].count != 0;
	(void)pthread_mutex_unlock(&region->a->guard);
	return any;
}

/* Undoes what the program forgot. => nobody uses the region any more */
static void pins_drop(struct task *t, struct neap_region *region)
{
	for (uint64_t page = 0; region->nr_pinned != 0 && page < region->nr_pages; page++) {
		struct api_pin *pin = &region->pins[page];

		if (pin->count == 0)
			continue;
		for (uint32_t i = 0; i < pin->count; i++)
			fault_unpin(t, machine_page(t->machine, pin->pfn), pin->written);
		region->nr_pinned--;
	}
	free(region->pins);
	region->pins = NULL;
}

/* ---- giving back ---- */

int64_t neap_release(struct neap_region *region, uint64_t first_page, uint64_t nr_pages)
{
	struct task *t = api_task(region->a);

	if (t == NULL)
		return api_no_task(region->a);
	if (!api_range_is_valid(region, first_page, nr_pages))
		return api_fail(region->a, -EINVAL, "The pages are not all within the region.");
	if (pins_in_range(region, first_page, nr_pages))
		return api_fail(region->a, -EBUSY,
				"A page to be given back is pinned; unpin it"
				" first.");
	if (nr_pages == 0)
		return 0;
	api_access_flush(t);
	event_add(t, EV_SIM_ADVICE, 1);
	int64_t held = (int64_t)region_zap(t, region->region, first_page, nr_pages);

	rt_preempt(t);
	return held;
}

/* ---- life ---- */

#define REGION_FLAGS (NEAP_LOCKED | NEAP_HUGE | NEAP_NO_HUGE | NEAP_EXEC)
#define MAPPED_FLAGS (NEAP_LOCKED | NEAP_EXEC)

_Static_assert(NEAP_LOCKED == REGION_LOCKED && NEAP_HUGE == REGION_HUGE &&
		       NEAP_NO_HUGE == REGION_NO_HUGE && NEAP_EXEC == REGION_EXEC,
	       "flags are handed on as they are");

/* What neap_region_create() and neap_region_map() have in common. */
static int region_make(struct task *t, struct api_machine *a, const struct region_spec *spec,
		       struct neap_file *file, struct neap_region **out)
{
	struct neap_region *region = aligned_alloc(_Alignof(struct neap_region), sizeof(*region));
	int err;

	if (region == NULL)
		return -ENOMEM;
	memset(region, 0, sizeof(*region));
	err = region_create(t, a->space, spec, &region->region);
	if (err != 0) {
		free(region);
		return err;
	}
	region->a = a;
	region->hw_space = a->space->hw;
	region->start_vpn = region->region->start_vpn;
	region->nr_pages = spec->nr_pages;
	region->tags = a->tags;
	region->file = file;
	region->read_only = file != NULL && file->read_only;
	(void)pthread_mutex_lock(&a->guard);
	api_list_add(a, &a->regions, &region->link);
	if (file != NULL)
		file->nr_regions++;
	(void)pthread_mutex_unlock(&a->guard);
	if (spec->flags & REGION_LOCKED) {
		err = fault_populate(t, region->region, 0, spec->nr_pages, file == NULL);
		if (err != 0) {
			api_region_destroy(t, region);
			return api_fail(a, err,
					"Not all pages of a locked region could be brought"
					" in: %s.",
					strerror(-err));
		}
	}
	*out = region;
	return 0;
}

int neap_region_create(struct neap_machine *machine, uint64_t bytes, uint32_t flags, int node,
		       struct neap_region **out)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);
	struct region_spec spec = {
		.nr_pages = bytes / NEAP_PAGE_BYTES + (bytes % NEAP_PAGE_BYTES != 0),
		.flags = flags,
		.node = (uint32_t)(node + 1),
	};

	if (t == NULL)
		return api_no_task(a);
	if (node < NEAP_ANY_NODE || node >= (int)a->m.nr_nodes)
		return api_fail(a, -EINVAL, "Node %d does not exist; the machine has %u.", node,
				a->m.nr_nodes);
	if (bytes == 0 || spec.nr_pages > UINT32_MAX)
		return api_fail(a, -EINVAL,
				"A region of %llu bytes is not possible; 1 byte to 16 TiB"
				" are.",
				(unsigned long long)bytes);
	if (flags & ~REGION_FLAGS)
		return api_fail(a, -EINVAL, "The flags 0x%x are unknown.", flags & ~REGION_FLAGS);
	if ((flags & NEAP_HUGE) && (flags & NEAP_NO_HUGE))
		return api_fail(a, -EINVAL, "A region cannot be for huge pages and against them.");
	api_access_flush(t);
	return region_make(t, a, &spec, NULL, out);
}

int neap_region_map(struct neap_file *file, uint32_t flags, struct neap_region **out)
{
	struct api_machine *a = file->a;
	struct task *t = api_task(a);
	uint64_t bytes = neap_file_bytes(file);
	struct region_spec spec = {
		.nr_pages = bytes / NEAP_PAGE_BYTES + (bytes % NEAP_PAGE_BYTES != 0),
		.mapping = file->mapping,
		.flags = flags & MAPPED_FLAGS,
	};

	if (t == NULL)
		return api_no_task(a);
	if (bytes == 0)
		return api_fail(a, -EINVAL, "An empty file cannot be mapped.");
	if (flags & ~MAPPED_FLAGS)
		return api_fail(a, -EINVAL, "The flags 0x%x are unknown.", flags & ~MAPPED_FLAGS);
	api_access_flush(t);
	return region_make(t, a, &spec, file, out);
}

void api_region_destroy(struct task *t, struct neap_region *region)
{
	struct api_machine *a = region->a;
	struct neap_file *file = region->file;
	bool last = false;

	pins_drop(t, region);
	region_destroy(t, region->region);
	(void)pthread_mutex_lock(&a->guard);
	api_list_remove(a, &region->link);
	if (file != NULL)
		last = --file->nr_regions == 0 && file->closed;
	(void)pthread_mutex_unlock(&a->guard);
	free(region);
	/* neap_file_close() reported the errors known then; nobody is left to hear later ones. */
	if (last)
		(void)api_file_close(t, file);
}

void neap_region_destroy(struct neap_region *region)
{
	if (region == NULL)
		return;
	struct task *t = api_task(region->a);

	if (t == NULL) {
		(void)api_no_task(region->a);
		return;
	}
	api_access_flush(t);
	api_region_destroy(t, region);
}

uint64_t neap_region_pages(const struct neap_region *region)
{
	return region->nr_pages;
}
