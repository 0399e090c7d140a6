/* scratch.c: chained blocks. Fresh memory is NaN in debug builds, so that reading it shows. */
#include "base/scratch.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

static unsigned char *new_block(size_t n)
{
    size_t size = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    unsigned char *block = size >= n ? aligned_alloc(ALIGN, size ? size : ALIGN) : NULL;
#ifndef NDEBUG
    if (block) {
        memset(block, 0xFF, size);
    }
#endif
    return block;
}

static bool chain(zoo_scratch *scratch, size_t n)
{
    size_t last = scratch->n_blocks ? scratch->sizes[scratch->n_blocks - 1] : 0;
    size_t size = n > last * 2 ? n : last * 2;
    unsigned char *block = scratch->n_blocks < ZOO_SCRATCH_BLOCKS_MAX ? new_block(size) : NULL;
    if (!block) {
        return false;
    }
    scratch->n_grown += scratch->n_blocks > 0;
    scratch->blocks[scratch->n_blocks] = block;
    scratch->sizes[scratch->n_blocks] = size;
    scratch->present = scratch->n_blocks++;
    scratch->used = 0;
    return true;
}

zoo_status zoo_scratch_init(zoo_scratch *scratch, size_t n, zoo_error *err)
{
    memset(scratch, 0, sizeof *scratch);
    return chain(scratch, n ? n : ALIGN)
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_MEMORY, "no memory for %zu bytes of scratch", n);
}

void zoo_scratch_release(zoo_scratch *scratch)
{
    for (uint32_t i = 0; i < scratch->n_blocks; i++) {
        free(scratch->blocks[i]);
    }
    memset(scratch, 0, sizeof *scratch);
}

void *zoo_scratch_take(zoo_scratch *scratch, size_t n)
{
    size_t size = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (size < n) {
        return NULL;
    }
    while (size > scratch->sizes[scratch->present] - scratch->used) {
        if (scratch->present + 1 < scratch->n_blocks) {
            scratch->present++;
            scratch->used = 0;
        } else if (!chain(scratch, size)) {
            return NULL;
        }
    }
    void *taken = scratch->blocks[scratch->present] + scratch->used;
    scratch->used += size;
    return taken;
}

zoo_scratch_mark zoo_scratch_get_mark(const zoo_scratch *scratch)
{
    return (zoo_scratch_mark){scratch->present, scratch->used};
}

void zoo_scratch_return(zoo_scratch *scratch, zoo_scratch_mark mark)
{
    scratch->present = mark.block;
    scratch->used = mark.used;
}

void zoo_scratch_clear(zoo_scratch *scratch)
{
    size_t whole = 0;
    for (uint32_t i = 0; i < scratch->n_blocks; i++) {
        whole += scratch->sizes[i];
    }
    unsigned char *block = scratch->n_blocks > 1 ? new_block(whole) : NULL;
    if (block) {
        uint64_t n_grown = scratch->n_grown;
        zoo_scratch_release(scratch);
        scratch->blocks[0] = block;
        scratch->sizes[0] = whole;
        scratch->n_blocks = 1;
        scratch->n_grown = n_grown;
    }
    scratch->present = 0;
    scratch->used = 0;
}
