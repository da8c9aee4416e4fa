/*
 * Mem-Info's lists of named numbers.
 *
 *     GLOBAL   active_anon:343 inactive_anon:445 isolated_anon:0          pages
 *     NODE     Node 0 active_anon:1372kB ... shmem_thp: 0kB ... all_unreclaimable? no
 *     ZONE     Node 0 DMA32 free:608kB boost:2048kB ... reserved_highatomic:0KB ...
 *     RESERVE  lowmem_reserve[]: 0 193 193 193 193                        pages
 *     BLOCKS   Node 0 DMA32: 19*4kB (UME) 11*8kB (UME) ... = 788kB
 *
 * Which numbers a line has, and in which order, changed with every few kernels; so they
 * are read by name, kept in their order and printed in it. A name that is not in the
 * table is kept too, as a piece of the text. "Node N " is missing where the kernel is
 * built for one node only.
 *
 * Kernels before 4.10 broke these lines into pieces where another CPU printed between
 * them; a piece is read as far as it goes ("Normal free:24148kB ..."), the decoder
 * knows which node came before.
 *
 * What must never happen: a number under another name than the text's.
 */
#include "text/report_values.h"

#include <string.h>

struct item_name {
	const char *name;
	bool blank; /* a blank follows the colon */
};

static const struct item_name items[NR_REPORT_ITEMS] = {
	[RI_ACTIVE_ANON] = { "active_anon", false },
	[RI_INACTIVE_ANON] = { "inactive_anon", false },
	[RI_ISOLATED_ANON] = { "isolated_anon", false },
	[RI_ACTIVE_FILE] = { "active_file", false },
	[RI_INACTIVE_FILE] = { "inactive_file", false },
	[RI_ISOLATED_FILE] = { "isolated_file", false },
	[RI_UNEVICTABLE] = { "unevictable", false },
	[RI_DIRTY] = { "dirty", false },
	[RI_WRITEBACK] = { "writeback", false },
	[RI_UNSTABLE] = { "unstable", false },
	[RI_SLAB_RECLAIMABLE] = { "slab_reclaimable", false },
	[RI_SLAB_UNRECLAIMABLE] = { "slab_unreclaimable", false },
	[RI_MAPPED] = { "mapped", false },
	[RI_SHMEM] = { "shmem", false },
	[RI_PAGETABLES] = { "pagetables", false },
	[RI_SEC_PAGETABLES] = { "sec_pagetables", false },
	[RI_BOUNCE] = { "bounce", false },
	[RI_KERNEL_MISC] = { "kernel_misc_reclaimable", false },
	[RI_FREE] = { "free", false },
	[RI_FREE_PCP] = { "free_pcp", false },
	[RI_FREE_CMA] = { "free_cma", false },
	[RI_SHMEM_THP] = { "shmem_thp", true },
	[RI_SHMEM_PMDMAPPED] = { "shmem_pmdmapped", true },
	[RI_ANON_THP] = { "anon_thp", true },
	[RI_WRITEBACK_TMP] = { "writeback_tmp", false },
	[RI_KERNEL_STACK] = { "kernel_stack", false },
	[RI_SHADOW_STACK] = { "shadow_call_stack", false },
	[RI_UNRECLAIMABLE] = { "all_unreclaimable", false },
	[RI_BOOST] = { "boost", false },
	[RI_MIN] = { "min", false },
	[RI_LOW] = { "low", false },
	[RI_HIGH] = { "high", false },
	[RI_PROMO] = { "promo", false },
	[RI_HIGHATOMIC] = { "reserved_highatomic", false },
	[RI_FREE_HIGHATOMIC] = { "free_highatomic", false },
	[RI_WRITEPENDING] = { "writepending", false },
	[RI_PRESENT] = { "present", false },
	[RI_MANAGED] = { "managed", false },
	[RI_MLOCKED] = { "mlocked", false },
	[RI_LOCAL_PCP] = { "local_pcp", false },
	[RI_PAGES_SCANNED] = { "pages_scanned", false },
	[RI_ZSPAGES] = { "zspages", false },
	[RI_BALLOON] = { "Balloon", false },
	[RI_GPU_ACTIVE] = { "gpu_active", false },
	[RI_GPU_RECLAIM] = { "gpu_reclaim", false },
};

