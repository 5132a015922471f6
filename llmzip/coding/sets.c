#include "sets.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t rows[SETS] = {
    ROWS_LEVEL, ROWS_CELL,  ROWS_ORDER,  ROWS_TOKEN,   ROWS_TREND,  ROWS_COARSE,
    ROWS_NODE,  ROWS_TOKEN, ROWS_STREAM, ROWS_SUPPORT, ROWS_COLUMN,
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
    size_t mixes = (size_t)DEPTH_MAX * 3 * SETS;
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
