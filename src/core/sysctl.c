/*
 * sysctl.c: the files below /proc/sys/vm.
 *
 *   sysctl_items.def ── one row a knob ──> struct sysctls (values, in the machine)
 *                                    └──> knobs[] below (name, range, kind, where)
 *
 * Reading prints the stored value. Writing follows Linux's integer files to the
 * letter, because scripts and tests compare results:
 *
 *   " 2048 \n"     blanks around a number are consumed
 *   "4096 8192\n"  one number is taken; the result is 5, a short write
 *   "0x1000" "010" hexadecimal and octal are numbers
 *   "12abc" "+5" "1.5" "" of blanks only: -EINVAL, nothing changes
 *   no bytes at all: 0, nothing changes
 *
 * A write to a knob whose effect this version does not have is refused by -ENOTSUP
 * instead of being stored without meaning.
 *
 * Writers are serialised by a sleeping lock (machine.sysctl_lock), since a write
 * recomputes marks of all zones; readers of values take none.
 *
 * What must never happen: a value outside its range in struct sysctls.
 *
 * Linux: kernel/sysctl.c (proc_dointvec_minmax) and the handlers of mm/page_alloc.c.
 * The files lowmem_reserve_ratio and numa_zonelist_order are read only here.
 */
#include "core/sysctl.h"

#include <errno.h>
#include <string.h>

#include "core/marks.h"
#include "core/vmstat.h"

#define NUMBER_CHARS_MAX 20u /* longer ones are refused unread */
#define WRITE_BYTES_MAX 4095u
#define LOCK_WAIT_NS (4 * NSEC_PER_MSEC)
#define ADMIN_RESERVE_MOST_KBYTES (8 * KIB)
#define USER_RESERVE_MOST_KBYTES (128 * KIB)
#define NUMBER_TEXT_BYTES 12u /* "-2147483648" */

enum sysctl_kind {
	ACTS,
	NOT_YET,
	WRITE_ONLY,
};

struct knob {
	const char *name;
	size_t offset; /* of its value in struct sysctls */
	int32_t initial, lowest, highest;
	enum sysctl_kind kind;
};

static const struct knob knobs[] = {
#define SYSCTL(id, name, initial, lowest, highest, kind)                                           \
	{ name, offsetof(struct sysctls, id), initial, lowest, highest, kind },
#include "core/sysctl_items.def"
};

static bool text_equal(const char *a, const char *b)
{
	size_t bytes = strlen(a);

	return strlen(b) == bytes && memcmp(a, b, bytes) == 0;
}

static const struct knob *knob_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(knobs); i++)
		if (text_equal(knobs[i].name, name))
			return &knobs[i];
	return NULL;
}

static _Atomic int32_t *knob_value(struct neap_machine *m, const struct knob *knob)
{
	return (_Atomic int32_t *)(void *)((char *)&m->sysctl + knob->offset);
}

static void knob_store(struct neap_machine *m, const struct knob *knob, int32_t value)
{
	atomic_store_explicit(knob_value(m, knob), value, memory_order_relaxed);
}

void sysctl_init(struct neap_machine *m)
{
	static const int32_t ratio[NR_ZONES] = { 256, 256, 32, 0, 0 };

	for (size_t i = 0; i < ARRAY_LEN(knobs); i++)
		knob_store(m, &knobs[i], knobs[i].initial);
	for (uint32_t i = 0; i < NR_ZONES; i++)
		atomic_store(&m->sysctl.lowmem_reserve_ratio[i], ratio[i]);
	atomic_store(&m->sysctl.user_min_free_kbytes, -1);
}

void sysctl_init_reserves(struct neap_machine *m)
{
	uint64_t free_kbytes = machine_zone_stat(m, NR_FREE_PAGES) * (NEAP_PAGE_BYTES / KIB);

	atomic_store(&m->sysctl.admin_reserve_kbytes,
		     (int32_t)min_u64(free_kbytes / 32, ADMIN_RESERVE_MOST_KBYTES));
	atomic_store(&m->sysctl.user_reserve_kbytes,
		     (int32_t)min_u64(free_kbytes / 32, USER_RESERVE_MOST_KBYTES));
}

/* ---- reading ---- */

/* A text being put together; bytes counts on when the buffer is full. */
struct text_out {
	char *buffer;
	size_t room;
	size_t bytes;
};

static void out_char(struct text_out *out, char c)
{
	if (out->bytes < out->room)
		out->buffer[out->bytes] = c;
	out->bytes++;
}

static void out_text(struct text_out *out, const char *text)
{
	for (; *text != '\0'; text++)
		out_char(out, *text);
}

static void out_int(struct text_out *out, int32_t value)
{
	char digits[NUMBER_TEXT_BYTES];
	uint32_t left = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
	size_t n = 0;

	if (value < 0)
		out_char(out, '-');
	do {
		digits[n++] = (char)('0' + left % 10);
		left /= 10;
	} while (left != 0);
	while (n > 0)
		out_char(out, digits[--n]);
}

/* => the text's bytes, or -ERANGE; terminated */
static int64_t out_end(struct text_out *out)
{
	out_char(out, '\n');
	if (out->bytes >= out->room)
		return -ERANGE;
	out->buffer[out->bytes] = '\0';
	return (int64_t)out->bytes;
}

