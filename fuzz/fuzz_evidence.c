/*
 * Fuzz target: a pasted text, and everything that is said about the machine in it.
 *
 *     any bytes -> evidence_from_text() -> refused, with a sentence
 *                                       -> evidence -> explain    \
 *                                                   -> request     | text of at most 80 columns
 *                                                   -> forecast   /
 *
 * This is the way of `neap explain -`, `neap request -` and `neap forecast hugepages -`: whatever
 * a stranger pasted becomes an engine machine, on which the engine's own tests are performed. The
 * text also serves as the earlier of two readings, from which no time and no growth must follow,
 * and as each file of a memory group.
 *
 * What must never happen: a crash, an error without a message, a finding without words, a machine
 * that grew between a reading and itself, more huge pages now than after reclaim.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/gfp.h"
#include "diag/evidence_part.h"
#include "diag/explain.h"
#include "diag/forecast.h"
#include "diag/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void ask(struct state *state, const struct paint *paint)
{
	static const struct {
		uint32_t gfp, order;
	} asked[] = { { GFP_KERNEL, 0 }, { GFP_ATOMIC, 3 }, { GFP_HIGHUSER_MOVABLE, 9 } };
	struct request *request = calloc(1, sizeof(*request));
	const struct snapshot *snapshot = state->evidence->snapshot;
	struct text_buf out;

	CHECK(request != NULL);
	text_buf_init(&out);
	for (uint32_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		for (uint32_t n = 0; n < snapshot->nr_nodes && n < 2; n++) {
			request_run(state, asked[i].gfp, asked[i].order, n, request);
			CHECK(request->why != NULL && request->why[0] != '\0');
			request_add(&out, state, request, paint);
		}
	}
	CHECK(out.error == 0);
	text_buf_free(&out);
	free(request);
}

static void forecast(struct state *state, const struct paint *paint)
{
	struct forecast *made = calloc(1, sizeof(*made));
	struct text_buf out;

	CHECK(made != NULL);
	text_buf_init(&out);
	for (uint64_t huge_kb = 2048; huge_kb <= 1048576; huge_kb *= 512) {
		if (forecast_run(state, huge_kb, made) != 0)
			continue;
		CHECK(made->now <= made->after_compaction);
		CHECK(made->after_compaction <= made->after_reclaim);
		forecast_add(&out, state, made, 7, paint);
	}
	CHECK(out.error == 0);
	text_buf_free(&out);
	free(made);
}

static void explain(const struct evidence *before, const struct evidence *after,
		    const struct paint *paint)
{
	struct explain *made = NULL;
	struct text_error err;
	struct text_buf out;

	err.message[0] = '\0';
	if (explain_new(before, after, NULL, &made, &err) != 0) {
		CHECK(made == NULL && strlen(err.message) > 10);
		return;
	}
	CHECK(made->error == 0);
	CHECK(before == NULL || made->direct != DIRECT_BETWEEN);
	for (uint32_t i = 0; i < made->nr_items; i++)
		CHECK(made->item[i].title.bytes != 0);
	text_buf_init(&out);
	explain_add(&out, made, true, paint);
	explain_verdict_add(&out, made);
	CHECK(out.error == 0 && out.bytes != 0);
	text_buf_free(&out);
	explain_free(made);
}

static void group(const uint8_t *data, size_t bytes)
{
	static const char *const names[] = { "memory.current", "memory.max",	  "memory.events",
					     "memory.stat",    "memory.pressure", "none" };
	char *text = malloc(bytes + 1);
	struct evidence_group read;

	CHECK(text != NULL);
	memcpy(text, data, bytes);
	text[bytes] = '\0';
	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		memset(&read, 0, sizeof(read));
		bool understood = evidence_group_file(names[i], text, &read);

		CHECK(!understood || strcmp(names[i], "none") != 0);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct paint paint = { .colour = false };
	struct evidence *evidence = NULL;
	struct state *state = NULL;
	struct text_error err;

	group(data, bytes);
	err.message[0] = '\0';
	if (evidence_from_text("the text", (const char *)data, bytes, &evidence, &err) != 0) {
		CHECK(evidence == NULL && strlen(err.message) > 10);
		return 0;
	}
	if (state_new(evidence, &state, &err) == 0) {
		ask(state, &paint);
		forecast(state, &paint);
	}
	state_free(state);
	explain(NULL, evidence, &paint);
	explain(evidence, evidence, &paint);
	evidence_free(evidence);
	return 0;
}
