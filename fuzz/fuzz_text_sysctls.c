/*
 * Fuzz target: sysctl_vm.txt, the single files of /proc/sys/vm, and machine.json.
 *
 *     any bytes -> sysctl_vm.txt -> the same bytes -> snapshot -> files of our own
 *               -> sys/vm/NAME   -> the same bytes
 *               -> machine.json  -> CPUs and distances of two nodes
 *
 * A snapshot holds a limited number of settings of limited length; more is refused there,
 * not in the parser.
 *
 * What must never happen: a value that is cut, or a node index beyond the snapshot's.
 */
#include "fuzz_text.h"

#include <errno.h>

#include "text/machine_json.h"
#include "text/sysctls.h"

static void check_snapshot(const struct text_doc *doc)
{
	struct snapshot *snapshot = fuzz_text_machine();
	struct text_error err = { .line = 0 };
	struct text_doc *made = NULL;
	int64_t number = 0;
	int error = sysctls_fill_snapshot(doc, snapshot, &err);

	CHECK(error == 0 || (error == -E2BIG && strlen(err.message) > 10));
	for (uint32_t i = 0; i < snapshot->nr_sysctls; i++) {
		const struct snapshot_sysctl *sysctl = &snapshot->sysctl[i];

		CHECK(i == 0 || strcmp(snapshot->sysctl[i - 1].name, sysctl->name) < 0);
		(void)sysctls_snapshot_number(snapshot, sysctl->name, 1, &number);
		CHECK(sysctls_single_from_snapshot(snapshot, sysctl->name, &made) == 0);
		text_doc_free(made);
	}
	CHECK(sysctls_from_snapshot(snapshot, &made) == 0);
	text_doc_free(made);
	free(snapshot);
}

static void check_json(const uint8_t *data, size_t bytes)
{
	struct snapshot *snapshot = fuzz_text_machine();
	struct machine_json json;
	struct cpumask cpus[NEAP_MAX_NODES];
	char *text = malloc(bytes + 1);

	CHECK(text != NULL);
	memcpy(text, data, bytes);
	text[bytes] = '\0';
	cpumask_set(&snapshot->online, 0);
	cpumask_set(&snapshot->online, 1);
	if (machine_json_scan(text, &json)) {
		(void)machine_json_cpus(&json, snapshot, cpus);
		(void)machine_json_distances(&json, snapshot);
	}
	free(text);
	free(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct text_doc *all = fuzz_text_load(&sysctls_format, data, bytes);
	struct text_doc *one = fuzz_text_load(&sysctls_single_format, data, bytes);

	if (all != NULL)
		check_snapshot(all);
	check_json(data, bytes);
	text_doc_free(all);
	text_doc_free(one);
	return 0;
}
