/*
 * Where pages go: the stores behind swap areas and files, for either runtime.
 *
 *                live                              simulated
 *   host         store/file (io_uring or plain)    store/model (virtual time)
 *   swap SIZE    unnamed temporary file            modelled disk, contents in memory
 *   swap FILE    that file or block device         modelled disk of its size
 *   file         real file                         modelled disk; with a path its
 *                                                  contents are that file's
 *
 * A simulated machine has a disk under all files and two for swap areas, each of which
 * says on which it lies, so that what shares a disk competes for it; their costs come
 * from the cost table, their throttles (swapiops, fsiops) from the machine's
 * description. Swap areas are opened in swap.c.
 *
 * With error injection every store is wrapped in store/fault, which is the one the
 * engine sees; the inner one is kept beside it for what only it can answer (its
 * descriptor, its swap header, loading past the cache).
 *
 * What must never happen: a store that is closed while the engine may still submit.
 * Swap stores are closed after the engine's threads are gone.
 *
 * Linux: mm/swapfile.c (swapon) for what is checked; here src/store does it.
 */
#include "api/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "store/fault.h"
#include "store/file.h"
#include "store/model.h"

#define SENTENCE_BYTES 512u
#define DISK_SEED_SWAP 1u
#define DISK_SEED_FILES 2u
#define DISK_SEED_STEP 2u /* of further swap disks */
/* What an explored run draws from. */
#define EXPLORE_STORE_SALT UINT64_C(0x5709e)
#define EXPLORE_PERMILLE 300u
#define EXPLORE_DELAY_NS (20 * NSEC_PER_MSEC)
#define EXPLORE_HOLD 8u

/* ---- the host ---- */

static int sim_disks_create(struct api_machine *a, const struct neap_config *config,
			    const struct costs *costs)
{
	struct store_device_cost swap = costs->swap;
	struct store_device_cost disk = costs->disk;
	int err = 0;

	if (config->has_pc && config->pc.swap_iops != 0)
		swap.iops = config->pc.swap_iops;
	if (config->has_pc && config->pc.fs_iops != 0)
		disk.iops = config->pc.fs_iops;
	for (uint32_t i = 0; i < CONFIG_SWAP_DISKS && err == 0; i++)
		err = store_model_device_create(&swap, costs->swap_rotational,
						config->seed + DISK_SEED_SWAP + i * DISK_SEED_STEP,
						&a->swap_disk[i]);
	if (err == 0)
		err = store_model_device_create(&disk, costs->disk_rotational,
						config->seed + DISK_SEED_FILES, &a->disk);
	return err;
}

/* A warning becomes the machine's sentence: the library itself prints nothing. */
static void host_warn(void *ctx, const char *message)
{
	(void)api_fail(ctx, 0, "%s.", message);
}

int api_host_create(struct api_machine *a, const struct neap_config *config,
		    const struct costs *costs)
{
	struct store_file_host_options options = {
		.no_uring = !config->uring,
		.warn = host_warn,
		.warn_ctx = a,
		.nr_slots = a->rt->nr_slots,
	};

	if (!a->sim)
		return store_file_host_create(a->hw, &options, &a->host);
	int err = store_model_host_create(a->hw, a->rt, &a->host);

	return err != 0 ? err : sim_disks_create(a, config, costs);
}

void api_host_destroy(struct api_machine *a)
{
	if (a->host != NULL)
		a->host->ops->destroy(a->host);
	for (uint32_t i = 0; i < CONFIG_SWAP_DISKS; i++)
		if (a->swap_disk[i] != NULL)
			store_model_device_destroy(a->swap_disk[i]);
	if (a->disk != NULL)
		store_model_device_destroy(a->disk);
}

/* ---- error injection ---- */

/* An explored run: submits are cut, completions come late or overtake each other. */
static void explore_rules(const struct api_machine *a, struct store_fault_spec *rules)
{
	struct rng rng;

	rng_seed(&rng, mix_u64(a->seed) ^ EXPLORE_STORE_SALT);
	rules->seed = rng_next(&rng);
	rules->short_permille = (uint32_t)rng_below(&rng, EXPLORE_PERMILLE);
	rules->delay_permille = (uint32_t)rng_below(&rng, EXPLORE_PERMILLE);
	rules->delay_ns = EXPLORE_DELAY_NS;
	rules->reorder_permille = (uint32_t)rng_below(&rng, EXPLORE_PERMILLE);
	rules->hold = 1 + (uint32_t)rng_below(&rng, EXPLORE_HOLD);
}

int api_store_wrap(struct api_machine *a, struct store **store, bool swap)
{
	struct store_fault_spec rules = { .seed = 1, .error = a->fault_error };

	if (!a->faults && !a->explore)
		return 0;
	if (a->explore)
		explore_rules(a, &rules);
	rules.read_permille = rules.write_permille = a->fault_permille;
	rules.nth_read = a->fault_nth[swap ? CONFIG_FAULT_SWAP_READ : CONFIG_FAULT_FILE_READ];
	rules.nth_write = a->fault_nth[swap ? CONFIG_FAULT_SWAP_WRITE : CONFIG_FAULT_FILE_WRITE];
	return store_fault_wrap(*store, &rules, store);
}

