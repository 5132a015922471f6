#include "sparse.h"

int sparse_create(Sparse *part, Tables *tables, const Sizing *sizing) {
    (void)sizing;
    int failed = 0;
    for (int i = 0; i < SPARSE; i++) failed |= votes_create(part->votes + i, tables);
    return failed;
}

void sparse_free(Sparse *part) {
    for (int i = 0; i < SPARSE; i++) votes_free(part->votes + i);
}
