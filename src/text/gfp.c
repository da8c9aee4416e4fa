/*
 * Flag words.
 *
 *     0x140dca = HIGHUSER_MOVABLE 0x100cca | COMP 0x40000 | ZERO 0x100
 *              -> "GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO"
 *
 * A table lists masks in the order in which they are tried. A mask whose bits are
 * all there is printed and its bits are taken out, so a combination hides the
 * single flags in it, and the order decides which of two overlapping combinations
 * is found. The order is that of spec 02, section 8.1; the traces in the corpus
 * have some thirty different words, which a test prints again.
 *
 * What must never happen: a bit that is neither named nor shown. What no mask
 * takes is printed as a hexadecimal rest.
 */
#include "text/gfp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct flag_word {
	uint32_t mask;
	const char *name;
};

static const struct flag_word gfp_words[] = {
	{ 0x1c24ca, "GFP_TRANSHUGE" },
	{ 0x1c20ca, "GFP_TRANSHUGE_LIGHT" },
	{ 0x100cca, "GFP_HIGHUSER_MOVABLE" },
	{ 0x100cc2, "GFP_HIGHUSER" },
	{ 0x100cc0, "GFP_USER" },
	{ 0x400cc0, "GFP_KERNEL_ACCOUNT" },
	{ 0xcc0, "GFP_KERNEL" },
	{ 0xc40, "GFP_NOFS" },
	{ 0xa20, "GFP_ATOMIC" },
	{ 0xc00, "GFP_NOIO" },
	{ 0x800, "GFP_NOWAIT" },
	{ 0x1, "GFP_DMA" },
	{ 0x2, "__GFP_HIGHMEM" },
	{ 0x4, "GFP_DMA32" },
	{ 0x20, "__GFP_HIGH" },
	{ 0x200, "__GFP_ATOMIC" },
	{ 0x40, "__GFP_IO" },
	{ 0x80, "__GFP_FS" },
	{ 0x2000, "__GFP_NOWARN" },
	{ 0x4000, "__GFP_RETRY_MAYFAIL" },
	{ 0x8000, "__GFP_NOFAIL" },
	{ 0x10000, "__GFP_NORETRY" },
	{ 0x40000, "__GFP_COMP" },
	{ 0x100, "__GFP_ZERO" },
	{ 0x80000, "__GFP_NOMEMALLOC" },
	{ 0x20000, "__GFP_MEMALLOC" },
	{ 0x100000, "__GFP_HARDWALL" },
	{ 0x200000, "__GFP_THISNODE" },
	{ 0x10, "__GFP_RECLAIMABLE" },
	{ 0x8, "__GFP_MOVABLE" },
	{ 0x400000, "__GFP_ACCOUNT" },
	{ 0x1000, "__GFP_WRITE" },
	{ 0xc00, "__GFP_RECLAIM" },
	{ 0x400, "__GFP_DIRECT_RECLAIM" },
	{ 0x800, "__GFP_KSWAPD_RECLAIM" },
};

static const struct flag_word reclaim_words[] = {
	{ RECLAIM_WB_ANON, "RECLAIM_WB_ANON" },	  { RECLAIM_WB_FILE, "RECLAIM_WB_FILE" },
	{ RECLAIM_WB_MIXED, "RECLAIM_WB_MIXED" }, { RECLAIM_WB_SYNC, "RECLAIM_WB_SYNC" },
	{ RECLAIM_WB_ASYNC, "RECLAIM_WB_ASYNC" },
};

/* A text that is cut at its room but knows its full length. */
struct cut_text {
	char *buf;
	size_t room;
	size_t bytes; /* of the full text */
};

/* Appends a word, with "|" before it unless it is the first. */
static void cut_add(struct cut_text *text, const char *word)
{
	size_t left = text->room > text->bytes ? text->room - text->bytes : 0;
	const char *separator = text->bytes != 0 ? "|" : "";

	if (left != 0)
		snprintf(text->buf + text->bytes, left, "%s%s", separator, word);
	text->bytes += strlen(separator) + strlen(word);
}

static size_t words_format(const struct flag_word *words, size_t nr_words, uint32_t flags,
			   struct cut_text *text)
{
	char rest[16];

	for (size_t i = 0; i < nr_words; i++) {
		if ((flags & words[i].mask) != words[i].mask)
			continue;
		cut_add(text, words[i].name);
		flags &= ~words[i].mask;
	}
	if (flags != 0) {
		snprintf(rest, sizeof(rest), "0x%x", flags);
		cut_add(text, rest);
	}
	return text->bytes;
}

size_t gfp_flags_format(uint32_t gfp, char *buf, size_t room)
{
	struct cut_text text = { .buf = buf, .room = room };

	if (gfp == 0)
		cut_add(&text, "none");
	return words_format(gfp_words, ARRAY_LEN(gfp_words), gfp, &text);
}

size_t reclaim_flags_format(uint32_t flags, char *buf, size_t room)
{
	struct cut_text text = { .buf = buf, .room = room };

	if (flags == 0)
		cut_add(&text, "RECLAIM_WB_NONE");
	return words_format(reclaim_words, ARRAY_LEN(reclaim_words), flags, &text);
}

/* The value of a hexadecimal number "0x...", at most 8 digits. => whether it is one */
static bool parse_hex(const char *text, size_t bytes, uint32_t *value)
{
	uint32_t sum = 0;

	if (bytes < 3 || bytes > 10 || text[0] != '0' || text[1] != 'x')
		return false;
	for (size_t i = 2; i < bytes; i++) {
		uint32_t digit = 0;

		if (text[i] >= '0' && text[i] <= '9')
			digit = (uint32_t)(text[i] - '0');
		else if (text[i] >= 'a' && text[i] <= 'f')
			digit = (uint32_t)(text[i] - 'a') + 10;
		else if (text[i] >= 'A' && text[i] <= 'F')
			digit = (uint32_t)(text[i] - 'A') + 10;
		else
			return false;
		sum = sum * 16 + digit;
	}
	*value = sum;
	return true;
}

/* The mask of one word of `bytes` bytes. => whether it is known */
static bool word_find(const char *text, size_t bytes, uint32_t *mask)
{
	for (size_t i = 0; i < ARRAY_LEN(gfp_words); i++) {
		const char *name = gfp_words[i].name;

		if (strlen(name) == bytes && memcmp(name, text, bytes) == 0) {
			*mask = gfp_words[i].mask;
			return true;
		}
	}
	if (bytes == 4 && memcmp(text, "none", 4) == 0) {
		*mask = 0;
		return true;
	}
	return parse_hex(text, bytes, mask);
}

int gfp_flags_parse(const char *text, uint32_t *gfp)
{
	uint32_t sum = 0;

	for (;;) { /* one word a round; the terminator ends it */
		uint32_t mask = 0;
		size_t bytes = strcspn(text, "|");

		if (!word_find(text, bytes, &mask))
			return -EINVAL;
		sum |= mask;
		if (text[bytes] == '\0')
			break;
		text += bytes + 1;
	}
	*gfp = sum;
	return 0;
}

const char *lru_list_name(uint64_t lru)
{
	static const char *const names[] = {
		"inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable",
	};

	return lru < ARRAY_LEN(names) ? names[lru] : "?";
}
