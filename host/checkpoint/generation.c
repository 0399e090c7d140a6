/* generation.c: reading generation_config.json (generation.h). */
#include "checkpoint/generation.h"

#include <string.h>
#include <sys/stat.h>

#include "base/json.h"

enum { FILE_MAX = 1 << 24 };

static zoo_status add_eos(const cJSON *value, const char *path, uint32_t n_vocab,
                          zoo_generation *out, zoo_error *err)
{
    double id = cJSON_IsNumber(value) ? value->valuedouble : -1.0;
    if (!(id >= 0.0 && id <= 4294967294.0) || id != (double)(uint32_t)id) {
        return zoo_fail(err, ZOO_E_CONFIG, "%s: eos_token_id is not a token id or a list of them",
                        path);
    }
    if ((uint32_t)id >= n_vocab) {
        return ZOO_OK;
    }
    if (out->n_eos == ZOO_EOS_MAX) {
        return zoo_fail(err, ZOO_E_LIMIT, "%s: more than %d end tokens", path, ZOO_EOS_MAX);
    }
    out->eos[out->n_eos++] = (uint32_t)id;
    return ZOO_OK;
}

static zoo_status read_eos(const cJSON *tree, const char *path, uint32_t n_vocab,
                           zoo_generation *out, zoo_error *err)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(tree, "eos_token_id");
    const cJSON *item;
    if (!value || cJSON_IsNull(value)) {
        return ZOO_OK;
    }
    if (!cJSON_IsArray(value)) {
        return add_eos(value, path, n_vocab, out, err);
    }
    cJSON_ArrayForEach(item, value)
    {
        ZOO_TRY(add_eos(item, path, n_vocab, out, err));
    }
    return ZOO_OK;
}

typedef struct zoo_default {
    const char *key;
    double lo, hi;
    size_t field;
    bool is_whole;
} zoo_default;

static zoo_status read_number(const cJSON *tree, const char *path, const zoo_default *d,
                              zoo_generation *out, zoo_error *err)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(tree, d->key);
    double x;
    if (!value || cJSON_IsNull(value)) {
        return ZOO_OK;
    }
    x = cJSON_IsNumber(value) ? value->valuedouble : -1.0;
    if (!(x >= d->lo && x <= d->hi) || (d->is_whole && x != (double)(uint32_t)x)) {
        return zoo_fail(err, ZOO_E_CONFIG, "%s: %s must be a %snumber from %g to %g", path, d->key,
                        d->is_whole ? "whole " : "", d->lo, d->hi);
    }
    if (d->is_whole) {
        uint32_t whole = (uint32_t)x;
        memcpy((char *)out + d->field, &whole, sizeof whole);
    } else {
        float real = (float)x;
        memcpy((char *)out + d->field, &real, sizeof real);
    }
    return ZOO_OK;
}

/* Keys that change what the reference generates and are not applied here, with the number that
 * changes nothing. */
static const struct {
    const char *key;
    double neutral;
} others[] = {{"no_repeat_ngram_size", 0},
              {"bad_words_ids", 0},
              {"suppress_tokens", 0},
              {"begin_suppress_tokens", 0},
              {"sequence_bias", 0},
              {"min_length", 0},
              {"min_new_tokens", 0},
              {"forced_bos_token_id", -1},
              {"forced_eos_token_id", -1},
              {"exponential_decay_length_penalty", 0},
              {"encoder_repetition_penalty", 1},
              {"guidance_scale", 1},
              {"num_beams", 1},
              {"penalty_alpha", 0},
              {"stop_strings", 0},
              {"typical_p", 1},
              {"epsilon_cutoff", 0},
              {"eta_cutoff", 0},
              {"top_h", 0}};

static void note_others(const cJSON *tree, zoo_generation *out)
{
    for (size_t i = 0; i < ZOO_COUNT(others); i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(tree, others[i].key);
        bool silent = !value || cJSON_IsNull(value) || cJSON_IsFalse(value) ||
                      (cJSON_IsNumber(value) && value->valuedouble == others[i].neutral) ||
                      ((cJSON_IsArray(value) || cJSON_IsObject(value)) && !value->child);
        size_t n = strlen(out->unapplied);
        if (!silent) {
            (void)snprintf(out->unapplied + n, sizeof out->unapplied - n, "%s%s", n ? ", " : "",
                           others[i].key);
        }
    }
}

static zoo_status read_tree(const cJSON *tree, const char *path, uint32_t n_vocab,
                            zoo_generation *out, zoo_error *err)
{
    static const zoo_default sampling[] = {
        {"temperature", 0.0, 100.0, offsetof(zoo_generation, temperature), false},
        {"top_p", 0.0, 1.0, offsetof(zoo_generation, top_p), false},
        {"min_p", 0.0, 1.0, offsetof(zoo_generation, min_p), false},
        {"top_k", 0.0, 4294967295.0, offsetof(zoo_generation, top_k), true}};
    static const zoo_default length = {"max_new_tokens", 0.0, 4294967295.0,
                                       offsetof(zoo_generation, max_new_tokens), true};
    static const zoo_default repetition = {"repetition_penalty", 1e-3, 100.0,
                                           offsetof(zoo_generation, repetition), false};
    const cJSON *sample = cJSON_GetObjectItemCaseSensitive(tree, "do_sample");
    ZOO_TRY(read_eos(tree, path, n_vocab, out, err));
    ZOO_TRY(read_number(tree, path, &length, out, err));
    ZOO_TRY(read_number(tree, path, &repetition, out, err));
    note_others(tree, out);
    if (cJSON_IsFalse(sample)) {
        out->temperature = 0.0f;
    }
    for (size_t i = 0; i < ZOO_COUNT(sampling) && cJSON_IsTrue(sample); i++) {
        ZOO_TRY(read_number(tree, path, &sampling[i], out, err));
    }
    if (out->top_p <= 0.0f) {
        out->top_p = 1.0f; /* the reference reads 0 as off */
    }
    return ZOO_OK;
}

/* Reads one of the two files; an absent one leaves *tree null. */
static zoo_status open_file(const char *folder, const char *name, char path[4096], cJSON **tree,
                            zoo_error *err)
{
    struct stat info;
    int n = snprintf(path, 4096, "%s/%s", folder, name);
    *tree = NULL;
    if (n < 0 || n >= 4096) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: the path is too long", folder);
    }
    if (stat(path, &info) != 0) {
        return ZOO_OK;
    }
    return zoo_json_read_python(path, FILE_MAX, tree, err);
}

zoo_status zoo_generation_read(const char *folder, uint32_t n_vocab, zoo_generation *out,
                               zoo_error *err)
{
    char path[4096];
    cJSON *tree;
    zoo_status status;
    *out = (zoo_generation){.temperature = 1.0f, .top_p = 1.0f, .repetition = 1.0f};
    ZOO_TRY(open_file(folder, "generation_config.json", path, &tree, err));
    status = tree ? read_tree(tree, path, n_vocab, out, err) : ZOO_OK;
    cJSON_Delete(tree);
    if (status != ZOO_OK || out->n_eos > 0) {
        return status;
    }
    ZOO_TRY(open_file(folder, "config.json", path, &tree, err));
    if (tree) {
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(tree, "text_config");
        status = read_eos(tree, path, n_vocab, out, err);
        if (status == ZOO_OK && out->n_eos == 0 && text) {
            status = read_eos(text, path, n_vocab, out, err);
        }
    }
    cJSON_Delete(tree);
    return status;
}
