/*
 * The commands of the job language, one function each.
 *
 * A function takes its words by position (word()), options (option(): key=value)
 * and flags (flag()); each marks what it took. When it returns, a word left over
 * is an error, so that `touch A seq all readonly` cannot pass as a write.
 *
 * The table at the end says for each command how many words it needs at least,
 * whether it may run beside others (bg, parallel) and how it is written; the
 * last is the sentence a user sees who wrote it wrongly.
 *
 * Commands that the language has and neap cannot do yet are refused here, by
 * name and line; support.c knows them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/size.h"
#include "job/expect.h"
#include "job/parser.h"
#include "job/parser_word.h"
#include "job/support.h"
#include "text/gfp.h"

#define KIND(kind) (1u << (kind))
#define THREADS_MAX 64u
#define BLOCKS_MAX 1000000u
#define ORDER_MAX 10u
#define SLEEP_MS_MAX 86400000u

static uint64_t object_pages(const struct parser *p, uint32_t object)
{
	return round_up_u64(p->job->objects[object].bytes, NEAP_PAGE_SIZE) / NEAP_PAGE_SIZE;
}

static void take_node(struct parser *p, struct job_object *object)
{
	const char *node = option(p, "node");

	if (node != NULL)
		object->node = (int)number(p, node, "node", 1023);
}

/* policy=MODE[:NODES] */
static void take_policy(struct parser *p, struct job_object *object)
{
	const char *text = option(p, "policy");

	if (text != NULL)
		parser_policy(p, text, &object->policy, &object->policy_nodes);
}

static void parse_anon(struct parser *p)
{
	struct job_object *object = parser_add_object(p, word(p, 1), JOB_ANON);
	uint64_t bytes = size(p, word(p, 2));
	struct job_command *command;

	uint32_t flags = (flag(p, "thp") ? NEAP_HUGE : 0) | (flag(p, "nothp") ? NEAP_NO_HUGE : 0) |
			 (flag(p, "mlock") ? NEAP_LOCKED : 0);

	if ((flags & NEAP_HUGE) && (flags & NEAP_NO_HUGE))
		parser_error(p, "thp and nothp contradict each other");
	if (object == NULL)
		return;
	object->bytes = bytes;
	object->flags = flags;
	take_node(p, object);
	take_policy(p, object);
	command = parser_add_command(p, JOB_OP_ANON);
	if (command != NULL)
		command->object = p->job->nr_objects - 1;
}

/* A file with path=: what is there decides its size; SIZE is for a file to be made. */
static void look_at_path(struct parser *p, struct job_object *object)
{
	struct stat st;

	if (p->job->path_line == 0)
		p->job->path_line = p->line;
	if (stat(object->path, &st) != 0) {
		if (errno != ENOENT)
			parser_error(p, "%s: %s", object->path, strerror(errno));
		return;
	}
	object->exists = true;
	if (!S_ISREG(st.st_mode))
		parser_error(p, "%s is not a regular file", object->path);
	else if (st.st_size == 0)
		parser_error(p, "%s is empty; a file needs at least one byte", object->path);
	else
		object->bytes = (uint64_t)st.st_size;
}

static void parse_file(struct parser *p)
{
	struct job_object *object = parser_add_object(p, word(p, 1), JOB_FILE);
	const char *path = option(p, "path");
	uint64_t bytes = size(p, word(p, 2));
	struct job_command *command;

	if (object == NULL)
		return;
	object->bytes = bytes;
	if (path != NULL) {
		object->path = parser_copy(p, path);
		if (object->path != NULL)
			look_at_path(p, object);
	}
	command = parser_add_command(p, JOB_OP_FILE);
	if (command != NULL)
		command->object = p->job->nr_objects - 1;
}

static void parse_mapfile(struct parser *p)
{
	uint32_t file = parser_find_object(p, word(p, 2), KIND(JOB_FILE));
	struct job_object *object = parser_add_object(p, word(p, 1), JOB_MAPPING);
	uint32_t flags = flag(p, "exec") ? NEAP_EXEC : 0;
	struct job_command *command;

	if (file == JOB_NO_OBJECT || object == NULL)
		return;
	object->file = file;
	object->flags = flags;
	object->bytes = p->job->objects[file].bytes;
	command = parser_add_command(p, JOB_OP_MAPFILE);
	if (command != NULL)
		command->object = p->job->nr_objects - 1;
}

