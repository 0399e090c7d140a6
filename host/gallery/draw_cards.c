/* draw_cards.c: the third column: a card for each mixer and feed-forward part, with its sizes and
 * what it keeps. */
#include <math.h>
#include <string.h>

#include "explain/memory.h"
#include "explain/words.h"
#include "gallery/draw.h"

enum { LINES_MAX = 24, PAD = 9, CARDS_MAX = 6, SQUARES = 32 };

typedef struct card_line {
    char text[ZOO_WORDS];
    double number; /* for a bar; 0: none */
} card_line;

typedef struct card {
    const zoo_arch_block *block;
    uint32_t n_layers;
    char title[ZOO_WORDS];
    card_line lines[LINES_MAX];
    uint32_t n_lines;
    card_line caches[ZOO_STREAMS_MAX];
    uint32_t n_caches;
} card;

static double number(const zoo_arch_block *b, const char *name)
{
    return zoo_arch_number(b, name, 0);
}

static void line(card *c, double bar, const char *format, ...) ZOO_PRINTF(3, 4);

static void line(card *c, double bar, const char *format, ...)
{
    if (c->n_lines == LINES_MAX) {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(c->lines[c->n_lines].text, ZOO_WORDS, format, args);
    va_end(args);
    c->lines[c->n_lines++].number = bar;
}

static void heads_line(card *c, const char *what, double heads, double dim)
{
    line(c, heads * dim, "%s: %.0f x %.0f = %.0f", what, heads, dim, heads * dim);
}

/* Whether a row is key and value at once. */
static bool keeps_one(const zoo_arch_block *b)
{
    for (uint32_t i = 0; i < b->n_streams; i++) {
        if (strcmp(b->streams[i].decl.name, "kv") == 0 && b->streams[i].decl.kind != ZOO_STATE) {
            return true;
        }
    }
    return false;
}

static void mixer_sizes(card *c)
{
    const zoo_arch_block *b = c->block;
    double heads = number(b, "heads"), kv = number(b, "kv_heads"), dim = number(b, "head_dim");
    double value = number(b, "value_dim") > 0 ? number(b, "value_dim") : dim;
    if (number(b, "kv_rank") > 0) {
        if (number(b, "q_rank") > 0) {
            line(c, number(b, "q_rank"), "query rank: %.0f", number(b, "q_rank"));
        }
        heads_line(c, "queries", heads, dim);
        line(c, number(b, "kv_rank"), "latent of keys and values: %.0f", number(b, "kv_rank"));
        if (number(b, "rope_key") > 0) {
            line(c, number(b, "rope_key"), "rope key: %.0f", number(b, "rope_key"));
        }
        heads_line(c, "values, out of the latent", heads, value);
    } else if (kv > 0) {
        heads_line(c, "queries", heads, dim);
        if (keeps_one(b)) {
            line(c, dim, "key and value in one: %.0f", dim);
        } else if (!b->borrows) {
            heads_line(c, "keys", kv, dim);
            heads_line(c, "values", kv, value);
        }
    } else if (heads > 0 && number(b, "state_size") > 0) {
        line(c, heads * dim, "%.0f heads of %.0f, %.0f state places", heads, dim,
             number(b, "state_size"));
    } else if (heads > 0) {
        line(c, heads * value, "%.0f heads of %.0f x %.0f", heads, dim, value);
    } else if (number(b, "channels") > 0) {
        line(c, number(b, "channels"), "%.0f channels%s", number(b, "channels"),
             number(b, "state_size") > 0 ? ", each with a state" : "");
    }
    if (number(b, "index_dim") > 0) {
        line(c, number(b, "index_dim"), "index: %.0f heads, a key of %.0f",
             number(b, "index_heads"), number(b, "index_dim"));
    }
}

static void mixer_card(card *c)
{
    const zoo_arch_block *b = c->block;
    zoo_print(c->title, sizeof c->title, "%s", zoo_say_mixer_name(b).text);
    mixer_sizes(c);
    line(c, 0, "sees %s", zoo_say_reach(b).text);
    if (zoo_arch_text(b, "rotation")) {
        line(c, 0, "rotation: %s", zoo_say_rotation(b).text);
    }
    zoo_words extras = zoo_say_extras(b);
    if (*extras.text) {
        line(c, 0, "%s", extras.text);
    }
    for (uint32_t i = 0; i < b->n_streams; i++) {
        const zoo_stream *s = &b->streams[i].decl;
        double bytes = zoo_cache_row_cost(s, zoo_cache_kinds[ZOO_BF16]).bytes;
        card_line *cache = &c->caches[c->n_caches++];
        cache->number = s->kind == ZOO_STATE ? 0 : s->width;
        if (b->borrows) {
            zoo_print(cache->text, ZOO_WORDS, "%.100s: read from an earlier layer", s->name);
        } else if (s->kind == ZOO_STATE) {
            zoo_print(cache->text, ZOO_WORDS, "%.100s: a state of %.100s", s->name,
                      zoo_say_bytes(bytes).text);
        } else {
            char more[64] = "";
            if (s->kind == ZOO_RING) {
                zoo_print(more, sizeof more, ", the last %u", s->window);
            } else if (s->stride > 1) {
                zoo_print(more, sizeof more, ", one for %u tokens", s->stride);
            }
            zoo_print(cache->text, ZOO_WORDS, "%.100s: %u in bf16, %.0f bytes%s", s->name, s->width,
                      bytes, more);
        }
    }
}

static void ffn_card(card *c, const zoo_arch *arch)
{
    const zoo_arch_block *b = c->block;
    double width = arch->model.plan.hidden_size, inner = number(b, "inner");
    if (number(b, "experts") > 0) {
        double latent = number(b, "expert_latent") > 0 ? number(b, "expert_latent") : width;
        zoo_print(c->title, sizeof c->title, "%.0f of %.0f experts", number(b, "experts_per_token"),
                  number(b, "experts"));
        line(c, inner, "each: %.0f to %.0f to %.0f, %s", latent, inner, latent,
             zoo_say_activation(b).text);
        if (number(b, "shared_inner") > 0) {
            line(c, number(b, "shared_inner"), "shared: %.0f inside", number(b, "shared_inner"));
        }
        const char *router = zoo_arch_text(b, "router");
        line(c, 0, "router: %s%s%s", router ? router : "scores",
             number(b, "choice_bias") > 0 ? " and a bias for the choice" : "",
             number(b, "weights_renormalised") > 0 ? ", weights sum to 1" : "");
        if (number(b, "expert_groups") > 0) {
            line(c, 0, "from %.0f of %.0f groups", number(b, "groups_kept"),
                 number(b, "expert_groups"));
        }
    } else {
        zoo_print(c->title, sizeof c->title, "%s", inner > 0 ? "feed-forward" : b->kind);
        if (inner > 0) {
            line(c, inner, "%.0f to %.0f to %.0f", width, inner, width);
            line(c, 0, "%s", zoo_say_activation(b).text);
        }
    }
    zoo_words extras = zoo_say_extras(b);
    if (*extras.text) {
        line(c, 0, "%s", extras.text);
    }
}

/* Whether two blocks have the same card. */
static bool same_card(const card *a, const card *b)
{
    if (strcmp(a->title, b->title) != 0 || a->n_lines != b->n_lines || a->n_caches != b->n_caches) {
        return false;
    }
    for (uint32_t i = 0; i < a->n_lines; i++) {
        if (strcmp(a->lines[i].text, b->lines[i].text) != 0) {
            return false;
        }
    }
    for (uint32_t i = 0; i < a->n_caches; i++) {
        if (strcmp(a->caches[i].text, b->caches[i].text) != 0) {
            return false;
        }
    }
    return true;
}

static uint32_t add_card(card *cards, uint32_t n, const zoo_arch *arch, const zoo_arch_block *block,
                         uint32_t n_layers)
{
    card c = {.block = block, .n_layers = n_layers};
    if (block->role == ZOO_ROLE_MIXER) {
        mixer_card(&c);
    } else {
        ffn_card(&c, arch);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (same_card(&cards[i], &c)) {
            cards[i].n_layers += n_layers;
            return n;
        }
    }
    if (n == CARDS_MAX || (!c.n_lines && !c.n_caches)) {
        return n;
    }
    cards[n] = c;
    return n + 1;
}

static double bar_max(const card *cards, uint32_t n, double width)
{
    double most = width;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < cards[i].n_lines; k++) {
            most = fmax(most, cards[i].lines[k].number);
        }
    }
    return most;
}

