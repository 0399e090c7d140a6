/* prefix.c: the table of chains (prefix.h). */
#include "prefix.h"

#include <string.h>
#include <xxhash.h>

#include "mem.h"

enum { BUCKETS_MIN = 1024 };

zoo_status zoo_prefixes_init(zoo_prefixes *p, zoo_error *err)
{
    memset(p, 0, sizeof *p);
    p->n_buckets = BUCKETS_MIN;
    p->buckets = zoo_mem_array(p->n_buckets, sizeof *p->buckets);
    return p->buckets ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "no memory for the prefix table");
}

void zoo_prefixes_free(zoo_prefixes *p)
{
    for (size_t i = 0; p->buckets && i < p->n_buckets; i++) {
        while (p->buckets[i]) {
            zoo_prefix_node *node = p->buckets[i];
            p->buckets[i] = node->next;
            zoo_mem_free(node);
        }
    }
    zoo_mem_free(p->buckets);
    memset(p, 0, sizeof *p);
}

/* Doubles the buckets; without memory the chains just get longer. */
static void grow(zoo_prefixes *p)
{
    size_t n = p->n_buckets * 2;
    zoo_prefix_node **buckets = zoo_mem_array(n, sizeof *buckets);
    if (!buckets) {
        return;
    }
    for (size_t i = 0; i < p->n_buckets; i++) {
        while (p->buckets[i]) {
            zoo_prefix_node *node = p->buckets[i];
            p->buckets[i] = node->next;
            node->next = buckets[node->key[0] & (n - 1)];
            buckets[node->key[0] & (n - 1)] = node;
        }
    }
    zoo_mem_free(p->buckets);
    p->buckets = buckets;
    p->n_buckets = n;
}

static zoo_prefix_node *find_or_make(zoo_prefixes *p, const uint64_t key[2], uint32_t length)
{
    zoo_prefix_node *node;
    if (p->n_nodes > p->n_buckets) {
        grow(p);
    }
    node = p->buckets[key[0] & (p->n_buckets - 1)];
    while (node && (node->key[0] != key[0] || node->key[1] != key[1])) {
        node = node->next;
    }
    if (!node) {
        node = zoo_mem_array(1, sizeof *node);
        if (!node) {
            return NULL;
        }
        node->key[0] = key[0];
        node->key[1] = key[1];
        node->length = length;
        node->kept = ZOO_NONE;
        node->next = p->buckets[key[0] & (p->n_buckets - 1)];
        p->buckets[key[0] & (p->n_buckets - 1)] = node;
        p->n_nodes++;
    }
    return node;
}

static void free_if_unused(zoo_prefixes *p, zoo_prefix_node *node)
{
    zoo_prefix_node **link = &p->buckets[node->key[0] & (p->n_buckets - 1)];
    if (node->n_waiting > 0 || node->kept != ZOO_NONE || node->leader) {
        return;
    }
    while (*link != node) {
        link = &(*link)->next;
    }
    *link = node->next;
    p->n_nodes--;
    zoo_mem_free(node);
}

zoo_status zoo_prefixes_enter(zoo_prefixes *p, const int32_t *tokens, uint32_t n,
                              zoo_prefix_node **nodes, zoo_error *err)
{
    /* What is hashed: the chain before, then this block. */
    struct {
        uint64_t before[2];
        int32_t block[ZOO_PAGE];
    } link = {{0, 0}, {0}};
    uint32_t n_nodes = zoo_prefix_blocks(n);
    for (uint32_t i = 0; i < n_nodes; i++) {
        XXH128_hash_t hash;
        memcpy(link.block, tokens + (size_t)i * ZOO_PAGE, sizeof link.block);
        hash = XXH3_128bits(&link, sizeof link);
        link.before[0] = hash.low64;
        link.before[1] = hash.high64;
        nodes[i] = find_or_make(p, link.before, (i + 1) * ZOO_PAGE);
        if (!nodes[i]) {
            zoo_prefixes_leave(p, nodes, i);
            return zoo_fail(err, ZOO_E_MEMORY, "no memory for the prefix table");
        }
        nodes[i]->n_waiting++;
    }
    return ZOO_OK;
}

void zoo_prefixes_leave(zoo_prefixes *p, zoo_prefix_node *const *nodes, uint32_t n_nodes)
{
    for (uint32_t i = 0; i < n_nodes; i++) {
        nodes[i]->n_waiting--;
        free_if_unused(p, nodes[i]);
    }
}

static void unlink_kept(zoo_prefixes *p, zoo_prefix_node *node)
{
    *(node->newer ? &node->newer->older : &p->newest) = node->older;
    *(node->older ? &node->older->newer : &p->oldest) = node->newer;
    node->newer = node->older = NULL;
}

static void link_newest(zoo_prefixes *p, zoo_prefix_node *node)
{
    node->newer = NULL;
    node->older = p->newest;
    *(p->newest ? &p->newest->newer : &p->oldest) = node;
    p->newest = node;
}

void zoo_prefixes_set_kept(zoo_prefixes *p, zoo_prefix_node *node, uint32_t kept)
{
    if (node->kept != ZOO_NONE) {
        unlink_kept(p, node);
    }
    node->kept = kept;
    if (kept != ZOO_NONE) {
        link_newest(p, node);
    } else {
        free_if_unused(p, node);
    }
}

void zoo_prefixes_touch(zoo_prefixes *p, zoo_prefix_node *node)
{
    unlink_kept(p, node);
    link_newest(p, node);
}

zoo_prefix_node *zoo_prefixes_oldest(const zoo_prefixes *p, bool only_idle)
{
    zoo_prefix_node *node = p->oldest;
    while (node && only_idle && node->n_waiting > 0) {
        node = node->newer;
    }
    return node;
}

void zoo_prefixes_release(zoo_prefixes *p, zoo_prefix_node *node)
{
    node->leader = NULL;
    free_if_unused(p, node);
}
