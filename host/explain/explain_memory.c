/* explain_memory.c: what a sequence takes, with the arithmetic, and what a token costs. */
#include <string.h>

#include "explain/explain.h"
#include "explain/memory.h"
#include "explain/words.h"

const double zoo_lengths[ZOO_LENGTHS] = {1024, 8192, 32768, 131072, 1048576};

static const struct {
    zoo_dtype dtype;
    const char *name;
} dtypes[] = {{ZOO_F32, "f32"}, {ZOO_BF16, "bf16"}, {ZOO_INT8, "int8"}, {ZOO_INT4, "int4"}};

/* What the kinds take of a value in the model's widest stream, scales included. */
static void write_bits(zoo_doc *doc, const zoo_arch_sum *sums, uint32_t n)
{
    const zoo_arch_sum *widest = NULL;
    for (uint32_t i = 0; i < n; i++) {
        bool rows = sums[i].decl.kind != ZOO_STATE && sums[i].decl.dtype_min == ZOO_INT4;
        widest = rows && (!widest || sums[i].decl.width > widest->decl.width) ? &sums[i] : widest;
    }
    if (widest) {
        zoo_doc_cell(doc, "bits a value of %s, scales included", widest->decl.name);
        for (size_t d = 0; d < ZOO_COUNT(dtypes); d++) {
            zoo_row_cost row = zoo_cache_row_cost(&widest->decl, zoo_cache_kinds[dtypes[d].dtype]);
            zoo_doc_cell(doc, "%s", zoo_say_number(row.bits).text);
        }
    }
}

static void write_sum(zoo_doc *doc, const zoo_arch_sum *sum)
{
    const zoo_stream *s = &sum->decl;
    zoo_row_cost row = zoo_cache_row_cost(s, zoo_cache_kinds[ZOO_BF16]);
    double all = row.bytes * sum->n, stride = s->stride ? s->stride : 1;
    if (s->kind == ZOO_STATE) {
        zoo_doc_item(doc, "%s: %u layers x %u numbers x 4 bytes = %s, whatever the length", s->name,
                     sum->n, s->width, zoo_say_bytes(all).text);
        return;
    }
    char every[64] = "", read[96] = "";
    if (stride > 1) {
        (void)snprintf(every, sizeof every, ", a row for every %.0f positions", stride);
    }
    if (sum->rows_read > 0) {
        (void)snprintf(read, sizeof read, "; a token reads %.0f of the rows", sum->rows_read);
    }
    if (s->kind == ZOO_RING) {
        zoo_doc_item(doc,
                     "%s: %u layers x %u numbers in %s = %s a position until %u are full, then "
                     "none: %s%s%s",
                     s->name, sum->n, s->width, row.kind->name, zoo_say_bytes(all).text, s->window,
                     zoo_say_bytes(all * s->window).text, every, read);
    } else {
        zoo_doc_item(doc, "%s: %u layers x %u numbers in %s = %s a position%s%s", s->name, sum->n,
                     s->width, row.kind->name, zoo_say_bytes(all / stride).text, every, read);
    }
}

static void write_kept(zoo_doc *doc, const zoo_arch *arch, const zoo_arch_sum *sums, uint32_t n)
{
    zoo_doc_table(doc, 1 + (uint32_t)ZOO_COUNT(dtypes));
    zoo_doc_cell(doc, "kept of a sequence");
    for (size_t d = 0; d < ZOO_COUNT(dtypes); d++) {
        zoo_doc_cell(doc, "%s", dtypes[d].name);
    }
    write_bits(doc, sums, n);
    zoo_doc_cell(doc, "a position, windows not full");
    for (size_t d = 0; d < ZOO_COUNT(dtypes); d++) {
        zoo_doc_cell(doc, "%s",
                     zoo_say_bytes(zoo_arch_cost_at(arch, dtypes[d].dtype, 1).growing).text);
    }
    zoo_doc_cell(doc, "a position, windows full");
    for (size_t d = 0; d < ZOO_COUNT(dtypes); d++) {
        zoo_doc_cell(doc, "%s",
                     zoo_say_bytes(zoo_arch_cost_at(arch, dtypes[d].dtype, 1).growing_later).text);
    }
    for (size_t i = 0; i < ZOO_LENGTHS; i++) {
        zoo_doc_cell(doc, "%s positions", zoo_say_positions(zoo_lengths[i]).text);
        for (size_t d = 0; d < ZOO_COUNT(dtypes); d++) {
            zoo_doc_cell(
                doc, "%s",
                zoo_say_bytes(zoo_arch_cost_at(arch, dtypes[d].dtype, zoo_lengths[i]).kept).text);
        }
    }
    zoo_doc_table_end(doc);
}

static void write_work(zoo_doc *doc, const zoo_arch *arch)
{
    double weights = 2.0 * (double)arch->params.active;
    static const char *const heads[] = {"one token after", "operations", "of them over the cache",
                                        "bytes of weights (bf16)", "bytes of cache (bf16)"};
    zoo_doc_table(doc, (uint32_t)ZOO_COUNT(heads));
    for (size_t i = 0; i < ZOO_COUNT(heads); i++) {
        zoo_doc_cell(doc, "%s", heads[i]);
    }
    for (size_t i = 0; i < ZOO_LENGTHS; i++) {
        zoo_arch_cost cost = zoo_arch_cost_at(arch, ZOO_BF16, zoo_lengths[i]);
        zoo_doc_cell(doc, "%s positions", zoo_say_positions(zoo_lengths[i]).text);
        zoo_doc_cell(doc, "%s", zoo_say_count(cost.flops).text);
        zoo_doc_cell(doc, "%s", zoo_say_count(cost.cache_flops).text);
        zoo_doc_cell(doc, "%s", zoo_say_bytes(weights).text);
        zoo_doc_cell(doc, "%s", zoo_say_bytes(cost.read).text);
    }
    zoo_doc_table_end(doc);
}

void zoo_explain_memory(zoo_doc *doc, const zoo_arch *arch)
{
    zoo_arch_sum sums[ZOO_SUMS_MAX];
    uint32_t n = zoo_arch_sums(arch, sums);
    zoo_doc_para(doc, "What is kept, in bf16 where a stream allows it; layers that read an earlier "
                      "layer's cache keep nothing:");
    for (uint32_t i = 0; i < n; i++) {
        write_sum(doc, &sums[i]);
    }
    if (!n) {
        zoo_doc_item(doc, "nothing");
    }
    write_kept(doc, arch, sums, n);
    zoo_doc_para(doc,
                 "int8 rows have a bf16 scale for 32 numbers, int4 rows a scale and a zero of 16 "
                 "bits for 16, counted here. A stream that tolerates no narrower format stays "
                 "wide. Caches are held in pages of 64 "
                 "rows, which round these figures up (lmzoo plan).");
    write_work(doc, arch);
    zoo_doc_para(doc,
                 "Operations: two for each number of a matrix that a token is multiplied with, as "
                 "often as the matrix is used, and those over the rows and states that it reads.");
}