/* By the number of the migrate type (core/snapshot.h). */
static const char letters[] = "UMEHCI";

const char *report_item_name(enum report_item item)
{
	return item < NR_REPORT_ITEMS ? items[item].name : "?";
}

char report_type_letter(uint32_t type)
{
	return type < sizeof(letters) - 1 ? letters[type] : '?';
}

/* isolated(anon): the node's line spells two items differently. */
static uint16_t item_find(const char *name, uint32_t bytes, uint32_t hint)
{
	for (uint32_t step = 0; step < NR_REPORT_ITEMS; step++) {
		uint32_t at = (hint + step) % NR_REPORT_ITEMS;

		if (strlen(items[at].name) == bytes && memcmp(items[at].name, name, bytes) == 0)
			return (uint16_t)at;
	}
	if (bytes == 14 && memcmp(name, "isolated(anon)", 14) == 0)
		return RI_ISOLATED_ANON;
	if (bytes == 14 && memcmp(name, "isolated(file)", 14) == 0)
		return RI_ISOLATED_FILE;
	return RI_OTHER;
}

/* Decimal digits. => the position after them, or NULL */
static const char *read_digits(const char *at, const char *end, uint64_t *value)
{
	const char *start = at;
	uint64_t sum = 0;

	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (sum > (UINT64_MAX - digit) / 10)
			return NULL;
		sum = sum * 10 + digit;
	}
	*value = sum;
	return at != start ? at : NULL;
}

static bool has_prefix(const char *at, const char *end, const char *word)
{
	size_t bytes = strlen(word);

	return (size_t)(end - at) >= bytes && memcmp(at, word, bytes) == 0;
}

static const char *after(const char *at, const char *end, const char *word)
{
	return has_prefix(at, end, word) ? at + strlen(word) : NULL;
}

/* "all_unreclaimable? no" => the position after it, or NULL */
static const char *read_question(const char *at, const char *end, struct report_value *value)
{
	const char *answer = after(at, end, "all_unreclaimable? ");

	if (answer == NULL)
		return NULL;
	*value = (struct report_value){ .item = RI_UNRECLAIMABLE,
					.value = has_prefix(answer, end, "yes") ? 1 : 0 };
	return value->value != 0 ? answer + 3 : after(answer, end, "no");
}

/* One "name:NUMBERunit". => the position after it, or NULL */
static const char *read_value(const char *at, const char *end, uint32_t hint,
			      struct report_value *value)
{
	const char *colon = memchr(at, ':', (size_t)(end - at));
	const char *question = read_question(at, end, value);

	if (question != NULL)
		return question;
	if (colon == NULL || colon == at || memchr(at, ' ', (size_t)(colon - at)) != NULL)
		return NULL;
	value->item = item_find(at, (uint32_t)(colon - at), hint);
	value->name = (struct logline_slice){ at, (uint32_t)(colon - at) };
	value->unit = REPORT_UNIT_NONE;
	at = colon + 1;
	while (at < end && *at == ' ')
		at++;
	at = read_digits(at, end, &value->value);
	if (at == NULL)
		return NULL;
	if (has_prefix(at, end, "kB"))
		value->unit = REPORT_UNIT_SMALL;
	else if (has_prefix(at, end, "KB"))
		value->unit = REPORT_UNIT_LARGE;
	return value->unit != REPORT_UNIT_NONE ? at + 2 : at;
}

/* Reads values to the end of the line. => whether all of it was values, and how many */
static bool read_values(const char *at, const char *end, struct report_line *out)
{
	uint32_t hint = 0;

	out->nr_values = 0;
	out->known = true;
	while (at != NULL && at < end && out->nr_values < REPORT_VALUES) {
		struct report_value *value = &out->value[out->nr_values];

		at = read_value(at, end, hint, value);
		if (at == NULL)
			return false;
		hint = value->item + 1u;
		out->known = out->known && value->item != RI_OTHER;
		out->nr_values++;
		while (at < end && *at == ' ')
			at++;
	}
	return at == end && out->nr_values > 0;
}

