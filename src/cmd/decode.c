/*
 * neap decode: memory reports in a kernel log, explained.
 *
 *     dmesg | neap decode
 *     neap decode /var/log/kern.log
 *     journalctl -k -b -1 | neap decode --json
 *
 *     log ── 256 KiB at a time ──> lines ──> diag/decode.c ──> reports ──> groups ──> text
 *
 * The log is read once and never kept: memory is one block, one report and the groups,
 * whatever its length. A line that is longer than half a block is cut there; no report
 * has such lines.
 *
 * What must never happen: a log that cannot be read to its end taken for one without
 * findings. A failed read is an error even when reports were found before it; they are
 * still printed.
 *
 * Exit status: 0 nothing failed, 1 something did, 2 usage or input, 3 the world failed.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef NEAP_HAVE_JANSSON
#include <jansson.h>
#endif

#include "cmd/cmd.h"
#include "cmd/document.h"
#include "cmd/inputs.h"
#include "diag/decode_group.h"

#define BLOCK_BYTES (256u * KIB)
#define LINE_BYTES_MAX (BLOCK_BYTES / 2)
#define FILES_MAX 64u

enum decode_key {
	KEY_JSON = 256,
};

struct decode_command {
	const char *file[FILES_MAX];
	uint32_t nr_files;
	bool json;
	struct decode_groups groups;
	uint64_t lines, suppressed;
};

static const struct argp_option option_table[] = {
	{ "json", KEY_JSON, NULL, 0, "print one JSON document", 0 },
	{ "help", '?', NULL, 0, "this list", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct decode_command *command = state->input;

	switch (key) {
	case '?':
		cmd_help(state);
		return 0;
	case KEY_JSON:
		command->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (command->nr_files == FILES_MAX) {
			cmd_error("decode takes at most %u files", FILES_MAX);
			return EINVAL;
		}
		command->file[command->nr_files++] = value;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- reading ---- */

/* What is read of a log and not yet a whole line. */
struct log_input {
	char *block;
	size_t bytes;
	bool cut; /* the rest of a line that was too long is to be passed over */
};

/* Hands the whole lines of the block on and moves the rest to its beginning. */
static int take_lines(struct log_input *in, struct decode *decode)
{
	size_t at = 0;
	int error = 0;

	while (at < in->bytes && error == 0) {
		char *line = in->block + at;
		char *end = memchr(line, '\n', in->bytes - at);

		if (end == NULL)
			break;
		if (!in->cut)
			error = decode_line(decode, line, (uint32_t)(end - line));
		in->cut = false;
		at += (size_t)(end - line) + 1;
	}
	in->bytes -= at;
	memmove(in->block, in->block + at, in->bytes);
	if (error == 0 && in->bytes > LINE_BYTES_MAX) {
		if (!in->cut)
			error = decode_line(decode, in->block, LINE_BYTES_MAX);
		in->cut = true;
		in->bytes = 0;
	}
	return error;
}

/* Reads one log to its end. => CMD_FINE, or the status of a failed read, said */
static int read_log(int fd, const char *name, char *block, struct decode *decode)
{
	struct log_input in = { .block = block };
	int error = 0;

	for (;;) { /* a block a round; the end of the log ends it */
		ssize_t got = read(fd, block + in.bytes, BLOCK_BYTES - in.bytes);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			cmd_error("%s: cannot read it: %s", name, strerror(errno));
			return errno == EISDIR ? CMD_USAGE : CMD_WORLD;
		}
		if (got == 0)
			break;
		in.bytes += (size_t)got;
		error = take_lines(&in, decode);
		if (error != 0)
			break;
	}
	if (error == 0 && in.bytes > 0 && !in.cut)
		error = decode_line(decode, block, (uint32_t)in.bytes);
	if (error == 0)
		error = decode_end(decode);
	if (error != 0)
		cmd_error("memory is out");
	return error != 0 ? CMD_WORLD : CMD_FINE;
}

static int add_report(void *arg, const struct decode_report *report)
{
	return decode_groups_add(arg, report);
}

