/*
 * store.c: grammars by what they were made for: a few, the longest unused goes first.
 *
 * The key is the JSON text of what is wanted, compared whole. Memory: GRAMMARS_MAX grammars with
 * their states and masks.
 */
#include <string.h>

#include "base/mem.h"
#include "text/grammar/vocab.h"

#define GRAMMARS_MAX 16

typedef struct entry {
    char *key; /* null: free */
    zoo_grammar *grammar;
    uint64_t used; /* when it was last asked for; 0: never */
} entry;

struct zoo_grammars {
    const zoo_vocab *vocab;
    pthread_mutex_t lock; /* of all below */
    uint64_t n_asked;
    entry entries[GRAMMARS_MAX];
};

zoo_status zoo_grammars_new(const zoo_vocab *vocab, zoo_grammars **out, zoo_error *err)
{
    zoo_grammars *s = zoo_mem_array(1, sizeof *s);
    *out = NULL;
    if (!s || pthread_mutex_init(&s->lock, NULL) != 0) {
        zoo_mem_free(s);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for grammars");
    }
    s->vocab = vocab;
    *out = s;
    return ZOO_OK;
}

void zoo_grammars_free(zoo_grammars *s)
{
    if (!s) {
        return;
    }
    for (int i = 0; i < GRAMMARS_MAX; i++) {
        zoo_mem_free(s->entries[i].key);
        zoo_grammar_free(s->entries[i].grammar);
    }
    (void)pthread_mutex_destroy(&s->lock);
    zoo_mem_free(s);
}

/* What is wanted, in a list; null: no memory. Freed with zoo_mem_free. */
static char *key_of(const zoo_grammar_want *want)
{
    const cJSON *what = want->tools ? want->tools : want->options ? want->options : want->schema;
    cJSON *key = cJSON_CreateArray();
    bool ok = cJSON_AddItemToArray(key, cJSON_CreateNumber((double)want->reasoning)) &&
              cJSON_AddItemToArray(key, want->choice ? cJSON_CreateString(want->choice)
                                                     : cJSON_CreateNull()) &&
              cJSON_AddItemToArray(key, cJSON_CreateBool(want->tools != NULL)) &&
              cJSON_AddItemToArray(key, cJSON_CreateBool(want->many)) &&
              cJSON_AddItemToArray(key, cJSON_CreateBool(want->format != NULL)) &&
              cJSON_AddItemToArray(key, cJSON_CreateBool(want->options != NULL)) &&
              cJSON_AddItemToArray(key, want->pattern ? cJSON_CreateString(want->pattern)
                                                      : cJSON_CreateNull()) &&
              cJSON_AddItemToArray(key, want->ebnf ? cJSON_CreateString(want->ebnf)
                                                   : cJSON_CreateNull()) &&
              (!what || cJSON_AddItemReferenceToArray(key, (cJSON *)(uintptr_t)what));
    char *text = ok ? cJSON_PrintUnformatted(key) : NULL;
    char *out = text ? zoo_mem_text(text, strlen(text)) : NULL;
    cJSON_free(text);
    cJSON_Delete(key);
    return out;
}

/* The entry of the key, or the one to replace. */
static entry *place_of(zoo_grammars *s, const char *key)
{
    entry *oldest = &s->entries[0];
    for (int i = 0; i < GRAMMARS_MAX; i++) {
        entry *e = &s->entries[i];
        if (e->key && strcmp(e->key, key) == 0) {
            return e;
        }
        oldest = e->used < oldest->used ? e : oldest;
    }
    return oldest;
}

zoo_status zoo_grammars_get(zoo_grammars *s, const zoo_grammar_want *want, zoo_grammar **out,
                            zoo_error *err)
{
    char *key = key_of(want);
    zoo_status status = ZOO_OK;
    *out = NULL;
    if (!key) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a grammar");
    }
    (void)pthread_mutex_lock(&s->lock);
    entry *e = place_of(s, key);
    if (!e->key || strcmp(e->key, key) != 0) {
        zoo_grammar *fresh = NULL;
        status = zoo_grammar_compile(want, s->vocab, &fresh, err);
        if (status == ZOO_OK) {
            zoo_mem_free(e->key);
            zoo_grammar_free(e->grammar);
            *e = (entry){.key = key, .grammar = fresh};
            key = NULL;
        }
    }
    if (status == ZOO_OK) {
        e->used = ++s->n_asked;
        atomic_fetch_add(&e->grammar->n_refs, 1);
        *out = e->grammar;
    }
    (void)pthread_mutex_unlock(&s->lock);
    zoo_mem_free(key);
    return status;
}
