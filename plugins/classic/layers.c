/*
 * layers.c: the branches of a layer.
 *
 * Option placement, with two norms n0, n1 (option norms names their modules):
 *   pre        h += attn(n0 h); h += mlp(n1 h)
 *   after      h = n0(h + attn(h)); h = n1(h + mlp(h))
 *   parallel   h += attn(n0 h) + mlp(n1 h); with one name n0 serves both
 *   keys       parallel or pre by new_decoder_architecture, parallel_attn and
 *              num_ln_in_parallel_attn
 * Where the reference's module itself adds to the residual stream, cards give the part another
 * name than that module's, so that a trace never sets unlike things side by side.
 * Option placement_if names a key; where it is true, placement_then holds instead. Option
 * norms_one: parallel branches share the first norm. Option width_times: a key, which times
 * hidden_size is the width of the feed-forward part. Option residual_from_norm: what is added to is
 * the branch's normed input. Option first_layer_bare: the first layer's attention has no norm,
 * since the embedded rows are normed. Option recent_attention: attention of the shared decoder,
 * with windows by layer_types and a rotation for each kind (sdk/blocks/decoder/attention.c).
 * Option adapters_of_languages: module of small feed-forward parts, one for each of `languages`; a
 * third branch follows with that of default_language:
 *   v = n(h); h = h + part(v), with ln_before_adapter v + part(v); then n1 as placement says
 * n is adapter_layer_norm, with adapter_reuse_layer_norm n1, else none.
 */
#include <string.h>

#include "classic.h"

typedef enum place { PLACE_PRE = 0, PLACE_AFTER = 1, PLACE_PARALLEL = 2 } place;

typedef struct frame {
    place place;
    const char *norms[2];
} frame;

/* The generations of one family: an old one, serial or parallel, and a new one, always parallel. */
static frame frame_by_keys(const zoo_config *c)
{
    bool recent = c->flag(c, "new_decoder_architecture", false);
    bool parallel = c->flag(c, "parallel_attn", true);
    uint32_t n_norms = c->whole(c, "num_ln_in_parallel_attn", recent ? 2 : 1);
    if (recent && n_norms == 2) {
        return (frame){PLACE_PARALLEL, {"ln_attn", "ln_mlp"}};
    }
    if (recent && (!parallel || n_norms != 1)) {
        c->refuse(c,
                  "num_ln_in_parallel_attn is %u with parallel_attn %s, which the new decoder "
                  "architecture does not have",
                  n_norms, parallel ? "true" : "false");
    }
    if (parallel) {
        return (frame){PLACE_PARALLEL, {"input_layernorm", "input_layernorm"}};
    }
    return (frame){PLACE_PRE, {"input_layernorm", "post_attention_layernorm"}};
}

static frame read_frame(const zoo_decoder *b)
{
    static const char *const names[] = {"pre", "after", "parallel"};
    const zoo_config *c = b->config;
    bool other =
        c->type(c, "@placement_if") == ZOO_STRING && zoo_decoder_flag(b, "@placement_if", false);
    const char *name = c->text(c, other ? "@placement_then" : "@placement", "pre");
    if (strcmp(name, "keys") == 0) {
        return frame_by_keys(c);
    }
    frame f = {PLACE_PRE,
               {c->text(c, "@norms[0]", "input_layernorm"),
                c->text(c, "@norms[1]", "post_attention_layernorm")}};
    if (c->flag(c, "@norms_one", false)) {
        f.norms[1] = f.norms[0];
    }
    for (uint32_t i = 0; i < ZOO_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0) {
            f.place = (place)i;
            return f;
        }
    }
    c->refuse(c, "the card's option placement is \"%s\"", name);
    return f;
}

