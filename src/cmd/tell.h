/*
 * Telling events with the reason beside them: `tell` lines of a job, and stops of the simulator.
 */
#ifndef NEAP_CMD_TELL_H
#define NEAP_CMD_TELL_H

#include <neap/neap.h>

#include "job/job.h"
#include "text/buf.h"

/* Whether the engine has an event of that name. */
bool tell_is_known(const char *event);
/* The end of a message about an unknown name. */
#define TELL_WHERE_NAMES_ARE "; a run with --trace FILE shows the names of those that happen"
/* The name of an event that the word is a part of, for people who err; or NULL. */
const char *tell_nearest(const char *word);
/* Appends two lines: the event, at most `width` columns, and its reason if there is one. */
void tell_add(struct text_buf *out, struct neap_machine *machine, const struct neap_event *event,
	      uint32_t width);

struct tell;

/*
 * Watches a run for the events that the job tells.
 * => NULL if it tells none or memory is out; ends with tell_free(), after the machine's end
 */
struct tell *tell_new(const struct job *job);
/* For a run_observer whose context is the tell. */
void tell_start(void *tell, struct neap_machine *machine);
void tell_finish(void *tell, struct neap_machine *machine);
/* What was told. */
const char *tell_text(const struct tell *tell);
void tell_free(struct tell *tell);
/* Names in a job's tell lines that no event has. => false after a message */
bool tell_check(const struct job *job);

#endif
