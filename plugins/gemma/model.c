/*
 * model.c: plans of this family: the shared decoder, then what only this family has.
 *
 * Options: embed_norm (true: the embedding module norms its rows, without weight; a string: the
 * norm module of that name does so after it); final_norm_plain (the last
 * norm's weight is w, not 1 + w); post_norm_eps (norms after the branches have an eps of their own,
 * key post_norm_eps); gated_residual (a gate for each channel weighs residual and branch, with
 * residual_gate_temperature).
 */
#include "gemma.h"

static zoo_status add_embed_norm(zoo_decoder *b)
{
    zoo_part *part = b->setup->take(b->setup, sizeof *part);
    if (!part) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    bool behind = b->config->type(b->config, "@embed_norm") == ZOO_STRING;
    *part = (zoo_part){.name = "embed_norm",
                       .norm = {.kind = ZOO_NORM_RMS, .eps = b->eps},
                       .in_scale = 1.0f,
                       .out_scale = 1.0f};
    b->plan->prologue = part;
    b->plan->n_prologue = 1;
    if (behind) {
        part->norm.name = b->config->text(b->config, "@embed_norm", "norm");
    } else {
        b->plan->embed_scale_inside = 2;
    }
    return ZOO_OK;
}

/* The layer's two parts under gates instead of its branches. */
static zoo_status gate_layer(zoo_decoder *b, zoo_layer *layer)
{
    const zoo_config *c = b->config;
    gemma_gated *p = b->setup->take(b->setup, sizeof *p);
    zoo_part *parts = b->setup->take(b->setup, 2 * sizeof *parts);
    if (!p || !parts) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->hidden = b->hidden;
    p->temperature = (float)c->number(c, "residual_gate_temperature", 0.3);
    p->eps = (float)c->number(c, "post_norm_eps", 1e-8);
    parts[0] = layer->branches[0].parts[0];
    parts[1] = layer->branches[1].parts[0];
    *layer = (zoo_layer){.path = layer->path,
                         .kind = layer->kind,
                         .ops = &gemma_gated_ops,
                         .params = p,
                         .parts = parts,
                         .n_parts = 2};
    return ZOO_OK;
}

static zoo_status make_layers(zoo_decoder *b)
{
    const zoo_config *c = b->config;
    zoo_layer *layers = b->setup->take(b->setup, b->n_layers * sizeof *layers);
    if (!layers) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    for (uint32_t i = 0; i < b->n_layers; i++) {
        ZOO_TRY(zoo_decoder_layer(b, i, &layers[i]));
        if (c->flag(c, "@gated_residual", false)) {
            ZOO_TRY(gate_layer(b, &layers[i]));
        } else if (c->flag(c, "@post_norm_eps", false)) {
            zoo_branch *branches = (zoo_branch *)(uintptr_t)layers[i].branches;
            branches[0].post.eps = branches[1].post.eps =
                (float)c->number(c, "post_norm_eps", 1e-8);
        }
    }
    b->plan->layers = layers;
    b->plan->n_layers = b->n_layers;
    return ZOO_OK;
}

zoo_status gemma_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                           zoo_error *err)
{
    zoo_decoder b;
    ZOO_TRY(zoo_decoder_begin(&b, config, setup, plan, err));
    if (config->whole(config, "@generation", 0) == 4) {
        return gemma_configure4(&b);
    }
    if (config->whole(config, "@generation", 0) == 3) {
        return gemma_configure3n(&b);
    }
    if (config->flag(config, "@final_norm_plain", false)) {
        plan->norm.kind = ZOO_NORM_RMS;
    }
    if (config->type(config, "@embed_norm") != ZOO_ABSENT) {
        ZOO_TRY(add_embed_norm(&b));
    }
    return make_layers(&b);
}
