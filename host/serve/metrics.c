/* metrics.c: see metrics.h. */
#include "serve/metrics.h"

static const double bounds[ZOO_BUCKETS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                           0.25,  0.5,    1,     2.5,  5,     10,   60};

void zoo_metrics_observe(zoo_histogram *h, double seconds)
{
    uint32_t i = 0;
    while (i < ZOO_BUCKETS && seconds > bounds[i]) {
        i++;
    }
    atomic_fetch_add(&h->counts[i], 1);
    atomic_fetch_add(&h->sum_us, (unsigned long long)(seconds > 0 ? seconds * 1e6 : 0));
}

void zoo_metrics_status(zoo_metrics *m, uint32_t status)
{
    atomic_fetch_add(&m->requests[status / 100 < 6 ? status / 100 : 5], 1);
}

static void write_histogram(zoo_out *out, const char *name, const char *help,
                            const zoo_histogram *h)
{
    unsigned long long n = 0;
    zoo_out_format(out, "# HELP %s %s\n# TYPE %s histogram\n", name, help, name);
    for (uint32_t i = 0; i < ZOO_BUCKETS; i++) {
        n += atomic_load(&h->counts[i]);
        zoo_out_format(out, "%s_bucket{le=\"%g\"} %llu\n", name, bounds[i], n);
    }
    n += atomic_load(&h->counts[ZOO_BUCKETS]);
    zoo_out_format(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name, n, name,
                   (double)atomic_load(&h->sum_us) / 1e6, name, n);
}

static void write_one(zoo_out *out, const char *name, const char *type, const char *help,
                      unsigned long long value)
{
    zoo_out_format(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
                   value);
}

void zoo_metrics_write(const zoo_metrics *m, const zoo_schedule_stats *s, uint32_t n_inside,
                       zoo_out *out)
{
    static const char *const classes[] = {"gone", "1xx", "2xx", "3xx", "4xx", "5xx"};
    zoo_out_text(out, "# HELP lmzoo_requests_total Requests answered, by class of status.\n"
                      "# TYPE lmzoo_requests_total counter\n");
    for (uint32_t i = 0; i < ZOO_COUNT(classes); i++) {
        zoo_out_format(out, "lmzoo_requests_total{status=\"%s\"} %llu\n", classes[i],
                       (unsigned long long)atomic_load(&m->requests[i]));
    }
    write_one(out, "lmzoo_prompt_tokens_total", "counter", "Prompt tokens of finished requests.",
              atomic_load(&m->prompt_tokens));
    write_one(out, "lmzoo_cached_tokens_total", "counter",
              "Prompt tokens of finished requests that were taken from a kept prefix.",
              atomic_load(&m->cached_tokens));
    write_one(out, "lmzoo_new_tokens_total", "counter", "Tokens written by finished requests.",
              atomic_load(&m->new_tokens));
    write_one(out, "lmzoo_steps_total", "counter", "Steps of the model.", s->n_steps);
    write_one(out, "lmzoo_tokens_read_total", "counter", "Prompt tokens computed.", s->n_read);
    write_one(out, "lmzoo_tokens_written_total", "counter", "Tokens sampled.", s->n_written);
    write_one(out, "lmzoo_drafted_tokens_total", "counter",
              "Tokens read ahead before they were sampled.", s->n_drafted);
    write_one(out, "lmzoo_accepted_tokens_total", "counter",
              "Of those read ahead, the ones that were then sampled.", s->n_accepted);
    write_one(out, "lmzoo_requests_inside", "gauge", "Requests that wait or run.", n_inside);
    write_one(out, "lmzoo_sequences_running", "gauge", "Sequences of the present step.",
              s->n_running);
    write_one(out, "lmzoo_sequences_waiting", "gauge", "Sequences that wait for room.",
              s->n_waiting);
    write_one(out, "lmzoo_resumed_total", "counter",
              "Sequences that started from what an ended request left.", s->n_resumed);
    write_one(out, "lmzoo_kept_prefixes", "gauge", "Beginnings kept of ended requests.", s->n_kept);
    zoo_out_format(out,
                   "# HELP lmzoo_cache_fill Part of the cache's pages that is held or promised.\n"
                   "# TYPE lmzoo_cache_fill gauge\nlmzoo_cache_fill %.4f\n",
                   s->cache_fill);
    write_histogram(out, "lmzoo_first_token_seconds", "From the request to its first text.",
                    &m->first_token);
    write_histogram(out, "lmzoo_token_seconds", "Time a token, from the first text on.",
                    &m->per_token);
    write_histogram(out, "lmzoo_request_seconds", "From the request to its end.", &m->whole);
}
