#include "pieces.h"

#include <string.h>

int pieces_add(Pieces *pieces, void *at, size_t size) {
    if (!at || pieces->count == PIECES_MOST) return -1;
    pieces->piece[pieces->count++] = (Piece){at, size};
    return 0;
}

size_t pieces_size(const Pieces *pieces) {
    size_t size = 0;
    for (int i = 0; i < pieces->count; i++) size += pieces->piece[i].size;
    return size;
}

void pieces_save(const Pieces *pieces, uint8_t *out) {
    for (int i = 0; i < pieces->count; i++) {
        memcpy(out, pieces->piece[i].at, pieces->piece[i].size);
        out += pieces->piece[i].size;
    }
}

void pieces_restore(const Pieces *pieces, const uint8_t *in) {
    for (int i = 0; i < pieces->count; i++) {
        memcpy(pieces->piece[i].at, in, pieces->piece[i].size);
        in += pieces->piece[i].size;
    }
}
