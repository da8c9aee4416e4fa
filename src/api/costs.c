/*
 * Cost tables: what each count of a CPU's meter is worth in virtual time, and how
 * fast the simulated disks are.
 *
 * A table is text, one entry a line, `#` starts a comment (where a number comes
 * from is said there):
 *
 *     pgfault           250        # ns an increment of that counter
 *     swap.latency_ns   90000      # of the swap disk; disk.* is that of files
 *     slice_ns          4000000    # of the scheduler
 *
 * Names are those of the meter: /proc/vmstat's events and neap's own counts
 * (core/vmstat_items.def). What a table does not name costs nothing. Values of
 * items may have up to three decimals (picoseconds are kept); others are whole.
 *
 * The tables of costs/ are compiled in as text (costs_tables.c), so that a command
 * runs without its source tree; a test compares them with the files.
 *
 * What must never happen: an entry that is silently ignored. An unknown name is an
 * error that names the line, because a table is a claim about a machine.
 *
 * Linux has no counterpart; its costs are measured ones.
 */
#include "api/costs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/buf.h"

#define COST_FILE_BYTES_MAX (1u << 20)
#define COST_LINE_BYTES 256u

static const char *const item_names[NR_METER_ITEMS] = {
#define EVENT_ITEM(id, name) [EV_##id] = name,
#define HIDDEN_ITEM(id, name) [EV_##id] = name,
#include "core/vmstat_items.def"
};

enum cost_kind {
	COST_U64,
	COST_U32,
	COST_PERMILLE, /* up to three decimals, kept in thousandths */
	COST_BOOL,
};

struct cost_parameter {
	const char *name;
	size_t offset; /* in struct costs */
	enum cost_kind kind;
	uint64_t highest;
};

#define DEVICE_PARAMETERS(prefix, field)                                                           \
	{ prefix ".latency_ns", offsetof(struct costs, field.latency_ns), COST_U64, UINT32_MAX },  \
		{ prefix ".depth", offsetof(struct costs, field.depth), COST_U32,                  \
		  MODEL_DEPTH_MAX },                                                               \
		{ prefix ".jitter_permille", offsetof(struct costs, field.jitter_permille),        \
		  COST_U32, 1000 },                                                                \
		{ prefix ".iops", offsetof(struct costs, field.iops), COST_U64, 1000000000 },      \
		{ prefix ".iops_burst", offsetof(struct costs, field.iops_burst), COST_U64,        \
		  UINT32_MAX },                                                                    \
		{ prefix ".bytes_per_s", offsetof(struct costs, field.bytes_per_s), COST_U64,      \
		  INT64_MAX },                                                                     \
		{ prefix ".seek_ns", offsetof(struct costs, field.seek_ns), COST_U64,              \
		  UINT32_MAX },                                                                    \
	{                                                                                          \
		prefix ".written_host_ns", offsetof(struct costs, field.written_host_ns),          \
			COST_U64, UINT32_MAX                                                       \
	}

static const struct cost_parameter cost_parameters[] = {
	DEVICE_PARAMETERS("swap", swap),
	{ "swap.rotational", offsetof(struct costs, swap_rotational), COST_BOOL, 1 },
	DEVICE_PARAMETERS("disk", disk),
	{ "disk.rotational", offsetof(struct costs, disk_rotational), COST_BOOL, 1 },
	{ "quantum_ns", offsetof(struct costs, quantum_ns), COST_U64, UINT32_MAX },
	{ "slice_ns", offsetof(struct costs, slice_ns), COST_U64, UINT32_MAX },
	{ "wake_latency_ns", offsetof(struct costs, wake_latency_ns), COST_U64, UINT32_MAX },
	{ "host.round_ns", offsetof(struct costs, host_round_ns), COST_U64, UINT32_MAX },
	{ "host.balance_ns", offsetof(struct costs, host_balance_ns), COST_U64, UINT32_MAX },
	{ "host.processors", offsetof(struct costs, host_processors), COST_U32, 16 },
	{ "host.stay_ns", offsetof(struct costs, host_stay_ns), COST_U64, UINT32_MAX },
	{ "host.together_ns", offsetof(struct costs, host_together_ns), COST_U64, UINT32_MAX },
	{ "host.apart_ns", offsetof(struct costs, host_apart_ns), COST_U64, UINT32_MAX },
	{ "host.others", offsetof(struct costs, host_others_permille), COST_PERMILLE,
	  COSTS_HOST_OTHERS_MAX },
};