static uint32_t fill_branches(const zoo_decoder *b, uint32_t layer, zoo_part *parts,
                              zoo_branch *branches)
{
    frame f = read_frame(b);
    uint32_t residual_from_norm = zoo_decoder_flag(b, "@residual_from_norm", false);
    if (f.place != PLACE_AFTER) {
        parts[0].norm = zoo_decoder_norm(b, f.norms[0]);
        parts[1].norm = zoo_decoder_norm(b, f.norms[1]);
    }
    if (layer == 0 && zoo_decoder_flag(b, "@first_layer_bare", false)) {
        parts[0].norm = (zoo_norm){.kind = ZOO_NORM_NONE};
    }
    if (f.place == PLACE_PARALLEL) {
        branches[0] = (zoo_branch){.parts = parts, .n_parts = 2, .scale = 1.0f, .h_scale = 1.0f};
        return 1;
    }
    for (uint32_t i = 0; i < 2; i++) {
        branches[i] = (zoo_branch){.parts = &parts[i],
                                   .n_parts = 1,
                                   .residual_from_norm = residual_from_norm,
                                   .scale = 1.0f,
                                   .h_scale = 1.0f};
        if (f.place == PLACE_AFTER) {
            branches[i].after = zoo_decoder_norm(b, f.norms[i]);
        }
    }
    return 2;
}

/* The part of the language that texts are in, at the path of its tensors. */
static zoo_status make_adapter(zoo_decoder *b, const char *layer_path, zoo_part *out)
{
    const zoo_config *c = b->config;
    const char *language = c->text(c, "default_language", NULL);
    uint32_t factor = c->whole(c, "adapter_reduction_factor", 2);
    size_t n = strlen(layer_path) + 256;
    char *path = b->setup->take(b->setup, n);
    if (!language || strlen(language) > 64 || !factor || factor > b->hidden) {
        return zoo_fail(b->err, ZOO_E_CONFIG,
                        "default_language is %s and adapter_reduction_factor %u: a text needs a "
                        "language of the list `languages`, and a part at least one row",
                        language ? language : "absent", factor);
    }
    if (!path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    (void)snprintf(path, n, "%s.%.128s.%s", layer_path, c->text(c, "@adapters_of_languages", ""),
                   language);
    ZOO_TRY(zoo_decoder_dense(b, b->hidden / factor, "adapter", out));
    out->path = path;
    return ZOO_OK;
}

static void fill_adapter(const zoo_decoder *b, zoo_part *part, zoo_branch *branches)
{
    const zoo_config *c = b->config;
    const char *last = c->text(c, "@norms[1]", "post_attention_layernorm");
    bool own = c->flag(c, "adapter_layer_norm", false),
         again = c->flag(c, "adapter_reuse_layer_norm", true),
         first = c->flag(c, "ln_before_adapter", true);
    if (own || again) {
        part->norm = zoo_decoder_norm(b, own ? "output.adapter_layer_norm" : last);
    }
    branches[2] = (zoo_branch){.parts = part,
                               .n_parts = 1,
                               .residual_from_norm = first && (own || again),
                               .after = branches[1].after,
                               .scale = 1.0f,
                               .h_scale = 1.0f};
    branches[1].after = (zoo_norm){.kind = ZOO_NORM_NONE};
}

zoo_status classic_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out)
{
    const zoo_config *c = b->config;
    char name[128];
    zoo_part *parts = b->setup->take(b->setup, 3 * sizeof *parts);
    zoo_branch *branches = b->setup->take(b->setup, 3 * sizeof *branches);
    (void)snprintf(name, sizeof name, "%s.%u", c->text(c, "@layers", "layers"), layer);
    const char *path = zoo_decoder_path(b, name);
    if (!parts || !branches || !path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    const char *times = c->text(c, "@width_times", NULL);
    uint32_t width =
        times ? b->hidden * c->whole(c, times, 4) : c->whole(c, "intermediate_size", 0);
    bool recent = zoo_decoder_flag(b, "@recent_attention", false);
    ZOO_TRY(recent ? zoo_decoder_attention(b, layer, &parts[0])
                   : classic_attention(b, layer, &parts[0]));
    ZOO_TRY(
        zoo_decoder_dense(b, width ? width : 4 * b->hidden, c->text(c, "@mlp", "mlp"), &parts[1]));
    *out = (zoo_layer){.path = path,
                       .kind = b->reach == ZOO_REACH_SLIDING ? "local" : "global",
                       .branches = branches,
                       .n_branches = fill_branches(b, layer, parts, branches)};
    if (c->type(c, "@adapters_of_languages") != ZOO_ABSENT) {
        ZOO_TRY(make_adapter(b, path, &parts[2]));
        fill_adapter(b, &parts[2], branches);
        out->n_branches = 3;
    }
    return ZOO_OK;
}
