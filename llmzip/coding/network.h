/* Gated logistic mixing (Mahoney, "Adaptive weighing of context models for lossless data compression", 2005; the weight
 * sets selected by several contexts and combined by a second layer follow paq8), in integers.
 *
 * Inputs are log odds (1/256 nat) in 16 bits. So are weights, with WEIGHT_BITS fractional bits: one instruction multiplies and adds
 * sixteen of them. Every loop has a plain form, which all others must equal. */
#ifndef LLMZIP_NETWORK_H
#define LLMZIP_NETWORK_H

#include <stdint.h>

/* format: everything here decides probabilities. */

/* Bounds that keep every sum inside 32 bits:
 *   |input| < 2^12 and |weight| <= 2^15, so 16 products sum to at most 2^31 - 2^19 (2^12 - 1 times 2^19);
 *   each of LANES sums takes one in LANES products of at most INPUTS_MAX inputs, 16 of them;
 *   shifted right by 8, LANES sums stay below 2^26. */
#define INPUT_LIMIT 4095
#define WEIGHT_BITS 13
#define WEIGHT_ONE (1 << WEIGHT_BITS)
#define INPUTS_MAX 128
enum { LANES = 8, INPUTS_STEP = 2 * LANES };
_Static_assert(INT64_C(32768) * INPUT_LIMIT * (INPUTS_MAX / LANES) <= INT32_MAX, "sums fit 32 bits");
/* Of (bit - p) * rate handed to network_train. */
#define ERROR_LIMIT 32767

typedef int16_t Weight;
typedef int16_t Input;

/* Outputs of the first layer, padded, and weights of the second one: 16 fractional bits, within 4. */
enum { OUTPUTS = 16 };
#define MIX_ONE (1 << 16)
#define MIX_LIMIT (1 << 18)

/* An input within its bounds. */
static inline Input limited_input(int32_t x) {
    return (Input)(x > INPUT_LIMIT ? INPUT_LIMIT : x < -INPUT_LIMIT ? -INPUT_LIMIT : x);
}

typedef struct {
    const char *name; /* "plain", or the instructions */
    /* output[i] = sum(row[i] * input) in log odds, clipped; n: a multiple of INPUTS_STEP. */
    void (*outputs)(Weight *const *row, int rows, const Input *input, int n, int32_t *output);
    /* row[i] += input * error[i] / 2^15, rounded, clipped. */
    void (*train)(Weight *const *row, int rows, const Input *input, int n, const int32_t *error);
    /* Of the second layer: sum(weight * output), in log odds, clipped; OUTPUTS terms of less than 2^(18+12-8) each. */
    int32_t (*mix)(const int32_t *weight, const int32_t *output);
    /* weight += output * error / 2^12, rounded, clipped; |error| < 2^18. */
    void (*mix_train)(int32_t *weight, const int32_t *output, int32_t error);
} Network;

extern Network network;

/* Choose the loops for this CPU; plain: those of any. Called when the module is loaded; by tests, too, while no mixer works. */
void network_init(int plain);

#endif
