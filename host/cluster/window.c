/* window.c: see window.h. */
#include "cluster/window.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

/* A prompt token costs about a fifth of a generated one, and has about four bytes of text. */
#define PROMPT_BYTE_WORK 0.05
/* Tokens assumed for a request without a limit of its own. */
enum { USUAL_COMPLETION = 16, USUAL_CHAT = 256 };

static const cJSON *number_of(const cJSON *body, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(body, key);
    return cJSON_IsNumber(value) && value->valuedouble >= 0.0 ? value : NULL;
}

static double tokens_of(const cJSON *body, bool is_chat)
{
    const cJSON *most = number_of(body, "max_completion_tokens");
    const cJSON *choices = number_of(body, "n");
    double n = is_chat ? USUAL_CHAT : USUAL_COMPLETION;
    most = most ? most : number_of(body, "max_tokens");
    n = most ? most->valuedouble : n;
    return n * (choices && choices->valuedouble >= 1.0 ? choices->valuedouble : 1.0);
}

/* The beginning of the prompt: its text, or the messages as JSON. */
static char *prompt_key(const cJSON *body, bool is_chat, uint32_t *n)
{
    const cJSON *prompt = cJSON_GetObjectItemCaseSensitive(body, is_chat ? "messages" : "prompt");
    char *printed = NULL;
    const char *text = cJSON_GetStringValue(prompt);
    if (!text && prompt) {
        text = printed = cJSON_PrintUnformatted(prompt);
    }
    size_t length = text ? strnlen(text, ZOO_WINDOW_KEY) : 0;
    char *key = length > 0 ? zoo_mem_text(text, length) : NULL;
    *n = key ? (uint32_t)length : 0;
    cJSON_free(printed);
    return key;
}

/* Estimates the work from the parsed line. A line without a body will be refused: 1. */
static void estimate(zoo_deal_row *row, const cJSON *tree)
{
    const cJSON *body = cJSON_GetObjectItemCaseSensitive(tree, "body");
    bool is_chat = cJSON_GetObjectItemCaseSensitive(body, "messages") != NULL;
    row->work = 1.0;
    if (cJSON_IsObject(body)) {
        row->work += tokens_of(body, is_chat) + (double)row->n * PROMPT_BYTE_WORK;
        row->key = prompt_key(body, is_chat, &row->n_key);
    }
}

zoo_deal_row *zoo_deal_row_new(const zoo_input_line *line, bool *has_id, zoo_id *custom_id)
{
    cJSON *tree = NULL;
    size_t kept = line->text ? line->n : 0;
    zoo_deal_row *row = zoo_mem_array(1, sizeof *row + kept);
    *has_id = false;
    if (!row) {
        return NULL;
    }
    row->number = line->number;
    row->id = line->id;
    row->n = line->n;
    row->is_duplicate = line->is_duplicate;
    row->has_text = line->text != NULL;
    row->work = 1.0;
    if (!line->text) {
        return row;
    }
    memcpy(row->text, line->text, kept);
    if (zoo_json_parse(line->text, line->n, "line", &tree, NULL) == ZOO_OK) {
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "custom_id"));
        *has_id = cJSON_IsObject(tree) && id && id[0];
        if (*has_id) {
            *custom_id = zoo_id_of(id, strlen(id), 0);
        }
        estimate(row, tree);
    }
    cJSON_Delete(tree);
    return row;
}

void zoo_deal_row_free(zoo_deal_row *row)
{
    if (row) {
        zoo_mem_free(row->key);
        zoo_mem_free(row);
    }
}

/* ---- the window ---- */

bool zoo_window_add(zoo_window *w, zoo_deal_row *row)
{
    if (w->n == w->capacity) {
        size_t capacity = w->capacity ? 2 * w->capacity : 256;
        zoo_deal_row **grown = zoo_mem_realloc(w->rows, capacity * sizeof(zoo_deal_row *));
        if (!grown) {
            return false;
        }
        w->rows = grown;
        w->capacity = capacity;
    }
    w->rows[w->n++] = row;
    w->bytes += row->n;
    w->work += row->work;
    return true;
}

static int by_key(const void *a, const void *b)
{
    const zoo_deal_row *x = *(zoo_deal_row *const *)a, *y = *(zoo_deal_row *const *)b;
    size_t n = x->n_key < y->n_key ? x->n_key : y->n_key;
    int order = n > 0 ? memcmp(x->key, y->key, n) : 0;
    if (order == 0 && x->n_key != y->n_key) {
        order = x->n_key < y->n_key ? -1 : 1;
    }
    return order ? order : (x->number < y->number ? -1 : 1);
}

static bool are_alike(const zoo_deal_row *a, const zoo_deal_row *b)
{
    return a->n_key >= ZOO_WINDOW_ALIKE && b->n_key >= ZOO_WINDOW_ALIKE &&
           memcmp(a->key, b->key, ZOO_WINDOW_ALIKE) == 0;
}

/* Sort key: a group is placed by its costliest row. */
typedef struct ranked {
    double work;
    zoo_deal_row *row;
} ranked;

/* Ascending, since rows are taken from the end. */
static int by_work(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->work < y->work || x->work > y->work) {
        return x->work < y->work ? -1 : 1;
    }
    if (x->row->group != y->row->group) {
        return x->row->group > y->row->group ? -1 : 1;
    }
    if (x->row->work < y->row->work || x->row->work > y->row->work) {
        return x->row->work < y->row->work ? -1 : 1;
    }
    return x->row->number > y->row->number ? -1 : 1;
}

void zoo_window_sort(zoo_window *w)
{
    ranked *order = zoo_mem_array(w->n + 1, sizeof *order);
    uint32_t group = 0;
    if (!order) {
        return; /* no memory to sort: dealt in their present order, which is correct but slower */
    }
    qsort(w->rows, w->n, sizeof(zoo_deal_row *), by_key);
    for (size_t begin = 0, end; begin < w->n; begin = end) {
        double most = w->rows[begin]->work;
        for (end = begin + 1; end < w->n && are_alike(w->rows[begin], w->rows[end]); end++) {
            most = w->rows[end]->work > most ? w->rows[end]->work : most;
        }
        group += end - begin > 1;
        for (size_t i = begin; i < end; i++) {
            w->rows[i]->group = end - begin > 1 ? group : 0;
            order[i] = (ranked){most, w->rows[i]};
        }
    }
    qsort(order, w->n, sizeof *order, by_work);
    for (size_t i = 0; i < w->n; i++) {
        w->rows[i] = order[i].row;
    }
    zoo_mem_free(order);
}

zoo_deal_row *zoo_window_next(zoo_window *w, const zoo_deal_row *like)
{
    zoo_deal_row *row = w->n > 0 ? w->rows[w->n - 1] : NULL;
    if (!row || (like && like->group != row->group)) {
        return NULL;
    }
    w->n--;
    w->bytes -= row->n;
    w->work -= row->work;
    return row;
}

double zoo_window_peek(const zoo_window *w)
{
    return w->n > 0 ? w->rows[w->n - 1]->work : 0.0;
}

void zoo_window_free(zoo_window *w)
{
    for (size_t i = 0; i < w->n; i++) {
        zoo_deal_row_free(w->rows[i]);
    }
    zoo_mem_free(w->rows);
    *w = (zoo_window){0};
}
