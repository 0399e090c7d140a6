/*
 * bind.c: the tensors of latent attention as a bind table. kv_b_proj is read twice as a stack
 * of H matrices [nope + v, kv_lora]: its first rows of each head turned, its last as they are, so
 * nothing is packed twice.
 */
#include "blocks/mla/impl.h"
#include "blocks/rows.h"

#define W zoo_mla_weights
#define P zoo_mla

#define UP(f, flags_, rows_, cols_, map_)                                                          \
    EXPERTS(f, "kv_b_proj.weight", flags_, rows_, cols_, n_heads, AT(map_), NONE)
#define INDEX_VECTOR(f, name_) VECTOR(f, "indexer.k_norm." name_, index.dim, NONE, AT(when.index))

/* clang-format off */
const zoo_bind zoo_mla_binds[] = {
    MATRIX(q, "q_proj.weight", 0, q_rows, width_in, NONE, AT(when.q)),
    MATRIX(q_a, "q_a_proj.weight", 0, q_lora, width_in, NONE, AT(when.q_a)),
    VECTOR(q_a_bias, "q_a_proj.bias", q_lora, NONE, AT(when.q_a_bias)),
    VECTOR(q_norm, "q_a_layernorm.weight", q_lora, NONE, AT(when.q_a)),
    MATRIX(q, "q_b_proj.weight", 0, q_rows, q_in, NONE, AT(when.q_a)),
    MATRIX(kv_a, "kv_a_proj_with_mqa.weight", 0, kv_rows, width_in, NONE, NONE),
    VECTOR(kv_a_bias, "kv_a_proj_with_mqa.bias", kv_rows, NONE, AT(bias)),
    VECTOR(kv_norm, "kv_a_layernorm.weight", kv_lora, NONE, NONE),
    UP(k_up, T | ZOO_BIND_MAP_STORED, kv_lora, nope, k_map),
    UP(v_up, 0, v_dim, kv_lora, v_map),
    MATRIX(o, "o_proj.weight", 0, width_out, o_cols, NONE, NONE),
    VECTOR(o_bias, "o_proj.bias", width_out, NONE, AT(bias)),
    VECTOR(sinks, "sinks", n_heads, NONE, AT(sinks)),
    MATRIX(gate, "g_proj.weight", 0, gate_rows, width_in, NONE, AT(when.gate)),
    MATRIX(index_q, "indexer.wq_b.weight", 0, index_q_rows, q_lora, NONE, AT(when.index)),
    MATRIX(index_k, "indexer.wk.weight", 0, index_row, width_in, NONE, AT(when.index)),
    MATRIX(index_w, "indexer.weights_proj.weight", ZOO_BIND_EXACT, index.n_heads, width_in, NONE,
           AT(when.index)),
    INDEX_VECTOR(index_norm, "weight"),
    INDEX_VECTOR(index_norm_bias, "bias"),
    {0}};
/* clang-format on */
