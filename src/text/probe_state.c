/*
 * One state of a recorded allocator, line by line.
 *
 *     node 0 kswapd_failures=0 ... zonelist=0.1 0.0       a node: kswapd's fields, fallback order
 *     zone 0.1 DMA32 start=4096 ... flags=0               a zone: sizes, marks, counts
 *     blocks 0.1 4096: M*4 U*1 -*3                        its pageblocks, in runs
 *     free 0.1 10 M: 63488 62464                          one free list, head first
 *     pcp 0.1 cpu=0 count=12 ... threshold=2              what one CPU keeps of it
 *     pcplist 0.1 cpu=0 1: 5123 5122                      one list of that CPU, head first
 *
 * The recorder writes every field always and in one order, so a line is read as a chain of fixed
 * steps (text/scan.h) and looked at once, at its end. A line that is not so was damaged: a state
 * with a hole would let the comparison begin from the wrong place, so there is no "understood in
 * part" here.
 *
 * What must never happen: a number cut to its field's width, or an index beyond an array of the
 * engine.
 */
#include <errno.h>
#include <string.h>

#include "text/probe_parser.h"
#include "text/scan.h"

#define PFN_MOST INT32_MAX /* frame numbers of the engine have 31 bits */
#define COUNT_MOST INT32_MAX

static const char type_letters[] = { 'U', 'M', 'R', 'H', 'C', 'I' };

char probe_type_letter(uint32_t type)
{
	return type < ARRAY_LEN(type_letters) ? type_letters[type] : '-';
}

const char *probe_scan_upto(const char *at, uint32_t most, uint32_t *value)
{
	const char *end = scan_u32(at, value);

	return end != NULL && *value <= most ? end : NULL;
}

const char *probe_scan_place(const char *at, struct probe_place *place)
{
	uint32_t node = 0;
	uint32_t zone = 0;

	at = probe_scan_upto(at, NEAP_MAX_NODES - 1, &node);
	at = probe_scan_upto(scan_literal(at, "."), NEAP_NR_ZONES - 1, &zone);
	*place = (struct probe_place){ (uint8_t)node, (uint8_t)zone };
	return at;
}

const char *probe_scan_type(const char *at, uint8_t *type)
{
	const char *found;

	if (at == NULL || *at == '\0')
		return NULL;
	*type = PROBE_NO_TYPE;
	if (*at == '-' || *at == '?')
		return at + 1;
	found = memchr(type_letters, *at, sizeof(type_letters));
	if (found == NULL)
		return NULL;
	*type = (uint8_t)(found - type_letters);
	return at + 1;
}

/* " KEY=NUMBER" */
static const char *scan_field(const char *at, const char *key, uint64_t *value)
{
	return scan_u64(scan_literal(at, key), value);
}

static const char *scan_field_u32(const char *at, const char *key, uint32_t *value)
{
	return probe_scan_upto(scan_literal(at, key), COUNT_MOST, value);
}

static const char *scan_field_i64(const char *at, const char *key, int64_t *value)
{
	uint64_t bits = 0;

	at = scan_i64(scan_literal(at, key), &bits);
	*value = (int64_t)bits;
	return at;
}

static const char *scan_field_i32(const char *at, const char *key, int32_t *value)
{
	int64_t wide = 0;

	at = scan_field_i64(at, key, &wide);
	*value = (int32_t)wide;
	return *value == wide ? at : NULL;
}

static struct probe_state *state_of(struct probe_parser *p)
{
	return &p->probe->states[p->probe->nr_states - 1];
}

/* ---- lists of numbers at the end of a line ---- */

/* " PFN PFN ..." to the end. => 0, -EINVAL or -ENOMEM */
static int parse_pfns(struct probe_parser *p, const char *at, struct probe_range *range)
{
	struct probe *probe = p->probe;

	range->first = probe->nr_pfns;
	range->nr = 0;
	while (at != NULL && *at != '\0') {
		uint32_t pfn = 0;

		at = probe_scan_upto(scan_literal(at, " "), PFN_MOST, &pfn);
		if (at == NULL || pfn == 0)
			return probe_refuse(p, "a list has something that is no frame number");
		uint32_t *to = probe_push(&probe->pfns, &probe->nr_pfns, sizeof(*to));

		if (to == NULL)
			return -ENOMEM;
		*to = pfn;
		range->nr++;
	}
	return at != NULL ? 0
			  : probe_refuse(p, "the beginning of a list is not as recorders"
					    " write it");
}

