/*
 * bind.c: params and tensors of routed experts: defaults, forms of storage and the bind table.
 *
 * Memory: none. What it will not do: read a config; configure of each plugin fills zoo_moe.
 */
#include "blocks/moe/impl.h"
#include "blocks/rows.h"

#define ZOO_ROW_WEIGHTS zoo_moe_weights
#define ZOO_ROW_PARAMS  zoo_moe

static void set_maps(zoo_moe *p)
{
    uint32_t f = p->experts.width, group = p->fused == ZOO_FUSED_INTERLEAVED ? 1 : f;
    zoo_rowmap half = {2 * f, 0, group, 2 * group};
    zoo_rowmap other = {2 * f, group, group, 2 * group};
    bool up_first = p->fused == ZOO_FUSED_HALVES_UP;
    p->gate_map = up_first ? other : half;
    p->up_map = up_first ? half : other;
}

static void set_rows(zoo_moe *p)
{
    uint32_t each = p->storage == ZOO_EXPERTS_EACH, split = !p->fused, gated = p->experts.gated;
    uint32_t plain = !each && !p->in_transposed, turned = !each && p->in_transposed;
    uint32_t bias = p->expert_bias;
    p->when.router = !p->router_turned;
    p->bias_map.total = p->bias_rows * p->router.n_experts;
    p->bias_map.group = p->bias_map.stride = p->router.n_experts;
    p->when.gate = each && split && gated;
    p->when.up = each && split;
    p->when.fused = each && !split;
    p->when.down = each;
    p->when.s_gate = plain && split && gated;
    p->when.s_up = plain && split;
    p->when.s_fused = plain && !split;
    p->when.s_down = !each && !p->down_transposed;
    p->when.t_gate = turned && split && gated;
    p->when.t_up = turned && split;
    p->when.t_fused = turned && !split;
    p->when.t_down = !each && p->down_transposed;
    p->when.gate_bias = bias && p->when.gate;
    p->when.up_bias = bias && p->when.up;
    p->when.fused_bias = bias && p->when.fused;
    p->when.down_bias = bias && each;
    p->when.s_gate_bias = bias && !each && split && gated;
    p->when.s_up_bias = bias && !each && split;
    p->when.s_fused_bias = bias && !each && !split;
    p->when.s_down_bias = bias && !each;
}

zoo_status zoo_moe_finish(zoo_moe *p, uint32_t width_in, zoo_error *err)
{
    zoo_mlp *shared = &p->shared;
    p->width_in = width_in;
    p->width_out = width_in;
    p->one = 1;
    p->experts.width_in = p->latent ? p->latent : width_in;
    p->experts.width_out = p->experts.width_in;
    p->experts.n = p->experts.n ? p->experts.n : p->router.n_experts;
    p->experts.out_norm = p->experts.out_eps > 0;
    p->shared_scale = p->shared_scale != 0 ? p->shared_scale : 1.0f;
    p->routed_scale = p->routed_scale != 0 ? p->routed_scale : 1.0f;
    ZOO_TRY(zoo_moe_refuse(p, err));
    set_maps(p);
    set_rows(p);
    if (shared->width) {
        shared->width_in = width_in;
        shared->width_out = width_in;
        ZOO_TRY(zoo_mlp_finish(shared, err));
    }
    p->shared_out_bias = shared->width ? shared->out_bias : 0;
    return ZOO_OK;
}

#define EACH(f, name_, rows_, cols_, map_, when_)                                                  \
    ZOO_ROW_EXPERTS(experts.f, "experts.%u." name_ ".weight", 0, rows_, cols_, experts.n, map_,    \
                    when_)
#define STACK(f, name_, flags_, rows_, cols_, map_, when_)                                         \
    ZOO_ROW_EXPERTS(experts.f, "experts." name_, flags_, rows_, cols_, experts.n, map_, when_)
#define BIAS(f, name_, rows_, map_, when_)                                                         \
    ZOO_ROW_EXPERT_VECTORS(experts.f, "experts." name_, 0, rows_, experts.n, map_, when_)
