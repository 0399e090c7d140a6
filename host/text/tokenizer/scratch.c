/*
 * scratch.c: what a call of encode needs besides the tokenizer, lent from a pool.
 *
 * The pool keeps what came back, with grown buffers and a warm word cache. Its lock is held for a
 * few instructions per call; nothing else of a tokenizer is shared and written.
 */
#include "base/mem.h"
#include "text/tokenizer/tokenizer_private.h"

#include <pthread.h>
#include <stdlib.h>

struct tok_scratch_pool {
    pthread_mutex_t lock;
    tok_scratch *idle;
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
    while (pool->idle) {
        tok_scratch *next = pool->idle->next;
        scratch_free(pool->idle);
        pool->idle = next;
    }
    (void)pthread_mutex_destroy(&pool->lock);
    zoo_mem_free(pool);
}

static tok_scratch *scratch_new(void)
{
    tok_scratch *s = zoo_mem_array(1, sizeof *s);
    if (!s) {
        return NULL;
    }
    s->words = zoo_mem_array(TOK_WORDS, sizeof *s->words);
    s->matcher = tok_matcher_open();
    if (!s->words || !s->matcher) {
        scratch_free(s);
        return NULL;
    }
    return s;
}

tok_scratch *tok_scratch_take(const zoo_tokenizer *t)
{
    (void)pthread_mutex_lock(&t->scratch->lock);
    tok_scratch *s = t->scratch->idle;
    if (s) {
        t->scratch->idle = s->next;
    }
    (void)pthread_mutex_unlock(&t->scratch->lock);
    return s ? s : scratch_new();
}

/* One huge text must not keep its memory for ever. */
static void trim(tok_scratch *s)
{
    const size_t keep = 1u << 20;
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
    s->next = t->scratch->idle;
    t->scratch->idle = s;
    (void)pthread_mutex_unlock(&t->scratch->lock);
}
