/* nearest.c: edit distance with three rows on the stack; words longer than ZOO_WORD_MAX are
 * skipped. */
#include "config/nearest.h"

#include <string.h>

/* Damerau-Levenshtein distance (optimal string alignment). */
static uint32_t distance(const char *a, const char *b)
{
    uint32_t rows[3][ZOO_WORD_MAX + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > ZOO_WORD_MAX || m > ZOO_WORD_MAX) {
        return UINT32_MAX;
    }
    for (uint32_t j = 0; j <= m; j++) {
        rows[0][j] = j;
    }
    for (uint32_t i = 1; i <= n; i++) {
        uint32_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (uint32_t j = 1; j <= m; j++) {
            uint32_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            row[j] = swapped && before[j - 2] + 1 < best ? before[j - 2] + 1 : best;
        }
    }
    return rows[n % 3][m];
}

void zoo_nearest_try(zoo_nearest *n, const char *candidate)
{
    uint32_t d = strlen(candidate) < sizeof n->text ? distance(n->word, candidate) : UINT32_MAX;
    if (d != UINT32_MAX && (!n->text[0] || d < n->distance)) {
        n->distance = d;
        (void)snprintf(n->text, sizeof n->text, "%s", candidate);
    }
}

bool zoo_nearest_is_close(const zoo_nearest *n)
{
    size_t length = strlen(n->word);
    return n->text[0] && n->distance > 0 && n->distance <= (length > 8 ? 2u : 1u) && length > 3;
}
