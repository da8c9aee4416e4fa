/*
 * Recordings of a kernel's allocator: the frame of the file, operations and their events.
 *
 *     # policy 2 2: ok                       a note, or a comment of the script
 *     ## state a-before                      a state: text/probe_state.c
 *     node ... zone ... free ... pcp ...
 *     ## state a-after
 *     ## ops a                               the burst that lies between the two
 *     0 c0 a 7 0 28c0 0 = 5120 0.1 U | 0.0=3840/3840/0 0.1=2495/2480/0
 *       extfrag pfn=5120 alloc_order=0 fallback_order=9 alloc=U fallback=M change=1
 *       wake_kswapd node=0 highest_zoneidx=2 order=0
 *     # alone: 0 c0 a 2000 4 6cc0 0 = 15696 0.1 U | ...      outside a burst, able to sleep
 *
 *     items --> states --> zones, lists, CPUs ...            one array of each kind; a state or
 *           +-> ops ----> columns, events                    an operation owns a range of them
 *           +-> notes
 *
 * Everything is kept in the order of the file. Arrays only grow while parsing, so they are referred
 * to by index. Memory is a constant factor of the input: each element comes from at least two bytes
 * of it (a frame number and its blank).
 *
 * A burst recorded without its states has only its operations; they are an item like any other, and
 * who compares has to find a state to begin from.
 *
 * What must never happen: a damaged file half understood. The first line that is not as the
 * recorder writes it ends the parse, and the message has its number.
 */
#include "text/probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/mem.h"
#include "text/probe_parser.h"
#include "text/scan.h"

#define BYTES_MAX ((size_t)1 << 29) /* array indexes of 32 bits are enough for that */
#define ROOM_FIRST 16u
#define SLOT_MOST 65535u

int probe_refuse(struct probe_parser *p, const char *format, ...)
{
	char sentence[256];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	text_error_set(p->err, p->file_name, p->line, "%s", sentence);
	return -EINVAL;
}

void *probe_push(void *array, uint32_t *nr, size_t element_bytes)
{
	/* Rooms are powers of two, grown by one element at a time: the count says what there is. */
	uint32_t room = *nr;
	void *at;

	memcpy(&at, array, sizeof(at));
	if (room != 0 && room < ROOM_FIRST)
		room = ROOM_FIRST;
	else if ((room & (room - 1)) != 0)
		room = room + 1;
	if (text_mem_reserve(&at, &room, *nr + 1, element_bytes) != 0)
		return NULL;
	memcpy(array, &at, sizeof(at));
	at = (char *)at + *nr * element_bytes;
	(*nr)++;
	return memset(at, 0, element_bytes);
}

static struct probe_item *push_item(struct probe_parser *p, enum probe_item_kind kind)
{
	struct probe *probe = p->probe;
	struct probe_item *item = probe_push(&probe->items, &probe->nr_items, sizeof(*item));

	if (item != NULL) {
		item->kind = (uint8_t)kind;
		item->line = p->line;
	}
	return item;
}

/* Labels have no blanks. => 0 or -EINVAL */
static int parse_label(struct probe_parser *p, const char *at, char label[PROBE_LABEL_BYTES])
{
	const char *end = scan_word(at);

	if (!scan_end(end) || end - at >= (ptrdiff_t)PROBE_LABEL_BYTES)
		return probe_refuse(p, "a label is one word of at most %u letters",
				    PROBE_LABEL_BYTES - 1);
	memcpy(label, at, (size_t)(end - at));
	return 0;
}

/* ---- headings ---- */

static int begin_state(struct probe_parser *p, const char *label)
{
	struct probe *probe = p->probe;
	struct probe_item *item = push_item(p, PROBE_STATE);
	struct probe_state *state =
		item != NULL ? probe_push(&probe->states, &probe->nr_states, sizeof(*state)) : NULL;

	if (state == NULL)
		return -ENOMEM;
	item->first = probe->nr_states - 1;
	state->line = p->line;
	state->nodes.first = probe->nr_nodes;
	state->zones.first = probe->nr_zones;
	state->runs.first = probe->nr_runs;
	state->lists.first = probe->nr_lists;
	state->pcps.first = probe->nr_pcps;
	p->in_state = true;
	return parse_label(p, label, state->label);
}

