/* Words, whatever tokens they are cut into: letters so far, and the words before. */
#ifndef LLMZIP_WORDS_H
#define LLMZIP_WORDS_H

#include "hash.h"
#include "turn.h"

/* format: everything here decides probabilities. */

/* Of one stream. */
typedef struct {
    uint32_t last;    /* byte */
    uint64_t word[3]; /* hashes of the letters so far, 0 = none, and of the words before */
} WordsLane;

/* Capitals are letters like others, bytes beyond ASCII letters, too. */
static inline void words_byte(WordsLane *lane, uint32_t byte) {
    lane->last = byte;
    uint32_t small = byte | 32;
    if ((small >= 'a' && small <= 'z') || byte >= 128) {
        lane->word[0] = hash_mix(lane->word[0] + 1, byte < 128 ? small : byte);
    } else if (lane->word[0]) {
        lane->word[2] = lane->word[1];
        lane->word[1] = lane->word[0];
        lane->word[0] = 0;
    }
}

/* Bring a stream up to its last token, and fill in what `token` says of words. */
static inline void words_begin(WordsLane *lane, const Tables *tables, TokenContext *token) {
    const uint8_t *trait = trait_at(tables, token->t[1]);
    if (trait)
        for (uint32_t i = TRAIT_END - trait[TRAIT_LENGTH]; i < TRAIT_END; i++) words_byte(lane, trait[i]);
    const uint64_t *word = lane->word;
    token->words[0] = hash_mix(hash_mix(606, word[0]), lane->last);
    token->words[1] = hash_mix(hash_mix(hash_mix(607, word[0]), word[1]), lane->last);
    token->words[2] = hash_mix(hash_mix(607, word[0]), word[2]);
}

#endif
