#include "network.h"

#include "logistic.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define VECTORS 1
#include <immintrin.h>
#else
#define VECTORS 0
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

static int32_t clip16(int32_t x) { return x > INT16_MAX ? INT16_MAX : x < INT16_MIN ? INT16_MIN : x; }

static int32_t output_of(const int32_t lane[LANES]) {
    int32_t sum = 0;
    for (int i = 0; i < LANES; i++) sum += lane[i] >> 8;
    return clip_logit(sum >> (WEIGHT_BITS - 8));
}

static void plain_outputs(Weight *const *row, int rows, const Input *input, int n, int32_t *output) {
    for (int r = 0; r < rows; r++) {
        int32_t lane[LANES] = {0};
        for (int i = 0; i < n; i++) lane[i / 2 % LANES] += row[r][i] * input[i];
        output[r] = output_of(lane);
    }
}

static void plain_train(Weight *const *row, int rows, const Input *input, int n, const int32_t *error) {
    for (int r = 0; r < rows; r++)
        for (int i = 0; error[r] && i < n; i++)
            row[r][i] = (Weight)clip16(row[r][i] + ((input[i] * error[r] + (1 << 14)) >> 15));
}

/* What a compiler makes vectors of by itself. */
INLINE int32_t any_mix(const int32_t *weight, const int32_t *output) {
    int32_t sum = 0;
    for (int i = 0; i < OUTPUTS; i++) sum += weight[i] * output[i] >> 8;
    return clip_logit(sum >> 8);
}

INLINE void any_mix_train(int32_t *weight, const int32_t *output, int32_t error) {
    for (int i = 0; i < OUTPUTS; i++) {
        int32_t w = weight[i] + ((output[i] * error + 2048) >> 12);
        w = w > MIX_LIMIT ? MIX_LIMIT : w;
        weight[i] = w < -MIX_LIMIT ? -MIX_LIMIT : w;
    }
}

static int32_t plain_mix(const int32_t *weight, const int32_t *output) { return any_mix(weight, output); }

static void plain_mix_train(int32_t *weight, const int32_t *output, int32_t error) {
    any_mix_train(weight, output, error);
}

Network network = {"plain", plain_outputs, plain_train, plain_mix, plain_mix_train};

#if VECTORS
#define AVX2 __attribute__((target("avx2")))

AVX2 static void avx2_outputs(Weight *const *row, int rows, const Input *input, int n, int32_t *output) {
    for (int r = 0; r < rows; r++) {
        const Weight *weight = row[r];
        __m256i sum = _mm256_setzero_si256();
        for (int i = 0; i < n; i += INPUTS_STEP)
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(weight + i)),
                                                          _mm256_loadu_si256((const __m256i *)(input + i))));
        sum = _mm256_srai_epi32(sum, 8);
        __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1));
        output[r] = clip_logit(_mm_cvtsi128_si32(half) >> (WEIGHT_BITS - 8));
    }
}

AVX2 static void avx2_train(Weight *const *row, int rows, const Input *input, int n, const int32_t *error) {
    for (int r = 0; r < rows; r++) {
        if (!error[r]) continue;
        Weight *weight = row[r];
        __m256i step = _mm256_set1_epi16((int16_t)error[r]);
        for (int i = 0; i < n; i += INPUTS_STEP) {
            __m256i by = _mm256_mulhrs_epi16(_mm256_loadu_si256((const __m256i *)(input + i)), step);
            __m256i *at = (__m256i *)(weight + i);
            _mm256_storeu_si256(at, _mm256_adds_epi16(_mm256_loadu_si256(at), by));
        }
    }
}

AVX2 static int32_t avx2_mix(const int32_t *weight, const int32_t *output) { return any_mix(weight, output); }

AVX2 static void avx2_mix_train(int32_t *weight, const int32_t *output, int32_t error) {
    any_mix_train(weight, output, error);
}
#endif

void network_init(int plain) {
    network = (Network){"plain", plain_outputs, plain_train, plain_mix, plain_mix_train};
#if VECTORS
    __builtin_cpu_init();
    if (!plain && __builtin_cpu_supports("avx2"))
        network = (Network){"AVX2", avx2_outputs, avx2_train, avx2_mix, avx2_mix_train};
#else
    (void)plain;
#endif
}
