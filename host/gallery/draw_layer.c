/*
 * draw_layer.c: one layer opened: the residual stream as a line on the left, branches that leave
 * it, pass norm, block and norm, and are added back.
 */
#include <string.h>

#include "explain/words.h"
#include "gallery/draw.h"

enum { GAP = 12, NORM = 24, ADD = 18 };

static const zoo_arch_layer *main_layer(const zoo_arch *arch)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < arch->n_kinds; i++) {
        best = arch->kinds[i].n > arch->kinds[best].n ? i : best;
    }
    return &arch->layers[arch->kinds[best].first];
}

typedef struct pen {
    zoo_svg *svg;
    double x, w; /* of the boxes */
    double rail; /* x of the residual */
    double y;    /* grows downwards; the data goes up */
} pen;

static void box(pen *p, zoo_paint paint, const char *text, double least)
{
    double h = 12 + zoo_svg_fill_height(p->w - 14, 12, text);
    h = h > least ? h : least;
    double first = p->y + (h - zoo_svg_fill_height(p->w - 14, 12, text)) / 2 + 11.5;
    zoo_svg_box(p->svg, (zoo_rect){p->x, p->y, p->w, h}, paint);
    (void)zoo_svg_fill(p->svg, p->x + 7, first, p->w - 14, 12, text);
    p->y += h;
}

static void climb(pen *p)
{
    double x = p->x + p->w / 2;
    zoo_svg_line(p->svg, x, p->y + GAP, x, p->y, true);
    p->y += GAP;
}

static bool has(const zoo_norm *norm)
{
    return norm && norm->kind != ZOO_NORM_NONE;
}

/* The sum on the rail, with the branch coming in from the right. */
static void add_here(pen *p, double *from)
{
    double y = p->y + ADD / 2.0, x = p->x + p->w / 2;
    zoo_out_format(&p->svg->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"8\"/>\n", p->rail, y);
    zoo_svg_text(p->svg, p->rail, y + 4.5, 14, "m", "+");
    zoo_svg_line(p->svg, x, y, p->rail + 9, y, true);
    zoo_svg_line(p->svg, x, p->y + ADD + 4, x, y, false);
    zoo_svg_line(p->svg, p->rail, *from, p->rail, y - 9, false);
    *from = y + 9;
    p->y += ADD + 4;
}

/* From the rail into the branch, below its lowest box. */
static void leave_here(pen *p)
{
    double x = p->x + p->w / 2, y = p->y + GAP + 2;
    zoo_svg_line(p->svg, p->rail, y, x, y, false);
    zoo_svg_line(p->svg, x, y, x, p->y, true);
    p->y = y + 10;
}

static void draw_block(pen *p, const zoo_arch_block *b)
{
    zoo_words words = {""};
    if (b->role == ZOO_ROLE_MIXER) {
        words = zoo_say_mixer_name(b);
    } else if (b->role == ZOO_ROLE_FFN && zoo_arch_number(b, "experts", 0) > 0) {
        zoo_print(words.text, sizeof words.text, "%.0f experts, %.0f for a token",
                  zoo_arch_number(b, "experts", 0), zoo_arch_number(b, "experts_per_token", 0));
    } else if (b->role == ZOO_ROLE_FFN) {
        words = zoo_say_ffn(b);
    }
    box(p, zoo_draw_paint(b), *words.text ? words.text : b->kind, 38);
}

