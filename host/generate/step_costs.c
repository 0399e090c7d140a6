/* step_costs.c: measures and interpolates the table (step_costs.h). */
#include "generate/step_costs.h"

#include <string.h>

#include "base/budget.h"
#include "generate/drafts.h"

enum { SIZES = 12, REPEATS = 3, FIRST = 2 };

/* Both ends and the middle first, so that a slow machine still gets the shape of the curve. */
static const uint32_t sizes[SIZES] = {1, 8, 64, 16, 4, 32, 2, 12, 24, 6, 48, 3};
static const double seconds_max = 0.5;

/* One step of n rows from the start of a sequence. */
static zoo_status time_step(zoo_engine *engine, uint32_t n, const int32_t *tokens, double *seconds,
                            zoo_error *err)
{
    uint32_t seq;
    ZOO_TRY(zoo_engine_seq_open(engine, n, n, &seq, err));
    zoo_item item = {.seq = seq, .n = n, .tokens = tokens, .want = ZOO_WANT_ALL};
    double begin = zoo_clock_seconds();
    zoo_status status = zoo_engine_step(engine, &item, 1, err);
    *seconds = zoo_clock_seconds() - begin;
    zoo_engine_seq_close(engine, seq);
    return status;
}

/* Seconds of each size, 0 where it was not run. */
static zoo_status measure(zoo_engine *engine, uint32_t rows_max, double least[SIZES],
                          zoo_error *err)
{
    int32_t tokens[ZOO_COST_ROWS_MAX];
    uint32_t state = 1;
    for (uint32_t i = 0; i < ZOO_COST_ROWS_MAX; i++) {
        state = state * 1664525u + 1013904223u;
        tokens[i] = zoo_engine_some_token(engine, state >> 8);
    }
    double seconds, begin = zoo_clock_seconds();
    ZOO_TRY(time_step(engine, 1, tokens, &seconds, err)); /* warm-up */
    for (uint32_t i = 0; i < SIZES * REPEATS; i++) {
        uint32_t at = i % SIZES;
        if (i >= FIRST && zoo_clock_seconds() - begin > seconds_max) {
            break;
        }
        if (sizes[at] > rows_max) {
            continue;
        }
        ZOO_TRY(time_step(engine, sizes[at], tokens, &seconds, err));
        least[at] = least[at] > 0.0 && least[at] < seconds ? least[at] : seconds;
    }
    return ZOO_OK;
}

static uint32_t smallest_above(uint32_t n, const double least[SIZES])
{
    uint32_t best = SIZES;
    for (uint32_t i = 0; i < SIZES; i++) {
        if (least[i] > 0.0 && sizes[i] > n && (best == SIZES || sizes[i] < sizes[best])) {
            best = i;
        }
    }
    return best;
}

/* The least time of this size and all larger ones: other programs only ever lengthen a step. */
static double least_from(uint32_t n, const double least[SIZES])
{
    double best = 0.0;
    for (uint32_t i = 0; i < SIZES; i++) {
        if (least[i] > 0.0 && sizes[i] >= n && (best == 0.0 || least[i] < best)) {
            best = least[i];
        }
    }
    return best;
}

/* Linear interpolation between the sizes that were run. */
static void fill(zoo_step_costs *out, const double least[SIZES])
{
    uint32_t from = 0, at;
    double low = 0.0;
    while ((at = smallest_above(from, least)) < SIZES) {
        uint32_t to = sizes[at];
        double high = least_from(to, least);
        low = from ? low : high;
        for (uint32_t n = from + 1; n <= to; n++) {
            out->seconds[n] = (float)(low + (high - low) * (n - from) / (to - from));
        }
        from = to;
        low = high;
    }
    out->n_rows = from;
}

zoo_status zoo_step_costs_measure(zoo_engine *engine, zoo_step_costs *out, zoo_error *err)
{
    const zoo_limits *l = zoo_engine_limits(engine);
    uint32_t rows_max = zoo_engine_logits_max(engine);
    double least[SIZES] = {0};
    const uint32_t bounds[] = {l->rows_max, l->context_max, l->seqs_max * (1 + ZOO_DRAFTS_MAX)};
    for (uint32_t i = 0; i < ZOO_COUNT(bounds); i++) {
        rows_max = rows_max < bounds[i] ? rows_max : bounds[i];
    }
    memset(out, 0, sizeof *out);
    zoo_status status = measure(engine, rows_max, least, err);
    if (status == ZOO_OK) {
        fill(out, least);
    }
    return status == ZOO_E_MEMORY || status == ZOO_E_LIMIT ? ZOO_OK : status;
}

double zoo_step_cost(const zoo_step_costs *costs, uint32_t n_rows)
{
    uint32_t top = costs->n_rows, half = (top + 1) / 2;
    if (n_rows <= top) {
        return (double)costs->seconds[n_rows];
    }
    double last = (double)costs->seconds[top];
    double slope = top > half ? (last - (double)costs->seconds[half]) / (top - half) : last;
    return last + slope * (n_rows - top);
}
