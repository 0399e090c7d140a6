/*
 * pack_job.c: reads a matrix's rows and packs them.
 *
 *   slice of rows -> 16 rows a panel, on all threads -> packed; the slice's pages are given back
 *
 * Peak memory is the packed size and a few rows; a stored-transposed matrix is read whole once.
 */
#include "model/pack_job.h"

#include <string.h>

#include "base/mem.h"
#include "model/pack.h"

/* Values that are packed before their pages of the file are given back. */
enum { SLICE_FLOATS = 1 << 23 };

static uint64_t mapped_row(const zoo_pack_job *job, uint64_t row)
{
    const zoo_rowmap *map = job->map;
    return map ? map->offset + row / map->group * map->stride + row % map->group : row;
}

/* Consecutive rows of the source are read in one call, as some formats store columns. */
static void read_run(zoo_pack_job *job, uint64_t first, uint32_t n, float *out)
{
    uint64_t cols = job->weight->cols;
    for (uint32_t i = 0; i < n;) {
        uint64_t row = mapped_row(job, first + i);
        uint32_t run = 1;
        while (i + run < n && mapped_row(job, first + i + run) == row + run) {
            run++;
        }
        zoo_status status = zoo_matrix_read_rows(job->source, job->row0 + row, run, out + i * cols);
        if (status != ZOO_OK) {
            job->status = status;
        }
        i += run;
    }
}

static void read_panel(zoo_pack_job *job, uint64_t first, uint32_t n, float *out)
{
    uint64_t cols = job->weight->cols;
    if (!job->whole) {
        read_run(job, first, n, out);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t row = mapped_row(job, first + i);
        for (uint64_t k = 0; k < cols; k++) {
            out[i * cols + k] = job->whole[k * job->whole_stride + row];
        }
    }
}

/* The columns of rows [n, cols] in the order of the weight; room [cols]. */
static void order_columns(const zoo_weight *w, float *rows, uint32_t n, float *room)
{
    for (uint32_t i = 0; w->order && i < n; i++, rows += w->cols) {
        memcpy(room, rows, w->cols * sizeof *room);
        for (uint32_t k = 0; k < w->cols; k++) {
            rows[k] = room[w->order[k]];
        }
    }
}

static void pack_panel(void *arg, uint32_t panel, uint32_t worker)
{
    zoo_pack_job *job = arg;
    uint64_t first = (uint64_t)panel * ZOO_PANEL;
    uint64_t left = job->weight->rows - first;
    uint32_t n = left < ZOO_PANEL ? (uint32_t)left : ZOO_PANEL;
    float *rows = job->scratch + (size_t)worker * (ZOO_PANEL + 1) * job->weight->cols;
    read_panel(job, first, n, rows);
    order_columns(job->weight, rows, n, rows + (size_t)ZOO_PANEL * job->weight->cols);
    if (!job->source->codes || !zoo_pack_panel_exact(job->weight, panel, rows, n)) {
        atomic_store(&job->loses, true);
        if (!zoo_pack_needs_grid(job->weight)) {
            zoo_pack_panel(job->weight, panel, rows, n);
        }
    }
}

/* Panels of one slice: read, pack, release the file's pages, so that no matrix is in memory
 * twice. */
typedef struct pack_slice {
    zoo_pack_job *job;
    uint32_t first;
} pack_slice;

static void pack_item(void *arg, uint32_t item, uint32_t worker)
{
    const pack_slice *slice = arg;
    pack_panel(slice->job, slice->first + item, worker);
}

static void release_parts(const zoo_matrix *m)
{
    for (uint32_t i = 0; zoo_matrix_part_at(m, i); i++) {
        zoo_tensor_release(zoo_matrix_part_at(m, i));
    }
}

static void pack_slices(zoo_model *model, zoo_pack_job *job)
{
    uint32_t n = (job->weight->rows + ZOO_PANEL - 1) / ZOO_PANEL;
    uint32_t most = SLICE_FLOATS / (ZOO_PANEL * (job->weight->cols + 1)) + 1;
    for (pack_slice slice = {job, 0}; slice.first < n; slice.first += most) {
        uint32_t left = n - slice.first;
        zoo_pool_run(model->pool, left < most ? left : most, pack_item, &slice);
        release_parts(job->source);
    }
}

zoo_status zoo_pack_job_run(zoo_model *model, zoo_pack_job *job, zoo_error *err)
{
    size_t n = (size_t)zoo_pool_n_threads(model->pool) * (ZOO_PANEL + 1) * job->weight->cols;
    job->scratch = zoo_mem_array(n, sizeof(float));
    if (!job->scratch) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory while packing", model->folder);
    }
    pack_slices(model, job);
    zoo_mem_free(job->scratch);
    return job->status == ZOO_OK
               ? ZOO_OK
               : zoo_fail(err, job->status, "%s: a stored tensor cannot be read", model->folder);
}

zoo_status zoo_pack_job_transpose(zoo_model *model, zoo_pack_job *job, uint64_t stored_rows,
                                  uint64_t stored_cols, zoo_error *err)
{
    float *whole = zoo_mem_array((size_t)stored_rows, (size_t)stored_cols * sizeof(float));
    if (!whole) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory for a transposed tensor",
                        model->folder);
    }
    job->whole = whole;
    job->whole_stride = stored_cols;
    return zoo_matrix_read_rows(job->source, job->row0, stored_rows, whole);
}
