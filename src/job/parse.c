/*
 * The parser's frame: lines, words, names, errors.
 *
 *     text -> lines -> words -> parse_command.c -> struct job
 *                                   |
 *                names: objects[]   +-- errors: "FILE:LINE: sentence"
 *
 * A job is parsed to its end before anything runs, and every error found on the
 * way is reported, not only the first: a user who made three mistakes sees three
 * lines. Names are resolved here as well: a command holds the number of the object
 * it works on, so the executor never looks a name up.
 *
 * The grammar is line by line: words separated by blanks, `#` starts a comment.
 * There is no quoting; a word can be anything but a blank.
 *
 * What must never happen: a line that is half understood. Each command's function
 * marks the words it used, and a word that nobody used is an error.
 *
 * Input is hostile until proven otherwise: size, number of words and length of
 * names are bounded, control characters are refused.
 */
#include "job/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "job/expect.h"
#include "job/parser.h"
#include "job/ptrace.h"

#define JOB_BYTES_MAX (16 * MIB)

void parser_error(struct parser *p, const char *format, ...)
{
	va_list args;

	p->nr_errors++;
	if (p->nr_errors > PARSER_ERRORS_MAX)
		return;
	if (p->nr_errors == PARSER_ERRORS_MAX) {
		fprintf(p->errors, "%s:%u: more errors follow\n", p->name, p->line);
		return;
	}
	fprintf(p->errors, "%s:%u: ", p->name, p->line);
	va_start(args, format);
	vfprintf(p->errors, format, args);
	va_end(args);
	fputc('\n', p->errors);
}

char *parser_copy(struct parser *p, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		p->out_of_memory = true;
	return copy;
}

/* Makes room for one more element in an array that doubles. => false when memory is out */
static bool make_room(void **array, uint32_t used, uint32_t *room, size_t element_bytes)
{
	uint32_t wanted = *room == 0 ? 16 : 2 * *room;
	void *bigger;

	if (used < *room)
		return true;
	bigger = realloc(*array, wanted * element_bytes);
	if (bigger == NULL)
		return false;
	*array = bigger;
	*room = wanted;
	return true;
}

struct job_command *parser_add_command(struct parser *p, enum job_op op)
{
	struct job *job = p->job;
	struct job_command *command;
	void *array = job->commands;

	if (!make_room(&array, job->nr_commands, &p->commands_room, sizeof(*command))) {
		p->out_of_memory = true;
		return NULL;
	}
	job->commands = array;
	command = &job->commands[job->nr_commands++];
	*command = (struct job_command){
		.op = op, .line = p->line, .object = JOB_NO_OBJECT, .background = p->background
	};
	return command;
}

static bool name_is_fine(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length >= JOB_NAME_BYTES)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = name[i];
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
		bool other = (c >= '0' && c <= '9') || c == '-' || c == '.';

		if (!letter && !(other && i > 0))
			return false;
	}
	return true;
}

static uint32_t find_name(const struct job *job, const char *name)
{
	for (uint32_t i = 0; i < job->nr_objects; i++)
		if (strcmp(job->objects[i].name, name) == 0)
			return i;
	return JOB_NO_OBJECT;
}

struct job_object *parser_add_object(struct parser *p, const char *name, enum job_kind kind)
{
	struct job *job = p->job;
	uint32_t before = find_name(job, name);
	void *array = job->objects;
	struct job_object *object;

	if (!name_is_fine(name)) {
		parser_error(p,
			     "'%.60s' is no name: letters, digits, '_', '-' and '.', a letter"
			     " first, at most %u characters",
			     name, JOB_NAME_BYTES - 1);
		return NULL;
	}
	if (before != JOB_NO_OBJECT) {
		parser_error(p, "the name '%s' is used already, in line %u", name,
			     job->objects[before].line);
		return NULL;
	}
	if (!make_room(&array, job->nr_objects, &p->objects_room, sizeof(*object))) {
		p->out_of_memory = true;
		return NULL;
	}
	job->objects = array;
	object = &job->objects[job->nr_objects++];
	*object = (struct job_object){
		.kind = kind, .line = p->line, .node = NEAP_ANY_NODE, .file = JOB_NO_OBJECT
	};
	memcpy(object->name, name, strlen(name) + 1);
	return object;
}

