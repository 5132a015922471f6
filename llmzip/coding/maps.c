#include "maps.h"

uint16_t counter_rate[RATES];

void maps_init(void) {
    for (uint32_t n = 0; n < RATES; n++) counter_rate[n] = (uint16_t)((2u * 65536u) / (2u * n + 3u));
}
