/*
 * The trace file.
 *
 *     # tracer: nop
 *     #
 *     # entries-in-buffer/entries-written: 9954/9954   #P:2
 *     ...
 *              kswapd0-42      [001] .....     6.733871: mm_vmscan_kswapd_wake: nid=0 order=0
 *     |<----- 16 ----->|-|<-7->| |cpu| state seconds.microseconds: name: body
 *
 * The engine records events as an id and 64-bit values; names, formats and the
 * kind of each value are a table (core/event_items.def). What is printed is
 * computed here from those three, so that recording costs nothing but stores.
 * Formats are those of Linux 6.1 (spec 05, section 9, and the corpus). Its
 * counterpart is kernel/trace/trace_output.c.
 *
 * What must never happen: a format from a table going to printf together with
 * values that it does not describe. Conversions are taken apart here, and each is
 * checked against the kind of its value.
 */
#include "text/trace.h"

#include <errno.h>
#include <string.h>

#include "text/zonename.h"

/* One conversion of a format, taken apart. */
struct conversion {
	bool left;    /* '-' */
	bool zeros;   /* '0' */
	bool is_long; /* l, ll or z: 64 bits */
	uint32_t width;
	char letter;
};

int trace_header_write(struct text_buf *out, uint64_t entries, uint64_t written, uint32_t nr_cpus)
{
	static const char *const legend =
		"#\n"
		"#                                _-----=> irqs-off/BH-disabled\n"
		"#                               / _----=> need-resched\n"
		"#                              | / _---=> hardirq/softirq\n"
		"#                              || / _--=> preempt-depth\n"
		"#                              ||| / _-=> migrate-disable\n"
		"#                              |||| /     delay\n"
		"#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n"
		"#              | |         |   |||||     |         |\n";

	text_buf_puts(out, "# tracer: nop\n#\n# entries-in-buffer/entries-written: ");
	text_buf_printf(out, "%llu/%llu   #P:%u\n", (unsigned long long)entries,
			(unsigned long long)written, nr_cpus);
	return text_buf_puts(out, legend);
}

int trace_prefix_write(struct text_buf *out, const struct trace_prefix *prefix)
{
	uint64_t us = prefix->time_ns / NSEC_PER_USEC;

	return text_buf_printf(out, "%16.15s-%-7u [%03u] %s %5llu.%06llu: ", prefix->task,
			       prefix->pid, prefix->cpu,
			       prefix->state != NULL ? prefix->state : ".....",
			       (unsigned long long)(us / 1000000),
			       (unsigned long long)(us % 1000000));
}

/* Takes apart the conversion after a '%'. => the position after it, or NULL if it is another */
static const char *conversion_scan(const char *at, struct conversion *conversion)
{
	*conversion = (struct conversion){ .letter = '\0' };
	for (; *at == '-' || *at == '0'; at++) {
		conversion->left = conversion->left || *at == '-';
		conversion->zeros = conversion->zeros || *at == '0';
	}
	for (; *at >= '0' && *at <= '9' && conversion->width < 100; at++)
		conversion->width = conversion->width * 10 + (uint32_t)(*at - '0');
	for (; *at == 'l' || *at == 'z'; at++)
		conversion->is_long = true;
	if (*at == '\0' || strchr("diuxps", *at) == NULL)
		return NULL;
	conversion->letter = *at;
	return at + 1;
}

/* Appends a text in its field. */
static void put_field(struct text_buf *out, const struct conversion *conversion, const char *text)
{
	size_t length = strlen(text);
	size_t pad = length < conversion->width ? conversion->width - length : 0;
	bool zeros = conversion->zeros && !conversion->left && conversion->letter != 's';

	if (zeros && *text == '-') {
		text_buf_add(out, text++, 1);
		length--;
	}
	if (!conversion->left)
		text_buf_fill(out, zeros ? '0' : ' ', pad);
	text_buf_add(out, text, length);
	if (conversion->left)
		text_buf_fill(out, ' ', pad);
}

/* The text of a number. `number` has at least 24 bytes. */
static void number_format(const struct conversion *conversion, uint64_t value, char *number)
{
	unsigned base = conversion->letter == 'x' || conversion->letter == 'p' ? 16 : 10;
	bool is_signed = conversion->letter == 'd' || conversion->letter == 'i';
	char digits[20];
	size_t count = 0;

	if (!conversion->is_long && conversion->letter != 'p')
		value = is_signed ? (uint64_t)(int64_t)(int32_t)value : (uint32_t)value;
	if (is_signed && (int64_t)value < 0) {
		*number++ = '-';
		value = 0 - value;
	}
	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0 || (conversion->letter == 'p' && count < 16));
	while (count > 0)
		*number++ = digits[--count];
	*number = '\0';
}

