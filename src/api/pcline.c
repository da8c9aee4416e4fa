/*
 * A PC written as one line of text, as `machine` lines of job files do:
 *
 *   nodes=2G/0-1+1G/2-3 cpus=4 dist=0-1:15 type=q35 swap=512M swapiops=1500
 *
 *   nodes     MEM[/CPUS] joined by '+'. CPUS is a list as Linux writes it (0-1,4),
 *             "-" for none, "all". Without any CPUS the CPUs are split evenly.
 *   cpus      number of CPUs (default 1). dist: distances between two nodes (default 20, 10 to
 *             itself). type: pc (default) or q35: where the PCI hole lies.
 *   swap      size of the swap disk, switched on at start unless noswapon=1.
 *   swap2     size of a second disk, for a job's own `swapon 2`.
 *   swapiops, fsiops   limits of the simulated disks, operations a second.
 *   append    boot options joined by ',': movablecore=SIZE or kernelcore=SIZE, also as a
 *             part of the memory (25%): where zone Movable begins.
 *   fs, trace, name    for the rig that records real kernels; accepted, no effect.
 *
 * Every other word is an error that names it: a machine that differs from the one
 * described would make each comparison with a real kernel worthless. Words of the
 * recording rig that this version cannot honour (kernel=generic, zram) are among
 * them.
 *
 * The text is parsed into config->pc in place, but only a parse without error is
 * marked valid by the caller.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/config.h"
#include "base/size.h"

#define PC_TEXT_BYTES 4096u
#define DISTANCE_SELF 10u
#define DISTANCE_OTHER 20u
#define DISTANCE_MAX 255u

/*
 * A list of CPUs at text, wholly: "0-1,4".
 * => 0 or -EINVAL
 */
static int parse_cpu_list(struct neap_config *config, const char *text, struct cpumask *out)
{
	const char *at = text;

	memset(out, 0, sizeof(*out));
	while (*at != '\0') {
		char *end;
		unsigned long first = strtoul(at, &end, 10);
		unsigned long last = first;

		if (end == at || *at < '0' || *at > '9')
			break;
		at = end;
		if (*at == '-') {
			last = strtoul(at + 1, &end, 10);
			if (end == at + 1)
				break;
			at = end;
		}
		if (last < first || last >= NEAP_MAX_CPUS)
			break;
		for (unsigned long cpu = first; cpu <= last; cpu++)
			cpumask_set(out, (uint32_t)cpu);
		if (*at == '\0')
			return 0;
		if (*at != ',')
			break;
		at++;
	}
	return config_fail(config, -EINVAL,
			   "machine: '%s' is not a list of CPUs; write for example 0-1 or 0,2, or -"
			   " for none.",
			   text);
}

static int parse_node(struct neap_config *config, char *text)
{
	struct config_pc *pc = &config->pc;
	struct config_pc_node *node = &pc->node[pc->nr_nodes];
	char *slash = strchr(text, '/');
	int err;

	if (pc->nr_nodes == NEAP_MAX_NODES)
		return config_fail(config, -EINVAL, "machine: at most %u nodes are possible.",
				   NEAP_MAX_NODES);
	if (slash != NULL)
		*slash = '\0';
	err = config_parse_size(config, "machine: nodes", text, &node->bytes);
	if (err != 0)
		return err;
	if (slash != NULL && strcmp(slash + 1, "all") != 0) {
		node->cpus_given = true;
		if (strcmp(slash + 1, "-") != 0)
			err = parse_cpu_list(config, slash + 1, &node->cpus);
	}
	pc->nr_nodes++;
	return err;
}

static int parse_nodes(struct neap_config *config, const char *name, char *value)
{
	char *save = NULL;

	(void)name;
	for (char *part = strtok_r(value, "+", &save); part != NULL;
	     part = strtok_r(NULL, "+", &save)) {
		int err = parse_node(config, part);

		if (err != 0)
			return err;
	}
	return 0;
}

static int parse_cpus(struct neap_config *config, const char *name, char *value)
{
	uint64_t nr;
	int err = config_parse_number(config, name, value, NEAP_MAX_CPUS, &nr);

	if (err == 0 && nr == 0)
		err = config_fail(config, -EINVAL, "machine: cpus=0: at least one CPU is needed.");
	if (err == 0)
		config->pc.nr_cpus = (uint32_t)nr;
	return err;
}

