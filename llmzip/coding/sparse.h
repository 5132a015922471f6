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
    int number; /* whether two tokens before the last have nothing to say */
} SparseLane;

enum { SPARSE_PAIR = 1 };

static inline int sparse_used(const SparseLane *lane, uint32_t i) { return !lane->number || i != SPARSE_PAIR; }

int sparse_create(Sparse *part, Tables *tables, const Sizing *sizing);
void sparse_free(Sparse *part);

static inline void sparse_begin(const Sparse *part, SparseLane *lane, Tables *tables, const TokenContext *token) {
    (void)part;
    lane->number = tokens_in_number(tables, token);
    const uint64_t context[SPARSE] = {
        token->wide,
        hash_mix(hash_mix(102, token->t[2]), token->t[3]),
        hash_mix(hash_mix(token->place, 104), token->order[1]),
    };
    for (uint32_t i = 0; i < SPARSE; i++)
        if (sparse_used(lane, i)) votes_begin(lane->votes + i, tables, token, hash_mix(context[i], i + 6));
}

static inline void sparse_load(const Sparse *part, SparseLane *lane, Tables *tables, int on) {
    (void)part;
    for (int i = 0; i < SPARSE; i++)
        votes_load(part->votes + i, lane->votes + i, tables, on && sparse_used(lane, (uint32_t)i));
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
    for (uint32_t i = 0; i < SPARSE; i++)
        if (sparse_used(lane, i)) followers_add(&tables->followers, lane->votes[i].context, rank);
}

#endif
