/*
 * Fuzz target: writes to the knobs.
 *
 *     PATH newline TEXT ──> knobs_write() ──> refused: nothing has changed
 *                                        ──> taken: read, taken over again, the same value
 *
 * A PATH of one byte stands for the file of that number, so that the fuzzer need not find
 * names. The text comes in a block of exactly its size and is not terminated, so the address
 * sanitizer sees a read of one byte too many. The same text is also taken for a saved value.
 *
 * What must never happen: a crash, more bytes consumed than given, or a refused write that
 * changed something.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/knobs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* The file that the first bytes name. => to be freed */
static char *take_path(const uint8_t *data, size_t bytes)
{
	uint32_t nr = 0;
	const char *name = (const char *)data;

	while (knobs_path(nr) != NULL)
		nr++;
	if (bytes == 1) {
		name = knobs_path(data[0] % nr);
		bytes = strlen(name);
	}
	char *path = malloc(bytes + 1);

	CHECK(path != NULL);
	memcpy(path, name, bytes);
	path[bytes] = '\0';
	for (char *star = strchr(path, '*'); star != NULL; star = strchr(path, '*'))
		*star = '0';
	return path;
}

static void check_value(const struct knobs *k, const char *path)
{
	char text[KNOBS_TEXT_BYTES];
	struct knobs again;
	int64_t length = knobs_read(k, path, text, sizeof(text));

	CHECK(length < (int64_t)sizeof(text) && length != -ERANGE && length != -ENOENT);
	if (length <= 0)
		return;
	knobs_copy(&again, k);
	CHECK(knobs_parse(&again, path, text, (size_t)length) == 0);
	CHECK(knobs_equal(&again, k));
}

static void use(const char *path, const char *text, size_t bytes)
{
	struct knob_effects effects;
	struct knobs k, before;

	knobs_init(&k);
	knobs_copy(&before, &k);
	int64_t result = knobs_write(&k, path, text, bytes, &effects);

	CHECK(result <= (int64_t)bytes);
	if (result < 0) {
		CHECK(effects.what == 0 && knobs_equal(&before, &k));
	} else {
		check_value(&k, path);
		(void)knobs_read_effects(path);
	}
	/* As a saved value: into a copy, for it may be out of range. */
	if (knobs_parse(&before, path, text, bytes) == 0)
		check_value(&before, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const uint8_t *newline = bytes != 0 ? memchr(data, '\n', bytes) : NULL;
	size_t path_bytes = newline != NULL ? (size_t)(newline - data) : bytes;
	size_t text_bytes = newline != NULL ? bytes - path_bytes - 1 : 0;
	char *path = take_path(data, path_bytes);
	char *text = malloc(text_bytes);

	CHECK(text != NULL || text_bytes == 0);
	if (text_bytes != 0)
		memcpy(text, newline + 1, text_bytes);
	use(path, text, text_bytes);
	free(path);
	free(text);
	return 0;
}
