/* caches_chart.c: a panel for each context, a bar for each model: what is kept, and in it or beyond
 * it what a token reads. Bars of a panel are to one linear scale. */
#include <math.h>

#include "explain/memory.h"
#include "explain/words.h"
#include "gallery/draw.h"

enum { WIDTH = 800, MARGIN = 18, NAME = 236, VALUE = 190, ROW = 34, BAR = 12 };

static double most_of(const zoo_caches *c, double positions)
{
    double most = 1;
    for (uint32_t i = 0; i < c->n_archs; i++) {
        zoo_arch_cost cost = zoo_arch_cost_at(c->archs[i], ZOO_BF16, positions);
        most = fmax(most, fmax(cost.kept, cost.read));
    }
    return most;
}

static void draw_name(zoo_svg *svg, double y, const char *name)
{
    double size = NAME / fmax(zoo_svg_text_width(1, name), 1);
    zoo_svg_text(svg, MARGIN, y + 16, size < 12 ? size : 12, "s", name);
}

static void draw_row(zoo_svg *svg, const zoo_arch *arch, double positions, double most, double y)
{
    zoo_arch_cost cost = zoo_arch_cost_at(arch, ZOO_BF16, positions);
    double x = MARGIN + NAME + 10, w = WIDTH - x - VALUE - MARGIN;
    char text[200];
    draw_name(svg, y, arch->name);
    zoo_svg_box(svg, (zoo_rect){x, y + 2, fmax(w * cost.kept / most, 1), BAR}, ZOO_PAINT_CACHE);
    zoo_svg_box(svg, (zoo_rect){x, y + 2 + BAR, fmax(w * cost.read / most, 1), BAR},
                ZOO_PAINT_ATTENTION);
    zoo_print(text, sizeof text, "%.60s, reads %.60s", zoo_say_bytes(cost.kept).text,
              zoo_say_bytes(cost.read).text);
    zoo_svg_text(svg, WIDTH - MARGIN, y + 18, 12, "e", text);
}

void zoo_caches_chart(const zoo_caches *c, bool dark, zoo_out *to)
{
    zoo_svg svg = {.width = WIDTH};
    double y = 62;
    zoo_svg_text(&svg, MARGIN, 30, 18, "sb", "What a sequence keeps and a token reads, in bf16");
    zoo_svg_box(&svg, (zoo_rect){MARGIN, 42, 14, 12}, ZOO_PAINT_CACHE);
    zoo_svg_text(&svg, MARGIN + 20, 52, 12, "s", "kept");
    zoo_svg_box(&svg, (zoo_rect){MARGIN + 66, 42, 14, 12}, ZOO_PAINT_ATTENTION);
    zoo_svg_text(&svg, MARGIN + 86, 52, 12, "s", "read for one more token");
    for (uint32_t i = 0; i < c->n_contexts; i++) {
        char text[ZOO_WORDS];
        zoo_print(text, sizeof text, "%.40s positions", zoo_say_positions(c->contexts[i]).text);
        zoo_svg_text(&svg, MARGIN, y + 22, 13, "sb", text);
        y += 30;
        for (uint32_t k = 0; k < c->n_archs; k++) {
            draw_row(&svg, c->archs[k], c->contexts[i], most_of(c, c->contexts[i]), y);
            y += ROW;
        }
        y += 8;
    }
    svg.height = y + MARGIN;
    zoo_svg_end(&svg, dark, "What sequences keep", to);
    to->failed = to->failed || svg.out.failed;
    zoo_out_free(&svg.out);
}
