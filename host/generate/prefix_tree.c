/* prefix_tree.c: the hash table of nodes, their tails, and the list by last use (prefix_tree.h). */
#include "generate/prefix_tree.h"

#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

enum { BUCKETS_MIN = 1024 };

zoo_status zoo_prefixes_init(zoo_prefixes *p, zoo_error *err)
{
    memset(p, 0, sizeof *p);
    p->n_buckets = BUCKETS_MIN;
    p->buckets = zoo_mem_array(p->n_buckets, sizeof *p->buckets);
    p->root = zoo_mem_array(1, sizeof *p->root);
    if (!p->buckets || !p->root) {
        zoo_prefixes_free(p);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the prefix table");
    }
    p->root->kept = ZOO_NONE;
    return ZOO_OK;
}

static void free_tails(zoo_prefix_node *node)
{
    while (node->tails) {
        zoo_prefix_node *tail = node->tails;
        node->tails = tail->next;
        zoo_mem_free(tail);
    }
}

void zoo_prefixes_free(zoo_prefixes *p)
{
    for (size_t i = 0; p->buckets && i < p->n_buckets; i++) {
        while (p->buckets[i]) {
            zoo_prefix_node *node = p->buckets[i];
            p->buckets[i] = node->next;
            free_tails(node);
            zoo_mem_free(node);
        }
    }
    if (p->root) {
        free_tails(p->root);
    }
    zoo_mem_free(p->root);
    zoo_mem_free(p->buckets);
    memset(p, 0, sizeof *p);
}

/* Doubles the buckets; without memory the collision lists just get longer. */
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
    zoo_prefix_node *parent = node->parent;
    zoo_prefix_node **link =
        parent ? &parent->tails : &p->buckets[node->key[0] & (p->n_buckets - 1)];
    if (node == p->root || node->n_waiting > 0 || node->kept != ZOO_NONE || node->owner ||
        node->tails) {
        return;
    }
    while (*link != node) {
        link = &(*link)->next;
    }
    *link = node->next;
    zoo_mem_free(node);
    if (parent) {
        free_if_unused(p, parent);
    } else {
        p->n_nodes--;
    }
}

/* Index in the chain of the first node of at least this length. */
static uint32_t place_of(const zoo_prefix_chain *chain, uint32_t length)
{
    uint32_t lo = 0, hi = chain->n;
    while (lo < hi) {
        uint32_t middle = lo + (hi - lo) / 2;
        if (chain->nodes[middle]->length < length) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo;
}

bool zoo_prefix_passes(const zoo_prefix_chain *chain, const zoo_prefix_node *node)
{
    uint32_t at = place_of(chain, node->length);
    return at < chain->n && chain->nodes[at] == node;
}

static bool reserve(zoo_prefix_chain *chain, uint32_t n)
{
    if (n > chain->max) {
        zoo_prefix_node **nodes = zoo_mem_realloc(chain->nodes, n * sizeof(zoo_prefix_node *));
        if (!nodes) {
            return false;
        }
        chain->nodes = nodes;
        chain->max = n;
    }
    return true;
}

bool zoo_prefix_chain_add(zoo_prefix_chain *chain, zoo_prefix_node *tail)
{
    uint32_t at = place_of(chain, tail->length);
    if (at < chain->n && chain->nodes[at] == tail) {
        return true;
    }
    if (!reserve(chain, chain->n + 1)) {
        return false;
    }
    memmove(chain->nodes + at + 1, chain->nodes + at, (chain->n - at) * sizeof(zoo_prefix_node *));
    chain->nodes[at] = tail;
    chain->n++;
    tail->n_waiting++;
    return true;
}

/* Adds the tails of a node that match the prompt. */
static void add_tails(zoo_prefix_chain *chain, const zoo_prefix_node *parent, const int32_t *tokens,
                      uint32_t n)
{
    for (zoo_prefix_node *tail = parent->tails; tail; tail = tail->next) {
        if (tail->length < n && memcmp(tail->tokens, tokens + parent->length,
                                       (tail->length - parent->length) * sizeof *tokens) == 0) {
            (void)zoo_prefix_chain_add(chain, tail);
        }
    }
}

/* Adds the root and the blocks of a prompt to its chain. */
static bool add_blocks(zoo_prefixes *p, const int32_t *tokens, uint32_t n_blocks,
                       zoo_prefix_chain *chain)
{
    /* The hash's input: the hash of the chain before, then this block. */
    struct {
        uint64_t before[2];
        int32_t block[ZOO_PAGE];
    } link = {{0, 0}, {0}};
    chain->nodes[chain->n++] = p->root;
    p->root->n_waiting++;
    for (uint32_t i = 0; i < n_blocks; i++) {
        XXH128_hash_t hash;
        memcpy(link.block, tokens + (size_t)i * ZOO_PAGE, sizeof link.block);
        hash = XXH3_128bits(&link, sizeof link);
        link.before[0] = hash.low64;
        link.before[1] = hash.high64;
        zoo_prefix_node *node = find_or_make(p, link.before, (i + 1) * ZOO_PAGE);
        if (!node) {
            return false;
        }
        node->n_waiting++;
        chain->nodes[chain->n++] = node;
    }
    return true;
}

zoo_status zoo_prefixes_enter(zoo_prefixes *p, const int32_t *tokens, uint32_t n,
                              zoo_prefix_chain *chain, zoo_error *err)
{
    uint32_t n_blocks = n > 0 ? (n - 1) / ZOO_PAGE : 0;
    if (!reserve(chain, n_blocks + 1) || !add_blocks(p, tokens, n_blocks, chain)) {
        zoo_prefixes_leave_all(p, chain);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the prefix table");
    }
    for (uint32_t i = 0; i < chain->n; i++) {
        if (!chain->nodes[i]->parent) {
            add_tails(chain, chain->nodes[i], tokens, n);
        }
    }
    return ZOO_OK;
}

void zoo_prefixes_leave(zoo_prefixes *p, zoo_prefix_node *node)
{
    node->n_waiting--;
    free_if_unused(p, node);
}

void zoo_prefixes_leave_all(zoo_prefixes *p, zoo_prefix_chain *chain)
{
    for (uint32_t i = chain->n; i-- > 0;) {
        zoo_prefixes_leave(p, chain->nodes[i]);
    }
    zoo_mem_free(chain->nodes);
    *chain = (zoo_prefix_chain){NULL, 0, 0};
}

zoo_prefix_node *zoo_prefix_tail(zoo_prefix_node *parent, const int32_t *tokens, uint32_t n)
{
    zoo_prefix_node *tail = parent->tails;
    uint32_t length = parent->length + n;
    while (tail &&
           (tail->length != length || memcmp(tail->tokens, tokens, n * sizeof *tokens) != 0)) {
        tail = tail->next;
    }
    if (!tail) {
        tail = zoo_mem_array(1, sizeof *tail + n * sizeof *tokens);
        if (!tail) {
            return NULL;
        }
        memcpy(tail->tokens, tokens, n * sizeof *tokens);
        tail->length = length;
        tail->kept = ZOO_NONE;
        tail->parent = parent;
        tail->next = parent->tails;
        parent->tails = tail;
    }
    return tail;
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
    node->owner = NULL;
    free_if_unused(p, node);
}
