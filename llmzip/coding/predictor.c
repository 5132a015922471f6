#include "predictor.h"

#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "followers.h"
#include "history.h"
#include "network.h"

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)(address))
#endif

/* format: everything below decides probabilities. */

enum { DEPTH_MAX = 20, NODE_CONTEXTS = 3, LISTS = 8, MATCHES = 2, SETS = 6 };
enum {
    INPUT_CELL = 0,
    INPUT_BIAS = 1,
    INPUT_NODES = 2,
    INPUT_LISTS = INPUT_NODES + 3 * NODE_CONTEXTS,
    INPUT_MATCH = INPUT_LISTS + 3 * LISTS,
    INPUT_END = INPUT_MATCH + 2 * MATCHES,
    INPUTS = (INPUT_END + 7) & ~7,
};
_Static_assert(INPUTS <= INPUTS_MAX, "the sums of network.c are proven for INPUTS_MAX inputs");

enum { COARSE = 12, FINE = 32, COUNTS = 10, LENGTHS = 16, STATES = COUNTS * COUNTS * 2 };
enum { BUCKET_NODES = 15, BUCKET_LEVELS = 4 };

/* The counters of four levels below one node under one context: one cache line. */
typedef struct {
    uint32_t check;
    NodeCounter counter[BUCKET_NODES];
} NodeBucket;

typedef struct {
    uint32_t n, total;
    uint32_t rank[FOLLOWERS], count[FOLLOWERS];
} Live;

/* What one stream carries from its prediction to its update. */
typedef struct {
    int32_t input[INPUTS];
    uint32_t position;
    uint32_t node; /* 1 and then the turns so far */
    uint64_t context[LISTS];
    uint64_t node_context[NODE_CONTEXTS];
    NodeBucket *bucket[NODE_CONTEXTS];
    uint32_t bucket_node; /* index within the bucket */
    Live live[LISTS];
    uint32_t seen; /* how many list contexts are known */
    MapEntry *list_map[LISTS], *list_cell_map[LISTS];
    Match match[MATCHES];
    uint32_t expected[MATCHES];
    MapEntry *match_map[MATCHES];
    int32_t *weights[SETS];
    int32_t output[8]; /* of the sets, in log odds */
    int32_t *mix_weights;
    int32_t mixed; /* probability */
    uint32_t final_low;
    int32_t final_fraction;
    uint16_t *final_row[3];
} Lane;

struct Predictor {
    uint32_t leaves, depth, parts;
    uint32_t n_cells;
    int32_t cell_logit[256];
    uint8_t cell_coarse[256], cell_fine[256];
    Lane *lanes;
    void *lanes_block;
    uint32_t streams, active, level;
    uint32_t *coded; /* lanes with an undecided turn at this level */
    uint32_t n_coded;
    uint64_t turns;
    int32_t rate[2];
    NodeCounter *root; /* order 0: one counter per node */
    NodeBucket *buckets;
    void *buckets_block;
    uint32_t bucket_bits;
    FollowerTable followers;
    History history;
    MapEntry *list_maps; /* [LISTS][STATES] */
    MapEntry *list_cell_maps; /* [LISTS][STATES][COARSE] */
    MapEntry *match_maps; /* [MATCHES][LENGTHS][COARSE] */
    int32_t *weights[SETS];
    uint32_t rows[SETS];
    int32_t *mix_weights;
    uint16_t *finals[3];
    uint32_t final_bits;
    size_t memory, memory_limit; /* of the tables, and with the history */
};

static const uint8_t count_level[16] = {0, 1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 6, 7};

static uint32_t quantise_count(uint32_t n) { return n < 16 ? count_level[n] : n < 40 ? 8 : 9; }

static const int32_t coarse_edge[COARSE / 2 - 1] = {180, 384, 640, 1024, 1600};

static uint32_t coarse_of(int32_t logit) {
    int32_t size = logit < 0 ? -logit : logit;
    uint32_t i = 0;
    while (i < COARSE / 2 - 1 && size > coarse_edge[i]) i++;
    return logit < 0 ? COARSE / 2 - 1 - i : COARSE / 2 + i;
}

static const int32_t coarse_centre[COARSE / 2] = {90, 280, 512, 820, 1300, 2000};

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 32;
}

static uint32_t log2_ceil(uint64_t n) {
    uint32_t bits = 0;
    while (bits < 63 && (UINT64_C(1) << bits) < n) bits++;
    return bits;
}