/* Distances A-B:D joined by commas, both directions alike. */
static int parse_dist(struct neap_config *config, const char *name, char *value)
{
	char *save = NULL;

	(void)name;
	for (char *part = strtok_r(value, ",", &save); part != NULL;
	     part = strtok_r(NULL, ",", &save)) {
		unsigned int a, b, distance;
		int used = 0;

		if (sscanf(part, "%u-%u:%u%n", &a, &b, &distance, &used) != 3 ||
		    part[used] != '\0' || a >= NEAP_MAX_NODES || b >= NEAP_MAX_NODES ||
		    distance < DISTANCE_SELF || distance > DISTANCE_MAX)
			return config_fail(
				config, -EINVAL,
				"machine: dist: '%s' is not a distance; write for example"
				" 0-1:15 (10 to 255).",
				part);
		config->pc.distance[a][b] = distance;
		config->pc.distance[b][a] = distance;
	}
	return 0;
}

static int parse_type(struct neap_config *config, const char *name, char *value)
{
	(void)name;
	if (strcmp(value, "pc") != 0 && strcmp(value, "q35") != 0)
		return config_fail(config, -EINVAL, "machine: type=%s: neither pc nor q35.", value);
	config->pc.q35 = value[0] == 'q';
	return 0;
}

static int parse_swap(struct neap_config *config, const char *name, char *value)
{
	return config_parse_size(config, name, value, &config->pc.swap_bytes);
}

static int parse_swap2(struct neap_config *config, const char *name, char *value)
{
	return config_parse_size(config, name, value, &config->pc.swap2_bytes);
}

static int parse_swapiops(struct neap_config *config, const char *name, char *value)
{
	return config_parse_number(config, name, value, 1000000000, &config->pc.swap_iops);
}

static int parse_fsiops(struct neap_config *config, const char *name, char *value)
{
	return config_parse_number(config, name, value, 1000000000, &config->pc.fs_iops);
}

static int parse_noswapon(struct neap_config *config, const char *name, char *value)
{
	uint64_t yes;
	int err = config_parse_number(config, name, value, 1, &yes);

	config->pc.noswapon = err == 0 && yes == 1;
	return err;
}

/* A size, or a part of the memory: "128M", "25%". */
static int parse_part(struct neap_config *config, const char *name, char *value, uint64_t *bytes,
		      uint32_t *percent)
{
	size_t length = strlen(value);
	uint64_t number = 0;
	int err;

	*bytes = 0;
	*percent = 0;
	if (length == 0 || value[length - 1] != '%')
		return config_parse_size(config, name, value, bytes);
	value[length - 1] = '\0';
	err = config_parse_number(config, name, value, 100, &number);
	*percent = (uint32_t)number;
	return err;
}

/* Boot options of the kernel. */
static int parse_append(struct neap_config *config, const char *name, char *value)
{
	struct config_pc *pc = &config->pc;
	char *save = NULL;
	int err = 0;

	for (char *option = strtok_r(value, ",", &save); option != NULL && err == 0;
	     option = strtok_r(NULL, ",", &save)) {
		if (strncmp(option, "movablecore=", 12) == 0)
			err = parse_part(config, name, option + 12, &pc->movablecore_bytes,
					 &pc->movablecore_percent);
		else if (strncmp(option, "kernelcore=", 11) == 0)
			err = parse_part(config, name, option + 11, &pc->kernelcore_bytes,
					 &pc->kernelcore_percent);
		else
			err = config_fail(config, -EINVAL,
					  "machine: append=%s: only movablecore= and kernelcore="
					  " are possible.",
					  option);
	}
	return err;
}

static int parse_ignored(struct neap_config *config, const char *name, char *value)
{
	(void)config;
	(void)name;
	(void)value;
	return 0;
}

static const struct {
	const char *name;
	int (*parse)(struct neap_config *config, const char *name, char *value);
} pc_words[] = {
	{ "nodes", parse_nodes },   { "cpus", parse_cpus },	    { "dist", parse_dist },
	{ "type", parse_type },	    { "swap", parse_swap },	    { "swap2", parse_swap2 },
	{ "fs", parse_ignored },    { "swapiops", parse_swapiops }, { "fsiops", parse_fsiops },
	{ "append", parse_append }, { "trace", parse_ignored },	    { "noswapon", parse_noswapon },
	{ "name", parse_ignored },
};

