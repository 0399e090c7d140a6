/* new_card.c: finds the card, then writes it with its explanation and questions. */
#include "adding/new_card.h"

#include <string.h>

#include "adding/questions.h"
#include "base/json.h"
#include "config/plugin_loader.h"
#include "explain/words.h"

/* A value with spaces after commas and colons. */
static void write_value(zoo_out *out, const cJSON *value)
{
    const cJSON *item = NULL;
    bool object = cJSON_IsObject(value);
    if (!object && !cJSON_IsArray(value)) {
        char *text = cJSON_PrintUnformatted(value);
        zoo_out_text(out, text ? text : "null");
        cJSON_free(text);
        return;
    }
    zoo_out_text(out, object ? "{" : "[");
    cJSON_ArrayForEach(item, value)
    {
        zoo_out_text(out, item == value->child ? "" : ", ");
        if (object) {
            zoo_out_string(out, item->string, strlen(item->string));
            zoo_out_text(out, ": ");
        }
        write_value(out, item);
    }
    zoo_out_text(out, object ? "}" : "]");
}

void zoo_card_write(zoo_out *out, const cJSON *card)
{
    const cJSON *item = NULL;
    zoo_out_text(out, "{\n");
    cJSON_ArrayForEach(item, card)
    {
        zoo_out_text(out, "  ");
        zoo_out_string(out, item->string, strlen(item->string));
        zoo_out_text(out, ": ");
        write_value(out, item);
        zoo_out_text(out, item->next ? ",\n" : "\n");
    }
    zoo_out_text(out, "}\n");
}

/* Keys that nobody computes, so that the card loads and says what is open. */
static zoo_status note_unsettled(const zoo_trial_subject *subject, zoo_candidate *candidate,
                                 zoo_error *err)
{
    zoo_trial trial;
    ZOO_TRY(zoo_trial_run(subject, candidate->card, &trial, err));
    cJSON *ignored = cJSON_GetObjectItemCaseSensitive(candidate->card, "ignored");
    for (uint32_t i = 0; i < trial.n_keys; i++) {
        char key[ZOO_MISFIT_BYTES], note[ZOO_MISFIT_BYTES];
        (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(trial.keys[i], " "), trial.keys[i]);
        (void)snprintf(note, sizeof note, ZOO_UNSETTLED "what does the model do with it?");
        ignored = ignored ? ignored : cJSON_AddObjectToObject(candidate->card, "ignored");
        if (strchr(key, ':') == NULL) {
            (void)cJSON_AddStringToObject(ignored, key, note);
        }
    }
    zoo_trial_free(&trial);
    return ZOO_OK;
}

static void describe(zoo_doc *doc, const zoo_trial_subject *subject, const zoo_candidate *c,
                     const char *type)
{
    zoo_doc_heading(doc, 1, "A card for %s", type);
    zoo_doc_para(doc,
                 "The nearest card is %s (%.0f %% of the keys in common, rare ones counting more); "
                 "%s. Found with %u trials on %s.",
                 c->nearest, 100 * c->likeness,
                 c->cost > 0 ? "with the changes below it still does not fit completely"
                             : "with the changes below it fits completely",
                 c->n_trials,
                 subject->has_tensors ? "keys, tensor names and shapes"
                                      : "keys alone: there are no tensors beside the config");
    if (!c->own_class) {
        zoo_doc_para(doc,
                     "There is no class file of this type, so defaults are those of %s's class. "
                     "Where transformers knows the type, tools/reference/classes.py %s makes its "
                     "own; remove \"class\" from the card then.",
                     c->nearest, type);
    }
}

/* The best end of several starts; the first that fits completely ends the search. */
static zoo_status find_best(const zoo_trial_subject *subject, const zoo_cards *cards,
                            const char *type, zoo_candidate *c, zoo_error *err)
{
    zoo_starts starts = {0};
    zoo_status status = ZOO_OK;
    for (uint32_t i = 0; i < ZOO_STARTS_MAX && (i == 0 || c->cost > 0); i++) {
        zoo_candidate other = {.model_type = type};
        zoo_start start = i == 1 ? ZOO_START_ALIKE : ZOO_START_FIT;
        status = zoo_candidate_find(subject, cards, start, &starts, &other, err);
        if (status == ZOO_E_UNSUPPORTED && i > 0) {
            return ZOO_OK; /* no more cards */
        }
        if (status == ZOO_OK) {
            status = zoo_candidate_improve(subject, cards, &other, err);
        }
        uint32_t n_trials = c->n_trials + other.n_trials;
        if (status == ZOO_OK && (i == 0 || other.cost < c->cost)) {
            zoo_candidate left = *c;
            *c = other;
            other = left;
        }
        c->n_trials = n_trials;
        cJSON_Delete(other.card);
        ZOO_TRY(status);
    }
    return ZOO_OK;
}

