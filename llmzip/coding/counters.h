/* Counters: how a node was left before, alone, under the last one, two and three tokens, under what stands above, under words, and
 * under what is open; in texts of numbers what stands above takes the place of three tokens and of what is open. */
#ifndef LLMZIP_COUNTERS_H
#define LLMZIP_COUNTERS_H

#include "hash.h"
#include "logistic.h"
#include "network.h"
#include "maps.h"
#include "turn.h"

/* format: everything here decides probabilities. */

/* ---- node counter, 32 bits: slow probability (16), fast probability (10), observations (6) ---- */
typedef uint32_t NodeCounter;
#define NODE_COUNTER_FRESH (((uint32_t)32768 << 16) | ((uint32_t)512 << NODE_COUNT_BITS))

static inline int32_t node_slow(NodeCounter c) { return (int32_t)(c >> 16); }
static inline int32_t node_fast(NodeCounter c) { return (int32_t)(c >> NODE_COUNT_BITS & 1023); }
static inline int32_t node_count(NodeCounter c) { return (int32_t)(c & NODE_COUNT_MAX); }

/* A fresh counter starts from `first`, what the model thinks, rather than from 1/2. */
static inline NodeCounter node_update(NodeCounter c, int bit, int32_t first) {
    int32_t slow = node_slow(c), fast = node_fast(c), n = node_count(c);
    if (n == 0) slow = first;
    /* Up to 65535 times up to 43690: the product needs 64 bits. */
    slow += (int32_t)(((int64_t)((65535 & -bit) - slow) * counter_rate[n]) >> 16);
    int32_t step = (1023 & -bit) - fast;
    fast += n < 2 ? step / 2 : step / 4;
    if (n < NODE_COUNT_MAX) n++;
    return (uint32_t)slow << 16 | (uint32_t)fast << NODE_COUNT_BITS | (uint32_t)n;
}

/* ---- the part ---- */
enum {
    COUNTERS = 9,
    COUNTERS_SEEN = 2,
    COUNTERS_SEEN_END = 7,
    COUNTER_INPUTS = 4,
    COUNTERS_INPUTS = COUNTER_INPUTS * COUNTERS
};
/* States of the map: slow and fast probability and count in classes. */
enum { COUNTER_SLOW = 24, COUNTER_FAST = 16, COUNTER_SEEN = 6 };
enum { COUNTER_STATES = COUNTER_SLOW * COUNTER_FAST * COUNTER_SEEN };

typedef struct {
    NodeCounter *root; /* order 0: one per node of the tree */
    MapEntry *map;     /* [COUNTERS][COUNTER_STATES]: what such a counter is worth */
} Counters;

typedef struct {
    uint64_t context[COUNTERS]; /* [0] is order 0, which needs none */
    NodeBucket *bucket[COUNTERS];
    MapEntry *entry[COUNTERS]; /* that the last turn used; NULL for a counter that has seen nothing */
} CountersLane;

int counters_create(Counters *part, Tables *tables, const Sizing *sizing);
void counters_free(Counters *part);

static inline void counters_begin(const Counters *part, CountersLane *lane, Tables *tables, const TokenContext *token) {
    (void)part, (void)tables;
    const uint64_t context[COUNTERS] = {
        0,
        token->near[1],
        token->near[2],
        token->above,
        token->words[0],
        token->words[1],
        token->words[2],
        token->more[0],
        token->more[1],
    };
    for (uint32_t i = 1; i < COUNTERS; i++) lane->context[i] = hash_mix(context[i], 1000 + i);
}

static inline void counters_load(const Counters *part, CountersLane *lane, Tables *tables, int on) {
    (void)part, (void)lane, (void)tables, (void)on;
}

static inline void counters_ask(const CountersLane *lane, const Tables *tables, uint32_t node) {
    for (int i = 1; i < COUNTERS; i++) nodes_ask(&tables->nodes, lane->context[i], node);
}

static inline void counters_bucket(CountersLane *lane, Tables *tables, uint32_t node) {
    for (int i = 1; i < COUNTERS; i++)
        lane->bucket[i] = nodes_find(&tables->nodes, lane->context[i], node, NODE_COUNTER_FRESH);
}

static inline NodeCounter *counter_at(Counters *part, CountersLane *lane, const Turn *turn, int i) {
    return i == 0 ? part->root + turn->node : lane->bucket[i]->cell + turn->bucket_node;
}

static inline uint32_t counter_state(NodeCounter c) {
    uint32_t slow = (uint32_t)(stretch(node_slow(c)) + LOGIT_MAX) * COUNTER_SLOW / (2 * LOGIT_MAX + 1);
    uint32_t fast = (uint32_t)node_fast(c) / (1024 / COUNTER_FAST);
    int32_t n = node_count(c);
    uint32_t seen = n < 3 ? (uint32_t)n - 1 : n < 5 ? 2 : n < 10 ? 3 : n < 30 ? 4 : 5;
    return (slow * COUNTER_FAST + fast) * COUNTER_SEEN + seen;
}

/* Four views of each: confident log odds, slow and fast probability, and what such counters were worth. Nothing seen says
 * nothing. */
static inline void counters_inputs(Counters *part, CountersLane *lane, const Turn *turn, Input *input,
                                   Evidence *found) {
    for (int i = 0; i < COUNTERS; i++, input += COUNTER_INPUTS) {
        NodeCounter c = *counter_at(part, lane, turn, i);
        int32_t n = node_count(c), slow = node_slow(c);
        if (i >= COUNTERS_SEEN && i < COUNTERS_SEEN_END)
            found->seen = found->seen * 4 + (n == 0 ? 0 : n < 3 ? 1 : n < 9 ? 2 : 3);
        if (n == 0) {
            lane->entry[i] = NULL;
            for (int k = 0; k < COUNTER_INPUTS; k++) input[k] = 0;
            continue;
        }
        lane->entry[i] = part->map + (uint32_t)i * COUNTER_STATES + counter_state(c);
        input[0] = (Input)(stretch(slow) * (5 + (n > 16 ? 16 : n)) / 40);
        input[1] = (Input)((slow - 32768) * (n > 8 ? 8 : n) / 680);
        input[2] = (Input)(node_fast(c) - 512);
        input[3] = limited_input(stretch(map_probability(*lane->entry[i])) - turn->model);
    }
}

static inline void counters_update(Counters *part, CountersLane *lane, const Turn *turn, int bit) {
    int32_t first = squash(turn->model);
    for (int i = 0; i < COUNTERS; i++) {
        if (lane->entry[i]) *lane->entry[i] = map_update(*lane->entry[i], bit, 1022);
        NodeCounter *c = counter_at(part, lane, turn, i);
        *c = node_update(*c, bit, first);
    }
}

static inline void counters_take(const Counters *part, CountersLane *lane, const Turn *turn, uint32_t bit) {
    (void)part;
    (void)lane, (void)turn, (void)bit;
}

static inline void counters_end(Counters *part, CountersLane *lane, Tables *tables, uint32_t position, uint32_t rank) {
    (void)part, (void)lane, (void)tables, (void)position, (void)rank;
}

#endif
