/*
 * A memory group of cgroup v2.
 *
 *     /proc/self/cgroup  "0::/user.slice/app"  ──> /sys/fs/cgroup/user.slice/app/memory.*
 *     in a container     "0::/"                ──> /sys/fs/cgroup/memory.*
 *     saved              DIR/memory.current, DIR/cgroup.memory.current, DIR/sys/fs/cgroup/...
 *
 * The limit of a group is what most machines run into today, and none of /proc's files shows it:
 * memory of the machine may be plenty while the group reclaims from itself.
 *
 * What must never happen: the limits of the root group, which has none, taken for a
 * machine's.
 */
#include <stdio.h>
#include <string.h>

#include "diag/evidence_part.h"
#include "text/load_part.h"
#include "text/pressure.h"
#include "text/scan.h"

#define PATH_BYTES 512u

/* "name value" lines. => whether the name is there */
static bool find_value(const char *text, const char *name, uint64_t *value)
{
	size_t length = strlen(name);

	for (const char *line = text; *line != '\0';) {
		if (strncmp(line, name, length) == 0 && line[length] == ' ' &&
		    scan_u64(line + length + 1, value) != NULL)
			return true;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return false;
}

/* "max", or bytes. => whether it is one of these */
static bool read_limit(const char *text, uint64_t *bytes)
{
	if (strncmp(text, "max", 3) == 0) {
		*bytes = EVIDENCE_NO_LIMIT;
		return true;
	}
	return scan_u64(text, bytes) != NULL;
}

static bool read_events(const char *text, struct evidence_group *group)
{
	group->has_events = find_value(text, "max", &group->nr_max);
	(void)find_value(text, "high", &group->nr_high);
	(void)find_value(text, "oom", &group->nr_oom);
	(void)find_value(text, "oom_kill", &group->nr_oom_kill);
	return group->has_events;
}

static bool read_stat(const char *text, struct evidence_group *group)
{
	group->has_stat = find_value(text, "anon", &group->anon_bytes);
	(void)find_value(text, "file", &group->file_bytes);
	(void)find_value(text, "shmem", &group->shmem_bytes);
	(void)find_value(text, "slab_reclaimable", &group->slab_reclaimable_bytes);
	return group->has_stat;
}

static bool read_pressure(const char *text, struct evidence_group *group)
{
	const struct text_input in = { text, strlen(text), "memory.pressure" };
	struct text_error err;
	struct text_doc *doc = NULL;

	if (text_doc_load(&pressure_format, &in, &doc, &err) == 0)
		group->has_pressure = pressure_doc_get(doc, "some", &group->psi_some);
	text_doc_free(doc);
	return group->has_pressure;
}

bool evidence_group_file(const char *name, const char *text, struct evidence_group *group)
{
	if (strcmp(name, "memory.current") == 0) {
		group->known = scan_u64(text, &group->current_bytes) != NULL;
		return group->known;
	}
	if (strcmp(name, "memory.max") == 0)
		return read_limit(text, &group->max_bytes);
	if (strcmp(name, "memory.high") == 0)
		return read_limit(text, &group->high_bytes);
	if (strcmp(name, "memory.swap.max") == 0)
		return read_limit(text, &group->swap_max_bytes);
	if (strcmp(name, "memory.swap.current") == 0)
		return scan_u64(text, &group->swap_bytes) != NULL;
	if (strcmp(name, "memory.events") == 0)
		return read_events(text, group);
	if (strcmp(name, "memory.stat") == 0)
		return read_stat(text, group);
	return strcmp(name, "memory.pressure") == 0 && read_pressure(text, group);
}

/* "0::/user.slice/app": the path of the only hierarchy of v2. => whether there is one */
static bool own_path(const char *dir, char *path, size_t room)
{
	struct text_error err = { .line = 0 };
	struct text_buf text;
	bool found = false;

	text_buf_init(&text);
	if (load_read(dir, "proc/self/cgroup", &text, &err) == 0) {
		const char *at = strstr(text_buf_text(&text), "0::/");

		if (at != NULL)
			snprintf(path, room, "sys/fs/cgroup/%.*s/", (int)strcspn(at + 4, "\n"),
				 at + 4);
		found = at != NULL;
	}
	text_buf_free(&text);
	return found;
}

static void load_from(const char *dir, const char *below, struct evidence_group *group)
{
	static const char *const files[] = { "memory.current",	"memory.max",	      "memory.high",
					     "memory.swap.max", "memory.events",      "memory.stat",
					     "memory.pressure", "memory.swap.current" };
	struct text_error err = { .line = 0 };
	struct text_buf text;
	char path[PATH_BYTES];

	text_buf_init(&text);
	for (uint32_t i = 0; i < ARRAY_LEN(files); i++) {
		int length = snprintf(path, sizeof(path), "%s%s", below, files[i]);

		if (length < 0 || (size_t)length >= sizeof(path) ||
		    load_read(dir, path, &text, &err) != 0)
			continue;
		(void)evidence_group_file(files[i], text_buf_text(&text), group);
	}
	text_buf_free(&text);
}

void evidence_group_load(const char *dir, struct evidence_group *group)
{
	static const char *const places[] = { "", "cgroup.", "sys/fs/cgroup/" };
	char path[PATH_BYTES];

	if (strcmp(dir, "/") == 0 && own_path(dir, path, sizeof(path)))
		load_from(dir, path, group);
	for (uint32_t i = 0; i < ARRAY_LEN(places) && !group->known; i++)
		load_from(dir, places[i], group);
}