static int begin_burst(struct probe_parser *p, const char *label)
{
	struct probe_item *item = push_item(p, PROBE_BURST);

	if (item == NULL)
		return -ENOMEM;
	item->first = p->probe->nr_ops;
	p->in_burst = true;
	return parse_label(p, label, item->label);
}

static int parse_note(struct probe_parser *p, const char *text)
{
	struct probe *probe = p->probe;
	struct probe_item *item = push_item(p, PROBE_NOTE);
	const char **note =
		item != NULL ? probe_push(&probe->notes, &probe->nr_notes, sizeof(*note)) : NULL;

	if (note == NULL)
		return -ENOMEM;
	item->first = probe->nr_notes - 1;
	*note = text;
	return 0;
}

/* ---- operations ---- */

static const char *scan_hex64(const char *at, uint64_t *value)
{
	char *end;

	if (at == NULL || *at == '-' || *at == '+' || *at == ' ')
		return NULL;
	errno = 0;
	*value = strtoull(at, &end, 16);
	return end != at && errno == 0 ? end : NULL;
}

static const char *scan_gfp(const char *at, uint32_t *gfp)
{
	uint64_t bits = 0;

	at = scan_hex64(at, &bits);
	*gfp = (uint32_t)bits;
	return bits <= UINT32_MAX ? at : NULL;
}

/* " ORDER GFP NODE", where NODE can be -1: none. */
static const char *scan_request(const char *at, struct probe_op *op)
{
	at = probe_scan_upto(scan_literal(at, " "), NEAP_NR_ORDERS - 1, &op->order);
	at = scan_gfp(scan_literal(at, " "), &op->gfp);
	return probe_scan_upto(scan_literal(at, " "), NEAP_MAX_NODES - 1, &op->node);
}

/* " = PFN N.Z TYPE" or " = -" */
static const char *scan_frame(const char *at, struct probe_op *op)
{
	const char *none = scan_literal(at, " = -");
	uint8_t type;

	if (none != NULL)
		return none;
	at = probe_scan_upto(scan_literal(at, " = "), INT32_MAX, &op->pfn);
	at = probe_scan_place(scan_literal(at, " "), &op->place);
	at = probe_scan_type(scan_literal(at, " "), &type);
	return op->pfn != 0 ? at : NULL;
}

/* " = COUNT last=PFN hash=HEX" */
static const char *scan_until(const char *at, struct probe_op *op)
{
	at = scan_literal(scan_u64(scan_literal(at, " = "), &op->count), " last=");
	at = probe_scan_upto(at, INT32_MAX, &op->pfn);
	return scan_hex64(scan_literal(at, " hash="), &op->hash);
}

/* "INDEX cCPU KIND ...", up to the columns. */
static const char *scan_op(const char *at, struct probe_op *op)
{
	uint32_t index = 0;
	uint32_t cpu = 0;

	at = scan_literal(scan_u32(at, &index), " c");
	at = scan_literal(probe_scan_upto(at, NEAP_MAX_CPUS - 1, &cpu), " ");
	if (at == NULL || *at == '\0' || strchr("apft", *at) == NULL)
		return NULL;
	op->cpu = (uint16_t)cpu;
	op->kind = *at++;
	if (op->kind == 't')
		return scan_until(scan_request(at, op), op);
	at = probe_scan_upto(scan_literal(at, " "), SLOT_MOST, &op->slot);
	if (op->kind != 'f')
		at = scan_request(at, op);
	return scan_frame(at, op);
}

