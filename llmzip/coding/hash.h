/* One multiplicative hash for all tables; its high bits are the good ones. */
#ifndef LLMZIP_HASH_H
#define LLMZIP_HASH_H

#include <stdint.h>

/* format: where contexts meet in a table decides probabilities. */
static inline uint64_t hash_mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 32;
}

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)(address))
#endif

/* Smallest n with 2^n >= count. */
static inline uint32_t log2_ceil(uint64_t count) {
    uint32_t bits = 0;
    while (bits < 63 && (UINT64_C(1) << bits) < count) bits++;
    return bits;
}

#endif
