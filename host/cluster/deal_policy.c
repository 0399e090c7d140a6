/*
 * deal_policy.c: which rank gets rows next, and how many (dealer.h).
 *
 * With throughputs r of the ranks and unfinished work W, all ranks can finish together at
 * T = W / sum(r). The next row goes to the rank that would finish it first, if that is before T or
 * no other would be earlier. It waits while that rank has enough:
 *   - until its throughput is measured, and that of more than half of the ranks, an eighth of an
 *     equal share, so that one that proves slow still finishes with the others;
 *   - afterwards half of its share, or half of the rows that it can run at once if that is more:
 *     what is known of rows and ranks gets better while the rest waits here;
 *   - twice the rows that it runs at once, in any case.
 * So all ranks are busy until shortly before the end, and a slow one gets its last rows early.
 *
 * Rows may end before their limit, so the expected cost of one follows from how often rows ended so
 * far. A row also needs its time: a rank that runs n rows gives each an n-th of its throughput.
 *
 * Source: self-scheduling by halves of the rest, weighted by speed, as in Hummel et al.,
 * "Load-sharing in heterogeneous systems via weighted factoring" (SPAA 1996).
 */
#include <math.h>

#include "cluster/dealer.h"

#define FADE_SECONDS  15.0
#define KNOWN_SECONDS 0.25
#define UNKNOWN_PART  8.0
#define EARLY         0.9
#define LAST_PART     0.1

/* A rank runs its first seqs_max rows and gives all the same. */
void zoo_deal_begin(zoo_peer *p, zoo_deal_row *row)
{
    row->begun = p->n <= p->seqs_max ? p->each : -1.0;
    p->has_changed = true;
}

void zoo_deal_finish(zoo_peer *p, double work, double cost)
{
    p->done_cost += cost;
    p->n_early_new += cost < EARLY * work;
    p->has_changed = true;
    if (p->n >= p->seqs_max && p->rows[p->seqs_max - 1]->begun < 0.0) {
        p->rows[p->seqs_max - 1]->begun = p->each;
    }
}

static size_t running(const zoo_peer *p)
{
    return p->n < p->seqs_max ? p->n : p->seqs_max;
}

/* The time before the first report is that of preparing the first rows; it says nothing about the
 * rank's speed. Between reports time stands still, since the cost of that time isn't told yet. */
void zoo_deal_spend(zoo_peer *p, double spent)
{
    double keep = exp(-p->silent_seconds / FADE_SECONDS);
    if (p->is_measured && spent > p->spent) {
        p->recent_cost = p->recent_cost * keep + spent - p->spent;
        p->recent_seconds = p->recent_seconds * keep + p->silent_seconds;
    }
    if (spent > p->spent) {
        p->each += p->n > 0 ? (spent - p->spent) / (double)running(p) : 0.0;
        p->has_changed = true;
        p->is_measured = true;
        p->silent_seconds = 0.0;
        p->n_early += p->n_early_new;
        p->n_early_new = 0;
        p->spent = spent;
    }
}

void zoo_deal_tick(const zoo_deal_table *t, double seconds)
{
    for (uint32_t i = 0; i < t->n; i++) {
        zoo_peer *p = &t->peers[i];
        p->silent_seconds += p->n > 0 ? seconds : 0.0;
    }
}

static bool is_known(const zoo_peer *p)
{
    return p->recent_seconds > KNOWN_SECONDS;
}

/* Throughput; a rank that is silent for longer than it was measured is slower than it was. */
static double measured_rate(const zoo_peer *p)
{
    return p->recent_cost / fmax(p->recent_seconds, p->silent_seconds);
}

/* How often a row ends before its limit, per unit of cost: of all ranks, rows that still run
 * included. A mean over finished rows alone would be that of the shortest at first. */
static double early_ends(const zoo_deal_table *t)
{
    double n = 0.0, cost = 0.0;
    for (uint32_t i = 0; i < t->n; i++) {
        const zoo_peer *p = &t->peers[i];
        n += (double)p->n_early;
        cost += p->spent;
    }
    return cost > 0.0 ? n / cost : 0.0;
}

/* Expected cost of a row that ends at `work` at the latest. */
static double expected(double work, double ends)
{
    return ends * work > 1e-6 ? -expm1(-ends * work) / ends : work;
}

