/* Sets of weights: each weighs all inputs with a row that a context of its own selects; mixers of a second layer, each selected by a
 * context of its own, too, weigh their outputs, and are averaged. */
#ifndef LLMZIP_SETS_H
#define LLMZIP_SETS_H

#include "logistic.h"
#include "network.h"
#include "start.h"
#include "turn.h"

/* format: everything here decides probabilities. */

enum { SETS = 16 };
_Static_assert((int)SETS <= (int)OUTPUTS, "the second layer has room for OUTPUTS sets");

/* Rows of each set; `sets_rows` has the formulas that index them. */
enum {
    ROWS_LEVEL = DEPTH_MAX * 4 * 3,
    ROWS_CELL = 256,
    ROWS_ORDER = 6 * 2 * COARSE,
    ROWS_TOKEN = 1 << ROW_BITS,
    ROWS_TREND = 9 * 9 * 9,
    ROWS_COARSE = DEPTH_MAX * COARSE * 2,
    ROWS_NODE = 1024 + DEPTH_MAX,
    ROWS_STREAM = 1 << ROW_BITS,
    ROWS_SUPPORT = 32 * COARSE,
    ROWS_COLUMN = 17 * 4 * 3,
    ROWS_RECALL = 3 * 136,
    ROWS_FIELD = 1 << ROW_BITS,
    ROWS_LINE = 1 << ROW_BITS,
    ROWS_SEEN = 1024,
    ROWS_WORD = 1 << ROW_BITS,
};

/* The first row of each set, all in one table. */
enum {
    FIRST_LEVEL,
    FIRST_CELL = FIRST_LEVEL + ROWS_LEVEL,
    FIRST_ORDER = FIRST_CELL + ROWS_CELL,
    FIRST_TOKEN = FIRST_ORDER + ROWS_ORDER,
    FIRST_TREND = FIRST_TOKEN + ROWS_TOKEN,
    FIRST_COARSE = FIRST_TREND + ROWS_TREND,
    FIRST_NODE = FIRST_COARSE + ROWS_COARSE,
    FIRST_BEFORE = FIRST_NODE + ROWS_NODE,
    FIRST_STREAM = FIRST_BEFORE + ROWS_TOKEN,
    FIRST_SUPPORT = FIRST_STREAM + ROWS_STREAM,
    FIRST_COLUMN = FIRST_SUPPORT + ROWS_SUPPORT,
    FIRST_RECALL = FIRST_COLUMN + ROWS_COLUMN,
    FIRST_FIELD = FIRST_RECALL + ROWS_RECALL,
    FIRST_LINE = FIRST_FIELD + ROWS_FIELD,
    FIRST_SEEN = FIRST_LINE + ROWS_LINE,
    FIRST_WORD = FIRST_SEEN + ROWS_SEEN,
    SETS_ROWS = FIRST_WORD + ROWS_WORD,
};

/* The second layer: by level, expected turn and place within a number; by the last token; by order and class of the cell. */
enum { MIXERS = 3, MIX_TURN = 0, MIX_LAST = MIX_TURN + DEPTH_MAX * 3 * DIGITS, MIX_ORDER = MIX_LAST + ROWS_TOKEN };
enum { MIX_ROWS = MIX_ORDER + ROWS_ORDER, SETS_MIXES = MIX_ROWS * SETS };

typedef struct {
    int inputs;           /* a multiple of INPUTS_STEP */
    int on;               /* 0: one set only, and no second layer */
    Weight *weights;      /* [rows of all sets][inputs] */
    uint16_t *visits;     /* [rows of all sets]: how often a row was trained */
    int32_t *mix_weights; /* [rows of all mixers of the second layer][OUTPUTS], SETS of them in use */
    Memory memory[2];
} Sets;

typedef struct {
    Weight *weights[SETS];
    uint16_t *visits[SETS];
    int32_t output[OUTPUTS]; /* log odds */
    int32_t *mix_weights[MIXERS];
    int32_t mixed[MIXERS]; /* probability by each of the second layer */
} SetsLane;

/* first: the weight of every input to begin with. 0, or -1 when there is no memory. */
int sets_create(Sets *part, Tables *tables, const Weight *first, int inputs, int on);
void sets_free(Sets *part);

