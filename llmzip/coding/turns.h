/* The turns of a block in the order of coding: which streams are active, flags, levels; with the mixer or without it.
 *
 * One step codes the next token of every active stream: turns_begin, then for each level turns_predict and turns_update,
 * then turns_end. */
#ifndef LLMZIP_TURNS_H
#define LLMZIP_TURNS_H

#include <stddef.h>
#include <stdint.h>

#include "cellsource.h"
#include "predictor.h"
#include "rangedecoder.h"
#include "start.h"

typedef struct {
    Predictor *predictor; /* NULL when mixing is off */
    Tree tree;
    uint32_t depth, n_cells;
    int flags; /* whether states of tokens are coded */
    uint32_t streams, tokens;
    uint32_t step, level; /* level: depth = before a step, 0..depth-1 within one */
    uint32_t n_coded;
    uint32_t *lanes, *ranks;
    uint16_t *probabilities; /* of a level that is being decoded, its bits and cells */
    uint8_t *bits, *cells;
    uint8_t *states;    /* of the tokens of a step that is being decoded */
    uint32_t *prefixes; /* kept here when mixing is off */
    uint16_t cell_probability[256];
    uint32_t flag_probability[2]; /* MapEntry: a token is unsafe; an unsafe one is escaped */
    uint64_t block;               /* which of all blocks of the process */
} Turns;

/* centres: n_cells log odds (1/256 nat); memory in bytes; start: what the mixer begins with, a leaning tree included, for turns that
 * nobody outside it has an opinion of; NULL: a balanced tree, nothing learnt. 0, or -1 when there is no memory. */
int turns_create(Turns *t, uint32_t leaves, const int16_t *centres, uint32_t n_cells, uint32_t tokens, int mix,
                 int flags, size_t memory, uint32_t parts, const struct Ngrams *ngrams, const uint8_t *traits,
                 const Start *start);
void turns_free(Turns *t);

/* All that it knows between steps, for as long as the block lasts. 0, or -1. */
int turns_pieces(Turns *t, Pieces *pieces);

/* Lay out a block; what was learnt stays. 0, or -1 when there is no memory, after which nothing else may be called. */
int turns_lay_out(Turns *t, uint32_t streams, uint32_t tokens);

/* Streams that have a token in the current step; 0 when the block is done. */
uint32_t turns_active(const Turns *t);

/* The probability (16 bits) that a flag is set; flag 0: a token is unsafe, 1: an unsafe one is escaped. */
uint16_t turns_flag(const Turns *t, int flag);
void turns_learn_flag(Turns *t, int flag, int bit);

void turns_begin(Turns *t);

/* cells[lane * stride]. Fills `lanes` and `out` for the turns that are not forced; returns their number, n_coded. */
uint32_t turns_predict(Turns *t, const uint8_t *cells, ptrdiff_t stride, uint16_t *out);
void turns_update(Turns *t, const uint8_t *bits);
void turns_prefixes(const Turns *t, uint32_t *prefixes);
void turns_end(Turns *t, uint32_t *ranks);

/* A whole step whose tokens are known: appends at `n` of bits and probabilities (room: depth + 2 a token); the new n. */
size_t turns_encode(Turns *t, const uint32_t *rank, const uint8_t *state, const uint8_t *cell, uint8_t *bits,
                    uint16_t *probabilities, size_t n);

/* The way back: a whole step. source: of the network's cells, NULL where there is none. 0; 1 where the decoder is broken, -1 where the
 * source failed, after which nothing else may be called. */
int turns_decode_step(Turns *t, RangeDecoder *decoder, CellSource *source, uint32_t *ranks);

#endif
