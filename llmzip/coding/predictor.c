#include "predictor.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "numbers.h"
#include "parts.h"
#include "words.h"

/* format: everything below decides probabilities. */

/* Tokens of one stream that count as one neighbourhood: 1 << NEIGHBOURHOOD. */
#define NEIGHBOURHOOD 12

const char *const predictor_part_names[] = {
#define NAME(name, ...) #name,
    INPUT_PARTS(NAME) STAGES(NAME) GROUPS(NAME)
#undef NAME
};
const int predictor_parts = PARTS;

/* One stream, with what its prediction leaves for its update. */
typedef struct {
    Input input[INPUTS];
    Turn turn;
    uint32_t position; /* in the history */
    NumbersLane numbers;
    WordsLane words;
    uint64_t field; /* hash of the tokens of a field so far */
#define LANE(name, Type, count) Type##Lane name;
    INPUT_PARTS(LANE)
#undef LANE
    SetsLane sets;
    GateLane gate;
    FinalLane final;
} Lane;

struct Predictor {
    uint32_t parts, n_cells;
    int32_t cell_logit[256];
    uint8_t cell_coarse[256];
    Lane *lanes;
    Memory lanes_memory;
    Lane *lane; /* at hand */
    uint32_t streams, level;
    int coded; /* whether the turn at hand is, which it is not where it is forced */
    uint64_t turns;
    size_t memory_limit;
    Tables tables;
#define PART(name, Type, count) Type name;
    INPUT_PARTS(PART)
#undef PART
    Sets sets;
    Gate gate;
    Final final;
};

/* ---- making and freeing ---- */

/* ---- what is learnt beforehand ---- */

/* The adaptive maps of all parts, in the order in which a start has them. */
typedef struct {
    MapEntry *entries;
    uint32_t count;
} MapRange;

enum { MAP_RANGES = LISTS + SPARSE + COLUMNS + 6 };

static void map_ranges(const Predictor *p, MapRange *range) {
    const uint32_t votes = STATES * DIGITS * VOTES_ROW, guesses = COLUMN_HITS * 2 * COARSE;
    for (int i = 0; i < LISTS; i++) *range++ = (MapRange){p->lists.votes[i].rows, votes};
    for (int i = 0; i < SPARSE; i++) *range++ = (MapRange){p->sparse.votes[i].rows, votes};
    for (int i = 0; i < COLUMNS; i++) *range++ = (MapRange){p->columns.votes[i].rows, votes};
    *range++ = (MapRange){p->counters.map, COUNTERS * COUNTER_STATES};
    *range++ = (MapRange){p->match.map, LENGTHS * COARSE};
    *range++ = (MapRange){p->table.map, SUPPORTS * TABLE_CLASSES};
    *range++ = (MapRange){p->columns.map, guesses};
    *range++ = (MapRange){p->columns.long_map, guesses};
    *range++ = (MapRange){p->recall.map, RECALL_ROWS * COARSE};
}

enum {
    MAP_ENTRIES = (LISTS + SPARSE + COLUMNS) * STATES * DIGITS * VOTES_ROW + COUNTERS * COUNTER_STATES
        + LENGTHS * COARSE + SUPPORTS * TABLE_CLASSES + 2 * COLUMN_HITS * 2 * COARSE + RECALL_ROWS * COARSE,
};

static void maps_begin(Predictor *p, const Start *start) {
    MapRange range[MAP_RANGES];
    map_ranges(p, range);
    size_t at = 0;
    for (int r = 0; r < MAP_RANGES; r++)
        for (uint32_t i = 0; i < range[r].count; i++, at++) {
            uint32_t seen = start_u16(start->seen, at);
            range[r].entries[i] =
                map_entry((int32_t)start_u16(start->chances, at), (int32_t)(seen < RATES ? seen : RATES - 1));
        }
}

static void maps_learnt(const Predictor *p, uint8_t *chances) {
    MapRange range[MAP_RANGES];
    map_ranges(p, range);
    uint8_t *seen = chances + 2 * MAP_ENTRIES;
    size_t at = 0;
    for (int r = 0; r < MAP_RANGES; r++)
        for (uint32_t i = 0; i < range[r].count; i++, at++) {
            MapEntry entry = range[r].entries[i];
            start_put(chances, at, map_probability(entry));
            start_put(seen, at, (int32_t)(entry & (RATES - 1)));
        }
}

