#include "ngrams.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"

/* format: everything below decides probabilities. */

static const uint8_t magic[7] = {0xEC, 'L', 'Z', 'N', 0x0D, 0x0A, 1};
enum { HEADER = 24, LOG_BITS = 10 };

/* 65536 * 256 * ln(1 + i / 2^LOG_BITS) / 256, filled by ngrams_init. */
static uint32_t log_table[(1 << LOG_BITS) + 1];

/* log2(x / 2^31) with 20 fractional bits, for 2^31 <= x < 2^32, by repeated squaring. */
static uint32_t log2_of(uint64_t x) {
    uint32_t result = 0;
    for (int i = 0; i < 20; i++) {
        x = x * x >> 31; /* below 2^33 */
        result <<= 1;
        if (x >> 32) {
            x >>= 1;
            result |= 1;
        }
    }
    return result;
}

/* 256 ln 2 = 177.445678: with 12 fractional bits 726818. */
#define LN2_256 UINT64_C(726818)

void ngrams_init(void) {
    for (uint32_t i = 0; i < 1 << LOG_BITS; i++)
        log_table[i] = (uint32_t)(log2_of((UINT64_C(1) << 31) + ((uint64_t)i << (31 - LOG_BITS))) * LN2_256 >> 20);
    log_table[1 << LOG_BITS] = (uint32_t)LN2_256;
}

/* Position of the highest bit of x > 0. */
static inline int highest_bit(uint64_t x) {
#if defined(__GNUC__)
    return 63 - __builtin_clzll(x);
#else
    int at = 0;
    for (int step = 32; step; step >>= 1)
        if (x >> at >> step) at += step;
    return at;
#endif
}

int32_t ngrams_log(uint64_t x) {
    int whole = highest_bit(x);
    uint64_t mantissa = whole >= LOG_BITS ? x >> (whole - LOG_BITS) : x << (LOG_BITS - whole);
    return (int32_t)(((uint64_t)whole * LN2_256 + log_table[mantissa & ((1 << LOG_BITS) - 1)]) >> 12);
}

/* ---- the mapped file ---- */

static uint32_t u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* `width` bits (at most 24) at entry i; every packed array is followed by at least 4 bytes of the file. */
static uint32_t packed(const uint8_t *base, uint32_t i, uint32_t width) {
    uint64_t bit = (uint64_t)i * width;
    return u32(base + (bit >> 3)) >> (bit & 7) & ((1u << width) - 1);
}

static size_t packed_size(uint64_t entries, uint32_t width) { return (size_t)((entries * width + 7) / 8); }

/* What is left of the file. */
typedef struct {
    const uint8_t *at;
    size_t left;
} Rest;

static const uint8_t *take(Rest *rest, uint64_t size) {
    if (size > rest->left) return NULL;
    const uint8_t *at = rest->at;
    rest->at += size;
    rest->left -= (size_t)size;
    return at;
}

static const char *open_bigrams(Ngrams *t, Rest *rest) {
    const uint8_t *starts = take(rest, 4 * ((uint64_t)t->vocabulary + 1));
    if (!starts) return "is cut";
    uint32_t entries = u32(starts + 4 * (size_t)t->vocabulary);
    const uint8_t *entry = take(rest, packed_size(entries, t->width));
    if (!entry || rest->left < 4) return "is cut";
    t->starts = malloc(sizeof(uint32_t) * (t->vocabulary + 1));
    t->ranks = malloc(sizeof(uint16_t) * ((size_t)entries + 1));
    t->sums = malloc(sizeof(uint32_t) * ((size_t)entries + 1));
    if (!t->starts || !t->ranks || !t->sums) return "";
    for (uint32_t i = 0; i <= t->vocabulary; i++) {
        t->starts[i] = u32(starts + 4 * (size_t)i);
        if (t->starts[i] > entries || (i && t->starts[i] < t->starts[i - 1])) return "has impossible bigrams";
    }
    if (t->starts[0]) return "has impossible bigrams";
    uint32_t sum = 0;
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t value = packed(entry, i, t->width);
        t->ranks[i] = (uint16_t)(value >> t->mass_bits);
        t->sums[i] = sum;
        sum += t->mass[value & ((1u << t->mass_bits) - 1)];
    }
    t->sums[entries] = sum;
    return NULL;
}

