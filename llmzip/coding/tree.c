#include "tree.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"

/* format: the order of the leaves decides what turns mean. */
int tree_create(Tree *tree, uint32_t leaves, const uint8_t *lengths) {
    *tree = (Tree){.leaves = leaves, .depth = log2_ceil(leaves)};
    if (!lengths) return 0;
    tree->depth = LEANING_DEPTH;
    tree->places = malloc(sizeof *tree->places * leaves);
    tree->below = malloc(sizeof *tree->below * ((UINT32_C(1) << LEANING_DEPTH) + 1));
    tree->middles = malloc(sizeof *tree->middles << LEANING_DEPTH);
    if (!tree->places || !tree->below || !tree->middles) return -1;
    uint32_t at = 0;
    for (uint32_t rank = 0; rank < leaves; rank++) {
        uint32_t end = at + (UINT32_C(1) << (LEANING_DEPTH - lengths[rank]));
        tree->places[rank] = at;
        tree->below[at++] = (uint16_t)rank;
        while (at < end) tree->below[at++] = (uint16_t)(rank + 1);
    }
    tree->below[at] = (uint16_t)leaves;
    for (uint32_t level = 0, node = 1; level < LEANING_DEPTH; level++)
        for (; node < UINT32_C(2) << level; node++)
            tree->middles[node] = tree->below[((node - (UINT32_C(1) << level)) * 2 + 1) << (LEANING_DEPTH - 1 - level)];
    return 0;
}

void tree_free(Tree *tree) {
    free(tree->places);
    free(tree->below);
    free(tree->middles);
    memset(tree, 0, sizeof *tree);
}
