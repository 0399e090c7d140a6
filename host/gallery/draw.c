/*
 * draw.c: the frame of the figure and its first column, the stack.
 *
 *   | stack: tokens at the bottom, logits on top | one layer opened | parts and their sizes |
 */
#include "gallery/draw.h"

#include <string.h>

#include "explain/memory.h"
#include "explain/words.h"

enum { WIDTH = 800, MARGIN = 18, GAP = 10, STACK = 216, LAYER = 232 };

zoo_paint zoo_draw_paint(const zoo_arch_block *block)
{
    if (block->role == ZOO_ROLE_FFN) {
        return zoo_arch_number(block, "experts", 0) > 0 ? ZOO_PAINT_EXPERTS : ZOO_PAINT_FFN;
    }
    if (block->role == ZOO_ROLE_OTHER) {
        return ZOO_PAINT_PLAIN;
    }
    bool rows = block->n_streams == 0;
    for (uint32_t i = 0; i < block->n_streams; i++) {
        rows = rows || block->streams[i].decl.kind != ZOO_STATE;
    }
    bool window = zoo_arch_number(block, "window", 0) > 0 || zoo_arch_number(block, "chunk", 0) > 0;
    return !rows ? ZOO_PAINT_STATE : window ? ZOO_PAINT_WINDOW : ZOO_PAINT_ATTENTION;
}

/* n layers of one kind. */
typedef struct run {
    uint32_t layer, n;
} run;

enum { RUNS_MAX = 16 }; /* layers of a period */

static uint32_t runs_of(const zoo_arch *arch, uint32_t begin, uint32_t n, run *out)
{
    uint32_t n_runs = 0;
    for (uint32_t i = begin; i < begin + n;) {
        uint32_t end = i + 1;
        while (end < begin + n && arch->layers[end].kind == arch->layers[i].kind) {
            end++;
        }
        if (n_runs == RUNS_MAX) {
            out[RUNS_MAX - 1].n += end - i;
        } else {
            out[n_runs++] = (run){i, end - i};
        }
        i = end;
    }
    return n_runs;
}

static double run_height(const zoo_arch *arch, const run *r, double width)
{
    char text[ZOO_WORDS + 16];
    zoo_print(text, sizeof text, "%u x %s", r->n,
              zoo_say_layer(arch, &arch->layers[r->layer]).text);
    return 14 + zoo_svg_fill_height(width - 16, 12, text);
}

static double draw_run(zoo_svg *svg, const zoo_arch *arch, const run *r, zoo_rect at)
{
    const zoo_arch_layer *layer = &arch->layers[r->layer];
    const zoo_arch_block *mixer = zoo_arch_find(layer, ZOO_ROLE_MIXER);
    const zoo_arch_block *ffn = zoo_arch_find(layer, ZOO_ROLE_FFN);
    const zoo_arch_block *main = mixer ? mixer : ffn ? ffn : &layer->blocks[0];
    char text[ZOO_WORDS + 16];
    zoo_print(text, sizeof text, "%u x %s", r->n, zoo_say_layer(arch, layer).text);
    at.h = run_height(arch, r, at.w);
    zoo_svg_box(svg, at, zoo_draw_paint(main));
    (void)zoo_svg_fill(svg, at.x + 8, at.y + 18, at.w - 16, 12, text);
    return at.h;
}

typedef struct group {
    run runs[RUNS_MAX];
    uint32_t n_runs, turns;
} group;

static group group_of(const zoo_arch *arch, const zoo_arch_segment *segment)
{
    group g = {.turns = segment->period == 1 ? 1 : segment->n_times};
    uint32_t n = segment->period == 1 ? segment->n_times : segment->period;
    g.n_runs = runs_of(arch, segment->first, n, g.runs);
    return g;
}

static double group_height(const zoo_arch *arch, const group *g, double width)
{
    double h = g->turns > 1 ? 30 : 0;
    double inner = g->turns > 1 ? width - 16 : width;
    for (uint32_t i = 0; i < g->n_runs; i++) {
        h += run_height(arch, &g->runs[i], inner) + (i ? GAP : 0);
    }
    return h + (g->turns > 1 ? 8 : 0);
}

/* First layers at the bottom, as the data goes. */
static void draw_group(zoo_svg *svg, const zoo_arch *arch, const group *g, zoo_rect at)
{
    double x = at.x, w = at.w, y = at.y;
    if (g->turns > 1) {
        char text[64];
        zoo_svg_box(svg, at, ZOO_PAINT_GROUP);
        zoo_print(text, sizeof text, "%u times", g->turns);
        zoo_svg_text(svg, at.x + at.w / 2, at.y + 20, 13, "mb", text);
        x += 8;
        w -= 16;
        y += 30;
    }
    for (uint32_t i = g->n_runs; i-- > 0;) {
        double h = draw_run(svg, arch, &g->runs[i], (zoo_rect){x, y, w, 0});
        if (i) {
            zoo_svg_line(svg, x + w / 2, y + h + GAP, x + w / 2, y + h, true);
        }
        y += h + GAP;
    }
}

static double plain_box(zoo_svg *svg, zoo_rect at, zoo_paint paint, const char *text)
{
    at.h = 14 + zoo_svg_fill_height(at.w - 16, 12, text);
    zoo_svg_box(svg, at, paint);
    (void)zoo_svg_fill(svg, at.x + 8, at.y + 18, at.w - 16, 12, text);
    return at.h;
}

