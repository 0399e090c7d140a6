/*
 * ngram_hash.c: rows of the table of an n-gram (formulas: ngram.h).
 */
#include "ngram.h"

/* The generator SplitMix64 (Steele et al., 2014), one step from `value`. */
static uint64_t split_mix(uint64_t value)
{
    value += 0x9E3779B97F4A7C15u;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}

static bool is_prime(uint32_t x)
{
    if (x < 2 || x % 2 == 0) {
        return x == 2;
    }
    for (uint32_t d = 3; (uint64_t)d * d <= x; d += 2) {
        if (x % d == 0) {
            return false;
        }
    }
    return true;
}

static uint32_t next_prime(uint32_t x)
{
    do {
        x++;
    } while (!is_prime(x));
    return x;
}

static void fill_multipliers(hybrid_ngram *p, uint32_t index, uint64_t seed, uint32_t vocab_size)
{
    uint64_t most = (uint64_t)INT64_MAX / (vocab_size ? vocab_size : 1);
    uint64_t half = most / 2 ? most / 2 : 1;
    uint64_t base = seed + (uint64_t)10007 * index;
    for (uint32_t i = 0; i < p->ngram; i++) {
        uint64_t value = split_mix(base + 0x9E3779B97F4A7C15u * (i + 1));
        p->hashes.multipliers[i] = 2 * (value % half) + 1;
    }
}

zoo_status hybrid_ngram_hash(hybrid_ngram *p, uint32_t index, uint64_t seed, uint32_t vocab_size,
                             uint32_t at_least, uint32_t divisor, zoo_error *err)
{
    uint32_t prime = at_least ? at_least - 1 : 0;
    uint64_t rows = 0;
    if (!divisor || at_least > 1u << 30) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "make_ngram_vocab_size_divisible_by is %u, ngram_vocab_size_base %u",
                        divisor, at_least);
    }
    fill_multipliers(p, index, seed, vocab_size);
    for (uint32_t i = 0; i < index * p->n_heads; i++) {
        prime = next_prime(prime);
    }
    for (uint32_t h = 0; h < p->n_heads; h++) {
        prime = next_prime(prime);
        p->hashes.primes[h] = prime;
        p->hashes.offsets[h] = (uint32_t)rows;
        rows += prime;
        if (rows > UINT32_MAX / 2) {
            return zoo_fail(err, ZOO_E_CONFIG, "a table of n-grams has more than %u rows",
                            UINT32_MAX / 2);
        }
    }
    rows = (rows + divisor - 1) / divisor * divisor;
    p->rows = (uint32_t)rows;
    return ZOO_OK;
}

zoo_status hybrid_ngram_stored(const hybrid_ngram *p, const hybrid_ngram_weights *w,
                               hybrid_ngram_hashes *out, zoo_error *err)
{
    *out = p->hashes;
    for (uint32_t i = 0; w->multipliers && i < p->ngram; i++) {
        out->multipliers[i] = (uint64_t)w->multipliers[i];
    }
    for (uint32_t h = 0; h < p->n_heads; h++) {
        int64_t prime = w->primes ? w->primes[h] : out->primes[h];
        int64_t offset = w->offsets ? w->offsets[h] : out->offsets[h];
        if (prime < 1 || offset < 0 || prime > p->rows || offset > p->rows - prime) {
            return zoo_fail(err, ZOO_E_WEIGHT,
                            "n-grams of head %u have rows %lld to %lld of a table of %u rows", h,
                            (long long)offset, (long long)offset + prime - 1, p->rows);
        }
        out->primes[h] = (uint32_t)prime;
        out->offsets[h] = (uint32_t)offset;
    }
    return ZOO_OK;
}

void hybrid_ngram_ids(const hybrid_ngram *p, const hybrid_ngram_hashes *hashes,
                      const uint32_t *tokens, uint32_t *ids)
{
    uint32_t per = p->n_heads / (p->ngram - 1);
    uint64_t mixed = tokens[0] * hashes->multipliers[0];
    bool ended = false;
    for (uint32_t i = 1; i < p->ngram; i++) {
        uint32_t token = *(tokens - i);
        ended = ended || token == p->end_token;
        mixed ^= (ended ? p->end_token : token) * hashes->multipliers[i];
        for (uint32_t h = (i - 1) * per; h < i * per; h++) {
            int64_t rest = (int64_t)mixed % (int64_t)hashes->primes[h];
            ids[h] = hashes->offsets[h] + (uint32_t)(rest < 0 ? rest + hashes->primes[h] : rest);
        }
    }
}
