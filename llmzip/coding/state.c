/* Making and freeing a predictor: sizes, and the state that a file starts from. */
#include "state.h"

#include <stdlib.h>

#include "hash.h"

static const uint32_t set_rows[SETS] = {
    ROWS_LEVEL, ROWS_CELL, ROWS_ORDER, ROWS_TOKEN, ROWS_TREND, ROWS_COARSE, ROWS_NODE, ROWS_TOKEN, ROWS_STREAM,
};

/* Borders and middles of the classes of |log odds|. */
static const int32_t coarse_edge[COARSE / 2 - 1] = {180, 384, 640, 1024, 1600};
static const int32_t coarse_middle[COARSE / 2] = {90, 280, 512, 820, 1300, 2000};

static uint32_t coarse_of(int32_t logit) {
    int32_t size = logit < 0 ? -logit : logit;
    uint32_t i = 0;
    while (i < COARSE / 2 - 1 && size > coarse_edge[i]) i++;
    return logit < 0 ? COARSE / 2 - 1 - i : COARSE / 2 + i;
}

static int32_t middle_of(uint32_t coarse) {
    return coarse < COARSE / 2 ? -coarse_middle[COARSE / 2 - 1 - coarse] : coarse_middle[coarse - COARSE / 2];
}

/* Log odds of (right + 0.4) / (left + right + 0.8), for counts in the middle of their classes. */
static int32_t prior_logit(uint32_t left, uint32_t right) {
    static const int32_t tenths[COUNTS] = {0, 10, 20, 30, 44, 68, 110, 150, 250, 600};
    int32_t l = tenths[left] + 4, r = tenths[right] + 4;
    return stretch(65536 * r / (l + r));
}

static void fill_maps(Predictor *p) {
    const int32_t seen = 6; /* what the prior is worth, in observations */
    for (uint32_t list = 0; list < LISTS; list++)
        for (uint32_t state = 0; state < STATES; state++) {
            int32_t z = prior_logit(state / 2 / COUNTS, state / 2 % COUNTS);
            p->list_maps[list * STATES + state] = map_entry(squash(z), seen);
            MapEntry *maps = p->list_cell_maps + (list * STATES + state) * COARSE;
            for (uint32_t c = 0; c < COARSE; c++) maps[c] = map_entry(squash(z / 2 + middle_of(c)), seen);
        }
    for (uint32_t i = 0; i < LENGTHS * COARSE; i++) {
        int32_t length = (int32_t)(i / COARSE);
        p->match_maps[i] = map_entry(squash(middle_of(i % COARSE) + 200 + 60 * length), seen);
    }
}

/* The network starts as a good guess: mostly the model, a little of everything else. */
static void fill_weights(Predictor *p) {
    for (int s = 0; s < SETS; s++)
        for (uint32_t i = 0; i < INPUTS * set_rows[s]; i++) {
            uint32_t k = i % INPUTS;
            p->weights[s][i] = k == INPUT_CELL                     ? WEIGHT_ONE * 8 / 10
                               : k == INPUT_BIAS || k >= INPUT_END ? 0
                                                                   : WEIGHT_ONE / 40;
        }
    for (uint32_t i = 0; i < DEPTH_MAX * 3 * SETS; i++) p->mix_weights[i] = WEIGHT_ONE / SETS;
}

static void *table(Predictor *p, size_t size) {
    p->memory += size;
    return calloc(size, 1);
}

