/*
 * factored.c: a gated dense part times a stored number.
 *
 *   y = f Wd( act(Wg x) * (Wu x) )
 *
 * Tensors: gate_proj.weight, up_proj.weight, down_proj.weight, or gate_up_proj.weight, whose rows
 * alternate with option interleaved_gate; global_scale [1]. Memory: what the dense part takes.
 */
#include "blocks/ops.h"
#include "blocks/rows.h"
#include "hybrid.h"

typedef struct factored {
    zoo_mlp mlp;
    uint32_t one;
} factored;

typedef struct weights {
    zoo_mlp_weights mlp;
    const float *factor;
} weights;

#define ZOO_ROW_WEIGHTS weights
#define ZOO_ROW_PARAMS  factored
#define IN(f, name_, map_, when_)                                                                  \
    ZOO_ROW_MATRIX(mlp.f, name_ ".weight", 0, mlp.width, mlp.width_in, map_,                       \
                   ZOO_ROW_AT(mlp.when.when_))

static const zoo_bind binds[] = {
    IN(gate, "gate_proj", ZOO_NONE, gate),
    IN(up, "up_proj", ZOO_NONE, up),
    IN(gate, "gate_up_proj", ZOO_ROW_AT(mlp.gate_map), fused),
    IN(up, "gate_up_proj", ZOO_ROW_AT(mlp.up_map), fused),
    ZOO_ROW_MATRIX(mlp.down, "down_proj.weight", 0, mlp.width_out, mlp.width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(factor, "global_scale", one, ZOO_NONE, ZOO_NONE),
    {0}};

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const factored *p = params;
    return zoo_mlp_scratch(&p->mlp, limits->rows_max, limits->n_threads);
}

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const factored *p = params;
    const weights *w = bound;
    (void)cache;
    zoo_mlp_run(ctx, &p->mlp, &w->mlp, x, y, span->n_rows);
    zoo_scale_rows(ctx, w->factor[0], y, span->n_rows, p->mlp.width_out);
}

static void facts(const void *params, const zoo_facts *to)
{
    const factored *p = params;
    zoo_mlp_facts(&p->mlp, to);
    to->text(to, "factor", "a stored number");
}

zoo_status hybrid_factored_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    factored *p = b->setup->take(b->setup, sizeof *p);
    (void)layer;
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->one = 1;
    p->mlp =
        (zoo_mlp){.width_in = b->hidden,
                  .width = b->config->whole(b->config, "intermediate_size", 0),
                  .gated = 1,
                  .fused = zoo_decoder_flag(b, "@interleaved_gate", false) ? ZOO_FUSED_INTERLEAVED
                                                                           : ZOO_FUSED_NONE,
                  .glu = zoo_decoder_glu(b, "silu")};
    *out = (zoo_part){.ops = &hybrid_factored_ops,
                      .params = p,
                      .name = "mlp",
                      .in_scale = 1.0f,
                      .out_scale = 1.0f};
    return zoo_mlp_finish(&p->mlp, b->err);
}

const zoo_block_ops hybrid_factored_ops = {.size = sizeof(zoo_block_ops),
                                           .weights_size = sizeof(weights),
                                           .name = "factored",
                                           .binds = binds,
                                           .scratch = scratch,
                                           .forward = forward,
                                           .facts = facts};