/* Where an error is, for messages. */
struct cost_place {
	struct neap_config *config;
	const char *name;
	uint32_t line;
};

static int place_fail(const struct cost_place *place, const char *what, const char *word)
{
	return config_fail(place->config, -EINVAL, "%s:%u: %s '%s'.", place->name, place->line,
			   what, word);
}

static int set_parameter(const struct cost_place *place, const struct cost_parameter *parameter,
			 const char *value, struct costs *out)
{
	char *field = (char *)out + parameter->offset;
	uint64_t number;

	bool whole = parameter->kind != COST_PERMILLE;

	if (config_parse_thousandths(value, &number) != 0 || (whole && number % 1000 != 0) ||
	    (number + 999) / 1000 > parameter->highest)
		return place_fail(place,
				  whole ? "a whole number in range is expected instead of"
					: "a number in range is expected instead of",
				  value);
	number /= whole ? 1000 : 1;
	switch (parameter->kind) {
	case COST_U64:
		memcpy(field, &number, sizeof(number));
		break;
	case COST_U32:
	case COST_PERMILLE:
		memcpy(field, &(uint32_t){ (uint32_t)number }, sizeof(uint32_t));
		break;
	case COST_BOOL:
		memcpy(field, &(bool){ number != 0 }, sizeof(bool));
		break;
	}
	return 0;
}

static int set_entry(const struct cost_place *place, const char *name, const char *value,
		     struct costs *out)
{
	uint64_t ps;

	for (size_t i = 0; i < ARRAY_LEN(cost_parameters); i++)
		if (strcmp(name, cost_parameters[i].name) == 0)
			return set_parameter(place, &cost_parameters[i], value, out);
	for (size_t i = 0; i < NR_METER_ITEMS; i++) {
		if (strcmp(name, item_names[i]) != 0)
			continue;
		if (config_parse_thousandths(value, &ps) != 0 || ps > UINT32_MAX)
			return place_fail(place,
					  "nanoseconds (at most 4294967) are expected instead of",
					  value);
		out->item_ps[i] = (uint32_t)ps;
		return 0;
	}
	return place_fail(place, "neither a counter nor a parameter is called", name);
}

/* One line without its newline: nothing, or a name and a value. */
static int parse_line(const struct cost_place *place, char *line, struct costs *out)
{
	char *hash = strchr(line, '#');
	char *save = NULL;
	char *name, *value, *more;

	if (hash != NULL)
		*hash = '\0';
	name = strtok_r(line, " \t\r", &save);
	if (name == NULL)
		return 0;
	value = strtok_r(NULL, " \t\r", &save);
	more = value != NULL ? strtok_r(NULL, " \t\r", &save) : NULL;
	if (value == NULL)
		return place_fail(place, "a value is missing behind", name);
	if (more != NULL)
		return place_fail(place, "a line has one name and one value; too much is", more);
	return set_entry(place, name, value, out);
}

int costs_parse(struct neap_config *config, const char *name, const char *text, struct costs *out)
{
	struct cost_place place = { .config = config, .name = name };
	char line[COST_LINE_BYTES];

	memset(out, 0, sizeof(*out));
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");
		int err;

		place.line++;
		if (length >= sizeof(line))
			return place_fail(&place, "too long is the line that begins", "...");
		memcpy(line, text, length);
		line[length] = '\0';
		err = parse_line(&place, line, out);
		if (err != 0)
			return err;
		text += length + (text[length] == '\n' ? 1 : 0);
	}
	return 0;
}

int costs_load(struct neap_config *config, struct costs *out)
{
	const char *name = config->costs;
	struct text_buf text;
	int err;

	if (name[0] == '\0')
		name = config->has_pc ? "emulated-guest" : "server";
	if (costs_builtin(name) != NULL)
		return costs_parse(config, name, costs_builtin(name), out);
	text_buf_init(&text);
	err = text_buf_read_file(&text, name, COST_FILE_BYTES_MAX);
	if (err != 0)
		err = config_fail(
			config, err == -ENOENT ? -EINVAL : err,
			"costs: '%s' is neither emulated-guest nor server, and as a file it"
			" cannot be read: %s.",
			name, strerror(-err));
	else
		err = costs_parse(config, name, text_buf_text(&text), out);
	text_buf_free(&text);
	return err;
}
