/*
 * window.h: rows that are read and not dealt yet, in the order in which they are dealt: the longest
 * first, and rows that begin alike behind one another.
 *
 * What a row will cost is guessed from its line: bytes of its prompt and tokens it may write. What
 * rows have in common is seen in the text of prompts and messages, not in tokens: the ranks find
 * the shared prefix themselves, if they get such rows together.
 *
 * Memory: the lines, up to bytes_max, and 512 bytes of each prompt.
 */
#ifndef ZOO_CLUSTER_WINDOW_H
#define ZOO_CLUSTER_WINDOW_H

#include "base/input.h"

enum { ZOO_WINDOW_ROWS = 4096, ZOO_WINDOW_KEY = 512, ZOO_WINDOW_ALIKE = 128 };

typedef struct zoo_deal_row {
    uint64_t number, place; /* line number; among the rows of this run */
    zoo_id id;
    uint64_t n;
    double work; /* about what a new token costs */
    bool is_duplicate, has_text;
    uint32_t group; /* rows of one group begin alike; 0: alone */
    uint32_t n_key;
    char *key;   /* [n_key]: how its prompt begins */
    char text[]; /* [n], when has_text */
} zoo_deal_row;

typedef struct zoo_window {
    zoo_deal_row **rows; /* [n], the first to be dealt last */
    size_t n, capacity;
    size_t bytes;
    double work; /* of all rows in it */
} zoo_window;

/* The row of a line; *custom_id is set when *has_id. Null: no memory. The owner frees it. */
zoo_deal_row *zoo_deal_row_new(const zoo_input_line *line, bool *has_id, zoo_id *custom_id);
void zoo_deal_row_free(zoo_deal_row *row);

/* Takes over the row; in no order until zoo_window_sort. False: no memory, the row is not taken. */
bool zoo_window_add(zoo_window *window, zoo_deal_row *row);
void zoo_window_sort(zoo_window *window);
/* The next row, which the caller owns, or null. like: only if it is of that group (or both are
 * alone); null: any. */
zoo_deal_row *zoo_window_next(zoo_window *window, const zoo_deal_row *like);
/* What the next row costs; 0: none. */
double zoo_window_peek(const zoo_window *window);
void zoo_window_free(zoo_window *window);

#endif
