/* budget.c: see budget.h. */
#include "base/budget.h"

#include <time.h>

static _Thread_local zoo_budget *current;

enum { STEPS_A_LOOK = 4096 }; /* between checks of the clock and the stop flag */

double zoo_clock_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

zoo_budget *zoo_budget_enter(zoo_budget *budget)
{
    zoo_budget *before = current;
    current = budget;
    return before;
}

zoo_budget *zoo_budget_current(void)
{
    return current;
}

static void look(zoo_budget *b)
{
    if ((b->stop && *b->stop) || (b->cancel && atomic_load(b->cancel))) {
        b->spent = ZOO_SPENT_STOPPED;
    } else if (b->deadline > 0.0 && zoo_clock_seconds() > b->deadline) {
        b->spent = ZOO_SPENT_SECONDS;
    }
}

bool zoo_budget_step(uint64_t n)
{
    zoo_budget *b = current;
    if (!b) {
        return true;
    }
    uint64_t before = b->steps;
    b->steps += n;
    if (b->spent == ZOO_SPENT_NOTHING && b->steps > b->steps_max) {
        b->spent = ZOO_SPENT_STEPS;
    }
    if (b->spent == ZOO_SPENT_NOTHING && before / STEPS_A_LOOK != b->steps / STEPS_A_LOOK) {
        look(b);
    }
    return b->spent == ZOO_SPENT_NOTHING;
}

bool zoo_budget_fits(size_t n)
{
    zoo_budget *b = current;
    if (b && (b->bytes > b->bytes_max || n > b->bytes_max - b->bytes)) {
        b->spent = b->spent == ZOO_SPENT_NOTHING ? ZOO_SPENT_BYTES : b->spent;
        return false;
    }
    return true;
}

bool zoo_budget_take(size_t n)
{
    zoo_budget *b = current;
    if (!b) {
        return true;
    }
    if (!zoo_budget_fits(n)) {
        return false;
    }
    b->bytes += n;
    b->bytes_peak = b->bytes > b->bytes_peak ? b->bytes : b->bytes_peak;
    return zoo_budget_step(1 + n / 1024);
}

void zoo_budget_give(size_t n)
{
    if (current) {
        current->bytes -= n < current->bytes ? n : current->bytes;
    }
}
