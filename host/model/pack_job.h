/* pack_job.h: one matrix on its way from the file into panels. */
#ifndef ZOO_PACK_JOB_H
#define ZOO_PACK_JOB_H

#include <stdatomic.h>

#include "checkpoint/matrix.h"
#include "model/bound_model.h"

/* The caller sets the first four members and frees `whole`. */
typedef struct zoo_pack_job {
    const zoo_matrix *source;
    zoo_weight *weight;
    const zoo_rowmap *map;
    uint64_t row0;      /* of the source, where a stack is cut */
    const float *whole; /* stored-transposed matrices: [cols, source rows] */
    uint64_t whole_stride;
    float *scratch;    /* [threads, 16 + 1, cols] */
    atomic_bool loses; /* a panel's stored codes were no steps of the kind: it was rounded */
    zoo_status status; /* of the first panel that failed */
    zoo_error error;
} zoo_pack_job;

/* Before a run on a stored-transposed matrix: reads it whole, [stored_rows, stored_cols] from row
 * row0 of the source on. [load] */
zoo_status zoo_pack_job_transpose(zoo_model *model, zoo_pack_job *job, uint64_t stored_rows,
                                  uint64_t stored_cols, zoo_error *err);
/* Packs all rows on all threads. [load] */
zoo_status zoo_pack_job_run(zoo_model *model, zoo_pack_job *job, zoo_error *err);

#endif
