#include "votes.h"

#include <stdlib.h>

/* Log odds of (right + 0.4) / (left + right + 0.8), for counts in the middle of their classes. */
static int32_t prior_logit(uint32_t left, uint32_t right) {
    static const int32_t tenths[COUNTS] = {0, 10, 20, 30, 44, 68, 110, 150, 250, 600};
    int32_t l = tenths[left] + 4, r = tenths[right] + 4;
    return stretch(65536 * r / (l + r));
}

int votes_create(Votes *votes, Tables *tables) {
    const int32_t seen = 6; /* what the prior is worth, in observations */
    votes->map = part_table(tables, sizeof(MapEntry) * STATES * DIGITS);
    votes->cell_map = part_table(tables, sizeof(MapEntry) * STATES * COARSE * DIGITS);
    if (!votes->map || !votes->cell_map) return -1;
    for (uint32_t state = 0; state < STATES * DIGITS; state++) {
        int32_t z = prior_logit(state / 2 / COUNTS % COUNTS, state / 2 % COUNTS);
        votes->map[state] = map_entry(squash(z), seen);
        for (uint32_t c = 0; c < COARSE; c++)
            votes->cell_map[state * COARSE + c] = map_entry(squash(z / 2 + coarse_middle(c)), seen);
    }
    return 0;
}

void votes_free(Votes *votes) {
    free(votes->map);
    free(votes->cell_map);
}
