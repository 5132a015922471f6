/* Votes of lists of followers: those below a node vote left and right by their counts, and two adaptive maps learn what
 * such votes are worth. What `lists` and `sparse` have in common. */
#ifndef LLMZIP_VOTES_H
#define LLMZIP_VOTES_H

#include "logistic.h"
#include "maps.h"
#include "network.h"
#include "turn.h"

/* format: everything here decides probabilities. */

/* Counts of votes in COUNTS classes; a state is (votes left, votes right, side of the latest). */
enum { COUNTS = 10, STATES = COUNTS * COUNTS * 2, VOTES_INPUTS = 3 };

static inline uint32_t count_class(uint32_t n) {
    static const uint8_t class_of[16] = {0, 1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 6, 7};
    return n < 16 ? class_of[n] : n < 40 ? 8 : 9;
}

/* For one context: its maps. */
typedef struct {
    MapEntry *map;      /* [DIGITS][STATES] */
    MapEntry *cell_map; /* [DIGITS][STATES][COARSE] */
} Votes;

/* For one context of one stream: the followers that are still possible, and the entries that the last turn used. */
typedef struct {
    uint64_t context;
    uint32_t n;
    uint32_t rank[FOLLOWERS], count[FOLLOWERS];
    MapEntry *entry, *cell_entry; /* NULL where the list has nothing to say */
} VotesLane;

int votes_create(Votes *votes, Tables *tables);
void votes_free(Votes *votes);

static inline void votes_begin(VotesLane *lane, Tables *tables, uint64_t context) {
    lane->context = context;
    PREFETCH(followers_line(&tables->followers, context));
}

static inline void votes_load(VotesLane *lane, Tables *tables, int on) {
    lane->n = 0;
    const FollowerList *list = on ? followers_find(&tables->followers, lane->context) : NULL;
    for (; list && lane->n < FOLLOWERS && list->entry[lane->n] != 0; lane->n++) {
        lane->rank[lane->n] = list->entry[lane->n] >> 8;
        lane->count[lane->n] = list->entry[lane->n] & 255;
    }
}

/* Three inputs; count: votes for either side. */
static inline void votes_inputs(Votes *votes, VotesLane *lane, const Turn *turn, int32_t *input, uint32_t count[2]) {
    count[0] = count[1] = 0;
    if (lane->n == 0) {
        lane->entry = NULL;
        input[0] = input[1] = input[2] = 0;
        return;
    }
    uint32_t last = lane->rank[0] >> turn->shift & 1;
    for (uint32_t j = 0; j < lane->n; j++) count[lane->rank[j] >> turn->shift & 1] += lane->count[j];
    uint32_t state = turn->digits * STATES + (count_class(count[0]) * COUNTS + count_class(count[1])) * 2 + last;
    lane->entry = votes->map + state;
    lane->cell_entry = votes->cell_map + state * COARSE + turn->coarse;
    int32_t a = map_probability(*lane->entry), b = map_probability(*lane->cell_entry);
    input[0] = stretch(a) / 2;
    input[1] = (a - 32768) / 64;
    input[2] = limited_input(stretch(b) - turn->model);
}

static inline void votes_update(VotesLane *lane, int bit) {
    if (!lane->entry) return;
    *lane->entry = map_update(*lane->entry, bit, 1022);
    *lane->cell_entry = map_update(*lane->cell_entry, bit, 1022);
}

/* Take the turn: followers on the other side are no longer possible. */
static inline void votes_take(VotesLane *lane, const Turn *turn, uint32_t bit) {
    uint32_t n = 0;
    for (uint32_t j = 0; j < lane->n; j++)
        if ((lane->rank[j] >> turn->shift & 1) == bit) {
            lane->rank[n] = lane->rank[j];
            lane->count[n++] = lane->count[j];
        }
    lane->n = n;
}

#endif
