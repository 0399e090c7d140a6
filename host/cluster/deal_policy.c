/*
 * deal_policy.c: which rank gets rows next, and how many (dealer.h).
 *
 * With throughputs r of the ranks and unfinished work W, all ranks can finish together at
 * T = W / sum(r). The next row goes to the rank that would finish it first, up to twice the rows
 * that the rank runs at once; when that rank is full, to another only if it finishes before T. A
 * rank without a measured throughput holds at most a quarter of an equal share, which one that is
 * four times slower than the others can still finish with them. So all ranks are busy until shortly
 * before the end, and a slow one gets its last rows early.
 *
 * Source: self-scheduling weighted by speed, as in Hummel et al., "Load-sharing in heterogeneous
 * systems via weighted factoring" (SPAA 1996).
 */
#include <math.h>

#include "cluster/dealer.h"

#define FADE_SECONDS  15.0
#define KNOWN_SECONDS 0.05
#define UNKNOWN_PART  4.0

void zoo_deal_finish(zoo_peer *p, double work, double cost)
{
    p->work = p->n > 0 ? p->work - work : 0.0;
    p->done_work += work;
    p->done_cost += cost;
}

void zoo_deal_spend(zoo_peer *p, double spent)
{
    p->recent_cost += spent > p->spent ? spent - p->spent : 0.0;
    p->spent = spent;
}

void zoo_deal_tick(const zoo_deal_table *t, double seconds)
{
    double keep = exp(-seconds / FADE_SECONDS);
    for (uint32_t i = 0; i < t->n; i++) {
        zoo_peer *p = &t->peers[i];
        if (p->n > 0) {
            p->recent_cost *= keep;
            p->recent_seconds = p->recent_seconds * keep + seconds;
        }
    }
}

static bool is_known(const zoo_peer *p)
{
    return p->recent_seconds > KNOWN_SECONDS && p->recent_cost > 0.0;
}

/* Estimated work per unit of actual cost: rows often end before their token limit. */
static double scale_of(const zoo_deal_table *t)
{
    double done = 0.0, cost = 0.0;
    for (uint32_t i = 0; i < t->n; i++) {
        done += t->peers[i].done_work;
        cost += t->peers[i].done_cost;
    }
    return done > 0.0 && cost > 0.0 ? done / cost : 1.0;
}

/* Assumed rate of ranks without a measured one: the mean of the others. */
static double mean_rate(const zoo_deal_table *t)
{
    double sum = 0.0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        if (!t->peers[i].is_dead && is_known(&t->peers[i])) {
            sum += t->peers[i].recent_cost / t->peers[i].recent_seconds;
            n++;
        }
    }
    return n > 0 ? sum / n : 1.0;
}

static double rate_of(const zoo_peer *p, double mean)
{
    return is_known(p) ? p->recent_cost / p->recent_seconds : mean;
}

/* Expected cost of the rows that the peer holds, less what it has already spent on them. */
static double left_of(const zoo_peer *p, double scale)
{
    double begun = p->spent > p->done_cost ? p->spent - p->done_cost : 0.0, held = p->work / scale;
    return held > begun ? held - begun : 0.0;
}

static size_t rows_max(const zoo_peer *p)
{
    return 2 * (size_t)p->seqs_max + ZOO_DEAL_BLOCK;
}

/* Work that the peer may hold: without a measured throughput, a part of an equal share. */
static double work_max(const zoo_peer *p, double all, uint32_t n_alive)
{
    return is_known(p) ? INFINITY : all / (UNKNOWN_PART * n_alive);
}

/* Whether the peer may hold more rows (the bounds in the file's head). */
static bool has_room(const zoo_peer *p, double all, uint32_t n_alive)
{
    return p->n < rows_max(p) && (p->n == 0 || p->work < work_max(p, all, n_alive));
}

zoo_peer *zoo_deal_pick(const zoo_deal_table *t, double *room)
{
    double mean = mean_rate(t), rates = 0.0, scale = scale_of(t), all = t->work / scale;
    double next = t->next_work / scale;
    double first = INFINITY, end_of_best = INFINITY;
    uint32_t n_alive = 0;
    zoo_peer *best = NULL;
    for (uint32_t i = 0; i < t->n; i++) {
        const zoo_peer *p = &t->peers[i];
        rates += p->is_dead ? 0.0 : rate_of(p, mean);
        all += left_of(p, scale);
        n_alive += !p->is_dead;
    }
    double end = rates > 0.0 ? all / rates : 0.0;
    for (uint32_t i = 0; i < t->n && t->next_work > 0.0; i++) {
        zoo_peer *p = &t->peers[i];
        double finish = (left_of(p, scale) + next) / rate_of(p, mean);
        if (!p->is_ready || p->is_dead) {
            continue;
        }
        first = finish < first ? finish : first;
        if (finish < end_of_best && has_room(p, all * scale, n_alive)) {
            best = p;
            end_of_best = finish;
        }
    }
    if (!best || (end_of_best > end && end_of_best > first)) {
        return NULL;
    }
    *room = fmin((end * rate_of(best, mean) - left_of(best, scale)) * scale,
                 work_max(best, all * scale, n_alive) - best->work);
    return best;
}