/* " |" and " N.Z=FREE/EXACT/HIGHATOMIC" for each zone. */
static int parse_columns(struct probe_parser *p, const char *at, struct probe_op *op)
{
	struct probe *probe = p->probe;

	op->columns.first = probe->nr_columns;
	at = scan_literal(at, " |");
	while (at != NULL && *at != '\0') {
		struct probe_column column = { .highatomic = 0 };
		uint64_t free_pages = 0;
		uint64_t exact = 0;

		at = probe_scan_place(scan_literal(at, " "), &column.place);
		at = scan_i64(scan_literal(at, "="), &free_pages);
		at = scan_i64(scan_literal(at, "/"), &exact);
		at = scan_u64(scan_literal(at, "/"), &column.highatomic);
		column.free = (int64_t)free_pages;
		column.exact = (int64_t)exact;
		if (at == NULL)
			break;
		struct probe_column *to =
			probe_push(&probe->columns, &probe->nr_columns, sizeof(*to));

		if (to == NULL)
			return -ENOMEM;
		*to = column;
		op->columns.nr++;
	}
	return at != NULL ? 0
			  : probe_refuse(p, "an operation's free pages are not \"|"
					    " N.Z=FREE/EXACT/HIGHATOMIC ...\"");
}

static int parse_op(struct probe_parser *p, const char *text)
{
	struct probe *probe = p->probe;
	struct probe_op op = { .line = p->line };
	const char *at = scan_op(text, &op);

	if (at == NULL)
		return probe_refuse(p,
				    "an operation is not \"INDEX cCPU a|p|f|t ... = RESULT |"
				    " COLUMNS\": %.60s",
				    text);
	int error = parse_columns(p, at, &op);

	if (error != 0)
		return error;
	op.events.first = probe->nr_events;
	struct probe_op *to = probe_push(&probe->ops, &probe->nr_ops, sizeof(*to));

	if (to == NULL)
		return -ENOMEM;
	*to = op;
	p->after_op = true;
	return 0;
}

static int parse_alone(struct probe_parser *p, const char *text)
{
	struct probe_item *item = push_item(p, PROBE_ALONE);

	if (item == NULL)
		return -ENOMEM;
	item->first = p->probe->nr_ops;
	item->nr = 1;
	return parse_op(p, text);
}

/* ---- events ---- */

static const char *scan_steal(const char *at, struct probe_event *event)
{
	uint32_t order = 0;
	uint32_t found = 0;
	uint32_t change = 0;

	at = probe_scan_upto(at, INT32_MAX, &event->pfn);
	at = probe_scan_upto(scan_literal(at, " alloc_order="), NEAP_NR_ORDERS - 1, &order);
	at = probe_scan_upto(scan_literal(at, " fallback_order="), NEAP_NR_ORDERS - 1, &found);
	at = probe_scan_type(scan_literal(at, " alloc="), &event->type);
	at = probe_scan_type(scan_literal(at, " fallback="), &event->other);
	at = probe_scan_upto(scan_literal(at, " change="), 1, &change);
	event->kind = PROBE_STEAL;
	event->order = (uint8_t)order;
	event->found = (uint8_t)found;
	event->change = (uint8_t)change;
	return at;
}

static const char *scan_wake(const char *at, struct probe_event *event)
{
	uint32_t node = 0;
	uint32_t zone = 0;
	uint32_t order = 0;

	at = probe_scan_upto(at, NEAP_MAX_NODES - 1, &node);
	at = probe_scan_upto(scan_literal(at, " highest_zoneidx="), NEAP_NR_ZONES - 1, &zone);
	at = probe_scan_upto(scan_literal(at, " order="), NEAP_NR_ORDERS - 1, &order);
	event->kind = PROBE_WAKE;
	event->node = (uint8_t)node;
	event->zone = (uint8_t)zone;
	event->order = (uint8_t)order;
	return at;
}