typedef struct card_pen {
    zoo_svg *svg; /* null: only measuring */
    zoo_rect at;
    double y, most; /* most: number of a bar as wide as the card; 0: no bars */
} card_pen;

static void put_line(card_pen *p, const card_line *l, double indent)
{
    double w = p->at.w - 2 * PAD - indent, x = p->at.x + PAD + indent;
    p->y += zoo_svg_fill(p->svg, x, p->y + 12, w, 12, l->text);
    if (p->most > 0 && l->number > 0) {
        if (p->svg) {
            zoo_svg_box(p->svg, (zoo_rect){x, p->y + 1, fmax(w * l->number / p->most, 1), 5},
                        indent > 0 ? ZOO_PAINT_CACHE : ZOO_PAINT_EMBED);
        }
        p->y += 9;
    }
}

/* Squares for experts; those that a token is sent to are filled. */
static void put_experts(card_pen *p, const zoo_arch_block *b)
{
    double n = number(b, "experts"), k = number(b, "experts_per_token");
    uint32_t shown = n < SQUARES ? (uint32_t)n : SQUARES;
    uint32_t filled = (uint32_t)fmax(round(k * shown / fmax(n, 1)), 1);
    double side = (p->at.w - 2 * PAD) / 16 - 2;
    for (uint32_t i = 0; i < shown && p->svg; i++) {
        zoo_rect r = {p->at.x + PAD + (i % 16) * (side + 2), p->y + 4 + (i / 16) * (side + 2), side,
                      side};
        zoo_svg_box(p->svg, r, i < filled ? ZOO_PAINT_CACHE : ZOO_PAINT_PLAIN);
    }
    p->y += 6 + ((shown + 15) / 16) * (side + 2);
}

