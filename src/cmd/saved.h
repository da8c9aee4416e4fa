/*
 * A machine that exists as saved files: its numbers, its knobs, and what writes to them change.
 */
#ifndef NEAP_CMD_SAVED_H
#define NEAP_CMD_SAVED_H

#include "core/knobs.h"
#include "core/plan.h"
#include "text/buf.h"
#include "text/doc.h"

struct saved {
	struct snapshot *snapshot; /* what the files say; marks and limits follow the writes */
	struct plan plan;
	struct knobs knobs;
	uint64_t huge_pages_max; /* an estimate: what nr_hugepages can have at most */
	struct text_buf unknown; /* names of knobs that 6.1 does not have, with ", " between */
};

/*
 * The machine whose files are in a directory: snapshot_load_dir() says which, and beside them
 * DIR/sys_kernel_mm.txt, DIR/sys/kernel/mm/..., DIR/thp_defrag, else those of the boot.
 * => 0 and *saved, to be freed with saved_free(); err->message is then empty or a warning
 * => else a negative errno with *err filled; nothing to free
 */
MUST_CHECK int saved_open(struct saved *saved, const char *dir, struct text_error *err);
/* A machine of one node with one zone Normal, just booted. => 0, or -ENOMEM */
MUST_CHECK int saved_init(struct saved *saved, uint64_t pages, uint32_t nr_cpus);
void saved_free(struct saved *saved);

/* "vm.swappiness", "vm/swappiness" and "swappiness" are one file. => as in core/knobs.h, in name */
const char *saved_path(const char *name);

/* As write(2); paths as in core/knobs.h. => bytes consumed or negative errno */
int64_t saved_write(struct saved *saved, const char *path, const char *text, size_t bytes);
/*
 * Appends what a read of the file gives, whatever file of the machine it is.
 * => 0; -ENOENT, -EACCES; -ENOMEM
 */
int saved_read(struct saved *saved, const char *path, struct text_buf *out);
/* Appends "N0.DMA:2/5/8 N0.DMA32:29/81/133 ": min, low and high of each zone, boost included. */
void saved_marks_add(const struct saved *saved, struct text_buf *out);

#endif
