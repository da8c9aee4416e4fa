/*
 * The one door through which src/text gets memory. Tests replace it (the
 * definition is weak) to refuse the Nth request and see every failure path.
 */
#ifndef NEAP_TEXT_MEM_H
#define NEAP_TEXT_MEM_H

#include "base/base.h"

/*
 * As realloc(); `old` may be NULL, bytes must not be 0.
 * => returns NULL, and leaves `old` as it was, when memory is out
 */
MUST_CHECK void *text_mem_resize(void *old, size_t bytes);

/*
 * Makes room for `need` elements in the array *array, which has *room of them:
 * grows to the next power of two, so that appending costs a constant.
 * => 0, or -ENOMEM with array and room unchanged
 */
MUST_CHECK int text_mem_reserve(void **array, uint32_t *room, uint32_t need, size_t element_bytes);

#endif
