/*
 * rooms.h: the folders of host/: data goes one way through them.
 *
 * The table in rooms.c is the order. A file includes its own room and rooms of a lower level,
 * always with the folder in the path. A room to add is a row of the table and a README.md.
 */
#ifndef LINT_ROOMS_H
#define LINT_ROOMS_H

#include "rules.h"

typedef struct lint_rooms lint_rooms; /* what was seen of the tree */

/* Null: out of memory. */
lint_rooms *rooms_new(void);
void rooms_free(lint_rooms *rooms);

/* Index of the room that a path of the tree lies in ("host/x.c": the room above all); -1: not in
 * host/; -2: in a folder of host/ that the table does not know. */
int rooms_of(const char *path);

/*
 * Why a file of host/ may not include target, written as `written`; null: it may. Both paths are
 * those of the tree. The text lives until the next call.
 */
const char *rooms_refuse(const char *path, const char *written, const char *target);

/* Notes a file, and one include of it. */
void rooms_add_file(lint_rooms *rooms, const char *path);
void rooms_add_include(lint_rooms *rooms, const char *path, const char *target);

/* What no single file shows: too many files in a room, its README.md, circles of includes. */
void rooms_check(const lint_rooms *rooms, const char *root, const lint_sink *sink);

/* One line a room: what it includes. */
void rooms_print(const lint_rooms *rooms);

#endif