Predictor *predictor_create(uint32_t leaves, const int16_t *cells, uint32_t n_cells, uint32_t tokens, size_t memory,
                            uint32_t parts) {
    Predictor *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->leaves = leaves;
    p->depth = log2_ceil(leaves);
    p->parts = parts;
    p->n_cells = n_cells;
    p->memory_limit = memory;
    for (uint32_t i = 0; i < n_cells; i++) {
        p->cell_logit[i] = clip_logit(cells[i]);
        p->cell_coarse[i] = (uint8_t)coarse_of(p->cell_logit[i]);
    }

    /* Room for everything that so many tokens may show, within what is left beside the history: half of it for nodes,
     * a quarter for lists, a sixteenth for matches. The rest is below 2 MB but for the largest vocabularies. */
    size_t history = (size_t)4 * tokens, left = memory - (history < memory * 7 / 8 ? history : memory * 7 / 8);
    uint64_t want = tokens < 64 ? 64 : tokens;
    uint32_t node_bits = log2_ceil(want * 12), list_bits = log2_ceil(want * LISTS), match_bits = log2_ceil(want);
    while (node_bits > 8 && (sizeof(NodeBucket) << node_bits) > left / 2) node_bits--;
    while (list_bits > 8 && (sizeof(FollowerList) << list_bits) > left / 4) list_bits--;
    while (match_bits > 8 && (sizeof(uint32_t) * MATCH_ORDERS << match_bits) > left / 16) match_bits--;
    match_bits = match_bits < 8 ? 8 : match_bits;
    p->final_bits = log2_ceil(want * 2);
    p->final_bits = p->final_bits < 10 ? 10 : p->final_bits > 16 ? 16 : p->final_bits;
    p->memory = (sizeof(NodeBucket) << node_bits) + (sizeof(FollowerList) << list_bits)
                + (sizeof(uint32_t) * MATCH_ORDERS << match_bits);

    size_t nodes = (size_t)1 << p->depth;
    int failed = nodes_create(&p->nodes, node_bits) || followers_create(&p->followers, list_bits)
                 || history_create(&p->history, match_bits)
                 || !(p->root_counters = table(p, nodes * sizeof(NodeCounter)))
                 || !(p->root_residuals = table(p, nodes * sizeof(Residual)))
                 || !(p->list_maps = table(p, sizeof(MapEntry) * LISTS * STATES))
                 || !(p->list_cell_maps = table(p, sizeof(MapEntry) * LISTS * STATES * COARSE))
                 || !(p->match_maps = table(p, sizeof(MapEntry) * LENGTHS * COARSE))
                 || !(p->mix_weights = table(p, sizeof(int32_t) * DEPTH_MAX * 3 * SETS));
    for (int s = 0; s < SETS && !failed; s++)
        failed = !(p->weights[s] = table(p, sizeof(int32_t) * INPUTS * set_rows[s]))
                 || !(p->visits[s] = table(p, sizeof(uint16_t) * set_rows[s]));
    const uint32_t final_rows[FINALS] = {DEPTH_MAX * 3, 1u << p->final_bits, 1u << p->final_bits};
    for (int i = 0; i < FINALS && !failed; i++)
        failed = !(p->finals[i] = table(p, sizeof(uint16_t) * FINAL_KNOTS * final_rows[i]))
                 || !(p->final_visits[i] = table(p, sizeof(uint16_t) * final_rows[i]));
    if (failed) {
        predictor_free(p);
        return NULL;
    }

    for (size_t i = 0; i < nodes; i++) {
        p->root_counters[i] = NODE_COUNTER_FRESH;
        p->root_residuals[i] = RESIDUAL_FRESH;
    }
    fill_maps(p);
    fill_weights(p);
    for (int i = 0; i < GATES; i++) p->gates[i] = gate_fresh();
    for (int i = 0; i < FINALS; i++)
        for (uint32_t row = 0; row < final_rows[i]; row++) final_fill(p->finals[i] + row * FINAL_KNOTS);
    return p;
}

void predictor_free(Predictor *p) {
    if (!p) return;
    nodes_free(&p->nodes);
    followers_free(&p->followers);
    history_free(&p->history);
    free(p->root_counters);
    free(p->root_residuals);
    free(p->list_maps);
    free(p->list_cell_maps);
    free(p->match_maps);
    for (int s = 0; s < SETS; s++) {
        free(p->weights[s]);
        free(p->visits[s]);
    }
    free(p->mix_weights);
    for (int i = 0; i < FINALS; i++) {
        free(p->finals[i]);
        free(p->final_visits[i]);
    }
    free(p->lanes_block);
    free(p->coded);
    free(p);
}

int predictor_block(Predictor *p, uint32_t streams, uint32_t tokens) {
    /* The history of the blocks before may take a quarter of the memory; beyond that it starts anew. */
    if (((size_t)p->history.length + tokens) * sizeof(uint32_t) > p->memory_limit / 4) history_clear(&p->history);
    uint32_t start = p->history.length;
    if (history_extend(&p->history, tokens)) return -1;
    free(p->lanes_block);
    free(p->coded);
    p->lanes = aligned_calloc(sizeof(Lane) * streams, &p->lanes_block);
    p->coded = malloc(sizeof(uint32_t) * streams);
    if (!p->lanes || !p->coded) return -1;
    p->streams = streams;
    for (uint32_t s = 0; s < streams; s++) {
        p->lanes[s].position = start;
        start += tokens / streams + (s < tokens % streams);
    }
    return 0;
}

size_t predictor_memory(const Predictor *p) { return p->memory + sizeof(uint32_t) * p->history.capacity; }
