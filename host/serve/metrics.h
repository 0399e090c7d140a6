/*
 * metrics.h: the server's metrics in Prometheus' text format.
 *
 * Counters are atomic, without locks: each value is consistent in itself, but a page is not a
 * snapshot of one moment.
 */
#ifndef ZOO_SERVE_METRICS_H
#define ZOO_SERVE_METRICS_H

#include <stdatomic.h>

#include "base/json_writer.h"
#include "generate/schedule.h"

enum { ZOO_BUCKETS = 14 };

/* Seconds in buckets whose bounds grow by about 2.5 each from a millisecond; the last is +Inf. */
typedef struct zoo_histogram {
    atomic_ullong counts[ZOO_BUCKETS + 1];
    atomic_ullong sum_us;
} zoo_histogram;

typedef struct zoo_metrics {
    atomic_ullong requests[6]; /* by the first digit of the status; 0: the client disconnected */
    atomic_ullong prompt_tokens, cached_tokens, new_tokens;
    zoo_histogram first_token, per_token, whole;
} zoo_metrics;

void zoo_metrics_observe(zoo_histogram *histogram, double seconds);
void zoo_metrics_status(zoo_metrics *metrics, uint32_t status);
/* Writes the page. n_inside: requests in the live queue. */
void zoo_metrics_write(const zoo_metrics *metrics, const zoo_schedule_stats *stats,
                       uint32_t n_inside, zoo_out *out);

#endif