int64_t sysctl_read(struct neap_machine *m, const char *name, char *buffer, size_t bytes)
{
	struct text_out out = { .buffer = buffer, .room = bytes, .bytes = 0 };

	if (text_equal(name, "lowmem_reserve_ratio")) {
		for (uint32_t i = 0; i < NR_ZONES; i++) {
			if (i != 0)
				out_char(&out, '\t');
			out_int(&out, sysctl_get(&m->sysctl.lowmem_reserve_ratio[i]));
		}
		return out_end(&out);
	}
	if (text_equal(name, "numa_zonelist_order")) {
		out_text(&out, "Node");
		return out_end(&out);
	}
	const struct knob *knob = knob_find(name);

	if (knob == NULL)
		return -ENOENT;
	if (knob->kind == WRITE_ONLY)
		return -EACCES;
	out_int(&out, sysctl_get(knob_value(m, knob)));
	return out_end(&out);
}

/* ---- parsing ---- */

/* What is left of a text being written. */
struct text_in {
	const char *at;
	size_t left;
};

static bool char_is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void in_skip_blanks(struct text_in *in)
{
	while (in->left > 0 && char_is_blank(*in->at)) {
		in->at++;
		in->left--;
	}
}

/* => 0..15, or 16 for what is not a digit in any base */
static uint32_t char_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (uint32_t)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (uint32_t)(c - 'A') + 10;
	return 16;
}

/* The base that the digits at `at` announce; *prefix: characters before the digits. */
static uint32_t number_base(const char *at, size_t left, size_t *prefix)
{
	*prefix = 0;
	if (left < 2 || at[0] != '0')
		return 10;
	if ((at[1] == 'x' || at[1] == 'X') && left > 2 && char_digit(at[2]) < 16) {
		*prefix = 2;
		return 16;
	}
	return 8;
}

/* Takes one number, up to a blank or the end. => 0 or -EINVAL */
static int in_number(struct text_in *in, int64_t *value)
{
	bool negative = in->left > 1 && in->at[0] == '-';
	size_t used = negative ? 1 : 0;
	uint64_t sum = 0;
	size_t prefix;

	if (used >= in->left || char_digit(in->at[used]) > 9)
		return -EINVAL;
	uint32_t base = number_base(in->at + used, in->left - used, &prefix);

	for (used += prefix; used < in->left && char_digit(in->at[used]) < base; used++) {
		/* Far beyond any accepted value, and before the sum could wrap. */
		if (used >= NUMBER_CHARS_MAX || sum > UINT64_MAX / 32)
			return -EINVAL;
		sum = sum * base + char_digit(in->at[used]);
	}
	if (used < in->left && in->at[used] != ' ' && in->at[used] != '\t' && in->at[used] != '\n')
		return -EINVAL;
	if (sum > (uint64_t)INT32_MAX + (negative ? 1 : 0))
		return -EINVAL;
	*value = negative ? -(int64_t)sum : (int64_t)sum;
	in->at += used;
	in->left -= used;
	return 0;
}

/* => bytes consumed (the knob is set), or -EINVAL (it is not) */
static int64_t knob_write(struct neap_machine *m, const struct knob *knob, const char *text,
			  size_t bytes)
{
	struct text_in in = { .at = text,
			      .left = bytes < WRITE_BYTES_MAX ? bytes : WRITE_BYTES_MAX };
	int64_t value;

	if (bytes == 0)
		return 0;
	in_skip_blanks(&in);
	if (in.left == 0 || in_number(&in, &value) != 0)
		return -EINVAL;
	if (value < knob->lowest || value > knob->highest)
		return -EINVAL;
	knob_store(m, knob, (int32_t)value);
	in_skip_blanks(&in);
	return (int64_t)(bytes - in.left);
}

/* ---- writing ---- */

/* May sleep. */
static void sysctl_lock(struct task *t, struct neap_machine *m)
{
	while (atomic_exchange(&m->sysctl_lock, 1) != 0)
		(void)rt_wait(t, &m->sysctl_lock, 1, LOCK_WAIT_NS); /* any return: look again */
}

static void sysctl_unlock(struct task *t, struct neap_machine *m)
{
	atomic_store(&m->sysctl_lock, 0);
	rt_wake(t, &m->sysctl_lock, 1);
}

/* What follows a successful write, also one of the same value. */
static void sysctl_act(struct task *t, struct neap_machine *m, const struct knob *knob)
{
	_Atomic int32_t *value = knob_value(m, knob);

	if (value == &m->sysctl.min_free_kbytes) {
		/* From now on the automatic value must be larger to replace it. */
		atomic_store(&m->sysctl.user_min_free_kbytes, sysctl_get(value));
		marks_setup(t, m);
	} else if (value == &m->sysctl.watermark_scale_factor) {
		marks_setup(t, m);
	}
}

int64_t sysctl_write(struct task *t, struct neap_machine *m, const char *name, const char *text,
		     size_t bytes)
{
	const struct knob *knob = knob_find(name);

	rt_assert_may_sleep(t);
	if (text_equal(name, "lowmem_reserve_ratio") || text_equal(name, "numa_zonelist_order"))
		return -ENOTSUP;
	if (knob == NULL)
		return -ENOENT;
	if (knob->kind != ACTS)
		return -ENOTSUP;
	sysctl_lock(t, m);
	int64_t result = knob_write(m, knob, text, bytes);

	if (result >= 0)
		sysctl_act(t, m, knob);
	sysctl_unlock(t, m);
	return result;
}
