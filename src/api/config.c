/*
 * The configuration of a machine: names and values in, a struct neap_config out.
 *
 *   neap_config_set(c, "memory", "64M")  ──> table of keys ──> one small setter a key
 *                                            (prefixes: "sysctl.", "fault.")
 *
 * A setter checks its own value completely and says in a sentence what was wrong
 * and what would be right; it changes nothing when it fails. What can only be
 * judged when all keys are known (tags on a live machine, memory beside a
 * `machine` text) is judged by neap_machine_create(), so that the order of the
 * calls does not matter.
 *
 * Keys of error injection (docs/embedding.md): fault.enable=1 puts every store
 * behind one that can be made to fail later by neap_inject(); fault.KIND=N lets
 * the Nth operation of the kind fail from the start, with fault.error.
 *
 * What must never happen: a value that is silently cut short. Every text that is
 * kept is copied whole or refused.
 *
 * Linux has no counterpart: there the firmware's memory map and the kernel's
 * command line play this part.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

#include "api/config.h"
#include "api/costs.h"
#include "api/like.h"
#include "base/size.h"

#define DEFAULT_MEMORY_BYTES (64 * MIB)
#define DEFAULT_CPUS 2u
#define LOWEST_MEMORY_BYTES MIB
#define HIGHEST_MEMORY_BYTES (4096 * GIB)
#define LOWEST_BLOCK_BYTES (4 * MIB)
#define DEFAULT_BLOCK_BYTES (128 * MIB)
#define HIGHEST_BLOCK_BYTES (2 * GIB)

static const char *const fault_names[NR_CONFIG_FAULTS] = {
	[CONFIG_FAULT_SWAP_READ] = "swap-read", [CONFIG_FAULT_SWAP_WRITE] = "swap-write",
	[CONFIG_FAULT_FILE_READ] = "file-read", [CONFIG_FAULT_FILE_WRITE] = "file-write",
	[CONFIG_FAULT_PAGE] = "page",		[CONFIG_FAULT_SPAWN] = "spawn",
};

int config_fail(struct neap_config *config, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(config->error, sizeof(config->error), format, args);
	va_end(args);
	return err;
}

enum config_fault config_fault_by_name(const char *name)
{
	for (size_t i = 0; i < NR_CONFIG_FAULTS; i++)
		if (strcmp(name, fault_names[i]) == 0)
			return (enum config_fault)i;
	return NR_CONFIG_FAULTS;
}

int config_parse_number(struct neap_config *config, const char *name, const char *text,
			uint64_t highest, uint64_t *out)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
		return config_fail(config, -EINVAL, "%s: '%s' is not a number.", name, text);
	if (value > highest)
		return config_fail(config, -EINVAL,
				   "%s: %s is too large; at most %llu is possible.", name, text,
				   (unsigned long long)highest);
	*out = value;
	return 0;
}

int config_parse_size(struct neap_config *config, const char *name, const char *text, uint64_t *out)
{
	size_t used = size_parse(text, out);

	if (used == 0 || text[used] != '\0')
		return config_fail(config, -EINVAL,
				   "%s: '%s' is not a size; write for example 64M or 2G.", name,
				   text);
	return 0;
}

/* 0 or 1. */
static int parse_switch(struct neap_config *config, const char *name, const char *text, bool *out)
{
	if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
		return config_fail(config, -EINVAL, "%s: '%s' is neither 0 nor 1.", name, text);
	*out = text[0] == '1';
	return 0;
}

/* One of two words. */
static int parse_either(struct neap_config *config, const char *name, const char *text,
			const char *const words[2], bool *second)
{
	for (size_t i = 0; i < 2; i++) {
		if (strcmp(text, words[i]) == 0) {
			*second = i == 1;
			return 0;
		}
	}
	return config_fail(config, -EINVAL, "%s: '%s' is neither %s nor %s.", name, text, words[0],
			   words[1]);
}

static int copy_text(struct neap_config *config, const char *name, const char *text, char *to,
		     size_t bytes)
{
	size_t length = strlen(text);

	if (length == 0)
		return config_fail(config, -EINVAL, "%s: the value is empty.", name);
	if (length >= bytes)
		return config_fail(config, -EINVAL, "%s: the value is longer than %zu characters.",
				   name, bytes - 1);
	memcpy(to, text, length + 1);
	return 0;
}

/* ---- one setter a key ---- */