/* "N.Z N.Z ..." to the end. */
static int parse_places(struct probe_parser *p, const char *at, struct probe_range *range)
{
	struct probe *probe = p->probe;

	range->first = probe->nr_places;
	for (range->nr = 0; *at != '\0'; range->nr++) {
		struct probe_place place;

		at = probe_scan_place(range->nr != 0 ? scan_literal(at, " ") : at, &place);
		if (at == NULL || range->nr == NEAP_MAX_NODES * NEAP_NR_ZONES)
			return probe_refuse(p, "the zonelist has something that is no NODE.ZONE");
		struct probe_place *to = probe_push(&probe->places, &probe->nr_places, sizeof(*to));

		if (to == NULL)
			return -ENOMEM;
		*to = place;
	}
	return 0;
}

/* ---- the lines ---- */

static int parse_node(struct probe_parser *p, const char *at)
{
	struct probe *probe = p->probe;
	struct probe_node node = { .id = 0 };
	uint32_t waiting = 0;

	at = probe_scan_upto(at, NEAP_MAX_NODES - 1, &node.id);
	at = scan_field_u32(at, " kswapd_failures=", &node.failures);
	at = probe_scan_upto(scan_literal(at, " kswapd_order="), NEAP_NR_ORDERS - 1, &node.order);
	at = probe_scan_upto(scan_literal(at, " kswapd_highest_zoneidx="), NEAP_NR_ZONES,
			     &node.highest);
	at = probe_scan_upto(scan_literal(at, " kswapd_waiting="), 1, &waiting);
	at = scan_literal(at, " zonelist=");
	if (at == NULL)
		return probe_refuse(p, "a node's line is not \"node N kswapd_failures= ..."
				       " zonelist=\"");
	node.waiting = waiting != 0;
	int error = parse_places(p, at, &node.places);

	if (error != 0)
		return error;
	struct probe_node *to = probe_push(&probe->nodes, &probe->nr_nodes, sizeof(*to));

	if (to == NULL)
		return -ENOMEM;
	*to = node;
	state_of(p)->nodes.nr++;
	return 0;
}

/* "lowmem_reserve=A,B,C,D,E" */
static const char *scan_reserves(const char *at, uint64_t reserve[NEAP_NR_ZONES])
{
	at = scan_literal(at, " lowmem_reserve=");
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
		at = scan_u64(i != 0 ? scan_literal(at, ",") : at, &reserve[i]);
	return at;
}

