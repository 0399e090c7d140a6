/*
 * card.c: reads card folders and checks members and their types, so that misspelt ones are found.
 * Memory: one cJSON tree and one path per card, freed together.
 */
#include "config/card.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "config/card_options.h"
#include "config/nearest.h"

enum { CARD_BYTES_MAX = 1 << 20, CARDS_MAX = 4096 };

typedef enum shape { TEXT, TEXTS, OBJECT, NAMES, PAIRS, REMARKS, FLAG, ANY } shape;

static const struct {
    const char *key;
    shape shape;
} members[] = {
    {"model_type", TEXTS}, {"plugin", TEXT},
    {"about", OBJECT},     {"aliases", OBJECT},
    {"defaults", OBJECT},  {"fixed", OBJECT},
    {"options", OBJECT},   {"ignored", REMARKS},
    {"tensors", PAIRS},    {"ignored_tensors", TEXTS},
    {"output", ANY},       {"refused", TEXT},
    {"class", TEXT},       {"prediction_layers", FLAG},
    {"trace", NAMES},      {"cache", TEXT},
    {"must", REMARKS},
};

static bool has_only_texts(const cJSON *item)
{
    const cJSON *child = NULL;
    cJSON_ArrayForEach(child, item)
    {
        if (!cJSON_IsString(child)) {
            return false;
        }
    }
    return true;
}

static bool is_texts(const cJSON *item)
{
    return cJSON_IsString(item) || (cJSON_IsArray(item) && has_only_texts(item));
}

static bool is_pairs(const cJSON *item)
{
    const cJSON *child = NULL;
    cJSON_ArrayForEach(child, item)
    {
        if (cJSON_GetArraySize(child) != 2 || !is_texts(child)) {
            return false;
        }
    }
    return cJSON_IsArray(item);
}

static bool is_remarks(const cJSON *item)
{
    const cJSON *child = NULL;
    cJSON_ArrayForEach(child, item)
    {
        bool why = cJSON_IsString(cJSON_GetObjectItemCaseSensitive(child, "why"));
        bool is = cJSON_GetObjectItemCaseSensitive(child, "is");
        if (!cJSON_IsString(child) && !(why && is && cJSON_GetArraySize(child) == 2)) {
            return false;
        }
    }
    return cJSON_IsObject(item);
}

static bool has_shape(const cJSON *item, shape want)
{
    switch (want) {
    case TEXT:
        return cJSON_IsString(item);
    case TEXTS:
        return is_texts(item);
    case OBJECT:
        return cJSON_IsObject(item);
    case NAMES:
        return cJSON_IsObject(item) && has_only_texts(item);
    case PAIRS:
        return is_pairs(item);
    case REMARKS:
        return is_remarks(item);
    case FLAG:
        return cJSON_IsBool(item);
    case ANY:
        break;
    }
    return true;
}

static zoo_status check_member(const char *path, const cJSON *item, zoo_error *err)
{
    for (size_t i = 0; i < ZOO_COUNT(members); i++) {
        if (strcmp(item->string, members[i].key) == 0) {
            return has_shape(item, members[i].shape)
                       ? ZOO_OK
                       : zoo_fail(err, ZOO_E_FORMAT, "%s: card member \"%s\" has the wrong shape",
                                  path, item->string);
        }
    }
    zoo_nearest near = {.word = item->string};
    for (size_t i = 0; i < ZOO_COUNT(members); i++) {
        zoo_nearest_try(&near, members[i].key);
    }
    return zoo_fail(err, ZOO_E_FORMAT, "%s: unknown card member \"%.60s\"; did you mean \"%s\"?",
                    path, item->string, near.text);
}

/* Options of plugins outside the tree begin with the plugin's name and a dot and are not
 * checked. */
static zoo_status check_options(const cJSON *options, const char *path, const cJSON *json,
                                zoo_error *err)
{
    const char *plugin = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "plugin"));
    const cJSON *option = NULL;
    cJSON_ArrayForEach(option, cJSON_GetObjectItemCaseSensitive(json, "options"))
    {
        size_t n = plugin ? strlen(plugin) : 0;
        bool own = n && strncmp(option->string, plugin, n) == 0 && option->string[n] == '.';
        if (!own) {
            ZOO_TRY(zoo_card_option_check(options, path, plugin, option, err));
        }
    }
    return ZOO_OK;
}

