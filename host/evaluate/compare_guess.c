/*
 * compare_guess.c: what kind of mistake a wrong tensor looks like.
 *
 * Each test asks whether a simple change of the computed values gives the reference: one factor,
 * one factor per column, one vector added to each row, the same values in another order, whole rows
 * right and others wrong. A guess is a hint for a reader, never a verdict.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "evaluate/compare.h"

typedef struct pair {
    const float *x, *y;
    uint64_t n_rows, width;
    double limit;
    double power; /* sum of y^2 */
} pair;

static double row_nmse(const pair *p, uint64_t row)
{
    double error = 0, power = 0;
    for (uint64_t i = row * p->width; i < (row + 1) * p->width; i++) {
        double d = (double)p->x[i] - (double)p->y[i];
        error += d * d;
        power += (double)p->y[i] * (double)p->y[i];
    }
    return power > 0 ? error / power : error;
}

/* nmse that is left after x is multiplied by the best single factor. */
static double one_factor(const pair *p, double *factor)
{
    double xy = 0, xx = 0;
    for (uint64_t i = 0; i < p->n_rows * p->width; i++) {
        xy += (double)p->x[i] * (double)p->y[i];
        xx += (double)p->x[i] * (double)p->x[i];
    }
    *factor = xx > 0 ? xy / xx : 0;
    double error = p->power - *factor * xy;
    return p->power > 0 ? fmax(error, 0) / p->power : 1;
}

/* nmse left after one factor, or one addend, per column;
 * both need several rows to mean anything. */
