/*
 * The line `machine` of a job: what its machine is made of.
 *
 *   machine nodes=256M cpus=2 swap=1G ...
 *           └─ handed on as text ──────┘  the configuration judges it when it is built
 *
 * Only what the job itself must know is taken apart here: how many disks there are and
 * whether they are switched on, and options that this version cannot do, which are
 * refused with their names.
 *
 * What must never happen: an option that is accepted and then forgotten. A word that
 * nobody took is an error of the line (job/parser_word.h).
 */
#include <stdio.h>
#include <string.h>

#include "job/parser.h"
#include "job/parser_word.h"

/* What describes the machine itself is handed on as it is; the configuration judges it. */
static void take_machine_spec(struct parser *p, struct job_machine *machine)
{
	static const char *const keys[] = { "nodes", "dist", "type", "swapiops", "fsiops" };
	char spec[1024] = "";

	for (uint32_t k = 0; k < ARRAY_LEN(keys); k++) {
		const char *value = option(p, keys[k]);
		size_t length = strlen(spec);

		if (value == NULL)
			continue;
		if (length + strlen(keys[k]) + strlen(value) + 3 > sizeof(spec))
			parser_error(p, "%s= is too long", keys[k]);
		else
			snprintf(spec + length, sizeof(spec) - length, "%s%s=%s",
				 length > 0 ? " " : "", keys[k], value);
	}
	const char *memory = option(p, "memory");

	if (memory != NULL && spec[0] != '\0') {
		parser_error(p, "memory= is a machine of one zone a node; it cannot have %s, too",
			     spec);
	} else if (memory != NULL) {
		size(p, memory);
		machine->memory = parser_copy(p, memory);
	} else if (strncmp(spec, "nodes=", 6) != 0) {
		parser_error(p, "a machine needs nodes=, its memory: nodes=256M or"
				" nodes=1G/0+1G/1; or memory=64M for one without a PC's zones");
	}
	machine->spec = parser_copy(p, spec);
}

/* => a copy of the disk's size; NULL if there is none */
static char *take_disk(struct parser *p, const char *name)
{
	const char *value = option(p, name);

	if (value == NULL || strcmp(value, "0") == 0)
		return NULL;
	size(p, value);
	return parser_copy(p, value);
}

/*
 * A swap disk is SIZE and then ",pri=N" and ",disk=N", as with --swap; what the numbers may be is
 * judged by the configuration.
 * => a copy of the text; NULL if there is none
 */
static char *take_swap(struct parser *p, const char *name)
{
	static const char *const properties[] = { "pri=", "disk=" };
	const char *value = option(p, name);
	char text[128];
	char *save = NULL;

	if (value == NULL || strcmp(value, "0") == 0)
		return NULL;
	snprintf(text, sizeof(text), "%s", value);
	if (strlen(value) >= sizeof(text) || text[0] == '\0' || text[0] == ',') {
		parser_error(p, "%s=%.60s is no size with ,pri=N and ,disk=N", name, value);
		return NULL;
	}
	size(p, strtok_r(text, ",", &save));
	for (const char *more = strtok_r(NULL, ",", &save); more != NULL;
	     more = strtok_r(NULL, ",", &save)) {
		uint32_t k = strncmp(more, properties[0], 4) == 0 ? 0 : 1;
		size_t length = strlen(properties[k]);

		if (strncmp(more, properties[k], length) != 0)
			parser_error(p, "%s= has pri=N and disk=N behind its size, not '%.60s'",
				     name, more);
		else
			number(p, more + length, properties[k], UINT16_MAX);
	}
	return parser_copy(p, value);
}

void parser_run_machine(struct parser *p)
{
	static const char *const later[] = { "zram", "kernel", "append" };
	struct job_machine *machine = &p->job->machine;
	const char *value;

	if (machine->given) {
		parser_error(p, "the machine is described already, in line %u", machine->line);
		return;
	}
	machine->given = true;
	machine->line = p->line;
	take_machine_spec(p, machine);
	value = option(p, "cpus");
	if (value != NULL && number(p, value, "cpus", 4096) > 0)
		machine->cpus = parser_copy(p, value);
	machine->hotplug = take_disk(p, "hotplug");
	machine->block = take_disk(p, "block");
	machine->swap = take_swap(p, "swap");
	machine->swap2 = take_swap(p, "swap2");
	machine->cma = take_disk(p, "cma");
	value = option(p, "rebind");
	machine->rebind = value != NULL && number(p, value, "rebind", 1) == 1;
	value = option(p, "noswapon");
	machine->noswapon = value != NULL && number(p, value, "noswapon", 1) == 1;
	value = option(p, "set");
	machine->settings = value != NULL ? parser_copy(p, value) : NULL;
	option(p, "fs");    /* files are always possible */
	option(p, "trace"); /* how much to record is said on the command line */
	for (uint32_t i = 0; i < ARRAY_LEN(later); i++)
		if (option(p, later[i]) != NULL)
			parser_error(p, "machine option %s= is not possible yet", later[i]);
}
