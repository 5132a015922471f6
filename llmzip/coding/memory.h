/* Memory for tables: zeroed, on the border of a cache line, and where that is worth it in huge pages, without which most look-ups would
 * have to wait for the address of their page. Pages that are not touched are not used: a large table costs a short file nothing. */
#ifndef LLMZIP_MEMORY_H
#define LLMZIP_MEMORY_H

#include <stddef.h>

enum { LINE = 64 };

/* What is to be freed; all zero: nothing. */
typedef struct {
    void *base;
    size_t mapped; /* 0: by calloc */
} Memory;

/* NULL when there is none. */
void *memory_create(Memory *memory, size_t size);
void memory_free(Memory *memory);

#endif
