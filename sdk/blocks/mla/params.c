/*
 * params.c: defaults, derived sizes and refusals of latent attention.
 */
#include "blocks/mla/impl.h"

#include <math.h>

static zoo_status refuse_sizes(const zoo_mla *p, zoo_error *err)
{
    const uint32_t sizes[] = {p->width_in, p->n_heads, p->kv_lora, p->nope, p->v_dim};
    for (size_t i = 0; i < ZOO_COUNT(sizes); i++) {
        if (sizes[i] == 0 || sizes[i] > 65536 || p->rope_dim > 65536) {
            return zoo_fail(err, ZOO_E_CONFIG,
                            "latent attention: a width of %u, %u heads, latent %u, head %u + %u, "
                            "value %u (each must lie between 1 and 65536)",
                            p->width_in, p->n_heads, p->kv_lora, p->nope, p->rope_dim, p->v_dim);
        }
    }
    if (p->q_lora > 65536 || (uint64_t)p->n_heads * (p->nope + p->rope_dim + p->v_dim) > 1u << 27) {
        return zoo_fail(err, ZOO_E_CONFIG, "latent attention: %u heads, query latent %u",
                        p->n_heads, p->q_lora);
    }
    if (p->rope && 2 * p->rope->n_pairs != p->rope_dim) {
        return zoo_fail(err, ZOO_E_CONFIG, "latent attention: %u angles rotate %u elements",
                        p->rope->n_pairs, p->rope_dim);
    }
    if (p->learned_rope && p->rope && p->rope->kind != ZOO_ROPE_FIXED) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "latent attention: learned frequencies of a rotation that depends on the "
                        "length");
    }
    if (p->gate > ZOO_MLA_GATE_IN_Q || (p->q_both && !p->q_lora)) {
        return zoo_fail(err, ZOO_E_CONFIG, "latent attention: gate %u, query latent %u", p->gate,
                        p->q_lora);
    }
    return ZOO_OK;
}

static zoo_status refuse_index(const zoo_mla *p, zoo_error *err)
{
    const zoo_mla_index *x = &p->index;
    bool own = x->n_heads != 0;
    if (!own && !x->follows) {
        return ZOO_OK;
    }
    if (p->window) {
        return zoo_fail(err, ZOO_E_CONFIG, "latent attention: an indexer over a window of %u keys",
                        p->window);
    }
    if (!x->top_k || !x->choice || x->pool > 65536 || x->top_k % x->pool) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "latent attention: an indexer that chooses %u keys in pools of %u",
                        x->top_k, x->pool);
    }
    if (own &&
        ((!p->q_lora && !x->from_input) || p->shares || x->n_heads > 65536 || x->dim > 65536 ||
         x->dim < p->rope_dim || (uint64_t)x->n_heads * x->dim > 1u << 27)) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "latent attention: an indexer of %u heads of %u (rope %u, query latent %u)",
                        x->n_heads, x->dim, p->rope_dim, p->q_lora);
    }
    return ZOO_OK;
}

static void derive(zoo_mla *p)
{
    p->q_head = p->nope + p->rope_dim + (p->gate == ZOO_MLA_GATE_IN_Q ? p->v_dim : 0);
    p->q_rows = p->n_heads * p->q_head;
    p->q_in = p->q_lora ? p->q_lora * (p->q_both ? 2 : 1) : p->width_in;
    p->kv_rows = p->kv_lora + p->rope_dim;
    p->o_cols = p->n_heads * p->v_dim;
    p->gate_rows = p->gate == ZOO_MLA_GATE_HEAD      ? p->n_heads
                   : p->gate == ZOO_MLA_GATE_ELEMENT ? p->o_cols
                                                     : 0;
    p->index_q_rows = p->index.n_heads * p->index.dim;
    p->index_row = p->index.n_heads ? p->index.dim : 0;
    p->index_rotated = p->index.n_heads && p->index.rope_last ? p->index.dim - p->rope_dim : 0;
    p->k_map = (zoo_rowmap){p->nope + p->v_dim, 0, p->nope, p->nope};
    p->v_map = (zoo_rowmap){p->nope + p->v_dim, p->nope, p->v_dim, p->v_dim};
    p->when.q = !p->q_lora;
    p->when.q_a = p->q_lora != 0;
    p->when.q_a_bias = p->q_lora && p->bias;
    p->when.gate = p->gate_rows != 0;
    p->when.rope_norm = p->rope_norm && p->rope_dim;
    p->when.kv_a = !p->shares;
    p->when.kv_a_bias = p->bias && !p->shares;
    p->when.index_input = p->index.n_heads && p->index.from_input;
    p->when.index_scaling = p->index.n_heads && p->log_scaling;
    p->index_q_in = p->index.from_input ? p->width_in : p->q_lora;
    p->learned_rope = p->learned_rope && p->rope;
    p->rope_pairs = p->learned_rope ? p->rope->n_pairs : 0;
    p->when.index = p->index.n_heads != 0;
    p->index_gate_row = p->when.pool ? p->index.dim : 0;
    p->chosen_max = p->index.top_k + p->index.pool - 1;
    p->index_stream = p->rope_dim ? MLA_ROPE + 1 : MLA_ROPE;
    p->open_stream = p->index_stream + 1;
    if (p->rope) {
        p->index_rope = *p->rope;
        p->index_rope.interleaved = p->index.interleaved;
    }
}

zoo_status zoo_mla_finish(zoo_mla *p, zoo_error *err)
{
    p->width_out = p->width_out ? p->width_out : p->width_in;
    p->q_scale = p->q_scale != 0 ? p->q_scale : 1.0f;
    p->latent_scale = p->latent_scale != 0 ? p->latent_scale : 1.0f;
    p->when.pool = p->index.n_heads && p->index.pool;
    p->index.pool = p->index.pool ? p->index.pool : 1;
    p->index.norm_eps = p->index.norm_eps != 0 ? p->index.norm_eps : 1e-6f;
    if (p->scale == 0) {
        p->scale = (float)(1.0 / sqrt((double)p->nope + p->rope_dim));
    }
    ZOO_TRY(refuse_sizes(p, err));
    ZOO_TRY(refuse_index(p, err));
    derive(p);
    return ZOO_OK;
}
