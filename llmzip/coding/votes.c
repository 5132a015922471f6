#include "votes.h"

uint8_t votes_class[VOTES_COUNTED];

void votes_init(void) {
    static const uint8_t first[COUNTS] = {0, 1, 2, 3, 4, 6, 9, 15, 16, 40};
    for (uint32_t n = 0, class = 0; n < VOTES_COUNTED; n++) {
        if (class + 1 < COUNTS && n >= first[class + 1]) class++;
        votes_class[n] = (uint8_t)class;
    }
}

/* Log odds of (right + 0.4) / (left + right + 0.8), for counts in the middle of their classes. */
static int32_t prior_logit(uint32_t left, uint32_t right) {
    static const int32_t tenths[COUNTS] = {0, 10, 20, 30, 44, 68, 110, 150, 250, 600};
    int32_t l = tenths[left] + 4, r = tenths[right] + 4;
    return stretch(65536 * r / (l + r));
}

int votes_create(Votes *votes, Tables *tables) {
    const int32_t seen = 6; /* what the prior is worth, in observations */
    votes->rows = table_lines(tables, &votes->memory, sizeof(MapEntry) * STATES * DIGITS * VOTES_ROW);
    if (!votes->rows) return -1;
    for (uint32_t state = 0; state < STATES * DIGITS; state++) {
        int32_t z = prior_logit(state / 2 / COUNTS % COUNTS, state / 2 % COUNTS);
        MapEntry *row = votes->rows + state * VOTES_ROW;
        row[VOTES_PLAIN] = map_entry(squash(z), seen);
        for (uint32_t c = 0; c < COARSE; c++) row[c] = map_entry(squash(z / 2 + coarse_middle(c)), seen);
    }
    return 0;
}

void votes_free(Votes *votes) { memory_free(&votes->memory); }
