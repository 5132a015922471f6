#include "predictor.h"

#include "hash.h"
#include "state.h"

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)(address))
#endif

/* format: everything below decides probabilities. */

/* Tokens of one stream that count as one neighbourhood: 1 << NEIGHBOURHOOD. */
#define NEIGHBOURHOOD 12

static uint32_t quantise_count(uint32_t n) {
    static const uint8_t class_of[16] = {0, 1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 6, 7};
    return n < 16 ? class_of[n] : n < 40 ? 8 : 9;
}

static uint32_t quantise_length(uint32_t n) { return n <= 12 ? n - 1 : n < 24 ? 12 : n < 32 ? 13 : n < 100 ? 14 : 15; }

static int32_t limited(int32_t x) { return x > INPUT_LIMIT ? INPUT_LIMIT : x < -INPUT_LIMIT ? -INPUT_LIMIT : x; }

/* ---- a token begins ---- */

static void set_contexts(Predictor *p, Lane *lane) {
    uint32_t t[7];
    uint64_t order[7], h = 0, place = lane->position >> NEIGHBOURHOOD;
    for (uint32_t i = 1; i <= 6; i++) {
        t[i] = history_before(&p->history, lane->position, i);
        order[i] = h = hash_mix(h + i, t[i]);
    }
    const uint64_t list[LISTS] = {
        order[1],
        order[2],
        order[3],
        order[4],
        order[6],
        hash_mix(t[2], 7),
        hash_mix(hash_mix(102, t[2]), t[3]),
        hash_mix(hash_mix(place, 104), order[1]),
    };
    for (uint32_t i = 0; i < LISTS; i++) {
        lane->list_context[i] = hash_mix(list[i], i + 1);
        PREFETCH(followers_line(&p->followers, lane->list_context[i]));
    }
    for (uint32_t i = 1; i <= 2; i++) {
        lane->counter_context[i] = hash_mix(order[i], 1000 + i);
        lane->residual_context[i] = hash_mix(order[i], 2000 + i);
    }
    lane->residual_context[3] = hash_mix(place, 2003);
    lane->residual_context[4] = hash_mix(hash_mix(place, 2004), order[1]);
}

static void load_lists(Predictor *p, Lane *lane) {
    for (int i = 0; i < LISTS; i++) {
        Live *live = lane->live + i;
        live->n = 0;
        if (!(p->parts & (i < ORDERED_LISTS ? PART_LISTS : PART_SPARSE))) continue;
        const FollowerList *list = followers_find(&p->followers, lane->list_context[i]);
        for (; list && live->n < FOLLOWERS && list->entry[live->n] != 0; live->n++) {
            live->rank[live->n] = list->entry[live->n] >> 8;
            live->count[live->n] = list->entry[live->n] & 255;
        }
    }
    lane->expected = p->parts & PART_MATCH ? history_expected(&p->history, &lane->match) : TOKEN_UNKNOWN;
}

void predictor_begin(Predictor *p, uint32_t active) {
    p->active = active;
    p->level = 0;
    for (uint32_t s = 0; s < active; s++) set_contexts(p, p->lanes + s);
    for (uint32_t s = 0; s < active; s++) {
        load_lists(p, p->lanes + s);
        p->lanes[s].node = 1;
    }
}

/* ---- inputs ---- */

static void find_buckets(Predictor *p, Lane *lane) {
    for (int i = 1; i < COUNTERS; i++)
        lane->counter_bucket[i] = nodes_find(&p->nodes, lane->counter_context[i], lane->node, NODE_COUNTER_FRESH);
    for (int i = 1; i < RESIDUALS; i++)
        lane->residual_bucket[i] = nodes_find(&p->nodes, lane->residual_context[i], lane->node, RESIDUAL_FRESH);
    lane->bucket_node = 0;
}

static NodeCounter *counter_at(Predictor *p, Lane *lane, int i) {
    return i == 0 ? p->root_counters + lane->node : lane->counter_bucket[i]->cell + lane->bucket_node;
}

static Residual *residual_at(Predictor *p, Lane *lane, int i) {
    return i == 0 ? p->root_residuals + lane->node : lane->residual_bucket[i]->cell + lane->bucket_node;
}

