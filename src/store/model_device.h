/* When a modelled device finishes a request: a queue in virtual time. */
#ifndef NEAP_STORE_MODEL_DEVICE_H
#define NEAP_STORE_MODEL_DEVICE_H

#include "base/base.h"
#include "base/rng.h"

#define MODEL_DEPTH_MAX 256u

/* What a request costs. A field that is 0 costs nothing; depth 0 means 1. */
struct store_device_cost {
	uint64_t latency_ns;	  /* of each request, whatever its size */
	uint32_t depth;		  /* requests served at once, at most MODEL_DEPTH_MAX */
	uint32_t jitter_permille; /* the latency varies by up to so much either way, at most 1000 */
	uint64_t iops;		  /* throttle: requests per second; 0 = no throttle */
	uint64_t iops_burst;	  /* requests that may start ahead of the throttle's pace */
	uint64_t bytes_per_s;	  /* of all requests together; 0 = transfers take no time */
	uint64_t seek_ns;	  /* rotational: added when a request is not adjacent to the last */
	uint64_t written_host_ns; /* of an emulator's processor, for each page written */
};

/* A device; several stores may share one. Belongs to the virtual clock: no locks. */
struct store_model_device;

int MUST_CHECK store_model_device_create(const struct store_device_cost *cost, bool rotational,
					 uint64_t seed, struct store_model_device **out);
/* => no store uses it */
void store_model_device_destroy(struct store_model_device *device);

/* ---- for store/model only ---- */

/* A place on the device for one more store. => its number */
uint32_t model_device_attach(struct store_model_device *device);
void model_device_detach(struct store_model_device *device);
bool model_device_rotational(const struct store_model_device *device);

/*
 * Accepts a request for nr pages at page `first` of store number `area` at time now_ns.
 * => the time at which it is finished
 */
uint64_t model_device_serve(struct store_model_device *device, uint64_t now_ns, uint32_t area,
			    uint64_t first, uint32_t nr);

/* How long the processor that does this device's work is busy with writing nr pages. */
uint64_t model_device_host_ns(const struct store_model_device *device, uint32_t nr);

/* The time at which everything accepted so far is finished, and a cache flush too. */
uint64_t model_device_flush(struct store_model_device *device, uint64_t now_ns);

#endif