static int set_memory(struct neap_config *config, const char *name, const char *value)
{
	uint64_t bytes;
	int err = config_parse_size(config, name, value, &bytes);

	if (err != 0)
		return err;
	if (bytes < LOWEST_MEMORY_BYTES || bytes > HIGHEST_MEMORY_BYTES)
		return config_fail(config, -EINVAL, "memory: %s is not between 1M and 4096G.",
				   value);
	config->memory_bytes = bytes;
	config->memory_given = true;
	return 0;
}

static int set_hotplug(struct neap_config *config, const char *name, const char *value)
{
	uint64_t bytes;
	int err = config_parse_size(config, name, value, &bytes);

	if (err == 0 && bytes > HIGHEST_MEMORY_BYTES)
		err = config_fail(config, -EINVAL, "hotplug: %s is more than 4096G.", value);
	if (err == 0)
		config->hotplug_bytes = bytes;
	return err;
}

static int set_block(struct neap_config *config, const char *name, const char *value)
{
	uint64_t bytes;
	int err = config_parse_size(config, name, value, &bytes);

	if (err == 0 && (bytes < LOWEST_BLOCK_BYTES || bytes > HIGHEST_BLOCK_BYTES ||
			 (bytes & (bytes - 1)) != 0))
		err = config_fail(config, -EINVAL,
				  "block: %s is not a power of two between 4M and 2G.", value);
	if (err == 0)
		config->block_bytes = bytes;
	return err;
}

static int set_nodes(struct neap_config *config, const char *name, const char *value)
{
	uint64_t nr;
	int err = config_parse_number(config, name, value, NEAP_MAX_NODES, &nr);

	if (err == 0 && nr == 0)
		err = config_fail(config, -EINVAL, "nodes: a machine has at least 1 node.");
	if (err == 0)
		config->nr_nodes = (uint32_t)nr;
	return err;
}

static int set_cpus(struct neap_config *config, const char *name, const char *value)
{
	uint64_t nr;
	int err = config_parse_number(config, name, value, NEAP_MAX_CPUS, &nr);

	if (err == 0 && nr == 0)
		err = config_fail(config, -EINVAL, "cpus: a machine has at least 1 CPU.");
	if (err == 0) {
		config->nr_cpus = (uint32_t)nr;
		config->cpus_given = true;
	}
	return err;
}

static int set_machine(struct neap_config *config, const char *name, const char *value)
{
	int err = config_parse_pc(config, value);

	(void)name;
	if (err == 0)
		config->has_pc = true;
	return err;
}

static int set_runtime(struct neap_config *config, const char *name, const char *value)
{
	static const char *const words[] = { "live", "sim" };

	return parse_either(config, name, value, words, &config->sim);
}

static int set_contents(struct neap_config *config, const char *name, const char *value)
{
	static const char *const words[] = { "real", "tags" };
	int err = parse_either(config, name, value, words, &config->tags);

	if (err == 0)
		config->contents_given = true;
	return err;
}

static int set_seed(struct neap_config *config, const char *name, const char *value)
{
	return config_parse_number(config, name, value, UINT64_MAX, &config->seed);
}

static int set_explore(struct neap_config *config, const char *name, const char *value)
{
	return parse_switch(config, name, value, &config->explore);
}

static int set_like(struct neap_config *config, const char *name, const char *value)
{
	(void)name;
	return like_load(config, value);
}

static int set_costs(struct neap_config *config, const char *name, const char *value)
{
	return copy_text(config, name, value, config->costs, sizeof(config->costs));
}

int config_parse_thousandths(const char *text, uint64_t *out)
{
	uint64_t value = 0;
	uint32_t decimals = 0;
	bool point = false;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text == '.' && !point) {
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9' || decimals == 3 || value > UINT64_MAX / 20)
			return -EINVAL;
		value = value * 10 + (uint64_t)(*text - '0');
		decimals += point ? 1 : 0;
	}
	for (; decimals < 3; decimals++) {
		if (value > UINT64_MAX / 10)
			return -EINVAL;
		value *= 10;
	}
	*out = value;
	return 0;
}

static int set_host_others(struct neap_config *config, const char *name, const char *value)
{
	uint64_t permille;

	if (config_parse_thousandths(value, &permille) != 0 ||
	    permille > COSTS_HOST_OTHERS_MAX * 1000)
		return config_fail(config, -EINVAL,
				   "%s: '%s' is not a number from 0 to %u with at most three"
				   " decimals.",
				   name, value, COSTS_HOST_OTHERS_MAX);
	config->host_others_permille = (uint32_t)permille;
	config->host_others_given = true;
	return 0;
}

