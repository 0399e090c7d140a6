/* diff.h: what one architecture does differently from another, in sentences. */
#ifndef ZOO_EXPLAIN_DIFF_H
#define ZOO_EXPLAIN_DIFF_H

#include "explain/arch.h"
#include "explain/doc.h"
#include "explain/words.h"

/* Appends the whole page: what b does differently, sizes, memory, keys that change nothing. */
void zoo_diff_write(zoo_doc *doc, const zoo_arch *a, const zoo_arch *b);
/* The sentences alone; returns how many. */
uint32_t zoo_diff_sentences(zoo_doc *doc, const zoo_arch *a, const zoo_arch *b);

/* Sentences about two blocks that take the same place. */
enum { ZOO_SAYINGS = 32 };
typedef struct zoo_sayings {
    uint32_t n;
    char text[ZOO_SAYINGS][ZOO_WORDS * 3];
} zoo_sayings;

/* Appends them; what does not fit is left out. diff_blocks.c */
void zoo_diff_mixers(zoo_sayings *out, const zoo_arch_block *a, const zoo_arch_block *b);
void zoo_diff_ffns(zoo_sayings *out, const zoo_arch_block *a, const zoo_arch_block *b);

/* Keys of the files that differ and that nobody reads. diff_keys.c */
void zoo_diff_keys(zoo_doc *doc, const zoo_arch *a, const zoo_arch *b);

/* How much two architectures differ: sentences, each 1, and sizes that differ. For the nearest. */
double zoo_diff_distance(const zoo_arch *a, const zoo_arch *b);

#endif
