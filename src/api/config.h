/*
 * What neap_config_set() gathers: everything there is to know about a machine
 * before it is built. config.c fills it, layout.c turns the memory part into the
 * engine's description, machine.c builds.
 */
#ifndef NEAP_API_CONFIG_H
#define NEAP_API_CONFIG_H

#include "base/base.h"
#include "base/cpumask.h"
#include "core/snapshot.h"

#define CONFIG_ERROR_BYTES 512u
#define CONFIG_PATH_BYTES 1024u
#define CONFIG_MAX_SYSCTLS 64u
#define CONFIG_AUTO_PRIORITY (-1)

/* The operations that can be made to fail: neap_inject() and the fault.* keys. */
enum config_fault {
	CONFIG_FAULT_SWAP_READ,
	CONFIG_FAULT_SWAP_WRITE,
	CONFIG_FAULT_FILE_READ,
	CONFIG_FAULT_FILE_WRITE,
	CONFIG_FAULT_PAGE,
	CONFIG_FAULT_SPAWN,
	NR_CONFIG_FAULTS,
};

#define CONFIG_SWAP_DISKS 2u

struct config_swap {
	char path[CONFIG_PATH_BYTES]; /* empty: a temporary file, or a modelled disk */
	uint64_t bytes;		      /* 0: the whole of an existing file or device */
	int32_t priority;	      /* CONFIG_AUTO_PRIORITY: the engine chooses */
	uint32_t disk;		      /* simulated: which modelled disk, 0.. */
	bool in_memory;		      /* simulated: on none; each request is done at once */
};

struct config_sysctl {
	char name[64];
	char value[128];
};

/* One node of a `machine` text. */
struct config_pc_node {
	uint64_t bytes;
	bool cpus_given; /* the text named the node's CPUs, perhaps as none */
	struct cpumask cpus;
};

/* A `machine` text, parsed: a PC. */
struct config_pc {
	uint32_t nr_nodes;
	uint32_t nr_cpus;
	bool q35;
	bool noswapon;
	uint64_t swap_bytes, swap2_bytes;
	uint64_t kernelcore_bytes, movablecore_bytes; /* boot options; 0 = not given */
	uint32_t kernelcore_percent, movablecore_percent;
	uint64_t swap_iops, fs_iops; /* 0 = not limited */
	uint32_t distance[NEAP_MAX_NODES][NEAP_MAX_NODES];
	struct config_pc_node node[NEAP_MAX_NODES];
};

struct neap_config {
	uint64_t memory_bytes;
	uint64_t cma_bytes; /* of the contiguous memory area; 0: none */
	bool rebind;	    /* kswapds follow their nodes' CPUs */
	uint32_t nr_nodes;
	uint32_t nr_cpus;
	bool cpus_given;
	bool memory_given;
	uint64_t hotplug_bytes, block_bytes; /* memory that can be added; of a memory block */
	bool has_pc;			     /* pc is valid */
	bool sim;
	bool contents_given;
	bool tags; /* valid if contents_given */
	bool explore;
	bool uring;
	bool faults_enabled;
	uint64_t seed;
	char costs[CONFIG_PATH_BYTES];
	bool host_others_given;
	uint32_t host_others_permille; /* instead of the table's; valid if given */
	char tmp[CONFIG_PATH_BYTES];
	uint32_t nr_swaps;
	struct config_swap swap[NEAP_MAX_SWAPS];
	uint32_t nr_sysctls;
	struct config_sysctl sysctl[CONFIG_MAX_SYSCTLS];
	uint64_t fault_nth[NR_CONFIG_FAULTS]; /* 0 = none */
	int fault_error;		      /* negative errno of injected faults */
	uint64_t fault_permille;	      /* of the pages read or written fail */
	struct config_pc pc;
	struct snapshot *snapshot; /* of the machine to be like; owned; NULL */
	char error[CONFIG_ERROR_BYTES];
};

/* Keeps a sentence for neap_config_error(). => err itself, for `return` */
int config_fail(struct neap_config *config, int err, const char *format, ...) PRINTF_LIKE(3, 4);

/* Does the machine keep tags instead of contents? */
static inline bool config_has_tags(const struct neap_config *config)
{
	return config->contents_given ? config->tags : config->sim;
}

/* "swap-read" and the like. => NR_CONFIG_FAULTS if there is no such kind */
enum config_fault config_fault_by_name(const char *name);

/* A number with up to three decimals, in thousandths. => 0 or -EINVAL */
int MUST_CHECK config_parse_thousandths(const char *text, uint64_t *out);
/*
 * A whole text as a number of lowest..highest, as a size ("64M").
 * => 0, or -EINVAL with a sentence that begins with `name`
 */
int MUST_CHECK config_parse_number(struct neap_config *config, const char *name, const char *text,
				   uint64_t highest, uint64_t *out);
int MUST_CHECK config_parse_size(struct neap_config *config, const char *name, const char *text,
				 uint64_t *out);

/* Parses the text of one swap area. => 0 or -EINVAL with a sentence */
int MUST_CHECK config_parse_swap(struct neap_config *config, const char *value,
				 struct config_swap *swap);
/* Parses a `machine` text into config->pc. => 0 or -EINVAL */
int MUST_CHECK config_parse_pc(struct neap_config *config, const char *text);

#endif