/* Three views of a counter: confident log odds, slow and fast probability. Nothing seen says nothing. */
static void counter_inputs(NodeCounter c, int32_t *input) {
    int32_t n = node_count(c), slow = node_slow(c);
    input[0] = n == 0 ? 0 : stretch(slow) * (5 + (n > 16 ? 16 : n)) / 40;
    input[1] = n == 0 ? 0 : (slow - 32768) * (n > 8 ? 8 : n) / 680;
    input[2] = n == 0 ? 0 : node_fast(c) - 512;
}

static void residual_inputs(Residual r, int32_t *input) {
    int32_t n = (int32_t)(r & NODE_COUNT_MAX), value = residual_value(r) >> 8;
    input[0] = value;
    input[RESIDUALS] = value * (n > 16 ? 16 : n) / 16;
}

/* The followers below a node vote by their counts; two maps learn what such votes are worth. */
static void list_inputs(Predictor *p, Lane *lane, uint32_t i, int32_t model, uint32_t coarse, uint32_t count[2]) {
    const Live *live = lane->live + i;
    int32_t *input = lane->input + INPUT_LISTS + 3 * i;
    count[0] = count[1] = 0;
    if (live->n == 0) {
        lane->list_map[i] = NULL;
        input[0] = input[1] = input[2] = 0;
        return;
    }
    uint32_t shift = p->depth - 1 - p->level, last = live->rank[0] >> shift & 1;
    for (uint32_t j = 0; j < live->n; j++) count[live->rank[j] >> shift & 1] += live->count[j];
    uint32_t state = (quantise_count(count[0]) * COUNTS + quantise_count(count[1])) * 2 + last;
    lane->list_map[i] = p->list_maps + i * STATES + state;
    lane->list_cell_map[i] = p->list_cell_maps + (i * STATES + state) * COARSE + coarse;
    int32_t a = map_probability(*lane->list_map[i]), b = map_probability(*lane->list_cell_map[i]);
    input[0] = stretch(a) / 2;
    input[1] = (a - 32768) / 64;
    input[2] = limited(stretch(b) - model);
}

/* What a repeat expects, by its length and by what the model thinks of it. */
static void match_inputs(Predictor *p, Lane *lane, int32_t model, uint32_t coarse) {
    int32_t *input = lane->input + INPUT_MATCH;
    if (lane->expected == TOKEN_UNKNOWN) {
        lane->match_map = NULL;
        input[0] = input[1] = 0;
        return;
    }
    uint32_t right = lane->expected >> (p->depth - 1 - p->level) & 1;
    uint32_t length = quantise_length(lane->match.length), agreement = right ? coarse : COARSE - 1 - coarse;
    lane->match_map = p->match_maps + length * COARSE + agreement;
    int32_t a = map_probability(*lane->match_map), sign = right ? 1 : -1;
    input[0] = limited(sign * stretch(a) - model);
    input[1] = sign * (a - 32768) / 64;
}

/* ---- prediction ---- */

/* How far the shortest three lists lean, each in nine classes (0 = silent). */
static uint32_t trend(const Lane *lane) {
    uint32_t row = 0;
    for (int i = 0; i < 3; i++) {
        uint32_t class = 0;
        if (lane->list_map[i]) {
            int32_t a = stretch(map_probability(*lane->list_map[i]));
            class = a < -700 ? 1 : a < -350 ? 2 : a < -100 ? 3 : a < 100 ? 4 : a < 350 ? 5 : a < 700 ? 6 : 7;
        }
        row = row * 9 + class;
    }
    return row;
}

static uint32_t sets_of(const Predictor *p) { return p->parts & PART_SETS ? SETS : 1; }

/* Mix the sets' outputs with the weights as they are now; the result as log odds. */
static int32_t mix_outputs(Predictor *p, Lane *lane) {
    uint32_t sets = sets_of(p);
    int64_t sum = 0;
    for (uint32_t s = 0; s < sets; s++) {
        lane->output[s] = clip_logit(network_dot(lane->weights[s], lane->input, INPUTS));
        sum += (int64_t)lane->mix_weights[s] * lane->output[s];
    }
    int32_t logit = sets == 1 ? lane->output[0] : clip_logit((int32_t)(sum >> 16));
    lane->mixed = squash(logit);
    return logit;
}

