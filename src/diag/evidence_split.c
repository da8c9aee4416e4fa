/*
 * Whose line is this?
 *
 *     $ cat /proc/zoneinfo /proc/buddyinfo; sysctl vm                (as pasted)
 *       Node 0, zone      DMA ............... zoneinfo, from here on what is indented
 *         pages free     3977 ............... zoneinfo
 *       Node 0, zone      DMA   1   1   0 ... buddyinfo: numbers follow the zone
 *       MemTotal:   3935792 kB .............. meminfo
 *       nr_free_pages 634266 ................ vmstat
 *       /proc/sys/vm/swappiness:60 .......... settings, also as "vm.swappiness = 60"
 *
 * Reports mix files, cut them, lose their indentation and put prompts between them. Each line is
 * therefore given to the file whose form it has, and the previous line decides where two
 * files have the same form: zones' counters look like vmstat's once they have lost their blanks,
 * and a line of pageblocks looks like one of free blocks. What fits nowhere is left out; the
 * documents' parsers see their own lines only.
 *
 * What must never happen: a line in two files, or one file's number taken for another's
 * because a word is the same.
 */
#include <string.h>

#include "diag/evidence_part.h"
#include "text/scan.h"
#include "text/zonename.h"

#define LINE_BYTES 1024u
#define NO_FILE NR_EVIDENCE_FILES
#define BUDDY_NUMBERS_LEAST 8u

/* Where the text is. */
struct split {
	uint32_t file;	     /* of the line before; NO_FILE */
	bool in_zone;	     /* below a zone's header in zoneinfo */
	bool indented;	     /* lines of this zoneinfo begin with blanks */
	bool past_zone;	     /* the last lines of a zone have been seen */
	bool in_block_table; /* below pagetypeinfo's head of pageblocks */
};

static bool starts(const char *line, const char *with)
{
	return strncmp(line, with, strlen(with)) == 0;
}

static uint32_t count_numbers(const char *at)
{
	uint64_t value;
	uint32_t nr = 0;

	for (at = scan_u64(scan_blanks(at), &value); at != NULL;
	     at = scan_u64(scan_blanks(at), &value))
		nr++;
	return nr;
}

/* "Node 0, zone   Normal ..." */
static uint32_t split_zone_line(struct split *split, const char *line)
{
	struct zonename_label label = { 0 };
	const char *at = zonename_scan_label(line, &label);

	if (at == NULL)
		return NO_FILE;
	if (memchr(label.name, ',', label.name_bytes) != NULL || strstr(line, ", type ") != NULL)
		return EVIDENCE_PAGETYPEINFO;
	if (scan_end(at)) {
		split->in_zone = true;
		split->past_zone = false;
		return EVIDENCE_ZONEINFO;
	}
	split->in_zone = false;
	return split->in_block_table && count_numbers(at) < BUDDY_NUMBERS_LEAST
		       ? EVIDENCE_PAGETYPEINFO
		       : EVIDENCE_BUDDYINFO;
}

static bool is_pagetypeinfo_head(const char *line)
{
	return starts(line, "Page block order:") || starts(line, "Pages per block:") ||
	       starts(line, "Free pages count per migrate type") ||
	       starts(line, "Number of blocks type") || starts(line, "Number of mixed blocks");
}

/* "word 123", nothing else. */
static bool is_name_and_number(const char *line)
{
	uint64_t value;
	const char *end = scan_word(line);

	return *line >= 'a' && *line <= 'z' && scan_end(scan_u64(scan_blanks(end), &value)) &&
	       scan_blanks(end) != end;
}

/* Below a zone's header: everything indented, and without indentation what it may hold. */
static bool belongs_to_zone(struct split *split, const char *line)
{
	bool blank_first = *line == ' ' || *line == '\t';
	const char *at = scan_blanks(line);

	if (!split->in_zone)
		return false;
	if (blank_first) {
		split->indented = true;
		return true;
	}
	if (split->indented)
		return false;
	if (starts(at, "start_pfn:"))
		split->past_zone = true;
	return starts(at, "pages free") || starts(at, "per-node stats") ||
	       starts(at, "protection:") || starts(at, "pagesets") || starts(at, "cpu:") ||
	       starts(at, "count:") || starts(at, "high:") || starts(at, "batch:") ||
	       starts(at, "high_min:") || starts(at, "high_max:") || starts(at, "vm stats") ||
	       starts(at, "node_unreclaimable:") || starts(at, "all_unreclaimable:") ||
	       starts(at, "start_pfn:") || starts(at, "node_inactive_ratio:") ||
	       starts(at, "inactive_ratio:") || (!split->past_zone && is_name_and_number(at));
}

/* "MemTotal:   481004 kB", "HugePages_Total:    0" */
static bool is_meminfo(const char *line)
{
	const char *colon = strchr(line, ':');
	uint64_t value;

	if (colon == NULL || colon == line || *line < 'A' || *line > 'Z' ||
	    memchr(line, ' ', (size_t)(colon - line)) != NULL)
		return false;
	const char *at = scan_u64(scan_blanks(colon + 1), &value);

	return scan_end(at) || scan_end(scan_literal(scan_blanks(at), "kB"));
}