uint32_t parser_find_object(struct parser *p, const char *name, uint32_t kinds)
{
	static const char *const words[] = {
		[JOB_ANON] = "anonymous memory (anon)",	   [JOB_FILE] = "a file (file)",
		[JOB_MAPPING] = "a mapped file (mapfile)", [JOB_BLOCK] = "a block (alloc)",
		[JOB_TRACE] = "a trace (replay)",
	};
	uint32_t number = find_name(p->job, name);
	char wanted[160] = "";

	if (number == JOB_NO_OBJECT) {
		parser_error(p, "there is no '%.60s' declared before this line", name);
		return JOB_NO_OBJECT;
	}
	if ((kinds >> p->job->objects[number].kind) & 1)
		return number;
	for (uint32_t kind = 0; kind < ARRAY_LEN(words); kind++) {
		size_t length = strlen(wanted);

		if ((kinds >> kind) & 1)
			snprintf(wanted + length, sizeof(wanted) - length, "%s%s",
				 length > 0 ? " or " : "", words[kind]);
	}
	parser_error(p, "'%s' is %s, but %s needs %s", name, words[p->job->objects[number].kind],
		     p->words[0], wanted);
	return JOB_NO_OBJECT;
}

/* Cuts the line into words. => false after an error */
static bool split_line(struct parser *p, char *line)
{
	char *save = NULL;

	p->nr_words = 0;
	line[strcspn(line, "#")] = '\0';
	for (const char *c = line; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' && *c != '\t' && *c != '\r') {
			parser_error(p, "the line holds a control character (%u)",
				     (unsigned int)(unsigned char)*c);
			return false;
		}
	}
	for (char *word = strtok_r(line, " \t\r", &save); word != NULL;
	     word = strtok_r(NULL, " \t\r", &save)) {
		if (p->nr_words == PARSER_WORDS_MAX) {
			parser_error(p, "more than %u words in one line", PARSER_WORDS_MAX);
			return false;
		}
		p->used[p->nr_words] = false;
		p->words[p->nr_words++] = word;
	}
	return p->nr_words > 0;
}

static void parse_lines(struct parser *p, const char *text, size_t bytes)
{
	for (size_t at = 0; at < bytes && !p->out_of_memory;) {
		const char *end = memchr(text + at, '\n', bytes - at);
		size_t length = end != NULL ? (size_t)(end - text) - at : bytes - at;
		char *line = strndup(text + at, length);

		p->line++;
		p->background = false;
		if (line == NULL) {
			p->out_of_memory = true;
			return;
		}
		bool is_text = memchr(text + at, '\0', length) == NULL;

		if (is_text && split_line(p, line))
			parser_run_line(p);
		free(line);
		if (!is_text) {
			parser_error(p, "the line holds a zero byte, so this is no job; a trace"
					" begins with PTRACE1");
			return;
		}
		at += length + 1;
	}
	if (p->parallel_line != 0) {
		p->line = p->parallel_line;
		parser_error(p, "this parallel has no end");
	}
}

void job_free(struct job *job)
{
	if (job == NULL)
		return;
	for (uint32_t i = 0; i < job->nr_objects; i++) {
		ptrace_close(job->objects[i].trace);
		free(job->objects[i].path);
	}
	for (uint32_t i = 0; i < job->nr_commands; i++) {
		expect_free(job->commands[i].expect);
		free(job->commands[i].name);
		free(job->commands[i].text);
	}
	for (uint32_t i = 0; i < job->nr_tells; i++)
		free(job->tells[i].event);
	free(job->machine.spec);
	free(job->machine.memory);
	free(job->machine.cpus);
	free(job->machine.swap);
	free(job->machine.swap2);
	free(job->machine.cma);
	free(job->machine.settings);
	free(job->replay_memory);
	free(job->objects);
	free(job->commands);
	free(job->path);
	free(job);
}

int job_parse_text(const char *name, const char *text, size_t bytes, struct job **out,
		   char **errors)
{
	struct parser p = { .name = name };
	size_t error_bytes = 0;
	int result = -ENOMEM;

	*errors = NULL;
	p.job = calloc(1, sizeof(*p.job));
	p.errors = open_memstream(errors, &error_bytes);
	if (p.job == NULL || p.errors == NULL)
		goto out;
	p.job->path = strdup(name);
	if (p.job->path == NULL)
		goto out;
	if (bytes > JOB_BYTES_MAX)
		parser_error(&p, "the file has %zu bytes; a job has at most %u MiB", bytes,
			     (unsigned int)(JOB_BYTES_MAX / MIB));
	else
		parse_lines(&p, text, bytes);
	result = p.out_of_memory ? -ENOMEM : p.nr_errors > 0 ? -EINVAL : 0;
out:
	if (p.errors != NULL)
		fclose(p.errors);
	if (result == 0) {
		*out = p.job;
		free(*errors);
		*errors = NULL;
	} else {
		job_free(p.job);
	}
	return result;
}

static char *message(const char *format, ...) PRINTF_LIKE(1, 2);

static char *message(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	return text;
}

