/*
 * Watching a machine from inside its events, and pictures of its zones.
 *
 *   engine ── event_emit() ── hook ── watcher(ctx, event) ── neap_event_text(), gauges, texts
 *
 * The hook runs in the task that emits the event, wherever that is. In the simulator
 * one task runs at a time, so all else stands still and the watcher may look at
 * anything; machine.watched says so, and then nobody takes locks or counts accesses
 * for the sake of looking. Live, threads come by at the same time and go on while
 * the watcher looks, so it gets what can be read without locks.
 *
 * A zone's map is a walk over descriptors without any lock. A block in the middle of
 * being split or freed may be told wrongly for that moment, but a step is never
 * longer than the largest block, so the walk ends.
 *
 * What must never happen: a look that changes what it looks at. Time is charged by
 * counters, and no counter moves here.
 *
 * Linux: tracepoint probes; tools/mm/page-types.c for the map.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "core/event.h"
#include "text/buf.h"

/* ---- events ---- */

static void watch_hook(struct task *t, const struct event_record *record)
{
	struct api_machine *a = api_of(t->machine);
	struct neap_event event = {
		.time_ns = record->time_ns,
		.cpu = record->cpu,
		.task = record->task,
		.task_name = record->comm,
		.name = api_event_name(record->id),
		.private_ = record,
	};

	if (a->sim) {
		/* What the watcher looks at may emit nothing, but be safe against it. */
		if (a->m.watched)
			return;
		a->m.watched = true;
	}
	a->watcher(a->watcher_ctx, &event);
	if (a->sim)
		a->m.watched = false;
}

static void watch_stop(struct api_machine *a)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	event_hook_stop(&a->m);
	/* In the simulator a call in progress would be the caller itself. */
	while (atomic_load(&a->m.nr_hook_calls) != 0) /* event loop */
		(void)nanosleep(&pause, NULL);
	a->watcher = NULL;
}

int neap_trace_callback(struct neap_machine *machine, neap_event_fn fn, void *ctx)
{
	struct api_machine *a = api_of(machine);

	if (machine->watched)
		return api_fail(a, -EINVAL, "A callback cannot be changed from inside itself.");
	if (fn == NULL) {
		if (a->watcher != NULL)
			watch_stop(a);
		return 0;
	}
	if (a->watcher != NULL)
		return api_fail(a, -EBUSY, "There is a callback already; remove it first.");
	a->watcher = fn;
	a->watcher_ctx = ctx;
	machine->event_hook = watch_hook;
	event_hook_start(machine);
	return 0;
}

size_t neap_event_text(const struct neap_event *event, char *buffer, size_t bytes)
{
	struct text_buf text;
	size_t length = 0;

	text_buf_init(&text);
	if (api_event_body(&text, event->private_) == 0)
		length = text.bytes;
	if (bytes > 0) {
		size_t kept = length < bytes ? length : bytes - 1;

		memcpy(buffer, text_buf_text(&text), kept);
		buffer[kept] = '\0';
	}
	text_buf_free(&text);
	return length;
}

bool neap_event_value(const struct neap_event *event, const char *name, uint64_t *value)
{
	const struct event_record *record = event->private_;
	const char *format = api_event_format(record->id);
	size_t length = strlen(name);
	uint32_t nr = 0;

	/* Values stand in the order of their conversions; "name=" stands before each. */
	for (const char *at = format; *at != '\0'; at++) {
		if (*at != '%')
			continue;
		size_t before = (size_t)(at - format);
		/* A number may be printed with a prefix: "pfn=0x%lx". */
		size_t prefix = before >= 2 && memcmp(at - 2, "0x", 2) == 0 ? 2 : 0;

		before -= prefix;
		if (before > length && at[-(ptrdiff_t)prefix - 1] == '=' &&
		    memcmp(format + before - 1 - length, name, length) == 0 &&
		    (before == length + 1 || format[before - length - 2] == ' ')) {
			*value = record->arg[nr];
			return true;
		}
		nr++;
	}
	return false;
}

