/*
 * A page's contents as arithmetic.
 *
 *     word i of a new page   base + i * STEP      base: a mix of (object, page)
 *     word a                 STAMP0               a = 0..255 and b = 256..511
 *     word b                 STAMP1               chosen by the same mix
 *
 * `fill` makes pages for compressors instead: `random` continues a generator
 * seeded with the page over all words, `text` repeats one word (as the player that
 * recorded the kernel does), `half` is random in the first half and text in the
 * second.
 *
 * Any word can be computed without the others for the pattern, which makes the
 * comparison a loop without branches; the generator of the others goes forward
 * only, so that comparison follows it.
 *
 * verify_page_content() goes the other way: it looks for a stamp in a page that is
 * not what it should be. A word that decodes to an (object, page) whose own place
 * for STAMP0 is exactly that word is one.
 *
 * What must never happen: two different (object, page, version) with equal stamps.
 * Object has 16 bits, page 32, version 32 in STAMP1; in a tag 12, 32 and 20, so a
 * tag repeats after a million writes of one page.
 */
#include "job/verify_page.h"

#include <string.h>

#include "base/rng.h"

#define WORDS 512u
#define HALF 256u
#define STEP 0x9E3779B97F4A7C15u
#define STAMP_MIX 0xA5C3F00D5EED1234u
#define TEXT_WORD 0x2020202020202020u

static uint64_t page_base(const struct stamp *stamp)
{
	return mix_u64(((uint64_t)stamp->object << 32 | stamp->page) + STEP);
}

static uint32_t place_low(uint64_t base)
{
	return (uint32_t)(base & (HALF - 1));
}

static uint32_t place_high(uint64_t base)
{
	return HALF + (uint32_t)((base >> 8) & (HALF - 1));
}

static uint64_t stamp_low(const struct stamp *stamp)
{
	return STAMP_MIX ^ ((uint64_t)stamp->object << 48 | (uint64_t)stamp->page << 16 |
			    (stamp->version & 0xffff));
}

static uint64_t stamp_high(const struct stamp *stamp, uint64_t base)
{
	uint64_t check = mix_u64(base ^ stamp->version) >> 32;

	return check << 32 | stamp->version;
}

/* A generator of a page's words from first to last. */
struct filler {
	enum job_fill fill;
	uint64_t pattern;
	uint64_t text;
	struct rng rng;
};

static struct filler filler_start(const struct stamp *stamp, uint64_t base)
{
	return (struct filler){
		.fill = stamp->fill,
		.pattern = base,
		.text = TEXT_WORD + (stamp->page & 63),
		.rng = { .state = base | 1 },
	};
}

static uint64_t filler_next(struct filler *filler, uint32_t word)
{
	uint64_t pattern = filler->pattern;

	switch (filler->fill) {
	case JOB_FILL_RANDOM:
		return rng_next(&filler->rng);
	case JOB_FILL_HALF:
		return word < HALF ? rng_next(&filler->rng) : filler->text;
	case JOB_FILL_TEXT:
		return filler->text;
	case JOB_FILL_PATTERN:
		break;
	}
	filler->pattern += STEP;
	return pattern;
}

void verify_page_fill(void *data, const struct stamp *stamp)
{
	uint64_t *words = data;
	uint64_t base = page_base(stamp);
	struct filler filler = filler_start(stamp, base);

	if (stamp->fill == JOB_FILL_PATTERN) {
		for (uint32_t i = 0; i < WORDS; i++)
			words[i] = base + i * STEP;
	} else {
		for (uint32_t i = 0; i < WORDS; i++)
			words[i] = filler_next(&filler, i);
	}
	verify_page_stamp(data, stamp);
}

void verify_page_stamp(void *data, const struct stamp *stamp)
{
	uint64_t *words = data;
	uint64_t base = page_base(stamp);

	words[place_low(base)] = stamp_low(stamp);
	words[place_high(base)] = stamp_high(stamp, base);
}

bool verify_page_is_stamped(const void *data, const struct stamp *stamp)
{
	const uint64_t *words = data;
	uint64_t base = page_base(stamp);
	uint64_t low = words[place_low(base)];
	uint64_t high = words[place_high(base)];

	if (stamp->version == 0)
		return (low | high) == 0;
	return low == stamp_low(stamp) && high == stamp_high(stamp, base);
}

/* => 0 if words from..to-1 are those of the pattern */
static uint64_t pattern_differs(const uint64_t *words, uint32_t from, uint32_t to, uint64_t base)
{
	uint64_t differs = 0;

	for (uint32_t i = from; i < to; i++)
		differs |= words[i] ^ (base + i * STEP);
	return differs;
}

