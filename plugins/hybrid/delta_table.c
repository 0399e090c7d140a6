/*
 * delta_table.c: the tensors of the gated delta rule, in each layout (delta.h).
 */
#include "blocks/rows.h"
#include "delta.h"

#define ZOO_ROW_WEIGHTS delta_weights
#define ZOO_ROW_PARAMS  delta_params

#define TAPS(f, name_, rows_, when_)                                                               \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(ZOO_ROW_WEIGHTS, f),               \
        .rows = ZOO_ROW_AT(rows_), .cols = ZOO_ROW_AT(taps), .experts = ZOO_NONE, .map = ZOO_NONE, \
        .when = ZOO_ROW_AT(when.when_)                                                             \
    }
#define GROUPED(f, name_, flags_, rows_)                                                           \
    ZOO_ROW_MATRIX(f, name_, flags_, rows_, width_in, ZOO_ROW_AT(f##_map), ZOO_ROW_AT(when.grouped))

/* clang-format off */
const zoo_bind hybrid_delta_binds[] = {
    GROUPED(q, "in_proj_qkvz.weight", 0, k_rows),
    GROUPED(k, "in_proj_qkvz.weight", 0, k_rows),
    GROUPED(v, "in_proj_qkvz.weight", 0, v_rows),
    GROUPED(z, "in_proj_qkvz.weight", 0, v_rows),
    GROUPED(b, "in_proj_ba.weight", ZOO_BIND_EXACT, n_v_heads),
    GROUPED(a, "in_proj_ba.weight", ZOO_BIND_EXACT, n_v_heads),
    ZOO_ROW_MATRIX(q, "in_proj_qkv.weight", 0, k_rows, width_in, ZOO_ROW_AT(fused_q),
                   ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(k, "in_proj_qkv.weight", 0, k_rows, width_in, ZOO_ROW_AT(fused_k),
                   ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(v, "in_proj_qkv.weight", 0, v_rows, width_in, ZOO_ROW_AT(fused_v),
                   ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(z, "in_proj_z.weight", 0, v_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(b, "in_proj_b.weight", ZOO_BIND_EXACT, n_v_heads, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(a, "in_proj_a.weight", ZOO_BIND_EXACT, n_v_heads, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(q, "q_proj.weight", 0, k_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.parts)),
    ZOO_ROW_MATRIX(k, "k_proj.weight", 0, k_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.parts)),
    ZOO_ROW_MATRIX(v, "v_proj.weight", 0, v_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.parts)),
    ZOO_ROW_MATRIX(b, "b_proj.weight", ZOO_BIND_EXACT, n_v_heads, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.parts)),
    ZOO_ROW_MATRIX(a, "a_proj.weight", ZOO_BIND_EXACT, n_v_heads, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.plain)),
    ZOO_ROW_MATRIX(z, "g_proj.weight", 0, v_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.plain)),
    ZOO_ROW_MATRIX(a, "f_proj.weight", 0, n_decays, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.separate)),
    ZOO_ROW_MATRIX(z, "g_proj.weight", 0, v_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.separate)),
    ZOO_ROW_MATRIX(a_down, "f_a_proj.weight", 0, rank, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.low_rank)),
    ZOO_ROW_MATRIX(a_up, "f_b_proj.weight", 0, n_decays, rank, ZOO_NONE,
                   ZOO_ROW_AT(when.low_rank)),
    ZOO_ROW_MATRIX(z_down, "g_a_proj.weight", 0, rank, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.low_rank)),
    ZOO_ROW_MATRIX(z_up, "g_b_proj.weight", 0, v_rows, rank, ZOO_NONE, ZOO_ROW_AT(when.low_rank)),
    TAPS(conv, "conv1d.weight", channels, one_conv),
    TAPS(conv_q, "q_conv1d.weight", k_rows, three_convs),
    TAPS(conv_k, "k_conv1d.weight", k_rows, three_convs),
    TAPS(conv_v, "v_conv1d.weight", v_rows, three_convs),
    ZOO_ROW_VECTOR(a_log, "A_log", n_v_heads, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(dt_bias, "dt_bias", n_decays, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(norm, "norm.weight", v_dim, ZOO_NONE, ZOO_ROW_AT(when.out_proj)),
    ZOO_ROW_VECTOR(norm, "o_norm.weight", v_dim, ZOO_NONE, ZOO_ROW_AT(when.o_proj)),
    ZOO_ROW_MATRIX(out, "out_proj.weight", 0, width_in, v_rows, ZOO_NONE,
                   ZOO_ROW_AT(when.out_proj)),
    ZOO_ROW_MATRIX(out, "o_proj.weight", 0, width_in, v_rows, ZOO_NONE, ZOO_ROW_AT(when.o_proj)),
    {0}};
/* clang-format on */
