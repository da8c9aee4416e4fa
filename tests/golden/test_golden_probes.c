/*
 * Every recorded sequence of the golden corpus: all operations and states equal, and the failures
 * of bursts without a state near.
 *
 * The corpus is not part of the repository. It is looked for in $NEAP_GOLDEN_DIR, then as a
 * directory "golden" in the checkout, beside it, or one level below what is beside it.
 */
#include "test_text_util.h"

#include <glob.h>

#include "cmd/probe_files.h"
#include "cmd/probe_replay.h"

static struct probe_limits limits;

static void check_sequence(const char *dir)
{
	struct probe_files *files = calloc(1, sizeof(*files));
	struct probe_machine *pm = NULL;
	struct probe_outcome outcome;
	struct text_error err;

	assert_non_null(files);
	if (probe_files_open(files, dir, &err) != 0 ||
	    probe_machine_create(&files->probe, files->has_json ? &files->json : NULL, files->path,
				 &pm, &err) != 0 ||
	    probe_replay(pm, files->has_script ? &files->script : NULL, &outcome, &err) != 0)
		fail_msg("%s: line %u: %s", dir, err.line, err.message);
	if (!probe_outcome_is_fine(&outcome))
		fail_msg("%s: %s", dir, text_buf_text(&outcome.difference));
	printf("# %s: %u operations, %u states, %u of %u failures near\n", strrchr(dir, '/') + 1,
	       outcome.counted.operations, outcome.counted.bursts, outcome.limits.within,
	       outcome.limits.points);
	limits.points += outcome.limits.points;
	limits.within += outcome.limits.within;
	probe_outcome_free(&outcome);
	probe_machine_destroy(pm);
	probe_files_close(files);
	free(files);
}

/* => number of sequences found */
static size_t check_corpus(const char *pattern)
{
	glob_t found;
	size_t nr;

	if (glob(pattern, 0, NULL, &found) != 0)
		return 0;
	nr = found.gl_pathc;
	for (size_t i = 0; i < nr; i++)
		check_sequence(found.gl_pathv[i]);
	globfree(&found);
	return nr;
}

static void test_corpus(void **state)
{
	static const char *const places[] = { "golden", "../golden", "../*/golden" };
	const char *named = getenv("NEAP_GOLDEN_DIR");
	char pattern[1200];
	size_t nr = 0;

	(void)state;
	if (named != NULL) {
		snprintf(pattern, sizeof(pattern), "%s/probes/*", named);
		nr = check_corpus(pattern);
	}
	for (size_t i = 0; i < ARRAY_LEN(places) && nr == 0; i++) {
		snprintf(pattern, sizeof(pattern), "%s/%s/probes/*", util_source_dir(), places[i]);
		nr = check_corpus(pattern);
	}
	if (nr == 0)
		skip();
	/* Of the failures 95 in 100 are the aim; a state nearby is not the state. */
	assert_true((uint64_t)limits.within * 100 >= (uint64_t)limits.points * 95);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