static enum pageseq_order take_order(struct parser *p, uint32_t at)
{
	const char *text = word(p, at);

	if (strcmp(text, "seq") == 0)
		return PAGESEQ_SEQ;
	if (strcmp(text, "random") == 0)
		return PAGESEQ_RANDOM;
	if (strcmp(text, "zipf") == 0)
		return PAGESEQ_ZIPF;
	parser_error(p, "'%.60s' is no order of pages: seq, random or zipf", text);
	return PAGESEQ_SEQ;
}

/* touch, read and write: NAME ORDER COUNT|all [seed=S]. => NULL after an error */
static struct job_command *take_accesses(struct parser *p, enum job_op op, uint32_t kinds)
{
	uint32_t object = parser_find_object(p, word(p, 1), kinds);
	enum pageseq_order order = take_order(p, 2);
	const char *count = word(p, 3);
	const char *seed = option(p, "seed");
	struct job_command *command = parser_add_command(p, op);

	if (command == NULL)
		return NULL;
	command->object = object;
	command->order = order;
	if (strcmp(count, "all") != 0)
		command->count = number(p, count, "the count", UINT64_MAX >> 1);
	else if (object != JOB_NO_OBJECT)
		command->count = object_pages(p, object);
	command->seed = seed != NULL ? number(p, seed, "seed", UINT64_MAX) : PAGESEQ_DEFAULT_SEED;
	command->threads = 1;
	p->job->total_accesses += command->count;
	return command;
}

static void parse_touch(struct parser *p)
{
	struct job_command *command =
		take_accesses(p, JOB_OP_TOUCH, KIND(JOB_ANON) | KIND(JOB_MAPPING));
	const char *threads = option(p, "threads");
	bool read_only = flag(p, "ro");

	if (command == NULL)
		return;
	command->read_only = read_only;
	if (threads != NULL)
		command->threads = (uint32_t)number(p, threads, "threads", THREADS_MAX);
	if (command->threads == 0)
		parser_error(p, "threads must be at least 1");
}

static void parse_read(struct parser *p)
{
	take_accesses(p, JOB_OP_READ, KIND(JOB_FILE));
}

static void parse_write(struct parser *p)
{
	take_accesses(p, JOB_OP_WRITE, KIND(JOB_FILE));
}

static struct job_command *take_object(struct parser *p, enum job_op op, uint32_t kinds)
{
	uint32_t object = parser_find_object(p, word(p, 1), kinds);
	struct job_command *command = parser_add_command(p, op);

	if (command != NULL)
		command->object = object;
	return command;
}

/* Which of many: every K-th from J on; all by default. => whether the line says anything of it */
static bool take_every(struct parser *p, struct job_command *command, uint64_t most)
{
	const char *every = option(p, "every");
	const char *offset = option(p, "offset");

	command->every = every != NULL ? number(p, every, "every", most) : 1;
	command->offset = offset != NULL ? number(p, offset, "offset", most) : 0;
	if (command->every == 0)
		parser_error(p, "every must be at least 1");
	return every != NULL || offset != NULL;
}

static void parse_free(struct parser *p)
{
	uint32_t kinds = KIND(JOB_ANON) | KIND(JOB_MAPPING) | KIND(JOB_FILE);
	struct job_command *command = take_object(p, JOB_OP_FREE, kinds);

	if (command == NULL)
		return;
	if (take_every(p, command, PAGES_MAX) && command->object != JOB_NO_OBJECT &&
	    p->job->objects[command->object].kind == JOB_FILE)
		parser_error(p, "every and offset are for memory; a file's cache is dropped whole");
}