/* A path or name, a type, three numbers. */
static bool is_swap_area(const char *line)
{
	const char *at = scan_word(line);
	const char *type = scan_blanks(at);

	if (type == NULL || (*line != '/' && *line != '\\'))
		return false;
	at = scan_literal(type, "partition");
	if (at == NULL)
		at = scan_literal(type, "file");
	return at != NULL && count_numbers(at) >= 2;
}

/* => the name and value of a setting in the form of sysctl_vm.txt, or false */
static bool add_setting(const char *line, struct text_buf *out)
{
	static const char *const before[] = { "/proc/sys/vm/", "proc/sys/vm/", "vm." };
	const char *name = NULL;

	for (uint32_t i = 0; i < ARRAY_LEN(before) && name == NULL; i++)
		if (starts(line, before[i]))
			name = line + strlen(before[i]);
	if (name == NULL)
		return false;
	size_t length = strcspn(name, " \t:=/");
	const char *value = name + length + strspn(name + length, " \t");

	if (length == 0 || (*value != ':' && *value != '='))
		return false;
	value += 1 + strspn(value + 1, " \t");
	if (*value == '\0')
		return true;
	text_buf_add(out, name, length);
	text_buf_puts(out, " = ");
	text_buf_puts(out, value);
	text_buf_puts(out, "\n");
	return true;
}

static uint32_t split_line(struct split *split, const char *line)
{
	uint32_t file = split_zone_line(split, scan_blanks(line));

	if (file != NO_FILE)
		return file;
	if (is_pagetypeinfo_head(line)) {
		split->in_zone = false;
		split->in_block_table = starts(line, "Number of");
		return EVIDENCE_PAGETYPEINFO;
	}
	if (*line == '\0')
		return split->file == EVIDENCE_PAGETYPEINFO ? split->file : NO_FILE;
	/* Dots stand for lines that somebody left out. */
	if (line[strspn(line, ".[] \t")] == '\0')
		return NO_FILE;
	if (belongs_to_zone(split, line))
		return EVIDENCE_ZONEINFO;
	split->in_zone = false;
	split->in_block_table = false;
	line = scan_blanks(line);
	if (starts(line, "some avg10=") || starts(line, "full avg10="))
		return EVIDENCE_PRESSURE;
	if (is_meminfo(line))
		return EVIDENCE_MEMINFO;
	if (starts(line, "Filename\t") || starts(line, "Filename ") || is_swap_area(line))
		return EVIDENCE_SWAPS;
	return is_name_and_number(line) ? EVIDENCE_VMSTAT : NO_FILE;
}

/* Some of the forms above are common words; such a file needs a line that is its own. */
static void drop_chance_hits(struct text_buf *texts)
{
	struct text_buf *vmstat = &texts[EVIDENCE_VMSTAT];
	struct text_buf *meminfo = &texts[EVIDENCE_MEMINFO];
	struct text_buf *swaps = &texts[EVIDENCE_SWAPS];

	if (strstr(text_buf_text(vmstat), "nr_") == NULL &&
	    strstr(text_buf_text(vmstat), "pg") == NULL)
		text_buf_reset(vmstat);
	if (strstr(text_buf_text(meminfo), "Mem") == NULL &&
	    strstr(text_buf_text(meminfo), "Active") == NULL &&
	    strstr(text_buf_text(meminfo), "LowFree") == NULL &&
	    strstr(text_buf_text(meminfo), "Slab") == NULL)
		text_buf_reset(meminfo);
	if (strncmp(text_buf_text(swaps), "Filename", 8) != 0)
		text_buf_reset(swaps);
}

uint32_t evidence_split(const char *text, size_t bytes, struct text_buf *texts)
{
	struct split split = { .file = NO_FILE };
	uint32_t nr_left_out = 0;

	for (size_t at = 0; at < bytes;) {
		const char *end = memchr(text + at, '\n', bytes - at);
		size_t length = end != NULL ? (size_t)(end - (text + at)) : bytes - at;
		char line[LINE_BYTES];
		size_t keep = length;

		while (keep > 0 && (text[at + keep - 1] == '\r' || text[at + keep - 1] == '\0'))
			keep--;
		if (keep >= sizeof(line) || memchr(text + at, '\0', keep) != NULL)
			keep = 0;
		memcpy(line, text + at, keep);
		line[keep] = '\0';
		at += length + 1;
		if (add_setting(scan_blanks(line), &texts[EVIDENCE_SYSCTLS])) {
			split.in_zone = false;
			continue;
		}
		uint32_t file = split_line(&split, line);

		nr_left_out += file == NO_FILE && keep != 0;
		if (file != NO_FILE) {
			/* Only lines within a zone of zoneinfo begin with blanks. */
			bool as_is = file == EVIDENCE_ZONEINFO &&
				     strncmp(scan_blanks(line), "Node ", 5) != 0;

			text_buf_puts(&texts[file], as_is ? line : scan_blanks(line));
			text_buf_puts(&texts[file], "\n");
		}
		split.file = file;
	}
	drop_chance_hits(texts);
	return nr_left_out;
}
