/*
 * prefix_tree.h: finds common beginnings of waiting prompts.
 *
 * A prompt is split into blocks of ZOO_PAGE tokens. A node stands for a chain of blocks, found by
 * the 128-bit hash of (hash of the chain before, tokens of the block); the root stands for the
 * empty chain. Where rows diverge inside a block, a tail below its node stands for the tokens that
 * some of them still share; the scheduler decides which tails are worth it. Nodes count the waiting
 * rows that pass through them. The first of several rows to start owns a node: it computes the
 * chain, and the engine keeps it at the node where rows diverge (where the count drops); the others
 * start there.
 *
 * A prompt's last token is never part of a chain: it must be run for its logits.
 *
 * Memory: a node for each distinct block of the waiting and kept prompts. Not thread-safe.
 */
#ifndef ZOO_GENERATE_PREFIX_TREE_H
#define ZOO_GENERATE_PREFIX_TREE_H

#include "zoo.h"

typedef struct zoo_prefix_node zoo_prefix_node;
struct zoo_prefix_node {
    uint64_t key[2];                /* of a block */
    uint32_t length;                /* positions up to its end; 0: the root */
    uint32_t n_waiting;             /* waiting rows that pass through it */
    uint32_t kept;                  /* the engine's prefix, or ZOO_NONE */
    const void *owner;              /* the row that is computing it, or null */
    zoo_prefix_node *next;          /* in its bucket, or in its parent's tails */
    zoo_prefix_node *newer, *older; /* among kept nodes */
    zoo_prefix_node *parent;        /* of a tail: its block or root; else null */
    zoo_prefix_node *tails;         /* below this node */
    int32_t tokens[];               /* of a tail: [length - parent->length] */
};

/* The nodes that one prompt passes: root, blocks and tails by rising length. */
typedef struct zoo_prefix_chain {
    zoo_prefix_node **nodes; /* [n], zoo_mem */
    uint32_t n, max;
} zoo_prefix_chain;

typedef struct zoo_prefixes {
    zoo_prefix_node **buckets; /* [n_buckets], a power of two */
    size_t n_buckets, n_nodes;
    zoo_prefix_node *root;
    zoo_prefix_node *newest, *oldest; /* kept nodes by last use */
} zoo_prefixes;

zoo_status zoo_prefixes_init(zoo_prefixes *prefixes, zoo_error *err);
/* Frees the nodes; the caller drops the engine's prefixes. */
void zoo_prefixes_free(zoo_prefixes *prefixes);

/* Adds a waiting prompt and fills its chain, which is empty. ZOO_E_MEMORY: nothing is added. */
zoo_status zoo_prefixes_enter(zoo_prefixes *prefixes, const int32_t *tokens, uint32_t n,
                              zoo_prefix_chain *chain, zoo_error *err);
/* One waiting row less for the node; frees it if unused. */
void zoo_prefixes_leave(zoo_prefixes *prefixes, zoo_prefix_node *node);
/* Leaves all nodes of a chain and frees it. */
void zoo_prefixes_leave_all(zoo_prefixes *prefixes, zoo_prefix_chain *chain);
/* Whether the chain passes the node. */
bool zoo_prefix_passes(const zoo_prefix_chain *chain, const zoo_prefix_node *node);

/* The tail of tokens [n], n < ZOO_PAGE, below a block or the root; created if there is none. Null:
 * no memory. A new tail counts no rows until it is added to a chain. */
zoo_prefix_node *zoo_prefix_tail(zoo_prefix_node *parent, const int32_t *tokens, uint32_t n);
/* Adds a tail to the chain of a waiting prompt that begins with it, unless it is there. False: no
 * memory; a tail in no chain is freed with the tree. */
bool zoo_prefix_chain_add(zoo_prefix_chain *chain, zoo_prefix_node *tail);

/* Records the engine's prefix for the node; ZOO_NONE: it was dropped. */
void zoo_prefixes_set_kept(zoo_prefixes *prefixes, zoo_prefix_node *node, uint32_t kept);
/* Marks a kept node as the most recently used. */
void zoo_prefixes_touch(zoo_prefixes *prefixes, zoo_prefix_node *node);
/* The least recently used kept node, of all or of those that no row waits for; null: none. */
zoo_prefix_node *zoo_prefixes_oldest(const zoo_prefixes *prefixes, bool only_idle);
/* The owner has computed the node or ended; frees the node if unused. */
void zoo_prefixes_release(zoo_prefixes *prefixes, zoo_prefix_node *node);

#endif