static double per_column(const pair *p, bool add, uint64_t *n_columns, uint64_t *last)
{
    double left = 0;
    *n_columns = 0;
    for (uint64_t c = 0; c < p->width; c++) {
        double xy = 0, xx = 0, d = 0, error = 0, own = 0;
        for (uint64_t r = 0; r < p->n_rows; r++) {
            double x = (double)p->x[r * p->width + c], y = (double)p->y[r * p->width + c];
            xy += x * y;
            xx += x * x;
            d += y - x;
            own += (y - x) * (y - x);
        }
        double change = add ? d / (double)p->n_rows : (xx > 0 ? xy / xx : 0);
        for (uint64_t r = 0; r < p->n_rows; r++) {
            double x = (double)p->x[r * p->width + c], y = (double)p->y[r * p->width + c];
            double e = add ? x + change - y : x * change - y;
            error += e * e;
        }
        left += error;
        if (own > p->power * p->limit / (double)p->width) {
            ++*n_columns;
            *last = c;
        }
    }
    return p->power > 0 ? left / p->power : 1;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static bool same_values(const pair *p)
{
    size_t n = (size_t)p->width;
    float *rows = zoo_mem_array(2 * n, sizeof(float));
    double error = 0, power = 0;
    for (uint64_t r = 0; rows && r < p->n_rows; r++) {
        memcpy(rows, p->x + r * n, n * sizeof(float));
        memcpy(rows + n, p->y + r * n, n * sizeof(float));
        qsort(rows, n, sizeof(float), by_value);
        qsort(rows + n, n, sizeof(float), by_value);
        for (size_t i = 0; i < n; i++) {
            double d = (double)rows[i] - (double)rows[n + i];
            error += d * d;
            power += (double)rows[n + i] * (double)rows[n + i];
        }
    }
    bool same = rows && power > 0 && error / power < p->limit * 10 + 1e-7;
    zoo_mem_free(rows);
    return same;
}

static bool has_word(const char *name, const char *const *words, size_t n)
{
    const char *dot = strrchr(name, '.');
    const char *last = dot ? dot + 1 : name;
    for (size_t i = 0; i < n; i++) {
        if (strstr(last, words[i])) {
            return true;
        }
    }
    return false;
}

static bool guess_rows(const char *name, const pair *p, char *text, size_t n)
{
    static const char *const mixers[] = {"attn", "attention", "mixer", "ssm", "rec"};
    static const char *const ffns[] = {"mlp", "moe", "feed", "ffn", "experts"};
    uint64_t n_right = 0, first_wrong = p->n_rows, last_right = 0;
    for (uint64_t r = 0; r < p->n_rows; r++) {
        bool right = row_nmse(p, r) <= p->limit * 10;
        n_right += right;
        last_right = right ? r : last_right;
        first_wrong = !right && first_wrong == p->n_rows ? r : first_wrong;
    }
    if (n_right == 0 || n_right == p->n_rows) {
        return false;
    }
    bool tail = last_right < first_wrong;
    if (tail && first_wrong == 1 && has_word(name, mixers, ZOO_COUNT(mixers))) {
        (void)snprintf(
            text, n,
            "position 0 is right, all later ones are wrong: rotary (halves swapped or interleaved, "
            "theta, scaling), q and k (heads, norms), scale, softcap or mask of the scores");
    } else if (tail && first_wrong > 1) {
        (void)snprintf(text, n,
                       "right up to position %llu: a window, chunk, rotary scaling or limit that "
                       "begins to act "
                       "there",
                       (unsigned long long)first_wrong - 1);
    } else if (has_word(name, ffns, ZOO_COUNT(ffns))) {
        (void)snprintf(text, n,
                       "%llu of %llu rows are right: routing chose other experts for the rest",
                       (unsigned long long)n_right, (unsigned long long)p->n_rows);
    } else {
        (void)snprintf(text, n, "%llu of %llu rows are right, first wrong one is %llu",
                       (unsigned long long)n_right, (unsigned long long)p->n_rows,
                       (unsigned long long)first_wrong);
    }
    return true;
}

/* What is wrong in every row, position 0 included, and has no simple form: by module. */
static bool guess_module(const char *name, double left, char *text, size_t n)
{
    static const char *const mixers[] = {"attn", "attention"};
    static const char *const ffns[] = {"mlp", "feed", "ffn"};
    if (has_word(name, mixers, ZOO_COUNT(mixers))) {
        (void)snprintf(text, n,
                       "position 0, which sees itself alone, is wrong too: values or the output "
                       "projection (heads transposed or in another order), a gate, or the norm "
                       "before");
        return true;
    }
    if (has_word(name, ffns, ZOO_COUNT(ffns)) && left > 0.02 && left <= 0.98) {
        (void)snprintf(
            text, n,
            "every row is wrong but related (%.0f %% of the power): gate and up exchanged, "
            "or another activation",
            100 * left);
        return true;
    }
    return false;
}

static bool guess_columns(const pair *p, char *text, size_t n)
{
    uint64_t n_columns = 0, column = 0;
    if (p->n_rows < 3) {
        return false;
    }
    if (per_column(p, false, &n_columns, &column) <= p->limit) {
        if (n_columns == 1) {
            (void)snprintf(text, n,
                           "one factor in column %llu alone: one weight of a norm or scale",
                           (unsigned long long)column);
        } else {
            (void)snprintf(
                text, n,
                "a fixed factor in each of %llu columns: a norm's weight (w or 1 + w?) or a scale "
                "vector",
                (unsigned long long)n_columns);
        }
        return true;
    }
    if (per_column(p, true, &n_columns, &column) <= p->limit) {
        (void)snprintf(text, n, "the same vector is missing from every row (%llu columns): a bias",
                       (unsigned long long)n_columns);
        return true;
    }
    return false;
}

/* nmse left after one factor for each row; the smallest and largest of them. */
static double per_row(const pair *p, double *least, double *most)
{
    double left = 0;
    *least = INFINITY;
    *most = -INFINITY;
    for (uint64_t r = 0; r < p->n_rows; r++) {
        double xy = 0, xx = 0, yy = 0;
        for (uint64_t i = r * p->width; i < (r + 1) * p->width; i++) {
            xy += (double)p->x[i] * (double)p->y[i];
            xx += (double)p->x[i] * (double)p->x[i];
            yy += (double)p->y[i] * (double)p->y[i];
        }
        double factor = xx > 0 ? xy / xx : 0;
        left += fmax(yy - factor * xy, 0);
        *least = fmin(*least, factor);
        *most = fmax(*most, factor);
    }
    return p->power > 0 ? left / p->power : 1;
}

static bool guess_row_factors(const pair *p, char *text, size_t n)
{
    double least = 0, most = 0;
    if (p->n_rows < 2 || per_row(p, &least, &most) > p->limit * 10 || least <= 0) {
        return false;
    }
    (void)snprintf(text, n,
                   "each row has a factor of its own (%.6g to %.6g): eps of a norm, or a norm too "
                   "many or too few",
                   least, most);
    return true;
}

/* y = cap tanh(x / cap): the cap that the largest value asks for, by bisection. */
static double cap_of(double x, double y)
{
    double low = y, high = 1e6 * y;
    for (int i = 0; i < 200; i++) {
        double cap = sqrt(low * high);
        if (cap * tanh(x / cap) < y) {
            low = cap;
        } else {
            high = cap;
        }
    }
    return low;
}

static bool guess_cap(const pair *p, char *text, size_t n)
{
    uint64_t at = 0, count = p->n_rows * p->width;
    for (uint64_t i = 1; i < count; i++) {
        at = fabsf(p->x[i]) > fabsf(p->x[at]) ? i : at;
    }
    for (int there = 0; there < 2; there++) { /* the reference has the cap, or we have */
        const float *x = there ? p->y : p->x, *y = there ? p->x : p->y;
        double most = fabs((double)x[at]), capped = fabs((double)y[at]), error = 0;
        if (!(most > capped * 1.000001) || capped <= 0) {
            continue;
        }
        double cap = cap_of(most, capped);
        for (uint64_t i = 0; i < count; i++) {
            double d = cap * tanh((double)x[i] / cap) - (double)y[i];
            error += d * d;
        }
        if (error <= p->power * fmax(p->limit * 10, 1e-7)) {
            (void)snprintf(text, n, "the %s a soft cap of %.4g (cap tanh(x / cap))%s",
                           there ? "reference does not have" : "reference has", cap,
                           there ? " that is here" : ", which is missing here");
            return true;
        }
    }
    return false;
}

void zoo_compare_guess(const zoo_compare_pair *given, char *text, size_t n)
{
    const char *name = given->name;
    const float *x = given->x, *y = given->y;
    uint64_t n_rows = given->n_rows, width = given->width;
    double limit = given->limit;
    pair p = {x, y, n_rows, width, limit, 0};
    uint64_t n_bad = 0;
    for (uint64_t i = 0; i < n_rows * width; i++) {
        p.power += (double)y[i] * (double)y[i];
        n_bad += isfinite(x[i]) ? 0u : 1u;
    }
    double factor = 0;
    if (n_bad) {
        (void)snprintf(text, n,
                       "%llu values are not finite: an overflow, or memory that was never written",
                       (unsigned long long)n_bad);
    } else if (one_factor(&p, &factor) <= limit) {
        (void)snprintf(text, n, "one factor of %.6g makes it right: a scale or multiplier", factor);
    } else if (guess_columns(&p, text, n) || guess_row_factors(&p, text, n) ||
               guess_cap(&p, text, n) || guess_rows(name, &p, text, n)) {
        return;
    } else if (same_values(&p)) {
        (void)snprintf(text, n,
                       "each row holds the right values in another order: a permuted projection");
    } else {
        double left = one_factor(&p, &factor);
        if (guess_module(name, left, text, n)) {
            return;
        }
        (void)snprintf(
            text, n,
            left > 0.5 ? "every row is wrong and hardly related: a transposed, permuted or wrong "
                         "projection, or a wrong norm before it"
                       : "every row is somewhat wrong (%.0f %% of the power): an activation, eps, "
                         "a missing term",
            100 * left);
    }
}