/* The word of a value of one of the kinds that are tables; NULL if the kind is none of them. */
static const char *word_of(char kind, uint64_t value)
{
	static const char *const results[] = { "not_suitable_zone", "skipped",	 "deferred",
					       "no_suitable_page",  "continue",	 "complete",
					       "partial_skipped",   "contended", "success" };
	static const char *const modes[] = { "MIGRATE_ASYNC", "MIGRATE_SYNC_LIGHT",
					     "MIGRATE_SYNC" };
	static const char *const reasons[] = { "compaction",	  "memory_failure",
					       "memory_hotplug",  "syscall_or_cpuset",
					       "mempolicy_mbind", "numa_misplaced",
					       "contig_range",	  "longterm_pin",
					       "demotion" };

	static const char *const priorities[] = { "COMPACT_PRIO_SYNC_FULL",
						  "COMPACT_PRIO_SYNC_LIGHT", "COMPACT_PRIO_ASYNC" };
	static const char *const classes[] = { "failed", "withdrawn", "progress" };

	switch (kind) {
	case 'P':
		return value < ARRAY_LEN(priorities) ? priorities[value] : "?";
	case 'Q':
		return value < ARRAY_LEN(classes) ? classes[value] : "?";
	case 'C':
		return value < ARRAY_LEN(results) ? results[value] : "?";
	case 'M':
		return value < ARRAY_LEN(modes) ? modes[value] : "?";
	case 'W':
		return value < ARRAY_LEN(reasons) ? reasons[value] : "?";
	case 'Y':
		return value != 0 ? "sync" : "async";
	default:
		return NULL;
	}
}

/* Appends one value. => false if its kind does not fit the conversion */
static bool put_value(struct text_buf *out, const struct conversion *conversion, char kind,
		      uint64_t value)
{
	char text[GFP_TEXT_BYTES];

	if ((conversion->letter == 's') == (kind == 'n'))
		return false;
	switch (kind) {
	case 'n':
		number_format(conversion, value, text);
		break;
	case 'g':
		gfp_flags_format((uint32_t)value, text, sizeof(text));
		break;
	case 'r':
		reclaim_flags_format((uint32_t)value, text, sizeof(text));
		break;
	case 'l':
		put_field(out, conversion, lru_list_name(value));
		return true;
	case 'z':
		put_field(out, conversion,
			  value < NEAP_NR_ZONES ? zonename_of((uint32_t)value) : "?");
		return true;
	default:
		if (word_of(kind, value) == NULL)
			return false;
		put_field(out, conversion, word_of(kind, value));
		return true;
	}
	put_field(out, conversion, text);
	return true;
}

/* Appends the body. => whether format and kinds fit each other */
static bool put_body(struct text_buf *out, const char *format, const char *kinds,
		     const uint64_t *values)
{
	while (*format != '\0') {
		size_t plain = strcspn(format, "%");
		struct conversion conversion;

		text_buf_add(out, format, plain);
		format += plain;
		if (*format == '\0')
			break;
		if (format[1] == '%') {
			text_buf_add(out, "%", 1);
			format += 2;
			continue;
		}
		format = conversion_scan(format + 1, &conversion);
		if (format == NULL || *kinds == '\0' ||
		    !put_value(out, &conversion, *kinds, *values))
			return false;
		kinds++;
		values++;
	}
	return *kinds == '\0';
}

int trace_body_write(struct text_buf *out, const char *format, const char *kinds,
		     const uint64_t *values)
{
	size_t bytes = out->bytes;

	if (put_body(out, format, kinds, values))
		return out->error;
	if (out->at != NULL) {
		out->bytes = bytes;
		out->at[bytes] = '\0';
	}
	return -EINVAL;
}

int trace_event_write(struct text_buf *out, const struct trace_prefix *prefix,
		      const struct trace_event *event)
{
	size_t bytes = out->bytes;

	trace_prefix_write(out, prefix);
	text_buf_puts(out, event->name);
	text_buf_puts(out, ": ");
	int error = trace_body_write(out, event->format, event->kinds, event->values);
	if (error == -EINVAL && out->at != NULL) {
		out->bytes = bytes;
		out->at[bytes] = '\0';
		return error;
	}
	return text_buf_add(out, "\n", 1);
}