static const char *open_order(const Ngrams *t, NgramsOrder *order, Rest *rest) {
    const uint8_t *head = take(rest, 12);
    if (!head) return "is cut";
    order->bucket_bits = u32(head);
    order->contexts = u32(head + 4);
    order->entries = u32(head + 8);
    if (order->bucket_bits < 1 || order->bucket_bits > 28) return "has an impossible number of buckets";
    order->buckets = take(rest, 8 * ((UINT64_C(1) << order->bucket_bits) + 1));
    order->fingerprints = take(rest, 2 * (uint64_t)order->contexts);
    order->followers = take(rest, order->contexts);
    order->packed = take(rest, packed_size(order->entries, t->width));
    if (!order->buckets || !order->fingerprints || !order->followers || !order->packed || rest->left < 4)
        return "is cut";
    return NULL;
}

const char *ngrams_open(Ngrams *t, const uint8_t *data, size_t length) {
    memset(t, 0, sizeof *t);
    Rest rest = {data, length};
    const uint8_t *head = take(&rest, HEADER);
    if (!head) return "is cut";
    if (memcmp(head, magic, sizeof magic - 1)) return "is no table of n-grams";
    if (head[6] != magic[6]) return "is of another version";
    t->orders = head[7];
    t->vocabulary = u32(head + 8);
    t->mass_bits = head[12];
    t->rank_bits = head[13];
    if (t->orders < 2 || t->orders > NGRAMS_ORDERS || t->vocabulary < 2 || t->vocabulary > 65535 || t->mass_bits < 1
        || (1u << t->mass_bits) > NGRAMS_MASSES || t->rank_bits < 1 || t->rank_bits > 16
        || t->vocabulary > UINT32_C(1) << t->rank_bits)
        return "has impossible sizes";
    t->width = t->rank_bits + t->mass_bits;
    const uint8_t *masses = take(&rest, 4u << t->mass_bits), *unigrams = take(&rest, 4 * (uint64_t)t->vocabulary);
    if (!masses || !unigrams) return "is cut";
    for (uint32_t i = 0; i < 1u << t->mass_bits; i++)
        if ((t->mass[i] = u32(masses + 4 * i)) > UINT32_C(1) << 31) return "has impossible masses";
    t->unigrams = malloc(sizeof(uint32_t) * (t->vocabulary + 1));
    if (!t->unigrams) return "";
    uint64_t sum = 0;
    for (uint32_t i = 0; i < t->vocabulary; i++) {
        uint32_t mass = u32(unigrams + 4 * (size_t)i);
        t->unigrams[i] = (uint32_t)sum;
        sum += mass;
        if (mass == 0 || sum > UINT64_C(1) << 31) return "has impossible unigrams";
    }
    t->unigrams[t->vocabulary] = (uint32_t)sum;
    const char *wrong = open_bigrams(t, &rest);
    for (int n = 3; n <= t->orders && !wrong; n++) wrong = open_order(t, t->order + n - 3, &rest);
    return wrong;
}

void ngrams_close(Ngrams *t) {
    free(t->unigrams);
    free(t->starts);
    free(t->ranks);
    free(t->sums);
    memset(t, 0, sizeof *t);
}

/* ---- a token begins ---- */

/* Of a sum of masses: what is left for lower orders, 2^-22, at least 1. A sum beyond 1 is no distribution: 0. */
static uint32_t rest_of(uint64_t sum) {
    if (sum > UINT64_C(1) << 31) return 0;
    uint32_t rest = (uint32_t)(((UINT64_C(1) << 31) - sum) >> 9);
    return rest ? rest : 1;
}

static void find_bigrams(const Ngrams *t, NgramsRange *range, uint32_t rank) {
    uint32_t first = t->starts[rank], last = t->starts[rank + 1];
    *range = (NgramsRange){t->ranks, t->sums, first, last, first, rest_of(t->sums[last] - t->sums[first])};
    if (first == last) range->rest = 0;
}

static const uint8_t *bucket_of(const NgramsOrder *order, uint64_t key, uint16_t *fingerprint) {
    uint64_t hash = key * UINT64_C(0x9E3779B97F4A7C15);
    hash = (hash ^ hash >> 32) * UINT64_C(0xD6E8FEB86659FD93);
    *fingerprint = (uint16_t)(hash >> 8);
    return order->buckets + 8 * (size_t)(hash >> (64 - order->bucket_bits));
}

