/* scratch.c: chained bump blocks. Fresh memory is NaN in debug builds, so that reading it shows. */
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

static bool chain(zoo_bump *bump, size_t n)
{
    size_t last = bump->n_blocks ? bump->sizes[bump->n_blocks - 1] : 0;
    size_t size = n > last * 2 ? n : last * 2;
    unsigned char *block = bump->n_blocks < ZOO_BUMP_BLOCKS_MAX ? new_block(size) : NULL;
    if (!block) {
        return false;
    }
    bump->n_grown += bump->n_blocks > 0;
    bump->blocks[bump->n_blocks] = block;
    bump->sizes[bump->n_blocks] = size;
    bump->present = bump->n_blocks++;
    bump->used = 0;
    return true;
}

zoo_status zoo_bump_init(zoo_bump *bump, size_t n, zoo_error *err)
{
    memset(bump, 0, sizeof *bump);
    return chain(bump, n ? n : ALIGN)
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_MEMORY, "no memory for %zu bytes of scratch", n);
}

void zoo_bump_release(zoo_bump *bump)
{
    for (uint32_t i = 0; i < bump->n_blocks; i++) {
        free(bump->blocks[i]);
    }
    memset(bump, 0, sizeof *bump);
}

void *zoo_bump_take(zoo_bump *bump, size_t n)
{
    size_t size = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (size < n) {
        return NULL;
    }
    while (size > bump->sizes[bump->present] - bump->used) {
        if (bump->present + 1 < bump->n_blocks) {
            bump->present++;
            bump->used = 0;
        } else if (!chain(bump, size)) {
            return NULL;
        }
    }
    void *taken = bump->blocks[bump->present] + bump->used;
    bump->used += size;
    return taken;
}

zoo_bump_mark zoo_bump_get_mark(const zoo_bump *bump)
{
    return (zoo_bump_mark){bump->present, bump->used};
}

void zoo_bump_return(zoo_bump *bump, zoo_bump_mark mark)
{
    bump->present = mark.block;
    bump->used = mark.used;
}

void zoo_bump_clear(zoo_bump *bump)
{
    size_t whole = 0;
    for (uint32_t i = 0; i < bump->n_blocks; i++) {
        whole += bump->sizes[i];
    }
    unsigned char *block = bump->n_blocks > 1 ? new_block(whole) : NULL;
    if (block) {
        uint64_t n_grown = bump->n_grown;
        zoo_bump_release(bump);
        bump->blocks[0] = block;
        bump->sizes[0] = whole;
        bump->n_blocks = 1;
        bump->n_grown = n_grown;
    }
    bump->present = 0;
    bump->used = 0;
}
