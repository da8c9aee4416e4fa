/*
 * Zones as text names them.
 *
 *     Node 0, zone    DMA32   ...
 *          ^ id         ^ right-aligned in 8
 *
 * zoneinfo uses the label as a whole line, buddyinfo as the beginning of one.
 * The order of the table is that of enum zone_type. "HighMem" is a zone of 32-bit
 * kernels only: it takes the slot of Movable, which moves to that of Device, a zone that
 * these kernels lack. No machine of neap is like that; saved ones are.
 *
 * What must never happen: two files that name the same zone differently.
 */
#include "text/zonename.h"

#include <string.h>

#include "base/check.h"
#include "text/scan.h"

static const char *const names[NEAP_NR_ZONES] = {
	[ZONE_DMA] = "DMA",	    [ZONE_DMA32] = "DMA32",   [ZONE_NORMAL] = "Normal",
	[ZONE_MOVABLE] = "Movable", [ZONE_DEVICE] = "Device",
};

const char *zonename_of(uint32_t type)
{
	CHECK(type < NEAP_NR_ZONES);
	return names[type];
}

uint32_t zonename_type(const char *name)
{
	uint32_t type = 0;

	while (type < NEAP_NR_ZONES && strcmp(names[type], name) != 0)
		type++;
	return type;
}

const char *zonename_in(const struct snapshot *snapshot, uint32_t slot)
{
	if (snapshot->has_highmem && slot == ZONE_MOVABLE)
		return "HighMem";
	return zonename_of(snapshot->has_highmem && slot == ZONE_DEVICE ? ZONE_MOVABLE : slot);
}

uint32_t zonename_slot(const struct snapshot *snapshot, const char *name)
{
	uint32_t slot = 0;

	while (slot < NEAP_NR_ZONES && strcmp(zonename_in(snapshot, slot), name) != 0)
		slot++;
	return slot;
}

const char *zonename_scan_label(const char *text, struct zonename_label *label)
{
	const char *at = scan_literal(text, "Node");

	at = scan_u32(scan_blanks(at), &label->node);
	at = scan_literal(at, ",");
	at = scan_literal(scan_blanks(at), "zone");
	label->name = scan_blanks(at);
	const char *end = scan_word(label->name);
	if (end != NULL)
		label->name_bytes = (size_t)(end - label->name);
	return end;
}

void zonename_print_label(const struct text_line *line, struct text_buf *out)
{
	size_t length = strlen(line->name);

	text_buf_puts(out, "Node ");
	text_buf_u64(out, line->value, 0);
	text_buf_puts(out, ", zone ");
	if (length < 8)
		text_buf_fill(out, ' ', 8 - length);
	text_buf_add(out, line->name, length);
}
