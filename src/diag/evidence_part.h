/*
 * The parts of reading evidence: shared by the files evidence*.c only.
 */
#ifndef NEAP_DIAG_EVIDENCE_PART_H
#define NEAP_DIAG_EVIDENCE_PART_H

#include "diag/evidence.h"
#include "text/buf.h"

/*
 * Distributes the lines of a text over the files they belong to. texts: NR_EVIDENCE_FILES buffers,
 * empty, initialised. => lines that belong to none; buffers' errors stick
 */
uint32_t evidence_split(const char *text, size_t bytes, struct text_buf *texts);

/* Sets the releases that the files are possible for. */
void evidence_guess_kernel(struct evidence *evidence);

/*
 * One file of a memory group, "memory.stat" and so on, into *group. Unknown lines are skipped.
 * => whether it is understood
 */
bool evidence_group_file(const char *name, const char *text, struct evidence_group *group);
/* Reads the group below `dir`, or that of this process if `dir` is "/". */
void evidence_group_load(const char *dir, struct evidence_group *group);

#endif
