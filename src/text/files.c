/*
 * The tables of files.
 *
 *     name                 snapshot -> document -> text       text -> document -> text
 *     "vmstat"             write                              reprint
 *     "node0/meminfo"      text_proc_write()                  reprint
 *     "sys/vm/swappiness"  text_proc_write()                  reprint
 *     "pressure/cpu"       -                                  reprint
 *
 * There are three tables: the files that a snapshot's directory has, those that exist
 * once a node, and those that can only be read back because no machine of neap has
 * them. /proc/sys/vm is a directory whose files have one format. Each row of the first
 * two has both directions, made by a macro from the names of a file type's
 * functions: a writer without a parser does not compile.
 *
 * A name is looked up after the directory that Linux keeps the file in was taken off;
 * files that saved snapshots name differently have an alias.
 *
 * What must never happen: an output that was begun and left half: on an error
 * the buffer keeps what was in it before.
 */
#include "text/files.h"

#include <errno.h>
#include <string.h>

#include "text/buddyinfo.h"
#include "text/extfrag.h"
#include "text/meminfo.h"
#include "text/nodemem.h"
#include "text/nodestat.h"
#include "text/pagetypeinfo.h"
#include "text/pressure.h"
#include "text/scan.h"
#include "text/swaps.h"
#include "text/sysctls.h"
#include "text/topology.h"
#include "text/vmstat.h"
#include "text/zoneinfo.h"

static void init_report(struct text_report *report)
{
	if (report != NULL)
		memset(report, 0, sizeof(*report));
}

/* Tells a caller what parsing found. => 0 or -ENOMEM */
static int fill_report(const struct text_doc *doc, struct text_report *report)
{
	if (report == NULL)
		return 0;
	report->nr_lines = doc->nr_lines;
	report->nr_unknown = doc->nr_unknown;
	report->nr_odd = doc->nr_odd;
	return text_doc_unknown_names(doc, &report->unknown_names);
}

/* Takes back what was appended since the buffer had `bytes` bytes, if `error`. => error */
static int undo_on_error(struct text_buf *out, size_t bytes, int error)
{
	if (error != 0 && out->at != NULL) {
		out->bytes = bytes;
		out->at[bytes] = '\0';
	}
	return error;
}

/* Writes a document that was made, or not, and frees it. => 0 or the error */
static int write_made(struct text_doc *doc, int error, struct text_buf *out)
{
	size_t bytes = out->bytes;

	if (error == 0)
		error = text_doc_write(doc, out);
	text_doc_free(doc);
	return undo_on_error(out, bytes, error);
}

static int reprint_format(const struct text_format *format, const struct text_input *in,
			  struct text_buf *out, struct text_report *report, struct text_error *err)
{
	struct text_doc *doc = NULL;
	size_t bytes = out->bytes;

	init_report(report);
	int error = text_doc_load(format, in, &doc, err);
	if (error == 0)
		error = fill_report(doc, report);
	if (error == 0)
		error = text_doc_write(doc, out);
	if (error == -ENOMEM)
		text_error_no_memory(err, in->file_name);
	text_doc_free(doc);
	return undo_on_error(out, bytes, error);
}

/* ---- file types with a document type of their own ---- */

#define FILE_TYPE(type)                                                                            \
	static int type##_file_write(const struct snapshot *snapshot, struct text_buf *out)        \
	{                                                                                          \
		struct type##_doc *file = NULL;                                                    \
		size_t bytes = out->bytes;                                                         \
		int error = type##_from_snapshot(snapshot, &file);                                 \
                                                                                                   \
		if (error == 0)                                                                    \
			error = type##_write(file, out);                                           \
		type##_free(file);                                                                 \
		return undo_on_error(out, bytes, error);                                           \
	}                                                                                          \
                                                                                                   \
	static int type##_file_reprint(const struct text_input *in, struct text_buf *out,          \
				       struct text_report *report, struct text_error *err)         \
	{                                                                                          \
		struct type##_doc *file = NULL;                                                    \
		size_t bytes = out->bytes;                                                         \
                                                                                                   \
		init_report(report);                                                               \
		int error = type##_parse(in->text, in->bytes, in->file_name, &file, err);          \
		if (error == 0)                                                                    \
			error = fill_report(&file->doc, report);                                   \
		if (error == 0)                                                                    \
			error = type##_write(file, out);                                           \
		if (error == -ENOMEM)                                                              \
			text_error_no_memory(err, in->file_name);                                  \
		type##_free(file);                                                                 \
		return undo_on_error(out, bytes, error);                                           \
	}