static double step_up(zoo_svg *svg, zoo_rect at, double y)
{
    zoo_svg_line(svg, at.x + at.w / 2, y + GAP + 4, at.x + at.w / 2, y, true);
    return y + GAP + 4;
}

static double draw_top(zoo_svg *svg, const zoo_arch *arch, zoo_rect at)
{
    const zoo_plan *plan = &arch->model.plan;
    char text[200];
    double y = at.y;
    uint32_t rows = plan->vocab_size;
    zoo_print(text, sizeof text, "head: %u logits%s", rows,
              plan->tied ? ", the embedding table" : "");
    y += plain_box(svg, (zoo_rect){at.x, y, at.w, 0}, ZOO_PAINT_EMBED, text);
    y = step_up(svg, at, y);
    y += plain_box(svg, (zoo_rect){at.x, y, at.w, 0}, ZOO_PAINT_NORM,
                   zoo_norm_name(plan->norm.kind));
    y = step_up(svg, at, y);
    for (uint32_t i = arch->n_epilogue; i-- > 0;) {
        y += plain_box(svg, (zoo_rect){at.x, y, at.w, 0}, ZOO_PAINT_PLAIN, arch->epilogue[i].kind);
        y = step_up(svg, at, y);
    }
    return y;
}

static double draw_bottom(zoo_svg *svg, const zoo_arch *arch, zoo_rect at)
{
    const zoo_plan *plan = &arch->model.plan;
    char text[200];
    double y = at.y;
    for (uint32_t i = arch->n_prologue; i-- > 0;) {
        y = step_up(svg, at, y);
        y += plain_box(svg, (zoo_rect){at.x, y, at.w, 0}, ZOO_PAINT_PLAIN, arch->prologue[i].kind);
    }
    y = step_up(svg, at, y);
    zoo_print(text, sizeof text, "embedding: %u rows of %u", plan->vocab_size,
              plan->embed_width ? plan->embed_width : plan->hidden_size);
    y += plain_box(svg, (zoo_rect){at.x, y, at.w, 0}, ZOO_PAINT_EMBED, text);
    y = step_up(svg, at, y);
    zoo_svg_text(svg, at.x + at.w / 2, y + 12, 12, "m", "tokens");
    return y + 18;
}

static double draw_stack(zoo_svg *svg, const zoo_arch *arch, zoo_rect column)
{
    double y = draw_top(svg, arch, column);
    for (uint32_t i = arch->n_segments; i-- > 0;) {
        group g = group_of(arch, &arch->segments[i]);
        double h = group_height(arch, &g, column.w);
        draw_group(svg, arch, &g, (zoo_rect){column.x, y, column.w, h});
        y += h;
        if (i) {
            y = step_up(svg, column, y);
        }
    }
    return draw_bottom(svg, arch, (zoo_rect){column.x, y, column.w, 0});
}

/* Returns where the columns begin. */
static double draw_head(zoo_svg *svg, const zoo_arch *arch)
{
    char text[4 * ZOO_WORDS];
    double most = (WIDTH - 2.0 * MARGIN) / zoo_svg_text_width(1, arch->name);
    zoo_svg_text(svg, MARGIN, 32, most < 22 ? most : 22, "sb", arch->name);
    zoo_arch_cost cost = zoo_arch_cost_at(arch, ZOO_BF16, 1);
    zoo_print(text, sizeof text,
              "%s parameters%s%s%s, %u layers, width %u; a position keeps %s in bf16%s",
              zoo_say_count((double)arch->params.total).text,
              arch->params.active < arch->params.total * 9 / 10 ? " (" : "",
              arch->params.active < arch->params.total * 9 / 10
                  ? zoo_say_count((double)arch->params.active).text
                  : "",
              arch->params.active < arch->params.total * 9 / 10 ? " for a token)" : "",
              arch->n_layers, arch->model.plan.hidden_size, zoo_say_bytes(cost.growing).text,
              cost.windows > 0 ? " until windows are full" : "");
    return 62 + zoo_svg_fill(svg, MARGIN, 52, WIDTH - 2 * MARGIN, 12, text);
}

void zoo_draw(const zoo_arch *arch, const zoo_draw_options *options, zoo_out *to)
{
    zoo_svg svg = {.width = WIDTH};
    double x1 = MARGIN + STACK + 26, x2 = x1 + LAYER + 26;
    double top = draw_head(&svg, arch);
    zoo_rect layer = {x1, top, LAYER, 0}, cards = {x2, top, WIDTH - MARGIN - x2, 0};
    double stack = draw_stack(&svg, arch, (zoo_rect){MARGIN, top, STACK, 0});
    zoo_rect below = layer;
    below.y = zoo_draw_layer(&svg, arch, layer) + 4;
    double bottoms[] = {stack, zoo_draw_cards(&svg, arch, cards, below, options->scale)};
    for (size_t i = 0; i < ZOO_COUNT(bottoms); i++) {
        svg.height = bottoms[i] > svg.height ? bottoms[i] : svg.height;
    }
    svg.height += MARGIN;
    zoo_svg_end(&svg, options->dark, arch->name, to);
    to->failed = to->failed || svg.out.failed;
    zoo_out_free(&svg.out);
}
