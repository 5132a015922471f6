/* Where a stream stands in a number: digits say less about the next digit than what stands before the number and how far in we
 * are, so contexts of the last tokens give way to those. */
#ifndef LLMZIP_NUMBERS_H
#define LLMZIP_NUMBERS_H

#include "hash.h"
#include "turn.h"

/* format: everything here decides probabilities. */

enum { NUMBER_LENGTH = 31 };

/* Of one stream. */
typedef struct {
    uint32_t anchor; /* the last token that is no number */
    uint64_t before; /* hash of it and the two before it */
    uint32_t length; /* number tokens since, at most NUMBER_LENGTH */
} NumbersLane;

/* Bring a stream up to its last token, and fill in what `token` says of numbers. */
static inline void numbers_begin(NumbersLane *lane, const Tables *tables, TokenContext *token) {
    if (kind_at(tables, token->t[1]) & KIND_NUMBER) {
        lane->length += lane->length < NUMBER_LENGTH;
        token->near[1] = hash_mix(hash_mix(503, lane->anchor), lane->length);
        token->near[2] = hash_mix(token->near[1], token->t[1]);
        token->wide = hash_mix(lane->before, lane->length);
        token->row[0] = (uint32_t)(hash_mix(hash_mix(502, lane->anchor), lane->length) >> (64 - ROW_BITS));
        uint32_t length = lane->length < 3 ? lane->length : 3;
        token->row[1] = (uint32_t)(hash_mix(hash_mix(501, lane->anchor), length) >> (64 - ROW_BITS));
    } else {
        *lane = (NumbersLane){token->t[1], token->order[3], 0};
        token->near[1] = token->order[1];
        token->near[2] = token->order[2];
        token->wide = hash_mix(token->t[2], 7);
        for (int i = 0; i < 2; i++) token->row[i] = rank_at(tables, token->t[i + 1]) >> 3 & ((1 << ROW_BITS) - 1);
    }
    token->digits = lane->length < 2 ? lane->length : lane->length < 4 ? 2 : 3;
}

/* A text is one of numbers where so many of so many tokens were some: tables and most logs. Of prose, code and markup a sixth is at most. */
enum { NUMBERS_SHOWN = 1024, NUMBERS_MANY = 320 };

/* A token is known. */
static inline void numbers_note(Tables *tables, uint32_t token) {
    tables->numbers += (kind_at(tables, token) & KIND_NUMBER) != 0;
    tables->shown++;
}

static inline void numbers_judge(Tables *tables) {
    if (tables->shown < NUMBERS_SHOWN) return;
    tables->numeric = tables->numbers * NUMBERS_SHOWN >= tables->shown * NUMBERS_MANY;
    tables->shown = tables->numbers = 0;
}

#endif
