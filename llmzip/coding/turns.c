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

static void free_lanes(Turns *t) {
    free(t->lanes);
    free(t->ranks);
    free(t->prefixes);
    free(t->probabilities);
    free(t->bits);
    free(t->states);
    free(t->cells);
    t->lanes = t->ranks = t->prefixes = NULL;
    t->probabilities = NULL;
    t->bits = t->states = t->cells = NULL;
}

void turns_free(Turns *t) {
    predictor_free(t->predictor);
    t->predictor = NULL;
    tree_free(&t->tree);
    free_lanes(t);
}

static uint64_t blocks; /* under the interpreter lock */

int turns_lay_out(Turns *t, uint32_t streams, uint32_t tokens) {
    t->streams = 0; /* unusable, should memory run out below */
    free_lanes(t);
    t->lanes = calloc(streams, sizeof *t->lanes);
    t->ranks = calloc(streams, sizeof *t->ranks);
    t->prefixes = calloc(streams, sizeof *t->prefixes);
    t->probabilities = calloc(streams, sizeof *t->probabilities);
    t->bits = calloc(streams, sizeof *t->bits);
    t->states = calloc(streams, sizeof *t->states);
    t->cells = calloc(streams, sizeof *t->cells);
    if (!t->lanes || !t->ranks || !t->prefixes || !t->probabilities || !t->bits || !t->states || !t->cells) return -1;
    if (t->predictor && predictor_block(t->predictor, streams, tokens)) return -1;
    t->streams = streams;
    t->tokens = tokens;
    t->block = ++blocks;
    t->step = 0;
    t->level = t->depth;
    return 0;
}

int turns_pieces(Turns *t, Pieces *pieces) {
    *pieces = (Pieces){.count = 0};
    if (t->predictor && predictor_pieces(t->predictor, pieces)) return -1;
    return pieces_add(pieces, &t->step, sizeof t->step)
           || pieces_add(pieces, t->flag_probability, sizeof t->flag_probability);
}

uint32_t turns_active(const Turns *t) {
    if (!t->streams) return 0;
    uint32_t whole = t->tokens / t->streams;
    return t->step < whole ? t->streams : t->step == whole ? t->tokens % t->streams : 0;
}

uint16_t turns_flag(const Turns *t, int flag) {
    int32_t p = map_probability(t->flag_probability[flag]);
    return (uint16_t)(p < 16 ? 16 : p);
}

void turns_learn_flag(Turns *t, int flag, int bit) {
    t->flag_probability[flag] = map_update(t->flag_probability[flag], bit, 1022);
}

void turns_begin(Turns *t) {
    uint32_t active = turns_active(t);
    t->level = 0;
    if (t->predictor)
        predictor_begin(t->predictor, active);
    else
        memset(t->prefixes, 0, active * sizeof *t->prefixes);
}

uint32_t turns_predict(Turns *t, const uint8_t *cells, ptrdiff_t stride, uint16_t *out) {
    if (t->predictor) return t->n_coded = predictor_predict(t->predictor, cells, stride, out, t->lanes);
    uint32_t n = 0, active = turns_active(t), rest = t->depth - 1 - t->level;
    for (uint32_t s = 0; s < active; s++) {
        if (((uint64_t)t->prefixes[s] * 2 + 1) << rest >= t->tree.leaves) continue; /* forced: no leaf on the right */
        uint32_t cell = cells[(ptrdiff_t)s * stride];
        out[n] = t->cell_probability[cell < t->n_cells ? cell : t->n_cells - 1];
        t->lanes[n++] = s;
    }
    return t->n_coded = n;
}

void turns_update(Turns *t, const uint8_t *bits) {
    t->level++;
    if (t->predictor) {
        predictor_update(t->predictor, bits);
        return;
    }
    uint32_t active = turns_active(t);
    for (uint32_t i = 0, s = 0; s < active; s++) {
        uint32_t bit = i < t->n_coded && t->lanes[i] == s ? bits[i++] & 1 : 0;
        t->prefixes[s] = t->prefixes[s] * 2 + bit;
    }
}

