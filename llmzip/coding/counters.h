/* Adaptive estimates of one turn, all inline: they are the hot loop.
 *
 * NodeCounter: how a node was left, as two probabilities. Residual: how far the model is off at a node, in log odds.
 * MapEntry: probability of a state. Final map: probability as a function of another one. */
#ifndef LLMZIP_COUNTERS_H
#define LLMZIP_COUNTERS_H

#include "logistic.h"
#include "nodes.h"

/* format: everything here decides probabilities. */

/* 65536 / (n + 1.5): the step of an average over n + 1 observations with half an observation of prior. */
#define RATES 1024
extern uint16_t counter_rate[RATES];
void counters_init(void);

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
    slow += (int32_t)(((int64_t)(bit ? 65535 - slow : -slow) * counter_rate[n]) >> 16);
    int32_t step = bit ? 1023 - fast : -fast;
    fast += n < 2 ? step / 2 : step / 4;
    if (n < NODE_COUNT_MAX) n++;
    return (uint32_t)slow << 16 | (uint32_t)fast << NODE_COUNT_BITS | (uint32_t)n;
}

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
    int32_t error = (bit ? 65535 : 0) - squash(model + (value >> 8));
    /* |error| < 2^16 and the rate is below 2^10. */
    value += error * (20 + 2000 / (2 * n + 3)) >> 8;
    value = value > RESIDUAL_LIMIT ? RESIDUAL_LIMIT : value < -RESIDUAL_LIMIT ? -RESIDUAL_LIMIT : value;
    if (n < NODE_COUNT_MAX) n++;
    return (uint32_t)(value + RESIDUAL_ZERO) << NODE_COUNT_BITS | (uint32_t)n;
}

/* ---- adaptive map entry, 32 bits: probability (22), observations (10) ---- */
typedef uint32_t MapEntry;

static inline MapEntry map_entry(int32_t p16, int32_t n) { return (uint32_t)p16 << 16 | (uint32_t)n; }
static inline int32_t map_probability(MapEntry e) { return (int32_t)(e >> 16); }

static inline MapEntry map_update(MapEntry e, int bit, uint32_t limit) {
    int32_t p = (int32_t)(e >> 10);
    uint32_t n = e & 1023;
    p += (int32_t)(((int64_t)(bit ? (1 << 22) - 1 - p : -p) * counter_rate[n]) >> 16);
    if (n < limit) n++;
    return (uint32_t)p << 10 | n;
}

/* ---- final map: FINAL_KNOTS probabilities at log odds FINAL_STEP apart, interpolated ---- */
#define FINAL_STEP 256
#define FINAL_KNOTS 25

static inline int32_t final_refine(const uint16_t *row, int32_t logit, uint32_t *low, int32_t *fraction) {
    int32_t position = clip_logit(logit) + FINAL_STEP * (FINAL_KNOTS / 2);
    *low = (uint32_t)position / FINAL_STEP;
    *fraction = position % FINAL_STEP;
    return (row[*low] * (FINAL_STEP - *fraction) + row[*low + 1] * *fraction) / FINAL_STEP;
}

/* A row learns from its two nearest knots, by 1/12 at first and in the end by 1/128. */
static inline void final_update(uint16_t *row, uint16_t *visits, uint32_t low, int32_t fraction, int bit) {
    int32_t a = row[low], b = row[low + 1], target = bit ? 65535 : 0, n = 12 + *visits / 8;
    if (n < 128) ++*visits;
    row[low] = (uint16_t)(a + (target - a) * (FINAL_STEP - fraction) / (FINAL_STEP * n));
    row[low + 1] = (uint16_t)(b + (target - b) * fraction / (FINAL_STEP * n));
}

static inline void final_fill(uint16_t *row) {
    for (int i = 0; i < FINAL_KNOTS; i++) row[i] = (uint16_t)squash((i - FINAL_KNOTS / 2) * FINAL_STEP);
}

#endif
