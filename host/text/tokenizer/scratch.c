/*
 * scratch.c: what a call of encode or a decoder needs besides the tokenizer, lent from a pool.
 *
 * The pool keeps what came back, with grown buffers and a warm word cache. Decoders live long and
 * are many, one for each row that runs, and need no word cache: theirs are apart, so that there are
 * as many caches (2 MiB) as encodes at once. The pool's lock is held for a few instructions per
 * call; nothing else of a tokenizer is shared and written.
 */
#include "base/mem.h"
#include "text/tokenizer/tokenizer_private.h"

#include <pthread.h>
#include <stdlib.h>

struct tok_scratch_pool {
    pthread_mutex_t lock;
    tok_scratch *idle[2]; /* without and with a word cache */
};

struct tok_scratch_pool *tok_scratch_pool_open(void)
{
    struct tok_scratch_pool *pool = zoo_mem_array(1, sizeof *pool);
    if (pool && pthread_mutex_init(&pool->lock, NULL) != 0) {
        zoo_mem_free(pool);
        return NULL;
    }
    return pool;
}

static void scratch_free(tok_scratch *s)
{
    zoo_text_free(&s->lossy);
    zoo_text_free(&s->word);
    zoo_text_free(&s->norm[0]);
    zoo_text_free(&s->norm[1]);
    for (size_t i = 0; i < TOK_STEPS_MAX; i++) {
        zoo_text_free(&s->step[i]);
    }
    zoo_ids_free(&s->ids);
    tok_matcher_close(s->matcher);
    zoo_mem_free(s->words);
    zoo_mem_free(s->sym);
    zoo_mem_free(s->heap);
    zoo_mem_free(s->lattice);
    zoo_mem_free(s);
}

void tok_scratch_pool_close(struct tok_scratch_pool *pool)
{
    if (!pool) {
        return;
    }
    for (int with = 0; with < 2; with++) {
        while (pool->idle[with]) {
            tok_scratch *next = pool->idle[with]->next;
            scratch_free(pool->idle[with]);
            pool->idle[with] = next;
        }
    }
    (void)pthread_mutex_destroy(&pool->lock);
    zoo_mem_free(pool);
}

static tok_scratch *scratch_new(bool encodes)
{
    tok_scratch *s = zoo_mem_array(1, sizeof *s);
    if (!s) {
        return NULL;
    }
    s->words = encodes ? zoo_mem_array(TOK_WORDS, sizeof *s->words) : NULL;
    s->matcher = tok_matcher_open();
    if ((encodes && !s->words) || !s->matcher) {
        scratch_free(s);
        return NULL;
    }
    return s;
}

tok_scratch *tok_scratch_take(const zoo_tokenizer *t, bool encodes)
{
    (void)pthread_mutex_lock(&t->scratch->lock);
    tok_scratch *s = t->scratch->idle[encodes];
    if (s) {
        t->scratch->idle[encodes] = s->next;
    }
    (void)pthread_mutex_unlock(&t->scratch->lock);
    return s ? s : scratch_new(encodes);
}

/* One huge text must not keep its memory for ever. */
static void trim(tok_scratch *s)
{
    const size_t keep = 1u << 16;
    if (s->sym_capacity > keep || s->heap_capacity > keep || s->lattice_capacity > keep) {
        zoo_mem_free(s->sym);
        zoo_mem_free(s->heap);
        zoo_mem_free(s->lattice);
        s->sym = NULL;
        s->heap = NULL;
        s->lattice = NULL;
        s->sym_capacity = s->heap_capacity = s->lattice_capacity = 0;
    }
    for (size_t i = 0; i < TOK_STEPS_MAX; i++) {
        if (s->step[i].capacity > keep) {
            zoo_text_free(&s->step[i]);
        }
    }
    if (s->word.capacity > keep) {
        zoo_text_free(&s->word);
    }
    if (s->lossy.capacity > keep || s->norm[0].capacity > keep || s->norm[1].capacity > keep) {
        zoo_text_free(&s->lossy);
        zoo_text_free(&s->norm[0]);
        zoo_text_free(&s->norm[1]);
    }
}

void tok_scratch_give(const zoo_tokenizer *t, tok_scratch *s)
{
    if (!s) {
        return;
    }
    trim(s);
    (void)pthread_mutex_lock(&t->scratch->lock);
    s->next = t->scratch->idle[s->words != NULL];
    t->scratch->idle[s->words != NULL] = s;
    (void)pthread_mutex_unlock(&t->scratch->lock);
}