static const char *scan_hex(const char *at, uint32_t *value)
{
	uint32_t digits = 0;

	*value = 0;
	if (at == NULL)
		return NULL;
	for (; digits < 8; digits++, at++) {
		char c = *at;

		if (c >= '0' && c <= '9')
			*value = *value * 16 + (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*value = *value * 16 + (uint32_t)(c - 'a') + 10;
		else
			break;
	}
	return digits != 0 ? at : NULL;
}

/* After the name. */
static const char *scan_zone(const char *at, struct probe_zone *zone)
{
	static const char *const marks[] = { " min=", " low=", " high=", " promo=" };

	at = probe_scan_upto(scan_literal(at, " start="), PFN_MOST, &zone->start_pfn);
	at = probe_scan_upto(scan_literal(at, " spanned="), PFN_MOST, &zone->spanned);
	at = probe_scan_upto(scan_literal(at, " present="), PFN_MOST, &zone->present);
	at = probe_scan_upto(scan_literal(at, " managed="), PFN_MOST, &zone->managed);
	for (uint32_t i = 0; i < ARRAY_LEN(marks); i++)
		at = scan_field(at, marks[i], &zone->mark[i]);
	at = scan_field(at, " boost=", &zone->boost);
	at = scan_field(at, " highatomic=", &zone->highatomic);
	at = scan_field_i64(at, " free=", &zone->free);
	at = scan_field_i64(at, " exact=", &zone->exact);
	at = scan_field(at, " drift_mark=", &zone->drift_mark);
	at = scan_reserves(at, zone->reserve);
	return scan_hex(scan_literal(at, " flags="), &zone->flags);
}

static int parse_zone(struct probe_parser *p, const char *at)
{
	struct probe *probe = p->probe;
	struct probe_zone zone = { .start_pfn = 0 };

	at = scan_word(scan_literal(probe_scan_place(at, &zone.place), " "));
	at = scan_zone(at, &zone);
	if (!scan_end(at))
		return probe_refuse(p, "a zone's line is not \"zone N.Z NAME start= ... flags=\"");
	struct probe_zone *to = probe_push(&probe->zones, &probe->nr_zones, sizeof(*to));

	if (to == NULL)
		return -ENOMEM;
	*to = zone;
	state_of(p)->zones.nr++;
	return 0;
}

static int parse_blocks(struct probe_parser *p, const char *at)
{
	struct probe *probe = p->probe;
	struct probe_run run = { .nr = 0 };
	uint64_t pfn = 0;

	at = scan_literal(probe_scan_place(at, &run.place), " ");
	at = scan_literal(scan_u64(at, &pfn), ":");
	while (at != NULL && *at != '\0') {
		at = probe_scan_type(scan_literal(at, " "), &run.type);
		at = probe_scan_upto(scan_literal(at, "*"), PFN_MOST >> 9, &run.nr);
		if (at == NULL || pfn + ((uint64_t)run.nr << 9) > PFN_MOST)
			break;
		run.pfn = (uint32_t)pfn;
		struct probe_run *to = probe_push(&probe->runs, &probe->nr_runs, sizeof(*to));

		if (to == NULL)
			return -ENOMEM;
		*to = run;
		state_of(p)->runs.nr++;
		pfn += (uint64_t)run.nr << 9;
	}
	if (at == NULL || *at != '\0' || (pfn & 511) != 0)
		return probe_refuse(p, "pageblocks are not \"blocks N.Z PFN: TYPE*NUMBER ...\"");
	return 0;
}

static int add_list(struct probe_parser *p, struct probe_list *list, const char *at)
{
	struct probe *probe = p->probe;
	int error = parse_pfns(p, at, &list->pfns);

	if (error != 0)
		return error;
	struct probe_list *to = probe_push(&probe->lists, &probe->nr_lists, sizeof(*to));

	if (to == NULL)
		return -ENOMEM;
	*to = *list;
	state_of(p)->lists.nr++;
	return 0;
}

static int parse_free(struct probe_parser *p, const char *at)
{
	struct probe_list list = { .cpu = PROBE_NO_CPU };
	uint32_t order = 0;

	at = scan_literal(probe_scan_place(at, &list.place), " ");
	at = scan_literal(probe_scan_upto(at, NEAP_NR_ORDERS - 1, &order), " ");
	at = scan_literal(probe_scan_type(at, &list.type), ":");
	if (at == NULL || list.type == PROBE_NO_TYPE)
		return probe_refuse(p, "a free list is not \"free N.Z ORDER TYPE: PFN ...\"");
	list.index = (uint8_t)order;
	return add_list(p, &list, at);
}

static const char *scan_cpu(const char *at, uint16_t *cpu)
{
	uint32_t number = 0;

	at = probe_scan_upto(scan_literal(at, " cpu="), NEAP_MAX_CPUS - 1, &number);
	*cpu = (uint16_t)number;
	return at;
}

static int parse_pcplist(struct probe_parser *p, const char *at)
{
	struct probe_list list = { .type = PROBE_NO_TYPE };
	uint32_t index = 0;

	at = scan_literal(scan_cpu(probe_scan_place(at, &list.place), &list.cpu), " ");
	at = scan_literal(probe_scan_upto(at, PROBE_LISTS_PCP - 1, &index), ":");
	if (at == NULL)
		return probe_refuse(p, "a CPU's list is not \"pcplist N.Z cpu=C LIST: PFN ...\"");
	list.index = (uint8_t)index;
	return add_list(p, &list, at);
}

static int parse_pcp(struct probe_parser *p, const char *at)
{
	struct probe *probe = p->probe;
	struct probe_pcp pcp = { .cpu = 0 };

	at = scan_cpu(probe_scan_place(at, &pcp.place), &pcp.cpu);
	at = scan_field_u32(at, " count=", &pcp.count);
	at = scan_field_u32(at, " high=", &pcp.high);
	at = scan_field_u32(at, " batch=", &pcp.batch);
	at = scan_field_u32(at, " free_factor=", &pcp.free_factor);
	at = scan_field_u32(at, " expire=", &pcp.expire);
	at = scan_field_i32(at, " diff_free=", &pcp.diff);
	at = scan_field_i32(at, " threshold=", &pcp.threshold);
	if (!scan_end(at))
		return probe_refuse(p, "a CPU's line is not \"pcp N.Z cpu=C count= ..."
				       " threshold=\"");
	struct probe_pcp *to = probe_push(&probe->pcps, &probe->nr_pcps, sizeof(*to));

	if (to == NULL)
		return -ENOMEM;
	*to = pcp;
	state_of(p)->pcps.nr++;
	return 0;
}

int probe_parse_state_line(struct probe_parser *p, const char *text)
{
	static const struct {
		const char *word;
		int (*parse)(struct probe_parser *p, const char *at);
	} kinds[] = {
		{ "free ", parse_free }, { "pcplist ", parse_pcplist }, { "pcp ", parse_pcp },
		{ "zone ", parse_zone }, { "blocks ", parse_blocks },	{ "node ", parse_node },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *at = scan_literal(text, kinds[i].word);

		if (at != NULL)
			return kinds[i].parse(p, at);
	}
	return probe_refuse(p, "a state has no line that begins \"%.20s\"", text);
}
