/*
 * window.h: rows that are read and not dealt yet, sorted for dealing: the costliest first, and rows
 * whose prompts begin alike next to one another.
 *
 * A row's cost is estimated from its line: bytes of its prompt and tokens that it may generate.
 * Prompts are compared as text, not as tokens: it is enough that such rows reach one rank together,
 * which finds the shared prefix itself.
 *
 * Memory: the lines, up to bytes_max, and the first 512 bytes of each prompt.
 */
#ifndef ZOO_CLUSTER_WINDOW_H
#define ZOO_CLUSTER_WINDOW_H

#include "base/input.h"

enum { ZOO_WINDOW_ROWS = 4096, ZOO_WINDOW_KEY = 512, ZOO_WINDOW_ALIKE = 128 };

typedef struct zoo_deal_row {
    uint64_t number; /* of its line, from 1 */
    uint64_t place;  /* among the rows of this run, from 0 */
    zoo_id id;
    uint64_t n;   /* bytes of the line */
    double work;  /* estimate, in generated tokens */
    double begun; /* for the dealer: what a row of its peer had cost when this one began; negative:
                     it waits there */
    bool is_duplicate;
    bool has_text;  /* false: the line is longer than a line may be */
    uint32_t group; /* rows of a group begin alike; 0: of no group */
    uint32_t n_key;
    char *key;   /* [n_key], the beginning of the prompt; the row's own */
    char text[]; /* [n] when has_text */
} zoo_deal_row;

typedef struct zoo_window {
    zoo_deal_row **rows; /* [n], the row to be dealt first at the end */
    size_t n, capacity;
    size_t bytes;
    double work; /* of all rows in it */
} zoo_window;

/* The row of a line, the caller's; *custom_id is set when *has_id. Null: no memory. */
zoo_deal_row *zoo_deal_row_new(const zoo_input_line *line, bool *has_id, zoo_id *custom_id);
void zoo_deal_row_free(zoo_deal_row *row);

/* Takes over the row; unsorted until zoo_window_sort. False: no memory, the caller keeps the row.
 */
bool zoo_window_add(zoo_window *window, zoo_deal_row *row);
void zoo_window_sort(zoo_window *window);
/* The next row, from then on the caller's, or null. like: only a row of its group (0 with 0); null:
 * any. */
zoo_deal_row *zoo_window_next(zoo_window *window, const zoo_deal_row *like);
/* Estimated work of the next row; 0: none. */
double zoo_window_peek(const zoo_window *window);
void zoo_window_free(zoo_window *window);

#endif
