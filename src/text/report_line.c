/*
 * Lines of memory reports.
 *
 *     "Free swap  = %ukB"          one row of the table: a kind and its form
 *      |            |
 *      literal      a number       read:  literal must match, number is stored
 *                                  print: literal is copied, number is printed
 *
 * Most lines are such forms, and one table both reads and prints them, so that the two
 * cannot drift. A form is made of literals and
 *
 *     %u %d   a number, perhaps with a width ("%7u": aligned to the right in 7)
 *     %x      a number in hex, without leading zeros
 *     %s      any text up to the literal that follows
 *     %w      a word: no blanks
 *     %S      the rest of the line
 *
 * The lines of Mem-Info with many values are read by name (report_values.c): their
 * set and order changed from kernel to kernel.
 *
 * A few lines mean something only below others: a row of the table of tasks, a row of
 * memory.stat. The context remembers the line before.
 *
 * What must never happen: a line taken for one of these that is not, in a log full of
 * other things; so every form demands its literals in full. And nothing that was read
 * may be lost: print(read(line)) is the line, or the caller keeps it (report_doc.c).
 *
 * Linux: warn_alloc(), show_mem() of mm/page_alloc.c, mm/oom_kill.c, mm/slub.c,
 * kernel/hung_task.c, kernel/watchdog.c.
 */
#include "text/report_line.h"

#include <string.h>

#include "text/report_values.h"

#define FIRST_BYTES_MAX 96

struct report_form {
	uint8_t kind; /* enum report_kind */
	bool known;   /* 6.1 prints it so */
	const char *form;
};

