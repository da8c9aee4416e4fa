/*
 * The settings of /proc/sys/vm.
 *
 *     sys/vm/lowmem_reserve_ratio     sysctl_vm.txt
 *     256<t>256<t>32<t>0<t>0          lowmem_reserve_ratio = 256<t>256<t>32<t>0<t>0
 *     ^list                           ^name                  ^list
 *     Node                            numa_zonelist_order = Node
 *     ^word                           ^name                 ^word
 *
 * A value is a list of integers with a tab between two, or one word. The names are
 * those of core's table (sysctl_items.def) plus the few that 6.1 keeps in the same
 * directory although they are about address spaces or broken memory, which neap has
 * no part in. Names of other kernels are kept, as unknown.
 *
 * A snapshot holds values as text, so that files which neap has no number for
 * survive the way through it. compact_memory and drop_caches cannot be read;
 * stat_refresh can, and is empty. sysctl(8) prints "vm.name = value": understood, and
 * odd.
 *
 * What must never happen: a value that is cut because it is long. It is an error.
 */
#include "text/sysctls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "text/mem.h"
#include "text/scan.h"

#define ELEMENTS_MAX 64u
#define STAT_REFRESH "stat_refresh"

static const char *const own_names[] = {
#define SYSCTL(id, name, ...) name,
#define SYSCTL_OTHER(name) name,
#include "core/sysctl_items.def"
};

/* Files of the directory that are not about the management of pages; the last two: full kernel. */
static const char *const other_names[] = {
	"legacy_va_layout",
	"mmap_min_addr",
	"mmap_rnd_bits",
	"mmap_rnd_compat_bits",
	"memory_failure_early_kill",
	"memory_failure_recovery",
};

static const char *const write_only_names[] = { "compact_memory", "drop_caches" };

static bool name_is_known(const char *name, uint32_t *hint)
{
	uint32_t start = 0;

	return text_name_find(own_names, ARRAY_LEN(own_names), name, hint) != NAME_NONE ||
	       text_name_find(other_names, ARRAY_LEN(other_names), name, &start) != NAME_NONE;
}

bool sysctls_is_known(const char *name)
{
	uint32_t hint = 0;

	return name_is_known(name, &hint);
}

bool sysctls_is_write_only(const char *name)
{
	uint32_t hint = 0;

	return text_name_find(write_only_names, ARRAY_LEN(write_only_names), name, &hint) !=
	       NAME_NONE;
}

/* ---- reading ---- */

/*
 * Understands integers with blanks between, up to the end.
 * => 1; 0 if there is anything else; -ENOMEM
 */
static int read_numbers(struct text_doc *doc, struct text_line *line, const char *at)
{
	uint64_t numbers[ELEMENTS_MAX];
	uint32_t count = 0;

	while (!scan_end(at)) {
		const char *number = scan_blanks(at);

		if (number == NULL || (count > 0 && number == at) || count == ELEMENTS_MAX)
			return 0;
		at = scan_i64(number, &numbers[count++]);
		if (at == NULL)
			return 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		int error = text_doc_add_number(doc, line, numbers[i]);

		if (error != 0)
			return error;
	}
	line->kind = SYSCTLS_NUMBERS;
	return 1;
}

/* Understands a value. The line stays RAW if it is none. => 0, or -ENOMEM */
static int read_value(struct text_doc *doc, struct text_line *line, const char *at)
{
	const char *word = scan_blanks(at);
	const char *end = scan_word(word);
	int result = read_numbers(doc, line, word);

	if (result != 0)
		return result < 0 ? result : 0;
	if (end == NULL || !scan_end(end))
		return 0;
	line->kind = SYSCTLS_WORD;
	line->word = text_doc_name(doc, word, (size_t)(end - word));
	return 0;
}

static int sysctls_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	const char *start = scan_literal(text, "vm.");
	const char *name = start != NULL ? start : text;
	size_t bytes = strcspn(name, " \t=");
	const char *at = scan_literal(scan_blanks(name + bytes), "=");

	if (bytes == 0 || at == NULL)
		return 0;
	int error = read_value(doc, line, at);
	if (error != 0 || line->kind == TEXT_LINE_RAW)
		return error;
	line->name = text_doc_name(doc, name, bytes);
	line->known = name_is_known(line->name, &doc->hint);
	return 0;
}

static int sysctls_single_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	int error = read_value(doc, line, text);

	line->known = line->kind != TEXT_LINE_RAW;
	return error;
}

/* ---- printing ---- */

static void print_value(const struct text_doc *doc, const struct text_line *line,
			struct text_buf *out)
{
	if (line->kind == SYSCTLS_WORD) {
		text_buf_puts(out, line->word);
		return;
	}
	for (uint32_t i = 0; i < line->nr_list; i++) {
		if (i != 0)
			text_buf_add(out, "\t", 1);
		text_buf_i64(out, (int64_t)doc->numbers[line->list + i]);
	}
}

static void sysctls_print(const struct text_doc *doc, const struct text_line *line,
			  struct text_buf *out)
{
	text_buf_puts(out, line->name);
	text_buf_puts(out, " = ");
	print_value(doc, line, out);
}

const struct text_format sysctls_format = {
	.title = "sysctl_vm.txt",
	.form = "min_free_kbytes = 67584",
	.bytes_max = MIB,
	.lines_max = 4096,
	.line_bytes_max = 4096,
	.by_name = true,
	.read = sysctls_read,
	.print = sysctls_print,
};

