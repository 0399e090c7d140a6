/*
 * bind.c: the tensors of latent attention as a bind table. kv_b_proj is read twice as a stack
 * of H matrices [nope + v, kv_lora]: the first rows of each head transposed, the last as stored, so
 * that nothing is packed twice.
 */
#include "blocks/mla/impl.h"
#include "blocks/rows.h"

#define ZOO_ROW_WEIGHTS zoo_mla_weights
#define ZOO_ROW_PARAMS  zoo_mla

#define UP(f, flags_, rows_, cols_, map_)                                                          \
    ZOO_ROW_EXPERTS(f, "kv_b_proj.weight", flags_, rows_, cols_, n_heads, ZOO_ROW_AT(map_),        \
                    ZOO_NONE)
#define INDEX_VECTOR(f, name_)                                                                     \
    ZOO_ROW_VECTOR(f, "indexer.k_norm." name_, index.dim, ZOO_NONE, ZOO_ROW_AT(when.index))
#define PLACES(f, name_)                                                                           \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(ZOO_ROW_WEIGHTS, f),               \
        .rows = ZOO_ROW_AT(index.pool), .cols = ZOO_ROW_AT(index_row), .experts = ZOO_NONE,        \
        .map = ZOO_NONE, .when = ZOO_ROW_AT(when.pool)                                             \
    }
#define INDEX_SCALING(f, name_)                                                                    \
    ZOO_ROW_VECTOR(f, "indexer.softmax_scaling." name_, index.n_heads, ZOO_NONE,                   \
                   ZOO_ROW_AT(when.index_scaling))
#define INPUT_NORM(f, name_)                                                                       \
    ZOO_ROW_VECTOR(f, "indexer.q_input_norm." name_, width_in, ZOO_NONE,                           \
                   ZOO_ROW_AT(when.index_input))
#define OF_MODEL(f, name_, rows_, when_)                                                           \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_VECTOR, .flags = ZOO_BIND_ABSOLUTE,                        \
        .field = ZOO_AT(ZOO_ROW_WEIGHTS, f), .rows = ZOO_ROW_AT(rows_), .cols = ZOO_NONE,          \
        .experts = ZOO_NONE, .map = ZOO_NONE, .when = ZOO_ROW_AT(when_)                            \
    }

/* clang-format off */
const zoo_bind zoo_mla_binds[] = {
    ZOO_ROW_MATRIX(q, "q_proj.weight", 0, q_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.q)),
    ZOO_ROW_MATRIX(q_a, "q_a_proj.weight", 0, q_lora, width_in, ZOO_NONE, ZOO_ROW_AT(when.q_a)),
    ZOO_ROW_VECTOR(q_a_bias, "q_a_proj.bias", q_lora, ZOO_NONE, ZOO_ROW_AT(when.q_a_bias)),
    ZOO_ROW_VECTOR(q_norm, "q_a_layernorm.weight", q_lora, ZOO_NONE, ZOO_ROW_AT(when.q_a)),
    ZOO_ROW_MATRIX(q, "q_b_proj.weight", 0, q_rows, q_in, ZOO_NONE, ZOO_ROW_AT(when.q_a)),
    ZOO_ROW_MATRIX(kv_a, "kv_a_proj_with_mqa.weight", 0, kv_rows, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.kv_a)),
    ZOO_ROW_VECTOR(kv_a_bias, "kv_a_proj_with_mqa.bias", kv_rows, ZOO_NONE,
                   ZOO_ROW_AT(when.kv_a_bias)),
    ZOO_ROW_VECTOR(kv_norm, "kv_a_layernorm.weight", kv_lora, ZOO_NONE, ZOO_ROW_AT(when.kv_a)),
    ZOO_ROW_VECTOR(scaling, "softmax_scaling.scale", n_heads, ZOO_NONE, ZOO_ROW_AT(log_scaling)),
    ZOO_ROW_VECTOR(scaling_bias, "softmax_scaling.bias", n_heads, ZOO_NONE,
                   ZOO_ROW_AT(log_scaling)),
    OF_MODEL(alpha, "model.rotary_emb.alpha", rope_pairs, learned_rope),
    ZOO_ROW_VECTOR(rope_norm, "k_rope_only_layernorm.weight", rope_dim, ZOO_NONE,
                   ZOO_ROW_AT(when.rope_norm)),
    UP(k_up, ZOO_BIND_TRANSPOSED | ZOO_BIND_MAP_STORED, kv_lora, nope, k_map),
    UP(v_up, 0, v_dim, kv_lora, v_map),
    ZOO_ROW_MATRIX(o, "o_proj.weight", 0, width_out, o_cols, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(o_bias, "o_proj.bias", width_out, ZOO_NONE, ZOO_ROW_AT(bias)),
    ZOO_ROW_VECTOR(sinks, "sinks", n_heads, ZOO_NONE, ZOO_ROW_AT(sinks)),
    ZOO_ROW_MATRIX(gate, "g_proj.weight", 0, gate_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.gate)),
    ZOO_ROW_MATRIX(index_q, "indexer.wq_b.weight", 0, index_q_rows, index_q_in, ZOO_NONE,
                   ZOO_ROW_AT(when.index)),
    ZOO_ROW_MATRIX(index_k, "indexer.wk.weight", 0, index_row, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.index)),
    ZOO_ROW_MATRIX(index_w, "indexer.weights_proj.weight", ZOO_BIND_EXACT, index.n_heads, width_in,
                   ZOO_NONE,
           ZOO_ROW_AT(when.index)),
    ZOO_ROW_MATRIX(index_gate, "indexer.index_kpool_compress_gate", 0, index_row, width_in,
                   ZOO_NONE, ZOO_ROW_AT(when.pool)),
    INDEX_SCALING(index_scaling, "scale"),
    INDEX_SCALING(index_scaling_bias, "bias"),
    INPUT_NORM(index_input, "weight"),
    INPUT_NORM(index_input_bias, "bias"),
    PLACES(index_place, "indexer.index_kpool_compress_ape"),
    INDEX_VECTOR(index_norm, "weight"),
    INDEX_VECTOR(index_norm_bias, "bias"),
    {0}};
/* clang-format on */