/* Forms of one kind from the most to the least telling; the first that fits is taken. */
static const struct report_form forms[] = {
	{ REPORT_FAILURE, true,
	  "%s: page allocation failure: order:%u, mode:0x%x(%s), nodemask=%s,cpuset=%s,"
	  "mems_allowed=%s" },
	{ REPORT_FAILURE, false,
	  "%s: page allocation failure: order:%u, mode:0x%x(%s), nodemask=%s" },
	{ REPORT_FAILURE, false, "%s: page allocation failure: order:%u, mode:0x%x(%s)" },
	{ REPORT_FAILURE, false, "%s: page allocation failure: order:%u, mode:0x%x" },
	{ REPORT_FAILURE, false, "%s: page allocation failure. order:%u, mode:0x%x" },
	{ REPORT_STALL, false,
	  "%s: page allocation stalls for %ums, order:%u, mode:0x%x(%s), nodemask=%s" },
	{ REPORT_STALL, false, "%s: page allocation stalls for %ums, order:%u, mode:0x%x(%s)" },
	{ REPORT_VMALLOC, true,
	  "%s: vmalloc error: size %u, %s, mode:0x%x(%s), nodemask=%s,cpuset=%s,"
	  "mems_allowed=%s" },
	{ REPORT_VMALLOC, false,
	  "%s: vmalloc: allocation failure: %u bytes, mode:0x%x(%s), nodemask=%s" },
	{ REPORT_VMALLOC, false, "%s: vmalloc: allocation failure: %u bytes, mode:0x%x(%s)" },
	{ REPORT_SUPPRESSED, true, "warn_alloc: %u callbacks suppressed" },
	{ REPORT_SUPPRESSED, false, "warn_alloc_show_mem: %u callbacks suppressed" },
	{ REPORT_SUPPRESSED, false, "warn_alloc_failed: %u callbacks suppressed" },
	{ REPORT_CPU, false, "CPU: %u PID: %u Comm: %s Kdump: loaded Not tainted %S" },
	{ REPORT_CPU, false, "CPU: %u PID: %u Comm: %s Kdump: loaded Tainted: %S" },
	{ REPORT_CPU, true, "CPU: %u PID: %u Comm: %s Not tainted %S" },
	{ REPORT_CPU, true, "CPU: %u PID: %u Comm: %s Tainted: %S" },
	{ REPORT_CPU, false, "CPU: %u UID: %u PID: %u Comm: %s Not tainted %S" },
	{ REPORT_CPU, false, "CPU: %u UID: %u PID: %u Comm: %s Tainted: %S" },
	{ REPORT_CPU, false, "Pid: %u, comm: %s Not tainted %S" },
	{ REPORT_CPU, false, "Pid: %u, comm: %s Tainted: %S" },
	{ REPORT_HARDWARE, true, "Hardware name: %S" },
	{ REPORT_TRACE, true, "Call Trace:" },
	{ REPORT_TRACE, false, "Call Trace: " },
	{ REPORT_TRACE, false, "Call trace:" },
	{ REPORT_TRACE, false, "Backtrace:" },
	{ REPORT_TRACE, false, "Backtrace: " },
	{ REPORT_TRACE_MARK, true, " <%w>" },
	{ REPORT_TRACE_MARK, true, " </%w>" },
	{ REPORT_TRACE_MARK, false, " <%w> " },
	{ REPORT_TRACE_MARK, false, "<%w>" },
	{ REPORT_TRACE_MARK, false, "</%w>" },
	{ REPORT_FRAME, true, " %w+0x%x/0x%x" },
	{ REPORT_FRAME, true, " ? %w+0x%x/0x%x" },
	{ REPORT_FRAME, true, " %w+0x%x/0x%x [%w]" },
	{ REPORT_FRAME, true, " ? %w+0x%x/0x%x [%w]" },
	{ REPORT_FRAME, false, " [<%x>] %w+0x%x/0x%x" },
	{ REPORT_FRAME, false, " [<%x>] ? %w+0x%x/0x%x" },
	{ REPORT_FRAME, false, " [<%x>] %w+0x%x/0x%x [%w]" },
	{ REPORT_FRAME, false, " [<%x>] ? %w+0x%x/0x%x [%w]" },
	{ REPORT_FRAME, false, "[<%x>] (%w) from [<%x>] (%w+0x%x/0x%x)" },
	{ REPORT_FRAME, false, "[<%x>] (%w+0x%x/0x%x) from [<%x>] (%w+0x%x/0x%x)" },
	{ REPORT_FRAME, false, " <IRQ>  [<%x>] %w+0x%x/0x%x" },
	{ REPORT_FRAME, false, " <IRQ>  [<%x>] ? %w+0x%x/0x%x" },
	/* Tools that trim lines take the blanks away. */
	{ REPORT_FRAME, false, "<IRQ>  [<%x>] %w+0x%x/0x%x" },
	{ REPORT_FRAME, false, "<IRQ>  [<%x>] ? %w+0x%x/0x%x" },
	{ REPORT_FRAME, false, "[<%x>] %w+0x%x/0x%x" },
	{ REPORT_FRAME, false, "[<%x>] ? %w+0x%x/0x%x" },
	{ REPORT_FRAME, false, "[<%x>] %w+0x%x/0x%x [%w]" },
	{ REPORT_FRAME, false, "[<%x>] ? %w+0x%x/0x%x [%w]" },
	{ REPORT_FRAME, false, "%w+0x%x/0x%x" },
	{ REPORT_FRAME, false, "? %w+0x%x/0x%x" },
	{ REPORT_FRAME, false, "%w+0x%x/0x%x [%w]" },
	{ REPORT_FRAME, false, "? %w+0x%x/0x%x [%w]" },
	{ REPORT_FRAME, false, " %w from %w+0x%x/0x%x" },
	{ REPORT_MEMINFO, true, "Mem-Info:" },
	{ REPORT_MEMINFO, false, "Mem-info:" },
	{ REPORT_HUGE, true,
	  "Node %u hugepages_total=%u hugepages_free=%u hugepages_surp=%u hugepages_size=%ukB" },
	{ REPORT_PAGECACHE, true, "%u total pagecache pages" },
	{ REPORT_SWAPCACHE, true, "%u pages in swap cache" },
	{ REPORT_SWAP_STATS, false, "Swap cache stats: add %u, delete %u, find %u/%u" },
	{ REPORT_SWAP_FREE, true, "Free swap  = %ukB" },
	{ REPORT_SWAP_TOTAL, true, "Total swap = %ukB" },
	{ REPORT_RAM, true, "%u pages RAM" },
	{ REPORT_RAM, false, "%u pages of RAM" },
	{ REPORT_HIGHMEM, true, "%u pages HighMem/MovableOnly" },
	{ REPORT_HIGHMEM, false, "%u pages HighMem" },
	{ REPORT_RESERVED, true, "%u pages reserved" },
	{ REPORT_RESERVED, false, "%u reserved pages" },
	{ REPORT_CMA_PAGES, true, "%u pages cma reserved" },
	{ REPORT_POISONED, true, "%u pages hwpoisoned" },
	{ REPORT_SYSRQ, true, "sysrq: Show Memory" },
	{ REPORT_SYSRQ, false, "sysrq: SysRq : Show Memory" },
	{ REPORT_SYSRQ, false, "SysRq : Show Memory" },
	{ REPORT_SLUB, true, "SLUB: Unable to allocate memory on node %d, gfp=0x%x(%s)" },
	{ REPORT_SLUB, false,
	  "SLUB: Unable to allocate memory on CPU %d (of node %d) on node %d, gfp=0x%x(%s)" },
	{ REPORT_SLUB, false, "SLUB: Unable to allocate memory on node %d (gfp=0x%x)" },
	{ REPORT_SLUB_CACHE, true,
	  "  cache: %s, object size: %u, buffer size: %u, default order: %u, min order: %u" },
	{ REPORT_SLUB_CACHE, false,
	  "cache: %s, object size: %u, buffer size: %u, default order: %u, min order: %u" },
	{ REPORT_SLUB_NODE, false, "node %u: slabs: %u, objs: %u, free: %u" },
	{ REPORT_SLUB_NODE, true, "  node %u: slabs: %u, objs: %u, free: %u" },
	{ REPORT_OOM, false,
	  "%s invoked oom-killer: gfp_mask=0x%x(%s), nodemask=%s, order=%u, oom_score_adj=%d" },
	{ REPORT_OOM, false,
	  "%s invoked oom-killer: gfp_mask=0x%x(%s), nodemask=%s,  order=%u, oom_score_adj=%d" },
	{ REPORT_OOM, true,
	  "%s invoked oom-killer: gfp_mask=0x%x(%s), order=%u, oom_score_adj=%d" },
	{ REPORT_OOM, false, "%s invoked oom-killer: gfp_mask=0x%x, order=%u, oom_score_adj=%d" },
	{ REPORT_OOM_CPUSET, false, "%s cpuset=%s mems_allowed=%s" },
	{ REPORT_OOM_IN, false, "Task in %s killed as a result of limit of %s" },
	{ REPORT_USAGE, true, "memory: usage %ukB, limit %ukB, failcnt %u" },
	{ REPORT_USAGE, true, "swap: usage %ukB, limit %ukB, failcnt %u" },
	{ REPORT_USAGE, true, "memory+swap: usage %ukB, limit %ukB, failcnt %u" },
	{ REPORT_USAGE, true, "kmem: usage %ukB, limit %ukB, failcnt %u" },
	{ REPORT_STATS, true, "Memory cgroup stats for %s:" },
	{ REPORT_STATS, false, "Memory cgroup stats for %s: %S" },
	{ REPORT_SLABS, true, "Unreclaimable slab info:" },
	{ REPORT_SLABS, true, "Name                      Used          Total" },
	{ REPORT_TASKS, true, "Tasks state (memory values in pages):" },
	{ REPORT_CONSTRAINT, true,
	  "oom-kill:constraint=%w,nodemask=%s,cpuset=%s,mems_allowed=%s,global_oom,"
	  "task_memcg=%s,task=%s,pid=%u,uid=%u" },
	{ REPORT_CONSTRAINT, true,
	  "oom-kill:constraint=%w,nodemask=%s,cpuset=%s,mems_allowed=%s,oom_memcg=%s,"
	  "task_memcg=%s,task=%s,pid=%u,uid=%u" },
	{ REPORT_KILLED, true,
	  "%s: Killed process %u (%s) total-vm:%ukB, anon-rss:%ukB, file-rss:%ukB,"
	  " shmem-rss:%ukB, UID:%u pgtables:%ukB oom_score_adj:%d" },
	{ REPORT_KILLED, false,
	  "%s: Killed process %u (%s) total-vm:%ukB, anon-rss:%ukB, file-rss:%ukB,"
	  " shmem-rss:%ukB" },
	{ REPORT_KILLED, false,
	  "Killed process %u (%s) total-vm:%ukB, anon-rss:%ukB, file-rss:%ukB, shmem-rss:%ukB" },
	{ REPORT_KILLED, false,
	  "Killed process %u (%s), UID %u, total-vm:%ukB, anon-rss:%ukB, file-rss:%ukB,"
	  " shmem-rss:%ukB" },
	{ REPORT_KILLED, false,
	  "Killed process %u (%s) total-vm:%ukB, anon-rss:%ukB, file-rss:%ukB" },
	{ REPORT_SACRIFICE, false, "%s: Kill process %u (%s) score %u or sacrifice child" },
	{ REPORT_REAPED, true,
	  "oom_reaper: reaped process %u (%s), now anon-rss:%ukB, file-rss:%ukB,"
	  " shmem-rss:%ukB" },
	{ REPORT_GROUP_KILL, true,
	  "Tasks in %s are going to be killed due to memory.oom.group set" },
	{ REPORT_NO_VICTIM, true, "Out of memory and no killable processes..." },
	{ REPORT_HUNG, true, "INFO: task %s:%u blocked for more than %u seconds." },
	{ REPORT_HUNG_HINT, true,
	  "\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message." },
	{ REPORT_TAINT, true, "      Not tainted %S" },
	{ REPORT_TAINT, true, "      Tainted: %S" },
	{ REPORT_TASK_STATE, true, "task:%w state:%w %S" },
	{ REPORT_TASK_STATE, true, "task:%w %s state:%w %S" },
	{ REPORT_LOCKUP, true, "watchdog: BUG: soft lockup - CPU#%u stuck for %us! [%s:%u]" },
	{ REPORT_LOCKUP, false, "NMI watchdog: BUG: soft lockup - CPU#%u stuck for %us! [%s:%u]" },
	{ REPORT_LOCKUP, false, "BUG: soft lockup - CPU#%u stuck for %us! [%s:%u]" },
	{ REPORT_RCU, true, "rcu: INFO: rcu_%S" },
	{ REPORT_RCU, false, "INFO: rcu_%S" },
};

