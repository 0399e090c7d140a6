/* drafts.c: drafts and their acceptance rates (drafts.h). */
#include "generate/drafts.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* Weight of the prior in drafts, and decay per draft: a memory of about 40 drafts for a row and
 * 1000 for all rows. */
static const float prior = 4.0f, row_decay = 0.975f, all_decay = 0.999f;

void zoo_draft_rates_init(zoo_draft_rates *rates)
{
    static const float first[ZOO_DRAFT_CLASSES] = {
        1.0f,  0.8f,                          /* forced, grammar */
        0.25f, 0.4f, 0.55f, 0.7f, 0.8f, 0.9f, /* own text */
        0.25f, 0.4f, 0.55f, 0.7f, 0.8f, 0.9f, /* other rows */
        0.7f,  0.7f, 0.7f,  0.7f};            /* draft model */
    for (uint32_t i = 0; i < ZOO_DRAFT_CLASSES; i++) {
        rates->n[i] = prior;
        rates->n_accepted[i] = prior * first[i];
    }
}

/* Classes of matches of 2, 3, 4 .. 5, 6 .. 8, 9 .. 15 and more tokens. */
static uint32_t class_of(uint32_t first, uint32_t length)
{
    static const uint32_t ends[ZOO_DRAFT_LENGTHS - 1] = {2, 3, 5, 8, 15};
    for (uint32_t i = 0; i < ZOO_COUNT(ends); i++) {
        first += length > ends[i];
    }
    return first;
}

zoo_drafts *zoo_drafts_new(uint32_t n_max)
{
    zoo_drafts *d = zoo_mem_array(1, sizeof *d);
    if (d && zoo_ngrams_init(&d->grams, n_max, NULL) != ZOO_OK) {
        zoo_mem_free(d);
        return NULL;
    }
    return d;
}

void zoo_drafts_free(zoo_drafts *d)
{
    if (d) {
        zoo_ngrams_free(&d->grams);
        zoo_mem_free(d);
    }
}

void zoo_drafts_begin(zoo_drafts *d, const zoo_draft_pool *pool, const int32_t *tokens, uint32_t n)
{
    zoo_ngrams_follow(&d->grams, tokens, n);
    if (pool) {
        zoo_draft_pool_follow(pool, &d->match, tokens, n);
    }
    d->n = 0;
}

bool zoo_drafts_add(zoo_drafts *d, int32_t token, uint32_t class)
{
    if (d->n == ZOO_DRAFTS_MAX) {
        return false;
    }
    d->tokens[d->n] = token;
    d->classes[d->n++] = (uint8_t) class;
    return true;
}

float zoo_drafts_rate(const zoo_drafts *d, uint32_t class, const zoo_draft_rates *all)
{
    float n = d->rates.n[class] + prior;
    float right = (d->rates.n_accepted[class] + prior * all->n_accepted[class] / all->n[class]) / n;
    float low = right - sqrtf(right * (1.0f - right) / n);
    return low > 0.0f ? low : 0.0f;
}

void zoo_drafts_add_texts(zoo_drafts *d, const zoo_draft_pool *pool, const int32_t *tokens,
                          const zoo_draft_rates *all, float least)
{
    uint32_t own = d->grams.length, others = pool ? d->match.length : 0;
    uint32_t own_class = class_of(ZOO_DRAFT_TEXT, own);
    uint32_t others_class = class_of(ZOO_DRAFT_FILE, others);
    float own_odds = own ? zoo_drafts_rate(d, own_class, all) : 0.0f;
    float others_odds = others ? zoo_drafts_rate(d, others_class, all) : 0.0f;
    bool takes_others = others_odds > own_odds;
    uint32_t length = takes_others ? others : own;
    if ((takes_others ? others_odds : own_odds) < least || length == 0) {
        return;
    }
    d->n = takes_others ? zoo_draft_pool_guess(pool, &d->match, d->tokens, ZOO_DRAFTS_MAX)
                        : zoo_ngrams_guess(&d->grams, tokens, d->tokens, ZOO_DRAFTS_MAX);
    for (uint32_t i = 0; i < d->n; i++) {
        d->classes[i] =
            (uint8_t)class_of(takes_others ? ZOO_DRAFT_FILE : ZOO_DRAFT_TEXT, length + i);
    }
}

void zoo_drafts_end(zoo_drafts *d, const zoo_draft_rates *all)
{
    float rates = 1.0f;
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t c = d->classes[i];
        if (c != ZOO_DRAFT_FORCED) {
            rates *= zoo_drafts_rate(d, c, all);
        }
        d->p_accept[i] = rates;
    }
}

static void count(zoo_draft_rates *rates, uint32_t class, float decay, bool right)
{
    rates->n[class] = rates->n[class] * decay + 1.0f;
    rates->n_accepted[class] = rates->n_accepted[class] * decay + (right ? 1.0f : 0.0f);
}

void zoo_drafts_verify(zoo_drafts *d, const int32_t *tokens, uint32_t n, zoo_draft_rates *all)
{
    bool right = true;
    for (uint32_t i = 0; i < n && i < d->n && right; i++) {
        right = tokens[i] == d->tokens[i];
        count(&d->rates, d->classes[i], row_decay, right);
        count(all, d->classes[i], all_decay, right);
    }
}
