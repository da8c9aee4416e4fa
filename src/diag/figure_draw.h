/*
 * Private to figure*.c: the drawings.
 */
#ifndef NEAP_DIAG_FIGURE_DRAW_H
#define NEAP_DIAG_FIGURE_DRAW_H

#include "diag/canvas.h"
#include "diag/figure.h"

/* => the fact of that name; 0 if the run has none */
uint64_t figure_fact(const struct figure_facts *facts, const char *name);

void figure_draw_call_path(const struct figure_facts *facts, struct canvas *canvas);
void figure_draw_kswapd(const struct figure_facts *facts, struct canvas *canvas);
void figure_draw_nap(const struct figure_facts *facts, struct canvas *canvas);
void figure_draw_balance(const struct figure_facts *facts, struct canvas *canvas);
void figure_draw_kcompactd(const struct figure_facts *facts, struct canvas *canvas);
void figure_draw_layers(const struct figure_facts *facts, struct canvas *canvas);
void figure_draw_scanners(const struct figure_facts *facts, struct canvas *canvas);

#endif