static int32_t predict_lane(Predictor *p, Lane *lane, uint32_t cell) {
    uint32_t level = p->level, coarse = p->cell_coarse[cell], shift = p->depth - 1 - level;
    int32_t model = p->cell_logit[cell], *x = lane->input;
    x[INPUT_CELL] = model;
    x[INPUT_BIAS] = LOGIT_ONE;
    if (p->parts & PART_COUNTERS)
        for (int i = 0; i < COUNTERS; i++) counter_inputs(*counter_at(p, lane, i), x + INPUT_COUNTERS + 3 * i);
    if (p->parts & PART_RESIDUALS)
        for (int i = 0; i < RESIDUALS; i++) residual_inputs(*residual_at(p, lane, i), x + INPUT_RESIDUALS + i);
    uint32_t highest = 0, sure = 0;
    for (uint32_t i = 0; i < LISTS; i++) {
        uint32_t count[2];
        list_inputs(p, lane, i, model, coarse, count);
        if (i < ORDERED_LISTS && lane->list_map[i]) {
            highest = i + 1;
            sure = count[0] == 0 || count[1] == 0;
        }
    }
    match_inputs(p, lane, model, coarse);

    uint32_t length = lane->expected == TOKEN_UNKNOWN ? 0 : lane->match.length;
    uint32_t state = length == 0 ? 0 : 1 + (length > 4) + (length > 8);
    uint32_t turn = length == 0 ? 0 : 1 + (lane->expected >> shift & 1);
    uint32_t last = history_before(&p->history, lane->position, 1);
    uint32_t before = history_before(&p->history, lane->position, 2);
    const uint32_t row[SETS] = {
        level * 12 + state * 3
            + (highest == 0  ? 0
               : highest < 3 ? 1
                             : 2),
        cell,
        (highest * 2 + sure) * COARSE + coarse,
        last >> 3 & 1023,
        trend(lane),
        (level * COARSE + coarse) * 2 + (highest > 0),
        level < 10 ? lane->node : 1024 + level,
        before >> 3 & 1023,
        (uint32_t)(lane - p->lanes) & 255,
    };
    for (uint32_t s = 0; s < sets_of(p); s++) {
        lane->weights[s] = p->weights[s] + (size_t)row[s] * INPUTS;
        lane->visits[s] = p->visits[s] + row[s];
    }
    lane->mix_weights = p->mix_weights + (level * 3 + turn) * SETS;
    int32_t logit = mix_outputs(p, lane), gated = lane->mixed;
    if (p->parts & PART_GATE) {
        lane->departure = logit - model;
        lane->gate = p->gates + gate_class(lane->departure, highest > 0);
        logit = gate_apply(lane->gate, model, lane->departure);
        gated = squash(logit);
    }
    if (!(p->parts & PART_FINAL)) return gated;

    const uint64_t slot[2] = {hash_mix(lane->counter_context[1], lane->node), hash_mix(77, lane->node)};
    int32_t sum = 2 * gated + 2;
    for (int i = 0; i < FINALS; i++) {
        uint32_t which = i == 0 ? level * 3 + turn : (uint32_t)(slot[i - 1] >> (64 - p->final_bits));
        lane->final_row[i] = p->finals[i] + which * FINAL_KNOTS;
        lane->final_visits[i] = p->final_visits[i] + which;
        sum += final_refine(lane->final_row[i], logit, &lane->final_low, &lane->final_fraction);
    }
    int32_t refined = sum / (2 + FINALS);
    return refined < 1 ? 1 : refined > 65535 ? 65535 : refined;
}

uint32_t predictor_predict(Predictor *p, const uint8_t *cells, ptrdiff_t stride, uint16_t *probabilities,
                           uint32_t *lanes) {
    uint32_t n = 0, rest = p->depth - 1 - p->level;
    for (uint32_t s = 0; s < p->active; s++) {
        Lane *lane = p->lanes + s;
        if (p->level % BUCKET_LEVELS == 0) find_buckets(p, lane);
        uint64_t first_right = ((uint64_t)lane->node * 2 + 1 - ((uint64_t)2 << p->level)) << rest;
        if (first_right >= p->leaves) continue; /* no leaf there: the turn is forced */
        uint32_t cell = cells[(ptrdiff_t)s * stride];
        if (cell >= p->n_cells) cell = p->n_cells - 1;
        probabilities[n] = (uint16_t)predict_lane(p, lane, cell);
        lanes[n] = p->coded[n] = s;
        n++;
    }
    p->n_coded = n;
    return n;
}

/* ---- learning ---- */

