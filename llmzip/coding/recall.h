/* Recall: the token that followed when the last two or three tokens stood here the last time, however long ago that was.
 *
 * `match` follows the longest repeat, which in text of a fixed shape is the line before; what a line says twice (an address, a
 * time, an identifier) stands within the line itself. So this one turns to the latest occurrence whenever a field or word begins
 * and follows it to its end. How often that was right after these three tokens is remembered and tells how far to trust it. */
#ifndef LLMZIP_RECALL_H
#define LLMZIP_RECALL_H

#include "guess.h"
#include "hash.h"

/* format: everything here decides probabilities. */

enum { RECALL_INPUTS = GUESS_INPUTS, RECALL_HITS = 16, RECALL_LENGTHS = 8 };
/* Rows of the map: whether the recalled token is near, whether it is a number. */
enum { RECALL_NEAR = 64, RECALL_PLACES = 4 };
enum { RECALL_ROWS = RECALL_HITS * RECALL_LENGTHS * RECALL_PLACES, RECALL_SLOT_BITS = 14 };

typedef struct {
    uint32_t *last[2]; /* position after the latest occurrence of two and of three tokens, 0 = none */
    uint32_t bits;
    uint8_t *hits; /* whether the first token recalled after these three was right, latest in the lowest bit */
    MapEntry *map; /* [RECALL_ROWS][COARSE] */
} Recall;

typedef struct {
    uint32_t t[2];     /* the last tokens, latest first */
    uint32_t next;     /* position of the token expected, 0 = none */
    uint32_t length;   /* tokens that it was right since it turned here, at most RECALL_LENGTHS - 1 */
    uint32_t slot;     /* of `hits` */
    uint32_t row;      /* of the map */
    uint32_t trust;    /* for the selection of weights */
    uint32_t near;     /* whether it stands within RECALL_NEAR tokens */
    uint32_t recalled; /* what the guess expected when the token began */
    Guess guess;
} RecallLane;

int recall_create(Recall *part, Tables *tables, const Sizing *sizing);
void recall_free(Recall *part);

static inline void recall_begin(const Recall *part, RecallLane *lane, Tables *tables, const TokenContext *token) {
    (void)part, (void)tables;
    for (int i = 0; i < 2; i++) lane->t[i] = token->t[i + 1];
    lane->near = token->position - lane->next < RECALL_NEAR;
}

static inline void recall_load(const Recall *part, RecallLane *lane, Tables *tables, int on) {
    lane->recalled = on && lane->next ? history_at(&tables->history, lane->next) : TOKEN_UNKNOWN;
    lane->guess.expected = lane->recalled;
    uint32_t hits = part->hits[lane->slot] & (RECALL_HITS - 1);
    uint32_t number = (kind_at(tables, lane->recalled) & KIND_NUMBER) != 0;
    lane->row = (hits * RECALL_LENGTHS + lane->length) * RECALL_PLACES + 2 * lane->near + number;
    lane->trust = (lane->length / 2 * 8 + hits % 8) * 2 + number;
}

static inline void recall_inputs(Recall *part, RecallLane *lane, const Turn *turn, Input *input, Evidence *found) {
    uint32_t side = guess_inputs(&lane->guess, part->map + lane->row * COARSE, turn, input);
    if (side) found->recall = 2 * lane->trust + side;
}

static inline void recall_update(Recall *part, RecallLane *lane, const Turn *turn, int bit) {
    (void)part, (void)turn;
    guess_update(&lane->guess, bit);
}

static inline void recall_take(const Recall *part, RecallLane *lane, const Turn *turn, uint32_t bit) {
    (void)part;
    guess_take(&lane->guess, turn, bit);
}

void recall_end(Recall *part, RecallLane *lane, Tables *tables, uint32_t position, uint32_t rank);

#endif