/* Rows of tables: they are looked for below their heads only. */
static const struct report_form task_heads[] = {
	{ REPORT_TASK_HEAD, true,
	  "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name" },
	{ REPORT_TASK_HEAD, false,
	  "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes"
	  " swapents oom_score_adj name" },
	{ REPORT_TASK_HEAD, false,
	  "[ pid ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name" },
	{ REPORT_TASK_HEAD, false,
	  "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name" },
	{ REPORT_TASK_HEAD, false,
	  "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds nr_puds swapents oom_score_adj"
	  " name" },
	{ REPORT_TASK_HEAD, false,
	  "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name" },
};

static const struct report_form task_rows[ARRAY_LEN(task_heads)] = {
	{ REPORT_TASK, true, "[%7u] %5u %5u %8u %8u %8u %8u         %5d %S" },
	{ REPORT_TASK, false, "[%7u] %5u %5u %8u %8u %8u %8u %9u %8u %8u         %5d %S" },
	{ REPORT_TASK, false, "[%5u] %5u %5u %8u %8u %8u %8u         %5d %S" },
	{ REPORT_TASK, false, "[%5u] %5u %5u %8u %8u %7u %7u %8u         %5d %S" },
	{ REPORT_TASK, false, "[%5u] %5u %5u %8u %8u %7u %7u %7u %8u         %5d %S" },
	{ REPORT_TASK, false, "[%5u] %5u %5u %8u %8u %7u %8u         %5d %S" },
};