#define EXACT(f, name_, rows_, when_)                                                              \
    ZOO_ROW_MATRIX(f, name_, ZOO_BIND_EXACT, rows_, width_in, ZOO_NONE, when_)
#define FX        experts.width
#define INX       experts.width_in
#define OUTX      experts.width_out
#define GU        "gate_up_proj"
#define SH(name_) "shared_experts." name_
#define SW        shared.width
#define SM(f)     ZOO_ROW_AT(shared.f##_map)
#define SWHEN(f)  ZOO_ROW_AT(shared.when.f)

/* clang-format off */
const zoo_bind zoo_moe_binds[] = {
    EXACT(router, "gate.weight", router.n_experts, ZOO_ROW_AT(when.router)),
    ZOO_ROW_MATRIX(router, "gate.weight", ZOO_BIND_EXACT | ZOO_BIND_TRANSPOSED, router.n_experts,
                   width_in, ZOO_NONE, ZOO_ROW_AT(router_turned)),
    ZOO_ROW_VECTOR(router_bias, "gate.bias", router.n_experts, ZOO_NONE, ZOO_ROW_AT(router_bias)),
    ZOO_ROW_VECTOR(correction_bias, "gate.e_score_correction_bias", router.n_experts,
                   ZOO_ROW_AT(bias_map), ZOO_ROW_AT(correction_bias)),
    {.name = "gate.tid2eid", .kind = ZOO_BIND_TABLE, .field = ZOO_AT(ZOO_ROW_WEIGHTS, hash),
     .rows = ZOO_ROW_AT(hash_rows), .cols = ZOO_ROW_AT(router.top_k), .experts = ZOO_NONE,
         .map = ZOO_NONE,
     .when = ZOO_ROW_AT(hash_rows)},
    ZOO_ROW_VECTOR(expert_scale, "per_expert_scale", router.n_experts, ZOO_NONE,
                   ZOO_ROW_AT(per_expert_scale)),
    EACH(gate, "gate_proj", FX, INX, ZOO_NONE, ZOO_ROW_AT(when.gate)),
    EACH(up, "up_proj", FX, INX, ZOO_NONE, ZOO_ROW_AT(when.up)),
    EACH(gate, GU, FX, INX, ZOO_ROW_AT(gate_map), ZOO_ROW_AT(when.fused)),
    EACH(up, GU, FX, INX, ZOO_ROW_AT(up_map), ZOO_ROW_AT(when.fused)),
    EACH(down, "down_proj", OUTX, FX, ZOO_NONE, ZOO_ROW_AT(when.down)),
    STACK(gate, "gate_proj", 0, FX, INX, ZOO_NONE, ZOO_ROW_AT(when.s_gate)),
    STACK(up, "up_proj", 0, FX, INX, ZOO_NONE, ZOO_ROW_AT(when.s_up)),
    STACK(gate, GU, 0, FX, INX, ZOO_ROW_AT(gate_map), ZOO_ROW_AT(when.s_fused)),
    STACK(up, GU, 0, FX, INX, ZOO_ROW_AT(up_map), ZOO_ROW_AT(when.s_fused)),
    STACK(down, "down_proj", 0, OUTX, FX, ZOO_NONE, ZOO_ROW_AT(when.s_down)),
    STACK(gate, "gate_proj", ZOO_BIND_TRANSPOSED, FX, INX, ZOO_NONE, ZOO_ROW_AT(when.t_gate)),
    STACK(up, "up_proj", ZOO_BIND_TRANSPOSED, FX, INX, ZOO_NONE, ZOO_ROW_AT(when.t_up)),
    STACK(gate, GU, ZOO_BIND_TRANSPOSED, FX, INX, ZOO_ROW_AT(gate_map), ZOO_ROW_AT(when.t_fused)),
    STACK(up, GU, ZOO_BIND_TRANSPOSED, FX, INX, ZOO_ROW_AT(up_map), ZOO_ROW_AT(when.t_fused)),
    STACK(down, "down_proj", ZOO_BIND_TRANSPOSED, OUTX, FX, ZOO_NONE, ZOO_ROW_AT(when.t_down)),
    BIAS(gate_bias, "%u.gate_proj.bias", FX, ZOO_NONE, ZOO_ROW_AT(when.gate_bias)),
    BIAS(up_bias, "%u.up_proj.bias", FX, ZOO_NONE, ZOO_ROW_AT(when.up_bias)),
    BIAS(gate_bias, "%u." GU ".bias", FX, ZOO_ROW_AT(gate_map), ZOO_ROW_AT(when.fused_bias)),
    BIAS(up_bias, "%u." GU ".bias", FX, ZOO_ROW_AT(up_map), ZOO_ROW_AT(when.fused_bias)),
    BIAS(down_bias, "%u.down_proj.bias", OUTX, ZOO_NONE, ZOO_ROW_AT(when.down_bias)),
    BIAS(gate_bias, "gate_proj_bias", FX, ZOO_NONE, ZOO_ROW_AT(when.s_gate_bias)),
    BIAS(up_bias, "up_proj_bias", FX, ZOO_NONE, ZOO_ROW_AT(when.s_up_bias)),
    BIAS(gate_bias, GU "_bias", FX, ZOO_ROW_AT(gate_map), ZOO_ROW_AT(when.s_fused_bias)),
    BIAS(up_bias, GU "_bias", FX, ZOO_ROW_AT(up_map), ZOO_ROW_AT(when.s_fused_bias)),
    BIAS(down_bias, "down_proj_bias", OUTX, ZOO_NONE, ZOO_ROW_AT(when.s_down_bias)),
    ZOO_ROW_MATRIX(shared.gate, SH("gate_proj.weight"), 0, SW, width_in, ZOO_NONE, SWHEN(gate)),
    ZOO_ROW_MATRIX(shared.up, SH("up_proj.weight"), 0, SW, width_in, ZOO_NONE, SWHEN(up)),
    ZOO_ROW_MATRIX(shared.gate, SH(GU ".weight"), 0, SW, width_in, SM(gate), SWHEN(fused)),
    ZOO_ROW_MATRIX(shared.up, SH(GU ".weight"), 0, SW, width_in, SM(up), SWHEN(fused)),
    ZOO_ROW_MATRIX(shared.down, SH("down_proj.weight"), 0, width_out, SW, ZOO_NONE, SWHEN(down)),
    ZOO_ROW_VECTOR(shared.gate_bias, SH("gate_proj.bias"), SW, ZOO_NONE, SWHEN(gate_bias)),
    ZOO_ROW_VECTOR(shared.up_bias, SH("up_proj.bias"), SW, ZOO_NONE, SWHEN(up_bias)),
    ZOO_ROW_VECTOR(shared.gate_bias, SH(GU ".bias"), SW, SM(gate), SWHEN(fused_bias)),
    ZOO_ROW_VECTOR(shared.up_bias, SH(GU ".bias"), SW, SM(up), SWHEN(fused_bias)),
    ZOO_ROW_VECTOR(shared.down_bias, SH("down_proj.bias"), width_out, ZOO_NONE,
                   ZOO_ROW_AT(shared_out_bias)),
    EXACT(shared_gate, "shared_expert_gate.weight", one, ZOO_ROW_AT(shared_gate)),
    ZOO_ROW_MATRIX(latent_down, "latent_down.weight", 0, latent, width_in, ZOO_NONE,
                   ZOO_ROW_AT(latent)),
    ZOO_ROW_MATRIX(latent_up, "latent_up.weight", 0, width_out, latent, ZOO_NONE,
                   ZOO_ROW_AT(latent)),
    ZOO_ROW_VECTOR(latent_norm, "latent_norm.weight", latent, ZOO_NONE, ZOO_ROW_AT(latent_norm)),
    ZOO_ROW_VECTOR(experts.out_norm, "experts.out_norm.weight", OUTX, ZOO_NONE,
                   ZOO_ROW_AT(experts.out_norm)),
    ZOO_ROW_VECTOR(latent_down_bias, "latent_down.bias", latent, ZOO_NONE, ZOO_ROW_AT(latent_bias)),
    ZOO_ROW_VECTOR(latent_up_bias, "latent_up.bias", width_out, ZOO_NONE, ZOO_ROW_AT(latent_bias)),
    {0}};
/* clang-format on */
