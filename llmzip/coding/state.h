/* What a predictor holds: sizes of its parts, the state of a stream, the tables. */
#ifndef LLMZIP_STATE_H
#define LLMZIP_STATE_H

#include "counters.h"
#include "followers.h"
#include "gate.h"
#include "history.h"
#include "network.h"
#include "nodes.h"
#include "predictor.h"

/* format: sizes and indices below decide probabilities. */

enum { DEPTH_MAX = 18 };
/* Counters: order 0, 1, 2. Residuals: order 0, 1, 2, and order 0 and 1 of the neighbourhood. */
enum { COUNTERS = 3, RESIDUALS = 5 };
/* Lists of followers: orders 1, 2, 3, 4, 6, then two sparse ones and order 1 of the neighbourhood. */
enum { ORDERED_LISTS = 5, LISTS = 8 };
enum { SETS = 9, FINALS = 3 };

enum {
    INPUT_CELL = 0,
    INPUT_BIAS = 1,
    INPUT_COUNTERS = 2,
    INPUT_LISTS = INPUT_COUNTERS + 3 * COUNTERS,
    INPUT_MATCH = INPUT_LISTS + 3 * LISTS,
    INPUT_RESIDUALS = INPUT_MATCH + 2,
    INPUT_END = INPUT_RESIDUALS + 2 * RESIDUALS,
    INPUTS = (INPUT_END + 7) & ~7,
};
_Static_assert(INPUTS <= INPUTS_MAX, "the sums of network.c are proven for INPUTS_MAX inputs");

/* Quantised contexts: the model's log odds in COARSE classes, counts in COUNTS, match lengths in LENGTHS. */
enum { COARSE = 12, COUNTS = 10, LENGTHS = 16, STATES = COUNTS * COUNTS * 2 };

/* Followers that are still possible at the node reached. */
typedef struct {
    uint32_t n;
    uint32_t rank[FOLLOWERS], count[FOLLOWERS];
} Live;

/* One stream, with what its prediction leaves for its update. */
typedef struct {
    int32_t input[INPUTS];
    uint32_t position; /* in the history */
    uint32_t node;     /* 1 and then the turns so far, as bits */
    uint64_t list_context[LISTS];
    uint64_t counter_context[COUNTERS], residual_context[RESIDUALS]; /* [0] is order 0, which needs none */
    NodeBucket *counter_bucket[COUNTERS], *residual_bucket[RESIDUALS];
    uint32_t bucket_node; /* index within the buckets */
    Live live[LISTS];
    MapEntry *list_map[LISTS], *list_cell_map[LISTS]; /* NULL where the list has nothing to say */
    Match match;
    uint32_t expected;   /* rank, or TOKEN_UNKNOWN once a turn went another way */
    MapEntry *match_map; /* NULL where nothing is expected */
    int32_t *weights[SETS];
    uint16_t *visits[SETS];
    int32_t output[SETS]; /* log odds */
    int32_t *mix_weights;
    int32_t mixed; /* probability */
    Gate *gate;
    int32_t departure; /* of the network from the model, log odds */
    uint32_t final_low;
    int32_t final_fraction;
    uint16_t *final_row[FINALS], *final_visits[FINALS];
} Lane;

struct Predictor {
    uint32_t leaves, depth, parts, n_cells;
    int32_t cell_logit[256];
    uint8_t cell_coarse[256];
    Lane *lanes;
    void *lanes_block;
    uint32_t streams, active, level;
    uint32_t *coded; /* lanes with an undecided turn at this level */
    uint32_t n_coded;
    uint64_t turns;
    NodeCounter *root_counters; /* order 0: one per node */
    Residual *root_residuals;
    NodeTable nodes;
    FollowerTable followers;
    History history;
    MapEntry *list_maps;            /* [LISTS][STATES] */
    MapEntry *list_cell_maps;       /* [LISTS][STATES][COARSE] */
    MapEntry *match_maps;           /* [LENGTHS][COARSE] */
    int32_t *weights[SETS];         /* [rows][INPUTS] */
    uint16_t *visits[SETS];         /* [rows]: how often a row was trained */
    int32_t *mix_weights;           /* [depth][3][SETS] */
    uint16_t *finals[FINALS];       /* [rows][FINAL_KNOTS] */
    uint16_t *final_visits[FINALS]; /* [rows] */
    uint32_t final_bits;
    Gate gates[GATES];
    size_t memory, memory_limit; /* of the tables; of tables and history */
};

/* Rows of the weight sets; predictor.c selects them. */
enum {
    ROWS_LEVEL = DEPTH_MAX * 12,
    ROWS_CELL = 256,
    ROWS_ORDER = (ORDERED_LISTS + 1) * 2 * COARSE,
    ROWS_TOKEN = 1024,
    ROWS_TREND = 9 * 9 * 9,
    ROWS_COARSE = DEPTH_MAX * COARSE * 2,
    ROWS_NODE = 1024 + DEPTH_MAX,
    ROWS_STREAM = 256,
};

#endif
