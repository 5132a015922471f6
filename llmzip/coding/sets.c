#include "sets.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t rows[SETS] = {
    ROWS_LEVEL, ROWS_CELL,  ROWS_ORDER,  ROWS_TOKEN,   ROWS_TREND,  ROWS_COARSE,
    ROWS_NODE,  ROWS_TOKEN, ROWS_STREAM, ROWS_SUPPORT, ROWS_COLUMN, ROWS_RECALL,
};

int sets_create(Sets *part, Tables *tables, const int32_t *first, int inputs, int on) {
    part->inputs = inputs;
    part->on = on;
    size_t width = sizeof(int32_t) * (size_t)inputs;
    for (int s = 0; s < SETS; s++) {
        part->weights[s] = part_table(tables, width * rows[s]);
        part->visits[s] = part_table(tables, sizeof(uint16_t) * rows[s]);
        if (!part->weights[s] || !part->visits[s]) return -1;
        for (uint32_t row = 0; row < rows[s]; row++) memcpy(part->weights[s] + row * (size_t)inputs, first, width);
    }
    size_t mixes = SETS_MIXES;
    part->mix_weights = part_table(tables, sizeof(int32_t) * mixes);
    if (!part->mix_weights) return -1;
    for (size_t i = 0; i < mixes; i++) part->mix_weights[i] = WEIGHT_ONE / SETS;
    return 0;
}

void sets_free(Sets *part) {
    for (int s = 0; s < SETS; s++) {
        free(part->weights[s]);
        free(part->visits[s]);
    }
    free(part->mix_weights);
}

uint32_t sets_rows(void) {
    uint32_t sum = 0;
    for (int s = 0; s < SETS; s++) sum += rows[s];
    return sum;
}

/* Weights of a start have 10 fractional bits, those of the second layer 13. */
enum { ROW_SHIFT = 6, MIX_SHIFT = 3 };

void sets_begin(Sets *part, const Start *start) {
    size_t at = 0;
    for (int s = 0; s < SETS; s++)
        for (uint32_t row = 0; row < rows[s]; row++, at++) {
            part->visits[s][row] = (uint16_t)start_u16(start->visits, at);
            for (size_t i = 0, n = (size_t)part->inputs; i < n; i++) {
                int32_t w = start_i16(start->weights, at * n + i) * (1 << ROW_SHIFT);
                part->weights[s][row * n + i] = w > WEIGHT_LIMIT ? WEIGHT_LIMIT : w < -WEIGHT_LIMIT ? -WEIGHT_LIMIT : w;
            }
        }
    for (size_t i = 0; i < SETS_MIXES; i++) part->mix_weights[i] = start_i16(start->mix_weights, i) * (1 << MIX_SHIFT);
}

static int32_t rounded(int32_t weight, int shift) {
    int32_t w = (weight + (1 << shift >> 1)) >> shift;
    return w > INT16_MAX ? INT16_MAX : w;
}

uint8_t *sets_learnt(const Sets *part, uint8_t *out) {
    size_t at = 0, n = (size_t)part->inputs, total = sets_rows();
    for (int s = 0; s < SETS; s++)
        for (uint32_t row = 0; row < rows[s]; row++, at++) {
            start_put(out, at, part->visits[s][row]);
            for (size_t i = 0; i < n; i++)
                start_put(out + 2 * total, at * n + i, rounded(part->weights[s][row * n + i], ROW_SHIFT));
        }
    out += 2 * total * (n + 1);
    for (size_t i = 0; i < SETS_MIXES; i++) start_put(out, i, rounded(part->mix_weights[i], MIX_SHIFT));
    return out + 2 * SETS_MIXES;
}