static int set_tmp(struct neap_config *config, const char *name, const char *value)
{
	return copy_text(config, name, value, config->tmp, sizeof(config->tmp));
}

static int set_cma(struct neap_config *config, const char *name, const char *value)
{
	return config_parse_size(config, name, value, &config->cma_bytes);
}

static int set_rebind(struct neap_config *config, const char *name, const char *value)
{
	return parse_switch(config, name, value, &config->rebind);
}

static int set_uring(struct neap_config *config, const char *name, const char *value)
{
	return parse_switch(config, name, value, &config->uring);
}

/*
 * Cuts ",NAME=N" off the end of a swap text. => 1 and *value if it was there, 0, or a negative
 * errno and a sentence
 */
static int swap_cut_number(struct neap_config *config, char *text, const char *name, uint64_t most,
			   uint64_t *value)
{
	char what[32];
	char *comma = strrchr(text, ',');
	size_t length = strlen(name);
	int err;

	if (comma == NULL || strncmp(comma + 1, name, length) != 0 || comma[1 + length] != '=')
		return 0;
	(void)snprintf(what, sizeof(what), "swap: %s", name);
	err = config_parse_number(config, what, comma + length + 2, most, value);
	if (err != 0)
		return err;
	*comma = '\0';
	return 1;
}

/* Cuts ",pri=N" and ",disk=N", in any order, off the end of a swap text. */
static int swap_cut_properties(struct neap_config *config, char *text, struct config_swap *swap)
{
	uint64_t value;
	int cut;

	swap->priority = CONFIG_AUTO_PRIORITY;
	swap->disk = 0;
	swap->in_memory = false;
	do {
		cut = swap_cut_number(config, text, "pri", 32767, &value);
		if (cut == 1) {
			swap->priority = (int32_t)value;
		} else if (cut == 0) {
			cut = swap_cut_number(config, text, "disk", CONFIG_SWAP_DISKS, &value);
			/* 0 is none: memory of its own. */
			swap->in_memory = cut == 1 ? value == 0 : swap->in_memory;
			swap->disk = cut == 1 && value != 0 ? (uint32_t)value - 1 : swap->disk;
		}
	} while (cut == 1);
	return cut;
}

/*
 * Tells SIZE, FILE:SIZE and FILE apart: what reads as a size wholly is one, and
 * so is what follows the last colon.
 */
static int swap_parse(struct neap_config *config, char *text, struct config_swap *swap)
{
	char *colon = strrchr(text, ':');
	size_t used = size_parse(text, &swap->bytes);

	swap->path[0] = '\0';
	if (used != 0 && text[used] == '\0') {
		if (swap->bytes < 2 * NEAP_PAGE_BYTES)
			return config_fail(config, -EINVAL, "swap: %s is less than two pages.",
					   text);
		return 0;
	}
	swap->bytes = 0;
	if (colon != NULL) {
		used = size_parse(colon + 1, &swap->bytes);
		if (used == 0 || colon[1 + used] != '\0' || swap->bytes < 2 * NEAP_PAGE_BYTES)
			return config_fail(config, -EINVAL,
					   "swap: '%s' after the colon is not a size; write SIZE,"
					   " FILE:SIZE or FILE.",
					   colon + 1);
		*colon = '\0';
	}
	return copy_text(config, "swap", text, swap->path, sizeof(swap->path));
}

int config_parse_swap(struct neap_config *config, const char *value, struct config_swap *swap)
{
	char text[CONFIG_PATH_BYTES + 64];
	int err = copy_text(config, "swap", value, text, sizeof(text));

	if (err == 0)
		err = swap_cut_properties(config, text, swap);
	return err == 0 ? swap_parse(config, text, swap) : err;
}

static int set_swap(struct neap_config *config, const char *name, const char *value)
{
	(void)name;
	if (config->nr_swaps == NEAP_MAX_SWAPS)
		return config_fail(config, -EINVAL, "swap: at most %u areas are possible.",
				   NEAP_MAX_SWAPS);
	int err = config_parse_swap(config, value, &config->swap[config->nr_swaps]);

	config->nr_swaps += err == 0 ? 1 : 0;
	return err;
}

static int set_sysctl(struct neap_config *config, const char *name, const char *value)
{
	struct config_sysctl *entry = &config->sysctl[config->nr_sysctls];
	int err;

	if (config->nr_sysctls == CONFIG_MAX_SYSCTLS)
		return config_fail(config, -EINVAL,
				   "sysctl.%s: at most %u initial values are"
				   " possible.",
				   name, CONFIG_MAX_SYSCTLS);
	err = copy_text(config, "sysctl", name, entry->name, sizeof(entry->name));
	if (err == 0)
		err = copy_text(config, name, value, entry->value, sizeof(entry->value));
	if (err == 0)
		config->nr_sysctls++;
	return err;
}

