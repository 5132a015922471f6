/* A static table of token n-grams, counted over other text: log odds for every turn by itself, in integers alone.
 *
 * The table (docs/format.md, "The table of n-grams") is mapped, not read. A context's followers are sorted by rank, so the mass
 * of a tree node, which is a range of ranks, is a difference of two running sums. Orders are interpolated:
 *     mass_n(node) = sum of the kept followers in the node + (1 - sum of all kept followers) mass_(n-1)(node)
 * (absolute discounting as in Chen and Goodman, "An empirical study of smoothing techniques", 1998). */
#ifndef LLMZIP_NGRAMS_H
#define LLMZIP_NGRAMS_H

#include <stddef.h>
#include <stdint.h>

enum { NGRAMS_ORDERS = 5, NGRAMS_HASHED = NGRAMS_ORDERS - 2, NGRAMS_FOLLOWERS = 255, NGRAMS_MASSES = 64 };

/* An order above 2, inside the mapped file: contexts by hash. */
typedef struct {
    uint32_t bucket_bits, contexts, entries;
    const uint8_t *buckets;      /* [2^bucket_bits + 1] pairs of u32: first context, first entry */
    const uint8_t *fingerprints; /* [contexts] u16 */
    const uint8_t *followers;    /* [contexts] u8: their number */
    const uint8_t *packed;       /* [entries] of `width` bits */
} NgramsOrder;

typedef struct Ngrams {
    uint32_t vocabulary, rank_bits, mass_bits, width;
    int orders;                   /* 2 to NGRAMS_ORDERS */
    uint32_t mass[NGRAMS_MASSES]; /* in 2^-31 */
    uint32_t *unigrams;           /* [vocabulary + 1] running sums, 2^-31 */
    uint32_t *starts;             /* [vocabulary + 1] of each context's bigrams */
    uint16_t *ranks;              /* of the bigrams */
    uint32_t *sums;               /* [bigrams + 1] running sums, 2^-31, modulo 2^32 */
    NgramsOrder order[NGRAMS_HASHED];
} Ngrams;

/* What one stream knows of one order: followers with rank[i] and running sums sum[i], those of the node at first .. last-1. */
typedef struct {
    const uint16_t *rank;
    const uint32_t *sum;
    uint32_t first, last, cut; /* cut: the first to the right of the last turn asked for */
    uint32_t rest;             /* 2^-22: what is left for the orders below; 0 = the context is unknown */
} NgramsRange;

typedef struct {
    NgramsRange range[NGRAMS_ORDERS + 1]; /* from 2 */
    int highest;                          /* order whose context is known; at least 1 */
    uint16_t rank[NGRAMS_HASHED][NGRAMS_FOLLOWERS];
    uint32_t sum[NGRAMS_HASHED][NGRAMS_FOLLOWERS + 1];
} NgramsState;

/* A turn by the table. logit[n]: log odds (1/256 nat) by orders 1 to n; followers[n]: those of order n below the node. */
typedef struct {
    int32_t logit[NGRAMS_ORDERS + 1];
    uint32_t followers[NGRAMS_ORDERS + 1];
    int highest;
} NgramsTurn;

void ngrams_init(void);

/* `data` must stay where it is. NULL, or what is wrong with it ("" for no memory). */
const char *ngrams_open(Ngrams *t, const uint8_t *data, size_t length);
void ngrams_close(Ngrams *t);

/* A token begins: `before` gives the ranks before it, the latest first; at least `vocabulary` = not known. */
void ngrams_ask(const Ngrams *t, const uint32_t before[NGRAMS_ORDERS - 1]);
void ngrams_begin(const Ngrams *t, NgramsState *s, const uint32_t before[NGRAMS_ORDERS - 1]);

/* The turn between ranks low .. middle-1 (left) and middle .. high-1 (right), all within the vocabulary. */
void ngrams_turn(const Ngrams *t, NgramsState *s, uint32_t low, uint32_t middle, uint32_t high, NgramsTurn *turn);

/* Take the turn that was asked for last. */
static inline void ngrams_take(NgramsState *s, int right) {
    for (int n = 2; n <= s->highest; n++) {
        NgramsRange *range = s->range + n;
        if (right)
            range->first = range->cut;
        else
            range->last = range->cut;
    }
}

/* 256 ln(x), rounded down, for x >= 1. */
int32_t ngrams_log(uint64_t x);

#endif
