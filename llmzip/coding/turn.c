#include "turn.h"

/* Borders and middles of the classes of |log odds|. */
static const int32_t edge[COARSE / 2 - 1] = {180, 384, 640, 1024, 1600};
static const int32_t middle[COARSE / 2] = {90, 280, 512, 820, 1300, 2000};

uint32_t coarse_class(int32_t logit) {
    int32_t size = logit < 0 ? -logit : logit;
    uint32_t i = 0;
    while (i < COARSE / 2 - 1 && size > edge[i]) i++;
    return logit < 0 ? COARSE / 2 - 1 - i : COARSE / 2 + i;
}

int32_t coarse_middle(uint32_t coarse) {
    return coarse < COARSE / 2 ? -middle[COARSE / 2 - 1 - coarse] : middle[coarse - COARSE / 2];
}