static void parse_advise(struct parser *p)
{
	struct job_command *command =
		take_object(p, JOB_OP_ADVISE, KIND(JOB_ANON) | KIND(JOB_MAPPING) | KIND(JOB_FILE));
	const char *advice = word(p, 2);

	if (command == NULL)
		return;
	bool file = command->object != JOB_NO_OBJECT &&
		    p->job->objects[command->object].kind == JOB_FILE;

	if (!support_advice(advice, &command->advice))
		parser_error(p, "'%.60s' is no advice; cold is, and others in neap(1)", advice);
	else if (file && !(NEAP_FILE_ADVICE >> command->advice & 1))
		parser_error(p,
			     "advise %s is for memory; of a file can be said normal, random,"
			     " sequential, willneed, dontneed",
			     advice);
	else if (command->advice == NEAP_LAZYFREE && command->object != JOB_NO_OBJECT &&
		 p->job->objects[command->object].kind == JOB_MAPPING)
		parser_error(p,
			     "advise free is for anonymous memory (anon); '%.60s' is a mapped"
			     " file, of which cold or pageout give pages up",
			     p->words[1]);
}

static void parse_fill(struct parser *p)
{
	struct job_command *command = take_object(p, JOB_OP_FILL, KIND(JOB_ANON));
	const char *kind = word(p, 2);

	if (command == NULL)
		return;
	if (strcmp(kind, "random") == 0)
		command->fill = JOB_FILL_RANDOM;
	else if (strcmp(kind, "half") == 0)
		command->fill = JOB_FILL_HALF;
	else if (strcmp(kind, "text") == 0)
		command->fill = JOB_FILL_TEXT;
	else
		parser_error(p, "'%.60s' is no kind of contents: random, half or text", kind);
	if (command->object != JOB_NO_OBJECT)
		p->job->total_accesses += object_pages(p, command->object);
}

static void parse_sysctl(struct parser *p)
{
	const char *name = word(p, 1);
	struct job_command *command = parser_add_command(p, JOB_OP_SYSCTL);
	char text[1024] = "";

	switch (support_sysctl(name)) {
	case SUPPORT_LATER:
		parser_error(p, "sysctl %s is not possible yet", name);
		break;
	case SUPPORT_UNKNOWN:
		parser_error(p, "there is no '%.60s' below /proc/sys/vm", name);
		break;
	case SUPPORT_YES:
		break;
	}
	for (uint32_t i = 2; i < p->nr_words; i++) {
		size_t length = strlen(text);

		if (length + strlen(p->words[i]) + 2 > sizeof(text)) {
			parser_error(p, "the text is longer than %zu characters", sizeof(text) - 2);
			break;
		}
		snprintf(text + length, sizeof(text) - length, "%s%s", i > 2 ? " " : "",
			 word(p, i));
	}
	if (command == NULL)
		return;
	command->name = parser_copy(p, name);
	command->text = parser_copy(p, text);
}

/* compact and compact NODE are writes to the files that start a run. */
static void parse_compact(struct parser *p)
{
	char name[64] = "compact_memory";
	struct job_command *command = parser_add_command(p, JOB_OP_SYSCTL);

	if (p->nr_words > 1)
		snprintf(name, sizeof(name), "/sys/devices/system/node/node%u/compact",
			 (unsigned int)number(p, word(p, 1), "node", 1023));
	if (command == NULL)
		return;
	command->name = parser_copy(p, name);
	command->text = parser_copy(p, "1");
}

static void parse_hugepages(struct parser *p)
{
	const char *count = word(p, 1);
	struct job_command *command = parser_add_command(p, JOB_OP_HUGEPAGES);

	if (command == NULL)
		return;
	command->count = number(p, count, "the count", PAGES_MAX);
	command->name = parser_copy(p, "nr_hugepages");
	command->text = parser_copy(p, count);
}

static void parse_drop(struct parser *p)
{
	const char *what = word(p, 1);
	struct job_command *command = parser_add_command(p, JOB_OP_DROP);

	if (strlen(what) != 1 || what[0] < '1' || what[0] > '3')
		parser_error(p, "drop takes 1, 2 or 3");
	else if (command != NULL)
		command->count = (uint64_t)(what[0] - '0');
}

