/* thread.c: see thread.h. Defaults are 8 MiB with glibc, 128 KiB with musl, 512 KiB on macOS. */
#include "base/thread.h"

#if defined(__APPLE__)
#define COND_CLOCK CLOCK_REALTIME /* conditions have no other */
#else
#define COND_CLOCK CLOCK_MONOTONIC
#endif

bool zoo_thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0) {
        return false;
    }
    bool started = pthread_attr_setstacksize(&attr, ZOO_THREAD_STACK) == 0 &&
                   pthread_create(thread, &attr, fn, arg) == 0;
    (void)pthread_attr_destroy(&attr);
    return started;
}

void zoo_cond_start(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
#if !defined(__APPLE__)
    (void)pthread_condattr_setclock(&attributes, COND_CLOCK);
#endif
    (void)pthread_cond_init(cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

struct timespec zoo_cond_deadline(int32_t ms)
{
    struct timespec at;
    ms = ms < 0 ? 0 : ms;
    (void)clock_gettime(COND_CLOCK, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}
