/* Adaptive probabilities: node counters, adaptive maps and interpolated final maps. All inline: they are the hot loop. */
#ifndef LLMZIP_COUNTERS_H
#define LLMZIP_COUNTERS_H

#include "logistic.h"

/* 65536 / (n + 1.5): the step of an average over n + 1 observations with half an observation of prior. */
#define RATES 1024
extern uint16_t counter_rate[RATES];
void counters_init(void);

/* Node counter, 32 bits: slow probability (16), fast probability (10), observations (6). */
typedef uint32_t NodeCounter;
#define NODE_COUNTER_MAX 63
#define NODE_COUNTER_FRESH (((uint32_t)32768 << 16) | ((uint32_t)512 << 6))

static inline int32_t node_slow(NodeCounter c) { return (int32_t)(c >> 16); }
static inline int32_t node_fast(NodeCounter c) { return (int32_t)(c >> 6 & 1023); }
static inline int32_t node_count(NodeCounter c) { return (int32_t)(c & 63); }

static inline NodeCounter node_update(NodeCounter c, int bit, int limit) {
    int32_t slow = node_slow(c), fast = node_fast(c), n = node_count(c);
    /* |target - slow| <= 65535 and rate <= 43691: the product needs 64 bits. */
    slow += (int32_t)(((int64_t)(bit ? 65535 - slow : -slow) * counter_rate[n]) >> 16);
    int32_t step = (bit ? 1023 - fast : -fast);
    fast += n < 2 ? step / 2 : step / 4;
    if (n < limit) n++;
    return (uint32_t)slow << 16 | (uint32_t)fast << 6 | (uint32_t)n;
}

/* Adaptive map entry, 32 bits: probability (22), observations (10). */
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

/* Final map: probability as a function of log odds, interpolated between FINAL_KNOTS points FINAL_STEP apart. */
#define FINAL_STEP 256
#define FINAL_KNOTS 25

static inline int32_t final_refine(const uint16_t *row, int32_t logit, uint32_t *low, int32_t *fraction) {
    int32_t position = clip_logit(logit) + FINAL_STEP * (FINAL_KNOTS / 2);
    *low = (uint32_t)position / FINAL_STEP;
    *fraction = position % FINAL_STEP;
    return (row[*low] * (FINAL_STEP - *fraction) + row[*low + 1] * *fraction) / FINAL_STEP;
}

static inline void final_update(uint16_t *row, uint32_t low, int32_t fraction, int bit, int shift) {
    int32_t a = row[low], b = row[low + 1], target = bit ? 65535 : 0;
    row[low] = (uint16_t)(a + (target - a) * (FINAL_STEP - fraction) / (FINAL_STEP << shift));
    row[low + 1] = (uint16_t)(b + (target - b) * fraction / (FINAL_STEP << shift));
}

static inline void final_fill(uint16_t *row) {
    for (int i = 0; i < FINAL_KNOTS; i++) row[i] = (uint16_t)squash((i - FINAL_KNOTS / 2) * FINAL_STEP);
}

#endif
