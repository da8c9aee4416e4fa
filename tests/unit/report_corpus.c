/*
 * Recorded reports against the parser, the writer and the state.
 *
 *     LABEL.txt ── parsed, printed ──> the same bytes, no line unknown
 *     LABEL/zoneinfo, buddyinfo ...  ──> Mem-Info as we write it ──┐ compared number
 *     LABEL.txt ── parsed ──────────────────────────────────────────┘ by number
 *
 * zoneinfo and buddyinfo were read before and after SysRq-m. A number that comes out the
 * same from both readings is determined by the state, and the text must have it. What is in
 * no file is listed in undetermined().
 */
#include "report_corpus.h"

#include <glob.h>
#include <unistd.h>

#include "test_text_util.h"
#include "text/gfp.h"
#include "text/load.h"
#include "text/pagetypeinfo.h"
#include "text_corpus.h"

static char unpacked[] = "/tmp/report-corpus-XXXXXX";

const char *report_corpus_unpack(void)
{
	char archive[512];

	snprintf(archive, sizeof(archive), "%s/tests/golden/reports/reports.tar.xz",
		 util_source_dir());
	assert_non_null(mkdtemp(unpacked));
	assert_int_equal(corpus_unpack(archive, unpacked), 0);
	return unpacked;
}

char *report_corpus_read(const char *path, size_t *bytes)
{
	struct text_buf text;

	text_buf_init(&text);
	if (text_buf_read_file(&text, path, 64 * MIB) != 0)
		fail_msg("%s cannot be read", path);
	*bytes = text.bytes;
	return text.at;
}

/* ---- printed back ---- */

static void check_flags(const char *path, const struct report_line *line)
{
	uint64_t number = line->number[line->kind == REPORT_FAILURE ? 1 : 0];
	const struct logline_slice *word = &line->word[1];
	char flags[GFP_TEXT_BYTES], text[GFP_TEXT_BYTES];
	uint32_t again = 0;

	gfp_flags_format((uint32_t)number, flags, sizeof(flags));
	snprintf(text, sizeof(text), "%.*s", (int)word->bytes, word->at);
	if (strcmp(flags, text) != 0)
		fail_msg("%s: 0x%x is %s, not %s", path, (unsigned)number, text, flags);
	assert_int_equal(gfp_flags_parse(text, &again), 0);
	assert_int_equal(again, number);
}

/* Blocks of each list add up to the total that the line ends with. */
static void check_sums(const char *path, const struct report_memory *memory)
{
	for (uint32_t i = 0; i < memory->nr_zones; i++) {
		const struct report_zone *zone = &memory->zone[i];
		uint64_t kb = 0;

		assert_true(zone->has_blocks);
		for (uint32_t order = 0; order < REPORT_ORDERS; order++)
			kb += (zone->nr_free[order] << order) * memory->page_kb;
		if (kb != zone->blocks_kb)
			fail_msg("%s: free lists of zone %u do not add up", path, i);
	}
}

static void read_lines(struct report_corpus *corpus, const char *path, const char *text,
		       size_t bytes)
{
	struct report_context context = { .last = REPORT_OTHER };
	struct report_memory *memory = calloc(1, sizeof(*memory));
	struct report_line line;

	assert_non_null(memory);
	report_memory_init(memory);
	for (const char *at = text; at < text + bytes;) {
		uint32_t length = (uint32_t)strcspn(at, "\n");
		struct logline split;

		logline_split(at, length, &split);
		assert_true(split.has_uptime);
		report_line_read(&split.text, &context, &line);
		if (line.kind == REPORT_FAILURE || line.kind == REPORT_OOM) {
			check_flags(path, &line);
			assert_true(report_line_begins(&split.text));
		}
		corpus->failures += line.kind == REPORT_FAILURE;
		corpus->ooms += line.kind == REPORT_OOM;
		corpus->blocks += line.kind == REPORT_MEMINFO;
		assert_true(line.known);
		(void)report_memory_take(memory, &line);
		at += length + 1;
		corpus->lines++;
	}
	check_sums(path, memory);
	free(memory);
}

