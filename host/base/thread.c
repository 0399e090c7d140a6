/* thread.c: see thread.h. Defaults are 8 MiB with glibc, 128 KiB with musl, 512 KiB on macOS. */
#include "base/thread.h"

enum { STACK_BYTES = 8 << 20 };

bool zoo_thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0) {
        return false;
    }
    bool started = pthread_attr_setstacksize(&attr, STACK_BYTES) == 0 &&
                   pthread_create(thread, &attr, fn, arg) == 0;
    (void)pthread_attr_destroy(&attr);
    return started;
}
