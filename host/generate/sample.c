/*
 * sample.c: the pipeline of sample.h over one row of logits.
 *
 * Selection: logits map to unsigned keys of the same order. A histogram over the upper bits finds
 * the bucket where the count (top-k) or the mass (top-p) crosses its budget; two more passes inside
 * that bucket find the key. A cheap bound first drops nearly all of the vocabulary: for top-k the
 * k-th largest block maximum, for top-p the weight below which even n tokens do not add up to 1 -
 * p.
 */
#include "generate/sample.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

enum { BLOCK = 64, LANES = 16, BUCKETS = 2048 };

/* Dividing logits by a smaller temperature may overflow. */
static const float greedy_below = 1e-5f;

struct zoo_sampler {
    uint32_t n_vocab;
    uint32_t n_eos;
    const uint32_t *eos;
    float *maxima;   /* [n_vocab / BLOCK + 1] */
    float *weights;  /* [n_vocab] */
    float *kept;     /* [n_vocab] */
    uint32_t *ids;   /* [n_vocab] */
    double *buckets; /* [BUCKETS] */
    float *sums;     /* [n_vocab / BLOCK + 1] */
    const zoo_kernels *kernels;
};

zoo_status zoo_sampler_new(const zoo_kernels *kernels, uint32_t n_vocab, const uint32_t *eos,
                           uint32_t n_eos, zoo_sampler **out, zoo_error *err)
{
    zoo_sampler *s = zoo_mem_array(1, sizeof *s);
    *out = NULL;
    if (!s) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a sampler");
    }
    s->kernels = kernels;
    s->n_vocab = n_vocab;
    s->eos = eos;
    s->n_eos = n_eos;
    s->maxima = zoo_mem_array((size_t)n_vocab / BLOCK + 1, sizeof *s->maxima);
    s->weights = zoo_mem_array(n_vocab, sizeof *s->weights);
    s->kept = zoo_mem_array(n_vocab, sizeof *s->kept);
    s->ids = zoo_mem_array(n_vocab, sizeof *s->ids);
    s->buckets = zoo_mem_array(BUCKETS, sizeof *s->buckets);
    s->sums = zoo_mem_array((size_t)n_vocab / BLOCK + 1, sizeof *s->sums);
    if (!s->maxima || !s->weights || !s->kept || !s->ids || !s->buckets || !s->sums) {
        zoo_sampler_free(s);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a sampler of %u tokens", n_vocab);
    }
    *out = s;
    return ZOO_OK;
}

