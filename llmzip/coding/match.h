/* Match: the token that followed the longest earlier repeat, by the length of the repeat and by what the model thinks. */
#ifndef LLMZIP_MATCH_H
#define LLMZIP_MATCH_H

#include "logistic.h"
#include "maps.h"
#include "network.h"
#include "turn.h"

/* format: everything here decides probabilities. */

enum { MATCH_INPUTS = 2, LENGTHS = 16 };

typedef struct {
    MapEntry *map; /* [LENGTHS][COARSE] */
} MatchPart;

typedef struct {
    Match match;
    uint32_t expected; /* rank, or TOKEN_UNKNOWN once a turn went another way */
    MapEntry *entry;   /* NULL where nothing is expected */
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
    lane->expected = on ? history_expected(&tables->history, &lane->match) : TOKEN_UNKNOWN;
}

static inline void match_inputs(MatchPart *part, MatchPartLane *lane, const Turn *turn, int32_t *input,
                                Evidence *found) {
    if (lane->expected == TOKEN_UNKNOWN) {
        lane->entry = NULL;
        input[0] = input[1] = 0;
        return;
    }
    uint32_t right = lane->expected >> turn->shift & 1, length = length_class(lane->match.length);
    lane->entry = part->map + length * COARSE + (right ? turn->coarse : COARSE - 1 - turn->coarse);
    int32_t a = map_probability(*lane->entry), sign = right ? 1 : -1;
    input[0] = limited_input(sign * stretch(a) - turn->model);
    input[1] = sign * (a - 32768) / 64;
    found->length = lane->match.length;
    found->expected = 1 + right;
}

static inline void match_update(MatchPart *part, MatchPartLane *lane, const Turn *turn, int bit) {
    (void)part;
    if (!lane->entry) return;
    int right = (int)(lane->expected >> turn->shift & 1) == bit;
    *lane->entry = map_update(*lane->entry, right, 1022);
}

static inline void match_take(const MatchPart *part, MatchPartLane *lane, const Turn *turn, uint32_t bit) {
    (void)part;
    if (lane->expected != TOKEN_UNKNOWN && (lane->expected >> turn->shift & 1) != bit) lane->expected = TOKEN_UNKNOWN;
}

static inline void match_end(MatchPart *part, MatchPartLane *lane, Tables *tables, uint32_t position, uint32_t rank) {
    (void)part, (void)rank;
    history_advance(&tables->history, position, &lane->match);
}

#endif
