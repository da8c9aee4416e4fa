/*
 * The recorded memory reports of the golden corpus, all of them: as tests/unit/test_text_report.c
 * does with the sample in the repository.
 *
 * The corpus is looked for in $NEAP_GOLDEN_DIR, then as in test_golden_text.c.
 */
#include "test_text_util.h"

#include <glob.h>
#include <unistd.h>

#include "report_corpus.h"
#include "text_corpus.h"

/* Copies texts and unpacks states of each machine's directory into one tree. */
static int gather(const char *corpus, const char *root)
{
	char command[4096];

	snprintf(command, sizeof(command),
		 "for d in '%s'/reports/*/; do n='%s'/$(basename $d); mkdir -p $n &&"
		 " cp $d/*.txt $n/ && xz -dc $d/state.tar.xz | tar -xf - -C $n || exit 1; done",
		 corpus, root);
	return system(command);
}

static void test_whole_corpus(void **state)
{
	static const char *const patterns[] = { "golden", "../golden", "../*/golden" };
	const char *named = getenv("NEAP_GOLDEN_DIR");
	char root[] = "/tmp/golden-report-XXXXXX";
	struct report_corpus corpus = { .texts = 0 };
	char dir[1024] = "";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(patterns) && dir[0] == '\0'; i++) {
		char pattern[1024];
		glob_t found;

		if (named != NULL)
			snprintf(pattern, sizeof(pattern), "%s/reports", named);
		else
			snprintf(pattern, sizeof(pattern), "%s/%s/reports", util_source_dir(),
				 patterns[i]);
		if (glob(pattern, 0, NULL, &found) != 0)
			continue;
		snprintf(dir, sizeof(dir), "%.*s", (int)(strlen(found.gl_pathv[0]) - 8),
			 found.gl_pathv[0]);
		globfree(&found);
	}
	if (dir[0] == '\0') {
		printf("no corpus of recorded reports here\n");
		skip();
	}
	assert_non_null(mkdtemp(root));
	assert_int_equal(gather(dir, root), 0);
	report_corpus_check(&corpus, root);
	corpus_remove(root);
	assert_true(corpus.texts >= 37 && corpus.written >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_whole_corpus) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
