/*
 * stage.c: see stage.h.
 *
 * Cuts: least[k][i] is the smallest possible load of the heaviest of ranks 0 .. k when they have
 * layers 0 .. i - 1; each row follows from the one before.
 *
 * Memory: a few numbers for each layer and rank while the model is opened.
 */
#include "model/stage.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* ---- where to cut ---- */

/* Whether layers from `cut` on read no cache of those before it. */
static bool is_free(const uint32_t *source, uint32_t n_layers, uint32_t cut)
{
    for (uint32_t i = cut; i < n_layers; i++) {
        if (source[i] < cut) {
            return false;
        }
    }
    return true;
}

typedef struct cutting {
    const double *sums; /* [n_layers + 1] of the layers before */
    const uint8_t *ok;  /* [n_layers + 1] */
    double *least;      /* [n_ranks][n_layers + 1] */
    uint32_t *from;     /* [n_ranks][n_layers + 1]: where the last of these ranks begins */
    uint32_t n_layers, n_ranks;
} cutting;

/* The loads of ranks 0 .. k from those of ranks 0 .. k - 1. */
static void add_rank(const cutting *c, uint32_t k)
{
    size_t width = (size_t)c->n_layers + 1;
    const double *before = c->least + (k - 1) * width;
    for (uint32_t i = 0; i <= c->n_layers; i++) {
        double best = INFINITY;
        uint32_t from = 0;
        for (uint32_t at = 0; at < i; at++) {
            double mine = c->sums[i] - c->sums[at];
            double most = before[at] > mine ? before[at] : mine;
            if (c->ok[at] && most < best) {
                best = most;
                from = at;
            }
        }
        c->least[k * width + i] = best;
        c->from[k * width + i] = from;
    }
}

static bool cut_all(const cutting *c, double ends, uint32_t *cuts)
{
    size_t width = (size_t)c->n_layers + 1;
    for (uint32_t i = 0; i <= c->n_layers; i++) {
        c->least[i] = ends + c->sums[i];
    }
    for (uint32_t k = 1; k < c->n_ranks; k++) {
        add_rank(c, k);
    }
    uint32_t end = c->n_layers;
    if (!isfinite(c->least[(c->n_ranks - 1) * width + end])) {
        return false;
    }
    for (uint32_t k = c->n_ranks; k-- > 1;) {
        end = cuts[k - 1] = c->from[k * width + end];
    }
    return true;
}

bool zoo_stage_cut(const double *costs, const uint32_t *source, uint32_t n_layers, double ends,
                   uint32_t n_ranks, uint32_t *cuts)
{
    size_t width = (size_t)n_layers + 1;
    double *sums = zoo_mem_array(width, sizeof *sums);
    uint8_t *ok = zoo_mem_array(width, sizeof *ok);
    double *least = zoo_mem_array(width * n_ranks, sizeof *least);
    uint32_t *from = zoo_mem_array(width * n_ranks, sizeof *from);
    bool done = sums && ok && least && from;
    for (uint32_t i = 0; done && i <= n_layers; i++) {
        sums[i] = i ? sums[i - 1] + costs[i - 1] : 0.0;
        ok[i] = is_free(source, n_layers, i);
    }
    if (done) {
        const cutting c = {sums, ok, least, from, n_layers, n_ranks};
        done = cut_all(&c, ends, cuts);
    }
    zoo_mem_free(sums);
    zoo_mem_free(ok);
    zoo_mem_free(least);
    zoo_mem_free(from);
    return done;
}

/* ---- of a model ---- */

typedef void bound_fn(zoo_model *model, zoo_bound *bound, uint32_t layer, void *arg);

static void each_bound(zoo_model *model, bound_fn *fn, void *arg)
{
    for (uint32_t i = 0; i < model->plan.n_layers; i++) {
        zoo_bound_layer *l = &model->layers[i];
        for (uint32_t b = 0; !l->layer->ops && b < l->layer->n_branches; b++) {
            for (uint32_t p = 0; p < l->branches[b].branch->n_parts; p++) {
                fn(model, &l->branches[b].parts[p], i, arg);
            }
        }
        for (uint32_t p = 0; l->layer->ops && p < l->layer->n_parts; p++) {
            fn(model, &l->parts[p], i, arg);
        }
        if (l->layer->ops) {
            fn(model, &l->own, i, arg);
        }
    }
}

/* The first layer that keeps the cache: *source is one of them already. */
typedef struct owner {
    const zoo_cache *cache;
    uint32_t layer;
} owner;

static void find_owner(zoo_model *model, zoo_bound *bound, uint32_t layer, void *arg)
{
    owner *o = arg;
    (void)model;
    if (bound->cache == o->cache && layer < o->layer) {
        o->layer = layer;
    }
}

static void note_source(zoo_model *model, zoo_bound *bound, uint32_t layer, void *arg)
{
    uint32_t *source = arg;
    owner o = {bound->cache, layer};
    if (bound->cache && bound->part && bound->part->cache_of) {
        each_bound(model, find_owner, &o);
        source[layer] = o.layer < source[layer] ? o.layer : source[layer];
    }
}

