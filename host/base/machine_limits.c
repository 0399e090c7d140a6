/* machine_limits.c: see machine_limits.h. */
#define _GNU_SOURCE
#include "base/machine_limits.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, CPUS_MAX = 8192 };

/* The first line of a small file; false: it is not there. */
static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    bool ok = file && fgets(line, (int)size, file);
    if (file) {
        (void)fclose(file);
    }
    return ok;
}

typedef struct group {
    char path[PATH_BYTES]; /* below the mount: "/a/b" */
    bool found;
} group;

/* The process's group: "0::/a/b" for version 2, "N:controllers:/a/b" for version 1. */
static group group_of(const char *proc, const char *controller)
{
    char name[PATH_BYTES], line[PATH_BYTES];
    group out = {.found = false};
    (void)snprintf(name, sizeof name, "%.4000s/self/cgroup", proc);
    FILE *file = fopen(name, "re");
    while (file && !out.found && fgets(line, sizeof line, file)) {
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        if (!path) {
            continue;
        }
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        list++;
        bool ours = !controller && !*list;
        for (char *save = NULL, *one = controller ? strtok_r(list, ",", &save) : NULL; one;
             one = strtok_r(NULL, ",", &save)) {
            ours = ours || strcmp(one, controller) == 0;
        }
        if (ours) {
            out.found = true;
            (void)snprintf(out.path, sizeof out.path, "%s", strcmp(path, "/") == 0 ? "" : path);
        }
    }
    if (file) {
        (void)fclose(file);
    }
    return out;
}

/* Cuts the last part off; false: the root was reached. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash) {
        *slash = 0;
    }
    return slash != NULL;
}

/* Calls look for the group and all its ancestors. In a container the host's path may not exist; the
 * container's own group is the root then. */
static void each_group(const char *sys, const char *mount, group g, void *out,
                       void (*look)(const char *folder, void *out))
{
    char folder[2 * PATH_BYTES];
    do {
        (void)snprintf(folder, sizeof folder, "%.2000s%s%.4000s", sys, mount, g.path);
        look(folder, out);
    } while (go_up(g.path));
}

static bool number_in(const char *folder, const char *name, double *x)
{
    char path[3 * PATH_BYTES], line[128], *end;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!read_line(path, line, sizeof line)) {
        return false;
    }
    *x = strtod(line, &end);
    return end != line;
}

static void look_memory(const char *folder, void *out)
{
    static const char *const names[] = {"memory.max", "memory.limit_in_bytes"};
    size_t *bytes = out;
    for (int i = 0; i < 2; i++) {
        double x;
        if (number_in(folder, names[i], &x) && x > 0.0 && x < (double)*bytes) {
            *bytes = (size_t)x;
        }
    }
}

static void look_quota(const char *folder, void *out)
{
    char path[3 * PATH_BYTES], line[128];
    double quota = 0.0, period = 0.0, *cpus = out;
    (void)snprintf(path, sizeof path, "%s/cpu.max", folder);
    bool said = read_line(path, line, sizeof line) && sscanf(line, "%lf %lf", &quota, &period) == 2;
    said = said || (number_in(folder, "cpu.cfs_quota_us", &quota) &&
                    number_in(folder, "cpu.cfs_period_us", &period));
    if (said && quota > 0.0 && period > 0.0 && quota / period < *cpus) {
        *cpus = quota / period;
    }
}

size_t zoo_cgroup_memory(const char *proc, const char *sys)
{
    size_t bytes = SIZE_MAX;
    group two = group_of(proc, NULL), one = group_of(proc, "memory");
    each_group(sys, "", two, &bytes, look_memory);
    each_group(sys, "/memory", one, &bytes, look_memory);
    return bytes;
}

uint32_t zoo_cgroup_threads(const char *proc, const char *sys)
{
    double cpus = (double)CPUS_MAX;
    group two = group_of(proc, NULL), one = group_of(proc, "cpu");
    each_group(sys, "", two, &cpus, look_quota);
    each_group(sys, "/cpu", one, &cpus, look_quota);
    each_group(sys, "/cpu,cpuacct", one, &cpus, look_quota);
    /* Rounded: half a CPU is worth another thread. */
    return cpus >= (double)CPUS_MAX ? 0 : cpus < 1.0 ? 1 : (uint32_t)(cpus + 0.5);
}

/* CPUs that this process may use; 0: the system doesn't say. */
static uint32_t affinity(void)
{
#if defined(__linux__)
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
    int n = 0;
    if (set && sched_getaffinity(0, size, set) == 0) {
        n = CPU_COUNT_S(size, set);
    }
    CPU_FREE(set);
    return n > 0 ? (uint32_t)n : 0;
#else
    return 0;
#endif
}

uint32_t zoo_machine_threads(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t n = affinity(), quota = zoo_cgroup_threads("/proc", "/sys/fs/cgroup");
    n = n ? n : online > 0 ? (uint32_t)online : 1;
    return quota && quota < n ? quota : n;
}

size_t zoo_machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    size_t whole = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX;
    size_t group_max = zoo_cgroup_memory("/proc", "/sys/fs/cgroup");
    return group_max < whole ? group_max : whole;
}
