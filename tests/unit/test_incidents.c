/*
 * Texts from public reports, as they were published, and what neap explain must say of them.
 *
 *     tests/incidents/NAME.txt
 *       # source: where it was published
 *       # seen: what the people there saw, in our words
 *       # expect: no-finding | finding ID | note ID | unknown ID      written before the first run
 *       ---
 *       the text
 *
 * Nine of ten must be right. Each that is wrong is named, so that nobody gets used to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>

#include "diag/explain.h"
#include "test_text_util.h"

#define INCIDENTS_LEAST 12u

/* Whether the explanation has an item of this level ("finding", "note", "unknown") and id. */
static bool has_item(const struct explain *x, const char *level, const char *id)
{
	for (uint32_t i = 0; i < x->nr_items; i++)
		if (strcmp(x->item[i].id, id) == 0 &&
		    strcmp(explain_level_word(x->item[i].level), level) == 0)
			return true;
	return false;
}

static bool is_as_expected(const struct explain *x, const char *expected)
{
	char level[16] = "", id[64] = "";

	if (strcmp(expected, "no-finding") == 0)
		return x->nr_findings == 0;
	assert_int_equal(sscanf(expected, "%15s %63s", level, id), 2);
	return has_item(x, level, id);
}

/* Checks every "# expect:" line of the head. => how many are wrong; each is printed */
static uint32_t count_wrong(const struct explain *x, const char *name, const char *head,
			    const char *end)
{
	static const char expect[] = "# expect: ";
	uint32_t wrong = 0, nr = 0;

	for (const char *line = head; line < end; line = strchr(line, '\n') + 1) {
		char expected[96];

		if (strncmp(line, expect, sizeof(expect) - 1) != 0)
			continue;
		snprintf(expected, sizeof(expected), "%.*s",
			 (int)strcspn(line + sizeof(expect) - 1, "\n"), line + sizeof(expect) - 1);
		nr++;
		if (is_as_expected(x, expected))
			continue;
		print_message("%s: expected %s\n", name, expected);
		wrong++;
	}
	if (nr == 0)
		fail_msg("%s: expects nothing", name);
	for (uint32_t i = 0; wrong != 0 && i < x->nr_items; i++)
		print_message("  %s %s: %s\n", explain_level_word(x->item[i].level), x->item[i].id,
			      text_buf_text(&x->item[i].title));
	return wrong;
}

/* => whether everything that was expected of the file holds */
static bool check_incident(const char *path)
{
	const struct paint paint = { .width = 80 };
	struct text_error err = { .line = 0 };
	struct evidence *evidence = NULL;
	struct text_buf text, out;
	struct explain *x = NULL;

	text_buf_init(&text);
	text_buf_init(&out);
	assert_int_equal(text_buf_read_file(&text, path, MIB), 0);
	const char *body = strstr(text_buf_text(&text), "\n---\n");

	if (body == NULL || strstr(text_buf_text(&text), "# source: http") == NULL)
		fail_msg("%s: no line of three dashes, or no source", path);
	if (evidence_from_text("the text", body + 5, strlen(body + 5), &evidence, &err) != 0)
		fail_msg("%s: %s", path, err.message);
	if (explain_new(NULL, evidence, NULL, &x, &err) != 0)
		fail_msg("%s: %s", path, err.message);
	explain_add(&out, x, true, &paint);
	assert_int_equal(out.error, 0);
	bool right = count_wrong(x, path, text_buf_text(&text), body) == 0;

	explain_free(x);
	evidence_free(evidence);
	text_buf_free(&out);
	text_buf_free(&text);
	return right;
}

static void test_incidents(void **state)
{
	char pattern[1200];
	uint32_t right = 0;
	glob_t found;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/tests/incidents/*.txt", util_source_dir());
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		right += check_incident(found.gl_pathv[i]);
	print_message("%u of %zu incidents as expected\n", right, found.gl_pathc);
	assert_true(found.gl_pathc >= INCIDENTS_LEAST);
	assert_true(right * 10 >= found.gl_pathc * 9);
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_incidents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
