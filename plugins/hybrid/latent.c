/*
 * latent.c: params of latent attention (blocks/mla/mla.h) in the layers that attend.
 *
 * Keys: q_lora_rank, kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim, rope_interleave.
 * Options: latent_attention ("plain": no rotation, "rotated"), latent_gate ("head", "element"),
 * latent_eps (eps of the norms of latents, 1e-6, or a key that holds it), index (latent_index.c).
 */
#include <math.h>
#include <string.h>

#include "blocks/mla/mla.h"
#include "hybrid.h"

static zoo_status read_rope(zoo_decoder *b, zoo_mla *p)
{
    const zoo_config *c = b->config;
    if (strcmp(c->text(c, "@latent_attention", ""), "rotated") != 0) {
        return ZOO_OK;
    }
    if (!b->ropes[ZOO_REACH_FULL]) {
        const zoo_rope_want want = {.head_dim = p->rope_dim,
                                    .rotary_dim = p->rope_dim,
                                    .partial_key = "",
                                    .theta = c->number(c, "@rope_theta", 10000.0),
                                    .interleaved = c->flag(c, "rope_interleave", true)};
        zoo_rope *rope = b->setup->take(b->setup, sizeof *rope);
        if (!rope) {
            return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for rotary tables");
        }
        ZOO_TRY(zoo_rope_read(c, b->setup, &want, rope, b->err));
        zoo_rope_reread(rope, b->plan);
        b->ropes[ZOO_REACH_FULL] = rope;
    }
    p->rope = b->ropes[ZOO_REACH_FULL];
    p->scale = (float)(zoo_rope_score_scale(p->rope) / sqrt((double)p->nope + p->rope_dim));
    return ZOO_OK;
}

static uint32_t read_gate(const zoo_config *c)
{
    const char *gate = c->text(c, "@latent_gate", "");
    return strcmp(gate, "head") == 0      ? ZOO_MLA_GATE_HEAD
           : strcmp(gate, "element") == 0 ? ZOO_MLA_GATE_ELEMENT
                                          : ZOO_MLA_GATE_NONE;
}

zoo_status hybrid_latent_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    zoo_mla *p = b->setup->take(b->setup, sizeof *p);
    const char *eps = c->text(c, "@latent_eps", "@latent_eps");
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width_in = b->hidden;
    p->n_heads = b->n_heads;
    p->q_lora = c->whole(c, "q_lora_rank", 0);
    p->kv_lora = c->whole(c, "kv_lora_rank", 512);
    p->nope = c->whole(c, "qk_nope_head_dim", 128);
    p->rope_dim = c->whole(c, "qk_rope_head_dim", 64);
    p->v_dim = c->whole(c, "v_head_dim", 128);
    p->bias = c->flag(c, "attention_bias", false);
    p->norm_eps = (float)c->number(c, eps, 1e-6);
    p->gate = read_gate(c);
    ZOO_TRY(read_rope(b, p));
    hybrid_latent_index(b, layer, p);
    *out = hybrid_part(b, &zoo_mla_ops, p, "self_attn");
    return zoo_mla_finish(p, b->err);
}
