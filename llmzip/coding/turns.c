#include "turns.h"

#include <stdlib.h>
#include <string.h>

#include "logistic.h"
#include "maps.h"

/* format: first guesses 1/512 (unsafe) and 1/1024 (escaped), learnt over at most 1023 observations. */
static const int32_t flag_start[2] = {128, 64};

int turns_create(Turns *t, uint32_t leaves, const int16_t *centres, uint32_t n_cells, uint32_t tokens, int mix,
                 int flags, size_t memory, uint32_t parts, const struct Ngrams *ngrams, const uint8_t *traits,
                 const Start *start) {
    if (tree_create(&t->tree, leaves, start ? start->lengths : NULL)) return -1;
    t->depth = t->tree.depth;
    t->n_cells = n_cells;
    t->flags = flags;
    for (uint32_t i = 0; i < n_cells; i++) t->cell_probability[i] = (uint16_t)squash(centres[i]);
    for (int i = 0; i < 2; i++) t->flag_probability[i] = map_entry(flag_start[i], i ? 0 : 30);
    if (mix) t->predictor = predictor_create(&t->tree, centres, n_cells, tokens, memory, parts, ngrams, traits, start);
    return mix && !t->predictor ? -1 : 0;
}

void turns_free(Turns *t) {
    predictor_free(t->predictor);
    t->predictor = NULL;
    tree_free(&t->tree);
}

static uint64_t blocks; /* under the interpreter lock */

int turns_lay_out(Turns *t, uint32_t streams, uint32_t tokens) {
    t->streams = 0; /* unusable, should memory run out below */
    if (t->predictor && predictor_block(t->predictor, streams, tokens)) return -1;
    t->streams = streams;
    t->tokens = tokens;
    t->block = ++blocks;
    t->row = 0;
    t->level = t->depth;
    return 0;
}

int turns_pieces(Turns *t, Pieces *pieces) {
    *pieces = (Pieces){.count = 0};
    if (t->predictor && predictor_pieces(t->predictor, pieces)) return -1;
    return pieces_add(pieces, &t->row, sizeof t->row)
           || pieces_add(pieces, t->flag_probability, sizeof t->flag_probability);
}

uint32_t turns_left(const Turns *t) { return t->streams ? t->tokens - t->row : 0; }

uint32_t turns_left_of_step(const Turns *t) {
    uint32_t left = turns_left(t), streams = left ? t->streams - t->row % t->streams : 0;
    return left < streams ? left : streams;
}

/* ---- one token ---- */

static uint16_t flag_probability(const Turns *t, int flag) {
    int32_t p = map_probability(t->flag_probability[flag]);
    return (uint16_t)(p < 16 ? 16 : p);
}

static void learn_flag(Turns *t, int flag, int bit) {
    t->flag_probability[flag] = map_update(t->flag_probability[flag], bit, 1022);
}

static void begin(Turns *t) {
    t->level = t->prefix = 0;
    if (t->predictor) predictor_begin(t->predictor, t->row % t->streams);
}

/* As of predictor_predict. */
static int32_t predict(Turns *t, const uint8_t *cell) {
    if (t->predictor) return predictor_predict(t->predictor, cell);
    if (((uint64_t)t->prefix * 2 + 1) << (t->depth - 1 - t->level) >= t->tree.leaves) return FORCED;
    return t->cell_probability[*cell < t->n_cells ? *cell : t->n_cells - 1];
}

static void update(Turns *t, uint32_t bit) {
    t->level++;
    t->prefix = t->prefix * 2 + bit;
    if (t->predictor) predictor_update(t->predictor, bit);
}

/* Its rank. */
static uint32_t end(Turns *t) {
    t->row++;
    if (t->predictor) predictor_end(t->predictor, t->prefix);
    return tree_below(&t->tree, t->prefix);
}

size_t turns_encode(Turns *t, uint32_t rank, uint8_t state, const uint8_t *cells, uint8_t *bits,
                    uint16_t *probabilities, size_t n) {
    for (int flag = 0; t->flags && cells && flag < 2 && state >= flag; flag++) {
        probabilities[n] = flag_probability(t, flag);
        learn_flag(t, flag, bits[n++] = state > flag);
    }
    uint32_t place = tree_place(&t->tree, rank);
    begin(t);
    while (t->level < t->depth) {
        uint32_t bit = place >> (t->depth - 1 - t->level) & 1;
        int32_t probability = predict(t, cells ? cells + t->level : NULL);
        if (probability != FORCED) {
            probabilities[n] = (uint16_t)probability;
            bits[n++] = (uint8_t)bit;
        }
        update(t, bit);
    }
    end(t);
    return n;
}

static uint8_t decode_state(Turns *t, RangeDecoder *decoder) {
    uint8_t state = 0;
    for (int flag = 0; t->flags && flag < 2 && state >= flag; flag++) {
        int bit = range_turn(decoder, flag_probability(t, flag));
        learn_flag(t, flag, bit);
        state = (uint8_t)(state + bit);
    }
    return state;
}

int turns_decode(Turns *t, RangeDecoder *decoder, CellSource *source, uint32_t *rank) {
    uint8_t state = source ? decode_state(t, decoder) : 0;
    uint32_t stream = t->row % t->streams;
    begin(t);
    while (t->level < t->depth && !decoder->broken) {
        uint8_t cell = source ? source->cell(source, stream, t->level, t->prefix, state) : 0;
        int32_t probability = predict(t, source ? &cell : NULL);
        update(t, probability == FORCED ? 0 : (uint32_t)range_turn(decoder, (uint16_t)probability));
    }
    if (decoder->broken) return 1;
    *rank = end(t);
    return 0;
}
