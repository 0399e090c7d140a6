/*
 * edits.c: where changes of a card come from.
 *
 * A tensor name: a tensor that is missing and one that nobody used, of one shape, whose names
 * differ in the middle: the parts that differ become a pair; so do the parts before the number of
 * the layer.
 */
#include "adding/edits.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/tensor_names.h"

enum { EDITS_MAX = 2048 };

void zoo_edits_free(zoo_edits *edits)
{
    for (uint32_t i = 0; i < edits->n; i++) {
        cJSON_Delete(edits->items[i].value);
    }
    zoo_mem_free(edits->items);
    *edits = (zoo_edits){0};
}

static bool is_there(const zoo_edits *edits, const char *member, const char *key,
                     const cJSON *value)
{
    for (uint32_t i = 0; i < edits->n; i++) {
        const zoo_edit *e = &edits->items[i];
        if (strcmp(e->member, member) == 0 && strcmp(e->key, key) == 0 &&
            (e->value == value || cJSON_Compare(e->value, value, true))) {
            edits->items[i].favour += edits->items[i].favour < 0.2 ? 0.005 : 0;
            return true;
        }
    }
    return false;
}

/* Takes value. */
static zoo_status add(zoo_edits *edits, const char *member, const char *key, cJSON *value,
                      double favour, zoo_error *err)
{
    if (edits->n == EDITS_MAX || is_there(edits, member, key, value)) {
        cJSON_Delete(value);
        return ZOO_OK;
    }
    if (edits->n == edits->capacity) {
        uint32_t capacity = edits->capacity ? 2 * edits->capacity : 128;
        zoo_edit *items = zoo_mem_realloc(edits->items, capacity * sizeof *items);
        if (!items) {
            cJSON_Delete(value);
            return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
        }
        edits->items = items;
        edits->capacity = capacity;
    }
    zoo_edit *e = &edits->items[edits->n++];
    *e = (zoo_edit){.value = value, .favour = favour};
    (void)snprintf(e->member, sizeof e->member, "%s", member);
    (void)snprintf(e->key, sizeof e->key, "%.60s", key);
    return ZOO_OK;
}

/* More for a value that names a key which the file sets. */
static double favour_of(const zoo_trial *trial, const cJSON *value)
{
    const cJSON *text = trial->arch ? zoo_model_config_text(trial->arch->model.config) : NULL;
    const cJSON *named =
        cJSON_IsString(value) ? cJSON_GetObjectItemCaseSensitive(text, value->valuestring) : NULL;
    return named ? 0.25 : 0.0;
}

static zoo_status add_member(zoo_edits *edits, const cJSON *other, const char *member,
                             const zoo_trial *trial, zoo_error *err)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(other, member))
    {
        const char *key = item->string ? item->string : "";
        ZOO_TRY(add(edits, member, key, cJSON_Duplicate(item, true), favour_of(trial, item), err));
    }
    return ZOO_OK;
}

/* What other cards of the plugin have. */
static zoo_status add_known(zoo_edits *edits, const zoo_cards *cards, const cJSON *card,
                            const zoo_trial *trial, zoo_error *err)
{
    static const char *const members[] = {"options", "aliases", "tensors"};
    const char *plugin = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(card, "plugin"));
    for (uint32_t i = 0; i < cards->n_cards; i++) {
        const char *its = zoo_card_text(&cards->cards[i], "plugin");
        if (!its || !plugin || strcmp(its, plugin) != 0) {
            continue;
        }
        for (size_t m = 0; m < ZOO_COUNT(members); m++) {
            ZOO_TRY(add_member(edits, cards->cards[i].json, members[m], trial, err));
        }
    }
    return ZOO_OK;
}

