/*
 * bind.c: gives every bound part its weights and every norm its vectors, then checks for tensors
 * that are left over.
 *
 * Parts of equal ops and path share one weights struct (shared blocks are bound once). A stored
 * tensor in a layer of the plan that no bind row named is refused: ignoring it would silently
 * change the result.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "checkpoint/matrix.h"
#include "config/tensor_names.h"
#include "model/bound_model.h"
#include "model/renames.h"

/* With a problem list, a tensor that does not fit is added to it and binding goes on. */
static zoo_status settle(zoo_model *model, zoo_status status, const zoo_error *err)
{
    return zoo_problems_take(model->problems, status, err);
}

static zoo_status bind_norm(zoo_model *model, const char *path, uint32_t width,
                            zoo_bound_norm *bound, zoo_error *err)
{
    const zoo_norm *norm = bound->norm;
    if (!norm || norm->kind == ZOO_NORM_NONE) {
        return ZOO_OK;
    }
    char name[ZOO_NAME_MAX];
    uint32_t n = norm->width ? norm->width : width;
    const char *own = norm->name ? norm->name : "";
    const char *dot = *path && *own ? "." : "";
    if (norm->has_weight) {
        (void)snprintf(name, sizeof name, "%s%s%s.weight", path, dot, own);
        ZOO_TRY(
            settle(model, zoo_model_bind_vector(model, name, n, true, &bound->weight, err), err));
    }
    if (norm->has_bias) {
        (void)snprintf(name, sizeof name, "%s%s%s.bias", path, dot, own);
        ZOO_TRY(settle(model, zoo_model_bind_vector(model, name, n, true, &bound->bias, err), err));
    }
    return ZOO_OK;
}

static zoo_bound *find_shared(const zoo_model *model, const zoo_bound *bound)
{
    for (uint32_t i = 0; i < model->n_bounds && model->bounds[i] != bound; i++) {
        if (!model->bounds[i]->is_remote && model->bounds[i]->ops == bound->ops &&
            strcmp(model->bounds[i]->path, bound->path) == 0) {
            return model->bounds[i];
        }
    }
    return NULL;
}

static zoo_status bind_block(zoo_model *model, zoo_bind_mode mode, zoo_bound *bound, zoo_error *err)
{
    const zoo_block_ops *ops = bound->ops;
    if (!ops || ops->weights_size == 0) {
        return ZOO_OK;
    }
    const zoo_bound *shared = find_shared(model, bound);
    if (shared) {
        bound->weights = shared->weights;
        return ZOO_OK;
    }
    bound->weights = zoo_model_take(model, ops->weights_size);
    if (!bound->weights) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory for the weights of %s", model->folder,
                        bound->path);
    }
    ZOO_TRY(zoo_model_bind_rows(model, mode, bound, err));
    return ops->prepare && mode == ZOO_BIND_PACK
               ? ops->prepare(bound->params, bound->weights, &model->setup, err)
               : ZOO_OK;
}

static zoo_status bind_part(zoo_model *model, zoo_bind_mode mode, const char *layer_path,
                            zoo_bound *bound, zoo_error *err)
{
    uint32_t width = bound->part->width_in ? bound->part->width_in : model->plan.hidden_size;
    ZOO_TRY(bind_norm(model, layer_path, width, &bound->norm, err));
    return bind_block(model, mode, bound, err);
}

static zoo_status bind_branch(zoo_model *model, zoo_bind_mode mode, const char *path,
                              zoo_bound_branch *bound, zoo_error *err)
{
    for (uint32_t i = 0; i < bound->branch->n_parts; i++) {
        ZOO_TRY(bind_part(model, mode, path, &bound->parts[i], err));
    }
    ZOO_TRY(bind_norm(model, path, model->plan.hidden_size, &bound->post, err));
    return bind_norm(model, path, model->plan.hidden_size, &bound->after, err);
}

static zoo_status bind_layer(zoo_model *model, zoo_bind_mode mode, zoo_bound_layer *bound,
                             zoo_error *err)
{
    const zoo_layer *layer = bound->layer;
    for (uint32_t i = 0; i < layer->n_branches && !layer->ops; i++) {
        ZOO_TRY(bind_branch(model, mode, layer->path, &bound->branches[i], err));
    }
    for (uint32_t i = 0; i < layer->n_parts && layer->ops; i++) {
        ZOO_TRY(bind_part(model, mode, layer->path, &bound->parts[i], err));
    }
    return layer->ops ? bind_block(model, mode, &bound->own, err) : ZOO_OK;
}

