/*
 * parts.c: parts of the keys that are summed by themselves (zoo_k_attend_part): those at the
 * beginning of sequences that share their pages, once for all of them, and those of long sequences
 * where there are fewer items than threads could take.
 *
 * A run is some tiles with the same leading parts. Its sums stand in scratch until the tiles join
 * them with the rest; attend joins parts in the same order, so whatever is chosen here leaves no
 * trace in the bits. Memory: buffers.sums; what has no room there is not cut.
 */
#include "blocks/gqa/impl.h"

enum { SPLIT_MIN = 2 }; /* parts from which a sequence is cut */

static size_t row_floats(const zoo_gqa *p)
{
    return (size_t)(p->shape.n_heads / p->shape.n_kv_heads) * (p->shape.v_dim + 2);
}

/* Leading pages that both sequences read, of at most n. */
static uint32_t common_pages(const gqa_step *step, const zoo_seq *a, const zoo_seq *b, uint32_t n)
{
    const zoo_cache *c = step->cache;
    uint32_t page = 0;
    for (; page < n; page++) {
        uint32_t row = page * ZOO_PAGE;
        if (c->get(c, 0, a, 0, row).page != c->get(c, 0, b, 0, row).page ||
            c->get(c, 1, a, 0, row).page != c->get(c, 1, b, 0, row).page) {
            break;
        }
    }
    return page;
}

/* Gives the run its room and items; false: there is no room. */
static bool add_run(gqa_step *step, gqa_run run)
{
    const zoo_gqa *p = step->params;
    size_t size = (size_t)run.n_parts * p->shape.n_kv_heads * run.n_rows * row_floats(p);
    if (size > step->buffers.sums_size - step->sums_used) {
        return false;
    }
    run.at = step->sums_used;
    run.item = step->n_items;
    run.n_items = (run.n_rows + step->tile - 1) / step->tile * p->shape.n_kv_heads * run.n_parts;
    step->sums_used += size;
    step->n_items += run.n_items;
    for (uint32_t i = 0; i < run.n_tiles; i++) {
        step->buffers.tiles[run.tile + i].run = step->n_runs + 1;
    }
    step->buffers.runs[step->n_runs++] = run;
    return true;
}

/* Tiles from `tile` on, each a single row of the next sequence, that begin with the same parts. */
static gqa_run find_shared(const gqa_step *step, uint32_t tile)
{
    const zoo_seq *seqs = step->span->seqs, *first = &seqs[step->buffers.tiles[tile].seq];
    gqa_run run = {.tile = tile, .n_tiles = 1, .n_rows = 1, .row = first->row, .shared = true};
    run.n_parts = first->pos / ZOO_PART;
    for (uint32_t t = tile + 1; run.n_parts && first->n == 1 && t < step->n_tiles; t++) {
        const zoo_seq *seq = &seqs[step->buffers.tiles[t].seq];
        uint32_t parts = seq->pos / ZOO_PART < run.n_parts ? seq->pos / ZOO_PART : run.n_parts;
        parts = common_pages(step, first, seq, parts * (ZOO_PART / ZOO_PAGE)) * ZOO_PAGE / ZOO_PART;
        if (seq->n != 1 || parts == 0 || (run.n_tiles > 1 && 2 * parts < run.n_parts)) {
            break;
        }
        run.n_parts = parts;
        run.n_tiles = ++run.n_rows;
    }
    return run;
}

static void plan_split(gqa_step *step)
{
    uint64_t items = (uint64_t)step->n_tiles * step->params->shape.n_kv_heads;
    for (uint32_t t = 0; items < 4 * (uint64_t)step->ctx->n_threads && t < step->n_tiles; t++) {
        const gqa_tile *tile = &step->buffers.tiles[t];
        const zoo_seq *seq = &step->span->seqs[tile->seq];
        uint32_t end = seq->pos + tile->begin + tile->n, parts = (end + ZOO_PART - 1) / ZOO_PART;
        if (!tile->run && parts >= SPLIT_MIN) {
            (void)add_run(step, (gqa_run){.tile = t,
                                          .n_tiles = 1,
                                          .n_rows = tile->n,
                                          .n_parts = parts,
                                          .row = seq->row + tile->begin});
        }
    }
}

