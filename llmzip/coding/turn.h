/* What all parts of the mixer are told: sizes, the tables that several of them use, the token that begins, the turn. */
#ifndef LLMZIP_TURN_H
#define LLMZIP_TURN_H

#include <stddef.h>
#include <stdint.h>

#include "followers.h"
#include "history.h"
#include "memory.h"
#include "nodes.h"
#include "pieces.h"
#include "tree.h"

/* format: sizes and classes below decide probabilities. */

enum { DEPTH_MAX = 18 };

/* Classes of the log odds that the mixer starts from. */
enum { COARSE = 12 };

uint32_t coarse_class(int32_t logit);
int32_t coarse_middle(uint32_t coarse); /* log odds in the middle of a class */

/* Bits of a token's kind. */
enum {
    KIND_FIELD = 1,  /* it begins a field: not with a letter, a digit or a byte beyond ASCII */
    KIND_LINE = 2,   /* it ends a line: a line end, or the brace that ends a record */
    KIND_NUMBER = 4, /* digits, perhaps behind a space, or one letter from a to f */
    KIND_EDGE = 8,   /* it ends as a field begins */
};

/* Hashed tables that several parts share, and the tokens so far. */
typedef struct {
    const Tree *tree;
    const uint8_t *traits; /* [leaves][TRAIT_END] of tokens, NULL if they are not known */
    NodeTable nodes;
    FollowerTable followers;
    History history;
    uint32_t shown, numbers; /* tokens since this was looked at last, and how many of them were numbers */
    uint32_t numeric; /* whether there were many (numbers.h): a text of numbers, where columns say more than words */
    size_t memory;    /* bytes of all tables, those of the parts included */
    Pieces pieces;    /* all of them */
} Tables;

/* Rank of a token in the history; TOKEN_UNKNOWN stays. */
static inline uint32_t rank_at(const Tables *tables, uint32_t token) {
    return token == TOKEN_UNKNOWN ? token : tree_below(tables->tree, token);
}

/* What is known of a token: its kind, the number of its last bytes, at most 8, and those, at the end. */
enum { TRAIT_KIND, TRAIT_LENGTH, TRAIT_END = 10 };

/* NULL where nothing is. */
static inline const uint8_t *trait_at(const Tables *tables, uint32_t token) {
    if (!tables->traits || token == TOKEN_UNKNOWN) return NULL;
    return tables->traits + TRAIT_END * (size_t)tree_below(tables->tree, token);
}

static inline uint32_t kind_at(const Tables *tables, uint32_t token) {
    const uint8_t *trait = trait_at(tables, token);
    return trait ? trait[TRAIT_KIND] : 0;
}

/* Fill what is the same for all mixers; called once, when the module is loaded. */
void tables_init(void);

/* How large the shared ones are, for so many tokens within so many bytes, with or without traits of tokens. */
typedef struct {
    uint32_t nodes, lists, matches;
} TableBits;
TableBits tables_bits(uint32_t tokens, size_t memory, int traits);

/* The shared ones, for so many tokens within so many bytes. 0, or -1 when there is no memory. */
int tables_create(Tables *t, uint32_t tokens, size_t memory);
void tables_free(Tables *t);

/* A table of a part: `size` zeroed bytes, counted; NULL when there is no memory. */
void *part_table(Tables *tables, size_t size);

/* The same from memory.h. */
void *table_lines(Tables *tables, Memory *memory, size_t size);

struct Ngrams;

/* How large the tables of the parts are to be: for so many tokens, within so many bytes; and data from outside. */
typedef struct {
    uint64_t tokens;
    size_t bytes;
    const struct Ngrams *ngrams; /* the static table, NULL if there is none */
} Sizing;

/* A token begins: the last ones before it (0 = latest) and hashes of the last 1, 2, ... of them. */
enum { CONTEXT_TOKENS = 6 };
typedef struct {
    uint32_t position;              /* in the history */
    uint32_t t[CONTEXT_TOKENS + 1]; /* t[i]: the i-th last, from 1 */
    uint64_t order[CONTEXT_TOKENS + 1];
    uint64_t place;    /* neighbourhood of the token within its stream */
    uint64_t words[3]; /* the word so far: alone, with the one before, with the one before that (words.h) */
    uint64_t more[2];  /* the last three tokens, and what is open; in texts of numbers what stands above (columns.h) */
    uint64_t above;    /* hash of what stands above, in the same field (columns.h) */
    /* By numbers.h: contexts like order[1], order[2] and t[2], which within a number look at what stands before it. */
    uint64_t near[3], wide;
    uint32_t row[2]; /* of weights, likewise by the last token and the one before */
    uint32_t digits; /* class of the numbers just before: none, 1, 2 or 3, more */
} TokenContext;

enum { ROW_BITS = 10, DIGITS = 4 };

/* Whether a number stands before the token, in a text of numbers: what says little there is left out, which saves time. */
static inline int tokens_in_number(const Tables *tables, const TokenContext *token) {
    return tables->numeric && token->digits;
}

/* One turn of one stream. */
typedef struct {
    uint32_t level, shift;       /* shift: depth - 1 - level, the turn's bit in a place */
    uint32_t node;               /* 1 and then the turns so far, as bits */
    uint32_t first, middle, end; /* ranks: left of the node are first .. middle-1, right middle .. end-1 */
    uint32_t bucket_node;        /* the node within the buckets of its four levels */
    uint32_t cell;               /* what the log odds came from, as a class of at most ROWS_CELL */
    uint32_t stream;
    uint32_t alone; /* whether the model is no network, but the table or nothing */
    int32_t model;  /* log odds from outside the mixer: what all parts correct */
    uint32_t coarse;
    uint32_t digits, row[2]; /* as in TokenContext */
    uint32_t open, word;     /* by what is open, and by the letters of the word so far */
    uint32_t field, line; /* rows of weights by the tokens of the field so far; by field and what the line began with */
} Turn;

/* What the parts found for a turn; the stages that weigh and refine their inputs are selected by it. */
enum { LEANINGS = 3 };
typedef struct {
    uint32_t highest;                            /* longest order (from 1) whose list has a vote, 0 = none */
    uint32_t sure;                               /* whether its votes are all for one side */
    int32_t leaning[LEANINGS], silent[LEANINGS]; /* log odds by the shortest lists; whether they have none */
    uint32_t length;                             /* of the match that has an opinion, 0 = none */
    uint32_t expected;                           /* 1: it expects a left turn, 2: a right one, 0: nothing */
    uint32_t recall;                             /* how sure it is and which side it expects, below ROWS_RECALL */
    uint32_t seen;                               /* how often the contexts of counters were, in classes */
    uint32_t support;                            /* what the static table rests on: order and number of followers */
    uint32_t
        column; /* the side of what stands above and how often that was right lately, 0 = nothing above; below 17 */
} Evidence;

#endif
