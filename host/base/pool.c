/*
 * pool.c: the pool's threads.
 *
 *   run:    write fn and arg; set the ticket to (n_items, 0); raise `round`; wake sleepers; take
 *           items; wait (spin, then sleep) until all items are done
 *   helper: wait for a new round (spin, then sleep); take items; add how many it did to n_done
 *   take:   a fetch_add on the ticket gives the number of items and the one to do
 *   each:   a run of one item a thread, whose items wait for one another
 *
 * The owner waits for items, never for threads: a helper that has lost its core, or is not awake
 * yet, holds up nothing, and may come after its round, even in another one. The ticket alone says
 * whether there is something to do: an item below n_items keeps its round open until it is done, so
 * fn and arg are read with an item in hand only.
 */
#define _GNU_SOURCE
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/machine_limits.h"
#include "base/mem.h"
#include "base/thread.h"

enum { SPINS = 4000 };

typedef struct helper {
    zoo_pool *pool;
    pthread_t thread;
    uint32_t worker;
} helper;

struct zoo_pool {
    uint32_t n_threads, n_started, n_spins;
    bool pin;
    zoo_task *fn;
    void *arg;
    char pad0[64];           /* each field below has a cache line of its own */
    _Atomic uint64_t ticket; /* n_items << 32 | item to take */
    char pad1[64];
    _Atomic uint32_t n_done; /* items of this round */
    char pad2[64];
    _Atomic uint32_t round; /* what helpers watch */
    _Atomic uint32_t n_asleep;
    _Atomic bool owner_asleep;
    _Atomic bool stop;
    pthread_mutex_t lock;
    pthread_cond_t wake, left; /* a round begins; its last item is done */
    helper *helpers;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* the yield instruction does nothing on most cores */
#endif
}

static void wake_owner(zoo_pool *pool)
{
    if (atomic_load(&pool->owner_asleep)) {
        (void)pthread_mutex_lock(&pool->lock);
        (void)pthread_cond_signal(&pool->left);
        (void)pthread_mutex_unlock(&pool->lock);
    }
}

static void take_items(zoo_pool *pool, uint32_t worker)
{
    uint32_t item, n_items, n_done = 0;
    for (;;) {
        uint64_t ticket = atomic_fetch_add_explicit(&pool->ticket, 1, memory_order_acquire);
        item = (uint32_t)ticket;
        n_items = (uint32_t)(ticket >> 32);
        if (item >= n_items) {
            break;
        }
        pool->fn(pool->arg, item, worker);
        n_done++;
    }
    if (n_done && atomic_fetch_add(&pool->n_done, n_done) + n_done == n_items) {
        wake_owner(pool);
    }
}

/* Returns the new round once it is not `seen`. */
static uint32_t await_round(zoo_pool *pool, uint32_t seen)
{
    for (uint32_t i = 0; i < pool->n_spins; i++) {
        uint32_t round = atomic_load_explicit(&pool->round, memory_order_acquire);
        if (round != seen) {
            return round;
        }
        relax();
    }
    (void)pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->n_asleep, 1);
    while (atomic_load(&pool->round) == seen) {
        (void)pthread_cond_wait(&pool->wake, &pool->lock);
    }
    atomic_fetch_sub(&pool->n_asleep, 1);
    (void)pthread_mutex_unlock(&pool->lock);
    return atomic_load_explicit(&pool->round, memory_order_acquire);
}

static void pin_to(uint32_t core)
{
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
#else
    (void)core;
#endif
}

/* Returns once all items are done. A helper may have lost its core, perhaps to us. */
static void await_items(zoo_pool *pool, uint32_t n_items)
{
    for (uint32_t i = 0; i < pool->n_spins; i++) {
        if (atomic_load_explicit(&pool->n_done, memory_order_acquire) == n_items) {
            return;
        }
        relax();
    }
    (void)pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->owner_asleep, true);
    while (atomic_load(&pool->n_done) != n_items) {
        (void)pthread_cond_wait(&pool->left, &pool->lock);
    }
    atomic_store(&pool->owner_asleep, false);
    (void)pthread_mutex_unlock(&pool->lock);
}

static void *help(void *arg)
{
    helper *self = arg;
    zoo_pool *pool = self->pool;
    uint32_t seen = 0;
    if (pool->pin) {
        pin_to(self->worker);
    }
    for (;;) {
        seen = await_round(pool, seen);
        if (atomic_load(&pool->stop)) {
            return NULL;
        }
        take_items(pool, self->worker);
    }
}

