/* How far to trust the network: a factor on its departure from the model, fitted to what such departures were worth.
 *
 * Weights that never stop learning are noisy, which costs where nothing can be learnt (the model is right, the text
 * does not repeat itself). A departure d of log odds scaled by a costs least near
 *     a = 1 + sum(d (bit - p)) / sum(d^2 p (1 - p)),
 * one Newton step from a = 1, where the model plus d predicts p. The sums forget over some 4096 turns. */
#ifndef LLMZIP_GATE_H
#define LLMZIP_GATE_H

#include "logistic.h"
#include "turn.h"

/* format: everything here decides probabilities. */

enum { GATE_SIZES = 8, GATE_ROWS = 2 * GATE_SIZES };
#define GATE_WIDEST 256 /* 1 nat */
#define GATE_MAX 98304  /* 1.5 with 16 fractional bits */

typedef struct {
    int64_t slope; /* sum of d (bit - p), 24 fractional bits: below 2^41 */
    int64_t bend;  /* sum of d^2 p (1 - p), 32 fractional bits: below 2^52 */
} Trust;

/* A little trust to begin with: some 60 turns of middling departures. */
static inline Trust trust_fresh(void) { return (Trust){0, INT64_C(200) << 24}; }

/* Class of a departure by its size; those backed by a list of followers have classes of their own. */
static inline uint32_t trust_class(int32_t departure, int backed) {
    int32_t size = departure < 0 ? -departure : departure;
    uint32_t i = 0;
    while (i < GATE_SIZES - 1 && size >= 8 << i) i++;
    return i + (backed ? GATE_SIZES : 0);
}

static inline int32_t trust_apply(const Trust *g, int32_t model, int32_t departure) {
    int64_t factor = 65536 + g->slope * 4096 / ((g->bend >> 12) + 1);
    factor = factor < 0 ? 0 : factor > GATE_MAX ? GATE_MAX : factor;
    return clip_logit(model + (int32_t)(departure * factor / 65536));
}

static inline void trust_update(Trust *g, int32_t model, int32_t departure, int bit) {
    int64_t p = squash(model + departure), d = departure;
    g->slope += d * ((bit ? 65535 : 0) - p) - g->slope / 4096;
    g->bend += d * d * (p * (65536 - p) / 65536) - g->bend / 4096;
}

/* ---- the part ---- */

typedef struct {
    Trust trust[GATE_ROWS];
} Gate;

typedef struct {
    Trust *trust;
    int32_t departure; /* of the network from the model, log odds */
} GateLane;

static inline int gate_create(Gate *part) {
    for (int i = 0; i < GATE_ROWS; i++) part->trust[i] = trust_fresh();
    return 0;
}

/* Log odds of the network, held back where they depart little. A large departure is let through: it rests on much, and one
 * that proves wrong would close the gate for thousands of turns, which ruins what repeats itself. */
static inline int32_t gate_refine(Gate *part, GateLane *lane, const Turn *turn, const Evidence *found, int32_t logit) {
    lane->departure = logit - turn->model;
    lane->trust = NULL;
    if (lane->departure > GATE_WIDEST || lane->departure < -GATE_WIDEST) return logit;
    lane->trust = part->trust + trust_class(lane->departure, found->highest > 0);
    return trust_apply(lane->trust, turn->model, lane->departure);
}

static inline void gate_learn(GateLane *lane, const Turn *turn, int bit) {
    if (lane->trust) trust_update(lane->trust, turn->model, lane->departure, bit);
}

#endif