/* Sums of the run's parts for one chunk of its rows, one head, one part. */
static void sum_item(void *arg, uint32_t item, uint32_t worker)
{
    const gqa_step *step = arg;
    const zoo_gqa *p = step->params;
    const gqa_run *run = step->buffers.runs;
    while (item >= run->item + run->n_items) {
        run++;
    }
    item -= run->item;
    uint32_t part = item % run->n_parts, head = item / run->n_parts % p->shape.n_kv_heads;
    uint32_t chunk = item / run->n_parts / p->shape.n_kv_heads * step->tile;
    uint32_t left = run->n_rows - chunk, n = left < step->tile ? left : step->tile;
    const gqa_tile *tile = &step->buffers.tiles[run->tile];
    const zoo_seq *seq = &step->span->seqs[tile->seq];
    uint32_t begin = part * ZOO_PART, end = begin + ZOO_PART;
    uint32_t pos = run->shared ? run->n_parts * ZOO_PART : seq->pos + tile->begin + chunk;
    zoo_attend_args args = zoo_gqa_args(step, worker, head, run->row + chunk, n, pos);
    end = pos + n < end ? pos + n : end;
    args.n_segments = zoo_gqa_segments(step, worker, seq, head, begin, end);
    step->ctx->kernels->attend_part(&args, zoo_gqa_sums(step, run, part, head, chunk));
}

float *zoo_gqa_sums(const gqa_step *step, const gqa_run *run, uint32_t part, uint32_t head,
                    uint32_t row)
{
    const zoo_gqa *p = step->params;
    size_t at = ((size_t)part * p->shape.n_kv_heads + head) * run->n_rows + row;
    return step->buffers.sums + run->at + at * row_floats(p);
}

void zoo_gqa_join(const gqa_step *step, const gqa_tile *tile, uint32_t head, uint32_t worker)
{
    const zoo_gqa *p = step->params;
    const gqa_run *run = &step->buffers.runs[tile->run - 1];
    const zoo_seq *seq = &step->span->seqs[tile->seq];
    uint32_t pos = seq->pos + tile->begin, end = pos + tile->n, row = seq->row + tile->begin;
    uint32_t n_parts = (end + ZOO_PART - 1) / ZOO_PART;
    const float **parts = step->buffers.parts + (size_t)worker * step->buffers.parts_max;
    float *own = step->buffers.own + worker * step->buffers.own_size;
    zoo_attend_args args = zoo_gqa_args(step, worker, head, row, tile->n, pos);
    for (uint32_t i = 0; i < n_parts; i++) {
        uint32_t begin = i * ZOO_PART;
        parts[i] = own + i * row_floats(p);
        if (i < run->n_parts) {
            parts[i] = zoo_gqa_sums(step, run, i, head, row - run->row);
            continue;
        }
        args.n_segments = zoo_gqa_segments(step, worker, seq, head, begin,
                                           begin + ZOO_PART < end ? begin + ZOO_PART : end);
        step->ctx->kernels->attend_part(&args, own + i * row_floats(p));
    }
    step->ctx->kernels->attend_join(&args, parts, n_parts);
}

void zoo_gqa_sum_parts(gqa_step *step)
{
    const zoo_gqa *p = step->params;
    if (p->shape.window || p->shape.chunk || p->options.slopes) {
        return;
    }
    for (uint32_t t = 0; t < step->n_tiles;) {
        gqa_run run = find_shared(step, t);
        if (run.n_tiles > 1) {
            (void)add_run(step, run);
        }
        t += run.n_tiles;
    }
    plan_split(step);
    if (step->n_runs) {
        step->ctx->parallel(step->ctx, step->n_items, sum_item, step);
    }
}