void zoo_sampler_free(zoo_sampler *s)
{
    if (s) {
        zoo_mem_free(s->maxima);
        zoo_mem_free(s->weights);
        zoo_mem_free(s->kept);
        zoo_mem_free(s->ids);
        zoo_mem_free(s->buckets);
        zoo_mem_free(s->sums);
        zoo_mem_free(s);
    }
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double zoo_uniform(uint64_t seed, uint64_t position)
{
    /* SplitMix64 jumped to `position`; the seed is mixed first so that
     * neighbours do not overlap. */
    uint64_t state =
        mix(seed ^ UINT64_C(0x6c6d7a6f6f)) + (position + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return (double)(mix(state) >> 11) * 0x1p-53;
}

/* ---- history ---- */

zoo_status zoo_history_init(zoo_history *h, uint32_t n_max, zoo_error *err)
{
    uint32_t n_index = 16;
    while (n_index < (uint64_t)n_max * 2 && n_index < UINT32_C(1) << 31) {
        n_index *= 2;
    }
    h->seen = zoo_mem_array(n_max, sizeof *h->seen);
    h->index = zoo_mem_array(n_index, sizeof *h->index);
    h->n = 0;
    h->n_index = n_index;
    if (!h->seen || !h->index) {
        zoo_history_free(h);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to count %u tokens", n_max);
    }
    return ZOO_OK;
}

void zoo_history_note(zoo_history *h, uint32_t id, bool is_output)
{
    uint32_t at = (uint32_t)mix(id) & (h->n_index - 1);
    while (h->index[at] && h->seen[h->index[at] - 1].id != id) {
        at = (at + 1) & (h->n_index - 1);
    }
    if (!h->index[at]) {
        h->seen[h->n].id = id;
        h->seen[h->n].n_output = 0;
        h->index[at] = ++h->n;
    }
    h->seen[h->index[at] - 1].n_output += is_output;
}

void zoo_history_free(zoo_history *h)
{
    zoo_mem_free(h->seen);
    zoo_mem_free(h->index);
    memset(h, 0, sizeof *h);
}

/* ---- one row ---- */

/* maxima [n / BLOCK, rounded up]: maximum of each block. Returns the largest; NaN if x has one. */
static float block_maxima(const float *x, uint32_t n, float *maxima)
{
    float most = -INFINITY;
    bool bad = false;
    for (uint32_t begin = 0; begin < n; begin += BLOCK) {
        uint32_t end = n - begin < BLOCK ? n : begin + BLOCK;
        float lanes[LANES];
        int wrong = 0;
        uint32_t i = begin;
        float m = -INFINITY;
        for (int l = 0; l < LANES; l++) {
            lanes[l] = -INFINITY;
        }
        for (; i + LANES <= end; i += LANES) {
            for (uint32_t l = 0; l < LANES; l++) {
                lanes[l] = x[i + l] > lanes[l] ? x[i + l] : lanes[l];
                wrong |= x[i + l] != x[i + l];
            }
        }
        for (; i < end; i++) {
            m = x[i] > m ? x[i] : m;
            wrong |= x[i] != x[i];
        }
        for (int l = 0; l < LANES; l++) {
            m = lanes[l] > m ? lanes[l] : m;
        }
        maxima[begin / BLOCK] = m;
        most = m > most ? m : most;
        bad |= wrong != 0;
    }
    return bad ? NAN : most;
}

/* Index of the first element that equals value, by block maxima. */
static uint32_t first_of(const float *x, uint32_t n, const float *maxima, float value)
{
    uint32_t i = 0;
    while (i < n && maxima[i / BLOCK] != value) {
        i += BLOCK;
    }
    while (i < n && x[i] != value) {
        i++;
    }
    return i;
}

/* w = softmax(x / temperature). w may be x. */
static void weigh(const zoo_sampler *s, const float *x, uint32_t n, float temperature, float *w)
{
    if (temperature != 1.0f) {
        s->kernels->scale(1.0f / temperature, x, w, n);
        x = w;
    }
    s->kernels->softmax(x, w, n);
}

/* sums [n / BLOCK, rounded up]: sum of each block, in a fixed order. Returns their sum. */
static double block_sums(const float *w, uint32_t n, float *sums)
{
    double total = 0.0, sum;
    for (uint32_t begin = 0; begin < n; begin += BLOCK) {
        uint32_t end = n - begin < BLOCK ? n : begin + BLOCK;
        float lanes[LANES] = {0};
        uint32_t i = begin;
        for (; i + LANES <= end; i += LANES) {
            for (uint32_t l = 0; l < LANES; l++) {
                lanes[l] += w[i + l];
            }
        }
        for (uint32_t l = 0; i < end; i++, l++) {
            lanes[l] += w[i];
        }
        sum = 0.0;
        for (int l = 0; l < LANES; l++) {
            sum += (double)lanes[l];
        }
        sums[begin / BLOCK] = (float)sum;
        total += (double)sums[begin / BLOCK];
    }
    return total;
}

/* ---- selection ---- */

/* Unsigned numbers in the order of the floats; -0 and 0 are equal. */
static inline uint32_t key_of(float x)
{
    uint32_t bits;
    float y = x + 0.0f;
    memcpy(&bits, &y, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* A selection: all keys above `key`, and the first n_equal that equal it. */
typedef struct zoo_cut {
    uint32_t key;
    uint32_t n_equal;
} zoo_cut;

/* Histogram, by count or by mass, of the `width` bits at `shift` of those keys whose higher bits
 * are `prefix`. place: shift, width, prefix. */
static void fill_buckets(double *buckets, const float *x, uint32_t n, bool by_mass,
                         const uint32_t place[3])
{
    uint32_t shift = place[0], width = place[1], prefix = place[2];
    uint32_t n_buckets = UINT32_C(1) << width;
    for (uint32_t i = 0; i < n_buckets; i++) {
        buckets[i] = 0.0;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t key = key_of(x[i]);
        if (((uint64_t)key >> (shift + width)) == prefix) {
            buckets[(key >> shift) & (n_buckets - 1)] += by_mass ? (double)x[i] : 1.0;
        }
    }
}

/*
 * The cut that keeps x[i] while the values before it in descending order sum to less than budget;
 * each counts as 1, or as itself with by_mass.
 */
static zoo_cut find_cut(zoo_sampler *s, const float *x, uint32_t n, bool by_mass, double budget)
{
    static const uint32_t shifts[3] = {21, 10, 0}, widths[3] = {11, 11, 10};
    uint32_t prefix = 0;
    double before = 0.0, each, many;
    float value;
    for (int level = 0; level < 3; level++) {
        uint32_t b = UINT32_C(1) << widths[level];
        const uint32_t place[3] = {shifts[level], widths[level], prefix};
        fill_buckets(s->buckets, x, n, by_mass, place);
        while (b-- > 0 && before + s->buckets[b] < budget) {
            before += s->buckets[b];
        }
        if (b == UINT32_MAX) {
            return (zoo_cut){0, UINT32_MAX};
        }
        prefix = prefix << widths[level] | b;
    }
    prefix = prefix & 0x80000000u ? prefix & 0x7fffffffu : ~prefix;
    memcpy(&value, &prefix, sizeof value);
    each = by_mass ? (double)value : 1.0;
    many = each > 0.0 ? ceil((budget - before) / each) : 0.0;
    return (zoo_cut){key_of(value), many < 4e9 ? (uint32_t)(many < 1.0 ? 1.0 : many) : UINT32_MAX};
}

/* Compacts the selected values to the front of x, their ids to ids, in order; returns their number.
 * from [n]: the ids of x, may be ids; null: the index is the id. */
static uint32_t apply_cut(zoo_cut cut, uint32_t n, const uint32_t *from, uint32_t *ids, float *x)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t key = key_of(x[i]);
        if (key > cut.key || (key == cut.key && cut.n_equal > 0)) {
            cut.n_equal -= key == cut.key;
            ids[m] = from ? from[i] : i;
            x[m++] = x[i];
        }
    }
    return m;
}

/* Copies values of at least `least` to s->kept, their ids to s->ids; returns their number. bounds
 * [blocks]: upper bound of each block's values. */
static uint32_t gather(zoo_sampler *s, const float *x, uint32_t n, const float *bounds, float least)
{
    uint32_t m = 0;
    for (uint32_t begin = 0; begin < n; begin += BLOCK) {
        uint32_t end = n - begin < BLOCK ? n : begin + BLOCK;
        if (bounds[begin / BLOCK] < least) {
            continue;
        }
        for (uint32_t i = begin; i < end; i++) {
            s->ids[m] = i;
            s->kept[m] = x[i];
            m += x[i] >= least;
        }
    }
    return m;
}

/* Selects the k largest to s->kept and s->ids, in the order of ids, using s->maxima; returns their
 * number. */
static uint32_t top_k(zoo_sampler *s, const float *logits, uint32_t k)
{
    uint32_t n = s->n_vocab, n_blocks = (n + BLOCK - 1) / BLOCK, m;
    float least = -INFINITY;
    if (k < n_blocks) {
        /* At least k tokens reach the k-th largest block maximum. */
        zoo_cut cut = find_cut(s, s->maxima, n_blocks, false, (double)k);
        uint32_t bits = cut.key & 0x80000000u ? cut.key & 0x7fffffffu : ~cut.key;
        memcpy(&least, &bits, sizeof least);
    }
    m = gather(s, logits, n, s->maxima, least);
    return apply_cut(find_cut(s, s->kept, m, false, (double)k), m, s->ids, s->ids, s->kept);
}

/* ---- the pipeline ---- */

static void penalise(const zoo_draw *draw)
{
    const zoo_sampling *s = draw->sampling;
    const zoo_history *h = draw->history;
    for (uint32_t i = 0; h && i < h->n; i++) {
        float *x = &draw->logits[h->seen[i].id];
        uint32_t n = h->seen[i].n_output;
        if (s->repetition != 1.0f) {
            *x = *x > 0.0f ? *x / s->repetition : *x * s->repetition;
        }
        *x -= s->frequency * (float)n;
        *x -= n > 0 ? s->presence : 0.0f;
    }
    for (uint32_t i = 0; i < s->n_biases; i++) {
        draw->logits[s->biases[i].id] += s->biases[i].add;
    }
}

static void forbid(const uint32_t *bits, float *x, uint32_t n)
{
    for (uint32_t i = 0; bits && i < n; i++) {
        if (!(bits[i / 32] >> (i % 32) & 1u)) {
            x[i] = -INFINITY;
        }
    }
}

/* Whether the output ends with the word except its last token. */
static bool is_begun(const zoo_word *word, const zoo_draw *draw)
{
    uint32_t n = word->n - 1;
    for (uint32_t i = 0; i < n; i++) {
        if (n > draw->n_output || (uint32_t)draw->output[draw->n_output - n + i] != word->ids[i]) {
            return false;
        }
    }
    return true;
}

static void mask_row(const zoo_sampler *s, const zoo_draw *draw)
{
    const zoo_sampling *p = draw->sampling;
    forbid(p->allowed, draw->logits, s->n_vocab);
    forbid(draw->mask, draw->logits, s->n_vocab);
    for (uint32_t i = 0; i < p->n_bad; i++) {
        uint32_t last = p->bad[i].ids[p->bad[i].n - 1];
        if (last < s->n_vocab && is_begun(&p->bad[i], draw)) {
            draw->logits[last] = -INFINITY;
        }
    }
    if (draw->n_output < p->min_tokens) {
        for (uint32_t i = 0; i < s->n_eos && !p->ignore_eos; i++) {
            draw->logits[s->eos[i]] = -INFINITY;
        }
        for (uint32_t i = 0; i < p->n_stop_ids; i++) {
            draw->logits[p->stop_ids[i]] = -INFINITY;
        }
    }
}

/* Selects the nucleus of n weights with this sum to s->kept and s->ids; returns its size. has_ids:
 * the weights are s->kept with s->ids, else s->weights. */
static uint32_t top_p(zoo_sampler *s, uint32_t n, bool has_ids, double sum, double p)
{
    float *w = has_ids ? s->kept : s->weights;
    const uint32_t *from = has_ids ? s->ids : NULL;
    if (!has_ids) {
        /* Even n tokens below this sum to less than 1 - p of the whole: none is in the nucleus. */
        double least = (1.0 - p) * sum / (double)n * 0.999;
        n = gather(s, s->weights, n, s->sums, (float)least);
        w = s->kept;
        from = s->ids;
    }
    return apply_cut(find_cut(s, w, n, true, p * sum), n, from, s->ids, w);
}

/* Inverse-CDF sampling: index at which the running sum of w exceeds u times the whole sum. */
static uint32_t draw_place(const zoo_sampler *s, const float *w, uint32_t n, double u)
{
    double target = u * block_sums(w, n, s->sums), sum = 0.0;
    uint32_t last = 0, i = 0;
    while (i + BLOCK < n && sum + (double)s->sums[i / BLOCK] <= target) {
        sum += (double)s->sums[i / BLOCK];
        i += BLOCK;
    }
    for (; i < n; i++) {
        sum += (double)w[i];
        last = w[i] > 0.0f ? i : last;
        if (sum > target && w[i] > 0.0f) {
            break;
        }
    }
    return last;
}

static void apply_min_p(float *w, uint32_t n, float min_p)
{
    float most = 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        most = w[i] > most ? w[i] : most;
    }
    for (uint32_t i = 0; i < n; i++) {
        w[i] = w[i] >= min_p * most ? w[i] : 0.0f;
    }
}

/* Samples from the masked logits, using s->maxima. */
static uint32_t draw_row(zoo_sampler *s, const zoo_draw *draw)
{
    const zoo_sampling *p = draw->sampling;
    bool has_ids = p->top_k > 0 && p->top_k < s->n_vocab;
    uint32_t n = has_ids ? top_k(s, draw->logits, p->top_k) : s->n_vocab;
    float *w = has_ids ? s->kept : s->weights;
    uint32_t place;
    weigh(s, has_ids ? s->kept : draw->logits, n, p->temperature, w);
    if (p->top_p < 1.0f) {
        n = top_p(s, n, has_ids, block_sums(w, n, s->sums), (double)p->top_p);
        has_ids = true;
        w = s->kept;
    }
    if (p->min_p > 0.0f) {
        apply_min_p(w, n, p->min_p);
    }
    place = draw_place(s, w, n, zoo_uniform(p->seed, draw->n_output));
    return has_ids ? s->ids[place] : place;
}

zoo_status zoo_sample(zoo_sampler *s, const zoo_draw *draw, uint32_t *token, zoo_error *err)
{
    float most;
    penalise(draw);
    mask_row(s, draw);
    most = block_maxima(draw->logits, s->n_vocab, s->maxima);
    if (!isfinite(most)) {
        return zoo_fail(err, ZOO_E_INTERNAL, "output token %u: %s", draw->n_output,
                        most < 0.0f ? "no token is allowed" : "the logits are not finite");
    }
    if (draw->sampling->temperature < greedy_below) {
        *token = first_of(draw->logits, s->n_vocab, s->maxima, most);
    } else {
        *token = draw_row(s, draw);
    }
    return ZOO_OK;
}

bool zoo_sample_ends(const zoo_sampler *s, const zoo_sampling *p, uint32_t token)
{
    for (uint32_t i = 0; i < s->n_eos && !p->ignore_eos; i++) {
        if (s->eos[i] == token) {
            return true;
        }
    }
    for (uint32_t i = 0; i < p->n_stop_ids; i++) {
        if (p->stop_ids[i] == token) {
            return true;
        }
    }
    return false;
}

/* ---- log-probabilities ---- */

static uint32_t rank_of(const float *x, uint32_t n, uint32_t token)
{
    uint32_t rank = 1;
    float value = x[token];
    for (uint32_t i = 0; i < n; i++) {
        rank += x[i] > value;
    }
    for (uint32_t i = 0; i < token; i++) {
        rank += x[i] == value;
    }
    return rank;
}

zoo_status zoo_logprobs(zoo_sampler *s, const float *logits, uint32_t token, uint32_t n_top,
                        zoo_logprob *out, zoo_error *err)
{
    float most = block_maxima(logits, s->n_vocab, s->maxima);
    double lse, sum;
    uint32_t n;
    if (!isfinite(most)) {
        return zoo_fail(err, ZOO_E_INTERNAL, "the logits are not finite");
    }
    weigh(s, logits, s->n_vocab, 1.0f, s->weights);
    sum = block_sums(s->weights, s->n_vocab, s->sums);
    lse =
        (double)most - log((double)s->weights[first_of(logits, s->n_vocab, s->maxima, most)] / sum);
    out[0] = (zoo_logprob){token, rank_of(logits, s->n_vocab, token),
                           (float)((double)logits[token] - lse)};
    n = n_top > 0 ? top_k(s, logits, n_top) : 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = i + 1;
        float x = s->kept[i];
        zoo_logprob p = {s->ids[i], 0, (float)((double)x - lse)};
        /* Stable insertion sort: ids are ascending, so ties stay in that order. */
        while (at > 1 && logits[out[at - 1].id] < x) {
            out[at] = out[at - 1];
            at--;
        }
        out[at] = p;
    }
    for (uint32_t i = 1; i <= n; i++) {
        out[i].rank = i;
    }
    return ZOO_OK;
}
