/*
 * residuals_plan.c: the plan of a model whose parts read earlier residuals (option shape
 * "residuals"; formulas: residuals.h).
 *
 * Keys: n_layers_per_attn_res_block, conv_kernel_size, layer_types (hybrid_sliding: a window).
 */
#include <string.h>

#include "residuals.h"

static zoo_status no_memory(const zoo_decoder *b)
{
    return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
}

/* The params before `layer`; the number of layers: those of the end. */
static zoo_status make_params(const zoo_decoder *b, uint32_t layer, hybrid_residuals **out)
{
    uint32_t every = b->config->whole(b->config, "n_layers_per_attn_res_block", 6);
    hybrid_residuals *p = *out = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return no_memory(b);
    }
    if (!every || b->hidden > 1u << 20) {
        return zoo_fail(b->err, ZOO_E_CONFIG,
                        "n_layers_per_attn_res_block is %u and hidden_size %u: at least 1, and at "
                        "most %u",
                        every, b->hidden, 1u << 20);
    }
    every = every < b->n_layers ? every : b->n_layers;
    uint32_t n_kept = (b->n_layers + every - 1) / every;
    uint64_t flat = ((uint64_t)n_kept + 1) * b->hidden;
    *p = (hybrid_residuals){.hidden = b->hidden,
                            .flat = flat < UINT32_MAX ? (uint32_t)flat : UINT32_MAX,
                            .n_kept = (layer + every - 1) / every,
                            .n_inputs = 1,
                            .mixes = layer > 0,
                            .begins = layer % every == 0};
    return ZOO_OK;
}

static bool slides(const zoo_decoder *b, uint32_t layer)
{
    char key[64];
    (void)snprintf(key, sizeof key, "layer_types[%u]", layer);
    return strcmp(b->config->text(b->config, key, ""), "hybrid_sliding") == 0;
}

zoo_status hybrid_residuals_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out)
{
    static const char *const norms[] = {"q_input_layernorm", "k_input_layernorm",
                                        "v_input_layernorm"};
    zoo_part *parts = b->setup->take(b->setup, (4 + ZOO_COUNT(norms)) * sizeof *parts);
    bool windowed = slides(b, layer);
    hybrid_residuals *p;
    char name[64];
    (void)snprintf(name, sizeof name, "layers.%u", layer);
    const char *path = zoo_decoder_path(b, name);
    ZOO_TRY(make_params(b, layer, &p));
    if (!parts || !path) {
        return no_memory(b);
    }
    p->n_inputs = windowed ? 1 : ZOO_COUNT(norms);
    ZOO_TRY(hybrid_clipped_part(b, layer, &parts[0]));
    ZOO_TRY(hybrid_sconv_part(b, "post_attention_convolution", true, &parts[1]));
    ZOO_TRY(zoo_decoder_experts(b, layer, &parts[2]));
    ZOO_TRY(hybrid_sconv_part(b, "post_mlp_convolution", true, &parts[3]));
    parts[2].norm = zoo_decoder_norm(b, "post_attention_layernorm");
    if (windowed) {
        parts[0].norm = zoo_decoder_norm(b, "input_layernorm");
    }
    for (uint32_t i = 0; !windowed && i < ZOO_COUNT(norms); i++) {
        parts[4 + i] = (zoo_part){.name = norms[i],
                                  .norm = zoo_decoder_norm(b, norms[i]),
                                  .in_scale = 1.0f,
                                  .out_scale = 1.0f};
    }
    *out = (zoo_layer){.path = path,
                       .kind = windowed ? "sliding_attention" : "full_attention",
                       .ops = &hybrid_residuals_ops,
                       .params = p,
                       .parts = parts,
                       .n_parts = windowed ? 4 : 4 + ZOO_COUNT(norms)};
    return ZOO_OK;
}

zoo_status hybrid_residuals_ends(zoo_decoder *b)
{
    zoo_part *ends = b->setup->take(b->setup, 3 * sizeof *ends);
    const char *path = zoo_decoder_path(b, "final_input");
    hybrid_residuals *p;
    ZOO_TRY(make_params(b, b->n_layers, &p));
    if (!ends || !path) {
        return no_memory(b);
    }
    if (b->plan->n_prologue != 1) {
        return zoo_fail(b->err, ZOO_E_CONFIG,
                        "the card's option shape is \"residuals\", and first_norm names no norm");
    }
    ends[0] = b->plan->prologue[0];
    ends[1] = (zoo_part){.ops = &hybrid_residuals_first_ops,
                         .params = p,
                         .name = "residuals",
                         .in_scale = 1.0f,
                         .out_scale = 1.0f,
                         .width_in = b->hidden,
                         .width_out = p->flat};
    ends[2] = (zoo_part){.ops = &hybrid_residuals_last_ops,
                         .params = p,
                         .name = "final_input",
                         .path = path,
                         .in_scale = 1.0f,
                         .out_scale = 1.0f,
                         .width_in = p->flat,
                         .width_out = b->hidden};
    b->plan->prologue = ends;
    b->plan->n_prologue = 2;
    b->plan->epilogue = &ends[2];
    b->plan->n_epilogue = 1;
    b->plan->stream_width = p->flat;
    b->plan->stream_shown = b->hidden;
    return ZOO_OK;
}
