/* Columns: texts in lines of fields. What stands above, in the same field of the line before, as a context and as a guess.
 *
 * A field begins with every token that does not begin with a letter or digit; a line ends with a token that holds a line end or a
 * closing brace. While a token is awaited, `up` is the place beside it in the line before: it goes on with every token, jumps to
 * the field's beginning where one begins, and waits at the end of its field. */
#ifndef LLMZIP_COLUMNS_H
#define LLMZIP_COLUMNS_H

#include "hash.h"
#include "votes.h"

/* format: everything here decides probabilities. */

enum { COLUMNS = 6, FIELDS = 128, COLUMN_HITS = 64, COLUMNS_INPUTS = VOTES_INPUTS * COLUMNS + 4 };

typedef struct {
    Votes votes[COLUMNS];
    MapEntry *map;      /* [COLUMN_HITS][2][COARSE] */
    MapEntry *long_map; /* the same for the line before that */
} Columns;

/* A line: where it and its fields begin, in the history. */
typedef struct {
    uint32_t fields; /* at least 1; field 0 begins with the line */
    uint32_t start[FIELDS + 1];
} ColumnsLine;

/* A place in an earlier line beside the token that is awaited. */
typedef struct {
    uint32_t up;
    uint32_t expected;        /* rank, TOKEN_UNKNOWN where nothing is above or a turn went another way */
    uint32_t guess;           /* `expected` when the token began */
    MapEntry *entry;          /* NULL where nothing is expected */
    uint8_t hits[FIELDS + 1]; /* whether the guess was right lately, by field */
} ColumnsGuess;

typedef struct {
    VotesLane votes[COLUMNS];
    ColumnsLine line[3]; /* this one, the one before, the one before that; rotating */
    uint32_t now;        /* which of them is this one */
    uint32_t field, lines;
    uint32_t offset;  /* tokens since the field began, at most 15 */
    uint32_t differs; /* whether one of them was not the one above, by line (bits) */
    ColumnsGuess guess[2];
} ColumnsLane;

int columns_create(Columns *part, Tables *tables, const Sizing *sizing);
void columns_free(Columns *part);

static inline ColumnsLine *columns_line(ColumnsLane *lane, uint32_t back) {
    return lane->line + (lane->now + 3 - back) % 3;
}

/* Hash of what stands above the token that is awaited. */
static inline uint64_t columns_above(const ColumnsLane *lane, const History *history) {
    uint32_t up = lane->guess[0].up;
    return hash_mix(up < history->length ? history->tokens[up] : TOKEN_UNKNOWN, lane->field);
}

static inline void columns_begin(const Columns *part, ColumnsLane *lane, Tables *tables, const TokenContext *token) {
    (void)part;
    if (!tables->kinds) return;
    const History *history = &tables->history;
    if (lane->lines == 0) {
        lane->lines = 1;
        columns_line(lane, 0)->start[0] = token->position;
        lane->guess[0].up = lane->guess[1].up = UINT32_MAX;
    }
    uint32_t above[3] = {TOKEN_UNKNOWN, TOKEN_UNKNOWN, TOKEN_UNKNOWN};
    for (int i = 0; i < 2; i++) {
        ColumnsGuess *guess = lane->guess + i;
        above[i] = guess->up < history->length ? history->tokens[guess->up] : TOKEN_UNKNOWN;
        guess->expected = guess->guess = above[i];
    }
    uint32_t next = lane->guess[0].up < history->length - 1 ? history->tokens[lane->guess[0].up + 1] : TOKEN_UNKNOWN;
    uint32_t first = history->tokens[columns_line(lane, 0)->start[0]];
    if (columns_line(lane, 0)->start[0] == token->position) first = TOKEN_UNKNOWN;
    const uint64_t context[COLUMNS] = {
        hash_mix(hash_mix(301, above[0]), token->t[1]),
        hash_mix(hash_mix(hash_mix(302, above[0]), next), lane->field),
        hash_mix(hash_mix(hash_mix(303, lane->field), first), token->t[1]),
        hash_mix(hash_mix(hash_mix(304, above[0]), above[1]), lane->field),
        hash_mix(hash_mix(hash_mix(305, token->order[2]), lane->field), above[0]),
        hash_mix(hash_mix(hash_mix(306, lane->field << 8 | lane->offset << 2 | lane->differs), above[0]), 0),
    };
    for (int i = 0; i < COLUMNS; i++) votes_begin(lane->votes + i, tables, context[i]);
}

static inline void columns_load(const Columns *part, ColumnsLane *lane, Tables *tables, int on) {
    (void)part;
    for (int i = 0; i < COLUMNS; i++) votes_load(lane->votes + i, tables, on && tables->kinds != NULL);
    if (on && tables->kinds) return;
    for (int i = 0; i < 2; i++) lane->guess[i].expected = lane->guess[i].guess = TOKEN_UNKNOWN;
}

