/* Sets of weights: each weighs all inputs with a row that a context of its own selects; mixers of a second layer, each selected by a
 * context of its own, too, weigh their outputs, and are averaged. */
#ifndef LLMZIP_SETS_H
#define LLMZIP_SETS_H

#include "logistic.h"
#include "network.h"
#include "start.h"
#include "turn.h"

/* format: everything here decides probabilities. */

enum { SETS = 12 };

/* Rows of each set; `sets_rows` has the formulas that index them. */
enum {
    ROWS_LEVEL = DEPTH_MAX * 4 * 3,
    ROWS_CELL = 256,
    ROWS_ORDER = 6 * 2 * COARSE,
    ROWS_TOKEN = 1 << ROW_BITS,
    ROWS_TREND = 9 * 9 * 9,
    ROWS_COARSE = DEPTH_MAX * COARSE * 2,
    ROWS_NODE = 1024 + DEPTH_MAX,
    ROWS_STREAM = 256,
    ROWS_SUPPORT = 32 * COARSE,
    ROWS_COLUMN = 17 * 4 * 3,
    ROWS_RECALL = 3 * 136,
};

/* The second layer: by level, expected turn and place within a number; by the last token; by order and class of the cell. */
enum { MIXERS = 3, MIX_TURN = 0, MIX_LAST = MIX_TURN + DEPTH_MAX * 3 * DIGITS, MIX_ORDER = MIX_LAST + ROWS_TOKEN };
enum { SETS_MIXES = (MIX_ORDER + ROWS_ORDER) * SETS };

typedef struct {
    int inputs;             /* a multiple of 8 */
    int on;                 /* 0: one set only, and no second layer */
    int32_t *weights[SETS]; /* [rows][inputs] */
    uint16_t *visits[SETS]; /* [rows]: how often a row was trained */
    int32_t *mix_weights;   /* [rows of all mixers of the second layer][SETS] */
} Sets;

typedef struct {
    int32_t *weights[SETS];
    uint16_t *visits[SETS];
    int32_t output[SETS]; /* log odds */
    int32_t *mix_weights[MIXERS];
    int32_t mixed[MIXERS]; /* probability by each of the second layer */
} SetsLane;

/* first: the weight of every input to begin with. 0, or -1 when there is no memory. */
int sets_create(Sets *part, Tables *tables, const int32_t *first, int inputs, int on);
void sets_free(Sets *part);

/* Weights learnt before, and what they are as a start; rows of all sets together. */
uint32_t sets_rows(void);
void sets_begin(Sets *part, const Start *start);
uint8_t *sets_learnt(const Sets *part, uint8_t *out);

/* How far the shortest lists lean, each in eight classes (0 = silent). Rows are counted by nines. */
static inline uint32_t sets_trend(const Evidence *found) {
    uint32_t row = 0;
    for (int i = 0; i < LEANINGS; i++) {
        int32_t a = found->leaning[i];
        uint32_t class = found->silent[i] ? 0
                         : a < -700       ? 1
                         : a < -350       ? 2
                         : a < -100       ? 3
                         : a < 100        ? 4
                         : a < 350        ? 5
                         : a < 700        ? 6
                                          : 7;
        row = row * 9 + class;
    }
    return row;
}

static inline void sets_select(Sets *part, SetsLane *lane, const Turn *turn, const Evidence *found) {
    uint32_t level = turn->level, highest = found->highest, length = found->length;
    uint32_t state = length == 0 ? 0 : 1 + (length > 4) + (length > 8);
    const uint32_t row[SETS] = {
        level * 12 + state * 3
            + (highest == 0  ? 0
               : highest < 3 ? 1
                             : 2),
        turn->cell,
        (highest * 2 + found->sure) * COARSE + turn->coarse,
        turn->row[0],
        sets_trend(found),
        (level * COARSE + turn->coarse) * 2 + (highest > 0),
        level < 10 ? turn->node : 1024 + level,
        turn->row[1],
        turn->stream & 255,
        (found->support & 31) * COARSE + turn->coarse,
        (found->column * 4 + state) * 3
            + (highest == 0  ? 0
               : highest < 3 ? 1
                             : 2),
        found->recall * 3 + found->expected,
    };
    for (int s = 0; s < (part->on ? SETS : 1); s++) {
        lane->weights[s] = part->weights[s] + (size_t)row[s] * (size_t)part->inputs;
        lane->visits[s] = part->visits[s] + row[s];
    }
    const uint32_t mix_row[MIXERS] = {
        MIX_TURN + (level * 3 + found->expected) * DIGITS + turn->digits,
        MIX_LAST + turn->row[0],
        MIX_ORDER + row[2],
    };
    for (int m = 0; m < MIXERS; m++) lane->mix_weights[m] = part->mix_weights + mix_row[m] * SETS;
}

/* The sets' outputs with the weights as they are now, mixed; the result as log odds. inputs: `part->inputs`, which the
 * caller knows when it is compiled. */
static inline int32_t sets_mix(const Sets *part, SetsLane *lane, const int32_t *input, int inputs) {
    int sets = part->on ? SETS : 1;
    int64_t sum[MIXERS] = {0};
    for (int s = 0; s < sets; s++) {
        lane->output[s] = clip_logit(network_dot(lane->weights[s], input, inputs));
        for (int m = 0; m < MIXERS; m++) sum[m] += (int64_t)lane->mix_weights[m][s] * lane->output[s];
    }
    if (sets == 1) return lane->output[0];
    int32_t logit = 0;
    for (int m = 0; m < MIXERS; m++) {
        int32_t one = clip_logit((int32_t)(sum[m] >> 16));
        lane->mixed[m] = squash(one);
        logit += one;
    }
    return logit / MIXERS;
}

/* turns: coded so far; everything learns fast in a file's first turns. */
static inline void sets_train(const Sets *part, SetsLane *lane, const Turn *turn, const int32_t *input, int inputs,
                              uint64_t turns, int bit) {
    int32_t target = bit ? 65535 : 0;
    int sets = part->on ? SETS : 1;
    for (int s = 0; s < sets; s++) {
        /* Rates with 14 fractional bits: rows learn fast at first, too. */
        int32_t visits = *lane->visits[s];
        int32_t rate = 50 + 500 * 600 / (600 + visits) + (int32_t)(UINT64_C(300) * 20000 / (20000 + turns));
        if (visits < 65535) *lane->visits[s] = (uint16_t)(visits + 1);
        /* |target - p| < 2^16 and rate <= 1060, so the error stays below ERROR_LIMIT. */
        int32_t error = (target - squash(lane->output[s])) * rate / 1024;
        if (error) network_train(lane->weights[s], input, error, inputs); /* what is certain has nothing to teach */
    }
    /* Where a network leads, its weight changes little; without one, the text at hand decides which set is to be believed. */
    for (int m = 0; m < MIXERS && sets > 1; m++) {
        int32_t error = (target - lane->mixed[m]) * (turn->alone ? 24 : 8) / 1024;
        if (!error) continue;
        for (int s = 0; s < sets; s++) {
            int32_t w = lane->mix_weights[m][s] + ((lane->output[s] * error + 2048) >> 12);
            lane->mix_weights[m][s] = w > WEIGHT_LIMIT ? WEIGHT_LIMIT : w < -WEIGHT_LIMIT ? -WEIGHT_LIMIT : w;
        }
    }
}

#endif
