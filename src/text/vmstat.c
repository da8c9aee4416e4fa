/*
 * /proc/vmstat.
 *
 *     nr_free_pages 112778        zone items, summed over zones
 *     numa_hit 6590               NUMA events, folded
 *     nr_inactive_anon 261        node items, summed over nodes
 *     nr_dirty_threshold 22254    the two write-back limits
 *     pgpgin 16                   events
 *     nr_unstable 0               fixed last line
 *
 * Names and order come from core/vmstat_items.def, so a counter that core gains
 * appears here without a change. Two units differ from what core keeps: huge page
 * items are printed in huge pages, pgpgin and pgpgout in KiB where the counters
 * are in sectors of 512 bytes. nr_kernel_stack is in KiB on both sides.
 *
 * Parsed by name, never by position: other kernels have other names. Linux's
 * counterpart is the seq_file at the end of mm/vmstat.c.
 *
 * What must never happen: a name of this file spelled twice in our sources, or a
 * hidden item in a /proc text.
 */
#include "text/vmstat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "text/mem.h"
#include "text/scan.h"

static const char *const item_names[] = {
#define ZONE_ITEM(id, name) name,
#include "core/vmstat_items.def"
#define NUMA_ITEM(id, name) name,
#include "core/vmstat_items.def"
#define NODE_ITEM(id, name) name,
#include "core/vmstat_items.def"
#define DIRTY_ITEM(id, name) name,
#include "core/vmstat_items.def"
#define EVENT_ITEM(id, name) name,
#include "core/vmstat_items.def"
	"nr_unstable",
};

/* Names that 6.1 has when it is built with zswap or CMA; neap has no use for them. */
static const char *const optional_names[] = {
	"zswpin",
	"zswpout",
	"cma_alloc_success",
	"cma_alloc_fail",
};

static const char *const hidden_names[] = {
#define HIDDEN_ITEM(id, name) name,
#include "core/vmstat_items.def"
};

/* Where each group begins in item_names. */
enum {
	NUMA_AT = NR_ZONE_ITEMS,
	NODE_AT = NUMA_AT + NR_NUMA_ITEMS,
	DIRTY_AT = NODE_AT + NR_NODE_ITEMS,
	EVENT_AT = DIRTY_AT + 2,
	UNSTABLE_AT = EVENT_AT + NR_EVENT_ITEMS,
	NR_NAMES = UNSTABLE_AT + 1,
};

_Static_assert(ARRAY_LEN(item_names) == NR_NAMES, "every group is listed once, in order");
_Static_assert(ARRAY_LEN(hidden_names) == NR_METER_ITEMS - NR_EVENT_ITEMS, "hidden items");

const char *vmstat_zone_name(enum zone_item item)
{
	CHECK((uint32_t)item < NR_ZONE_ITEMS);
	return item_names[item];
}

const char *vmstat_numa_name(enum numa_item item)
{
	CHECK((uint32_t)item < NR_NUMA_ITEMS);
	return item_names[(uint32_t)NUMA_AT + item];
}

const char *vmstat_node_name(enum node_item item)
{
	CHECK((uint32_t)item < NR_NODE_ITEMS);
	return item_names[(uint32_t)NODE_AT + item];
}

const char *vmstat_event_name(enum meter_item item)
{
	CHECK((uint32_t)item < NR_METER_ITEMS);
	if ((uint32_t)item >= NR_EVENT_ITEMS)
		return hidden_names[(uint32_t)item - NR_EVENT_ITEMS];
	return item_names[(uint32_t)EVENT_AT + item];
}

bool vmstat_node_is_huge(enum node_item item)
{
	static const bool huge[NR_NODE_ITEMS] = {
#define HUGE_ITEM(id) [id] = true,
#include "core/vmstat_items.def"
	};

	CHECK((uint32_t)item < NR_NODE_ITEMS);
	return huge[item];
}

static bool name_is_known(struct text_doc *doc, const char *name)
{
	uint32_t hint = 0;

	return text_name_find(item_names, NR_NAMES, name, &doc->hint) != NAME_NONE ||
	       text_name_find(optional_names, ARRAY_LEN(optional_names), name, &hint) != NAME_NONE;
}

static int vmstat_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	const char *name_end = scan_word(text);
	const char *at = scan_blanks(name_end);

	if (!scan_end(scan_u64(at, &line->value)))
		return 0;
	line->kind = VMSTAT_VALUE;
	line->name = text_doc_name(doc, text, (size_t)(name_end - text));
	line->known = name_is_known(doc, line->name);
	return 0;
}

static void vmstat_print(const struct text_doc *doc UNUSED, const struct text_line *line,
			 struct text_buf *out)
{
	text_buf_puts(out, line->name);
	text_buf_add(out, " ", 1);
	text_buf_u64(out, line->value, 0);
}

