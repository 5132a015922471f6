/* Sparse lists: what followed the token before the last, the two before the last, and the last within the neighbourhood. */
#ifndef LLMZIP_SPARSE_H
#define LLMZIP_SPARSE_H

#include "hash.h"
#include "votes.h"

/* format: the contexts decide probabilities. */

enum { SPARSE = 3, SPARSE_INPUTS = VOTES_INPUTS * SPARSE };

typedef struct {
    Votes votes[SPARSE];
} Sparse;

typedef struct {
    VotesLane votes[SPARSE];
} SparseLane;

int sparse_create(Sparse *part, Tables *tables, const Sizing *sizing);
void sparse_free(Sparse *part);

static inline void sparse_begin(const Sparse *part, SparseLane *lane, Tables *tables, const TokenContext *token) {
    (void)part;
    const uint64_t context[SPARSE] = {
        token->wide,
        hash_mix(hash_mix(102, token->t[2]), token->t[3]),
        hash_mix(hash_mix(token->place, 104), token->order[1]),
    };
    for (uint32_t i = 0; i < SPARSE; i++) votes_begin(lane->votes + i, tables, token, hash_mix(context[i], i + 6));
}

static inline void sparse_load(const Sparse *part, SparseLane *lane, Tables *tables, int on) {
    (void)part;
    for (int i = 0; i < SPARSE; i++) votes_load(part->votes + i, lane->votes + i, tables, on);
}

static inline void sparse_inputs(Sparse *part, SparseLane *lane, const Turn *turn, Input *input, Evidence *found) {
    (void)part, (void)found;
    for (uint32_t i = 0; i < SPARSE; i++, input += VOTES_INPUTS) {
        votes_inputs(lane->votes + i, turn, input);
    }
}

static inline void sparse_update(Sparse *part, SparseLane *lane, const Turn *turn, int bit) {
    (void)part, (void)turn;
    for (int i = 0; i < SPARSE; i++) votes_update(lane->votes + i, bit);
}

static inline void sparse_take(const Sparse *part, SparseLane *lane, const Turn *turn, uint32_t bit) {
    (void)part;
    for (int i = 0; i < SPARSE; i++) votes_take(part->votes + i, lane->votes + i, turn, bit);
}

static inline void sparse_end(Sparse *part, SparseLane *lane, Tables *tables, uint32_t position, uint32_t rank) {
    (void)part, (void)position;
    for (int i = 0; i < SPARSE; i++) followers_add(&tables->followers, lane->votes[i].context, rank);
}

#endif
