/* layer3n_bind.c: the bind table of layer3n.c: field, tensor below the layer, shape. */
#include "layer3n.h"

#define MATRIX(f, name, rows, cols)                                                                \
    ZOO_BIND(gemma_layer3n_weights, f, ZOO_BIND_MATRIX, ZOO_BIND_EXACT, name ".weight",            \
             gemma_layer3n, rows, ZOO_AT(gemma_layer3n, cols), ZOO_NONE)
#define NORM(f, name)                                                                              \
    ZOO_BIND(gemma_layer3n_weights, f, ZOO_BIND_VECTOR, 0, name ".weight", gemma_layer3n, hidden,  \
             ZOO_NONE, ZOO_NONE)

const zoo_bind gemma_layer3n_binds[] = {
    MATRIX(router, "altup.modality_router", n_streams, hidden),
    MATRIX(predict, "altup.prediction_coefs", n_coefs, n_streams),
    MATRIX(correct, "altup.correction_coefs", n_streams, n_streams),
    MATRIX(left, "laurel.linear_left", rank, hidden),
    MATRIX(right, "laurel.linear_right", hidden, rank),
    MATRIX(gate, "per_layer_input_gate", width, hidden),
    MATRIX(projection, "per_layer_projection", hidden, width),
    NORM(router_norm, "altup.router_norm"),
    NORM(laurel_norm, "laurel.post_laurel_norm"),
    NORM(layer_norm, "input_layernorm"),
    NORM(attn_norm, "post_attention_layernorm"),
    NORM(ffn_norm, "post_feedforward_layernorm"),
    NORM(input_norm, "post_per_layer_input_norm"),
    ZOO_BIND(gemma_layer3n_weights, output_scale, ZOO_BIND_VECTOR, 0, "altup.correct_output_scale",
             gemma_layer3n, hidden, ZOO_NONE, ZOO_AT(gemma_layer3n, scaled)),
    {.name = NULL},
};
