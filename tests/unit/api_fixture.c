/* Machines for the tests of the public interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api_fixture.h"

const char *const api_runtimes[2] = { "live", "sim" };

struct neap_machine *api_machine_new(const char *runtime, const struct api_setting *settings)
{
	struct neap_config *config = neap_config_new();
	struct neap_machine *machine = NULL;

	assert_non_null(config);
	assert_int_equal(neap_config_set(config, "runtime", runtime), 0);
	assert_int_equal(neap_config_set(config, "contents", "real"), 0);
	for (; settings->name != NULL; settings++)
		if (neap_config_set(config, settings->name, settings->value) != 0)
			fail_msg("%s: %s", settings->name, neap_config_error(config));
	if (neap_machine_create(config, &machine) != 0)
		fail_msg("%s", neap_config_error(config));
	neap_config_free(config);
	return machine;
}

void api_run(struct neap_machine *machine, int (*fn)(void *arg), void *arg)
{
	int result = neap_run(machine, fn, arg);

	if (result != 0)
		fail_msg("the task failed at line %d: %s", result, neap_machine_error(machine));
}

void api_machine_end(struct neap_machine *machine)
{
	if (neap_verify(machine) != 0)
		fail_msg("verify: %s", neap_machine_error(machine));
	neap_machine_destroy(machine);
}

uint64_t api_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 16;
}

uint64_t api_seed(void)
{
	const char *text = getenv("NEAP_SEED");
	uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 1;

	print_message("seed %llu (NEAP_SEED)\n", (unsigned long long)seed);
	return seed;
}