FILE_TYPE(vmstat)
FILE_TYPE(zoneinfo)
FILE_TYPE(buddyinfo)
FILE_TYPE(meminfo)
FILE_TYPE(swaps)

/* ---- file types whose document is a plain one ---- */

#define FORMAT_REPRINT(type)                                                                       \
	static int type##_file_reprint(const struct text_input *in, struct text_buf *out,          \
				       struct text_report *report, struct text_error *err)         \
	{                                                                                          \
		return reprint_format(&type##_format, in, out, report, err);                       \
	}

#define FORMAT_TYPE(type)                                                                          \
	static int type##_file_write(const struct snapshot *snapshot, struct text_buf *out)        \
	{                                                                                          \
		struct text_doc *doc = NULL;                                                       \
		int error = type##_from_snapshot(snapshot, &doc);                                  \
                                                                                                   \
		return write_made(doc, error, out);                                                \
	}                                                                                          \
                                                                                                   \
	FORMAT_REPRINT(type)

FORMAT_TYPE(pagetypeinfo)
FORMAT_TYPE(pressure)
FORMAT_TYPE(extfrag_index)
FORMAT_TYPE(unusable_index)
FORMAT_TYPE(sysctls)
FORMAT_REPRINT(sysctls_single)
FORMAT_REPRINT(nodemem)
FORMAT_REPRINT(nodestat)
FORMAT_REPRINT(nodestat_numa)
FORMAT_REPRINT(topology_cpulist)
FORMAT_REPRINT(topology_distance)

/* compact_memory, drop_caches and nodeN/compact: whatever claims to be their text is not. */
static int write_only_reprint(const struct text_input *in, struct text_buf *out UNUSED,
			      struct text_report *report, struct text_error *err)
{
	init_report(report);
	text_error_set(err, in->file_name, 0,
		       "this file can only be written: there is nothing to read or print");
	return -EACCES;
}

#define FILE_ROW(file_name, type)                                                                  \
	{                                                                                          \
		.name = file_name, .write = type##_file_write, .reprint = type##_file_reprint,     \
	}

const struct text_file text_files[] = {
	FILE_ROW("vmstat", vmstat),
	FILE_ROW("zoneinfo", zoneinfo),
	FILE_ROW("buddyinfo", buddyinfo),
	FILE_ROW("meminfo", meminfo),
	FILE_ROW("pagetypeinfo", pagetypeinfo),
	FILE_ROW("swaps", swaps),
	FILE_ROW("pressure_memory", pressure),
	FILE_ROW("extfrag_index", extfrag_index),
	FILE_ROW("unusable_index", unusable_index),
	FILE_ROW("sysctl_vm.txt", sysctls),
	{ .name = NULL },
};

/* Other names of rows above, and files of the same form that are only read back. */
static const struct {
	const char *name;
	const char *row; /* NULL: the pressure of something else than the machine's memory */
} aliases[] = {
	{ "pressure/memory", "pressure_memory" },
	{ "extfrag/extfrag_index", "extfrag_index" },
	{ "extfrag/unusable_index", "unusable_index" },
	{ "pressure/cpu", NULL },
	{ "pressure/io", NULL },
	{ "pressure/irq", NULL },
	{ "pressure_cpu", NULL },
	{ "pressure_io", NULL },
	{ "pressure_irq", NULL },
	{ "memory.pressure", NULL },
	{ "cgroup.memory.pressure", NULL },
};

static const struct text_file other_pressure = {
	.name = "pressure",
	.reprint = pressure_file_reprint,
};

/* ---- once a node ---- */

struct node_file {
	struct text_file file; /* name: after "nodeN/" */
	/* => 0 and *out, or -ENOMEM; NULL: write-only */
	int (*make)(const struct snapshot *snapshot, const struct snapshot_node *node,
		    struct text_doc **out);
};

#define NODE_MAKE(type)                                                                            \
	static int type##_make(const struct snapshot *snapshot UNUSED,                             \
			       const struct snapshot_node *node, struct text_doc **out)            \
	{                                                                                          \
		return type##_from_snapshot(node, out);                                            \
	}

NODE_MAKE(nodemem)
NODE_MAKE(nodestat)
NODE_MAKE(nodestat_numa)
NODE_MAKE(topology_cpulist)

