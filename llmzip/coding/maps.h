/* Adaptive maps: the probability of a state, learnt by averaging. */
#ifndef LLMZIP_MAPS_H
#define LLMZIP_MAPS_H

#include <stdint.h>

/* format: everything here decides probabilities. */

/* 65536 / (n + 1.5): the step of an average over n + 1 observations with half an observation of prior. */
#define RATES 1024
extern uint16_t counter_rate[RATES];
void maps_init(void);

/* 32 bits: probability (22), observations (10). */
typedef uint32_t MapEntry;

static inline MapEntry map_entry(int32_t p16, int32_t n) { return (uint32_t)p16 << 16 | (uint32_t)n; }
static inline int32_t map_probability(MapEntry e) { return (int32_t)(e >> 16); }

static inline MapEntry map_update(MapEntry e, int bit, uint32_t limit) {
    int32_t p = (int32_t)(e >> 10);
    uint32_t n = e & 1023;
    p += (int32_t)(((int64_t)((((1 << 22) - 1) & -bit) - p) * counter_rate[n]) >> 16);
    if (n < limit) n++;
    return (uint32_t)p << 10 | n;
}

#endif
