/*
 * rope.c: rotary tables of a decoder: one for each reach, or one for each layer.
 *
 * Options:
 *   interleaved               rotary pairs (2i, 2i + 1)
 *   negated                   rotation by the negative angle
 *   rope_theta, rope_partial  class defaults
 *   rotary_dim                reads that key
 *   theta_ignored             a top-level rope_theta counts for nothing
 *   sliding_theta             default base of windowed layers; sliding_theta_key: its key
 *   unscaled_sliding          windowed layers rotate without scaling
 *   scaled_layers             a key with the list of layers that rotate with scaling
 *   same_theta                with rotate "theta": the list says only who rotates
 */
#include <string.h>

#include "blocks/decoder/decoder.h"

/* Whether the layer is left out of the list that option scaled_layers names. */
static bool is_unscaled(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    bool given = c->type(c, c->text(c, "@scaled_layers", "@scaled_layers")) == ZOO_ARRAY;
    return given && !zoo_decoder_layer_listed(b, "@scaled_layers", layer);
}

zoo_status zoo_decoder_rope(zoo_decoder *b, uint32_t layer, const zoo_rope **out)
{
    zoo_reach reach = b->reach;
    const zoo_config *c = b->config;
    bool by_layer = strcmp(c->text(c, "@rotate", "all"), "theta") == 0;
    bool unscaled = is_unscaled(b, layer);
    const zoo_rope **kept = unscaled ? &b->unscaled : &b->ropes[reach];
    if (*kept) {
        *out = *kept;
        return ZOO_OK;
    }
    char key[64];
    (void)snprintf(key, sizeof key, "layer_rope_theta[%u]", layer);
    bool own = reach == ZOO_REACH_SLIDING && zoo_decoder_flag(b, "@unscaled_sliding", false);
    bool local = reach == ZOO_REACH_SLIDING && c->type(c, "@sliding_theta") != ZOO_ABSENT;
    bool fixed = by_layer && !zoo_decoder_flag(b, "@same_theta", false);
    zoo_rope_want want = {
        .head_dim = b->head_dim,
        .layer_type = reach == ZOO_REACH_SLIDING ? "sliding_attention" : "full_attention",
        .theta = c->number(c, local ? "@sliding_theta" : "@rope_theta", 10000.0),
        .theta_key = local ? c->text(c, "@sliding_theta_key", "")
                     : zoo_decoder_flag(b, "@theta_ignored", false) ? ""
                                                                    : NULL,
        .rotary_dim = zoo_decoder_flag(b, "@rotary_dim", false) ? c->whole(c, "rotary_dim", 0) : 0,
        .theta_fixed = fixed ? c->number(c, key, 0) : 0,
        .partial = c->number(c, "@rope_partial", 1.0),
        .interleaved = zoo_decoder_flag(b, "@interleaved", false),
        .negated = zoo_decoder_flag(b, "@negated", false),
        .unscaled = own || unscaled};
    if (!want.theta_key || *want.theta_key) {
        (void)c->type(c, "rope_theta"); /* a dict may supersede them */
        (void)c->type(c, "partial_rotary_factor");
    }
    zoo_rope *rope = b->setup->take(b->setup, sizeof *rope);
    if (!rope) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for rotary tables");
    }
    ZOO_TRY(zoo_rope_read(c, b->setup, &want, rope, b->err));
    zoo_rope_reread(rope, b->plan);
    *kept = fixed ? NULL : rope;
    *out = rope;
    return ZOO_OK;
}
