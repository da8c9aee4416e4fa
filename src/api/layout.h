/* From a configuration to what machine_build() wants: nodes, zones, frames. */
#ifndef NEAP_API_LAYOUT_H
#define NEAP_API_LAYOUT_H

#include "api/config.h"
#include "core/machine.h"

/*
 * Fills *desc (any contents) from the memory part of the configuration.
 * => 0, or -EINVAL with a sentence in config->error
 */
int MUST_CHECK layout_make(struct neap_config *config, struct machine_desc *desc);

/* The highest frame number of a description, plus one. */
uint32_t layout_max_pfn(const struct machine_desc *desc);

#endif