static void parse_shrink(struct parser *p)
{
	uint64_t bytes = size(p, word(p, 1));
	struct job_command *command = parser_add_command(p, JOB_OP_SHRINK);

	if (command != NULL)
		command->count = (bytes + NEAP_PAGE_SIZE - 1) / NEAP_PAGE_SIZE;
}

/* The disk of swapon and swapoff. */
static struct job_command *parse_swap(struct parser *p, enum job_op op)
{
	const struct job_machine *machine = &p->job->machine;
	struct job_command *command = parser_add_command(p, op);

	if (strcmp(word(p, 1), "z") == 0) {
		parser_error(p, "%s z is not possible yet (compressed swap)", p->words[0]);
		return NULL;
	}
	uint64_t disk = strcmp(word(p, 1), "1") == 0 ? 1 : strcmp(word(p, 1), "2") == 0 ? 2 : 0;

	if (disk == 0)
		parser_error(p, "disks are 1 (swap=) and 2 (swap2=)");
	else if ((disk == 1 ? machine->swap : machine->swap2) == NULL)
		parser_error(p, "the machine line has no %s=, which is disk %u",
			     disk == 1 ? "swap" : "swap2", (unsigned int)disk);
	if (command != NULL)
		command->count = disk;
	return command;
}

static void parse_swapon(struct parser *p)
{
	struct job_command *command = parse_swap(p, JOB_OP_SWAPON);

	if (p->nr_words < 3)
		return;
	number(p, word(p, 2), "priority", 32767);
	if (command != NULL)
		command->text = parser_copy(p, p->words[2]);
}

static void parse_swapoff(struct parser *p)
{
	parse_swap(p, JOB_OP_SWAPOFF);
}

static void parse_fsync(struct parser *p)
{
	take_object(p, JOB_OP_FSYNC, KIND(JOB_FILE));
}

static void parse_digest(struct parser *p)
{
	take_object(p, JOB_OP_DIGEST, KIND(JOB_FILE));
	if (p->job->digest_line == 0)
		p->job->digest_line = p->line;
}

/* cpu N, cpu online N, cpu offline N [try] */
static void parse_cpu(struct parser *p)
{
	bool on = strcmp(word(p, 1), "online") == 0;
	bool state = on || strcmp(word(p, 1), "offline") == 0;
	struct job_command *command = parser_add_command(p, state ? JOB_OP_CPU_STATE : JOB_OP_CPU);

	if (command == NULL)
		return;
	command->on = on;
	command->count = number(p, word(p, state ? 2 : 1), "cpu", 4095);
	command->may_fail = state && flag(p, "try");
}

/* memory add SIZE [node=N], memory online|offline BLOCK [kernel|movable], memory remove BLOCK N */
static void parse_memory(struct parser *p)
{
	static const char *const what[] = { "add", "online", "offline", "remove" };
	static const enum job_op ops[] = { JOB_OP_MEMORY_ADD, JOB_OP_MEMORY_STATE,
					   JOB_OP_MEMORY_STATE, JOB_OP_MEMORY_REMOVE };
	size_t i = 0;

	while (i < ARRAY_LEN(what) && strcmp(word(p, 1), what[i]) != 0)
		i++;
	if (i == ARRAY_LEN(what)) {
		parser_error(p, "memory takes add, online, offline or remove");
		return;
	}
	struct job_command *command = parser_add_command(p, ops[i]);

	if (command == NULL)
		return;
	if (i == 0) {
		const char *node = option(p, "node");

		command->count = size(p, word(p, 2));
		command->object = node != NULL ? (uint32_t)number(p, node, "node", 63) : 0;
		return;
	}
	command->on = i == 1;
	command->count = number(p, word(p, 2), "the block", UINT32_MAX);
	command->may_fail = flag(p, "try");
	if (i == 1 && flag(p, "kernel"))
		command->every = NEAP_MEMORY_KERNEL;
	else if (i == 1 && flag(p, "movable"))
		command->every = NEAP_MEMORY_MOVABLE;
	if (i == 3)
		command->every = number(p, word(p, 3), "the number of blocks", UINT32_MAX);
}

