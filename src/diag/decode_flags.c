/*
 * Request flags of any kernel, as those of 6.1.
 *
 *     words (4.6 and later)   mode:0xa20(GFP_ATOMIC)         by name: bits move, names stay
 *     4.4 and 4.5             mode:0x2080020                  no words; DIRECT_RECLAIM 0x400000
 *     before                  mode:0x204020                   no words; WAIT 0x10
 *
 * The numbers of flags changed in 4.4, in 4.13, in 6.3 and with nearly every release
 * since 6.9, so a number alone is read only where there are no words, which is before
 * 4.6; the two layouts of that time are told apart by the reclaim bits of 4.4.
 *
 * Words that name what has no effect on the choice of memory (COLD, NOTRACK, tracking
 * and sanitizer flags) are dropped; what is not known at all is kept by name and said.
 *
 * What must never happen: a flag that decides something dropped in silence.
 *
 * Linux: include/linux/gfp_types.h, include/trace/events/mmflags.h.
 */
#include <stdio.h>
#include <string.h>

#include "diag/decode.h"

struct old_word {
	const char *name;
	uint32_t gfp;
};

/* Words that 6.1 does not have; 0 where the flag has no effect on the choice of memory. */
static const struct old_word words[] = {
	{ "__GFP_WAIT", GFP_BITS_RECLAIM },
	{ "__GFP_REPEAT", GFP_BIT_RETRY_MAYFAIL },
	{ "GFP_TEMPORARY", GFP_KERNEL | GFP_BIT_RECLAIMABLE },
	{ "GFP_IOFS", GFP_BIT_IO | GFP_BIT_FS },
	{ "__GFP_DMA", GFP_BIT_DMA },
	{ "__GFP_DMA32", GFP_BIT_DMA32 },
	{ "__GFP_COLD", 0 },
	{ "__GFP_NOTRACK", 0 },
	{ "__GFP_NO_KSWAPD", 0 },
	{ "__GFP_OTHER_NODE", 0 },
	{ "__GFP_ZEROTAGS", 0 },
	{ "__GFP_SKIP_ZERO", 0 },
	{ "__GFP_SKIP_KASAN", 0 },
	{ "__GFP_SKIP_KASAN_POISON", 0 },
	{ "__GFP_SKIP_KASAN_UNPOISON", 0 },
	{ "__GFP_NOLOCKDEP", 0 },
	{ "__GFP_NO_OBJ_EXT", 0 },
	{ "GFP_THISNODE", GFP_BIT_THISNODE | GFP_BIT_NORETRY | GFP_BIT_NOWARN },
};

/* Numbers of the two layouts before words were printed. */
struct old_bit {
	uint32_t bit, gfp;
};

static const struct old_bit bits_310[] = {
	{ 0x10, GFP_BITS_RECLAIM },	  { 0x200, GFP_BIT_NOWARN },
	{ 0x400, GFP_BIT_RETRY_MAYFAIL }, { 0x800, GFP_BIT_NOFAIL },
	{ 0x1000, GFP_BIT_NORETRY },	  { 0x2000, GFP_BIT_MEMALLOC },
	{ 0x4000, GFP_BIT_COMP },	  { 0x8000, GFP_BIT_ZERO },
	{ 0x10000, GFP_BIT_NOMEMALLOC },  { 0x20000, GFP_BIT_HARDWALL },
	{ 0x40000, GFP_BIT_THISNODE },	  { 0x80000, GFP_BIT_RECLAIMABLE },
	{ 0x1000000, GFP_BIT_WRITE },
};

static const struct old_bit bits_44[] = {
	{ 0x10, GFP_BIT_RECLAIMABLE },	  { 0x200, GFP_BIT_NOWARN },
	{ 0x400, GFP_BIT_RETRY_MAYFAIL }, { 0x800, GFP_BIT_NOFAIL },
	{ 0x1000, GFP_BIT_NORETRY },	  { 0x2000, GFP_BIT_MEMALLOC },
	{ 0x4000, GFP_BIT_COMP },	  { 0x8000, GFP_BIT_ZERO },
	{ 0x10000, GFP_BIT_NOMEMALLOC },  { 0x20000, GFP_BIT_HARDWALL },
	{ 0x40000, GFP_BIT_THISNODE },	  { 0x80000, GFP_BIT_ATOMIC },
	{ 0x100000, GFP_BIT_ACCOUNT },	  { 0x400000, GFP_BIT_DIRECT_RECLAIM },
	{ 0x1000000, GFP_BIT_WRITE },	  { 0x2000000, GFP_BIT_KSWAPD_RECLAIM },
};

#define OLD_SAME 0xefu	      /* zone bits, HIGH, IO, FS: the same in all of them */
#define OLD_IGNORED 0xa00100u /* COLD, NOTRACK, OTHER_NODE */

/* A number without words. => bits that no layout has */
static uint32_t old_number(uint32_t raw, uint32_t *gfp)
{
	bool late = (raw & 0x2400000) != 0;
	const struct old_bit *bits = late ? bits_44 : bits_310;
	uint32_t nr = late ? ARRAY_LEN(bits_44) : ARRAY_LEN(bits_310);

	*gfp = raw & OLD_SAME;
	raw &= ~(OLD_SAME | OLD_IGNORED);
	for (uint32_t i = 0; i < nr; i++)
		if (raw & bits[i].bit) {
			*gfp |= bits[i].gfp;
			raw &= ~bits[i].bit;
		}
	/* Then a request without WAIT woke kswapd unless it said not to. */
	if (!late) {
		*gfp |= GFP_BIT_KSWAPD_RECLAIM;
		if ((*gfp & (GFP_BIT_HIGH | GFP_BIT_DIRECT_RECLAIM)) == GFP_BIT_HIGH)
			*gfp |= GFP_BIT_ATOMIC;
	}
	return raw;
}

/* One word. => whether it is understood */
static bool one_word(const char *at, size_t bytes, uint32_t *gfp)
{
	char word[48];
	uint32_t flags = 0;

	if (bytes == 0 || bytes >= sizeof(word))
		return false;
	memcpy(word, at, bytes);
	word[bytes] = '\0';
	for (uint32_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].name, word) == 0) {
			*gfp |= words[i].gfp;
			return true;
		}
	if (word[0] == '0' || gfp_flags_parse(word, &flags) != 0)
		return false;
	*gfp |= flags;
	return true;
}

bool decode_flags(struct decode_report *report, const struct logline_slice *text, uint64_t raw)
{
	uint32_t gfp = 0;

	report->gfp_raw = (uint32_t)raw;
	report->unknown[0] = '\0';
	if (text->bytes == 0) {
		uint32_t rest = old_number((uint32_t)raw, &gfp);

		if (rest != 0)
			snprintf(report->unknown, sizeof(report->unknown), "0x%x", rest);
	}
	for (uint32_t at = 0; at < text->bytes;) {
		const char *word = text->at + at;
		const char *bar = memchr(word, '|', text->bytes - at);
		size_t bytes = bar != NULL ? (size_t)(bar - word) : text->bytes - at;
		size_t used = strlen(report->unknown);

		if (!one_word(word, bytes, &gfp))
			snprintf(report->unknown + used, sizeof(report->unknown) - used, "%s%.*s",
				 used != 0 ? "|" : "", (int)min_u64(bytes, 40), word);
		at += (uint32_t)bytes + 1;
	}
	/* Bytes of the log that a terminal would obey. */
	for (char *at = report->unknown; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	report->gfp = gfp;
	report->has_flags = true;
	gfp_flags_format(gfp, report->flags, sizeof(report->flags));
	return report->unknown[0] == '\0';
}
