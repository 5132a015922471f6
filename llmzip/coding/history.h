/* The token history of a mixer and the match model that follows its longest repeat. */
#ifndef LLMZIP_HISTORY_H
#define LLMZIP_HISTORY_H

#include <stdint.h>

#define TOKEN_UNKNOWN UINT32_MAX
#define MATCH_ORDERS 4 /* how many table look-ups a search makes */

typedef struct {
    uint32_t *
        tokens; /* complements of places of leaves (tree.h), in file order; 0 = not coded yet, so that only what is coded
                         takes memory */
    uint32_t length; /* positions laid out so far */
    uint32_t capacity;
    uint32_t *last[MATCH_ORDERS]; /* per order: position after the latest occurrence of a hash, 0 = none */
    uint32_t bits;
} History;

typedef struct {
    uint32_t slot[MATCH_ORDERS]; /* of the last tokens, by history_ask */
    uint32_t next;               /* position of the token expected now; meaningful where length > 0 */
    uint32_t length;             /* verified tokens of agreement before it */
} Match;

int history_create(History *history, uint32_t bits);
void history_free(History *history);

/* Forget everything. */
void history_clear(History *history);

/* Lay out `tokens` unknown positions more; 0, or -1 when there is no memory. */
int history_extend(History *history, uint32_t tokens);

static inline uint32_t history_get(const History *history, uint32_t position) { return ~history->tokens[position]; }
static inline void history_put(History *history, uint32_t position, uint32_t place) {
    history->tokens[position] = ~place;
}

/* The token `back` positions before `position`, or TOKEN_UNKNOWN. */
static inline uint32_t history_before(const History *history, uint32_t position, uint32_t back) {
    return back <= position ? history_get(history, position - back) : TOKEN_UNKNOWN;
}

/* The token at a position, or TOKEN_UNKNOWN. */
static inline uint32_t history_at(const History *history, uint32_t position) {
    return position < history->length ? history_get(history, position) : TOKEN_UNKNOWN;
}

/* The token at `position` is known: look for its place in the tables and ask for that memory, which may be anywhere. */
void history_ask(const History *history, uint32_t position, Match *match);

/* After history_ask of the token at `position` is known: move its stream's match on to position + 1, or to a longer one, and note the
 * position. */
void history_advance(History *history, uint32_t position, Match *match);

/* The token a match expects, or TOKEN_UNKNOWN. */
static inline uint32_t history_expected(const History *history, const Match *match) {
    return match->length > 0 ? history_at(history, match->next) : TOKEN_UNKNOWN;
}

#endif
