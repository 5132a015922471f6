#include "final.h"

#include <stdlib.h>

int final_create(Final *part, Tables *tables, const Sizing *sizing) {
    uint32_t bits = log2_ceil(sizing->tokens * 2);
    part->bits = bits < 10 ? 10 : bits > 16 ? 16 : bits;
    const uint32_t rows[FINALS] = {DEPTH_MAX * 3, 1u << part->bits, 1u << part->bits};
    for (int i = 0; i < FINALS; i++) {
        part->knots[i] = part_table(tables, sizeof(uint16_t) * FINAL_KNOTS * rows[i]);
        part->visits[i] = part_table(tables, sizeof(uint16_t) * rows[i]);
        if (!part->knots[i] || !part->visits[i]) return -1;
        for (uint32_t row = 0; row < rows[i]; row++) final_fill(part->knots[i] + row * FINAL_KNOTS);
    }
    (void)tables;
    return 0;
}

void final_free(Final *part) {
    for (int i = 0; i < FINALS; i++) {
        free(part->knots[i]);
        free(part->visits[i]);
    }
}
