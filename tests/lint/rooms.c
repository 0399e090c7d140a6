/*
 * rooms.c: see rooms.h.
 *
 * Memory: a few numbers a room, and the graph of includes.
 */
#include "rooms.h"

#include "circles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { C_FILES_MAX = 20, README_LINES_MAX = 15, PATH_MAX_BYTES = 1024 };

typedef struct room {
    const char *name; /* folder below host/ */
    int level;        /* may include what has a lower one */
    int is_large;     /* any number of files: one subject in many parts, or a file a command */
} room;

static const room table[] = {
    {"base", 0, 0},
    {"checkpoint", 1, 0},
    {"cache", 1, 0},
    {"kernels", 1, 1},
    {"text/jinja", 1, 1},
    {"text/output", 1, 1},
    {"text/tokenizer", 1, 1},
    {"text/grammar", 2, 1},
    {"config", 3, 0},
    {"model", 4, 0},
    {"engine", 5, 0},
    {"generate", 6, 0},
    {"batch", 7, 0},
    {"evaluate", 7, 0},
    {"serve", 8, 0},
    {"quantise", 8, 0},
    {"explain", 5, 0},
    {"gallery", 6, 0},
    {"adding", 8, 0},
    {"cluster", 8, 0},
    {"commands", 9, 1},
    {"api", 8, 0},
    {"", 10, 0} /* main.c */
};
enum { ROOMS = sizeof table / sizeof table[0], TOP = ROOMS - 1 };

struct lint_rooms {
    int n_c_files[ROOMS];
    int n_includes[ROOMS][ROOMS];
    circles *files; /* includes between files */
};

lint_rooms *rooms_new(void)
{
    lint_rooms *rooms = calloc(1, sizeof *rooms);
    if (rooms && !(rooms->files = circles_new())) {
        free(rooms);
        rooms = NULL;
    }
    return rooms;
}

void rooms_free(lint_rooms *rooms)
{
    if (rooms) {
        circles_free(rooms->files);
        free(rooms);
    }
}

int rooms_of(const char *path)
{
    const char *name = path + strlen("host/"), *slash;
    if (strncmp(path, "host/", strlen("host/")) != 0) {
        return -1;
    }
    slash = strrchr(name, '/');
    for (int i = 0; i < ROOMS; i++) {
        size_t n = strlen(table[i].name);
        if (slash ? n == (size_t)(slash - name) && memcmp(name, table[i].name, n) == 0 : n == 0) {
            return i;
        }
    }
    return -2;
}

const char *rooms_refuse(const char *path, const char *written, const char *target)
{
    static char what[2 * PATH_MAX_BYTES];
    int from = rooms_of(path), to = rooms_of(target);
    if (from == -2) {
        return "lies in no room of tests/lint/rooms.c";
    }
    if (from < 0 || to == -1) {
        return NULL;
    }
    if (strcmp(written, target + strlen("host/")) != 0) {
        (void)snprintf(what, sizeof what, "\"%s\" must be written \"%s\"", written,
                       target + strlen("host/"));
        return what;
    }
    if (to < 0 || (to != from && table[to].level >= table[from].level)) {
        (void)snprintf(what, sizeof what, "%s does not lie below %s", target,
                       from == TOP ? "main" : table[from].name);
        return what;
    }
    return NULL;
}

void rooms_add_file(lint_rooms *rooms, const char *path)
{
    int at = rooms_of(path);
    size_t n = strlen(path);
    if (at >= 0 && n > 2 && strcmp(path + n - 2, ".c") == 0) {
        rooms->n_c_files[at]++;
    }
}

void rooms_add_include(lint_rooms *rooms, const char *path, const char *target)
{
    int from = rooms_of(path), to = rooms_of(target);
    if (from >= 0 && to >= 0) {
        rooms->n_includes[from][to]++;
        circles_edge(rooms->files, path, target);
    }
}

/* Lines of a file, or -1 where there is none. */
static int count_lines(const char *path)
{
    FILE *in = fopen(path, "rb");
    int n = 0, c;
    if (!in) {
        return -1;
    }
    while ((c = getc(in)) != EOF) {
        n += c == '\n';
    }
    (void)fclose(in);
    return n;
}

static void check_readme(int at, const char *root, const lint_sink *sink)
{
    char path[2 * PATH_MAX_BYTES], what[80];
    const char *slash = *table[at].name ? "/" : "";
    (void)snprintf(path, sizeof path, "%s/host/%s%sREADME.md", root, table[at].name, slash);
    int n = count_lines(path);
    if (n < 0 || n > README_LINES_MAX) {
        (void)snprintf(what, sizeof what, n < 0 ? "host/%s has no README.md" : "%s: %d lines",
                       n < 0 ? table[at].name : "README.md", n);
        sink->found(sink->user, RULE_ROOMS, *table[at].name ? table[at].name : "host", what);
    }
}

static void found_circle(void *user, const char *members)
{
    const lint_sink *sink = user;
    sink->found(sink->user, RULE_ROOMS, "circle", members);
}

void rooms_check(const lint_rooms *rooms, const char *root, const lint_sink *sink)
{
    for (int i = 0; i < ROOMS; i++) {
        char what[80];
        if (rooms->n_c_files[i] == 0) {
            continue;
        }
        sink->measured(sink->user, RULE_ROOMS, table[i].is_large ? 0 : rooms->n_c_files[i]);
        if (!table[i].is_large && rooms->n_c_files[i] > C_FILES_MAX) {
            (void)snprintf(what, sizeof what, "%d .c files (limit %d)", rooms->n_c_files[i],
                           C_FILES_MAX);
            sink->found(sink->user, RULE_ROOMS, table[i].name, what);
        }
        check_readme(i, root, sink);
    }
    circles_find(rooms->files, found_circle, (void *)(size_t)sink);
}

void rooms_print(const lint_rooms *rooms)
{
    for (int i = ROOMS - 1; i >= 0; i--) {
        if (rooms->n_c_files[i] == 0) {
            continue;
        }
        printf("# room %-15s %2d files ->", i == TOP ? "main" : table[i].name, rooms->n_c_files[i]);
        for (int k = ROOMS - 1; k >= 0; k--) {
            if (k != i && rooms->n_includes[i][k]) {
                printf(" %s(%d)", table[k].name, rooms->n_includes[i][k]);
            }
        }
        (void)putchar('\n');
    }
}
