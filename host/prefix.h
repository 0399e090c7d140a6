/*
 * prefix.h: which waiting prompts begin alike, in whole pages.
 *
 * A prompt is cut into blocks of ZOO_PAGE tokens; a node stands for one chain of blocks, found by
 * the 128-bit hash of (hash of the chain before, tokens of the block). Nodes count the waiting rows
 * that pass through them. The first row of several leads: it computes the chain and the engine
 * keeps it where the rows part (where the count falls), the others start from there.
 *
 * The last token of a prompt is never part of a chain: its logits are needed.
 */
#ifndef LMZOO_PREFIX_H
#define LMZOO_PREFIX_H

#include "zoo.h"

typedef struct zoo_prefix_node zoo_prefix_node;
struct zoo_prefix_node {
    uint64_t key[2];
    uint32_t length;                /* positions up to the end of this block */
    uint32_t n_waiting;             /* rows that pass here and are not yet open */
    uint32_t kept;                  /* the engine's number, or ZOO_NONE */
    const void *leader;             /* the row that is computing it, or null */
    zoo_prefix_node *next;          /* of its bucket */
    zoo_prefix_node *newer, *older; /* among kept nodes */
};

typedef struct zoo_prefixes {
    zoo_prefix_node **buckets; /* [n_buckets], a power of two */
    size_t n_buckets, n_nodes;
    zoo_prefix_node *newest, *oldest; /* kept nodes by last use */
} zoo_prefixes;

zoo_status zoo_prefixes_init(zoo_prefixes *prefixes, zoo_error *err);
/* Frees the nodes; what the engine keeps is the caller's to drop. */
void zoo_prefixes_free(zoo_prefixes *prefixes);

/* Nodes a prompt of n tokens has. */
static inline uint32_t zoo_prefix_blocks(uint32_t n_prompt)
{
    return n_prompt > 0 ? (n_prompt - 1) / ZOO_PAGE : 0;
}

/* Counts a waiting prompt; nodes [zoo_prefix_blocks(n)] gets its chain.
 * ZOO_E_MEMORY: none counted. */
zoo_status zoo_prefixes_enter(zoo_prefixes *prefixes, const int32_t *tokens, uint32_t n,
                              zoo_prefix_node **nodes, zoo_error *err);
/* The row waits no more. Nodes that nobody needs are freed; they must not be used after. */
void zoo_prefixes_leave(zoo_prefixes *prefixes, zoo_prefix_node *const *nodes, uint32_t n_nodes);

/* Notes that the engine keeps the node as number `kept`, or was told to drop it (ZOO_NONE). */
void zoo_prefixes_set_kept(zoo_prefixes *prefixes, zoo_prefix_node *node, uint32_t kept);
/* The node was used now. */
void zoo_prefixes_touch(zoo_prefixes *prefixes, zoo_prefix_node *node);
/* The kept node unused for longest, of those no row waits for, or of all; null: none. */
zoo_prefix_node *zoo_prefixes_oldest(const zoo_prefixes *prefixes, bool only_idle);
/* The leader has passed or given up; frees the node when nobody needs it. */
void zoo_prefixes_release(zoo_prefixes *prefixes, zoo_prefix_node *node);

#endif
