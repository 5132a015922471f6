/* The turns of a block in the order of coding, with the mixer or without it: step by step the next token of every stream that has one,
 * in stream order; of each token its state (where the network's arithmetic may drift), then its turns, level by level. */
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
    uint32_t row;    /* of the token at hand, its place in the order of coding */
    uint32_t level;  /* depth: between two tokens */
    uint32_t prefix; /* bits of the token's place so far */
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

/* All that it knows between tokens, for as long as the block lasts. 0, or -1. */
int turns_pieces(Turns *t, Pieces *pieces);

/* Lay out a block; what was learnt stays. 0, or -1 when there is no memory, after which nothing else may be called. */
int turns_lay_out(Turns *t, uint32_t streams, uint32_t tokens);

/* Tokens of the block that are not coded yet; of them, those of the step at hand. */
uint32_t turns_left(const Turns *t);
uint32_t turns_left_of_step(const Turns *t);

/* A token that is known: appends at `n` of bits and probabilities (room: depth + 2); the new n. cells [depth]: NULL where there is
 * no network. */
size_t turns_encode(Turns *t, uint32_t rank, uint8_t state, const uint8_t *cells, uint8_t *bits,
                    uint16_t *probabilities, size_t n);

/* The way back, into `rank`. source: of the network's cells, NULL where there is none. 0; 1 where the decoder is broken, after which nothing
 * else may be called. */
int turns_decode(Turns *t, RangeDecoder *decoder, CellSource *source, uint32_t *rank);

#endif
