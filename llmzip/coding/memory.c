#if defined(__linux__)
#define _DEFAULT_SOURCE /* madvise */
#endif
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

static void *up(void *p, uintptr_t to) { return (void *)(((uintptr_t)p + to - 1) & ~(to - 1)); }

void *memory_create(Memory *memory, size_t size) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    enum { HUGE = 2 << 20 };
    if (size >= HUGE) {
        size_t room = size + HUGE;
        void *base = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base == MAP_FAILED) return NULL;
        *memory = (Memory){base, room};
        void *table = up(base, HUGE);
        madvise(table, size, MADV_HUGEPAGE); /* only advice: small pages do as well */
        return table;
    }
#endif
    *memory = (Memory){calloc(size + LINE, 1), 0};
    return memory->base ? up(memory->base, LINE) : NULL;
}

void memory_free(Memory *memory) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (memory->mapped) {
        munmap(memory->base, memory->mapped);
        *memory = (Memory){NULL, 0};
        return;
    }
#endif
    free(memory->base);
    *memory = (Memory){NULL, 0};
}
