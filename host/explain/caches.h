/* caches.h: what several models keep and read, side by side: as a table, as JSON. */
#ifndef ZOO_EXPLAIN_CACHES_H
#define ZOO_EXPLAIN_CACHES_H

#include "explain/arch.h"
#include "explain/doc.h"

enum { ZOO_CACHES_MAX = 16, ZOO_CONTEXTS_MAX = 8 };

typedef struct zoo_caches {
    const zoo_arch *archs[ZOO_CACHES_MAX];
    uint32_t n_archs;
    double contexts[ZOO_CONTEXTS_MAX]; /* positions */
    uint32_t n_contexts;
} zoo_caches;

void zoo_caches_write(zoo_doc *doc, const zoo_caches *caches);
/* False: out of memory. */
bool zoo_caches_json(zoo_out *out, const zoo_caches *caches);
/* What the same layers would keep of a position in bf16 if every query head had keys and values. */
double zoo_caches_every_head(const zoo_arch *arch);
/* "grouped-query attention, 5 of 6 layers sliding" */
void zoo_caches_means(const zoo_arch *arch, char *text, size_t n);

#endif
