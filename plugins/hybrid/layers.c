/*
 * layers.c: the parts and the skeleton of one layer. Option shape:
 *   decoder   mixer, then a feed-forward part (experts, a shared dense part beside them, or dense)
 *   single    one part a layer: mixer, attention, dense or experts
 *   parallel  state mixer and attention side by side on the same norm, then feed-forward
 *   shared    the state mixer, in some layers after a transformer block that they share
 *   rwkv      time and channel mixing (rwkv.c)
 *   scaled    attention and experts of one release, added with scales (scaled.c)
 *   convolved attention with biases for distances and experts, each behind it convolved
 *             (convolved.c)
 *   residuals parts that read an attention over the residuals of earlier layers
 *             (residuals_plan.c)
 *   streams   parts between residual streams (blocks/hyper); gated_streams: streams_plan.c
 * Other options: mixer (the state mixer), shared_mlp (module of a dense part beside the experts,
 * its width in `shared_intermediate_size`), half_width, rounded_width (width.c),
 * factors (each addition is alpha * normed input + beta * output, by the keys), attention, mlp, moe
 * (module names; single: mixer_name for all).
 */
#include <string.h>

#include "blocks/hyper/hyper.h"
#include "hybrid.h"

zoo_status hybrid_mixer(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    static const struct {
        const char *name;
        hybrid_part_fn *make;
    } mixers[] = {{"mamba2", hybrid_mamba2_part},       {"mamba1", hybrid_mamba1_part},
                  {"delta", hybrid_delta_part},         {"shortconv", hybrid_shortconv_part},
                  {"lightning", hybrid_lightning_part}, {"rglru", hybrid_rglru_part},
                  {"mlstm", hybrid_mlstm_part},         {"cca", hybrid_cca_part},
                  {"relative", hybrid_relative_part},   {"clipped", hybrid_clipped_part}};
    const zoo_config *c = b->config;
    const char *name = c->text(c, "@mixer", "");
    for (size_t i = 0; i < ZOO_COUNT(mixers); i++) {
        if (strcmp(mixers[i].name, name) == 0) {
            return mixers[i].make(b, layer, out);
        }
    }
    return zoo_fail(b->err, ZOO_E_CONFIG, "the card's option mixer is \"%s\", which is no mixer",
                    name);
}

static zoo_status make_mixer(zoo_decoder *b, hybrid_kind kind, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    if (kind != HYBRID_ATTENTION) {
        return hybrid_mixer(b, layer, out);
    }
    return c->type(c, "@latent_attention") == ZOO_STRING ? hybrid_latent_part(b, layer, out)
                                                         : zoo_decoder_attention(b, layer, out);
}

/* The feed-forward parts of a layer: experts, a dense part beside them, or one dense part. */
static zoo_status make_ffns(zoo_decoder *b, uint32_t layer, zoo_part *parts, uint32_t *n)
{
    const zoo_config *c = b->config;
    const char *shared = c->text(c, "@shared_mlp", NULL);
    uint32_t width = shared ? c->whole(c, "shared_intermediate_size", 0) : 0;
    bool sparse =
        zoo_decoder_number(b, "num_experts", layer, 0) >= c->whole(c, "@experts_min", 2) &&
        zoo_decoder_layer_sparse(b, layer);
    *n = 0;
    if (sparse) {
        ZOO_TRY(zoo_decoder_experts(b, layer, &parts[(*n)++]));
    }
    if (width) {
        return zoo_decoder_dense(b, width, shared, &parts[(*n)++]);
    }
    if (!sparse) {
        return zoo_decoder_dense(b, hybrid_dense_width(b), c->text(c, "@mlp", "mlp"),
                                 &parts[(*n)++]);
    }
    return ZOO_OK;
}

static zoo_status decoder_layer(zoo_decoder *b, hybrid_kind kind, uint32_t layer, zoo_layer *out)
{
    uint32_t n_ffns;
    zoo_part *parts = b->setup->take(b->setup, 3 * sizeof *parts);
    if (!parts) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    ZOO_TRY(make_mixer(b, kind, layer, &parts[0]));
    ZOO_TRY(make_ffns(b, layer, &parts[1], &n_ffns));
    b->own_frame = kind == HYBRID_ATTENTION;
    ZOO_TRY(zoo_decoder_frame(b, layer, parts, n_ffns + 1, out));
    return zoo_decoder_flag(b, "@factors", false) ? hybrid_set_factors(b, kind, out) : ZOO_OK;
}

