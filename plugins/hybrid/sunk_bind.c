/*
 * sunk_bind.c: params and tensors of experts whose shared ones take part in the choice's weights
 * (sunk.h).
 *
 * Keys: num_experts, num_experts_per_tok, n_shared_experts, moe_intermediate_size, route_scale.
 * Option interleaved_gate: rows of gate and up alternate, and those of the shared experts are one
 * tensor too.
 */
#include "blocks/rows.h"
#include "sunk.h"

#define ZOO_ROW_WEIGHTS sunk_weights
#define ZOO_ROW_PARAMS  sunk_params

#define ROUTED(f, name_, rows_, cols_, map_)                                                       \
    ZOO_ROW_EXPERTS(routed.f, "experts." name_, 0, rows_, cols_, n_routed, map_, ZOO_NONE)
#define SHARED(f, name_, rows_, cols_, map_, when_)                                                \
    ZOO_ROW_EXPERTS(shared.f, "shared_experts." name_, 0, rows_, cols_, n_shared, map_, when_)

const zoo_bind hybrid_sunk_binds[] = {
    ZOO_ROW_MATRIX(router, "gate.weight", ZOO_BIND_EXACT, router.n_experts, width_in, ZOO_NONE,
                   ZOO_NONE),
    ZOO_ROW_VECTOR(correction, "gate.e_score_correction_bias", n_routed, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(global, "gate.global_scale", one, ZOO_NONE, ZOO_NONE),
    ROUTED(gate, "gate_up_proj", experts.width, width_in, ZOO_ROW_AT(gate_map)),
    ROUTED(up, "gate_up_proj", experts.width, width_in, ZOO_ROW_AT(up_map)),
    ROUTED(down, "down_proj", width_in, experts.width, ZOO_NONE),
    SHARED(gate, "gate_proj", experts.width, width_in, ZOO_NONE, ZOO_ROW_AT(split)),
    SHARED(up, "up_proj", experts.width, width_in, ZOO_NONE, ZOO_ROW_AT(split)),
    SHARED(gate, "gate_up_proj", experts.width, width_in, ZOO_ROW_AT(gate_map), ZOO_ROW_AT(fused)),
    SHARED(up, "gate_up_proj", experts.width, width_in, ZOO_ROW_AT(up_map), ZOO_ROW_AT(fused)),
    SHARED(down, "down_proj", width_in, experts.width, ZOO_NONE, ZOO_NONE),
    {0}};

void hybrid_sunk_facts(const void *params, const zoo_facts *to)
{
    const sunk_params *p = params;
    to->text(to, "kind", "experts");
    to->number(to, "inner", p->experts.width);
    zoo_glu_facts(&p->experts.glu, to);
    to->number(to, "gated", 1);
    to->number(to, "experts", p->experts.n);
    zoo_router_facts(&p->router, to);
    to->number(to, "choice_bias", 1);
    to->number(to, "always_chosen", p->n_shared);
}

void hybrid_sunk_explain(const void *params, char *text, size_t n)
{
    const sunk_params *p = params;
    (void)snprintf(text, n,
                   "%u of %u experts of width %u and %u more for every token, weighed together",
                   p->router.top_k - p->n_shared, p->n_routed, p->experts.width, p->n_shared);
}

zoo_status hybrid_sunk_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    sunk_params *p = b->setup->take(b->setup, sizeof *p);
    (void)layer;
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    uint32_t width = c->whole(c, "moe_intermediate_size", 0),
             top = c->whole(c, "num_experts_per_tok", 6);
    bool alternate = zoo_decoder_flag(b, "@interleaved_gate", false);
    p->width_in = b->hidden;
    p->one = 1;
    p->n_routed = c->whole(c, "num_experts", 0);
    p->n_shared = c->whole(c, "n_shared_experts", 2);
    if (!p->n_routed || !p->n_shared || p->n_routed > 65535 || p->n_shared > 1024 || !top ||
        top > p->n_routed || !width || width > (1u << 20)) {
        return zoo_fail(b->err, ZOO_E_CONFIG,
                        "%u of %u experts of width %u and %u shared ones: each at least 1", top,
                        p->n_routed, width, p->n_shared);
    }
    p->router = (zoo_router){.n_experts = p->n_routed + p->n_shared,
                             .top_k = top + p->n_shared,
                             .score = ZOO_SCORE_SIGMOID,
                             .renorm = ZOO_RENORM_SUM,
                             .scale = (float)c->number(c, "route_scale", 8.0)};
    p->experts = (zoo_experts){.n = p->n_routed + p->n_shared,
                               .width_in = b->hidden,
                               .width = width,
                               .width_out = b->hidden,
                               .gated = 1,
                               .glu = zoo_decoder_glu(b, "silu")};
    uint32_t group = alternate ? 1 : width;
    p->gate_map = (zoo_rowmap){2 * width, 0, group, 2 * group};
    p->up_map = (zoo_rowmap){2 * width, group, group, 2 * group};
    p->fused = alternate;
    p->split = !alternate;
    *out = (zoo_part){
        .ops = &hybrid_sunk_ops, .params = p, .name = "mlp", .in_scale = 1.0f, .out_scale = 1.0f};
    return ZOO_OK;
}
