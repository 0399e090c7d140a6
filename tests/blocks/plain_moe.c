/*
 * plain_moe.c: experts: many small feed-forward parts, a few of which compute each token.
 *
 *   s_e = sigmoid(Wr_e x)  or  softmax over e of Wr_e x      how well expert e suits the token
 *   C   = the k experts of the largest s_e + bias_e; of equal ones the earlier
 *   w_e = scale s_e / sum of s over C                        the bias doesn't count here
 *
 *   y   = sum over C of  w_e Wd_e (silu(Wg_e x) * Wu_e x)    +  Wd (silu(Wg x) * Wu x)
 *
 * The last term is the shared expert, which every token passes. A layer of 256 experts with 8
 * chosen has the parameters of a very wide one and costs a token as much as a narrow one: all have
 * to be kept at hand, 8 are read. In a batch each token chooses for itself, so a step of many
 * tokens reads most experts after all.
 *
 * The router is trained with the rest. Left alone it comes to prefer a few experts. The bias, which
 * training raises for experts that get too few tokens, steers the choice without changing what a
 * chosen expert adds. Releases differ in this rule more than in any other (sdk/blocks/moe/moe.h
 * lists the variants): score by softmax or sigmoid before or after the choice, groups of experts
 * chosen first, weights used without normalisation.
 *
 * Papers: Shazeer et al., "Outrageously Large Neural Networks", arXiv 1701.06538; DeepSeek-AI,
 * "DeepSeek-V3", arXiv 2412.19437, section 2.1.2. The block: sdk/blocks/moe.
 */
#include "plain.h"

#include <math.h>
#include <stdlib.h>

/* y = y + weight * Wd (silu(Wg x) * Wu x), `inner` rows in the middle. */
static void add_expert(const plain_moe *p, size_t inner, const double *gate, const double *up,
                       const double *down, double weight, const double *x, double *y)
{
    double *g = calloc(inner, sizeof *g), *u = calloc(inner, sizeof *u);
    plain_multiply(gate, inner, p->width, x, g);
    plain_multiply(up, inner, p->width, x, u);
    for (size_t i = 0; i < inner; i++) {
        g[i] = plain_silu(g[i]) * u[i];
    }
    for (size_t r = 0; r < p->width; r++) {
        y[r] += weight * plain_dot(down + r * inner, g, inner);
    }
    free(g), free(u);
}

/* The weight of every expert for one token, 0 for those that aren't chosen. */
static void route(const plain_moe *p, const double *x, double *weight)
{
    size_t E = p->n_experts;
    double *s = calloc(E, sizeof *s), total = 0;
    bool *all = calloc(E, sizeof *all);
    plain_multiply(p->router, E, p->width, x, s);
    for (size_t e = 0; e < E; e++) {
        all[e] = true;
        weight[e] = plain_sigmoid(s[e]);
    }
    if (p->softmax) {
        plain_softmax(s, all, E, weight);
    }
    for (size_t e = 0; e < E; e++) {
        s[e] = weight[e] + p->bias[e];
    }
    for (size_t e = 0; e < E; e++) {
        size_t n_before = 0; /* experts that the token would rather have than e */
        for (size_t other = 0; other < E; other++) {
            n_before += s[other] > s[e] || (s[other] == s[e] && other < e);
        }
        weight[e] = n_before < p->n_chosen ? weight[e] : 0;
        total += weight[e];
    }
    for (size_t e = 0; e < E; e++) {
        weight[e] *= p->scale / total;
    }
    free(s), free(all);
}

void plain_moe_run(const plain_moe *p, const double *x, size_t n, double *y)
{
    double *weight = calloc(p->n_experts, sizeof *weight);
    size_t size = p->inner * p->width; /* of a matrix of one expert */
    for (size_t i = 0; i < n; i++) {
        const double *xi = x + i * p->width;
        double *yi = y + i * p->width;
        for (size_t r = 0; r < p->width; r++) {
            yi[r] = 0;
        }
        route(p, xi, weight);
        for (size_t e = 0; e < p->n_experts; e++) {
            if (weight[e] != 0) {
                add_expert(p, p->inner, p->gate + e * size, p->up + e * size, p->down + e * size,
                           weight[e], xi, yi);
            }
        }
        add_expert(p, p->shared_inner, p->shared_gate, p->shared_up, p->shared_down, 1, xi, yi);
    }
    free(weight);
}
