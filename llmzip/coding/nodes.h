/* Hashed storage for what is learnt about tree nodes under a context: node counters and residuals.
 *
 * A bucket is one cache line and holds the 15 nodes of four levels below one node, so that a path of 13 turns touches
 * four lines under a context. */
#ifndef LLMZIP_NODES_H
#define LLMZIP_NODES_H

#include <stddef.h>
#include <stdint.h>

#include "hash.h"
#include "memory.h"

#define BUCKET_LEVELS 4
#define BUCKET_NODES 15
/* Low bits of every cell: observations. The root's decide which of two buckets is replaced. */
#define NODE_COUNT_BITS 6
#define NODE_COUNT_MAX 63

typedef struct {
    uint32_t check;              /* never 0 in use */
    uint32_t cell[BUCKET_NODES]; /* heap order: children of i are 2 i + 1 and 2 i + 2 */
} NodeBucket;

typedef struct {
    NodeBucket *buckets;
    uint32_t bits;
    Memory memory;
} NodeTable;

/* 2^bits buckets, bits >= 1. 0, or -1 when there is no memory. */
int nodes_create(NodeTable *table, uint32_t bits);
void nodes_free(NodeTable *table);

/* Ask for the line of a bucket that will be looked up. */
static inline void nodes_ask(const NodeTable *table, uint64_t context, uint32_t node) {
    const NodeBucket *pair = table->buckets + (hash_mix(context, node) >> (64 - table->bits) & ~UINT64_C(1));
    PREFETCH(pair);
    PREFETCH(pair + 1);
}

/* The bucket of a context and the node at its top; a new one has all cells `fresh`. */
NodeBucket *nodes_find(NodeTable *table, uint64_t context, uint32_t node, uint32_t fresh);

#endif