int api_store_inject(struct api_machine *a, struct task *t, enum config_fault kind,
		     struct api_fault fault)
{
	bool swap = kind == CONFIG_FAULT_SWAP_READ || kind == CONFIG_FAULT_SWAP_WRITE;
	bool read = kind == CONFIG_FAULT_SWAP_READ || kind == CONFIG_FAULT_FILE_READ;
	enum store_op op = read ? STORE_READ : STORE_WRITE;
	int error = fault.error > 0 ? -fault.error : fault.error;

	if (swap) {
		for (uint32_t i = 0; i < NEAP_MAX_SWAPS; i++)
			if (a->swap[i].store != NULL)
				store_fault_arm(a->swap[i].store, t, op, fault.nth, error);
		return 0;
	}
	/* The list is walked without the guard: arming takes a lock of the engine's kind. */
	for (struct api_link *link = a->files.next; link != &a->files; link = link->next)
		store_fault_arm(container_of(link, struct neap_file, link)->store, t, op, fault.nth,
				error);
	return 0;
}

/* ---- files ---- */

static int file_open_live(struct api_machine *a, struct api_file_spec *spec)
{
	char why[SENTENCE_BYTES];
	struct store_file_spec file = {
		.path = spec->path,
		.dir = a->tmp,
		.pages = (spec->bytes + NEAP_PAGE_BYTES - 1) >> NEAP_PAGE_SHIFT,
		.create = spec->create,
		.read_only = spec->read_only,
		.keep = true,
	};
	struct stat status;
	int err = store_file_open(a->host, &file, why, sizeof(why), &spec->inner);

	if (err != 0)
		return api_fail(a, err, "%s.", why);
	if (spec->path == NULL)
		return 0;
	spec->fd = store_file_fd(spec->inner);
	if (spec->create)
		err = ftruncate(spec->fd, (off_t)spec->bytes) != 0 ? -errno : 0;
	else if (fstat(spec->fd, &status) != 0)
		err = -errno;
	else if (S_ISREG(status.st_mode))
		spec->bytes = (uint64_t)status.st_size;
	else
		spec->bytes = (uint64_t)lseek(spec->fd, 0, SEEK_END);
	if (err != 0) {
		spec->inner->ops->close(spec->inner);
		return api_fail(a, err, "%s: %s.", spec->path, strerror(-err));
	}
	return 0;
}

/* Opens or makes the file whose bytes a modelled disk shows. => 0 or negative errno */
static int sim_open_path(struct api_file_spec *spec)
{
	int flags = spec->create ? O_RDWR | O_CREAT | O_EXCL : spec->read_only ? O_RDONLY : O_RDWR;
	struct stat status;
	int err = 0;

	spec->fd = open(spec->path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (spec->fd < 0)
		return -errno;
	if (spec->create && ftruncate(spec->fd, (off_t)spec->bytes) != 0)
		err = -errno;
	if (err == 0 && fstat(spec->fd, &status) != 0)
		err = -errno;
	if (err == 0 && !S_ISREG(status.st_mode))
		err = -EINVAL;
	if (err != 0) {
		(void)close(spec->fd); /* the error is the earlier one */
		return err;
	}
	spec->owns_fd = true;
	spec->bytes = (uint64_t)status.st_size;
	return 0;
}

static int file_open_sim(struct api_machine *a, struct api_file_spec *spec)
{
	struct store_model_spec model = { .device = a->disk, .backing_path = spec->path };
	int err = 0;

	if (spec->path != NULL && a->tags)
		return api_fail(a, -ENOTSUP,
				"%s: a machine of tags cannot hold a file's bytes; simulate it with"
				" real contents.",
				spec->path);
	if (spec->path != NULL)
		err = sim_open_path(spec);
	if (err == 0) {
		model.pages = (spec->bytes + NEAP_PAGE_BYTES - 1) >> NEAP_PAGE_SHIFT;
		err = store_model_open(a->host, &model, &spec->inner);
		if (err != 0 && spec->owns_fd)
			(void)close(spec->fd); /* the error is the earlier one */
	}
	if (err != 0)
		return api_fail(a, err, "%s: %s.", spec->path != NULL ? spec->path : "The file",
				strerror(-err));
	return 0;
}

int api_store_open_file(struct api_machine *a, struct api_file_spec *spec)
{
	int err;

	spec->fd = -1;
	spec->owns_fd = false;
	if (spec->create && spec->path == NULL)
		spec->create = false;
	err = a->sim ? file_open_sim(a, spec) : file_open_live(a, spec);
	if (err != 0)
		return err;
	spec->store = spec->inner;
	err = api_store_wrap(a, &spec->store, false);
	if (err != 0) {
		spec->inner->ops->close(spec->inner);
		if (spec->owns_fd)
			(void)close(spec->fd); /* nothing was written through it */
		return api_fail(a, err, "There is no memory to open the file.");
	}
	return 0;
}
