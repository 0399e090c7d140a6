/* trial.c: opens the subject with the card and collects what does not fit. */
#include "adding/trial.h"

#include <ctype.h>
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "config/card_options.h"
#include "config/problems.h"

zoo_status zoo_trial_subject_open(const char *path, zoo_trial_subject *subject, zoo_error *err)
{
    struct stat info;
    subject->path = path;
    subject->has_tensors = false;
    if (stat(path, &info) != 0) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: no such folder and no such config.json", path);
    }
    DIR *folder = S_ISDIR(info.st_mode) ? opendir(path) : NULL;
    for (const struct dirent *e = NULL; folder && (e = readdir(folder));) {
        size_t n = strlen(e->d_name);
        subject->has_tensors =
            subject->has_tensors || (n > 12 && strcmp(e->d_name + n - 12, ".safetensors") == 0);
    }
    if (folder) {
        (void)closedir(folder);
    }
    return ZOO_OK;
}

/* Numbers become '#', so that the same sentence about each layer counts once. */
static void without_numbers(const char *text, char *out, size_t n)
{
    size_t used = 0;
    for (const char *p = text; *p && used + 1 < n; p++) {
        bool number = isdigit((unsigned char)*p) && (p == text || p[-1] == '.');
        if (number) {
            while (isdigit((unsigned char)p[1])) {
                p++;
            }
        }
        out[used++] = *p;
        if (number) {
            out[used - 1] = '#';
        }
    }
    out[used] = '\0';
}

static const char tried_name[] = "the new card";

static bool is_told(char (*list)[ZOO_MISFIT_BYTES], uint32_t n, const char *text)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(list[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static void add_misfit(zoo_trial *trial, const char *sentence)
{
    char text[ZOO_MISFIT_BYTES];
    without_numbers(sentence, text, sizeof text);
    if (trial->n_misfits < ZOO_MISFITS && !is_told(trial->misfits, trial->n_misfits, text)) {
        memcpy(trial->misfits[trial->n_misfits++], text, sizeof text);
    }
}

/* Tensors that nobody uses and keys that nobody reads are collected one by one afterwards. */
static void take_problem(void *arg, const char *sentence)
{
    zoo_trial *trial = arg;
    const char *tensor = strstr(sentence, ": tensor ");
    if (tensor && !strstr(tensor, " does not use it")) {
        add_misfit(trial, tensor + 2);
    } else if (strncmp(sentence, tried_name, strlen(tried_name)) == 0) {
        trial->n_useless++;
    }
}

static void add_key(void *arg, const char *key, const char *value, const char *note)
{
    zoo_trial *trial = arg;
    char text[ZOO_MISFIT_BYTES];
    (void)snprintf(text, sizeof text, "%.200s %.100s", key, value);
    if (!note && trial->n_keys < ZOO_MISFITS && !is_told(trial->keys, trial->n_keys, text)) {
        memcpy(trial->keys[trial->n_keys++], text, sizeof text);
    }
}

static void count_unused(void *arg, const char *name, bool matters)
{
    zoo_trial *trial = arg;
    char text[ZOO_MISFIT_BYTES];
    if (matters) {
        (void)snprintf(text, sizeof text, "tensor %.300s is not used", name);
        add_misfit(trial, text);
        return;
    }
    without_numbers(name, text, sizeof text);
    if (trial->n_unused < ZOO_MISFITS && !is_told(trial->unused, trial->n_unused, text)) {
        memcpy(trial->unused[trial->n_unused++], text, sizeof text);
    }
}

static void judge_keys(zoo_trial *trial)
{
    zoo_model *model = &trial->arch->model;
    zoo_error err;
    if (zoo_model_config_check(model->config, model->plugin, NULL, add_key, trial, &err) !=
        ZOO_OK) {
        add_key(trial, "refused:", err.text, NULL);
    }
    zoo_model_config_unread(model->config, add_key, trial);
}

static bool has_good_options(const zoo_trial_subject *subject, const cJSON *card, zoo_error *err)
{
    const char *plugin = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(card, "plugin"));
    const cJSON *option = NULL;
    cJSON_ArrayForEach(option, cJSON_GetObjectItemCaseSensitive(card, "options"))
    {
        if (zoo_card_option_check(subject->options, tried_name, plugin, option, err) != ZOO_OK) {
            return false;
        }
    }
    return true;
}

static void open_it(const zoo_trial_subject *subject, zoo_trial *out)
{
    zoo_error refused;
    zoo_problems problems = {.tell = take_problem, .arg = out};
    const zoo_model_options options = {.plugin_dir = subject->plugin_dir,
                                       .card_dir = subject->card_dir,
                                       .card = &out->card,
                                       .plan_only = subject->has_tensors,
                                       .problems = &problems};
    if (!has_good_options(subject, out->card.json, &refused) ||
        zoo_arch_open_text(subject->path, NULL, &options, &out->arch, &refused) != ZOO_OK) {
        (void)snprintf(out->why, sizeof out->why, "%.390s", refused.text);
        return;
    }
    judge_keys(out);
    if (subject->has_tensors) {
        zoo_model_leftovers(&out->arch->model, count_unused, out);
    }
    out->arch->model.problems = NULL;
    zoo_model_config_problems(out->arch->model.config, NULL);
}

zoo_status zoo_trial_run(const zoo_trial_subject *subject, const cJSON *card, zoo_trial *out,
                         zoo_error *err)
{
    *out = (zoo_trial){.card = {.path = zoo_mem_text(tried_name, strlen(tried_name)),
                                .json = cJSON_Duplicate(card, true)},
                       .misfits = zoo_mem_array(ZOO_MISFITS, sizeof *out->misfits),
                       .keys = zoo_mem_array(ZOO_MISFITS, sizeof *out->keys),
                       .unused = zoo_mem_array(ZOO_MISFITS, sizeof *out->unused)};
    if (!out->misfits || !out->keys || !out->unused || !out->card.path || !out->card.json) {
        zoo_trial_free(out);
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    open_it(subject, out);
    return ZOO_OK;
}

void zoo_trial_free(zoo_trial *trial)
{
    zoo_arch_close(trial->arch);
    zoo_mem_free(trial->card.path);
    cJSON_Delete(trial->card.json);
    zoo_mem_free(trial->misfits);
    zoo_mem_free(trial->keys);
    zoo_mem_free(trial->unused);
    *trial = (zoo_trial){0};
}

/* A tensor of another shape is nearer than one that is missing: its name is right. */
double zoo_trial_cost(const zoo_trial *trial)
{
    double cost = trial->arch ? 0 : 1000;
    for (uint32_t i = 0; i < trial->n_misfits; i++) {
        cost += strstr(trial->misfits[i], ", found ") ? 2.0 : 3.0;
    }
    return cost + 1.0 * trial->n_useless + 2.0 * trial->n_keys + 1.0 * trial->n_unused;
}
