/* What a mixer begins with: the paths of a leaning tree, and weights learnt before. A file of it is made by `python -m training
 * start`, docs/format.md has its layout. */
#ifndef LLMZIP_START_H
#define LLMZIP_START_H

#include <stddef.h>
#include <stdint.h>

/* Views into the file. */
typedef struct {
    uint32_t leaves;
    const uint8_t *lengths;          /* [leaves]: turns on the way to each */
    uint32_t rows, inputs;           /* of all sets together; 0: no weights */
    const uint8_t *visits, *weights; /* [rows] of 16 bits; [rows][inputs] of 16, signed, 10 of them fractional */
    uint32_t mixes, knots, maps;
    const uint8_t *mix_weights, *map; /* [mixes] of 16 bits, signed, 13 of them fractional; [knots] of 16 */
    const uint8_t *chances, *seen;    /* of adaptive maps: [maps] of 16 bits, probability; [maps] of 16, observations */
} Start;

/* 0, or what is wrong with the file. What it says of shapes is for its user to compare. */
const char *start_open(Start *start, const uint8_t *data, size_t length);

/* Bytes of a file of this shape, and its head; returns where the lengths begin, and the rest follows as in Start. */
size_t start_size(const Start *shape);
uint8_t *start_head(const Start *shape, uint8_t *out);

static inline uint32_t start_u16(const uint8_t *p, size_t i) {
    return (uint32_t)p[2 * i] | (uint32_t)p[2 * i + 1] << 8;
}

static inline int32_t start_i16(const uint8_t *p, size_t i) { return (int16_t)start_u16(p, i); }

static inline void start_put(uint8_t *p, size_t i, int32_t value) {
    p[2 * i] = (uint8_t)value;
    p[2 * i + 1] = (uint8_t)((uint32_t)value >> 8);
}

#endif