/* A cache that it shares is that of a layer which is left, too. */
static void leave(zoo_bound *bound)
{
    bound->is_remote = true;
    if (bound->cache) {
        zoo_cache_set_remote(bound->cache);
    }
}

static void leave_layer(zoo_model *model, zoo_bound *bound, uint32_t layer, void *arg)
{
    (void)arg;
    if (layer < model->layer_begin || layer >= model->layer_end) {
        leave(bound);
    }
}

static void leave_ends(zoo_model *model)
{
    for (uint32_t i = 0; i < model->plan.n_prologue; i++) {
        leave(&model->prologue[i]);
    }
    for (uint32_t i = 0; i < model->plan.n_epilogue; i++) {
        leave(&model->epilogue[i]);
    }
}

/* Time that a byte of the embedding and the head takes, where a byte of a layer takes 1: a layer
 * has attention, norms and rotation besides its products, and only rows whose logits are wanted
 * reach the head. Measured on SmolLM2-135M in int8, 32 rows. */
#define END_COST 0.7

/* How many ranks the layers can be dealt to: one for each place that is free, and rank 0. */
static uint32_t count_ranks(const uint32_t *source, uint32_t n_layers)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < n_layers; i++) {
        n += is_free(source, n_layers, i);
    }
    return n;
}

static zoo_status refuse(const zoo_model *model, const uint32_t *source, zoo_error *err)
{
    uint32_t n_layers = model->plan.n_layers, most = count_ranks(source, n_layers);
    bool shares = most < n_layers + 1;
    return zoo_fail(
        err, ZOO_E_USAGE, "%s: --pipeline deals its %u layers to %u ranks at most%s; there are %u",
        model->folder, n_layers, most,
        shares ? ", since some read the keys and values of others and stay with them" : "",
        model->ring->n_ranks);
}

static zoo_status choose(zoo_model *model, double *costs, uint32_t *source, uint32_t *cuts,
                         zoo_error *err)
{
    uint32_t n_layers = model->plan.n_layers, rank = model->ring->rank;
    double sum = 0.0;
    for (uint32_t i = 0; i < n_layers; i++) {
        source[i] = i;
        costs[i] = (double)model->layer_bytes[i];
        sum += costs[i];
    }
    each_bound(model, note_source, source);
    double ends = END_COST * ((double)model->stats.bytes_packed - sum);
    if (!zoo_stage_cut(costs, source, n_layers, ends, model->ring->n_ranks, cuts)) {
        return refuse(model, source, err);
    }
    model->layer_begin = rank > 0 ? cuts[rank - 1] : 0;
    model->layer_end = rank + 1 < model->ring->n_ranks ? cuts[rank] : n_layers;
    model->has_ends = rank == 0;
    each_bound(model, leave_layer, NULL);
    if (!model->has_ends) {
        leave_ends(model);
    }
    return ZOO_OK;
}

zoo_status zoo_stage_choose(zoo_model *model, zoo_error *err)
{
    size_t n = (size_t)model->plan.n_layers + 1;
    double *costs = zoo_mem_array(n, sizeof *costs);
    uint32_t *source = zoo_mem_array(n, sizeof *source);
    uint32_t *cuts = zoo_mem_array(model->ring->n_ranks, sizeof *cuts);
    zoo_status status = costs && source && cuts
                            ? choose(model, costs, source, cuts, err)
                            : zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", model->folder);
    zoo_mem_free(costs);
    zoo_mem_free(source);
    zoo_mem_free(cuts);
    return status;
}

/* ---- how much the caches may take ---- */

static zoo_status read_room(zoo_ring *ring, uint64_t *bytes, zoo_error *err)
{
    zoo_ring_message m;
    ZOO_TRY(ring->receive(ring, &m, err));
    uint32_t from = m.from;
    bool fits = m.kind == ZOO_RING_ROOM && m.n == sizeof *bytes;
    if (fits) {
        memcpy(bytes, m.data, sizeof *bytes);
    }
    ring->release(ring, &m);
    return fits ? ZOO_OK
                : zoo_fail(err, ZOO_E_INTERNAL, "rank %u sent an unexpected message", from);
}

zoo_status zoo_stage_room(zoo_model *model, size_t mine, size_t *out, zoo_error *err)
{
    zoo_ring *ring = model->ring;
    double share = zoo_cache_pool_share(model->cache);
    double whole = share > 0.0 ? (double)mine / share : 0x1p50;
    uint64_t least = whole < 0x1p50 ? (uint64_t)whole : UINT64_C(1) << 50, other = 0;
    if (ring->rank > 0) {
        ZOO_TRY(ring->send(ring, 0, ZOO_RING_ROOM, &least, sizeof least, err));
        ZOO_TRY(read_room(ring, &least, err));
    }
    for (uint32_t i = 1; ring->rank == 0 && i < ring->n_ranks; i++) {
        ZOO_TRY(read_room(ring, &other, err));
        least = other < least ? other : least;
    }
    for (uint32_t i = 1; ring->rank == 0 && i < ring->n_ranks; i++) {
        ZOO_TRY(ring->send(ring, i, ZOO_RING_ROOM, &least, sizeof least, err));
    }
    *out = (size_t)least;
    return ZOO_OK;
}
