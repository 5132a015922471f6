/* Decodes what constriction's queue range coder wrote (Martin, "Range encoding", 1979): 32-bit words, a 64-bit state, turns with
 * 24-bit probabilities. The encoder stays constriction's; a test drives both against each other. */
#ifndef LLMZIP_RANGEDECODER_H
#define LLMZIP_RANGEDECODER_H

#include <stddef.h>
#include <stdint.h>

/* format: everything here decides bits. */

#define RANGE_PRECISION 24

typedef struct {
    const uint8_t *data; /* words, their highest byte first; behind the end zeros */
    size_t length, at;
    uint64_t lower, range, point;
    int broken; /* met data that no encoder writes */
} RangeDecoder;

/* An encoder's words stand for all of its turns but for zeros that were cut off, and the decoder looks two words ahead:
 * whoever asks for more than RANGE_AHEAD bytes behind the end asks for turns that were never coded. */
enum { RANGE_AHEAD = 32 };

static inline uint64_t range_word(RangeDecoder *d) {
    if (d->at >= d->length + RANGE_AHEAD) {
        d->broken = 1;
        return 0;
    }
    uint64_t word = 0;
    for (int i = 0; i < 4; i++, d->at++)
        if (d->at < d->length) word |= (uint64_t)d->data[d->at] << (24 - 8 * i);
    return word;
}

static inline void range_start(RangeDecoder *d, const uint8_t *data, size_t length) {
    *d = (RangeDecoder){.data = data, .length = length, .range = UINT64_MAX};
    d->point = range_word(d) << 32;
    d->point |= range_word(d);
}

/* A turn that goes right with probability p / 65536, 1 <= p <= 65535. */
static inline int range_turn(RangeDecoder *d, uint32_t p) {
    /* The probabilities 1 - p and p share 2^24 - 2 steps; each gets one more. */
    uint64_t left = (((uint64_t)(65536 - p) * ((1u << RANGE_PRECISION) - 2)) >> 16) + 1;
    uint64_t scale = d->range >> RANGE_PRECISION;
    uint64_t quantile = (d->point - d->lower) / scale; /* range >= 2^32, so scale >= 2^8 */
    if (quantile >> RANGE_PRECISION) d->broken = 1;
    int bit = quantile >= left;
    d->lower += bit ? scale * left : 0;
    d->range = scale * (bit ? (UINT64_C(1) << RANGE_PRECISION) - left : left);
    if (d->range >> 32 == 0) {
        d->lower <<= 32;
        d->range <<= 32;
        d->point = d->point << 32 | range_word(d);
    }
    return bit;
}

#endif
