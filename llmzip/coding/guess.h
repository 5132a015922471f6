/* A guess: the token that a part expects. Until a turn goes another way, a map learns how often it is right where the model thinks
 * so or so of it. What `match`, `recall` and `columns` have in common. */
#ifndef LLMZIP_GUESS_H
#define LLMZIP_GUESS_H

#include "logistic.h"
#include "maps.h"
#include "network.h"
#include "turn.h"

/* format: everything here decides probabilities. */

enum { GUESS_INPUTS = 2 };

typedef struct {
    uint32_t expected; /* place, TOKEN_UNKNOWN where nothing is expected or a turn went another way */
    MapEntry *entry;   /* that the last turn used; NULL where nothing was expected */
    uint32_t right;    /* the side expected then */
} Guess;

/* Two inputs. row: [COARSE], of the part's map. 1: a left turn is expected, 2: a right one, 0: nothing. */
static inline uint32_t guess_inputs(Guess *guess, MapEntry *row, const Turn *turn, Input *input) {
    if (guess->expected == TOKEN_UNKNOWN) {
        guess->entry = NULL;
        input[0] = input[1] = 0;
        return 0;
    }
    uint32_t right = guess->right = guess->expected >> turn->shift & 1;
    guess->entry = row + (right ? turn->coarse : COARSE - 1 - turn->coarse);
    int32_t a = map_probability(*guess->entry), sign = right ? 1 : -1;
    input[0] = limited_input(sign * stretch(a) - turn->model);
    input[1] = (Input)(sign * (a - 32768) / 64);
    return 1 + right;
}

static inline void guess_update(Guess *guess, int bit) {
    if (!guess->entry) return;
    *guess->entry = map_update(*guess->entry, guess->right == (uint32_t)bit, 1022);
}

static inline void guess_take(Guess *guess, const Turn *turn, uint32_t bit) {
    if (guess->expected != TOKEN_UNKNOWN && (guess->expected >> turn->shift & 1) != bit)
        guess->expected = TOKEN_UNKNOWN;
}

#endif
