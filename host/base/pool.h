/*
 * pool.h: a thread pool that runs one parallel loop at a time.
 *
 * The caller is worker 0. Threads take items one by one from a counter, so which thread runs an
 * item is undetermined and no result may depend on it. A run waits for its items, not for threads:
 * one that has lost its core delays only the item that it is at. A run takes no lock and allocates
 * nothing while threads are awake; idle threads spin briefly, then sleep; at once if there are more
 * of them than cores that the process may use.
 */
#ifndef ZOO_BASE_POOL_H
#define ZOO_BASE_POOL_H

#include "zoo.h"

typedef struct zoo_pool zoo_pool;

/* n_threads >= 1, the caller included; pin: each to a core of its own. ZOO_E_MEMORY. [session] */
zoo_status zoo_pool_new(uint32_t n_threads, bool pin, zoo_pool **out, zoo_error *err);
/* Stops and joins the threads; null is fine. */
void zoo_pool_free(zoo_pool *pool);
/* Runs fn(arg, item, worker) for every item < n_items; returns when all are done.
 * Not nested, one caller. [step] */
void zoo_pool_run(zoo_pool *pool, uint32_t n_items, zoo_task *fn, void *arg);
/* Runs fn(arg, worker, worker) once on every thread; as zoo_pool_run, but waits for all of them. It
 * is what sets a thread's own state. Null: on the caller. */
void zoo_pool_each(zoo_pool *pool, zoo_task *fn, void *arg);
/* 1 for null. */
uint32_t zoo_pool_n_threads(const zoo_pool *pool);

#endif
