/* Votes of lists of followers: those below a node vote left and right by their counts, and two adaptive maps learn what
 * such votes are worth. What `lists`, `sparse` and `columns` have in common. */
#ifndef LLMZIP_VOTES_H
#define LLMZIP_VOTES_H

#include "logistic.h"
#include "maps.h"
#include "network.h"
#include "turn.h"

/* format: everything here decides probabilities. */

/* Counts of votes in COUNTS classes; a state is (votes left, votes right, side of the latest). */
enum { COUNTS = 10, STATES = COUNTS * COUNTS * 2, VOTES_INPUTS = 3 };
/* A row of the maps is one cache line: by the class of what the model thinks, and at VOTES_PLAIN whatever it thinks. */
enum { VOTES_ROW = 16, VOTES_PLAIN = COARSE };
enum { VOTES_COUNTED = 64 };

/* Class of a number of votes, 63 for more. */
extern uint8_t votes_class[VOTES_COUNTED];
void votes_init(void);

static inline uint32_t count_class(uint32_t n) { return votes_class[n < VOTES_COUNTED ? n : VOTES_COUNTED - 1]; }

/* For one context: its maps. */
typedef struct {
    MapEntry *rows; /* [DIGITS][STATES][VOTES_ROW] */
    Memory memory;
} Votes;

/* For one context of one stream. Followers are bits, the latest the lowest; their counts are bytes. */
enum { VOTES_PLANES = (DEPTH_MAX + 7) / 8 };
typedef struct {
    uint64_t context, counts;
    uint64_t
        plane[VOTES_PLANES]; /* byte shift % 8 of plane shift / 8: followers to the right of turns with this shift */
    uint32_t digits;
    uint32_t alive;                /* followers that are still possible */
    uint32_t count[2];             /* votes for either side of the turn that comes */
    MapEntry *row;                 /* of its state */
    MapEntry *entry, *plain_entry; /* that the last turn used; NULL where the list had nothing to say */
} VotesLane;

int votes_create(Votes *votes, Tables *tables);
void votes_free(Votes *votes);

static inline void votes_begin(VotesLane *lane, Tables *tables, const TokenContext *token, uint64_t context) {
    lane->context = context;
    lane->digits = token->digits;
    PREFETCH(followers_line(&tables->followers, context));
}

/* Sum of the counts of some followers. */
static inline uint32_t votes_sum(uint64_t counts, uint32_t followers) {
    /* Bit i into byte i, which then becomes 0 or 255. */
    uint64_t bits = followers * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
    uint64_t bytes = ((bits + UINT64_C(0x7F7F7F7F7F7F7F7F)) & UINT64_C(0x8080808080808080)) >> 7;
    counts &= bytes * 255;
    const uint64_t even = UINT64_C(0x00FF00FF00FF00FF);
    counts = (counts & even) + (counts >> 8 & even);
    return (uint32_t)(counts * UINT64_C(0x0001000100010001) >> 48);
}

static inline uint32_t votes_right(const VotesLane *lane, uint32_t shift) {
    return (uint32_t)(lane->plane[shift >> 3] >> (shift & 7) * 8) & 255;
}

/* Votes for the turn of this shift, and the row of the maps: asked for early, since it may lie anywhere. total: of both sides. */
static inline void votes_ready(const Votes *votes, VotesLane *lane, uint32_t shift, uint32_t total) {
    uint32_t right = votes_right(lane, shift), latest = (right & lane->alive & (0 - lane->alive)) != 0;
    lane->count[1] = votes_sum(lane->counts, right & lane->alive);
    lane->count[0] = total - lane->count[1];
    uint32_t state = (count_class(lane->count[0]) * COUNTS + count_class(lane->count[1])) * 2 + latest;
    lane->row = votes->rows + (size_t)(lane->digits * STATES + state) * VOTES_ROW;
    PREFETCH(lane->row);
}

/* Bit j of byte i becomes bit i of byte j. */
static inline uint64_t votes_transposed(uint64_t x) {
    uint64_t t = (x ^ x >> 7) & UINT64_C(0x00AA00AA00AA00AA);
    x ^= t ^ t << 7;
    t = (x ^ x >> 14) & UINT64_C(0x0000CCCC0000CCCC);
    x ^= t ^ t << 14;
    t = (x ^ x >> 28) & UINT64_C(0x00000000F0F0F0F0);
    return x ^ t ^ t << 28;
}

static inline void votes_load(const Votes *votes, VotesLane *lane, Tables *tables, int on) {
    const FollowerList *list = on ? followers_find(&tables->followers, lane->context) : NULL;
    lane->alive = 0;
    if (!list) return;
    uint64_t counts = 0, plane[VOTES_PLANES] = {0};
    for (uint32_t i = 0; i < FOLLOWERS && list->entry[i] != 0; i++) {
        uint32_t rank = list->entry[i] >> 8;
        counts |= (uint64_t)(list->entry[i] & 255) << 8 * i;
        for (uint32_t k = 0; k < VOTES_PLANES; k++) plane[k] |= (uint64_t)(rank >> 8 * k & 255) << 8 * i;
        lane->alive |= 1u << i;
    }
    lane->counts = counts;
    for (int k = 0; k < VOTES_PLANES; k++) lane->plane[k] = votes_transposed(plane[k]);
    votes_ready(votes, lane, tables->tree->depth - 1, votes_sum(counts, lane->alive));
}

/* Three inputs. */
static inline void votes_inputs(VotesLane *lane, const Turn *turn, Input *input) {
    if (!lane->alive) {
        lane->entry = NULL;
        input[0] = input[1] = input[2] = 0;
        return;
    }
    lane->entry = lane->row + turn->coarse;
    lane->plain_entry = lane->row + VOTES_PLAIN;
    int32_t a = map_probability(*lane->plain_entry), b = map_probability(*lane->entry);
    input[0] = (Input)(stretch(a) / 2);
    input[1] = (Input)((a - 32768) / 64);
    input[2] = limited_input(stretch(b) - turn->model);
}

static inline void votes_update(VotesLane *lane, int bit) {
    if (!lane->entry) return;
    *lane->plain_entry = map_update(*lane->plain_entry, bit, 1022);
    *lane->entry = map_update(*lane->entry, bit, 1022);
}

/* Take the turn: followers on the other side are no longer possible. */
static inline void votes_take(const Votes *votes, VotesLane *lane, const Turn *turn, uint32_t bit) {
    if (!lane->alive) return;
    uint32_t right = votes_right(lane, turn->shift);
    lane->alive &= right ^ (bit - 1);
    if (lane->alive && turn->shift) votes_ready(votes, lane, turn->shift - 1, lane->count[bit]);
}

#endif