static inline uint32_t columns_place(const ColumnsLane *lane) { return lane->field < FIELDS ? lane->field : FIELDS; }

static inline void columns_inputs(Columns *part, ColumnsLane *lane, const Turn *turn, int32_t *input, Evidence *found) {
    for (uint32_t i = 0; i < COLUMNS; i++, input += VOTES_INPUTS) {
        uint32_t count[2];
        votes_inputs(part->votes + i, lane->votes + i, turn, input, count);
    }
    for (int i = 0; i < 2; i++, input += 2) {
        ColumnsGuess *guess = lane->guess + i;
        guess->entry = NULL;
        input[0] = input[1] = 0;
        if (guess->expected == TOKEN_UNKNOWN) continue;
        uint32_t right = guess->expected >> turn->shift & 1, hits = guess->hits[columns_place(lane)];
        guess->entry = (i ? part->long_map : part->map)
                       + ((hits & (COLUMN_HITS - 1)) * 2 + (lane->differs >> i & 1)) * COARSE
                       + (right ? turn->coarse : COARSE - 1 - turn->coarse);
        int32_t a = map_probability(*guess->entry), sign = right ? 1 : -1;
        input[0] = limited_input(sign * stretch(a) - turn->model);
        input[1] = sign * (a - 32768) / 64;
        if (i == 0) found->column = 1 + ((hits & 3) << 2 | (lane->differs & 1) << 1 | right);
    }
}

static inline void columns_update(Columns *part, ColumnsLane *lane, const Turn *turn, int bit) {
    (void)part;
    for (int i = 0; i < COLUMNS; i++) votes_update(lane->votes + i, bit);
    for (int i = 0; i < 2; i++) {
        ColumnsGuess *guess = lane->guess + i;
        if (!guess->entry) continue;
        int right = (int)(guess->expected >> turn->shift & 1) == bit;
        *guess->entry = map_update(*guess->entry, right, 1022);
    }
}

static inline void columns_take(const Columns *part, ColumnsLane *lane, const Turn *turn, uint32_t bit) {
    (void)part;
    for (int i = 0; i < COLUMNS; i++) votes_take(lane->votes + i, turn, bit);
    for (int i = 0; i < 2; i++) {
        ColumnsGuess *guess = lane->guess + i;
        if (guess->expected != TOKEN_UNKNOWN && (guess->expected >> turn->shift & 1) != bit)
            guess->expected = TOKEN_UNKNOWN;
    }
}

/* Move on beside a token of this kind. */
static inline void columns_follow(ColumnsGuess *guess, const ColumnsLine *above, uint32_t field, int begins) {
    if (guess->up == UINT32_MAX) return;
    if (begins)
        guess->up = field < above->fields ? above->start[field] + 1 : UINT32_MAX;
    else if (field + 1 >= above->fields || guess->up < above->start[field + 1])
        guess->up++;
}

static inline void columns_end(Columns *part, ColumnsLane *lane, Tables *tables, uint32_t position, uint32_t rank) {
    (void)part;
    if (!tables->kinds) return;
    uint32_t kind = kind_at(tables, rank);
    for (int i = 0; i < COLUMNS; i++) followers_add(&tables->followers, lane->votes[i].context, rank);
    for (int i = 0; i < 2; i++) {
        ColumnsGuess *guess = lane->guess + i;
        uint8_t *hits = guess->hits + columns_place(lane);
        if (guess->guess != rank) lane->differs |= 1u << i;
        if (guess->guess != TOKEN_UNKNOWN) *hits = (uint8_t)(*hits << 1 | (guess->guess == rank));
    }
    ColumnsLine *line = columns_line(lane, 0);
    if (kind & KIND_LINE) {
        lane->now = (lane->now + 1) % 3;
        columns_line(lane, 0)->fields = 1;
        columns_line(lane, 0)->start[0] = position + 1;
        lane->field = lane->offset = lane->differs = 0;
        lane->lines++;
        for (uint32_t i = 0; i < 2; i++)
            lane->guess[i].up = lane->lines > i + 1 ? columns_line(lane, i + 1)->start[0] : UINT32_MAX;
        return;
    }
    int begins = (kind & KIND_FIELD) && position != line->start[0];
    lane->offset += lane->offset < 15;
    if (begins) {
        lane->field++;
        lane->offset = lane->differs = 0;
        if (lane->field < FIELDS) {
            line->start[lane->field] = position;
            line->fields = lane->field + 1;
        }
    }
    for (uint32_t i = 0; i < 2; i++) columns_follow(lane->guess + i, columns_line(lane, i + 1), lane->field, begins);
}

#endif