/* The stored name of one of our norms, taken out of the card's pairs; null: there is none. */
static cJSON *take_norm(cJSON *pairs, const char *canonical)
{
    cJSON *pair = NULL;
    cJSON_ArrayForEach(pair, pairs)
    {
        if (strcmp(cJSON_GetStringValue(pair->child), canonical) == 0) {
            cJSON *name = cJSON_Duplicate(pair->child->next, true);
            cJSON_Delete(cJSON_DetachItemViaPointer(pairs, pair));
            return name;
        }
    }
    return NULL;
}

/* Renamed norms of a layer are its modules' names: option norms says so, and traces then have the
 * reference's names. Kept where it fits as well. */
static zoo_status name_norms(const zoo_trial_subject *subject, zoo_candidate *c, zoo_error *err)
{
    cJSON *card = cJSON_Duplicate(c->card, true);
    cJSON *pairs = cJSON_GetObjectItemCaseSensitive(card, "tensors");
    cJSON *first = take_norm(pairs, "input_layernorm");
    cJSON *second = take_norm(pairs, "post_attention_layernorm");
    cJSON *list = cJSON_CreateArray(), *options = NULL;
    zoo_trial trial;
    if (!first || !second) {
        cJSON_Delete(first);
        cJSON_Delete(second);
        cJSON_Delete(list);
        cJSON_Delete(card);
        return ZOO_OK;
    }
    (void)cJSON_AddItemToArray(list, first);
    (void)cJSON_AddItemToArray(list, second);
    options = cJSON_GetObjectItemCaseSensitive(card, "options");
    options = options ? options : cJSON_AddObjectToObject(card, "options");
    cJSON_DeleteItemFromObjectCaseSensitive(options, "norms");
    (void)cJSON_AddItemToObject(options, "norms", list);
    zoo_status status = zoo_trial_run(subject, card, &trial, err);
    if (status == ZOO_OK && zoo_trial_cost(&trial) <= c->cost) {
        cJSON *old = c->card;
        c->card = card;
        card = old;
    }
    if (status == ZOO_OK) {
        zoo_trial_free(&trial);
    }
    cJSON_Delete(card);
    return status;
}

static zoo_status search(const zoo_trial_subject *subject, const zoo_cards *cards, const char *type,
                         zoo_doc *doc, zoo_candidate *c, zoo_error *err)
{
    uint32_t n = 0;
    zoo_doc questions = {.form = doc->form};
    ZOO_TRY(find_best(subject, cards, type, c, err));
    ZOO_TRY(name_norms(subject, c, err));
    ZOO_TRY(zoo_candidate_prune(subject, c, err));
    zoo_status status = zoo_questions_write(&questions, subject, c, &n, err);
    if (status == ZOO_OK) {
        status = note_unsettled(subject, c, err);
    }
    if (status == ZOO_OK) {
        describe(doc, subject, c, type);
        zoo_doc_heading(doc, 2, "Questions that files do not answer");
        zoo_doc_end(&questions);
        zoo_out_bytes(&doc->out, questions.out.data, questions.out.n);
        zoo_doc_heading(doc, 2, "Next");
        zoo_doc_item(doc, "answer the questions in the card; no rebuild is needed");
        zoo_doc_item(doc, "lmzoo inspect %s", subject->path);
        zoo_doc_item(doc, "lmzoo validate %s --reference (needs Python with transformers)",
                     subject->path);
    }
    zoo_doc_free(&questions);
    return status;
}

/* The type that the card shall name: the given one, or the file's. */
static zoo_status type_of(const zoo_trial_subject *subject, const char *given, const char *folder,
                          char *type, size_t n, zoo_error *err)
{
    zoo_model_config *config = NULL;
    ZOO_TRY(zoo_model_config_open(subject->path, &config, err));
    zoo_status status = zoo_model_config_unwrap(config, folder, err);
    (void)snprintf(type, n, "%s", given ? given : zoo_model_config_text_type(config));
    zoo_model_config_close(config);
    return status;
}

zoo_status zoo_new_card(const zoo_trial_subject *subject, const char *model_type, zoo_doc *doc,
                        zoo_out *text, char *name, size_t n_name, zoo_error *err)
{
    char folder[4096];
    zoo_cards cards = {0};
    zoo_candidate c = {.card = NULL};
    ZOO_TRY(zoo_install_folder(subject->card_dir, "models.d", folder, sizeof folder, err));
    ZOO_TRY(type_of(subject, model_type, folder, name, n_name, err));
    ZOO_TRY(zoo_cards_read(folder, &cards, err));
    zoo_trial_subject known = *subject;
    known.options = cards.options;
    const zoo_card *there = zoo_cards_find(&cards, name);
    zoo_status status = ZOO_OK;
    if (there) {
        status = zoo_fail(err, ZOO_E_USAGE,
                          "%s: a card names model_type \"%s\" already; lmzoo validate tries it",
                          there->path, name);
    } else {
        zoo_cards_drop_faulty(&cards);
        status = search(&known, &cards, name, doc, &c, err);
    }
    if (status == ZOO_OK) {
        zoo_card_write(text, c.card);
    }
    cJSON_Delete(c.card);
    zoo_cards_free(&cards);
    return status;
}
