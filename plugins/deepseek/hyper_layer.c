/*
 * hyper_layer.c: the layers of models with several residual streams (blocks/hyper/plan.c).
 *
 * Option layer: "hyper": streams around latent attention; "compressed": around csa.h.
 */
#include "deepseek.h"

zoo_status ds_hyper_layer(ds_model *m, uint32_t layer, zoo_layer *out)
{
    zoo_decoder *b = &m->b;
    zoo_part *parts = b->setup->take(b->setup, 2 * sizeof *parts);
    if (!parts) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    const char *kind = NULL;
    if (ds_is_compressed(b->config)) {
        ZOO_TRY(ds_csa_attention(m, layer, &parts[0], &kind));
        ZOO_TRY(ds_hash_experts(m, layer, &parts[1]));
    } else {
        ZOO_TRY(ds_attention(m, layer, "self_attn", &parts[0]));
        ZOO_TRY(zoo_decoder_ffn(b, layer, &parts[1]));
        kind = ds_attention_kind(&parts[0]);
    }
    ZOO_TRY(zoo_hyper_layer(b, m->hyper, layer, parts, out));
    out->kind = kind;
    return ZOO_OK;
}
