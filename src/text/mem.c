/*
 * Memory of the text layer.
 *
 * Parsers of files from elsewhere must not trust sizes, and must survive that
 * memory is out. Both are easier to get right and to test when all requests
 * pass through one function:
 *
 *     buf.c, doc.c, load.c ... -> text_mem_reserve() -> text_mem_resize() -> realloc()
 *
 * text_mem_resize() is weak, and alone in this file with its helper, so a test
 * that defines its own decides which request fails. free() needs no door.
 *
 * What must never happen: a size computation that wraps. Element counts are 32
 * bits and elements below 64 KiB, so a product fits 64 bits; the number of
 * elements itself is limited below 2^31.
 */
#include "text/mem.h"

#include <errno.h>
#include <stdlib.h>

#define ELEMENTS_FIRST 16u
#define ELEMENTS_MAX ((uint32_t)1 << 31)

__attribute__((weak)) void *text_mem_resize(void *old, size_t bytes)
{
	return realloc(old, bytes);
}

int text_mem_reserve(void **array, uint32_t *room, uint32_t need, size_t element_bytes)
{
	uint32_t grown = *room != 0 ? *room : ELEMENTS_FIRST;

	if (need <= *room)
		return 0;
	if (need > ELEMENTS_MAX)
		return -ENOMEM;
	while (grown < need)
		grown *= 2;
	void *moved = text_mem_resize(*array, grown * element_bytes);
	if (moved == NULL)
		return -ENOMEM;
	*array = moved;
	*room = grown;
	return 0;
}
