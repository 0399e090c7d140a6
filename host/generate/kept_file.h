/*
 * kept_file.h: what ended rows left (kept.h), in a file that outlives the process.
 *
 *   save: newest entries up to bytes_max -> file.part -> fsync -> rename
 *   load: header and hash of all bytes judged -> entries, the longest unused first
 *
 * A file is used whole or not at all: by its magic, its key (everything that the bytes depend on)
 * and the hash of what stands behind the header, which is written last. So one that was cut, or
 * whose writer was killed, is recognised. Trust: what is in it is as trusted as the folder.
 *
 * Memory: a number for each cache page.
 */
#ifndef ZOO_GENERATE_KEPT_FILE_H
#define ZOO_GENERATE_KEPT_FILE_H

#include "cache/save.h"
#include "engine/engine.h"
#include "generate/kept.h"

typedef struct zoo_kept_file {
    char path[4352];
    uint64_t key[2];    /* hash of what must be the same */
    uint64_t bytes_max; /* of the file */
    char note[1024];    /* what came of loading or saving, a sentence, or "" */
} zoo_kept_file;

/* Nothing there is nothing loaded; what cannot be used is a note. n entries go to kept. */
void zoo_kept_load(zoo_kept_file *file, zoo_engine *engine, zoo_kept *kept);
/* With nothing to keep the file is removed. What cannot be written is a note, and the old file
 * stays. */
void zoo_kept_save(zoo_kept_file *file, zoo_engine *engine, const zoo_kept *kept);

#endif
