/*
 * circles.c: see circles.h. Strongly connected components by Tarjan (1972).
 *
 * Memory: a few dozen bytes a name and an edge. Recursion is as deep as the longest path.
 */
#include "circles.h"

#include <stdlib.h>
#include <string.h>

typedef struct edge {
    int from, to;
} edge;

typedef struct symbol {
    char *name;
    int file;
    int is_defined;
} symbol;

struct circles {
    char **names;
    edge *edges;
    int n_names, n_edges, names_max, edges_max;
};

typedef struct search {
    const circles *graph;
    int *index, *low, *stack; /* [n_names]; index 0: not visited, below 0: left */
    int n_stack, n_seen, n_found;
    void (*found)(void *user, const char *members);
    void *user;
} search;

static void *must(void *block)
{
    if (!block) {
        printf("Bail out! no memory\n");
        exit(1);
    }
    return block;
}

circles *circles_new(void)
{
    return calloc(1, sizeof(circles));
}

void circles_free(circles *g)
{
    for (int i = 0; g && i < g->n_names; i++) {
        free(g->names[i]);
    }
    if (g) {
        free(g->names);
        free(g->edges);
        free(g);
    }
}

static int name_of(circles *g, const char *name)
{
    for (int i = 0; i < g->n_names; i++) {
        if (strcmp(g->names[i], name) == 0) {
            return i;
        }
    }
    if (g->n_names == g->names_max) {
        g->names_max = g->names_max ? 2 * g->names_max : 256;
        g->names = must(realloc(g->names, (size_t)g->names_max * sizeof *g->names));
    }
    g->names[g->n_names] = must(strdup(name));
    return g->n_names++;
}

static void add_edge(circles *g, int from, int to)
{
    if (g->n_edges == g->edges_max) {
        g->edges_max = g->edges_max ? 2 * g->edges_max : 1024;
        g->edges = must(realloc(g->edges, (size_t)g->edges_max * sizeof *g->edges));
    }
    g->edges[g->n_edges++] = (edge){from, to};
}

void circles_edge(circles *g, const char *from, const char *to)
{
    int a = name_of(g, from);
    add_edge(g, a, name_of(g, to));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void tell(search *s, int *members, int n)
{
    char **names = must(calloc((size_t)n, sizeof *names)), *text;
    size_t bytes = 1;
    for (int i = 0; i < n; i++) {
        names[i] = s->graph->names[members[i]];
        bytes += strlen(names[i]) + 1;
    }
    qsort(names, (size_t)n, sizeof *names, by_text);
    text = must(calloc(bytes, 1));
    for (int i = 0; i < n; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, bytes - used, "%s%s", i ? " " : "", names[i]);
    }
    s->n_found++;
    s->found(s->user, text);
    free(text);
    free(names);
}

static void visit(search *s, int at)
{
    const circles *g = s->graph;
    int first = s->n_stack;
    s->index[at] = s->low[at] = ++s->n_seen;
    s->stack[s->n_stack++] = at;
    for (int i = 0; i < g->n_edges; i++) {
        int to = g->edges[i].to;
        if (g->edges[i].from != at || to == at) {
            continue;
        }
        if (s->index[to] == 0) {
            visit(s, to);
        }
        if (s->index[to] > 0 && s->low[to] < s->low[at]) {
            s->low[at] = s->low[to];
        }
    }
    if (s->low[at] == s->index[at]) {
        if (s->n_stack - first > 1) {
            tell(s, s->stack + first, s->n_stack - first);
        }
        while (s->n_stack > first) {
            s->index[s->stack[--s->n_stack]] = -1;
        }
    }
}

int circles_find(const circles *g, void (*found)(void *user, const char *members), void *user)
{
    size_t n = (size_t)g->n_names + 1;
    search s = {.graph = g, .found = found, .user = user};
    s.index = must(calloc(n, sizeof *s.index));
    s.low = must(calloc(n, sizeof *s.low));
    s.stack = must(calloc(n, sizeof *s.stack));
    for (int i = 0; i < g->n_names; i++) {
        if (s.index[i] == 0) {
            visit(&s, i);
        }
    }
    free(s.index);
    free(s.low);
    free(s.stack);
    return s.n_found;
}

/* "build/host/CMakeFiles/x.dir/base/json.c.o" is "base/json". */
static char *cut_path(char *path)
{
    char *dir = strstr(path, ".dir/"), *end;
    path = dir ? dir + strlen(".dir/") : path;
    end = strstr(path, ".c.o");
    if (end) {
        *end = '\0';
    }
    return path;
}

static int by_name(const void *a, const void *b)
{
    const symbol *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : y->is_defined - x->is_defined;
}

/* Each user of a name to its definition, which sorts before it. */
static void connect(circles *g, const symbol *list, size_t n)
{
    const symbol *owner = NULL;
    for (size_t i = 0; i < n; i++) {
        if (list[i].is_defined) {
            owner = &list[i];
        } else if (owner && strcmp(owner->name, list[i].name) == 0) {
            add_edge(g, list[i].file, owner->file);
        }
    }
}

void circles_read_symbols(circles *g, FILE *in)
{
    char line[4096];
    symbol *list = NULL;
    size_t n = 0, most = 0;
    while (fgets(line, sizeof line, in)) {
        char *colon = strstr(line, ": "), *name, *type;
        name = colon ? strtok(colon + 2, " \n") : NULL;
        type = name ? strtok(NULL, " \n") : NULL;
        if (!type || !strchr("TDRBCU", *type)) {
            continue;
        }
        if (n == most) {
            most = most ? 2 * most : 4096;
            list = must(realloc(list, most * sizeof *list));
        }
        *colon = '\0';
        list[n] = (symbol){must(strdup(name)), name_of(g, cut_path(line)), *type != 'U'};
        n++;
    }
    if (n) {
        qsort(list, n, sizeof *list, by_name);
    }
    connect(g, list, n);
    for (size_t i = 0; i < n; i++) {
        free(list[i].name);
    }
    free(list);
}
