/*
 * deal_policy.c: who gets how many rows (dealer.h).
 *
 * With rates r of the ranks and all work W that is not finished, everything ends together at
 * T = W / sum(r). The next row goes to the rank that would end first with it, up to two fills of
 * its running rows; when that one is full, to another only if it ends before T. While a rate is not
 * known the rank gets half a share. So all ranks are full until shortly before the end, and a slow
 * one gets its last rows early.
 *
 * Source: self-scheduling weighted by speed, as in Hummel et al., "Load-sharing in heterogeneous
 * systems via weighted factoring" (SPAA 1996).
 */
#include <math.h>

#include "cluster/dealer.h"

#define FADE_SECONDS  15.0
#define KNOWN_SECONDS 0.05

void zoo_deal_finish(zoo_peer *p, double work, double cost)
{
    p->work = p->n > 0 ? p->work - work : 0.0;
    p->did += work;
    p->cost += cost;
}

void zoo_deal_spend(zoo_peer *p, double spent)
{
    p->late += spent > p->spent ? spent - p->spent : 0.0;
    p->spent = spent;
}

void zoo_deal_tick(const zoo_deal_table *t, double seconds)
{
    double keep = exp(-seconds / FADE_SECONDS);
    for (uint32_t i = 0; i < t->n; i++) {
        zoo_peer *p = &t->peers[i];
        if (p->n > 0) {
            p->late *= keep;
            p->busy = p->busy * keep + seconds;
        }
    }
}

static bool is_known(const zoo_peer *p)
{
    return p->busy > KNOWN_SECONDS && p->late > 0.0;
}

/* Guessed work that is done for one unit of cost: rows often end before they must. */
static double scale_of(const zoo_deal_table *t)
{
    double did = 0.0, cost = 0.0;
    for (uint32_t i = 0; i < t->n; i++) {
        did += t->peers[i].did;
        cost += t->peers[i].cost;
    }
    return did > 0.0 && cost > 0.0 ? did / cost : 1.0;
}

/* Rate of ranks that have not shown theirs: that of the others. */
static double usual_rate(const zoo_deal_table *t)
{
    double sum = 0.0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        if (!t->peers[i].is_dead && is_known(&t->peers[i])) {
            sum += t->peers[i].late / t->peers[i].busy;
            n++;
        }
    }
    return n > 0 ? sum / n : 1.0;
}

static double rate_of(const zoo_peer *p, double usual)
{
    return is_known(p) ? p->late / p->busy : usual;
}

/* Cost of what the peer holds, less what it has spent on it. */
static double left_of(const zoo_peer *p, double scale)
{
    double begun = p->spent > p->cost ? p->spent - p->cost : 0.0, held = p->work / scale;
    return held > begun ? held - begun : 0.0;
}

static size_t rows_max(const zoo_peer *p)
{
    return 2 * (size_t)p->seqs_max + ZOO_DEAL_BLOCK;
}

/* Whether it may hold more rows: two fills, and while its rate is not known half a share. */
static bool has_room(const zoo_peer *p, double all, uint32_t n_alive)
{
    return p->n < rows_max(p) && (is_known(p) || p->n == 0 || p->work < all / (2.0 * n_alive));
}

zoo_peer *zoo_deal_pick(const zoo_deal_table *t, double *room)
{
    double usual = usual_rate(t), rates = 0.0, scale = scale_of(t), all = t->work / scale;
    double next = t->next_work / scale;
    double first = INFINITY, end_of_best = INFINITY;
    uint32_t n_alive = 0;
    zoo_peer *best = NULL;
    for (uint32_t i = 0; i < t->n; i++) {
        const zoo_peer *p = &t->peers[i];
        rates += p->is_dead ? 0.0 : rate_of(p, usual);
        all += left_of(p, scale);
        n_alive += !p->is_dead;
    }
    double end = rates > 0.0 ? all / rates : 0.0;
    for (uint32_t i = 0; i < t->n && t->next_work > 0.0; i++) {
        zoo_peer *p = &t->peers[i];
        double its = (left_of(p, scale) + next) / rate_of(p, usual);
        if (!p->is_ready || p->is_dead) {
            continue;
        }
        first = its < first ? its : first;
        if (its < end_of_best && has_room(p, all * scale, n_alive)) {
            best = p;
            end_of_best = its;
        }
    }
    if (!best || (end_of_best > end && end_of_best > first)) {
        return NULL;
    }
    *room = (end * rate_of(best, usual) - left_of(best, scale)) * scale;
    return best;
}
