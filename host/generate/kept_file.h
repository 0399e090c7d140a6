/*
 * kept_file.h: saves the prefixes of ended rows (kept.h) to a file and loads them in a later
 * process.
 *
 *   save: most recently used entries up to bytes_max -> file.part -> fsync -> rename
 *   load: check the header and the hash of all bytes -> entries, least recently used first
 *
 * The header holds a magic number, a key (a hash of everything that the bytes depend on) and a hash
 * of the data; it is written last, so a truncated file or one whose writer was killed is rejected
 * as a whole. Trust: the contents are trusted as much as the folder that the file lies in.
 *
 * Memory: four bytes for each cache page.
 */
#ifndef ZOO_GENERATE_KEPT_FILE_H
#define ZOO_GENERATE_KEPT_FILE_H

#include "cache/save.h"
#include "engine/engine.h"
#include "generate/kept.h"

typedef struct zoo_kept_file {
    char path[4352];
    uint64_t key[2];    /* hash of model, program, instruction set and options */
    uint64_t bytes_max; /* of the file */
    char note[1024];    /* why loading or saving failed, a sentence, or "" */
} zoo_kept_file;

/* Loads the file's entries into engine and kept. A missing file is no error; one that cannot be
 * used sets file->note. */
void zoo_kept_load(zoo_kept_file *file, zoo_engine *engine, zoo_kept *kept);
/* Writes the entries; without any the file is removed. On failure sets file->note and leaves the
 * old file in place. */
void zoo_kept_save(zoo_kept_file *file, zoo_engine *engine, const zoo_kept *kept);

#endif
