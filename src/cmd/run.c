/*
 * neap run: jobs and traces on a live machine.
 *
 * Real threads (kswapd0, ...), real memory, real files. A live run is not
 * repeatable: its counts differ from run to run as a kernel's do, and its state
 * hash tells nothing but that the run came to its end.
 *
 * Everything is in play.c; a command line of run differs from one of sim in the
 * options it knows.
 *
 * What must never happen: a run that writes outside --tmp, --out, --trace and the
 * files the job names.
 */
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/play.h"

int cmd_run(int argc, char **argv)
{
	struct options options;
	int status = options_parse(true, argc, argv, &options);

	return status == CMD_FINE ? play(&options) : status;
}