/* Stretch of (right + a) / (right + left + 2 a), a = 0.4, with counts as they stand for their level. */
static int32_t prior_logit(uint32_t left, uint32_t right) {
    static const int32_t typical[COUNTS] = {0, 10, 20, 30, 44, 68, 110, 150, 250, 600};
    int32_t l = typical[left] + 4, r = typical[right] + 4;
    return stretch((int32_t)((int64_t)65536 * r / (l + r)));
}

static void *aligned(size_t size, void **block) {
    *block = calloc(size + 64, 1);
    return *block ? (void *)(((uintptr_t)*block + 63) & ~(uintptr_t)63) : NULL;
}

static const uint32_t set_rows_fixed[SETS] = {DEPTH_MAX * 12, 256, LISTS * 12 * 4, 1024, 9 * 9 * 9, 0};

Predictor *predictor_create(uint32_t leaves, const int16_t *cells, uint32_t n_cells, uint32_t tokens, size_t memory,
                            uint32_t parts) {
    Predictor *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->leaves = leaves;
    p->depth = log2_ceil(leaves);
    p->parts = parts;
    p->n_cells = n_cells;
    for (uint32_t i = 0; i < n_cells; i++) {
        int32_t z = clip_logit(cells[i]);
        p->cell_logit[i] = z;
        p->cell_coarse[i] = (uint8_t)coarse_of(z);
        int32_t fine = z / 140 + FINE / 2;
        p->cell_fine[i] = (uint8_t)(fine < 0 ? 0 : fine >= FINE ? FINE - 1 : fine);
    }
    /* Beside the history, half of the memory for lists, a quarter for node counters, an eighth for matches. */
    p->memory_limit = memory;
    memory -= (size_t)4 * tokens < memory * 7 / 8 ? (size_t)4 * tokens : memory * 7 / 8;
    uint64_t want = tokens < 64 ? 64 : tokens;
    uint32_t list_bits = log2_ceil(want * LISTS), bucket_bits = log2_ceil(want * 4), match_bits = log2_ceil(want);
    while (list_bits > 8 && (sizeof(FollowerList) << list_bits) > memory / 2) list_bits--;
    while (bucket_bits > 8 && (sizeof(NodeBucket) << bucket_bits) > memory / 4) bucket_bits--;
    while (match_bits > 8 && ((size_t)4 * MATCH_ORDERS << match_bits) > memory / 8) match_bits--;
    p->bucket_bits = bucket_bits;
    if (followers_create(&p->followers, list_bits)) goto fail;
    if (history_create(&p->history, match_bits < 8 ? 8 : match_bits)) goto fail;
    p->buckets = aligned(sizeof(NodeBucket) << bucket_bits, &p->buckets_block);
    if (!p->buckets) goto fail;
    size_t nodes = (size_t)1 << p->depth;
    p->root = malloc(nodes * sizeof *p->root);
    if (!p->root) goto fail;
    for (size_t i = 0; i < nodes; i++) p->root[i] = NODE_COUNTER_FRESH;
    p->list_maps = malloc(sizeof(MapEntry) * LISTS * STATES);
    p->list_cell_maps = malloc(sizeof(MapEntry) * LISTS * STATES * COARSE);
    p->match_maps = malloc(sizeof(MapEntry) * MATCHES * LENGTHS * COARSE);
    if (!p->list_maps || !p->list_cell_maps || !p->match_maps) goto fail;
    for (uint32_t list = 0; list < LISTS; list++)
        for (uint32_t state = 0; state < STATES; state++) {
            int32_t z = prior_logit(state / 2 / COUNTS, state / 2 % COUNTS);
            p->list_maps[list * STATES + state] = map_entry(squash(z), 6);
            for (uint32_t c = 0; c < COARSE; c++) {
                int32_t centre = c < COARSE / 2 ? -coarse_centre[COARSE / 2 - 1 - c] : coarse_centre[c - COARSE / 2];
                p->list_cell_maps[(list * STATES + state) * COARSE + c] = map_entry(squash(z / 2 + centre), 6);
            }
        }
    for (uint32_t i = 0; i < MATCHES * LENGTHS * COARSE; i++) {
        int32_t length = (int32_t)(i / COARSE % LENGTHS), c = (int32_t)(i % COARSE);
        int32_t centre = c < COARSE / 2 ? -coarse_centre[COARSE / 2 - 1 - c] : coarse_centre[c - COARSE / 2];
        p->match_maps[i] = map_entry(squash(centre + 200 + 60 * length), 6);
    }
    for (int s = 0; s < SETS; s++) {
        p->rows[s] = set_rows_fixed[s] ? set_rows_fixed[s] : p->depth * COARSE * 2;
        p->weights[s] = malloc(sizeof(int32_t) * INPUTS * p->rows[s]);
        if (!p->weights[s]) goto fail;
        for (uint32_t i = 0; i < INPUTS * p->rows[s]; i++) {
            uint32_t k = i % INPUTS;
            p->weights[s][i] = k == INPUT_CELL ? WEIGHT_ONE * 9 / 10 : k == INPUT_BIAS || k >= INPUT_END ? 0 : WEIGHT_ONE / 40;
        }
    }
    p->mix_weights = malloc(sizeof(int32_t) * 8 * DEPTH_MAX * 3);
    if (!p->mix_weights) goto fail;
    for (int i = 0; i < 8 * DEPTH_MAX * 3; i++) p->mix_weights[i] = i % 8 < SETS ? WEIGHT_ONE / SETS : 0;
    p->final_bits = log2_ceil(want * 2);
    p->final_bits = p->final_bits < 10 ? 10 : p->final_bits > 16 ? 16 : p->final_bits;
    const uint32_t final_rows[3] = {DEPTH_MAX * 3, 1u << p->final_bits, 1u << p->final_bits};
    for (int i = 0; i < 3; i++) {
        p->finals[i] = malloc(sizeof(uint16_t) * FINAL_KNOTS * final_rows[i]);
        if (!p->finals[i]) goto fail;
        for (uint32_t row = 0; row < final_rows[i]; row++) final_fill(p->finals[i] + row * FINAL_KNOTS);
    }
    p->memory = (sizeof(FollowerList) << list_bits) + (sizeof(NodeBucket) << bucket_bits) + nodes * sizeof *p->root
                + (sizeof(uint32_t) * MATCH_ORDERS << p->history.bits)
                + sizeof(MapEntry) * (LISTS * STATES * (1 + COARSE) + MATCHES * LENGTHS * COARSE)
                + sizeof(uint16_t) * FINAL_KNOTS * ((2u << p->final_bits) + DEPTH_MAX * 3);
    for (int s = 0; s < SETS; s++) p->memory += sizeof(int32_t) * INPUTS * p->rows[s];
    return p;
fail:
    predictor_free(p);
    return NULL;
}

