/*
 * Free pages against the marks, with the daemons' work below, as text or SVG.
 */
#ifndef NEAP_DIAG_GRAPH_H
#define NEAP_DIAG_GRAPH_H

#include "diag/paint.h"
#include "diag/series.h"

/* Appends the picture for a terminal. => 0, -ENODATA (less than two times), -ENOMEM */
MUST_CHECK int graph_print(const struct series *series, const struct paint *paint,
			   struct text_buf *out);
/* Appends an SVG document. => likewise */
MUST_CHECK int graph_svg(const struct series *series, struct text_buf *out);

#endif
