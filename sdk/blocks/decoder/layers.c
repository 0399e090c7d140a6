/*
 * layers.c: the branches of a layer around its mixer and feed-forward parts.
 *
 * Option placement, with the default module names of its norms (option norms gives others):
 *   pre       h += attn(n0 h); h += ffn(n1 h)         input_layernorm, post_attention_layernorm
 *   post      h += n0 attn(h); h += n1 ffn(h)         post_attention_layernorm,
 *                                                     post_feedforward_layernorm
 *   sandwich  h += n1 attn(n0 h); h += n3 ffn(n2 h)   input_layernorm, post_self_attn_layernorm,
 *                                                     post_attention_layernorm, post_mlp_layernorm
 *   parallel  h += attn(n0 h) + ffn(n0 h)             input_layernorm
 * placement_if names a key; where it is true, placement_then and norms_then hold instead.
 * Layers of one kind may have attention_placement and attention_norms instead (own_frame).
 * Option depth_weights: the addition of number n = 2, 3, ... is h = sqrt((n - 1) / n) h + u /
 * sqrt(n).
 * Option shared_mlp: a dense block of that module name and of width shared_intermediate_size
 * stands beside the feed-forward part.
 */
#include <math.h>
#include <string.h>

#include "blocks/decoder/decoder.h"

enum { NORMS = 4 };

typedef struct frame {
    const char *placement;
    const char *norms[NORMS];
} frame;

static const frame frames[] = {
    {"pre", {"input_layernorm", "post_attention_layernorm", NULL, NULL}},
    {"post", {"post_attention_layernorm", "post_feedforward_layernorm", NULL, NULL}},
    {"sandwich",
     {"input_layernorm", "post_self_attn_layernorm", "post_attention_layernorm",
      "post_mlp_layernorm"}},
    {"parallel", {"input_layernorm", NULL, NULL, NULL}},
};

static frame read_frame(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    bool own = b->own_frame && c->type(c, "@attention_placement") != ZOO_ABSENT;
    bool other =
        c->type(c, "@placement_if") == ZOO_STRING && zoo_decoder_flag(b, "@placement_if", false);
    const char *name = c->text(c,
                               other ? "@placement_then"
                               : own ? "@attention_placement"
                                     : "@placement",
                               "pre");
    const char *list = other ? "@norms_then" : own ? "@attention_norms" : "@norms";
    frame f = {NULL, {NULL, NULL, NULL, NULL}};
    for (size_t i = 0; i < ZOO_COUNT(frames); i++) {
        if (strcmp(frames[i].placement, name) == 0) {
            f = frames[i];
        }
    }
    if (!f.placement) {
        c->refuse(c, "the card's option placement is \"%s\"", name);
        f = frames[0];
    }
    for (uint32_t i = 0; i < NORMS && i < c->count(c, list); i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%s[%u]", list, i);
        f.norms[i] = c->text(c, key, f.norms[i]);
    }
    return f;
}

static zoo_branch one_branch(const zoo_decoder *b, zoo_part *part, const char *pre,
                             const char *post)
{
    zoo_branch branch = {.parts = part, .n_parts = 1, .scale = b->residual, .h_scale = 1.0f};
    if (pre) {
        part->norm = zoo_decoder_norm(b, pre);
    }
    if (post) {
        branch.post = zoo_decoder_norm(b, post);
    }
    return branch;
}

/* Each addition weighs what was added before by how many there were. */
static void weigh_by_depth(uint32_t layer, zoo_branch *branches, uint32_t n_branches)
{
    for (uint32_t i = 0; i < n_branches; i++) {
        double n = 2.0 * (layer + 1.0) + i;
        branches[i].scale = (float)(1.0 / sqrt(n));
        branches[i].h_scale = (float)sqrt((n - 1.0) / n);
    }
}

static uint32_t fill_branches(const zoo_decoder *b, const frame *f, zoo_part *parts,
                              uint32_t n_parts, zoo_branch *out)
{
    if (strcmp(f->placement, "parallel") == 0) {
        for (uint32_t i = 0; i < n_parts; i++) {
            parts[i].norm = zoo_decoder_norm(b, f->norms[0]);
        }
        out[0] =
            (zoo_branch){.parts = parts, .n_parts = n_parts, .scale = b->residual, .h_scale = 1.0f};
        return 1;
    }
    bool post = strcmp(f->placement, "post") == 0, sandwich = strcmp(f->placement, "sandwich") == 0;
    out[0] = one_branch(b, &parts[0], post ? NULL : f->norms[0],
                        post       ? f->norms[0]
                        : sandwich ? f->norms[1]
                                   : NULL);
    const char *second = sandwich ? f->norms[2] : f->norms[1];
    out[1] = one_branch(b, &parts[1], post ? NULL : second,
                        post       ? second
                        : sandwich ? f->norms[3]
                                   : NULL);
    out[1].n_parts = n_parts - 1;
    for (uint32_t i = 2; i < n_parts; i++) {
        parts[i].norm = parts[1].norm;
    }
    return 2;
}

zoo_status zoo_decoder_frame(zoo_decoder *b, uint32_t layer, zoo_part *parts, uint32_t n_parts,
                             zoo_layer *out)
{
    const zoo_config *c = b->config;
    char name[128];
    zoo_branch *branches = b->setup->take(b->setup, 2 * sizeof *branches);
    (void)snprintf(name, sizeof name, "%s.%u", c->text(c, "@layers", "layers"), layer);
    const char *path = zoo_decoder_path(b, name);
    if (!branches || !path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    frame f = read_frame(b);
    *out = (zoo_layer){.path = path,
                       .branches = branches,
                       .n_branches = fill_branches(b, &f, parts, n_parts, branches)};
    if (zoo_decoder_flag(b, "@depth_weights", false)) {
        weigh_by_depth(layer, branches, out->n_branches);
    }
    return ZOO_OK;
}

zoo_status zoo_decoder_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out)
{
    static const char *const kinds[] = {"full_attention", "sliding_attention", "chunked_attention"};
    const zoo_config *c = b->config;
    const char *shared = c->text(c, "@shared_mlp", NULL);
    zoo_part *parts = b->setup->take(b->setup, 3 * sizeof *parts);
    uint32_t n_parts = 2;
    if (!parts) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    ZOO_TRY(zoo_decoder_attention(b, layer, &parts[0]));
    ZOO_TRY(zoo_decoder_ffn(b, layer, &parts[1]));
    uint32_t width = shared ? c->whole(c, "shared_intermediate_size", 0) : 0;
    if (width) {
        ZOO_TRY(zoo_decoder_dense(b, width, shared, &parts[2]));
        n_parts = 3;
    }
    ZOO_TRY(zoo_decoder_frame(b, layer, parts, n_parts, out));
    out->kind = kinds[b->reach];
    return ZOO_OK;
}
