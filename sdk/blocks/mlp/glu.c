/* glu.c: the gated activations (formulas: zoo_glu in mlp.h), on one row of one thread. */
#include <math.h>

#include "blocks/mlp/mlp.h"

static void run_softcapped(const zoo_kernels *kernels, const zoo_glu *glu, float *gate, float *up,
                           float *tmp, size_t n)
{
    kernels->softcap(glu->gate_softcap, gate, tmp, n);
    kernels->softcap(glu->up_softcap, up, up, n);
    kernels->act_mul(ZOO_ACT_SIGMOID, gate, tmp, gate, n);
    kernels->mul(gate, up, gate, n);
}

void zoo_glu_run(const zoo_kernels *kernels, const zoo_glu *glu, float *gate, float *up, float *tmp,
                 size_t n)
{
    if (glu->gate_softcap > 0) {
        run_softcapped(kernels, glu, gate, up, tmp, n);
        return;
    }
    if (glu->limit > 0 && glu->clamp_after) {
        kernels->act((zoo_act)glu->act, gate, gate, n);
        kernels->clamp(-INFINITY, glu->limit, gate, gate, n);
        kernels->clamp(-glu->limit, glu->limit, up, up, n);
        kernels->mul(gate, up, gate, n);
        return;
    }
    if (glu->limit > 0) {
        kernels->clamp(-INFINITY, glu->limit, gate, gate, n);
        kernels->clamp(-glu->limit, glu->limit, up, up, n);
    }
    if (glu->alpha == 0) {
        kernels->act_mul((zoo_act)glu->act, gate, up, gate, n);
    } else {
        kernels->scale(glu->alpha, gate, tmp, n);
        kernels->act_mul(ZOO_ACT_SIGMOID, tmp, gate, gate, n);
        kernels->mul(gate, up, up, n);
        kernels->scale(glu->up_shift, gate, gate, n);
        kernels->add(gate, up, gate, n);
    }
}
