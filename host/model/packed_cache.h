/*
 * packed_cache.h: the packed matrices of a model in a file, so that a later start maps them instead
 * of packing the checkpoint again.
 *
 *   open: path and key -> map the file -> header and table checked, or a reason why not
 *   bind: each matrix in turn from the file, its checksum compared; from the first mismatch on, all
 *         are packed again
 *   finish: what had to be packed -> file under another name -> fsync -> rename
 *
 * One file a model folder and kind of weights. Its key (packed_cache_key.c) covers the config, the
 * card, the plugin, the program and, of each safetensors file, its header, size, inode and times of
 * change; payload bytes of the checkpoint are not read again. Sizes and offsets are not taken from
 * the file but follow from the shapes that the model asks for, so a damaged or malicious file can
 * at most give wrong numbers; the checksums find damage (XXH3, no signature).
 *
 * A file that cannot be used or written is a note, never an error. Memory: the table; mapped pages
 * are page cache. Truncating the file while it is mapped ends the program (base/mapped.h).
 */
#ifndef ZOO_MODEL_PACKED_CACHE_H
#define ZOO_MODEL_PACKED_CACHE_H

#include "model/bound_model.h"

typedef struct zoo_packed zoo_packed;

/*
 * where: a folder, made when it is missing, or "auto": lmzoo in $XDG_CACHE_HOME or ~/.cache. kind:
 * the name of the kind of weights. ZOO_E_USAGE: no such place is known; ZOO_E_MEMORY. [load]
 */
zoo_status zoo_packed_open(const zoo_model *model, const char *where, const char *kind,
                           zoo_packed **out, zoo_error *err);
/* Unmaps; weights that point into the file become invalid. null is fine. */
void zoo_packed_close(zoo_packed *packed);

/* Points w to the next matrix of the file if it is `name`, has w's shape and the right checksum;
 * false: it must be packed. packed null: false. [load] */
bool zoo_packed_take(zoo_packed *packed, const char *name, zoo_weight *w, zoo_pool *pool);
/* Remembers a matrix, taken or to be packed, for the file; null: nothing. ZOO_E_MEMORY. [load] */
zoo_status zoo_packed_add(zoo_packed *packed, const char *name, const zoo_weight *w,
                          zoo_error *err);
/* Whether data lies in the file. null: false. */
bool zoo_packed_holds(const zoo_packed *packed, const void *data);
/* Writes the file where it does not hold these matrices; every one is packed by now. [load] */
void zoo_packed_finish(zoo_packed *packed, const zoo_model *model);

/* Path of the file; what was wrong with it or its writing, in one or two sentences, else "". */
const char *zoo_packed_path(const zoo_packed *packed);
const char *zoo_packed_note(const zoo_packed *packed);

#endif
