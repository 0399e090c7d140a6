/* safetensors_set.h: what safetensors.c and safetensors_folder.c share. */
#ifndef ZOO_CHECKPOINT_SAFETENSORS_SET_H
#define ZOO_CHECKPOINT_SAFETENSORS_SET_H

#include "checkpoint/safetensors.h"

#define ZOO_PATH_MAX 4096

/* Opens folder/names[i] (folder "": names are paths) as one set. [load] */
zoo_status zoo_tensors_open_list(const char *folder, const char *const *names, size_t n,
                                 zoo_tensors **out, zoo_error *err);

/* Keeps one note for zoo_tensors_note. ZOO_E_MEMORY without a sentence. [load] */
ZOO_PRINTF(2, 3)
zoo_status zoo_tensors_note_add(zoo_tensors *set, const char *fmt, ...);

#endif
