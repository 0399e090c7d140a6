/*
 * step_costs.h: what a step of so many rows takes on this machine, measured once.
 *
 * A few steps of 1 to 64 rows of one short sequence, all rows with logits, each the least of up to
 * three times; the work ends after half a second, but not before one step of each of the first two
 * sizes. Between the sizes costs are interpolated, beyond the largest they go on as over its upper
 * half. They never fall with the rows: a size that took longer than a larger one was held up.
 *
 * What a long context adds is not in the table: schedule_draft.c compares steps with what the table
 * says.
 */
#ifndef ZOO_GENERATE_STEP_COSTS_H
#define ZOO_GENERATE_STEP_COSTS_H

#include "engine/engine.h"

enum { ZOO_COST_ROWS_MAX = 64 };

typedef struct zoo_step_costs {
    uint32_t n_rows;                      /* the largest size measured; 0: nothing is known */
    float seconds[ZOO_COST_ROWS_MAX + 1]; /* of 1 .. n_rows rows */
} zoo_step_costs;

/* Runs steps of a sequence of its own; no other may run. Where the engine has no room for one,
 * nothing is known afterwards. An error of a step is the engine's. [load] */
zoo_status zoo_step_costs_measure(zoo_engine *engine, zoo_step_costs *out, zoo_error *err);

/* Seconds of a step; n_rows at least 1. Something must be known. */
double zoo_step_cost(const zoo_step_costs *costs, uint32_t n_rows);

#endif