/* The letters in parentheses. => the position after ") ", or NULL; bits by migrate type */
static const char *read_letters(const char *at, const char *end, uint16_t *bits)
{
	*bits = 0;
	for (at++; at < end && *at != ')'; at++) {
		const char *letter = memchr(letters, *at == 'R' ? 'E' : *at, sizeof(letters) - 1);

		/* Before 4.0 the reserve had its own letter, R; reclaimable was E even then. */
		if (letter == NULL)
			return NULL;
		*bits |= (uint16_t)(1u << (letter - letters));
	}
	return at < end ? at + 1 : NULL;
}

/* One "19*4kB (UME)". => the position after it, or NULL */
static const char *read_blocks(const char *at, const char *end, struct report_value *value)
{
	uint64_t kb;

	at = read_digits(at, end, &value->value);
	at = at != NULL ? after(at, end, "*") : NULL;
	at = at != NULL ? read_digits(at, end, &kb) : NULL;
	at = at != NULL ? after(at, end, "kB") : NULL;
	if (at == NULL || kb == 0 || (kb & (kb - 1)) != 0)
		return NULL;
	value->size_shift = 0;
	while (kb > 1) {
		kb /= 2;
		value->size_shift++;
	}
	value->item = 0;
	if (end - at > 1 && at[0] == ' ' && at[1] == '(')
		at = read_letters(at + 1, end, &value->item);
	return at;
}

/* The free lists of a zone, from the first count on. */
static bool read_block_list(const char *at, const char *end, struct report_line *out)
{
	out->nr_values = 0;
	for (;;) { /* a list a round; the line ends it */
		const char *total = after(at, end, "= ");
		struct report_value *value = &out->value[out->nr_values];

		if (out->nr_values > REPORT_ORDERS || out->nr_values + 1 >= REPORT_VALUES)
			return false;
		if (total != NULL) {
			*value = (struct report_value){ .item = 0 };
			total = read_digits(total, end, &value->value);
			total = total != NULL ? after(total, end, "kB") : NULL;
			out->nr_values++;
			return total == end && out->nr_values > 1;
		}
		at = read_blocks(at, end, value);
		if (at == NULL || at == end || *at != ' ')
			return false;
		at++;
		out->nr_values++;
	}
}

/* "lowmem_reserve[]: 0 193 193"; old kernels may print the numbers in lines of their own. */
static bool read_reserve(const char *at, const char *end, struct report_line *out)
{
	out->nr_values = 0;
	while (at < end && *at == ' ' && out->nr_values < REPORT_VALUES) {
		struct report_value *value = &out->value[out->nr_values];

		*value = (struct report_value){ .item = 0 };
		at = read_digits(at + 1, end, &value->value);
		if (at == NULL)
			return false;
		out->nr_values++;
	}
	return at == end;
}

/* Names of zones that any kernel has. => bytes of the one at `at`, or 0 */
static uint32_t zone_name_bytes(const char *at, const char *end)
{
	static const char *const names[] = { "DMA32",	"DMA",	   "Normal",
					     "HighMem", "Movable", "Device" };

	for (uint32_t i = 0; i < ARRAY_LEN(names); i++)
		if (has_prefix(at, end, names[i]))
			return (uint32_t)strlen(names[i]);
	return 0;
}

/* A zone's line or its free lists. */
static bool read_zone(const char *at, const char *end, struct report_line *out)
{
	uint32_t bytes = zone_name_bytes(at, end);
	const char *rest = at + bytes;

	if (bytes == 0)
		return false;
	out->nr_words = 1;
	out->word[0] = (struct logline_slice){ at, bytes };
	if (has_prefix(rest, end, " free:")) {
		out->kind = REPORT_ZONE;
		return read_values(rest + 1, end, out);
	}
	if (!has_prefix(rest, end, ": "))
		return false;
	out->kind = REPORT_BLOCKS;
	out->known = true;
	return read_block_list(rest + 2, end, out);
}