static void parse_sleep(struct parser *p)
{
	struct job_command *command = parser_add_command(p, JOB_OP_SLEEP);

	if (command != NULL)
		command->sleep_ms = number(p, word(p, 1), "sleep", SLEEP_MS_MAX);
}

/* A label becomes a directory of --out: no slashes, no leading dot. */
static void take_label(struct parser *p, struct job_command *command, uint32_t at)
{
	static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-+=,";
	const char *label = word(p, at);

	if (command == NULL)
		return;
	if (label[0] == '.' || strlen(label) > 64 || label[strspn(label, fine)] != '\0') {
		parser_error(p, "'%.80s' is no label: letters, digits and ._-+=, and at most 64",
			     label);
		return;
	}
	for (uint32_t i = 0; i + 1 < p->job->nr_commands; i++) {
		const struct job_command *other = &p->job->commands[i];

		if ((other->op == JOB_OP_SNAPSHOT || other->op == JOB_OP_EVERY) &&
		    other->name != NULL && strcmp(other->name, label) == 0) {
			parser_error(p, "the label '%s' is used already, in line %u", label,
				     other->line);
			return;
		}
	}
	command->name = parser_copy(p, label);
}

static void parse_snapshot(struct parser *p)
{
	take_label(p, parser_add_command(p, JOB_OP_SNAPSHOT), 1);
	p->job->nr_snapshots++;
}

static void parse_every(struct parser *p)
{
	struct job_command *command = parser_add_command(p, JOB_OP_EVERY);
	uint64_t ms = number(p, word(p, 1), "every", SLEEP_MS_MAX);

	if (strcmp(word(p, 2), "snapshot") != 0)
		parser_error(p, "only snapshots can be repeated: every MS snapshot LABEL");
	if (ms == 0)
		parser_error(p, "every needs at least 1 ms");
	take_label(p, command, 3);
	if (command != NULL)
		command->sleep_ms = ms;
}

static bool take_switch(struct parser *p, uint32_t at)
{
	const char *text = word(p, at);

	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		parser_error(p, "'%.60s' should be on or off", text);
	return strcmp(text, "on") == 0;
}

static void parse_trace(struct parser *p)
{
	struct job_command *command = parser_add_command(p, JOB_OP_TRACE);
	bool on = take_switch(p, 1);

	if (command != NULL)
		command->on = on;
	if (on)
		p->job->has_trace_window = true;
}

/* The policy's word in the job language (Linux's own do, too) and in the file; the defrag word. */
static void parse_thp(struct parser *p)
{
	static const char *const policies[][2] = { { "on", "always" },
						   { "always", "always" },
						   { "never", "never" },
						   { "madvise", "madvise" },
						   { "off", "never" } };
	static const char *const defrags[] = { "always", "defer", "defer+madvise", "madvise",
					       "never" };
	struct job_command *command = parser_add_command(p, JOB_OP_THP);
	const char *policy = word(p, 1);
	const char *defrag = p->nr_words > 2 ? word(p, 2) : NULL;
	bool known = defrag == NULL;

	if (command == NULL)
		return;
	for (uint32_t i = 0; i < ARRAY_LEN(policies); i++)
		if (strcmp(policy, policies[i][0]) == 0)
			command->name = parser_copy(p, policies[i][1]);
	if (command->name == NULL)
		parser_error(p, "'%.60s' is no policy of huge pages: on, madvise or off", policy);
	for (uint32_t i = 0; i < ARRAY_LEN(defrags) && defrag != NULL; i++)
		known |= strcmp(defrag, defrags[i]) == 0;
	if (!known)
		parser_error(p, "'%.60s' is none of always, defer, defer+madvise, madvise, never",
			     defrag);
	else if (defrag != NULL)
		command->text = parser_copy(p, defrag);
}

/* khugepaged, mglru: `off` is what a machine without them is; anything else is refused. */
static void parse_switched_off(struct parser *p)
{
	const char *state = word(p, 1);

	for (uint32_t i = 2; i < p->nr_words; i++)
		p->used[i] = true;
	if (strcmp(state, "off") == 0)
		parser_add_command(p, JOB_OP_NOTHING);
	else
		parser_error(p, "%s %s is not possible yet; %s off is accepted", p->words[0], state,
			     p->words[0]);
}

