/*
 * thread.h: threads with a stack size that does not depend on the C library; timed waits.
 */
#ifndef ZOO_BASE_THREAD_H
#define ZOO_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* As pthread_create, with 8 MiB of stack: what a program's first thread has, and what recursion is
 * bounded for. False: it could not be started. [any] */
enum { ZOO_THREAD_STACK = 8 << 20 };
bool zoo_thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg);

/* A condition for pthread_cond_timedwait with zoo_cond_deadline: its clock is the monotonic one,
 * where the system has that. [any] */
void zoo_cond_start(pthread_cond_t *cond);

/* The time ms milliseconds from now; now if ms is negative. [any] */
struct timespec zoo_cond_deadline(int32_t ms);

#endif
