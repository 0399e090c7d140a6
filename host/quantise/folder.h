/*
 * folder.h: writes the quantised checkpoint, a Hugging Face folder in the format `pack-quantized`
 * of compressed-tensors, which transformers and vLLM read.
 *
 *   <module>.weight_packed      int32 [rows, words]: codes, lowest bits first
 *   <module>.weight_scale       bf16 [rows, groups]
 *   <module>.weight_shape       int64 [2]
 *
 * The format cannot express int4's zeros and the steps of each 32 columns. Its values are 8-bit
 * integers in groups of 64 (of 32 where 64 does not divide a row: transformers reads no shorter
 * last group), and are stored as such, symmetric; the host recovers the 4-bit codes (pack.h). Nor
 * can it express rotated groups: transform_config of compressed-tensors, which could, is not
 * read by transformers 5.24. So matrices of 6 and 8 bits stay plain tensors, of float32
 * numbers, from which the host recovers the codes too. Other tensors and files are copied.
 * config.json gains quantization_config; method and text are recorded in lmzoo_quantise.json, which
 * `inspect` shows. Tensors are written straight from the mapped files; model.safetensors is renamed
 * into place when complete, then config.json.
 */
#ifndef ZOO_QUANTISE_FOLDER_H
#define ZOO_QUANTISE_FOLDER_H

#include <stdio.h>

#include "quantise/job.h"

#define ZOO_QUANTISE_NOTE "lmzoo_quantise.json"

typedef struct zoo_folder_note {
    const char *text;             /* name of the file of text, or null */
    uint64_t text_hash, n_tokens; /* of it */
    uint64_t n_own;               /* tokens that the model wrote */
    double bits;                  /* per weight, over all quantised matrices */
} zoo_folder_note;

/* Writes the checkpoint to jobs->folder from the parts on disk. ZOO_E_IO, ZOO_E_MEMORY,
 * ZOO_E_UNSUPPORTED: a tensor's dtype cannot be written. */
zoo_status zoo_folder_write(const zoo_model *model, const zoo_jobs *jobs,
                            const zoo_folder_note *note, zoo_error *err);

/* Prints one line on how the checkpoint was quantised; nothing if the folder has no note. */
void zoo_folder_describe(const char *folder, FILE *out);

#endif
