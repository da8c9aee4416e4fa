/*
 * What is possible, as tables.
 *
 * The job language is older than this version of neap: jobs recorded against the
 * kernel use control groups and compressed swap. Such a job must not run
 * half: it is refused as a whole, before the machine is built, with the line that
 * asks for too much. The tables here are what the parser consults, and the one
 * place to edit when a feature arrives:
 *
 *     missing_commands   command -> what is missing, in words
 *     sysctls            name below /proc/sys/vm -> can it be written
 *     words              the advice that there is
 *
 * What must never happen: a command that is accepted here and then silently does
 * nothing. `khugepaged off` and `mglru off` are accepted because a machine without
 * these features is in exactly that state.
 */
#include "job/support.h"

#include <string.h>

struct missing {
	const char *command;
	const char *what;
};

static const struct missing missing_commands[] = {
	{ "cgroup", "control groups" },
	{ "reclaim", "control groups" },
	{ "zram", "compressed swap" },
	{ "zswap", "compressed swap" },
};

struct sysctl_word {
	const char *name;
	bool possible;
};

static const struct sysctl_word sysctls[] = {
	{ "admin_reserve_kbytes", true },
	{ "compact_memory", true },
	{ "compact_unevictable_allowed", true },
	{ "compaction_proactiveness", true },
	{ "dirty_background_bytes", true },
	{ "dirty_background_ratio", true },
	{ "dirty_bytes", true },
	{ "dirty_expire_centisecs", true },
	{ "dirty_ratio", true },
	{ "dirty_writeback_centisecs", true },
	{ "dirtytime_expire_seconds", true },
	{ "drop_caches", true },
	{ "extfrag_threshold", true },
	{ "hugetlb_optimize_vmemmap", false },
	{ "hugetlb_shm_group", true },
	{ "laptop_mode", true },
	{ "legacy_va_layout", true },
	{ "lowmem_reserve_ratio", true },
	{ "max_map_count", false },
	{ "memory_failure_early_kill", false },
	{ "memory_failure_recovery", false },
	{ "min_free_kbytes", true },
	{ "min_slab_ratio", true },
	{ "min_unmapped_ratio", true },
	{ "mmap_min_addr", true },
	{ "mmap_rnd_bits", true },
	{ "mmap_rnd_compat_bits", true },
	{ "nr_hugepages", true },
	{ "nr_hugepages_mempolicy", true },
	{ "nr_overcommit_hugepages", true },
	{ "numa_stat", true },
	{ "numa_zonelist_order", true },
	{ "oom_dump_tasks", true },
	{ "oom_kill_allocating_task", false },
	{ "overcommit_kbytes", true },
	{ "overcommit_memory", false },
	{ "overcommit_ratio", true },
	{ "page-cluster", true },
	{ "page_lock_unfairness", false },
	{ "panic_on_oom", false },
	{ "percpu_pagelist_high_fraction", true },
	{ "stat_interval", true },
	{ "stat_refresh", true },
	{ "swappiness", true },
	{ "unprivileged_userfaultfd", true },
	{ "user_reserve_kbytes", true },
	{ "vfs_cache_pressure", true },
	{ "watermark_boost_factor", true },
	{ "watermark_scale_factor", true },
	{ "zone_reclaim_mode", true },
};

const char *support_missing_command(const char *command)
{
	for (size_t i = 0; i < ARRAY_LEN(missing_commands); i++)
		if (strcmp(missing_commands[i].command, command) == 0)
			return missing_commands[i].what;
	return NULL;
}

enum support support_sysctl(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(sysctls); i++)
		if (strcmp(sysctls[i].name, name) == 0)
			return sysctls[i].possible ? SUPPORT_YES : SUPPORT_LATER;
	return SUPPORT_UNKNOWN;
}

bool support_advice(const char *name, enum neap_advice *advice)
{
	static const struct {
		const char *name;
		enum neap_advice advice;
	} words[] = {
		{ "cold", NEAP_COLD },
		{ "pageout", NEAP_PAGEOUT },
		{ "willneed", NEAP_WILLNEED },
		{ "free", NEAP_LAZYFREE },
		{ "dontneed", NEAP_DONTNEED },
		{ "normal", NEAP_NORMAL },
		{ "random", NEAP_RANDOM },
		{ "sequential", NEAP_SEQUENTIAL },
		{ "populate_read", NEAP_POPULATE_READ },
		{ "populate_write", NEAP_POPULATE_WRITE },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i].name, name) == 0) {
			*advice = words[i].advice;
			return true;
		}
	}
	return false;
}