static zoo_status bind_head(zoo_model *model, zoo_bind_mode mode, zoo_error *err)
{
    const zoo_plan *plan = &model->plan;
    uint32_t embed_width = plan->embed_width ? plan->embed_width : plan->hidden_size;
    uint32_t rows = plan->vocab_size;
    uint32_t embed_rows = plan->embed_rows ? plan->embed_rows : rows;
    char name[ZOO_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s.weight", plan->embed_path);
    zoo_status status =
        zoo_model_bind_table(model, name, embed_rows, embed_width, &model->embed, err);
    ZOO_TRY(settle(model, status, err));
    if (!plan->tied) {
        (void)snprintf(name, sizeof name, "%s.weight", plan->head_path);
    }
    uint32_t cols = plan->tied ? embed_width : plan->hidden_size;
    if (model->predicts) {
        zoo_model_pass_by(model, name);
        return bind_norm(model, "", cols, &model->norm, err);
    }
    if (plan->n_epilogue) {
        const zoo_part *last = &plan->epilogue[plan->n_epilogue - 1];
        cols = last->width_out ? last->width_out : plan->hidden_size;
    }
    status = zoo_model_bind_head(model, mode, name, rows, cols, &model->head, err);
    ZOO_TRY(settle(model, status, err));
    if (plan->head_bias) {
        (void)snprintf(name, sizeof name, "%s.bias", plan->head_path);
        status = zoo_model_bind_vector(model, name, rows, true, &model->head_bias, err);
        ZOO_TRY(settle(model, status, err));
    }
    return bind_norm(model, "", cols, &model->norm, err);
}

/* Length of a name up to and with its first number, such as "model.layers.12.";
 * 0: no number in it. */
static size_t layer_prefix(const char *name)
{
    for (const char *p = name; *p; p++) {
        if (isdigit((unsigned char)*p) && (p == name || p[-1] == '.')) {
            while (isdigit((unsigned char)*p)) {
                p++;
            }
            return *p == '.' ? (size_t)(p - name) + 1 : 0;
        }
    }
    return 0;
}

static bool in_bound_layer(const zoo_model *model, const char *name)
{
    size_t n = layer_prefix(name);
    for (size_t i = 0; n && i < zoo_tensors_count(model->tensors); i++) {
        const char *other = zoo_tensors_at(model->tensors, i)->name;
        if (model->used[i] && strncmp(other, name, n) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a tensor belongs to a layer after the last one and the card says nothing of it. */
static bool is_surplus(const zoo_model *model, const char *name)
{
    size_t n = layer_prefix(name);
    size_t head = n ? n - 1 : 0;
    while (head && isdigit((unsigned char)name[head - 1])) {
        head--;
    }
    const zoo_config *view = zoo_model_config_view(model->config);
    uint32_t n_layers = view->whole(view, "num_hidden_layers", 0); /* with those passed by */
    n_layers = n_layers > model->plan.n_layers ? n_layers : model->plan.n_layers;
    if (!n || strtoul(name + head, NULL, 10) < n_layers ||
        cJSON_IsTrue(zoo_card_part(model->card, "prediction_layers"))) {
        return false;
    }
    for (size_t i = 0; i < zoo_tensors_count(model->tensors); i++) {
        const char *other = zoo_tensors_at(model->tensors, i)->name;
        if (model->used[i] && strncmp(other, name, head) == 0 &&
            isdigit((unsigned char)other[head])) {
            return true;
        }
    }
    return false;
}

static bool is_ignored(const zoo_model *model, const char *name)
{
    static const char *const never[] = {"*rotary_emb.inv_freq", "*.masked_bias",
                                        "*.attention.bias_mask"};
    for (size_t i = 0; i < ZOO_COUNT(never); i++) {
        if (zoo_name_matches(never[i], name)) {
            return true;
        }
    }
    const cJSON *list = zoo_card_part(model->card, "ignored_tensors");
    const cJSON *item = cJSON_IsString(list) ? list : (list ? list->child : NULL);
    for (; item; item = cJSON_IsString(list) ? NULL : item->next) {
        if (zoo_name_matches(item->valuestring, name)) {
            return true;
        }
    }
    return false;
}

void zoo_model_leftovers(const zoo_model *model,
                         void (*fn)(void *arg, const char *name, bool matters), void *arg)
{
    const cJSON *quantization = zoo_model_config_quantization(model->config);
    for (size_t i = 0; i < zoo_tensors_count(model->tensors); i++) {
        const zoo_tensor *tensor = zoo_tensors_at(model->tensors, i);
        const char *name = tensor->name;
        bool empty = tensor->n_items == 0; /* of a part whose width is 0 */
        if (!model->used[i]) {
            bool ours = in_bound_layer(model, name) || is_surplus(model, name);
            fn(arg, name,
               !empty && !is_ignored(model, name) && ours &&
                   !zoo_quantization_sets_aside(quantization, tensor));
        }
    }
}

typedef struct leftover {
    const char *const *allowed;
    char first[ZOO_NAME_MAX];
    uint32_t n;
} leftover;

static void note_leftover(void *arg, const char *name, bool matters)
{
    leftover *left = arg;
    for (const char *const *p = left->allowed; p && *p; p++) {
        matters = matters && !zoo_name_matches(*p, name);
    }
    if (matters && left->n++ == 0) {
        (void)snprintf(left->first, sizeof left->first, "%s", name);
    }
}

static zoo_status refuse_leftovers(const zoo_model *model, const leftover *left, zoo_error *err)
{
    size_t n = layer_prefix(left->first), head = n ? n - 1 : 0;
    while (head && isdigit((unsigned char)left->first[head - 1])) {
        head--;
    }
    return zoo_fail(err, ZOO_E_WEIGHT,
                    "%s: tensor %s belongs to a layer but plugin %s does not use it (%u such "
                    "tensors; --allow-unknown '%.*s%s%s' overrides)",
                    model->folder, left->first, model->plugin->name, left->n, (int)head,
                    left->first, n ? "*." : "", left->first + n);
}

static zoo_status bind_all(zoo_model *model, zoo_bind_mode mode, zoo_error *err)
{
    const zoo_plan *plan = &model->plan;
    for (uint32_t i = 0; model->has_ends && i < plan->n_prologue; i++) {
        ZOO_TRY(bind_part(model, mode, "", &model->prologue[i], err));
    }
    for (uint32_t i = model->layer_begin; i < model->layer_end; i++) {
        uint64_t before = model->stats.bytes_packed;
        ZOO_TRY(bind_layer(model, mode, &model->layers[i], err));
        model->layer_bytes[i] = model->stats.bytes_packed - before;
    }
    for (uint32_t i = 0; model->has_ends && i < plan->n_epilogue; i++) {
        ZOO_TRY(bind_part(model, mode, "", &model->epilogue[i], err));
    }
    return model->has_ends ? bind_head(model, mode, err) : ZOO_OK;
}

zoo_status zoo_model_bind(zoo_model *model, zoo_bind_mode mode, const char *const *allowed,
                          zoo_error *err)
{
    memset(model->used, 0, zoo_tensors_count(model->tensors));
    memset(&model->stats, 0, sizeof model->stats);
    model->tables = NULL;
    zoo_status status = bind_all(model, mode, err), judged = ZOO_OK;
    if (mode == ZOO_BIND_CHECK && !model->predicts &&
        (status == ZOO_OK || status == ZOO_E_WEIGHT)) {
        zoo_error why;
        judged = zoo_renames_judge(
            model, &why); /* a misspelt rename is a better message than a missing tensor */
        if (judged != ZOO_OK && err) {
            *err = why;
        }
    }
    ZOO_TRY(judged);
    ZOO_TRY(status);
    if (!model->has_ends || model->layer_end - model->layer_begin < model->plan.n_layers) {
        return ZOO_OK; /* judged when all layers were looked at (stage.h) */
    }
    leftover left = {.allowed = allowed};
    zoo_model_leftovers(model, note_leftover, &left);
    if (left.n) {
        status = refuse_leftovers(model, &left, err);
    }
    return settle(model, status, err);
}
