#include "counters.h"

#include <stdlib.h>

int counters_create(Counters *part, Tables *tables, const Sizing *sizing) {
    (void)sizing;
    size_t nodes = (size_t)1 << tables->tree->depth;
    part->root = part_table(tables, nodes * sizeof *part->root);
    part->map = part_table(tables, sizeof(MapEntry) * COUNTERS * COUNTER_STATES);
    if (!part->root || !part->map) return -1;
    for (int i = 0; i < COUNTERS * COUNTER_STATES; i++) {
        int slow = i % COUNTER_STATES / COUNTER_SEEN / COUNTER_FAST;
        part->map[i] = map_entry(squash(((2 * slow + 1) * LOGIT_MAX) / COUNTER_SLOW - LOGIT_MAX), 6);
    }
    for (size_t i = 0; i < nodes; i++) part->root[i] = NODE_COUNTER_FRESH;
    return 0;
}

void counters_free(Counters *part) {
    free(part->root);
    free(part->map);
}
