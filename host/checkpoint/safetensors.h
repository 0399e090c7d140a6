/*
 * safetensors.h: the tensors of a checkpoint folder or of one file, mapped read-only.
 *
 * Opening reads only the headers; payload pages are touched by zoo_tensor_widen and through `data`.
 * A set does not change once opened, so any number of threads may read it.
 */
#ifndef ZOO_CHECKPOINT_SAFETENSORS_H
#define ZOO_CHECKPOINT_SAFETENSORS_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZOO_TENSOR_DIMS_MAX 8
#define ZOO_TENSOR_NAME_MAX 1023 /* bytes, without the null */

typedef struct zoo_tensor {
    const char *name;       /* UTF-8 */
    const char *dtype_name; /* as the file spells it: "BF16" */
    const char *file;       /* path, for errors */
    const void *data;       /* row-major, little-endian, of any alignment */
    uint64_t n_bytes;
    uint64_t n_items; /* product of dims, 1 without dims */
    uint64_t dims[ZOO_TENSOR_DIMS_MAX];
    uint32_t n_dims;
    int fd;          /* of the file, open as long as the set is; -1 in sets of very many files */
    uint64_t at;     /* of data in the file, bytes */
    zoo_dtype dtype; /* ZOO_DTYPE_MAX: F4, F6_E2M3, F6_E3M2, C64, FNUZ kinds; listed, not read */
    /* What holds the rows after these, where a weight is joined of several tensors; else null. */
    const struct zoo_tensor *next_rows;
} zoo_tensor;

typedef struct zoo_tensors zoo_tensors;

/*
 * Opens model.safetensors, or the shards of model.safetensors.index.json, or the one *.safetensors
 * of the folder, or a whole series x-00001-of-0000N without an index. *set is the caller's, for
 * zoo_tensors_close; null on failure. ZOO_E_IO: no such file, a shard is missing. ZOO_E_FORMAT: a
 * header breaks the rules (the sentence names file and tensor). ZOO_E_UNSUPPORTED: a dtype without
 * a name here, more than 8 dims. [load]
 */
zoo_status zoo_tensors_open(const char *folder, zoo_tensors **set, zoo_error *err);

/* The same for one file of any name. [load] */
zoo_status zoo_tensors_open_file(const char *path, zoo_tensors **set, zoo_error *err);

/* Unmaps and frees; every zoo_tensor of the set becomes invalid. null is fine. */
void zoo_tensors_close(zoo_tensors *set);

/* Gives tensor i a second name; a tensor stored under it or with it first keeps it. [load] */
zoo_status zoo_tensors_alias(zoo_tensors *set, size_t i, const char *name, zoo_error *err);

/* The tensor of this name or null. [any] */
const zoo_tensor *zoo_tensors_find(const zoo_tensors *set, const char *name);

/* Tensors in the order of the files' names and, in each, of the offsets. i < count. [any] */
size_t zoo_tensors_count(const zoo_tensors *set);
const zoo_tensor *zoo_tensors_at(const zoo_tensors *set, size_t i);

/* The mapped files, i < n_files. [any] */
size_t zoo_tensors_n_files(const zoo_tensors *set);
const char *zoo_tensors_file(const zoo_tensors *set, size_t i);

/* Which state of a file was mapped; times are nanoseconds of its content and of its inode. */
typedef struct zoo_file_stamp {
    uint64_t size, inode, modified, changed;
} zoo_file_stamp;

/* As of the opening, i < n_files; and whether all files still have theirs. [any] */
zoo_file_stamp zoo_tensors_stamp(const zoo_tensors *set, size_t i);
bool zoo_tensors_unchanged(const zoo_tensors *set);

/* Warnings that do not stop reading: an index that disagrees with its shards. i < n_notes. [any] */
size_t zoo_tensors_n_notes(const zoo_tensors *set);
const char *zoo_tensors_note(const zoo_tensors *set, size_t i);

/*
 * Items begin .. begin + n as float32 into out[n]: exact, but for F64 and integers over 2^24, which
 * are rounded to nearest, ties to even. BOOL gives 0 and 1. ZOO_E_UNSUPPORTED names a dtype that is
 * not read; ZOO_E_USAGE: out of the tensor. Allocates nothing; thread-safe. [any]
 */
zoo_status zoo_tensor_widen(const zoo_tensor *t, uint64_t begin, size_t n, float *out,
                            zoo_error *err);

/*
 * The same through pread, so that scattered rows make no pages of the mapping resident. Also
 * ZOO_E_IO: the file was truncated, cannot be read or is not kept open. [any]
 */
zoo_status zoo_tensor_read(const zoo_tensor *t, uint64_t begin, size_t n, float *out,
                           zoo_error *err);
/* All bytes of the tensor as they are stored, to out [n_bytes]. ZOO_E_IO as above. [any] */
zoo_status zoo_tensor_copy(const zoo_tensor *t, void *out, zoo_error *err);

/*
 * Advice to the kernel: the payload was read and its pages may leave memory (release: whole pages
 * of it; forget: those it shares with others too). [any]
 */
void zoo_tensor_release(const zoo_tensor *t);
void zoo_tensor_forget(const zoo_tensor *t);

/* "BF16" and so on; "?" if it is not a stored dtype. [any] */
const char *zoo_dtype_name(zoo_dtype dtype);

/* Bytes of one item of a stored dtype; 0 for what is none. [any] */
size_t zoo_dtype_size(zoo_dtype dtype);

/*
 * Writes tensors (name, dtype, dims, data; the rest is not looked at) in the given order to a
 * temporary file beside path, which is renamed to path once it is complete. ZOO_E_IO,
 * ZOO_E_USAGE: equal names, a bad dtype. [any]
 */
zoo_status zoo_tensors_write(const char *path, const zoo_tensor *list, size_t n, zoo_error *err);

#ifdef __cplusplus
}
#endif

#endif
