#include "history.h"

#include <stdlib.h>
#include <string.h>

/* format: the contexts that are searched for, in tokens, longest first. */
static const uint32_t match_orders[MATCH_ORDERS] = {12, 6, 4, 2};
#define MATCH_VERIFY 32 /* agreement is measured up to here, then only counted on */
#define MATCH_SETTLED 16 /* a match this long is not given up for a longer one */

int history_create(History *history, uint32_t bits) {
    memset(history, 0, sizeof *history);
    history->bits = bits;
    for (int i = 0; i < MATCH_ORDERS; i++) {
        history->last[i] = calloc((size_t)1 << bits, sizeof(uint32_t));
        if (!history->last[i]) return -1;
    }
    return 0;
}

void history_free(History *history) {
    for (int i = 0; i < MATCH_ORDERS; i++) free(history->last[i]);
    free(history->tokens);
    memset(history, 0, sizeof *history);
}

void history_clear(History *history) {
    for (int i = 0; i < MATCH_ORDERS; i++) memset(history->last[i], 0, sizeof(uint32_t) << history->bits);
    history->length = 0;
}

int history_extend(History *history, uint32_t tokens) {
    if (tokens > UINT32_MAX / 8 - history->length) return -1;
    uint32_t length = history->length + tokens;
    if (length > history->capacity || !history->tokens) {
        uint32_t *grown = realloc(history->tokens, ((size_t)length + 1) * sizeof(uint32_t));
        if (!grown) return -1;
        history->tokens = grown;
        history->capacity = length;
    }
    for (uint32_t i = history->length; i < length; i++) history->tokens[i] = TOKEN_UNKNOWN;
    history->length = length;
    return 0;
}

/* Tokens of agreement between what lies before a and before b, at most MATCH_VERIFY. */
static uint32_t agreement(const History *history, uint32_t a, uint32_t b) {
    uint32_t n = 0, limit = a < b ? a : b;
    if (limit > MATCH_VERIFY) limit = MATCH_VERIFY;
    const uint32_t *t = history->tokens;
    while (n < limit && t[a - 1 - n] == t[b - 1 - n] && t[a - 1 - n] != TOKEN_UNKNOWN) n++;
    return n;
}

void history_advance(History *history, uint32_t position, Match matches[2]) {
    uint32_t here = position + 1, token = history->tokens[position];
    for (int m = 0; m < 2; m++) {
        Match *match = matches + m;
        if (match->length > 0 && history_expected(history, match) == token) {
            match->next++;
            if (match->length < 65535) match->length++;
        } else {
            match->length = 0;
        }
    }
    uint32_t slot[MATCH_ORDERS];
    uint64_t hash = 0;
    uint32_t order = 0;
    for (int i = MATCH_ORDERS - 1; i >= 0; i--) {
        while (order < match_orders[i])
            hash = (hash + history_before(history, here, ++order) + 1) * UINT64_C(0x9E3779B97F4A7C15), hash ^= hash >> 29;
        slot[i] = (uint32_t)(hash * UINT64_C(0xD6E8FEB86659FD93) >> (64 - history->bits));
    }
    Match best = matches[0], second = matches[1];
    if (best.length < MATCH_SETTLED) {
        for (int i = 0; i < MATCH_ORDERS; i++) {
            uint32_t next = history->last[i][slot[i]];
            if (next == 0 || next >= history->length) continue;
            uint32_t n = agreement(history, next, here);
            if (n > best.length && history->tokens[next] != TOKEN_UNKNOWN) best = (Match){next, n};
        }
    }
    uint32_t expected = history_expected(history, &best);
    if (second.length == 0 || history_expected(history, &second) == expected) {
        second.length = 0;
        /* The longest of the others, the match given up included. */
        if (matches[0].length > 0 && history_expected(history, &matches[0]) != expected) second = matches[0];
        for (int i = 0; i < MATCH_ORDERS; i++) {
            uint32_t next = history->last[i][slot[i]];
            if (next == 0 || next >= history->length) continue;
            uint32_t other = history->tokens[next];
            if (other == TOKEN_UNKNOWN || other == expected) continue;
            uint32_t n = agreement(history, next, here);
            if (n > second.length) second = (Match){next, n};
        }
    }
    matches[0] = best;
    matches[1] = second;
    for (int i = 0; i < MATCH_ORDERS; i++) history->last[i][slot[i]] = here;
}
