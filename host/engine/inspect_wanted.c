/*
 * inspect_wanted.c: the tensors that a plan asks for, one line for all that differ in numbers of
 * layers and experts alone. Works on a plan that was laid out without tensors.
 *
 * Memory: one table of lines.
 */
#include <string.h>

#include "base/mem.h"
#include "config/tensor_names.h"
#include "engine/engine_private.h"
#include "engine/inspect.h"

enum { LINES_MAX = 256 };

typedef struct wanted_line {
    char name[ZOO_NAME_MAX];
    uint64_t rows, cols, n;
    bool optional;
} wanted_line;

typedef struct wanted_list {
    wanted_line *lines; /* [LINES_MAX] */
    uint32_t n_lines, n_more;
} wanted_list;

void zoo_name_skeleton(const char *name, char *out, size_t n)
{
    size_t k = 0;
    for (const char *c = name; *c && k + 1 < n; c++) {
        bool digit = *c >= '0' && *c <= '9';
        if (digit && k && out[k - 1] == '#') {
            continue;
        }
        out[k++] = digit ? '#' : *c;
    }
    out[k] = '\0';
}

static void add(wanted_list *list, const char *name, const wanted_line *as)
{
    char line[ZOO_NAME_MAX];
    zoo_name_skeleton(name, line, sizeof line);
    for (uint32_t i = 0; i < list->n_lines; i++) {
        wanted_line *l = &list->lines[i];
        if (strcmp(l->name, line) == 0 && l->rows == as->rows && l->cols == as->cols) {
            l->n += as->n;
            return;
        }
    }
    if (list->n_lines == LINES_MAX) {
        list->n_more++;
        return;
    }
    list->lines[list->n_lines] = *as;
    (void)snprintf(list->lines[list->n_lines++].name, ZOO_NAME_MAX, "%s", line);
}

static uint32_t param(const void *params, uint32_t offset, uint32_t none)
{
    uint32_t value = none;
    if (offset != ZOO_NONE) {
        memcpy(&value, (const char *)params + offset, sizeof value);
    }
    return value;
}

static wanted_line line_of(const zoo_bound *bound, const zoo_bind *bind)
{
    wanted_line l = {.rows = param(bound->params, bind->rows, 1),
                     .cols = param(bound->params, bind->cols, 1),
                     .n = 1,
                     .optional = bind->flags & ZOO_BIND_OPTIONAL};
    uint64_t experts = param(bound->params, bind->experts, 1);
    if (bind->map != ZOO_NONE) {
        const zoo_rowmap *map = (const void *)((const char *)bound->params + bind->map);
        l.rows = map->total ? map->total : l.rows;
    }
    if (bind->flags & ZOO_BIND_MAP_STORED) { /* a transposed matrix inside a longer one */
        l.cols = param(bound->params, bind->rows, 1);
    } else if (bind->flags & ZOO_BIND_TRANSPOSED) {
        uint64_t rows = l.rows;
        l.rows = l.cols;
        l.cols = rows;
    }
    l.n = strstr(bind->name, "%u") ? experts : 1;
    l.rows *= l.n == 1 ? experts : 1;
    return l;
}

static void add_block(wanted_list *list, const zoo_bound *bound)
{
    bool filled = false; /* an earlier row is the same field */
    for (const zoo_bind *b = bound->ops ? bound->ops->binds : NULL; b && b->name; b++) {
        bool more = b[1].name && b[1].field == b->field && (b->flags & ZOO_BIND_OR_NEXT);
        bool wanted = !filled && param(bound->params, b->when, 1) != 0;
        filled = (filled || wanted) && more;
        if (wanted) {
            char name[ZOO_NAME_MAX];
            const char *path = b->flags & ZOO_BIND_ABSOLUTE ? "" : bound->path;
            wanted_line l = line_of(bound, b);
            (void)snprintf(name, sizeof name, "%s%s%s", path, *path ? "." : "", b->name);
            char *mark = strstr(name, "%u");
            if (mark) {
                mark[0] = '0';
                memmove(mark + 1, mark + 2, strlen(mark + 2) + 1);
            }
            add(list, name, &l);
        }
    }
}