/* The words of options that choose among some, and options that can be on. */
static zoo_status add_words(zoo_edits *edits, const zoo_cards *cards, zoo_error *err)
{
    const cJSON *option = NULL, *word = NULL;
    cJSON_ArrayForEach(option, cards->options)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(option, "name"));
        cJSON_ArrayForEach(word, cJSON_GetObjectItemCaseSensitive(option, "words"))
        {
            ZOO_TRY(add(edits, "options", name ? name : "", cJSON_Duplicate(word, true), 0, err));
        }
        cJSON_ArrayForEach(word, cJSON_GetObjectItemCaseSensitive(option, "kinds"))
        {
            if (name && cJSON_IsString(word) && strcmp(word->valuestring, "flag") == 0) {
                ZOO_TRY(add(edits, "options", name, cJSON_CreateTrue(), 0, err));
            }
        }
    }
    return ZOO_OK;
}

/* Removing each member that the card has. */
static zoo_status add_less(zoo_edits *edits, const cJSON *card, zoo_error *err)
{
    static const char *const members[] = {"options", "aliases", "defaults", "fixed"};
    const cJSON *item = NULL;
    for (size_t m = 0; m < ZOO_COUNT(members); m++) {
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(card, members[m]))
        {
            ZOO_TRY(add(edits, members[m], item->string, NULL, 0.1, err));
        }
    }
    return ZOO_OK;
}

/* Words of keys that say nothing of what they count. */
static bool is_filler(const char *word, size_t n)
{
    static const char *const fillers[] = {"num", "n", "d", "size", "dim", "use", "is", "per"};
    for (size_t i = 0; i < ZOO_COUNT(fillers); i++) {
        if (strlen(fillers[i]) == n && strncmp(word, fillers[i], n) == 0) {
            return true;
        }
    }
    return false;
}

/* Words between dots and underscores that both names have, as a share of those of `name`. */
static double shared_words(const char *name, const char *key)
{
    static const char gaps[] = "._";
    uint32_t n = 0, n_shared = 0;
    for (const char *p = name; *p; p += strcspn(p, gaps), p += strspn(p, gaps)) {
        size_t length = strcspn(p, gaps);
        bool found = false;
        if (is_filler(p, length)) {
            continue;
        }
        for (const char *q = key; *q; q += strcspn(q, gaps), q += strspn(q, gaps)) {
            found = found || (strcspn(q, gaps) == length && strncmp(p, q, length) == 0);
        }
        n++;
        n_shared += found;
    }
    return n ? (double)n_shared / n : 0;
}

/* How likely a stored name stands for ours. The two norms of a layer are called by what follows
 * them as often as by what they follow. */
static double likeness(const char *want, const char *have)
{
    static const struct {
        const char *name, *words;
    } others[] = {
        {"input_layernorm", "attention.attn.self.ln.1.layernorm.norm.pre"},
        {"post_attention_layernorm", "feedforward.ffn.feed.forward.mlp.ln.2.layernorm.norm"}};
    for (size_t i = 0; i < ZOO_COUNT(others); i++) {
        if (strcmp(want, others[i].name) == 0) {
            return shared_words(have, others[i].words);
        }
    }
    return shared_words(want, have);
}

/* Both names without what begins and what ends alike, cut at dots. */
static zoo_status add_pair(zoo_edits *edits, const char *want, size_t n_want, const char *have,
                           size_t n_have, zoo_error *err)
{
    size_t front = 0, back = 0, cut = 0;
    while (front < n_want && front < n_have && want[front] == have[front]) {
        front++;
        cut = want[front - 1] == '.' ? front : cut;
    }
    for (size_t i = 1; i + cut <= n_want && i + cut <= n_have; i++) {
        if (want[n_want - i] != have[n_have - i]) {
            break;
        }
        back = want[n_want - i] == '.' ? i : back;
    }
    if (n_want <= cut + back || n_have < cut + back) {
        return ZOO_OK;
    }
    char from[ZOO_NAME_MAX], to[ZOO_NAME_MAX];
    (void)snprintf(from, sizeof from, "%.*s", (int)(n_want - cut - back), want + cut);
    (void)snprintf(to, sizeof to, "%.*s", (int)(n_have - cut - back), have + cut);
    const char *const words[] = {from, to};
    return add(edits, "tensors", "", cJSON_CreateStringArray(words, 2),
               0.26 + 0.2 * likeness(from, to), err);
}

