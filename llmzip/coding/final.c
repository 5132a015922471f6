#include "final.h"

uint16_t final_rate[129];

void final_init(void) {
    for (uint32_t n = 2; n <= 128; n++) final_rate[n] = (uint16_t)(65536 / n);
}

uint32_t final_bits(uint64_t tokens) {
    uint32_t bits = log2_ceil(tokens * 2);
    return bits < 10 ? 10 : bits > 16 ? 16 : bits;
}

int final_create(Final *part, Tables *tables, const Sizing *sizing) {
    part->bits = final_bits(sizing->tokens);
    const uint32_t rows[FINALS] = {DEPTH_MAX * 3, 1u << part->bits, 1u << part->bits, 1u << part->bits};
    for (int i = 0; i < FINALS; i++) {
        size_t size = sizeof(uint16_t) * FINAL_ROW * rows[i];
        part->rows[i] = table_lines(tables, part->memory + i, size);
        if (!part->rows[i]) return -1;
        for (uint32_t row = 0; row < rows[i]; row++) final_fill(part->rows[i] + row * FINAL_ROW);
    }
    return 0;
}

void final_free(Final *part) {
    for (int i = 0; i < FINALS; i++) memory_free(part->memory + i);
}

void final_start(Final *part, const Start *start) {
    for (uint32_t i = 0; i < FINAL_LEVEL_KNOTS; i++)
        part->rows[0][i / FINAL_KNOTS * FINAL_ROW + i % FINAL_KNOTS] = (uint16_t)start_u16(start->map, i);
}

void final_learnt(const Final *part, uint8_t *out) {
    for (uint32_t i = 0; i < FINAL_LEVEL_KNOTS; i++)
        start_put(out, i, part->rows[0][i / FINAL_KNOTS * FINAL_ROW + i % FINAL_KNOTS]);
}
