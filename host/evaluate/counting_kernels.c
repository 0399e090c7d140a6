/* counting_kernels.c: a slot has no context, so the counters are the process's. */
#include "evaluate/counting_kernels.h"

#include <stdatomic.h>

#include "model/pack.h"

static const zoo_kernels *wrapped;
static zoo_kernels counting;
static _Atomic uint64_t operations[ZOO_WEIGHT_KINDS];
static _Atomic uint64_t bytes;

static void count_gemm(const zoo_gemm *g)
{
    const zoo_weight *w = g->weight;
    uint32_t end = g->panel_end * ZOO_PANEL < w->rows ? g->panel_end * ZOO_PANEL : w->rows;
    uint64_t outputs = end - g->panel_begin * ZOO_PANEL;
    atomic_fetch_add_explicit(&operations[w->kind], 2 * outputs * w->cols * g->n_rows,
                              memory_order_relaxed);
    size_t scales,
        data = zoo_pack_size((zoo_dtype)w->kind, (uint32_t)outputs, w->cols, w->group, &scales);
    atomic_fetch_add_explicit(&bytes, data + scales, memory_order_relaxed);
    wrapped->gemm[w->kind].gemm(g);
}

const zoo_kernels *zoo_counting_kernels_wrap(const zoo_kernels *kernels)
{
    wrapped = kernels;
    counting = *kernels;
    for (uint32_t kind = 0; kind < ZOO_WEIGHT_KINDS; kind++) {
        counting.gemm[kind].gemm = count_gemm;
    }
    return &counting;
}

zoo_kernel_counts zoo_counting_kernels_take(void)
{
    zoo_kernel_counts t = {.bytes = atomic_exchange(&bytes, 0)};
    for (uint32_t kind = 0; kind < ZOO_WEIGHT_KINDS; kind++) {
        t.operations[kind] = atomic_exchange(&operations[kind], 0);
    }
    return t;
}