/* The streams are those that the prologue spreads. */
static zoo_status stream_layer(zoo_decoder *b, hybrid_kind kind, uint32_t layer, zoo_layer *out)
{
    zoo_part *parts = b->setup->take(b->setup, 2 * sizeof *parts);
    if (!parts) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    ZOO_TRY(make_mixer(b, kind, layer, &parts[0]));
    ZOO_TRY(zoo_decoder_ffn(b, layer, &parts[1]));
    return zoo_hyper_layer(b, b->plan->prologue->params, layer, parts, out);
}

/* One part on one norm. The frame writes a second part too, which stays unused. */
static zoo_status single_layer(zoo_decoder *b, hybrid_kind kind, uint32_t layer, zoo_layer *out)
{
    const zoo_config *c = b->config;
    zoo_part *part = b->setup->take(b->setup, 2 * sizeof *part);
    if (!part) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    if (kind == HYBRID_EXPERTS) {
        ZOO_TRY(zoo_decoder_experts(b, layer, part));
    } else if (kind == HYBRID_MLP) {
        ZOO_TRY(zoo_decoder_dense(b, c->whole(c, "intermediate_size", 0), "mlp", part));
    } else {
        ZOO_TRY(make_mixer(b, kind, layer, part));
    }
    part->name = c->text(c, "@mixer_name", part->name);
    ZOO_TRY(zoo_decoder_frame(b, layer, part, 1, out));
    out->n_branches = 1;
    return ZOO_OK;
}

/* State space and attention in one branch; the feed-forward part in a second one. */
static zoo_status parallel_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out)
{
    const zoo_config *c = b->config;
    zoo_part *parts = b->setup->take(b->setup, 3 * sizeof *parts);
    zoo_branch *branches = b->setup->take(b->setup, 2 * sizeof *branches);
    if (!parts || !branches) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    ZOO_TRY(hybrid_mixer(b, layer, &parts[0]));
    ZOO_TRY(zoo_decoder_attention(b, layer, &parts[1]));
    ZOO_TRY(zoo_decoder_ffn(b, layer, &parts[2]));
    ZOO_TRY(zoo_decoder_frame(b, layer, &parts[1], 2, out));
    parts[0].norm = parts[1].norm;
    parts[0].in_scale = (float)c->number(c, "ssm_in_multiplier", 1.0);
    parts[0].out_scale = (float)c->number(c, "ssm_out_multiplier", 1.0);
    parts[1].in_scale = (float)c->number(c, "attention_in_multiplier", 1.0);
    parts[1].out_scale = (float)c->number(c, "attention_out_multiplier", 1.0);
    branches[0] = out->branches[0];
    branches[1] = out->branches[1];
    branches[0].parts = parts;
    branches[0].n_parts = 2;
    out->branches = branches;
    return ZOO_OK;
}

zoo_status hybrid_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out)
{
    const zoo_config *c = b->config;
    const char *shape = c->text(c, "@shape", "decoder");
    hybrid_kind kind = hybrid_layer_kind(b, layer);
    zoo_status status;
    if (strcmp(shape, "decoder") == 0) {
        status = decoder_layer(b, kind, layer, out);
    } else if (strcmp(shape, "shared") == 0) {
        status = hybrid_shared_layer(b, kind, layer, out);
    } else if (strcmp(shape, "rwkv") == 0) {
        status = hybrid_rwkv_layer(b, layer, out);
    } else if (strcmp(shape, "gated_streams") == 0) {
        status = hybrid_streams_layer(b, kind, layer, out);
    } else if (strcmp(shape, "single") == 0) {
        status = single_layer(b, kind, layer, out);
    } else if (strcmp(shape, "convolved") == 0) {
        status = hybrid_convolved_layer(b, layer, out);
    } else if (strcmp(shape, "residuals") == 0) {
        status = hybrid_residuals_layer(b, layer, out);
    } else if (strcmp(shape, "scaled") == 0) {
        status = hybrid_scaled_layer(b, layer, out);
    } else if (strcmp(shape, "streams") == 0) {
        status = stream_layer(b, kind, layer, out);
    } else if (strcmp(shape, "parallel") == 0) {
        status = parallel_layer(b, layer, out);
    } else {
        return zoo_fail(b->err, ZOO_E_CONFIG, "the card's option shape is \"%s\"", shape);
    }
    if (!out->kind) {
        out->kind = kind == HYBRID_ATTENTION && zoo_decoder_flag(b, "@index", false)
                        ? "indexed_attention"
                        : hybrid_kind_name(kind);
    }
    return status;
}