void turns_prefixes(const Turns *t, uint32_t *prefixes) {
    if (t->predictor)
        predictor_prefixes(t->predictor, prefixes);
    else
        memcpy(prefixes, t->prefixes, turns_active(t) * sizeof *prefixes);
}

void turns_end(Turns *t, uint32_t *ranks) {
    if (t->predictor)
        predictor_end(t->predictor, ranks);
    else
        memcpy(ranks, t->prefixes, turns_active(t) * sizeof *ranks);
    for (uint32_t s = 0, active = turns_active(t); s < active; s++) ranks[s] = tree_below(&t->tree, ranks[s]);
    t->step++;
}

/* One kind of flag of a step: all are coded with the same probability, then learnt. */
static size_t encode_flags(Turns *t, int flag, const uint8_t *state, uint8_t *bits, uint16_t *probabilities, size_t n) {
    size_t first = n;
    uint16_t p = turns_flag(t, flag);
    uint32_t active = turns_active(t);
    for (uint32_t s = 0; s < active; s++)
        if (state[s] >= flag) bits[n] = state[s] > flag, probabilities[n++] = p;
    for (size_t i = first; i < n; i++) turns_learn_flag(t, flag, bits[i]);
    return n;
}

size_t turns_encode(Turns *t, const uint32_t *rank, const uint8_t *state, const uint8_t *cell, uint8_t *bits,
                    uint16_t *probabilities, size_t n) {
    if (t->flags && cell)
        for (int flag = 0; flag < 2; flag++) n = encode_flags(t, flag, state, bits, probabilities, n);
    turns_begin(t);
    for (uint32_t s = 0, active = turns_active(t); s < active; s++) t->ranks[s] = tree_place(&t->tree, rank[s]);
    for (uint32_t level = 0; level < t->depth; level++) {
        uint32_t coded = turns_predict(t, cell ? cell + level : NULL, t->depth, probabilities + n);
        for (uint32_t i = 0; i < coded; i++) bits[n + i] = t->ranks[t->lanes[i]] >> (t->depth - 1 - level) & 1;
        turns_update(t, bits + n);
        n += coded;
    }
    turns_end(t, t->ranks);
    return n;
}

static void decode_states(Turns *t, RangeDecoder *decoder) {
    uint8_t *states = t->states;
    uint32_t active = turns_active(t);
    memset(states, 0, active);
    if (!t->flags) return;
    for (int flag = 0; flag < 2; flag++) {
        uint16_t p = turns_flag(t, flag);
        for (uint32_t s = 0; s < active; s++)
            if (states[s] >= flag) t->bits[s] = (uint8_t)range_turn(decoder, p);
        for (uint32_t s = 0; s < active; s++)
            if (states[s] >= flag) turns_learn_flag(t, flag, t->bits[s]);
        for (uint32_t s = 0; s < active; s++)
            if (states[s] >= flag) states[s] = (uint8_t)(states[s] + t->bits[s]);
    }
}

static void decode_level(Turns *t, RangeDecoder *decoder, const uint8_t *cells) {
    uint32_t coded = turns_predict(t, cells, 1, t->probabilities);
    for (uint32_t i = 0; i < coded; i++) t->bits[i] = (uint8_t)range_turn(decoder, t->probabilities[i]);
    turns_update(t, t->bits);
}

int turns_decode_step(Turns *t, RangeDecoder *decoder, CellSource *source, uint32_t *ranks) {
    decode_states(t, decoder);
    turns_begin(t);
    uint32_t active = turns_active(t);
    for (uint32_t level = 0; level < t->depth && !decoder->broken; level++) {
        if (source) {
            turns_prefixes(t, t->ranks);
            if (source->fill(source, level, t->ranks, t->states, active, t->cells)) return -1;
        }
        decode_level(t, decoder, source ? t->cells : NULL);
    }
    if (decoder->broken) return 1;
    turns_end(t, ranks);
    return 0;
}