static void parse_wait(struct parser *p)
{
	parser_add_command(p, JOB_OP_WAIT);
}

/* freeze and thaw */
static void parse_freeze(struct parser *p)
{
	struct job_command *command = parser_add_command(p, JOB_OP_FREEZE);

	if (command != NULL)
		command->on = strcmp(p->words[0], "freeze") == 0;
}

static void parse_parallel(struct parser *p)
{
	if (p->parallel_line != 0)
		parser_error(p, "parallel inside the parallel of line %u", p->parallel_line);
	p->parallel_line = p->line;
	parser_add_command(p, JOB_OP_PARALLEL);
}

static void parse_end(struct parser *p)
{
	if (p->parallel_line == 0)
		parser_error(p, "end without parallel");
	p->parallel_line = 0;
	parser_add_command(p, JOB_OP_END);
}

static void parse_alloc(struct parser *p)
{
	struct job_object *object = parser_add_object(p, word(p, 1), JOB_BLOCK);
	struct job_command *command = parser_add_command(p, JOB_OP_ALLOC);
	const char *order = option(p, "order");
	const char *count = option(p, "count");
	const char *gfp = option(p, "gfp");

	if (object == NULL || command == NULL)
		return;
	if (order == NULL)
		parser_error(p, "alloc needs order=N");
	command->object = p->job->nr_objects - 1;
	command->block_order = order != NULL ? (uint32_t)number(p, order, "order", ORDER_MAX) : 0;
	command->count = count != NULL ? number(p, count, "count", BLOCKS_MAX) : 1;
	if (gfp_flags_parse(gfp != NULL ? gfp : "GFP_KERNEL", &command->gfp) != 0)
		parser_error(p,
			     "'%.80s' is no gfp mask: a number or names like"
			     " GFP_KERNEL|__GFP_NORETRY",
			     gfp);
	take_node(p, object);
	command->may_fail = flag(p, "try");
}

/* => NULL after an error */
static struct job_object *take_range(struct parser *p, enum job_op op)
{
	struct job_object *object = parser_add_object(p, word(p, 1), JOB_BLOCK);
	uint64_t bytes = size(p, word(p, 2));
	struct job_command *command = parser_add_command(p, op);

	if (object == NULL || command == NULL)
		return NULL;
	object->bytes = bytes;
	command->object = p->job->nr_objects - 1;
	command->may_fail = flag(p, "try");
	return object;
}

static void parse_range(struct parser *p)
{
	struct job_object *object = take_range(p, JOB_OP_RANGE);

	if (object != NULL)
		take_node(p, object);
}

static void parse_cma(struct parser *p)
{
	if (p->job->machine.cma == NULL)
		parser_error(p, "cma needs an area: machine ... cma=SIZE, in a line before");
	take_range(p, JOB_OP_CMA);
}

static void parse_release(struct parser *p)
{
	struct job_command *command = take_object(p, JOB_OP_RELEASE, KIND(JOB_BLOCK));

	if (command != NULL)
		take_every(p, command, BLOCKS_MAX);
}

/* memory= is a part of the trace's peak ("1/4") or a size. */
static bool memory_is_fine(const char *text)
{
	char *end;
	uint64_t above, below;
	uint64_t bytes;
	size_t used = size_parse(text, &bytes);

	if (used > 0 && text[used] == '\0')
		return bytes > 0;
	if (text[0] < '1' || text[0] > '9')
		return false;
	above = strtoull(text, &end, 10);
	if (*end != '/' || end[1] < '1' || end[1] > '9')
		return false;
	below = strtoull(end + 1, &end, 10);
	return *end == '\0' && above <= 1000 && below <= 1000;
}

