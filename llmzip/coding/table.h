/* Table: what the static n-grams say of a turn. Without a network they are the model that all other parts correct. */
#ifndef LLMZIP_TABLE_H
#define LLMZIP_TABLE_H

#include "logistic.h"
#include "maps.h"
#include "network.h"
#include "ngrams.h"
#include "turn.h"

/* format: everything here decides probabilities. */

/* Inputs: departure from the model, what each order adds to the one below, and the map's opinion. */
enum { TABLE_INPUTS = 2 + NGRAMS_ORDERS - 1 };
enum { FOLLOWER_CLASSES = 5, SUPPORTS = NGRAMS_ORDERS * FOLLOWER_CLASSES, TABLE_CLASSES = 24 };

typedef struct {
    const Ngrams *ngrams; /* NULL: there is none */
    MapEntry *map;        /* [SUPPORTS][TABLE_CLASSES] */
} Table;

typedef struct {
    uint32_t before[NGRAMS_ORDERS - 1]; /* ranks of the last tokens, latest first */
    NgramsState state;
    NgramsTurn said;
    uint32_t support; /* highest order with a follower below the node, and how many it has */
    MapEntry *entry;  /* NULL without a table */
} TableLane;

static inline uint32_t follower_class(uint32_t n) { return n == 1 ? 0 : n == 2 ? 1 : n < 5 ? 2 : n < 16 ? 3 : 4; }

int table_create(Table *part, Tables *tables, const Sizing *sizing);
void table_free(Table *part);

static inline void table_begin(const Table *part, TableLane *lane, Tables *tables, const TokenContext *token) {
    lane->entry = NULL;
    if (!part->ngrams) return;
    /* Of numbers in texts of numbers the longer contexts know nothing. */
    int known = tokens_in_number(tables, token) ? 1 : NGRAMS_ORDERS - 1;
    for (int i = 0; i < NGRAMS_ORDERS - 1; i++)
        lane->before[i] = i < known ? rank_at(tables, token->t[i + 1]) : TOKEN_UNKNOWN;
    ngrams_ask(part->ngrams, lane->before);
}

static inline void table_load(const Table *part, TableLane *lane, Tables *tables, int on) {
    (void)tables, (void)on;
    if (part->ngrams) ngrams_begin(part->ngrams, &lane->state, lane->before);
}

/* Ask the table about a turn, before anything else: its answer may be the model. Log odds, 0 without a table. */
static inline int32_t table_ask(const Table *part, TableLane *lane, const Turn *turn) {
    if (!part->ngrams) return 0;
    ngrams_turn(part->ngrams, &lane->state, turn->first, turn->middle, turn->end, &lane->said);
    return clip_logit(lane->said.logit[lane->said.highest]);
}

static inline void table_inputs(Table *part, TableLane *lane, const Turn *turn, Input *input, Evidence *found) {
    if (!part->ngrams) return;
    const NgramsTurn *said = &lane->said;
    int32_t logit = clip_logit(said->logit[said->highest]);
    *input++ = limited_input(logit - turn->model);
    uint32_t order = 1, count = 1;
    for (int n = 2; n <= NGRAMS_ORDERS; n++) {
        int known = n <= said->highest && said->followers[n];
        *input++ = known ? limited_input(said->logit[n] - said->logit[n - 1]) : 0;
        if (known) {
            order = (uint32_t)n;
            count = said->followers[n];
        }
    }
    lane->support = (order - 1) * FOLLOWER_CLASSES + (order == 1 ? 0 : follower_class(count));
    found->support = lane->support;
    uint32_t class = (uint32_t)(logit + LOGIT_MAX) * TABLE_CLASSES / (2 * LOGIT_MAX + 1);
    lane->entry = part->map + lane->support * TABLE_CLASSES + class;
    *input = limited_input(stretch(map_probability(*lane->entry)) - turn->model);
}

static inline void table_update(Table *part, TableLane *lane, const Turn *turn, int bit) {
    (void)part, (void)turn;
    if (lane->entry) *lane->entry = map_update(*lane->entry, bit, 1022);
}

static inline void table_take(const Table *part, TableLane *lane, const Turn *turn, uint32_t bit) {
    if (!part->ngrams || turn->middle == turn->end) return;
    ngrams_take(&lane->state, (int)bit);
}

static inline void table_end(Table *part, TableLane *lane, Tables *tables, uint32_t position, uint32_t rank) {
    (void)part, (void)lane, (void)tables, (void)position, (void)rank;
}

#endif