static const struct report_form stat_row = { REPORT_STAT, true, "%w %u" };
static const struct report_form slab_row = { REPORT_SLAB, true, "%-17w %10uKB %10uKB" };

/* ---- forms ---- */

/* A step of a form: a literal piece, or a conversion. */
struct form_step {
	char what; /* 'l' literal, else the conversion's letter; 0 at the end */
	bool left; /* aligned to the left */
	uint32_t width;
	const char *at;
	uint32_t bytes;
};

/* Takes the next step off a form. */
static struct form_step form_next(const char **form)
{
	struct form_step step = { .what = 'l', .at = *form };

	if (**form == '\0')
		return (struct form_step){ .what = 0 };
	if (**form != '%') {
		step.bytes = (uint32_t)strcspn(*form, "%");
		*form += step.bytes;
		return step;
	}
	(*form)++;
	step.left = **form == '-';
	*form += step.left;
	for (; **form >= '0' && **form <= '9'; (*form)++)
		step.width = step.width * 10 + (uint32_t)(**form - '0');
	step.what = *(*form)++;
	return step;
}

/* => the position after the number, or NULL */
static const char *read_number(const char *at, const char *end, const struct form_step *step,
			       uint64_t *value)
{
	uint32_t base = step->what == 'x' ? 16 : 10;
	uint64_t sum = 0;
	bool negative = false;

	for (uint32_t i = 0; step->width != 0 && at < end && *at == ' ' && i < 64; i++)
		at++;
	if (step->what == 'd' && at < end && *at == '-') {
		negative = true;
		at++;
	}
	const char *start = at;

	for (; at < end; at++) {
		uint32_t digit = base;

		if (*at >= '0' && *at <= '9')
			digit = (uint32_t)(*at - '0');
		else if (*at >= 'a' && *at <= 'f')
			digit = (uint32_t)(*at - 'a') + 10;
		if (digit >= base)
			break;
		if (sum > (UINT64_MAX - digit) / base)
			return NULL;
		sum = sum * base + digit;
	}
	*value = negative ? 0 - sum : sum;
	return at != start ? at : NULL;
}

