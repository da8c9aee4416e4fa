/* Opening what pages are kept in: hosts, swap areas and files of either runtime. */
#ifndef NEAP_API_STORE_H
#define NEAP_API_STORE_H

#include "api/api.h"
#include "api/costs.h"

/*
 * The host for the machine's runtime, and on a simulated one its two disks.
 * => 0 or negative errno
 */
int MUST_CHECK api_host_create(struct api_machine *a, const struct neap_config *config,
			       const struct costs *costs);
/* => every store is closed */
void api_host_destroy(struct api_machine *a);

/*
 * Opens a swap area and hands it to the engine. May sleep.
 * => 0 and *type, the engine's number of it, or a negative errno and a sentence
 */
int MUST_CHECK api_swap_open(struct task *t, struct api_machine *a, const struct config_swap *swap,
			     uint32_t *type);
/* => the engine's threads are stopped and nothing is in flight */
void api_swaps_close(struct api_machine *a);

/* What neap_file_open() was given, and what came of it. */
struct api_file_spec {
	const char *path; /* NULL: unnamed */
	uint64_t bytes;	  /* of a new file; out: its size */
	bool create;
	bool read_only;
	struct store *store; /* out: the outermost */
	struct store *inner; /* out */
	int fd;		     /* out: of a file with a name, else -1 */
	bool owns_fd;	     /* out: fd is not the store's */
};

/* => 0, or a negative errno and a sentence; nothing is left open then */
int MUST_CHECK api_store_open_file(struct api_machine *a, struct api_file_spec *spec);

#endif
