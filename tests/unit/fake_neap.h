/*
 * A fake machine behind include/neap/neap.h, for tests of the job layer: pages in malloc'ed memory,
 * a limit on how many are resident, and ways to go wrong.
 *
 * A test that wants it writes
 *     #define FAKE_NEAP
 *     #include "fake_neap.c"
 * so that its own functions take the place of the library's. Compiled alone the file is empty: the
 * tests of the real library must not find a fake one.
 */
#ifndef NEAP_TESTS_FAKE_NEAP_H
#define NEAP_TESTS_FAKE_NEAP_H

#include <neap/neap.h>

/* What goes wrong when a changed page leaves memory. */
enum fake_wrong {
	FAKE_FINE,
	FAKE_LOST_WRITE, /* the store keeps what it had */
	FAKE_TORN,	 /* only the first half is written */
	FAKE_ZEROED,	 /* the store holds zeros */
	FAKE_SWAPPED,	 /* the page and another one change places */
	FAKE_FLIPPED,	 /* one bit outside the stamp changes */
	FAKE_EIO,	 /* it cannot be read back */
};

/* The nth write-out from now on goes wrong (1 = the next); every later one, too, if `always`. */
void fake_go_wrong(struct neap_machine *machine, enum fake_wrong wrong, uint64_t nth, bool always);
/* A write-out of a file page that goes wrong is reported by the next sync. */
void fake_report_write_errors(struct neap_machine *machine, bool report);
/* From now on the gauges say that so many writes to swap found the disk full. */
void fake_fill_swap_disk(struct neap_machine *machine, uint64_t errors);
/* Accesses from the nth on fail with this error, so many times. */
void fake_fail_accesses(struct neap_machine *machine, uint64_t nth, uint64_t times, int error);
/* Puts every page out that nobody holds. */
void fake_evict_all(struct neap_machine *machine);
/* A machine without going through a configuration. */
struct neap_machine *fake_machine(uint64_t resident_pages, bool sim, bool tags);

#endif