static zoo_status check_card(const cJSON *options, const char *path, const cJSON *json,
                             zoo_error *err)
{
    if (!cJSON_IsObject(json)) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: a card is a JSON object", path);
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, json)
    {
        ZOO_TRY(check_member(path, item, err));
    }
    if (!cJSON_GetObjectItemCaseSensitive(json, "model_type")) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: the card names no model_type", path);
    }
    if (!cJSON_GetObjectItemCaseSensitive(json, "plugin") &&
        !cJSON_GetObjectItemCaseSensitive(json, "refused")) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: the card names no plugin", path);
    }
    return check_options(options, path, json, err);
}

static int is_card_file(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    bool list = strcmp(entry->d_name, "releases.json") == 0 ||
                strcmp(entry->d_name, "ideas.json") == 0 || /* of the gallery */
                strcmp(entry->d_name, "card.schema.json") == 0 ||
                strcmp(entry->d_name, "options.json") == 0;
    return !list && entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".json") == 0;
}

static bool names_type(const cJSON *json, const char *model_type)
{
    const cJSON *types = cJSON_GetObjectItemCaseSensitive(json, "model_type");
    if (cJSON_IsString(types)) {
        return strcmp(types->valuestring, model_type) == 0;
    }
    const cJSON *type = NULL;
    cJSON_ArrayForEach(type, types)
    {
        if (cJSON_IsString(type) && strcmp(type->valuestring, model_type) == 0) {
            return true;
        }
    }
    return false;
}

static zoo_status check_twice(const zoo_cards *cards, const zoo_card *card, zoo_error *err)
{
    const cJSON *types = cJSON_GetObjectItemCaseSensitive(card->json, "model_type");
    const cJSON *type = cJSON_IsString(types) ? types : types->child;
    for (; type; type = cJSON_IsString(types) ? NULL : type->next) {
        const zoo_card *other = zoo_cards_find(cards, type->valuestring);
        if (other && other != card) {
            return zoo_fail(err, ZOO_E_FORMAT, "%s and %s are both cards of model_type \"%s\"",
                            other->path, card->path, type->valuestring);
        }
    }
    return ZOO_OK;
}

static zoo_status add_card(zoo_cards *cards, const char *folder, const char *file, zoo_error *err)
{
    size_t n = strlen(folder) + strlen(file) + 2;
    zoo_card *card = &cards->cards[cards->n_cards];
    card->path = zoo_mem_alloc(n);
    if (!card->path) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory while reading cards", folder);
    }
    (void)snprintf(card->path, n, "%s/%s", folder, file);
    cards->n_cards++;
    zoo_error fault = {0};
    zoo_status status = zoo_json_read_python(card->path, CARD_BYTES_MAX, &card->json, &fault);
    if (status == ZOO_OK) {
        status = check_card(cards->options, card->path, card->json, &fault);
    }
    if (status != ZOO_OK && status != ZOO_E_FORMAT) {
        *err = fault;
        return status;
    }
    card->fault = status == ZOO_OK ? (zoo_error){0} : fault;
    return ZOO_OK;
}

zoo_status zoo_cards_read(const char *folder, zoo_cards *out, zoo_error *err)
{
    struct dirent **files = NULL;
    memset(out, 0, sizeof *out);
    int n_files = scandir(folder, &files, is_card_file, alphasort);
    if (n_files < 0) {
        return zoo_fail(err, zoo_file_status(errno), "%s: the card folder cannot be read: %s",
                        folder, strerror(errno));
    }
    zoo_status status = ZOO_OK;
    out->cards = zoo_mem_array((size_t)n_files + 1, sizeof *out->cards);
    if (!out->cards || n_files > CARDS_MAX) {
        status = zoo_fail(err, ZOO_E_MEMORY, "%s: no room for %d cards", folder, n_files);
    }
    status = status == ZOO_OK ? zoo_card_options_read(folder, &out->options, err) : status;
    for (int i = 0; i < n_files; i++) {
        if (status == ZOO_OK) {
            status = add_card(out, folder, files[i]->d_name, err);
        }
        free(files[i]);
    }
    free(files);
    if (status != ZOO_OK) {
        zoo_cards_free(out);
    }
    return status;
}

static zoo_status refuse_fault(const zoo_card *card, zoo_error *err)
{
    if (err) {
        *err = card->fault;
    }
    return (zoo_status)card->fault.code;
}

