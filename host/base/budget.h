/*
 * budget.h: what one piece of work from outside may cost: bytes, steps, seconds.
 *
 * A thread enters a budget, works, and leaves it. In between, every allocation from mem.h is
 * charged to the budget and every free is credited, so the bound covers whatever a request can make
 * the program build: parsed trees, rendered templates, token ids, automata. Loops whose length the
 * request decides count steps. Work beyond the budget fails like an allocation; `spent` says which
 * bound was reached, and the code that entered the budget turns that into an error of the request.
 *
 * A budget belongs to one thread at a time. Cost: a thread-local pointer, and the block's size for
 * each call of mem.h.
 */
#ifndef ZOO_BASE_BUDGET_H
#define ZOO_BASE_BUDGET_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum zoo_spent {
    ZOO_SPENT_NOTHING = 0,
    ZOO_SPENT_BYTES,
    ZOO_SPENT_STEPS,
    ZOO_SPENT_SECONDS,
    ZOO_SPENT_STOPPED /* stop was set: not the request's fault */
} zoo_spent;

typedef struct zoo_budget {
    size_t bytes, bytes_max, bytes_peak;
    uint64_t steps, steps_max;
    double deadline;                   /* of zoo_clock_seconds; 0: none */
    const volatile sig_atomic_t *stop; /* not 0: end the work; or null */
    const atomic_bool *cancel;         /* the same, set by another thread; or null */
    zoo_spent spent;
} zoo_budget;

/* Sets the thread's budget (null: none) and returns the previous one. */
zoo_budget *zoo_budget_enter(zoo_budget *budget);
zoo_budget *zoo_budget_current(void);

/* Counts work; false: stop working, the budget is spent. True without a budget. */
bool zoo_budget_step(uint64_t n);
/* Whether n more bytes are within the budget; counts them. */
bool zoo_budget_take(size_t n);
void zoo_budget_give(size_t n);
/* Whether n more bytes would be within the budget; when not, they count as spent. */
bool zoo_budget_fits(size_t n);

/* Seconds of the monotonic clock. */
double zoo_clock_seconds(void);

#endif
