/*
 * hyper_layer.c: the plan of models with several residual streams.
 *
 * Keys: hc_mult, hc_eps, hc_sinkhorn_iters, hc_magnitude, swiglu_limit.
 * Options:
 *   layer "hyper"        streams around latent attention; "compressed": around csa.h
 *   independent          streams are not mixed; post gets eps
 *   clamp                swiglu_limit on routed experts; "all": on the shared one too
 */
#include "deepseek.h"
#include "hyper.h"

#include <string.h>

static zoo_status clamp_experts(const zoo_decoder *b, zoo_part *part)
{
    const zoo_config *c = b->config;
    zoo_moe *p = (zoo_moe *)(uintptr_t)part->params;
    const char *how = c->text(c, "@clamp", "");
    float limit = (float)c->number(c, "swiglu_limit", 0.0);
    if (part->ops != &zoo_moe_ops || !*how || !(limit > 0)) {
        return ZOO_OK;
    }
    p->experts.glu.limit = limit;
    p->shared.glu.limit = strcmp(how, "all") == 0 ? limit : 0;
    return zoo_moe_finish(p, b->hidden, b->err);
}

zoo_status ds_hyper_ends(ds_model *m)
{
    zoo_decoder *b = &m->b;
    const zoo_config *c = b->config;
    bool independent = zoo_decoder_flag(b, "@independent", false);
    ds_hyper *p = b->setup->take(b->setup, sizeof *p), *head = b->setup->take(b->setup, sizeof *p);
    zoo_part *ends = b->setup->take(b->setup, 2 * sizeof *ends);
    if (!p || !head || !ends) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *p = (ds_hyper){.hidden = b->hidden,
                    .n = c->whole(c, "hc_mult", 4),
                    .iters = independent ? 0 : c->whole(c, "hc_sinkhorn_iters", 20),
                    .eps = (float)c->number(c, "hc_eps", 1e-6),
                    .norm_eps = b->eps,
                    .magnitude = (float)c->number(c, "hc_magnitude", 2.0)};
    p->post_eps = independent ? p->eps : 0;
    if (!independent && !p->iters) {
        c->refuse(c, "hc_sinkhorn_iters is 0");
    }
    ZOO_TRY(ds_hyper_finish(p, b->err));
    *head = *p;
    head->scales = 1;
    ends[0] = (zoo_part){.ops = &ds_spread_ops,
                         .params = p,
                         .name = "streams",
                         .in_scale = 1.0f,
                         .out_scale = 1.0f,
                         .width_in = b->hidden,
                         .width_out = p->flat};
    ends[1] = (zoo_part){.ops = &ds_gather_ops,
                         .params = head,
                         .name = "hc_head",
                         .path = b->prefix,
                         .in_scale = 1.0f,
                         .out_scale = 1.0f,
                         .width_in = p->flat,
                         .width_out = b->hidden};
    b->plan->prologue = &ends[0];
    b->plan->epilogue = &ends[1];
    b->plan->n_prologue = b->plan->n_epilogue = 1;
    b->plan->stream_width = p->flat;
    m->hyper = p;
    return ZOO_OK;
}

zoo_status ds_hyper_layer(ds_model *m, uint32_t layer, zoo_layer *out)
{
    zoo_decoder *b = &m->b;
    zoo_part *parts = b->setup->take(b->setup, 2 * sizeof *parts);
    char name[64];
    (void)snprintf(name, sizeof name, "layers.%u", layer);
    const char *path = zoo_decoder_path(b, name);
    if (!parts || !path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    const char *kind = NULL;
    if (ds_is_compressed(b->config)) {
        ZOO_TRY(ds_csa_attention(m, layer, &parts[0], &kind));
        ZOO_TRY(ds_hash_experts(m, layer, &parts[1]));
    } else {
        ZOO_TRY(ds_attention(m, layer, "self_attn", &parts[0]));
        ZOO_TRY(zoo_decoder_ffn(b, layer, &parts[1]));
        kind = ds_attention_kind(&parts[0]);
    }
    ZOO_TRY(clamp_experts(b, &parts[1]));
    parts[0].norm = zoo_decoder_norm(b, "input_layernorm");
    parts[1].norm = zoo_decoder_norm(b, "post_attention_layernorm");
    *out = (zoo_layer){.path = path,
                       .kind = kind,
                       .ops = &ds_hyper_ops,
                       .params = m->hyper,
                       .parts = parts,
                       .n_parts = 2};
    return ZOO_OK;
}
