/*
 * kinds.c: what each layer is. Option kinds:
 *   types     the list `layer_types` (or the key of option types): names, repeated where the list
 *             is shorter than the model; a string holds a letter a layer (M * - E)
 *   all       every layer has a state
 *   indices   attention where `attn_layer_indices` says so
 *             (with indices_or_all everywhere, where there is no list)
 *   period    attention where i % attn_layer_period == attn_layer_offset
 *   interval  attention where (i + 1) % full_attention_interval == 0
 *   listed    attention where `linear_attn_config.full_attn_layers` holds i + 1
 *   group     attention where (i + 1) % layer_group_size == 0
 */
#include <string.h>

#include "hybrid.h"

static const struct {
    const char *name;
    hybrid_kind kind;
} names[] = {{"mamba", HYBRID_LINEAR},
             {"linear_attention", HYBRID_LINEAR},
             {"conv", HYBRID_LINEAR},
             {"recurrent", HYBRID_LINEAR},
             {"attention", HYBRID_ATTENTION},
             {"full_attention", HYBRID_ATTENTION},
             {"sliding_attention", HYBRID_ATTENTION},
             {"indexed_attention", HYBRID_ATTENTION},
             {"hybrid", HYBRID_SHARED},
             {"hybrid_sliding", HYBRID_SHARED},
             {"mlp", HYBRID_MLP},
             {"moe", HYBRID_EXPERTS}};

static hybrid_kind by_name(const zoo_config *c, const char *name)
{
    for (size_t i = 0; i < ZOO_COUNT(names); i++) {
        if (strcmp(names[i].name, name) == 0) {
            return names[i].kind;
        }
    }
    c->refuse(c, "a layer is \"%.60s\", which is no kind of layer here", name);
    return HYBRID_LINEAR;
}

static hybrid_kind by_letter(const zoo_config *c, char letter)
{
    switch (letter) {
    case 'M':
        return HYBRID_LINEAR;
    case '*':
        return HYBRID_ATTENTION;
    case '-':
        return HYBRID_MLP;
    case 'E':
        return HYBRID_EXPERTS;
    default:
        c->refuse(c, "the pattern of layers holds the letter '%c'", letter);
        return HYBRID_LINEAR;
    }
}

static hybrid_kind by_types(const zoo_config *c, uint32_t layer)
{
    const char *key = c->text(c, "@types", "layer_types");
    if (c->type(c, key) == ZOO_STRING) {
        const char *letters = c->text(c, key, "");
        return layer < strlen(letters) ? by_letter(c, letters[layer]) : HYBRID_LINEAR;
    }
    uint32_t n = c->count(c, key);
    char at[96];
    if (n == 0) {
        c->refuse(c, "there is no %s to say what the layers are", key);
        return HYBRID_LINEAR;
    }
    (void)snprintf(at, sizeof at, "%s[%u]", key, layer % n);
    return by_name(c, c->text(c, at, ""));
}

static bool holds(const zoo_config *c, const char *key, uint32_t value)
{
    for (uint32_t i = 0; i < c->count(c, key); i++) {
        char at[96];
        (void)snprintf(at, sizeof at, "%s[%u]", key, i);
        if (c->whole(c, at, UINT32_MAX) == value) {
            return true;
        }
    }
    return false;
}

static bool attends(const zoo_decoder *b, const char *pattern, uint32_t layer)
{
    const zoo_config *c = b->config;
    if (strcmp(pattern, "indices") == 0) {
        bool listed = c->type(c, "attn_layer_indices") == ZOO_ARRAY;
        return holds(c, "attn_layer_indices", layer) ||
               (!listed && zoo_decoder_flag(b, "@indices_or_all", false));
    }
    if (strcmp(pattern, "period") == 0) {
        uint32_t period = c->whole(c, "attn_layer_period", 8);
        return period && layer % period == c->whole(c, "attn_layer_offset", 4);
    }
    if (strcmp(pattern, "interval") == 0) {
        uint32_t interval = c->whole(c, "full_attention_interval", 4);
        return interval && (layer + 1) % interval == 0;
    }
    if (strcmp(pattern, "listed") == 0) {
        return holds(c, "linear_attn_config.full_attn_layers", layer + 1);
    }
    if (strcmp(pattern, "group") == 0) {
        uint32_t group = c->whole(c, "layer_group_size", 1);
        return !group || (layer + 1) % group == 0;
    }
    if (strcmp(pattern, "all") != 0) {
        c->refuse(c, "the card's option kinds is \"%s\"", pattern);
    }
    return false;
}

hybrid_kind hybrid_layer_kind(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    const char *pattern = c->text(c, "@kinds", "types");
    bool listed = c->count(c, c->text(c, "@types", "layer_types")) != 0;
    if (strcmp(pattern, "types") == 0 || (listed && strcmp(pattern, "all") != 0)) {
        return by_types(c, layer);
    }
    return attends(b, pattern, layer) ? HYBRID_ATTENTION : HYBRID_LINEAR;
}

const char *hybrid_kind_name(hybrid_kind kind)
{
    static const char *const words[] = {"linear_attention", "full_attention", "hybrid", "mlp",
                                        "moe"};
    return words[kind];
}
