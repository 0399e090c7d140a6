/*
 * setup.c: what the host offers a block's prepare: memory of the model, packing of a matrix that it
 * derived, unpacking of a matrix to float32.
 *
 * Memory: the model's. Reads no file.
 */
#include "model/bound_model.h"
#include "model/pack.h"

static void *setup_take(zoo_setup *setup, size_t n)
{
    return zoo_model_take(setup->host, n);
}

typedef struct memory_job {
    zoo_weight *weight;
    const float *x;
} memory_job;

static void pack_memory_panel(void *arg, uint32_t panel, uint32_t worker)
{
    const memory_job *job = arg;
    uint32_t first = panel * ZOO_PANEL;
    uint32_t left = job->weight->rows - first;
    (void)worker;
    zoo_pack_panel(job->weight, panel, job->x + (size_t)first * job->weight->cols,
                   left < ZOO_PANEL ? left : ZOO_PANEL);
}

static zoo_status setup_pack(zoo_setup *setup, const float *x, uint32_t rows, uint32_t cols,
                             zoo_weight *out, zoo_error *err)
{
    zoo_model *model = setup->host;
    *out = (zoo_weight){.kind = setup->weight_kind, .rows = rows, .cols = cols};
    ZOO_TRY(zoo_model_take_packed(model, ZOO_BIND_PACK, "(folded)", out, err));
    memory_job job = {out, x};
    if (zoo_model_is_packed(model, out)) {
        return ZOO_OK;
    }
    zoo_pool_run(model->pool, (rows + ZOO_PANEL - 1) / ZOO_PANEL, pack_memory_panel, &job);
    return ZOO_OK;
}

static void setup_unpack(zoo_setup *setup, const zoo_weight *weight, float *out)
{
    (void)setup;
    for (uint32_t row = 0; row < weight->rows; row++) {
        zoo_unpack_row(weight, row, out + (size_t)row * weight->cols);
    }
}

void zoo_model_setup_packing(zoo_model *model)
{
    model->setup.take = setup_take;
    model->setup.pack = setup_pack;
    model->setup.unpack = setup_unpack;
}
