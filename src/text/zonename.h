/*
 * Names of zones and of lines that name one: "Node 0, zone   Normal".
 */
#ifndef NEAP_TEXT_ZONENAME_H
#define NEAP_TEXT_ZONENAME_H

#include "core/snapshot.h"
#include "text/doc.h"

/* => "DMA", "DMA32", "Normal", "Movable" or "Device" */
const char *zonename_of(uint32_t type);
/* => the type of that name, or NEAP_NR_ZONES if amd64 has no such zone */
uint32_t zonename_type(const char *name);

/* => the name of a slot in a machine that may have HighMem */
const char *zonename_in(const struct snapshot *snapshot, uint32_t slot);
/* => the slot of that name there, or NEAP_NR_ZONES */
uint32_t zonename_slot(const struct snapshot *snapshot, const char *name);

/* What a line says about its zone. */
struct zonename_label {
	uint32_t node;
	const char *name; /* within the line, not terminated */
	size_t name_bytes;
};

/* Reads "Node N, zone NAME". => the position after the name, or NULL if the line is another */
const char *zonename_scan_label(const char *text, struct zonename_label *label);
/* Appends it as Linux does, with the name right-aligned in 8 characters. */
void zonename_print_label(const struct text_line *line, struct text_buf *out);

#endif