void predictor_free(Predictor *p) {
    if (!p) return;
    followers_free(&p->followers);
    history_free(&p->history);
    free(p->buckets_block);
    free(p->root);
    free(p->list_maps);
    free(p->list_cell_maps);
    free(p->match_maps);
    for (int s = 0; s < SETS; s++) free(p->weights[s]);
    free(p->mix_weights);
    for (int i = 0; i < 3; i++) free(p->finals[i]);
    free(p->lanes_block);
    free(p->coded);
    free(p);
}

int predictor_block(Predictor *p, uint32_t streams, uint32_t tokens) {
    /* The history of the blocks before may take a quarter of the memory; beyond that it starts anew. */
    if (((size_t)p->history.length + tokens) * sizeof(uint32_t) > p->memory_limit / 4) history_clear(&p->history);
    uint32_t start = p->history.length;
    if (history_extend(&p->history, tokens)) return -1;
    free(p->lanes_block);
    free(p->coded);
    p->lanes = aligned(sizeof(Lane) * (streams ? streams : 1), &p->lanes_block);
    p->coded = malloc(sizeof(uint32_t) * (streams ? streams : 1));
    if (!p->lanes || !p->coded) return -1;
    p->streams = streams;
    for (uint32_t s = 0; s < streams; s++) {
        p->lanes[s].position = start;
        start += tokens / streams + (s < tokens % streams);
    }
    return 0;
}

uint32_t predictor_depth(const Predictor *p) { return p->depth; }
size_t predictor_memory(const Predictor *p) { return p->memory + (size_t)4 * p->history.capacity; }

static void set_contexts(Predictor *p, Lane *lane) {
    uint32_t t[8];
    for (uint32_t i = 1; i <= 6; i++) t[i] = history_before(&p->history, lane->position, i);
    uint64_t h = 0, order[7];
    for (uint32_t i = 1; i <= 6; i++) order[i] = h = mix(h + i, t[i]);
    const uint64_t hashes[LISTS] = {
        order[1], order[2], order[3], order[4], order[6],
        mix(mix(101, t[2]), 7), mix(mix(102, t[2]), t[3]), mix(mix(103, t[1]), t[3]),
    };
    for (int i = 0; i < LISTS; i++) {
        lane->context[i] = mix(hashes[i], (uint64_t)i + 1);
        PREFETCH(followers_line(&p->followers, lane->context[i]));
    }
    lane->node_context[0] = 0;
    lane->node_context[1] = mix(order[1], 1001);
    lane->node_context[2] = mix(order[2], 1002);
}

