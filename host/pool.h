#ifndef P_H
#define P_H
#include "zoo.h"
typedef struct zoo_pool zoo_pool;
zoo_status zoo_pool_new(uint32_t n_threads, bool pin, zoo_pool **out, zoo_error *err);
void zoo_pool_run(zoo_pool *pool, uint32_t n_items, zoo_task *fn, void *arg);
uint32_t zoo_pool_n_threads(const zoo_pool *pool);
void zoo_pool_free(zoo_pool *pool);
#endif