zoo_status zoo_cards_check(const zoo_cards *cards, zoo_error *err)
{
    for (uint32_t i = 0; i < cards->n_cards; i++) {
        ZOO_TRY(refuse_fault(&cards->cards[i], err));
    }
    for (uint32_t i = 0; i < cards->n_cards; i++) {
        ZOO_TRY(check_twice(cards, &cards->cards[i], err));
    }
    return ZOO_OK;
}

static zoo_status check_only(const zoo_cards *cards, const zoo_card *card, const char *model_type,
                             zoo_error *err)
{
    for (const zoo_card *other = card + 1; other < cards->cards + cards->n_cards; other++) {
        if (names_type(other->json, model_type)) {
            return zoo_fail(err, ZOO_E_FORMAT, "%s and %s are both cards of model_type \"%s\"",
                            card->path, other->path, model_type);
        }
    }
    return refuse_fault(card, err);
}

zoo_status zoo_cards_choose(const zoo_cards *cards, const char *const *model_types, size_t n,
                            const zoo_card **out, zoo_error *err)
{
    *out = NULL;
    for (size_t i = 0; i < n; i++) {
        *out = zoo_cards_find(cards, model_types[i]);
        if (*out) {
            return check_only(cards, *out, model_types[i], err);
        }
    }
    for (uint32_t i = 0; i < cards->n_cards; i++) {
        if (!cards->cards[i].json) {
            return refuse_fault(&cards->cards[i], err);
        }
    }
    return ZOO_OK;
}

zoo_status zoo_card_read(const cJSON *options, const char *path, zoo_card *out, zoo_error *err)
{
    *out = (zoo_card){.path = zoo_mem_text(path, strlen(path))};
    if (!out->path) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", path);
    }
    ZOO_TRY(zoo_json_read_python(path, CARD_BYTES_MAX, &out->json, err));
    return check_card(options, path, out->json, err);
}

static void free_card(zoo_card *card)
{
    zoo_mem_free(card->path);
    cJSON_Delete(card->json);
}

void zoo_cards_drop_faulty(zoo_cards *cards)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < cards->n_cards; i++) {
        if (cards->cards[i].fault.code == ZOO_OK) {
            cards->cards[n++] = cards->cards[i];
        } else {
            free_card(&cards->cards[i]);
        }
    }
    cards->n_cards = n;
}

void zoo_cards_free(zoo_cards *cards)
{
    for (uint32_t i = 0; i < cards->n_cards; i++) {
        free_card(&cards->cards[i]);
    }
    cJSON_Delete(cards->options);
    zoo_mem_free(cards->cards);
    memset(cards, 0, sizeof *cards);
}

const zoo_card *zoo_cards_find(const zoo_cards *cards, const char *model_type)
{
    for (uint32_t i = 0; i < cards->n_cards; i++) {
        if (names_type(cards->cards[i].json, model_type)) {
            return &cards->cards[i];
        }
    }
    return NULL;
}

const cJSON *zoo_card_part(const zoo_card *card, const char *key)
{
    return card ? cJSON_GetObjectItemCaseSensitive(card->json, key) : NULL;
}

bool zoo_card_is(const cJSON *is, const cJSON *value)
{
    bool holds = cJSON_Compare(is, value, true);
    for (const cJSON *one = cJSON_IsArray(is) ? is->child : NULL; one && !holds; one = one->next) {
        holds = cJSON_Compare(one, value, true);
    }
    return holds;
}

const char *zoo_card_remark(const zoo_card *card, const char *key, const cJSON *value)
{
    const cJSON *remark = cJSON_GetObjectItemCaseSensitive(zoo_card_part(card, "ignored"), key);
    const cJSON *is = cJSON_GetObjectItemCaseSensitive(remark, "is");
    bool holds = cJSON_IsString(remark) || zoo_card_is(is, value);
    const cJSON *why = cJSON_GetObjectItemCaseSensitive(remark, "why");
    return !holds ? NULL : why ? cJSON_GetStringValue(why) : cJSON_GetStringValue(remark);
}

const char *zoo_card_text(const zoo_card *card, const char *key)
{
    const cJSON *item = zoo_card_part(card, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

void zoo_card_name(const zoo_card *card, char *name, size_t n)
{
    const char *slash = strrchr(card->path, '/');
    (void)snprintf(name, n, "%s", slash ? slash + 1 : card->path);
    char *dot = strrchr(name, '.');
    if (dot) {
        *dot = '\0';
    }
}
