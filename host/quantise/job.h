/*
 * job.h: the matrices of a run, and what is kept of each one until all are done.
 *
 * A part is a file <folder>/.parts/<number>-<bits>.part: a head with errors and shape, then the
 * bytes as the checkpoint will hold them. It takes its name when it is whole, so a run that was
 * killed goes on with those that are there; a part of other inputs (key) is made again.
 */
#ifndef ZOO_QUANTISE_JOB_H
#define ZOO_QUANTISE_JOB_H

#include "model/bound_model.h"

/* 4, 5 and 8 bits, the last for matrices that their block wants wide. */
enum { ZOO_JOB_KINDS = 3 };

static inline uint32_t zoo_job_bits(uint32_t kind)
{
    return kind < 2 ? 4 + kind : 8;
}

typedef struct zoo_job {
    const zoo_tensor *tensor;
    const zoo_weight *weight;           /* one that is bound from it */
    char name[ZOO_TENSOR_NAME_MAX + 1]; /* of the module in the new checkpoint */
    bool is_head, is_shared, is_wide;   /* is_shared: the embedding table stays beside it */
    uint32_t rows, cols;
    double error[ZOO_JOB_KINDS]; /* of the outputs' squares, as a share */
    bool done[ZOO_JOB_KINDS];
    uint32_t kind; /* chosen */
    uint64_t n_rows;
} zoo_job;

typedef struct zoo_jobs {
    zoo_job *list;
    uint32_t n;
    char folder[4096];
    uint64_t key[2]; /* of everything that the parts come from */
} zoo_jobs;

/* The matrices of the model that are quantised, in the order of binding; zoo_jobs_free gives back.
 * ZOO_E_MEMORY; ZOO_E_UNSUPPORTED: there are none. */
zoo_status zoo_jobs_list(const zoo_model *model, zoo_jobs *out, zoo_error *err);
void zoo_jobs_free(zoo_jobs *jobs);

/* Bytes of the parts of a part, in this order: codes, scales. Codes of 4 bits stand for whole
 * numbers of 8, which is how they are stored. */
typedef struct zoo_part_sizes {
    uint32_t bits, group;
    uint64_t words, groups; /* words of a row */
    size_t codes, scales;
} zoo_part_sizes;
zoo_part_sizes zoo_part_measure(uint32_t rows, uint32_t cols, uint32_t kind);

/* Looks which parts are there. */
void zoo_jobs_resume(zoo_jobs *jobs);
/* What feedback.h made of job i, packed, to its part. ZOO_E_IO. */
zoo_status zoo_part_write(const zoo_jobs *jobs, uint32_t i, uint32_t kind, const uint8_t *codes,
                          const uint16_t *scales, zoo_error *err);
/* Maps the part of the chosen kind; *data lies behind its head. zoo_part_unmap gives back. */
zoo_status zoo_part_map(const zoo_jobs *jobs, uint32_t i, const unsigned char **data,
                        zoo_error *err);
void zoo_part_unmap(const zoo_jobs *jobs, uint32_t i, const unsigned char *data);
/* Removes the parts, when the checkpoint is whole. */
void zoo_parts_remove(const zoo_jobs *jobs);

#endif
