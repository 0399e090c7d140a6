/*
 * sparse.c: which layers have experts.
 *
 * `mlp_layer_types` of the file where it is there; else option `sparse`:
 *   none         no layer (the default), whatever the file says
 *   all          every layer
 *   step         every decoder_sparse_step-th, but those in mlp_only_layers
 *   first_dense  layers from first_k_dense_replace on
 *   interval     every moe_layer_interval-th from moe_layer_start_index to moe_layer_end_index
 *   period       i % expert_layer_period == expert_layer_offset
 *   freq         where moe_layer_freq[i] is not 0, all without the list
 *   listed       those in moe_layers, else every interleave_moe_layer_step-th
 */
#include <string.h>

#include "blocks/decoder/decoder.h"

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool sparse_by_step(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    uint32_t step = c->whole(c, "decoder_sparse_step", 1);
    bool sparse = step && (layer + 1) % step == 0 && c->whole(c, "num_experts", 0) > 0;
    for (uint32_t i = 0; i < c->count(c, "mlp_only_layers"); i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "mlp_only_layers[%u]", i);
        sparse = sparse && c->whole(c, key, 0) != layer;
    }
    return sparse;
}

static bool sparse_by_list(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    uint32_t n = c->count(c, "moe_layers"), step = c->whole(c, "interleave_moe_layer_step", 1);
    for (uint32_t i = 0; i < n; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "moe_layers[%u]", i);
        if (c->whole(c, key, 0) == layer) {
            return true;
        }
    }
    return n == 0 && step && (layer + 1) % step == 0;
}

bool zoo_decoder_layer_sparse(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    const char *rule = c->text(c, "@sparse", "none");
    char key[64];
    (void)snprintf(key, sizeof key, "mlp_layer_types[%u]", layer);
    if (c->count(c, "mlp_layer_types") && !same(rule, "none")) {
        (void)c->type(c, "first_k_dense_replace"); /* superseded, not unknown */
        (void)c->type(c, "mlp_only_layers");
        (void)c->type(c, "decoder_sparse_step");
        return same(c->text(c, key, ""), "sparse");
    }
    if (same(rule, "step")) {
        return sparse_by_step(b, layer);
    }
    if (same(rule, "freq")) {
        (void)snprintf(key, sizeof key, "moe_layer_freq[%u]", layer);
        return c->number(c, key, 1) != 0;
    }
    if (same(rule, "listed")) {
        return sparse_by_list(b, layer);
    }
    if (same(rule, "interval")) {
        uint32_t interval = c->whole(c, "moe_layer_interval", 1);
        uint32_t end = c->type(c, "moe_layer_end_index") == ZOO_NUMBER &&
                               c->number(c, "moe_layer_end_index", 0) >= 0
                           ? c->whole(c, "moe_layer_end_index", 0)
                           : b->n_layers - 1;
        return interval && (layer + 1) % interval == 0 &&
               layer >= c->whole(c, "moe_layer_start_index", 1) && layer <= end;
    }
    if (same(rule, "period")) {
        uint32_t period = c->whole(c, "expert_layer_period", 2);
        return period && layer % period == c->whole(c, "expert_layer_offset", 1);
    }
    if (same(rule, "first_dense")) {
        return layer >= c->whole(c, "first_k_dense_replace", 0);
    }
    if (!same(rule, "none") && !same(rule, "all")) {
        c->refuse(c, "the card's option sparse is \"%s\"", rule);
    }
    return !same(rule, "none");
}
