/*
 * /proc/pressure/memory, cpu, io, irq, and the same files of a cgroup (spec 05, section 7).
 */
#ifndef NEAP_TEXT_PRESSURE_H
#define NEAP_TEXT_PRESSURE_H

#include "core/snapshot.h"
#include "text/doc.h"

/* Line kind: name = "some" or "full", list = three averages in 1/100 percent, value = us. */
#define PRESSURE_LINE 1u

extern const struct text_format pressure_format;

/* The machine's pressure/memory. => 0 and *out, or -ENOMEM */
MUST_CHECK int pressure_from_snapshot(const struct snapshot *snapshot, struct text_doc **out);

/* The line "some" or "full". => whether the file has it */
bool pressure_doc_get(const struct text_doc *doc, const char *name, struct snapshot_psi *psi);

void pressure_fill_snapshot(const struct text_doc *doc, struct snapshot *snapshot);

#endif