static void add_norm(wanted_list *list, const char *path, uint32_t width, const zoo_norm *norm)
{
    if (!norm || norm->kind == ZOO_NORM_NONE) {
        return;
    }
    char name[ZOO_NAME_MAX];
    const char *own = norm->name ? norm->name : "";
    const char *dot = *path && *own ? "." : "";
    wanted_line l = {.rows = norm->width ? norm->width : width, .cols = 1, .n = 1};
    const char *const suffixes[] = {norm->has_weight ? "weight" : NULL,
                                    norm->has_bias ? "bias" : NULL};
    for (size_t i = 0; i < ZOO_COUNT(suffixes); i++) {
        if (suffixes[i]) {
            (void)snprintf(name, sizeof name, "%s%s%s.%s", path, dot, own, suffixes[i]);
            add(list, name, &l);
        }
    }
}

static void add_part(wanted_list *list, const zoo_model *m, const char *path, const zoo_bound *part)
{
    uint32_t width =
        part->part && part->part->width_in ? part->part->width_in : m->plan.hidden_size;
    add_norm(list, path, width, part->norm.norm);
    add_block(list, part);
}

static void add_layer(wanted_list *list, const zoo_model *m, const zoo_bound_layer *bound)
{
    const zoo_layer *l = bound->layer;
    for (uint32_t i = 0; i < l->n_parts && l->ops; i++) {
        add_part(list, m, l->path, &bound->parts[i]);
    }
    if (l->ops) {
        add_block(list, &bound->own);
        return;
    }
    for (uint32_t i = 0; i < l->n_branches; i++) {
        for (uint32_t k = 0; k < l->branches[i].n_parts; k++) {
            add_part(list, m, l->path, &bound->branches[i].parts[k]);
        }
        add_norm(list, l->path, m->plan.hidden_size, &l->branches[i].post);
        add_norm(list, l->path, m->plan.hidden_size, &l->branches[i].after);
    }
}

static void add_ends(wanted_list *list, const zoo_model *m)
{
    const zoo_plan *plan = &m->plan;
    char name[ZOO_NAME_MAX];
    wanted_line l = {.rows = plan->embed_rows ? plan->embed_rows : plan->vocab_size,
                     .cols = plan->embed_width ? plan->embed_width : plan->hidden_size,
                     .n = 1};
    (void)snprintf(name, sizeof name, "%s.weight", plan->embed_path);
    add(list, name, &l);
    l.rows = plan->vocab_size;
    if (plan->n_epilogue) {
        const zoo_part *last = &plan->epilogue[plan->n_epilogue - 1];
        l.cols = last->width_out ? last->width_out : plan->hidden_size;
    } else {
        l.cols = plan->hidden_size;
    }
    add_norm(list, "", (uint32_t)l.cols, &plan->norm);
    if (!plan->tied) {
        (void)snprintf(name, sizeof name, "%s.weight", plan->head_path);
        add(list, name, &l);
    }
}

zoo_status zoo_inspect_wanted(const zoo_model *m, FILE *out, zoo_error *err)
{
    wanted_list list = {.lines = zoo_mem_array(LINES_MAX, sizeof(wanted_line))};
    if (!list.lines) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < m->plan.n_prologue; i++) {
        add_part(&list, m, "", &m->prologue[i]);
    }
    for (uint32_t i = 0; i < m->plan.n_layers; i++) {
        add_layer(&list, m, &m->layers[i]);
    }
    for (uint32_t i = 0; i < m->plan.n_epilogue; i++) {
        add_part(&list, m, "", &m->epilogue[i]);
    }
    add_ends(&list, m);
    (void)fprintf(out, "tensors that it wants, by the names that plugins use:\n");
    for (uint32_t i = 0; i < list.n_lines; i++) {
        const wanted_line *l = &list.lines[i];
        char shape[64];
        unsigned long long rows = l->rows, cols = l->cols;
        (void)(cols > 1 ? snprintf(shape, sizeof shape, "[%llu, %llu]", rows, cols)
                        : snprintf(shape, sizeof shape, "[%llu]", rows));
        (void)fprintf(out, "  %-56s %s%s x %llu\n", l->name, shape, l->optional ? " or none" : "",
                      (unsigned long long)l->n);
    }
    if (list.n_more) {
        (void)fprintf(out, "  and %u others\n", list.n_more);
    }
    zoo_mem_free(list.lines);
    return ZOO_OK;
}
