/*
 * layer_types.c: what each layer is: how far it looks, whether it rotates, whether it has experts.
 *
 * Reach: `layer_types` of the file where it is there; else option `sliding`:
 *   all               every layer, where sliding_window is set (the default)
 *   from_max_window   layers from max_window_layers on
 *   even_below_max    even layers below max_window_layers
 *   period            all but those with i % period == full_at
 *   no_rope           layers without rotation
 *   none              no layer
 * Option window_if names the key that must be true for any window (use_sliding_window).
 * Rotation: option rotate: all (the default), sliding (only where a window is), listed
 * (`no_rope_layers`: 1 rotates; else all but every no_rope_layer_interval-th), theta
 * (`layer_rope_theta[i]` is not 0). Experts: option sparse: none, all, qwen_step
 * (`mlp_only_layers`, `decoder_sparse_step`), types (`mlp_layer_types`), first_dense (from
 * first_k_dense_replace on).
 */
#include <string.h>

#include "build.h"

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static const char *type_at(const llama_build *b, const char *list, uint32_t layer)
{
    char key[64];
    (void)snprintf(key, sizeof key, "%s[%u]", list, layer);
    return b->config->text(b->config, key, "");
}

static llama_reach reach_by_name(const llama_build *b, const char *name)
{
    if (same(name, "sliding_attention")) {
        return b->window ? LLAMA_SLIDING : LLAMA_FULL;
    }
    if (same(name, "chunked_attention")) {
        return LLAMA_CHUNKED;
    }
    if (!same(name, "full_attention") && !same(name, "attention")) {
        b->config->refuse(b->config,
                          "layer_types names \"%.60s\", which is no kind of attention here", name);
    }
    return LLAMA_FULL;
}

static bool slides_by_rule(const llama_build *b, const char *rule, uint32_t layer)
{
    const zoo_config *c = b->config;
    if (same(rule, "all")) {
        return true;
    }
    if (same(rule, "from_max_window")) {
        return layer >= c->whole(c, "max_window_layers", 28);
    }
    if (same(rule, "even_below_max")) {
        return layer % 2 == 0 && layer < c->whole(c, "max_window_layers", 28);
    }
    if (same(rule, "period")) {
        uint32_t period = c->whole(c, "@period", 4);
        return period == 0 || layer % period != c->whole(c, "@full_at", 0);
    }
    if (same(rule, "no_rope")) {
        return !llama_layer_rotates(b, layer);
    }
    if (!same(rule, "none")) {
        c->refuse(c, "the card's option sliding is \"%s\"", rule);
    }
    return false;
}

llama_reach llama_layer_reach(const llama_build *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    if (c->count(c, "layer_types")) {
        return reach_by_name(b, type_at(b, "layer_types", layer));
    }
    bool slides = b->window && slides_by_rule(b, c->text(c, "@sliding", "all"), layer);
    return slides ? LLAMA_SLIDING : LLAMA_FULL;
}

static bool rotates_by_list(const llama_build *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    char key[64];
    if (c->count(c, "no_rope_layers")) {
        (void)snprintf(key, sizeof key, "no_rope_layers[%u]", layer);
        return c->number(c, key, 1) != 0;
    }
    uint32_t interval = c->whole(c, "no_rope_layer_interval", 4);
    return interval == 0 || (layer + 1) % interval != 0;
}

bool llama_layer_rotates(const llama_build *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    const char *rule = c->text(c, "@rotate", "all");
    char key[64];
    if (same(rule, "listed")) {
        return rotates_by_list(b, layer);
    }
    if (same(rule, "sliding")) {
        return llama_layer_reach(b, layer) == LLAMA_SLIDING;
    }
    if (same(rule, "theta")) {
        (void)snprintf(key, sizeof key, "layer_rope_theta[%u]", layer);
        return c->number(c, key, 1) != 0;
    }
    if (!same(rule, "all")) {
        c->refuse(c, "the card's option rotate is \"%s\"", rule);
    }
    return true;
}

static bool sparse_by_step(const llama_build *b, uint32_t layer)
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

bool llama_layer_sparse(const llama_build *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    const char *rule = c->text(c, "@sparse", "none");
    if (c->count(c, "mlp_layer_types") && !same(rule, "none")) {
        return same(type_at(b, "mlp_layer_types", layer), "sparse");
    }
    if (same(rule, "qwen_step")) {
        return sparse_by_step(b, layer);
    }
    if (same(rule, "first_dense")) {
        return layer >= c->whole(c, "first_k_dense_replace", 0);
    }
    if (!same(rule, "none") && !same(rule, "all") && !same(rule, "types")) {
        c->refuse(c, "the card's option sparse is \"%s\"", rule);
    }
    return !same(rule, "none");
}