static int parse_event(struct probe_parser *p, const char *text)
{
	struct probe *probe = p->probe;
	struct probe_event event = { .line = p->line };
	const char *steal = scan_literal(text, "  extfrag pfn=");
	const char *at = steal != NULL
				 ? scan_steal(steal, &event)
				 : scan_wake(scan_literal(text, "  wake_kswapd node="), &event);

	if (!scan_end(at))
		return probe_refuse(p, "an event is neither \"  extfrag pfn= ...\" nor"
				       " \"  wake_kswapd node= ...\"");
	if (!p->after_op)
		return probe_refuse(p, "an event stands below no operation");
	struct probe_event *to = probe_push(&probe->events, &probe->nr_events, sizeof(*to));

	if (to == NULL)
		return -ENOMEM;
	*to = event;
	probe->ops[probe->nr_ops - 1].events.nr++;
	return 0;
}

/* ---- the frame ---- */

/* Lines that begin with '#'. */
static int parse_heading(struct probe_parser *p, const char *text)
{
	const char *state = scan_literal(text, "## state ");
	const char *ops = scan_literal(text, "## ops ");
	const char *alone = scan_literal(text, "# alone: ");

	p->in_state = false;
	p->in_burst = false;
	p->after_op = false;
	if (state != NULL)
		return begin_state(p, state);
	if (ops != NULL)
		return begin_burst(p, ops);
	if (alone != NULL)
		return parse_alone(p, alone);
	return parse_note(p, text + (text[1] == ' ' ? 2 : 1));
}

static int parse_line(struct probe_parser *p, const char *text)
{
	int error;

	if (text[0] == '#')
		return parse_heading(p, text);
	if (p->in_state)
		return probe_parse_state_line(p, text);
	if (text[0] == ' ')
		return parse_event(p, text);
	if (!p->in_burst)
		return probe_refuse(p, "a line stands neither in a state nor in a burst: %.60s",
				    text);
	error = parse_op(p, text);
	if (error == 0)
		p->probe->items[p->probe->nr_items - 1].nr++;
	return error;
}

static int parse_lines(struct probe_parser *p, size_t bytes)
{
	char *at = p->probe->text;
	char *end = at + bytes;
	int error = 0;

	while (at < end && error == 0) {
		char *newline = memchr(at, '\n', (size_t)(end - at));

		p->line++;
		if (newline == NULL)
			return probe_refuse(p, "the file is cut off: its last line has no end");
		*newline = '\0';
		if (strlen(at) != (size_t)(newline - at))
			return probe_refuse(p, "the line has a NUL: this is no text");
		error = parse_line(p, at);
		at = newline + 1;
	}
	return error;
}

int probe_parse(const struct text_input *in, struct probe *out, struct text_error *err)
{
	struct probe_parser p = { .probe = out, .file_name = in->file_name, .err = err };
	int error;

	memset(out, 0, sizeof(*out));
	text_error_clear(err);
	if (in->bytes == 0 || in->bytes > BYTES_MAX) {
		text_error_set(err, in->file_name, 0,
			       in->bytes == 0 ? "the recording is empty"
					      : "the recording is larger than 512 MiB");
		return in->bytes == 0 ? -EINVAL : -EFBIG;
	}
	out->text = text_mem_resize(NULL, in->bytes);
	if (out->text == NULL)
		return text_error_no_memory(err, in->file_name);
	memcpy(out->text, in->text, in->bytes);
	error = parse_lines(&p, in->bytes);
	if (error != 0)
		probe_free(out);
	return error == -ENOMEM ? text_error_no_memory(err, in->file_name) : error;
}

void probe_free(struct probe *probe)
{
	free(probe->items);
	free(probe->states);
	free(probe->nodes);
	free(probe->places);
	free(probe->zones);
	free(probe->runs);
	free(probe->lists);
	free(probe->pcps);
	free(probe->pfns);
	free(probe->ops);
	free(probe->columns);
	free(probe->events);
	free(probe->notes);
	free(probe->text);
	memset(probe, 0, sizeof(*probe));
}
