/* drafts.c: proposals and their odds (drafts.h). */
#include "generate/drafts.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* A row's own trials count from `lean` on; trials fade by these factors, the rows' over about 40,
 * those of all over about 1000. */
static const float lean = 4.0f, row_fade = 0.975f, all_fade = 0.999f;

void zoo_draft_odds_init(zoo_draft_odds *odds)
{
    static const float first[ZOO_DRAFT_CLASSES] = {
        1.0f,  0.8f,                          /* must come, shape */
        0.25f, 0.4f, 0.55f, 0.7f, 0.8f, 0.9f, /* own text */
        0.25f, 0.4f, 0.55f, 0.7f, 0.8f, 0.9f, /* others' */
        0.7f};                                /* a draft model */
    for (uint32_t i = 0; i < ZOO_DRAFT_CLASSES; i++) {
        odds->n[i] = lean;
        odds->n_right[i] = lean * first[i];
    }
}

/* Matches of 2, 3, 4 .. 5, 6 .. 8, 9 .. 15 and more tokens. */
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

float zoo_drafts_share(const zoo_drafts *d, uint32_t class, const zoo_draft_odds *all)
{
    float n = d->odds.n[class] + lean;
    float right = (d->odds.n_right[class] + lean * all->n_right[class] / all->n[class]) / n;
    float low = right - sqrtf(right * (1.0f - right) / n);
    return low > 0.0f ? low : 0.0f;
}

void zoo_drafts_add_texts(zoo_drafts *d, const zoo_draft_pool *pool, const int32_t *tokens,
                          const zoo_draft_odds *all, float least)
{
    uint32_t own = d->grams.length, others = pool ? d->match.length : 0;
    uint32_t own_class = class_of(ZOO_DRAFT_TEXT, own);
    uint32_t others_class = class_of(ZOO_DRAFT_FILE, others);
    float own_odds = own ? zoo_drafts_share(d, own_class, all) : 0.0f;
    float others_odds = others ? zoo_drafts_share(d, others_class, all) : 0.0f;
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

void zoo_drafts_end(zoo_drafts *d, const zoo_draft_odds *all)
{
    float odds = 1.0f;
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t c = d->classes[i];
        if (c != ZOO_DRAFT_MUST) {
            odds *= zoo_drafts_share(d, c, all);
        }
        d->odds_of[i] = odds;
    }
}

static void count(zoo_draft_odds *odds, uint32_t class, float fade, bool right)
{
    odds->n[class] = odds->n[class] * fade + 1.0f;
    odds->n_right[class] = odds->n_right[class] * fade + (right ? 1.0f : 0.0f);
}

void zoo_drafts_judge(zoo_drafts *d, const int32_t *tokens, uint32_t n, zoo_draft_odds *all)
{
    bool right = true;
    for (uint32_t i = 0; i < n && i < d->n && right; i++) {
        right = tokens[i] == d->tokens[i];
        count(&d->odds, d->classes[i], row_fade, right);
        count(all, d->classes[i], all_fade, right);
    }
}
