/*
 * When a modelled device finishes a request.
 *
 *      accepted        starts               positioned          finished
 *         |  waiting     |  latency, seek      |  transfer         |
 *         +--------------+---------------------+-------------------+--> time
 *       queue: FIFO    one of `depth`      several at once      one at a time
 *                      servers is free,                         (the bus)
 *                      throttle allows
 *
 * The finish of a request follows from the requests accepted before it and from
 * nothing else, so it is computed at once when the request comes in, and the queue
 * is never stored: it consists of the time at which each server becomes free, the
 * time at which the bus becomes free, and the pace of the throttle.
 *
 * The throttle is a leaky bucket, kept as the time at which the next request is
 * due at the agreed rate: a request may start up to `burst` intervals before it is
 * due. Burst 0 spaces requests evenly. (QEMU's iops limit, with which the golden
 * runs throttled their disks, lets a tenth of a second's worth through: burst =
 * iops / 10.)
 *
 * A rotational device adds a seek to a request that does not continue where the
 * last accepted one ended. Areas of one device are far apart.
 *
 * Jitter comes from the device's own seeded generator, one draw a request, so the
 * same requests at the same times finish at the same times. Simulated CPUs are not
 * exactly in step: a request may be accepted at a time slightly before that of the
 * one before it. It is still served after it.
 *
 * What must never happen: a finish before the acceptance; a server that serves two.
 */
#include "store/model_device.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"

struct store_model_device {
	struct store_device_cost cost;
	bool rotational;
	struct rng rng;
	uint32_t nr_servers;
	uint32_t nr_users;
	uint32_t next_area;
	uint32_t head_area; /* where the last request ended */
	uint64_t head_page;
	uint64_t bus_free_ns;
	uint64_t due_ns;			  /* of the next request, at the throttle's rate */
	uint64_t page_ns;			  /* transfer of one page, in whole ns */
	uint32_t first_server;			  /* whose time is the earliest */
	uint64_t server_free_ns[MODEL_DEPTH_MAX]; /* a ring of nr_servers, in order of time */
};

static uint64_t transfer_compute(const struct store_device_cost *cost, uint32_t nr)
{
	unsigned __int128 bytes = (uint64_t)nr << NEAP_PAGE_SHIFT;

	return cost->bytes_per_s != 0 ? (uint64_t)(bytes * NSEC_PER_SEC / cost->bytes_per_s) : 0;
}

int store_model_device_create(const struct store_device_cost *cost, bool rotational, uint64_t seed,
			      struct store_model_device **out)
{
	struct store_model_device *device;

	if (cost->depth > MODEL_DEPTH_MAX || cost->jitter_permille > 1000 ||
	    cost->iops > NSEC_PER_SEC)
		return -EINVAL;
	device = calloc(1, sizeof(*device));
	if (device == NULL)
		return -ENOMEM;
	device->cost = *cost;
	device->rotational = rotational;
	device->nr_servers = max_u32(cost->depth, 1);
	device->page_ns = transfer_compute(cost, 1);
	rng_seed(&device->rng, seed);
	*out = device;
	return 0;
}

void store_model_device_destroy(struct store_model_device *device)
{
	CHECK(device->nr_users == 0);
	free(device);
}

uint32_t model_device_attach(struct store_model_device *device)
{
	device->nr_users++;
	return device->next_area++;
}

void model_device_detach(struct store_model_device *device)
{
	CHECK(device->nr_users > 0);
	device->nr_users--;
}

bool model_device_rotational(const struct store_model_device *device)
{
	return device->rotational;
}

/*
 * The server that is free first is busy until at_ns now. It becomes the last of the ring, and goes
 * forward past those that are busy for longer: few, as jitter is small.
 */
static void server_take(struct store_model_device *device, uint64_t at_ns)
{
	uint64_t *free_ns = device->server_free_ns;
	uint32_t nr = device->nr_servers;
	uint32_t at = device->first_server;

	device->first_server = at + 1 < nr ? at + 1 : 0;
	for (uint32_t i = 1; i < nr; i++) {
		uint32_t before = at != 0 ? at - 1 : nr - 1;

		if (free_ns[before] <= at_ns)
			break;
		free_ns[at] = free_ns[before];
		at = before;
	}
	free_ns[at] = at_ns;
}

/* The earliest time at or after start_ns that the throttle allows; takes one request from it. */
static uint64_t throttle_pass(struct store_model_device *device, uint64_t start_ns)
{
	const struct store_device_cost *cost = &device->cost;
	uint64_t interval_ns;
	uint64_t ahead_ns;

	if (cost->iops == 0)
		return start_ns;
	interval_ns = NSEC_PER_SEC / cost->iops;
	ahead_ns = cost->iops_burst * interval_ns;
	if (device->due_ns > ahead_ns)
		start_ns = max_u64(start_ns, device->due_ns - ahead_ns);
	device->due_ns = max_u64(device->due_ns, start_ns) + interval_ns;
	return start_ns;
}

/* The latency of one request with jitter: evenly between -j and +j permille. */
static uint64_t latency_draw(struct store_model_device *device)
{
	uint64_t latency_ns = device->cost.latency_ns;
	uint64_t jitter = device->cost.jitter_permille;

	if (jitter == 0)
		return latency_ns;
	uint64_t permille = 1000 - jitter + rng_below(&device->rng, 2 * jitter + 1);
	if (likely(latency_ns <= UINT64_MAX / 2000))
		return latency_ns * permille / 1000;
	return (uint64_t)((unsigned __int128)latency_ns * permille / 1000);
}

static uint64_t transfer_time(const struct store_model_device *device, uint32_t nr)
{
	return nr == 1 ? device->page_ns : transfer_compute(&device->cost, nr);
}

uint64_t model_device_serve(struct store_model_device *device, uint64_t now_ns, uint32_t area,
			    uint64_t first, uint32_t nr)
{
	uint64_t at_ns = throttle_pass(
		device, max_u64(now_ns, device->server_free_ns[device->first_server]));
	uint64_t transfer_ns = transfer_time(device, nr);

	at_ns += latency_draw(device);
	if (device->rotational && (area != device->head_area || first != device->head_page))
		at_ns += device->cost.seek_ns;
	if (transfer_ns != 0) {
		at_ns = max_u64(at_ns, device->bus_free_ns) + transfer_ns;
		device->bus_free_ns = at_ns;
	}
	server_take(device, at_ns);
	device->head_area = area;
	device->head_page = first + nr;
	DCHECK(at_ns >= now_ns);
	return at_ns;
}

uint64_t model_device_host_ns(const struct store_model_device *device, uint32_t nr)
{
	return nr * device->cost.written_host_ns;
}

uint64_t model_device_flush(struct store_model_device *device, uint64_t now_ns)
{
	uint64_t last_ns = now_ns;

	for (uint32_t i = 0; i < device->nr_servers; i++)
		last_ns = max_u64(last_ns, device->server_free_ns[i]);
	return last_ns + device->cost.latency_ns;
}
