/*
 * Pressure triggers for programs: Linux's poll() on /proc/pressure/memory, as calls.
 *
 *   neap_pressure_open("some 150000 1000000") ──> number
 *   neap_pressure_wait(number)  ──> returns when the trigger fired
 *
 * The engine does the work (core/psi_trigger.c); here are the tasks for it. A trigger belongs to
 * nobody: what is not closed ends with the machine.
 *
 * Linux: psi_write(), psi_trigger_poll() of kernel/sched/psi.c.
 */
#include <errno.h>
#include <string.h>

#include "api/api.h"
#include "core/psi.h"

struct pressure_call {
	struct neap_machine *m;
	const char *text;
	uint32_t number;
	uint64_t timeout_ns;
};

static int open_task(struct task *t, void *arg)
{
	struct pressure_call *call = arg;

	/* With its NUL, so that the byte that does not count is not the last digit. */
	return psi_trigger_open(t, call->m, call->text, strlen(call->text) + 1);
}

int neap_pressure_open(struct neap_machine *machine, const char *text)
{
	struct pressure_call call = { .m = machine, .text = text };
	int number = api_call(api_of(machine), open_task, &call);

	if (number == -EINVAL)
		return api_fail(api_of(machine), number,
				"'%s' is no trigger; write some or full, the threshold and the"
				" window in us (500000 to 10000000).",
				text);
	if (number == -EBUSY)
		return api_fail(api_of(machine), number, "There are %u triggers already.",
				PSI_TRIGGERS);
	return number;
}

static int wait_task(struct task *t, void *arg)
{
	struct pressure_call *call = arg;

	return psi_trigger_wait(t, call->m, call->number, call->timeout_ns);
}

int neap_pressure_wait(struct neap_machine *machine, int number, uint64_t timeout_ns)
{
	struct pressure_call call = { .m = machine,
				      .number = (uint32_t)number,
				      .timeout_ns = timeout_ns };

	if (number < 0 || number >= (int)PSI_TRIGGERS)
		return -ENOENT;
	return api_call(api_of(machine), wait_task, &call);
}

static int close_task(struct task *t, void *arg)
{
	struct pressure_call *call = arg;

	psi_trigger_close(t, call->m, call->number);
	return 0;
}

void neap_pressure_close(struct neap_machine *machine, int number)
{
	struct pressure_call call = { .m = machine, .number = (uint32_t)number };

	if (number >= 0 && number < (int)PSI_TRIGGERS)
		(void)api_call(api_of(machine), close_task, &call); /* cannot fail */
}
