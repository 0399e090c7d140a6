/*
 * layers.c: the plan: layers of the shape that the card names.
 *
 * Options:
 *   layer         "plain": h += mla(norm h); h += ffn(norm h); "shortcut": longcat.c;
 *                 "hyper", "compressed": hyper_layer.c; "framed": framed.c, with gated_norms,
 *                 normed_experts
 *   depth_scale   what layers add is multiplied by scale_depth / sqrt(layers)
 *   base_width    logits are multiplied by dim_model_base / hidden_size
 */
#include "deepseek.h"

#include <math.h>
#include <string.h>

const char *ds_attention_kind(const zoo_part *part)
{
    const zoo_mla *mla = part->params;
    return mla->index.n_heads   ? "indexed_attention"
           : mla->index.follows ? "indexed_attention, shared index"
           : mla->window        ? "sliding_attention"
                                : "latent_attention";
}

static zoo_status plain_layer(ds_model *m, uint32_t layer, zoo_layer *out)
{
    zoo_decoder *b = &m->b;
    zoo_part *parts = b->setup->take(b->setup, 2 * sizeof *parts);
    if (!parts) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    ZOO_TRY(ds_attention(m, layer, "self_attn", &parts[0]));
    ZOO_TRY(zoo_decoder_ffn(b, layer, &parts[1]));
    ZOO_TRY(zoo_decoder_frame(b, layer, parts, 2, out));
    out->kind = ds_attention_kind(&parts[0]);
    return ZOO_OK;
}

bool ds_is_compressed(const zoo_config *c)
{
    return strcmp(c->text(c, "@layer", ""), "compressed") == 0;
}

static zoo_status read_layer(ds_model *m, uint32_t layer, zoo_layer *out)
{
    const char *shape = m->b.config->text(m->b.config, "@layer", "plain");
    if (strcmp(shape, "shortcut") == 0) {
        return ds_longcat_layer(m, layer, out);
    }
    if (m->hyper) {
        return ds_hyper_layer(m, layer, out);
    }
    return strcmp(shape, "framed") == 0 ? ds_framed_layer(m, layer, out)
                                        : plain_layer(m, layer, out);
}

/* Keys that other keys of the same file overrule, as in the reference. */
static void claim_overruled(const zoo_config *c)
{
    (void)c->whole(c, "first_k_dense_replace", 0);
    (void)c->whole(c, "n_group", 1);
    (void)c->whole(c, "topk_group", 1);
    (void)c->whole(c, "index_topk_freq", 1);
    (void)c->whole(c, "index_skip_topk_offset", 2);
    (void)c->text(c, "index_topk_pattern", "");
}

static void read_scales(ds_model *m)
{
    zoo_decoder *b = &m->b;
    const zoo_config *c = b->config;
    if (zoo_decoder_flag(b, "@depth_scale", false)) {
        b->residual = (float)(c->number(c, "scale_depth", 1.4) / sqrt(b->n_layers));
    }
    if (zoo_decoder_flag(b, "@base_width", false)) {
        b->plan->head_scale = (float)(c->number(c, "dim_model_base", b->hidden) / b->hidden);
    }
}

/* It is like the last layer, with an indexer of its own. */
static zoo_status predict(ds_model *m)
{
    zoo_decoder *b = &m->b;
    if (!zoo_decoder_predicts(b)) {
        return ZOO_OK;
    }
    zoo_layer *layer = b->setup->take(b->setup, sizeof *layer);
    if (!layer) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    m->predicting = true;
    ZOO_TRY(read_layer(m, b->n_layers - 1, layer));
    m->predicting = false;
    return zoo_decoder_predict(b, layer);
}

zoo_status ds_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan, zoo_error *err)
{
    ds_model m = {0};
    ZOO_TRY(zoo_decoder_begin(&m.b, config, setup, plan, err));
    if (!ds_is_compressed(config)) {
        ZOO_TRY(ds_read_rope(&m));
    }
    read_scales(&m);
    claim_overruled(config);
    if (ds_is_compressed(config) || strcmp(config->text(config, "@layer", ""), "hyper") == 0) {
        ZOO_TRY(zoo_hyper_ends(&m.b, &m.hyper));
    }
    zoo_layer *layers = setup->take(setup, m.b.n_layers * sizeof *layers);
    m.latents = setup->take(setup, m.b.n_layers * sizeof *m.latents);
    if (!layers || !m.latents) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the plan");
    }
    for (uint32_t i = 0; i < m.b.n_layers; i++) {
        ZOO_TRY(read_layer(&m, i, &layers[i]));
    }
    plan->layers = layers;
    plan->n_layers = m.b.n_layers;
    return predict(&m);
}
