/*
 * folder.h: the new checkpoint: an ordinary Hugging Face folder in the layout `pack-quantized` of
 * compressed-tensors, which transformers and vLLM read.
 *
 *   <module>.weight_packed      int32 [rows, words]: codes, little end first
 *   <module>.weight_scale       bf16 [rows, groups]
 *   <module>.weight_shape       int64 [2]
 *
 * Codes of 4 bits have zeros within a step and steps of each 32 columns, which the layout has no
 * place for; what they stand for are whole numbers of eight bits in groups of 64, and so they are
 * stored, in symmetric groups. The host finds the four bits again (pack.h) and keeps them.
 * Everything else is the source's. config.json gains quantization_config; what was done with which
 * text stands in lmzoo_quantise.json, which `inspect` shows. Tensors go straight from the mapped
 * files; model.safetensors takes its name when it is whole, config.json after it.
 */
#ifndef ZOO_QUANTISE_FOLDER_H
#define ZOO_QUANTISE_FOLDER_H

#include <stdio.h>

#include "quantise/job.h"

#define ZOO_QUANTISE_NOTE "lmzoo_quantise.json"

typedef struct zoo_folder_note {
    const char *text; /* name of the file of text, or null */
    uint64_t text_hash, n_tokens;
    double bits; /* a weight of all quantised matrices */
} zoo_folder_note;

zoo_status zoo_folder_write(const zoo_model *model, const zoo_jobs *jobs,
                            const zoo_folder_note *note, zoo_error *err);

/* One line for people about how a checkpoint's folder was made; nothing where it has no note. */
void zoo_folder_tell(const char *folder, FILE *out);

#endif