/* Begin of what follows the first number of a name, and of the number; the whole name without. */
static const char *behind_layer(const char *name, size_t *n_before)
{
    for (const char *p = name; *p; p++) {
        if (isdigit((unsigned char)*p) && p > name && p[-1] == '.') {
            *n_before = (size_t)(p - name);
            return p + strspn(p, "0123456789") + 1;
        }
    }
    *n_before = 0;
    return name;
}

typedef struct missing {
    char name[ZOO_NAME_MAX];
    unsigned long long n, rows, cols; /* n: matrices in one tensor */
} missing;

static bool read_missing(const char *sentence, missing *out)
{
    out->n = 1;
    return sscanf(sentence, "tensor %250s is missing (wanted [%llu, %llu", out->name, &out->rows,
                  &out->cols) == 3 ||
           sscanf(sentence, "tensor %250s is missing (wanted %llu of [%llu, %llu", out->name,
                  &out->n, &out->rows, &out->cols) == 4;
}

/* A bias never stands for a matrix or a norm's weight, whatever its shape. */
static bool is_bias(const char *name)
{
    const char *last = strrchr(name, '.');
    return strstr(last ? last : name, "bias") != NULL;
}

static bool fits(const zoo_tensor *t, const missing *m)
{
    return is_bias(t->name) == is_bias(m->name) && t->n_items == m->n * m->rows * m->cols &&
           (t->n_dims < 2 || m->n > 1 || t->dims[0] == m->rows || t->dims[0] == m->cols);
}

static zoo_status add_names(zoo_edits *edits, const zoo_model *model, const missing *m,
                            zoo_error *err)
{
    size_t n_head, n_other;
    const char *want = strchr(m->name, '#');
    const char *rest = want ? want + 2 : m->name;
    n_head = want ? (size_t)(want - m->name) : 0;
    for (size_t i = 0; i < zoo_tensors_count(model->tensors); i++) {
        const zoo_tensor *t = zoo_tensors_at(model->tensors, i);
        if (model->used[i] || !fits(t, m)) {
            continue;
        }
        const char *have = behind_layer(t->name, &n_other);
        if ((n_other > 0) != (n_head > 0) || strchr(rest, '#')) {
            continue;
        }
        ZOO_TRY(add_pair(edits, rest, strlen(rest), have, strlen(have), err));
        if (n_head) {
            ZOO_TRY(add_pair(edits, m->name, n_head, t->name, n_other, err));
        }
    }
    return ZOO_OK;
}

/* A key that nobody computes, read by an option or as another spelling of a key, where the names
 * have words in common. */
static zoo_status add_key(zoo_edits *edits, const cJSON *other, const char *member, const char *key,
                          zoo_error *err)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(other, member))
    {
        double share = fmax(shared_words(item->string, key), shared_words(key, item->string));
        if (share >= 0.5 && strcmp(item->string, key) != 0) {
            uint32_t n = edits->n;
            ZOO_TRY(add(edits, member, item->string, cJSON_CreateString(key), 0.4 * share, err));
            if (edits->n > n) {
                edits->items[n].guess = share < 1;
            }
        }
    }
    return ZOO_OK;
}

static zoo_status add_keys(zoo_edits *edits, const zoo_cards *cards, const zoo_trial *trial,
                           zoo_error *err)
{
    for (uint32_t k = 0; k < trial->n_keys; k++) {
        char key[ZOO_MISFIT_BYTES];
        (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(trial->keys[k], " "), trial->keys[k]);
        for (uint32_t i = 0; i < cards->n_cards; i++) {
            ZOO_TRY(add_key(edits, cards->cards[i].json, "options", key, err));
            ZOO_TRY(add_key(edits, cards->cards[i].json, "aliases", key, err));
        }
    }
    return ZOO_OK;
}

/* The last module of a tensor's name, to out; false: it has none. */
static bool module_of(const char *tensor, char *out, size_t n)
{
    const char *end = strrchr(tensor, '.'), *begin = end;
    while (begin && begin > tensor && begin[-1] != '.') {
        begin--;
    }
    if (!end || end == begin || strchr(begin, '#')) {
        return false;
    }
    (void)snprintf(out, n, "%.*s", (int)(end - begin), begin);
    return true;
}

