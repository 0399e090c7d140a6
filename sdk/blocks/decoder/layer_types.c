/*
 * layer_types.c: what each layer is: how far it looks and whether it rotates.
 *
 * Reach: `layer_types` of the file where it is there; else option `sliding`:
 *   all              every layer, where sliding_window is set (the default)
 *   from_max_window  layers from max_window_layers on
 *   even_below_max   even layers below max_window_layers
 *   period           all but those with i % period == full_at
 *   pattern          all but every n-th, n by the key that option pattern names
 *                    ("sliding_window_pattern"; a text such as "LLLG" repeats, G sees everything);
 *                    with option dense_prefix the first dense layers have a pattern of their own
 *                    and the others count from there
 *   no_rope          layers without rotation
 *   chunked          layers with rotation see chunks of attention_chunk_size, others everything
 *   none             no layer
 * Option full_name is one more name in layer_types for a layer that sees everything; option
 * window_if names the key that must be true for any window (use_sliding_window).
 *
 * Rotation: option rotate:
 *   all               every layer (the default)
 *   sliding           where a window is
 *   sliding_if_any    the same, but every layer of a model without sliding_window
 *   sliding_or_dense  and dense layers, where prefix_dense_sliding_window_pattern is 1
 *   listed            `no_rope_layers`: 1 rotates; else all but every no_rope_layer_interval-th
 *   theta             where layer_rope_theta[i] is not 0
 *   none              no layer
 *   unless_null       every layer, unless rope_theta is given as null
 *   by_type           where rope_parameters holds more than null for the layer's type
 *   position_type     where position_embedding_type is "rope"
 */
#include <string.h>

#include "blocks/decoder/decoder.h"

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static const char *type_at(const zoo_decoder *b, const char *list, uint32_t layer)
{
    char key[64];
    (void)snprintf(key, sizeof key, "%s[%u]", list, layer);
    return b->config->text(b->config, key, "");
}

static zoo_reach reach_by_name(const zoo_decoder *b, const char *name)
{
    if (same(name, "sliding_attention")) {
        return b->window ? ZOO_REACH_SLIDING : ZOO_REACH_FULL;
    }
    if (same(name, "chunked_attention")) {
        return ZOO_REACH_CHUNKED;
    }
    if (!same(name, "full_attention") && !same(name, "attention") &&
        !same(name, b->config->text(b->config, "@full_name", ""))) {
        b->config->refuse(b->config,
                          "layer_types names \"%.60s\", which is no kind of attention here", name);
    }
    return ZOO_REACH_FULL;
}

static bool slides_by_pattern(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    const char *key = c->text(c, "@pattern", "sliding_window_pattern");
    if (c->type(c, key) == ZOO_STRING) {
        const char *letters = c->text(c, key, "G");
        return *letters && letters[layer % strlen(letters)] == 'L';
    }
    uint32_t first =
        c->flag(c, "@dense_prefix", false) ? c->whole(c, "first_k_dense_replace", 0) : 0;
    uint32_t n = c->whole(c, layer < first ? "prefix_dense_sliding_window_pattern" : key,
                          c->whole(c, "@period", 4));
    uint32_t at = layer < first ? layer : layer - first;
    return n == 0 || (at + 1) % n != 0;
}

static bool slides_by_rule(const zoo_decoder *b, const char *rule, uint32_t layer)
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
    if (same(rule, "pattern")) {
        return slides_by_pattern(b, layer);
    }
    if (same(rule, "no_rope")) {
        return !zoo_decoder_layer_rotates(b, layer);
    }
    if (!same(rule, "none")) {
        c->refuse(c, "the card's option sliding is \"%s\"", rule);
    }
    return false;
}

/* layer_types decides; the keys from which it would be derived are superseded, not unknown. */
static void claim_rules(const zoo_decoder *b)
{
    static const char *const keys[] = {"max_window_layers", "sliding_window_pattern",
                                       "no_rope_layer_interval"};
    const zoo_config *c = b->config;
    for (size_t i = 0; i < ZOO_COUNT(keys); i++) {
        (void)c->type(c, keys[i]);
    }
    (void)c->type(c, c->text(c, "@pattern", "sliding_window_pattern"));
}

zoo_reach zoo_decoder_layer_reach(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    if (c->count(c, "layer_types")) {
        claim_rules(b);
        return reach_by_name(b, type_at(b, "layer_types", layer));
    }
    if (same(c->text(c, "@sliding", "all"), "chunked")) {
        return zoo_decoder_layer_rotates(b, layer) ? ZOO_REACH_CHUNKED : ZOO_REACH_FULL;
    }
    bool slides = b->window && slides_by_rule(b, c->text(c, "@sliding", "all"), layer);
    return slides ? ZOO_REACH_SLIDING : ZOO_REACH_FULL;
}

static bool rotates_by_list(const zoo_decoder *b, uint32_t layer)
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

/* Whether the layer slides, for rules of rotation: refuses a rule of windows that depends on the
 * rotation itself. */
static bool slides(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    const char *rule = c->text(c, "@sliding", "all");
    if (!c->count(c, "layer_types") && (same(rule, "chunked") || same(rule, "no_rope"))) {
        c->refuse(c, "the card's options sliding \"%s\" and rotate \"%s\" depend on each other",
                  rule, c->text(c, "@rotate", "all"));
        return false;
    }
    return zoo_decoder_layer_reach(b, layer) == ZOO_REACH_SLIDING;
}

bool zoo_decoder_layer_rotates(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    const char *rule = c->text(c, "@rotate", "all");
    char key[64];
    if (same(rule, "listed")) {
        return rotates_by_list(b, layer);
    }
    if (same(rule, "sliding") || same(rule, "sliding_if_any")) {
        bool any = same(rule, "sliding") || c->whole(c, "sliding_window", 0) != 0;
        return !any || slides(b, layer);
    }
    if (same(rule, "sliding_or_dense")) {
        bool dense = !zoo_decoder_layer_sparse(b, layer) &&
                     c->whole(c, "prefix_dense_sliding_window_pattern", 1) == 1;
        return dense || slides(b, layer);
    }
    if (same(rule, "theta")) {
        (void)snprintf(key, sizeof key, "layer_rope_theta[%u]", layer);
        return c->number(c, key, 1) != 0;
    }
    if (same(rule, "position_type")) {
        return same(c->text(c, "position_embedding_type", ""), "rope");
    }
    if (same(rule, "none")) {
        return false;
    }
    if (same(rule, "unless_null")) {
        zoo_value theta = c->type(c, "rope_parameters.rope_theta");
        (void)c->type(c, "rope_parameters.rope_type"); /* of no rotation: not unknown */
        return theta != ZOO_NULL && (theta != ZOO_ABSENT || c->type(c, "rope_theta") != ZOO_NULL);
    }
    if (same(rule, "by_type")) {
        (void)snprintf(key, sizeof key, "rope_parameters.%.40s", type_at(b, "layer_types", layer));
        return c->type(c, key) != ZOO_NULL;
    }
    if (!same(rule, "all")) {
        c->refuse(c, "the card's option rotate is \"%s\"", rule);
    }
    return true;
}
