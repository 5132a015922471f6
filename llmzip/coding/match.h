/* Match: the token that followed the longest earlier repeat, by the length of the repeat and by what the model thinks. */
#ifndef LLMZIP_MATCH_H
#define LLMZIP_MATCH_H

#include "guess.h"

/* format: everything here decides probabilities. */

enum { MATCH_INPUTS = GUESS_INPUTS, LENGTHS = 16 };

typedef struct {
    MapEntry *map; /* [LENGTHS][COARSE] */
} MatchPart;

typedef struct {
    Match match;
    Guess guess;
} MatchPartLane;

static inline uint32_t length_class(uint32_t n) {
    return n <= 12 ? n - 1 : n < 24 ? 12 : n < 32 ? 13 : n < 100 ? 14 : 15;
}

int match_create(MatchPart *part, Tables *tables, const Sizing *sizing);
void match_free(MatchPart *part);

static inline void match_begin(const MatchPart *part, MatchPartLane *lane, Tables *tables, const TokenContext *token) {
    (void)part, (void)lane, (void)tables, (void)token;
}

static inline void match_load(const MatchPart *part, MatchPartLane *lane, Tables *tables, int on) {
    (void)part;
    lane->guess.expected = on ? history_expected(&tables->history, &lane->match) : TOKEN_UNKNOWN;
}

static inline void match_inputs(MatchPart *part, MatchPartLane *lane, const Turn *turn, Input *input, Evidence *found) {
    if (lane->guess.expected != TOKEN_UNKNOWN) found->length = lane->match.length;
    uint32_t length = lane->match.length ? length_class(lane->match.length) : 0;
    found->expected = guess_inputs(&lane->guess, part->map + length * COARSE, turn, input);
}

static inline void match_update(MatchPart *part, MatchPartLane *lane, const Turn *turn, int bit) {
    (void)part, (void)turn;
    guess_update(&lane->guess, bit);
}

static inline void match_take(const MatchPart *part, MatchPartLane *lane, const Turn *turn, uint32_t bit) {
    (void)part;
    guess_take(&lane->guess, turn, bit);
}

static inline void match_end(MatchPart *part, MatchPartLane *lane, Tables *tables, uint32_t position, uint32_t rank) {
    (void)part, (void)rank;
    history_advance(&tables->history, position, &lane->match);
}

#endif
