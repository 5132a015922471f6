#include "table.h"

#include <stdlib.h>

int table_create(Table *part, Tables *tables, const Sizing *sizing) {
    part->ngrams = sizing->ngrams;
    part->map = part_table(tables, sizeof(MapEntry) * SUPPORTS * TABLE_CLASSES);
    if (!part->map) return -1;
    for (int i = 0; i < SUPPORTS * TABLE_CLASSES; i++) {
        int32_t middle = ((2 * (i % TABLE_CLASSES) + 1) * LOGIT_MAX) / TABLE_CLASSES - LOGIT_MAX;
        part->map[i] = map_entry(squash(middle), 30); /* as the table says, until thirty observations tell otherwise */
    }
    return 0;
}

void table_free(Table *part) { free(part->map); }
