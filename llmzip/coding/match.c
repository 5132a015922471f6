#include "match.h"

#include <stdlib.h>

int match_create(MatchPart *part, Tables *tables, const Sizing *sizing) {
    (void)sizing;
    part->map = part_table(tables, sizeof(MapEntry) * LENGTHS * COARSE);
    if (!part->map) return -1;
    for (uint32_t i = 0; i < LENGTHS * COARSE; i++) {
        int32_t length = (int32_t)(i / COARSE);
        /* A prior that is worth six observations. */
        part->map[i] = map_entry(squash(coarse_middle(i % COARSE) + 200 + 60 * length), 6);
    }
    return 0;
}

void match_free(MatchPart *part) { free(part->map); }
