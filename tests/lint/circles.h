/*
 * circles.h: circles of a graph whose nodes are names: files that include one another, files that
 * use one another's functions.
 */
#ifndef LINT_CIRCLES_H
#define LINT_CIRCLES_H

#include <stdio.h>

typedef struct circles circles;

/* Null: out of memory. */
circles *circles_new(void);
void circles_free(circles *graph);

/* An edge between two names, which are copied. Ends the program when memory is out. */
void circles_edge(circles *graph, const char *from, const char *to);

/* Calls found with the members of each circle, sorted, blanks between. Returns their number. */
int circles_find(const circles *graph, void (*found)(void *user, const char *members), void *user);

/*
 * Edges between object files, each of which uses a name that the next defines: lines
 * "FILE: NAME TYPE ..." of nm -A --format=posix. A file is named by its path after ".dir/",
 * without ".c.o".
 */
void circles_read_symbols(circles *graph, FILE *in);

#endif
