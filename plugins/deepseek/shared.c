/*
 * shared.c: latent attention that is rotated in some layers, and that reads latents of others.
 *
 * Options:
 *   rotated_layers   a key: a list over the layers; where it holds 0 nothing is rotated, and what
 *                    would be the rotated part of a head belongs to the other one
 *   latent_sources   a key: a list over the layers; where it holds another number than the layer's
 *                    own, the layer makes no latents. It reads those of the last layer before it
 *                    that others name and that is rotated alike, as the reference does
 */
#include "deepseek.h"

/* The number of a layer in the list at the key that the option names. */
static uint32_t listed(const ds_model *m, const char *option, uint32_t layer, uint32_t fallback)
{
    const zoo_config *c = m->b.config;
    const char *key = c->text(c, option, "");
    char at[96];
    if (!*key || c->type(c, key) != ZOO_ARRAY) {
        return fallback;
    }
    (void)snprintf(at, sizeof at, "%s[%u]", key, layer);
    return c->whole(c, at, fallback);
}

bool ds_layer_rotates(const ds_model *m, uint32_t layer)
{
    return listed(m, "@rotated_layers", layer, 1) != 0;
}

static bool is_named(const ds_model *m, uint32_t layer)
{
    for (uint32_t i = layer + 1; i < m->b.n_layers; i++) {
        if (listed(m, "@latent_sources", i, i) == layer) {
            return true;
        }
    }
    return false;
}

uint32_t ds_latent_source(const ds_model *m, uint32_t layer)
{
    const zoo_config *c = m->b.config;
    if (listed(m, "@latent_sources", layer, layer) == layer) {
        return layer;
    }
    for (uint32_t i = layer; i-- > 0;) {
        bool own = listed(m, "@latent_sources", i, i) == i;
        if (own && is_named(m, i) && ds_layer_rotates(m, i) == ds_layer_rotates(m, layer)) {
            return i;
        }
    }
    c->refuse(c, "layer %u reads the latents of another layer, but none before it has any", layer);
    return layer;
}
