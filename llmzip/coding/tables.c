#include <stdlib.h>

#include "numbers.h"
#include "parts.h"
#include "turn.h"

void tables_init(void) {
    logistic_init();
    votes_init();
    maps_init();
    final_init();
    sets_init();
    ngrams_init();
}

/* format: how large the tables are decides what they remember. */

/* Room for everything that so many tokens may show, within what is left beside the history: half of it for nodes, a quarter
 * for lists, a sixteenth for matches. The rest is below 2 MB but for the largest vocabularies. */
TableBits tables_bits(uint32_t tokens, size_t memory, int traits) {
    size_t history = (size_t)4 * tokens, left = memory - (history < memory * 7 / 8 ? history : memory * 7 / 8);
    uint64_t want = tokens < 64 ? 64 : tokens;
    uint32_t node_bits = log2_ceil(want * 12),
             list_bits = log2_ceil(want * (LISTS + SPARSE + (traits ? COLUMNS : 0) - 1)); /* one is often silent */
    uint32_t match_bits = log2_ceil(want);
    while (node_bits > 8 && (sizeof(NodeBucket) << node_bits) > left / 2) node_bits--;
    while (list_bits > 8 && (sizeof(FollowerList) << list_bits) > left / 4) list_bits--;
    while (match_bits > 8 && (sizeof(uint32_t) * MATCH_ORDERS << match_bits) > left / 16) match_bits--;
    return (TableBits){node_bits, list_bits, match_bits < 8 ? 8 : match_bits};
}

int tables_create(Tables *t, uint32_t tokens, size_t memory) {
    const TableBits bits = tables_bits(tokens, memory, t->traits != NULL);
    const uint32_t node_bits = bits.nodes, list_bits = bits.lists, match_bits = bits.matches;
    t->memory = (sizeof(NodeBucket) << node_bits) + (sizeof(FollowerList) << list_bits)
                + (sizeof(uint32_t) * MATCH_ORDERS << match_bits);
    if (nodes_create(&t->nodes, node_bits) || followers_create(&t->followers, list_bits)
        || history_create(&t->history, match_bits))
        return -1;
    int failed = pieces_add(&t->pieces, t->nodes.buckets, sizeof(NodeBucket) << node_bits)
                 || pieces_add(&t->pieces, t->followers.lists, sizeof(FollowerList) << list_bits);
    for (int i = 0; i < MATCH_ORDERS; i++)
        failed = failed || pieces_add(&t->pieces, t->history.last[i], sizeof(uint32_t) << match_bits);
    return failed;
}

void tables_free(Tables *t) {
    nodes_free(&t->nodes);
    followers_free(&t->followers);
    history_free(&t->history);
}

void *part_table(Tables *tables, size_t size) {
    tables->memory += size;
    void *table = calloc(size, 1);
    if (!pieces_add(&tables->pieces, table, size)) return table;
    free(table);
    return NULL;
}

void *table_lines(Tables *tables, Memory *memory, size_t size) {
    tables->memory += size;
    void *table = memory_create(memory, size);
    return pieces_add(&tables->pieces, table, size) ? NULL : table; /* memory_free frees it */
}
