#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"

/* format: the contexts that are searched for, in tokens, longest first. */
static const uint32_t match_orders[MATCH_ORDERS] = {12, 6, 4, 2};
#define MATCH_VERIFY 32  /* agreement is measured up to here, then only counted on */
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
        uint32_t *grown = calloc((size_t)length + 1, sizeof(uint32_t));
        if (!grown) return -1;
        if (history->tokens) memcpy(grown, history->tokens, history->length * sizeof(uint32_t));
        free(history->tokens);
        history->tokens = grown;
        history->capacity = length;
    } else {
        memset(history->tokens + history->length, 0, tokens * sizeof(uint32_t));
    }
    history->length = length;
    return 0;
}

/* Tokens of agreement between what lies before a and before b, at most MATCH_VERIFY. */
static uint32_t agreement(const History *history, uint32_t a, uint32_t b) {
    uint32_t n = 0, limit = a < b ? a : b;
    if (limit > MATCH_VERIFY) limit = MATCH_VERIFY;
    const uint32_t *t = history->tokens;
    while (n < limit && t[a - 1 - n] == t[b - 1 - n] && t[a - 1 - n]) n++;
    return n;
}

void history_ask(const History *history, uint32_t position, Match *match) {
    uint32_t order = 0;
    uint64_t hash = 0;
    for (int i = MATCH_ORDERS - 1; i >= 0; i--) {
        for (; order < match_orders[i]; order++)
            hash = hash_mix(hash + order, history_before(history, position + 1, order + 1));
        match->slot[i] = (uint32_t)(hash_mix(hash, order) >> (64 - history->bits));
        PREFETCH(history->last[i] + match->slot[i]);
    }
}

void history_advance(History *history, uint32_t position, Match *match) {
    uint32_t here = position + 1;
    if (match->length > 0 && history_expected(history, match) == history_get(history, position)) {
        match->next++;
        if (match->length < 65535) match->length++;
    } else {
        match->length = 0;
    }
    uint32_t *slot[MATCH_ORDERS];
    for (int i = 0; i < MATCH_ORDERS; i++) slot[i] = history->last[i] + match->slot[i];
    if (match->length < MATCH_SETTLED)
        for (int i = 0; i < MATCH_ORDERS; i++) {
            uint32_t next = *slot[i];
            if (next == 0 || next >= history->length || !history->tokens[next]) continue;
            uint32_t length = agreement(history, next, here);
            if (length > match->length) {
                match->next = next;
                match->length = length;
            }
        }
    for (int i = 0; i < MATCH_ORDERS; i++) *slot[i] = here;
}
