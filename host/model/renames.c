/*
 * renames.c: see renames.h.
 *
 * A part such as "mlp.gate" is compared with every run of as many components in each name. Pairs
 * for what this model lacks (experts of a dense one) resemble no name and are accepted. Memory:
 * none.
 */
#include "model/renames.h"

#include <string.h>

#include "config/nearest.h"
#include "config/tensor_names.h"

/* The part without the dots around it. */
static void strip(const char *part, char out[ZOO_WORD_MAX])
{
    size_t head = strspn(part, "."), n = strlen(part);
    while (n > head && part[n - 1] == '.') {
        n--;
    }
    (void)snprintf(out, ZOO_WORD_MAX, "%.*s", (int)(n > head ? n - head : 0), part + head);
}

static uint32_t n_dots(const char *text)
{
    uint32_t n = 0;
    for (; *text; text++) {
        n += *text == '.';
    }
    return n;
}

/* Every run of n_components components of the name. */
static void try_runs(zoo_nearest *near, const char *name, uint32_t n_components)
{
    for (const char *begin = name; begin; begin = strchr(begin, '.')) {
        begin += *begin == '.';
        const char *end = begin;
        for (uint32_t i = 0; end && i < n_components; i++) {
            end = strchr(end + (i > 0), '.');
            end = !end && i + 1 == n_components ? begin + strlen(begin) : end;
        }
        if (end && end > begin && end - begin < ZOO_WORD_MAX) {
            char run[ZOO_WORD_MAX];
            (void)snprintf(run, sizeof run, "%.*s", (int)(end - begin), begin);
            zoo_nearest_try(near, run);
        }
    }
}

static void try_block(zoo_nearest *near, const zoo_bound *bound, uint32_t n_components)
{
    for (const zoo_bind *b = bound->ops ? bound->ops->binds : NULL; b && b->name; b++) {
        char name[ZOO_NAME_MAX];
        const char *path = b->flags & ZOO_BIND_ABSOLUTE ? "" : bound->path;
        (void)snprintf(name, sizeof name, "%s%s%s", path, *path ? "." : "", b->name);
        try_runs(near, name, n_components);
    }
}

static void try_norm(zoo_nearest *near, const zoo_model *model, const zoo_norm *norm, uint32_t n)
{
    char name[ZOO_NAME_MAX];
    if (norm && norm->kind != ZOO_NORM_NONE && norm->name) {
        const char *path = model->plan.layers[0].path;
        (void)snprintf(name, sizeof name, "%s.%s.weight", path, norm->name);
        try_runs(near, name, n);
    }
}

/* Whatever the plan may ask for: all rows of all blocks, norms and both ends. */
static void try_plan(zoo_nearest *near, const zoo_model *model, uint32_t n_components)
{
    const zoo_plan *plan = &model->plan;
    const char *const ends[] = {plan->embed_path, plan->norm_path, plan->head_path};
    char name[ZOO_NAME_MAX];
    for (uint32_t i = 0; i < model->n_bounds; i++) {
        try_block(near, model->bounds[i], n_components);
        try_norm(near, model, model->bounds[i]->norm.norm, n_components);
    }
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        const zoo_layer *l = &plan->layers[i];
        for (uint32_t b = 0; b < l->n_branches && !l->ops; b++) {
            try_norm(near, model, &l->branches[b].post, n_components);
            try_norm(near, model, &l->branches[b].after, n_components);
        }
    }
    for (size_t i = 0; i < ZOO_COUNT(ends); i++) {
        (void)snprintf(name, sizeof name, "%s.weight", ends[i]);
        try_runs(near, name, n_components);
    }
}

static void try_stored(zoo_nearest *near, const zoo_model *model, uint32_t n_components)
{
    for (size_t i = 0; i < zoo_tensors_count(model->tensors); i++) {
        try_runs(near, zoo_tensors_at(model->tensors, i)->name, n_components);
    }
}

static bool is_stored(const zoo_model *model, const char *part)
{
    for (size_t i = 0; i < zoo_tensors_count(model->tensors); i++) {
        if (strstr(zoo_tensors_at(model->tensors, i)->name, part)) {
            return true;
        }
    }
    return false;
}

static zoo_status judge_part(const zoo_model *model, const char *part, bool stored, zoo_error *err)
{
    char word[ZOO_WORD_MAX];
    strip(part, word);
    zoo_nearest near = {.word = word};
    uint32_t n = n_dots(word) + 1;
    (stored ? try_stored : try_plan)(&near, model, n);
    if (!zoo_nearest_is_close(&near)) {
        return ZOO_OK;
    }
    return zoo_fail(err, ZOO_E_FORMAT,
                    "%s: \"tensors\" names \"%.80s\", part of no tensor %s; did you mean \"%s\"?",
                    model->card->path, part, stored ? "of the file" : "that is wanted", near.text);
}

zoo_status zoo_renames_judge(zoo_model *model, zoo_error *err)
{
    const cJSON *pair = NULL;
    uint32_t i = 0;
    cJSON_ArrayForEach(pair, zoo_card_part(model->card, "tensors"))
    {
        bool used = i >= 64 || (model->renames_used >> i & 1);
        const char *from = pair->child->valuestring, *to = pair->child->next->valuestring;
        zoo_status status = used ? ZOO_OK : judge_part(model, from, false, err);
        ZOO_TRY(zoo_problems_take(model->problems, status, err));
        status = used && !is_stored(model, to) ? judge_part(model, to, true, err) : ZOO_OK;
        ZOO_TRY(zoo_problems_take(model->problems, status, err));
        i++;
    }
    return ZOO_OK;
}
