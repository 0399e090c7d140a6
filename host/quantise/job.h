/*
 * job.h: the tensors to quantise, and their results on disk until all are done.
 *
 * A tensor holds one matrix or, as experts and the heads of latents are stored, a stack of them, of
 * which each has inputs of its own. Its codes have one row for each output, whichever way the
 * tensor is stored.
 *
 * A part is a file <folder>/.parts/<number>-<bits>.part: a header with error and shape, then the
 * bytes of the checkpoint's tensors; of rotated groups, codes and scales from which the tensor's
 * float32 numbers are computed at the end (zoo_part_values). It is renamed into place when
 * complete, so an interrupted run resumes with the parts that exist; a part of other inputs (key)
 * is made again.
 */
#ifndef ZOO_QUANTISE_JOB_H
#define ZOO_QUANTISE_JOB_H

#include "model/bound_model.h"

/* Kinds 0 to 3: 4, 5, 6 and 8 bits. Rows are multiples of ZOO_JOB_RUN columns. */
enum { ZOO_JOB_FOUR, ZOO_JOB_FIVE, ZOO_JOB_SIX, ZOO_JOB_EIGHT, ZOO_JOB_KINDS, ZOO_JOB_RUN = 16 };

static inline uint32_t zoo_job_bits(uint32_t kind)
{
    return kind == ZOO_JOB_EIGHT ? 8 : 4 + kind;
}

typedef struct zoo_job {
    const zoo_tensor *tensor;
    char name[ZOO_TENSOR_NAME_MAX + 1]; /* of the module in the new checkpoint */
    bool is_module;                     /* the tensor's name ended in ".weight" */
    bool is_head, is_wide;              /* the output matrix; its block asks for precision */
    bool is_shared;                     /* a tied output matrix: the embedding tensor is kept too */
    bool is_transposed;                 /* stored as [inputs, outputs] */
    uint32_t rows, cols, n_stack;       /* outputs of all its matrices, inputs; matrices */
    uint32_t *sources;                  /* [n_sources] of the model, by row0 */
    uint32_t n_sources;
    uint32_t family;             /* the first job of those that one bind row filled */
    uint32_t unit;               /* the first of those that get the same bits: a block's experts */
    double cost;                 /* divergence of the model by four bits in it; 0: not measured */
    double error[ZOO_JOB_KINDS]; /* squared error of the outputs over their squares */
    bool done[ZOO_JOB_KINDS];    /* the part exists */
    uint32_t kind;               /* chosen */
    uint64_t n_rows;             /* rows of activations in its H, of all its matrices */
} zoo_job;

typedef struct zoo_jobs {
    zoo_job *list;
    uint32_t n;
    char folder[4096];
    uint64_t key[2]; /* of everything that the parts come from */
} zoo_jobs;

/* Lists the model's tensors to quantise, in the order of binding, but for those whose rows are no
 * multiple of ZOO_JOB_RUN; free with zoo_jobs_free. ZOO_E_MEMORY; ZOO_E_UNSUPPORTED: none. */
zoo_status zoo_jobs_list(const zoo_model *model, zoo_jobs *out, zoo_error *err);
void zoo_jobs_free(zoo_jobs *jobs);

/* Whether no module of another program holds the codes: of a stack, or stored as [inputs,
 * outputs]. */
bool zoo_job_is_stacked(const zoo_job *job);
/* Whether the bind row that took job i took others: experts that are stored one by one. */
bool zoo_job_has_family(const zoo_jobs *jobs, uint32_t i);

/* Whether the groups of a kind are rotated: of six bits, which there are not otherwise, and of
 * eight, where 64 divides a row that is stored as one. */
bool zoo_job_rotates(const zoo_job *job, uint32_t kind);

/* Columns that share a scale in the file: feedback's group, or its half or quarter where that does
 * not divide a row, whose parts then have the same scale. */
uint32_t zoo_part_group(const zoo_job *job, uint32_t kind);
/* Layout of a part after its header: codes, then scales. Codes of 4 bits, and those of rotated
 * groups, are stored as their 8-bit values (folder.h). */
typedef struct zoo_part_sizes {
    uint32_t bits, group;
    uint64_t words, groups; /* of a row */
    size_t codes, scales;   /* bytes */
} zoo_part_sizes;
zoo_part_sizes zoo_part_measure(const zoo_job *job, uint32_t kind);

/* Sets done, error and n_rows of the jobs whose parts exist. */
void zoo_jobs_resume(zoo_jobs *jobs);
/* Packs the output of feedback.h for job i and writes its part. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_part_write(const zoo_jobs *jobs, uint32_t i, uint32_t kind, const uint8_t *codes,
                          const uint16_t *scales, zoo_error *err);
/* Maps the part of a kind; *data begins after its header. Release with zoo_part_unmap. ZOO_E_IO. */
zoo_status zoo_part_map(const zoo_jobs *jobs, uint32_t i, uint32_t kind, const unsigned char **data,
                        zoo_error *err);
void zoo_part_unmap(const zoo_jobs *jobs, uint32_t i, uint32_t kind, const unsigned char *data);
/* Values of one output of kind 0, out [cols]. */
void zoo_part_row(const zoo_job *job, const unsigned char *data, uint32_t row, float *out);
/* The same of a kind whose groups are rotated, rotated back. */
void zoo_part_turned(const zoo_job *job, const unsigned char *data, uint32_t row, float *out);
/* Maps a file beside the parts with the float32 values [rows, cols] of job i, whose chosen kind has
 * rotated groups. Release with zoo_values_unmap. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_part_values(const zoo_jobs *jobs, uint32_t i, const float **values, zoo_error *err);
void zoo_values_unmap(const zoo_jobs *jobs, uint32_t i, const float *values);
/* A figure of job i that a stopped run keeps, beside its parts; false: there is none. */
bool zoo_cost_read(const zoo_jobs *jobs, uint32_t i, double *cost);
zoo_status zoo_cost_write(const zoo_jobs *jobs, uint32_t i, double cost, zoo_error *err);
/* Removes all of that, once the checkpoint is complete. */
void zoo_parts_remove(const zoo_jobs *jobs);

#endif