static void train_network(Predictor *p, Lane *lane, int32_t target) {
    /* Lanes of one level share rows. Each learns from the error that is left after the lanes before it: steps taken on
     * stale errors would add up. With one lane nothing has changed since the prediction. */
    if (p->active > 1) mix_outputs(p, lane);
    for (uint32_t s = 0; s < sets_of(p); s++) {
        /* Rates with 14 fractional bits: rows learn fast at first, and so does everything in a file's first turns. */
        int32_t visits = *lane->visits[s];
        int32_t rate = 80 + 800 * 600 / (600 + visits) + (int32_t)(UINT64_C(200) * 20000 / (20000 + p->turns));
        if (visits < 65535) *lane->visits[s] = (uint16_t)(visits + 1);
        /* |target - p| < 2^16 and rate <= 1080, so the error stays below ERROR_LIMIT. */
        network_train(lane->weights[s], lane->input, (target - squash(lane->output[s])) * rate >> 10, INPUTS);
    }
    int32_t error = (target - lane->mixed) * 8 >> 10;
    for (uint32_t s = 0; s < sets_of(p); s++) {
        int32_t w = lane->mix_weights[s] + ((lane->output[s] * error + 2048) >> 12);
        lane->mix_weights[s] = w > WEIGHT_LIMIT ? WEIGHT_LIMIT : w < -WEIGHT_LIMIT ? -WEIGHT_LIMIT : w;
    }
}

static void update_lane(Predictor *p, Lane *lane, int bit) {
    train_network(p, lane, bit ? 65535 : 0);
    int32_t model = lane->input[INPUT_CELL], first = squash(model);
    if (p->parts & PART_GATE) gate_update(lane->gate, model, lane->departure, bit);
    if (p->parts & PART_FINAL)
        for (int i = 0; i < FINALS; i++)
            final_update(lane->final_row[i], lane->final_visits[i], lane->final_low, lane->final_fraction, bit);
    for (int i = 0; i < COUNTERS; i++) {
        NodeCounter *c = counter_at(p, lane, i);
        *c = node_update(*c, bit, first);
    }
    for (int i = 0; i < RESIDUALS; i++) {
        Residual *r = residual_at(p, lane, i);
        *r = residual_update(*r, bit, model);
    }
    for (int i = 0; i < LISTS; i++)
        if (lane->list_map[i]) {
            *lane->list_map[i] = map_update(*lane->list_map[i], bit, 255);
            *lane->list_cell_map[i] = map_update(*lane->list_cell_map[i], bit, 255);
        }
    if (lane->match_map) {
        int right = (int)(lane->expected >> (p->depth - 1 - p->level) & 1) == bit;
        *lane->match_map = map_update(*lane->match_map, right, 255);
    }
}

/* Take the turn: what lies on the other side is no longer possible. */
static void descend(Predictor *p, Lane *lane, uint32_t bit) {
    uint32_t shift = p->depth - 1 - p->level;
    for (int i = 0; i < LISTS; i++) {
        Live *live = lane->live + i;
        uint32_t n = 0;
        for (uint32_t j = 0; j < live->n; j++)
            if ((live->rank[j] >> shift & 1) == bit) {
                live->rank[n] = live->rank[j];
                live->count[n++] = live->count[j];
            }
        live->n = n;
    }
    if (lane->expected != TOKEN_UNKNOWN && (lane->expected >> shift & 1) != bit) lane->expected = TOKEN_UNKNOWN;
    lane->node = lane->node * 2 + bit;
    lane->bucket_node = lane->bucket_node * 2 + 1 + bit;
}

void predictor_update(Predictor *p, const uint8_t *bits) {
    p->turns += p->n_coded;
    for (uint32_t i = 0, s = 0; s < p->active; s++) {
        uint32_t bit = 0;
        if (i < p->n_coded && p->coded[i] == s) {
            bit = bits[i++] & 1;
            update_lane(p, p->lanes + s, (int)bit);
        }
        descend(p, p->lanes + s, bit);
    }
    p->level++;
}

void predictor_end(Predictor *p, uint32_t *ranks) {
    for (uint32_t s = 0; s < p->active; s++) {
        Lane *lane = p->lanes + s;
        uint32_t rank = lane->node - (1u << p->depth);
        ranks[s] = rank;
        p->history.tokens[lane->position] = rank;
        for (int i = 0; i < LISTS; i++) followers_add(&p->followers, lane->list_context[i], rank);
        history_advance(&p->history, lane->position, &lane->match);
        lane->position++;
    }
}

void predictor_prefixes(const Predictor *p, uint32_t *prefixes) {
    for (uint32_t s = 0; s < p->active; s++) prefixes[s] = p->lanes[s].node - (1u << p->level);
}
