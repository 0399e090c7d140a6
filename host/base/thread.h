/*
 * thread.h: starts a thread with a stack whose size does not depend on the C library.
 */
#ifndef ZOO_BASE_THREAD_H
#define ZOO_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* As pthread_create, with 8 MiB of stack: what a program's first thread has, and what recursion is
 * bounded for. False: it could not be started. [any] */
bool zoo_thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg);

#endif
