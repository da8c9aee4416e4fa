/*
 * neap sim: jobs and traces on a simulated machine.
 *
 * The same engine and the same job on virtual CPUs with a virtual clock. One seed
 * is one run: the same state hash and the same bytes in every file, on any machine
 * and with any compiler. Pages hold one tag each unless --contents real is given, so
 * a machine may be far larger than the one it runs on.
 *
 * --step, --break and --until stop inside the engine (step.c).
 *
 * --explore N plays the job with N seeds, allowing the scheduler to preempt where a
 * real machine could, and names each seed that fails.
 *
 * What must never happen: a result that depends on the real clock, the real CPUs or
 * an address.
 */
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/play.h"
#include "cmd/step.h"

int cmd_sim(int argc, char **argv)
{
	struct options options;
	int status = options_parse(false, argc, argv, &options);

	if (status != CMD_FINE)
		return status;
	return options_stops(&options) ? step_play(&options) : play(&options);
}
