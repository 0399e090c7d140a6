/*
 * draw.h: the figure of an architecture: the stack with its repeating groups, one layer opened,
 * mixers and feed-forward parts with their sizes, and what they keep.
 */
#ifndef ZOO_EXPLAIN_DRAW_H
#define ZOO_EXPLAIN_DRAW_H

#include "explain/arch.h"
#include "explain/caches.h"
#include "gallery/svg.h"

typedef struct zoo_draw_options {
    bool dark;  /* palette for renderers that ignore prefers-color-scheme */
    bool scale; /* bars of widths and caches, to scale */
} zoo_draw_options;

/* The whole SVG file to `to`. */
void zoo_draw(const zoo_arch *arch, const zoo_draw_options *options, zoo_out *to);

/* Bars of what is kept and read at each context. caches_chart.c */
void zoo_caches_chart(const zoo_caches *caches, bool dark, zoo_out *to);

/* draw_cards.c: cards of the mixers and feed-forward parts, each in the column that is shorter so
 * far; returns the bottom of the longer. */
double zoo_draw_cards(zoo_svg *svg, const zoo_arch *arch, zoo_rect column, zoo_rect other,
                      bool scale);
/* draw_layer.c: the layer that most of the stack is made of, opened; returns the bottom. */
double zoo_draw_layer(zoo_svg *svg, const zoo_arch *arch, zoo_rect column);
/* The colour of a block. */
zoo_paint zoo_draw_paint(const zoo_arch_block *block);

#endif
