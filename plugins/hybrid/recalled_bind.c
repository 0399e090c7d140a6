/*
 * recalled_bind.c: params and tensors of experts whose router recalls the layer before
 * (recalled.c).
 *
 * Keys: num_experts, num_experts_per_tok, moe_intermediate_size, router_hidden_size.
 */
#include "blocks/rows.h"
#include "recalled.h"

#define ZOO_ROW_WEIGHTS recalled_weights
#define ZOO_ROW_PARAMS  recalled_params

#define ROUTER(f, name_, rows_, cols_)                                                             \
    ZOO_ROW_MATRIX(f, "gate." name_ ".weight", ZOO_BIND_EXACT, rows_, cols_, ZOO_NONE, ZOO_NONE)
#define EXPERTS(f, name_, rows_, cols_, map_)                                                      \
    ZOO_ROW_EXPERTS(experts.f, name_, 0, rows_, cols_, experts.n, map_, ZOO_NONE)

const zoo_bind hybrid_recalled_binds[] = {
    ROUTER(down, "down_proj", rank, width_in),
    ZOO_ROW_VECTOR(down_bias, "gate.down_proj.bias", rank, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(scale, "gate.router_states_scale", rank, ZOO_NONE, ZOO_ROW_AT(recalls)),
    ZOO_ROW_VECTOR(norm, "gate.router_mlp.norm.weight", rank, ZOO_NONE, ZOO_NONE),
    ROUTER(first, "router_mlp.fc1", rank, rank),
    ZOO_ROW_VECTOR(first_bias, "gate.router_mlp.fc1.bias", rank, ZOO_NONE, ZOO_NONE),
    ROUTER(second, "router_mlp.fc2", rank, rank),
    ZOO_ROW_VECTOR(second_bias, "gate.router_mlp.fc2.bias", rank, ZOO_NONE, ZOO_NONE),
    ROUTER(out, "router_mlp.out_proj", classes, rank),
    ZOO_ROW_VECTOR(balance, "gate.balancing_biases", classes, ZOO_NONE, ZOO_NONE),
    EXPERTS(gate, "experts.gate_up_proj", experts.width, width_in, ZOO_ROW_AT(gate_map)),
    EXPERTS(up, "experts.gate_up_proj", experts.width, width_in, ZOO_ROW_AT(up_map)),
    EXPERTS(down, "experts.down_proj", width_in, experts.width, ZOO_NONE),
    {0}};

void hybrid_recalled_facts(const void *params, const zoo_facts *to)
{
    const recalled_params *p = params;
    to->text(to, "kind", "experts");
    to->number(to, "inner", p->experts.width);
    zoo_glu_facts(&p->experts.glu, to);
    to->number(to, "gated", 1);
    to->number(to, "experts", p->experts.n);
    to->number(to, "experts_per_token", 1);
    to->text(to, "router",
             p->recalls ? "a network that recalls the one of the layer before" : "a network");
    to->number(to, "router_width", p->rank);
}

void hybrid_recalled_explain(const void *params, char *text, size_t n)
{
    const recalled_params *p = params;
    (void)snprintf(text, n,
                   "1 of %u experts of width %u, or none, chosen by a network of width %u%s",
                   p->experts.n, p->experts.width, p->rank,
                   p->recalls ? " that recalls the layer before" : "");
}

zoo_status hybrid_recalled_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    static const char memory;
    const zoo_config *c = b->config;
    recalled_params *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    uint32_t width = c->whole(c, "moe_intermediate_size", 0), n = c->whole(c, "num_experts", 0);
    p->experts = (zoo_experts){.n = n,
                               .width_in = b->hidden,
                               .width = width,
                               .width_out = b->hidden,
                               .gated = 1,
                               .glu = zoo_decoder_glu(b, "silu")};
    p->width_in = b->hidden;
    p->rank = c->whole(c, "router_hidden_size", 256);
    p->classes = n + 1;
    p->recalls = layer != 0;
    p->eps = b->eps;
    p->gate_map = (zoo_rowmap){2 * width, 0, width, 2 * width};
    p->up_map = (zoo_rowmap){2 * width, width, width, 2 * width};
    p->memory = &memory;
    if (!n || !width || !p->rank || n > 65535 || width > (1u << 20) || p->rank > (1u << 20)) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "%u experts of width %u, a router of width %u", n,
                        width, p->rank);
    }
    if (c->whole(c, "num_experts_per_tok", 1) != 1) {
        c->refuse(c, "num_experts_per_tok is not 1");
    }
    *out = (zoo_part){.ops = &hybrid_recalled_ops,
                      .params = p,
                      .name = "mlp",
                      .in_scale = 1.0f,
                      .out_scale = 1.0f};
    return ZOO_OK;
}
