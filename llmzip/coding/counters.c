#include "counters.h"

#include <stdlib.h>

int counters_create(Counters *part, Tables *tables, const Sizing *sizing) {
    (void)sizing;
    size_t nodes = (size_t)1 << tables->tree->depth;
    part->root = part_table(tables, nodes * sizeof *part->root);
    if (!part->root) return -1;
    for (size_t i = 0; i < nodes; i++) part->root[i] = NODE_COUNTER_FRESH;
    return 0;
}

void counters_free(Counters *part) { free(part->root); }