#define NODE_ROW(file_name, type, make_function)                                                   \
	{                                                                                          \
		.file = { .name = file_name, .reprint = type##_file_reprint },                     \
		.make = make_function,                                                             \
	}

static const struct node_file node_files[] = {
	NODE_ROW("meminfo", nodemem, nodemem_make),
	NODE_ROW("vmstat", nodestat, nodestat_make),
	NODE_ROW("numastat", nodestat_numa, nodestat_numa_make),
	NODE_ROW("distance", topology_distance, topology_distance_from_snapshot),
	NODE_ROW("cpulist", topology_cpulist, topology_cpulist_make),
	{ .file = { .name = "compact", .reprint = write_only_reprint }, .make = NULL },
};

/* "node0/meminfo" => its row and the node's number; else NULL */
static const struct node_file *find_node_file(const char *name, uint32_t *node)
{
	const char *leaf = scan_literal(scan_u32(scan_literal(name, "node"), node), "/");

	for (uint32_t i = 0; leaf != NULL && i < ARRAY_LEN(node_files); i++)
		if (strcmp(node_files[i].file.name, leaf) == 0)
			return &node_files[i];
	return NULL;
}

static int write_node_file(const struct snapshot *snapshot, const struct node_file *row,
			   uint32_t id, struct text_buf *out)
{
	struct text_doc *doc = NULL;
	uint32_t n = 0;

	while (n < snapshot->nr_nodes && snapshot->node[n].id != id)
		n++;
	if (n == snapshot->nr_nodes)
		return -ENOENT;
	if (row->make == NULL)
		return -EACCES;
	int error = row->make(snapshot, &snapshot->node[n], &doc);
	return write_made(doc, error, out);
}

/* ---- /proc/sys/vm ---- */

static const struct text_file single_sysctl = {
	.name = "sys/vm",
	.reprint = sysctls_single_file_reprint,
};
static const struct text_file write_only_sysctl = {
	.name = "sys/vm",
	.reprint = write_only_reprint,
};

/* "sys/vm/swappiness" => "swappiness"; else NULL */
static const char *setting_name(const char *name)
{
	const char *leaf = scan_literal(name, "sys/vm/");

	return leaf != NULL && *leaf != '\0' && strchr(leaf, '/') == NULL ? leaf : NULL;
}

static int write_setting(const struct snapshot *snapshot, const char *setting, struct text_buf *out)
{
	struct text_doc *doc = NULL;
	int error = sysctls_single_from_snapshot(snapshot, setting, &doc);

	return write_made(doc, error, out);
}

/* ---- names ---- */

/* The name without the directory in which Linux keeps such files. */
static const char *without_directory(const char *name)
{
	static const char *const directories[] = {
		"/proc/",
		"proc/",
		"/sys/devices/system/node/",
		"sys/devices/system/node/",
		"/sys/kernel/debug/",
		"sys/kernel/debug/",
	};

	for (uint32_t i = 0; i < ARRAY_LEN(directories); i++) {
		const char *rest = scan_literal(name, directories[i]);

		if (rest != NULL)
			return rest;
	}
	return name;
}

static const struct text_file *find_row(const char *name)
{
	for (const struct text_file *file = text_files; file->name != NULL; file++)
		if (strcmp(file->name, name) == 0)
			return file;
	return NULL;
}

const struct text_file *text_file_find(const char *name)
{
	uint32_t node = 0;
	const char *leaf = without_directory(name);
	const struct text_file *file = find_row(leaf);
	const struct node_file *node_file = find_node_file(leaf, &node);
	const char *setting = setting_name(leaf);

	if (file != NULL)
		return file;
	if (node_file != NULL)
		return &node_file->file;
	if (setting != NULL)
		return sysctls_is_write_only(setting) ? &write_only_sysctl : &single_sysctl;
	for (uint32_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (strcmp(aliases[i].name, leaf) == 0)
			return aliases[i].row != NULL ? find_row(aliases[i].row) : &other_pressure;
	return NULL;
}

int text_proc_write(const struct snapshot *snapshot, const char *file_name, struct text_buf *out)
{
	uint32_t node = 0;
	const char *leaf = without_directory(file_name);
	const struct text_file *file = text_file_find(file_name);
	const struct node_file *node_file = find_node_file(leaf, &node);
	const char *setting = setting_name(leaf);

	if (file != NULL && file->write != NULL)
		return file->write(snapshot, out);
	if (node_file != NULL)
		return write_node_file(snapshot, node_file, node, out);
	return setting != NULL ? write_setting(snapshot, setting, out) : -ENOENT;
}

void text_report_free(struct text_report *report)
{
	text_buf_free(&report->unknown_names);
}
