#include "residuals.h"

#include <stdlib.h>

int residuals_create(Residuals *part, Tables *tables, const Sizing *sizing) {
    (void)sizing;
    size_t nodes = (size_t)1 << tables->tree->depth;
    part->root = part_table(tables, nodes * sizeof *part->root);
    if (!part->root) return -1;
    for (size_t i = 0; i < nodes; i++) part->root[i] = RESIDUAL_FRESH;
    return 0;
}

void residuals_free(Residuals *part) { free(part->root); }
