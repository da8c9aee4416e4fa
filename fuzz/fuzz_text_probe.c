/*
 * Fuzz target: recordings of a kernel's allocator, and their scripts.
 *
 *     any bytes ──> probe_script_parse() ──> refused, with a sentence, or bursts
 *              └──> probe_parse() ──> refused, with a sentence
 *                                └──> a small machine ──> every burst played
 *
 * The input comes in a block of exactly its size and is not terminated, so the address sanitizer
 * sees a read of one byte too many. What is accepted is played, so that what the engine CHECKs of
 * its callers is found out before it stops the program.
 *
 * What must never happen: a crash, or an error without a message.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "cmd/probe_replay.h"

#define FRAMES_MOST 65536u /* larger machines take too long to build */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static bool is_small(const struct probe *probe)
{
	uint64_t frames = 0;

	for (uint32_t i = 0; i < probe->nr_zones; i++)
		frames += (uint64_t)probe->zones[i].start_pfn + probe->zones[i].spanned;
	return frames < FRAMES_MOST && probe->nr_ops < 200 && probe->nr_states < 20;
}

static void play(const struct probe *probe)
{
	struct probe_machine *pm = NULL;
	struct probe_outcome outcome;
	struct text_error err;
	int error = probe_machine_create(probe, NULL, "probe.out", &pm, &err);

	if (error != 0) {
		CHECK(error == -EINVAL && strlen(err.message) > 10);
		return;
	}
	error = probe_replay(pm, NULL, &outcome, &err);
	CHECK(error != -EINVAL || strlen(err.message) > 10);
	CHECK(outcome.counted.equal <= outcome.counted.operations);
	probe_outcome_free(&outcome);
	probe_machine_destroy(pm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct text_input in = { (const char *)data, bytes, "probe.out" };
	struct probe_script script;
	struct text_error err;
	struct probe probe;

	if (probe_script_parse(&in, &script, &err) != 0)
		CHECK(strlen(err.message) > 10);
	else
		probe_script_free(&script);
	if (probe_parse(&in, &probe, &err) != 0) {
		CHECK(strlen(err.message) > 10 && probe.items == NULL);
		return 0;
	}
	if (is_small(&probe))
		play(&probe);
	probe_free(&probe);
	return 0;
}
