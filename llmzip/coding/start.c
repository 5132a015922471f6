#include "start.h"

#include <string.h>

#include "tree.h"

/* format: the layout below. */

static const uint8_t magic[8] = {0xEC, 'L', 'Z', 'S', 0x0D, 0x0A, 1, 0};
enum { FIELDS_OF_HEAD = 6, HEAD = sizeof magic + 4 * FIELDS_OF_HEAD };

static uint32_t u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

size_t start_size(const Start *shape) {
    size_t weights = (size_t)shape->rows * shape->inputs;
    return HEAD + shape->leaves + 2 * (shape->rows + weights + shape->mixes + shape->knots + 2 * shape->maps);
}

/* Whether the lengths are those of a tree in which every node has two children. */
static int is_tree(const Start *start) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < start->leaves; i++) {
        if (start->lengths[i] < 1 || start->lengths[i] > LEANING_DEPTH) return 0;
        uint32_t step = UINT32_C(1) << (LEANING_DEPTH - start->lengths[i]);
        if (at % step || at >= UINT32_C(1) << LEANING_DEPTH) return 0;
        at += step;
    }
    return at == UINT32_C(1) << LEANING_DEPTH;
}

const char *start_open(Start *start, const uint8_t *data, size_t length) {
    memset(start, 0, sizeof *start);
    if (length < HEAD || memcmp(data, magic, sizeof magic)) return "is no start of a mixer";
    const uint8_t *p = data + sizeof magic;
    *start = (Start){.leaves = u32(p),
                     .rows = u32(p + 4),
                     .inputs = u32(p + 8),
                     .mixes = u32(p + 12),
                     .knots = u32(p + 16),
                     .maps = u32(p + 20)};
    const uint32_t most = 1 << 20;
    if (start->leaves > LEANING_LEAVES || start->rows > most || start->inputs > most || start->mixes > most
        || start->knots > most || start->maps > most || start_size(start) != length)
        return "is cut";
    start->lengths = data + HEAD;
    start->visits = start->lengths + start->leaves;
    start->weights = start->visits + 2 * (size_t)start->rows;
    start->mix_weights = start->weights + 2 * (size_t)start->rows * start->inputs;
    start->map = start->mix_weights + 2 * (size_t)start->mixes;
    start->chances = start->map + 2 * (size_t)start->knots;
    start->seen = start->chances + 2 * (size_t)start->maps;
    return is_tree(start) ? NULL : "has an impossible tree";
}

uint8_t *start_head(const Start *shape, uint8_t *out) {
    memcpy(out, magic, sizeof magic);
    out += sizeof magic;
    const uint32_t fields[FIELDS_OF_HEAD] = {shape->leaves, shape->rows,  shape->inputs,
                                             shape->mixes,  shape->knots, shape->maps};
    for (int i = 0; i < FIELDS_OF_HEAD; i++)
        for (int k = 0; k < 4; k++) *out++ = (uint8_t)(fields[i] >> (8 * k));
    return out;
}
