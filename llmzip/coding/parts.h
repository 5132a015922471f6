/* The parts of the mixer, in the order in which `predictor.c` walks them.
 *
 * A part NAME with the type Type lives in NAME.h and NAME.c. What all streams share is a Type, what one stream keeps from a
 * turn's prediction to its update a TypeLane. It has Type's inputs per turn (NAME in capitals with _INPUTS), and
 *     NAME_create   its tables, as they are before anything is known         NAME_free
 *     NAME_begin    a token begins: contexts, lines of memory that will be needed
 *     NAME_load     a little later: what is known under these contexts (not `on`: nothing)
 *     NAME_inputs   log odds for a turn, and evidence that selects weights
 *     NAME_update   the turn's outcome
 *     NAME_take     what is left on that side, for turns that were forced, too
 *     NAME_end      the token is known
 * and where it keeps things in buckets of nodes (NODE_PARTS), every BUCKET_LEVELS levels:
 *     NAME_ask      the lines of the buckets below a node will be needed
 *     NAME_bucket   the buckets
 * The functions of the hot loop are inline in NAME.h. docs/how-to-add.md says what adding one takes. */
#ifndef LLMZIP_PARTS_H
#define LLMZIP_PARTS_H

#include "columns.h"
#include "counters.h"
#include "final.h"
#include "gate.h"
#include "lists.h"
#include "match.h"
#include "recall.h"
#include "residuals.h"
#include "sets.h"
#include "sparse.h"
#include "table.h"

/* format: the order of parts that share a table decides what is replaced in it. */
#define INPUT_PARTS(X)                                                                                                 \
    X(counters, Counters, COUNTERS_INPUTS)                                                                             \
    X(residuals, Residuals, RESIDUALS_INPUTS)                                                                          \
    X(lists, Lists, LISTS_INPUTS)                                                                                      \
    X(sparse, Sparse, SPARSE_INPUTS)                                                                                   \
    X(match, MatchPart, MATCH_INPUTS)                                                                                  \
    X(table, Table, TABLE_INPUTS)                                                                                      \
    X(columns, Columns, COLUMNS_INPUTS)                                                                                \
    X(recall, Recall, RECALL_INPUTS)

/* Those that keep things in buckets of nodes. */
#define NODE_PARTS(X) X(counters) X(residuals)

/* Behind them: what weighs and refines the inputs. */
#define STAGES(X) X(sets) X(gate) X(final)

/* Groups of contexts across the parts, which a study may switch off, too: the letters of words, what is open, texts of numbers. */
#define GROUPS(X) X(words) X(open) X(numbers)

/* Places of the inputs. */
enum {
    INPUT_MODEL,
    INPUT_BIAS,
#define PLACE(name, Type, count) INPUT_##name, INPUT_last_of_##name = INPUT_##name + count - 1,
    INPUT_PARTS(PLACE)
#undef PLACE
        INPUT_END,
    INPUTS = (INPUT_END + INPUTS_STEP - 1) / INPUTS_STEP * INPUTS_STEP,
};
_Static_assert(INPUTS <= INPUTS_MAX, "the sums of network.c are proven for INPUTS_MAX inputs");

/* Numbers of the parts: bits of what a study may switch off. A file is always made with all of them. */
enum {
#define NUMBER(name, ...) NUMBER_##name,
    INPUT_PARTS(NUMBER) STAGES(NUMBER) GROUPS(NUMBER)
#undef NUMBER
        PARTS,
    PART_ALL = (1 << PARTS) - 1,
};
#define PART_BIT(name) (1u << NUMBER_##name)

#endif