/* Reads a file of at most JOB_BYTES_MAX + 1 bytes. => bytes read or negative errno */
static int64_t read_whole(const char *path, char **text)
{
	size_t room = 64 * KIB;
	size_t used = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *data = fd < 0 ? NULL : malloc(room);
	int64_t result = fd < 0 ? -errno : -ENOMEM;

	while (data != NULL && used <= JOB_BYTES_MAX) {
		ssize_t got = read(fd, data + used, room - used);

		if (got <= 0) {
			result = got < 0 ? -errno : (int64_t)used;
			break;
		}
		used += (size_t)got;
		result = (int64_t)used;
		if (used == room) {
			char *bigger = realloc(data, 2 * room);

			if (bigger == NULL) {
				result = -ENOMEM;
				break;
			}
			data = bigger;
			room *= 2;
		}
	}
	if (fd >= 0)
		close(fd);
	if (result < 0)
		free(data);
	else
		*text = data;
	return result;
}

int job_parse_file(const char *path, struct job **out, char **errors)
{
	char *text = NULL;
	int64_t bytes = read_whole(path, &text);
	int result;

	*errors = NULL;
	if (bytes < 0) {
		*errors = message("%s: cannot be read: %s\n", path, strerror((int)-bytes));
		return bytes == -ENOMEM ? -ENOMEM : -EINVAL;
	}
	result = job_parse_text(path, text, (size_t)bytes, out, errors);
	free(text);
	return result;
}

int job_file_is_trace(const char *path)
{
	static const uint8_t xz[6] = { 0xfd, '7', 'z', 'X', 'Z', 0 };
	uint8_t start[8] = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	int error;

	if (fd < 0)
		return -errno;
	got = read(fd, start, sizeof(start));
	error = errno;
	close(fd);
	if (got < 0)
		return -error;
	return memcmp(start, xz, sizeof(xz)) == 0 || memcmp(start, "PTRACE1\n", 8) == 0;
}

/* A name for the trace's process: its file name up to the first dot, made fit for a name. */
static void name_trace(const char *path, char name[JOB_NAME_BYTES])
{
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	size_t length = strcspn(base, ".");

	if (length >= JOB_NAME_BYTES)
		length = JOB_NAME_BYTES - 1;
	memcpy(name, base, length);
	name[length] = '\0';
	if (!name_is_fine(name))
		memcpy(name, "trace", sizeof("trace"));
}

int job_from_trace(const char *path, struct job **out, char **errors)
{
	struct parser p = { .name = path };
	struct job_object *object;
	struct job_command *command;
	char name[JOB_NAME_BYTES];

	*errors = NULL;
	p.job = calloc(1, sizeof(*p.job));
	if (p.job == NULL)
		return -ENOMEM;
	name_trace(path, name);
	object = parser_add_object(&p, name, JOB_TRACE);
	command = parser_add_command(&p, JOB_OP_REPLAY);
	p.job->path = parser_copy(&p, path);
	if (object != NULL)
		object->path = parser_copy(&p, path);
	if (object == NULL || command == NULL || p.out_of_memory) {
		job_free(p.job);
		return -ENOMEM;
	}
	command->object = 0;
	*out = p.job;
	return 0;
}

/* Where a trace of a job lies: beside the job if there is such a file, else as written. */
static char *trace_path(const struct job *job, const char *path)
{
	const char *slash = strrchr(job->path, '/');
	char *beside = NULL;

	if (path[0] == '/' || slash == NULL)
		return strdup(path);
	beside = message("%.*s/%s", (int)(slash - job->path), job->path, path);
	if (beside != NULL && access(beside, R_OK) == 0)
		return beside;
	free(beside);
	return strdup(path);
}

int job_open_traces(struct job *job, const char *tmp_dir, char **errors)
{
	char sentence[PTRACE_MESSAGE_BYTES];

	*errors = NULL;
	for (uint32_t i = 0; i < job->nr_objects; i++) {
		struct job_object *object = &job->objects[i];
		char *path;
		int error;

		if (object->kind != JOB_TRACE || object->trace != NULL)
			continue;
		path = object->line == 0 ? strdup(object->path) : trace_path(job, object->path);
		if (path == NULL)
			return -ENOMEM;
		error = ptrace_open(path, tmp_dir, &object->trace, sentence);
		if (error != 0 && object->line != 0)
			*errors = message("%s:%u: %s\n", job->path, object->line, sentence);
		else if (error != 0)
			*errors = message("%s\n", sentence);
		free(path);
		if (error != 0)
			return error;
		job->total_accesses += ptrace_info(object->trace)->records;
	}
	return 0;
}

uint64_t parser_nodes(const char *text)
{
	uint64_t nodes = 0;

	while (*text >= '0' && *text <= '9') {
		char *end;
		unsigned long first = strtoul(text, &end, 10);
		unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

		if (last > 63 || first > last)
			return 0;
		for (; first <= last; first++)
			nodes |= UINT64_C(1) << first;
		if (*end == '\0')
			return nodes;
		if (*end != ',')
			return 0;
		text = end + 1;
	}
	return 0;
}
