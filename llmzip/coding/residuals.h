/* Residuals: how far the model's log odds are off at a node, alone, under the last one and two tokens, and alone and
 * under the last token within the neighbourhood. */
#ifndef LLMZIP_RESIDUALS_H
#define LLMZIP_RESIDUALS_H

#include "hash.h"
#include "logistic.h"
#include "network.h"
#include "turn.h"

/* format: everything here decides probabilities. */

/* ---- residual, 32 bits: correction of the model's log odds in 1/65536 nat + RESIDUAL_ZERO (26), observations (6) ---- */
typedef uint32_t Residual;
#define RESIDUAL_LIMIT (1000 * 256) /* 3.9 nats */
#define RESIDUAL_ZERO (1 << 25)
#define RESIDUAL_FRESH ((uint32_t)RESIDUAL_ZERO << NODE_COUNT_BITS)

/* In 1/65536 nat. Limited here too: a bucket may have been replaced by one of counters since it was looked up (two
 * contexts of one level can collide), so any 32 bits may be found in its place. */
static inline int32_t residual_value(Residual r) {
    int32_t value = (int32_t)(r >> NODE_COUNT_BITS) - RESIDUAL_ZERO;
    return value > RESIDUAL_LIMIT ? RESIDUAL_LIMIT : value < -RESIDUAL_LIMIT ? -RESIDUAL_LIMIT : value;
}

/* A step along the gradient of the cost of coding `bit` with the model's log odds so corrected. */
static inline Residual residual_update(Residual r, int bit, int32_t model) {
    int32_t value = residual_value(r), n = (int32_t)(r & NODE_COUNT_MAX);
    int32_t error = (65535 & -bit) - squash(model + (value >> 8));
    /* |error| < 2^16 and the rate is below 2^10. */
    value += error * (20 + 2000 / (2 * n + 3)) >> 8;
    value = value > RESIDUAL_LIMIT ? RESIDUAL_LIMIT : value < -RESIDUAL_LIMIT ? -RESIDUAL_LIMIT : value;
    if (n < NODE_COUNT_MAX) n++;
    return (uint32_t)(value + RESIDUAL_ZERO) << NODE_COUNT_BITS | (uint32_t)n;
}

/* ---- the part ---- */
enum { RESIDUALS = 3, RESIDUALS_INPUTS = 2 * RESIDUALS };

typedef struct {
    Residual *root; /* order 0: one per node of the tree */
} Residuals;

typedef struct {
    uint64_t context[RESIDUALS]; /* [0] is order 0, which needs none */
    NodeBucket *bucket[RESIDUALS];
} ResidualsLane;

int residuals_create(Residuals *part, Tables *tables, const Sizing *sizing);
void residuals_free(Residuals *part);

static inline void residuals_begin(const Residuals *part, ResidualsLane *lane, Tables *tables,
                                   const TokenContext *token) {
    (void)part, (void)tables;
    for (uint32_t i = 1; i <= 2; i++) lane->context[i] = hash_mix(token->order[i], 2000 + i);
}

static inline void residuals_load(const Residuals *part, ResidualsLane *lane, Tables *tables, int on) {
    (void)part, (void)lane, (void)tables, (void)on;
}

static inline void residuals_ask(const ResidualsLane *lane, const Tables *tables, uint32_t node) {
    for (int i = 1; i < RESIDUALS; i++) nodes_ask(&tables->nodes, lane->context[i], node);
}

static inline void residuals_bucket(ResidualsLane *lane, Tables *tables, uint32_t node) {
    for (int i = 1; i < RESIDUALS; i++)
        lane->bucket[i] = nodes_find(&tables->nodes, lane->context[i], node, RESIDUAL_FRESH);
}

static inline Residual *residual_at(Residuals *part, ResidualsLane *lane, const Turn *turn, int i) {
    return i == 0 ? part->root + turn->node : lane->bucket[i]->cell + turn->bucket_node;
}

/* Each plain, and scaled by how often it was seen. */
static inline void residuals_inputs(Residuals *part, ResidualsLane *lane, const Turn *turn, Input *input,
                                    Evidence *found) {
    (void)found;
    for (int i = 0; i < RESIDUALS; i++) {
        Residual r = *residual_at(part, lane, turn, i);
        int32_t n = (int32_t)(r & NODE_COUNT_MAX), value = residual_value(r) >> 8;
        input[i] = (Input)value;
        input[RESIDUALS + i] = (Input)(value * (n > 16 ? 16 : n) / 16);
    }
}

static inline void residuals_update(Residuals *part, ResidualsLane *lane, const Turn *turn, int bit) {
    for (int i = 0; i < RESIDUALS; i++) {
        Residual *r = residual_at(part, lane, turn, i);
        *r = residual_update(*r, bit, turn->model);
    }
}

static inline void residuals_take(const Residuals *part, ResidualsLane *lane, const Turn *turn, uint32_t bit) {
    (void)part;
    (void)lane, (void)turn, (void)bit;
}

static inline void residuals_end(Residuals *part, ResidualsLane *lane, Tables *tables, uint32_t position,
                                 uint32_t rank) {
    (void)part, (void)lane, (void)tables, (void)position, (void)rank;
}

#endif