/* Modules outside the layers that nobody reads, as values of options that take a module's name. */
static zoo_status add_modules(zoo_edits *edits, const zoo_cards *cards, const zoo_trial *trial,
                              zoo_error *err)
{
    const cJSON *option = NULL;
    cJSON_ArrayForEach(option, cards->options)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(option, "name"));
        const char *what = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(option, "what"));
        for (uint32_t i = 0; name && what && strstr(what, "module") && i < trial->n_unused; i++) {
            char module[ZOO_NAME_MAX];
            if (module_of(trial->unused[i], module, sizeof module)) {
                ZOO_TRY(add(edits, "options", name, cJSON_CreateString(module), 0.2, err));
            }
        }
    }
    return ZOO_OK;
}

static int by_favour(const void *a, const void *b)
{
    double x = ((const zoo_edit *)a)->favour, y = ((const zoo_edit *)b)->favour;
    return (x < y) - (x > y);
}

zoo_status zoo_edits_list(const zoo_cards *cards, const cJSON *card, const zoo_trial *trial,
                          zoo_edits *out, zoo_error *err)
{
    *out = (zoo_edits){0};
    for (uint32_t i = 0; i < trial->n_misfits && trial->arch && trial->arch->model.tensors; i++) {
        missing m;
        if (read_missing(trial->misfits[i], &m)) {
            ZOO_TRY(add_names(out, &trial->arch->model, &m, err));
        }
    }
    ZOO_TRY(add_keys(out, cards, trial, err));
    ZOO_TRY(add_modules(out, cards, trial, err));
    ZOO_TRY(add_known(out, cards, card, trial, err));
    ZOO_TRY(add_words(out, cards, err));
    ZOO_TRY(add_less(out, card, err));
    qsort(out->items, out->n, sizeof *out->items, by_favour);
    return ZOO_OK;
}

/* Whether an option or alias of the card reads the key that is the edit's value. */
static bool reads_already(const zoo_edit *edit, const cJSON *card)
{
    static const char *const members[] = {"options", "aliases"};
    const cJSON *item = NULL;
    for (size_t m = 0; m < ZOO_COUNT(members); m++) {
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(card, members[m]))
        {
            if (cJSON_Compare(item, edit->value, true)) {
                return true;
            }
        }
    }
    return false;
}

/* Whether a pair maps the stored name already: two parts would then read one tensor. */
static bool names_already(const zoo_edit *edit, const cJSON *card)
{
    const cJSON *pair = NULL;
    if (strcmp(edit->member, "tensors") != 0) {
        return false;
    }
    cJSON_ArrayForEach(pair, cJSON_GetObjectItemCaseSensitive(card, "tensors"))
    {
        if (cJSON_Compare(pair->child->next, edit->value->child->next, true)) {
            return true;
        }
    }
    return false;
}

cJSON *zoo_edit_apply(const zoo_edit *edit, const cJSON *card)
{
    if ((edit->guess && reads_already(edit, card)) || names_already(edit, card)) {
        return NULL;
    }
    cJSON *copy = cJSON_Duplicate(card, true);
    cJSON *part = cJSON_GetObjectItemCaseSensitive(copy, edit->member);
    bool list = strcmp(edit->member, "tensors") == 0;
    if (copy && !part && edit->value) {
        part = list ? cJSON_AddArrayToObject(copy, edit->member)
                    : cJSON_AddObjectToObject(copy, edit->member);
    }
    if (!part || (!list && cJSON_Compare(cJSON_GetObjectItemCaseSensitive(part, edit->key),
                                         edit->value, true))) {
        cJSON_Delete(copy);
        return NULL;
    }
    if (list) {
        (void)cJSON_AddItemToArray(part, cJSON_Duplicate(edit->value, true));
        return copy;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(part, edit->key);
    if (edit->value) {
        (void)cJSON_AddItemToObject(part, edit->key, cJSON_Duplicate(edit->value, true));
    }
    return copy;
}