/* Weights learnt before, and what they are as a start; rows of all sets together. */
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
    uint32_t few = highest == 0 ? 0 : highest < 2 ? 1 : 2;
    uint32_t order = (highest * 2 + found->sure) * COARSE + turn->coarse;
    const uint32_t row[SETS] = {
        FIRST_LEVEL + level * 12 + state * 3 + few,
        FIRST_CELL + turn->cell,
        FIRST_ORDER + order,
        FIRST_TOKEN + turn->row[0],
        FIRST_TREND + sets_trend(found),
        FIRST_COARSE + (level * COARSE + turn->coarse) * 2 + (highest > 0),
        FIRST_NODE + (level < 10 ? turn->node : 1024 + level),
        FIRST_BEFORE + turn->row[1],
        FIRST_STREAM + (turn->alone ? turn->open : turn->stream & (ROWS_STREAM - 1)),
        FIRST_SUPPORT + (found->support & 31) * COARSE + turn->coarse,
        FIRST_COLUMN + (found->column * 4 + state) * 3 + few,
        FIRST_RECALL + found->recall * 3 + found->expected,
        FIRST_FIELD + turn->field,
        FIRST_LINE + turn->line,
        FIRST_SEEN + found->seen,
        FIRST_WORD + turn->word,
    };
    for (int s = 0; s < SETS; s++) {
        lane->weights[s] = part->weights + (size_t)row[s] * (size_t)part->inputs;
        lane->visits[s] = part->visits + row[s];
    }
    const uint32_t mix_row[MIXERS] = {
        MIX_TURN + (level * 3 + found->expected) * DIGITS + turn->digits,
        MIX_LAST + turn->row[0],
        MIX_ORDER + order,
    };
    for (int m = 0; m < MIXERS; m++) lane->mix_weights[m] = part->mix_weights + (size_t)mix_row[m] * OUTPUTS;
}

/* The sets' outputs with the weights as they are now, mixed; the result as log odds. inputs: `part->inputs`, which the
 * caller knows when it is compiled. */
static inline int32_t sets_mix(const Sets *part, SetsLane *lane, const Input *input, int inputs) {
    network.outputs(lane->weights, part->on ? SETS : 1, input, inputs, lane->output);
    if (!part->on) return lane->output[0];
    int32_t logit = 0;
    for (int m = 0; m < MIXERS; m++) {
        int32_t one = network.mix(lane->mix_weights[m], lane->output);
        lane->mixed[m] = squash(one);
        logit += one;
    }
    return logit / MIXERS;
}

/* How fast a row learns that was visited so often: a division, which is slow, so most are made beforehand. */
enum { RATED = 4096 };
extern uint16_t sets_rate[RATED];
void sets_init(void);
static inline int32_t sets_rate_of(uint32_t visits) { return (int32_t)(500u * 600u / (600u + visits)); }

/* turns: coded so far; everything learns fast in a file's first turns. */
static inline void sets_train(const Sets *part, SetsLane *lane, const Turn *turn, const Input *input, int inputs,
                              uint64_t turns, int bit) {
    int32_t target = 65535 & -bit, most = turn->alone ? 150 : 300,
            least = (turn->alone ? 40 : 50) + (int32_t)((uint64_t)most * 20000 / (20000 + turns));
    int32_t error[SETS];
    int sets = part->on ? SETS : 1;
    for (int s = 0; s < sets; s++) {
        /* Rates with 14 fractional bits: rows learn fast at first, too. */
        uint32_t visits = *lane->visits[s];
        int32_t rate = least + (visits < RATED ? sets_rate[visits] : sets_rate_of(visits));
        *lane->visits[s] = (uint16_t)(visits + (visits < 65535));
        /* |target - p| < 2^16 and rate <= 850. */
        int32_t e = (target - squash(lane->output[s])) * rate / 1024;
        error[s] = e > ERROR_LIMIT ? ERROR_LIMIT : e < -ERROR_LIMIT ? -ERROR_LIMIT : e;
    }
    network.train(lane->weights, sets, input, inputs, error);
    /* Where a network leads, its weight changes little; without one, the text at hand decides which set is to be believed. */
    for (int m = 0; m < MIXERS && sets > 1; m++) {
        int32_t e = (target - lane->mixed[m]) * (turn->alone ? 24 : 8) / 1024;
        if (e) network.mix_train(lane->mix_weights[m], lane->output, e);
    }
}

#endif
