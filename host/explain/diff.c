/*
 * diff.c: two architectures side by side: what the second does differently, then sizes, memory and
 * the keys that change nothing.
 *
 * Mixers are matched by how far they look back: full with full, windowed with windowed, states with
 * states; a mixer without a counterpart is described by itself.
 */
#include "explain/diff.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "explain/explain.h"
#include "explain/memory.h"
#include "explain/words.h"

typedef enum reach { REACH_ALL = 0, REACH_WINDOW = 1, REACH_STATE = 2, REACHES = 3 } reach;

typedef struct view {
    const zoo_arch *arch;
    const zoo_arch_block *mixers[REACHES]; /* of the most layers; null: none */
    uint32_t n_mixers[REACHES];            /* layers */
    const zoo_arch_block *dense, *experts;
    uint32_t n_dense, n_experts;
} view;

static reach reach_of(const zoo_arch_block *block)
{
    if (zoo_arch_number(block, "window", 0) > 0 || zoo_arch_number(block, "chunk", 0) > 0) {
        return zoo_arch_number(block, "tokens_per_entry", 0) > 0 ? REACH_ALL : REACH_WINDOW;
    }
    for (uint32_t i = 0; i < block->n_streams; i++) {
        if (block->streams[i].decl.kind != ZOO_STATE) {
            return REACH_ALL;
        }
    }
    return block->n_streams ? REACH_STATE : REACH_ALL;
}

static void look_at(view *v, const zoo_arch_kind *kind)
{
    const zoo_arch_layer *layer = &v->arch->layers[kind->first];
    for (uint32_t i = 0; i < layer->n_blocks; i++) {
        const zoo_arch_block *b = &layer->blocks[i];
        if (b->role == ZOO_ROLE_MIXER) {
            reach r = reach_of(b);
            v->mixers[r] = v->n_mixers[r] >= kind->n && v->mixers[r] ? v->mixers[r] : b;
            v->n_mixers[r] += kind->n;
        } else if (b->role == ZOO_ROLE_FFN && zoo_arch_number(b, "experts", 0) > 0) {
            v->experts = v->experts ? v->experts : b;
            v->n_experts += kind->n;
        } else if (b->role == ZOO_ROLE_FFN && zoo_arch_number(b, "inner", 0) > 0) {
            v->dense = v->dense ? v->dense : b;
            v->n_dense += kind->n;
        }
    }
}

static view view_of(const zoo_arch *arch)
{
    view v = {.arch = arch};
    for (uint32_t i = 0; i < arch->n_kinds; i++) {
        look_at(&v, &arch->kinds[i]);
    }
    return v;
}

/* Whether the layers have another order: kinds, or the periods in which they repeat. */
static bool stacks_differ(const zoo_arch *a, const zoo_arch *b)
{
    if (a->n_kinds != b->n_kinds || a->n_segments != b->n_segments) {
        return a->n_kinds != 1 || b->n_kinds != 1;
    }
    for (uint32_t i = 0; i < a->n_segments; i++) {
        const zoo_arch_segment *s = &a->segments[i], *t = &b->segments[i];
        bool runs = s->period == 1 && t->period == 1;
        if (s->period != t->period || (runs && i + 1 < a->n_segments && s->n_times != t->n_times)) {
            return true;
        }
    }
    return false;
}

static const char *reach_name(reach r)
{
    static const char *const names[] = {"full layers", "sliding layers", "layers with a state"};
    return names[r];
}

static uint32_t tell_alone(zoo_doc *doc, const view *v, reach r)
{
    const zoo_arch_block *b = v->mixers[r];
    zoo_words rotation = zoo_say_rotation(b), extras = zoo_say_extras(b);
    bool turns = zoo_arch_text(b, "rotation") != NULL, one = v->n_mixers[r] == 1;
    zoo_doc_item(doc, "%u of %u layers %s %s; %s %s%s%s%s%s", v->n_mixers[r], v->arch->n_layers,
                 one ? "has" : "have", zoo_say_mixer(b).text, one ? "it sees" : "they see",
                 zoo_say_reach(b).text, turns ? "; rotation: " : "", turns ? rotation.text : "",
                 *extras.text ? "; " : "", extras.text);
    return 1;
}

