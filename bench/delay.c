/*
 * delay.c: a link with a given latency between two network namespaces, for machines whose kernel
 * has no netem.
 *
 *   delay NAMESPACE_A NAMESPACE_B MILLISECONDS
 *
 * Opens a tun device `wire` in each and forwards packets from one to the other, each after the
 * delay. Prints a line when both are open; runs until it is killed. Linux only, as root.
 *
 * Memory: packets in flight, at most 4096 each way; more are dropped, as on a real link.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PACKET = 65536, WAYS = 2, HELD = 4096 };

typedef struct packet {
    int64_t due; /* ns */
    ssize_t n;
    char *data;
} packet;

typedef struct way {
    int from, to;
    packet held[HELD];
    uint32_t first, n;
} way;

static int64_t now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int open_wire(const char *name)
{
    char path[256];
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    (void)snprintf(path, sizeof path, "/run/netns/%s", name);
    int space = open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET) != 0) {
        perror(path);
        exit(1);
    }
    (void)close(space);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "wire");
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) {
        perror("/dev/net/tun");
        exit(1);
    }
    return fd;
}

static void take(way *w, int64_t delay)
{
    static char buffer[PACKET];
    ssize_t n;
    while ((n = read(w->from, buffer, sizeof buffer)) > 0) {
        char *copy = w->n < HELD ? malloc((size_t)n) : NULL;
        if (copy) {
            memcpy(copy, buffer, (size_t)n);
            w->held[(w->first + w->n++) % HELD] = (packet){now() + delay, n, copy};
        }
    }
}

/* Forwards the packets that are due; returns ns until the next one, or -1. */
static int64_t give(way *w)
{
    while (w->n > 0) {
        packet *p = &w->held[w->first];
        int64_t left = p->due - now();
        if (left > 0) {
            return left;
        }
        if (write(w->to, p->data, (size_t)p->n) < 0) {
            /* dropped, as on a real link */
        }
        free(p->data);
        w->first = (w->first + 1) % HELD;
        w->n--;
    }
    return -1;
}

int main(int argc, char **argv)
{
    static way ways[WAYS];
    if (argc != 4) {
        (void)fprintf(stderr, "usage: delay NAMESPACE_A NAMESPACE_B MILLISECONDS\n");
        return 2;
    }
    int64_t delay = (int64_t)(strtod(argv[3], NULL) * 1e6);
    ways[0].from = ways[1].to = open_wire(argv[1]);
    ways[0].to = ways[1].from = open_wire(argv[2]);
    (void)printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        struct pollfd ready[WAYS] = {{ways[0].from, POLLIN, 0}, {ways[1].from, POLLIN, 0}};
        int64_t a = give(&ways[0]), b = give(&ways[1]);
        int64_t left = a < 0 ? b : b < 0 || a < b ? a : b;
        struct timespec t = {left / 1000000000, left % 1000000000};
        (void)ppoll(ready, WAYS, left < 0 ? NULL : &t, NULL);
        take(&ways[0], delay);
        take(&ways[1], delay);
    }
}
