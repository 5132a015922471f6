/* Where a decoder gets the cells of turns from: whoever knows the network's opinion fills them in, level by level, as the tokens of a
 * step become known. It is handed over in a capsule, so that this side knows nothing of the other. */
#ifndef LLMZIP_CELLSOURCE_H
#define LLMZIP_CELLSOURCE_H

#include <stdint.h>

#define CELL_SOURCE "llmzip.cells"

typedef struct CellSource CellSource;
struct CellSource {
    uint32_t depth, rows; /* turns on a path; most tokens of a step */

    /* cells [active]: of the turns behind `prefixes` [active], bits of ranks, at a level, for tokens of these states [active]. Called
     * without the interpreter lock; 0, or -1 with an exception. */
    int (*fill)(CellSource *source, uint32_t level, const uint32_t *prefixes, const uint8_t *states, uint32_t active,
                uint8_t *cells);
};

#endif
