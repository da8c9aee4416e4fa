/* Machines for the tests of the public interface. */
#ifndef NEAP_TESTS_API_FIXTURE_H
#define NEAP_TESTS_API_FIXTURE_H

#include <neap/neap.h>

/* One property of a machine; a list of them ends with a NULL name. */
struct api_setting {
	const char *name;
	const char *value;
};

/* Every runtime with real contents: {"live", "sim"}. */
extern const char *const api_runtimes[2];

/* A machine with these settings; the test fails, with the sentence, if it cannot be made. */
struct neap_machine *api_machine_new(const char *runtime, const struct api_setting *settings);

/* Calls fn(arg) in the machine; the test fails if it returns nonzero. */
void api_run(struct neap_machine *machine, int (*fn)(void *arg), void *arg);

/* verify, then destroy. */
void api_machine_end(struct neap_machine *machine);

/* => the next of a sequence of pseudo-random numbers */
uint64_t api_random(uint64_t *state);

/* NEAP_SEED, or 1; printed, so that a failure can be repeated. */
uint64_t api_seed(void);

#endif