/* Reads text up to `stop` bytes of the literal that follows in the form (or to the end). */
static const char *read_text(const char *at, const char *end, const char *form, char what)
{
	const char *next = form;
	struct form_step literal = form_next(&next);
	const char *limit = end;

	if (what == 'w') {
		limit = memchr(at, ' ', (size_t)(end - at));
		limit = limit != NULL ? limit : end;
	}
	if (what == 'S' || literal.what == 0)
		return limit;
	/* The literal may begin with the blank that ends a word. */
	const char *found = memmem(at, (size_t)(end - at), literal.at, literal.bytes);

	return found != NULL && found <= limit ? found : NULL;
}

/* Names and messages that stand first are short; looking further for their end costs. */
static const char *first_limit(const struct logline_slice *text, const char *at, char what)
{
	const char *end = text->at + text->bytes;

	if (at != text->at || what != 's' || end - at <= FIRST_BYTES_MAX)
		return end;
	return at + FIRST_BYTES_MAX;
}

/* Reads a line by one form. => whether it fits; out's numbers and words */
static bool form_read(const char *form, const struct logline_slice *text, struct report_line *out)
{
	const char *at = text->at, *end = text->at + text->bytes;

	out->nr_numbers = out->nr_words = 0;
	for (;;) { /* a step a round; the form ends it */
		struct form_step step = form_next(&form);
		const char *start = at;

		switch (step.what) {
		case 0:
			return at == end;
		case 'l':
			if ((size_t)(end - at) < step.bytes || memcmp(at, step.at, step.bytes) != 0)
				return false;
			at += step.bytes;
			continue;
		case 's':
		case 'w':
		case 'S':
			at = read_text(at, first_limit(text, at, step.what), form, step.what);
			if (at == NULL || (step.what == 'w' && at == start))
				return false;
			out->word[out->nr_words++] =
				(struct logline_slice){ start, (uint32_t)(at - start) };
			/* Padding on the right is not the word's. */
			while (step.left && end - at > 1 && at[0] == ' ' && at[1] == ' ')
				at++;
			continue;
		default:
			at = read_number(at, end, &step, &out->number[out->nr_numbers]);
			if (at == NULL)
				return false;
			out->nr_numbers++;
		}
	}
}

static void print_number(const struct form_step *step, uint64_t value, struct text_buf *out)
{
	char digits[24];
	uint32_t at = sizeof(digits);
	uint32_t base = step->what == 'x' ? 16 : 10;
	bool negative = step->what == 'd' && (int64_t)value < 0;

	if (negative)
		value = 0 - value;
	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	if (negative)
		digits[--at] = '-';
	if (sizeof(digits) - at < step->width)
		text_buf_fill(out, ' ', step->width - (sizeof(digits) - at));
	text_buf_add(out, digits + at, sizeof(digits) - at);
}

