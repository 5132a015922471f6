/* The logistic function and its inverse as integer tables.
 *
 * Log odds ("stretch" domain) are int32 in units of 1/256 nat; probabilities are 16 bits, 1..65535 of 65536, and always
 * those of a right turn (bit 1). Every value is computed by the integer formulas of logistic.c, so the tables are the
 * same on every machine. */
#ifndef LLMZIP_LOGISTIC_H
#define LLMZIP_LOGISTIC_H

#include <stdint.h>

/* Signed values are shifted right throughout; C11 leaves the result to the compiler, and we need the arithmetic one. */
_Static_assert((-5 >> 1) == -3, "llmzip needs a compiler whose right shift of a negative number is arithmetic");
_Static_assert(sizeof(int) >= 4, "llmzip needs int of at least 32 bits");

#define LOGIT_ONE 256
/* ln(65535) * 256 = 2839.1: the first value whose probability rounds to 65535 / 65536. */
#define LOGIT_MAX 2839

/* format: both tables decide every probability. */
extern uint16_t logistic_squash_table[2 * LOGIT_MAX + 1];
extern int16_t logistic_low_table[4096]; /* log odds of p / 65536, p < 4096 */
extern int16_t logistic_mid_table[4096]; /* log odds of 16 p / 65536 */

/* Fill the tables; called once, when the module is loaded. */
void logistic_init(void);

static inline int32_t clip_logit(int32_t x) { return x > LOGIT_MAX ? LOGIT_MAX : x < -LOGIT_MAX ? -LOGIT_MAX : x; }

/* 65536 / (1 + exp(-x / 256)), for any x. */
static inline int32_t squash(int32_t x) { return logistic_squash_table[clip_logit(x) + LOGIT_MAX]; }

/* Log odds of p / 65536, 0 <= p <= 65536. */
static inline int32_t stretch(int32_t p) {
    if (p < 4096) return logistic_low_table[p];
    if (p > 65536 - 4096) return -logistic_low_table[65536 - p];
    return logistic_mid_table[(p + 8) >> 4];
}

#endif
