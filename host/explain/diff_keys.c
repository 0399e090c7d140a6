/* diff_keys.c: keys of two config files that differ although no term of the forward pass does. */
#include <string.h>

#include "explain/diff.h"

typedef struct key_walk {
    zoo_doc *doc;
    const zoo_arch *a, *b;
    uint32_t n;
} key_walk;

static char *print_item(const cJSON *item)
{
    char *text = item ? cJSON_PrintUnformatted(item) : NULL;
    if (text && strlen(text) > 40) {
        memcpy(text + 37, "...", 4);
    }
    return text;
}

static void tell(key_walk *w, const char *key, const cJSON *a, const cJSON *b)
{
    char *x = print_item(a), *y = print_item(b);
    if (w->n++ == 0) {
        zoo_doc_table(w->doc, 3);
        zoo_doc_cell(w->doc, "key");
        zoo_doc_cell(w->doc, "%s", w->a->name);
        zoo_doc_cell(w->doc, "%s", w->b->name);
    }
    zoo_doc_cell(w->doc, "%s", key);
    zoo_doc_cell(w->doc, "%s", x ? x : "absent");
    zoo_doc_cell(w->doc, "%s", y ? y : "absent");
    cJSON_free(x);
    cJSON_free(y);
}

typedef struct key_search {
    const char *key;
    bool found;
} key_search;

static void look(void *arg, const char *key, const char *value, const char *note)
{
    key_search *search = arg;
    (void)value;
    (void)note;
    search->found = search->found || strcmp(search->key, key) == 0;
}

/* Whether the forward pass of this architecture depends on the key of its file. */
static bool matters(const zoo_arch *arch, const char *key)
{
    key_search search = {key, false};
    if (zoo_model_config_is_harmless(key)) {
        return false;
    }
    zoo_model_config_unread(arch->model.config, look, &search);
    return !search.found;
}

/* Keys of `own` that the other file lacks or has otherwise. */
static void walk(key_walk *w, const zoo_arch *own, const zoo_arch *other, bool second)
{
    const cJSON *tree = zoo_model_config_text(own->model.config);
    const cJSON *theirs = zoo_model_config_text(other->model.config), *item = NULL;
    cJSON_ArrayForEach(item, tree)
    {
        const cJSON *same = cJSON_GetObjectItemCaseSensitive(theirs, item->string);
        bool equal = same && cJSON_Compare(item, same, true);
        if (equal || (second && same) || matters(own, item->string) ||
            (same && matters(other, item->string))) {
            continue;
        }
        tell(w, item->string, second ? NULL : item, second ? item : same);
    }
}

void zoo_diff_keys(zoo_doc *doc, const zoo_arch *a, const zoo_arch *b)
{
    key_walk w = {doc, a, b, 0};
    walk(&w, a, b, false);
    walk(&w, b, a, true);
    if (w.n) {
        zoo_doc_table_end(doc);
    } else {
        zoo_doc_para(doc, "None.");
    }
}