static const struct text_format vmstat_format = {
	.title = "/proc/vmstat",
	.form = "nr_free_pages 112778",
	.bytes_max = MIB,
	.lines_max = 8192,
	.line_bytes_max = 256,
	.by_name = true,
	.read = vmstat_read,
	.print = vmstat_print,
};

/* => an empty document, or NULL when memory is out */
static struct vmstat_doc *vmstat_new(void)
{
	struct vmstat_doc *vmstat = text_mem_resize(NULL, sizeof(*vmstat));

	if (vmstat != NULL)
		text_doc_init(&vmstat->doc, &vmstat_format);
	return vmstat;
}

void vmstat_free(struct vmstat_doc *vmstat)
{
	if (vmstat == NULL)
		return;
	text_doc_clear(&vmstat->doc);
	free(vmstat);
}

int vmstat_parse(const char *text, size_t bytes, const char *file_name, struct vmstat_doc **out,
		 struct text_error *err)
{
	struct vmstat_doc *vmstat = vmstat_new();

	*out = NULL;
	if (vmstat == NULL)
		return text_error_no_memory(err, file_name);
	int error = text_doc_parse(&vmstat->doc, text, bytes, file_name, err);
	if (error != 0) {
		vmstat_free(vmstat);
		return error;
	}
	*out = vmstat;
	return 0;
}

/* What the file prints for the item at `at` of item_names. */
static uint64_t printed_value(const struct snapshot *snapshot, uint32_t at)
{
	if (at < NUMA_AT)
		return snapshot->zone_stat[at];
	if (at < NODE_AT)
		return snapshot->numa[at - NUMA_AT];
	if (at < DIRTY_AT) {
		uint64_t value = snapshot->node_stat[at - NODE_AT];

		return vmstat_node_is_huge((enum node_item)(at - NODE_AT))
			       ? value / VMSTAT_HUGE_PAGES
			       : value;
	}
	if (at == DIRTY_AT)
		return snapshot->dirty_threshold;
	if (at == DIRTY_AT + 1)
		return snapshot->dirty_background_threshold;
	if (at == EVENT_AT + EV_PGPGIN || at == EVENT_AT + EV_PGPGOUT)
		return snapshot->event[at - EVENT_AT] / 2;
	return at < UNSTABLE_AT ? snapshot->event[at - EVENT_AT] : 0;
}

int vmstat_from_snapshot(const struct snapshot *snapshot, struct vmstat_doc **out)
{
	struct vmstat_doc *vmstat = vmstat_new();
	int error = vmstat != NULL ? 0 : -ENOMEM;

	*out = NULL;
	for (uint32_t at = 0; at < NR_NAMES && error == 0; at++) {
		struct text_line line = {
			.kind = VMSTAT_VALUE,
			.known = true,
			.name = item_names[at],
			.value = printed_value(snapshot, at),
		};

		error = text_doc_add(&vmstat->doc, &line);
	}
	if (error != 0) {
		vmstat_free(vmstat);
		return error;
	}
	*out = vmstat;
	return 0;
}

int vmstat_write(const struct vmstat_doc *vmstat, struct text_buf *out)
{
	return text_doc_write(&vmstat->doc, out);
}

bool vmstat_doc_get(const struct vmstat_doc *vmstat, const char *name, uint64_t *value)
{
	const struct text_line *line = text_doc_find(&vmstat->doc, 0, VMSTAT_VALUE, name);

	if (line != NULL)
		*value = line->value;
	return line != NULL;
}

/* Enters the printed value of the item at `at` of item_names; the inverse of printed_value(). */
static void fill_value(struct snapshot *snapshot, uint32_t at, uint64_t value)
{
	if (at < NUMA_AT)
		snapshot->zone_stat[at] = value;
	else if (at < NODE_AT)
		snapshot->numa[at - NUMA_AT] = value;
	else if (at < DIRTY_AT)
		snapshot->node_stat[at - NODE_AT] =
			vmstat_node_is_huge((enum node_item)(at - NODE_AT))
				? value * VMSTAT_HUGE_PAGES
				: value;
	else if (at == DIRTY_AT)
		snapshot->dirty_threshold = value;
	else if (at == DIRTY_AT + 1)
		snapshot->dirty_background_threshold = value;
	else if (at == EVENT_AT + EV_PGPGIN || at == EVENT_AT + EV_PGPGOUT)
		snapshot->event[at - EVENT_AT] = value * 2;
	else if (at < UNSTABLE_AT)
		snapshot->event[at - EVENT_AT] = value;
}

void vmstat_fill_snapshot(const struct vmstat_doc *vmstat, struct snapshot *snapshot)
{
	uint32_t hint = 0;

	for (uint32_t i = 0; i < vmstat->doc.nr_lines; i++) {
		const struct text_line *line = &vmstat->doc.lines[i];
		uint32_t at = NAME_NONE;

		if (line->kind == VMSTAT_VALUE)
			at = text_name_find(item_names, NR_NAMES, line->name, &hint);
		if (at != NAME_NONE)
			fill_value(snapshot, at, line->value);
	}
}