static void check_text(struct report_corpus *corpus, const char *path)
{
	struct report_counts counts;
	struct text_buf out;
	size_t bytes = 0;
	char *text = report_corpus_read(path, &bytes);

	text_buf_init(&out);
	assert_int_equal(report_reprint(text, bytes, &out, &counts), 0);
	if (counts.nr_unknown != 0 || counts.nr_odd != 0)
		fail_msg("%s: %u unknown and %u odd lines", path, counts.nr_unknown, counts.nr_odd);
	assert_true(text_buf_equals(&out, text, bytes));
	read_lines(corpus, path, text, bytes);
	text_buf_free(&out);
	free(text);
	corpus->texts++;
}

/* ---- written from the state ---- */

static void load_text(const char *dir, const char *name, struct text_buf *out)
{
	char path[1024];

	text_buf_init(out);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (text_buf_read_file(out, path, MIB) != 0)
		fail_msg("%s cannot be read", path);
}

struct snapshot *report_corpus_state(const char *dir, const char *suffix)
{
	struct snapshot_docs docs = { .zoneinfo = NULL };
	struct zoneinfo_doc *zoneinfo = NULL;
	struct buddyinfo_doc *buddyinfo = NULL;
	struct meminfo_doc *meminfo = NULL;
	struct swaps_doc *swaps = NULL;
	struct text_doc *types = NULL;
	struct snapshot *snapshot = NULL;
	const char *plain = strcmp(suffix, ".before") == 0 ? suffix : "";
	struct text_buf text;
	struct text_error err;
	char name[40];

#define LOAD(type, which)                                                                          \
	snprintf(name, sizeof(name), "%s%s", #type, which);                                        \
	load_text(dir, name, &text);                                                               \
	assert_int_equal(type##_parse(text.at, text.bytes, name, &type, &err), 0);                 \
	text_buf_free(&text);                                                                      \
	docs.type = type
	LOAD(zoneinfo, suffix);
	LOAD(buddyinfo, suffix);
	LOAD(meminfo, plain);
	LOAD(swaps, plain);
#undef LOAD
	snprintf(name, sizeof(name), "pagetypeinfo%s", plain);
	load_text(dir, name, &text);
	struct text_input in = { text.at, text.bytes, name };
	assert_int_equal(text_doc_load(&pagetypeinfo_format, &in, &types, &err), 0);
	docs.pagetypeinfo = types;
	assert_int_equal(snapshot_from_docs(&docs, &snapshot, &err), 0);
	/* Without vmstat: the sums over zoneinfo, which was read again afterwards. */
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		if (snapshot->nr_nodes == 1) {
			snapshot->node[n].huge_total = snapshot->huge_total;
			snapshot->node[n].huge_free = snapshot->huge_free;
			snapshot->node[n].huge_surplus = snapshot->huge_surplus;
		}
	/* meminfo has machine-wide counters of another moment. */
	memset(snapshot->node_stat, 0, sizeof(snapshot->node_stat));
	memset(snapshot->zone_stat, 0, sizeof(snapshot->zone_stat));
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		for (uint32_t i = 0; i < NR_NODE_ITEMS; i++)
			snapshot->node_stat[i] += snapshot->node[n].stat[i];
		for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
			for (uint32_t i = 0; i < NR_ZONE_ITEMS; i++)
				snapshot->zone_stat[i] += snapshot->node[n].zone[z].stat[i];
	}
	text_buf_free(&text);
	zoneinfo_free(zoneinfo);
	buddyinfo_free(buddyinfo);
	meminfo_free(meminfo);
	swaps_free(swaps);
	text_doc_free(types);
	return snapshot;
}

/* All values of a line in one list, so that lines can be compared. */
static uint32_t line_values(const struct report_line *line, uint64_t *out)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < line->nr_numbers; i++)
		out[nr++] = line->number[i];
	for (uint32_t i = 0; i < line->nr_values; i++) {
		out[nr++] = line->value[i].value;
		if (line->kind == REPORT_BLOCKS)
			out[nr++] = line->value[i].item;
	}
	return nr;
}

/* pagetypeinfo was read once, before; what it says of a list whose length changed is old. */
static bool list_moved(const struct report_line *text, const struct report_line *state,
		       uint32_t index)
{
	return text->kind == REPORT_BLOCKS && index % 2 == 1 &&
	       text->value[index / 2].value != state->value[index / 2].value;
}