/* The network starts as a good guess: mostly the model, a little of everything else. */
static int stages_create(Predictor *p, const Sizing *sizing, const Start *start) {
    Weight first[INPUTS] = {0};
    for (int k = INPUT_BIAS + 1; k < INPUT_END; k++) first[k] = WEIGHT_ONE / 40;
    first[INPUT_MODEL] = WEIGHT_ONE * 8 / 10;
    if (sets_create(&p->sets, &p->tables, first, INPUTS, (p->parts & PART_BIT(sets)) != 0) || gate_create(&p->gate)
        || final_create(&p->final, &p->tables, sizing))
        return -1;
    if (start && start->rows) {
        sets_begin(&p->sets, start);
        final_start(&p->final, start);
        maps_begin(p, start);
    }
    return 0;
}

Predictor *predictor_create(const Tree *tree, const int16_t *cells, uint32_t n_cells, uint32_t tokens, size_t memory,
                            uint32_t parts, const struct Ngrams *ngrams, const uint8_t *traits, const Start *start) {
    Predictor *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->parts = parts;
    p->n_cells = n_cells;
    p->memory_limit = memory;
    for (uint32_t i = 0; i < n_cells; i++) {
        p->cell_logit[i] = clip_logit(cells[i]);
        p->cell_coarse[i] = (uint8_t)coarse_class(p->cell_logit[i]);
    }
    const Sizing sizing = {tokens < 64 ? 64 : tokens, memory, ngrams};
    p->tables.tree = tree;
    p->tables.traits = traits;
    int failed = tables_create(&p->tables, tokens, memory);
#define CREATE(name, ...) failed = failed || name##_create(&p->name, &p->tables, &sizing);
    INPUT_PARTS(CREATE)
#undef CREATE
    if (failed || stages_create(p, &sizing, start)) {
        predictor_free(p);
        return NULL;
    }
    return p;
}

void predictor_free(Predictor *p) {
    if (!p) return;
#define FREE(name, ...) name##_free(&p->name);
    INPUT_PARTS(FREE)
#undef FREE
    sets_free(&p->sets);
    final_free(&p->final);
    tables_free(&p->tables);
    memory_free(&p->lanes_memory);
    free(p);
}

int predictor_block(Predictor *p, uint32_t streams, uint32_t tokens) {
    History *history = &p->tables.history;
    /* The history of the blocks before may take a quarter of the memory; beyond that it starts anew. */
    if (((size_t)history->length + tokens) * sizeof(uint32_t) > p->memory_limit / 4) history_clear(history);
    uint32_t start = history->length;
    if (history_extend(history, tokens)) return -1;
    memory_free(&p->lanes_memory);
    p->lanes = memory_create(&p->lanes_memory, sizeof(Lane) * streams);
    p->streams = streams;
    if (!p->lanes) return -1;
    for (uint32_t s = 0; s < streams; s++) {
        p->lanes[s].position = start;
        p->lanes[s].turn.stream = s;
        p->lanes[s].input[INPUT_BIAS] = LOGIT_ONE;
        start += tokens / streams + (s < tokens % streams);
    }
    return 0;
}

int predictor_pieces(Predictor *p, Pieces *pieces) {
    *pieces = p->tables.pieces;
    return pieces_add(pieces, p, sizeof *p) || pieces_add(pieces, p->lanes, sizeof(Lane) * p->streams)
           || pieces_add(pieces, p->tables.history.tokens, sizeof(uint32_t) * p->tables.history.length);
}

int predictor_fits(const Start *start) {
    return !start->rows
           || (start->rows == SETS_ROWS && start->inputs == INPUTS && start->mixes == SETS_MIXES
               && start->knots == FINAL_LEVEL_KNOTS && start->maps == MAP_ENTRIES);
}