static void parse_replay(struct parser *p)
{
	struct job_object *object = parser_add_object(p, word(p, 1), JOB_TRACE);
	struct job_command *command = parser_add_command(p, JOB_OP_REPLAY);
	const char *path = word(p, 2);
	const char *memory = option(p, "memory");

	if (object == NULL || command == NULL)
		return;
	command->object = p->job->nr_objects - 1;
	object->path = parser_copy(p, path);
	if (p->job->replay_line == 0)
		p->job->replay_line = p->line;
	if (memory == NULL)
		return;
	if (!memory_is_fine(memory))
		parser_error(p, "memory '%.60s' is neither a part of the peak (1/4) nor a size",
			     memory);
	else if (p->job->replay_memory != NULL && strcmp(p->job->replay_memory, memory) != 0)
		parser_error(p, "an earlier replay asked for memory=%s; there is one machine",
			     p->job->replay_memory);
	else if (p->job->replay_memory == NULL)
		p->job->replay_memory = parser_copy(p, memory);
}

static void parse_expect(struct parser *p)
{
	struct job_command *command = parser_add_command(p, JOB_OP_EXPECT);
	char message[EXPECT_MESSAGE_BYTES];
	int error;

	for (uint32_t i = 1; i < p->nr_words; i++)
		p->used[i] = true;
	if (command == NULL)
		return;
	error = expect_parse(p->words + 1, p->nr_words - 1, &command->expect, message);
	if (error == -ENOMEM)
		p->out_of_memory = true;
	else if (error != 0)
		parser_error(p, "%s", message);
}

/* Names are checked against the machine's events when there is one. */
static void parse_tell(struct parser *p)
{
	struct job_tell *tell = &p->job->tells[p->job->nr_tells];
	const char *event = word(p, 1);

	if (p->job->nr_tells == JOB_TELLS_MAX) {
		parser_error(p, "more than %u lines of tell", JOB_TELLS_MAX);
		return;
	}
	*tell = (struct job_tell){ .line = p->line, .count = 1 };
	const char *skip = option(p, "skip");

	if (skip != NULL)
		tell->skip = number(p, skip, "skip", UINT32_MAX);
	if (p->nr_words > 2 && strchr(p->words[2], '=') == NULL)
		tell->count = number(p, word(p, 2), "count", 1000000);
	tell->event = parser_copy(p, event);
	if (tell->event != NULL)
		p->job->nr_tells++;
}

struct command_entry {
	const char *name;
	uint32_t nr_words; /* needed after the name */
	bool beside;	   /* may run in bg and in parallel */
	void (*parse)(struct parser *p);
	const char *usage;
};