static int decode_file(struct decode_command *command, const char *name)
{
	struct decode *decode = decode_new(add_report, &command->groups);
	char *block = malloc(BLOCK_BYTES);
	bool standard = strcmp(name, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	int status = CMD_WORLD;

	if (fd < 0) {
		cmd_error("%s: cannot open it: %s", name, strerror(errno));
		status = errno == EACCES ? CMD_WORLD : CMD_USAGE;
	} else if (decode == NULL || block == NULL) {
		cmd_error("memory is out");
	} else {
		status = read_log(fd, standard ? "standard input" : name, block, decode);
		if (status == CMD_FINE && decode_lines(decode) == 0) {
			cmd_error("%s: it is empty; decode wants a kernel log, for example that of"
				  " dmesg or journalctl -k",
				  standard ? "standard input" : name);
			status = CMD_USAGE;
		}
		command->lines += decode_lines(decode);
		command->suppressed += decode_suppressed(decode);
	}
	if (fd >= 0 && !standard)
		close(fd);
	free(block);
	decode_free(decode);
	return status;
}

/* ---- text ---- */

static void add_summary(struct text_buf *out, const struct decode_command *command)
{
	const struct decode_groups *groups = &command->groups;

	if (groups->nr_reports == 0)
		text_buf_printf(out, "nothing is wrong: no memory report in %" PRIu64 " lines\n",
				command->lines);
	else
		text_buf_printf(out,
				"%" PRIu64 " memory report%s of %u kind%s in %" PRIu64 " lines\n",
				groups->nr_reports, groups->nr_reports == 1 ? "" : "s", groups->nr,
				groups->nr == 1 ? "" : "s", command->lines);
	if (command->suppressed != 0)
		text_buf_printf(out,
				"the kernel left out %" PRIu64
				" more (it prints one in ten seconds)\n",
				command->suppressed);
	if (groups->nr_left_out != 0)
		text_buf_printf(out, "%" PRIu64 " reports of still other kinds are not shown\n",
				groups->nr_left_out);
}

static int print_text(const struct decode_command *command)
{
	struct paint paint = inputs_paint();
	struct text_buf out;

	text_buf_init(&out);
	add_summary(&out, command);
	for (uint32_t i = 0; i < command->groups.nr; i++) {
		text_buf_puts(&out, "\n");
		decode_group_add_text(&out, command->groups.group[i], &paint);
	}
	return document_print_text(&out);
}

/* ---- JSON ---- */

#ifdef NEAP_HAVE_JANSSON

static void set_number(json_t *object, const char *key, uint64_t value)
{
	(void)json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *json_zone(const struct decode_group *group, const struct decode_zone *zone)
{
	const struct report_values *kb = &zone->zone.kb;
	json_t *object = json_object();

	set_number(object, "node", zone->zone.node);
	document_set_text(object, "zone", report_kind_name(zone->zone.kind));
	set_number(object, "free_pages", report_values_get(kb, RI_FREE) / group->page_kb);
	set_number(object, "min_pages", report_values_get(kb, RI_MIN) / group->page_kb);
	set_number(object, "low_pages", report_values_get(kb, RI_LOW) / group->page_kb);
	set_number(object, "high_pages", report_values_get(kb, RI_HIGH) / group->page_kb);
	(void)json_object_set_new(object, "above_high", json_boolean(zone->high_ok));
	if (group->kind == DECODE_MEMORY)
		return object;
	document_set_text(object, "answer", decode_answer_word(zone->answer));
	if (zone->answer == DECODE_ABOVE)
		return object;
	(void)json_object_set_new(object, "unusable_pages",
				  json_integer((json_int_t)zone->terms.unusable));
	document_set_text(object, "mark", decode_mark_name(zone, group->verdict.reclaiming));
	(void)json_object_set_new(object, "mark_pages", json_integer(zone->terms.mark));
	(void)json_object_set_new(object, "reserve_pages", json_integer(zone->terms.reserve));
	set_number(object, "blocks_of_order", zone->blocks);
	return object;
}

static json_t *json_request(const struct decode_report *report)
{
	json_t *object = json_object();

	set_number(object, "order", report->order);
	document_set_text(object, "flags", report->flags);
	set_number(object, "mode", report->gfp_raw);
	(void)json_object_set_new(object, "may_wait",
				  json_boolean((report->gfp & GFP_BIT_DIRECT_RECLAIM) != 0));
	if (report->unknown[0] != '\0')
		document_set_text(object, "flags_unknown", report->unknown);
	if (report->nodemask[0] != '\0')
		document_set_text(object, "nodemask", report->nodemask);
	return object;
}

static json_t *json_oom(const struct decode_group *group)
{
	const struct decode_oom *oom = &group->report->oom;
	json_t *object = json_object();
	json_t *uses = json_array();

	document_set_text(object, "constraint", oom->constraint);
	if (oom->has_victim) {
		document_set_text(object, "victim", oom->victim.comm);
		set_number(object, "victim_pid", oom->victim.pid);
		set_number(object, "victim_anon_kb", oom->victim_anon_kb);
		set_number(object, "victim_file_kb", oom->victim_file_kb);
		set_number(object, "victim_shmem_kb", oom->victim_shmem_kb);
	}
	if (oom->group[0] != '\0')
		document_set_text(object, "group", oom->group);
	if (oom->has_usage) {
		set_number(object, "group_usage_kb", oom->usage_kb);
		set_number(object, "group_limit_kb", oom->limit_kb);
	}
	if (group->has_swap) {
		set_number(object, "swap_free_kb", group->swap_free_kb);
		set_number(object, "swap_total_kb", group->swap_total_kb);
	}
	for (uint32_t i = 0; i < group->nr_uses; i++) {
		json_t *use = json_object();

		document_set_text(use, "what", group->use[i].name);
		set_number(use, "pages", group->use[i].pages);
		(void)json_array_append_new(uses, use);
	}
	(void)json_object_set_new(object, "use", uses);
	return object;
}

static json_t *json_group(const struct decode_group *group)
{
	json_t *object = json_object();
	json_t *zones = json_array(), *names = json_array();
	struct text_buf verdict;

	text_buf_init(&verdict);
	decode_verdict_add(&verdict, group);
	document_set_text(object, "kind", decode_kind_word(group->kind));
	document_set_text(object, "cause", decode_cause_word(group->verdict.cause));
	document_set_text(object, "verdict", text_buf_text(&verdict));
	text_buf_free(&verdict);
	set_number(object, "count", group->count);
	set_number(object, "first_line", group->first_line);
	set_number(object, "last_line", group->last_line);
	document_set_text(object, "first_time", group->first_when);
	document_set_text(object, "last_time", group->last_when);
	for (uint32_t i = 0; i < group->nr_comms; i++)
		(void)json_array_append_new(names, json_string(group->comm[i]));
	(void)json_object_set_new(object, "tasks", names);
	document_set_text(object, "kernel", group->report->kernel);
	set_number(object, "page_kb", group->page_kb);
	if (group->report->has_flags)
		(void)json_object_set_new(object, "request", json_request(group->report));
	for (uint32_t i = 0; i < group->verdict.nr_zones; i++)
		(void)json_array_append_new(zones, json_zone(group, &group->verdict.zone[i]));
	(void)json_object_set_new(object, "zones", zones);
	if (group->kind == DECODE_OOM || group->kind == DECODE_GROUP)
		(void)json_object_set_new(object, "oom", json_oom(group));
	if (group->kind == DECODE_HUNG || group->kind == DECODE_STALL)
		set_number(object, group->kind == DECODE_HUNG ? "seconds" : "ms",
			   group->report->value);
	return object;
}

static int print_json(const struct decode_command *command)
{
	json_t *document = json_object();
	json_t *groups = json_array();

	document_set_text(document, "command", "decode");
	set_number(document, "lines", command->lines);
	set_number(document, "reports", command->groups.nr_reports);
	set_number(document, "reports_suppressed", command->suppressed);
	set_number(document, "reports_left_out", command->groups.nr_left_out);
	for (uint32_t i = 0; i < command->groups.nr; i++)
		(void)json_array_append_new(groups, json_group(command->groups.group[i]));
	(void)json_object_set_new(document, "groups", groups);
	return document_print(document);
}

#else

static int print_json(const struct decode_command *command)
{
	(void)command;
	return document_missing();
}

#endif

int cmd_decode(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.args_doc = "[FILE|-]...",
		.doc = "Explains the memory reports of a kernel log: allocation failures, the OOM"
		       " killer, SysRq-m, hanging kswapd and kcompactd. Reads standard input"
		       " without FILE.",
	};
	struct decode_command command = { .nr_files = 0 };
	int status = CMD_FINE;

	if (cmd_parse(&argp, argc, argv, &command) != CMD_FINE)
		return CMD_USAGE;
	if (command.nr_files == 0)
		command.file[command.nr_files++] = "-";
	for (uint32_t i = 0; i < command.nr_files; i++) {
		int one = decode_file(&command, command.file[i]);

		status = one > status ? one : status;
	}
	if (status == CMD_FINE || command.groups.nr != 0) {
		int printed = command.json ? print_json(&command) : print_text(&command);

		if (printed != CMD_FINE)
			status = printed;
		else if (status == CMD_FINE && decode_groups_finding(&command.groups))
			status = CMD_FINDING;
	}
	decode_groups_free(&command.groups);
	return status;
}
