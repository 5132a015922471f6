/* Gated logistic mixing (Mahoney, "Adaptive weighing of context models for lossless data compression", 2005; the weight
 * sets selected by several contexts and combined by a second layer follow paq8), in integers.
 *
 * Inputs are log odds (1/256 nat), weights have 16 fractional bits. */
#ifndef LLMZIP_NETWORK_H
#define LLMZIP_NETWORK_H

#include <stdint.h>

/* Bounds that keep every sum inside 32 bits:
 *   |input| <= 2^12 - 1 and |weight| <= 2^18, so a product is below 2^30;
 *   shifted right by 8 it is below 2^22, and 128 of them sum below 2^29. */
#define INPUT_LIMIT 4095
#define WEIGHT_LIMIT (1 << 18)
#define WEIGHT_ONE (1 << 16)
#define INPUTS_MAX 128
/* |error * rate| handed to network_train; times an input it stays below 2^31. */
#define ERROR_LIMIT ((1 << 18) - 1)

/* An input within its bounds. */
static inline int32_t limited_input(int32_t x) {
    return x > INPUT_LIMIT ? INPUT_LIMIT : x < -INPUT_LIMIT ? -INPUT_LIMIT : x;
}

/* sum(weights * inputs) in log odds; n is a multiple of 8. */
int32_t network_dot(const int32_t *weights, const int32_t *inputs, int n);

/* weights += inputs * error / 2^12, clipped to the weight limit. error = (bit - p) * rate with 20 fractional bits. */
void network_train(int32_t *weights, const int32_t *inputs, int32_t error, int n);

#endif
