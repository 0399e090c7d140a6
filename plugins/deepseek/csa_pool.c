/*
 * csa_pool.c: `ratio` positions become one entry (formula: csa.h).
 *
 * The state of a pool holds [windows][ratio][v | gate] rows, gates with their ape added; windows is
 * 2 where entries overlap, by the parity of the window. Rows of a sequence are taken one after the
 * other, so entries do not depend on how they are split into steps.
 */
#include "csa.h"

#include <math.h>
#include <string.h>

/* One of the two pools of a layer. */
typedef struct pool {
    const csa_pool_weights *weights;
    const float *kv, *gate; /* [n_rows, pool] */
    uint32_t width, pool;   /* of an entry; of v and of gate */
    uint32_t entry, open;   /* streams */
} pool;

static pool pool_of(const csa_step *step, bool index)
{
    const ds_csa *p = step->params;
    const csa_buffers *r = &step->buffers;
    return index ? (pool){&step->weights->index_pool,
                          r->ipool_kv,
                          r->ipool_gate,
                          p->index_dim,
                          p->index_pool,
                          CSA_INDEX_ENTRY,
                          CSA_INDEX_OPEN}
                 : (pool){&step->weights->pool, r->pool_kv, r->pool_gate, p->head_dim,
                          p->pool_width,        CSA_ENTRY,  CSA_OPEN};
}

/* The slots of entry w: v rows, each with its gate `pool` floats after. */
static uint32_t list_slots(const ds_csa *p, const pool *pl, const float *state, uint32_t w,
                           uint32_t at, const float **out)
{
    size_t row = 2 * (size_t)pl->pool, window = p->ratio * row;
    if (!p->overlap) {
        *out = state + at * row;
        return at < p->ratio;
    }
    bool older = at < p->ratio;
    uint32_t parity = older ? (w + 1) & 1 : w & 1;
    *out = state + parity * window + (at % p->ratio) * row + (older ? 0 : pl->width);
    return at < 2 * p->ratio && !(older && w == 0);
}

static void close_entry(const ds_csa *p, const pool *pl, const float *state, uint32_t w, float *out)
{
    uint32_t n = p->ratio * (p->overlap ? 2 : 1);
    const float *v;
    for (uint32_t c = 0; c < pl->width; c++) {
        float top = -INFINITY, sum = 0, total = 0;
        for (uint32_t s = 0; s < n; s++) {
            if (list_slots(p, pl, state, w, s, &v)) {
                top = fmaxf(top, v[pl->pool + c]);
            }
        }
        for (uint32_t s = 0; s < n; s++) {
            if (list_slots(p, pl, state, w, s, &v)) {
                float weight = expf(v[pl->pool + c] - top);
                sum += weight;
                total += weight * v[c];
            }
        }
        out[c] = total / sum;
    }
}

/* cos and sin of any position: the tables of a step hold only its rows. */
static void turn_entry(const csa_step *step, uint32_t pos, float *x)
{
    const zoo_rope *r = step->params->rope;
    float *cosine = x + step->params->rope_dim, *sine = cosine + r->n_pairs;
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        float angle = (float)pos * r->inv_freq[i];
        cosine[i] = (float)cos(angle) * r->factor;
        sine[i] = (float)sin(angle) * r->factor;
    }
    zoo_rope_rotate(step->ctx->kernels, r, (zoo_rope_rows){cosine, sine}, 0, x, 1,
                    step->params->rope_dim);
}

static void store_entry(const csa_step *step, const pool *pl, const zoo_seq *seq, uint32_t w,
                        float *entry)
{
    const ds_csa *p = step->params;
    step->ctx->kernels->rms_norm(&(zoo_norm_args){.x = entry,
                                                  .y = entry,
                                                  .weight = pl->weights->norm,
                                                  .n_rows = 1,
                                                  .width = pl->width,
                                                  .eps = p->norm_eps});
    turn_entry(step, w * p->ratio, entry + pl->width - p->rope_dim);
    step->cache->put(step->cache, pl->entry, seq, w, 1, entry, pl->width);
}

/* Item: one pool of one sequence. */
static void pool_item(void *arg, uint32_t item, uint32_t worker)
{
    const csa_step *step = arg;
    const ds_csa *p = step->params;
    uint32_t n_pools = p->when.index ? 2 : 1;
    const zoo_seq *seq = &step->span->seqs[item / n_pools];
    const pool pl = pool_of(step, item % n_pools);
    float *state = step->cache->state(step->cache, pl.open, seq);
    float *entry =
        step->buffers.entry + (size_t)worker * (p->head_dim + p->index_dim + p->rope_dim);
    size_t n = pl.pool;
    for (uint32_t i = 0; i < seq->n; i++) {
        uint32_t pos = seq->pos + i, slot = pos % p->ratio, w = pos / p->ratio;
        uint32_t place = (p->overlap ? (w & 1) * p->ratio : 0) + slot;
        float *to = state + place * 2 * n;
        memcpy(to, pl.kv + ((size_t)seq->row + i) * n, n * sizeof(float));
        step->ctx->kernels->add(pl.gate + ((size_t)seq->row + i) * n, pl.weights->ape + slot * n,
                                to + n, n);
        if (slot + 1 == p->ratio) {
            close_entry(p, &pl, state, w, entry);
            store_entry(step, &pl, seq, w, entry);
        }
    }
}

void csa_pool(csa_step *step)
{
    uint32_t n_pools = step->params->when.index ? 2 : 1;
    if (step->params->when.pool) {
        step->ctx->parallel(step->ctx, step->span->n_seqs * n_pools, pool_item, step);
    }
}
