/*
 * bind.c: params and tensors of the feed-forward part: defaults, fused layouts, the bind table.
 *
 * Memory: none. What it will not do: read a config; configure of each plugin fills zoo_mlp.
 */
#include "blocks/mlp/impl.h"
#include "blocks/rows.h"

#define ZOO_ROW_WEIGHTS zoo_mlp_weights
#define ZOO_ROW_PARAMS  zoo_mlp

zoo_status zoo_mlp_finish(zoo_mlp *p, zoo_error *err)
{
    uint32_t split = !p->fused, plain = !p->transposed;
    p->width_out = p->width_out ? p->width_out : p->width_in;
    p->gate_scale = p->gate_scale != 0 ? p->gate_scale : 1.0f;
    p->down_scale = p->down_scale != 0 ? p->down_scale : 1.0f;
    if (!p->width || !p->width_in || p->width > UINT32_MAX / 2) {
        return zoo_fail(err, ZOO_E_CONFIG, "mlp: widths %u and %u", p->width_in, p->width);
    }
    if (p->glu.act >= ZOO_ACT_COUNT || p->fused > ZOO_FUSED_HALVES_UP || (p->fused && !p->gated)) {
        return zoo_fail(err, ZOO_E_CONFIG, "mlp: activation %u, fusion %u, gated %u", p->glu.act,
                        p->fused, p->gated);
    }
    if (p->added && (!p->gated || p->round_input)) {
        return zoo_fail(err, ZOO_E_CONFIG, "mlp: added columns without gates or with rounded rows");
    }
    uint32_t alternate = p->fused == ZOO_FUSED_INTERLEAVED;
    uint32_t up_first = p->fused == ZOO_FUSED_HALVES_UP;
    uint32_t group = alternate ? 1 : p->width;
    zoo_rowmap half = {2 * p->width, 0, group, 2 * group};
    zoo_rowmap other = {2 * p->width, group, group, 2 * group};
    p->gate_map = up_first ? other : half;
    p->up_map = up_first ? half : other;
    p->when.gate = p->gated && split && plain;
    p->when.gate_t = p->gated && split && !plain;
    p->when.up = split && plain;
    p->when.up_t = split && !plain;
    p->when.fused = !split && plain;
    p->when.fused_t = !split && !plain;
    p->when.down = plain;
    p->when.down_t = !plain;
    p->when.gate_bias = p->gated && split && p->in_bias;
    p->when.up_bias = split && p->in_bias;
    p->when.fused_bias = !split && p->in_bias;
    return ZOO_OK;
}

#define FUSED "gate_up_proj.weight"

/* clang-format off */
const zoo_bind zoo_mlp_binds[] = {
    ZOO_ROW_MATRIX(gate, "gate_proj.weight", 0, width, width_in, ZOO_NONE, ZOO_ROW_AT(when.gate)),
    ZOO_ROW_MATRIX(up, "up_proj.weight", 0, width, width_in, ZOO_NONE, ZOO_ROW_AT(when.up)),
    ZOO_ROW_MATRIX(gate, FUSED, 0, width, width_in, ZOO_ROW_AT(gate_map), ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(up, FUSED, 0, width, width_in, ZOO_ROW_AT(up_map), ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(down, "down_proj.weight", 0, width_out, width, ZOO_NONE, ZOO_ROW_AT(when.down)),
    ZOO_ROW_MATRIX(gate, "gate_proj.weight", ZOO_BIND_TRANSPOSED, width, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.gate_t)),
    ZOO_ROW_MATRIX(up, "up_proj.weight", ZOO_BIND_TRANSPOSED, width, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.up_t)),
    ZOO_ROW_MATRIX(gate, FUSED, ZOO_BIND_TRANSPOSED, width, width_in, ZOO_ROW_AT(gate_map),
                   ZOO_ROW_AT(when.fused_t)),
    ZOO_ROW_MATRIX(up, FUSED, ZOO_BIND_TRANSPOSED, width, width_in, ZOO_ROW_AT(up_map),
                   ZOO_ROW_AT(when.fused_t)),
    ZOO_ROW_MATRIX(down, "down_proj.weight", ZOO_BIND_TRANSPOSED, width_out, width, ZOO_NONE,
                   ZOO_ROW_AT(when.down_t)),
    ZOO_ROW_VECTOR(gate_bias, "gate_proj.bias", width, ZOO_NONE, ZOO_ROW_AT(when.gate_bias)),
    ZOO_ROW_VECTOR(up_bias, "up_proj.bias", width, ZOO_NONE, ZOO_ROW_AT(when.up_bias)),
    ZOO_ROW_VECTOR(gate_bias, "gate_up_proj.bias", width, ZOO_ROW_AT(gate_map),
                   ZOO_ROW_AT(when.fused_bias)),
    ZOO_ROW_VECTOR(up_bias, "gate_up_proj.bias", width, ZOO_ROW_AT(up_map),
                   ZOO_ROW_AT(when.fused_bias)),
    ZOO_ROW_VECTOR(down_bias, "down_proj.bias", width_out, ZOO_NONE, ZOO_ROW_AT(out_bias)),
    ZOO_ROW_VECTOR(sub_norm, "ffn_sub_norm.weight", width, ZOO_NONE, ZOO_ROW_AT(sub_norm)),
    {0}};
/* clang-format on */