/* What no file beside the text says. */
static bool undetermined(const struct snapshot *snapshot, const struct report_line *line,
			 uint32_t index)
{
	/* Which CPU printed. */
	if (line->kind == REPORT_ZONE && index < line->nr_values &&
	    line->value[index].item == RI_LOCAL_PCP)
		return true;
	/* meminfo has one pool for all nodes. */
	return line->kind == REPORT_HUGE && snapshot->nr_nodes > 1 && index >= 1 && index <= 3;
}

/* Copies of a line of a text without newline, as slices. */
static const char *next_line(const char *at, struct logline *split)
{
	uint32_t length = (uint32_t)strcspn(at, "\n");

	logline_split(at, length, split);
	return at[length] == '\n' ? at + length + 1 : at + length;
}

static void compare_line(struct report_corpus *corpus, const struct snapshot *snapshot,
			 const struct logline *lines, const char *path)
{
	uint64_t values[3][2 * REPORT_VALUES + REPORT_NUMBERS];
	struct report_line parsed[3];
	uint32_t nr[3];

	for (uint32_t i = 0; i < 3; i++) {
		struct report_context context = { .last = REPORT_OTHER };

		report_line_read(&lines[i].text, &context, &parsed[i]);
		nr[i] = line_values(&parsed[i], values[i]);
	}
	if (parsed[0].kind != parsed[1].kind || nr[0] != nr[1] || nr[1] != nr[2])
		fail_msg("%s: \"%.*s\" stands where we write \"%.*s\"", path,
			 (int)lines[0].text.bytes, lines[0].text.at, (int)lines[1].text.bytes,
			 lines[1].text.at);
	for (uint32_t i = 0; i < nr[0]; i++) {
		corpus->values++;
		corpus->equal += values[0][i] == values[1][i];
		if (values[0][i] == values[1][i])
			continue;
		if (undetermined(snapshot, &parsed[0], i)) {
			corpus->undetermined++;
			continue;
		}
		corpus->moved++;
		if (values[1][i] == values[2][i] && !list_moved(&parsed[0], &parsed[1], i) &&
		    !list_moved(&parsed[0], &parsed[2], i))
			fail_msg("%s: number %u of \"%.*s\" is %llu by the state", path, i,
				 (int)lines[0].text.bytes, lines[0].text.at,
				 (unsigned long long)values[1][i]);
	}
}

/* The whole block, line by line. */
static void check_state(struct report_corpus *corpus, const char *path)
{
	/* The processor of all recorded machines maps 1 GiB at once: meminfo has DirectMap1G. */
	struct report_filter all = { .nodes = UINT64_MAX,
				     .limit = NEAP_NR_ZONES - 1,
				     .giant = true };
	struct text_buf written[2];
	struct snapshot *snapshot[2];
	char dir[1024];
	size_t bytes = 0;
	char *text = report_corpus_read(path, &bytes);

	snprintf(dir, sizeof(dir), "%.*s", (int)(strlen(path) - 4), path);
	for (uint32_t i = 0; i < 2; i++) {
		text_buf_init(&written[i]);
		snapshot[i] = report_corpus_state(dir, i == 0 ? "" : ".after");
		assert_int_equal(report_memory_write(snapshot[i], &all, &written[i]), 0);
	}
	const char *at[3] = { strchr(text, '\n') + 1, written[0].at, written[1].at };

	while (*at[0] != '\0') {
		struct logline lines[3];

		for (uint32_t i = 0; i < 3; i++)
			at[i] = next_line(at[i], &lines[i]);
		compare_line(corpus, snapshot[0], lines, path);
	}
	assert_true(*at[1] == '\0' && *at[2] == '\0');
	corpus->written++;
	for (uint32_t i = 0; i < 2; i++) {
		free(snapshot[i]);
		text_buf_free(&written[i]);
	}
	free(text);
}

void report_corpus_check(struct report_corpus *corpus, const char *root)
{
	char pattern[1024];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*/*.txt", root);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		check_text(corpus, found.gl_pathv[i]);
		if (strstr(found.gl_pathv[i], "/sysrq-") != NULL)
			check_state(corpus, found.gl_pathv[i]);
	}
	globfree(&found);
	printf("%u texts, %u lines; %u written from the state: %u numbers, %u equal, %u of a state"
	       " that moved, %u not in any file\n",
	       corpus->texts, corpus->lines, corpus->written, corpus->values, corpus->equal,
	       corpus->moved, corpus->undetermined);
}
