#include "network.h"

/* One binary for all machines: the loader picks the loop compiled for this CPU. The results are the same, integers. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GLIBC__) && defined(__GNUC__)                           \
    && !defined(__SANITIZE_ADDRESS__)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif

CLONES int32_t network_dot(const int32_t *weights, const int32_t *inputs, int n) {
    int32_t sum = 0;
    for (int i = 0; i < n; i++) sum += weights[i] * inputs[i] >> 8;
    return sum >> 8;
}

CLONES void network_train(int32_t *weights, const int32_t *inputs, int32_t error, int n) {
    for (int i = 0; i < n; i++) {
        int32_t w = weights[i] + ((inputs[i] * error + 2048) >> 12);
        w = w > WEIGHT_LIMIT ? WEIGHT_LIMIT : w;
        weights[i] = w < -WEIGHT_LIMIT ? -WEIGHT_LIMIT : w;
    }
}
