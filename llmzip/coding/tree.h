/* The vocabulary tree: leaves in the order of their ranks, turns from the root down.
 *
 * A leaf's *place* is the path to it as a number of `depth` bits, 1 = right. In the balanced tree places are ranks. In a leaning
 * one, frequent tokens have short paths: what is left of their bits is zero, turns to the left where nothing is on the right,
 * which nobody codes. */
#ifndef LLMZIP_TREE_H
#define LLMZIP_TREE_H

#include <stdint.h>

/* format: deep enough for the most leaves that a leaning tree may have. */
enum { LEANING_DEPTH = 16, LEANING_LEAVES = 65535 };

typedef struct {
    uint32_t leaves, depth;
    uint32_t *places; /* [leaves]; NULL: balanced */
    uint16_t *below;  /* [2^depth + 1]: leaves whose place is smaller; NULL: balanced */
    uint16_t *
        middles; /* [2^depth], of nodes (1 and then the turns so far, as bits): the first rank on the right; NULL: balanced */
} Tree;

/* lengths: [leaves], turns on the way to each, as start_open has found them right; NULL: balanced, any number of leaves. 0, or -1
 * when there is no memory. */
int tree_create(Tree *tree, uint32_t leaves, const uint8_t *lengths);
void tree_free(Tree *tree);

static inline uint32_t tree_place(const Tree *tree, uint32_t rank) { return tree->places ? tree->places[rank] : rank; }

/* Leaves before a place, which for the place of a leaf is its rank. place: at most 2^depth. */
static inline uint32_t tree_below(const Tree *tree, uint32_t place) {
    return tree->below ? tree->below[place] : place < tree->leaves ? place : tree->leaves;
}

/* The first rank to the right of a node at a level. */
static inline uint32_t tree_middle(const Tree *tree, uint32_t node, uint32_t level) {
    if (tree->middles) return tree->middles[node];
    uint32_t right = ((node - (UINT32_C(1) << level)) * 2 + 1) << (tree->depth - 1 - level);
    return right < tree->leaves ? right : tree->leaves;
}

#endif
