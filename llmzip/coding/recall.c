#include "recall.h"

#include <stdlib.h>

int recall_create(Recall *part, Tables *tables, const Sizing *sizing) {
    (void)sizing;
    part->bits = tables->history.bits;
    for (int i = 0; i < 2; i++)
        if (!(part->last[i] = part_table(tables, sizeof(uint32_t) << part->bits))) return -1;
    part->hits = part_table(tables, (size_t)1 << RECALL_SLOT_BITS);
    part->map = part_table(tables, sizeof(MapEntry) * RECALL_ROWS * COARSE);
    if (!part->hits || !part->map) return -1;
    for (uint32_t i = 0; i < RECALL_ROWS * COARSE; i++) {
        uint32_t row = i / COARSE / RECALL_PLACES;
        int32_t length = (int32_t)(row % RECALL_LENGTHS), hits = 0;
        for (uint32_t h = row / RECALL_LENGTHS; h; h >>= 1) hits += h & 1;
        part->map[i] = map_entry(squash(coarse_middle(i % COARSE) + 100 + 60 * length + 100 * hits), 6);
    }
    return 0;
}

void recall_free(Recall *part) {
    for (int i = 0; i < 2; i++) free(part->last[i]);
    free(part->hits);
    free(part->map);
}

void recall_end(Recall *part, RecallLane *lane, Tables *tables, uint32_t position, uint32_t rank) {
    const History *history = &tables->history;
    uint32_t here = position + 1, known = lane->recalled != TOKEN_UNKNOWN, right = known && lane->recalled == rank;
    if (known && lane->length == 0) part->hits[lane->slot] = (uint8_t)(part->hits[lane->slot] << 1 | right);
    if (right) {
        lane->next++;
        lane->length += lane->length < RECALL_LENGTHS - 1;
    } else {
        lane->next = 0;
    }
    uint64_t two = hash_mix(hash_mix(401, rank), lane->t[0]), three = hash_mix(two, lane->t[1]);
    uint32_t *slot[2] = {part->last[0] + (two >> (64 - part->bits)), part->last[1] + (three >> (64 - part->bits))};
    uint32_t next = history_at(history, lane->next);
    int turns = !lane->next || kind_at(tables, rank) & KIND_EDGE || kind_at(tables, next) & KIND_FIELD;
    for (int i = 1; turns && i >= 0; i--) {
        uint32_t at = *slot[i];
        if (at < 2 || at >= history->length || history_get(history, at - 1) != rank
            || history_get(history, at - 2) != lane->t[0])
            continue;
        if (at != lane->next) {
            lane->next = at;
            lane->length = 0;
            lane->slot = (uint32_t)(three >> (64 - RECALL_SLOT_BITS));
        }
        break;
    }
    *slot[0] = *slot[1] = here;
}