void predictor_learnt(const Predictor *p, Start *shape, const uint8_t *lengths, uint8_t *out) {
    *shape = (Start){p->tables.tree->leaves, NULL,        SETS_ROWS, INPUTS, NULL, NULL, SETS_MIXES,
                     FINAL_LEVEL_KNOTS,      MAP_ENTRIES, NULL,      NULL,   NULL, NULL};
    if (!out) return;
    out = start_head(shape, out);
    for (uint32_t i = 0; i < shape->leaves; i++) *out++ = lengths[i];
    out = sets_learnt(&p->sets, out);
    final_learnt(&p->final, out);
    maps_learnt(p, out + 2 * FINAL_LEVEL_KNOTS);
}

size_t predictor_memory(const Predictor *p) { return p->tables.memory + sizeof(uint32_t) * p->tables.history.capacity; }

/* ---- a token begins ---- */

static void begin_lane(Predictor *p, Lane *lane) {
    TokenContext token = {.position = lane->position, .place = lane->position >> NEIGHBOURHOOD};
    uint64_t hash = 0;
    for (uint32_t i = 1; i <= CONTEXT_TOKENS; i++) {
        token.t[i] = history_before(&p->tables.history, lane->position, i);
        token.order[i] = hash = hash_mix(hash + i, token.t[i]);
    }
    numbers_begin(&lane->numbers, &p->tables, &token);
    words_begin(&lane->words, &p->tables, &token);
    token.above = columns_above(&lane->columns, &p->tables.history);
    if (!(p->parts & PART_BIT(words))) memset(token.words, 0, sizeof token.words);
    uint64_t open = p->parts & PART_BIT(open) ? words_open(&lane->words) : 0;
    token.more[0] = token.order[3];
    token.more[1] = hash_mix(token.words[0], open);
    if (p->tables.numeric) columns_instead(&lane->columns, &p->tables.history, &token);
    lane->turn.open = (uint32_t)(open >> (64 - ROW_BITS));
    lane->turn.word = (uint32_t)(token.words[0] >> (64 - ROW_BITS));
    if (kind_at(&p->tables, token.t[1]) & KIND_FIELD) lane->field = 0;
    lane->field = hash_mix(lane->field + 1, token.t[1]);
    lane->turn.digits = token.digits;
    lane->turn.field = (uint32_t)(lane->field >> (64 - ROW_BITS));
    lane->turn.line = columns_row(&lane->columns, &p->tables, token.position);
    for (int i = 0; i < 2; i++) lane->turn.row[i] = token.row[i];
#define BEGIN(name, ...) name##_begin(&p->name, &lane->name, &p->tables, &token);
    INPUT_PARTS(BEGIN)
#undef BEGIN
    final_begin(&lane->final, &token);
#define ASK(name) name##_ask(&lane->name, &p->tables, 1);
    NODE_PARTS(ASK)
#undef ASK
}

void predictor_begin(Predictor *p, uint32_t stream) {
    Lane *lane = p->lane = p->lanes + stream;
    p->level = 0;
    begin_lane(p, lane);
#define LOAD(name, ...) name##_load(&p->name, &lane->name, &p->tables, (p->parts & PART_BIT(name)) != 0);
    INPUT_PARTS(LOAD)
#undef LOAD
    lane->turn.node = 1;
    lane->turn.first = 0;
    lane->turn.end = p->tables.tree->leaves;
    final_ask(&p->final, &lane->final, 1);
}

/* ---- prediction ---- */

static int32_t predict_lane(Predictor *p, Lane *lane) {
    const Turn *turn = &lane->turn;
    Evidence found = {.silent = {1, 1, 1}};
    lane->input[INPUT_MODEL] = (Input)turn->model;
    final_turn(&lane->final);
    /* A part that is not in use leaves its inputs as they were made, zero. */
#define INPUT(name, ...)                                                                                               \
    if (p->parts & PART_BIT(name)) name##_inputs(&p->name, &lane->name, turn, lane->input + INPUT_##name, &found);
    INPUT_PARTS(INPUT)
#undef INPUT
    sets_select(&p->sets, &lane->sets, turn, &found);
    int32_t logit = sets_mix(&p->sets, &lane->sets, lane->input, INPUTS), probability = squash(logit);
    if (p->parts & PART_BIT(gate) && !turn->alone) {
        logit = gate_refine(&p->gate, &lane->gate, turn, &found, logit);
        probability = squash(logit);
    }
    if (p->parts & PART_BIT(final))
        probability = final_average(&p->final, &lane->final, turn, &found, logit, probability);
    return probability;
}

