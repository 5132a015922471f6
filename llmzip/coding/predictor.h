/* The mixer proper: predicts the turns of all streams of a block, in coding order, and learns from them.
 *
 * The next token of a stream is coded by predictor_begin, then for each level predictor_predict and predictor_update, then
 * predictor_end. All state is integer; encoder and decoder make the same calls. */
#ifndef LLMZIP_PREDICTOR_H
#define LLMZIP_PREDICTOR_H

#include <stddef.h>
#include <stdint.h>

#include "pieces.h"
#include "start.h"
#include "tree.h"

typedef struct Predictor Predictor;
struct Ngrams;

/* Names of the parts that a study may switch off, in the order of their bits (parts.h); `predictor_parts` of them. */
extern const char *const predictor_part_names[];
extern const int predictor_parts;

/* tree: as long as the predictor. cells: n log odds (1/256 nat). tokens sizes the tables, memory (bytes) bounds them. parts: a bit for each that is in use. ngrams: the static table, traits: of
 * tokens (turn.h), NULL where there are none; both must outlive the predictor.
 * start: weights to begin with, NULL: none. NULL when there is no memory. */
Predictor *predictor_create(const Tree *tree, const int16_t *cells, uint32_t n_cells, uint32_t tokens, size_t memory,
                            uint32_t parts, const struct Ngrams *ngrams, const uint8_t *traits, const Start *start);
void predictor_free(Predictor *p);

/* Lay out a block of `tokens` in `streams` streams; what was learnt stays. 0, or -1 when there is no memory. */
int predictor_block(Predictor *p, uint32_t streams, uint32_t tokens);

void predictor_begin(Predictor *p, uint32_t stream);

/* The next turn: the probability of bit 1 (16 bits), or FORCED where there is nothing to code, as no leaf is on the right. cell: NULL where
 * nobody outside the mixer has an opinion. */
enum { FORCED = -1 };
int32_t predictor_predict(Predictor *p, const uint8_t *cell);

/* The bit of that turn, 0 of a forced one; moves on to the next level. */
void predictor_update(Predictor *p, uint32_t bit);

/* After the last level: the place that its bits make. */
void predictor_end(Predictor *p, uint32_t place);

/* Whether weights are of the shape that the mixer has. */
int predictor_fits(const Start *start);

/* What was learnt, as a start: the shape without lengths; with `out` (start_size) the bytes, for these lengths, too. */
void predictor_learnt(const Predictor *p, Start *shape, const uint8_t *lengths, uint8_t *out);

/* All that it knows, for as long as the block lasts: to be put back into the same predictor. 0, or -1. */
int predictor_pieces(Predictor *p, Pieces *pieces);

/* Bytes of all tables. */
size_t predictor_memory(const Predictor *p);

#endif
