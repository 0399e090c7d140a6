/*
 * prefix_tree.h: which waiting prompts begin alike.
 *
 * A prompt is cut into blocks of ZOO_PAGE tokens; a block's node stands for one chain of blocks,
 * found by the 128-bit hash of (hash of the chain before, tokens of the block). The root stands for
 * no block. Where rows part inside a block, a tail below its node stands for the tokens that some
 * of them still have in common; the scheduler decides which are worth it. Nodes count the waiting
 * rows that pass through them. The first row of several owns it: it computes the chain and the
 * engine keeps it where the rows part (where the count falls), the others start from there.
 *
 * The last token of a prompt is never part of a chain: its logits are needed.
 */
#ifndef ZOO_GENERATE_PREFIX_TREE_H
#define ZOO_GENERATE_PREFIX_TREE_H

#include "zoo.h"

typedef struct zoo_prefix_node zoo_prefix_node;
struct zoo_prefix_node {
    uint64_t key[2];                /* of a block */
    uint32_t length;                /* positions up to its end; 0: the root */
    uint32_t n_waiting;             /* rows that pass here and are not yet open */
    uint32_t kept;                  /* the engine's number, or ZOO_NONE */
    const void *owner;              /* the row that is computing it, or null */
    zoo_prefix_node *next;          /* of its bucket, or of its trunk's tails */
    zoo_prefix_node *newer, *older; /* among kept nodes */
    zoo_prefix_node *trunk;         /* of a tail: the block or root it stands on; else null */
    zoo_prefix_node *tails;         /* that stand on this one */
    int32_t tokens[];               /* of a tail: [length - trunk->length] */
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
/* Frees the nodes; what the engine keeps is the caller's to drop. */
void zoo_prefixes_free(zoo_prefixes *prefixes);

/* Counts a waiting prompt; its nodes go to the empty chain. ZOO_E_MEMORY: none counted. */
zoo_status zoo_prefixes_enter(zoo_prefixes *prefixes, const int32_t *tokens, uint32_t n,
                              zoo_prefix_chain *chain, zoo_error *err);
/* One of its nodes is waited for by one row less; freed when nobody needs it. */
void zoo_prefixes_leave(zoo_prefixes *prefixes, zoo_prefix_node *node);
/* The row waits no more: leaves all nodes and frees the chain. */
void zoo_prefixes_leave_all(zoo_prefixes *prefixes, zoo_prefix_chain *chain);
/* Whether the chain passes the node. */
bool zoo_prefix_passes(const zoo_prefix_chain *chain, const zoo_prefix_node *node);

/* The tail of tokens [n], n < ZOO_PAGE, on a block or the root, made where there is none; null: no
 * memory. A new one has no rows: add it to a chain. */
zoo_prefix_node *zoo_prefix_tail(zoo_prefix_node *trunk, const int32_t *tokens, uint32_t n);
/* Adds a tail to the chain of a waiting prompt that begins with it, unless it is there. False: no
 * memory; the row does without; a tail that no row has stays till the end. */
bool zoo_prefix_chain_add(zoo_prefix_chain *chain, zoo_prefix_node *tail);

/* Notes that the engine keeps the node as number `kept`, or was told to drop it (ZOO_NONE). */
void zoo_prefixes_set_kept(zoo_prefixes *prefixes, zoo_prefix_node *node, uint32_t kept);
/* The node was used now. */
void zoo_prefixes_touch(zoo_prefixes *prefixes, zoo_prefix_node *node);
/* The kept node unused for longest, of those no row waits for, or of all; null: none. */
zoo_prefix_node *zoo_prefixes_oldest(const zoo_prefixes *prefixes, bool only_idle);
/* The owner has passed or given up; frees the node when nobody needs it. */
void zoo_prefixes_release(zoo_prefixes *prefixes, zoo_prefix_node *node);

#endif
