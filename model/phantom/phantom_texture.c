/* Parenchymal grain and quantum noise, both as periodic tiles that rendering only looks up. */
#include "base/memory.h"
#include "model/phantom/phantom_internal.h"

#include <math.h>

/* Periodic Gaussian along one axis of a cube or square with `side` a power of two. */
static void blur_axis(float *values, float *line, size_t side, size_t lines, size_t stride, double sigma) {
  float weight[25];
  int reach = (int)ceil(3.0 * sigma);
  reach = reach > 12 ? 12 : reach;
  for (int k = -reach; k <= reach; k++) {
    weight[k + reach] = (float)exp(-0.5 * k * k / (sigma * sigma));
  }
  for (size_t at = 0; at < lines; at++) {
    float *first = values + (at / stride) * stride * side + at % stride;
    for (size_t i = 0; i < side; i++) {
      line[i] = first[i * stride];
    }
    for (size_t i = 0; i < side; i++) {
      float sum = 0.0F;
      for (int k = -reach; k <= reach; k++) {
        sum += weight[k + reach] * line[(i + side + (size_t)(k + (int)side)) & (side - 1)];
      }
      first[i * stride] = sum;
    }
  }
}

static void standardise(float *values, size_t count) {
  double sum = 0.0;
  double square = 0.0;
  for (size_t i = 0; i < count; i++) {
    sum += values[i];
    square += (double)values[i] * values[i];
  }
  double mean = sum / (double)count;
  double deviation = sqrt(fmax(square / (double)count - mean * mean, 1e-12));
  for (size_t i = 0; i < count; i++) {
    values[i] = (float)((values[i] - mean) / deviation);
  }
}

static void fill_normal(float *values, size_t count, struct lvn_phantom_random *random) {
  for (size_t i = 0; i < count; i++) {
    /* The sum of four uniforms: near enough to normal, since it is smoothed, and far cheaper. */
    uint64_t bits = lvn_phantom_random_bits(random);
    float sum = (float)(bits & 0xFFFF) + (float)(bits >> 16 & 0xFFFF) + (float)(bits >> 32 & 0xFFFF) +
                (float)(bits >> 48 & 0xFFFF);
    values[i] = sum / 65536.0F - 2.0F;
  }
}

static void make_grain(float *grain, uint64_t seed) {
  const size_t side = LVN_PHANTOM_GRAIN_SIDE;
  float line[LVN_PHANTOM_GRAIN_SIDE];
  struct lvn_phantom_random random = lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_TEXTURE);
  fill_normal(grain, side * side * side, &random);
  for (size_t stride = 1; stride <= side * side; stride *= side) {
    blur_axis(grain, line, side, side * side, stride, 0.8);
  }
  standardise(grain, side * side * side);
}

/* A difference of two Gaussians has the noise power spectrum (exp(-a f^2) - w exp(-b f^2))^2: rising from a low value
 * at f = 0 like the ramp filter's, falling like its apodisation (Riederer, Pelc, Chesler, Phys Med Biol 1978;23:446;
 * shape as measured by Solomon et al., Med Phys 2012;39:6048, peak near 0.3 cycles per mm for soft kernels). */
static void make_noise(float *tile, float *wide, double pixel_mm, double grain, struct lvn_phantom_random *random) {
  const size_t side = LVN_PHANTOM_NOISE_SIDE;
  float line[LVN_PHANTOM_NOISE_SIDE];
  double narrow_sigma = fmax(grain * 0.50 / pixel_mm, 0.3);
  double wide_sigma = fmax(grain * 1.15 / pixel_mm, 0.7);
  fill_normal(tile, side * side, random);
  for (size_t i = 0; i < side * side; i++) {
    wide[i] = tile[i];
  }
  for (size_t stride = 1; stride <= side; stride *= side) {
    blur_axis(tile, line, side, side, stride, narrow_sigma);
    blur_axis(wide, line, side, side, stride, wide_sigma);
  }
  /* blur_axis does not divide by the weights' sum; do it here, once for both axes. */
  double narrow_area = 2.0 * M_PI * narrow_sigma * narrow_sigma;
  double wide_area = 2.0 * M_PI * wide_sigma * wide_sigma;
  for (size_t i = 0; i < side * side; i++) {
    tile[i] = (float)(tile[i] / narrow_area - 0.85 * wide[i] / wide_area);
  }
  standardise(tile, side * side);
}

bool lvn_phantom_texture_create(struct lvn_phantom_scene *scene, uint64_t seed, const struct lvn_phantom *phantom,
                                struct lvn_error *err) {
  const size_t tile = (size_t)LVN_PHANTOM_NOISE_SIDE * LVN_PHANTOM_NOISE_SIDE;
  const size_t side = LVN_PHANTOM_GRAIN_SIDE;
  LVN_AUTOFREE float *wide = lvn_alloc(tile, sizeof *wide, err);
  scene->grain = lvn_alloc(side * side * side, sizeof *scene->grain, err);
  if (wide == NULL || scene->grain == NULL) {
    return false;
  }
  make_grain(scene->grain, seed);
  const struct lvn_phantom_world *world = &phantom->options.world;
  double noise_grain = world->is_wide ? lvn_phantom_world_draw(seed, &world->noise_grain, 48) : 1.0;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    if (phantom->volume[phase].hounsfield == NULL) {
      continue;
    }
    struct lvn_phantom_random random =
        lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_NOISE_TILE + ((uint64_t)phase << 32));
    scene->noise[phase] = lvn_alloc(tile * LVN_PHANTOM_NOISE_TILES, sizeof(float), err);
    if (scene->noise[phase] == NULL) {
      return false;
    }
    for (size_t i = 0; i < LVN_PHANTOM_NOISE_TILES; i++) {
      make_noise(scene->noise[phase] + i * tile, wide, phantom->volume[phase].grid.spacing_mm[0], noise_grain, &random);
    }
  }
  return true;
}

float lvn_phantom_grain(const float *grain, float x, float y, float z) {
  const unsigned mask = LVN_PHANTOM_GRAIN_SIDE - 1;
  const unsigned plane = LVN_PHANTOM_GRAIN_SIDE * LVN_PHANTOM_GRAIN_SIDE;
  /* Whole periods added first: truncation then is the floor. */
  x += 64.0F * LVN_PHANTOM_GRAIN_SIDE;
  y += 64.0F * LVN_PHANTOM_GRAIN_SIDE;
  z += 64.0F * LVN_PHANTOM_GRAIN_SIDE;
  unsigned xi = (unsigned)(int)x;
  unsigned yi = (unsigned)(int)y;
  unsigned zi = (unsigned)(int)z;
  float fx = x - (float)(int)xi;
  float fy = y - (float)(int)yi;
  float fz = z - (float)(int)zi;
  unsigned x0 = xi & mask;
  unsigned x1 = (xi + 1) & mask;
  unsigned y0 = (yi & mask) * LVN_PHANTOM_GRAIN_SIDE;
  unsigned y1 = ((yi + 1) & mask) * LVN_PHANTOM_GRAIN_SIDE;
  const float *low = grain + (zi & mask) * plane;
  const float *high = grain + ((zi + 1) & mask) * plane;
  float a = low[y0 + x0] + fx * (low[y0 + x1] - low[y0 + x0]);
  float b = low[y1 + x0] + fx * (low[y1 + x1] - low[y1 + x0]);
  float c = high[y0 + x0] + fx * (high[y0 + x1] - high[y0 + x0]);
  float d = high[y1 + x0] + fx * (high[y1 + x1] - high[y1 + x0]);
  a += fy * (b - a);
  c += fy * (d - c);
  return a + fz * (c - a);
}
