/* Memory that changes while a block is coded, in pieces: to be copied, and put back where it was. */
#ifndef LLMZIP_PIECES_H
#define LLMZIP_PIECES_H

#include <stddef.h>
#include <stdint.h>

enum { PIECES_MOST = 160 };

typedef struct {
    void *at;
    size_t size;
} Piece;

/* All zero: none. */
typedef struct {
    Piece piece[PIECES_MOST];
    int count;
} Pieces;

/* One more: 0, or -1 where `at` is NULL or there are too many. */
int pieces_add(Pieces *pieces, void *at, size_t size);

/* Bytes of all, and a copy of them, and back from one. */
size_t pieces_size(const Pieces *pieces);
void pieces_save(const Pieces *pieces, uint8_t *out);
void pieces_restore(const Pieces *pieces, const uint8_t *in);

#endif