/* ---- zones ---- */

/* => 0 and *out; -EINVAL, -ENOENT */
static int find_zone(struct neap_machine *machine, uint32_t node, uint32_t zone, struct zone **out)
{
	if (node >= machine->nr_nodes || zone >= NR_ZONES)
		return -EINVAL;
	*out = &machine->nodes[node].zone[zone];
	return zone_populated(*out) ? 0 : -ENOENT;
}

int neap_zone_gauge(struct neap_machine *machine, uint32_t node, uint32_t zone,
		    struct neap_zone_gauge *out)
{
	static const char *const names[NR_ZONES] = { "DMA", "DMA32", "Normal", "Movable",
						     "Device" };
	struct zone *z;
	int err = find_zone(machine, node, zone, &z);

	if (err != 0)
		return err;
	*out = (struct neap_zone_gauge){
		.name = names[zone],
		.managed_pages = zone_managed(z),
		.free_pages = zone_stat(z, NR_FREE_PAGES),
		.min_pages = zone_mark(z, WMARK_MIN),
		.low_pages = zone_mark(z, WMARK_LOW),
		.high_pages = zone_mark(z, WMARK_HIGH),
		.boost_pages = atomic_load(&z->boost),
	};
	return 0;
}

/* Which count of a cell a page of use belongs to. */
static uint32_t *map_user(struct neap_map_cell *cell, const struct page *page, uint32_t nr_pages)
{
	if (page_refs(page) == 0)
		return &cell->reserved;
	if (page_maybe_pinned(page))
		return &cell->pinned;
	return nr_pages >= NEAP_PAGEBLOCK_PAGES ? &cell->huge : &cell->movable;
}

/* One frame or block. *nr_pages: frames it covers. => the count of the cell that it belongs to */
static uint32_t *map_frame(struct neap_map_cell *cell, const struct page *page, uint32_t *nr_pages)
{
	uint64_t flags = page_flags(page);

	*nr_pages = 1;
	/* From the flags just read: one look, however the block changes. */
	if (flags & (PG_BUDDY | PG_PCP | PG_KERNEL | PG_HEAD))
		*nr_pages = 1u << page_order_of(flags);
	if (flags & (PG_BUDDY | PG_PCP))
		return &cell->free;
	if (flags & (PG_TABLE | PG_SLAB | PG_KERNEL | PG_ZEROPAGE))
		return &cell->unmovable;
	return map_user(cell, page, *nr_pages);
}

int64_t neap_zone_map(struct neap_machine *machine, struct neap_map *map)
{
	struct zone *zone;
	uint32_t size = map->cell_pages;
	int err = find_zone(machine, map->node, map->zone, &zone);

	if (err != 0)
		return err;
	if (size == 0 || (size & (size - 1)) != 0)
		return -EINVAL;
	if (map->nr_cells > 0)
		memset(map->cells, 0, map->nr_cells * sizeof(*map->cells));
	uint32_t first = zone->start_pfn;
	uint32_t spanned = zone_spanned(zone);

	for (uint32_t at = 0; at < spanned;) {
		struct neap_map_cell count = { 0 };
		uint32_t *which = &count.reserved;
		uint32_t nr_pages = 1;

		if (zone_has_frame(zone, first + at))
			which = map_frame(&count, machine_page(machine, first + at), &nr_pages);
		size_t offset = (size_t)((uint8_t *)which - (uint8_t *)&count);
		uint32_t end = min_u32(at + nr_pages, spanned);

		/* A block may cover several cells. */
		while (at < end) {
			uint32_t part = min_u32(end - at, size - at % size);

			if (at / size < map->nr_cells)
				*(uint32_t *)(void *)((uint8_t *)&map->cells[at / size] + offset) +=
					part;
			at += part;
		}
	}
	return (int64_t)((spanned + size - 1) / size);
}
