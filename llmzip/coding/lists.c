#include "lists.h"

int lists_create(Lists *part, Tables *tables, const Sizing *sizing) {
    (void)sizing;
    int failed = 0;
    for (int i = 0; i < LISTS; i++) failed |= votes_create(part->votes + i, tables);
    return failed;
}

void lists_free(Lists *part) {
    for (int i = 0; i < LISTS; i++) votes_free(part->votes + i);
}