static void put_caches(card_pen *p, const card *c)
{
    double top = p->y + 6;
    card_pen probe = *p;
    probe.svg = NULL;
    probe.y = top + 22;
    for (uint32_t i = 0; i < c->n_caches; i++) {
        put_line(&probe, &c->caches[i], 8);
    }
    if (p->svg) {
        zoo_svg_box(p->svg, (zoo_rect){p->at.x + PAD, top, p->at.w - 2 * PAD, probe.y + 4 - top},
                    ZOO_PAINT_CACHE);
        zoo_svg_text(p->svg, p->at.x + PAD + 8, top + 16, 12, "sb",
                     c->block->borrows ? "kept: nothing" : "kept");
    }
    p->y = top + 20;
    for (uint32_t i = 0; i < c->n_caches; i++) {
        card_line plain = c->caches[i];
        put_line(p, &plain, 8);
    }
    p->y = probe.y + 4;
}

static void put_card(card_pen *p, const card *c, const zoo_arch *arch)
{
    char title[ZOO_WORDS + 64];
    zoo_print(title, sizeof title, "%s", c->title);
    if (c->n_layers < arch->n_layers) {
        zoo_print(title, sizeof title, "%.400s, %u of %u layers", c->title, c->n_layers,
                  arch->n_layers);
    }
    p->y = p->at.y + 6;
    p->y += zoo_svg_fill(p->svg, p->at.x + PAD, p->y + 13, p->at.w - 2 * PAD, 13, title) + 2;
    if (number(c->block, "experts") > 0) {
        put_experts(p, c->block);
    }
    for (uint32_t i = 0; i < c->n_lines; i++) {
        put_line(p, &c->lines[i], 0);
    }
    if (c->n_caches) {
        put_caches(p, c);
    }
    p->y += 8;
}

double zoo_draw_cards(zoo_svg *svg, const zoo_arch *arch, zoo_rect column, zoo_rect other,
                      bool scale)
{
    card cards[CARDS_MAX];
    uint32_t n = 0;
    for (int role = ZOO_ROLE_MIXER; role <= ZOO_ROLE_FFN; role++) {
        for (uint32_t i = 0; i < arch->n_kinds; i++) {
            const zoo_arch_layer *layer = &arch->layers[arch->kinds[i].first];
            for (uint32_t k = 0; k < layer->n_blocks; k++) {
                if ((int)layer->blocks[k].role == role) {
                    n = add_card(cards, n, arch, &layer->blocks[k], arch->kinds[i].n);
                }
            }
        }
    }
    double most = scale ? bar_max(cards, n, arch->model.plan.hidden_size) : 0;
    for (uint32_t i = 0; i < n; i++) {
        zoo_rect *to = column.y <= other.y ? &column : &other;
        card_pen probe = {NULL, *to, to->y, most};
        put_card(&probe, &cards[i], arch);
        card_pen p = {svg, {to->x, to->y, to->w, probe.y - to->y}, to->y, most};
        zoo_svg_box(svg, p.at, zoo_draw_paint(cards[i].block));
        put_card(&p, &cards[i], arch);
        to->y = probe.y + 12;
    }
    return (column.y > other.y ? column.y : other.y) - 12;
}