static void draw_branch(pen *p, const zoo_arch_layer *layer, const zoo_branch *branch,
                        uint32_t first, double *from)
{
    if (has(&branch->after)) {
        zoo_svg_line(p->svg, p->rail, *from, p->rail, p->y, false);
        zoo_svg_box(p->svg, (zoo_rect){p->rail - 20, p->y, 96, NORM}, ZOO_PAINT_NORM);
        zoo_svg_text(p->svg, p->rail + 28, p->y + 16, 12, "m", "norm");
        p->y += NORM;
        *from = p->y;
        p->y += 8;
    }
    add_here(p, from);
    if (has(&branch->post)) {
        box(p, ZOO_PAINT_NORM, zoo_norm_name(branch->post.kind), NORM);
        climb(p);
    }
    for (uint32_t i = branch->n_parts; i-- > 0;) {
        draw_block(p, &layer->blocks[first + i]);
        if (i) {
            zoo_svg_text(p->svg, p->x + p->w / 2, p->y + 12, 12, "mf", "beside it, added");
            p->y += 18;
        }
    }
    if (has(&branch->parts[0].norm)) {
        climb(p);
        box(p, ZOO_PAINT_NORM, zoo_norm_name(branch->parts[0].norm.kind), NORM);
    }
    leave_here(p);
}

static void draw_branches(pen *p, const zoo_arch_layer *layer, double *from)
{
    const zoo_layer *l = layer->layer;
    uint32_t first = layer->n_blocks;
    for (uint32_t i = l->n_branches; i-- > 0;) {
        first -= l->branches[i].n_parts;
        draw_branch(p, layer, &l->branches[i], first, from);
    }
}

/* A layer with its own block: its parts in order, within the frame that the block describes.
 * Returns where the residual begins. */
static double draw_own(pen *p, const zoo_arch_layer *layer, double *from)
{
    const zoo_arch_block *own = &layer->blocks[layer->n_blocks - 1];
    const char *residual = zoo_arch_text(own, "residual");
    bool sandwich = strstr(zoo_arch_norm_place(layer), "and after") != NULL;
    bool before = strstr(zoo_arch_norm_place(layer), "before") != NULL;
    for (uint32_t i = layer->n_blocks - 1; i-- > 0;) {
        const zoo_arch_block *b = &layer->blocks[i];
        if (b->role == ZOO_ROLE_OTHER) {
            continue;
        }
        add_here(p, from);
        if (sandwich) {
            box(p, ZOO_PAINT_NORM, "norm", NORM);
            climb(p);
        }
        draw_block(p, b);
        if (before) {
            climb(p);
            box(p, ZOO_PAINT_NORM, has(b->norm) ? zoo_norm_name(b->norm->kind) : "norm", NORM);
        }
        leave_here(p);
    }
    double end = p->y + 4;
    if (residual || strcmp(own->kind, own->ops) != 0) {
        char text[ZOO_WORDS];
        zoo_print(text, sizeof text, "%s%s%s", own->kind, residual ? ": " : "",
                  residual ? residual : "");
        p->y += 10;
        p->y += zoo_svg_fill(p->svg, p->rail - 8, p->y + 12, p->w + 30, 12, text);
    }
    return end;
}

double zoo_draw_layer(zoo_svg *svg, const zoo_arch *arch, zoo_rect column)
{
    const zoo_arch_layer *layer = main_layer(arch);
    pen p = {svg, column.x + 34, column.w - 42, column.x + 16, column.y};
    char text[ZOO_WORDS + 32];
    zoo_print(text, sizeof text, "One layer: %s", zoo_say_layer(arch, layer).text);
    double used = zoo_svg_fill(svg, column.x + 8, column.y + 20, column.w - 16, 12.5, text);
    p.y += used + 26;
    double top = p.y - 8, from = top, rail_end = 0;
    if (layer->layer->ops) {
        rail_end = draw_own(&p, layer, &from);
    } else {
        draw_branches(&p, layer, &from);
        rail_end = p.y + 4;
    }
    zoo_svg_line(svg, p.rail, from, p.rail, rail_end > from ? rail_end : from + 10, false);
    zoo_svg_line(svg, p.rail, top + 2, p.rail, top - 6, true);
    zoo_out_format(
        &svg->out,
        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"8\" fill=\"none\" "
        "stroke-dasharray=\"5 4\"/>\n",
        column.x, column.y, column.w, p.y + 10 - column.y);
    return p.y + 12;
}