static void form_print(const char *form, const struct report_line *line, struct text_buf *out)
{
	uint32_t number = 0, word = 0;

	for (;;) { /* a step a round; the form ends it */
		struct form_step step = form_next(&form);

		switch (step.what) {
		case 0:
			return;
		case 'l':
			text_buf_add(out, step.at, step.bytes);
			continue;
		case 's':
		case 'w':
		case 'S':
			text_buf_add(out, line->word[word].at, line->word[word].bytes);
			if (step.left && line->word[word].bytes < step.width)
				text_buf_fill(out, ' ', step.width - line->word[word].bytes);
			word++;
			continue;
		default:
			print_number(&step, line->number[number++], out);
		}
	}
}

/* ---- lines ---- */

/* The first byte that a form demands; 0 if it begins with text of the line. */
static bool form_may_fit(const struct report_form *form, const struct logline_slice *text)
{
	char first = form->form[0];

	if (first != '%')
		return text->at[0] == first;
	return form->form[1] != 'u' || (text->at[0] >= '0' && text->at[0] <= '9');
}

static bool try_form(const struct report_form *form, uint32_t index,
		     const struct logline_slice *text, struct report_line *out)
{
	if (!form_may_fit(form, text) || !form_read(form->form, text, out))
		return false;
	out->kind = (enum report_kind)form->kind;
	out->form = (uint8_t)index;
	out->known = form->known;
	return true;
}

/* Rows and heads that depend on what stood above. */
static bool read_row(const struct logline_slice *text, struct report_context *context,
		     struct report_line *out)
{
	switch (context->last) {
	case REPORT_TASKS:
	case REPORT_KILLED:
	case REPORT_OOM_CPUSET:
	case REPORT_POISONED:
	case REPORT_RESERVED:
	case REPORT_CMA_PAGES:
	case REPORT_STATS:
	case REPORT_STAT:
	case REPORT_SLAB:
		for (uint32_t i = 0; i < ARRAY_LEN(task_heads); i++)
			if (try_form(&task_heads[i], i, text, out)) {
				context->task_form = (uint8_t)i;
				return true;
			}
		break;
	case REPORT_TASK_HEAD:
	case REPORT_TASK:
		if (try_form(&task_rows[context->task_form], context->task_form, text, out))
			return true;
		break;
	default:
		break;
	}
	if (context->last == REPORT_STATS || context->last == REPORT_STAT)
		return try_form(&stat_row, 0, text, out);
	if (context->last == REPORT_SLABS || context->last == REPORT_SLAB)
		return try_form(&slab_row, 0, text, out);
	return false;
}

/* "RIP: 0033:0x47b7a0", "RAX: ... RBX: ...", "Code: ...": below a trace. */
static bool read_registers(const struct logline_slice *text, enum report_kind last,
			   struct report_line *out)
{
	static const char *const names[] = {
		"RIP", "RSP",  "RAX", "RDX", "RBP", "R10", "R13", "Code", "CS", "CR2",
		"FS",  "PKRU", "RBX", "DR0", "DR3", "EIP", "EAX", "ESI",  "DS",
	};
	const char *colon = memchr(text->at, ':', min_u64(text->bytes, 5));

	if (colon == NULL || (last != REPORT_FRAME && last != REPORT_TRACE_MARK &&
			      last != REPORT_REGISTERS && last != REPORT_TRACE))
		return false;
	uint32_t bytes = (uint32_t)(colon - text->at);

	for (uint32_t i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i]) == bytes && memcmp(text->at, names[i], bytes) == 0) {
			out->kind = REPORT_REGISTERS;
			out->known = true;
			out->nr_words = 2;
			out->word[0] = (struct logline_slice){ text->at, bytes };
			out->word[1] = (struct logline_slice){ colon + 1, text->bytes - bytes - 1 };
			return true;
		}
	return false;
}

void report_line_read(const struct logline_slice *text, struct report_context *context,
		      struct report_line *out)
{
	bool found = false;