bool report_values_read(const struct logline_slice *text, struct report_line *out)
{
	const char *at = text->at, *end = at + text->bytes;
	uint64_t node;

	out->node = -1;
	out->known = true;
	if (has_prefix(at, end, "Node ")) {
		at = read_digits(at + 5, end, &node);
		at = at != NULL ? after(at, end, " ") : NULL;
		if (at == NULL || node > 4096)
			return false;
		out->node = (int32_t)node;
		if (read_zone(at, end, out))
			return true;
		out->nr_words = 0;
		out->kind = REPORT_NODE;
		return has_prefix(at, end, "active_anon:") && read_values(at, end, out);
	}
	if (has_prefix(at, end, "lowmem_reserve[]:")) {
		out->kind = REPORT_RESERVE;
		return read_reserve(at + 17, end, out);
	}
	if (read_zone(at, end, out))
		return true;
	out->nr_words = 0;
	out->kind = REPORT_GLOBAL;
	if (has_prefix(at, end, "active_anon:"))
		return read_values(at, end, out);
	/* The lines that continue the statement begin with a blank and one of these. */
	static const char *const first[] = {
		"active_file:", "unevictable:",	   "slab_reclaimable:",
		"mapped:",	"sec_pagetables:", "kernel_misc_reclai",
		"free:",
	};

	while (at < end && *at == ' ')
		at++;
	for (uint32_t i = 0; i < ARRAY_LEN(first) && at > text->at; i++)
		if (has_prefix(at, end, first[i]))
			return read_values(at, end, out);
	return false;
}

/* ---- printing ---- */

static void print_values(const struct report_line *line, struct text_buf *out)
{
	static const char *const units[] = { "", "kB", "KB" };

	for (uint32_t i = 0; i < line->nr_values; i++) {
		const struct report_value *value = &line->value[i];
		bool round = line->kind == REPORT_NODE &&
			     (value->item == RI_ISOLATED_ANON || value->item == RI_ISOLATED_FILE);

		if (i != 0)
			text_buf_add(out, " ", 1);
		if (value->item == RI_UNRECLAIMABLE) {
			text_buf_printf(out, "all_unreclaimable? %s", value->value ? "yes" : "no");
			continue;
		}
		if (value->item == RI_OTHER)
			text_buf_add(out, value->name.at, value->name.bytes);
		else if (round)
			text_buf_puts(out, value->item == RI_ISOLATED_ANON ? "isolated(anon)"
									   : "isolated(file)");
		else
			text_buf_puts(out, items[value->item].name);
		text_buf_add(out, ": ", value->item < RI_OTHER && items[value->item].blank ? 2 : 1);
		text_buf_u64(out, value->value, 0);
		text_buf_puts(out, units[value->unit]);
	}
}

static void print_blocks(const struct report_line *line, struct text_buf *out)
{
	for (uint32_t i = 0; i + 1 < line->nr_values; i++) {
		const struct report_value *value = &line->value[i];

		text_buf_u64(out, value->value, 0);
		text_buf_add(out, "*", 1);
		text_buf_u64(out, (uint64_t)1 << value->size_shift, 0);
		text_buf_puts(out, "kB ");
		if (value->item == 0)
			continue;
		text_buf_add(out, "(", 1);
		for (uint32_t type = 0; type < sizeof(letters) - 1; type++)
			if (value->item & (1u << type))
				text_buf_add(out, &letters[type], 1);
		text_buf_puts(out, ") ");
	}
	text_buf_puts(out, "= ");
	text_buf_u64(out, line->value[line->nr_values - 1].value, 0);
	text_buf_puts(out, "kB");
}

void report_values_print(const struct report_line *line, struct text_buf *out)
{
	if (line->node >= 0)
		text_buf_printf(out, "Node %d ", line->node);
	if (line->nr_words > 0)
		text_buf_add(out, line->word[0].at, line->word[0].bytes);
	switch (line->kind) {
	case REPORT_RESERVE:
		text_buf_puts(out, "lowmem_reserve[]:");
		for (uint32_t i = 0; i < line->nr_values; i++) {
			text_buf_add(out, " ", 1);
			text_buf_u64(out, line->value[i].value, 0);
		}
		return;
	case REPORT_BLOCKS:
		text_buf_puts(out, ": ");
		print_blocks(line, out);
		return;
	case REPORT_GLOBAL:
		/* Only the first line of the statement does not begin with a blank. */
		if (line->value[0].item != RI_ACTIVE_ANON)
			text_buf_add(out, " ", 1);
		break;
	case REPORT_ZONE:
		text_buf_add(out, " ", 1);
		break;
	default:
		break;
	}
	print_values(line, out);
}
