/*
 * width.c: how wide the dense feed-forward parts are.
 *
 * The key that option dense_width names ("intermediate_size"). Options: half_width (half of it);
 * rounded_width (where block_auto_adjust_ff_dim is true: two thirds of it, times
 * block_ffn_dim_multiplier, up to a multiple of block_multiple_of). Beside mlstm.c the width has a
 * rule of its own.
 */
#include <math.h>
#include <string.h>

#include "hybrid.h"

static uint32_t rounded_width(const zoo_decoder *b, uint32_t width)
{
    const zoo_config *c = b->config;
    uint32_t multiple = c->whole(c, "block_multiple_of", 256);
    double factor = c->number(c, "block_ffn_dim_multiplier", 0.0);
    bool rounds = c->flag(c, "block_auto_adjust_ff_dim", true);
    uint32_t inner = (uint32_t)((uint64_t)2 * width / 3);
    if (!rounds || factor == 0.0) {
        return rounds ? inner : width;
    }
    double wanted = floor(factor * (double)inner);
    if (!multiple || multiple > 1u << 24 || !(wanted >= 0.0 && wanted < 1e9)) {
        c->refuse(c, "a width of %g in multiples of %u", wanted, multiple);
        return width;
    }
    return ((uint32_t)wanted + multiple - 1) / multiple * multiple;
}

uint32_t hybrid_dense_width(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    if (strcmp(c->text(c, "@mixer", ""), "mlstm") == 0) {
        return hybrid_mlstm_ffn_width(b);
    }
    uint32_t width = c->whole(c, c->text(c, "@dense_width", "intermediate_size"), 0);
    if (zoo_decoder_flag(b, "@rounded_width", false)) {
        return rounded_width(b, width);
    }
    return width / (zoo_decoder_flag(b, "@half_width", false) ? 2 : 1);
}