static bool holds(const zoo_sayings *list, const char *text)
{
    for (uint32_t i = 0; i < list->n; i++) {
        if (strcmp(list->text[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether several lists hold the sentence, and none lacks it: then it is told of all at once. */
static bool all_hold(const zoo_sayings *lists, const bool *both, const char *text)
{
    uint32_t n = 0;
    for (reach r = REACH_ALL; r < REACHES; r++) {
        if (both[r] && !holds(&lists[r], text)) {
            return false;
        }
        n += both[r];
    }
    return n > 1;
}

static uint32_t tell_lists(zoo_doc *doc, const zoo_sayings *lists, const bool *both, bool one_kind)
{
    uint32_t n = 0;
    bool first = true;
    for (reach r = REACH_ALL; r < REACHES; r++) {
        for (uint32_t i = 0; both[r] && i < lists[r].n; i++) {
            bool common = all_hold(lists, both, lists[r].text[i]);
            if (common && !first) {
                continue;
            }
            zoo_doc_item(doc, "%s%s%s%s", common || one_kind ? "" : "in ",
                         common || one_kind ? "" : reach_name(r), common || one_kind ? "" : ": ",
                         lists[r].text[i]);
            n++;
        }
        first = first && !both[r];
    }
    return n;
}

/* Kinds of layers that only one of them has. */
static uint32_t tell_unmatched(zoo_doc *doc, const view *a, const view *b)
{
    uint32_t n = 0;
    for (reach r = REACH_ALL; r < REACHES; r++) {
        if (b->mixers[r] && !a->mixers[r]) {
            n += tell_alone(doc, b, r);
        } else if (a->mixers[r] && !b->mixers[r]) {
            zoo_doc_item(doc, "no %s: %s has %u of %u, with %s", reach_name(r), a->arch->name,
                         a->n_mixers[r], a->arch->n_layers, zoo_say_mixer_name(a->mixers[r]).text);
            n++;
        }
    }
    return n;
}

static uint32_t tell_mixers(zoo_doc *doc, const view *a, const view *b)
{
    zoo_sayings *lists = zoo_mem_array(REACHES, sizeof *lists);
    uint32_t n = 0, n_alone[2] = {0, 0}, n_kinds = 0;
    reach alone[2] = {REACH_ALL, REACH_ALL};
    bool both[REACHES] = {false};
    for (reach r = REACH_ALL; lists && r < REACHES; r++) {
        both[r] = a->mixers[r] && b->mixers[r];
        n_kinds += b->mixers[r] != NULL;
        for (int side = 0; side < 2; side++) {
            bool only = side ? b->mixers[r] && !both[r] : a->mixers[r] && !both[r];
            n_alone[side] += only;
            alone[side] = only ? r : alone[side];
        }
        if (both[r]) {
            zoo_diff_mixers(&lists[r], a->mixers[r], b->mixers[r]);
        }
    }
    if (lists) {
        n += tell_lists(doc, lists, both, n_kinds == 1);
    }
    if (lists && n_alone[0] == 1 && n_alone[1] == 1) {
        const bool first[REACHES] = {true};
        lists[0].n = 0;
        zoo_diff_mixers(&lists[0], a->mixers[alone[0]], b->mixers[alone[1]]);
        n += tell_lists(doc, lists, first, true);
    } else {
        n += tell_unmatched(doc, a, b);
    }
    zoo_mem_free(lists);
    return n;
}

static uint32_t tell_dense(zoo_doc *doc, const view *a, const view *b)
{
    bool mixed_a = a->n_dense && a->n_experts, mixed_b = b->n_dense && b->n_experts;
    bool beside = b->n_dense + b->n_experts > b->arch->n_layers; /* both in one layer */
    if (mixed_b && beside) {
        zoo_doc_item(doc, "%u of %u layers have a dense feed-forward of %.0f beside their experts",
                     b->n_dense, b->arch->n_layers, zoo_arch_number(b->dense, "inner", 0));
        return 1;
    }
    if (mixed_b && (!mixed_a || a->n_dense != b->n_dense)) {
        zoo_doc_item(doc, "%u of %u layers %s a dense feed-forward of %.0f in place of experts",
                     b->n_dense, b->arch->n_layers, b->n_dense == 1 ? "has" : "have",
                     zoo_arch_number(b->dense, "inner", 0));
        return 1;
    }
    if (mixed_a && b->n_experts && !b->n_dense) {
        zoo_doc_item(doc, "experts in every layer: no dense ones at the start or between");
        return 1;
    }
    return 0;
}

static uint32_t tell_ffns(zoo_doc *doc, const view *a, const view *b)
{
    const zoo_arch_block *x = a->experts ? a->experts : a->dense;
    const zoo_arch_block *y = b->experts ? b->experts : b->dense;
    const bool first[REACHES] = {true};
    zoo_sayings *list = zoo_mem_array(1, sizeof *list);
    uint32_t n = 0;
    if (list && x && y) {
        zoo_diff_ffns(list, x, y);
        n = tell_lists(doc, list, first, true);
    }
    zoo_mem_free(list);
    return n + tell_dense(doc, a, b);
}

static uint32_t tell_norms(zoo_doc *doc, const zoo_arch *a, const zoo_arch *b)
{
    const zoo_arch_layer *x = &a->layers[a->n_layers - 1], *y = &b->layers[b->n_layers - 1];
    const char *place_a = zoo_arch_norm_place(x), *place_b = zoo_arch_norm_place(y);
    const zoo_norm *norm_a = zoo_arch_first_norm(x), *norm_b = zoo_arch_first_norm(y);
    uint32_t kind_a = norm_a ? norm_a->kind : 0, kind_b = norm_b ? norm_b->kind : 0, n = 0;
    if (strcmp(place_a, place_b) != 0) {
        zoo_doc_item(doc, "norms stand %s, instead of %s", place_b, place_a);
        n++;
    }
    if (kind_a != kind_b) {
        zoo_doc_item(doc, "%s instead of %s", zoo_norm_name(kind_b), zoo_norm_name(kind_a));
        n++;
    } else if (norm_a && norm_b && norm_a->has_weight != norm_b->has_weight) {
        zoo_doc_item(doc, norm_b->has_weight ? "norms have weights" : "norms have no weights");
        n++;
    }
    if (norm_a && norm_b && fabsf(norm_a->eps - norm_b->eps) > 1e-3f * norm_a->eps) {
        zoo_doc_item(doc, "eps of the norms %.3g instead of %.3g", (double)norm_b->eps,
                     (double)norm_a->eps);
        n++;
    }
    return n;
}

static const char *residual_of(const zoo_arch *arch)
{
    const zoo_arch_layer *layer = &arch->layers[arch->n_layers - 1];
    const char *told = zoo_arch_text(&layer->blocks[layer->n_blocks - 1], "residual");
    return told ? told : "";
}

static double branch_scale(const zoo_arch *arch)
{
    const zoo_layer *l = arch->layers[arch->n_layers - 1].layer;
    double scale = l->ops ? 1 : (double)l->branches[0].scale;
    return scale > 0 ? scale : 1;
}

static uint32_t tell_scale(zoo_doc *doc, const char *what, double a, double b)
{
    a = a > 0 ? a : 1;
    b = b > 0 ? b : 1;
    if (fabs(a - b) < 1e-6 * (a + b)) {
        return 0;
    }
    zoo_doc_item(doc, "%s multiplied by %s%s%s", what, zoo_say_number(b).text,
                 fabs(a - 1) > 1e-9 ? " instead of " : "",
                 fabs(a - 1) > 1e-9 ? zoo_say_number(a).text : "");
    return 1;
}

/* A factor that is the square root of the width is no number of its own. */
static uint32_t tell_embedding(zoo_doc *doc, const zoo_plan *p, const zoo_plan *q)
{
    double a = (double)p->embed_scale, b = (double)q->embed_scale;
    bool root_a = fabs(a * a / p->hidden_size - 1) < 0.01;
    bool root_b = fabs(b * b / q->hidden_size - 1) < 0.01;
    if (!root_a && !root_b) {
        return tell_scale(doc, "embedded rows are", a, b);
    }
    if (root_a && root_b) {
        return 0;
    }
    zoo_doc_item(doc, root_b ? "embedded rows are multiplied by the square root of the width"
                             : "embedded rows are not multiplied by the square root of the width");
    return 1;
}

static uint32_t tell_prologue(zoo_doc *doc, const zoo_arch *a, const zoo_arch *b)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n_prologue || i < a->n_prologue; i++) {
        const char *was = i < a->n_prologue ? a->prologue[i].kind : "";
        const char *is = i < b->n_prologue ? b->prologue[i].kind : "";
        if (strcmp(was, is) != 0) {
            zoo_doc_item(doc, "%s%s%s%s between embedding and layers", *is ? "" : "no ",
                         *is ? is : was, *is && *was ? " instead of " : "", *is ? was : "");
            n++;
        }
    }
    return n;
}

/* Residuals of earlier layers that a token keeps. */
static uint32_t kept_residuals(const zoo_plan *plan)
{
    return plan->stream_shown ? plan->stream_width / plan->stream_shown - 1 : 0;
}

static uint32_t tell_kept(zoo_doc *doc, uint32_t was, uint32_t is)
{
    if (was != is) {
        zoo_doc_item(doc, "each token keeps residuals of %u earlier layers instead of %u", is, was);
    }
    return was != is;
}

static uint32_t tell_ends(zoo_doc *doc, const zoo_arch *a, const zoo_arch *b)
{
    const zoo_plan *p = &a->model.plan, *q = &b->model.plan;
    const char *x = residual_of(a), *y = residual_of(b);
    uint32_t n = 0, streams = q->stream_width / q->hidden_size;
    if (strcmp(x, y) != 0) {
        zoo_doc_item(doc, "residual: %s", *y ? y : "the stream plus each branch, as usual");
        n++;
    }
    if (p->stream_shown || q->stream_shown) {
        n += tell_kept(doc, kept_residuals(p), kept_residuals(q));
    } else if (p->stream_width / p->hidden_size != streams) {
        zoo_doc_item(doc, "%u residual streams instead of %u", streams,
                     p->stream_width / p->hidden_size);
        n++;
    }
    n += tell_scale(doc, "branches are", branch_scale(a), branch_scale(b));
    n += tell_embedding(doc, p, q);
    n += tell_scale(doc, "logits are", (double)p->head_scale, (double)q->head_scale);
    n += tell_prologue(doc, a, b);
    if (p->tied != q->tied) {
        zoo_doc_item(doc, q->tied ? "the head is the embedding table"
                                  : "the head is a matrix of its own, not the embedding");
        n++;
    }
    if ((p->softcap > 0) != (q->softcap > 0)) {
        zoo_doc_item(doc,
                     q->softcap > 0 ? "logits are capped by tanh at %.0f"
                                    : "logits are not capped (they were at %.0f)",
                     (double)(q->softcap > 0 ? q->softcap : p->softcap));
        n++;
    }
    return n;
}

uint32_t zoo_diff_sentences(zoo_doc *doc, const zoo_arch *a, const zoo_arch *b)
{
    view x = view_of(a), y = view_of(b);
    uint32_t n = 0;
    if (stacks_differ(a, b)) {
        zoo_doc_item(doc, "the stack is %s; instead of %s", zoo_say_pattern(b).text,
                     zoo_say_pattern(a).text);
        n++;
    }
    n += tell_norms(doc, a, b);
    n += tell_mixers(doc, &x, &y);
    n += tell_ffns(doc, &x, &y);
    return n + tell_ends(doc, a, b);
}

static double size_gap(double a, double b)
{
    return fabs(log((a + 1) / (b + 1)));
}

double zoo_diff_distance(const zoo_arch *a, const zoo_arch *b)
{
    zoo_doc doc = {.form = ZOO_DOC_TEXT};
    double n = zoo_diff_sentences(&doc, a, b);
    zoo_doc_free(&doc);
    return n + 0.1 * size_gap((double)a->params.total, (double)b->params.total) +
           0.1 * size_gap(a->n_layers, b->n_layers) +
           0.1 * size_gap(a->model.plan.hidden_size, b->model.plan.hidden_size);
}

static void row(zoo_doc *doc, const char *what, const char *a, const char *b)
{
    zoo_doc_cell(doc, "%s", what);
    zoo_doc_cell(doc, "%s", a);
    zoo_doc_cell(doc, "%s", b);
}

static void number_row(zoo_doc *doc, const char *what, double a, double b)
{
    if (a > 0 || b > 0) {
        row(doc, what, a > 0 ? zoo_say_number(a).text : "", b > 0 ? zoo_say_number(b).text : "");
    }
}

static double of(const zoo_arch_block *block, const char *name)
{
    return zoo_arch_number(block, name, 0);
}

static const zoo_arch_block *main_mixer(const view *v)
{
    return v->mixers[REACH_ALL]      ? v->mixers[REACH_ALL]
           : v->mixers[REACH_WINDOW] ? v->mixers[REACH_WINDOW]
                                     : v->mixers[REACH_STATE];
}

static void write_sizes(zoo_doc *doc, const zoo_arch *a, const zoo_arch *b)
{
    static const char *const names[] = {"heads",   "kv_heads", "head_dim",
                                        "kv_rank", "window",   "rows_chosen"};
    view x = view_of(a), y = view_of(b);
    const zoo_plan *p = &a->model.plan, *q = &b->model.plan;
    zoo_doc_table(doc, 3);
    row(doc, "", a->name, b->name);
    row(doc, "parameters", zoo_say_count((double)a->params.total).text,
        zoo_say_count((double)b->params.total).text);
    row(doc, "for one token", zoo_say_count((double)a->params.active).text,
        zoo_say_count((double)b->params.active).text);
    number_row(doc, "layers", a->n_layers, b->n_layers);
    number_row(doc, "width", p->hidden_size, q->hidden_size);
    for (size_t i = 0; i < ZOO_COUNT(names); i++) {
        char name[ZOO_FACT_NAME];
        zoo_print(name, sizeof name, "%s", names[i]);
        for (char *c = name; *c; c++) {
            *c = *c == '_' ? ' ' : *c;
        }
        number_row(doc, name, of(main_mixer(&x), names[i]), of(main_mixer(&y), names[i]));
    }
    number_row(doc, "feed-forward inside", of(x.dense, "inner"), of(y.dense, "inner"));
    number_row(doc, "experts", of(x.experts, "experts"), of(y.experts, "experts"));
    number_row(doc, "experts for a token", of(x.experts, "experts_per_token"),
               of(y.experts, "experts_per_token"));
    number_row(doc, "inside an expert", of(x.experts, "inner"), of(y.experts, "inner"));
    number_row(doc, "vocabulary", p->vocab_size, q->vocab_size);
    number_row(doc, "positions", p->context_max, q->context_max);
    zoo_doc_table_end(doc);
}

static void write_memory(zoo_doc *doc, const zoo_arch *a, const zoo_arch *b)
{
    zoo_arch_cost x = zoo_arch_cost_at(a, ZOO_BF16, 1), y = zoo_arch_cost_at(b, ZOO_BF16, 1);
    zoo_doc_table(doc, 3);
    row(doc, "in bf16", a->name, b->name);
    row(doc, "kept of a position, windows not full", zoo_say_bytes(x.growing).text,
        zoo_say_bytes(y.growing).text);
    row(doc, "kept of a position, windows full", zoo_say_bytes(x.growing_later).text,
        zoo_say_bytes(y.growing_later).text);
    row(doc, "states", zoo_say_bytes(x.states).text, zoo_say_bytes(y.states).text);
    for (size_t i = 0; i < ZOO_LENGTHS; i++) {
        char what[64];
        x = zoo_arch_cost_at(a, ZOO_BF16, zoo_lengths[i]);
        y = zoo_arch_cost_at(b, ZOO_BF16, zoo_lengths[i]);
        zoo_print(what, sizeof what, "kept at %s positions",
                  zoo_say_positions(zoo_lengths[i]).text);
        row(doc, what, zoo_say_bytes(x.kept).text, zoo_say_bytes(y.kept).text);
    }
    row(doc, "read by one token after 1M", zoo_say_bytes(x.read).text, zoo_say_bytes(y.read).text);
    zoo_doc_table_end(doc);
}

void zoo_diff_write(zoo_doc *doc, const zoo_arch *a, const zoo_arch *b)
{
    zoo_doc_heading(doc, 1, "%s against %s", b->name, a->name);
    zoo_doc_heading(doc, 2, "What %s does differently", b->name);
    if (zoo_diff_sentences(doc, a, b) == 0) {
        zoo_doc_item(doc, "nothing: the same block, only sizes differ");
    }
    zoo_doc_heading(doc, 2, "Sizes");
    write_sizes(doc, a, b);
    zoo_doc_heading(doc, 2, "Memory");
    write_memory(doc, a, b);
    zoo_doc_heading(doc, 2, "Keys that differ and change nothing");
    zoo_diff_keys(doc, a, b);
    zoo_doc_end(doc);
}
