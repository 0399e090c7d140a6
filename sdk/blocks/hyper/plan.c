/*
 * plan.c: the plan of models with several residual streams.
 *
 * Keys: hc_mult, hc_eps, hc_sinkhorn_iters, hc_magnitude, swiglu_limit.
 * Options:
 *   independent          streams are not mixed; post gets eps
 *   streams_end          "mean": the last layer's streams are averaged, else weighed by learned
 *                        weights
 *   clamp                swiglu_limit on routed experts; "all": on the shared one too; "every": on
 *                        dense parts as well
 */
#include <string.h>

#include "blocks/hyper/hyper.h"

/* Swiglu's clamp on the feed-forward part that the card's option names. */
static zoo_status clamp_ffn(const zoo_decoder *b, zoo_part *part)
{
    const zoo_config *c = b->config;
    const char *how = c->text(c, "@clamp", "");
    bool every = strcmp(how, "every") == 0;
    float limit = (float)c->number(c, "swiglu_limit", 0.0);
    if (every && !(limit > 0)) {
        c->refuse(c, "swiglu_limit is %g, which leaves nothing of an activation", (double)limit);
    }
    if (!*how || !(limit > 0)) {
        return ZOO_OK;
    }
    if (part->ops == &zoo_mlp_ops && every) {
        zoo_mlp *p = (zoo_mlp *)(uintptr_t)part->params;
        p->glu.limit = limit;
        return zoo_mlp_finish(p, b->err);
    }
    if (part->ops != &zoo_moe_ops) {
        return ZOO_OK;
    }
    zoo_moe *p = (zoo_moe *)(uintptr_t)part->params;
    p->experts.glu.limit = limit;
    p->shared.glu.limit = every || strcmp(how, "all") == 0 ? limit : 0;
    return zoo_moe_finish(p, b->hidden, b->err);
}

static zoo_hyper read_streams(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    bool independent = zoo_decoder_flag(b, "@independent", false);
    zoo_hyper p = {.hidden = b->hidden,
                   .n = c->whole(c, "hc_mult", 4),
                   .iters = independent ? 0 : c->whole(c, "hc_sinkhorn_iters", 20),
                   .eps = (float)c->number(c, "hc_eps", 1e-6),
                   .norm_eps = b->eps,
                   .magnitude = (float)c->number(c, "hc_magnitude", 2.0)};
    p.post_eps = independent ? p.eps : 0;
    if (!independent && !p.iters) {
        c->refuse(c, "hc_sinkhorn_iters is 0");
    }
    return p;
}

zoo_status zoo_hyper_ends(zoo_decoder *b, const zoo_hyper **out)
{
    bool mean = strcmp(b->config->text(b->config, "@streams_end", ""), "mean") == 0;
    zoo_hyper *p = b->setup->take(b->setup, sizeof *p);
    zoo_hyper *head = b->setup->take(b->setup, sizeof *p);
    zoo_part *ends = b->setup->take(b->setup, 2 * sizeof *ends);
    if (!p || !head || !ends) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *p = read_streams(b);
    ZOO_TRY(zoo_hyper_finish(p, b->err));
    *head = *p;
    head->scales = 1;
    ends[0] = (zoo_part){.ops = &zoo_hyper_spread_ops,
                         .params = p,
                         .name = "streams",
                         .in_scale = 1.0f,
                         .out_scale = 1.0f,
                         .width_in = b->hidden,
                         .width_out = p->flat};
    ends[1] = (zoo_part){.ops = mean ? &zoo_hyper_mean_ops : &zoo_hyper_gather_ops,
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
    *out = p;
    return ZOO_OK;
}

zoo_status zoo_hyper_layer(zoo_decoder *b, const zoo_hyper *p, uint32_t layer, zoo_part parts[2],
                           zoo_layer *out)
{
    char name[64];
    (void)snprintf(name, sizeof name, "layers.%u", layer);
    const char *path = zoo_decoder_path(b, name);
    if (!path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    ZOO_TRY(clamp_ffn(b, &parts[1]));
    parts[0].norm = zoo_decoder_norm(b, "input_layernorm");
    parts[1].norm = zoo_decoder_norm(b, "post_attention_layernorm");
    *out =
        (zoo_layer){.path = path, .ops = &zoo_hyper_ops, .params = p, .parts = parts, .n_parts = 2};
    return ZOO_OK;
}
