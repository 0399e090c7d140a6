/*
 * mapped.c: see mapped.h.
 *
 * The table is written under a lock and read by the handler without one: an entry's base is set
 * last and cleared first. The handler calls what is safe in a handler alone.
 */
#define _GNU_SOURCE
#include "base/mapped.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILES_MAX = 1024, PATH_BYTES = 512 };

static struct {
    _Atomic(uintptr_t) base; /* 0: free */
    size_t n;
    char path[PATH_BYTES];
} files[FILES_MAX];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void zoo_mapped_add(const void *base, size_t n, const char *path)
{
    (void)pthread_mutex_lock(&lock);
    for (int i = 0; i < FILES_MAX; i++) {
        if (!atomic_load(&files[i].base)) {
            files[i].n = n;
            (void)snprintf(files[i].path, sizeof files[i].path, "%s", path);
            atomic_store(&files[i].base, (uintptr_t)base);
            break;
        }
    }
    (void)pthread_mutex_unlock(&lock);
}

void zoo_mapped_remove(const void *base)
{
    (void)pthread_mutex_lock(&lock);
    for (int i = 0; i < FILES_MAX; i++) {
        if (atomic_load(&files[i].base) == (uintptr_t)base) {
            atomic_store(&files[i].base, 0);
            break;
        }
    }
    (void)pthread_mutex_unlock(&lock);
}

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void on_bus(int number, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr;
    const char *path = "a mapped file (weights, plugin or library)";
    (void)number;
    (void)context;
    for (int i = 0; i < FILES_MAX; i++) {
        uintptr_t base = atomic_load(&files[i].base);
        if (base && at >= base && at - base < files[i].n) {
            path = files[i].path;
        }
    }
    say("lmzoo: ");
    say(path);
    say(": cannot be read any more: the file was truncated or its disk fails\n");
    _exit(4);
}

void zoo_mapped_guard(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_bus;
    action.sa_flags = SA_SIGINFO;
    (void)sigaction(SIGBUS, &action, NULL);
}
