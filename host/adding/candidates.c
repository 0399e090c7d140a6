/*
 * candidates.c: the nearest card.
 *
 * likeness = sum of w over keys that file and class both have / sum over all keys of either,
 * w = log(1 + cards / cards whose class has the key)
 *
 * Of equally alike cards the one whose options are the most usual is tried first: sum of
 * log(1 + cards / cards with the option) over its options.
 */
#include "adding/candidates.h"

#include <math.h>
#include <string.h>

#include "adding/edits.h"
#include "base/mem.h"
#include "config/attributes.h"
#include "config/plugin_loader.h"
#include "explain/explain.h"

enum { TRIED_MAX = 24, ALIKE_MAX = 1 };

typedef struct ranked {
    const zoo_card *card;
    cJSON *class_json;       /* of its type; null: none */
    double likeness, rarity; /* of the options */
} ranked;

static const char *first_type(const zoo_card *card)
{
    const cJSON *types = zoo_card_part(card, "model_type");
    const char *named = zoo_card_text(card, "class");
    return named                  ? named
           : cJSON_IsArray(types) ? cJSON_GetStringValue(types->child)
                                  : cJSON_GetStringValue(types);
}

static bool has_key(const ranked *r, const char *key)
{
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(r->class_json, "keys");
    return keys && cJSON_GetObjectItemCaseSensitive(keys, key);
}

static double weight_of(const ranked *list, uint32_t n, const char *key)
{
    uint32_t n_with = 0;
    for (uint32_t i = 0; i < n; i++) {
        n_with += has_key(&list[i], key);
    }
    return log(1 + (double)n / (n_with + 1));
}

/* Whether a key says nothing about which model it is. */
static bool is_common(const char *key)
{
    return zoo_model_config_is_harmless(key) || strcmp(key, "model_type") == 0;
}

static double likeness(const ranked *list, uint32_t n, uint32_t i, const cJSON *text)
{
    const cJSON *item = NULL;
    double both = 0, all = 1e-9;
    cJSON_ArrayForEach(item, text)
    {
        if (!is_common(item->string)) {
            double w = weight_of(list, n, item->string);
            all += w;
            both += has_key(&list[i], item->string) ? w : 0;
        }
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(list[i].class_json, "keys"))
    {
        bool absent = cJSON_GetObjectItemCaseSensitive(item, "absent") != NULL;
        if (!absent && !is_common(item->string) &&
            !cJSON_GetObjectItemCaseSensitive(text, item->string)) {
            all += weight_of(list, n, item->string);
        }
    }
    return both / all;
}

static double rarity(const ranked *list, uint32_t n, const zoo_card *card)
{
    const cJSON *option = NULL;
    double sum = 0;
    cJSON_ArrayForEach(option, zoo_card_part(card, "options"))
    {
        uint32_t n_with = 0;
        for (uint32_t i = 0; i < n; i++) {
            const cJSON *options = zoo_card_part(list[i].card, "options");
            n_with += cJSON_GetObjectItemCaseSensitive(options, option->string) != NULL;
        }
        sum += log(1 + (double)n / (n_with + 1));
    }
    return sum;
}

/* The card as one of another type. Without a class of its own it is read as the relative's. */
static cJSON *as_card_of(const ranked *r, const char *model_type, bool own_class)
{
    static const char *const left_out[] = {"about", "model_type", "output", "class"};
    cJSON *card = cJSON_CreateObject(), *item = NULL;
    (void)cJSON_AddStringToObject(card, "model_type", model_type);
    cJSON_ArrayForEach(item, r->card->json)
    {
        bool skip = false;
        for (size_t i = 0; i < ZOO_COUNT(left_out); i++) {
            skip = skip || strcmp(item->string, left_out[i]) == 0;
        }
        if (!skip) {
            (void)cJSON_AddItemToObject(card, item->string, cJSON_Duplicate(item, true));
        }
    }
    if (!own_class && r->class_json) {
        (void)cJSON_AddStringToObject(card, "class", first_type(r->card));
    }
    return card;
}

static zoo_status try_one(const zoo_trial_subject *subject, const ranked *r, zoo_candidate *best,
                          const zoo_card **found, zoo_error *err)
{
    zoo_trial trial;
    cJSON *card = as_card_of(r, best->model_type, best->own_class);
    if (!card) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    zoo_status status = zoo_trial_run(subject, card, &trial, err);
    if (status != ZOO_OK) {
        cJSON_Delete(card);
        return status;
    }
    double cost = zoo_trial_cost(&trial);
    bool better = !best->card || cost - 8 * r->likeness < best->cost - 8 * best->likeness;
    if (better) {
        cJSON_Delete(best->card);
        best->card = card;
        best->cost = cost;
        best->likeness = r->likeness;
        zoo_card_name(r->card, best->nearest, sizeof best->nearest);
        *found = r->card;
    } else {
        cJSON_Delete(card);
    }
    best->n_trials++;
    zoo_trial_free(&trial);
    return ZOO_OK;
}

