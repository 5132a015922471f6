#include "logistic.h"

uint16_t logistic_squash_table[2 * LOGIT_MAX + 1];
int16_t logistic_low_table[4096];
int16_t logistic_mid_table[4096];

/* Smallest x >= -LOGIT_MAX whose squash reaches p. */
static int32_t inverse(int32_t p) {
    int32_t low = -LOGIT_MAX, high = LOGIT_MAX;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (logistic_squash_table[middle + LOGIT_MAX] >= p)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void logistic_init(void) {
    /* y = exp(-k / 256) in units of 2^-48, by repeated multiplication with exp(-1/256) = 4278222805 / 2^32 (rounded).
     * y <= 2^48, so it is multiplied in two halves of 24 bits to stay within 64. */
    const uint64_t factor = 4278222805u;
    uint64_t y = UINT64_C(1) << 48;
    for (int k = 0; k <= LOGIT_MAX; k++) {
        /* p = y / (1 + y): numerator y * 2^-32 keeps 16 + 16 bits, which with the divisor fits 64 bits. */
        uint64_t divisor = (UINT64_C(1) << 48) + y;
        uint64_t p = ((y << 14) + (divisor >> 3)) / (divisor >> 2);
        if (p < 1) p = 1;
        logistic_squash_table[LOGIT_MAX - k] = (uint16_t)p;
        logistic_squash_table[LOGIT_MAX + k] = (uint16_t)(65536 - p);
        y = (y >> 24) * factor / (UINT64_C(1) << 8) + ((y & 0xFFFFFF) * factor >> 32);
    }
    for (int32_t p = 0; p < 4096; p++) {
        logistic_low_table[p] = (int16_t)inverse(p);
        logistic_mid_table[p] = (int16_t)(p <= 2048 ? inverse(16 * p) : -inverse(65536 - 16 * p));
    }
}
