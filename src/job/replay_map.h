/*
 * Where the pages of a trace go: from page ids to regions, files and verifier slots.
 */
#ifndef NEAP_JOB_REPLAY_MAP_H
#define NEAP_JOB_REPLAY_MAP_H

#include "base/base.h"
#include "job/ptrace.h"

#define REPLAY_REGIONS_MAX 256u

/* Slots are numbered densely: anonymous ones and file ones apart, each from 0. */
struct replay_place {
	uint32_t where; /* number of the region (anonymous) or of the file (index into files) */
	uint32_t page;	/* page in the region or file */
	uint32_t slot;	/* in the verifier's object of anonymous or of file pages */
};

struct replay_region {
	uint64_t nr_pages;
	uint64_t first_vpn; /* where it lay in the traced program, for reports */
};

struct replay_file {
	uint32_t number; /* as the trace has it */
	uint64_t nr_pages;
};

struct replay_map {
	uint32_t nr_ids;
	uint32_t nr_regions, nr_files;
	uint32_t nr_anon_slots, nr_file_slots;
	struct replay_place *places; /* by id */
	struct replay_region *regions;
	struct replay_file *files;
	uint32_t *anon_ids, *file_ids; /* by slot: one id that has it, for names and sweeps */
};

/* => 0 and *out; -ENOMEM, -EFBIG (a file page beyond 2^32) */
int replay_map_new(const struct ptrace *trace, struct replay_map **out);
void replay_map_free(struct replay_map *map);

#endif
