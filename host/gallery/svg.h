/*
 * svg.h: an SVG picture written piece by piece: boxes, lines and text in the colours of a palette.
 *
 * Colours are classes, so that one file serves light and dark: a browser follows the reader's
 * choice, another renderer gets the palette that was asked for. Text is text; its width is
 * estimated, generously, from the number of characters.
 */
#ifndef ZOO_EXPLAIN_SVG_H
#define ZOO_EXPLAIN_SVG_H

#include "base/json_writer.h"

typedef struct zoo_svg {
    zoo_out out; /* the pieces; the head is written by zoo_svg_end, which knows the size */
    double width, height;
} zoo_svg;

/* Fills of the palette: the class of a box. */
typedef enum zoo_paint {
    ZOO_PAINT_PLAIN = 0,
    ZOO_PAINT_ATTENTION = 1,
    ZOO_PAINT_WINDOW = 2,
    ZOO_PAINT_STATE = 3,
    ZOO_PAINT_FFN = 4,
    ZOO_PAINT_EXPERTS = 5,
    ZOO_PAINT_NORM = 6,
    ZOO_PAINT_CACHE = 7,
    ZOO_PAINT_EMBED = 8,
    ZOO_PAINT_GROUP = 9
} zoo_paint;

typedef struct zoo_rect {
    double x, y, w, h;
} zoo_rect;

void zoo_svg_box(zoo_svg *svg, zoo_rect at, zoo_paint paint);
void zoo_svg_line(zoo_svg *svg, double x0, double y0, double x1, double y1, bool arrow);
/* "s" start, "m" middle, "e" end; y is the base line. */
void zoo_svg_text(zoo_svg *svg, double x, double y, double size, const char *how, const char *text);
/* Breaks text into lines of at most `width`; y is the first base line. Returns the height used. */
double zoo_svg_fill(zoo_svg *svg, double x, double y, double width, double size, const char *text);
/* Height of the same without drawing. */
double zoo_svg_fill_height(double width, double size, const char *text);
/* Estimated width. */
double zoo_svg_text_width(double size, const char *text);
/* The whole file to `to`; dark: the palette for renderers that ignore prefers-color-scheme. */
void zoo_svg_end(const zoo_svg *svg, bool dark, const char *title, zoo_out *to);

#endif
