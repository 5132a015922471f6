/* Columns: texts in lines of fields. What stands above, in the same field of the line before, as a context and as a guess.
 *
 * A field begins with every token that does not begin with a letter or digit; a line ends with a token that holds a line end or a
 * closing brace. While a token is awaited, `up` is the place beside it in the line before: it goes on with every token, jumps to
 * the field's beginning where one begins, and waits at the end of its field. */
#ifndef LLMZIP_COLUMNS_H
#define LLMZIP_COLUMNS_H

#include "guess.h"
#include "hash.h"
#include "votes.h"

/* format: everything here decides probabilities. */

enum { COLUMNS = 3, FIELDS = 128, COLUMN_HITS = 64, COLUMNS_INPUTS = VOTES_INPUTS * COLUMNS + 2 * GUESS_INPUTS };

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
    uint32_t above; /* the token there when this one began, TOKEN_UNKNOWN = none */
    Guess guess;
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
    return hash_mix(history_at(history, lane->guess[0].up), lane->field);
}

/* In texts of numbers, contexts for counters: what stands above with the last token, and with what follows it there. */
static inline void columns_instead(const ColumnsLane *lane, const History *history, TokenContext *token) {
    uint32_t up = lane->guess[0].up, above = history_at(history, up);
    uint32_t next = up == UINT32_MAX ? TOKEN_UNKNOWN : history_at(history, up + 1);
    token->more[0] = hash_mix(hash_mix(301, above), token->t[1]);
    token->more[1] = hash_mix(hash_mix(hash_mix(302, above), next), lane->field);
}

/* The token that the line began with. */
static inline uint32_t columns_first(ColumnsLane *lane, const Tables *tables, uint32_t position) {
    uint32_t start = columns_line(lane, 0)->start[0];
    return lane->lines == 0 || start == position ? TOKEN_UNKNOWN : history_get(&tables->history, start);
}

/* A row of weights by it and by the field. */
static inline uint32_t columns_row(ColumnsLane *lane, const Tables *tables, uint32_t position) {
    uint32_t field = lane->field < 7 ? lane->field : 7;
    return (uint32_t)(hash_mix(columns_first(lane, tables, position), field) >> (64 - ROW_BITS));
}

static inline void columns_begin(const Columns *part, ColumnsLane *lane, Tables *tables, const TokenContext *token) {
    (void)part;
    if (!tables->traits) return;
    const History *history = &tables->history;
    if (lane->lines == 0) {
        lane->lines = 1;
        columns_line(lane, 0)->start[0] = token->position;
        lane->guess[0].up = lane->guess[1].up = UINT32_MAX;
    }
    uint32_t above[2];
    for (int i = 0; i < 2; i++) {
        ColumnsGuess *guess = lane->guess + i;
        above[i] = guess->above = guess->guess.expected = history_at(history, guess->up);
    }
    uint32_t first = columns_first(lane, tables, token->position);
    const uint64_t context[COLUMNS] = {
        hash_mix(hash_mix(hash_mix(303, lane->field), first), token->t[1]),
        hash_mix(hash_mix(hash_mix(304, above[0]), above[1]), lane->field),
        hash_mix(hash_mix(hash_mix(306, lane->field << 8 | lane->offset << 2 | lane->differs), above[0]), 0),
    };
    for (int i = 0; i < COLUMNS; i++) votes_begin(lane->votes + i, tables, token, context[i]);
}

static inline void columns_load(const Columns *part, ColumnsLane *lane, Tables *tables, int on) {
    (void)part;
    for (int i = 0; i < COLUMNS; i++)
        votes_load(part->votes + i, lane->votes + i, tables, on && tables->traits != NULL);
    if (on && tables->traits) return;
    for (int i = 0; i < 2; i++) lane->guess[i].guess.expected = lane->guess[i].above = TOKEN_UNKNOWN;
}

static inline uint32_t columns_place(const ColumnsLane *lane) { return lane->field < FIELDS ? lane->field : FIELDS; }

static inline void columns_inputs(Columns *part, ColumnsLane *lane, const Turn *turn, Input *input, Evidence *found) {
    for (uint32_t i = 0; i < COLUMNS; i++, input += VOTES_INPUTS) votes_inputs(lane->votes + i, turn, input);
    for (int i = 0; i < 2; i++, input += 2) {
        ColumnsGuess *guess = lane->guess + i;
        uint32_t hits = guess->hits[columns_place(lane)], differs = lane->differs >> i & 1;
        MapEntry *map = i ? part->long_map : part->map;
        uint32_t side =
            guess_inputs(&guess->guess, map + ((hits & (COLUMN_HITS - 1)) * 2 + differs) * COARSE, turn, input);
        if (i == 0 && side) found->column = ((hits & 3) << 2 | differs << 1) + side;
    }
}

static inline void columns_update(Columns *part, ColumnsLane *lane, const Turn *turn, int bit) {
    (void)part, (void)turn;
    for (int i = 0; i < COLUMNS; i++) votes_update(lane->votes + i, bit);
    for (int i = 0; i < 2; i++) guess_update(&lane->guess[i].guess, bit);
}

static inline void columns_take(const Columns *part, ColumnsLane *lane, const Turn *turn, uint32_t bit) {
    (void)part;
    for (int i = 0; i < COLUMNS; i++) votes_take(part->votes + i, lane->votes + i, turn, bit);
    for (int i = 0; i < 2; i++) guess_take(&lane->guess[i].guess, turn, bit);
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
    if (!tables->traits) return;
    uint32_t kind = kind_at(tables, rank);
    for (int i = 0; i < COLUMNS; i++) followers_add(&tables->followers, lane->votes[i].context, rank);
    for (int i = 0; i < 2; i++) {
        ColumnsGuess *guess = lane->guess + i;
        uint8_t *hits = guess->hits + columns_place(lane);
        if (guess->above != rank) lane->differs |= 1u << i;
        if (guess->above != TOKEN_UNKNOWN) *hits = (uint8_t)(*hits << 1 | (guess->above == rank));
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
