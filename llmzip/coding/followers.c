#include "followers.h"

#include <string.h>

int followers_create(FollowerTable *table, uint32_t bits) {
    table->bits = bits;
    table->lists = memory_create(&table->memory, sizeof(FollowerList) << bits);
    return table->lists ? 0 : -1;
}

void followers_free(FollowerTable *table) { memory_free(&table->memory); }

const FollowerList *followers_find(const FollowerTable *table, uint64_t hash) {
    const FollowerList *pair = followers_line(table, hash);
    uint32_t check = followers_check(hash);
    if (pair[0].check == check) return pair;
    if (pair[1].check == check) return pair + 1;
    return NULL;
}

/* Worth of a list when one of two must go: what was seen more than once stays. */
static uint32_t worth(const FollowerList *list) {
    uint32_t sum = 0;
    for (int i = 0; i < FOLLOWERS; i++) sum += list->entry[i] & 255;
    return sum; /* 0 for a free one */
}

void followers_add(FollowerTable *table, uint64_t hash, uint32_t rank) {
    FollowerList *list = (FollowerList *)followers_find(table, hash);
    if (!list) {
        FollowerList *pair = followers_line(table, hash);
        list = worth(pair) <= worth(pair + 1) ? pair : pair + 1;
        /* The one that stays ages, so that old lists go in the end. */
        FollowerList *other = list == pair ? pair + 1 : pair;
        if (list->check != 0 && other->entry[0] != 0 && (other->entry[0] & 255) > 1) other->entry[0]--;
        memset(list, 0, sizeof *list);
        list->check = followers_check(hash);
    }
    int i = 0;
    while (i < FOLLOWERS - 1 && list->entry[i] != 0 && list->entry[i] >> 8 != rank) i++;
    /* What follows now counts for more than what followed long ago. */
    for (int j = 0; j < FOLLOWERS; j++) {
        uint32_t seen = list->entry[j] & 255;
        if (j != i && seen > 2) list->entry[j] -= (seen + 3) / 4;
    }
    uint32_t entry = list->entry[i];
    uint32_t count = entry != 0 && entry >> 8 == rank ? entry & 255 : 0;
    if (count < FOLLOWER_COUNT_MAX) count++;
    memmove(list->entry + 1, list->entry, (size_t)i * sizeof list->entry[0]);
    list->entry[0] = rank << 8 | count;
}
