/* What followed a context: hashed lists of the last distinct tokens seen after it, each with a count.
 *
 * One half cache line per context holds what a PPM model would hold, for every level of the tree at once: the counts
 * of the right and left turn at a node are sums over the followers below it. */
#ifndef LLMZIP_FOLLOWERS_H
#define LLMZIP_FOLLOWERS_H

#include <stdint.h>

#include "memory.h"

#define FOLLOWERS 7
#define FOLLOWER_COUNT_MAX 255

/* 32 bytes; the check is never 0 in use. An entry is rank << 8 | count, most recent first, 0 = free. */
typedef struct {
    uint32_t check;
    uint32_t entry[FOLLOWERS];
} FollowerList;

typedef struct {
    FollowerList *lists;
    uint32_t bits; /* log2 of the number of lists, a power of two >= 2 */
    Memory memory;
} FollowerTable;

/* 0, or -1 when there is no memory. */
int followers_create(FollowerTable *table, uint32_t bits);
void followers_free(FollowerTable *table);

static inline FollowerList *followers_line(const FollowerTable *table, uint64_t hash) {
    return table->lists + (hash >> (64 - table->bits) & ~UINT64_C(1));
}

static inline uint32_t followers_check(uint64_t hash) { return (uint32_t)hash | 1; }

/* The list of a context, or NULL when it was never seen (or was replaced). */
const FollowerList *followers_find(const FollowerTable *table, uint64_t hash);

/* Note that `rank` followed the context, creating its list (in place of the less used of two) where needed. */
void followers_add(FollowerTable *table, uint64_t hash, uint32_t rank);

#endif