const struct text_format sysctls_single_format = {
	.title = "/proc/sys/vm file",
	.form = "67584",
	.bytes_max = 64 * KIB,
	.lines_max = 1,
	.line_bytes_max = 4096,
	.may_be_empty = true,
	.read = sysctls_single_read,
	.print = print_value,
};

/* ---- from a machine ---- */

/* Appends a line with copies of the strings, which must have room in doc->names. */
static int add_value(struct text_doc *doc, const struct snapshot_sysctl *from, bool named)
{
	struct text_line line = { .name = "", .known = true };
	int error = read_value(doc, &line, from->value);

	if (error != 0)
		return error;
	if (line.kind == TEXT_LINE_RAW) {
		/* Not a value that any file of 6.1 has; printed as it is all the same. */
		line.kind = SYSCTLS_WORD;
		line.word = text_doc_name(doc, from->value, strlen(from->value));
	}
	if (named)
		line.name = text_doc_name(doc, from->name, strlen(from->name));
	return text_doc_add(doc, &line);
}

/* A new document with room for the strings of so many values. => it, or NULL */
static struct text_doc *new_doc(const struct text_format *format, uint32_t nr_values)
{
	struct text_doc *doc = text_doc_new(format);

	if (doc == NULL || nr_values == 0)
		return doc;
	doc->names_room_bytes = nr_values * sizeof(struct snapshot_sysctl);
	doc->names = text_mem_resize(NULL, doc->names_room_bytes);
	if (doc->names == NULL)
		(void)text_doc_finish(&doc, -ENOMEM);
	return doc;
}

int sysctls_from_snapshot(const struct snapshot *snapshot, struct text_doc **out)
{
	int error = 0;

	*out = new_doc(&sysctls_format, snapshot->nr_sysctls);
	if (*out == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < snapshot->nr_sysctls && error == 0; i++)
		error = add_value(*out, &snapshot->sysctl[i], true);
	return text_doc_finish(out, error);
}

static const struct snapshot_sysctl *find(const struct snapshot *snapshot, const char *name)
{
	for (uint32_t i = 0; i < snapshot->nr_sysctls; i++)
		if (strcmp(snapshot->sysctl[i].name, name) == 0)
			return &snapshot->sysctl[i];
	return NULL;
}

int sysctls_single_from_snapshot(const struct snapshot *snapshot, const char *name,
				 struct text_doc **out)
{
	const struct snapshot_sysctl *sysctl = find(snapshot, name);

	*out = NULL;
	if (sysctl == NULL && sysctls_is_write_only(name))
		return -EACCES;
	if (sysctl == NULL && strcmp(name, STAT_REFRESH) != 0)
		return -ENOENT;
	*out = new_doc(&sysctls_single_format, sysctl != NULL);
	if (*out == NULL)
		return -ENOMEM;
	return text_doc_finish(out, sysctl != NULL ? add_value(*out, sysctl, false) : 0);
}

/* ---- into a snapshot ---- */

/* Where a name is, or belongs, in the ascending order. */
static uint32_t place(const struct snapshot *snapshot, const char *name)
{
	uint32_t at = 0;

	while (at < snapshot->nr_sysctls && strcmp(snapshot->sysctl[at].name, name) < 0)
		at++;
	return at;
}

int sysctls_snapshot_set(struct snapshot *snapshot, const char *name, const char *value)
{
	uint32_t at = place(snapshot, name);
	struct snapshot_sysctl *to = &snapshot->sysctl[at];
	bool is_new = at == snapshot->nr_sysctls || strcmp(to->name, name) != 0;

	if (strlen(name) >= sizeof(to->name) || strlen(value) >= sizeof(to->value))
		return -E2BIG;
	if (is_new && snapshot->nr_sysctls == SNAPSHOT_MAX_SYSCTLS)
		return -E2BIG;
	if (is_new) {
		memmove(to + 1, to, (snapshot->nr_sysctls - at) * sizeof(*to));
		snapshot->nr_sysctls++;
	}
	snprintf(to->name, sizeof(to->name), "%s", name);
	snprintf(to->value, sizeof(to->value), "%s", value);
	return 0;
}

int sysctls_fill_snapshot(const struct text_doc *doc, struct snapshot *snapshot,
			  struct text_error *err)
{
	struct text_buf value;
	int error = 0;

	text_buf_init(&value);
	for (uint32_t i = 0; i < doc->nr_lines && error == 0; i++) {
		const struct text_line *line = &doc->lines[i];

		if (line->kind == TEXT_LINE_RAW)
			continue;
		text_buf_reset(&value);
		print_value(doc, line, &value);
		error = value.error;
		if (error == 0)
			error = sysctls_snapshot_set(snapshot, line->name, text_buf_text(&value));
		if (error == -E2BIG)
			text_error_set(err, doc->format->title, i + 1,
				       "'%.60s' is one setting too many (%u fit), or its name or "
				       "value is too long",
				       line->name, SNAPSHOT_MAX_SYSCTLS);
	}
	text_buf_free(&value);
	return error;
}

const char *sysctls_snapshot_get(const struct snapshot *snapshot, const char *name)
{
	const struct snapshot_sysctl *sysctl = find(snapshot, name);

	return sysctl != NULL ? sysctl->value : NULL;
}

bool sysctls_snapshot_number(const struct snapshot *snapshot, const char *name, uint32_t index,
			     int64_t *number)
{
	const char *at = sysctls_snapshot_get(snapshot, name);
	uint64_t value = 0;

	for (uint32_t i = 0; i <= index && at != NULL; i++)
		at = scan_i64(scan_blanks(at), &value);
	if (at != NULL)
		*number = (int64_t)value;
	return at != NULL;
}