static bool goes_before(const ranked *a, const ranked *b)
{
    const double rounding = 1e-9;
    if (fabs(a->likeness - b->likeness) > rounding) {
        return a->likeness > b->likeness;
    }
    return a->rarity < b->rarity;
}

/* The i-th most alike to the front. */
static void bring_forward(ranked *list, uint32_t n, uint32_t i)
{
    uint32_t best = i;
    for (uint32_t k = i + 1; k < n; k++) {
        best = goes_before(&list[k], &list[best]) ? k : best;
    }
    ranked kept = list[i];
    list[i] = list[best];
    list[best] = kept;
}

static zoo_status rank(const zoo_trial_subject *subject, const zoo_cards *cards, const cJSON *text,
                       ranked *list, uint32_t *n_out, zoo_error *err)
{
    char folder[4096];
    uint32_t n = 0;
    ZOO_TRY(zoo_install_folder(subject->card_dir, "models.d", folder, sizeof folder, err));
    for (uint32_t i = 0; i < cards->n_cards; i++) {
        if (zoo_card_text(&cards->cards[i], "plugin")) {
            list[n].card = &cards->cards[i];
            ZOO_TRY(zoo_class_read(folder, first_type(list[n].card), &list[n].class_json, err));
            n++;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        list[i].likeness = likeness(list, n, i, text);
        list[i].rarity = rarity(list, n, list[i].card);
    }
    *n_out = n;
    return ZOO_OK;
}

static zoo_status has_class(const zoo_trial_subject *subject, const char *type, bool *out,
                            zoo_error *err)
{
    char folder[4096];
    cJSON *own = NULL;
    ZOO_TRY(zoo_install_folder(subject->card_dir, "models.d", folder, sizeof folder, err));
    ZOO_TRY(zoo_class_read(folder, type, &own, err));
    *out = own != NULL;
    cJSON_Delete(own);
    return ZOO_OK;
}

/* Whether both choose the same mixer by name. */
static bool same_mixer(const zoo_card *a, const zoo_card *b)
{
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(zoo_card_part(a, "options"), "mixer");
    const cJSON *y = cJSON_GetObjectItemCaseSensitive(zoo_card_part(b, "options"), "mixer");
    return x && y && cJSON_Compare(x, y, true);
}

/* Of cards with one mixer a single one is a start: what differs else, single changes find. */
static bool is_taken(const zoo_starts *starts, const zoo_card *card)
{
    for (uint32_t i = 0; i < starts->n; i++) {
        if (starts->taken[i] == card || same_mixer(starts->taken[i], card)) {
            return true;
        }
    }
    return false;
}

/* Tries the n_max cards that come first and were not taken. */
static zoo_status find(const zoo_trial_subject *subject, ranked *list, uint32_t n, uint32_t n_max,
                       zoo_starts *starts, zoo_candidate *out, zoo_error *err)
{
    const zoo_card *found = NULL;
    uint32_t n_tried = 0;
    for (uint32_t i = 0; i < n && n_tried < n_max && starts->n < ZOO_STARTS_MAX; i++) {
        bring_forward(list, n, i);
        if (!is_taken(starts, list[i].card)) {
            ZOO_TRY(try_one(subject, &list[i], out, &found, err));
            n_tried++;
        }
    }
    if (!found) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED, "there are no cards to start from");
    }
    starts->taken[starts->n++] = found;
    return ZOO_OK;
}

zoo_status zoo_candidate_find(const zoo_trial_subject *subject, const zoo_cards *cards,
                              zoo_start start, zoo_starts *starts, zoo_candidate *out,
                              zoo_error *err)
{
    zoo_model_config *config = NULL;
    ranked *list = zoo_mem_array((size_t)cards->n_cards + 1, sizeof *list);
    uint32_t n = 0, n_max = start == ZOO_START_ALIKE ? ALIKE_MAX : TRIED_MAX;
    *out = (zoo_candidate){.model_type = out->model_type};
    zoo_status status = list ? zoo_model_config_open(subject->path, &config, err)
                             : zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    if (status == ZOO_OK) {
        status = has_class(subject, out->model_type, &out->own_class, err);
    }
    if (status == ZOO_OK) {
        status = rank(subject, cards, zoo_model_config_text(config), list, &n, err);
    }
    if (status == ZOO_OK) {
        status = find(subject, list, n, n_max, starts, out, err);
    }
    for (uint32_t i = 0; list && i < cards->n_cards; i++) {
        cJSON_Delete(list[i].class_json);
    }
    zoo_mem_free(list);
    zoo_model_config_close(config);
    return status;
}

static zoo_status cost_of(const zoo_trial_subject *subject, zoo_candidate *candidate,
                          const cJSON *card, double *cost, zoo_error *err)
{
    zoo_trial trial;
    candidate->n_trials++;
    ZOO_TRY(zoo_trial_run(subject, card, &trial, err));
    *cost = zoo_trial_cost(&trial);
    zoo_trial_free(&trial);
    return ZOO_OK;
}