static const struct command_entry commands[] = {
	{ "machine", 1, false, parser_run_machine,
	  "machine nodes=MEM[/CPUS]+...|memory=SIZE [cpus=N] [swap=SIZE] [swap2=SIZE]"
	  " [cma=SIZE] [rebind=1]"
	  " [noswapon=1] [swapiops=N] [fsiops=N] [hotplug=SIZE] [block=SIZE]" },
	{ "anon", 2, false, parse_anon,
	  "anon NAME SIZE [thp|nothp] [node=N] [policy=MODE[:NODES]] [mlock]" },
	{ "file", 2, false, parse_file, "file NAME SIZE [path=PATH]" },
	{ "mapfile", 2, false, parse_mapfile, "mapfile NAME FILE [exec]" },
	{ "touch", 3, true, parse_touch,
	  "touch NAME seq|random|zipf COUNT|all [ro] [seed=S] [threads=T]" },
	{ "read", 3, true, parse_read, "read NAME seq|random|zipf COUNT|all [seed=S]" },
	{ "write", 3, true, parse_write, "write NAME seq|random|zipf COUNT|all [seed=S]" },
	{ "free", 1, true, parse_free, "free NAME [every=K] [offset=J]" },
	{ "advise", 2, true, parse_advise, "advise NAME free|cold|pageout|willneed|..." },
	{ "fill", 2, true, parse_fill, "fill NAME random|half|text" },
	{ "sysctl", 2, true, parse_sysctl, "sysctl NAME TEXT..." },
	{ "compact", 0, true, parse_compact, "compact [NODE]" },
	{ "hugepages", 1, true, parse_hugepages, "hugepages N" },
	{ "drop", 1, true, parse_drop, "drop 1|2|3" },
	{ "shrink", 1, true, parse_shrink, "shrink SIZE" },
	{ "swapon", 1, true, parse_swapon, "swapon 1|2 [PRIORITY]" },
	{ "swapoff", 1, true, parse_swapoff, "swapoff 1|2" },
	{ "fsync", 1, true, parse_fsync, "fsync NAME" },
	{ "digest", 1, true, parse_digest, "digest NAME" },
	{ "cpu", 1, false, parse_cpu, "cpu N, cpu online|offline N [try]" },
	{ "memory", 2, false, parse_memory,
	  "memory add SIZE [node=N], memory online BLOCK [kernel|movable], memory offline BLOCK"
	  " [try], memory remove BLOCK N" },
	{ "sleep", 1, true, parse_sleep, "sleep MS" },
	{ "snapshot", 1, true, parse_snapshot, "snapshot LABEL" },
	{ "every", 3, false, parse_every, "every MS snapshot LABEL" },
	{ "trace", 1, false, parse_trace, "trace on|off" },
	{ "thp", 1, false, parse_thp, "thp on|madvise|off [DEFRAG]" },
	{ "khugepaged", 1, false, parse_switched_off, "khugepaged off" },
	{ "mglru", 1, false, parse_switched_off, "mglru off" },
	{ "policy", 1, false, parser_run_policy, "policy MODE[:NODES]" },
	{ "mems", 1, false, parser_run_mems, "mems NODES|all" },
	{ "wait", 0, false, parse_wait, "wait" },
	{ "freeze", 0, true, parse_freeze, "freeze" },
	{ "thaw", 0, true, parse_freeze, "thaw" },
	{ "parallel", 0, false, parse_parallel, "parallel" },
	{ "end", 0, false, parse_end, "end" },
	{ "alloc", 1, true, parse_alloc,
	  "alloc NAME order=N [count=M] [gfp=FLAGS] [node=K] [try]" },
	{ "range", 2, true, parse_range, "range NAME SIZE [node=K] [try]" },
	{ "cma", 2, true, parse_cma, "cma NAME SIZE [try]" },
	{ "release", 1, true, parse_release, "release NAME [every=K] [offset=J]" },
	{ "replay", 2, true, parse_replay, "replay NAME FILE [memory=1/4]" },
	{ "tell", 1, false, parse_tell, "tell EVENT [COUNT] [skip=N]" },
	{ "expect", 3, false, parse_expect, "expect FILE.NAME OP NUMBER [and ...]" },
};

static const struct command_entry *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* Takes the word `bg` off the line. => false after an error */
static bool take_background(struct parser *p)
{
	if (p->nr_words < 2) {
		parser_error(p, "bg needs a command: bg COMMAND...");
		return false;
	}
	if (p->parallel_line != 0)
		parser_error(p, "bg inside parallel: its commands run beside each other anyway");
	memmove(p->words, p->words + 1, (p->nr_words - 1) * sizeof(p->words[0]));
	p->nr_words--;
	p->background = true;
	return true;
}

void parser_run_line(struct parser *p)
{
	const struct command_entry *entry;
	const char *missing;

	if (strcmp(p->words[0], "bg") == 0 && !take_background(p))
		return;
	missing = support_missing_command(p->words[0]);
	if (missing != NULL) {
		parser_error(p, "%s is not possible yet (%s)", p->words[0], missing);
		return;
	}
	entry = find_command(p->words[0]);
	if (entry == NULL) {
		parser_error(p, "unknown command '%.60s'", p->words[0]);
		return;
	}
	if (p->nr_words <= entry->nr_words) {
		parser_error(p, "too few words; write: %s", entry->usage);
		return;
	}
	if (p->background && !entry->beside)
		parser_error(p, "%s cannot run in the background", entry->name);
	if (p->parallel_line != 0 && !entry->beside && entry->parse != parse_end &&
	    entry->parse != parse_parallel)
		parser_error(p, "%s cannot run in parallel", entry->name);
	p->used[0] = true;
	entry->parse(p);
	for (uint32_t i = 1; i < p->nr_words; i++) {
		if (!p->used[i]) {
			parser_error(p, "unexpected word '%.60s'; write: %s", p->words[i],
				     entry->usage);
			break;
		}
	}
}