/* Assumed rate of ranks without a measured one: the mean of the others. */
static double mean_rate(const zoo_deal_table *t)
{
    double sum = 0.0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        if (!t->peers[i].is_dead && is_known(&t->peers[i])) {
            sum += measured_rate(&t->peers[i]);
            n++;
        }
    }
    return n > 0 ? sum / n : 1.0;
}

static double rate_of(const zoo_peer *p, double mean)
{
    return is_known(p) ? measured_rate(p) : mean;
}

/* Expected cost of the rows that the peer holds, less what it has already spent on them. */
static void estimate_left(zoo_peer *p, double ends)
{
    p->left = 0.0;
    for (size_t i = 0; i < p->n; i++) {
        const zoo_deal_row *row = p->rows[i];
        double begun = row->begun < 0.0 ? 0.0 : p->each - row->begun;
        p->left += expected(fmax(row->work - begun, LAST_PART * row->work), ends);
    }
    p->has_changed = false;
}

/* The same now: the last report is a while ago. */
static double left_of(const zoo_peer *p)
{
    double since = is_known(p) ? measured_rate(p) * p->silent_seconds : 0.0;
    return fmax(p->left - since, 0.0);
}

/* What all ranks have to do. */
typedef struct total {
    double ends, mean;      /* early_ends, mean_rate */
    double cost, rates;     /* left, dealt or not; sum of the ranks' rates */
    double next, next_work; /* expected cost of the next row, and its most */
    double finish;          /* when all ranks can be done, in seconds from now */
    uint32_t n_alive, n_ready, n_known;
} total;

static total add_up(const zoo_deal_table *t)
{
    total all = {.ends = early_ends(t), .mean = mean_rate(t)};
    double mean_work = t->n_rows > 0.0 ? t->work / t->n_rows : 0.0;
    all.cost = t->n_rows * expected(mean_work, all.ends);
    all.next_work = t->next_work;
    all.next = expected(t->next_work, all.ends);
    for (uint32_t i = 0; i < t->n; i++) {
        zoo_peer *p = &t->peers[i];
        if (p->has_changed) {
            estimate_left(p, all.ends);
        }
        all.cost += left_of(p);
        if (!p->is_dead) {
            all.rates += rate_of(p, all.mean);
            all.n_alive++;
            all.n_ready += p->is_ready;
            all.n_known += is_known(p);
        }
    }
    all.finish = all.rates > 0.0 ? all.cost / all.rates : 0.0;
    return all;
}

/* Cost that the peer may hold (the bounds in the file's head). */
static double cost_max(const zoo_peer *p, const total *all)
{
    if (!is_known(p) || 2 * all->n_known <= all->n_ready) {
        return all->cost / (UNKNOWN_PART * all->n_alive);
    }
    return p->n < p->seqs_max / 2 || p->n < ZOO_DEAL_BLOCK
               ? INFINITY
               : all->finish * rate_of(p, all->mean) / 2.0;
}

/* Whether the peer may hold more rows. */
static bool has_room(const zoo_peer *p, const total *all)
{
    return p->n < 2 * (size_t)p->seqs_max + ZOO_DEAL_BLOCK &&
           (p->n == 0 || left_of(p) < cost_max(p, all));
}

/* When the next row would be finished there: after the rows that the peer holds, and no earlier
 * than a row takes that shares the rank with the others. */
static double finish_at(const zoo_peer *p, const total *all)
{
    double n = (double)(running(p) < p->seqs_max ? p->n + 1 : p->seqs_max);
    return fmax(left_of(p) + all->next, all->next_work * n) / rate_of(p, all->mean);
}

zoo_peer *zoo_deal_pick(const zoo_deal_table *t, double *room)
{
    total all = add_up(t);
    double first = INFINITY, end_of_best = INFINITY;
    zoo_peer *best = NULL;
    for (uint32_t i = 0; i < t->n && t->next_work > 0.0; i++) {
        zoo_peer *p = &t->peers[i];
        if (!p->is_ready || p->is_dead) {
            continue;
        }
        double finish = finish_at(p, &all);
        first = fmin(first, finish);
        if (finish < end_of_best && has_room(p, &all)) {
            best = p;
            end_of_best = finish;
        }
    }
    if (!best || (end_of_best > all.finish && end_of_best > first)) {
        return NULL;
    }
    double until = all.finish * rate_of(best, all.mean);
    *room = fmin((fmin(until, cost_max(best, &all)) - left_of(best)) * t->next_work / all.next,
                 until - (double)running(best) * t->next_work);
    return best;
}
