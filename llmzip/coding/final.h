/* Final maps: probability as a function of the gated one, by level and expected turn, by node, and by last token and node;
 * the result is averaged with theirs. */
#ifndef LLMZIP_FINAL_H
#define LLMZIP_FINAL_H

#include "hash.h"
#include "logistic.h"
#include "turn.h"

/* format: everything here decides probabilities. */

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

/* ---- the part ---- */
enum { FINALS = 3 };

typedef struct {
    uint32_t bits;            /* log2 of the rows of the hashed maps */
    uint16_t *knots[FINALS];  /* [rows][FINAL_KNOTS] */
    uint16_t *visits[FINALS]; /* [rows] */
} Final;

typedef struct {
    uint64_t context; /* the last token */
    uint32_t low;
    int32_t fraction;
    uint16_t *row[FINALS], *visits[FINALS];
} FinalLane;

int final_create(Final *part, Tables *tables, const Sizing *sizing);
void final_free(Final *part);

static inline void final_begin(FinalLane *lane, const TokenContext *token) {
    lane->context = hash_mix(token->order[1], 1001);
}

/* Two parts of the gated probability and one of each map's. */
static inline int32_t final_average(Final *part, FinalLane *lane, const Turn *turn, const Evidence *found,
                                    int32_t logit, int32_t gated) {
    const uint32_t row[FINALS] = {
        turn->level * 3 + found->expected,
        (uint32_t)(hash_mix(lane->context, turn->node) >> (64 - part->bits)),
        (uint32_t)(hash_mix(77, turn->node) >> (64 - part->bits)),
    };
    int32_t sum = 2 * gated + 2;
    for (int i = 0; i < FINALS; i++) {
        lane->row[i] = part->knots[i] + row[i] * FINAL_KNOTS;
        lane->visits[i] = part->visits[i] + row[i];
        sum += final_refine(lane->row[i], logit, &lane->low, &lane->fraction);
    }
    int32_t refined = sum / (2 + FINALS);
    return refined < 1 ? 1 : refined > 65535 ? 65535 : refined;
}

static inline void final_learn(FinalLane *lane, int bit) {
    for (int i = 0; i < FINALS; i++) final_update(lane->row[i], lane->visits[i], lane->low, lane->fraction, bit);
}

#endif