static int parse_word(struct neap_config *config, char *word)
{
	char *equals = strchr(word, '=');
	char name[64];

	if (equals == NULL)
		return config_fail(config, -EINVAL, "machine: '%s' is not of the form NAME=VALUE.",
				   word);
	*equals = '\0';
	for (size_t i = 0; i < ARRAY_LEN(pc_words); i++) {
		if (strcmp(word, pc_words[i].name) == 0) {
			(void)snprintf(name, sizeof(name), "machine: %s", word);
			return pc_words[i].parse(config, name, equals + 1);
		}
	}
	return config_fail(
		config, -EINVAL,
		"machine: '%s=%s' is not possible in this version; there are nodes, cpus,"
		" dist, type, swap, swap2, noswapon, swapiops, fsiops, append, fs and trace.",
		word, equals + 1);
}

/* CPUs of nodes as the text gives them, or split evenly when it does not. */
static int assign_cpus(struct neap_config *config)
{
	struct config_pc *pc = &config->pc;
	struct cpumask seen = { { 0 } };
	bool any = false;

	for (uint32_t nid = 0; nid < pc->nr_nodes; nid++)
		any = any || pc->node[nid].cpus_given;
	if (!any)
		for (uint32_t cpu = 0; cpu < pc->nr_cpus; cpu++)
			cpumask_set(&pc->node[cpu * pc->nr_nodes / pc->nr_cpus].cpus, cpu);
	for (uint32_t nid = 0; nid < pc->nr_nodes; nid++) {
		for (uint32_t cpu = 0; cpu < NEAP_MAX_CPUS; cpu++) {
			if (!cpumask_test(&pc->node[nid].cpus, cpu))
				continue;
			if (cpu >= pc->nr_cpus || cpumask_test(&seen, cpu))
				return config_fail(config, -EINVAL,
						   "machine: CPU %u of node %u %s.", cpu, nid,
						   cpu >= pc->nr_cpus ? "is beyond cpus="
								      : "belongs to another node"
									" already");
			cpumask_set(&seen, cpu);
		}
	}
	if (cpumask_count(&seen) != pc->nr_cpus)
		return config_fail(
			config, -EINVAL,
			"machine: only %u of %u CPUs belong to a node; give the others to"
			" one.",
			cpumask_count(&seen), pc->nr_cpus);
	return 0;
}

static int check_whole(struct neap_config *config)
{
	struct config_pc *pc = &config->pc;
	uint64_t bytes = 0;

	if (pc->nr_nodes == 0)
		return config_fail(config, -EINVAL,
				   "machine: nodes= is missing, for example"
				   " nodes=512M.");
	for (uint32_t nid = 0; nid < pc->nr_nodes; nid++) {
		if (pc->node[nid].bytes % MIB != 0)
			return config_fail(config, -EINVAL,
					   "machine: the size of node %u is not a multiple of 1M.",
					   nid);
		if (pc->node[nid].bytes > 4096 * GIB)
			return config_fail(config, -EINVAL,
					   "machine: node %u is larger than 4096G.", nid);
		bytes += pc->node[nid].bytes;
	}
	if (pc->node[0].bytes < 64 * MIB || bytes > 4096 * GIB)
		return config_fail(config, -EINVAL,
				   "machine: node 0 of a PC has at least 64M, all nodes together at"
				   " most 4096G.");
	return assign_cpus(config);
}

int config_parse_pc(struct neap_config *config, const char *text)
{
	struct config_pc *pc = &config->pc;
	char copy[PC_TEXT_BYTES];
	char *save = NULL;

	if (strlen(text) >= sizeof(copy))
		return config_fail(config, -EINVAL,
				   "machine: the text is longer than %u characters.",
				   PC_TEXT_BYTES - 1);
	memcpy(copy, text, strlen(text) + 1);
	memset(pc, 0, sizeof(*pc));
	pc->nr_cpus = 1;
	config->has_pc = false;
	for (uint32_t a = 0; a < NEAP_MAX_NODES; a++)
		for (uint32_t b = 0; b < NEAP_MAX_NODES; b++)
			pc->distance[a][b] = a == b ? DISTANCE_SELF : DISTANCE_OTHER;
	for (char *word = strtok_r(copy, " \t\n", &save); word != NULL;
	     word = strtok_r(NULL, " \t\n", &save)) {
		int err = parse_word(config, word);

		if (err != 0)
			return err;
	}
	return check_whole(config);
}
