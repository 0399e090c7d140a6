/*
 * router.c: how experts are scored and chosen.
 *
 * Keys: num_experts, num_experts_per_tok (a list: one a layer), routed_scaling_factor, n_group,
 * topk_group, moe_norm_min, router_jitter_noise, moe_router_logit_softcapping.
 * Options:
 *   score            "softmax", "logit", "sigmoid", "sqrt_softplus", "sparsemixer"
 *   chosen           "softmax", "sigmoid", or a key that says which
 *   renorm           true, false or a key; renorm_eps; renorm_floor (moe_norm_min);
 *                    renorm_p: a key with the p of a p-norm
 *   groups           n_group, topk_group; a group scores the sum of its two best, with group_max
 *                    its best; group_zero: experts of other groups score 0; groups_by: a key that
 *                    must say "group_limited_greedy"
 *   softcap          moe_router_logit_softcapping
 *   router_scale     a key: factor of the router's logits
 */
#include <string.h>

#include "blocks/decoder/decoder.h"

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static uint32_t read_score(const zoo_decoder *b)
{
    static const char *const names[] = {"logit",         "softmax",      "sigmoid",
                                        "sqrt_softplus", "sqrtsoftplus", "sparsemixer"};
    static const uint32_t scores[] = {ZOO_SCORE_LOGIT,         ZOO_SCORE_SOFTMAX,
                                      ZOO_SCORE_SIGMOID,       ZOO_SCORE_SQRT_SOFTPLUS,
                                      ZOO_SCORE_SQRT_SOFTPLUS, ZOO_SCORE_SPARSEMIXER};
    const zoo_config *c = b->config;
    const char *key = c->text(c, "@score_by", NULL), *word = c->text(c, "@score", "softmax");
    word = key ? c->text(c, key, word) : word;
    for (uint32_t i = 0; i < ZOO_COUNT(names); i++) {
        if (same(word, names[i])) {
            return scores[i];
        }
    }
    c->refuse(c, "%s \"%s\" is not computed", key ? key : "the card's option score", word);
    return 0;
}

static uint32_t read_chosen(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    const char *name = c->text(c, "@chosen", "score");
    const char *word = c->type(c, name) == ZOO_STRING ? c->text(c, name, "") : name;
    return same(word, "softmax")   ? ZOO_CHOSEN_SOFTMAX
           : same(word, "sigmoid") ? ZOO_CHOSEN_SIGMOID
                                   : ZOO_CHOSEN_SCORE;
}

static void read_renorm(const zoo_decoder *b, zoo_router *r)
{
    const zoo_config *c = b->config;
    const char *p = c->text(c, "@renorm_p", NULL);
    if (p) {
        double power = c->number(c, p, 0.0);
        r->renorm = power > 0 ? ZOO_RENORM_P : ZOO_RENORM_NONE;
        r->renorm_eps = (float)power;
        return;
    }
    bool floor = zoo_decoder_flag(b, "@renorm_floor", false);
    bool on = zoo_decoder_flag(b, "@renorm", true) && r->chosen != ZOO_CHOSEN_SOFTMAX;
    r->renorm = !on ? ZOO_RENORM_NONE : floor ? ZOO_RENORM_FLOOR : ZOO_RENORM_SUM;
    r->renorm_eps =
        (float)(floor ? c->number(c, "moe_norm_min", 1e-12) : c->number(c, "@renorm_eps", 0.0));
}

static bool has_groups(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    if (c->type(c, "@groups_by") == ZOO_STRING) {
        (void)c->type(c, "n_group"); /* where nothing is chosen by groups: not unknown */
        (void)c->type(c, "topk_group");
        return same(c->text(c, c->text(c, "@groups_by", ""), ""), "group_limited_greedy");
    }
    return zoo_decoder_flag(b, "@groups", false);
}

void zoo_decoder_router(const zoo_decoder *b, uint32_t layer, zoo_router *r)
{
    const zoo_config *c = b->config;
    r->n_experts = (uint32_t)zoo_decoder_number(b, "num_experts", layer, 0);
    r->top_k = (uint32_t)zoo_decoder_number(b, "num_experts_per_tok", layer, 2);
    r->score = read_score(b);
    r->chosen = read_chosen(b);
    const char *factor = c->text(c, "@router_scale", NULL);
    r->scale = (float)c->number(c, "routed_scaling_factor", 1.0);
    r->logit_scale = factor ? (float)c->number(c, factor, 1.0) : 0.0f;
    r->softcap = zoo_decoder_flag(b, "@softcap", false)
                     ? (float)c->number(c, "moe_router_logit_softcapping", 0)
                     : 0;
    r->jitter =
        r->score == ZOO_SCORE_SPARSEMIXER ? (float)c->number(c, "router_jitter_noise", 0.01) : 0;
    read_renorm(b, r);
    if (has_groups(b)) {
        r->n_groups = c->whole(c, "n_group", 1);
        r->groups_kept = c->whole(c, "topk_group", 1);
        r->group_sum2 = !zoo_decoder_flag(b, "@group_max", false);
        r->group_zero = zoo_decoder_flag(b, "@group_zero", false);
    }
}
