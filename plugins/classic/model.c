/*
 * model.c: the plan of a model: sizes, embedding and head by the shared decoder (its options are in
 * sdk/blocks/decoder/model.c), then ends.c, then layers.c for each layer. Option layer_eps: eps of
 * all norms but the last.
 */
#include "classic.h"

zoo_status classic_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                             zoo_error *err)
{
    zoo_decoder b;
    ZOO_TRY(zoo_decoder_begin(&b, config, setup, plan, err));
    ZOO_TRY(classic_ends(&b));
    b.eps = (float)config->number(config, "@layer_eps", (double)b.eps);
    zoo_layer *layers = setup->take(setup, b.n_layers * sizeof *layers);
    if (!layers) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the plan");
    }
    for (uint32_t i = 0; i < b.n_layers; i++) {
        ZOO_TRY(classic_layer(&b, i, &layers[i]));
    }
    plan->layers = layers;
    plan->n_layers = b.n_layers;
    return ZOO_OK;
}
