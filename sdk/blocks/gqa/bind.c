/*
 * bind.c: the tensors of attention as a bind table. derived.when of zoo_gqa, set by params.c, says
 * which rows exist.
 */
#include "blocks/gqa/impl.h"
#include "blocks/rows.h"

/* clang-format off */
const zoo_bind zoo_gqa_binds[] = {
#include "blocks/gqa/binds.inc"
    {0}};
/* clang-format on */

/* A bias for each head becomes one for each element of the gate. */
zoo_status zoo_gqa_prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err)
{
    const zoo_gqa *p = params;
    zoo_gqa_weights *w = weights;
    if (!p->options.gate_bias) {
        return ZOO_OK;
    }
    float *all = setup->take(setup, p->derived.o_cols * sizeof *all);
    if (!all) {
        return zoo_fail(err, ZOO_E_MEMORY, "attention: no memory for the biases of its gate");
    }
    for (uint32_t i = 0; i < p->derived.o_cols; i++) {
        all[i] = w->gate_head_bias[i / p->shape.v_dim];
    }
    w->gate_bias = all;
    return ZOO_OK;
}
