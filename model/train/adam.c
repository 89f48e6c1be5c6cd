#include "model/train/adam.h"

#include <math.h>

#define BLOCK (1 << 16)

static void step_block(const struct lvn_adam *adam, float *restrict value, const float *restrict gradient,
                       float *restrict moment1, float *restrict moment2, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const float w = value[i] * adam->decoupled;
    const float g = gradient[i] + adam->decay * w;
    const float m = moment1[i] + (g - moment1[i]) * (1.0F - adam->beta1);
    const float v = moment2[i] * adam->beta2 + (1.0F - adam->beta2) * g * g;
    moment1[i] = m;
    moment2[i] = v;
    value[i] = w - adam->rate * (m / (sqrtf(v) / adam->correction2 + adam->eps));
  }
}

void lvn_adam_step(const struct lvn_adam *adam, float *values, const float *gradient, float *moment1, float *moment2,
                   int64_t first, int64_t last, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t at = first; at < last; at += BLOCK) {
    int64_t count = last - at < BLOCK ? last - at : BLOCK;
    step_block(adam, values + at, gradient + at, moment1 + at, moment2 + at, count);
  }
}
