/* Lists: what followed the last 1, 3 and 6 tokens, the letters of the word so far, and those with the word before. They also tell
 * the longest order that has a vote, and how the shortest ones lean. */
#ifndef LLMZIP_LISTS_H
#define LLMZIP_LISTS_H

#include "hash.h"
#include "votes.h"

/* format: the contexts decide probabilities. */

enum { LISTS = 5, LISTS_ORDERS = 3, LISTS_INPUTS = VOTES_INPUTS * LISTS };

typedef struct {
    Votes votes[LISTS];
} Lists;

typedef struct {
    VotesLane votes[LISTS];
    int number; /* whether words have nothing to say */
} ListsLane;

int lists_create(Lists *part, Tables *tables, const Sizing *sizing);
void lists_free(Lists *part);

/* Those that are in use. */
static inline uint32_t lists_used(const ListsLane *lane) { return lane->number ? LISTS_ORDERS : LISTS; }

static inline void lists_begin(const Lists *part, ListsLane *lane, Tables *tables, const TokenContext *token) {
    (void)part;
    lane->number = tokens_in_number(tables, token);
    static const uint8_t order[LISTS_ORDERS] = {1, 3, 6};
    for (uint32_t i = 0; i < lists_used(lane); i++)
        votes_begin(lane->votes + i, tables, token,
                    hash_mix(i < 1               ? token->near[i + 1]
                             : i >= LISTS_ORDERS ? token->words[i - LISTS_ORDERS]
                                                 : token->order[order[i]],
                             i + 1));
}

static inline void lists_load(const Lists *part, ListsLane *lane, Tables *tables, int on) {
    (void)part;
    for (uint32_t i = 0; i < LISTS; i++)
        votes_load(part->votes + i, lane->votes + i, tables, on && i < lists_used(lane));
}

static inline void lists_inputs(Lists *part, ListsLane *lane, const Turn *turn, Input *input, Evidence *found) {
    (void)part;
    for (uint32_t i = 0; i < LISTS; i++, input += VOTES_INPUTS) {
        votes_inputs(lane->votes + i, turn, input);
        int votes = lane->votes[i].entry != NULL;
        if (votes && i < LISTS_ORDERS) {
            found->highest = i + 1;
            found->sure = lane->votes[i].count[0] == 0 || lane->votes[i].count[1] == 0;
        }
        if (i < LEANINGS) {
            found->silent[i] = !votes;
            found->leaning[i] = votes ? stretch(map_probability(*lane->votes[i].plain_entry)) : 0;
        }
    }
}

static inline void lists_update(Lists *part, ListsLane *lane, const Turn *turn, int bit) {
    (void)part, (void)turn;
    for (int i = 0; i < LISTS; i++) votes_update(lane->votes + i, bit);
}

static inline void lists_take(const Lists *part, ListsLane *lane, const Turn *turn, uint32_t bit) {
    (void)part;
    for (int i = 0; i < LISTS; i++) votes_take(part->votes + i, lane->votes + i, turn, bit);
}

static inline void lists_end(Lists *part, ListsLane *lane, Tables *tables, uint32_t position, uint32_t rank) {
    (void)part, (void)position;
    for (uint32_t i = 0; i < lists_used(lane); i++) followers_add(&tables->followers, lane->votes[i].context, rank);
}

#endif
