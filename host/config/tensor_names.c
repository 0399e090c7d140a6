/*
 * tensor_names.c: candidates for a tensor's stored name. Fixed-size lists; candidates that do not
 * fit are dropped.
 */
#include "config/tensor_names.h"

#include <string.h>

/* Prefixes of the model's modules in released checkpoints. */
static const char *const prefixes[] = {"model.language_model.",
                                       "language_model.model.",
                                       "language_model.",
                                       "model.",
                                       "transformer.",
                                       "model.text_model.",
                                       ""};

static void add(zoo_name_list *list, const char *name)
{
    if (list->n_names == ZOO_NAME_CANDIDATES_MAX || strlen(name) >= ZOO_NAME_MAX) {
        return;
    }
    for (uint32_t i = 0; i < list->n_names; i++) {
        if (strcmp(list->names[i], name) == 0) {
            return;
        }
    }
    memcpy(list->names[list->n_names++], name, strlen(name) + 1);
}

/* out = name with the first `from` replaced by `to`; false: not found, or too long. */
static bool replace(const char *name, const char *from, const char *to, char *out)
{
    const char *at = *from ? strstr(name, from) : NULL;
    if (!at) {
        return false;
    }
    int n = snprintf(out, ZOO_NAME_MAX, "%.*s%s%s", (int)(at - name), name, to, at + strlen(from));
    return n > 0 && n < ZOO_NAME_MAX;
}

/* Applies one pair to every name of the list; new names come before the old ones. */
static bool apply(zoo_name_list *list, const char *from, const char *to)
{
    zoo_name_list old = *list;
    bool any = false;
    list->n_names = 0;
    for (uint32_t i = 0; i < old.n_names; i++) {
        char changed[ZOO_NAME_MAX];
        if (replace(old.names[i], from, to, changed)) {
            add(list, changed);
            any = true;
        }
    }
    for (uint32_t i = 0; i < old.n_names; i++) {
        add(list, old.names[i]);
    }
    return any;
}

static void add_prefixes(zoo_name_list *list)
{
    uint32_t n = list->n_names;
    for (uint32_t i = 0; i < n; i++) {
        for (size_t p = 0; p < ZOO_COUNT(prefixes); p++) {
            size_t length = strlen(prefixes[p]);
            if (strncmp(list->names[i], prefixes[p], length) != 0) {
                continue;
            }
            for (size_t q = 0; q < ZOO_COUNT(prefixes); q++) {
                char name[ZOO_NAME_MAX];
                if (snprintf(name, sizeof name, "%s%s", prefixes[q], list->names[i] + length) <
                    ZOO_NAME_MAX) {
                    add(list, name);
                }
            }
            break;
        }
    }
}

void zoo_names_candidates(const zoo_card *card, const char *canonical, zoo_name_list *list)
{
    uint32_t i = 0;
    list->n_names = 0;
    list->used = 0;
    add(list, canonical);
    const cJSON *pair = NULL;
    cJSON_ArrayForEach(pair, zoo_card_part(card, "tensors"))
    {
        bool used = apply(list, pair->child->valuestring, pair->child->next->valuestring);
        list->used |= used && i < 64 ? UINT64_C(1) << i : 0;
        i++;
    }
    add_prefixes(list);
}

bool zoo_name_matches(const char *pattern, const char *text)
{
    const char *star = NULL, *mark = text;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            mark = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++mark;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}
