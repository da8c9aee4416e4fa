/*
 * Lines of a kernel log: what a tool put before the kernel's own text.
 *
 *     [   28.483595] dd: page allocation failure ...                  dmesg
 *     <4>[   28.483595][  T195] dd: ...                               console, with caller
 *     [Sat Nov 21 13:47:03 2026] dd: ...                              dmesg -T
 *     kern  :warn  : [   28.483595] dd: ...                           dmesg -x
 *     Nov 21 13:47:03 host kernel: [   28.483595] dd: ...             syslog
 *     2026-11-21T13:47:03.000000+00:00 host kernel: dd: ...           rsyslog, -o short-iso
 *     [   28.483595] host kernel: dd: ...                             journalctl -o short-monotonic
 *     [  +0.002367] dd: ...                                           dmesg -d
 *     123:Nov 21 13:47:03 host kernel: dd: ...                        grep -n
 */
#ifndef NEAP_TEXT_LOGLINE_H
#define NEAP_TEXT_LOGLINE_H

#include "base/base.h"

/* A piece of a line; not terminated. */
struct logline_slice {
	const char *at;
	uint32_t bytes;
};

struct logline {
	struct logline_slice prefix; /* all before the kernel's text */
	struct logline_slice text;   /* the kernel's own; blanks at its beginning included */
	struct logline_slice
		when;	 /* the time as written, without brackets; empty if there is none */
	bool has_uptime; /* uptime_us is the kernel's clock */
	uint64_t uptime_us;
};

/* Splits one line (without newline). Lines without any prefix are all text. Never fails. */
void logline_split(const char *line, uint32_t bytes, struct logline *out);

#endif