	out->kind = REPORT_OTHER;
	out->known = false;
	out->form = 0;
	out->node = -1;
	out->nr_numbers = out->nr_words = out->nr_values = 0;
	if (text->bytes == 0)
		return;
	found = read_row(text, context, out) || report_values_read(text, out) ||
		read_registers(text, context->last, out);
	for (uint32_t i = 0; i < ARRAY_LEN(forms) && !found; i++)
		found = try_form(&forms[i], i, text, out);
	if (!found) {
		out->kind = REPORT_OTHER;
		out->node = -1;
		out->nr_numbers = out->nr_words = out->nr_values = 0;
		return;
	}
	if (out->kind == REPORT_HUGE)
		out->node = (int32_t)min_u64(out->number[0], INT32_MAX);
	context->last = out->kind;
}

/* The name of a task, which may stand first, has at most this many bytes. */
#define COMM_BYTES_MAX 64u

bool report_line_begins(const struct logline_slice *text)
{
	static const char *const first[] = {
		"Mem-", "sysr", "SysR", "SLUB", "INFO", "rcu:", "watc", "BUG:",
		"NMI ", "warn", "Kill", "Out ", "Memo", "oom-", "oom_", "Task",
		"Node", "acti", "DMA ", "DMA3", "Norm", "High", "Mova",
	};
	static const char *const later[] = { ": page allocation ", " invoked oom-killer",
					     ": vmalloc" };
	const char *at = text->at;

	if (text->bytes < 9)
		return false;
	for (uint32_t i = 0; i < ARRAY_LEN(first); i++)
		if (memcmp(at, first[i], 4) == 0)
			return true;
	/* The first letters of what may follow a name. */
	for (uint32_t i = 0; i + 18 < text->bytes && i < COMM_BYTES_MAX; i++) {
		if (at[i] != ':' && at[i] != ' ')
			continue;
		for (uint32_t k = 0; k < ARRAY_LEN(later); k++)
			if (text->bytes - i >= strlen(later[k]) &&
			    memcmp(at + i, later[k], strlen(later[k])) == 0)
				return true;
	}
	return false;
}

int report_line_print(const struct report_line *line, struct text_buf *out)
{
	switch (line->kind) {
	case REPORT_OTHER:
		return out->error;
	case REPORT_GLOBAL:
	case REPORT_NODE:
	case REPORT_ZONE:
	case REPORT_RESERVE:
	case REPORT_BLOCKS:
		report_values_print(line, out);
		return out->error;
	case REPORT_REGISTERS:
		text_buf_add(out, line->word[0].at, line->word[0].bytes);
		text_buf_add(out, ":", 1);
		text_buf_add(out, line->word[1].at, line->word[1].bytes);
		return out->error;
	case REPORT_TASK_HEAD:
		form_print(task_heads[line->form].form, line, out);
		return out->error;
	case REPORT_TASK:
		form_print(task_rows[line->form].form, line, out);
		return out->error;
	case REPORT_STAT:
		form_print(stat_row.form, line, out);
		return out->error;
	case REPORT_SLAB:
		form_print(slab_row.form, line, out);
		return out->error;
	default:
		form_print(forms[line->form].form, line, out);
		return out->error;
	}
}

/* ---- making lines ---- */

void report_line_init(struct report_line *line, enum report_kind kind, int32_t node)
{
	line->kind = kind;
	line->known = true;
	line->form = 0;
	line->node = node;
	line->nr_numbers = line->nr_words = line->nr_values = 0;
	/* The form that 6.1 prints. */
	for (uint32_t i = 0; i < ARRAY_LEN(forms); i++)
		if (forms[i].kind == (uint8_t)kind && forms[i].known) {
			line->form = (uint8_t)i;
			return;
		}
}

void report_line_word(struct report_line *line, const char *text)
{
	line->word[line->nr_words++] = (struct logline_slice){ text, (uint32_t)strlen(text) };
}

void report_line_number(struct report_line *line, uint64_t number)
{
	line->number[line->nr_numbers++] = number;
}

void report_line_value(struct report_line *line, enum report_item item, uint64_t value)
{
	enum report_unit unit = REPORT_UNIT_NONE;

	if (line->kind == REPORT_NODE || line->kind == REPORT_ZONE)
		unit = item == RI_HIGHATOMIC || item == RI_FREE_HIGHATOMIC ? REPORT_UNIT_LARGE
									   : REPORT_UNIT_SMALL;
	line->value[line->nr_values++] = (struct report_value){ .item = (uint16_t)item,
								.unit = (uint8_t)unit,
								.value = value };
}