/* must: wakes every sleeper. A helper that holds the lock, about to sleep, is waited for, even
 * where it has lost its core; else that one may sleep through the round. */
static void raise_round(zoo_pool *pool, bool must)
{
    atomic_fetch_add(&pool->round, 1);
    if (!atomic_load(&pool->n_asleep)) {
        return;
    }
    if (must) {
        (void)pthread_mutex_lock(&pool->lock);
    } else if (pthread_mutex_trylock(&pool->lock) != 0) {
        return; /* a helper more or less in this round */
    }
    (void)pthread_cond_broadcast(&pool->wake);
    (void)pthread_mutex_unlock(&pool->lock);
}

zoo_status zoo_pool_new(uint32_t n_threads, bool pin, zoo_pool **out, zoo_error *err)
{
    zoo_pool *pool = zoo_mem_array(1, sizeof *pool);
    *out = NULL;
    if (!pool) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a pool of threads");
    }
    pool->n_threads = n_threads ? n_threads : 1;
    /* A thread that spins must not keep its core from the one that it waits for. */
    pool->n_spins = pool->n_threads <= zoo_machine_threads() ? SPINS : 0;
    pool->pin = pin;
    pool->helpers = zoo_mem_array(pool->n_threads, sizeof *pool->helpers);
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->wake, NULL);
    (void)pthread_cond_init(&pool->left, NULL);
    for (uint32_t i = 1; pool->helpers && i < pool->n_threads; i++) {
        pool->helpers[i] = (helper){.pool = pool, .worker = i};
        if (!zoo_thread_start(&pool->helpers[i].thread, help, &pool->helpers[i])) {
            break;
        }
        pool->n_started = i;
    }
    if (!pool->helpers || pool->n_started + 1 < pool->n_threads) {
        zoo_pool_free(pool);
        return zoo_fail(err, ZOO_E_MEMORY, "%u threads cannot be started", n_threads);
    }
    if (pin) {
        pin_to(0);
    }
    *out = pool;
    return ZOO_OK;
}

void zoo_pool_free(zoo_pool *pool)
{
    if (!pool) {
        return;
    }
    atomic_store(&pool->stop, true);
    raise_round(pool, true);
    for (uint32_t i = 1; i <= pool->n_started; i++) {
        (void)pthread_join(pool->helpers[i].thread, NULL);
    }
    (void)pthread_cond_destroy(&pool->wake);
    (void)pthread_cond_destroy(&pool->left);
    (void)pthread_mutex_destroy(&pool->lock);
    zoo_mem_free(pool->helpers);
    zoo_mem_free(pool);
}

/* must: as of raise_round. */
static void run(zoo_pool *pool, uint32_t n_items, zoo_task *fn, void *arg, bool must)
{
    pool->fn = fn;
    pool->arg = arg;
    atomic_store_explicit(&pool->n_done, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->ticket, (uint64_t)n_items << 32, memory_order_release);
    raise_round(pool, must);
    take_items(pool, 0);
    await_items(pool, n_items);
}

void zoo_pool_run(zoo_pool *pool, uint32_t n_items, zoo_task *fn, void *arg)
{
    if (n_items <= 1 || pool->n_threads == 1) {
        for (uint32_t i = 0; i < n_items; i++) {
            fn(arg, i, 0);
        }
        return;
    }
    run(pool, n_items, fn, arg, false);
}

typedef struct meeting {
    zoo_task *fn;
    void *arg;
    uint32_t n;
    _Atomic uint32_t n_come;
} meeting;

/* A thread that waits here takes no second item. */
static void meet(void *arg, uint32_t item, uint32_t worker)
{
    meeting *m = arg;
    (void)item;
    atomic_fetch_add(&m->n_come, 1);
    while (atomic_load(&m->n_come) < m->n) {
        (void)sched_yield();
    }
    m->fn(m->arg, worker, worker);
}

void zoo_pool_each(zoo_pool *pool, zoo_task *fn, void *arg)
{
    meeting m = {.fn = fn, .arg = arg, .n = zoo_pool_n_threads(pool)};
    if (m.n == 1) {
        fn(arg, 0, 0);
        return;
    }
    run(pool, m.n, meet, &m, true);
}

uint32_t zoo_pool_n_threads(const zoo_pool *pool)
{
    return pool ? pool->n_threads : 1;
}