static bool page_is_pattern(const uint64_t *words, const struct stamp *stamp)
{
	uint64_t base = page_base(stamp);
	uint32_t a = place_low(base);
	uint32_t b = place_high(base);

	return words[a] == stamp_low(stamp) && words[b] == stamp_high(stamp, base) &&
	       (pattern_differs(words, 0, a, base) | pattern_differs(words, a + 1, b, base) |
		pattern_differs(words, b + 1, WORDS, base)) == 0;
}

struct verify_difference verify_page_compare(const void *data, const struct stamp *stamp)
{
	const uint64_t *words = data;
	uint64_t base = page_base(stamp);
	struct filler filler = filler_start(stamp, base);

	for (uint32_t i = 0; i < WORDS; i++) {
		uint64_t expected = filler_next(&filler, i);

		if (stamp->version == 0)
			expected = 0;
		else if (i == place_low(base))
			expected = stamp_low(stamp);
		else if (i == place_high(base))
			expected = stamp_high(stamp, base);
		if (words[i] != expected)
			return (struct verify_difference){ i, expected, words[i] };
	}
	return (struct verify_difference){ .word = WORDS };
}

static bool page_is_zero(const uint64_t *words)
{
	uint64_t any = 0;

	for (uint32_t i = 0; i < WORDS; i++)
		any |= words[i];
	return any == 0;
}

bool verify_page_is(const void *data, const struct stamp *stamp)
{
	if (stamp->version == 0)
		return page_is_zero(data);
	if (stamp->fill == JOB_FILL_PATTERN)
		return page_is_pattern(data, stamp);
	return verify_page_compare(data, stamp).word == WORDS;
}

enum verify_content verify_page_content(const void *data, struct stamp *found)
{
	const uint64_t *words = data;

	if (page_is_zero(words))
		return VERIFY_CONTENT_ZERO;
	for (uint32_t i = 0; i < HALF; i++) {
		uint64_t bits = words[i] ^ STAMP_MIX;
		struct stamp stamp = {
			.object = (uint32_t)(bits >> 48),
			.page = (uint32_t)(bits >> 16),
		};
		uint64_t base = page_base(&stamp);
		uint64_t high = words[place_high(base)];

		if (stamp.object == 0 || place_low(base) != i)
			continue;
		stamp.version = (uint32_t)high;
		if (high == stamp_high(&stamp, base) && words[i] == stamp_low(&stamp)) {
			*found = stamp;
			return VERIFY_CONTENT_STAMPED;
		}
		/*
		 * A single word may look like a stamp by chance (1 in 2^24): the fill must agree.
		 */
		if (words[(i + 1) % HALF] == base + ((i + 1) % HALF) * STEP) {
			stamp.version = (uint32_t)(bits & 0xffff);
			*found = stamp;
			return VERIFY_CONTENT_TORN;
		}
	}
	return VERIFY_CONTENT_FOREIGN;
}

uint64_t verify_page_tag(const struct stamp *stamp)
{
	if (stamp->version == 0)
		return 0;
	return (uint64_t)(stamp->object & 0xfff) << 52 | (uint64_t)stamp->page << 20 |
	       (stamp->version & 0xfffff);
}

struct verify_difference verify_page_tag_compare(uint64_t tag, const struct stamp *stamp)
{
	return (struct verify_difference){ 0, verify_page_tag(stamp), tag };
}

enum verify_content verify_page_tag_content(uint64_t tag, struct stamp *found)
{
	if (tag == 0)
		return VERIFY_CONTENT_ZERO;
	*found = (struct stamp){
		.object = (uint32_t)(tag >> 52),
		.page = (uint32_t)(tag >> 20),
		.version = (uint32_t)(tag & 0xfffff),
	};
	return VERIFY_CONTENT_STAMPED;
}

uint32_t verify_page_hash(const void *data, size_t bytes)
{
	const uint8_t *at = data;
	uint64_t lane[4] = { bytes, STEP, STAMP_MIX, TEXT_WORD };
	uint64_t word = 0;
	size_t nr_words = bytes / 8;

	for (size_t i = 0; i < nr_words; i++) {
		memcpy(&word, at + 8 * i, 8);
		lane[i % 4] = (lane[i % 4] ^ word) * STEP;
		lane[i % 4] ^= lane[i % 4] >> 29;
	}
	word = 0;
	memcpy(&word, at + 8 * nr_words, bytes % 8);
	return (uint32_t)(mix_u64(lane[0] ^
				  mix_u64(lane[1] ^ mix_u64(lane[2] ^ mix_u64(lane[3] ^ word)))) >>
			  16);
}
