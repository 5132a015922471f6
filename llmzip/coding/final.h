/* Final maps: probability as a function of the gated one, by level and expected turn, by last token and node, by what stands above
 * and node, and by node; the result is averaged with theirs. */
#ifndef LLMZIP_FINAL_H
#define LLMZIP_FINAL_H

#include "hash.h"
#include "logistic.h"
#include "start.h"
#include "turn.h"

/* format: everything here decides probabilities. */

/* ---- final map: FINAL_KNOTS probabilities at log odds FINAL_STEP apart, interpolated ---- */
#define FINAL_STEP 256
#define FINAL_KNOTS 25
#define FINAL_VISITS FINAL_KNOTS /* place of the number of visits in a row */
#define FINAL_ROW 32             /* a cache line */

static inline int32_t final_refine(const uint16_t *row, int32_t logit, uint32_t *low, int32_t *fraction) {
    int32_t position = clip_logit(logit) + FINAL_STEP * (FINAL_KNOTS / 2);
    *low = (uint32_t)position / FINAL_STEP;
    *fraction = position % FINAL_STEP;
    return (row[*low] * (FINAL_STEP - *fraction) + row[*low + 1] * *fraction) / FINAL_STEP;
}

/* 65536 / n, n <= 128. */
extern uint16_t final_rate[129];
void final_init(void);

/* A row learns from its two nearest knots, by 1/12 at first and in the end by 1/128. */
static inline void final_update(uint16_t *row, uint32_t low, int32_t fraction, int bit) {
    int32_t a = row[low], b = row[low + 1], target = 65535 & -bit, n = 12 + row[FINAL_VISITS] / 8;
    if (n < 128) row[FINAL_VISITS]++;
    /* Steps with 16 fractional bits: |target - a| < 2^16 and rate <= 2^16 / 12, times at most FINAL_STEP / FINAL_STEP. */
    int64_t rate = final_rate[n];
    row[low] = (uint16_t)(a + (int32_t)((target - a) * rate * (FINAL_STEP - fraction) / (FINAL_STEP * 65536)));
    row[low + 1] = (uint16_t)(b + (int32_t)((target - b) * rate * fraction / (FINAL_STEP * 65536)));
}

static inline void final_fill(uint16_t *row) {
    for (int i = 0; i < FINAL_KNOTS; i++) row[i] = (uint16_t)squash((i - FINAL_KNOTS / 2) * FINAL_STEP);
}

/* ---- the part ---- */
enum { FINALS = 4 };

typedef struct {
    uint32_t bits;          /* log2 of the rows of the hashed maps */
    uint16_t *rows[FINALS]; /* [rows][FINAL_ROW] */
    Memory memory[FINALS];
} Final;

typedef struct {
    uint64_t context, above; /* the last token; what stands above */
    uint32_t low;
    int32_t fraction;
    uint16_t *row[FINALS], *next[FINALS]; /* of the turn, and of the one that comes; the first is found late */
} FinalLane;

/* How large its maps are, for so many tokens. */
uint32_t final_bits(uint64_t tokens);

int final_create(Final *part, Tables *tables, const Sizing *sizing);
void final_free(Final *part);

/* The map by level, learnt before. */
enum { FINAL_LEVEL_KNOTS = DEPTH_MAX * 3 * FINAL_KNOTS };
void final_start(Final *part, const Start *start);
void final_learnt(const Final *part, uint8_t *out);

static inline void final_begin(FinalLane *lane, const TokenContext *token) {
    lane->above = hash_mix(token->above, 1002);
    lane->context = hash_mix(token->near[1], 1001);
}

/* Ask for the rows of a turn early: they lie anywhere. The first map is small. */
static inline void final_ask(const Final *part, FinalLane *lane, uint32_t node) {
    const uint64_t hash[FINALS] = {
        0,
        hash_mix(lane->context, node),
        hash_mix(lane->above, node),
        hash_mix(77, node),
    };
    for (int i = 1; i < FINALS; i++) {
        lane->next[i] = part->rows[i] + (hash[i] >> (64 - part->bits)) * FINAL_ROW;
        PREFETCH(lane->next[i]);
    }
}

static inline void final_turn(FinalLane *lane) {
    for (int i = 1; i < FINALS; i++) lane->row[i] = lane->next[i];
}

/* As much of the gated probability as of each map's. */
static inline int32_t final_average(const Final *part, FinalLane *lane, const Turn *turn, const Evidence *found,
                                    int32_t logit, int32_t gated) {
    lane->row[0] = part->rows[0] + (turn->level * 3 + found->expected) * FINAL_ROW;
    int32_t sum = gated + 2;
    for (int i = 0; i < FINALS; i++) sum += final_refine(lane->row[i], logit, &lane->low, &lane->fraction);
    int32_t refined = sum / (1 + FINALS);
    return refined < 1 ? 1 : refined > 65535 ? 65535 : refined;
}

static inline void final_learn(FinalLane *lane, int bit) {
    for (int i = 0; i < FINALS; i++) final_update(lane->row[i], lane->low, lane->fraction, bit);
}

#endif