static void find_context(const Ngrams *t, const NgramsOrder *order, uint64_t key, NgramsRange *range, uint16_t *ranks,
                         uint32_t *sums) {
    uint16_t fingerprint;
    const uint8_t *bucket = bucket_of(order, key, &fingerprint);
    uint32_t context = u32(bucket), entry = u32(bucket + 4), end = u32(bucket + 8);
    range->rest = 0;
    if (end > order->contexts) return; /* no writer leaves that */
    for (; context < end; entry += order->followers[context++]) {
        const uint8_t *p = order->fingerprints + 2 * (size_t)context;
        if ((uint16_t)(p[0] | p[1] << 8) != fingerprint) continue;
        uint32_t count = order->followers[context];
        if (count == 0 || (uint64_t)entry + count > order->entries) return;
        uint32_t sum = 0; /* at most 255 * 2^31: wraps only in a table that no writer makes, and is bounded below */
        uint64_t whole = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t value = packed(order->packed, entry + i, t->width),
                     mass = t->mass[value & ((1u << t->mass_bits) - 1)];
            ranks[i] = (uint16_t)(value >> t->mass_bits);
            sums[i] = sum;
            sum += mass;
            whole += mass;
        }
        sums[count] = sum;
        *range = (NgramsRange){ranks, sums, 0, count, 0, rest_of(whole)};
        return;
    }
}

void ngrams_ask(const Ngrams *t, const uint32_t before[NGRAMS_ORDERS - 1]) {
    uint64_t key = before[0];
    uint16_t fingerprint;
    for (int n = 3; n <= t->orders && before[n - 2] < t->vocabulary; n++) {
        key |= (uint64_t)before[n - 2] << ((uint32_t)(n - 2) * t->rank_bits);
        PREFETCH(bucket_of(t->order + n - 3, key, &fingerprint));
    }
}

void ngrams_begin(const Ngrams *t, NgramsState *s, const uint32_t before[NGRAMS_ORDERS - 1]) {
    uint64_t key = 0;
    s->highest = 1;
    for (int n = 2; n <= NGRAMS_ORDERS; n++) s->range[n].rest = 0;
    for (int n = 2; n <= t->orders && before[n - 2] < t->vocabulary; n++) {
        key |= (uint64_t)before[n - 2] << ((uint32_t)(n - 2) * t->rank_bits);
        if (n == 2)
            find_bigrams(t, s->range + 2, before[0]);
        else
            find_context(t, t->order + n - 3, key, s->range + n, s->rank[n - 3], s->sum[n - 3]);
        if (s->range[n].rest) s->highest = n;
    }
}

/* ---- a turn ---- */

/* First of the followers first .. last-1 whose rank is at least `rank`. */
static uint32_t search(const NgramsRange *range, uint32_t rank) {
    uint32_t low = range->first, high = range->last;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (range->rank[middle] < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void ngrams_turn(const Ngrams *t, NgramsState *s, uint32_t low, uint32_t middle, uint32_t high, NgramsTurn *turn) {
    /* Masses in 2^-40. Unigrams are at least 2^-31 each, so neither side is ever below 2^9 at order 1; a rest is at least
     * 2^-22, so one is added to keep the logarithm's argument positive. Products: below 2^40 * 2^22 = 2^62. */
    uint64_t left = (uint64_t)(t->unigrams[middle] - t->unigrams[low]) << 9;
    uint64_t right = (uint64_t)(t->unigrams[high] - t->unigrams[middle]) << 9;
    turn->logit[1] = ngrams_log(right + 1) - ngrams_log(left + 1);
    turn->highest = s->highest;
    for (int n = 2; n <= s->highest; n++) {
        NgramsRange *range = s->range + n;
        if (!range->rest) {
            turn->logit[n] = turn->logit[n - 1];
            turn->followers[n] = 0;
            continue;
        }
        uint32_t cut = range->cut = search(range, middle);
        left = ((uint64_t)(range->sum[cut] - range->sum[range->first]) << 9) + (left * range->rest >> 22);
        right = ((uint64_t)(range->sum[range->last] - range->sum[cut]) << 9) + (right * range->rest >> 22);
        turn->logit[n] = ngrams_log(right + 1) - ngrams_log(left + 1);
        turn->followers[n] = range->last - range->first;
    }
}
