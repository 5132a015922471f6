#include "sets.h"

#include <stdlib.h>
#include <string.h>

uint16_t sets_rate[RATED];

void sets_init(void) {
    for (uint32_t n = 0; n < RATED; n++) sets_rate[n] = (uint16_t)sets_rate_of(n);
}

int sets_create(Sets *part, Tables *tables, const Weight *first, int inputs, int on) {
    part->inputs = inputs;
    part->on = on;
    size_t width = (size_t)inputs;
    part->weights = table_lines(tables, part->memory, sizeof(Weight) * width * SETS_ROWS);
    part->visits = part_table(tables, sizeof(uint16_t) * SETS_ROWS);
    part->mix_weights = table_lines(tables, part->memory + 1, sizeof(int32_t) * MIX_ROWS * OUTPUTS);
    if (!part->weights || !part->visits || !part->mix_weights) return -1;
    for (size_t row = 0; row < SETS_ROWS; row++) memcpy(part->weights + row * width, first, sizeof(Weight) * width);
    for (int i = 0; i < MIX_ROWS * OUTPUTS; i++) part->mix_weights[i] = i % OUTPUTS < SETS ? MIX_ONE / SETS : 0;
    return 0;
}

void sets_free(Sets *part) {
    for (int i = 0; i < 2; i++) memory_free(part->memory + i);
    free(part->visits);
}

/* Weights of a start have 10 fractional bits, those of the second layer 13. */
enum { ROW_SHIFT = WEIGHT_BITS - 10, MIX_SHIFT = 3 };

void sets_begin(Sets *part, const Start *start) {
    size_t weights = (size_t)SETS_ROWS * (size_t)part->inputs;
    for (size_t row = 0; row < SETS_ROWS; row++) part->visits[row] = (uint16_t)start_u16(start->visits, row);
    for (size_t i = 0; i < weights; i++) {
        int32_t w = start_i16(start->weights, i) * (1 << ROW_SHIFT);
        part->weights[i] = (Weight)(w > INT16_MAX ? INT16_MAX : w < INT16_MIN ? INT16_MIN : w);
    }
    for (size_t i = 0; i < SETS_MIXES; i++)
        part->mix_weights[i / SETS * OUTPUTS + i % SETS] = start_i16(start->mix_weights, i) * (1 << MIX_SHIFT);
}

static int32_t rounded(int32_t weight, int shift) {
    int32_t w = (weight + (1 << shift >> 1)) >> shift;
    return w > INT16_MAX ? INT16_MAX : w;
}

uint8_t *sets_learnt(const Sets *part, uint8_t *out) {
    size_t weights = (size_t)SETS_ROWS * (size_t)part->inputs;
    for (size_t row = 0; row < SETS_ROWS; row++) start_put(out, row, part->visits[row]);
    out += 2 * SETS_ROWS;
    for (size_t i = 0; i < weights; i++) start_put(out, i, rounded(part->weights[i], ROW_SHIFT));
    out += 2 * weights;
    for (size_t i = 0; i < SETS_MIXES; i++)
        start_put(out, i, rounded(part->mix_weights[i / SETS * OUTPUTS + i % SETS], MIX_SHIFT));
    return out + 2 * SETS_MIXES;
}
