/*
 * lists.c: what options and keys say of single layers, and options that name keys.
 *
 * Option skipped names a list of layers that a text alone does not pass.
 */
#include "blocks/decoder/decoder.h"

double zoo_decoder_number(const zoo_decoder *b, const char *key, uint32_t layer, double fallback)
{
    const zoo_config *c = b->config;
    char at[96];
    if (c->type(c, key) != ZOO_ARRAY) {
        return c->number(c, key, fallback);
    }
    (void)snprintf(at, sizeof at, "%s[%u]", key, layer);
    return c->number(c, at, fallback);
}

bool zoo_decoder_flag(const zoo_decoder *b, const char *option, bool fallback)
{
    const zoo_config *c = b->config;
    if (c->type(c, option) == ZOO_STRING) {
        return c->flag(c, c->text(c, option, ""), false);
    }
    return c->flag(c, option, fallback);
}

bool zoo_decoder_layer_listed(const zoo_decoder *b, const char *option, uint32_t layer)
{
    const zoo_config *c = b->config;
    const char *list = c->text(c, option, "");
    for (uint32_t i = 0; *list && i < c->count(c, list); i++) {
        char key[96];
        (void)snprintf(key, sizeof key, "%s[%u]", list, i);
        if (c->whole(c, key, UINT32_MAX) == layer) {
            return true;
        }
    }
    return false;
}

bool zoo_decoder_layer_skipped(const zoo_decoder *b, uint32_t layer)
{
    return zoo_decoder_layer_listed(b, "@skipped", layer);
}