/* One pass through the list, most promising first: an edit that fits better is kept. */
static zoo_status turn(const zoo_trial_subject *subject, const zoo_edits *edits,
                       zoo_candidate *candidate, zoo_error *err)
{
    for (uint32_t i = 0; i < edits->n && candidate->cost > 0; i++) {
        double cost = candidate->cost;
        cJSON *card = zoo_edit_apply(&edits->items[i], candidate->card);
        zoo_status status = card ? cost_of(subject, candidate, card, &cost, err) : ZOO_OK;
        if (status == ZOO_OK && cost < candidate->cost) {
            cJSON *old = candidate->card;
            candidate->card = card;
            candidate->cost = cost;
            card = old;
        }
        cJSON_Delete(card);
        ZOO_TRY(status);
    }
    return ZOO_OK;
}

zoo_status zoo_candidate_improve(const zoo_trial_subject *subject, const zoo_cards *cards,
                                 zoo_candidate *candidate, zoo_error *err)
{
    enum { TURNS_MAX = 8 };
    double before = candidate->cost + 1;
    for (uint32_t i = 0; i < TURNS_MAX && candidate->cost > 0 && candidate->cost < before; i++) {
        zoo_trial trial;
        zoo_edits edits = {0};
        before = candidate->cost;
        ZOO_TRY(zoo_trial_run(subject, candidate->card, &trial, err));
        zoo_status status = zoo_edits_list(cards, candidate->card, &trial, &edits, err);
        zoo_trial_free(&trial);
        if (status == ZOO_OK) {
            status = turn(subject, &edits, candidate, err);
        }
        zoo_edits_free(&edits);
        ZOO_TRY(status);
    }
    return ZOO_OK;
}

/* The plan in words and figures, for zoo_out_free. */
static zoo_out picture_of(const zoo_arch *arch)
{
    zoo_out out = {0};
    out.failed = !zoo_explain_json(&out, arch);
    return out;
}

/* Whether the card without this member says the same about the subject. */
static zoo_status same_without(const zoo_trial_subject *subject, const cJSON *card,
                               const zoo_out *picture, double cost, bool *same, zoo_error *err)
{
    zoo_trial trial;
    ZOO_TRY(zoo_trial_run(subject, card, &trial, err));
    *same = false;
    if (trial.arch && zoo_trial_cost(&trial) <= cost) {
        zoo_out now = picture_of(trial.arch);
        *same = !now.failed && now.n == picture->n && memcmp(now.data, picture->data, now.n) == 0;
        zoo_out_free(&now);
    }
    zoo_trial_free(&trial);
    return ZOO_OK;
}

/* A value that names a key takes effect in other folders of the type. */
static bool names_key(const zoo_arch *arch, const cJSON *value)
{
    const cJSON *text = zoo_model_config_text(arch->model.config);
    const zoo_config *view = zoo_model_config_view(arch->model.config);
    return cJSON_IsString(value) && (cJSON_GetObjectItemCaseSensitive(text, value->valuestring) ||
                                     view->type(view, value->valuestring) != ZOO_ABSENT);
}

/* Removes each item in turn; one that is needed is put back at the end, which keeps the order. */
static zoo_status prune_member(const zoo_trial_subject *subject, zoo_candidate *candidate,
                               const char *member, const zoo_arch *arch, const zoo_out *picture,
                               zoo_error *err)
{
    cJSON *part = cJSON_GetObjectItemCaseSensitive(candidate->card, member);
    for (int i = 0, n = cJSON_GetArraySize(part); i < n; i++) {
        bool same = false;
        cJSON *item = cJSON_DetachItemViaPointer(part, part->child);
        zoo_status status = ZOO_OK;
        if (!names_key(arch, item)) {
            status = same_without(subject, candidate->card, picture, candidate->cost, &same, err);
            candidate->n_trials++;
        }
        if (same) {
            cJSON_Delete(item);
        } else if (cJSON_IsArray(part)) {
            (void)cJSON_AddItemToArray(part, item);
        } else {
            char *key = item->string;
            item->string = NULL;
            (void)cJSON_AddItemToObject(part, key, item);
            cJSON_free(key);
        }
        ZOO_TRY(status);
    }
    if (part && !part->child) {
        cJSON_DeleteItemFromObjectCaseSensitive(candidate->card, member);
    }
    return ZOO_OK;
}

zoo_status zoo_candidate_prune(const zoo_trial_subject *subject, zoo_candidate *candidate,
                               zoo_error *err)
{
    static const char *const members[] = {"options", "aliases",         "defaults", "fixed",
                                          "tensors", "ignored_tensors", "ignored",  "trace"};
    zoo_trial trial;
    ZOO_TRY(zoo_trial_run(subject, candidate->card, &trial, err));
    candidate->cost = zoo_trial_cost(&trial);
    zoo_status status = ZOO_OK;
    if (trial.arch) {
        zoo_out picture = picture_of(trial.arch);
        for (size_t i = 0; i < ZOO_COUNT(members) && status == ZOO_OK && !picture.failed; i++) {
            status = prune_member(subject, candidate, members[i], trial.arch, &picture, err);
        }
        zoo_out_free(&picture);
    }
    zoo_trial_free(&trial);
    return status == ZOO_OK ? cost_of(subject, candidate, candidate->card, &candidate->cost, err)
                            : status;
}