static int set_fault_error(struct neap_config *config, const char *value)
{
	static const struct {
		const char *name;
		int error;
	} errors[] = { { "EIO", -EIO }, { "ENOSPC", -ENOSPC }, { "ENOMEM", -ENOMEM } };

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		if (strcmp(value, errors[i].name) == 0) {
			config->fault_error = errors[i].error;
			return 0;
		}
	}
	return config_fail(config, -EINVAL, "fault.error: '%s' is none of EIO, ENOSPC, ENOMEM.",
			   value);
}

static int set_fault(struct neap_config *config, const char *name, const char *value)
{
	enum config_fault kind = config_fault_by_name(name);
	int err;

	if (strcmp(name, "enable") == 0)
		return parse_switch(config, "fault.enable", value, &config->faults_enabled);
	if (strcmp(name, "error") == 0)
		return set_fault_error(config, value);
	if (strcmp(name, "permille") == 0) {
		config->faults_enabled = true;
		return config_parse_number(config, "fault.permille", value, 1000,
					   &config->fault_permille);
	}
	if (kind == NR_CONFIG_FAULTS)
		return config_fail(
			config, -EINVAL,
			"fault.%s: unknown; there are enable, error, permille, swap-read,"
			" swap-write, file-read, file-write, page and spawn.",
			name);
	err = config_parse_number(config, name, value, INT32_MAX, &config->fault_nth[kind]);
	if (err == 0)
		config->faults_enabled = true;
	return err;
}

struct config_key {
	const char *name; /* ends in '.': a prefix, the setter gets the rest */
	int (*set)(struct neap_config *config, const char *name, const char *value);
};

static const struct config_key config_keys[] = {
	{ "memory", set_memory },   { "nodes", set_nodes },
	{ "cpus", set_cpus },	    { "machine", set_machine },
	{ "runtime", set_runtime }, { "contents", set_contents },
	{ "seed", set_seed },	    { "explore", set_explore },
	{ "costs", set_costs },	    { "host_others", set_host_others },
	{ "swap", set_swap },	    { "tmp", set_tmp },
	{ "uring", set_uring },	    { "hotplug", set_hotplug },
	{ "block", set_block },	    { "sysctl.", set_sysctl },
	{ "fault.", set_fault },    { "like", set_like },
	{ "cma", set_cma },	    { "rebind", set_rebind },
};

struct neap_config *neap_config_new(void)
{
	struct neap_config *config = calloc(1, sizeof(*config));
	const char *tmp = getenv("TMPDIR");

	if (config == NULL)
		return NULL;
	config->memory_bytes = DEFAULT_MEMORY_BYTES;
	config->block_bytes = DEFAULT_BLOCK_BYTES;
	config->nr_nodes = 1;
	config->nr_cpus = DEFAULT_CPUS;
	config->seed = 1;
	config->uring = true;
	config->fault_error = -EIO;
	if (tmp == NULL || tmp[0] == '\0' || strlen(tmp) >= sizeof(config->tmp))
		tmp = "/tmp";
	(void)snprintf(config->tmp, sizeof(config->tmp), "%s", tmp);
	return config;
}

void neap_config_free(struct neap_config *config)
{
	if (config == NULL)
		return;
	free(config->snapshot);
	free(config);
}

int neap_config_set(struct neap_config *config, const char *name, const char *value)
{
	if (name == NULL || value == NULL)
		return config_fail(config, -EINVAL, "A name and a value are needed.");
	for (size_t i = 0; i < ARRAY_LEN(config_keys); i++) {
		const struct config_key *key = &config_keys[i];
		size_t length = strlen(key->name);

		if (key->name[length - 1] == '.') {
			if (strncmp(name, key->name, length) == 0)
				return key->set(config, name + length, value);
		} else if (strcmp(name, key->name) == 0) {
			return key->set(config, name, value);
		}
	}
	return config_fail(
		config, -EINVAL,
		"'%s' is not a property; there are memory, nodes, cpus, machine, like,"
		" runtime, contents, seed, explore, costs, host_others, swap, tmp, uring, cma,"
		" rebind,"
		" sysctl.NAME and fault.NAME.",
		name);
}

const char *neap_config_error(const struct neap_config *config)
{
	return config->error;
}