/* Where log odds stand in for a cell: a class of their own for every CELL_WIDTH. */
enum { CELL_WIDTH = 90 };

/* What is thought of a lane's turn outside the mixer: by the network, or where there is none by the table. */
static void set_opinion(Predictor *p, Lane *lane, const uint8_t *cell) {
    Turn *turn = &lane->turn;
    int32_t table = table_ask(&p->table, &lane->table, turn);
    turn->alone = cell == NULL;
    if (!cell) {
        turn->model = table;
        turn->coarse = coarse_class(table);
        turn->cell = 128 + (uint32_t)(table + LOGIT_MAX) / CELL_WIDTH; /* below 128 + 64 */
        return;
    }
    turn->cell = *cell < p->n_cells ? *cell : p->n_cells - 1;
    turn->model = p->cell_logit[turn->cell];
    turn->coarse = p->cell_coarse[turn->cell];
}

int32_t predictor_predict(Predictor *p, const uint8_t *cell) {
    Lane *lane = p->lane;
    Turn *turn = &lane->turn;
    turn->level = p->level;
    turn->shift = p->tables.tree->depth - 1 - p->level;
    turn->middle = tree_middle(p->tables.tree, turn->node, p->level);
    if (p->level % BUCKET_LEVELS == 0) {
#define BUCKET(name) name##_bucket(&lane->name, &p->tables, turn->node);
        NODE_PARTS(BUCKET)
#undef BUCKET
        turn->bucket_node = 0;
    }
    p->coded = turn->middle != turn->end;
    if (!p->coded) return FORCED;
    set_opinion(p, lane, cell);
    return predict_lane(p, lane);
}

/* ---- learning ---- */

static void update_lane(Predictor *p, Lane *lane, int bit) {
    sets_train(&p->sets, &lane->sets, &lane->turn, lane->input, INPUTS, p->turns, bit);
    if (p->parts & PART_BIT(gate) && !lane->turn.alone) gate_learn(&lane->gate, &lane->turn, bit);
    if (p->parts & PART_BIT(final)) final_learn(&lane->final, bit);
#define UPDATE(name, ...)                                                                                              \
    if (p->parts & PART_BIT(name)) name##_update(&p->name, &lane->name, &lane->turn, bit);
    INPUT_PARTS(UPDATE)
#undef UPDATE
}

/* A turn is known: where it leads, what is known there is asked for, since it may lie anywhere in memory. */
static void take_turn(Predictor *p, Lane *lane, uint32_t bit) {
#define TAKE(name, ...) name##_take(&p->name, &lane->name, &lane->turn, bit);
    INPUT_PARTS(TAKE)
#undef TAKE
    uint32_t next = lane->turn.node * 2 + bit;
    final_ask(&p->final, &lane->final, next);
    if ((p->level + 1) % BUCKET_LEVELS) return;
#define ASK(name) name##_ask(&lane->name, &p->tables, next);
    NODE_PARTS(ASK)
#undef ASK
}

void predictor_update(Predictor *p, uint32_t bit) {
    Lane *lane = p->lane;
    Turn *turn = &lane->turn;
    take_turn(p, lane, bit);
    if (p->coded) {
        p->turns++;
        update_lane(p, lane, (int)bit);
    }
    if (bit)
        turn->first = turn->middle;
    else
        turn->end = turn->middle;
    turn->node = turn->node * 2 + bit;
    turn->bucket_node = turn->bucket_node * 2 + 1 + bit;
    p->level++;
}

void predictor_end(Predictor *p, uint32_t place) {
    Lane *lane = p->lane;
    history_put(&p->tables.history, lane->position, place);
    history_ask(&p->tables.history, lane->position, &lane->match.match);
#define END(name, ...) name##_end(&p->name, &lane->name, &p->tables, lane->position, place);
    INPUT_PARTS(END)
#undef END
    lane->position++;
    numbers_note(&p->tables, place);
    if (p->parts & PART_BIT(numbers)) numbers_judge(&p->tables);
}
