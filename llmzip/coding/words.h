/* Words, whatever tokens they are cut into: letters so far, and the words before. */
#ifndef LLMZIP_WORDS_H
#define LLMZIP_WORDS_H

#include "hash.h"
#include "turn.h"

/* format: everything here decides probabilities. */

enum { WORDS_OPEN = 8, WORDS_DEEPEST = 255 };

/* Of one stream. */
typedef struct {
    uint32_t last;             /* byte */
    uint64_t word[3];          /* hashes of the letters so far, 0 = none, and of the words before */
    uint32_t depth;            /* of brackets */
    uint32_t quote;            /* that is open: a double one, or the dollar of mathematics */
    uint64_t open[WORDS_OPEN]; /* the brackets that are open, with the word before each */
} WordsLane;

/* Hash of the innermost bracket that is open, with the word before it, and of the quote. */
static inline uint64_t words_open(const WordsLane *lane) {
    uint64_t open = lane->depth == 0 ? 0 : lane->depth <= WORDS_OPEN ? lane->open[lane->depth - 1] : 1;
    return hash_mix(hash_mix(608, open), lane->quote);
}

/* Brackets and quotes; a line ends quotes. */
static inline void words_bracket(WordsLane *lane, uint32_t byte) {
    if (byte == '(' || byte == '[' || byte == '{') {
        uint64_t name = lane->word[0] ? lane->word[0] : lane->word[1];
        if (lane->depth < WORDS_OPEN) lane->open[lane->depth] = hash_mix(name, byte);
        lane->depth += lane->depth < WORDS_DEEPEST;
    } else if (byte == ')' || byte == ']' || byte == '}') {
        lane->depth -= lane->depth > 0;
    } else if (byte == '"' || byte == '$') {
        lane->quote = lane->quote ? 0 : byte;
    } else if (byte == '\n') {
        lane->quote = 0;
    }
}

/* Capitals are letters like others, bytes beyond ASCII letters, too. */
static inline void words_byte(WordsLane *lane, uint32_t byte) {
    uint32_t small = byte | 32;
    if ((small >= 'a' && small <= 'z') || byte >= 128) {
        /* A command is another word. */
        uint64_t before = lane->word[0] || lane->last != '\\' ? lane->word[0] : '\\';
        lane->word[0] = hash_mix(before + 1, byte < 128 ? small : byte);
        lane->last = byte;
        return;
    }
    words_bracket(lane, byte);
    lane->last = byte;
    if (lane->word[0]) {
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
