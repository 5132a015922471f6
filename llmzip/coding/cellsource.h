/* Where a decoder gets the cells of turns from: whoever knows the network's opinion of the tokens of a step. It is handed over in a capsule, so that this side knows nothing of the other. */
#ifndef LLMZIP_CELLSOURCE_H
#define LLMZIP_CELLSOURCE_H

#include <stdint.h>

#define CELL_SOURCE "llmzip.cells"

typedef struct CellSource CellSource;
struct CellSource {
    uint32_t depth, rows; /* turns on a path; most tokens of a step */

    /* The cell of the turn behind `prefix`, bits of a rank, at a level, for a token of this state. Called without the interpreter lock. */
    uint8_t (*cell)(CellSource *source, uint32_t stream, uint32_t level, uint32_t prefix, uint8_t state);
};

#endif