static void load_lists(Predictor *p, Lane *lane) {
    lane->seen = 0;
    for (int i = 0; i < LISTS; i++) {
        Live *live = lane->live + i;
        live->n = live->total = 0;
        if (!(p->parts & (i < 5 ? PART_FOLLOWERS : PART_SPARSE))) continue;
        const FollowerList *list = followers_find(&p->followers, lane->context[i]);
        if (!list) continue;
        if (i < 5) lane->seen = (uint32_t)i + 1;
        while (live->n < FOLLOWERS && list->entry[live->n] != 0) {
            live->rank[live->n] = list->entry[live->n] >> 8;
            live->count[live->n] = list->entry[live->n] & 255;
            live->total += live->count[live->n];
            live->n++;
        }
    }
    for (int m = 0; m < MATCHES; m++)
        lane->expected[m] = p->parts & (m ? PART_SECOND : PART_MATCH) ? history_expected(&p->history, &lane->match[m]) : TOKEN_UNKNOWN;
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

static NodeBucket *find_bucket(Predictor *p, uint64_t context, uint32_t node) {
    uint64_t hash = mix(context, node);
    NodeBucket *pair = p->buckets + (hash >> (64 - p->bucket_bits) & ~UINT64_C(1));
    uint32_t check = (uint32_t)hash | 1;
    if (pair[0].check == check) return pair;
    if (pair[1].check == check) return pair + 1;
    NodeBucket *bucket = pair[0].check == 0 ? pair : pair[1].check == 0 ? pair + 1
                         : node_count(pair[0].counter[0]) <= node_count(pair[1].counter[0]) ? pair : pair + 1;
    bucket->check = check;
    for (int i = 0; i < BUCKET_NODES; i++) bucket->counter[i] = NODE_COUNTER_FRESH;
    return bucket;
}

static int32_t limited(int32_t x) { return x > INPUT_LIMIT ? INPUT_LIMIT : x < -INPUT_LIMIT ? -INPUT_LIMIT : x; }

static void node_inputs(NodeCounter c, int32_t *input) {
    int32_t n = node_count(c);
    if (n == 0) {
        input[0] = input[1] = input[2] = 0;
        return;
    }
    int32_t slow = node_slow(c), confidence = n > 16 ? 16 : n;
    input[0] = stretch(slow) * (5 + confidence) / 40;
    input[1] = (slow - 32768) * (n > 8 ? 8 : n) / 680;
    input[2] = node_fast(c) - 512;
}

static int32_t predict_lane(Predictor *p, Lane *lane, uint32_t cell) {
    int32_t *x = lane->input;
    uint32_t level = p->level, shift = p->depth - 1 - level, coarse = p->cell_coarse[cell];
    int32_t z = p->cell_logit[cell];
    x[INPUT_CELL] = z;
    x[INPUT_BIAS] = 256;

    if (level % BUCKET_LEVELS == 0) {
        for (int i = 1; i < NODE_CONTEXTS; i++) lane->bucket[i] = find_bucket(p, lane->node_context[i], lane->node);
        lane->bucket_node = 0;
    }
    if (p->parts & PART_NODES) {
        node_inputs(p->root[lane->node], x + INPUT_NODES);
        for (int i = 1; i < NODE_CONTEXTS; i++)
            node_inputs(lane->bucket[i]->counter[lane->bucket_node], x + INPUT_NODES + 3 * i);
    }

    uint32_t highest = 0, sure = 0;
    for (int i = 0; i < LISTS; i++) {
        const Live *live = lane->live + i;
        int32_t *in = x + INPUT_LISTS + 3 * i;
        if (live->n == 0) {
            lane->list_map[i] = NULL;
            in[0] = in[1] = in[2] = 0;
            continue;
        }
        uint32_t count[2] = {0, 0};
        for (uint32_t j = 0; j < live->n; j++) count[live->rank[j] >> shift & 1] += live->count[j];
        uint32_t last = live->rank[0] >> shift & 1;
        uint32_t state = (quantise_count(count[0]) * COUNTS + quantise_count(count[1])) * 2 + last;
        lane->list_map[i] = p->list_maps + (uint32_t)i * STATES + state;
        lane->list_cell_map[i] = p->list_cell_maps + ((uint32_t)i * STATES + state) * COARSE + coarse;
        int32_t a = map_probability(*lane->list_map[i]), b = map_probability(*lane->list_cell_map[i]);
        in[0] = stretch(a) / 2;
        in[1] = (a - 32768) / 64;
        in[2] = limited(stretch(b) - z);
        if (i < 5) {
            highest = (uint32_t)i + 1;
            sure = count[0] == 0 || count[1] == 0;
        }
    }

    uint32_t state = 0;
    for (int m = 0; m < MATCHES; m++) {
        int32_t *in = x + INPUT_MATCH + 2 * m;
        uint32_t expected = lane->expected[m];
        if (expected == TOKEN_UNKNOWN) {
            lane->match_map[m] = NULL;
            in[0] = in[1] = 0;
            continue;
        }
        uint32_t bit = expected >> shift & 1, length = lane->match[m].length;
        length = length < 12 ? length - 1 : length < 16 ? 11 : length < 24 ? 12 : length < 32 ? 13 : length < 100 ? 14 : 15;
        lane->match_map[m] = p->match_maps + ((uint32_t)m * LENGTHS + length) * COARSE + (bit ? coarse : COARSE - 1 - coarse);
        int32_t a = map_probability(*lane->match_map[m]);
        int32_t sign = bit ? 1 : -1;
        in[0] = limited(sign * stretch(a) - z);
        in[1] = sign * (a - 32768) / 64;
        if (m == 0) state = 1 + (length > 3) + (length > 7);
    }

    uint32_t agree = lane->expected[0] == TOKEN_UNKNOWN ? 0 : 1 + (lane->expected[0] >> shift & 1);
    uint32_t t1 = history_before(&p->history, lane->position, 1);
    uint32_t selected[SETS] = {
        level * 12 + state * 3 + (highest == 0 ? 0 : highest < 3 ? 1 : 2),
        cell,
        ((highest * 2 + sure) * 12 + coarse),
        (t1 & 1023),
        0,
        (level * COARSE + coarse) * 2 + (highest > 0),
    };
    uint32_t q[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++) {
        const Live *live = lane->live + i;
        if (live->n) {
            const MapEntry e = *lane->list_map[i];
            int32_t a = stretch(map_probability(e));
            q[i] = a < -700 ? 1 : a < -350 ? 2 : a < -100 ? 3 : a < 100 ? 4 : a < 350 ? 5 : a < 700 ? 6 : 7;
        }
    }
    selected[4] = (q[0] * 9 + q[1]) * 9 + q[2];
    int sets = p->parts & PART_SETS ? SETS : 1;
    for (int s = 0; s < sets; s++) {
        lane->weights[s] = p->weights[s] + (size_t)selected[s] * INPUTS;
        lane->output[s] = clip_logit(network_dot(lane->weights[s], x, INPUTS));
    }
    lane->mix_weights = p->mix_weights + (level * 3 + agree) * 8;
    int64_t sum = 0;
    for (int s = 0; s < sets; s++) sum += (int64_t)lane->mix_weights[s] * lane->output[s];
    int32_t logit = clip_logit(sets == 1 ? lane->output[0] : (int32_t)(sum >> 16));
    int32_t mixed = lane->mixed = squash(logit);
    if (!(p->parts & PART_FINAL)) return mixed;
    lane->final_row[0] = p->finals[0] + (level * 3 + agree) * FINAL_KNOTS;
    lane->final_row[1] = p->finals[1] + (mix(lane->node_context[1], lane->node) >> (64 - p->final_bits)) * FINAL_KNOTS;
    lane->final_row[2] = p->finals[2] + (mix(77, lane->node) >> (64 - p->final_bits)) * FINAL_KNOTS;
    int32_t sum_final = 2;
    for (int i = 0; i < 3; i++) sum_final += final_refine(lane->final_row[i], logit, &lane->final_low, &lane->final_fraction);
    int32_t final = (mixed * 1 + sum_final) / 4;
    return final < 1 ? 1 : final > 65535 ? 65535 : final;
}

uint32_t predictor_predict(Predictor *p, const uint8_t *cells, ptrdiff_t stride, uint16_t *probabilities,
                           uint32_t *lanes) {
    uint32_t n = 0, rest = p->depth - 1 - p->level;
    for (uint32_t s = 0; s < p->active; s++) {
        Lane *lane = p->lanes + s;
        uint64_t right = ((uint64_t)lane->node * 2 + 1 - ((uint64_t)2 << p->level)) << rest;
        if (right >= p->leaves) continue;
        uint32_t cell = cells[(ptrdiff_t)s * stride];
        if (cell >= p->n_cells) cell = p->n_cells - 1;
        probabilities[n] = (uint16_t)predict_lane(p, lane, cell);
        lanes[n] = p->coded[n] = s;
        n++;
    }
    p->n_coded = n;
    return n;
}

static void update_lane(Predictor *p, Lane *lane, int bit) {
    int32_t target = bit ? 65535 : 0;
    int sets = p->parts & PART_SETS ? SETS : 1;
    for (int s = 0; s < sets; s++)
        network_train(lane->weights[s], lane->input, (target - squash(lane->output[s])) * p->rate[0] >> 10, INPUTS);
    int32_t error = (target - lane->mixed) * p->rate[1] >> 10;
    for (int s = 0; s < sets; s++) {
        int32_t w = lane->mix_weights[s] + ((lane->output[s] * error + 2048) >> 12);
        lane->mix_weights[s] = w > WEIGHT_LIMIT ? WEIGHT_LIMIT : w < -WEIGHT_LIMIT ? -WEIGHT_LIMIT : w;
    }
    if (p->parts & PART_FINAL)
        for (int i = 0; i < 3; i++) final_update(lane->final_row[i], lane->final_low, lane->final_fraction, bit, i ? 5 : 6);
    if (p->parts & PART_NODES) {
        p->root[lane->node] = node_update(p->root[lane->node], bit, 63);
        for (int i = 1; i < NODE_CONTEXTS; i++) {
            NodeCounter *c = lane->bucket[i]->counter + lane->bucket_node;
            *c = node_update(*c, bit, 63);
        }
    }
    for (int i = 0; i < LISTS; i++)
        if (lane->list_map[i]) {
            *lane->list_map[i] = map_update(*lane->list_map[i], bit, 255);
            *lane->list_cell_map[i] = map_update(*lane->list_cell_map[i], bit, 255);
        }
    for (int m = 0; m < MATCHES; m++)
        if (lane->match_map[m]) {
            int right = (int)(lane->expected[m] >> (p->depth - 1 - p->level) & 1) == bit;
            *lane->match_map[m] = map_update(*lane->match_map[m], right, 255);
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
    for (int m = 0; m < MATCHES; m++)
        if (lane->expected[m] != TOKEN_UNKNOWN && (lane->expected[m] >> shift & 1) != bit) lane->expected[m] = TOKEN_UNKNOWN;
    lane->node = lane->node * 2 + bit;
    lane->bucket_node = lane->bucket_node * 2 + 1 + bit;
}

void predictor_update(Predictor *p, const uint8_t *bits) {
    p->turns += p->n_coded;
    /* Learning slows down as the weights settle: rates with 14 fractional bits. */
    p->rate[0] = 40 + (int32_t)(UINT64_C(200) * 20000 / (20000 + p->turns));
    p->rate[1] = 8;
    for (uint32_t i = 0, s = 0; s < p->active; s++) {
        Lane *lane = p->lanes + s;
        uint32_t bit = 0;
        if (i < p->n_coded && p->coded[i] == s) {
            bit = bits[i++] & 1;
            update_lane(p, lane, (int)bit);
        } else if (p->level % BUCKET_LEVELS == 0) {
            /* A forced turn where a new bucket would begin. */
            for (int c = 1; c < NODE_CONTEXTS; c++) lane->bucket[c] = find_bucket(p, lane->node_context[c], lane->node);
            lane->bucket_node = 0;
        }
        descend(p, lane, bit);
    }
    p->level++;
}

void predictor_end(Predictor *p, uint32_t *ranks) {
    for (uint32_t s = 0; s < p->active; s++) {
        Lane *lane = p->lanes + s;
        uint32_t rank = lane->node - (1u << p->depth);
        ranks[s] = rank;
        p->history.tokens[lane->position] = rank;
        for (int i = 0; i < LISTS; i++) followers_add(&p->followers, lane->context[i], rank);
        history_advance(&p->history, lane->position, lane->match);
        lane->position++;
    }
}

void predictor_prefixes(const Predictor *p, uint32_t *prefixes) {
    for (uint32_t s = 0; s < p->active; s++) prefixes[s] = p->lanes[s].node - (1u << p->level);
}
