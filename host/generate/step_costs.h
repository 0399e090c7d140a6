/*
 * step_costs.h: a table of the duration of a step by its number of rows, measured at start.
 *
 * Steps of 1 to 64 rows of one short sequence, all rows with logits; the minimum of up to three
 * repetitions. Measuring stops after half a second, but not before one step of each of the first
 * two sizes. Linear interpolation between sizes; above the largest, extrapolation with the slope of
 * the table's upper half. The table is made monotonic: a size that took longer than a larger one
 * was delayed by something else.
 *
 * The cost of a long context is not in the table: schedule_draft.c corrects for it.
 */
#ifndef ZOO_GENERATE_STEP_COSTS_H
#define ZOO_GENERATE_STEP_COSTS_H

#include "engine/engine.h"

enum { ZOO_COST_ROWS_MAX = 64 };

typedef struct zoo_step_costs {
    uint32_t n_rows;                      /* the largest size measured; 0: empty table */
    float seconds[ZOO_COST_ROWS_MAX + 1]; /* [1 .. n_rows] */
} zoo_step_costs;

/* Fills the table with steps of a sequence of its own; no other sequence may be open. The table is
 * empty if the engine has no room. Errors are the engine's. [load] */
zoo_status zoo_step_costs_measure(zoo_engine *engine, zoo_step_costs *out, zoo_error *err);

/* Predicted seconds of a step of n_rows >= 1 rows; the table must not be empty. */
double zoo_step_cost(const zoo_step_costs *costs, uint32_t n_rows);

#endif
