#include "nodes.h"

int nodes_create(NodeTable *table, uint32_t bits) {
    table->bits = bits;
    table->buckets = memory_create(&table->memory, sizeof(NodeBucket) << bits);
    return table->buckets ? 0 : -1;
}

void nodes_free(NodeTable *table) { memory_free(&table->memory); }

NodeBucket *nodes_find(NodeTable *table, uint64_t context, uint32_t node, uint32_t fresh) {
    uint64_t hash = hash_mix(context, node);
    NodeBucket *pair = table->buckets + (hash >> (64 - table->bits) & ~UINT64_C(1));
    uint32_t check = (uint32_t)hash | 1;
    if (pair[0].check == check) return pair;
    if (pair[1].check == check) return pair + 1;
    uint32_t seen[2];
    for (int i = 0; i < 2; i++) seen[i] = pair[i].check == 0 ? 0 : 1 + (pair[i].cell[0] & NODE_COUNT_MAX);
    NodeBucket *bucket = pair + (seen[1] < seen[0]);
    bucket->check = check;
    for (int i = 0; i < BUCKET_NODES; i++) bucket->cell[i] = fresh;
    return bucket;
}
