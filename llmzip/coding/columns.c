#include "columns.h"

#include <stdlib.h>

static MapEntry *guess_map(Tables *tables) {
    MapEntry *map = part_table(tables, sizeof(MapEntry) * COLUMN_HITS * 2 * COARSE);
    for (int i = 0; map && i < COLUMN_HITS * 2 * COARSE; i++) {
        /* A prior that is worth six observations: the more hits lately, the surer. */
        int32_t hits = 0;
        for (int h = i / COARSE / 2; h; h >>= 1) hits += h & 1;
        map[i] = map_entry(squash(coarse_middle((uint32_t)i % COARSE) + 150 * hits), 6);
    }
    return map;
}

int columns_create(Columns *part, Tables *tables, const Sizing *sizing) {
    (void)sizing;
    int failed = !(part->map = guess_map(tables)) || !(part->long_map = guess_map(tables));
    for (int i = 0; i < COLUMNS; i++) failed |= votes_create(part->votes + i, tables) != 0;
    return failed;
}

void columns_free(Columns *part) {
    free(part->map);
    free(part->long_map);
    for (int i = 0; i < COLUMNS; i++) votes_free(part->votes + i);
}
